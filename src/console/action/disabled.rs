//! Why an action does nothing now: a reason in words, or `None` when it works.

use crate::console::{
    detail::Tab,
    layout::Focus,
    state::{Marks, Overlay, Screen, State},
};

pub(super) fn always(_: &State) -> Option<&'static str> {
    None
}

pub(super) fn needs_row(state: &State) -> Option<&'static str> {
    let why = if state.table.failed.is_some() {
        "the rows could not be read"
    } else {
        "there is no row"
    };
    state.table.cursor.is_none().then_some(why)
}

pub(super) fn needs_marks(state: &State) -> Option<&'static str> {
    (state.marks.is_empty() && state.range.is_none()).then_some("nothing is marked")
}

pub(super) fn mark_one(state: &State) -> Option<&'static str> {
    needs_row(state).or_else(|| elsewhere(state))
}

/// A marked row of another query can be unmarked, no other be marked.
fn elsewhere(state: &State) -> Option<&'static str> {
    let current = state.table.cursor?;
    other_query(state).filter(|_| !state.table.marked.contains(&current))
}

/// Marks that are a query cannot take in single rows of another one.
fn other_query(state: &State) -> Option<&'static str> {
    matches!(&state.marks, Marks::All { asked, .. } if asked.query != state.table.asked.query)
        .then_some("all that match another query are marked: {unmark-all} unmarks them")
}

pub(super) fn mark_range(state: &State) -> Option<&'static str> {
    needs_row(state).or_else(|| {
        matches!(state.marks, Marks::All { .. })
            .then_some("all that match are marked already: {mark} takes single ones out")
    })
}

/// Something is under the cursor, wherever that is.
pub(super) fn needs_one(state: &State) -> Option<&'static str> {
    match state.screen {
        Screen::Receivers => needs_row(state),
        Screen::Causes if state.causes.rows.is_none() => Some("the causes are still being read"),
        Screen::Causes => state.causes.current().is_none().then_some("nothing failed"),
        Screen::Overview => state
            .overview
            .current(state)
            .is_none()
            .then_some("there is no backend"),
    }
}

pub(super) fn may_write(state: &State) -> Option<&'static str> {
    state
        .setup
        .read_only
        .then_some("this console is read-only: start it without --read-only")
}

pub(super) fn pause(state: &State) -> Option<&'static str> {
    may_write(state).or_else(|| needs_one(state))
}

pub(super) fn mark_screen(state: &State) -> Option<&'static str> {
    needs_row(state).or_else(|| other_query(state))
}

pub(super) fn invert(state: &State) -> Option<&'static str> {
    needs_marks(state).or_else(|| other_query(state))
}

pub(super) fn needs_step(state: &State) -> Option<&'static str> {
    state
        .undo
        .is_empty()
        .then_some("neither the marks nor the query were changed")
}

pub(super) fn act(state: &State) -> Option<&'static str> {
    if state.setup.read_only {
        may_write(state)
    } else if state.screen == Screen::Causes {
        let none_left = |state: &State| {
            let none = state.causes.current().is_some_and(|row| row.count == 0);
            none.then_some("none of its receivers is left")
        };
        needs_one(state).or_else(|| none_left(state))
    } else if state.marks.is_empty() {
        needs_row(state).or_else(|| deleted(state))
    } else {
        None
    }
}

/// Nothing can be done to a receiver that somebody has deleted while it was read.
fn deleted(state: &State) -> Option<&'static str> {
    let pane = &state.pane;
    let gone = pane.id == state.table.cursor && pane.detail.is_none() && state.range.is_none();
    gone.then_some("this receiver is no longer in the store")
}

pub(super) fn needs_job(state: &State) -> Option<&'static str> {
    if state.jobs.is_empty() {
        Some("no job is running")
    } else if state.jobs.iter().all(|job| job.stopping) {
        Some("it is being stopped already")
    } else {
        None
    }
}

pub(super) fn something_open(state: &State) -> Option<&'static str> {
    let nothing = state.screen == Screen::Receivers
        && state.focus == Focus::Table
        && state.range.is_none()
        && state.report.is_none()
        && state.from.is_none();
    nothing.then_some("nothing is open; {quit} quits")
}

pub(super) fn next_attempt(state: &State) -> Option<&'static str> {
    let last = state
        .pane
        .detail
        .as_ref()
        .map_or(0, |detail| detail.attempts.len());
    (state.pane.attempt + 1 >= last).then_some("this is the latest attempt")
}

pub(super) fn previous_attempt(state: &State) -> Option<&'static str> {
    (state.pane.attempt == 0).then_some("this is the first attempt")
}

/// Lines that are broken have no sides to go to.
pub(super) fn runs_on(state: &State) -> Option<&'static str> {
    (!state.pane.unwrapped).then_some("long lines are broken: {wrap} lets them run on")
}

pub(super) fn has_frames(state: &State) -> Option<&'static str> {
    (state.pane.tab != Tab::Traceback).then_some("only a traceback has frames")
}

pub(super) fn has_parts(state: &State) -> Option<&'static str> {
    if state.pane.tab != Tab::Content {
        return Some("only the content has parts");
    }
    match &state.pane.content {
        None => Some("it is still being read"),
        Some(reading) if reading.parts.len() < 2 => Some("this content has but one part"),
        Some(_) => None,
    }
}

pub(super) fn has_attachments(state: &State) -> Option<&'static str> {
    if state.pane.tab != Tab::Content {
        return Some("{tab-content} shows what may have something attached");
    }
    match &state.pane.content {
        None => Some("it is still being read"),
        Some(reading) if reading.attachments.is_empty() => Some("nothing is attached"),
        Some(_) => None,
    }
}

pub(super) fn has_matches(state: &State) -> Option<&'static str> {
    match &state.pane.search {
        None => Some("nothing is looked for: {search} begins"),
        Some(search) => match &search.hits {
            None => Some("it is still being looked for"),
            Some(hits) if hits.is_empty() => Some("nothing matches"),
            Some(_) => None,
        },
    }
}

/// What leaves the pane must be in it.
pub(super) fn is_read(state: &State) -> Option<&'static str> {
    let pane = &state.pane;
    let reading = pane.tab == Tab::Content && pane.detail.is_some() && pane.content.is_none();
    (pane.id.is_none() || reading).then_some("it is still being read")
}

/// Causes and backends are lists; what prints them can be copied.
pub(super) fn elsewhere_than_receivers(state: &State) -> Option<&'static str> {
    (state.screen != Screen::Receivers).then_some("here only the command can be copied")
}

pub(super) fn copy_pane(state: &State) -> Option<&'static str> {
    if let Some(why) = elsewhere_than_receivers(state) {
        return Some(why);
    }
    if let Some(Overlay::Copying { line: None }) = state.overlay {
        return Some("{open} opens the receiver first");
    }
    is_read(state)
}

pub(super) fn copy_traceback(state: &State) -> Option<&'static str> {
    if let Some(why) = elsewhere_than_receivers(state) {
        return Some(why);
    }
    let told = state
        .attempt()
        .map(|attempt| (&attempt.traceback, &attempt.error));
    match told {
        None => Some("it was not tried yet"),
        Some((None, None)) => Some("this attempt has no traceback"),
        Some(_) => None,
    }
}
