//! Several processes on one store.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use postroom::demo::server::{Action, Phase, Script, Server};
use support::{Postroom, SOON, message, several};

#[test]
fn three_deliverers_on_one_store_send_nobody_the_same_message_twice() {
    let server = Server::start(Script::accept_all()).unwrap();
    let postroom = Postroom::to(&server);
    postroom.submit(&several("m", 1_500));
    let deliverers: Vec<_> = (0..3)
        .map(|_| postroom.start(&["deliver", "--format", "json"]))
        .collect();
    let sent: i64 = deliverers
        .into_iter()
        .map(|one| one.wait().ok().json_lines()[0]["sent"].as_i64().unwrap())
        .sum();
    assert_eq!(sent, 1_500);
    server.with_ledger(|ledger| {
        assert_eq!(ledger.duplicates(), []);
        assert_eq!(ledger.entries.len(), 1_500);
    });
    assert_eq!(postroom.count("status:sent"), 1_500);
}

#[test]
fn a_service_sends_what_another_process_stores_and_stops_cleanly_on_sigterm() {
    let server = Server::start(Script::accept_all()).unwrap();
    let postroom = Postroom::to(&server);
    let service = postroom.start(&["run"]);
    postroom.submit(&[message("late", "feedback", &["april@example.com"])]);
    assert!(server.wait_for(|ledger| ledger.entries.len() == 1, SOON));
    let ran = service.terminate().ok();
    assert_eq!(postroom.state_of(""), "sent/accepted");
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    assert_eq!(
        postroom.locks(),
        [""; 0],
        "an engine that left leaves no lock behind"
    );
}

#[test]
fn sigterm_waits_for_the_reply_under_way_and_writes_it_down() {
    let (server, postroom) = support::held_at_the_dot();
    postroom.submit(&[
        message("a", "feedback", &["a@example.com"]),
        message("b", "feedback", &["b@example.com"]),
        message("c", "feedback", &["c@example.com"]),
    ]);
    let service = postroom.start(&["run"]);
    assert!(server.wait_for(|ledger| ledger.withheld == 1, SOON));
    service.signal(support::Signal::TERM);
    // The envelope of b went out behind the body of a; c was only claimed.
    postroom.wait_until("what was not begun is free", |postroom| {
        postroom.count("is:sending") == 2
    });
    server.release();
    service.wait().ok();
    assert_eq!(postroom.state_of("key:a"), "sent/accepted");
    assert_eq!(postroom.state_of("key:b"), "not_sent/queued");
    assert_eq!(postroom.state_of("key:c"), "not_sent/queued");
    assert_eq!(postroom.count("is:sending"), 0);
}

#[test]
fn an_emergency_hold_stops_what_is_claimed_and_leaves_what_is_being_sent() {
    let (server, postroom) = support::held_at_the_dot();
    postroom.submit(&several("m", 50));
    let delivering = postroom.start(&["deliver", "--format", "json"]);
    assert!(server.wait_for(|ledger| ledger.withheld == 1, SOON));
    let told = postroom.run(&["hold", "--all", "--yes"]).ok();
    assert_eq!(postroom.count("is:held"), 49, "{told:?}");
    server.release();
    let summary = &delivering.wait().ok().json_lines()[0];
    assert_eq!(summary["sent"], 1);
    server.with_ledger(|ledger| assert_eq!(ledger.entries.len(), 1));
    assert_eq!(postroom.count("is:held"), 49);
}

#[test]
fn a_message_that_the_store_cannot_give_back_is_an_error_of_its_own_and_holds_up_nobody() {
    let server = Server::start(Script::accept_all()).unwrap();
    let postroom = Postroom::to(&server);
    postroom.submit(&[
        message("damaged", "feedback", &["a@example.com"]),
        message("sound", "feedback", &["b@example.com"]),
    ]);
    let store = rusqlite::Connection::open(postroom.store_path()).unwrap();
    store
        .execute(
            "UPDATE content SET body = x'00' WHERE subject = 'About damaged'",
            [],
        )
        .unwrap();
    drop(store);
    let summary = postroom.deliver();
    assert_eq!((summary.sent, summary.error), (1, 1));
    assert_eq!(postroom.state_of("key:damaged"), "error/permanent");
    server.with_ledger(|ledger| assert_eq!(ledger.recipients(), ["b@example.com"]));
}

#[test]
fn whoever_may_write_the_store_may_clean_up_after_an_engine_that_died() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = Server::start(Script::accept_all().on(Phase::Dot, Action::stall())).unwrap();
    let postroom = Postroom::to(&server);
    std::fs::set_permissions(
        postroom.store_path(),
        std::fs::Permissions::from_mode(0o660),
    )
    .unwrap();
    postroom.submit(&[message("a", "feedback", &["a@example.com"])]);
    let delivering = postroom.start(&["deliver"]);
    assert!(server.wait_for(|ledger| ledger.met(Phase::Dot) == 1, SOON));
    delivering.kill();
    let modes: Vec<u32> = std::fs::read_dir(postroom.folder())
        .unwrap()
        .map(Result::unwrap)
        .filter(|file| file.file_name().to_string_lossy().contains(".engine-"))
        .map(|file| file.metadata().unwrap().permissions().mode() & 0o777)
        .collect();
    assert_eq!(modes, [0o660]);
}
