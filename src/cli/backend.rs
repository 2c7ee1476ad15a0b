use std::io::{self, Write as _};

use anyhow::{anyhow, bail};
use chrono::Utc;
use clap::ValueEnum;
use serde::Serialize;

use super::{
    Exit,
    context::Globals,
    operator::operator,
    output::{json_line, local, say, tell, utc, wait},
    table::{Cell, Look, Table, room},
    ways::way,
};
use crate::{
    config::Config,
    message::{DisplayText, Text, Timestamp},
    store::{BackendRow, BackendState},
    suggest::did_you_mean,
};

/// Show the backends and what they are doing; pause, resume or probe one
#[derive(clap::Args)]
#[command(
    after_help = "pause   nobody tries it until it is resumed\nresume  ends a pause, also one that a backup brought with it, and tries a backend that is down at once\nprobe   connects, authenticates, prints what was said, and sends nothing\n\nExamples:\n  postroom backend\n  postroom backend email probe"
)]
pub(super) struct Args {
    /// One backend only
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// What to do with it
    #[arg(value_name = "ACTION")]
    action: Option<Action>,
    /// How to write what they are doing
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Action {
    /// Nobody tries it until it is resumed
    Pause,
    /// Ends a pause; a backend that is down is tried at once
    Resume,
    /// Connects and authenticates, sends nothing
    Probe,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For reading, in local time
    Table,
    /// One object a line
    Json,
}

pub(super) fn run(globals: &Globals, args: &Args) -> Exit {
    let config = globals.config()?;
    let Some(name) = &args.name else {
        return show(&states(globals, &config)?, args.format);
    };
    match args.action {
        None => show(&[known(globals, &config, name)?], args.format),
        Some(Action::Pause) => {
            let state = known(globals, &config, name)?;
            let shown = state.name.shown();
            if let (BackendState::Paused, Some(row)) = (state.state(), &state.row) {
                say(&format!(
                    "{shown}: is paused already, since {}: {}; `postroom backend {shown} resume` ends it",
                    local(row.since),
                    row.error.shown()
                ))?;
                return Ok(0);
            }
            let (store, who) = (globals.open(&config)?, operator());
            store.pause_backend(name, &who, &format!("paused by {who}"), Utc::now())?;
            // A running engine looks at its backends twice a second.
            let engines = store.reader()?.engines(Utc::now())?;
            let follows = if engines.iter().any(|engine| engine.alive) {
                "; who delivers now stops within a second"
            } else {
                ""
            };
            say(&format!(
                "{shown}: paused{follows}; `postroom backend {shown} resume` ends it"
            ))?;
            Ok(0)
        }
        Some(Action::Resume) => {
            let state = known(globals, &config, name)?;
            let shown = state.name.shown();
            if state.state() == BackendState::Up {
                say(&format!(
                    "{shown}: is neither paused nor down: there is nothing to resume"
                ))?;
                return Ok(0);
            }
            let store = globals.open(&config)?;
            if let Some(row) = state.row.filter(BackendRow::is_of_a_backup) {
                tell(&format!(
                    "warning: this store is a backup, and backend {shown} was paused for that: {}; {} for it now",
                    row.error.shown(),
                    wait(row.waiting)
                ));
            }
            store.resume_backend(name, &operator(), Utc::now())?;
            say(&format!("{shown}: resumed"))?;
            Ok(0)
        }
        Some(Action::Probe) => probe(&config, name),
    }
}

/// The backend of this name: one that nobody knows is a slip of the pen.
fn known(globals: &Globals, config: &Config, name: &str) -> anyhow::Result<State> {
    let mut states = states(globals, config)?;
    match states.iter().position(|state| state.name.raw() == name) {
        Some(at) => Ok(states.swap_remove(at)),
        None => Err(unknown(name, states.iter().map(|state| state.name.raw()))),
    }
}

fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> anyhow::Error {
    let mut known = known.peekable();
    if known.peek().is_none() {
        return anyhow!(
            "there is no backend `{name}`, nor any other: a backend is a section [backends.NAME] of the config file"
        );
    }
    match did_you_mean(name, known) {
        near if near.is_empty() => {
            anyhow!("there is no backend `{name}`: `postroom backend` shows which there are")
        }
        near => anyhow!("there is no backend `{name}`{near}"),
    }
}

fn probe(config: &Config, name: &str) -> Exit {
    let Some(backend) = config.backends.get(name) else {
        return Err(unknown(name, config.backends.keys().map(String::as_str)));
    };
    match way(name, backend, config)?.backend.probe() {
        Ok(transcript) => {
            let mut out = io::stdout().lock();
            writeln!(out, "{}", DisplayText::lines(transcript.trim_end()))?;
            Ok(0)
        }
        Err(trouble) => {
            let failure = trouble.failure;
            if let Some(transcript) = failure.transcript.filter(|said| !said.is_empty()) {
                writeln!(
                    io::stdout().lock(),
                    "{}",
                    DisplayText::lines(transcript.trim_end())
                )?;
            }
            bail!(
                "the backend `{name}` does not work\n{}",
                failure.traceback.trim_end()
            )
        }
    }
}

/// A backend of the config, of the store, or of both.
pub(super) struct State {
    pub(super) name: Text,
    pub(super) kind: Option<&'static str>,
    pub(super) row: Option<BackendRow>,
}

impl State {
    pub(super) fn state(&self) -> BackendState {
        self.row.as_ref().map_or(BackendState::Up, |row| row.state)
    }

