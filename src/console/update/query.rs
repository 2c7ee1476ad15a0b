//! Which query the table shows, and the line it is written in.

use super::{Out, causes, filter, moves};
use crate::{
    console::{
        complete,
        effect::Effect,
        kept::Change,
        query_line::QueryLine,
        question::{At, Question, Sort},
        state::{Asked, Editing, Notice, Overlay, Prompt, State, Wanted},
    },
    message::{DisplayText, Status},
    query::Query,
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
        Ok(query) => {
            doubt(state, &text, &query);
            state.table.asked = Asked { text, query };
        }
        Err(error) => {
            let mut line = line;
            line.error = Some(error);
            state.overlay = Some(Overlay::Query(line));
        }
    }
    look_for_scan(state, out);
    moves::jump(state, At::First, out);
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
    if text != state.table.asked.text {
        state.remember();
    }
    if matches!(state.overlay, Some(Overlay::Query(_))) {
        state.overlay = None;
    }
    doubt(state, &text, &query);
    go(state, Asked { text, query }, out);
    true
}

/// Says what is searched for and hardly meant so.
fn doubt(state: &mut State, text: &str, query: &Query) {
    if let Some(doubt) = query.doubt(text) {
        state.hint = Some(Notice::bad(&doubt.message));
    }
}

/// Shows a query that was read.
pub(super) fn go(state: &mut State, asked: Asked, out: &mut Out) {
    state.table.asked = asked;
    state.mark_counts = None;
    state.asks.forget(Sort::Marks);
    reorder(state, out);
    filter::look_again(state, out);
}

/// Shows the rows in the order that was set.
pub(super) fn reorder(state: &mut State, out: &mut Out) {
    state.range = None;
    state.from = None;
    state.table.count = None;
    state.table.ends = None;
    state.table.scan = None;
    for sort in [Sort::Count, Sort::Range, Sort::Ends] {
        state.asks.forget(sort);
    }
    look_for_scan(state, out);
    let at = state.table.place.clone().map_or(At::First, At::Keep);
    moves::jump(state, at, out);
    causes::read(state, out);
    out.draw();
}

fn look_for_scan(state: &mut State, out: &mut Out) {
    let (query, sort) = (state.table.asked.query.clone(), state.table.sort);
    if !query.terms.is_empty() {
        out.ask(state, Question::Scan { query, sort });
    }
}

