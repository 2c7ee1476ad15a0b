//! One backend inside one engine: what waits for it, who holds what, and its breaker.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{Backend, Batch, Clock, Failure, Policy, Report, Tally, Trouble};
use crate::{
    message::{MessageId, Outcome, Receiver, ReceiverId, State, Timestamp},
    store::{ArmRequest, BackendState, Claim, Ledger, Record, Settlement, Standing, StoreError},
};

/// A probe waits at most this long for the next.
const PROBE_MAX: Duration = Duration::from_secs(600);

/// After refused credentials: more often, and the provider would lock the account.
const PROBE_AUTH: Duration = Duration::from_secs(3600);

/// So many different messages lost in a row before they were armed: the way is broken, not the messages.
const LOST_IN_A_ROW: usize = 3;

/// So many different receivers in a row refused alike for policy: a misconfigured relay must not make 50,000 Errors.
const ALIKE_IN_A_ROW: usize = 20;

/// A connection that could not be opened beside one that works lowers their number for this long.
const FEWER_FOR: Duration = Duration::from_secs(30);

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
}

/// Whether a lane may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// As much as its connections take.
    Open,
    /// One transaction, to see whether the way works again.
    Probing,
    /// Nothing until then.
    Shut(Timestamp),
    /// Nothing, until somebody outside changes that.
    Closed,
}

/// A row in this engine's hands.
struct Hand {
    standing: Standing,
    started_at: Timestamp,
    armed: bool,
    /// Its link was lost once before it was armed.
    lost: bool,
}

struct Inner {
    gate: Gate,
    ready: VecDeque<Batch>,
    hands: HashMap<ReceiverId, Hand>,
    workers: usize,
    /// Workers that wait for work.
    idle: usize,
    /// Sessions that are open and good.
    sessions: usize,
    /// At most so many connections until then.
    fewer: Option<(usize, Instant)>,
    /// Different messages lost in a row.
    lost: Vec<MessageId>,
    /// What was refused alike in a row, and whom.
    alike: Option<(Failure, Vec<ReceiverId>)>,
    stopping: bool,
    /// The store cannot be written.
    halted: bool,
    tally: Tally,
    jitter: fastrand::Rng,
}

/// One backend inside one engine. Its workers and the supervisor share it.
pub(super) struct Lane {
    pub(super) way: Way,
    pub(super) ledger: Arc<Ledger>,
    clock: Clock,
    /// A pass or a job: it is over for a backend whose breaker opens.
    once: bool,
    inner: Mutex<Inner>,
    changed: Condvar,
    /// Wakes the supervisor.
    supervisor: Arc<Signal>,
}

/// A flag to wait for.
#[derive(Default)]
pub(super) struct Signal {
    raised: Mutex<bool>,
    condition: Condvar,
}

impl Signal {
    pub(super) fn raise(&self) {
        *self.raised.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.condition.notify_all();
    }

