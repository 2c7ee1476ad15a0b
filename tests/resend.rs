//! Counting, the resend limit, and what an operator can send again.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::ops::ControlFlow;

use chrono::{TimeDelta, Utc};
use postroom::{
    demo::server::{Action, Script, Server},
    message::JobId,
    query::{Context, Query},
    store::{Acting, Action as Deed, Affected, Scope, Store, Target},
};
use serde_json::{Value, json};
use support::{Postroom, Setup, Summary, message};

const TO: &str = "april@example.com";

fn counts(receiver: &Value) -> (i64, i64) {
    (
        receiver["failed_count"].as_i64().unwrap(),
        receiver["sent_count"].as_i64().unwrap(),
    )
}

fn limited(server: &Server) -> Postroom {
    Setup::new()
        .smtp("email", server)
        .set("delivery.resend_limit", 2)
        .build()
}

#[test]
fn with_a_limit_of_two_the_third_temporary_failure_is_an_error() {
    let server =
        Server::start(Script::accept_all().rcpt(TO, Action::reply(451, "4.7.1", "greylisted")))
            .unwrap();
    let postroom = limited(&server);
    postroom.submit(&[message("m", "feedback", &[TO])]);
    for expected in ["failed/temporary", "failed/temporary", "error/exhausted"] {
        postroom.deliver();
        assert_eq!(postroom.state_of(""), expected);
        // The backoff is minutes: without this, nothing is due.
        postroom.run(&["resend-failed"]).ok();
    }
    let receiver = postroom.show_only("");
    assert_eq!(counts(&receiver), (3, 0));
    let attempts = receiver["attempts"].as_array().unwrap();
    assert_eq!(
        attempts
            .iter()
            .map(|attempt| attempt["number"].as_i64().unwrap())
            .collect::<Vec<_>>(),
        [1, 2, 3]
    );
    assert!(attempts.iter().all(|attempt| {
        attempt["traceback"]
            .as_str()
            .unwrap()
            .contains("greylisted")
    }));
    assert_eq!(
        postroom.deliver(),
        Summary::default(),
        "nothing is tried beyond the limit"
    );
}

#[test]
fn resend_failed_takes_failed_within_the_limit_and_says_how_many_exceeded_it() {
    let server = Server::start(Script::accept_all().by(|event| {
        let refuse =
            event.recipient.is_some() && event.phase == postroom::demo::server::Phase::Rcpt;
        refuse.then(|| Action::reply(451, "4.3.2", "busy"))
    }))
    .unwrap();
    let postroom = limited(&server);
    postroom.submit(&[message("old", "feedback", &["old@example.com"])]);
    for _ in 0..3 {
        postroom.deliver();
        postroom.run(&["resend-failed"]).ok();
    }
    postroom.submit(&[message(
        "new",
        "feedback",
        &["new@example.com", "held@example.com"],
    )]);
    postroom.deliver();
    postroom.run(&["hold", "to:held@example.com", "--yes"]).ok();
    let told = postroom.run(&["resend-failed"]).ok().stdout;
    let numbers: Vec<&str> = told
        .split(|c: char| !c.is_ascii_digit())
        .filter(|word| !word.is_empty())
        .collect();
    assert_eq!(numbers, ["1", "1"], "one due, one beyond the limit: {told}");
    assert!(told.contains("; held ones stay: `postroom release is:held`"));
    assert_eq!(postroom.state_of("to:held@example.com"), "failed/held");
    assert_eq!(postroom.deliver().failed, 1);
}

#[test]
fn a_manual_resend_works_from_every_status() {
    let server = Server::start(
        Script::accept_all()
            .rcpt_first(
                1,
                "failed@example.com",
                Action::reply(451, "4.7.1", "greylisted"),
            )
            .rcpt_first(
                1,
                "error@example.com",
                Action::reply(550, "5.1.1", "no such user"),
            ),
    )
    .unwrap();
    let postroom = Postroom::to(&server);
    postroom.submit(&[message(
        "first",
        "feedback",
        &[
            "sent@example.com",
            "failed@example.com",
            "error@example.com",
        ],
    )]);
    assert_eq!(
        postroom.deliver(),
        Summary {
            sent: 1,
            failed: 1,
            error: 1,
            ..Summary::default()
        }
    );
    postroom.submit(&[
        message("held", "feedback", &["held@example.com"]),
        message("cancelled", "feedback", &["cancelled@example.com"]),
    ]);
    postroom.run(&["hold", "key:held", "--yes"]).ok();
    postroom.run(&["cancel", "key:cancelled", "--yes"]).ok();
    assert_eq!(postroom.state_of("key:held"), "not_sent/held");
    assert_eq!(postroom.state_of("key:cancelled"), "error/cancelled");

    postroom.run(&["resend", "--all", "--yes"]).ok();
    assert_eq!(
        postroom.count("status:not_sent reason:queued"),
        5,
        "resent receivers wait as if new"
    );
    assert_eq!(
        postroom.deliver(),
        Summary {
            sent: 5,
            ..Summary::default()
        }
    );
    let counted = |query: &str| counts(&postroom.only(query));
    assert_eq!(counted("to:sent@example.com"), (0, 2));
    assert_eq!(counted("to:failed@example.com"), (1, 1));
    assert_eq!(counted("to:error@example.com"), (1, 1));
    assert_eq!(counted("to:cancelled@example.com"), (0, 1));
    server.with_ledger(|ledger| {
        let uids: Vec<_> = ledger
            .to("sent@example.com")
            .map(|entry| entry.uid.clone())
            .collect();
        assert_eq!(uids.len(), 2);
        assert_ne!(
            uids[0], uids[1],
            "what was Sent and is sent again is a new message to its reader"
        );
    });
}

