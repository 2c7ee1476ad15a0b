//! What operators do to receivers: one shape for resend, hold, release, cancel, mark-sent and delete.

use std::{collections::HashSet, ops::ControlFlow};

use anyhow::bail;
use clap::Subcommand;

use super::{
    Exit,
    context::{Globals, acting, query},
    error::Usage,
    output::{receivers, say, tell},
    progress::progress,
    prompt::{at_terminal, confirm, needs_terminal},
    receiver::number,
};
use crate::{
    config::Config,
    message::{ReceiverId, Status},
    query::Query,
    store::{Action, Affected, Target},
};

/// Whom an action means, and whether it is to be done.
#[derive(clap::Args)]
pub(super) struct Whom {
    /// Which receivers: words, field:value, -not; several are joined by a space. One that begins with `-` goes after `--`
    query: Vec<String>,
    /// These receivers, by number
    #[arg(long, value_name = "N", value_delimiter = ',', num_args = 1.., allow_negative_numbers = true, value_parser = number, conflicts_with = "query")]
    id: Vec<i64>,
    /// Every receiver there is
    #[arg(long, conflicts_with_all = ["query", "id"])]
    all: bool,
    #[command(flatten)]
    leave: Leave,
}

/// Whether something is to be done at all.
#[derive(clap::Args)]
pub(super) struct Leave {
    /// Say what would be touched, and touch nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    pub(super) yes: bool,
}

/// What is done to them.
#[derive(Subcommand)]
pub(super) enum Act {
    /// Mark receivers for sending again, whatever their status; `deliver`, `run` or a console sends them
    #[command(
        after_help = "Examples:\n  postroom resend status:error code:5.1.1 --dry-run\n  postroom resend --id 104233 --yes"
    )]
    Resend(Whom),
    /// Stop receivers that are not sent yet, or failed, until they are released
    #[command(
        after_help = "Examples:\n  postroom hold type:newsletter\n  postroom hold --all --yes"
    )]
    Hold(Whom),
    /// Let held receivers go on
    #[command(
        after_help = "Examples:\n  postroom release is:held type:newsletter\n  postroom release is:held --yes"
    )]
    Release(Whom),
    /// Give receivers up: those not sent, failed, or unconfirmed
    #[command(
        after_help = "Examples:\n  postroom cancel key:order-1842\n  postroom cancel to:@example.com status:failed --dry-run"
    )]
    Cancel(Whom),
    /// Say that unconfirmed receivers did get their message
    #[command(
        after_help = "Examples:\n  postroom mark-sent reason:unconfirmed to:@example.com\n  postroom mark-sent --id 104233"
    )]
    MarkSent(Whom),
    /// Delete receivers with every attempt, whatever their status; those not sent yet will never be
    #[command(
        after_help = "The message stays until `delete-messages-without-receivers`.\n\nExamples:\n  postroom delete status:error to:@example.com --dry-run\n  postroom delete --id 104233"
    )]
    Delete(Whom),
}

pub(super) fn run(globals: &Globals, act: &Act) -> Exit {
    let (action, whom) = match act {
        Act::Resend(whom) => (Action::Resend, whom),
        Act::Hold(whom) => (Action::Hold, whom),
        Act::Release(whom) => (Action::Release, whom),
        Act::Cancel(whom) => (Action::Cancel, whom),
        Act::MarkSent(whom) => (Action::MarkSent, whom),
        Act::Delete(whom) => (Action::Delete, whom),
    };
    let config = globals.config()?;
    let (words, target) = target(action, whom)?;
    carry_out(globals, &config, action, &target, words, &whom.leave)
}

/// Says what it would touch, asks, and does it to just those.
pub(super) fn carry_out(
    globals: &Globals,
    config: &Config,
    action: Action,
    target: &Target,
    words: String,
    leave: &Leave,
) -> Exit {
    if leave.dry_run {
        let chosen = globals.look(config)?.choose(action, target)?;
        somebody(chosen.would(), target)?;
        say(&outlook(action, chosen.would(), target))?;
        return Ok(0);
    }
    let store = globals.open(config)?;
    let chosen = store.reader()?.choose(action, target)?;
    let would = chosen.would();
    somebody(would, target)?;
    // Cleaning up is for cron, where nobody can be asked.
    let asks = at_terminal() || !matches!(action, Action::CleanUp { .. });
    if asks && !leave.yes {
        let said = outlook(action, would, target);
        if would.total() == 0 {
            needs_terminal()?;
            say(&said)?;
            return Ok(0);
        }
        tell(&said);
        if !confirm(&question(action, &receivers(would.total())))? {
            tell("Nothing was done.");
            return Ok(1);
        }
    }
    let bar = progress("{spinner} {pos}/{len} receivers");
    bar.set_length(would.total());
    let done = store.act_on(&chosen, &acting(config, words), &mut |so_far| {
        bar.set_position(so_far.total());
        ControlFlow::Continue(())
    });
    bar.finish_and_clear();
    let done = done?;
    let begin = format!("{}: {}", action.name(), done_to(action));
    say(&summary(action, &begin, &done, target))?;
    if done.total() > 0 && done_to(action) == DELETED {
        store.give_back()?;
    }
    Ok(0)
}

