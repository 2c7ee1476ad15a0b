//! How much is done at once, and how long others get in between, when something is done to very many rows.

use std::time::{Duration, Instant};

/// A transaction aims at this: others wait a little longer than that at worst.
const AIM: Duration = Duration::from_millis(12);

/// Whoever waits for the lock in another process looks several times meanwhile (see `wait_for_lock`).
pub(super) const GAP: Duration = Duration::from_millis(2);

const FEWEST: usize = 20;
const MOST: usize = 1_000;

/// Rows a transaction, found by how long the last one took.
pub(super) struct Pace {
    rows: usize,
    took: Duration,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self {
            rows: 100,
            took: Duration::ZERO,
        }
    }

    /// How many rows to take now.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// The transaction that began then is over.
    pub(super) fn held_since(&mut self, began: Instant) {
        self.took = began.elapsed();
        if self.took > AIM {
            let aim = self.rows as f64 * AIM.as_secs_f64() / self.took.as_secs_f64();
            self.rows = (aim as usize).max(FEWEST);
        } else if self.took < AIM / 2 {
            self.rows = (self.rows * 3 / 2).min(MOST);
        }
    }

    /// So long that others have the store four parts in five: for what is in no hurry.
    pub(super) fn leisure(&self) -> Duration {
        (self.took * 4).max(GAP)
    }
}
