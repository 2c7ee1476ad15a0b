//! A mail server that is away for an hour while 50,000 wait. The hour is the test's: the engine reads a clock that the test moves.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chrono::DateTime;
use postroom::{
    delivery::{Engine, Work},
    demo::server::{Action, Phase, Script, Server},
    message::{Body, State, Submission, Timestamp},
    query::{Context, Query},
    store::{Anchor, Store},
};
use support::{Hands, SOON, options, receiver, submission, way};

/// Receivers of whole messages, which share transactions, and of ordinary ones, which do not.
const SHARED: usize = 49_000;
const ALONE: usize = 1_000;
const ALL: u64 = (SHARED + ALONE) as u64;

const CONNECTIONS: usize = 4;
/// Recipients of a transaction.
const MET: u64 = 100;

/// The probes of an hour, in seconds from its begin: the waits between them double from 30 s up to ten minutes.
const PROBES: [i64; 10] = [0, 30, 90, 210, 450, 930, 1530, 2130, 2730, 3330];
/// The first one after it.
const RECOVERY: i64 = 3930;

/// Right before these it is looked whether a probe comes too early; when the next one is due the store says each time.
const LOOKED_BEFORE: [i64; 3] = [0, 30, 1530];

/// Enough to send all of them on a busy machine.
const LONG: Duration = Duration::from_secs(300);

fn at(second: i64) -> Timestamp {
    DateTime::from_timestamp(1_700_000_000 + second, 0).unwrap()
}

fn letters() -> Vec<Submission> {
    const EACH: usize = 4_900;
    let letter = |number: usize, to: std::ops::Range<usize>| {
        let receivers = to.map(|n| receiver("email", format!("user{n}@example.com")));
        let (subject, text) = (format!("About {number}"), "Hello.\n".to_owned());
        submission("news", subject, text, receivers.collect())
    };
    let mut letters = Vec::new();
    for number in 0..SHARED / EACH {
        let mut shared = letter(number, number * EACH..(number + 1) * EACH);
        let raw = format!(
            "From: news@example.com\r\nMessage-ID: <{number}@example.com>\r\n\r\nHello.\r\n"
        );
        shared.contents[0].1.body = Body::Raw(raw.into_bytes());
        letters.push(shared);
    }
    letters.extend((SHARED..SHARED + ALONE).map(|n| letter(n, n..n + 1)));
    letters
}

#[test]
fn an_hour_of_outage_with_50_000_due_is_ten_probes_and_then_everything_goes_out_once() {
    // A moment before anything is due.
    let hands = Hands::at(at(-2));
    let away = Arc::new(AtomicBool::new(true));
    let connected = Arc::new(Mutex::new(Vec::new()));
    let script = {
        let (away, connected, hands) = (Arc::clone(&away), Arc::clone(&connected), hands.clone());
        Script::accept_all().by(move |event| {
            let connects = event.phase == Phase::Connect;
            if connects {
                connected.lock().unwrap().push(hands.now());
            }
            (connects && away.load(Ordering::SeqCst)).then(Action::close)
        })
    };
    let first_answer = Action::accept().when_released();
    let server = Server::start(script.nth_dot(1, first_answer)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::create(&folder.path().join("postroom.db")).unwrap());
    store.submit(&letters(), at(0)).unwrap();
    let reader = store.reader().unwrap();
    let count = |state| reader.counts().unwrap().of_state(state);

    let service = Engine::start(
        &store,
        vec![way(&server, CONNECTIONS)],
        options(Work::Forever, hands.clock()),
    )
    .unwrap();
    let next_probe = || reader.backends().unwrap()[0].probe_at;
    let next = PROBES[1..].iter().chain([&RECOVERY]);
    for ((second, next), before) in PROBES.into_iter().zip(next).zip(0..) {
        if LOOKED_BEFORE.contains(&second) {
            hands.set(at(second - 1).max(hands.now()));
            hands.wait_until_seen_by(&service);
        }
        assert_eq!(server.ledger().connections, before, "before {second} s");
        hands.set(at(second));
        // A transaction meets it first, and one receiver each time after that.
        hands.wait_until(|| service.tally().backend == MET + before);
        hands.wait_until(|| next_probe() == Some(at(*next)));
    }
    hands.set(at(3600));
    hands.wait_until_seen_by(&service);
    assert_eq!(*connected.lock().unwrap(), PROBES.map(at));
    // Nobody is to blame, and only those of that transaction know of it, once.
    assert_eq!(count(State::FailedBackend), MET);
    assert_eq!(count(State::Queued), ALL - MET);
    let window = || {
        let everybody = reader.window(&Query::default(), Anchor::First, 100_000);
        everybody.unwrap()
    };
    let rows = window();
    assert!(rows.iter().all(|row| row.failed_count == 0 && !row.sending));
    for row in rows.iter().filter(|row| row.state == State::FailedBackend) {
        let attempts = reader.detail(row.id).unwrap().unwrap().attempts;
        assert_eq!(attempts.len(), 1, "{attempts:#?}");
    }

    // It is back, and nobody knows until the next probe, which goes alone: no wave before somebody was taken.
    away.store(false, Ordering::SeqCst);
    hands.set(at(RECOVERY - 1));
    hands.wait_until_seen_by(&service);
    hands.set(at(RECOVERY));
    assert!(server.wait_for(|ledger| ledger.withheld == 1, SOON));
    hands.set(at(2 * RECOVERY));
    hands.wait_until_seen_by(&service);
    let sending = Query::parse("is:sending", &Context::local()).unwrap();
    let sending = reader.window(&sending, Anchor::First, 100).unwrap();
    assert_eq!(sending.len(), 1);
    assert_eq!(connected.lock().unwrap().len(), PROBES.len() + 1);
    server.release();
    assert!(server.wait_for(|ledger| ledger.accepted == ALL, LONG));
    service.stop();
    assert_eq!(service.wait().unwrap().sent, ALL);

    let connections = connected.lock().unwrap().len() - PROBES.len();
    assert!(connections <= CONNECTIONS, "{connections} connections");
    server.with_ledger(|ledger| {
        assert_eq!(ledger.entries.len() as u64, ALL);
        assert_eq!(ledger.duplicates(), []);
        assert_eq!(ledger.violations, [""; 0]);
    });
    assert_eq!(count(State::Accepted), ALL);
    let rows = window();
    assert!(
        rows.iter()
            .all(|row| row.failed_count == 0 && row.sent_count == 1)
    );
}
