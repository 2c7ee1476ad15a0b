use std::io::{self, Write as _};

use clap::ValueEnum;

use super::{
    Exit,
    backend::states,
    context::Globals,
    engine::{Foreground, stopping},
    output::{heard, json_line, say, tell},
    progress::progress,
    ways::{limits, ways},
};
use crate::{
    config::Config,
    delivery::{Tally, Work},
    store::{BackendRow, BackendState},
};

/// One pass: try once what is due now, then end; for cron
#[derive(clap::Args)]
#[command(
    after_help = "Exit code 0 also when receivers failed or a backend is down: `status` tells that.\n\nExamples:\n  postroom deliver\n  postroom deliver --format json"
)]
pub(super) struct Args {
    /// How to write the summary
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One line in words
    Text,
    /// One object: how many receivers were sent, failed, error, unconfirmed, or met a backend that does not work
    Json,
}

pub(super) fn run(globals: &Globals, args: &Args) -> Exit {
    let bar = progress("{spinner} {pos} tried, {per_sec}: {msg}");
    let config = globals.config()?;
    let limits = limits(&config);
    let pass = Foreground::open(globals, &config, "deliver", Work::Pass)?;
    let engine = pass.engine(&config, ways(&config)?)?;
    pass.watch(|stops_now| {
        if stops_now {
            bar.suspend(|| tell(&stopping()));
            engine.stop();
        }
        let tally = engine.tally();
        bar.set_position(tally.tried());
        bar.set_message([vec![words(&tally)], limits.clone()].concat().join(", "));
        bar.tick();
        Ok(engine.is_done().then_some(()))
    })?;
    let tally = engine.wait();
    bar.finish_and_clear();
    let tally = tally?;
    let stopped = pass.is_stopped();
    if stopped {
        tell("postroom: stopped by a signal before the pass was over");
    }
    tell_of_pauses(globals, &config)?;
    match args.format {
        Format::Json => {
            let mut line = Vec::new();
            json_line(&mut line, &tally)?;
            heard(io::stdout().lock().write_all(&line))?;
        }
        Format::Text => say(&words(&tally))?,
    }
    Ok(u8::from(stopped))
}

/// Which backends nothing is sent over though somebody waits for them.
pub(super) fn tell_of_pauses(globals: &Globals, config: &Config) -> anyhow::Result<()> {
    for backend in states(globals, config)? {
        let waiting = backend.waiting();
        if backend.kind.is_some() && backend.state() == BackendState::Paused && waiting > 0 {
            let name = backend.name.shown();
            let of_a_backup = backend.row.filter(BackendRow::is_of_a_backup);
            let why =
                of_a_backup.map_or_else(String::new, |row| format!(" ({})", row.error.shown()));
            tell(&format!(
                "backend {name} is paused{why}, {waiting} waiting: `postroom backend {name} resume`"
            ));
        }
    }
    Ok(())
}

/// `3 sent, 1 failed, 0 error`, and what else there was.
pub(super) fn words(tally: &Tally) -> String {
    let mut words = vec![
        format!("{} sent", tally.sent),
        format!("{} failed", tally.failed),
        format!("{} error", tally.error),
    ];
    if tally.unconfirmed > 0 {
        words.push(format!("{} unconfirmed", tally.unconfirmed));
    }
    if tally.backend > 0 {
        words.push(format!(
            "{} met a backend that does not work",
            tally.backend
        ));
    }
    words.join(", ")
}
