//! Killed with SIGKILL at every point that matters: nothing is lost, and every copy too many is explained.
//!
//! `POSTROOM_KILLS=2000 cargo test --test crash_matrix` kills more often; `POSTROOM_SEED` begins elsewhere. With `-- --nocapture` it tells what it found.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{
    env, fs,
    path::PathBuf,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
        mpsc::channel,
    },
    thread,
};

use chrono::Utc;
use fastrand::Rng;
use postroom::{
    demo::server::{Action, Phase, Script, Server},
    store::Store,
};
use serde_json::Value;
use support::{
    Postroom, Running, SOON, Setup, Summary, assert_explained, lengthen_the_log, message,
    raw_message, receiver, several, skipped, submission,
};

/// Where a process can be killed (`src/fail.rs`), and how often it comes there at least while it sends what one round stores.
const POINTS: [(&str, u64); 8] = [
    ("before a commit", 12),
    ("after a commit", 12),
    ("before another commit", 4),
    ("after another commit", 4),
    ("before the arm", 12),
    ("before the body", 12),
    ("after the dot", 12),
    ("after the reply", 12),
];

/// Where a process can be killed while it moves a long log into the file, and how often it comes there before the log begins anew.
const MOVING: [(&str, u64); 3] = [
    ("while the log is moved", 2),
    ("before the log begins anew", 1),
    ("after the log began anew", 1),
];

/// Kills over all tests here.
fn kills() -> usize {
    let told = env::var("POSTROOM_KILLS").ok();
    told.map_or(112, |told| told.parse().unwrap())
}

fn seed() -> u64 {
    let told = env::var("POSTROOM_SEED").ok();
    told.map_or(1, |told| told.parse().unwrap())
}

/// Twenty messages to one each, and one to three of whom one is greylisted.
fn letters(round: usize) -> Vec<Value> {
    let mut letters = several(&format!("r{round}."), 20);
    let to = ["x", "grey", "y"].map(|who| format!("{who}.{round}@example.com"));
    letters.insert(
        7,
        raw_message(&format!("raw{round}"), &to.each_ref().map(String::as_str)),
    );
    letters
}

fn greylisting() -> Server {
    let script = Script::accept_all().by(|event| {
        let grey =
            event.phase == Phase::Rcpt && event.seen == 1 && event.recipient?.starts_with("grey");
        grey.then(|| Action::reply(451, "4.7.1", "greylisted"))
    });
    Server::start(script).unwrap()
}

/// Kills `engines` processes at once, each at a point of its own, until there were so many kills; then lets the rest go out.
fn kill_and_finish(postroom: &Postroom, engines: usize, kills: usize, rng: &mut Rng) {
    let (mut killed, mut round) = (0, 0);
    while killed < kills {
        round += 1;
        assert!(round < 4 * kills, "{killed} of {round} rounds were killed");
        postroom.submit(&letters(round));
        let delivering: Vec<Running> = (0..engines)
            .map(|_| {
                // Each point as often as the others.
                let (point, times) =
                    POINTS[(round + rng.usize(0..2) * (engines - 1)) % POINTS.len()];
                let at = format!("{point}:{}", rng.u64(1..=times));
                Running::spawn(postroom.command(&["deliver"]).env("POSTROOM_KILL_AT", at))
            })
            .collect();
        for one in delivering {
            killed += usize::from(one.wait().was_killed());
        }
        // What the killed left for others must not become more than one pass gets done soon.
        if round % 25 == 0 {
            postroom.deliver();
        }
    }
    assert!((0..6).any(|_| postroom.deliver() == Summary::default()));
}

/// Whether the program has points to be killed at.
fn can_be_killed() -> bool {
    if !cfg!(debug_assertions) {
        skipped("kills at named points: a build without debug assertions has none");
    }
    cfg!(debug_assertions)
}

#[test]
fn only_builds_with_debug_assertions_have_points_to_be_killed_at() {
    let program = fs::read(env!("CARGO_BIN_EXE_postroom")).unwrap();
    let names = POINTS.iter().chain(&MOVING).map(|(point, _)| *point);
    for name in names.chain(["POSTROOM_KILL_AT"]) {
        let is_there = memchr::memmem::find(&program, name.as_bytes()).is_some();
        assert_eq!(is_there, cfg!(debug_assertions), "{name}");
    }
}

/// `most`: the copies that one receiver may have got.
fn matrix(on_unknown: &str, engines: usize, most: usize) {
    if !can_be_killed() {
        return;
    }
    for connections in [1, 4] {
        let server = greylisting();
        let postroom = Setup::new()
            .smtp("email", &server)
            .set("backends.email.on_unknown", on_unknown)
            .set("backends.email.connections", connections)
            .set("delivery.backoff", "0s")
            .build();
        let mut rng = Rng::with_seed(seed() + connections as u64);
        let kills = kills().div_ceil(8);
        kill_and_finish(&postroom, engines, kills, &mut rng);
        let books = assert_explained(&postroom, &server, most);
        println!(
            "{on_unknown}, {engines} at once over {connections}: {kills} kills, nobody lost, {books:?}"
        );
        assert_eq!(postroom.locks(), [""; 0], "the dead have left their locks");
    }
}

#[test]
fn killed_at_every_point_under_hold_nothing_is_lost_and_nobody_gets_it_twice() {
    matrix("hold", 1, 1);
}

