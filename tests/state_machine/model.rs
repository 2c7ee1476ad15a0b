//! The state machine once more, by what the text on delivery semantics says and not by how the store does it: plain rows in memory, which the store's
//! rows are compared with after every step. The numbers are those of the text's transitions.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use postroom::{
    delivery::OnUnknown,
    message::{Outcome, State, Status, Timestamp},
    store::Action,
};

/// What fails is due again so much after its wait: a pass that began at this very moment must not meet it again.
const JUST_AFTER: Duration = Duration::from_millis(1);

/// A receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub state: State,
    pub priority: i64,
    pub failed: u32,
    pub sent: u32,
    pub unknown: u32,
    /// Its own resend limit.
    pub limit: Option<u32>,
    /// The failed count from which the steps of the backoff are counted.
    pub steps_from: u32,
    pub due: Option<Timestamp>,
    pub sent_at: Option<Timestamp>,
    pub expires: Option<Timestamp>,
    pub ignores_expiry: bool,
    /// It belongs to a resend.
    pub job: bool,
    /// The engine that holds it, and whether it is armed.
    pub holder: Option<(String, bool)>,
    pub epoch: i64,
    /// How many Message-IDs it has had.
    pub uids: usize,
    /// Of each try, by its claim, the outcome, and the one that was learned too late.
    pub attempts: BTreeMap<i64, (Option<Outcome>, Option<Outcome>)>,
}

impl Row {
    fn is_armed(&self) -> bool {
        self.holder.as_ref().is_some_and(|(_, armed)| *armed)
    }

    fn is_held_by(&self, engine: &str, epoch: i64) -> bool {
        self.epoch == epoch && self.holder.as_ref().is_some_and(|(by, _)| by == engine)
    }

    fn expired(&self, now: Timestamp) -> bool {
        !self.ignores_expiry && self.expires.is_some_and(|at| at <= now)
    }

    /// Ends a claim, so that its arm fails.
    fn end_claim(&mut self) {
        self.epoch += i64::from(self.holder.take().is_some());
    }

    fn stays(&mut self, state: State) {
        self.state = state;
        self.due = None;
        self.job = false;
    }

    fn becomes_due(&mut self, state: State, due: Timestamp) {
        self.state = state;
        self.due = Some(due);
    }
}

/// An engine that the store knows of.
struct Engine {
    lease_until: Timestamp,
    alive: bool,
}

/// The whole store.
pub struct Model {
    pub rows: BTreeMap<i64, Row>,
    engines: BTreeMap<String, Engine>,
    limit: u32,
    backoff: Vec<Duration>,
    on_unknown: OnUnknown,
    lease: Duration,
}

impl Model {
    pub fn new(limit: u32, backoff: Vec<Duration>, on_unknown: OnUnknown, lease: Duration) -> Self {
        Self {
            rows: BTreeMap::new(),
            engines: BTreeMap::new(),
            limit,
            backoff,
            on_unknown,
            lease,
        }
    }

    pub fn submit(&mut self, id: i64, priority: i64, expires: Option<Timestamp>, now: Timestamp) {
        let row = Row {
            state: State::Queued,
            priority,
            failed: 0,
            sent: 0,
            unknown: 0,
            limit: None,
            steps_from: 0,
            due: Some(now),
            sent_at: None,
            expires,
            ignores_expiry: false,
            job: false,
            holder: None,
            epoch: 0,
            uids: 1,
            attempts: BTreeMap::new(),
        };
        self.rows.insert(id, row);
    }

    pub fn enter(&mut self, engine: &str, now: Timestamp) {
        let lease_until = now + self.lease;
        let alive = true;
        let place = Engine { lease_until, alive };
        self.engines.insert(engine.to_owned(), place);
    }

    pub fn heartbeat(&mut self, engine: &str, now: Timestamp) {
        if let Some(place) = self.engines.get_mut(engine) {
            place.lease_until = now + self.lease;
        }
    }

    /// 1. Highest priority first, then longest due, then by number.
    pub fn claim(&mut self, engine: &str, limit: usize, now: Timestamp) -> Vec<(i64, i64)> {
        let free = |row: &Row| row.holder.is_none() && !row.expired(now);
        let mut due: Vec<_> = self.rows.iter_mut().filter(|(_, row)| free(row)).collect();
        due.retain(|(_, row)| row.due.is_some_and(|due| due <= now));
        due.sort_by_key(|(id, row)| (Reverse(row.priority), row.due, **id));
        let taken = due.into_iter().take(limit).map(|(id, row)| {
            row.epoch += 1;
            row.holder = Some((engine.to_owned(), false));
            (*id, row.epoch)
        });
        taken.collect()
    }

