//! How errors reach the person: on stderr, the whole chain, harmless; and which exit code they mean.

use std::{
    ffi::OsString,
    io::{self, Write as _},
    process::ExitCode,
};

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::output::tell;
use crate::query::QueryError;

/// Something failed.
const FAILED: u8 = 1;
/// The command was used wrongly.
const USAGE: u8 = 2;
/// `status` could not look.
const UNKNOWN: u8 = 3;

/// A command that was used wrongly: what is wrong, and what would be right. Exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Usage(pub(super) String);

impl Usage {
    /// A query that cannot be read, with its place.
    pub(super) fn query(text: &str, error: &QueryError) -> Self {
        Self(format!("this query cannot be read{}", place(text, error)))
    }
}

/// A query and what is to be said of a place in it, below what is said of the whole.
pub(super) fn place(text: &str, error: &QueryError) -> String {
    format!("\n{}", error.render(text)).replace('\n', "\n  ")
}

/// Says why the arguments cannot be read, or answers `--help` and `--version`.
pub(super) fn usage(mut error: clap::Error, arguments: &[OsString], purpose: Purpose) -> ExitCode {
    name_whole_word(&mut error, arguments);
    name_commands_for_query(&mut error);
    if error.use_stderr() {
        // It repeats the argument as it came.
        tell(error.render().to_string().trim_end());
        return ExitCode::from(wrong_usage(purpose));
    }
    match error.print().and_then(|()| io::stdout().flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&error.into(), Purpose::Show),
    }
}

/// Of `-status:sent` clap sees `-s`; where a word may stand, a query was meant.
fn name_whole_word(error: &mut clap::Error, arguments: &[OsString]) {
    let (Some(ContextValue::String(seen)), Some(_)) = (
        error.get(ContextKind::InvalidArg),
        error.get(ContextKind::Suggested),
    ) else {
        return;
    };
    let is_it = |word: &&str| word.starts_with(seen) && word.len() > seen.len();
    let mut words = arguments.iter().filter_map(|argument| argument.to_str());
    let Some(word) = words.find(is_it).map(str::to_owned) else {
        return;
    };
    if error.kind() == ErrorKind::UnknownArgument && !word.starts_with("--") {
        let tip = format!("a query that begins with `-` goes after `--`, as in `-- {word}`");
        error.insert(
            ContextKind::Suggested,
            ContextValue::StyledStrs(vec![tip.into()]),
        );
        error.insert(ContextKind::InvalidArg, ContextValue::String(word));
    }
}

/// What stands where a command should and can be none is a query.
fn name_commands_for_query(error: &mut clap::Error) {
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else {
        return;
    };
    if word.contains([':', '@']) {
        let tip = format!(
            "a query goes after a command, as in `postroom console '{word}'` or `postroom list '{word}'`"
        );
        let tips = ContextValue::StyledStrs(vec![tip.into()]);
        error.insert(ContextKind::Suggested, tips);
    }
}

/// To monitoring, 2 is "critical", which a slip of the pen is not.
fn wrong_usage(purpose: Purpose) -> u8 {
    if purpose == Purpose::Watch {
        UNKNOWN
    } else {
        USAGE
    }
}

/// What a command is for, as far as its failure is concerned.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It changes something: a failure is one.
    Do,
    /// It only shows something, to a reader who may have seen enough.
    Show,
    /// It answers monitoring, which has an exit code of its own for "could not look".
    Watch,
}

/// Says what failed, and gives the exit code it means.
pub(super) fn report(failure: &anyhow::Error, purpose: Purpose) -> ExitCode {
    if purpose == Purpose::Show && is_broken_pipe(failure) {
        // `postroom list | head`
        return ExitCode::SUCCESS;
    }
    let mut chain = failure.chain();
    let mut told = chain.next().map(ToString::to_string).unwrap_or_default();
    // Whatever else is read or written has a context that says what: that stands before it in the chain.
    let first = failure.chain().next();
    let bare = first.and_then(|error| error.downcast_ref::<io::Error>());
    if bare.is_some_and(|error| error.raw_os_error().is_some()) {
        told.insert_str(0, "cannot write to standard output: ");
    }
    for cause in chain {
        let cause = cause.to_string();
        // Some errors repeat their source in their own words.
        if !told.contains(&cause) {
            told.push_str("\n  caused by: ");
            told.push_str(&cause);
        }
    }
    tell(&format!("postroom: {told}"));
    ExitCode::from(if failure.is::<Usage>() {
        wrong_usage(purpose)
    } else if purpose == Purpose::Watch {
        UNKNOWN
    } else {
        FAILED
    })
}

fn is_broken_pipe(failure: &anyhow::Error) -> bool {
    failure.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}
