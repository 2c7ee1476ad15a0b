//! What becomes of what was taken: armed, settled, lost, or met by a way that does not work.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Hand, Heard, Inner, Lane,
    breaker::{Gate, probe_wait, usual_wait},
    held, log,
};
use crate::{
    delivery::{Batch, Trouble},
    message::{Failure, Outcome, Receiver, ReceiverId, Report, State, Timestamp},
    store::{ArmRequest, BackendState, Next, Record, Scope, Settlement},
};

/// A connection that could not be opened beside one that works lowers their number for this long.
const FEWER_FOR: Duration = Duration::from_secs(30);

/// How a result came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// The server answered for this receiver: so the way works.
    Answered,
    /// It turned the message away as if it took nobody's.
    TurnedAway,
    /// It had no part in it.
    Unheard,
}

/// What was before a result.
struct Past {
    /// The backend is down for this very reason already.
    met: bool,
    /// The receiver's last try was cancelled too.
    cancelled: bool,
    /// How long a message that was turned away waits.
    wait: Option<Duration>,
}

impl Lane {
    /// Arms these receivers, or says why not: then those whose fence failed are forgotten, and the others of these are put back. The rest of
    /// the batch is none of its business: it has results, or waits for another transaction.
    pub(in crate::delivery) fn arm(&self, batch: &Batch, receivers: &[usize]) -> bool {
        let chosen: Vec<&Receiver> = receivers
            .iter()
            .filter_map(|index| batch.receivers.get(*index))
            .collect();
        let without = |stale: &[ReceiverId]| Batch {
            receivers: chosen
                .iter()
                .filter(|receiver| !stale.contains(&receiver.id))
                .map(|&receiver| receiver.clone())
                .collect(),
            message: Arc::clone(&batch.message),
            content: Arc::clone(&batch.content),
        };
        let started_at = {
            let inner = self.inner();
            if inner.stopping || !inner.gate.lets_pass() {
                drop(inner);
                self.put_back(without(&[]));
                return false;
            }
            chosen
                .first()
                .and_then(|receiver| inner.hands.get(&held(receiver)))
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
                for receiver in &chosen {
                    if let Some(hand) = inner.hands.get_mut(&held(receiver)) {
                        hand.armed = true;
                    }
                }
                return true;
            }
            Ok(stale) => stale,
            Err(error) => {
                self.report(&error);
                let mut inner = self.inner();
                inner.halted = true;
                inner.refusal = Some(error);
                Vec::new()
            }
        };
        {
            let mut inner = self.inner();
            for receiver in chosen
                .iter()
                .filter(|receiver| stale.contains(&receiver.id))
            {
                inner.hands.remove(&held(receiver));
            }
        }
        self.put_back(without(&stale));
        false
    }

    /// Writes the result for one receiver.
    pub(in crate::delivery) fn settle(&self, receiver: &Receiver, report: Report) {
        let how = match report.outcome() {
            Outcome::Backend => How::TurnedAway,
            Outcome::Cancelled => How::Unheard,
            _ => How::Answered,
        };
        self.write_down(receiver, report, how);
    }

    /// It can never be sent; the server was not asked.
    pub(in crate::delivery) fn unsendable(&self, receiver: &Receiver, failure: Failure) {
        let report = Report::Failed(Outcome::Permanent, failure);
        self.write_down(receiver, report, How::Unheard);
    }

    fn write_down(&self, receiver: &Receiver, report: Report, how: How) {
        let now = (self.clock)();
        let past = self.past(receiver, &report, how, now);
        let worked = how == How::Answered && self.inner().gate == Gate::Probing;
        if worked {
            // First in the store: a look at it in between must not shut the gate again.
            self.report_store(self.ledger.store().backend_up(&self.way.name, now));
        }
        let mut inner = self.inner();
        let Some(hand) = inner.hands.remove(&held(receiver)) else {
            return;
        };
        let mut broken = None;
        let report = match report {
            Report::Failed(Outcome::Cancelled, failure) => {
                broken = inner.streaks.lost(hand.message).then(|| failure.clone());
                // Free again at once, but not for ever, whoever tried the last time.
                let outcome = if past.cancelled {
                    Outcome::Temporary
                } else {
                    Outcome::Cancelled
                };
                Report::Failed(outcome, failure)
            }
            report => report,
        };
        let outcome = report.outcome();
        // A probe that failed as the one before did says nothing new in this receiver's history.
        let record = if past.met && hand.standing.state == State::FailedBackend {
            Record::Nothing
        } else {
            Record::Attempt
        };
        let next = self.next(&mut inner, &hand, outcome, past.wait, now);
        match how {
            How::Answered => inner.heard = Heard::Answer,
            How::TurnedAway => inner.heard = Heard::Denial,
            How::Unheard => {}
        }
        inner.tally.count(next.state, outcome);
        if worked && inner.gate == Gate::Probing {
            inner.gate = Gate::Open;
        }
        if outcome == Outcome::Backend {
            // Nothing more is claimed from this moment; for how long, `trouble` says next.
            inner.gate = Gate::Closed;
        }
        let pause = match how {
            How::Answered => inner.streaks.result(receiver.id, &report),
            How::TurnedAway | How::Unheard => None,
        };
        let idle = inner.ready.is_empty() && inner.hands.is_empty();
        drop(inner);
        let failed = match &report {
            Report::Failed(outcome, failure) => Some((*outcome, failure.clone())),
            Report::Accepted { .. } => None,
        };
        self.ledger.settle(Settlement {
            receiver: receiver.id,
            epoch: receiver.epoch,
            next,
            report,
            started_at: hand.started_at,
            ended_at: now,
            record,
        });
        // First the store, then the log: nobody may be listening there.
        if worked {
            tracing::info!(backend = self.way.name, "the backend works again");
        }
        if let Some((outcome, failure)) = failed {
            log::not_sent(&self.way.name, receiver.id, outcome, &failure, &next);
        }
        if let Some(why) = pause {
            self.pause(&why, now);
        }
        if let Some(failure) = broken {
            self.trouble(None, &Trouble::of(failure));
        }
        if idle || worked {
            self.supervisor.raise();
        }
    }

    /// What the store says of the tries before, as far as this result makes it matter.
    fn past(&self, receiver: &Receiver, report: &Report, how: How, now: Timestamp) -> Past {
        let outcome = report.outcome();
        Past {
            met: match report {
                Report::Failed(Outcome::Backend, failure) => self.has_met(failure),
                _ => false,
            },
            cancelled: outcome == Outcome::Cancelled
                && self.last_outcome(receiver) == Some(Outcome::Cancelled),
            wait: (how == How::TurnedAway)
                .then(|| usual_wait(self.last_wait(), self.way.probe, now)),
        }
    }

    /// What becomes of the row. `wait`: what the server cannot stand may be this message, so the next probe is another one, if there is any.
    fn next(
        &self,
        inner: &mut Inner,
        hand: &Hand,
        outcome: Outcome,
        wait: Option<Duration>,
        now: Timestamp,
    ) -> Next {
        // What a pass makes due itself lies behind its start, also when the clock was set back meanwhile.
        let reckoned = match self.scope {
            Scope::DueAt(start) => now.max(start),
            Scope::Always | Scope::Job(_) => now,
        };
        let jitter = inner.jitter.f64();
        let policy = &self.way.policy;
        let mut next = policy.next(&hand.standing, outcome, reckoned, jitter);
        if let Some(wait) = wait {
            next.due_at = Some(reckoned + wait);
        }
        next
    }

    /// A link was lost before the batch was armed.
    pub(in crate::delivery) fn lost(&self, batch: Batch, failure: Failure) {
        let mut inner = self.inner();
        if inner.streaks.lost(batch.message.id) {
            drop(inner);
            let trouble = Trouble::of(failure);
            for receiver in &batch.receivers {
                let report = Report::Failed(Outcome::Backend, trouble.failure.clone());
                self.settle(receiver, report);
            }
            self.trouble(None, &trouble);
            return;
        }
        let mut again = Vec::new();
        let mut twice = Vec::new();
        for receiver in batch.receivers {
            match inner.hands.get_mut(&held(&receiver)) {
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
            let report = Report::Failed(Outcome::Temporary, failure.clone());
            self.write_down(&receiver, report, How::Unheard);
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

    /// The way itself does not work. `met` is the batch that would have been tried, if it could not even be begun.
    pub(in crate::delivery) fn trouble(&self, met: Option<&Batch>, trouble: &Trouble) {
        let now = (self.clock)();
        let store = self.ledger.store();
        let failure = &trouble.failure;
        let last = self.last_wait();
        for receiver in met.into_iter().flat_map(|batch| &batch.receivers) {
            let report = Report::Failed(Outcome::Backend, failure.clone());
            self.write_down(receiver, report, How::Unheard);
        }
        let wait = probe_wait(last, self.way.probe, trouble, now);
        tracing::warn!(
            backend = self.way.name,
            text = failure.error,
            "the backend is down, next try in {}",
            humantime::format_duration(wait)
        );
        self.report_store(store.backend_down(
            &self.way.name,
            &failure.error,
            &failure.traceback,
            wait,
            now,
        ));
        let gate = if self.is_once() {
            Gate::Closed
        } else {
            Gate::Shut(now + wait)
        };
        let freed = {
            let mut inner = self.inner();
            inner.gate = gate;
            if inner.heard == Heard::Answer {
                inner.heard = Heard::Nothing;
            }
            inner.shut_out(gate)
        };
        self.report_store(self.free(&freed));
        self.changed.notify_all();
        self.supervisor.raise();
    }

    /// The wait that the last trouble led to, and when it ends.
    fn last_wait(&self) -> Option<(Duration, Timestamp)> {
        let row = self.ledger.store().backend(&self.way.name).ok().flatten()?;
        row.probe_wait.zip(row.probe_at)
    }

    /// What this receiver's try before this one came to.
    fn last_outcome(&self, receiver: &Receiver) -> Option<Outcome> {
        let found = self.ledger.store().last_outcome(receiver.id);
        found.unwrap_or_else(|error| {
            self.report(&error);
            None
        })
    }

    /// Whether the backend is down for this very reason already.
    fn has_met(&self, failure: &Failure) -> bool {
        let row = self.ledger.store().backend(&self.way.name).ok().flatten();
        row.is_some_and(|row| row.state == BackendState::Down && row.error.raw() == failure.error)
    }

    /// A connection could not be opened. Beside one that works that only means fewer of them for a while.
    pub(in crate::delivery) fn not_opened(&self, trouble: &Trouble) {
        {
            let mut inner = self.inner();
            if inner.sessions > 0 && inner.gate == Gate::Open {
                inner.fewer = Some((inner.sessions, Instant::now() + FEWER_FOR));
                tracing::warn!(
                    backend = self.way.name,
                    text = trouble.failure.error,
                    "fewer connections for a while"
                );
                return;
            }
        }
        let met = self.take();
        self.inner().heard = Heard::Nothing;
        self.trouble(met.as_ref(), trouble);
        // No session will say that it has sent it.
        self.unload(met.map_or(0, |batch| batch.content.size()));
    }

    fn pause(&self, why: &str, now: Timestamp) {
        let store = self.ledger.store();
        match store.pause_backend(&self.way.name, "postroom", why, now) {
            Ok(true) => tracing::error!(backend = self.way.name, why, "the backend is paused"),
            // What was under way meanwhile was refused too.
            Ok(false) => {}
            Err(error) => self.report(&error),
        }
        let freed = {
            let mut inner = self.inner();
            inner.gate = Gate::Closed;
            inner.shut_out(Gate::Closed)
        };
        self.report_store(self.free(&freed));
    }
}
