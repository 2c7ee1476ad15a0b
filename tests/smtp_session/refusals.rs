use std::sync::Arc;

use postroom::{
    delivery::Ended,
    message::Outcome::{Accepted, Backend, Permanent, Temporary},
};

use super::{
    desk::{FakeDesk, Told, circular, letter, message, run, send, settings},
    server::Server,
};

#[test]
fn a_recipient_refused_at_rcpt_does_not_stop_the_others() {
    let desk = send([circular(1, 5)], Ended::Idle, |peer| {
        peer.greet(&["PIPELINING"]);
        peer.envelope(5);
        peer.say("250 sender\r\n250 one\r\n550 5.1.1 no such user\r\n451 4.7.1 greylisted\r\n");
        peer.say("250 four\r\n452 4.2.2 mailbox full\r\n354 go\r\n");
        peer.body();
        peer.say("250 2.0.0 queued\r\n");
        peer.expect_quit();
    });
    assert_eq!(
        desk.results(),
        [
            Told::Settle(2, Permanent, Some(550)),
            Told::Settle(3, Temporary, Some(451)),
            Told::Settle(5, Temporary, Some(452)),
            Told::Arm(vec![1, 4]),
            Told::Settle(1, Accepted, Some(250)),
            Told::Settle(4, Accepted, Some(250)),
        ]
    );
}

#[test]
fn a_failure_tells_the_whole_story() {
    let server = Server::one(|peer| {
        peer.greet(&["PIPELINING"]);
        peer.envelope(2);
        peer.say("250 sender\r\n550-5.7.509 Access denied,\r\n550 5.7.509 see example.com\r\n250 ok\r\n354 go\r\n");
        peer.body();
        peer.say("250 ok\r\n");
        peer.expect_quit();
    });
    let mut desk = FakeDesk::with([circular(1, 2)]);
    let port = server.port;
    run(settings(port), &mut desk).unwrap();
    server.finish();
    let failure = desk.failure(1);
    let words = "550 5.7.509 Access denied, see example.com";
    assert_eq!(failure.error, words);
    assert_eq!(failure.code, Some(550));
    assert_eq!(failure.enhanced.as_deref(), Some("5.7.509"));
    assert_eq!(failure.phase.as_deref(), Some("rcpt"));
    assert_eq!(failure.server, Some(format!("127.0.0.1:{port}")));
    let told = &failure.traceback;
    assert!(told.starts_with(words), "{told}");
    for part in [
        "naming the recipient (RCPT TO)",
        "r1@to.example",
        "backend     email",
        "at 127.0.0.1, not encrypted",
        "key key-1",
        "uid-1",
        "2 recipients",
        "Caused by:\n  0: refused for good by 127.0.0.1:",
    ] {
        assert!(told.contains(part), "{part:?} is missing in\n{told}");
    }
    assert!(
        told.lines().all(|line| line.chars().count() <= 80),
        "{told}"
    );
    let transcript = failure.transcript.as_deref().unwrap();
    for line in [
        "C: MAIL FROM:<sender@from.example>\n",
        "C: RCPT TO:<r1@to.example>\n",
        "C: DATA\n",
        "S: 550-5.7.509 Access denied,\n",
        "S: 354 go\n",
    ] {
        assert!(
            transcript.contains(line),
            "{line:?} is missing in\n{transcript}"
        );
    }
}

#[test]
fn refused_at_mail_is_refused_for_all() {
    let desk = send([circular(1, 2), letter(3)], Ended::Idle, |peer| {
        peer.greet(&["PIPELINING"]);
        peer.envelope(2);
        peer.say("451 4.3.0 later\r\n503 mail first\r\n503 mail first\r\n503 rcpt first\r\n");
        peer.take_reset();
        peer.take_envelope();
        peer.body();
        peer.say("250 ok\r\n");
        peer.expect_quit();
    });
    assert_eq!(
        desk.results(),
        [
            Told::Settle(1, Temporary, Some(451)),
            Told::Settle(2, Temporary, Some(451)),
            Told::Arm(vec![3]),
            Told::Settle(3, Accepted, Some(250)),
        ]
    );
    assert_eq!(desk.failure(1).phase.as_deref(), Some("mail"));
}

