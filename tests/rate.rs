//! No faster than the config says, and no longer in the way than that.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use postroom::demo::server::{Phase, Script, Server};
use support::{Postroom, SOON, Setup, raw_message, several};

/// A server that notes when the last message came.
fn watched() -> (Server, Arc<Mutex<Instant>>) {
    let last = Arc::new(Mutex::new(Instant::now()));
    let noted = Arc::clone(&last);
    let server = Server::start(Script::accept_all().by(move |event| {
        if event.phase == Phase::Dot {
            *noted.lock().unwrap() = Instant::now();
        }
        None
    }))
    .unwrap();
    (server, last)
}

fn limited(server: &Server, rate: &str) -> Postroom {
    Setup::new()
        .smtp("email", server)
        .set("backends.email.rate", rate)
        .build()
}

#[test]
fn all_connections_together_keep_the_rate() {
    let (server, last) = watched();
    let postroom = limited(&server, "40/s");
    postroom.submit(&several("m", 60));
    let began = Instant::now();
    let ran = postroom.run(&["deliver", "--format", "json"]).ok();
    assert!(!ran.stderr.contains("rate"), "{}", ran.stderr);
    server.with_ledger(|ledger| assert_eq!(ledger.entries.len(), 60));
    // Four may go at once, each other one waits its 25 ms.
    let took = *last.lock().unwrap() - began;
    assert!(took >= Duration::from_millis(56 * 25), "{took:?}");
}

#[test]
fn a_message_to_many_counts_for_each_receiver() {
    let (server, last) = watched();
    let postroom = limited(&server, "20/s");
    let to: Vec<String> = (0..60).map(|n| format!("user{n}@example.com")).collect();
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    postroom.submit(&[raw_message("raw", &to)]);
    let began = Instant::now();
    assert_eq!(postroom.deliver().sent, 60);
    // Whoever is in the last transaction, at most what may go in a second, makes only those wait that follow.
    let took = *last.lock().unwrap() - began;
    assert!(
        took >= Duration::from_millis((60 - 22 - 2) * 50),
        "{took:?}"
    );
}

#[test]
fn whoever_waits_for_the_rate_is_nobodys_and_a_stop_does_not_wait_for_it() {
    let (server, _) = watched();
    let postroom = limited(&server, "1/h");
    postroom.submit(&several("m", 5));
    let service = postroom.start(&["run"]);
    assert!(server.wait_for(|ledger| ledger.entries.len() == 1, SOON));
    postroom.wait_until("the result is written down", |postroom| {
        postroom.count("status:sent") == 1
    });
    assert_eq!(postroom.count("is:sending"), 0);
    // The others are there for whoever has a rate of its own.
    let stopped = Instant::now();
    service.terminate().ok();
    assert!(stopped.elapsed() < Duration::from_secs(10));
    server.with_ledger(|ledger| assert_eq!(ledger.entries.len(), 1));
    assert_eq!(postroom.count("status:not_sent"), 4);
}