/// Asks where the first and the last stand, for the bar beside the rows, unless all are on hand.
pub(super) fn ends(state: &mut State, out: &mut Out) {
    let table = &state.table;
    if table.loaded && !(table.newest && table.oldest) {
        let (query, sort) = (table.asked.query.clone(), table.sort);
        out.ask(state, Question::Ends { query, sort });
    }
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

/// Opens the query line.
pub(super) fn edit(state: &mut State, text: &str, out: &mut Out) {
    state.deferred.clear();
    state.editing = Editing::default();
    state.overlay = Some(Overlay::Query(QueryLine::open(text)));
    out.ask(state, Question::Words);
    out.draw();
}

/// The line was changed: what could come next, and how many it would show.
pub(super) fn edited(state: &mut State, out: &mut Out) {
    let Some(Overlay::Query(line)) = &state.overlay else {
        return;
    };
    let query = state.setup.zone.read(line.text().trim(), state.now).ok();
    let offers = if line.is_selected() {
        complete::Offers::default()
    } else {
        complete::offers(line.text(), line.cursor(), &state.known(), false)
    };
    let editing = &mut state.editing;
    editing.offers = offers;
    editing.chosen = None;
    if editing.query != query {
        editing.query.clone_from(&query);
        editing.count = None;
        editing.scan = None;
        state.asks.forget(Sort::Preview);
        if let Some(query) = query {
            let sort = state.table.sort;
            if !query.terms.is_empty() {
                let query = query.clone();
                out.ask(state, Question::Scan { query, sort });
            }
            out.ask(state, Question::Preview(query));
        }
    }
    out.draw();
}

/// Completes the word at the cursor; pressed again, by the next that would do.
pub(super) fn complete(state: &mut State, by: isize, out: &mut Out) {
    let known = state.known();
    let Some(Overlay::Query(line)) = &mut state.overlay else {
        return;
    };
    let editing = &mut state.editing;
    if editing.offers.list.is_empty() {
        line.deselect();
        editing.offers = complete::offers(line.text(), line.cursor(), &known, true);
        editing.chosen = None;
    }
    let many = editing.offers.list.len() as isize;
    if many == 0 {
        return out.hint(state, "nothing completes this");
    }
    let next = match editing.chosen {
        None if by > 0 => 0,
        None => many - 1,
        Some(chosen) => (chosen as isize + by).rem_euclid(many),
    } as usize;
    let offer = &editing.offers.list[next];
    let kept = offer.name.is_some();
    line.replace(editing.offers.from, &offer.text);
    if many == 1 && !kept {
        // Nothing is left to choose: go on with what comes next.
        return edited(state, out);
    }
    // The list stays for the next press.
    let offers = editing.offers.clone();
    edited(state, out);
    state.editing.offers = offers;
    state.editing.chosen = Some(next);
}

/// Puts an earlier query into the line, or a later one.
pub(super) fn recall(state: &mut State, by: isize, out: &mut Out) {
    let Some(Overlay::Query(line)) = &mut state.overlay else {
        return;
    };
    let (editing, history) = (&mut state.editing, &state.history);
    if editing.back == 0 {
        line.text().clone_into(&mut editing.draft);
    }
    let back = editing.back.saturating_add_signed(by).min(history.len());
    if back == editing.back {
        return;
    }
    editing.back = back;
    let text = match back {
        0 => editing.draft.clone(),
        back => history[history.len() - back].clone(),
    };
    line.set(&text);
    edited(state, out);
    state.editing.offers = complete::Offers::default();
}

/// Shows what was written.
pub(super) fn apply(state: &mut State, out: &mut Out) {
    let Some(Overlay::Query(line)) = &state.overlay else {
        return;
    };
    let text = line.text().trim().to_owned();
    if show(state, text.clone(), out) && !text.is_empty() {
        state.history.retain(|other| *other != text);
        state.history.push(text.clone());
        out.0.push(Effect::Keep(Change::Asked(text)));
    }
}

/// Asks for a name under which the query is kept.
pub(super) fn ask_name(state: &mut State, out: &mut Out) {
    let Some(Overlay::Query(line)) = &mut state.overlay else {
        return;
    };
    let text = line.text().trim().to_owned();
    if let Err(error) = state.setup.zone.read(&text, state.now) {
        line.error = Some(error);
        return out.draw();
    }
    state.editing.draft = text;
    state.overlay = Some(Overlay::Prompt(Prompt {
        wanted: Wanted::QueryName,
        line: QueryLine::open(""),
    }));
    out.draw();
}

/// Keeps the query under this name, and goes back to the line.
pub(super) fn save(state: &mut State, name: &str, out: &mut Out) {
    let query = std::mem::take(&mut state.editing.draft);
    edit(state, &query, out);
    let name = DisplayText::line(name).into_string();
    if name.is_empty() {
        return out.hint(state, "not kept: the query needs a name");
    }
    if state.setup.queries.contains_key(&name) {
        let words = format!("not kept: the config has a query named `{name}` in [queries]");
        state.hint = Some(Notice::bad(&words));
        return;
    }
    state.saved.insert(name.clone(), query.clone());
    let words = format!("kept as `{name}` in {}", state.setup.kept_in);
    out.0.push(Effect::Keep(Change::Saved { name, query }));
    out.hint(state, &words);
}

/// Forgets the saved query that is chosen among what completes the line.
pub(super) fn forget(state: &mut State, out: &mut Out) {
    let editing = &mut state.editing;
    let chosen = editing.chosen.and_then(|at| editing.offers.list.get(at));
    let name = chosen.and_then(|offer| offer.name.clone());
    let Some(name) = name else {
        return out.advise(
            state,
            "forget: {complete} chooses a query that was kept first",
        );
    };
    if state.saved.remove(&name).is_none() {
        let words = format!("`{name}` stands in the config: take it out of [queries] there");
        return out.hint(state, &words);
    }
    edited(state, out);
    let words = format!("`{name}` is forgotten");
    out.0.push(Effect::Keep(Change::Forgotten(name)));
    out.hint(state, &words);
}
