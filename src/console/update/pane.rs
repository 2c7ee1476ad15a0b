//! The detail pane: which page of it is shown, from where on, and what is looked for in it.

use std::sync::Arc;

use super::Out;
use crate::{
    console::{
        content::{Part, Reading},
        detail::{self, Tab},
        page::{Hit, MOST_HITS, Page, Spot},
        query_line::QueryLine,
        question::{Question, Sort},
        state::{Overlay, Prompt, Search, State, Wanted},
        text,
    },
    message::ReceiverId,
};

/// Columns of a step to the side.
const STEP: usize = 8;

/// Shows another tab.
pub(super) fn show_tab(state: &mut State, tab: Tab, out: &mut Out) {
    if !state.areas().is_some_and(|areas| areas.shows_detail()) {
        return out.advise(state, "{open} opens the receiver first");
    }
    state.pane.tab = tab;
    compose(state, out);
    open_at(state);
    out.draw();
}

/// Shows another attempt.
pub(super) fn show_attempt(state: &mut State, attempt: usize, out: &mut Out) {
    state.pane.attempt = attempt;
    compose(state, out);
    open_at(state);
    out.draw();
}

/// Shows the next part of the content, or the one before.
pub(super) fn show_part(state: &mut State, by: isize, out: &mut Out) {
    let Some(reading) = &state.pane.content else {
        return;
    };
    let by = by.rem_euclid(reading.parts.len().max(1) as isize) as usize;
    state.pane.part = reading.step(by);
    compose(state, out);
    open_at(state);
    out.draw();
}

/// Shows foreign frames, or folds them.
pub(super) fn fold(state: &mut State, out: &mut Out) {
    state.pane.unfolded = !state.pane.unfolded;
    compose(state, out);
    keep_in_bounds(state);
    out.draw();
}

/// Breaks long lines, or lets them run on.
pub(super) fn wrap(state: &mut State, out: &mut Out) {
    state.pane.unwrapped = !state.pane.unwrapped;
    state.pane.sideways = 0;
    keep_in_bounds(state);
    out.draw();
}

/// Goes to the side.
pub(super) fn sideways(state: &mut State, right: bool, out: &mut Out) {
    let shape = state.shape();
    let pane = &mut state.pane;
    let rows = pane.page.shown(pane.at, shape);
    let longest = rows
        .iter()
        .map(|row| text::columns(pane.page.line(row.line)));
    let last = longest.max().unwrap_or(0).saturating_sub(shape.width);
    let wanted = if right {
        (pane.sideways + STEP).min(last.max(pane.sideways))
    } else {
        pane.sideways.saturating_sub(STEP)
    };
    if std::mem::replace(&mut pane.sideways, wanted) != wanted {
        out.draw();
    }
}

/// Composes anew what the pane says, and asks for what is not known of it yet.
pub(super) fn compose(state: &mut State, out: &mut Out) {
    want_content(state, out);
    let said = detail::page(&state.pane, &state.setup);
    if Arc::ptr_eq(&said, &state.pane.page) || *said == *state.pane.page {
        return;
    }
    state.pane.page = said;
    let pane = &mut state.pane;
    if let Some(search) = &mut pane.search {
        search.hits = None;
        search.current = None;
        let question = Question::Find {
            page: Arc::clone(&pane.page),
            words: search.words.clone(),
        };
        out.ask(state, question);
    }
}

/// Where a page that was not on the screen before opens.
pub(super) fn open_at(state: &mut State) {
    state.pane.at = state.pane.page.opening(state.shape());
    state.pane.sideways = 0;
}

/// After the screen or the text has changed: nothing is scrolled farther than it goes.
pub(super) fn keep_in_bounds(state: &mut State) {
    state.pane.at = state.pane.page.clamped(state.pane.at, state.shape());
}

/// Asks for the content as it is to be shown, if that is not on hand and not asked for.
fn want_content(state: &mut State, out: &mut Out) {
    let shape = state.shape();
    let pane = &mut state.pane;
    let (Some(id), Tab::Content, Some(_)) = (pane.id, pane.tab, &pane.detail) else {
        return;
    };
    // Only HTML is laid out anew for another width.
    let width = if pane.part == Part::Html {
        shape.width
    } else {
        0
    };
    let wanted = Some((pane.part, width));
    if shape.width == 0 || pane.content_for == wanted {
        return;
    }
    // On a pane of another width the old layout stands until the new one is there.
    if pane.content_for.is_none_or(|(part, _)| part != pane.part) {
        pane.content = None;
    }
    pane.content_for = wanted;
    let part = pane.part;
    out.ask(state, Question::Content { id, part, width });
}

/// Asks again for a content that could not be read.
pub(super) fn reread_content(state: &mut State, out: &mut Out) {
    if state.pane.content.is_none() {
        state.pane.content_for = None;
        compose(state, out);
    }
}

