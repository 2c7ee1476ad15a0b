//! The overview: which backend the operator is at, and what failed over each.

use super::State;
use crate::{
    message::Text,
    store::{BackendRow, CauseRow, Traffic},
};

/// What only the overview needs to know.
#[derive(Clone, Debug, Default)]
pub struct Overview {
    /// Which backend the operator is at; the first when that is none there is.
    pub cursor: Option<Text>,
    /// The biggest causes over each backend, as far as they are known.
    pub failures: Vec<(Text, Vec<CauseRow>)>,
    /// How many lines are scrolled away.
    pub top: usize,
}

impl Overview {
    /// Where the cursor stands among the backends.
    pub fn index(&self, state: &State) -> usize {
        let at = |name: &Text| state.backends.iter().position(|row| row.name == *name);
        self.cursor.as_ref().and_then(at).unwrap_or(0)
    }

    /// The backend under the cursor.
    pub fn current<'a>(&self, state: &'a State) -> Option<&'a BackendRow> {
        state.backends.get(self.index(state))
    }

    /// The biggest causes over a backend.
    pub fn causes_of(&self, backend: &Text) -> &[CauseRow] {
        let known = self.failures.iter().find(|(name, _)| name == backend);
        known.map_or(&[], |(_, causes)| causes)
    }
}

impl State {
    /// How things go over a backend.
    pub fn traffic_of(&self, backend: &Text) -> Option<&Traffic> {
        self.traffic.iter().find(|one| one.backend == *backend)
    }
}
