use std::time::Duration;

use postroom::{
    delivery::{Backend, Ended},
    message::Outcome::{Accepted, Permanent, Unknown},
};

use super::{
    desk::{FakeDesk, Told, circular, hasty, letter, run, send, settings, smtp},
    server::Server,
};

#[test]
fn a_connection_lost_after_the_dot_leaves_the_outcome_unknown() {
    let desk = send([letter(1), letter(2)], Ended::Close, |peer| {
        peer.greet(&["PIPELINING"]);
        peer.take_envelope();
        peer.body();
        peer.envelope(1);
    });
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
    let desk = send([circular(1, 3)], Ended::Close, |peer| {
        peer.greet(&["PIPELINING"]);
        peer.envelope(3);
        // Refused before the connection was lost stays refused.
        peer.say("250 ok\r\n250 ok\r\n550 no\r\n");
    });
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
    let desk = send([letter(1), letter(2)], Ended::Close, |peer| {
        peer.greet(&["PIPELINING"]);
        peer.take_envelope();
        peer.body();
        peer.envelope(1);
        peer.say("250 ok\r\n");
    });
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
        let desk = send([circular(1, 2)], Ended::Close, move |peer| {
            peer.greet(&["PIPELINING"]);
            peer.envelope(2);
            peer.say(replies);
            peer.expect_end();
        });
        assert_eq!(desk.results(), [Told::Lost(vec![1, 2])], "{replies}");
    }
}

#[test]
fn nonsense_after_the_dot_is_unknown() {
    for reply in ["354 more\r\n", "250-a\r\n251 b\r\n", "hello\r\n"] {
        let desk = send([letter(1)], Ended::Close, move |peer| {
            peer.greet(&["PIPELINING"]);
            peer.take_envelope();
            peer.body();
            peer.say(reply);
            peer.expect_end();
        });
        assert_eq!(
            desk.results(),
            [Told::Arm(vec![1]), Told::Settle(1, Unknown, None)],
            "{reply}"
        );
    }
}

#[test]
fn a_stray_reply_between_two_messages_ends_the_connection() {
    let desk = send([letter(1), letter(2)], Ended::Close, |peer| {
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
fn a_reply_said_twice_is_never_taken_for_the_next_receivers() {
    for (replies, late) in [
        // The refusal of the recipient, once more: the answer to DATA is left over.
        ("250 ok\r\n550 no\r\n550 no\r\n", "503 no recipients\r\n"),
        // The refusal of the sender.
        ("550 no\r\n550 no\r\n503 no sender\r\n", "503 no sender\r\n"),
        // The acceptance of the sender: the recipient's refusal stands where DATA's should.
        ("250 ok\r\n250 ok\r\n550 no\r\n", "554 no recipients\r\n"),
        // The refusal of DATA.
        ("250 ok\r\n250 ok\r\n451 not now\r\n", "451 not now\r\n"),
    ] {
        let desk = send([letter(1), letter(2)], Ended::Close, move |peer| {
            peer.greet(&["PIPELINING"]);
            peer.envelope(1);
            peer.say(replies);
            // What is said twice comes in a packet of its own, when the client believes that it is its turn.
            assert_eq!(peer.line(), "RSET");
            peer.say(late);
            peer.try_to_say("250 forgotten\r\n");
            peer.expect_end();
        });
        assert_eq!(
            desk.results(),
            [Told::Again(vec![2]), Told::Lost(vec![1])],
            "{replies}"
        );
    }
}

#[test]
fn without_pipelining_a_refusal_said_twice_is_never_taken_for_the_next_recipients() {
    let desk = send([circular(1, 2)], Ended::Close, |peer| {
        peer.greet(&[]);
        peer.expect("MAIL");
        peer.say("250 ok\r\n");
        peer.expect("RCPT");
        peer.say("550 no\r\n550 no\r\n");
        peer.expect_end();
    });
    assert_eq!(desk.results(), [Told::Lost(vec![1, 2])]);
}

#[test]
fn an_answer_to_the_dot_said_twice_is_never_taken_for_the_next_receivers() {
    for offers in [&["PIPELINING"][..], &[]] {
        let desk = send([letter(1), letter(2)], Ended::Close, |peer| {
            peer.greet(offers);
            if offers.is_empty() {
                peer.expect("MAIL");
                peer.say("250 ok\r\n");
                peer.expect("RCPT");
                peer.say("250 ok\r\n");
                peer.expect("DATA");
                peer.say("354 go\r\n");
                peer.body();
                peer.say("550 spam\r\n");
                assert_eq!(peer.line(), "RSET");
                peer.say("550 spam\r\n");
            } else {
                peer.take_envelope();
                peer.body();
                peer.say("550 spam\r\n");
                peer.envelope(1);
                // MAIL accepted, the recipient refused, DATA pointless.
                peer.say("550 spam\r\n250 ok\r\n550 no\r\n");
                assert_eq!(peer.line(), "RSET");
                peer.say("503 no recipients\r\n");
            }
            peer.expect_end();
        });
        let next = if offers.is_empty() {
            vec![]
        } else {
            vec![Told::Lost(vec![2])]
        };
        let mut told = vec![Told::Arm(vec![1]), Told::Settle(1, Permanent, Some(550))];
        told.extend(next);
        assert_eq!(desk.results(), told);
    }
}

#[test]
fn a_refusal_stands_also_when_the_server_closes_behind_it() {
    for last in ["", "421 4.7.0 too many errors\r\n"] {
        let desk = send([letter(1), letter(2)], Ended::Close, move |peer| {
            peer.greet(&["PIPELINING"]);
            peer.envelope(1);
            peer.say("250 ok\r\n550 no\r\n554 no recipients\r\n");
            assert_eq!(peer.line(), "RSET");
            peer.say(last);
        });
        assert_eq!(
            desk.results(),
            [Told::Settle(1, Permanent, Some(550)), Told::Again(vec![2])],
            "{last:?}"
        );
    }
}

/// Postfix does so after twenty errors.
#[test]
fn a_refusal_stands_also_when_the_server_says_at_once_that_it_closes() {
    let desk = send([letter(1), letter(2)], Ended::Close, |peer| {
        peer.greet(&["PIPELINING"]);
        peer.envelope(1);
        peer.say("250 ok\r\n550 no\r\n554 no recipients\r\n421 4.7.0 too many errors\r\n");
        peer.expect_end();
    });
    assert_eq!(
        desk.results(),
        [Told::Settle(1, Permanent, Some(550)), Told::Again(vec![2])]
    );
}

#[test]
fn a_rested_connection_on_which_the_server_spoke_is_not_used_again() {
    let (says, said) = std::sync::mpsc::channel();
    let server = Server::start(move |door| {
        let mut peer = door.open();
        peer.greet(&["PIPELINING"]);
        peer.take_envelope();
        peer.body();
        peer.say("250 ok\r\n");
        peer.say("550 once more\r\n");
        says.send(()).unwrap();
        peer.expect_end();
    });
    let smtp = smtp(settings(server.port));
    let mut desk = FakeDesk::with([letter(1)]);
    let mut session = smtp.open().unwrap();
    // The 550 may come at once, or while the connection rests.
    let first = session.run(&mut desk).unwrap();
    said.recv().unwrap();
    let mut desk = FakeDesk::with([letter(2)]);
    if first == Ended::Idle {
        assert_eq!(session.run(&mut desk), Ok(Ended::Close));
    }
    assert_eq!(desk.results(), []);
    drop(session);
    server.finish();
}
