//! Windows, counts, search, causes and submission against stores of two sizes, side by side.
//!
//! `cargo bench --bench store` prints medians in milliseconds; the goal is under 5 ms each, and flat between the two sizes. Then the same for the whole
//! process of `postroom list QUERY --limit 100`, where the goal is under 20 ms.

use std::{
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Local, TimeDelta, Utc};
use postroom::{
    message::{NewReceiver, Outcome, ReceiverId, State, Submission},
    query::{Context, Query},
    store::{Anchor, By, SeedAttempt, SeedReceiver, Sort, Store},
};

#[path = "../tests/support/submission.rs"]
mod fixture;

use fixture::{receiver, submission};

const SIZES: [usize; 2] = [100_000, 1_000_000];
const RUNS: usize = 15;
const PER_MESSAGE: usize = 5;

/// The receivers were handed over and sent over so many days.
const DAYS: i64 = 60;

/// What an index leads to, and at the end what none does.
const QUERIES: [&str; 19] = [
    "",
    "status:failed",
    "type:feedback",
    "status:failed,error type:feedback",
    "backend:email status:error",
    "user:user77777",
    "to:user77777@example.com",
    "to:@example.com",
    "key:message-777",
    "id:77777",
    "77777",
    "assignment",
    "zebrafish",
    "created:<1d",
    "created:>59d",
    "sent:>50d type:feedback",
    "sent:none",
    "delivery:undelivered",
    "code:250",
];

type Look = Box<dyn Fn(&postroom::store::Reader)>;

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut columns = Vec::new();
    for size in SIZES {
        let path = folder.path().join(format!("{size}.db"));
        let store = Arc::new(Store::create(&path).expect("a store"));
        fill(&store, size, history);
        let mut figures = measure(&store, size);
        figures.extend(processes(&path));
        println!("{size}: file {} MiB", mib(&path));
        let path = folder.path().join(format!("{size}-failed.db"));
        let store = Arc::new(Store::create(&path).expect("a store"));
        fill(&store, size, failure);
        figures.extend(causes(&store));
        println!("{size} failures: file {} MiB", mib(&path));
        columns.push((size, figures));
    }
    println!(
        "{:<42} {:>12} {:>12}  ms, medians of {RUNS}",
        "", SIZES[0], SIZES[1]
    );
    for (index, (name, small)) in columns[0].1.iter().enumerate() {
        let large = columns[1].1[index].1;
        println!(
            "{name:<42} {:>12.3} {:>12.3}",
            small.as_secs_f64() * 1e3,
            large.as_secs_f64() * 1e3
        );
    }
}

/// Whole processes of `list`, from the start to the end of their output.
fn processes(store: &Path) -> Vec<(String, Duration)> {
    let list = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postroom"));
        command
            .args(["list", "--limit", "100", "--format", "json", "--store"])
            .arg(store)
            .args(arguments)
            .env("POSTROOM_CONFIG", "/dev/null")
            .stdout(Stdio::null());
        median(|| assert!(command.status().expect("a process").success()))
    };
    let queries = QUERIES.map(|query| (format!("process: list {query}"), list(&[query])));
    let sorts = By::ALL.map(|by| {
        (
            format!("process: list --sort {}", by.name()),
            list(&["--sort", by.name()]),
        )
    });
    queries.into_iter().chain(sorts).collect()
}

fn mib(path: &Path) -> u64 {
    path.metadata().map_or(0, |file| file.len() >> 20)
}

