use std::io::{self, Write};

use chrono::{TimeDelta, Utc};
use serde::Serialize;

use super::{
    Exit,
    backend::{BackendJson, State, cells, states, table},
    context::Globals,
    output::{Format, json_line, local, receivers, utc, wait},
};
use crate::{
    message::{DisplayText, Status, Timestamp},
    query::{Context, Query},
    store::{BackendState, Count, Counts, EngineRow},
};

/// A receiver that is due for longer than this: nobody seems to deliver.
const LATE: TimeDelta = TimeDelta::minutes(10);
/// And for longer than this: somebody must.
const TOO_LATE: TimeDelta = TimeDelta::hours(1);
/// What somebody should look at: given up within the last day, by nobody's wish.
const LOST: &str = "reason:exhausted,permanent,expired,unconfirmed status:error created:<1d";
/// Counting further would tell nothing more.
const ENOUGH: u64 = 10_000;

/// Say how things are: counts, backends, engines, the oldest due; for monitoring
#[derive(clap::Args)]
#[command(after_help = "Exit codes:
  0  well
  1  warning: a backend is paused, or down with nobody waiting for it; a receiver has been due for 10 minutes; one
     that was handed over within the last day is Error (exhausted, permanent, expired, unconfirmed); an engine hangs
  2  critical: a backend is down and receivers wait for it; a receiver has been due for an hour
  3  could not look, wrong usage too

Examples:
  postroom status
  postroom status --format json")]
pub(super) struct Args {
    /// How to write it
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

/// How bad it is; the number is the exit code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Ok = 0,
    Warning = 1,
    Critical = 2,
}

