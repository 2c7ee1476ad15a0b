//! One backend inside one engine: what waits for it, who holds what, and whether it may send.
//!
//! The supervisor fills and empties a lane, workers take from it; [`breaker`] says when it may be used, [`results`] what becomes of what was taken.

mod breaker;
pub(super) mod log;
mod results;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{
    Backend, Batch, Clock, Policy, Tally,
    rate::{Bucket, Rate},
    router::ROOM,
    signal::Signal,
};
use crate::{
    message::{MessageId, Receiver, ReceiverId, State, Timestamp},
    store::{BackendState, Claim, Ledger, Scope, Standing, StoreError},
};
use breaker::{Gate, Look, Streaks};

/// A backend with the rules for it.
#[derive(Clone)]
pub struct Way {
    /// Its name in the config.
    pub name: String,
    /// The way out.
    pub backend: Arc<dyn Backend>,
    /// What follows from an outcome.
    pub policy: Policy,
    /// The first wait between two probes; it doubles up to ten minutes.
    pub probe: Duration,
    /// How fast receivers may go out, over all connections of this process; `None`: as fast as the server takes them.
    pub rate: Option<Rate>,
}

/// Rows are claimed for so long ahead of a rate: those that wait longer are for whoever comes next.
const AHEAD: Duration = Duration::from_secs(1);

/// What the sessions send at a time may be so large together (bytes of content), though one alone may be larger: each makes two or three copies of
/// it on the way to the wire, and eight messages of 20 MB would take a gigabyte.
const LOAD: usize = 48 << 20;

/// One claim of one row. An operator's action or a lease that is over ends a claim while its batch still waits here, and the same row may be
/// claimed anew meanwhile: what becomes of the old claim must not touch the new one.
type Held = (ReceiverId, i64);

fn held(receiver: &Receiver) -> Held {
    (receiver.id, receiver.epoch)
}

/// A row in this engine's hands.
struct Hand {
    standing: Standing,
    started_at: Timestamp,
    armed: bool,
    /// Its link was lost once before it was armed.
    lost: bool,
    message: MessageId,
}

/// The last that was heard of the server, over whatever connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    /// Nothing since the way was last in trouble.
    Nothing,
    /// Its answer for a receiver.
    Answer,
    /// It turned a message away as if it took nobody's.
    Denial,
}

struct Inner {
    gate: Gate,
    ready: VecDeque<Batch>,
    hands: HashMap<Held, Hand>,
    workers: usize,
    /// Workers that wait for work.
    idle: usize,
    /// Sessions that are open and good.
    sessions: usize,
    /// At most so many connections until then.
    fewer: Option<(usize, Instant)>,
    streaks: Streaks,
    bucket: Option<Bucket>,
    /// The size of what the sessions are sending, in bytes of content.
    load: usize,
    heard: Heard,
    stopping: bool,
    /// The store cannot be written.
    halted: bool,
    /// Why an arm was refused, until the supervisor asks.
    refusal: Option<StoreError>,
    tally: Tally,
    jitter: fastrand::Rng,
}

/// One backend inside one engine. Its workers and the supervisor share it.
pub(super) struct Lane {
    pub(super) way: Way,
    pub(super) ledger: Arc<Ledger>,
    clock: Clock,
    /// What this engine may claim.
    scope: Scope,
    inner: Mutex<Inner>,
    changed: Condvar,
    /// Wakes the supervisor.
    supervisor: Arc<Signal>,
}

/// What a worker should do now.
pub(super) enum Turn {
    /// There is work.
    Work,
    /// There is none and will be none, or there are too many of us.
    Leave,
}

impl Lane {
    pub(super) fn new(
        way: Way,
        ledger: Arc<Ledger>,
        clock: Clock,
        scope: Scope,
        seed: u64,
        supervisor: Arc<Signal>,
    ) -> Self {
        let inner = Inner {
            gate: Gate::Closed,
            ready: VecDeque::new(),
            hands: HashMap::new(),
            workers: 0,
            idle: 0,
            sessions: 0,
            fewer: None,
            streaks: Streaks::default(),
            bucket: way.rate.map(|rate| Bucket::new(rate, Instant::now())),
            load: 0,
            heard: Heard::Nothing,
            stopping: false,
            halted: false,
            refusal: None,
            tally: Tally::default(),
            jitter: fastrand::Rng::with_seed(seed),
        };
        Self {
            way,
            ledger,
            clock,
            scope,
            inner: Mutex::new(inner),
            changed: Condvar::new(),
            supervisor,
        }
    }

