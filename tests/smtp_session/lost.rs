use std::time::Duration;

use postroom::{
    delivery::{Backend, Ended},
    message::Outcome::{Accepted, Permanent, Unknown},
};

use super::{
    desk::{FakeDesk, Told, circular, hasty, letter, run, settings, smtp},
    server::Server,
};

#[test]
fn a_connection_lost_after_the_dot_leaves_the_outcome_unknown() {
    let server = Server::one(|peer| {
        peer.greet(&["PIPELINING"]);
        peer.take_envelope();
        peer.body();
        peer.envelope(1);
    });
    let mut desk = FakeDesk::with([letter(1), letter(2)]);
    assert_eq!(run(settings(server.port), &mut desk), Ok(Ended::Close));
    server.finish();
    assert_eq!(
        desk.results(),
        [
            Told::Arm(vec![1]),
            Told::Settle(1, Unknown, None),
            // Its envelope went ahead and nobody answered it.
            Told::Again(vec![2]),
        ]
    );
    let failure = desk.failure(1);
    assert_eq!(failure.phase.as_deref(), Some("dot"));
    assert_eq!(
        failure.error,
        "the server closed the connection while waiting for the answer to the final dot"
    );
}

#[test]
fn a_connection_lost_before_the_message_is_certainly_not_sent() {
    let server = Server::one(|peer| {
        peer.greet(&["PIPELINING"]);
        peer.envelope(3);
        // Refused before the connection was lost stays refused.
        peer.say("250 ok\r\n250 ok\r\n550 no\r\n");
    });
    let mut desk = FakeDesk::with([circular(1, 3)]);
    assert_eq!(run(settings(server.port), &mut desk), Ok(Ended::Close));
    server.finish();
    assert_eq!(
        desk.results(),
        [
            Told::Settle(2, Permanent, Some(550)),
            Told::Lost(vec![1, 3])
        ]
    );
    assert_eq!(desk.losses[0].phase.as_deref(), Some("rcpt"));
    assert!(desk.losses[0].traceback.contains("uid-3"));
}

#[test]
fn a_connection_lost_between_two_messages_costs_the_next_nothing() {
    let server = Server::one(|peer| {
        peer.greet(&["PIPELINING"]);
        peer.take_envelope();
        peer.body();
        peer.envelope(1);
        peer.say("250 ok\r\n");
    });
    let mut desk = FakeDesk::with([letter(1), letter(2)]);
    assert_eq!(run(settings(server.port), &mut desk), Ok(Ended::Close));
    server.finish();
    assert_eq!(
        desk.results(),
        [
            Told::Arm(vec![1]),
            Told::Settle(1, Accepted, Some(250)),
            Told::Again(vec![2]),
        ]
    );
}

#[test]
fn a_late_reply_never_lands_on_another_receiver() {
    let server = Server::start(|door| {
        let mut peer = door.open();
        peer.greet(&["PIPELINING"]);
        peer.envelope(2);
        peer.say("250 ok\r\n");
        // Too late for the first; nobody may take it for the second, or for the next message.
        peer.expect_end();
        peer.try_to_say("550 5.1.1 no such user\r\n250 ok\r\n354 go\r\n");
    });
    let backend = smtp(hasty(server.port, |waits, short| waits.rcpt = short));
    let mut session = backend.open().unwrap();
    let mut desk = FakeDesk::with([circular(1, 2)]);
    assert_eq!(session.run(&mut desk), Ok(Ended::Close));
    desk.check_the_books();
    assert_eq!(desk.results(), [Told::Lost(vec![1, 2])]);
    assert_eq!(
        desk.losses[0].error,
        "timed out: no answer within 300ms while naming the recipient (RCPT TO)"
    );
    // Nor can the session be made to listen once more.
    let mut desk = FakeDesk::with([letter(3)]);
    assert_eq!(session.run(&mut desk), Ok(Ended::Close));
    assert_eq!(desk.told, []);
    drop(session);
    server.finish();
}

