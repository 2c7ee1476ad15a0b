//! `postroom demo`: sixty days of real deliveries to a mail server that misbehaves, or their picture at any size.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    os::fd::OwnedFd,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::Utc;
use indicatif::ProgressBar;
use postroom::{
    backend::Smtp,
    config::Kind,
    delivery::{OnUnknown, Policy, Way},
    demo::Demo,
    message::{Outcome, ReceiverId, State},
    query::Query,
    store::{Anchor, Row},
};
use rustix::{
    process::{Pid, Signal, kill_process},
    pty::OpenptFlags,
};

/// The ways out that the demo's config names.
fn ways(demo: &Demo) -> Vec<Way> {
    let delivery = &demo.config().delivery;
    let way = |(name, backend): (&String, &postroom::config::Backend)| {
        let Kind::Smtp(smtp) = &backend.kind else {
            panic!("{name} is no mail server");
        };
        Way {
            name: name.clone(),
            backend: Arc::new(Smtp::new((**smtp).clone()).unwrap()),
            policy: Policy {
                backoff: delivery.backoff.clone(),
                resend_limit: delivery.resend_limit(),
                retry_permanent: false,
                on_unknown: OnUnknown::Resend,
            },
            probe: backend.probe,
            rate: None,
        }
    };
    demo.config().backends.iter().map(way).collect()
}

fn states(demo: &Demo) -> HashMap<State, u64> {
    let counts = demo.store().reader().unwrap().counts().unwrap();
    let states = State::ALL.into_iter();
    states
        .map(|state| (state, counts.of_state(state)))
        .collect()
}

fn rows(demo: &Demo) -> Vec<Row> {
    let reader = demo.store().reader().unwrap();
    reader
        .window(&Query::default(), Anchor::First, 100_000)
        .unwrap()
}

/// What deliveries alone can bring about; the rest takes an operator.
const BY_DELIVERY: [State; 9] = [
    State::Queued,
    State::FailedTemporary,
    State::FailedBackend,
    State::FailedUnconfirmed,
    State::Exhausted,
    State::Permanent,
    State::Expired,
    State::ErrorUnconfirmed,
    State::Accepted,
];

#[test]
fn the_demo_shows_every_state_and_tells_the_truth_about_what_arrived() {
    let demo = Demo::temporary().unwrap();
    demo.live(&ways(&demo), Utc::now(), &ProgressBar::hidden())
        .unwrap();

    let states = states(&demo);
    assert!(
        BY_DELIVERY.iter().all(|state| states[state] > 0),
        "{states:?}"
    );
    assert_eq!(states.values().sum::<u64>(), 3000);

    let ledger = demo.server().ledger();
    assert_eq!(ledger.violations, [""; 0]);
    let mut copies = HashMap::<_, u64>::new();
    for entry in &ledger.entries {
        *copies
            .entry((entry.uid.to_string(), entry.recipient.clone()))
            .or_default() += 1;
    }
    let reader = demo.store().reader().unwrap();
    let mut unknown = 0;
    for row in rows(&demo) {
        let detail = reader.detail(row.id).unwrap().unwrap();
        let of = |wanted| {
            detail
                .attempts
                .iter()
                .filter(|attempt| attempt.outcome == Some(wanted))
                .count() as u64
        };
        assert!(
            detail
                .attempts
                .iter()
                .all(|attempt| attempt.outcome.is_some())
        );
        assert_eq!(u64::from(row.sent_count), of(Outcome::Accepted));
        unknown += of(Outcome::Unknown);
        if !reader.content_of(row.id).unwrap().unwrap().is_raw() {
            let key = (detail.uid.raw().to_owned(), row.identity.raw().to_owned());
            let arrived = copies.remove(&key).unwrap_or_default();
            // Here the server took every message whose answer it kept to itself.
            assert_eq!(
                arrived,
                of(Outcome::Accepted) + of(Outcome::Unknown),
                "{row:?}"
            );
        }
    }
    assert!(unknown > 10);
}

#[test]
fn the_picture_at_any_size_has_the_mix_of_the_real_thing() {
    let folder = tempfile::tempdir().unwrap();
    let demo = Demo::create(&folder.path().join("made")).unwrap();
    demo.direct(8_000, Utc::now(), &ProgressBar::hidden())
        .unwrap();
    let states = states(&demo);
    assert!(
        BY_DELIVERY.iter().all(|state| states[state] > 0),
        "{states:?}"
    );
    assert_eq!(states.values().sum::<u64>(), 8_000);
    assert!(
        (6_800..7_800).contains(&states[&State::Accepted]),
        "{states:?}"
    );

    let reader = demo.store().reader().unwrap();
    for id in (1..=8_000).step_by(7) {
        let detail = reader.detail(ReceiverId(id)).unwrap().unwrap();
        for attempt in &detail.attempts {
            assert!(attempt.ended_at.unwrap() <= Utc::now());
            let failed = attempt.outcome != Some(Outcome::Accepted);
            assert_eq!(attempt.traceback.is_some(), failed);
            assert_eq!(attempt.reply.is_some(), !failed);
        }
        let tried = !detail.attempts.is_empty();
        assert_eq!(tried, detail.row.state != State::Queued, "{detail:?}");
    }
}