#[test]
fn a_transaction_without_a_message_is_cleared_away_before_the_next() {
    for offers in [&["PIPELINING"][..], &[]] {
        let desk = send([letter(1), letter(2)], Ended::Idle, |peer| {
            peer.greet(offers);
            peer.expect("MAIL");
            peer.say("250 ok\r\n");
            peer.expect("RCPT");
            peer.say("550 no\r\n");
            if !offers.is_empty() {
                peer.expect("DATA");
                peer.say("554 no valid recipients\r\n");
            }
            peer.take_reset();
            peer.expect("MAIL");
            peer.say("250 ok\r\n");
            peer.expect("RCPT");
            peer.say("250 ok\r\n");
            peer.expect("DATA");
            peer.say("354 go\r\n");
            peer.body();
            peer.say("250 ok\r\n");
            peer.expect_quit();
        });
        assert_eq!(
            desk.results(),
            [
                Told::Settle(1, Permanent, Some(550)),
                Told::Arm(vec![2]),
                Told::Settle(2, Accepted, Some(250)),
            ]
        );
    }
}

#[test]
fn refused_at_data_is_refused_for_those_who_were_accepted() {
    let desk = send([circular(1, 2)], Ended::Idle, |peer| {
        peer.greet(&["PIPELINING"]);
        peer.envelope(2);
        peer.say("250 ok\r\n550 no\r\n250 ok\r\n451 4.3.2 not now\r\n");
        peer.take_reset();
        peer.expect_quit();
    });
    assert_eq!(
        desk.results(),
        [
            Told::Settle(1, Permanent, Some(550)),
            Told::Settle(2, Temporary, Some(451)),
        ]
    );
    assert_eq!(desk.failure(2).phase.as_deref(), Some("data"));
}

#[test]
fn refused_at_the_dot_is_refused_for_all_and_the_session_goes_on() {
    let desk = send([letter(1), letter(2)], Ended::Idle, |peer| {
        peer.greet(&["PIPELINING"]);
        peer.take_envelope();
        peer.body();
        peer.envelope(1);
        peer.say("554 5.7.1 spam\r\n250 ok\r\n250 ok\r\n354 go\r\n");
        peer.body();
        peer.say("451 4.3.0 full\r\n");
        peer.take_reset();
        peer.expect_quit();
    });
    assert_eq!(
        desk.results(),
        [
            Told::Arm(vec![1]),
            Told::Settle(1, Permanent, Some(554)),
            Told::Arm(vec![2]),
            Told::Settle(2, Temporary, Some(451)),
        ]
    );
    let failure = desk.failure(1);
    assert_eq!(failure.phase.as_deref(), Some("dot"));
    let transcript = failure.transcript.as_deref().unwrap();
    assert!(transcript.contains(" bytes of message]\n"), "{transcript}");
    // The envelope that went ahead is no part of this one's story.
    assert!(!transcript.contains("r2@"), "{transcript}");
    assert!(
        desk.failure(2)
            .transcript
            .as_deref()
            .unwrap()
            .contains("r2@")
    );
}

/// Postfix leaves it open where `smtpd_end_of_data_restrictions` refuse.
#[test]
fn a_refused_transaction_that_the_server_leaves_open_costs_the_next_message_nothing() {
    let desk = send([letter(1), letter(2)], Ended::Close, |peer| {
        peer.greet(&["PIPELINING"]);
        peer.take_envelope();
        peer.body();
        peer.envelope(1);
        peer.say("450 4.3.0 not now\r\n503 5.5.1 nested MAIL command\r\n250 ok\r\n354 go\r\n");
        peer.expect_end();
    });
    assert_eq!(
        desk.results(),
        [
            Told::Arm(vec![1]),
            Told::Settle(1, Temporary, Some(450)),
            Told::Again(vec![2]),
        ]
    );
}

