//! `deliver` with every durability promise on, side by side in one process with the same SMTP session without a store, the same store without a
//! session, and the session with a store that costs nothing but its flush: before each message one page is written and flushed, once for all
//! connections that wait. The last says how much any store that keeps the promise could reach on this disk.
//!
//! `cargo bench --bench deliver` (or `-- 4` for four connections only) prints messages per second and the ratios at 1, 4 and 8 connections, for messages of 4 KiB to one recipient each. The
//! sink is Postfix's `smtp-sink` where it is installed, else the mail server of the tests, on loopback. (The tests' server costs a third of what
//! `smtp-sink` does, which makes the bare session faster and the ratio lower.)

use std::{
    collections::VecDeque,
    fs::File,
    os::unix::fs::FileExt as _,
    sync::{Arc, Condvar, Mutex},
    time::Instant,
};

use postroom::{
    backend::{Smtp, SmtpSettings, Tls},
    delivery::{Backend, Batch, Desk, Ended, Failure, NotArmed, Report, Session, Trouble, Work},
    message::{Body, Content, Message, MessageId, Receiver, ReceiverId, Submission},
    store::Store,
};
use tempfile::TempDir;

#[path = "support/engine.rs"]
mod engine;
#[path = "support/letters.rs"]
mod letters;
#[path = "support/sink.rs"]
mod sink;

use engine::engine;
use letters::{letter, text};
use sink::Sink;

const MESSAGES: usize = 10_000;
const ROUNDS: usize = 3;
const GOALS: [(usize, f64); 3] = [(1, 0.5), (4, 0.65), (8, 0.65)];

fn main() {
    let only = std::env::args().find_map(|argument| argument.parse::<usize>().ok());
    let sink = Sink::start();
    println!("the sink: {}", sink.name());
    println!(
        "{MESSAGES} messages of 4 KiB, one recipient each; medians of {ROUNDS} rounds, the four in turn"
    );
    println!(
        "{:>12} {:>14} {:>14} {:>14} {:>14} {:>8} {:>8} {:>10}",
        "connections",
        "session, msg/s",
        "store, msg/s",
        "flush, msg/s",
        "deliver, msg/s",
        "ratio",
        "goal",
        "of flush"
    );
    for (connections, goal) in GOALS
        .into_iter()
        .filter(|(connections, _)| only.is_none_or(|only| only == *connections))
    {
        let mut settings = SmtpSettings::new("email", "127.0.0.1", sink.port());
        settings.tls = Tls::None;
        settings.connections = connections;
        settings.max_messages = 100_000;
        let smtp: Arc<dyn Backend> = Arc::new(Smtp::new(settings).expect("settings"));
        let nothing: Arc<dyn Backend> = Arc::new(Nothing(connections));
        let mut rounds: Vec<[f64; 4]> = (0..ROUNDS)
            .map(|_| {
                let log = Log::new();
                [
                    without_store(&smtp, connections, &|| {}),
                    with_store(&nothing),
                    without_store(&smtp, connections, &|| log.flush()),
                    with_store(&smtp),
                ]
            })
            .collect();
        rounds.sort_by(|a, b| (a[3] / a[0]).total_cmp(&(b[3] / b[0])));
        let [session, store, flush, both] = rounds[ROUNDS / 2];
        println!(
            "{connections:>12} {session:>14.0} {store:>14.0} {flush:>14.0} {both:>14.0} {:>8.2} {goal:>8.2} {:>10.2}",
            both / session,
            both / flush
        );
    }
}

/// A way out that takes no time: what is left is claiming, reading, arming and settling.
struct Nothing(usize);

impl Backend for Nothing {
    fn connections(&self) -> usize {
        self.0
    }

    fn batch_limit(&self, _: &Message) -> usize {
        1
    }

    fn open(&self) -> Result<Box<dyn Session>, Trouble> {
        Ok(Box::new(Self(1)))
    }

    fn probe(&self) -> Result<String, Trouble> {
        Ok(String::new())
    }
}

impl Session for Nothing {
    fn run(&mut self, desk: &mut dyn Desk) -> Result<Ended, Trouble> {
        while let Some(batch) = desk.next() {
            if desk.arm(&batch, &[0]).is_ok() {
                let accepted = Report::Accepted {
                    reply: "250 ok".to_owned(),
                    code: Some(250),
                    enhanced: None,
                };
                desk.settle(&batch.receivers[0], accepted);
            }
        }
        Ok(Ended::Idle)
    }
}

