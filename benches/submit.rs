//! Handing over 100,000 messages to one receiver each, then one message to 50,000, on disk, every commit durable.
//!
//! `cargo bench --bench submit` prints receivers per second (goal: 10,000) and the longest that another writer had to wait for the store
//! meanwhile (goal: 50 ms), measured by one that asks for the write lock again and again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use postroom::{
    message::{BackendFacts, Submission, SubmitDefaults},
    store::Store,
};
use rusqlite::{Connection, TransactionBehavior};

const MESSAGES: usize = 100_000;
const CHUNK: usize = 1_000;

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("postroom.db");
    let store = Arc::new(Store::create(&path).expect("a store"));
    let defaults = SubmitDefaults {
        backend: Some("email".to_owned()),
        language: "en".to_owned(),
        backends: [(
            "email".to_owned(),
            BackendFacts {
                mail: true,
                has_from: true,
            },
        )]
        .into(),
    };
    let lines: Vec<String> = (0..MESSAGES).map(line).collect();
    measure(
        &store,
        &defaults,
        &lines,
        "100,000 messages of 1 KiB to one",
    );
    measure(&store, &defaults, &[large()], "one message to 50,000");
}

/// Parses and stores the lines while another writer measures how long it waits.
fn measure(store: &Store, defaults: &SubmitDefaults, lines: &[String], what: &str) {
    let done = Arc::new(AtomicBool::new(false));
    let rival = {
        let (done, path) = (Arc::clone(&done), store.path().to_owned());
        std::thread::spawn(move || rival(&path, &done))
    };
    let began = Instant::now();
    let mut receivers = 0;
    for chunk in lines.chunks(CHUNK) {
        let submissions: Vec<Submission> = chunk
            .iter()
            .map(|line| Submission::parse(line, defaults).expect("a message"))
            .collect();
        receivers += submissions
            .iter()
            .map(|submission| submission.receivers.len())
            .sum::<usize>();
        store
            .submit(&submissions, chrono::Utc::now())
            .expect("stored");
    }
    let took = began.elapsed();
    done.store(true, Ordering::Relaxed);
    let longest = rival.join().expect("no panic");
    println!(
        "{what}, parsed and stored: {:.0} receivers/s; longest wait of another writer: {:.1} ms",
        receivers as f64 / took.as_secs_f64(),
        longest.as_secs_f64() * 1e3
    );
}

/// Takes the write lock and lets it go, until told to stop; the longest it had to wait.
fn rival(path: &std::path::Path, done: &AtomicBool) -> Duration {
    let mut conn = Connection::open(path).expect("the store");
    conn.busy_timeout(Duration::from_secs(60))
        .expect("a timeout");
    // SQLite's own handler backs off to 100 ms sleeps, which would be measured instead of the lock.
    conn.busy_handler(Some(|_| {
        std::thread::sleep(Duration::from_micros(100));
        true
    }))
    .expect("a handler");
    let mut longest = Duration::ZERO;
    while !done.load(Ordering::Relaxed) {
        let began = Instant::now();
        let tx = conn
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .expect("the lock");
        longest = longest.max(began.elapsed());
        drop(tx);
        std::thread::sleep(Duration::from_millis(2));
    }
    longest
}

fn line(n: usize) -> String {
    let text = format!("Message {n}: your examiner has given feedback. ").repeat(20);
    serde_json::json!({
        "key": format!("message-{n}"),
        "type": "feedback",
        "content": { "en": { "subject": format!("Feedback {n}"), "text": text } },
        "receivers": [{ "to": format!("user{n}@example.com"), "user": format!("user{n}") }],
    })
    .to_string()
}

fn large() -> String {
    let receivers: Vec<_> = (0..50_000)
        .map(|n| serde_json::json!({ "to": format!("user{n}@example.com"), "user": format!("user{n}") }))
        .collect();
    serde_json::json!({
        "key": "large",
        "type": "news",
        "content": { "en": { "subject": "News", "text": "There is news." } },
        "receivers": receivers,
    })
    .to_string()
}
