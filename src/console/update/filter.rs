//! The filter panel: open, go through it, turn what the cursor is on.

use super::{Out, query};
use crate::{
    console::{
        filter::{self, Choice},
        question::{Question, Sort},
        state::{Overlay, Panel, State},
    },
    store::Count,
};

/// Opens it.
pub(super) fn open(state: &mut State, out: &mut Out) {
    state.overlay = Some(Overlay::Filter(Panel::default()));
    out.ask(state, Question::Words);
    look_again(state, out);
    out.draw();
}

/// Goes so many lines down, or up.
pub(super) fn step(state: &mut State, by: i64, out: &mut Out) {
    let last = choices(state).len().saturating_sub(1) as i64;
    if let Some(Overlay::Filter(panel)) = &mut state.overlay {
        panel.at = (panel.at as i64).saturating_add(by).clamp(0, last) as usize;
        out.draw();
    }
}

/// Goes to the first line of the next part, or of the one before.
pub(super) fn section(state: &mut State, forward: bool, out: &mut Out) {
    let choices = choices(state);
    let Some(Overlay::Filter(panel)) = &mut state.overlay else {
        return;
    };
    let begins = |at: &usize| *at == 0 || choices[*at].section() != choices[*at - 1].section();
    let here = panel.at;
    let mut starts = (0..choices.len()).filter(begins);
    let found = if forward {
        starts.clone().find(|at| *at > here).or(starts.next())
    } else {
        starts.clone().rfind(|at| *at < here).or(starts.next_back())
    };
    panel.at = found.unwrap_or(0);
    out.draw();
}

/// Turns what the cursor is on.
pub(super) fn turn(state: &mut State, out: &mut Out) {
    let choice = match &state.overlay {
        Some(Overlay::Filter(panel)) => choices(state).into_iter().nth(panel.at),
        _ => None,
    };
    let Some(choice) = choice else {
        return;
    };
    let text = choice.turned(&state.table.asked);
    if let Some(Overlay::Filter(panel)) = &mut state.overlay {
        // What a part of the panel says does not change with that part.
        let section = choice.section();
        panel.counts.retain(|(other, _)| other.section() == section);
    }
    query::show(state, text, out);
    // A choice that the query no longer names may be gone.
    step(state, 0, out);
}

/// The lines of the panel.
fn choices(state: &State) -> Vec<Choice> {
    filter::choices(&state.words, &state.table.asked)
}

/// Counts every choice anew, one after the other.
pub(super) fn look_again(state: &mut State, out: &mut Out) {
    state.asks.forget(Sort::Facet);
    let todo = choices(state).into();
    if let Some(Overlay::Filter(panel)) = &mut state.overlay {
        panel.todo = todo;
        next(state, out);
    }
}

/// Counts the next choice.
fn next(state: &mut State, out: &mut Out) {
    let Some(Overlay::Filter(panel)) = &mut state.overlay else {
        return;
    };
    while let Some(choice) = panel.todo.pop_front() {
        let text = choice.alone(&state.table.asked);
        if let Ok(query) = state.setup.zone.read(&text, state.now) {
            panel.counting = Some(choice);
            return out.ask(state, Question::Facet(query));
        }
    }
    panel.counting = None;
}

/// How many match a choice; `None`: that could not be found out.
pub(super) fn take(state: &mut State, count: Option<Count>, out: &mut Out) {
    if let Some(Overlay::Filter(panel)) = &mut state.overlay
        && let Some(choice) = panel.counting.take()
    {
        let had = panel.counts.iter().position(|(other, _)| *other == choice);
        if let (Some(at), true) = (had, count.is_none()) {
            panel.counts.remove(at);
        } else if let Some(count) = count {
            match had {
                Some(at) if panel.counts[at].1 == count => return next(state, out),
                Some(at) => panel.counts[at].1 = count,
                None => panel.counts.push((choice, count)),
            }
        }
        out.draw();
        next(state, out);
    }
}

/// The store has changed: counts again, once what is being counted is through.
pub(super) fn refresh(state: &mut State, out: &mut Out) {
    let idle = match &state.overlay {
        Some(Overlay::Filter(panel)) => panel.todo.is_empty() && panel.counting.is_none(),
        _ => false,
    };
    if idle {
        look_again(state, out);
    }
}
