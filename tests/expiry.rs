//! Messages that have a time: not before, and not after.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use postroom::demo::server::{Action, Script, Server};
use support::{Postroom, SOON, Setup, Summary, message};

fn with(
    mut message: serde_json::Value,
    field: &str,
    at: chrono::DateTime<chrono::Utc>,
) -> serde_json::Value {
    message[field] = at.to_rfc3339().into();
    message
}

#[test]
fn what_expired_is_not_sent_but_by_an_operators_resend() {
    let server = Server::start(Script::accept_all()).unwrap();
    let postroom = Postroom::to(&server);
    let past = chrono::Utc::now() - chrono::Duration::minutes(1);
    postroom.submit(&[with(
        message("late", "feedback", &["a@example.com"]),
        "expires_at",
        past,
    )]);
    assert_eq!(postroom.deliver(), Summary::default());
    assert_eq!(postroom.state_of(""), "error/expired");
    postroom.run(&["resend", "key:late", "--yes"]).ok();
    assert_eq!(
        postroom.deliver(),
        Summary {
            sent: 1,
            ..Summary::default()
        }
    );
}

#[test]
fn a_held_message_does_not_expire_and_a_failed_one_does() {
    let server = Server::start(
        Script::accept_all().rcpt("f@example.com", Action::reply(451, "4.7.1", "later")),
    )
    .unwrap();
    let postroom = Setup::new()
        .smtp("email", &server)
        .set("delivery.backoff", "1h")
        .build();
    let soon = chrono::Utc::now() + chrono::Duration::milliseconds(1_500);
    postroom.submit(&[
        with(
            message("failing", "feedback", &["f@example.com"]),
            "expires_at",
            soon,
        ),
        with(
            message("held", "feedback", &["h@example.com"]),
            "expires_at",
            soon,
        ),
    ]);
    postroom.run(&["hold", "key:held", "--yes"]).ok();
    assert_eq!(postroom.deliver().failed, 1);
    postroom.wait_until("the failed one has expired", |postroom| {
        postroom.deliver();
        postroom.count("reason:expired") == 1
    });
    assert_eq!(postroom.state_of("key:failing"), "error/expired");
    assert_eq!(postroom.state_of("key:held"), "not_sent/held");
}

#[test]
fn what_is_to_be_sent_later_waits_until_then() {
    let server = Server::start(Script::accept_all()).unwrap();
    let postroom = Postroom::to(&server);
    let later = chrono::Utc::now() + chrono::Duration::hours(1);
    postroom.submit(&[with(
        message("later", "feedback", &["a@example.com"]),
        "send_after",
        later,
    )]);
    assert_eq!(postroom.deliver(), Summary::default());
    assert_eq!(postroom.count("is:scheduled"), 1);
}

#[test]
fn what_expires_while_it_is_claimed_is_not_sent_any_more() {
    let (server, postroom) = support::held_at_the_dot();
    let soon = chrono::Utc::now() + chrono::Duration::milliseconds(1_500);
    postroom.submit(&[
        message("first", "feedback", &["a@example.com"]),
        message("second", "feedback", &["b@example.com"]),
        with(
            message("late", "feedback", &["c@example.com"]),
            "expires_at",
            soon,
        ),
    ]);
    let service = postroom.start(&["run"]);
    assert!(server.wait_for(|ledger| ledger.withheld == 1, SOON));
    postroom.wait_until("the late one has expired", |postroom| {
        postroom.state_of("key:late") == "error/expired"
    });
    server.release();
    assert!(server.wait_for(|ledger| ledger.entries.len() == 2, SOON));
    service.terminate().ok();
    assert_eq!(postroom.state_of("key:late"), "error/expired");
    server.with_ledger(|ledger| assert_eq!(ledger.to("c@example.com").count(), 0));
}

#[test]
fn a_higher_priority_goes_first() {
    let server = Server::start(Script::accept_all()).unwrap();
    let postroom = Setup::new()
        .smtp("email", &server)
        .set("backends.email.connections", 1)
        .build();
    let mut urgent = message("urgent", "reset", &["urgent@example.com"]);
    urgent["priority"] = 10.into();
    postroom.submit(&[
        message("low", "feedback", &["low@example.com"]),
        message("lower", "feedback", &["lower@example.com"]),
        urgent,
    ]);
    assert_eq!(postroom.deliver().sent, 3);
    server.with_ledger(|ledger| {
        assert_eq!(
            ledger.recipients(),
            ["urgent@example.com", "low@example.com", "lower@example.com"]
        );
    });
}
