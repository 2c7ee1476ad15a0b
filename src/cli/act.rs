//! What operators do to receivers: one shape for resend, hold, release, cancel and mark-sent.

use std::{collections::HashSet, ops::ControlFlow};

use anyhow::bail;
use clap::{Subcommand, value_parser};

use super::{
    Exit,
    context::{Globals, acting, query},
    error::Usage,
    output::{receivers, say, tell},
    progress::progress,
    prompt::confirm,
};
use crate::{
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
    #[arg(long, value_name = "N", value_delimiter = ',', num_args = 1.., allow_negative_numbers = true, value_parser = value_parser!(i64).range(1..), conflicts_with = "query")]
    id: Vec<i64>,
    /// Every receiver there is
    #[arg(long, conflicts_with_all = ["query", "id"])]
    all: bool,
    /// Say what would be touched, and touch nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
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
}

pub(super) fn run(globals: &Globals, act: &Act) -> Exit {
    let (action, whom) = match act {
        Act::Resend(whom) => (Action::Resend, whom),
        Act::Hold(whom) => (Action::Hold, whom),
        Act::Release(whom) => (Action::Release, whom),
        Act::Cancel(whom) => (Action::Cancel, whom),
        Act::MarkSent(whom) => (Action::MarkSent, whom),
    };
    let config = globals.config()?;
    let (words, target) = target(action, whom)?;
    if whom.dry_run {
        let would = globals.look(&config)?.affected(action, &target)?;
        somebody(&would, &target)?;
        say(&outlook(action, &would, &target))?;
        return Ok(0);
    }
    let store = globals.open(&config)?;
    if !whom.yes {
        let would = store.reader()?.affected(action, &target)?;
        somebody(&would, &target)?;
        let said = outlook(action, &would, &target);
        if would.total() == 0 {
            say(&said)?;
            return Ok(0);
        }
        tell(&said);
        if !confirm(&question(action, &receivers(would.total())))? {
            tell("Nothing was done.");
            return Ok(1);
        }
    }
    let bar = progress("{spinner} {pos} receivers");
    let done = store.act(action, &target, &acting(&config, words), &mut |so_far| {
        bar.set_position(so_far.total());
        ControlFlow::Continue(())
    });
    bar.finish_and_clear();
    let done = done?;
    somebody(&done, &target)?;
    let begin = format!("{}: touched", action.name());
    say(&summary(&begin, &done, &target))?;
    Ok(0)
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
    }
}

/// What an action would do, and what an operator has to know before it is done.
fn outlook(action: Action, would: &Affected, target: &Target) -> String {
    let mut lines = vec![summary(
        &format!("{}: would touch", action.name()),
        would,
        target,
    )];
    if action == Action::Resend {
        let mut warn = |n: u64, one: &str, more: &str| match n {
            0 => {}
            1 => lines.push(format!("1 of them is {one}")),
            n => lines.push(format!("{n} of them are {more}")),
        };
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
    let known = affected.total() + affected.armed + affected.not_applicable;
    (asked, asked.saturating_sub(known))
}

/// Numbers of which none exists are a mistake.
fn somebody(affected: &Affected, target: &Target) -> anyhow::Result<()> {
    match numbers(affected, target) {
        (asked, missing) if missing == 0 || missing < asked => Ok(()),
        (1, _) => {
            bail!("there is no receiver of this number: `postroom list` shows which there are")
        }
        (asked, _) => {
            bail!(
                "none of these {asked} numbers is a receiver's: `postroom list` shows which there are"
            )
        }
    }
}

/// `resend: touched 12 receivers (3 Not sent, 9 Failed)`, and what was left alone and why.
fn summary(begin: &str, affected: &Affected, target: &Target) -> String {
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
        affected.not_applicable,
        "left alone: their status does not allow it",
    );
    match numbers(affected, target).1 {
        1 => left(1, "of the numbers does not exist"),
        missing => left(missing, "of the numbers do not exist"),
    }
    parts.join("; ")
}