    /// 2. Fenced on id, epoch and engine.
    pub fn arm(&mut self, engine: &str, id: i64, epoch: i64) -> bool {
        match self.rows.get_mut(&id) {
            Some(row) if row.is_held_by(engine, epoch) => {
                row.holder = Some((engine.to_owned(), true));
                row.attempts.entry(epoch).or_insert((None, None));
                true
            }
            _ => false,
        }
    }

    /// 3 to 9.
    pub fn settle(&mut self, engine: &str, id: i64, epoch: i64, outcome: Outcome, now: Timestamp) {
        let (failed, unknown) = (
            self.after_a_refusal(id, outcome, now),
            self.after_an_unknown(),
        );
        let Some(row) = self.rows.get_mut(&id) else {
            return;
        };
        if !row.is_held_by(engine, epoch) {
            return self.late(id, epoch, outcome, now);
        }
        row.attempts.entry(epoch).or_default().0 = Some(outcome);
        row.holder = None;
        match outcome {
            Outcome::Accepted => {
                row.stays(State::Accepted);
                row.sent += 1;
                row.sent_at = Some(now);
            }
            Outcome::Temporary | Outcome::Permanent => {
                row.failed += 1;
                row.job = false;
                (row.state, row.due) = failed;
            }
            // No count rises, and it stays as due as it was.
            Outcome::Backend => {
                row.state = State::FailedBackend;
                row.job = false;
            }
            Outcome::Unknown => {
                let again = unknown == OnUnknown::Resend && row.unknown == 0;
                row.stays(State::ErrorUnconfirmed);
                row.unknown += 1;
                if again {
                    row.becomes_due(State::FailedUnconfirmed, now + JUST_AFTER);
                }
            }
            // Free again, as it was.
            Outcome::Cancelled => row.due = Some(now + JUST_AFTER),
        }
    }

    fn after_an_unknown(&self) -> OnUnknown {
        self.on_unknown
    }

    /// What one more refusal makes of it.
    fn after_a_refusal(
        &self,
        id: i64,
        outcome: Outcome,
        now: Timestamp,
    ) -> (State, Option<Timestamp>) {
        let Some(row) = self.rows.get(&id) else {
            return (State::Permanent, None);
        };
        let failed = row.failed + 1;
        if outcome == Outcome::Permanent {
            (State::Permanent, None)
        } else if failed > row.limit.unwrap_or(self.limit) {
            (State::Exhausted, None)
        } else if row.expired(now) {
            (State::Expired, None)
        } else {
            // The n-th failure waits the n-th step, and the last step repeats.
            let step = (failed - row.steps_from) as usize - 1;
            let wait = self.backoff[step.min(self.backoff.len() - 1)];
            (State::FailedTemporary, Some(now + wait + JUST_AFTER))
        }
    }

    /// 9. The row has moved on: the result stands beside its attempt, once, and corrects what it can.
    fn late(&mut self, id: i64, epoch: i64, outcome: Outcome, now: Timestamp) {
        let refused = self.after_a_refusal(id, outcome, now);
        let Some(row) = self.rows.get_mut(&id) else {
            return;
        };
        match row.attempts.get_mut(&epoch) {
            Some((Some(known), _)) if *known == outcome => return,
            Some((Some(_), Some(_))) => return,
            Some((Some(_), late)) => *late = Some(outcome),
            Some((known, _)) => *known = Some(outcome),
            None => drop(row.attempts.insert(epoch, (Some(outcome), None))),
        }
        let mut newer = row.attempts.range(epoch + 1..);
        let newer_in_doubt = newer.any(|(_, (known, _))| *known == Some(Outcome::Unknown));
        let in_doubt = matches!(
            row.state,
            State::FailedUnconfirmed | State::ErrorUnconfirmed
        );
        match outcome {
            Outcome::Accepted if !row.is_armed() && row.state != State::Accepted => {
                row.stays(State::Accepted);
                row.sent += 1;
                row.sent_at = Some(now);
            }
            Outcome::Temporary | Outcome::Permanent
                if !row.is_armed() && in_doubt && !newer_in_doubt =>
            {
                row.failed += 1;
                row.job = false;
                (row.state, row.due) = refused;
            }
            _ => return,
        }
        row.epoch += 1;
        row.holder = None;
    }

    /// The process is gone, and its lock with it; nobody has noticed yet.
    pub fn crash(&mut self, engine: &str) {
        if let Some(place) = self.engines.get_mut(engine) {
            place.alive = false;
        }
    }

