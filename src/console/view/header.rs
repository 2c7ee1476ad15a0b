//! The first line: whose console this is, and how the ways out are.

use chrono::TimeDelta;
use ratatui::{buffer::Buffer, layout::Rect};

use super::Pieces;
use crate::{
    console::{
        clock::age,
        state::State,
        text::{self, grouped},
        theme::Role,
    },
    store::{BackendRow, BackendState, Count},
};

/// Who has been due for so long is late.
const LATE: TimeDelta = TimeDelta::minutes(1);

/// The store's path is not worth showing in fewer columns than this.
const LEAST_PATH: usize = 8;

pub(super) fn draw(state: &State, area: Rect, buffer: &mut Buffer) {
    let width = usize::from(area.width);
    let mut left = Pieces::new(state.setup.theme).with(Role::Title, " postroom");
    if state.setup.read_only {
        left.push(Role::Warning, " read-only");
    }
    let room = width.saturating_sub(left.width() + 2);
    let levels = [
        Level::Why,
        Level::Full,
        Level::Since,
        Level::Short,
        Level::Sum,
    ];
    let right_of = |level| {
        let mut pieces = nobody(state);
        pieces.append(backends(state, level));
        pieces
    };
    let mut right = levels.into_iter().map(right_of);
    let fits = |pieces: &Pieces| pieces.width() + LEAST_PATH + 2 <= room;
    let right = right.find(fits).unwrap_or_else(|| right_of(Level::Sum));
    let left_room = room.saturating_sub(right.width() + 2);
    if left_room >= LEAST_PATH {
        left.push(
            Role::Plain,
            format!(
                "  {}",
                text::cut_start(state.setup.store.as_str(), left_room)
            ),
        );
    }
    let rest = right.draw_right(area, buffer);
    left.draw(rest, buffer);
}

/// That receivers are due and no engine is alive. It stands before the backends, whose states nobody would notice to be wrong.
fn nobody(state: &State) -> Pieces {
    let pieces = Pieces::new(state.setup.theme);
    match state.neglected() {
        None => pieces,
        Some(due) => {
            let due = match due {
                Count::Exact(due) => grouped(due),
                Count::AtLeast(due) => format!("≥ {}", grouped(due)),
            };
            pieces
                .with(Role::Problem, format!("{due} due, nobody delivers"))
                .with(Role::Plain, "   ")
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    /// Every backend in full, and why those that are paused are.
    Why,
    /// Every backend in full.
    Full,
    /// Without how much goes out and how long the oldest has waited.
    Since,
    /// Every backend with its state; the others in numbers.
    Short,
    /// How many are up and how many are not.
    Sum,
}

fn backends(state: &State, level: Level) -> Pieces {
    let mut pieces = Pieces::new(state.setup.theme);
    if level == Level::Sum {
        for (kind, role) in [
            (BackendState::Down, Role::Problem),
            (BackendState::Paused, Role::Warning),
            (BackendState::Up, Role::Good),
        ] {
            let many = state
                .backends
                .iter()
                .filter(|backend| backend.state == kind)
                .count();
            if many > 0 {
                let gap = if pieces.is_empty() { "" } else { "  " };
                pieces.push(role, format!("{gap}● "));
                pieces.push(Role::Plain, format!("{many} {}", kind.name()));
            }
        }
    } else {
        for backend in &state.backends {
            let gap = if pieces.is_empty() { "" } else { "   " };
            pieces.push(Role::Plain, format!("{gap}{} ", backend.name.shown()));
            pieces.push(role(backend), "● ");
            pieces.push(Role::Plain, words(state, backend, level));
        }
    }
    if !pieces.is_empty() {
        pieces.push(Role::Plain, " ");
    }
    pieces
}

fn role(backend: &BackendRow) -> Role {
    match backend.state {
        BackendState::Up => Role::Good,
        BackendState::Down => Role::Problem,
        BackendState::Paused => Role::Warning,
    }
}

fn words(state: &State, backend: &BackendRow, level: Level) -> String {
    let name = match (backend.state, backend.is_of_a_backup()) {
        (BackendState::Paused, true) if level != Level::Why => "paused (a backup)",
        (state, _) => state.name(),
    };
    if level == Level::Short {
        return name.to_owned();
    }
    let traffic = state.traffic_of(&backend.name);
    let mut waiting = match backend.waiting {
        0 => String::new(),
        waiting => format!(", {} waiting", grouped(waiting)),
    };
    // Who is due now is taken at once by a way that works: only what lasts is worth a word.
    let oldest = traffic
        .and_then(|traffic| traffic.oldest_due)
        .map(|due| state.now - due)
        .filter(|late| *late >= LATE && level != Level::Since);
    if let Some(late) = oldest {
        waiting.extend([", oldest ", &age(late)]);
    }
    if backend.state == BackendState::Up {
        let rate = traffic.map_or(0, |traffic| traffic.rate);
        if rate > 0 && level != Level::Since {
            waiting.extend([", ", &grouped(rate), "/min"]);
        }
        return format!("{name}{waiting}");
    }
    let since = state.setup.zone.since(backend.since, state.now);
    let why = match (level, backend.state) {
        (Level::Why, BackendState::Paused) => format!(": {}", backend.error.shown()),
        _ => String::new(),
    };
    format!("{name} since {since}{waiting}{why}")
}
