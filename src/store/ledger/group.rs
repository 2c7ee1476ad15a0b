//! What one commit writes, and who may still join it.

use std::{
    collections::VecDeque,
    mem::take,
    sync::PoisonError,
    time::{Duration, Instant},
};

use super::{Entry, Ledger, Queue};
use crate::store::StoreError;

/// A group waits at most this long for the connections that have not come.
const GATHER: Duration = Duration::from_millis(5);

/// What one commit writes. While it is open, who comes to arm joins it; whoever comes later needs another leader.
pub(super) struct Group<'a> {
    ledger: &'a Ledger,
    entries: VecDeque<Entry>,
    /// Until then others may join; `None`: it is closed.
    until: Option<Instant>,
    /// When it was closed.
    closed: Instant,
}

impl<'a> Group<'a> {
    /// An open one, of what waits now and who comes as long as one flush for all may save: without that, two halves of the connections would take
    /// turns for ever, each waiting for the other's flush.
    pub(super) fn open(ledger: &'a Ledger) -> Self {
        let (now, mut queue) = (Instant::now(), ledger.queue());
        Self {
            ledger,
            entries: take(&mut queue.entries),
            until: Some(now + (queue.took / 2).min(GATHER)),
            closed: now,
        }
    }

    /// What waits now, and nothing more.
    pub(super) fn closed(ledger: &'a Ledger) -> Self {
        let mut group = Self::open(ledger);
        group.close(&mut ledger.queue());
        group
    }

    /// What it has so far: results and arms, as they came.
    pub(super) fn entries(&self) -> &VecDeque<Entry> {
        &self.entries
    }

    /// Waits until more has come, all have come, or its time is over; then it is closed. Whether there is anything new.
    pub(super) fn gather(&mut self) -> bool {
        let Some(until) = self.until else {
            return false;
        };
        let before = self.entries.len();
        let left = until.saturating_duration_since(Instant::now());
        let waits = |queue: &mut Queue| queue.entries.is_empty() && queue.arms < queue.at_work;
        let (mut queue, wait) = self
            .ledger
            .come
            .wait_timeout_while(self.ledger.queue(), left, waits)
            .unwrap_or_else(PoisonError::into_inner);
        if wait.timed_out() || queue.arms >= queue.at_work {
            self.close(&mut queue);
        } else {
            self.entries.append(&mut queue.entries);
        }
        self.entries.len() > before
    }

    /// Tells the arms why not: what is left is results. Nobody joins any more.
    pub(super) fn refuse_arms(&mut self, why: &StoreError) {
        self.close(&mut self.ledger.queue());
        for entry in take(&mut self.entries) {
            match entry {
                Entry::Settle(..) => self.entries.push_back(entry),
                Entry::Arm(_, answer) => {
                    let _ = answer.send(Err(why.clone()));
                }
            }
        }
    }

    /// It is written: its entries, of whom the arms wait for an answer.
    pub(super) fn written(mut self) -> VecDeque<Entry> {
        self.ledger.queue().took = self.closed.elapsed();
        take(&mut self.entries)
    }

    fn close(&mut self, queue: &mut Queue) {
        if self.until.take().is_some() {
            self.closed = Instant::now();
            self.entries.append(&mut queue.entries);
            queue.led = false;
            queue.arms = 0;
            queue.closed += 1;
        }
    }
}

impl Drop for Group<'_> {
    /// Results that were not written are kept, in their order, before whatever came meanwhile.
    fn drop(&mut self) {
        let mut queue = self.ledger.queue();
        self.close(&mut queue);
        for entry in take(&mut self.entries).into_iter().rev() {
            if !entry.is_arm() {
                queue.entries.push_front(entry);
            }
        }
    }
}
