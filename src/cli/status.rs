use std::{
    cmp::Reverse,
    io::{self, Write},
    time::Duration,
};

use chrono::{TimeDelta, Utc};
use serde::Serialize;

use super::{
    Exit,
    backend::{BackendJson, State, cells, states, table},
    context::Globals,
    output::{Format, heard, json_line, local, receivers, utc, wait},
};
use crate::{
    config,
    console::clock::Zone,
    message::{DisplayText, Status, Timestamp},
    store::{BackendState, Count, Counts, EngineRow, HOURS, Store, StoreError, Traffic, Tries},
};

/// From this part of `overdue` on a receiver that is due is a warning.
const EARLY: u32 = 6;

/// Say how things are: counts, backends, engines, the oldest due; for monitoring
#[derive(clap::Args)]
#[command(
    after_help = "The first line says it all, for monitoring. [status] in the config sets the times.

Exit codes:
  0  well
  1  warning: a backend is down or paused; a receiver has been due for 10
     minutes; one became Error within 24 hours, by nobody's wish; an engine
     hangs, or died and holds receivers; one waits for a backend that is not
     in the config; the disk is nearly full (min_free)
  2  critical: a backend has been down for 5 minutes; a receiver has been due
     for an hour; one is due, and the disk is too full to send; an engine that
     died has held receivers for an hour
  3  could not look, wrong usage too

Examples:
  postroom status
  postroom status --format json"
)]
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
    limits: config::Status,
    counts: Counts,
    backends: Vec<State>,
    engines: Vec<EngineRow>,
    oldest_due: Option<Timestamp>,
    new_errors: Count,
    /// How things go over the backends, up to the end of this hour.
    traffic: Vec<Traffic>,
    hour_end: Timestamp,
    /// The disk has less room than sending wants.
    low: Option<StoreError>,
}

pub(super) fn run(globals: &Globals, args: &Args) -> Exit {
    let config = globals.config()?;
    let store = Store::open_read_only(&globals.store_path(&config)?)?;
    let reader = store.reader()?;
    let now = Utc::now();
    let hour_end = Zone::Local.hour_end(now);
    let seen = Seen {
        now,
        counts: reader.counts()?,
        backends: states(globals, &config)?,
        engines: reader.engines(now)?,
        oldest_due: reader.oldest_due()?.filter(|due| *due <= now),
        new_errors: reader.new_errors(now - config.status.errors_within)?,
        traffic: reader.traffic(now, hour_end)?,
        hour_end,
        limits: config.status,
        low: store.wants_free(config.delivery.min_free).err(),
    };
    let mut problems = seen.problems();
    // The worst first: the first line has room for one.
    problems.sort_by_key(|(level, _)| Reverse(*level));
    let level = problems.first().map_or(Level::Ok, |(level, _)| *level);
    // In one piece: whoever reads the first line alone does not turn the level into "could not look".
    let mut said = Vec::new();
    match args.format {
        Format::Json => json_line(&mut said, &seen.json(level, &problems))?,
        Format::Text => seen.text(&mut said, level, &problems)?,
    }
    heard(io::stdout().lock().write_all(&said))?;
    Ok(level as u8)
}

