//! How much is done at once, and how long others get in between, when something is done to very many rows.

use std::time::{Duration, Instant};

/// A transaction aims at this: others wait a little longer than that at worst.
const AIM: Duration = Duration::from_millis(8);

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
            rows: 50,
            took: Duration::ZERO,
        }
    }

    /// How many rows to take now.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// The transaction that began then is over.
    pub(super) fn held_since(&mut self, began: Instant) {
        self.took(began.elapsed());
    }

    /// Fewer rows at once when it took too long, more by and by when it did not: one slow flush of the disk is soon forgotten.
    fn took(&mut self, took: Duration) {
        self.took = took;
        let aim = self.rows as f64 * AIM.as_secs_f64() / took.as_secs_f64().max(1e-6);
        self.rows = (aim as usize).min(self.rows * 2).clamp(FEWEST, MOST);
    }

    /// So long that others have the store four parts in five: for what is in no hurry.
    pub(super) fn leisure(&self) -> Duration {
        (self.took * 4).max(GAP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What so many rows take on a disk whose flush takes so long.
    fn took(rows: usize, flush: Duration) -> Duration {
        flush + Duration::from_micros(15) * rows as u32
    }

    #[test]
    fn one_slow_flush_does_not_make_the_steps_small_for_long() {
        let usual = Duration::from_millis(3);
        let mut pace = Pace::new();
        let mut step = |flush| {
            pace.took(took(pace.rows(), flush));
            pace.rows()
        };
        for _ in 0..20 {
            step(usual);
        }
        let before = step(usual);
        assert!(took(before, usual) <= AIM && took(before, usual) > AIM * 3 / 4);
        assert!(step(Duration::from_millis(45)) < before / 2);
        let after = (0..5).map(|_| step(usual)).last();
        assert!(
            after.is_some_and(|after| after * 10 > before * 9),
            "{after:?}, before {before}"
        );
    }
}
