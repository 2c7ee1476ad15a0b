//! The engine: one delivering process, seen from outside. What it does is its [`supervisor`]'s.

mod supervisor;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{
    Clock, Failure, OnUnknown, Policy, Report, Tally, Way,
    lane::{Lane, log},
    signal::Signal,
};
use crate::{
    message::{Outcome, Timestamp},
    store::{Claim, Record, Scope, Settlement, Store, StoreError, Upkeep, engine::Engine as Place},
};

use supervisor::Supervisor;

/// Who delivers what, and how.
#[derive(Clone)]
pub struct Options {
    /// `run`, `deliver` or `console`.
    pub kind: &'static str,
    /// Who tries, as attempts show it.
    pub by: String,
    /// What is delivered.
    pub work: Work,
    /// How long the engine may be silent before its claims are freed.
    pub lease: Duration,
    /// How long a stop waits for replies under way.
    pub patience: Duration,
    /// So many bytes the disk must have free, or nothing is claimed; 0: no matter.
    pub min_free: u64,
    /// The clock; tests bring their own.
    pub clock: Clock,
    /// The seed of the jitter in backoff.
    pub seed: u64,
}

/// What an engine delivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// What is due now, at most one try each.
    Pass,
    /// What is due, until stopped.
    Forever,
    /// What one resend made due.
    Job(crate::message::JobId),
}

/// A running engine. Dropped, it stops and waits.
pub struct Engine {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<(), StoreError>>>,
}

struct Shared {
    lanes: Vec<Arc<Lane>>,
    signal: Arc<Signal>,
    stopping: AtomicBool,
    done: AtomicBool,
    /// When a stop gives up waiting for replies.
    deadline: Mutex<Option<Instant>>,
    /// Rounds of the supervisor so far.
    turns: AtomicU64,
    /// Receivers whose answer was not waited for any longer.
    given_up: AtomicU64,
}

impl Engine {
    /// Cleans up after dead engines, enters the store, and begins.
    pub fn start(store: &Arc<Store>, ways: Vec<Way>, options: Options) -> Result<Self, StoreError> {
        let clock = Arc::clone(&options.clock);
        // First: whoever commits without it moves a log that was left long.
        let upkeep = Upkeep::start(store)?;
        bury_the_dead(store, &ways, clock())?;
        if let Err(error) = store.store_remainder() {
            // What is there can go out all the same.
            tracing::error!(%error, "receivers of a large message are not all stored yet");
        }
        while store.expire(clock())? > 0 {}
        let place = Place::enter(
            store,
            options.kind,
            options.by.clone(),
            options.lease,
            clock(),
        )?;
        let signal = Arc::new(Signal::default());
        let scope = match options.work {
            Work::Pass => Scope::DueAt(clock()),
            Work::Forever => Scope::Always,
            Work::Job(job) => Scope::Job(job),
        };
        let lanes: Vec<Arc<Lane>> = ways
            .iter()
            .enumerate()
            .map(|(index, way)| {
                let ledger = Arc::clone(place.ledger());
                let seed = options.seed.wrapping_add(index as u64);
                Arc::new(Lane::new(
                    way.clone(),
                    ledger,
                    Arc::clone(&clock),
                    scope,
                    seed,
                    Arc::clone(&signal),
                ))
            })
            .collect();
        for lane in &lanes {
            lane.refresh(true)?;
            lane.recall()?;
        }
        let shared = Arc::new(Shared {
            lanes,
            signal,
            stopping: AtomicBool::new(false),
            done: AtomicBool::new(false),
            deadline: Mutex::default(),
            turns: AtomicU64::new(0),
            given_up: AtomicU64::new(0),
        });
        let mut supervisor =
            Supervisor::new(place, upkeep, Arc::clone(&shared), scope, ways, options)?;
        let of_thread = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("engine".to_owned())
            .spawn(move || {
                let result = supervisor.run();
                of_thread.done.store(true, Ordering::Release);
                result
            })
            .map_err(|source| StoreError::Io {
                path: "the engine's thread".into(),
                source: source.into(),
            })?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// What came of the tries so far.
    pub fn tally(&self) -> Tally {
        let tried: Tally = self.shared.lanes.iter().map(|lane| lane.tally()).sum();
        let given_up = self.shared.given_up.load(Ordering::Acquire);
        Tally {
            unconfirmed: tried.unconfirmed + given_up,
            ..tried
        }
    }

    /// How many rounds the supervisor has made: while this number rises, the engine lives.
    pub fn turns(&self) -> u64 {
        self.shared.turns.load(Ordering::Relaxed)
    }

    /// Claims nothing more, waits for the replies under way, and ends. Returns at once.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::Release);
        self.shared.signal.raise();
    }

