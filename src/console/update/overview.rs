//! The overview: opened, moved in, a backend paused and resumed.

use super::{Out, keys::Way, query, refresh};
use crate::{
    console::{
        effect::{BackendOrder, Effect},
        question::Question,
        state::{Confirm, Notice, Overlay, Screen, State},
        view,
    },
    message::Text,
    query::{Predicate, Query, Term},
    store::{BackendState, CauseRow, Traffic},
};

/// Shows the backends and the last day.
pub(super) fn open(state: &mut State, out: &mut Out) {
    state.screen = Screen::Overview;
    state.overview.top = 0;
    read(state, out);
    out.draw();
}

/// Asks what the first line and the overview show.
pub(super) fn ask(state: &mut State, out: &mut Out) {
    let until = state.setup.zone.hour_end(state.now);
    out.ask(state, Question::Overview(until));
}

/// Reads what failed over the backends, or reads it again, where it is on the screen.
pub(super) fn read(state: &mut State, out: &mut Out) {
    if state.screen == Screen::Overview {
        let backends = state.backends.iter().map(|row| row.name.clone()).collect();
        out.ask(state, Question::Failures(backends));
    }
}

/// How things go over the backends.
pub(super) fn take_traffic(state: &mut State, traffic: Vec<Traffic>, out: &mut Out) {
    if state.traffic != traffic {
        state.traffic = traffic;
        out.draw();
    }
}

/// What failed over the backends.
pub(super) fn take(
    state: &mut State,
    backends: &[Text],
    failures: Vec<Vec<CauseRow>>,
    out: &mut Out,
) {
    let failures: Vec<_> = backends.iter().cloned().zip(failures).collect();
    if state.overview.failures != failures {
        state.overview.failures = failures;
        out.draw();
    }
}

/// A line up or down goes from backend to backend, and beyond them through the lines; everything farther goes through the lines.
pub(super) fn go(state: &mut State, way: Way, out: &mut Out) {
    let index = state.overview.index(state);
    if let Way::Lines(_) = way {
        let to = way.in_a_list(index, state.backends.len(), 1);
        if to != index {
            return point_at(state, to, out);
        }
    }
    let (lines, height) = view::overview_extent(state);
    let last = lines.saturating_sub(height);
    let top = state.overview.top.min(last);
    let to = way.in_a_list(top, last + 1, height);
    if to != top {
        state.overview.top = to;
        out.draw();
    }
}

/// Puts the cursor on a backend.
pub(super) fn point_at(state: &mut State, index: usize, out: &mut Out) {
    if let Some(row) = state.backends.get(index) {
        let name = Some(row.name.clone());
        if state.overview.cursor != name {
            state.overview.cursor = name;
            state.overview.top = view::overview_scroll(state);
            out.draw();
        }
    }
}

/// Shows what failed over the backend under the cursor.
pub(super) fn receivers(state: &mut State, out: &mut Out) {
    let Some(name) = state.overview.current(state).map(|row| row.name.clone()) else {
        return;
    };
    let before = state.table.asked.text.clone();
    let of = Query {
        terms: vec![Term {
            negated: false,
            predicate: Predicate::Backend(vec![name.raw().to_owned()]),
            span: 0..0,
        }],
    };
    state.screen = Screen::Receivers;
    if query::show(state, format!("status:failed,error {of}"), out) {
        state.from = Some((Screen::Overview, before));
    }
}

/// Asks whether to pause the backend under the cursor, or to resume it.
pub(super) fn propose(state: &mut State, out: &mut Out) {
    let Some(row) = state.overview.current(state) else {
        return;
    };
    state.overlay = Some(Overlay::Confirm(Confirm::Pause {
        backend: row.name.clone(),
        pause: row.state != BackendState::Paused,
        waiting: row.waiting,
        error: row.error.clone(),
    }));
    out.draw();
}

/// The operator said yes.
pub(super) fn order(backend: Text, pause: bool, out: &mut Out) {
    out.0
        .push(Effect::SetBackend(BackendOrder { backend, pause }));
    out.draw();
}

/// A backend was paused or resumed, or not.
pub(super) fn taken(
    state: &mut State,
    order: &BackendOrder,
    result: Result<(), String>,
    out: &mut Out,
) {
    let name = order.backend.shown();
    let (done, wanted) = if order.pause {
        ("paused: nobody tries it until it is resumed", "paused")
    } else {
        ("resumed", "resumed")
    };
    state.hint = Some(match result {
        Ok(()) => Notice::good(&format!("{name} is {done}")),
        Err(error) => Notice::bad(&format!("{name} could not be {wanted}: {error}")),
    });
    refresh(state, out);
    out.draw();
}
