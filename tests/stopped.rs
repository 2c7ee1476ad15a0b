//! Processes that are stopped past their lease and woken again, clocks that are wrong, and a store that has two names.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{fs, os::unix::fs::symlink, path::Path, sync::Arc};

use chrono::{TimeDelta, Utc};
use postroom::{
    delivery::{Engine, Work},
    demo::server::{Action, Script, Server},
    store::Store,
};
use support::{Postroom, Running, SOON, Setup, Signal, assert_explained, options, several, way};

const MESSAGES: usize = 10;

/// A service that waits for the answer to the first message's dot, and holds the others.
fn waiting() -> (Server, Postroom, Running) {
    let held_back = Action::accept().when_released();
    let server = Server::start(Script::accept_all().nth_dot(1, held_back)).unwrap();
    let postroom = Setup::new()
        .smtp("email", &server)
        .set("backends.email.on_unknown", "hold")
        .set("backends.email.connections", 1)
        .set("delivery.lease", "1s")
        .build();
    postroom.submit(&several("m", MESSAGES));
    let service = postroom.start(&["run"]);
    assert!(server.wait_for(|ledger| ledger.withheld == 1, SOON));
    (server, postroom, service)
}

#[test]
fn who_is_stopped_past_the_lease_and_woken_sends_nothing_twice_and_loses_no_answer() {
    let (server, postroom, service) = waiting();
    service.signal(Signal::STOP);
    postroom.wait_until("another has sent what was only claimed", |postroom| {
        postroom.deliver();
        postroom.count("status:sent") == MESSAGES - 1
    });
    assert_eq!(postroom.count("is:sending"), 1, "the armed one waits");
    let told = postroom.run(&["status"]).stdout;
    let pid = format!("pid {}", service.pid());
    assert!(told.contains(&pid) && told.contains("1 armed"), "{told}");

    server.release();
    service.signal(Signal::CONT);
    postroom.wait_until("the answer is written down", |postroom| {
        postroom.count("status:sent") == MESSAGES
    });
    service.terminate().ok();
    assert_explained(&postroom, &server, 1);
}

#[test]
fn an_answer_that_comes_after_its_sender_was_taken_for_dead_is_filed_and_corrects_the_row() {
    let (server, postroom, service) = waiting();
    service.signal(Signal::STOP);
    for lock in postroom.locks() {
        fs::remove_file(postroom.folder().join(lock)).unwrap();
    }
    postroom.deliver();
    assert_eq!(postroom.count("status:sent"), MESSAGES - 1);
    assert_eq!(postroom.state_of("-status:sent"), "error/unconfirmed");

    server.release();
    service.signal(Signal::CONT);
    let ran = service.wait().exit(1);
    assert!(ran.stderr.contains("was removed"), "{ran:?}");
    assert_eq!(postroom.count("status:sent"), MESSAGES);
    let first = postroom.show_only("key:m0");
    assert_eq!(first["attempts"][0]["outcome"], "unknown", "that stays");
    server.with_ledger(|ledger| {
        assert_eq!(ledger.entries.len(), MESSAGES);
        assert_eq!(ledger.duplicates(), []);
    });
}

#[test]
fn whoever_comes_by_another_name_of_the_store_sees_that_an_engine_lives() {
    let (server, postroom, service) = waiting();
    let other_name = postroom.folder().join("link.db");
    symlink(postroom.store_path(), &other_name).unwrap();
    let other = other_name.to_str().unwrap();
    postroom.run(&["deliver", "--store", other]).ok();
    assert_eq!(postroom.count("is:sending"), MESSAGES);
    assert_eq!(postroom.count("reason:unconfirmed"), 0);
    server.release();
    postroom.wait_until("everything is sent", |postroom| {
        postroom.count("status:sent") == MESSAGES
    });
    service.terminate().ok();
    assert_explained(&postroom, &server, 1);
}

#[test]
fn a_service_beside_which_its_store_is_restored_ends_and_what_was_restored_sends_nobody_a_second_copy()
 {
    let (server, postroom, service) = waiting();
    let [copy, old] = ["copy.db", "old.db"].map(|name| postroom.folder().join(name));
    let [copy_name, old_name] = [&copy, &old].map(|path| path.to_str().unwrap());
    postroom.run(&["backup", copy_name]).ok();
    for ending in ["", "-wal", "-shm"] {
        let named = |path: &Path| format!("{}{ending}", path.display());
        fs::rename(named(&postroom.store_path()), named(&old)).unwrap();
    }
    fs::rename(&copy, postroom.store_path()).unwrap();
    postroom.wait_until("the service lets go of what it has not begun", |postroom| {
        let sending = [
            "list",
            "--format",
            "json",
            "--store",
            old_name,
            "is:sending",
        ];
        // But for the next one, whose envelope waits behind the first.
        postroom.run(&sending).ok().json_lines().len() <= 2
    });
    // Its own answer is still to come, and its lock says so to whoever looks at what was restored.
    assert_eq!(postroom.deliver().tried(), 0);
    assert_eq!(postroom.count("reason:unconfirmed"), 0);
    server.release();
    let ran = service.wait().exit(1);
    assert!(ran.stderr.contains("moved, removed or replaced"), "{ran:?}");

    // What the copy knows is that the first was being sent.
    assert_eq!(postroom.deliver().tried(), 0);
    assert_eq!(postroom.state_of("key:m0"), "error/unconfirmed");
    server.with_ledger(|ledger| assert_eq!(ledger.recipients(), ["m0@example.com"]));
    postroom.run(&["backend", "email", "resume"]).ok();
    assert_eq!(postroom.deliver().sent as usize, MESSAGES - 1);
    assert_explained(&postroom, &server, 1);
}

/// A pass in this process whose clock is wrong by so much.
fn pass(postroom: &Postroom, server: &Server, wrong_by: TimeDelta) -> Engine {
    let options = options(Work::Pass, Arc::new(move || Utc::now() + wrong_by));
    let store = Arc::new(Store::open(&postroom.store_path()).unwrap());
    Engine::start(&store, vec![way(server, 8)], options).unwrap()
}

#[test]
fn beside_a_process_whose_clock_is_a_day_ahead_nobody_is_sent_to_twice_or_called_in_doubt() {
    let (server, postroom, service) = waiting();
    let ahead = pass(&postroom, &server, TimeDelta::days(1));
    // To that clock the lease is long over; what is freed goes to whoever is faster.
    ahead.wait().unwrap();
    assert_eq!(postroom.count("reason:unconfirmed"), 0);
    assert_eq!(postroom.count("key:m0 is:sending"), 1);
    server.release();
    postroom.wait_until("the answer is written down", |postroom| {
        postroom.count("status:sent") == MESSAGES
    });
    service.terminate().ok();
    assert_explained(&postroom, &server, 1);
}

#[test]
fn a_clock_that_is_an_hour_behind_sends_later_and_takes_nobody_for_dead() {
    let (server, postroom, service) = waiting();
    let behind = pass(&postroom, &server, TimeDelta::hours(-1));
    assert_eq!(behind.wait().unwrap().tried(), 0);
    assert_eq!(postroom.count("is:sending"), MESSAGES);
    server.release();
    postroom.wait_until("everything is sent", |postroom| {
        postroom.count("status:sent") == MESSAGES
    });
    service.terminate().ok();
    assert_explained(&postroom, &server, 1);
}