#[test]
fn a_folder_left_behind_is_served_again_on_its_port() {
    let folder = tempfile::tempdir().unwrap();
    let demo = Demo::create(folder.path()).unwrap();
    demo.direct(50, Utc::now(), &ProgressBar::hidden()).unwrap();
    let addr = demo.server().addr();
    let taken = Demo::open(folder.path()).err().unwrap().to_string();
    assert!(taken.contains("cannot listen on 127.0.0.1"), "{taken}");
    drop(demo);

    let again = Demo::open(folder.path()).unwrap();
    assert_eq!(again.server().addr(), addr);
    assert_eq!(rows(&again).len(), 50);
}

#[test]
fn causes_that_the_config_of_a_folder_merges_are_one_when_it_is_served_again() {
    let folder = tempfile::tempdir().unwrap();
    let causes = |demo: &Demo| {
        let reader = demo.store().reader().unwrap();
        let causes = reader.causes(&Query::default(), 1000).unwrap();
        let temporary = causes.iter().filter(|row| row.text.raw().starts_with("45"));
        (
            temporary.count(),
            causes.iter().map(|row| row.count).sum::<u64>(),
        )
    };
    let demo = Demo::create(folder.path()).unwrap();
    let hidden = ProgressBar::hidden();
    demo.direct(700, Utc::now(), &hidden).unwrap();
    let before = causes(&demo);
    assert!(before.0 > 1, "{before:?}");
    let path = demo.config_path();
    drop(demo);
    let config = fs::read_to_string(&path).unwrap();
    fs::write(&path, config + "\n[causes]\nmerge = [\"45*\"]\n").unwrap();
    let again = Demo::open(folder.path()).unwrap();
    assert_eq!(causes(&again), (1, before.1));
}

#[test]
fn the_command_leaves_a_folder_that_every_other_command_understands() {
    let folder = tempfile::tempdir().unwrap();
    let postroom = |arguments: &[&str]| {
        let ran = Command::new(env!("CARGO_BIN_EXE_postroom"))
            .args(arguments)
            .env("HOME", folder.path())
            .env_remove("POSTROOM_STORE")
            .env_remove("POSTROOM_CONFIG")
            .output()
            .unwrap();
        assert!(ran.status.success(), "{ran:?}");
        String::from_utf8(ran.stdout).unwrap()
    };
    let made = folder.path().join("large");
    let config = made.join("config.toml");
    let (made, config) = (made.to_str().unwrap(), config.to_str().unwrap());
    postroom(&["demo", "--seed-only", made, "--receivers", "700"]);
    let list = ["--config", config, "list", "--limit", "0", "--format"];
    let all = postroom(&[&list[..], &["json"]].concat());
    assert_eq!(all.lines().count(), 700);
    let failed = postroom(&[&list[..], &["tsv", "status:failed,error"]].concat());
    let harmless = |c: char| c == '\n' || c == '\t' || !c.is_control();
    assert!(failed.lines().count() > 20 && failed.chars().all(harmless));
}

#[test]
fn a_folder_with_something_in_it_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("thesis.txt"), "dear").unwrap();
    let refused = Demo::create(folder.path()).err().unwrap().to_string();
    assert!(refused.contains("is not empty"), "{refused}");
    assert!(Demo::open(folder.path()).is_err());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// A new pseudo-terminal: its master, and its other side.
fn terminal() -> (OwnedFd, File) {
    let master = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    rustix::pty::grantpt(&master).unwrap();
    rustix::pty::unlockpt(&master).unwrap();
    let name = rustix::pty::ptsname(&master, Vec::new()).unwrap();
    let name = std::str::from_utf8(name.as_bytes()).unwrap();
    let other = OpenOptions::new().read(true).write(true).open(name);
    (master, other.unwrap())
}

#[test]
fn a_signal_while_the_demo_is_made_leaves_no_folder_behind() {
    for (signal, number) in [(Signal::HUP, 1), (Signal::INT, 2), (Signal::TERM, 15)] {
        let place = tempfile::tempdir().unwrap();
        let there = || fs::read_dir(place.path()).unwrap().count();
        let (_master, terminal) = terminal();
        let mut child = Command::new(env!("CARGO_BIN_EXE_postroom"))
            .args(["demo", "--receivers", "2000000"])
            .env("TMPDIR", place.path())
            .stdin(terminal.try_clone().unwrap())
            .stdout(terminal)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let until = Instant::now() + Duration::from_secs(60);
        while there() == 0 {
            assert!(Instant::now() < until, "the demo never began");
            std::thread::yield_now();
        }
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(128 + number));
        assert_eq!(there(), 0);
    }
}
