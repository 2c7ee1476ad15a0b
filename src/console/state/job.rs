//! Jobs that are running.

use crate::console::effect::{JobId, Order};

/// A job that is running.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its number.
    pub id: JobId,
    /// What was confirmed.
    pub order: Order,
    /// How many receivers it should touch.
    pub expected: u64,
    /// How far it is.
    pub phase: Phase,
    /// It was told to end.
    pub stopping: bool,
}

/// How far a job is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// So many receivers are written down.
    Marking(u64),
    /// Delivery is under way: so many of so many have been tried.
    Delivering(u64, u64),
}

impl Job {
    /// How many receivers are done and how many there are.
    pub fn progress(&self) -> (u64, u64) {
        match &self.phase {
            Phase::Marking(done) => (*done, self.expected.max(*done)),
            Phase::Delivering(done, total) => (*done, *total),
        }
    }
}