impl Seen {
    fn problems(&self) -> Vec<(Level, String)> {
        let Self { now, limits, .. } = self;
        let mut problems = Vec::new();
        if let Some(low) = &self.low {
            let waits = self.oldest_due.is_some();
            problems.push((Level::critical_if(waits), low.to_string()));
        }
        for backend in &self.backends {
            let (name, waiting) = (backend.name.shown(), backend.waiting());
            let (level, is, way_out) = match (&backend.kind, &backend.row) {
                (None, _) if waiting > 0 => {
                    let waiting = wait(waiting);
                    problems.push((
                        Level::Warning,
                        format!(
                            "backend {name} is not in the config, and {waiting} for it: add [backends.{name}] there, or `postroom cancel backend:{name}`"
                        ),
                    ));
                    continue;
                }
                (Some(_), Some(row)) => match row.state {
                    BackendState::Up => continue,
                    BackendState::Paused => (
                        Level::Warning,
                        row,
                        format!("; `postroom backend {name} resume` ends it"),
                    ),
                    BackendState::Down => (
                        Level::critical_if(*now - row.since > span(limits.backend_down)),
                        row,
                        String::new(),
                    ),
                },
                _ => continue,
            };
            let (state, since, error) = (is.state.name(), local(is.since), is.error.shown());
            problems.push((
                level,
                format!(
                    "backend {name} is {state} since {since}, {waiting} waiting: {error}{way_out}"
                ),
            ));
        }
        if let Some(due) = self.oldest_due {
            let late = *now - due;
            if late > span(limits.overdue / EARLY) {
                problems.push((
                    Level::critical_if(late > span(limits.overdue)),
                    format!(
                        "a receiver has been due since {}: is `postroom run` or `deliver` running?",
                        local(due)
                    ),
                ));
            }
        }
        let (Count::Exact(new) | Count::AtLeast(new)) = self.new_errors;
        if new > 0 {
            let at_least = match self.new_errors {
                Count::Exact(_) => "",
                Count::AtLeast(_) => "at least ",
            };
            let since = local(*now - limits.errors_within);
            problems.push((
                Level::Warning,
                format!(
                    "{at_least}{} became Error since {since}: `postroom list status:error`",
                    receivers(new)
                ),
            ));
        }
        for engine in self.engines.iter().filter(|engine| !engine.alive) {
            let held = engine.claimed + engine.armed;
            if held > 0 {
                let silent = *now - engine.heartbeat_at;
                let (kind, pid, held) = (&engine.kind, engine.pid, receivers(held));
                problems.push((
                    Level::critical_if(silent > span(limits.overdue)),
                    format!("the engine `{kind}`, pid {pid}, died and holds {held}: the next `postroom run` or `deliver` settles them"),
                ));
            }
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

    /// How many are sent in a minute.
    fn rate(&self) -> u64 {
        self.traffic.iter().map(|one| one.rate).sum()
    }

    /// The tries of each hour of the last day, over all backends.
    fn day(&self) -> [Tries; HOURS] {
        let mut hours = [Tries::default(); HOURS];
        for traffic in &self.traffic {
            for (all, one) in hours.iter_mut().zip(&traffic.hours) {
                all.sent += one.sent;
                all.failed += one.failed;
            }
        }
        hours
    }

    fn text(
        &self,
        out: &mut dyn Write,
        level: Level,
        problems: &[(Level, String)],
    ) -> io::Result<()> {
        match problems {
            [] => writeln!(out, "ok: {}", receivers(self.counts.total()))?,
            [(_, only)] => writeln!(out, "{}: {}", level.name(), DisplayText::line(only))?,
            [(_, worst), others @ ..] => {
                let (worst, more) = (DisplayText::line(worst), others.len());
                writeln!(out, "{}: {worst}; and {more} more", level.name())?;
                for (level, problem) in others {
                    writeln!(out, "  {}: {}", level.name(), DisplayText::line(problem))?;
                }
            }
        }
        let counts: Vec<_> = Status::ALL
            .iter()
            .map(|status| format!("{status} {}", self.counts.of(*status)))
            .collect();
        writeln!(out, "{}", counts.join(", "))?;
        let day = self.day();
        let (sent, failed) = day.iter().fold((0, 0), |(sent, failed), hour| {
            (sent + hour.sent, failed + hour.failed)
        });
        if sent + failed > 0 {
            let tries = if sent + failed == 1 { "try" } else { "tries" };
            writeln!(
                out,
                "{} {tries} in 24 hours: {sent} sent, {failed} failed; now {} sent a minute",
                sent + failed,
                self.rate()
            )?;
        }
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
            late_seconds: self
                .oldest_due
                .map_or(0, |due| (self.now - due).num_seconds()),
            new_errors: match self.new_errors {
                Count::Exact(n) | Count::AtLeast(n) => n,
            },
            new_errors_exact: matches!(self.new_errors, Count::Exact(_)),
            sent_per_minute: self.rate(),
            hours: self
                .day()
                .iter()
                .enumerate()
                .map(|(index, hour)| HourJson {
                    from: utc(self.hour_end - TimeDelta::hours((HOURS - index) as i64)),
                    sent: hour.sent,
                    failed: hour.failed,
                })
                .collect(),
            backends: self.backends.iter().map(BackendJson::from).collect(),
            engines: self.engines.iter().map(engine).collect(),
        }
    }
}

/// A time of the config in the calendar's terms; the config allows none that would not fit.
fn span(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
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
    late_seconds: i64,
    new_errors: u64,
    new_errors_exact: bool,
    sent_per_minute: u64,
    hours: Vec<HourJson>,
    backends: Vec<BackendJson<'a>>,
    engines: Vec<EngineJson<'a>>,
}

/// The tries that ended within an hour.
#[derive(Serialize)]
struct HourJson {
    from: String,
    sent: u64,
    failed: u64,
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