#[test]
fn killed_at_every_point_under_resend_nobody_gets_it_a_third_time_and_every_copy_is_explained() {
    matrix("resend", 1, 2);
}

#[test]
fn two_processes_killed_at_every_point_under_hold_lose_nothing_and_send_nobody_anything_twice() {
    matrix("hold", 2, 1);
}

#[test]
fn two_processes_killed_at_every_point_under_resend_explain_every_copy() {
    matrix("resend", 2, 2);
}

#[test]
fn killed_while_it_moves_the_log_beside_one_that_writes_it_loses_nothing() {
    if !can_be_killed() {
        return;
    }
    let path = Arc::new(OnceLock::<PathBuf>::new());
    let first = Arc::new(AtomicBool::new(false));
    let (grows, growing) = channel();
    let script = {
        let (path, first) = (Arc::clone(&path), Arc::clone(&first));
        // The first message of a round makes the log long, and gets no answer: the process cannot end before it is killed.
        Script::accept_all().by(move |event| {
            let is_first = event.phase == Phase::Dot && first.swap(false, Ordering::Relaxed);
            is_first.then(|| {
                grows.send(()).unwrap();
                lengthen_the_log(path.get().unwrap());
                Action::vanish().and_stall()
            })
        })
    };
    let server = Server::start(script).unwrap();
    let postroom = Setup::new()
        .smtp("email", &server)
        .set("backends.email.on_unknown", "hold")
        .set("backends.email.connections", 4)
        .build();
    path.set(postroom.store_path()).unwrap();
    let beside = Store::open(&postroom.store_path()).unwrap();
    let mut stored = 0;
    let points = MOVING
        .iter()
        .flat_map(|(point, times)| (1..=*times).map(move |time| format!("{point}:{time}")));
    let rounds = kills().div_ceil(28);
    for (round, at) in points.cycle().take(rounds).enumerate() {
        stored += postroom.submit(&several(&format!("r{round}."), 20)).len();
        beside.trim_log().unwrap();
        first.store(true, Ordering::Relaxed);
        let deliver = &mut postroom.command(&["deliver"]);
        let deliver = Running::spawn(deliver.env("POSTROOM_KILL_AT", &at));
        growing.recv_timeout(SOON).unwrap();
        let ended = AtomicBool::new(false);
        let written = thread::scope(|scope| {
            let writing = scope.spawn(|| {
                // Not so many that this process moves the log itself.
                let letters = (0..300).take_while(|_| !ended.load(Ordering::Relaxed));
                let receipts = letters.flat_map(|n| {
                    let to = vec![receiver("email", format!("b{round}.{n}@example.com"))];
                    let letter = submission("note", "Beside".to_owned(), "Hello.".to_owned(), to);
                    beside.submit(&[letter], Utc::now()).unwrap()
                });
                receipts.count()
            });
            let ran = deliver.wait();
            ended.store(true, Ordering::Relaxed);
            assert!(ran.was_killed(), "{at}: {ran:?}");
            writing.join().unwrap()
        });
        println!("{at}: {written} written beside");
        stored += written;
        let check = postroom.run(&["check"]);
        let wrong = check
            .stdout
            .lines()
            .filter(|line| line.starts_with("WRONG"));
        for line in wrong {
            // The lock of the dead, which the next one removes.
            assert!(line.contains("leftovers"), "{at}: {check:?}");
        }
    }
    assert!((0..6).any(|_| postroom.deliver() == Summary::default()));
    postroom.run(&["check"]).ok();
    let books = assert_explained(&postroom, &server, 1);
    println!("log: {rounds} kills, nobody lost, {books:?}");
    assert_eq!(books.receivers, stored);
    assert!(books.in_doubt >= rounds, "{books:?}");
    assert_eq!(postroom.locks(), [""; 0], "the dead have left their locks");
}

#[test]
fn a_submit_that_is_killed_at_any_commit_and_repeated_stores_everything_once() {
    if !can_be_killed() {
        return;
    }
    let postroom = Setup::new().file("disk").build();
    let letters: Vec<Value> = (0..200)
        .map(|n| {
            let mut letter = message(
                &format!("m{n}"),
                "feedback",
                &[&format!("m{n}@example.com")],
            );
            // Long enough for several transactions.
            letter["content"]["en"]["text"] = "Hello.\n".repeat(2_000).into();
            letter
        })
        .collect();
    let lines: Vec<String> = letters.iter().map(ToString::to_string).collect();
    let file = postroom.folder().join("letters");
    fs::write(&file, lines.join("\n")).unwrap();
    let mut killed = 0;
    for point in ["before another commit", "after another commit"] {
        for time in 1..=3 {
            let at = format!("{point}:{time}");
            let submitting = &mut postroom.command(&["submit", file.to_str().unwrap()]);
            let ran = Running::spawn(submitting.env("POSTROOM_KILL_AT", at)).wait();
            killed += usize::from(ran.was_killed());
            let stored = postroom.count("");
            // The last line may be cut off.
            let receipts = ran.stdout.matches("}\n").count();
            assert!(receipts <= stored, "{receipts} receipts, {stored} stored");
        }
    }
    assert!(killed >= 3, "{killed}");
    let receipts = postroom.submit(&letters);
    assert_eq!(receipts.len(), 200);
    assert_eq!(postroom.count(""), 200);
}