fn measure(store: &Store, size: usize) -> Vec<(String, Duration)> {
    let middle = ReceiverId(size as i64 / 2);
    let window = |text: &str, anchor: Anchor| -> Look {
        let query = Query::parse(text, &Context { now: Local::now() }).expect("a query");
        Box::new(move |reader| {
            reader.window(&query, anchor, 100).expect("a window");
        })
    };
    let sorted = |text: &str, by: By, reversed: bool| -> Look {
        let query = Query::parse(text, &Context { now: Local::now() }).expect("a query");
        let sort = Sort { by, reversed };
        Box::new(move |reader| {
            reader
                .window_in(&query, sort, &Anchor::First, 100)
                .expect("a window");
        })
    };
    let looks: Vec<(&'static str, Look)> = vec![
        ("first window", window("", Anchor::First)),
        (
            "next window, in the middle",
            window("", Anchor::After(middle)),
        ),
        ("last window", window("", Anchor::Last)),
        (
            "counts per status",
            Box::new(|reader| assert!(reader.counts().expect("counts").total() > 0)),
        ),
        ("status:failed", window("status:failed", Anchor::First)),
        ("type:feedback", window("type:feedback", Anchor::First)),
        (
            "status:failed,error type:feedback",
            window("status:failed,error type:feedback", Anchor::First),
        ),
        (
            "to: one identity",
            window("to:user77777@example.com", Anchor::First),
        ),
        ("search, many hits", window("assignment", Anchor::First)),
        ("search, one hit", window("user77777", Anchor::First)),
        ("search, no hit", window("zebrafish", Anchor::First)),
        ("created:<1d", window("created:<1d", Anchor::First)),
        ("created:>59d", window("created:>59d", Anchor::First)),
        ("created:<1m", window("created:<1m", Anchor::First)),
        ("sent:>59d", window("sent:>59d", Anchor::First)),
        (
            "sent:>50d type:feedback",
            window("sent:>50d type:feedback", Anchor::First),
        ),
        ("sent:none", window("sent:none", Anchor::First)),
        ("backend:email", window("backend:email", Anchor::First)),
        ("by created", sorted("", By::Created, false)),
        ("by created, turned round", sorted("", By::Created, true)),
        ("by sent", sorted("", By::Sent, false)),
        ("by sent, turned round", sorted("", By::Sent, true)),
        (
            "by sent, sent:>50d type:feedback",
            sorted("sent:>50d type:feedback", By::Sent, false),
        ),
        (
            "by created, status:failed",
            sorted("status:failed", By::Created, false),
        ),
        (
            "by sent, one identity",
            sorted("to:user77777@example.com", By::Sent, false),
        ),
        ("by type", sorted("", By::Type, false)),
        ("by status", sorted("", By::Status, false)),
        (
            "by status, type:feedback",
            sorted("type:feedback", By::Status, false),
        ),
    ];
    let reader = store.reader().expect("a reader");
    looks
        .into_iter()
        .map(|(name, look)| (name.to_owned(), median(|| look(&reader))))
        .collect()
}

fn causes(store: &Store) -> Vec<(String, Duration)> {
    let reader = store.reader().expect("a reader");
    let read = |text: &str| Query::parse(text, &Context { now: Local::now() }).expect("a query");
    let causes = ["", "status:failed type:feedback", "code:451 type:feedback"].map(|text| {
        let query = read(text);
        let look = || assert!(reader.causes(&query, 100).expect("causes").len() == 100);
        (format!("all failed: causes {text}"), median(look))
    });
    let windows = ["cause:1", "cause:9", "cause:1 type:invoice", "code:451"].map(|text| {
        let query = read(text);
        let look = || {
            assert!(
                !reader
                    .window(&query, Anchor::First, 100)
                    .expect("a window")
                    .is_empty()
            );
        };
        (format!("all failed: {text}"), median(look))
    });
    let query = read("cause:1");
    let count = median(|| {
        reader.count(&query, 1).expect("a count");
    });
    let count = ("all failed: count of cause:1".to_owned(), count);
    causes.into_iter().chain(windows).chain([count]).collect()
}

fn median(mut run: impl FnMut()) -> Duration {
    run();
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let began = Instant::now();
            run();
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[RUNS / 2]
}

