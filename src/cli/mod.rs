//! The command line: one file per command, arguments in, output out, no logic. What everybody shares lies beside them: `output`, `table`,
//! `context`, `error`.

mod act;
mod audit;
mod backend;
mod backup;
mod causes;
mod check;
mod columns;
mod completions;
mod console;
mod context;
mod delete_messages;
mod delete_receivers;
mod deliver;
mod demo;
mod engine;
mod error;
mod import;
mod init;
mod lines;
mod list;
mod logging;
mod man;
mod migrate;
mod notify;
mod operator;
mod output;
mod preview;
mod progress;
mod prompt;
mod receiver;
mod resend_failed;
mod run;
mod sendmail;
mod show;
mod status;
mod submit;
mod table;
#[cfg(test)]
mod tests;
mod ways;

use std::{ffi::OsString, process::ExitCode, sync::LazyLock};

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand, builder::Resettable};

use context::Globals;
use error::Purpose;

use crate::store::SCHEMA;

/// The status a command ends with when nothing failed: 0 but where it has something else to say.
type Exit = anyhow::Result<u8>;

/// The console for the email and SMS that your application sends: see what did not arrive, why, and send it again.
#[derive(Parser)]
#[command(
    name = "postroom",
    version = VERSION.as_str(),
    about,
    after_help = "Without a command the console opens.\n\nExamples:\n  postroom init\n  postroom list status:failed,error 'created:<7d'\n\nExit codes: 0 done, 1 failed, 2 wrong usage (`status` has its own).",
    max_term_width = 100
)]
struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    Console(console::Args),
    Demo(demo::Args),
    Init(init::Args),
    Submit(submit::Args),
    Sendmail(sendmail::Args),
    Preview(preview::Args),
    Deliver(deliver::Args),
    Run(run::Args),
    List(list::Args),
    Show(show::Args),
    Causes(causes::Args),
    #[command(flatten)]
    Act(act::Act),
    ResendFailed(resend_failed::Args),
    DeleteReceivers(delete_receivers::Args),
    DeleteMessagesWithoutReceivers(delete_messages::Args),
    Audit(audit::Args),
    Backend(backend::Args),
    Status(status::Args),
    Backup(backup::Args),
    Check(check::Args),
    Migrate(migrate::Args),
    Import(import::Args),
    Completions(completions::Args),
    Man(man::Args),
}

/// With the schema's number: it tells whether two versions can share a store.
static VERSION: LazyLock<String> =
    LazyLock::new(|| format!("{} (schema {SCHEMA})", env!("CARGO_PKG_VERSION")));

/// Reads the arguments, does what they say, and tells on stderr what went wrong.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut arguments: Vec<_> = arguments.into_iter().collect();
    if arguments
        .first()
        .is_some_and(|program| sendmail::is_meant(program))
    {
        // All that follows is for it alone.
        arguments.splice(1..1, ["sendmail".into(), "--".into()]);
    }
    let cli = match parse(&arguments) {
        Ok(cli) => cli,
        Err(error) => return error::usage(error, &arguments, purpose_of(&arguments)),
    };
    let purpose = match &cli.command {
        Some(Command::Status(_)) => Purpose::Watch,
        Some(
            Command::List(_)
            | Command::Show(_)
            | Command::Causes(_)
            | Command::Audit(_)
            | Command::Preview(_)
            | Command::Backend(_)
            | Command::Completions(_)
            | Command::Man(_),
        ) => Purpose::Show,
        _ => Purpose::Do,
    };
    match run(cli) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => error::report(&failure, purpose),
    }
}

/// The whole command line. What teaches at length, the examples above all, stands in `--help`; `-h` is short.
fn command() -> clap::Command {
    fn long(command: clap::Command) -> clap::Command {
        let teaches = command.get_after_help().cloned();
        let command = match teaches {
            Some(text) => command.after_long_help(text).after_help(Resettable::Reset),
            None => command,
        };
        command.mut_subcommands(long)
    }
    long(Cli::command())
}

fn parse(arguments: &[OsString]) -> Result<Cli, clap::Error> {
    let mut command = command();
    let matches = command.try_get_matches_from_mut(arguments)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// What the command is for in arguments that cannot be read.
fn purpose_of(arguments: &[OsString]) -> Purpose {
    let read = Cli::command()
        .ignore_errors(true)
        .try_get_matches_from(arguments);
    match read {
        Ok(matches) if matches.subcommand_name() == Some("status") => Purpose::Watch,
        _ => Purpose::Do,
    }
}

fn run(Cli { globals, command }: Cli) -> Exit {
    let command = command.unwrap_or_else(|| Command::Console(console::Args::default()));
    // The console and the demo own the screen: nothing may be written over it.
    match &command {
        Command::Console(_) | Command::Demo(_) => {}
        Command::Run(_) => logging::start(tracing::Level::INFO, globals.verbose),
        _ => logging::start(tracing::Level::WARN, globals.verbose),
    }
    match command {
        Command::Console(args) => console::run(&globals, &args),
        Command::Demo(args) => demo::run(&globals, &args),
        Command::Init(args) => init::run(&globals, &args),
        Command::Submit(args) => submit::run(&globals, &args),
        Command::Sendmail(args) => Ok(sendmail::run(&globals, &args)),
        Command::Preview(args) => preview::run(&globals, &args),
        Command::Deliver(args) => deliver::run(&globals, &args),
        Command::Run(args) => run::run(&globals, &args),
        Command::List(args) => list::run(&globals, &args),
        Command::Show(args) => show::run(&globals, &args),
        Command::Causes(args) => causes::run(&globals, &args),
        Command::Act(act) => act::run(&globals, &act),
        Command::ResendFailed(args) => resend_failed::run(&globals, &args),
        Command::DeleteReceivers(args) => delete_receivers::run(&globals, &args),
        Command::DeleteMessagesWithoutReceivers(args) => delete_messages::run(&globals, &args),
        Command::Audit(args) => audit::run(&globals, &args),
        Command::Backend(args) => backend::run(&globals, &args),
        Command::Status(args) => status::run(&globals, &args),
        Command::Backup(args) => backup::run(&globals, &args),
        Command::Check(args) => check::run(&globals, &args),
        Command::Migrate(args) => migrate::run(&globals, &args),
        Command::Import(args) => import::run(&globals, &args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    }
}