fn resend(store: &Store, query: &str) -> JobId {
    let acting = Acting {
        who: "april".to_owned(),
        target: query.to_owned(),
        now: Utc::now(),
        resend_limit: 8,
    };
    let target = Target::Query(Query::parse(query, &Context::local()).unwrap());
    let goes_on = &mut |_: &Affected| ControlFlow::Continue(());
    let done = store.act(Deed::Resend, &target, &acting, goes_on);
    done.unwrap().job.unwrap()
}

#[test]
fn a_small_resend_goes_out_by_priority() {
    let postroom = Setup::new().file("email").build();
    let to = ["april@example.com", "ben@example.com"];
    let mut urgent = message("urgent", "feedback", &["carol@example.com"]);
    urgent["priority"] = json!(9);
    postroom.submit(&[message("usual", "feedback", &to), urgent]);
    let store = Store::open(&postroom.store_path()).unwrap();
    let job = resend(&store, "status:not_sent");
    let claims = store
        .claim("engine", "email", Scope::Job(job), 10, Utc::now())
        .unwrap();
    let claimed: Vec<String> = claims
        .into_iter()
        .map(|claim| claim.receiver.identity)
        .collect();
    assert_eq!(claimed, ["carol@example.com", to[0], to[1]]);
}

#[test]
fn a_very_large_resend_goes_out_by_priority_and_takes_nobody_along() {
    let postroom = Setup::new().file("email").file("disk").build();
    let to: Vec<String> = (0..2_010).map(|n| format!("user{n}@example.com")).collect();
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    let mut urgent = message("urgent", "feedback", &["ben@example.com"]);
    urgent["priority"] = json!(9);
    let mut short = message("short", "feedback", &["short@example.com"]);
    short["receivers"][0]["backend"] = json!("disk");
    postroom.submit(&[
        message("others", "feedback", &["april@example.com"]),
        message("usual", "feedback", &to),
        urgent,
        short,
    ]);
    let store = Store::open(&postroom.store_path()).unwrap();
    let job = resend(&store, "key:usual,urgent");
    let (scope, later) = (Scope::Job(job), Utc::now() + TimeDelta::seconds(1));
    postroom.submit(&[message("later", "feedback", &["carol@example.com"])]);
    let mut claimed = Vec::new();
    while store.has_due("email", scope, later).unwrap() {
        let claims = store.claim("engine", "email", scope, 600, later).unwrap();
        assert!(!claims.is_empty());
        claimed.extend(claims.into_iter().map(|claim| claim.receiver.identity));
    }
    assert!(!store.has_due("disk", scope, later).unwrap());
    let expected: Vec<&str> = [&["ben@example.com"], &to[..]].concat();
    assert!(claimed == expected, "{} of them", claimed.len());
}

#[test]
fn a_retry_keeps_its_message_id() {
    let server = Server::start(Script::accept_all().dot_first(
        1,
        TO,
        Action::reply(451, "4.3.0", "try later"),
    ))
    .unwrap();
    let postroom = Setup::new()
        .smtp("email", &server)
        .set("delivery.backoff", "0s")
        .build();
    postroom.submit(&[message("m", "feedback", &[TO])]);
    let before = postroom.show_only("")["uid"].clone();
    assert_eq!(postroom.deliver().failed, 1);
    assert_eq!(postroom.deliver().sent, 1);
    server
        .with_ledger(|ledger| assert_eq!(ledger.entries[0].uid.as_ref(), before.as_str().unwrap()));
}

#[test]
fn an_action_without_a_query_or_without_an_answer_does_nothing() {
    let server = Server::start(Script::accept_all()).unwrap();
    let postroom = Postroom::to(&server);
    postroom.submit(&[message("m", "feedback", &[TO])]);
    assert!(postroom.run(&["resend"]).exit(2).stderr.contains("--all"));
    postroom.run(&["cancel", "type:feedback"]).exit(2);
    postroom.run(&["cancel", "type:feedback", "--dry-run"]).ok();
    assert_eq!(postroom.state_of(""), "not_sent/queued");
}