    /// Waits until it is raised or the time is over, and lowers it.
    pub(super) fn wait(&self, timeout: Duration) {
        let raised = self.raised.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut raised, _) = self
            .condition
            .wait_timeout_while(raised, timeout, |raised| !*raised)
            .unwrap_or_else(PoisonError::into_inner);
        *raised = false;
    }
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
        once: bool,
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
            lost: Vec::new(),
            alike: None,
            stopping: false,
            halted: false,
            tally: Tally::default(),
            jitter: fastrand::Rng::with_seed(seed),
        };
        Self {
            way,
            ledger,
            clock,
            once,
            inner: Mutex::new(inner),
            changed: Condvar::new(),
            supervisor,
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // What the supervisor asks and says.

    /// Reads the backend's state from the store: another process may have paused or resumed it, or met its trouble.
    pub(super) fn refresh(&self, first: bool) -> Result<(), StoreError> {
        let row = self.ledger.store().backend(&self.way.name)?;
        let mut inner = self.inner();
        let gate = match row.as_ref().map(|row| (row.state, row.probe_at)) {
            Some((BackendState::Paused, _)) => Gate::Closed,
            // A pass and an operator's resend begin with a probe whatever the breaker says.
            Some((BackendState::Down, _)) if self.once && first => Gate::Probing,
            Some((BackendState::Down, _)) if inner.gate == Gate::Probing => Gate::Probing,
            Some((BackendState::Down, _)) if self.once => Gate::Closed,
            Some((BackendState::Down, Some(at))) if at > (self.clock)() => Gate::Shut(at),
            Some((BackendState::Down, _)) => Gate::Probing,
            // Over for this pass, though another process may have found it well again.
            _ if self.once && !first && inner.gate == Gate::Closed => Gate::Closed,
            _ => Gate::Open,
        };
        if gate != inner.gate {
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
        match inner.gate {
            _ if inner.stopping => 0,
            Gate::Open if waiting < batch / 2 => batch,
            Gate::Probing if inner.hands.is_empty() => 1,
            _ => 0,
        }
    }

    /// Takes batches of claimed rows; `claims` has every receiver of them.
    pub(super) fn push(&self, claims: &[Claim], batches: Vec<Batch>) {
        let now = (self.clock)();
        let mut inner = self.inner();
        for claim in claims {
            let hand = Hand {
                standing: claim.standing,
                started_at: now,
                armed: false,
                lost: false,
            };
            inner.hands.insert(claim.receiver.id, hand);
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

    /// Whether an arm was refused by the disk.
    pub(super) fn is_halted(&self) -> bool {
        self.inner().halted
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
        let (mut inner, _) = self
            .changed
            .wait_timeout_while(inner, idle, |inner| {
                inner.ready.is_empty() && !inner.stopping
            })
            .unwrap_or_else(PoisonError::into_inner);
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

    /// Hands out the next batch.
    pub(super) fn take(&self) -> Option<Batch> {
        let now = (self.clock)();
        let mut inner = self.inner();
        if !inner.may_take() {
            return None;
        }
        let batch = inner.ready.pop_front()?;
        for receiver in &batch.receivers {
            if let Some(hand) = inner.hands.get_mut(&receiver.id) {
                hand.started_at = now;
            }
        }
        if inner.ready.len() < 50 {
            self.supervisor.raise();
        }
        Some(batch)
    }

    /// Takes back what was not tried: first in the queue.
    pub(super) fn put_back(&self, batch: Batch) {
        if batch.receivers.is_empty() {
            return;
        }
        let mut inner = self.inner();
        if inner.is_open() && !inner.stopping {
            inner.ready.push_front(batch);
            drop(inner);
            self.changed.notify_one();
            self.supervisor.raise();
            return;
        }
        for receiver in &batch.receivers {
            inner.hands.remove(&receiver.id);
        }
        drop(inner);
        self.report_store(self.free(&[batch]));
        self.supervisor.raise();
    }

    /// Arms these receivers, or says why not: then those whose fence failed are forgotten, and the others of the batch are put back.
    pub(super) fn arm(&self, batch: &Batch, receivers: &[usize]) -> bool {
        let chosen: Vec<&Receiver> = receivers
            .iter()
            .filter_map(|index| batch.receivers.get(*index))
            .collect();
        let started_at = {
            let inner = self.inner();
            if inner.stopping || !inner.is_open() {
                drop(inner);
                self.put_back(batch.clone());
                return false;
            }
            chosen
                .first()
                .and_then(|receiver| inner.hands.get(&receiver.id))
                .map(|hand| hand.started_at)
        };
        let request = ArmRequest {
            receivers: chosen
                .iter()
                .map(|receiver| (receiver.id, receiver.epoch))
                .collect(),
            started_at: started_at.unwrap_or_else(|| (self.clock)()),
        };
        let stale = match self.ledger.arm(request) {
            Ok(stale) if stale.is_empty() => {
                let mut inner = self.inner();
                for receiver in chosen {
                    if let Some(hand) = inner.hands.get_mut(&receiver.id) {
                        hand.armed = true;
                    }
                }
                return true;
            }
            Ok(stale) => stale,
            Err(error) => {
                self.inner().halted = true;
                self.report_store(Err(error));
                Vec::new()
            }
        };
        let mut rest = batch.clone();
        {
            let mut inner = self.inner();
            for id in &stale {
                inner.hands.remove(id);
            }
            rest.receivers
                .retain(|receiver| inner.hands.contains_key(&receiver.id));
        }
        self.put_back(rest);
        false
    }

    /// Writes the result for one receiver.
    pub(super) fn settle(&self, receiver: &Receiver, report: Report) {
        let now = (self.clock)();
        let met_before = match &report {
            Report::Failed(Outcome::Backend, failure) => self.has_met(failure),
            _ => false,
        };
        let mut inner = self.inner();
        let Some(hand) = inner.hands.remove(&receiver.id) else {
            return;
        };
        let outcome = report.outcome();
        // A probe that failed as the one before did says nothing new in this receiver's history.
        let nothing_new = met_before && hand.standing.state == State::FailedBackend;
        let record = if nothing_new {
            Record::Nothing
        } else {
            Record::Attempt
        };
        let jitter = inner.jitter.f64();
        let next = self.way.policy.next(&hand.standing, outcome, now, jitter);
        inner.tally.count(next.state, outcome);
        let worked = inner.gate == Gate::Probing && outcome != Outcome::Backend;
        if worked {
            inner.gate = Gate::Open;
        }
        if outcome == Outcome::Backend {
            // Nothing more is claimed from this moment; for how long, `trouble` says next.
            inner.gate = Gate::Closed;
        }
        if outcome == Outcome::Accepted {
            inner.lost.clear();
        }
        let pause = inner.alike_in_a_row(receiver.id, &report);
        let idle = inner.ready.is_empty() && inner.hands.is_empty();
        drop(inner);
        if let Report::Failed(outcome, failure) = &report {
            tracing::info!(receiver = receiver.id.0, backend = self.way.name, outcome = outcome.name(), error = ?failure.error, "not sent");
        }
        self.ledger.settle(Settlement {
            receiver: receiver.id,
            epoch: receiver.epoch,
            next,
            report,
            started_at: hand.started_at,
            ended_at: now,
            record,
        });
        if worked {
            self.report_store(self.ledger.store().backend_up(&self.way.name, now));
        }
        if let Some(why) = pause {
            self.pause(&why, now);
        }
        if idle || worked {
            self.supervisor.raise();
        }
    }

    /// A link was lost before the batch was armed.
    pub(super) fn lost(&self, batch: Batch, failure: Failure) {
        let mut inner = self.inner();
        if inner.lost.last() != Some(&batch.message.id) {
            inner.lost.retain(|message| *message != batch.message.id);
            inner.lost.push(batch.message.id);
        }
        if inner.lost.len() >= LOST_IN_A_ROW {
            inner.lost.clear();
            drop(inner);
            let trouble = Trouble {
                failure,
                auth: false,
                retry_after: None,
            };
            self.trouble(Some(&batch), &trouble);
            return;
        }
        let mut again = Vec::new();
        let mut twice = Vec::new();
        for receiver in batch.receivers {
            match inner.hands.get_mut(&receiver.id) {
                Some(hand) if hand.lost => twice.push(receiver),
                Some(hand) => {
                    hand.lost = true;
                    again.push(receiver);
                }
                None => {}
            }
        }
        drop(inner);
        for receiver in twice {
            self.settle(
                &receiver,
                Report::Failed(Outcome::Temporary, failure.clone()),
            );
        }
        // Once more, one recipient a transaction.
        for receiver in again.into_iter().rev() {
            let (message, content) = (Arc::clone(&batch.message), Arc::clone(&batch.content));
            self.put_back(Batch {
                message,
                content,
                receivers: vec![receiver],
            });
        }
    }

    /// The way itself does not work. `met` is the batch whose try met it, if a session had not settled it yet.
    pub(super) fn trouble(&self, met: Option<&Batch>, trouble: &Trouble) {
        let now = (self.clock)();
        let store = self.ledger.store();
        let failure = &trouble.failure;
        let before = store.backend(&self.way.name).ok().flatten();
        for receiver in met.into_iter().flat_map(|batch| &batch.receivers) {
            self.settle(receiver, Report::Failed(Outcome::Backend, failure.clone()));
        }
        let wait = match before.and_then(|row| row.probe_wait) {
            _ if trouble.auth => PROBE_AUTH,
            Some(last) => (last * 2).min(PROBE_MAX.max(self.way.probe)),
            None => self.way.probe,
        };
        let wait = wait.max(trouble.retry_after.unwrap_or_default());
        tracing::warn!(backend = self.way.name, error = ?failure.error, "the backend is down, next try in {wait:?}");
        self.report_store(store.backend_down(
            &self.way.name,
            &failure.error,
            &failure.traceback,
            wait,
            now,
        ));
        let gate = if self.once {
            Gate::Closed
        } else {
            Gate::Shut(now + wait)
        };
        let freed = {
            let mut inner = self.inner();
            inner.gate = gate;
            inner.shut_out(gate)
        };
        self.report_store(self.free(&freed));
        self.changed.notify_all();
        self.supervisor.raise();
    }

    /// Whether the backend is down for this very reason already.
    fn has_met(&self, failure: &Failure) -> bool {
        let row = self.ledger.store().backend(&self.way.name).ok().flatten();
        row.is_some_and(|row| row.state == BackendState::Down && row.error.raw() == failure.error)
    }

    /// A connection could not be opened. Beside one that works that only means fewer of them for a while.
    pub(super) fn not_opened(&self, trouble: &Trouble) {
        {
            let mut inner = self.inner();
            if inner.sessions > 0 && inner.gate == Gate::Open {
                inner.fewer = Some((inner.sessions, Instant::now() + FEWER_FOR));
                tracing::warn!(backend = self.way.name, error = ?trouble.failure.error, "fewer connections for a while");
                return;
            }
        }
        let met = self.take();
        self.trouble(met.as_ref(), trouble);
    }

    fn pause(&self, why: &str, now: Timestamp) {
        tracing::error!(backend = self.way.name, why, "the backend is paused");
        self.report_store(
            self.ledger
                .store()
                .pause_backend(&self.way.name, "postroom", why, now),
        );
        let freed = {
            let mut inner = self.inner();
            inner.gate = Gate::Closed;
            inner.shut_out(Gate::Closed)
        };
        self.report_store(self.free(&freed));
    }

    /// Whether any receiver of the batch is still without a result.
    pub(super) fn has_any_in_hand(&self, batch: &Batch) -> bool {
        let inner = self.inner();
        batch
            .receivers
            .iter()
            .any(|receiver| inner.hands.contains_key(&receiver.id))
    }

    /// What is still in hand of these receivers, sorted: armed ones first.
    pub(super) fn still_in_hand(&self, batch: &Batch) -> (Vec<Receiver>, Vec<Receiver>) {
        let inner = self.inner();
        let mine = batch
            .receivers
            .iter()
            .filter(|receiver| inner.hands.contains_key(&receiver.id))
            .cloned();
        mine.partition(|receiver| inner.hands.get(&receiver.id).is_some_and(|hand| hand.armed))
    }

    /// The store's trouble stops nothing by itself: arms are refused while it lasts, and results are kept.
    fn report_store(&self, result: Result<(), StoreError>) {
        if let Err(error) = result {
            tracing::error!(backend = self.way.name, %error, "the store cannot be written");
            self.inner().tally.store_errors += 1;
            self.supervisor.raise();
        }
    }
}

impl Inner {
    /// Whether anybody may pass.
    fn is_open(&self) -> bool {
        matches!(self.gate, Gate::Open | Gate::Probing)
    }

    fn may_take(&self) -> bool {
        !self.ready.is_empty() && !self.stopping && !self.halted
    }

    /// Empties the queue if the gate lets nobody pass; the batches are to be freed.
    fn shut_out(&mut self, gate: Gate) -> Vec<Batch> {
        if matches!(gate, Gate::Open) {
            return Vec::new();
        }
        let batches: Vec<Batch> = self.ready.drain(..).collect();
        for receiver in batches.iter().flat_map(|batch| &batch.receivers) {
            self.hands.remove(&receiver.id);
        }
        batches
    }

    /// Notes a refusal for policy (5.7.x, RFC 3463 3.8); answers with a word when there were too many alike.
    fn alike_in_a_row(&mut self, receiver: ReceiverId, report: &Report) -> Option<String> {
        let failure = match report {
            Report::Failed(Outcome::Permanent, failure)
                if failure
                    .enhanced
                    .as_ref()
                    .is_some_and(|code| code.starts_with("5.7.")) =>
            {
                failure
            }
            Report::Failed(Outcome::Backend | Outcome::Cancelled, _) => return None,
            _ => {
                self.alike = None;
                return None;
            }
        };
        let same = |seen: &Failure| {
            (&seen.code, &seen.enhanced, &seen.phase)
                == (&failure.code, &failure.enhanced, &failure.phase)
        };
        match &mut self.alike {
            Some((seen, receivers)) if same(seen) => {
                if !receivers.contains(&receiver) {
                    receivers.push(receiver);
                }
                (receivers.len() >= ALIKE_IN_A_ROW).then(|| {
                    format!("paused by itself: {ALIKE_IN_A_ROW} receivers in a row were refused alike: {}", failure.error)
                })
            }
            _ => {
                self.alike = Some((failure.clone(), vec![receiver]));
                None
            }
        }
    }
}

impl Tally {
    fn count(&mut self, state: State, outcome: Outcome) {
        let counter = match (outcome, state) {
            (Outcome::Cancelled, _) => return,
            (_, State::Accepted) => &mut self.sent,
            (_, State::FailedTemporary) => &mut self.failed,
            (_, State::FailedBackend) => &mut self.backend,
            (_, State::FailedUnconfirmed | State::ErrorUnconfirmed) => &mut self.unconfirmed,
            _ => &mut self.error,
        };
        *counter += 1;
    }
}
