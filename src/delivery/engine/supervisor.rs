//! The supervisor: it claims due rows, hires workers, writes what waits, sees to heartbeat and backends, and brings an engine to its end.

use std::{
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use super::{Options, Shared, Work, bury_the_dead, unknown};
use crate::{
    delivery::{Tally, Way, floor::Floor, router::Router, worker},
    message::Timestamp,
    store::{Scope, StoreError, Upkeep, engine::Engine as Place},
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

/// The thread of an engine.
pub(super) struct Supervisor {
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
    /// One that has not begun.
    pub(super) fn new(
        place: Place,
        upkeep: Upkeep,
        shared: Arc<Shared>,
        scope: Scope,
        ways: Vec<Way>,
        options: Options,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            shared,
            router: Router::new(place.ledger().store().reader()?),
            upkeep,
            scope,
            place,
            heartbeat: Instant::now(),
            refreshed: Instant::now(),
            dry: vec![None; ways.len()],
            rows: vec![CLAIM; ways.len()],
            floor: Floor::new(options.min_free),
            ways,
            options,
        })
    }

    /// Works until the end, and sees to it.
    pub(super) fn run(&mut self) -> Result<(), StoreError> {
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
            let claims = lane.chosen(claims);
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
                for (receiver, failure) in routed.unreadable {
                    lane.unsendable(&receiver, failure);
                }
                if rest.is_empty() {
                    *rows = (2 * *rows).min(CLAIM);
                } else {
                    *rows = taken.len();
                    let rest: Vec<_> = rest.iter().map(|claim| &claim.receiver).collect();
                    ledger.free(&rest)?;
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
            if ledger.flush().is_ok() && self.place.may_arm((self.options.clock)()).is_ok() {
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
            match ledger.flush() {
                // What it refuses now it refuses for good.
                Err(error) if !error.is_passing() => break,
                Ok(()) if self.shared.lanes.iter().all(|lane| lane.is_idle()) => {}
                _ => self.shared.signal.wait(RIDE),
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