fn fill(store: &Arc<Store>, size: usize, history: fn(i64, DateTime<Utc>) -> Option<SeedReceiver>) {
    let began = Instant::now();
    let (mut longest, mut first) = (Duration::ZERO, 1_i64);
    for chunk in 0..size / 10_000 {
        let messages: Vec<Submission> = (0..10_000 / PER_MESSAGE)
            .map(|n| letter(chunk * 10_000 / PER_MESSAGE + n))
            .collect();
        let at = Instant::now();
        store
            .submit(&messages, time_of(chunk * 10_000, size))
            .expect("stored");
        longest = longest.max(at.elapsed());
        let receivers: Vec<SeedReceiver> = (first..first + 10_000)
            .filter_map(|id| history(id, time_of(id as usize, size)))
            .collect();
        store.seed(&receivers, "bench").expect("seeded");
        first += 10_000;
    }
    let filled = began.elapsed();
    while store.index_some(2_000).expect("indexed") > 0 {}
    println!(
        "{size}: filled in {:.1} s ({:.0} receivers/s with their histories), text index in {:.1} s more",
        filled.as_secs_f64(),
        size as f64 / filled.as_secs_f64(),
        began.elapsed().saturating_sub(filled).as_secs_f64()
    );
}

/// When this one was handed over: the newest just now, the oldest [`DAYS`] ago.
fn time_of(id: usize, size: usize) -> DateTime<Utc> {
    let left = size.saturating_sub(id) as i64;
    Utc::now() - TimeDelta::minutes(left * DAYS * 24 * 60 / size as i64)
}

/// Everybody failed, for one of a thousand causes; the first met half of them.
fn failure(id: i64, now: DateTime<Utc>) -> Option<SeedReceiver> {
    const WORDS: [&str; 5] = [
        "greylisted",
        "mailbox full",
        "system busy",
        "too many connections",
        "policy",
    ];
    let cause = if id % 2 == 0 { 0 } else { id / 2 % 1_000 };
    let mut failed = history(92, now)?;
    failed.id = ReceiverId(id);
    for attempt in &mut failed.attempts {
        let words = WORDS[cause as usize % WORDS.len()];
        attempt.text = format!("451 4.7.1 {words}, try again in {} seconds", 100 + id % 800);
        attempt.server = Some(format!("mx{}.example:25", cause / 5));
    }
    Some(failed)
}

/// Nine in ten were sent; the others are spread over Failed, Error and Not sent.
fn history(id: i64, now: DateTime<Utc>) -> Option<SeedReceiver> {
    // An accepted try has another code than one that failed.
    let (code, enhanced) = if id % 100 < 90 {
        (250, "2.0.0")
    } else {
        (451, "4.7.1")
    };
    let attempt = |outcome| SeedAttempt {
        outcome,
        started_at: now,
        ended_at: now,
        code: Some(code),
        enhanced: Some(enhanced.to_owned()),
        text: "451 4.7.1 greylisted".to_owned(),
        traceback: "451 4.7.1 greylisted\n  at RCPT".to_owned(),
        server: None,
        phase: None,
        transcript: None,
    };
    let (state, outcome) = match id % 100 {
        0..90 => (State::Accepted, Outcome::Accepted),
        90..95 => (State::FailedTemporary, Outcome::Temporary),
        95..98 => (State::Permanent, Outcome::Permanent),
        _ => return None,
    };
    Some(SeedReceiver {
        id: ReceiverId(id),
        state,
        due_at: state.is_pending().then_some(now),
        sent_at: (state == State::Accepted).then_some(now),
        attempts: vec![attempt(outcome)],
    })
}

fn letter(n: usize) -> Submission {
    const KINDS: [&str; 4] = ["feedback", "deadline_moved", "comment_delivery", "invoice"];
    let receivers = (0..PER_MESSAGE).map(|k| {
        let user = format!("user{}", n * PER_MESSAGE + k);
        NewReceiver {
            user: Some(user.clone()),
            ..receiver("email", format!("{user}@example.com"))
        }
    });
    let subject = format!("Feedback on assignment {}", n % 1_000);
    let text = "Your examiner has given feedback. ".repeat(12);
    Submission {
        key: Some(format!("message-{n}")),
        ..submission(KINDS[n % KINDS.len()], subject, text, receivers.collect())
    }
}
