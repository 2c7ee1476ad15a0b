//! Where the cursor is, which rows are on hand, and whose detail is shown.

use std::cmp::Ordering;

use super::{Out, keys, pane};
use crate::{
    console::{
        layout::Focus,
        question::{At, Question, Sort, Window, WindowQuestion},
        state::{Marks, State, Table},
    },
    message::ReceiverId,
    store::{Detail, Place, Row},
};

/// Rows on hand beyond the screen, in screens: newer and older ones. A held key reads the store once a screen and never waits for it.
const NEWER: usize = 2;
const OLDER: usize = 3;

/// More than this is not remembered of a move beyond the rows on hand.
const FARTHEST: i64 = 10_000;

/// Goes somewhere that is not among the rows on hand. Until they are there, keys wait; see [`super::keys`].
pub(super) fn jump(state: &mut State, at: At, out: &mut Out) {
    state.table.pending = 0;
    state.table.jumping = true;
    state.deferred.clear();
    if matches!(at, At::Keep(_)) || state.table.cursor.is_none() {
        state.table.loaded = false;
        state.table.failed = None;
    }
    read(state, at, out);
}

fn read(state: &mut State, at: At, out: &mut Out) {
    let rows = state.table_rows();
    let question = WindowQuestion {
        query: state.table.asked.query.clone(),
        sort: state.table.sort,
        at,
        above: NEWER * rows,
        below: OLDER * rows,
        marks: match &state.marks {
            Marks::All { asked, .. } if asked.query != state.table.asked.query => {
                Some(asked.query.clone())
            }
            _ => None,
        },
    };
    out.ask(state, Question::Window(question));
}

/// Reads the rows on hand again.
pub(super) fn reread(state: &mut State, out: &mut Out) {
    let at = state.table.place.clone().map_or(At::First, At::Around);
    read(state, at, out);
}

/// Reads more rows when the cursor comes near the end of those on hand.
pub(super) fn fill(state: &mut State, out: &mut Out) {
    let Some(index) = state.table.index() else {
        return;
    };
    let rows = state.table_rows();
    let table = &state.table;
    let above = !table.newest && index < rows;
    let below = !table.oldest && table.rows.len() - index <= rows;
    if (above || below) && !state.asks.waits(Sort::Window) {
        reread(state, out);
    }
}

/// How a move treats the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scroll {
    /// The cursor walks over the screen, which follows at its edges.
    AtTheEdge,
    /// The screen moves under the cursor.
    WithTheCursor,
}

/// Moves the cursor; down is positive.
pub(super) fn step(state: &mut State, by: i64, scroll: Scroll, out: &mut Out) {
    let lines = state.table_rows() as i64;
    let table = &mut state.table;
    let Some(index) = table.index() else {
        return;
    };
    table.line = index - table.top();
    // What is still to be moved once more rows are known counts with it.
    let by = table.pending + by;
    let wanted = index as i64 + by;
    let reached = wanted.clamp(0, table.rows.len() as i64 - 1);
    let more = if by < 0 { !table.newest } else { !table.oldest };
    table.pending = if more {
        (wanted - reached).clamp(-FARTHEST, FARTHEST)
    } else {
        0
    };
    let moved = reached - index as i64;
    if moved != 0 {
        if scroll == Scroll::AtTheEdge {
            table.line = (table.line as i64 + moved).clamp(0, lines - 1) as usize;
        }
        let strayed = table.moved.is_some();
        put_cursor(state, reached as usize);
        settle(state);
        read_detail(state, out);
        out.draw();
        if strayed {
            // What stood elsewhere is shown where it stands.
            return reread(state, out);
        }
    }
    fill(state, out);
}

/// Puts the cursor on a row. One that had only stayed because the cursor was on it goes now.
fn put_cursor(state: &mut State, to: usize) {
    let table = &mut state.table;
    let stray = table.index().filter(|index| {
        let id = table.rows[*index].id;
        *index != to && table.is_stray(id)
    });
    let mut to = to;
    if let Some(index) = stray {
        table.rows.remove(index);
        (table.gone, table.moved) = (None, None);
        if index < to {
            to -= 1;
            table.line = table.line.saturating_sub(1);
        }
    }
    table.put_cursor(Some(to));
}

/// Leaves no line of the screen empty that a row could fill.
pub(super) fn settle(state: &mut State) {
    let lines = state.table_rows();
    let table = &mut state.table;
    if let Some(index) = table.index() {
        let below = table.rows.len() - index;
        table.line = table
            .line
            .min(lines - 1)
            .max(lines.saturating_sub(below))
            .min(index);
    }
}

