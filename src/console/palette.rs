//! Which actions the palette finds.

use super::{
    action::{Entry, Place, TABLE},
    state::State,
};

/// The places whose actions are found: those that are only steps of another action are not.
const PLACES: [Place; 5] = [
    Place::Table,
    Place::Detail,
    Place::Causes,
    Place::Overview,
    Place::Copying,
];

/// An action that was found.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// Which.
    pub entry: &'static Entry,
    /// Whether it has a meaning where the operator is.
    pub here: bool,
}

impl Found {
    /// Why it does nothing now.
    pub fn disabled(&self, state: &State) -> Option<String> {
        if !self.here {
            let place = self.entry.places.first()?;
            return Some(place.name().to_lowercase());
        }
        (self.entry.disabled)(state).map(|why| state.setup.keymap.fill(why))
    }
}

/// The actions whose name or help has these letters: a name that begins with them first, then what has them together, then in this order with others
/// between. Of the same rank, what works here comes first.
pub fn found(state: &State, letters: &str) -> Vec<Found> {
    let letters = letters.trim().to_lowercase().replace(' ', "-");
    let here = state.ground();
    let mut found: Vec<_> = TABLE
        .iter()
        .filter(|entry| entry.places.iter().any(|place| PLACES.contains(place)))
        .filter_map(|entry| {
            let here = entry.places.contains(&here) || entry.places.contains(&Place::Copying);
            rank(entry, &letters).map(|rank| (rank, !here, Found { entry, here }))
        })
        .collect();
    found.sort_by_key(|(rank, elsewhere, _)| (*rank, *elsewhere));
    found.into_iter().map(|(.., found)| found).collect()
}

fn rank(entry: &Entry, letters: &str) -> Option<u8> {
    let words = || letters.replace('-', " ");
    if entry.name.starts_with(letters) {
        Some(0)
    } else if entry.name.contains(letters) {
        Some(1)
    } else if entry.help.to_lowercase().contains(&words()) {
        Some(2)
    } else {
        let mut rest = entry.name.chars();
        letters
            .chars()
            .all(|letter| rest.any(|other| other == letter))
            .then_some(3)
    }
}