#[test]
fn no_answer_to_the_dot_in_time_is_unknown() {
    let server = Server::one(|peer| {
        peer.greet(&["PIPELINING"]);
        peer.take_envelope();
        peer.body();
        peer.expect_end();
    });
    let mut desk = FakeDesk::with([letter(1)]);
    assert_eq!(
        run(
            hasty(server.port, |waits, short| waits.dot = short),
            &mut desk
        ),
        Ok(Ended::Close)
    );
    server.finish();
    assert_eq!(
        desk.results(),
        [Told::Arm(vec![1]), Told::Settle(1, Unknown, None)]
    );
    assert!(desk.failure(1).error.starts_with("timed out"));
}

#[test]
fn a_byte_now_and_then_does_not_extend_a_timeout() {
    let server = Server::one(|peer| {
        peer.greet(&["PIPELINING"]);
        peer.envelope(1);
        peer.say("250-");
        let left = (0..500).any(|_| {
            peer.try_to_say("x");
            peer.leaves_within(Duration::from_millis(20))
        });
        assert!(left, "the client would wait for ever");
    });
    let mut desk = FakeDesk::with([letter(1)]);
    assert_eq!(
        run(
            hasty(server.port, |waits, short| waits.mail = short),
            &mut desk
        ),
        Ok(Ended::Close)
    );
    server.finish();
    assert_eq!(desk.results(), [Told::Lost(vec![1])]);
}

#[test]
fn nonsense_before_the_message_records_nothing_on_anybody() {
    for replies in [
        // The lines of one reply with different codes.
        "250 ok\r\n550 no\r\n250-a\r\n550 b\r\n",
        // 3yz to RCPT, 2yz to DATA, another 3yz to DATA, 1yz.
        "250 ok\r\n550 no\r\n354 go\r\n",
        "250 ok\r\n550 no\r\n250 ok\r\n250 ok\r\n",
        "250 ok\r\n550 no\r\n250 ok\r\n334 go\r\n",
        "250 ok\r\n550 no\r\n150 hm\r\n",
        "250 ok\r\n550 no\r\nGET / HTTP/1.1\r\n",
        "250 ok\r\n550 no\r\n999 hm\r\n",
        // One reply too many behind the 354: it would be taken for the answer to the dot.
        "250 ok\r\n550 no\r\n250 ok\r\n354 go\r\n250 queued\r\n",
        "250 ok\r\n550 no\r\n250 ok\r\n354 go\r\n2",
    ] {
        let server = Server::one(move |peer| {
            peer.greet(&["PIPELINING"]);
            peer.envelope(2);
            peer.say(replies);
            peer.expect_end();
        });
        let mut desk = FakeDesk::with([circular(1, 2)]);
        assert_eq!(run(settings(server.port), &mut desk), Ok(Ended::Close));
        server.finish();
        assert_eq!(desk.results(), [Told::Lost(vec![1, 2])], "{replies}");
    }
}

#[test]
fn nonsense_after_the_dot_is_unknown() {
    for reply in ["354 more\r\n", "250-a\r\n251 b\r\n", "hello\r\n"] {
        let server = Server::one(move |peer| {
            peer.greet(&["PIPELINING"]);
            peer.take_envelope();
            peer.body();
            peer.say(reply);
            peer.expect_end();
        });
        let mut desk = FakeDesk::with([letter(1)]);
        assert_eq!(run(settings(server.port), &mut desk), Ok(Ended::Close));
        server.finish();
        assert_eq!(
            desk.results(),
            [Told::Arm(vec![1]), Told::Settle(1, Unknown, None)],
            "{reply}"
        );
    }
}

#[test]
fn a_stray_reply_between_two_messages_ends_the_connection() {
    let server = Server::one(|peer| {
        peer.greet(&[]);
        peer.expect("MAIL");
        peer.say("250 ok\r\n");
        peer.expect("RCPT");
        peer.say("250 ok\r\n");
        peer.expect("DATA");
        peer.say("354 go\r\n");
        peer.body();
        peer.say("250 ok\r\n250 ok\r\n");
        peer.expect_end();
    });
    let mut desk = FakeDesk::with([letter(1), letter(2)]);
    assert_eq!(run(settings(server.port), &mut desk), Ok(Ended::Close));
    server.finish();
    assert_eq!(
        desk.results(),
        [
            Told::Arm(vec![1]),
            Told::Settle(1, Accepted, Some(250)),
            Told::Again(vec![2]),
        ]
    );
}
