//! What the store said.

use super::{
    Out, again, causes, export, filter, jobs, keys, marks, moves, overview, pane, query, refresh,
};
use crate::{
    console::{
        question::{Answer, Ask, Question, Sort},
        state::{MarkCounts, Notice, State},
    },
    message::DisplayText,
    store::Count,
};

/// Takes in an answer; one that nobody waits for any more is dropped.
pub(super) fn take(state: &mut State, ask: &Ask, answer: Result<Answer, String>, out: &mut Out) {
    if !state.asks.take(ask) {
        return;
    }
    let sort = ask.question.sort();
    match answer {
        Ok(answer) => {
            if state.trouble.take_if(|trouble| trouble.0 == sort).is_some() {
                out.draw();
            }
            dispatch(state, &ask.question, answer, out);
            // Counting to the end may take long; it is not begun again before the next tick.
            if sort != Sort::Count && state.asks.is_stale(sort) && !state.asks.waits(sort) {
                again(state, sort, out);
            }
        }
        Err(error) => failed(state, sort, &error, out),
    }
    if sort == Sort::Causes || sort == Sort::Window && !state.table.jumping {
        keys::replay(state, out);
    }
}

fn dispatch(state: &mut State, question: &Question, answer: Answer, out: &mut Out) {
    match (question, answer) {
        (Question::Version, Answer::Version(version)) => {
            let first = state.version.is_none() && version.is_some();
            if version.is_none() || state.version != version {
                state.version = version;
                if !first {
                    refresh(state, out);
                }
            }
        }
        (Question::Window(question), Answer::Window(window)) => {
            moves::take(state, question, window, out);
            if let Some(count) = state.table.count
                && !state.table.agrees(count)
            {
                state.table.count = None;
                out.draw();
            }
            let whole = state.table.newest && state.table.oldest;
            if whole || (state.table.count.is_none() && !state.asks.waits(Sort::Count)) {
                query::count(state, out);
            }
            if state.table.ends.is_none() && !whole && !state.asks.waits(Sort::Ends) {
                query::ends(state, out);
            }
            if state.marked().is_none() && !state.asks.waits(Sort::Marks) {
                marks::count(state, out);
            }
        }
        (
            Question::Overview(_),
            Answer::Overview {
                counts,
                backends,
                unserved,
                traffic,
            },
        ) => {
            overview::take_traffic(state, traffic, out);
            let others = state
                .backends
                .iter()
                .map(|row| &row.name)
                .ne(backends.iter().map(|row| &row.name));
            let neglected = state.neglected();
            state.unserved = unserved.map(|unserved| *unserved);
            let same = state.counts.as_ref() == Some(&*counts)
                && state.backends == backends
                && state.neglected() == neglected;
            if !same {
                state.counts = Some(*counts);
                state.backends = backends;
                out.draw();
            }
            if others {
                overview::read(state, out);
            }
        }
        (Question::Causes(query), Answer::Causes(rows)) => causes::take(state, query, rows, out),
        (Question::Failures(backends), Answer::Failures(failures)) => {
            overview::take(state, backends, failures, out);
        }
        (Question::Detail(id), Answer::Detail(detail)) => {
            moves::take_detail(state, *id, detail, out);
        }
        (Question::Content { id, part, width }, Answer::Content(Some(reading))) => {
            pane::take_content(state, *id, (*part, *width), reading, out);
        }
        (Question::Raw { .. }, Answer::Raw(bytes)) => export::take_raw(state, bytes, out),
        (Question::Find { page, words }, Answer::Find(hits)) => {
            pane::take_hits(state, page, words, hits, out);
        }
        (Question::Range { .. }, Answer::Range(ids)) => marks::take_range(state, ids, out),
        (Question::Affected { .. }, Answer::Affected(reach)) => {
            jobs::take_reach(state, reach, out);
        }
        (Question::Marks { .. }, Answer::Marks { total, shown }) => {
            let counts = Some(MarkCounts {
                total,
                hidden: total.saturating_sub(shown),
            });
            if state.mark_counts != counts {
                state.mark_counts = counts;
                out.draw();
            }
        }
        (Question::Ends { .. }, Answer::Ends(ends)) if state.table.ends != ends => {
            state.table.ends = ends;
            out.draw();
        }
        (Question::Scan { query, .. }, Answer::Scan(scan)) => {
            if state.table.asked.query == *query {
                state.table.scan.clone_from(&scan);
            }
            if state.editing.query.as_ref() == Some(query) {
                state.editing.scan = scan;
            }
            out.draw();
        }
        (Question::Preview(query), Answer::Count(count))
            if state.editing.query.as_ref() == Some(query) =>
        {
            state.editing.count = Some(count);
            out.draw();
        }
        (Question::Facet(_), Answer::Count(count)) => filter::take(state, Some(count), out),
        (Question::Words, Answer::Words(words)) if state.words != words => {
            state.words = words;
            filter::look_again(state, out);
            out.draw();
        }
        (Question::Count { query, .. }, Answer::Count(count)) => {
            // The count is of another moment than the rows: it is shown when both fit, after the rows were read again.
            if !state.table.agrees(count) {
                state.asks.set_stale(Sort::Count);
                if !state.asks.waits(Sort::Window) {
                    again(state, Sort::Window, out);
                }
                return;
            }
            if state.table.count != Some(count) {
                state.table.count = Some(count);
                out.draw();
            }
            if matches!(count, Count::AtLeast(_)) {
                out.ask(
                    state,
                    Question::Count {
                        query: query.clone(),
                        exact: true,
                    },
                );
            }
        }
        // Nothing new.
        _ => {}
    }
}

fn failed(state: &mut State, sort: Sort, error: &str, out: &mut Out) {
    match sort {
        Sort::Window => {
            state.table.jumping = false;
            state.deferred.clear();
            if !state.table.loaded {
                state.table.fail(DisplayText::line(error));
                state.range = None;
                moves::read_detail(state, out);
                state.asks.set_stale(sort);
                return out.draw();
            }
        }
        Sort::Affected => jobs::refuse(state, out),
        Sort::Causes => causes::fail(state, error, out),
        Sort::Range => state.range = None,
        Sort::Raw => state.saving = None,
        Sort::Find => pane::give_up_search(state),
        Sort::Facet => return filter::take(state, None, out),
        _ => {}
    }
    if matches!(
        sort,
        Sort::Affected
            | Sort::Range
            | Sort::Raw
            | Sort::Find
            | Sort::Preview
            | Sort::Words
            | Sort::Scan
    ) {
        state.hint = Some(Notice::bad(error));
        return out.draw();
    }
    // It is tried again at the next tick.
    state.asks.set_stale(sort);
    state.trouble = Some((sort, DisplayText::line(error)));
    out.draw();
}
