//! A real mail server: Postfix, as Debian packs it, over STARTTLS and over TLS from the first byte, with a login. What it delivered is compared with
//! what the store says.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../support/mod.rs"]
mod support;

mod server;

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
};

use postroom::{
    message::{Outcome, Reason, Status, Text},
    store::Detail,
};
use serde_json::{Value, json};
use server::{Arrived, Postfix, RECIPIENT_LIMIT, SIZE_LIMIT};
use support::{Postroom, Setup, message, raw_message, several};

const GONE: (&str, &str) = ("^gone", "550 5.1.1 no such mailbox");
const FULL: (&str, &str) = ("^full", "452 4.2.2 mailbox full");
const LATER: (&str, &str) = ("^later", "451 4.7.1 greylisted");

/// What should become of a receiver, by the words of its message and its address.
fn fate(receiver: &Detail, greylisting: bool) -> (Status, Reason) {
    let (permanent, temporary) = (
        (Status::Error, Reason::Permanent),
        (Status::Failed, Reason::Temporary),
    );
    let (subject, to) = (receiver.row.subject.raw(), receiver.row.identity.raw());
    let sender = receiver.return_path.as_ref().map(Text::raw);
    let elsewhere = !to.ends_with("@example.com");
    match sender {
        Some("banned@example.com") => permanent,
        _ if subject.contains("poison") || subject.contains("large") => permanent,
        _ if to.starts_with("gone") || elsewhere => permanent,
        _ if to.starts_with("full") || (greylisting && to.starts_with("later")) => temporary,
        Some("tired@example.com") => temporary,
        _ => (Status::Sent, Reason::Accepted),
    }
}

/// A thousand messages of every kind, to be sent over the two backends in turn.
fn thousand() -> Vec<Value> {
    (0..1_000)
        .map(|n| {
            let key = format!("m{n}");
            let to = |who: &str| format!("{who}{n}@example.com");
            let many: Vec<String> = (0..RECIPIENT_LIMIT + RECIPIENT_LIMIT / 2)
                .map(|k| format!("{}{n}.{k}@example.com", ["ann", "ben", "gone"][k % 3]))
                .collect();
            let many: Vec<&str> = many.iter().map(String::as_str).collect();
            let mixed = [
                to("ann"),
                to("gone"),
                to("later"),
                to("full"),
                to("ben"),
                format!("cyd{n}@elsewhere.example"),
            ];
            let mixed: Vec<&str> = mixed.iter().map(String::as_str).collect();
            let mut message = match n % 20 {
                0..8 => message(&key, "one", &[&to("ann")]),
                8 => message(&key, "one", &[&to("gone")]),
                9 => message(&key, "one", &[&to("later")]),
                10 => message(&key, "one", &[&to("full")]),
                11 => message(&key, "one", &[&to("blåbær")]),
                12 => message(&key, "each", &mixed),
                13 | 14 => raw_message(&key, &mixed),
                15 => raw_message(&key, &mixed[..=n / 20 % 5]),
                16 if n % 100 == 16 => raw_message(&key, &many),
                17 => spoken(message(&key, "one", &[&to("ann")]), "poison", ""),
                18 if n % 100 == 18 => {
                    let text = "Much to say.\n".repeat(SIZE_LIMIT / 10);
                    spoken(message(&key, "one", &[&to("ann")]), "large", &text)
                }
                _ => message(&key, "each", &[&to("ann"), &to("ben")]),
            };
            if n % 50 == 5 {
                message["return_path"] = json!("banned@example.com");
            }
            for receiver in message["receivers"].as_array_mut().unwrap() {
                receiver["backend"] = json!(["starttls", "implicit"][n / 20 % 2]);
            }
            message
        })
        .collect()
}

/// The message with another subject and text.
fn spoken(mut message: Value, subject: &str, text: &str) -> Value {
    message["content"] =
        json!({ "en": { "subject": subject, "text": format!("{subject}.\n{text}") } });
    message
}

/// Everybody's state is the one that it should be, and what arrived is what the store calls Sent, each once.
fn assert_agrees(postroom: &Postroom, postfix: &Postfix, greylisting: bool) {
    let mut sent = Vec::new();
    for receiver in postroom.details() {
        let state = receiver.row.state;
        let wanted = fate(&receiver, greylisting);
        assert_eq!((state.status(), state.reason()), wanted, "{receiver:#?}");
        if state.status() == Status::Sent {
            let accepted = receiver
                .attempts
                .iter()
                .filter(|attempt| attempt.outcome == Some(Outcome::Accepted));
            assert_eq!(accepted.count(), 1, "{receiver:#?}");
            // A raw message has a Message-ID of its own.
            let id = match receiver.row.kind.raw() {
                "raw" => receiver.row.message_key.raw(),
                _ => receiver.uid.raw(),
            };
            sent.push(Arrived {
                to: receiver.row.identity.raw().to_owned(),
                message_id: format!("{id}@example.com"),
            });
        }
    }
    sent.sort();
    assert!(!sent.is_empty());
    assert_eq!(postfix.arrived(), sent, "{}", postfix.log());
}