const DELETED: &str = "deleted";

/// What was done, in a word.
fn done_to(action: Action) -> &'static str {
    match action {
        Action::Delete | Action::CleanUp { .. } => DELETED,
        _ => "touched",
    }
}

/// The target, and the words for it in the audit log.
fn target(action: Action, whom: &Whom) -> anyhow::Result<(String, Target)> {
    if !whom.id.is_empty() {
        let words: Vec<_> = whom.id.iter().map(ToString::to_string).collect();
        let ids = whom.id.iter().copied().map(ReceiverId).collect();
        return Ok((format!("id:{}", words.join(",")), Target::Ids(ids)));
    }
    if whom.all {
        return Ok(("all".to_owned(), Target::Query(Query::default())));
    }
    let (text, query) = query(&whom.query)?;
    if query.terms.is_empty() {
        let name = action.name();
        return Err(Usage(format!(
            "`{name}` needs to know whom: a query, --id N or --all (see `postroom {name} --help`)"
        ))
        .into());
    }
    Ok((text, Target::Query(query)))
}

fn question(action: Action, whom: &str) -> String {
    match action {
        Action::Resend => format!("Mark {whom} for sending again?"),
        Action::Hold => format!("Hold {whom}?"),
        Action::Release => format!("Release {whom}?"),
        Action::Cancel => format!("Cancel {whom}?"),
        Action::MarkSent => format!("Mark {whom} as sent?"),
        Action::Delete | Action::CleanUp { .. } => format!("Delete {whom} for good?"),
    }
}

/// What an action would do, and what an operator has to know before it is done.
fn outlook(action: Action, would: &Affected, target: &Target) -> String {
    let would_do = match done_to(action) {
        DELETED => "would delete",
        _ => "would touch",
    };
    let begin = format!("{}: {would_do}", action.name());
    let mut lines = vec![summary(action, &begin, would, target)];
    let mut warn = |n: u64, one: &str, more: &str| match n {
        0 => {}
        1 => lines.push(format!("1 of them is {one}")),
        n => lines.push(format!("{n} of them are {more}")),
    };
    if done_to(action) == DELETED {
        let of = |status| would.by_status[status as usize];
        warn(
            of(Status::NotSent) + of(Status::Failed),
            "Not sent or Failed: it will never be sent",
            "Not sent or Failed: they will never be sent",
        );
    }
    if action == Action::Resend {
        warn(
            would.by_status[Status::Sent as usize],
            "Sent: it goes out a second time",
            "Sent: they go out a second time",
        );
        warn(
            would.unconfirmed,
            "unconfirmed: it may have arrived",
            "unconfirmed: they may have arrived",
        );
    }
    lines.join("\n")
}

/// How many numbers were asked for, and how many of them are no receiver's.
fn numbers(affected: &Affected, target: &Target) -> (u64, u64) {
    let Target::Ids(ids) = target else {
        return (0, 0);
    };
    let asked = ids.iter().collect::<HashSet<_>>().len() as u64;
    let known = affected.total() + affected.armed + affected.not_applicable + affected.changed;
    (asked, asked.saturating_sub(known))
}

/// Numbers of which none exists are a mistake.
fn somebody(affected: &Affected, target: &Target) -> anyhow::Result<()> {
    match (numbers(affected, target), target) {
        ((asked, missing), _) if missing == 0 || missing < asked => Ok(()),
        ((1, _), Target::Ids(ids)) => {
            bail!(
                "there is no receiver {}: `postroom list` shows which there are",
                ids[0]
            )
        }
        ((asked, _), _) => {
            bail!(
                "none of these {asked} numbers is a receiver's: `postroom list` shows which there are"
            )
        }
    }
}

/// `resend: touched 12 receivers (3 Not sent, 9 Failed)`, and what was left alone and why.
fn summary(action: Action, begin: &str, affected: &Affected, target: &Target) -> String {
    let by_status: Vec<_> = Status::ALL
        .iter()
        .zip(affected.by_status)
        .filter(|(_, n)| *n > 0)
        .map(|(status, n)| format!("{n} {status}"))
        .collect();
    let touched = receivers(affected.total());
    let mut parts = vec![if by_status.is_empty() {
        format!("{begin} {touched}")
    } else {
        format!("{begin} {touched} ({})", by_status.join(", "))
    }];
    let mut left = |n: u64, why: &str| {
        if n > 0 {
            parts.push(format!("{n} {why}"));
        }
    };
    left(affected.armed, "left alone: being sent at this moment");
    left(
        affected.changed,
        "left alone: no longer what they were when they were counted",
    );
    left(
        affected.not_applicable,
        match action {
            Action::CleanUp { .. } => "left alone: still to be sent, or held",
            _ => "left alone: their status does not allow it",
        },
    );
    match numbers(affected, target).1 {
        1 => left(1, "of the numbers does not exist"),
        missing => left(missing, "of the numbers do not exist"),
    }
    parts.join("; ")
}
