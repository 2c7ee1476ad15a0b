//! The choice of columns, and the order of the rows.

use super::{Out, query};
use crate::{
    console::{
        column::Column,
        effect::Effect,
        kept::Change,
        state::{Columns, Notice, Overlay, State},
        view,
    },
    store::{By, Sort},
};

/// A step of a column's width.
const STEP: isize = 2;

/// Opens the choice.
pub(super) fn open(state: &mut State, out: &mut Out) {
    state.overlay = Some(Overlay::Columns(0));
    out.draw();
}

/// Goes so many lines down, or up.
pub(super) fn step(state: &mut State, by: i64, out: &mut Out) {
    let last = state.columns.all().len() as i64 - 1;
    if let Some(Overlay::Columns(at)) = &mut state.overlay {
        *at = (*at as i64).saturating_add(by).clamp(0, last) as usize;
        out.draw();
    }
}

/// The column under the cursor, and what changes it. It is kept.
fn change(state: &mut State, out: &mut Out, what: impl FnOnce(&mut Columns, &mut usize)) {
    let Some(Overlay::Columns(at)) = &mut state.overlay else {
        return;
    };
    let before = state.columns.clone();
    what(&mut state.columns, at);
    if state.columns != before {
        out.0
            .push(Effect::Keep(Change::Columns(state.columns.kept())));
    }
    out.draw();
}

/// Shows the column, or hides it.
pub(super) fn turn(state: &mut State, out: &mut Out) {
    let mut why = None;
    change(state, out, |columns, at| why = columns.turn(*at).err());
    if let Some(why) = why {
        out.hint(state, why);
    }
}

/// Moves the column to the right, or to the left; the cursor goes with it.
pub(super) fn shift(state: &mut State, right: bool, out: &mut Out) {
    change(state, out, |columns, at| *at = columns.shift(*at, right));
}

/// Makes the column wider, or narrower.
pub(super) fn size(state: &mut State, wider: bool, out: &mut Out) {
    let widths = view::widths(state);
    change(state, out, |columns, at| {
        let column = columns.all()[*at].column;
        let now = widths.iter().find(|(other, _)| *other == column);
        let now = now.map_or(column.head().len(), |(_, width)| *width);
        columns.size(*at, now, if wider { STEP } else { -STEP });
    });
}

/// Makes the column as wide as there is room.
pub(super) fn unsize(state: &mut State, out: &mut Out) {
    change(state, out, |columns, at| columns.unsize(*at));
}

/// Shows the columns as if none had been chosen.
pub(super) fn usual(state: &mut State, out: &mut Out) {
    change(state, out, |columns, _| *columns = Columns::default());
}

/// Sorts by the column under the cursor; if it is sorted by that already, the other way round.
pub(super) fn sort(state: &mut State, out: &mut Out) {
    let Some(Overlay::Columns(at)) = &state.overlay else {
        return;
    };
    let column: Column = state.columns.all()[*at].column;
    let Some(by) = column.order() else {
        let orders = By::ALL.map(By::name).join(", ");
        let words = format!(
            "no index gives the order of {}: every receiver would have to be read first (orders are {orders})",
            column.head()
        );
        state.hint = Some(Notice::bad(&words));
        return out.draw();
    };
    let now = state.table.sort;
    let reversed = now.by == by && !now.reversed;
    order(state, Sort { by, reversed }, out);
}

/// Sorts by the next order there is.
pub(super) fn next(state: &mut State, out: &mut Out) {
    let now = By::ALL.iter().position(|by| *by == state.table.sort.by);
    let next = now.map_or(0, |at| (at + 1) % By::ALL.len());
    order(state, By::ALL[next].into(), out);
}

/// Turns the order round.
pub(super) fn reverse(state: &mut State, out: &mut Out) {
    let now = state.table.sort;
    let reversed = !now.reversed;
    order(state, Sort { reversed, ..now }, out);
}

fn order(state: &mut State, sort: Sort, out: &mut Out) {
    state.table.sort = sort;
    out.0.push(Effect::Keep(Change::Sort(sort)));
    query::reorder(state, out);
    let way = match (sort.by, sort.by.descends() != sort.reversed) {
        (By::Id | By::Created | By::Sent, true) => "latest first",
        (By::Id | By::Created | By::Sent, false) => "earliest first",
        (_, false) => "in order",
        (_, true) => "in reverse order",
    };
    out.hint(state, &format!("sorted by {}, {way}", sort.by.name()));
}
