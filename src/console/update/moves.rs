//! Where the cursor is, which rows are on hand, and whose detail is shown.

use super::{Out, keys, pane};
use crate::{
    console::{
        layout::Focus,
        question::{At, Question, Sort, Window, WindowQuestion},
        state::{Marks, State},
    },
    message::ReceiverId,
    store::{Detail, Row},
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
    if !matches!(at, At::Newest | At::Oldest) || state.table.cursor.is_none() {
        state.table.loaded = false;
        state.table.failed = None;
    }
    read(state, at, out);
}

fn read(state: &mut State, at: At, out: &mut Out) {
    let rows = state.table_rows();
    let question = WindowQuestion {
        query: state.table.asked.query.clone(),
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
    let at = state.table.cursor.map_or(At::Newest, At::Around);
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
        let to = table.rows[reached as usize].id;
        put_cursor(state, to);
        settle(state);
        read_detail(state, out);
        out.draw();
    }
    fill(state, out);
}

/// Puts the cursor on a receiver. A row that had only stayed because the cursor was on it goes now.
fn put_cursor(state: &mut State, to: ReceiverId) {
    let table = &mut state.table;
    if let Some(gone) = table.gone.take_if(|gone| *gone != to)
        && let Some(index) = table.index_of(gone)
    {
        table.rows.remove(index);
        if gone > to {
            table.line = table.line.saturating_sub(1);
        }
    }
    table.cursor = Some(to);
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

/// The rows that were asked for. Whether the screen shows other things now.
pub(super) fn take(state: &mut State, question: &WindowQuestion, window: Window, out: &mut Out) {
    let lines = state.table_rows();
    let was_jumping = std::mem::take(&mut state.table.jumping);
    let table = &mut state.table;
    let old = table.cursor;
    let old_row = table.index().map(|index| table.rows[index].clone());
    let (first, last) = (
        window.rows.first().map(|row| row.id),
        window.rows.last().map(|row| row.id),
    );

    // The cursor has gone on while this was being read, beyond it.
    if let (At::Around(_), Some(cursor)) = (question.at, old) {
        let beyond = first.is_some_and(|first| cursor > first && !window.newest)
            || last.is_some_and(|last| cursor < last && !window.oldest);
        if beyond {
            return reread(state, out);
        }
    }

    let marked = window.marked.into_iter().collect();
    let before = (table.loaded, table.cursor, table.line, table.gone);
    let mut changed =
        table.marked != marked || table.newest != window.newest || table.oldest != window.oldest;
    let had = std::mem::replace(&mut table.rows, window.rows);
    table.marked = marked;
    table.newest = window.newest;
    table.oldest = window.oldest;
    table.loaded = true;
    table.failed = None;
    table.gone = None;
    match question.at {
        At::Newest => (table.cursor, table.line) = (first, 0),
        At::Oldest => (table.cursor, table.line) = (last, lines - 1),
        At::Keep(id) if table.index_of(id).is_none() => (table.cursor, table.line) = (first, 0),
        At::Keep(id) => table.cursor = Some(id),
        At::Around(_) => {
            if table.cursor.is_none() {
                table.cursor = first;
            }
            stay(state, old_row);
        }
    }
    // After a refresh the cursor keeps its line, as far as there are rows above it.
    if !matches!(question.at, At::Around(_)) {
        settle(state);
    }
    let table = &state.table;
    changed |= had != table.rows || before != (table.loaded, table.cursor, table.line, table.gone);
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

/// Keeps the cursor's row in its place when it no longer matches: what an operator is about to act on does not slip away under the key.
fn stay(state: &mut State, row: Option<Row>) {
    let table = &mut state.table;
    let (Some(cursor), Some(row)) = (table.cursor, row) else {
        return;
    };
    if row.id != cursor {
        return;
    }
    if let Err(place) = table.rows.binary_search_by(|other| cursor.cmp(&other.id)) {
        table.rows.insert(place, row);
        table.gone = Some(cursor);
    }
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
        && (shows || state.table.gone == Some(id))
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
        && state.table.gone == Some(id)
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