/// The rows that were asked for.
pub(super) fn take(state: &mut State, question: &WindowQuestion, window: Window, out: &mut Out) {
    let lines = state.table_rows();
    let was_jumping = std::mem::take(&mut state.table.jumping);
    let table = &mut state.table;
    let (old, old_place) = (table.cursor, table.place.clone());
    let old_row = table.index().map(|index| table.rows[index].clone());

    // The cursor has gone on while this was being read, beyond it.
    if let (At::Around(_), Some(place)) = (&question.at, &old_place) {
        let end = |row: Option<&Row>| row.map(|row| table.sort.compare(place, &Place::from(row)));
        let beyond = (!window.newest && end(window.rows.first()).is_some_and(Ordering::is_lt))
            || (!window.oldest && end(window.rows.last()).is_some_and(Ordering::is_gt));
        if beyond {
            return reread(state, out);
        }
    }

    let marked = window.marked.into_iter().collect();
    let shown = |table: &Table| {
        let (cursor, line) = (table.cursor, table.line);
        (table.loaded, cursor, line, table.gone, table.moved)
    };
    let before = shown(table);
    let mut changed =
        table.marked != marked || table.newest != window.newest || table.oldest != window.oldest;
    let had = std::mem::replace(&mut table.rows, window.rows);
    table.marked = marked;
    table.newest = window.newest;
    table.oldest = window.oldest;
    table.loaded = true;
    table.failed = None;
    (table.gone, table.moved) = (None, None);
    match &question.at {
        At::First => {
            table.put_cursor(Some(0));
            table.line = 0;
        }
        At::Last => {
            table.put_cursor(table.rows.len().checked_sub(1));
            table.line = lines - 1;
        }
        At::Keep(place) => {
            let kept = table.index_of(place.id());
            table.put_cursor(kept.or(Some(0)));
            if kept.is_none() {
                table.line = 0;
            }
        }
        At::Find(id, _) => {
            if let Some(found) = table.index_of(*id) {
                table.put_cursor(Some(found));
                table.line = lines / 2;
            } else {
                stay(state, old_row, false);
                let why = if question.query.terms.is_empty() {
                    format!("there is no receiver {id}")
                } else {
                    format!("{id} is not among what matches; {{show-all}} shows all")
                };
                out.advise(state, &why);
            }
        }
        At::Around(_) if table.cursor.is_none() => table.put_cursor(Some(0)),
        At::Around(place) => {
            let elsewhere = window.elsewhere && table.cursor == Some(place.id());
            stay(state, old_row, elsewhere);
        }
    }
    // After a refresh the cursor keeps its line, as far as there are rows above it.
    if !matches!(question.at, At::Around(_)) {
        settle(state);
    }
    let table = &state.table;
    changed |= had != table.rows || before != shown(table);
    if changed {
        out.draw();
    }
    if state.table.cursor != old || was_jumping {
        read_detail(state, out);
    }
    let pending = std::mem::take(&mut state.table.pending);
    if pending == 0 {
        fill(state, out);
    } else {
        step(state, pending, Scroll::WithTheCursor, out);
    }
}

/// Keeps the cursor's row in its place when it no longer matches, or stands elsewhere by now: what an operator is about to act on does not slip away
/// under the key.
fn stay(state: &mut State, row: Option<Row>, elsewhere: bool) {
    let table = &mut state.table;
    let (Some(cursor), Some(place), Some(row)) = (table.cursor, table.place.clone(), row) else {
        return;
    };
    if row.id != cursor {
        return;
    }
    let found = table.index_of(cursor);
    let row = match found {
        Some(index) => table.rows.remove(index),
        None => row,
    };
    let sort = table.sort;
    let before = |other: &Row| sort.compare(&Place::from(other), &place).is_lt();
    let index = table.rows.partition_point(before);
    if found == Some(index) {
        table.place = Some(Place::from(&row));
    } else if found.is_some() || elsewhere {
        table.moved = Some(cursor);
    } else {
        table.gone = Some(cursor);
    }
    table.rows.insert(index, row);
}

/// Asks for the detail of the cursor's receiver, if it is to be seen and is not there yet.
pub(super) fn read_detail(state: &mut State, out: &mut Out) {
    let shows = state.areas().is_some_and(|areas| areas.shows_detail());
    match state.table.cursor {
        Some(id) if shows && state.pane.id != Some(id) => out.ask(state, Question::Detail(id)),
        Some(_) => {}
        None => state.pane.id = None,
    }
}

/// Asks for it again.
pub(super) fn reread_detail(state: &mut State, out: &mut Out) {
    let shows = state.areas().is_some_and(|areas| areas.shows_detail());
    if let Some(id) = state.table.cursor
        && (shows || state.table.is_stray(id))
    {
        out.ask(state, Question::Detail(id));
    }
}

/// The detail that was asked for.
pub(super) fn take_detail(
    state: &mut State,
    id: ReceiverId,
    detail: Option<Box<Detail>>,
    out: &mut Out,
) {
    if let (Some(detail), Some(index)) = (&detail, state.table.index_of(id))
        && state.table.is_stray(id)
        && state.table.rows[index] != detail.row
    {
        state.table.rows[index] = detail.row.clone();
        out.draw();
    }
    if state.table.cursor != Some(id) {
        return;
    }
    let latest = detail
        .as_ref()
        .map_or(0, |detail| detail.attempts.len().saturating_sub(1));
    let pane = &mut state.pane;
    if pane.id == Some(id) {
        if pane.detail == detail {
            return;
        }
        // Who reads an attempt goes on reading it; who only watches sees the latest.
        let had = pane
            .detail
            .as_ref()
            .map_or(0, |detail| detail.attempts.len().saturating_sub(1));
        if state.focus == Focus::Table && pane.attempt == had {
            pane.attempt = latest;
        }
    } else {
        pane.attempt = latest;
        pane.content = None;
        pane.content_for = None;
    }
    pane.detail = detail;
    let other = pane.id.replace(id) != Some(id);
    pane::compose(state, out);
    if other {
        pane::open_at(state);
    }
    pane::keep_in_bounds(state);
    out.draw();
    // What was to be copied of it.
    keys::replay(state, out);
}