    /// When it is tried again; nobody tries a paused one.
    fn probe_at(&self) -> Option<Timestamp> {
        let down = |row: &&BackendRow| row.state == BackendState::Down;
        self.row.as_ref().filter(down)?.probe_at
    }

    pub(super) fn waiting(&self) -> u64 {
        self.row.as_ref().map_or(0, |row| row.waiting)
    }
}

/// The configured backends first, then those that only the store still knows.
pub(super) fn states(globals: &Globals, config: &Config) -> anyhow::Result<Vec<State>> {
    let mut rows = globals.look(config)?.backends()?;
    let mut states: Vec<State> = config
        .backends
        .iter()
        .map(|(name, backend)| {
            let row = rows
                .iter()
                .position(|row| row.name.raw() == name)
                .map(|at| rows.remove(at));
            State {
                name: Text::from(name.as_str()),
                kind: Some(backend.kind.name()),
                row,
            }
        })
        .collect();
    states.extend(rows.into_iter().map(|row| State {
        name: row.name.clone(),
        kind: None,
        row: Some(row),
    }));
    Ok(states)
}

#[derive(Serialize)]
pub(super) struct BackendJson<'a> {
    name: &'a str,
    kind: Option<&'static str>,
    state: &'static str,
    since: Option<String>,
    waiting: u64,
    error: Option<&'a str>,
    probe_at: Option<String>,
}

impl<'a> From<&'a State> for BackendJson<'a> {
    fn from(state: &'a State) -> Self {
        let row = state.row.as_ref();
        Self {
            name: state.name.raw(),
            kind: state.kind,
            state: state.state().name(),
            since: row.map(|row| utc(row.since)),
            waiting: state.waiting(),
            error: row
                .map(|row| row.error.raw())
                .filter(|error| !error.is_empty()),
            probe_at: state.probe_at().map(utc),
        }
    }
}

fn show(states: &[State], format: Format) -> Exit {
    let mut out = io::stdout().lock();
    if format == Format::Json {
        for state in states {
            json_line(&mut out, &BackendJson::from(state))?;
        }
        return Ok(0);
    }
    if states.is_empty() {
        writeln!(out, "No backend is configured.")?;
        return Ok(0);
    }
    table().write(&mut out, &cells(states))?;
    Ok(0)
}

pub(super) fn table() -> Table {
    let look = |heading, right, gives_way| Look {
        heading,
        right,
        gives_way,
        leaves: matches!(heading, "Kind" | "Next probe"),
    };
    let looks = vec![
        look("Backend", false, false),
        look("Kind", false, false),
        look("State", false, false),
        look("Since", false, false),
        look("Waiting", true, false),
        look("Next probe", false, false),
        look("Last error", false, true),
    ];
    Table::new(looks, room())
}

pub(super) fn cells(states: &[State]) -> Vec<Vec<Cell>> {
    states
        .iter()
        .map(|state| {
            let row = state.row.as_ref();
            let time = |at: Option<_>| at.map(local).unwrap_or_default();
            vec![
                state.name.shown().into(),
                state.kind.unwrap_or("not configured").to_owned().into(),
                state.state().name().to_owned().into(),
                time(row.map(|row| row.since)).into(),
                state.waiting().to_string().into(),
                time(state.probe_at()).into(),
                row.map(|row| row.error.shown()).unwrap_or_default().into(),
            ]
        })
        .collect()
}
