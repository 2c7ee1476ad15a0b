//! The failures by cause: opened, moved in, gone into, sent again.

use super::{Out, jobs, keys::Way, query};
use crate::{
    console::{
        question::{Question, Sort},
        state::{Causes, Screen, State, scrolled},
        view,
    },
    message::{CauseId, DisplayText, Status},
    query::{Predicate, Query, Term},
    store::{Action, CauseRow, Target},
};

/// Shows the failures that match the query, the biggest cause first.
pub(super) fn open(state: &mut State, out: &mut Out) {
    state.screen = Screen::Causes;
    state.causes = Causes::default();
    read(state, out);
    out.draw();
}

/// Reads them, or reads them again, where they are on the screen.
pub(super) fn read(state: &mut State, out: &mut Out) {
    if state.screen != Screen::Causes {
        return;
    }
    let query = &state.table.asked.query;
    // Those of another query have nothing to do with these.
    if state.causes.query != *query {
        state.causes = Causes {
            query: query.clone(),
            ..Causes::default()
        };
    }
    let question = Question::Causes(query.clone());
    out.ask(state, question);
}

/// The causes that were asked for.
pub(super) fn take(state: &mut State, query: &Query, rows: Vec<CauseRow>, out: &mut Out) {
    if state.screen != Screen::Causes || state.causes.query != *query {
        return;
    }
    let before = state.causes.rows.clone();
    state.causes.take(rows);
    if state.causes.rows != before {
        out.draw();
    }
}

/// They could not be read. Those on the screen stay: they belong to this query.
pub(super) fn fail(state: &mut State, error: &str, out: &mut Out) {
    if state.causes.rows.is_none() {
        state.causes.failed = Some(DisplayText::line(error));
    }
    state.deferred.clear();
    state.asks.set_stale(Sort::Causes);
    out.draw();
}

/// Moves in the list.
pub(super) fn go(state: &mut State, way: Way, out: &mut Out) {
    let lines = view::causes_lines(state);
    let causes = &mut state.causes;
    let (Some(index), Some(rows)) = (causes.index(), &causes.rows) else {
        return;
    };
    let to = way.in_a_list(index, rows.len(), lines);
    if to != index {
        causes.cursor = Some(rows[to].id);
        causes.top = scrolled(causes.top, to, lines);
        out.draw();
    }
}

/// Puts the cursor on a line of the screen.
pub(super) fn point_at(state: &mut State, line: usize, out: &mut Out) {
    let lines = view::causes_lines(state);
    let causes = &mut state.causes;
    let Some(index) = causes.index() else {
        return;
    };
    let to = scrolled(causes.top, index, lines) + line;
    if let Some(row) = causes.known().get(to).filter(|_| line < lines) {
        causes.cursor = Some(row.id);
        out.draw();
    }
}

/// Shows the receivers of the cause under the cursor.
pub(super) fn receivers(state: &mut State, out: &mut Out) {
    let Some(id) = state.causes.current().map(|row| row.id) else {
        return;
    };
    let before = state.table.asked.text.clone();
    let words = format!("{before} cause:{id}");
    state.screen = Screen::Receivers;
    if query::show(state, words.trim_start().to_owned(), out) {
        state.from = Some((Screen::Causes, before));
    }
}

/// Asks whether to send all of the cause under the cursor again.
pub(super) fn resend(state: &mut State, out: &mut Out) {
    let Some(row) = state.causes.current().cloned() else {
        return;
    };
    let target = Target::Query(counted(&state.causes.query, row.id));
    jobs::propose_for(state, Action::Resend, target, Some(Box::new(row)), out);
}

/// The receivers that a cause counts: those of the query whose last try met it, but for who is Sent all the same.
fn counted(query: &Query, cause: CauseId) -> Query {
    let term = |negated, predicate| Term {
        negated,
        predicate,
        span: 0..0,
    };
    let mut query = query.clone();
    query
        .terms
        .push(term(false, Predicate::Cause(vec![cause.0])));
    query
        .terms
        .push(term(true, Predicate::Status(vec![Status::Sent])));
    query
}
