use std::time::Duration;

use postroom::{
    delivery::Ended,
    message::Outcome::{Accepted, Permanent},
};

use super::{
    desk::{FakeDesk, Told, letter, raw, receiver, run, send, settings},
    server::Server,
};

const UTF8: &[u8] = b"From: a@b.example\r\nMessage-ID: <x@y>\r\n\r\nbl\xc3\xa5b\xc3\xa6r\r\n";
const ASCII: &[u8] = b"From: a@b.example\r\nMessage-ID: <x@y>\r\n\r\nblue\r\n";

#[test]
fn a_message_larger_than_the_server_takes_is_refused_without_a_transaction() {
    let desk = send(
        [letter(1), raw(ASCII, [receiver(2, "r2@to.example")])],
        Ended::Idle,
        |peer| {
            peer.greet(&["PIPELINING", "SIZE 60"]);
            let line = peer.expect("MAIL");
            assert!(line.ends_with(&format!(" SIZE={}", ASCII.len())), "{line}");
            peer.expect("RCPT");
            peer.expect("DATA");
            peer.say("250 ok\r\n250 ok\r\n354 go\r\n");
            peer.body();
            peer.say("250 ok\r\n");
            peer.expect_quit();
        },
    );
    assert_eq!(
        desk.results(),
        [
            Told::Settle(1, Permanent, None),
            Told::Arm(vec![2]),
            Told::Settle(2, Accepted, Some(250)),
        ]
    );
    let failure = desk.failure(1);
    assert_eq!(failure.phase.as_deref(), Some("size"));
    assert!(failure.error.contains("the server takes 60 at most"));
    assert!(failure.traceback.contains("none was begun"));
}

#[test]
fn an_address_beyond_ascii_needs_smtputf8_and_excludes_nobody_else() {
    let receivers = || {
        [
            receiver(1, "blåbær@to.example"),
            receiver(2, "r2@to.example"),
        ]
    };
    let desk = send([raw(ASCII, receivers())], Ended::Idle, |peer| {
        peer.greet(&["PIPELINING"]);
        assert_eq!(peer.take_envelope(), "r2@to.example");
        peer.body();
        peer.say("250 ok\r\n");
        peer.expect_quit();
    });
    assert_eq!(
        desk.results(),
        [
            Told::Settle(1, Permanent, None),
            Told::Arm(vec![2]),
            Told::Settle(2, Accepted, Some(250)),
        ]
    );
    assert_eq!(desk.failure(1).phase.as_deref(), Some("smtputf8"));

    send([raw(ASCII, receivers())], Ended::Idle, |peer| {
        peer.greet(&["PIPELINING", "SMTPUTF8"]);
        let line = peer.expect("MAIL FROM:<a@b.example>");
        assert!(line.ends_with(" SMTPUTF8"), "{line}");
        peer.expect("RCPT TO:<blåbær@to.example>");
        peer.expect("RCPT TO:<r2@to.example>");
        peer.expect("DATA");
        peer.say("250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n");
        peer.body();
        peer.say("250 ok\r\n");
        peer.expect_quit();
    });
}

#[test]
fn eight_bit_bytes_need_8bitmime() {
    let desk = send(
        [raw(UTF8, [receiver(1, "r1@to.example")])],
        Ended::Idle,
        |peer| {
            peer.greet(&["PIPELINING"]);
            peer.expect_quit();
        },
    );
    assert_eq!(desk.results(), [Told::Settle(1, Permanent, None)]);
    assert_eq!(desk.failure(1).phase.as_deref(), Some("8bitmime"));

    send(
        [raw(UTF8, [receiver(1, "r1@to.example")])],
        Ended::Idle,
        |peer| {
            peer.greet(&["PIPELINING", "8BITMIME"]);
            let line = peer.expect("MAIL");
            assert!(line.ends_with("> BODY=8BITMIME"), "{line}");
            peer.expect("RCPT");
            peer.expect("DATA");
            peer.say("250 ok\r\n250 ok\r\n354 go\r\n");
            assert_eq!(peer.body().as_bytes(), UTF8);
            peer.say("250 ok\r\n");
            peer.expect_quit();
        },
    );
}

#[test]
fn an_ordinary_message_to_an_address_beyond_ascii_says_what_is_missing() {
    let server = Server::one(|peer| {
        peer.greet(&["PIPELINING"]);
        peer.expect_quit();
    });
    let mut batch = letter(1);
    batch.receivers = vec![receiver(1, "blåbær@to.example")];
    let mut desk = FakeDesk::with([batch]);
    assert_eq!(run(settings(server.port), &mut desk), Ok(Ended::Idle));
    server.finish();
    assert_eq!(desk.results(), [Told::Settle(1, Permanent, None)]);
    assert!(desk.failure(1).error.contains("does not offer SMTPUTF8"));
}

#[test]
fn who_has_a_result_is_not_given_back_with_the_others() {
    let server = Server::one(|peer| {
        peer.greet(&["PIPELINING"]);
        peer.take_envelope();
        peer.body();
        peer.envelope(1);
        peer.say("250 ok\r\n");
    });
    let mixed = [
        receiver(2, "blåbær@to.example"),
        receiver(3, "r3@to.example"),
    ];
    let mut desk = FakeDesk::with([letter(1), raw(ASCII, mixed)]);
    assert_eq!(run(settings(server.port), &mut desk), Ok(Ended::Close));
    server.finish();
    assert_eq!(
        desk.results(),
        [
            // While the server thought about the first.
            Told::Settle(2, Permanent, None),
            Told::Arm(vec![1]),
            Told::Settle(1, Accepted, Some(250)),
            Told::Again(vec![3]),
        ]
    );
}

#[test]
fn a_connection_past_its_age_serves_one_message_and_no_more() {
    let server = Server::one(|peer| {
        peer.greet(&["PIPELINING"]);
        peer.take_envelope();
        peer.body();
        peer.say("250 ok\r\n");
        peer.expect_quit();
    });
    let mut settings = settings(server.port);
    settings.max_age = Duration::from_nanos(1);
    let mut desk = FakeDesk::with([letter(1), letter(2)]);
    assert_eq!(run(settings, &mut desk), Ok(Ended::Close));
    server.finish();
    assert!(!desk.told.contains(&Told::Next(vec![2])));
}