#[test]
fn too_many_recipients_sends_the_rest_at_once_without_penalty() {
    let server = Server::one(|peer| {
        peer.greet(&["PIPELINING"]);
        // A bare 452 after an accepted recipient, and one with the code that says so.
        peer.envelope(4);
        peer.say("250 ok\r\n250 ok\r\n452 enough\r\n550 no\r\n452 4.5.3 enough\r\n354 go\r\n");
        peer.body();
        peer.say("250 ok\r\n");
        assert_eq!(peer.envelope(2), ["r2@to.example", "r4@to.example"]);
        peer.say("250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n");
        peer.body();
        peer.say("250 ok\r\n");
        peer.expect_quit();
    });
    let mut desk = FakeDesk::with([circular(1, 4)]);
    desk.requeue = true;
    assert_eq!(run(settings(server.port), &mut desk), Ok(Ended::Idle));
    server.finish();
    assert_eq!(
        desk.results(),
        [
            Told::Settle(3, Permanent, Some(550)),
            Told::Again(vec![2, 4]),
            Told::Arm(vec![1]),
            Told::Settle(1, Accepted, Some(250)),
            Told::Arm(vec![2, 4]),
            Told::Settle(2, Accepted, Some(250)),
            Told::Settle(4, Accepted, Some(250)),
        ]
    );
}

#[test]
fn too_many_recipients_said_to_the_first_is_temporary() {
    for words in ["452 4.5.3 too many", "452 too many", "452 4.3.1 disk full"] {
        let desk = send([circular(1, 2)], Ended::Idle, move |peer| {
            peer.greet(&["PIPELINING"]);
            peer.envelope(2);
            peer.say(&format!("250 ok\r\n{words}\r\n250 ok\r\n354 go\r\n"));
            peer.body();
            peer.say("250 ok\r\n");
            peer.expect_quit();
        });
        assert_eq!(desk.results()[0], Told::Settle(1, Temporary, Some(452)));
    }
}

#[test]
fn a_message_wanted_for_nobody_is_a_lone_dot() {
    let desk = send([letter(1), letter(2)], Ended::Idle, |peer| {
        peer.greet(&["PIPELINING"]);
        peer.envelope(1);
        peer.say("250 ok\r\n550 no\r\n354 go\r\n");
        assert_eq!(peer.body(), "");
        peer.say("250 whatever\r\n");
        assert_eq!(peer.take_envelope(), "r2@to.example");
        peer.body();
        peer.say("250 ok\r\n");
        peer.expect_quit();
    });
    assert_eq!(
        desk.results(),
        [
            Told::Settle(1, Permanent, Some(550)),
            Told::Arm(vec![2]),
            Told::Settle(2, Accepted, Some(250)),
        ]
    );
}

#[test]
fn a_421_on_a_connection_that_worked_asks_for_a_new_one() {
    let desk = send([letter(1), letter(2), letter(3)], Ended::Close, |peer| {
        peer.greet(&["PIPELINING"]);
        peer.take_envelope();
        peer.body();
        peer.envelope(1);
        peer.say("250 ok\r\n421 4.7.0 enough for one connection\r\n");
        peer.expect_end();
    });
    assert_eq!(
        desk.results(),
        [
            Told::Arm(vec![1]),
            Told::Settle(1, Accepted, Some(250)),
            // In front of what was given back before it.
            Told::Again(vec![3]),
            Told::Again(vec![2]),
        ]
    );
}

#[test]
fn a_421_on_a_fresh_connection_is_the_servers_trouble_not_the_receivers() {
    let server = Server::one(|peer| {
        peer.greet(&["PIPELINING"]);
        peer.envelope(1);
        peer.say("421 4.3.2 shutting down\r\n");
        peer.expect_end();
    });
    let mut desk = FakeDesk::with([letter(1), letter(2)]);
    let trouble = run(settings(server.port), &mut desk).unwrap_err();
    server.finish();
    assert!(!trouble.auth);
    assert_eq!(trouble.failure.error, "421 4.3.2 shutting down");
    assert_eq!(trouble.failure.phase.as_deref(), Some("mail"));
    assert_eq!(
        desk.results(),
        [Told::Again(vec![2]), Told::Settle(1, Backend, Some(421))]
    );
}

