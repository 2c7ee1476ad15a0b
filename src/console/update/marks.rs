//! Marks: one, a range, all on the screen, all that match, all others; and what takes back a change of them or of the query.

use std::collections::BTreeSet;

use super::{Out, moves, query};
use crate::{
    console::{
        question::{Question, RANGE_CAP, Sort},
        state::{Marks, Notice, State},
        text::{counted, grouped},
    },
    message::ReceiverId,
    store::{Count, Place},
};

/// Marks the cursor's receiver, or unmarks it.
pub(super) fn toggle(state: &mut State, out: &mut Out) {
    if state.range.is_some() {
        end_range(state, out);
        return;
    }
    let Some(id) = state.table.cursor else {
        return;
    };
    // A row that stayed only for the cursor is not among what matches, so it is no exception from it either.
    if matches!(state.marks, Marks::All { .. }) && state.table.gone == Some(id) {
        return out.hint(state, "this one no longer matches, so it is not marked");
    }
    state.remember();
    let (Marks::Ids(set) | Marks::All { except: set, .. }) = &mut state.marks;
    if !set.remove(&id) {
        set.insert(id);
    }
    changed(state, out);
}

/// Marks all that match, or unmarks them when they are all marked.
pub(super) fn all(state: &mut State, out: &mut Out) {
    state.range = None;
    let hidden = match &state.marks {
        Marks::All { asked, except }
            if except.is_empty() && asked.query == state.table.asked.query =>
        {
            return none(state, out);
        }
        _ => hidden(state),
    };
    state.remember();
    state.marks = Marks::All {
        asked: state.table.asked.clone(),
        except: BTreeSet::new(),
    };
    state.mark_counts = None;
    changed(state, out);
    let many = match state.table.count {
        Some(Count::Exact(count)) => format!("all {} that match are marked", grouped(count)),
        _ => "all that match are marked".to_owned(),
    };
    out.hint(state, &format!("{many}{hidden}"));
}

/// Marks the rows on the screen.
pub(super) fn screen(state: &mut State, out: &mut Out) {
    state.range = None;
    let shown = state.table.shown(state.table_rows()).iter();
    let ids = shown
        .map(|row| row.id)
        .filter(|id| state.table.gone != Some(*id))
        .collect();
    add(state, ids, out);
}

/// Marks what is not marked of what matches, and the other way round.
pub(super) fn invert(state: &mut State, out: &mut Out) {
    state.range = None;
    let hidden = hidden(state);
    let turned = match &state.marks {
        Marks::Ids(ids) => Marks::All {
            asked: state.table.asked.clone(),
            except: ids.clone(),
        },
        Marks::All { except, .. } => Marks::Ids(except.clone()),
    };
    state.remember();
    state.marks = turned;
    state.mark_counts = None;
    changed(state, out);
    out.hint(state, &format!("marked are now the others{hidden}"));
}

/// What is said of marks that are not among what the query shows, when other marks take their place.
fn hidden(state: &State) -> String {
    match (
        &state.marks,
        state.marked().map_or(0, |marked| marked.hidden),
    ) {
        (_, 0) | (Marks::All { .. }, _) => String::new(),
        (Marks::Ids(_), hidden) => {
            format!("; {} on others taken away", counted(hidden, "mark"))
        }
    }
}

/// Takes all marks away.
pub(super) fn none(state: &mut State, out: &mut Out) {
    state.range = None;
    if !state.marks.is_empty() {
        state.remember();
    }
    state.marks = Marks::default();
    changed(state, out);
}

/// Takes back the last change of the marks or of the query.
pub(super) fn undo(state: &mut State, out: &mut Out) {
    let Some(step) = state.undo.pop() else {
        return;
    };
    state.range = None;
    let marks = state.marks != step.marks;
    state.marks = step.marks;
    state.mark_counts = None;
    if state.table.asked == step.asked {
        changed(state, out);
        // Which of the rows match the query of the marks is read with the rows.
        moves::reread(state, out);
        return out.hint(state, "the marks are as they were before");
    }
    let text = step.asked.text.clone();
    query::go(state, step.asked, out);
    let also = if marks { ", and the marks" } else { "" };
    let words = if text.is_empty() {
        format!("everything is shown again{also}")
    } else {
        format!("the query is `{text}` again{also}")
    };
    out.hint(state, &words);
}

fn changed(state: &mut State, out: &mut Out) {
    state.asks.forget(Sort::Marks);
    count(state, out);
    out.draw();
}

/// Asks how many are marked, where that is not known already.
pub(super) fn count(state: &mut State, out: &mut Out) {
    if state.marked_here().is_some() {
        state.mark_counts = None;
    } else if let Some(marks) = state.marks.target() {
        let query = state.table.asked.query.clone();
        out.ask(state, Question::Marks { marks, query });
    }
}

/// Begins a range at the cursor, or ends the one that has begun.
pub(super) fn range(state: &mut State, out: &mut Out) {
    if state.range.is_some() {
        end_range(state, out);
    } else {
        state.range = state.table.place.clone();
        out.advise(
            state,
            "a range begins here: move, then {mark-range} marks it, {back} gives it up",
        );
    }
}

/// Marks the rows of the range. Whether they are marked now, or still have to be read.
pub(super) fn end_range(state: &mut State, out: &mut Out) -> bool {
    let Some((from, to)) = state.range_ends() else {
        return true;
    };
    let table = &state.table;
    let stands = |place: &Place| {
        let here = |row: &_| table.sort.compare(&Place::from(row), place).is_eq();
        table.rows.iter().any(here)
    };
    if stands(&from) && stands(&to) {
        let within = table.rows.iter().filter(|row| state.is_in_range(row));
        let ids = within
            .map(|row| row.id)
            .filter(|id| table.gone != Some(*id))
            .collect();
        state.range = None;
        add(state, ids, out);
        return true;
    }
    let (query, sort) = (state.table.asked.query.clone(), state.table.sort);
    out.ask(
        state,
        Question::Range {
            query,
            sort,
            from,
            to,
        },
    );
    out.hint(state, "reading the range…");
    false
}

/// The receivers of a range that had to be read.
pub(super) fn take_range(state: &mut State, ids: Vec<ReceiverId>, out: &mut Out) {
    state.range = None;
    if ids.len() > RANGE_CAP {
        let most = counted(RANGE_CAP as u64, "receiver");
        let words = state.setup.keymap.fill(&format!(
            "more than {most} in one range, nothing is marked: narrow the query, and {{mark-all}} marks all"
        ));
        state.hint = Some(Notice::bad(&words));
        out.draw();
    } else {
        add(state, ids, out);
    }
}

fn add(state: &mut State, ids: Vec<ReceiverId>, out: &mut Out) {
    let many = counted(ids.len() as u64, "receiver");
    state.remember();
    match &mut state.marks {
        Marks::Ids(set) => set.extend(ids),
        Marks::All { except, .. } => except.retain(|id| !ids.contains(id)),
    }
    changed(state, out);
    out.hint(state, &format!("{many} marked"));
}
