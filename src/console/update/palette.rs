//! The palette: opened, searched, an action chosen and done.

use super::{Out, export, keys};
use crate::console::{
    action::Place,
    palette::found,
    query_line::QueryLine,
    state::{Overlay, Palette, State},
};

/// Opens it.
pub(super) fn open(state: &mut State, out: &mut Out) {
    state.overlay = Some(Overlay::Palette(Palette {
        line: QueryLine::open(""),
        chosen: 0,
    }));
    out.draw();
}

/// Chooses another action.
pub(super) fn step(state: &mut State, by: isize, out: &mut Out) {
    let Some(Overlay::Palette(palette)) = &state.overlay else {
        return;
    };
    let many = found(state, palette.line.text()).len();
    let to = palette.chosen.saturating_add_signed(by);
    if let Some(Overlay::Palette(palette)) = &mut state.overlay {
        palette.chosen = to.min(many.saturating_sub(1));
        out.draw();
    }
}

/// Does what is chosen, as if its key had been pressed where the palette was opened.
pub(super) fn run(state: &mut State, out: &mut Out) {
    let Some(Overlay::Palette(palette)) = &state.overlay else {
        return;
    };
    let Some(chosen) = found(state, palette.line.text())
        .get(palette.chosen)
        .copied()
    else {
        return;
    };
    state.overlay = None;
    out.draw();
    let entry = chosen.entry;
    if !chosen.here {
        let place = entry
            .places
            .first()
            .map_or("elsewhere", |place| place.name());
        let place = place.to_lowercase();
        return out.hint(state, &format!("{} is an action {place}", entry.name));
    }
    if entry.places.contains(&Place::Copying) && !entry.places.contains(&state.place()) {
        export::choose(state, out);
    }
    keys::choose(state, entry, out);
}