#[test]
fn a_421_after_refusals_keeps_them_and_takes_the_rest_elsewhere() {
    let desk = send([circular(1, 3)], Ended::Close, |peer| {
        peer.greet(&["PIPELINING"]);
        peer.envelope(3);
        peer.say("250 ok\r\n550 no\r\n421 4.7.0 too many errors\r\n");
        peer.expect_end();
    });
    assert_eq!(
        desk.results(),
        [
            Told::Settle(1, Permanent, Some(550)),
            Told::Again(vec![2, 3])
        ]
    );
}

#[test]
fn a_421_after_the_dot_is_a_temporary_refusal() {
    let desk = send([letter(1), letter(2)], Ended::Close, |peer| {
        peer.greet(&["PIPELINING"]);
        peer.take_envelope();
        peer.body();
        peer.envelope(1);
        peer.say("421 4.3.0 closing\r\n");
        peer.expect_end();
    });
    assert_eq!(
        desk.results(),
        [
            Told::Arm(vec![1]),
            Told::Settle(1, Temporary, Some(421)),
            Told::Again(vec![2]),
        ]
    );
}

#[test]
fn a_server_that_wants_other_credentials_is_trouble() {
    for (replies, phase) in [
        ("530 5.7.0 authentication required\r\n", "mail"),
        ("250 ok\r\n535 5.7.8 no\r\n", "rcpt"),
    ] {
        let server = Server::one(move |peer| {
            peer.greet(&["PIPELINING"]);
            peer.envelope(1);
            peer.say(replies);
            peer.expect_end();
        });
        let mut desk = FakeDesk::with([letter(1)]);
        let trouble = run(settings(server.port), &mut desk).unwrap_err();
        server.finish();
        // Only a refused AUTH waits an hour: the account is not at stake where it was taken, or none was wanted.
        assert!(!trouble.auth);
        assert_eq!(trouble.failure.phase.as_deref(), Some(phase));
        assert!(matches!(
            desk.results()[..],
            [Told::Settle(1, Backend, Some(530 | 535))]
        ));
    }
}

#[test]
fn a_message_that_cannot_be_built_does_not_stop_the_next() {
    let server = Server::one(|peer| {
        peer.greet(&["PIPELINING"]);
        assert_eq!(peer.take_envelope(), "r2@to.example");
        peer.body();
        peer.say("250 ok\r\n");
        peer.expect_quit();
    });
    let mut broken = letter(1);
    let mut words = message(1, false);
    words.headers = vec![(
        "X-Tag".to_owned(),
        "a\r\nBcc: everybody@example.com".to_owned(),
    )];
    broken.message = Arc::new(words);
    let mut desk = FakeDesk::with([broken, letter(2)]);
    assert_eq!(run(settings(server.port), &mut desk), Ok(Ended::Idle));
    server.finish();
    assert_eq!(
        desk.results(),
        [
            Told::Settle(1, Permanent, None),
            Told::Arm(vec![2]),
            Told::Settle(2, Accepted, Some(250)),
        ]
    );
    let failure = desk.failure(1);
    assert_eq!(failure.phase.as_deref(), Some("build"));
    assert!(failure.traceback.contains("uid-1") && failure.error.contains("X-Tag"));
}

#[test]
fn a_message_turned_away_where_others_get_through_is_not_the_servers_trouble() {
    for (replies, told) in [
        ("421 4.7.0 not from there\r\n", Told::Lost(vec![1])),
        ("530 5.7.0 not from there\r\n", Told::Lost(vec![1])),
        ("250 ok\r\n535 5.7.8 not to there\r\n", Told::Lost(vec![1])),
    ] {
        let server = Server::one(move |peer| {
            peer.greet(&["PIPELINING"]);
            peer.envelope(1);
            peer.say(replies);
            peer.expect_end();
        });
        let mut desk = FakeDesk::with([letter(1)]);
        desk.works = true;
        assert_eq!(run(settings(server.port), &mut desk), Ok(Ended::Close));
        server.finish();
        assert_eq!(desk.results(), [told], "{replies}");
    }
}
