//! Acting on very many while delivering: marking by query, and deleting, each by the program itself, beside an engine that delivers and a process
//! that hands messages over.
//!
//! `cargo bench --bench clean` (or `-- 100000` for a smaller store) prints how long each took, what memory it needed, and the longest time that a
//! writer in another process waited meanwhile, with the goals beside them.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use chrono::Utc;
use postroom::{
    backend::{Smtp, SmtpSettings, Tls},
    delivery::{Engine, Work},
    demo::server::{Script, Server},
    message::{Outcome, ReceiverId, State, Submission},
    store::{SeedAttempt, SeedReceiver, Store},
};

#[path = "support/engine.rs"]
mod engine;
#[path = "../tests/support/submission.rs"]
mod fixture;
#[path = "support/program.rs"]
mod program;

use engine::engine;
use fixture::{receiver, submission};

/// Receivers that are deleted; three tenths as many are marked.
const DELETED: usize = 1_000_000;
const PER_MESSAGE: usize = 5;
const CHUNK: usize = 10_000;

fn main() {
    let deleted = std::env::args()
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(DELETED)
        .next_multiple_of(CHUNK);
    let marked = (deleted * 3 / 10).next_multiple_of(CHUNK);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("postroom.db");
    let config = format!("[store]\npath = '{}'\n", path.display());
    fs::write(folder.path().join("config.toml"), config).expect("a config");
    let store = Arc::new(Store::create(&path).expect("a store"));
    let began = Instant::now();
    fill(&store, "old", 0, deleted, State::Accepted);
    fill(&store, "failed", deleted, marked, State::Exhausted);
    while store.index_some(2_000).expect("indexed") > 0 {}
    store.trim_log().expect("a short log");
    println!(
        "{} receivers, {} MiB, made in {:.0} s",
        deleted + marked,
        mib(&path),
        began.elapsed().as_secs_f64()
    );

    let server = Server::start(Script::accept_all().counts_only()).expect("a server");
    let engine = deliver(&store, server.port());
    println!(
        "{:<34} {:>9} {:>9} {:>12} {:>12}",
        "while delivering", "seconds", "MiB", "median wait", "longest wait"
    );
    measure(&path, "nothing else", || {
        thread::sleep(Duration::from_secs(3));
        (3.0, 0.0)
    });
    let run = |arguments: &[&str]| {
        let took = program::run(&mut program::postroom(folder.path(), arguments), || {});
        (took.seconds, took.memory)
    };
    measure(&path, &format!("marking {marked} by query"), || {
        run(&["resend", "type:failed", "--yes"])
    });
    measure(&path, &format!("deleting {deleted}"), || {
        run(&["delete", "type:old", "--yes"])
    });
    println!(
        "{:<34} {:>9} {:>9} {:>12} {:>12}",
        "goals: marking 300,000, deleting", "10 (mark)", "64", "", "50 ms"
    );
    let tally = engine.tally();
    engine.stop();
    engine.wait().expect("an end");
    println!(
        "{} sent meanwhile; the file has {} MiB",
        tally.sent,
        mib(&path)
    );
}

fn mib(path: &Path) -> u64 {
    path.metadata().map_or(0, |file| file.len() >> 20)
}

/// Does it, which takes so many seconds and MiB, while another writer measures how long it waits.
fn measure(path: &Path, what: &str, work: impl FnOnce() -> (f64, f64)) {
    let done = AtomicBool::new(false);
    let ((seconds, memory), mut waits) = thread::scope(|scope| {
        let prober = scope.spawn(|| {
            let store = Store::open(path).expect("a store");
            let mut waits = Vec::new();
            while !done.load(Ordering::Acquire) {
                let to = vec![receiver("email", "prober@example.com".to_owned())];
                let one = submission("prober", "Hello".to_owned(), "Hello".to_owned(), to);
                let began = Instant::now();
                store.submit(&[one], Utc::now()).expect("stored");
                waits.push(began.elapsed());
                thread::sleep(Duration::from_millis(5));
            }
            waits
        });
        let result = work();
        done.store(true, Ordering::Release);
        (result, prober.join().expect("no panic"))
    });
    waits.sort_unstable();
    let ms = |wait: Option<&Duration>| wait.map_or(0.0, |wait| wait.as_secs_f64() * 1e3);
    println!(
        "{what:<34} {seconds:>9.1} {memory:>9.0} {:>9.1} ms {:>9.1} ms",
        ms(waits.get(waits.len() / 2)),
        ms(waits.last())
    );
}

fn deliver(store: &Arc<Store>, port: u16) -> Engine {
    let mut settings = SmtpSettings::new("email", "127.0.0.1", port);
    settings.tls = Tls::None;
    settings.connections = 4;
    let backend = Arc::new(Smtp::new(settings).expect("settings"));
    engine(store, backend, Work::Forever)
}

/// So many receivers of this type, with one attempt each.
fn fill(store: &Store, kind: &str, first: usize, many: usize, state: State) {
    let now = Utc::now();
    for chunk in (first..first + many).step_by(CHUNK) {
        let messages: Vec<Submission> = (chunk..chunk + CHUNK)
            .step_by(PER_MESSAGE)
            .map(|n| letter(kind, n))
            .collect();
        store.submit(&messages, now).expect("stored");
        let sent = state == State::Accepted;
        let histories: Vec<SeedReceiver> = (chunk + 1..=chunk + CHUNK)
            .map(|id| SeedReceiver {
                id: ReceiverId(id as i64),
                state,
                due_at: None,
                sent_at: sent.then_some(now),
                attempts: vec![SeedAttempt {
                    outcome: if sent {
                        Outcome::Accepted
                    } else {
                        Outcome::Temporary
                    },
                    started_at: now,
                    ended_at: now,
                    code: Some(451),
                    enhanced: Some("4.7.1".to_owned()),
                    text: "451 4.7.1 greylisted".to_owned(),
                    traceback: "451 4.7.1 greylisted\n  at RCPT".to_owned(),
                    server: None,
                    phase: None,
                    transcript: None,
                }],
            })
            .collect();
        // A few at a time: what is written here is not what is measured.
        for some in histories.chunks(1_000) {
            store.seed(some, "bench").expect("seeded");
        }
    }
}

fn letter(kind: &str, n: usize) -> Submission {
    let receivers = (n..n + PER_MESSAGE)
        .map(|n| receiver("email", format!("user{n}@example.com")))
        .collect();
    let subject = format!("Feedback on assignment {}", n % 1_000);
    let text = format!(
        "Delivery {n}. {}",
        "Your examiner has given feedback. ".repeat(12)
    );
    Submission {
        key: Some(format!("message-{n}")),
        ..submission(kind, subject, text, receivers)
    }
}
