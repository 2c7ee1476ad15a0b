//! What operators do to receivers: one shape for resend, hold, release, cancel, mark-sent and delete.

use std::ops::ControlFlow;

use anyhow::bail;
use clap::Subcommand;

use super::{
    Exit,
    context::{Globals, acting, query},
    error::Usage,
    output::{receivers, say, tell, wait},
    progress::progress,
    prompt::{at_terminal, confirm, needs_terminal},
    receiver::number,
};
use crate::{
    config::Config,
    message::{ReceiverId, Status},
    query::Query,
    store::{Action, Affected, Chosen, Reader, Target},
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
        let reader = globals.look(config)?;
        let chosen = reader.choose(action, target)?;
        somebody(&chosen, target)?;
        say(&outlook(action, &chosen))?;
        tell_of_pauses(&reader, &chosen)?;
        return Ok(0);
    }
    let store = globals.open(config)?;
    let reader = store.reader()?;
    let chosen = reader.choose(action, target)?;
    let would = chosen.would();
    somebody(&chosen, target)?;
    // Cleaning up is for cron, where nobody can be asked.
    let asks = !leave.yes && (at_terminal() || !matches!(action, Action::CleanUp { .. }));
    if asks {
        let said = outlook(action, &chosen);
        if would.total() == 0 {
            needs_terminal()?;
            say(&said)?;
            return Ok(0);
        }
        tell(&said);
    }
    tell_of_pauses(&reader, &chosen)?;
    if asks && !confirm(&question(action, &receivers(would.total())))? {
        tell("Nothing was done.");
        return Ok(1);
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
    say(&summary(action, &begin, &done, chosen.missing()))?;
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
fn outlook(action: Action, chosen: &Chosen) -> String {
    let would = chosen.would();
    let would_do = match done_to(action) {
        DELETED => "would delete",
        _ => "would touch",
    };
    let begin = format!("{}: {would_do}", action.name());
    let mut lines = vec![summary(action, &begin, would, chosen.missing())];
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

/// What is to go out and will not yet: nothing is sent over a paused backend.
fn tell_of_pauses(reader: &Reader, chosen: &Chosen) -> anyhow::Result<()> {
    if matches!(chosen.action(), Action::Resend | Action::Release) {
        for (backend, n) in reader.paused_of(chosen)? {
            let (name, waits) = (backend.shown(), wait(n));
            tell(&format!(
                "backend {name} is paused: {waits} until `postroom backend {name} resume`"
            ));
        }
    }
    Ok(())
}

/// So many numbers that are no receiver's are named one by one.
const NAMED: usize = 10;

/// Numbers of which none exists are a mistake.
fn somebody(chosen: &Chosen, target: &Target) -> anyhow::Result<()> {
    let (missing, would) = (chosen.missing(), chosen.would());
    let known = would.total() + would.armed + would.not_applicable;
    match target {
        Target::Ids(_) if known == 0 => {
            let there = if missing.len() == 1 {
                "is no receiver"
            } else {
                "are no receivers"
            };
            bail!(
                "there {there} {}: `postroom list` shows which there are",
                named(missing)
            )
        }
        _ => Ok(()),
    }
}

/// `3, 5 and 7`; of many the first ones, and how many more.
fn named(ids: &[ReceiverId]) -> String {
    let (shown, more) = ids.split_at(ids.len().min(NAMED));
    let mut words: Vec<String> = shown.iter().map(ToString::to_string).collect();
    let last = match more.len() {
        0 => words.pop(),
        more => Some(format!("{more} more")),
    };
    let last = last.unwrap_or_default();
    if words.is_empty() {
        last
    } else {
        format!("{} and {last}", words.join(", "))
    }
}

/// `resend: touched 12 receivers (3 Not sent, 9 Failed)`, and what was left alone and why.
fn summary(action: Action, begin: &str, affected: &Affected, missing: &[ReceiverId]) -> String {
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
    let why = format!("left alone: {}", action.left_alone());
    left(affected.not_applicable, &why);
    match missing.len() {
        0 => {}
        1 => parts.push(format!("{} does not exist", named(missing))),
        _ => parts.push(format!("{} do not exist", named(missing))),
    }
    parts.join("; ")
}
