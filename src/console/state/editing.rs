//! What goes with the query line while it is being edited.

use super::State;
use crate::{
    console::complete::{Known, Offers},
    query::Query,
    store::{Count, Scan},
};

/// What goes with the query line while it is being edited.
#[derive(Clone, Debug, Default)]
pub struct Editing {
    /// What could stand at the cursor.
    pub offers: Offers,
    /// Which of it stands there.
    pub chosen: Option<usize>,
    /// How many queries back in the history the line is; 0 is what was being written.
    pub(in crate::console) back: usize,
    /// What was being written, or what is to be kept under a name.
    pub(in crate::console) draft: String,
    /// What the line means; `None`: it cannot be read, or was not changed yet.
    pub(in crate::console) query: Option<Query>,
    /// How many match that.
    pub count: Option<Count>,
    /// What makes it slow, if something does.
    pub scan: Option<Scan>,
}

impl State {
    /// What completes a query.
    pub(in crate::console) fn known(&self) -> Known {
        let (config, saved) = (&self.setup.queries, &self.saved);
        Known {
            words: self.words.clone(),
            queries: saved.iter().chain(config).map(own).collect(),
            labels: self.setup.types.clone(),
        }
    }
}

fn own((name, query): (&String, &String)) -> (String, String) {
    (name.clone(), query.clone())
}