/// A file of as many pages as are written over and over again.
struct Log {
    _folder: TempDir,
    file: File,
    /// Pages asked for, pages flushed, and whether somebody flushes.
    state: Mutex<(u64, u64, bool)>,
    flushed: Condvar,
}

const PAGE: u64 = 4096;
const PAGES: u64 = 1_000;

impl Log {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = File::create_new(folder.path().join("log")).expect("a file");
        file.write_all_at(&vec![1; (PAGE * PAGES) as usize], 0)
            .and_then(|()| file.sync_all())
            .expect("a log");
        Self {
            _folder: folder,
            file,
            state: Mutex::default(),
            flushed: Condvar::new(),
        }
    }

    /// Returns when a page that was written after this call began is on the disk.
    fn flush(&self) {
        let mut state = self.state.lock().expect("no panic");
        state.0 += 1;
        let mine = state.0;
        while state.1 < mine {
            if state.2 {
                state = self.flushed.wait(state).expect("no panic");
                continue;
            }
            state.2 = true;
            let upto = state.0;
            drop(state);
            self.file
                .write_all_at(&[2; PAGE as usize], upto % PAGES * PAGE)
                .and_then(|()| self.file.sync_data())
                .expect("flushed");
            state = self.state.lock().expect("no panic");
            (state.1, state.2) = (upto, false);
            self.flushed.notify_all();
        }
    }
}

/// A desk that says yes to everything, after this.
struct Bare<'a>(&'a Mutex<VecDeque<Batch>>, &'a (dyn Fn() + Sync));

impl Desk for Bare<'_> {
    fn next(&mut self) -> Option<Batch> {
        self.0.lock().expect("no panic").pop_front()
    }

    fn arm(&mut self, _: &Batch, _: &[usize]) -> Result<(), NotArmed> {
        (self.1)();
        Ok(())
    }

    fn settle(&mut self, _: &Receiver, report: Report) {
        assert!(matches!(report, Report::Accepted { .. }), "{report:?}");
    }

    fn again(&mut self, batch: Batch) {
        self.0.lock().expect("no panic").push_front(batch);
    }

    fn lost(&mut self, _: Batch, failure: Failure) {
        panic!("{}", failure.traceback);
    }
}

fn without_store(smtp: &Arc<dyn Backend>, connections: usize, arm: &(dyn Fn() + Sync)) -> f64 {
    let batches: VecDeque<Batch> = (0..MESSAGES)
        .map(|n| Batch {
            message: Arc::new(Message {
                id: MessageId(n as i64),
                key: format!("message-{n}"),
                kind: "feedback".to_owned(),
                from: Some("no-reply@example.com".to_owned()),
                reply_to: None,
                headers: Vec::new(),
                return_path: None,
                created_at: chrono::Utc::now(),
                metadata: serde_json::Value::Null,
                raw: false,
            }),
            content: Arc::new(Content {
                subject: format!("Feedback {n}"),
                body: Body::Parts {
                    text: text(n),
                    html: None,
                },
            }),
            receivers: vec![Receiver {
                id: ReceiverId(n as i64),
                epoch: 1,
                uid: format!("{n:024x}"),
                identity: format!("user{n}@example.com"),
                name: None,
                user: None,
                language: "en".to_owned(),
                metadata: serde_json::Value::Null,
            }],
        })
        .collect();
    let queue = Mutex::new(batches);
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..connections {
            scope.spawn(|| {
                let mut session = smtp.open().expect("a session");
                while session.run(&mut Bare(&queue, arm)).expect("no trouble") == Ended::Close {
                    session = smtp.open().expect("a session");
                }
            });
        }
    });
    MESSAGES as f64 / began.elapsed().as_secs_f64()
}

fn with_store(backend: &Arc<dyn Backend>) -> f64 {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Arc::new(Store::create(&folder.path().join("postroom.db")).expect("a store"));
    let submissions: Vec<Submission> = (0..MESSAGES).map(letter).collect();
    store
        .submit(&submissions, chrono::Utc::now())
        .expect("stored");
    let began = Instant::now();
    let tally = engine(&store, Arc::clone(backend), Work::Pass)
        .wait()
        .expect("a pass");
    let rate = MESSAGES as f64 / began.elapsed().as_secs_f64();
    assert_eq!(tally.sent, MESSAGES as u64, "{tally:?}");
    rate
}
