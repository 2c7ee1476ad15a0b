//! Marks: one, a range, all that match.

use std::collections::BTreeSet;

use super::Out;
use crate::{
    console::{
        question::{Question, RANGE_CAP, Sort},
        state::{Marks, Notice, State},
        text::{counted, grouped},
    },
    message::ReceiverId,
    store::Count,
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
    let gone = state.table.gone == Some(id);
    let set = match &mut state.marks {
        // A row that stayed only for the cursor is not among what matches, so it is no exception from it either.
        Marks::All { .. } if gone => {
            return out.hint(state, "this one no longer matches, so it is not marked");
        }
        Marks::Ids(set) | Marks::All { except: set, .. } => set,
    };
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
        Marks::Ids(_) => state.marked().map_or(0, |marked| marked.hidden),
        Marks::All { .. } => 0,
    };
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
    if hidden > 0 {
        let lost = counted(hidden, "mark");
        out.hint(state, &format!("{many}; {lost} on others taken away"));
    } else {
        out.hint(state, &many);
    }
}

/// Takes all marks away.
pub(super) fn none(state: &mut State, out: &mut Out) {
    state.range = None;
    state.marks = Marks::default();
    changed(state, out);
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
        state.range = state.table.cursor;
        out.hint(
            state,
            "a range begins here: move, then v marks it, Esc gives it up",
        );
    }
}

/// Marks the rows of the range. Whether they are marked now, or still have to be read.
pub(super) fn end_range(state: &mut State, out: &mut Out) -> bool {
    let (Some(from), Some(to)) = (state.range, state.table.cursor) else {
        return true;
    };
    let (newest, oldest) = (from.max(to), from.min(to));
    let table = &state.table;
    if let (Some(first), Some(last)) = (table.index_of(newest), table.index_of(oldest)) {
        let rows = table.rows[first..=last].iter().map(|row| row.id);
        let ids = rows.filter(|id| table.gone != Some(*id)).collect();
        state.range = None;
        add(state, ids, out);
        return true;
    }
    let query = state.table.asked.query.clone();
    out.ask(
        state,
        Question::Range {
            query,
            newest,
            oldest,
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
        state.hint = Some(Notice::bad(&format!(
            "more than {most} in one range, nothing is marked: narrow the query and mark all with a"
        )));
        out.draw();
    } else {
        add(state, ids, out);
    }
}

fn add(state: &mut State, ids: Vec<ReceiverId>, out: &mut Out) {
    let many = counted(ids.len() as u64, "receiver");
    match &mut state.marks {
        Marks::Ids(set) => set.extend(ids),
        Marks::All { except, .. } => except.retain(|id| !ids.contains(id)),
    }
    changed(state, out);
    out.hint(state, &format!("{many} marked"));
}