/// The content that was asked for.
pub(super) fn take_content(
    state: &mut State,
    id: ReceiverId,
    asked: (Part, usize),
    reading: Reading,
    out: &mut Out,
) {
    let pane = &mut state.pane;
    if pane.id != Some(id) || pane.content_for != Some(asked) {
        return;
    }
    let first = pane.content.is_none();
    pane.content = Some(reading);
    compose(state, out);
    if first && state.pane.tab == Tab::Content {
        open_at(state);
    }
    keep_in_bounds(state);
    out.draw();
}

/// Opens the line for the words to look for.
pub(super) fn ask_words(state: &mut State, out: &mut Out) {
    let words = state
        .pane
        .search
        .as_ref()
        .map(|search| search.words.as_str());
    state.overlay = Some(Overlay::Prompt(Prompt {
        wanted: Wanted::Search,
        line: QueryLine::open(words.unwrap_or_default()),
    }));
    out.draw();
}

/// Looks for words; for none: no longer.
pub(super) fn search(state: &mut State, words: &str, out: &mut Out) {
    out.draw();
    if words.is_empty() {
        return give_up_search(state);
    }
    state.pane.search = Some(Search {
        words: words.to_owned(),
        hits: None,
        current: None,
        go: true,
    });
    // What is folded away could not be found.
    let before = Arc::clone(&state.pane.page);
    if state.pane.tab == Tab::Traceback {
        state.pane.unfolded = true;
        compose(state, out);
        keep_in_bounds(state);
    }
    if Arc::ptr_eq(&before, &state.pane.page) {
        let question = Question::Find {
            page: before,
            words: words.to_owned(),
        };
        out.ask(state, question);
    }
}

/// Looks for nothing any more.
pub(super) fn give_up_search(state: &mut State) {
    state.pane.search = None;
    state.asks.forget(Sort::Find);
}

/// Where the words stand.
pub(super) fn take_hits(
    state: &mut State,
    text: &Arc<Page>,
    words: &str,
    hits: Vec<Hit>,
    out: &mut Out,
) {
    let pane = &mut state.pane;
    let Some(search) = &mut pane.search else {
        return;
    };
    if search.words != words || !Arc::ptr_eq(text, &pane.page) {
        return;
    }
    let none = hits.is_empty();
    search.hits = Some(hits);
    out.draw();
    if std::mem::take(&mut search.go) {
        if none {
            out.hint(state, &format!("no match for {words}"));
        } else {
            next_match(state, true, out);
        }
    }
}

/// Goes to the next match, or the one before; behind the last comes the first.
pub(super) fn next_match(state: &mut State, forward: bool, out: &mut Out) {
    let from = state.pane.at;
    let Some(search) = &mut state.pane.search else {
        return;
    };
    let Some(hits) = &search.hits else {
        return;
    };
    let many = hits.len().min(MOST_HITS);
    if many == 0 {
        return;
    }
    let next = match (search.current, forward) {
        (Some(current), true) => (current + 1) % many,
        (Some(current), false) => (current + many - 1) % many,
        (None, true) => {
            let next = hits.iter().position(|hit| hit.line >= from.line);
            next.filter(|next| *next < many).unwrap_or(0)
        }
        (None, false) => {
            let next = hits[..many].iter().rposition(|hit| hit.line < from.line);
            next.unwrap_or(many - 1)
        }
    };
    search.current = Some(next);
    let hit = hits[next];
    bring_into_sight(state, hit);
    out.draw();
}

/// Scrolls until a place is in sight, if it is not.
pub(super) fn bring_into_sight(state: &mut State, hit: Hit) {
    let shape = state.shape();
    let pane = &mut state.pane;
    let rows = pane.page.shown(pane.at, shape);
    let is_in = |row: &crate::console::page::Row| {
        let end = pane.page.line(hit.line).len();
        row.line == hit.line
            && row.range.start <= hit.at
            && (hit.at < row.range.end || row.range.end == end)
    };
    if !rows.iter().any(is_in) {
        pane.at = pane.page.around(hit, shape);
    }
    if pane.unwrapped {
        let before = pane.page.line(hit.line).get(..hit.at).unwrap_or_default();
        let column = text::columns(before);
        if column < pane.sideways || column >= pane.sideways + shape.width {
            pane.sideways = column.saturating_sub(shape.width / 3);
        }
    }
}

/// Scrolls so many rows, down where it is positive.
pub(super) fn scroll(state: &mut State, by: i64, out: &mut Out) {
    let to = state.pane.page.moved(state.pane.at, by, state.shape());
    scroll_to(state, to, out);
}

/// Scrolls to a place.
pub(super) fn scroll_to(state: &mut State, to: Spot, out: &mut Out) {
    if std::mem::replace(&mut state.pane.at, to) != to {
        out.draw();
    }
}
