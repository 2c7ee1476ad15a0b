//! What an adversary does to clocks and answers, inside one process.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use postroom::{
    delivery::{
        Backend, Batch, Clock, Desk, Direct, Ended, Engine, Failed, Failure, Gateway, NotArmed,
        Options, Report, SendError, Session, Trouble, Work,
    },
    message::{Message, Outcome, State},
    query::Query,
    store::{Anchor, Row, Store},
};
use support::{options, receiver, submission, way_by};

type Answer = dyn Fn() -> Result<(), SendError> + Send + Sync;

/// A gateway that answers as the test says.
struct Scripted(Box<Answer>);

impl Gateway for Scripted {
    fn send(
        &self,
        _: &Batch,
        arm: &mut dyn FnMut() -> Result<(), NotArmed>,
    ) -> Result<(), SendError> {
        if arm().is_err() {
            return Ok(());
        }
        (self.0)()
    }

    fn probe(&self) -> Result<String, Trouble> {
        Ok("ready".to_owned())
    }
}

fn refusal() -> SendError {
    SendError {
        failure: Failure {
            error: "not now".to_owned(),
            traceback: "not now".to_owned(),
            ..Failure::default()
        },
        permanent: false,
        failed: Failed::All,
    }
}

fn store(folder: &tempfile::TempDir, receivers: usize) -> Arc<Store> {
    let store = Arc::new(Store::create(&folder.path().join("postroom.db")).unwrap());
    let receivers = (0..receivers).map(|n| receiver("sms", n.to_string()));
    let submission = submission(
        "test",
        "Clinic".to_owned(),
        "Please come".to_owned(),
        receivers.collect(),
    );
    store.submit(&[submission], Utc::now()).unwrap();
    store
}

fn start(
    store: &Arc<Store>,
    work: Work,
    patience: Duration,
    clock: Clock,
    answer: Box<Answer>,
) -> Engine {
    let backend = Arc::new(Direct::new(Scripted(answer), 1));
    start_by(store, work, patience, clock, backend)
}

fn start_by(
    store: &Arc<Store>,
    work: Work,
    patience: Duration,
    clock: Clock,
    backend: Arc<dyn Backend>,
) -> Engine {
    let options = Options {
        patience,
        ..options(work, clock)
    };
    Engine::start(store, vec![way_by("sms", backend)], options).unwrap()
}

fn only(store: &Store) -> Row {
    let reader = store.reader().unwrap();
    let mut rows = reader.window(&Query::default(), Anchor::First, 10).unwrap();
    rows.pop().unwrap()
}

/// A pass over a thousand receivers that are all refused, with this clock, which is told how many calls were made.
fn pass_by(clock: impl Fn(u64) -> DateTime<Utc> + Send + Sync + 'static) {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder, 1_000);
    let calls = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&calls);
    let answer = Box::new(move || {
        calls.fetch_add(1, Ordering::SeqCst);
        Err(refusal())
    });
    let clock: Clock = Arc::new(move || clock(seen.load(Ordering::SeqCst)));
    let pass = start(&store, Work::Pass, Duration::from_secs(30), clock, answer);
    let tally = pass.wait().unwrap();
    assert_eq!(tally.failed, 1_000);
    let reader = store.reader().unwrap();
    let rows = reader
        .window(&Query::default(), Anchor::First, 1_000)
        .unwrap();
    assert!(rows.iter().all(|row| row.failed_count == 1));
}

#[test]
fn a_pass_tries_everybody_once_though_the_clock_is_set_back_meanwhile() {
    pass_by(|calls| Utc::now() - Duration::from_secs(if calls > 0 { 3600 } else { 0 }));
}

#[test]
fn a_pass_tries_everybody_once_though_the_clock_is_set_forward_by_a_day_meanwhile() {
    pass_by(|calls| Utc::now() + Duration::from_secs(if calls > 0 { 86_400 } else { 0 }));
}

#[test]
fn a_pass_tries_everybody_once_though_the_clock_stands_still() {
    let now = Utc::now() + Duration::from_secs(1);
    pass_by(move |_| now);
}

#[test]
fn an_answer_that_comes_after_the_engine_has_left_is_still_written_down() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder, 1);
    let (says, begun) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let answer = Box::new(move || {
        says.send(()).unwrap();
        let _ = released.lock().unwrap().recv();
        Ok(())
    });
    let engine = start(
        &store,
        Work::Pass,
        Duration::from_millis(50),
        Arc::new(Utc::now),
        answer,
    );
    begun.recv().unwrap();
    engine.stop();
    engine.wait().unwrap();
    assert_eq!(only(&store).state, State::ErrorUnconfirmed);
    release.send(()).unwrap();
    let until = Instant::now() + Duration::from_secs(10);
    while only(&store).state != State::Accepted {
        assert!(Instant::now() < until, "the answer came to nothing");
        std::thread::yield_now();
    }
}

/// A way that takes every message to the edge: armed, and then the link breaks before the first byte.
struct Brittle;

impl Backend for Brittle {
    fn connections(&self) -> usize {
        1
    }

    fn batch_limit(&self, _: &Message) -> usize {
        1
    }

    fn open(&self) -> Result<Box<dyn Session>, Trouble> {
        Ok(Box::new(Self))
    }

    fn probe(&self) -> Result<String, Trouble> {
        Ok("ready".to_owned())
    }
}

impl Session for Brittle {
    fn run(&mut self, desk: &mut dyn Desk) -> Result<Ended, Trouble> {
        while let Some(batch) = desk.next() {
            if desk.arm(&batch, &[0]).is_ok() {
                let failure = refusal().failure;
                desk.settle(
                    &batch.receivers[0],
                    Report::Failed(Outcome::Cancelled, failure),
                );
            }
        }
        Ok(Ended::Idle)
    }
}

#[test]
fn whoever_is_cancelled_twice_in_a_row_has_failed_also_when_each_try_is_a_process_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder, 1);
    let clock = Utc::now() + Duration::from_secs(1);
    let counts: Vec<u32> = (0..5)
        .map(|pass| {
            let now = clock + Duration::from_secs(pass);
            start_by(
                &store,
                Work::Pass,
                Duration::from_secs(30),
                Arc::new(move || now),
                Arc::new(Brittle),
            )
            .wait()
            .unwrap();
            only(&store).failed_count
        })
        .collect();
    assert_eq!(counts, [0, 1, 1, 2, 2]);
}