impl Level {
    const fn critical_if(critical: bool) -> Self {
        if critical {
            Self::Critical
        } else {
            Self::Warning
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// What was seen, all of it, before anything is said about it.
struct Seen {
    now: Timestamp,
    counts: Counts,
    backends: Vec<State>,
    engines: Vec<EngineRow>,
    oldest_due: Option<Timestamp>,
    lost: Count,
}

pub(super) fn run(globals: &Globals, args: &Args) -> Exit {
    let config = globals.config()?;
    let reader = globals.look(&config)?;
    let now = Utc::now();
    let seen = Seen {
        now,
        counts: reader.counts()?,
        backends: states(globals, &config)?,
        engines: reader.engines(now)?,
        oldest_due: reader.oldest_due()?.filter(|due| *due <= now),
        lost: reader.count(&Query::parse(LOST, &Context::local())?, ENOUGH)?,
    };
    let problems = seen.problems();
    let level = problems
        .iter()
        .map(|(level, _)| *level)
        .max()
        .unwrap_or(Level::Ok);
    let mut out = io::stdout().lock();
    match args.format {
        Format::Json => json_line(&mut out, &seen.json(level, &problems))?,
        Format::Text => seen.text(&mut out, level, &problems)?,
    }
    Ok(level as u8)
}

impl Seen {
    fn problems(&self) -> Vec<(Level, String)> {
        let mut problems = Vec::new();
        for backend in &self.backends {
            let Some(row) = &backend.row else { continue };
            let (name, since) = (backend.name.shown(), local(row.since));
            let (level, is) = match row.state {
                BackendState::Up => continue,
                BackendState::Paused => (Level::Warning, "paused"),
                BackendState::Down => (Level::critical_if(row.waiting > 0), "down"),
            };
            let (waiting, error) = (row.waiting, row.error.shown());
            problems.push((
                level,
                format!("backend {name} is {is} since {since}, {waiting} waiting: {error}"),
            ));
        }
        for backend in self
            .backends
            .iter()
            .filter(|backend| backend.kind.is_none() && backend.waiting() > 0)
        {
            let (name, waiting) = (backend.name.shown(), receivers(backend.waiting()));
            problems.push((
                Level::Warning,
                format!("backend {name} is not in the config, and {waiting} wait for it"),
            ));
        }
        if let Some(due) = self.oldest_due {
            let late = self.now - due;
            if late > LATE {
                problems.push((
                    Level::critical_if(late > TOO_LATE),
                    format!(
                        "a receiver has been due since {}: is `postroom run` or `deliver` running?",
                        local(due)
                    ),
                ));
            }
        }
        match self.lost {
            Count::Exact(0) => {}
            Count::Exact(n) => problems.push((
                Level::Warning,
                format!("{} of the last day ended in Error", receivers(n)),
            )),
            Count::AtLeast(n) => problems.push((
                Level::Warning,
                format!("at least {} of the last day ended in Error", receivers(n)),
            )),
        }
        for engine in self
            .engines
            .iter()
            .filter(|engine| engine.alive && engine.lease_over)
        {
            let EngineRow {
                kind, pid, armed, ..
            } = engine;
            let told = format!(
                "the engine `{kind}`, pid {pid}, is stopped or hangs and has {armed} receivers armed: ending that process settles them"
            );
            problems.push((Level::Warning, told));
        }
        problems
    }

    /// How many wait for a backend that is paused: due or not, nobody tries them.
    fn paused(&self) -> u64 {
        self.backends
            .iter()
            .filter(|backend| backend.state() == BackendState::Paused)
            .map(State::waiting)
            .sum()
    }

    fn text(
        &self,
        out: &mut dyn Write,
        level: Level,
        problems: &[(Level, String)],
    ) -> io::Result<()> {
        writeln!(out, "{}", level.name())?;
        for (level, problem) in problems {
            writeln!(out, "  {}: {}", level.name(), DisplayText::line(problem))?;
        }
        let counts: Vec<_> = Status::ALL
            .iter()
            .map(|status| format!("{status} {}", self.counts.of(*status)))
            .collect();
        writeln!(out, "{}", counts.join(", "))?;
        match self.oldest_due {
            Some(due) => writeln!(out, "Oldest due {}", local(due))?,
            None => match self.paused() {
                0 => writeln!(out, "Nothing is due")?,
                n => writeln!(out, "Nothing else is due: {} for a paused backend", wait(n))?,
            },
        }
        for engine in &self.engines {
            let EngineRow {
                kind,
                pid,
                claimed,
                armed,
                ..
            } = engine;
            let life = match (engine.alive, engine.lease_over) {
                (false, _) => ", dead: the next engine cleans up",
                (true, true) => ", silent",
                (true, false) => "",
            };
            writeln!(
                out,
                "Engine {kind}, pid {pid}, {claimed} claimed, {armed} armed{life}"
            )?;
        }
        if !self.backends.is_empty() {
            writeln!(out)?;
            table().write(out, &cells(&self.backends))?;
        }
        Ok(())
    }

    fn json<'a>(&'a self, level: Level, problems: &'a [(Level, String)]) -> StatusJson<'a> {
        let engine = |engine: &'a EngineRow| EngineJson {
            id: &engine.id,
            kind: &engine.kind,
            pid: engine.pid,
            heartbeat_at: utc(engine.heartbeat_at),
            claimed: engine.claimed,
            armed: engine.armed,
            alive: engine.alive,
            lease_over: engine.lease_over,
        };
        StatusJson {
            status: level.name(),
            problems: problems
                .iter()
                .map(|(level, problem)| ProblemJson {
                    level: level.name(),
                    problem,
                })
                .collect(),
            total: self.counts.total(),
            not_sent: self.counts.of(Status::NotSent),
            failed: self.counts.of(Status::Failed),
            error: self.counts.of(Status::Error),
            sent: self.counts.of(Status::Sent),
            oldest_due: self.oldest_due.map(utc),
            backends: self.backends.iter().map(BackendJson::from).collect(),
            engines: self.engines.iter().map(engine).collect(),
        }
    }
}

#[derive(Serialize)]
struct StatusJson<'a> {
    status: &'static str,
    problems: Vec<ProblemJson<'a>>,
    total: u64,
    not_sent: u64,
    failed: u64,
    error: u64,
    sent: u64,
    oldest_due: Option<String>,
    backends: Vec<BackendJson<'a>>,
    engines: Vec<EngineJson<'a>>,
}

#[derive(Serialize)]
struct ProblemJson<'a> {
    level: &'static str,
    problem: &'a str,
}

#[derive(Serialize)]
struct EngineJson<'a> {
    id: &'a str,
    kind: &'a str,
    pid: u32,
    heartbeat_at: String,
    claimed: u64,
    armed: u64,
    alive: bool,
    lease_over: bool,
}