    /// The same, waiting so long at most from now on, whatever the options or an earlier stop said.
    pub fn stop_within(&self, patience: Duration) {
        *self.shared.deadline() = Some(Instant::now() + patience);
        self.stop();
    }

    /// Whether it has ended.
    pub fn is_done(&self) -> bool {
        self.shared.done.load(Ordering::Acquire)
    }

    /// Waits for the end: of a pass when everything due was tried, of a service when it was stopped.
    pub fn wait(mut self) -> Result<Tally, StoreError> {
        if let Some(thread) = self.thread.take()
            && let Ok(result) = thread.join()
        {
            result?;
        }
        Ok(self.tally())
    }
}

impl Shared {
    fn deadline(&self) -> MutexGuard<'_, Option<Instant>> {
        self.deadline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more round.
    fn turned(&self) {
        self.turns.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Ends what dead engines left: their armed rows as each backend's `on_unknown` says.
pub fn bury_the_dead(store: &Arc<Store>, ways: &[Way], now: Timestamp) -> Result<(), StoreError> {
    let reaped = store.reap(
        &|backend, claim, now| {
            unknown(
                ways,
                backend,
                claim,
                now,
                "the process that sent it ended before the answer was written down",
            )
        },
        now,
    )?;
    if reaped.engines > 0 {
        tracing::warn!(
            reaped.engines,
            reaped.freed,
            reaped.unknown,
            "cleaned up after engines that died"
        );
    }
    Ok(())
}

/// The settlement of an armed row whose answer nobody will hear.
fn unknown(ways: &[Way], backend: &str, claim: &Claim, now: Timestamp, why: &str) -> Settlement {
    // A backend that is no longer configured: nobody knows whether a second copy does harm.
    let hold = Policy {
        backoff: Vec::new(),
        resend_limit: 0,
        retry_permanent: false,
        on_unknown: OnUnknown::Hold,
    };
    let policy = ways
        .iter()
        .find(|way| way.name == backend)
        .map_or(&hold, |way| &way.policy);
    let failure = Failure {
        error: format!("unknown: {why}"),
        traceback: format!(
            "It may have arrived: {why}.\n\nreceiver {} over backend {backend:?}, uid {}\nThe message had been announced to the server and its body may have been handed over; the server's\nfinal answer is not known (RFC 5321 6.1 gives no way to ask).",
            claim.receiver.id, claim.receiver.uid
        ),
        phase: Some("dot".to_owned()),
        ..Failure::default()
    };
    // Due at once, also for a pass that begins now: `next` makes it due a moment after the time it is given.
    let next = policy.next(
        &claim.standing,
        Outcome::Unknown,
        now - Duration::from_millis(1),
        0.0,
    );
    log::not_sent(
        backend,
        claim.receiver.id,
        Outcome::Unknown,
        &failure,
        &next,
    );
    Settlement {
        receiver: claim.receiver.id,
        epoch: claim.receiver.epoch,
        next,
        report: Report::Failed(Outcome::Unknown, failure),
        started_at: now,
        ended_at: now,
        record: Record::Attempt,
    }
}
