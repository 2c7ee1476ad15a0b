//! What the mouse does, where it is taken: the wheel moves, a click puts the cursor on a row.

use ratatui::layout::Position;

use super::{Out, causes, keys, keys::Way, moves, moves::Scroll, overview};
use crate::console::{
    action::Place,
    effect::Mouse,
    layout::{Areas, Focus},
    state::State,
    view,
};

/// Lines that one step of the wheel moves.
const WHEEL: i64 = 3;

/// The mouse was used at a place of the screen.
pub(super) fn take(state: &mut State, what: Mouse, at: Position, out: &mut Out) {
    // Nothing lies over the screen that a click could miss.
    if state.overlay.is_some() {
        return;
    }
    let Some(areas) = state.areas() else {
        return;
    };
    match what {
        Mouse::WheelDown => keys::go(state, Way::Lines(WHEEL), out),
        Mouse::WheelUp => keys::go(state, Way::Lines(-WHEEL), out),
        Mouse::Click => click(state, &areas, at, out),
    }
}

fn click(state: &mut State, areas: &Areas, at: Position, out: &mut Out) {
    // The first line of a list is its head.
    let line = |top: u16| usize::from(at.y).checked_sub(usize::from(top) + 1);
    match state.ground() {
        Place::Causes => {
            if let Some(line) = line(areas.body().y) {
                causes::point_at(state, line, out);
            }
        }
        Place::Overview => {
            if let Some(index) = line(areas.body().y) {
                overview::point_at(state, view::overview_top(state) + index, out);
            }
        }
        _ if areas.detail.contains(at) => focus(state, Focus::Detail, out),
        _ if areas.table.contains(at) && !state.table.jumping => {
            focus(state, Focus::Table, out);
            let index = line(areas.table.y).map(|line| state.table.top() + line);
            if let (Some(to), Some(from)) = (index, state.table.index())
                && to < state.table.rows.len()
            {
                moves::step(state, to as i64 - from as i64, Scroll::AtTheEdge, out);
            }
        }
        _ => {}
    }
}

fn focus(state: &mut State, focus: Focus, out: &mut Out) {
    if state.focus != focus && state.table.cursor.is_some() {
        state.focus = focus;
        out.draw();
    }
}
