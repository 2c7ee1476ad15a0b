//! Which query the table shows.

use super::{Out, causes, moves};
use crate::{
    console::{
        query_line::QueryLine,
        question::{At, Question, Sort},
        state::{Asked, Notice, Overlay, State},
    },
    message::Status,
    store::Count,
};

/// The words of the query behind a status key; `None` is all.
pub fn words_of(status: Option<Status>) -> String {
    status
        .map(|status| format!("status:{}", status.name()))
        .unwrap_or_default()
}

/// The first query. One that cannot be read opens the query line on it.
pub(super) fn begin(state: &mut State, text: &str, out: &mut Out) {
    let line = QueryLine::open(text);
    let text = line.text().to_owned();
    match state.setup.zone.read(&text, state.now) {
        Ok(query) => state.table.asked = Asked { text, query },
        Err(error) => {
            let mut line = line;
            line.error = Some(error);
            state.overlay = Some(Overlay::Query(line));
        }
    }
    moves::jump(state, At::Newest, out);
}

/// Shows another query. The cursor stays with its receiver if that matches.
pub(super) fn show(state: &mut State, text: String, out: &mut Out) -> bool {
    let query = match state.setup.zone.read(&text, state.now) {
        Ok(query) => query,
        Err(error) => {
            if let Some(Overlay::Query(line)) = &mut state.overlay {
                line.error = Some(error);
            } else {
                state.hint = Some(Notice::bad(&error.message));
            }
            out.draw();
            return false;
        }
    };
    state.overlay = None;
    state.range = None;
    state.from = None;
    state.table.count = None;
    state.mark_counts = None;
    state.asks.forget(Sort::Count);
    state.asks.forget(Sort::Marks);
    state.asks.forget(Sort::Range);
    state.table.asked = Asked { text, query };
    let at = state.table.cursor.map_or(At::Newest, At::Keep);
    moves::jump(state, at, out);
    causes::read(state, out);
    out.draw();
    true
}

/// Asks how many match, unless the rows on hand say it.
pub(super) fn count(state: &mut State, out: &mut Out) {
    let table = &mut state.table;
    if !table.loaded {
        return;
    }
    if table.newest && table.oldest {
        let rows = table.rows.len() - usize::from(table.gone.is_some());
        let count = Some(Count::Exact(rows as u64));
        state.asks.forget(Sort::Count);
        if table.count != count {
            table.count = count;
            out.draw();
        }
        return;
    }
    // What took a count to the end once is counted to the end again: a number that was exact must not turn vague.
    let exact = matches!(table.count, Some(Count::Exact(_)));
    let query = table.asked.query.clone();
    out.ask(state, Question::Count { query, exact });
}