    /// A pass or a job: it is over for a backend whose breaker opens.
    fn is_once(&self) -> bool {
        self.scope != Scope::Always
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // What the supervisor asks and says.

    /// Goes on counting where the process before it stopped: a pass of a few receivers alone would never come to twenty in a row.
    pub(super) fn recall(&self) -> Result<(), StoreError> {
        let before = self.ledger.store().last_reports(&self.way.name)?;
        let streaks = &mut self.inner().streaks;
        for (receiver, report) in before {
            streaks.result(receiver, &report);
        }
        Ok(())
    }

    /// Reads the backend's state from the store: another process may have paused or resumed it, or met its trouble.
    pub(super) fn refresh(&self, first: bool) -> Result<(), StoreError> {
        let row = self.ledger.store().backend(&self.way.name)?;
        let mut inner = self.inner();
        let look = Look {
            once: self.is_once(),
            first,
            now: (self.clock)(),
        };
        let gate = inner.gate.after(row.as_ref(), look);
        if gate != inner.gate {
            if row.is_some_and(|row| row.state == BackendState::Paused) {
                tracing::info!(backend = self.way.name, "the backend is paused");
            }
            if inner.gate == Gate::Closed {
                // An operator says that it is well again: what was refused before then no longer counts.
                inner.streaks = Streaks::default();
            }
            inner.gate = gate;
            let freed = inner.shut_out(gate);
            drop(inner);
            self.free(&freed)?;
            self.changed.notify_all();
        }
        Ok(())
    }

    /// How many rows to claim for it now.
    pub(super) fn wants(&self, batch: usize) -> usize {
        let inner = self.inner();
        let waiting: usize = inner.ready.iter().map(|batch| batch.receivers.len()).sum();
        let batch = inner.bucket.as_ref().map_or(batch, |bucket| {
            let may_go = bucket.within(AHEAD, Instant::now());
            batch.min(may_go.saturating_sub(waiting))
        });
        match inner.gate {
            _ if batch == 0 => 0,
            _ if inner.stopping => 0,
            Gate::Open if waiting < (batch / 2).max(1) && inner.has_room() => batch,
            Gate::Probing if !inner.hands.is_empty() => 0,
            Gate::Probing if inner.heard == Heard::Denial => batch,
            Gate::Probing => 1,
            _ => 0,
        }
    }

    /// What of these claims to go on with: all of them, or one as a probe; the others are freed. Where the server turned a message away it may be its sender
    /// that is meant, and more of the same may be next: then whoever is furthest behind is tried, and was not turned away yet. Also when the disk refuses
    /// to free the others now: whom an engine claimed and forgot nobody would try for as long as it lives.
    pub(super) fn chosen(&self, mut claims: Vec<Claim>) -> Vec<Claim> {
        if claims.len() < 2 || self.inner().gate != Gate::Probing {
            return claims;
        }
        let untried = |claim: &Claim| claim.standing.state != State::FailedBackend;
        let probe = claims.remove(claims.iter().rposition(untried).unwrap_or(0));
        let others: Vec<&Receiver> = claims.iter().map(|claim| &claim.receiver).collect();
        self.report_store(self.ledger.free(&others));
        vec![probe]
    }

    /// Takes batches of claimed rows; `claims` has every receiver of them. What was claimed while the gate shut is let go: it would be tried though it is
    /// shut.
    pub(super) fn push(&self, claims: &[Claim], batches: Vec<Batch>) {
        let now = (self.clock)();
        let mut inner = self.inner();
        if inner.stopping || !inner.gate.lets_pass() {
            drop(inner);
            let receivers: Vec<&Receiver> = claims.iter().map(|claim| &claim.receiver).collect();
            self.report_store(self.ledger.free(&receivers));
            return;
        }
        for claim in claims {
            let hand = Hand {
                standing: claim.standing,
                started_at: now,
                armed: false,
                lost: false,
                message: claim.message,
            };
            inner.hands.insert(held(&claim.receiver), hand);
        }
        inner.ready.extend(batches);
        drop(inner);
        self.changed.notify_all();
    }

    /// Whether another worker should be started; counts it as started.
    pub(super) fn hire(&self) -> bool {
        let mut inner = self.inner();
        // Until one connection has opened, one tries: a server that is down must not be met by a wave.
        let mut most = if inner.sessions == 0 || inner.gate == Gate::Probing {
            1
        } else {
            self.way.backend.connections().max(1)
        };
        if let Some((fewer, until)) = inner.fewer {
            if Instant::now() < until {
                most = most.min(fewer);
            } else {
                inner.fewer = None;
            }
        }
        let hire = inner.may_take() && inner.workers < most && inner.ready.len() > inner.idle;
        if hire {
            inner.workers += 1;
        }
        hire
    }

    /// Nothing waits and nothing is in hand.
    pub(super) fn is_idle(&self) -> bool {
        let inner = self.inner();
        inner.ready.is_empty() && inner.hands.is_empty()
    }

    /// Whether it may claim at all now.
    pub(super) fn is_shut(&self) -> bool {
        matches!(self.inner().gate, Gate::Shut(_) | Gate::Closed)
    }

    /// Why the store refused an arm, if it did since this was last asked.
    pub(super) fn refusal(&self) -> Option<StoreError> {
        self.inner().refusal.take()
    }

    /// Nothing is handed out while halted.
    pub(super) fn halt(&self, halted: bool) {
        self.inner().halted = halted;
        self.changed.notify_all();
    }

    /// Whether any worker still has a connection to close.
    pub(super) fn has_workers(&self) -> bool {
        self.inner().workers > 0
    }

    pub(super) fn tally(&self) -> Tally {
        self.inner().tally
    }

    /// Claims nothing more, lets go what was not begun. What is under way goes on.
    pub(super) fn stop(&self) -> Result<(), StoreError> {
        let mut inner = self.inner();
        inner.stopping = true;
        let freed = inner.shut_out(Gate::Closed);
        drop(inner);
        self.changed.notify_all();
        self.free(&freed)
    }

    fn free(&self, batches: &[Batch]) -> Result<(), StoreError> {
        let receivers: Vec<&Receiver> = batches.iter().flat_map(|batch| &batch.receivers).collect();
        if receivers.is_empty() {
            Ok(())
        } else {
            self.ledger.free(&receivers)
        }
    }

    // What workers ask and say.

    /// Waits for work for as long as an idle connection is worth keeping.
    pub(super) fn turn(&self, idle: Duration) -> Turn {
        let mut inner = self.inner();
        inner.idle += 1;
        let until = Instant::now() + idle;
        while !inner.stopping && !inner.may_take() {
            let now = Instant::now();
            let left = until.saturating_duration_since(now);
            if left.is_zero() {
                break;
            }
            // When the rate lets something go nobody says so.
            let wait = match inner.bucket.as_ref().map(|bucket| bucket.wait(now)) {
                Some(wait) if !wait.is_zero() && !inner.ready.is_empty() => wait.min(left),
                _ => left,
            };
            (inner, _) = self
                .changed
                .wait_timeout(inner, wait)
                .unwrap_or_else(PoisonError::into_inner);
        }
        inner.idle -= 1;
        if inner.may_take() {
            Turn::Work
        } else {
            Turn::Leave
        }
    }

    /// A connection is open and greeted: others may follow.
    pub(super) fn opened(&self) {
        self.inner().sessions += 1;
        self.supervisor.raise();
    }

    /// A connection is gone.
    pub(super) fn closed(&self) {
        self.inner().sessions -= 1;
    }

    pub(super) fn leave(&self) {
        self.inner().workers -= 1;
        self.supervisor.raise();
    }

    /// Whether something got through since the way was last in trouble.
    pub(super) fn works(&self) -> bool {
        let inner = self.inner();
        inner.heard == Heard::Answer && inner.gate == Gate::Open
    }

    /// Hands out the next batch.
    pub(super) fn take(&self) -> Option<Batch> {
        let now = (self.clock)();
        let mut inner = self.inner();
        if !inner.may_take() {
            return None;
        }
        let batch = inner.ready.pop_front()?;
        if let Some(bucket) = &mut inner.bucket {
            bucket.take(batch.receivers.len(), Instant::now());
        }
        inner.load += batch.content.size();
        for receiver in &batch.receivers {
            if let Some(hand) = inner.hands.get_mut(&held(receiver)) {
                hand.started_at = now;
            }
        }
        if inner.ready.len() < 50 {
            self.supervisor.raise();
        }
        Some(batch)
    }

    /// So many bytes of what was handed out are sent, or never will be.
    pub(super) fn unload(&self, bytes: usize) {
        if bytes > 0 {
            self.inner().load -= bytes;
            self.changed.notify_all();
        }
    }

    /// Takes back what was not tried: first in the queue.
    pub(super) fn put_back(&self, batch: Batch) {
        if batch.receivers.is_empty() {
            return;
        }
        let mut inner = self.inner();
        if inner.gate.lets_pass() && !inner.stopping {
            inner.ready.push_front(batch);
            drop(inner);
            self.changed.notify_one();
            self.supervisor.raise();
            return;
        }
        for receiver in &batch.receivers {
            inner.hands.remove(&held(receiver));
        }
        drop(inner);
        self.report_store(self.free(&[batch]));
        self.supervisor.raise();
    }

    /// Whether any receiver of the batch is still without a result.
    pub(super) fn has_any_in_hand(&self, batch: &Batch) -> bool {
        let inner = self.inner();
        batch
            .receivers
            .iter()
            .any(|receiver| inner.hands.contains_key(&held(receiver)))
    }

    /// What is still in hand of these receivers, sorted: armed ones first.
    pub(super) fn still_in_hand(&self, batch: &Batch) -> (Vec<Receiver>, Vec<Receiver>) {
        let inner = self.inner();
        let mine = batch
            .receivers
            .iter()
            .filter(|receiver| inner.hands.contains_key(&held(receiver)))
            .cloned();
        mine.partition(|receiver| {
            inner
                .hands
                .get(&held(receiver))
                .is_some_and(|hand| hand.armed)
        })
    }

    /// The store's trouble stops nothing by itself: arms are refused while it lasts, and results are kept.
    fn report_store(&self, result: Result<(), StoreError>) {
        if let Err(error) = result {
            self.report(&error);
        }
    }

    fn report(&self, error: &StoreError) {
        tracing::error!(backend = self.way.name, %error, "the store cannot be written");
        self.inner().tally.store_errors += 1;
        self.supervisor.raise();
    }
}

impl Inner {
    /// Whether what waits leaves room for more in memory.
    fn has_room(&self) -> bool {
        let mut seen = HashSet::new();
        let contents = self.ready.iter().map(|batch| &batch.content);
        let distinct = contents.filter(|content| seen.insert(Arc::as_ptr(content)));
        distinct.map(|content| content.size()).sum::<usize>() <= ROOM
    }

    fn may_take(&self) -> bool {
        let lets_go = |bucket: &Bucket| bucket.wait(Instant::now()).is_zero();
        let finds_room = |next: &Batch| self.load == 0 || self.load + next.content.size() <= LOAD;
        self.ready.front().is_some_and(finds_room)
            && !self.stopping
            && !self.halted
            && self.bucket.as_ref().is_none_or(lets_go)
    }

    /// Empties the queue if the gate lets nobody pass; the batches are to be freed.
    fn shut_out(&mut self, gate: Gate) -> Vec<Batch> {
        if matches!(gate, Gate::Open) {
            return Vec::new();
        }
        let batches: Vec<Batch> = self.ready.drain(..).collect();
        for receiver in batches.iter().flat_map(|batch| &batch.receivers) {
            self.hands.remove(&held(receiver));
        }
        batches
    }
}