    /// 13, and 8: what an engine that ends leaves.
    pub fn leave(&mut self, engine: &str, now: Timestamp) {
        self.engines.remove(engine);
        let held = |row: &Row| row.holder.as_ref().is_some_and(|(by, _)| by == engine);
        let left: Vec<_> = self.rows.iter().filter(|(_, row)| held(row)).collect();
        let left: Vec<_> = left
            .into_iter()
            .map(|(id, row)| (*id, row.epoch, row.is_armed()))
            .collect();
        for (id, epoch, armed) in left {
            if armed {
                self.settle(engine, id, epoch, Outcome::Unknown, now);
            } else if let Some(row) = self.rows.get_mut(&id) {
                row.holder = None;
            }
        }
    }

    /// The dead leave; of a living engine whose lease is over only what is not armed is freed.
    pub fn reap(&mut self, now: Timestamp) {
        let dead: Vec<_> = self
            .engines
            .iter()
            .filter(|(_, engine)| !engine.alive)
            .collect();
        let dead: Vec<_> = dead.into_iter().map(|(id, _)| id.clone()).collect();
        for engine in dead {
            self.leave(&engine, now);
        }
        let over = self
            .engines
            .iter()
            .filter(|(_, engine)| engine.lease_until < now);
        let over: BTreeSet<&String> = over.map(|(id, _)| id).collect();
        for row in self.rows.values_mut() {
            if row
                .holder
                .as_ref()
                .is_some_and(|(by, armed)| !armed && over.contains(by))
            {
                row.holder = None;
            }
        }
    }

    /// 10 and 11. Whether it was touched.
    pub fn act(&mut self, action: Action, id: i64, now: Timestamp) -> bool {
        let (limit, Some(row)) = (self.limit, self.rows.get_mut(&id)) else {
            return false;
        };
        let state = row.state;
        let meant = match action {
            Action::Resend | Action::Delete | Action::CleanUp { pending: true } => true,
            Action::Hold => state.is_pending(),
            Action::Release => matches!(state, State::Held | State::FailedHeld),
            Action::Cancel => {
                matches!(state.status(), Status::NotSent | Status::Failed)
                    || state == State::ErrorUnconfirmed
            }
            Action::MarkSent => matches!(state, State::FailedUnconfirmed | State::ErrorUnconfirmed),
            Action::CleanUp { pending: false } => {
                matches!(state.status(), Status::Error | Status::Sent)
            }
        };
        if row.is_armed() || !meant {
            return false;
        }
        match action {
            Action::Resend => {
                row.uids += usize::from(state.status() == Status::Sent);
                row.becomes_due(State::Queued, now);
                row.job = true;
                row.unknown = 0;
                row.limit = Some(row.failed + limit);
                row.steps_from = row.failed;
                row.ignores_expiry = true;
            }
            Action::Hold if state == State::Queued => row.stays(State::Held),
            Action::Hold => row.stays(State::FailedHeld),
            Action::Release if state == State::Held => row.becomes_due(State::Queued, now),
            Action::Release if row.unknown > 0 => row.becomes_due(State::FailedUnconfirmed, now),
            Action::Release => row.becomes_due(State::FailedTemporary, now),
            Action::Cancel => row.stays(State::Cancelled),
            Action::MarkSent => {
                row.stays(State::Marked);
                row.sent_at = Some(now);
            }
            Action::Delete | Action::CleanUp { .. } => {
                self.rows.remove(&id);
                return true;
            }
        }
        row.end_claim();
        true
    }

    /// Failed within the limit and not held by anybody is due now; how many, and how many are beyond the limit.
    pub fn resend_failed(&mut self, now: Timestamp) -> (u64, u64) {
        let (mut due, mut exceeded) = (0, 0);
        for row in self.rows.values_mut() {
            let failed = row.state.status() == Status::Failed && row.state.is_pending();
            if failed && row.holder.is_none() && row.failed <= row.limit.unwrap_or(self.limit) {
                row.due = Some(now);
                due += 1;
            } else if row.state == State::Exhausted || failed && row.holder.is_none() {
                exceeded += 1;
            }
        }
        (due, exceeded)
    }

    /// 11. What is past its time and not armed will not be tried again.
    pub fn expire(&mut self, now: Timestamp) {
        for row in self.rows.values_mut() {
            if row.due.is_some() && row.expired(now) && !row.is_armed() {
                row.stays(State::Expired);
                row.end_claim();
            }
        }
    }

    /// Retention: what was Sent by then goes.
    pub fn sweep(&mut self, until: Timestamp) {
        let stays = |row: &Row| {
            row.state.status() != Status::Sent || row.sent_at.is_none_or(|at| at > until)
        };
        self.rows.retain(|_, row| stays(row));
    }
}