#[test]
fn of_a_thousand_messages_a_real_postfix_delivers_each_that_is_sent_once_and_nothing_else() {
    let test =
        "of_a_thousand_messages_a_real_postfix_delivers_each_that_is_sent_once_and_nothing_else";
    let Some(mut postfix) = Postfix::start(test, &[GONE, FULL, LATER]) else {
        return;
    };
    let postroom = postfix.backends(Setup::new()).build();
    postroom.submit(&thousand());
    let summary = postroom.deliver();
    assert_eq!((summary.unconfirmed, summary.backend), (0, 0));
    assert_agrees(&postroom, &postfix, true);

    // The greylisting is over: who was put off gets it now, and nobody gets anything again.
    postfix.restart(&[GONE, FULL]);
    postroom.run(&["resend-failed"]).ok();
    postroom.deliver();
    assert_agrees(&postroom, &postfix, false);
}

#[test]
fn a_real_postfix_that_hangs_up_after_twenty_refusals_costs_nobody_a_result() {
    let test = "a_real_postfix_that_hangs_up_after_twenty_refusals_costs_nobody_a_result";
    let Some(postfix) = Postfix::start(test, &[GONE]) else {
        return;
    };
    let setup = Setup::new().set("delivery.default_backend", "starttls");
    let postroom = postfix
        .backends(setup)
        .set("backends.starttls.connections", 1)
        .build();
    postroom.submit(&several("gone", 70));
    postroom.submit(&several("ann", 5));
    let summary = postroom.deliver();
    assert_eq!((summary.error, summary.sent), (70, 5), "{}", postfix.log());
    assert!(postfix.log().contains("too many errors"));
    assert_agrees(&postroom, &postfix, false);
}

/// Debian's Postfix 3.7 takes the message behind one that it refused at its end for a part of that: "503 5.5.1 nested MAIL command".
#[test]
fn a_real_postfix_that_leaves_a_refused_transaction_open_costs_the_next_message_nothing() {
    let test =
        "a_real_postfix_that_leaves_a_refused_transaction_open_costs_the_next_message_nothing";
    let Some(postfix) = Postfix::start(test, &[]) else {
        return;
    };
    let setup = Setup::new().set("delivery.default_backend", "starttls");
    let postroom = postfix.backends(setup).build();
    let mut messages = several("ann", 60);
    for message in messages.iter_mut().step_by(3) {
        message["return_path"] = json!("tired@example.com");
    }
    postroom.submit(&messages);
    let summary = postroom.deliver();
    assert_eq!(
        (summary.failed, summary.sent),
        (20, 40),
        "{}",
        postfix.log()
    );
    assert_agrees(&postroom, &postfix, false);
}

#[test]
fn a_real_postfix_that_refuses_the_login_or_is_not_trusted_makes_nobody_an_error() {
    let test = "a_real_postfix_that_refuses_the_login_or_is_not_trusted_makes_nobody_an_error";
    let Some(postfix) = Postfix::start(test, &[]) else {
        return;
    };
    let backends = |setup: Setup| {
        postfix
            .backends(setup)
            .set("delivery.default_backend", "starttls")
    };
    let postroom = backends(Setup::new()).build();
    let wrong = postroom.folder().join("wrong");
    postroom.submit(&[message("m", "one", &["ann@example.com"])]);

    fs::write(&wrong, "another word").unwrap();
    fs::set_permissions(&wrong, Permissions::from_mode(0o600)).unwrap();
    let wrong = wrong.to_str().unwrap();
    postroom.configure(backends(Setup::new()).set("backends.starttls.password_file", wrong));
    assert_eq!(postroom.deliver().backend, 1);
    assert_eq!(postroom.state_of(""), "failed/backend");
    let tried = postroom.show_only("");
    let attempt = &tried["attempts"][0];
    assert_eq!(attempt["code"], 535, "{attempt:#}");
    assert_eq!(attempt["enhanced_code"], "5.7.8", "{attempt:#}");

    // An authority that nobody knows: that of another server.
    let other = support::Certificate::new(&["127.0.0.1"]);
    let other = other.ca_file();
    let other = other.to_str().unwrap();
    postroom.configure(backends(Setup::new()).set("backends.starttls.ca_file", other));
    postroom.deliver();
    assert_eq!(postroom.state_of(""), "failed/backend");
    assert_eq!(postfix.arrived(), []);

    postroom.configure(backends(Setup::new()));
    let probe = postroom.run(&["backend", "implicit", "probe"]).ok();
    assert!(probe.stdout.contains("235 2.7.0"), "{probe:#?}");
    assert_eq!(postroom.deliver().sent, 1);
    assert_agrees(&postroom, &postfix, false);
}
