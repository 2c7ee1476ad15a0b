//! The engine: one delivering process. A supervisor claims due rows, hands them to the workers of each backend, and sees to heartbeat, breakers and the end.

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
    floor::Floor,
    lane::{Lane, log},
    router::Router,
    signal::Signal,
    worker,
};
use crate::{
    message::{Outcome, Timestamp},
    store::{Claim, Record, Scope, Settlement, Store, StoreError, Upkeep, engine::Engine as Place},
};

/// Rows a claim takes: what a few connections send in a moment.
const CLAIM: usize = 200;

/// A result waits at most this long for an arm to ride with.
const RIDE: Duration = Duration::from_millis(20);

/// How often a service looks for rows that another process stored or an operator made due.
const LOOK: Duration = Duration::from_millis(200);

/// How long an ending engine waits for its connections to be closed.
const GOODBYE: Duration = Duration::from_millis(500);

/// How often backends' states are read again.
const REFRESH: Duration = Duration::from_millis(500);

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
    /// Kept after the end, for whoever asks late.
    failure: Mutex<Option<String>>,
}

impl Engine {
    /// Cleans up after dead engines, enters the store, and begins.
    pub fn start(store: &Arc<Store>, ways: Vec<Way>, options: Options) -> Result<Self, StoreError> {
        let clock = Arc::clone(&options.clock);
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
            failure: Mutex::default(),
        });
        let mut supervisor = Supervisor {
            shared: Arc::clone(&shared),
            router: Router::new(store.reader()?),
            upkeep: Upkeep::start(store)?,
            scope,
            place,
            heartbeat: Instant::now(),
            refreshed: Instant::now(),
            dry: vec![None; ways.len()],
            rows: vec![CLAIM; ways.len()],
            floor: Floor::new(options.min_free),
            ways,
            options,
        };
        let thread = thread::Builder::new()
            .name("engine".to_owned())
            .spawn(move || {
                let result = supervisor.run();
                if let Err(error) = &result {
                    *supervisor
                        .shared
                        .failure
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
                }
                supervisor.shared.done.store(true, Ordering::Release);
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

struct Supervisor {
    shared: Arc<Shared>,
    router: Router,
    upkeep: Upkeep,
    scope: Scope,
    place: Place,
    ways: Vec<Way>,
    options: Options,
    heartbeat: Instant,
    refreshed: Instant,
    /// When each lane last found nothing due, if it did.
    dry: Vec<Option<Instant>>,
    /// How many rows each lane claims at once: fewer while messages are so large that not all of them find room.
    rows: Vec<usize>,
    floor: Floor,
}

impl Supervisor {
    fn run(&mut self) -> Result<(), StoreError> {
        let mut result = self.serve();
        if let Err(error) = &result {
            tracing::error!(%error, "delivery stops");
        }
        let ended = self.end();
        if result.is_ok() {
            result = ended;
        }
        result
    }

    fn serve(&mut self) -> Result<(), StoreError> {
        let mut before: Option<Refusal> = None;
        while !self.shared.stopping.load(Ordering::Acquire) {
            self.shared.turned();
            match self.step() {
                Ok(Step::Go(wait)) => self.shared.signal.wait(wait),
                Ok(Step::Done) => return Ok(()),
                Err(error) if error.is_passing() => {
                    let tally: Tally = self.shared.lanes.iter().map(|lane| lane.tally()).sum();
                    let results = tally.tried();
                    let since = before
                        .filter(|before| before.goes_on(results, self.options.patience))
                        .map_or_else(Instant::now, |before| before.since);
                    self.recover(error, since)?;
                    before = Some(Refusal {
                        since,
                        until: Instant::now(),
                        results,
                    });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// One round: lives, looks, claims, hires, writes.
    fn step(&mut self) -> Result<Step, StoreError> {
        let now = (self.options.clock)();
        if self.heartbeat.elapsed() > self.options.lease / 4 {
            self.heartbeat = Instant::now();
            self.place.heartbeat(now)?;
            bury_the_dead(self.place.ledger().store(), &self.ways, now)?;
        }
        if self.refreshed.elapsed() > REFRESH {
            self.refreshed = Instant::now();
            self.place.check()?;
            while self.place.ledger().store().expire(now)? > 0 {
                self.shared.turned();
            }
            for lane in &self.shared.lanes {
                lane.refresh(false)?;
            }
        }
        self.claim(now)?;
        for lane in &self.shared.lanes {
            while lane.hire() {
                let hired = Arc::clone(lane);
                // Not joined: a worker may be waiting for a server that takes its ten minutes.
                let spawned = thread::Builder::new()
                    .name(format!("worker-{}", lane.way.name))
                    .spawn(move || worker::work(&hired));
                if let Err(source) = spawned {
                    lane.leave();
                    if lane.has_workers() {
                        // Those that run do the work; the next round tries again.
                        break;
                    }
                    return Err(StoreError::Io {
                        path: "a worker's thread".into(),
                        source: source.into(),
                    });
                }
            }
        }
        if let Some(refusal) = self.shared.lanes.iter().find_map(|lane| lane.refusal()) {
            return Err(refusal);
        }
        let idle = self.shared.lanes.iter().all(|lane| lane.is_idle());
        self.upkeep.set_busy(!idle);
        self.place
            .ledger()
            .flush_older_than(if idle { Duration::ZERO } else { RIDE })?;
        let over = self
            .shared
            .lanes
            .iter()
            .zip(&self.dry)
            .all(|(lane, dry)| dry.is_some() || lane.is_shut());
        if idle && over && self.options.work != Work::Forever {
            // Who is due is still due: the pass is not over, it cannot go on.
            self.floor.refusal(self.place.ledger().store())?;
            return Ok(Step::Done);
        }
        Ok(Step::Go(if idle { LOOK } else { RIDE }))
    }

    /// Fills the lanes that have room, and remembers which found nothing.
    fn claim(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let lanes = self.shared.lanes.iter().zip(&mut self.dry);
        for ((lane, dry), rows) in lanes.zip(&mut self.rows) {
            let wanted = lane.wants(*rows);
            if wanted == 0 || dry.is_some_and(|at| at.elapsed() < LOOK) {
                continue;
            }
            let ledger = self.place.ledger();
            let claims = if ledger.store().has_due(&lane.way.name, self.scope, now)?
                && self.floor.has_room(ledger.store())
            {
                ledger
                    .store()
                    .claim(ledger.engine(), &lane.way.name, self.scope, wanted, now)?
            } else {
                Vec::new()
            };
            let claims = lane.chosen(claims)?;
            *dry = claims.is_empty().then(Instant::now);
            if !claims.is_empty() {
                let routed = match self.router.route(&claims, lane.way.backend.as_ref()) {
                    Ok(routed) => routed,
                    Err(error) => {
                        let receivers: Vec<_> =
                            claims.iter().map(|claim| &claim.receiver).collect();
                        ledger.free(&receivers)?;
                        return Err(error);
                    }
                };
                let (taken, rest) = claims.split_at(routed.taken);
                lane.push(taken, routed.batches);
                if rest.is_empty() {
                    *rows = (2 * *rows).min(CLAIM);
                } else {
                    *rows = taken.len();
                    let rest: Vec<_> = rest.iter().map(|claim| &claim.receiver).collect();
                    ledger.free(&rest)?;
                }
                for (receiver, failure) in routed.unreadable {
                    lane.unsendable(&receiver, failure);
                }
            }
        }
        Ok(())
    }

    /// The disk refuses, since then: nothing is sent until it takes what waits. A service waits for ever, a pass for as long as it has patience.
    fn recover(&mut self, first: StoreError, since: Instant) -> Result<(), StoreError> {
        tracing::error!(error = %first, "the store cannot be written: nothing more is sent until it can");
        for lane in &self.shared.lanes {
            lane.halt(true);
        }
        while self.options.work == Work::Forever || since.elapsed() < self.options.patience {
            self.shared.turned();
            self.shared.signal.wait(Duration::from_millis(250));
            if self.shared.stopping.load(Ordering::Acquire) {
                return Err(first);
            }
            let ledger = self.place.ledger();
            if matches!(first, StoreError::Full(_)) {
                // What cannot be done now is tried again with the next round.
                let _ = ledger.store().trim_log();
            }
            if ledger.flush().is_ok() && self.place.heartbeat((self.options.clock)()).is_ok() {
                tracing::warn!("the store can be written again");
                for lane in &self.shared.lanes {
                    lane.halt(false);
                }
                return Ok(());
            }
        }
        // The end need not wait as long once more.
        self.options.patience = Duration::ZERO;
        Err(first)
    }

    /// The end of every engine: lets go what was not begun, waits for what is under way, writes it, and leaves. Whatever the store refuses, the rest is done.
    fn end(&mut self) -> Result<(), StoreError> {
        let mut result = Ok(());
        for lane in &self.shared.lanes {
            result = result.and(lane.stop());
        }
        let usual = Instant::now() + self.options.patience;
        let ledger = Arc::clone(self.place.ledger());
        while Instant::now() < self.shared.deadline().unwrap_or(usual)
            && (ledger.has_unwritten() || !self.shared.lanes.iter().all(|lane| lane.is_idle()))
        {
            self.shared.turned();
            if ledger.flush().is_err() || !self.shared.lanes.iter().all(|lane| lane.is_idle()) {
                self.shared.signal.wait(RIDE);
            }
        }
        // Connections say goodbye; nobody waits long for that.
        let until = Instant::now() + GOODBYE;
        while Instant::now() < until && self.shared.lanes.iter().any(|lane| lane.has_workers()) {
            self.shared.signal.wait(RIDE);
        }
        // Of a result that could not be written, leaving would say that it never came: whoever finds us dead says what is true.
        ledger.flush()?;
        let (ways, now) = (&self.ways, (self.options.clock)());
        let left = self.place.leave(
            &|backend, claim, now| {
                unknown(
                    ways,
                    backend,
                    claim,
                    now,
                    "delivery was stopped before the server's answer came",
                )
            },
            now,
        );
        result.and(left.map(|reaped| {
            self.shared
                .given_up
                .store(reaped.unknown as u64, Ordering::Release);
        }))
    }
}

/// A time during which the disk took nothing that matters.
#[derive(Clone, Copy)]
struct Refusal {
    since: Instant,
    until: Instant,
    /// The results there were by then.
    results: u64,
}

impl Refusal {
    /// Whether one more refusal belongs to it: a disk that takes a heartbeat and no arm must not keep a pass for ever.
    fn goes_on(&self, results: u64, patience: Duration) -> bool {
        results == self.results && self.until.elapsed() < patience
    }
}

/// What follows a round.
enum Step {
    /// The next one, after this long or when something happens.
    Go(Duration),
    /// Everything due was tried.
    Done,
}
