use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
    mpsc,
};

use postroom::{
    delivery::{Backend, Ended, Report},
    message::Outcome::{Accepted, Cancelled},
};

use super::{
    desk::{FakeDesk, Told, circular, letter, message, raw, receiver, run, send, settings, smtp},
    server::Server,
};

#[test]
fn nothing_that_can_be_accepted_leaves_before_the_arm() {
    let armed = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&armed);
    let server = Server::one(move |peer| {
        peer.greet(&["PIPELINING"]);
        assert_eq!(peer.take_envelope(), "r1@to.example");
        let body = peer.body();
        assert!(seen.load(Ordering::SeqCst));
        assert!(body.contains("Subject: subject 1\r\n") && body.contains("To: r1@to.example\r\n"));
        assert!(body.ends_with("\r\n\r\ntext 1\r\n..dot\r\n\r\n"), "{body}");
        peer.say("250 2.0.0 Ok: queued as 4F2A\r\n");
        peer.expect_quit();
    });
    let mut desk = FakeDesk::with([letter(1)]);
    desk.on_arm = Some(Box::new(move || armed.store(true, Ordering::SeqCst)));
    assert_eq!(run(settings(server.port), &mut desk), Ok(Ended::Idle));
    server.finish();
    assert_eq!(
        desk.results(),
        [Told::Arm(vec![1]), Told::Settle(1, Accepted, Some(250))]
    );
    let Report::Accepted {
        reply, enhanced, ..
    } = &desk.reports[&1]
    else {
        panic!()
    };
    assert_eq!(reply, "250 2.0.0 Ok: queued as 4F2A");
    assert_eq!(enhanced.as_deref(), Some("2.0.0"));
}

#[test]
fn with_pipelining_the_next_envelope_follows_the_dot_unasked() {
    let desk = send([letter(1), letter(2)], Ended::Idle, |peer| {
        peer.greet(&["PIPELINING"]);
        // No answer before all of the envelope is there.
        assert_eq!(peer.take_envelope(), "r1@to.example");
        assert!(peer.body().contains("Subject: subject 1\r\n"));
        // No answer to the dot before the next envelope is there.
        assert_eq!(peer.envelope(1), ["r2@to.example"]);
        peer.expect_no_more();
        peer.say("250 first\r\n250 sender\r\n250 recipient\r\n354 go\r\n");
        assert!(peer.body().contains("Subject: subject 2\r\n"));
        peer.say("250 second\r\n");
        peer.expect_quit();
    });
    assert_eq!(
        desk.results(),
        [
            Told::Arm(vec![1]),
            Told::Settle(1, Accepted, Some(250)),
            Told::Arm(vec![2]),
            Told::Settle(2, Accepted, Some(250)),
        ]
    );
}

#[test]
fn without_pipelining_every_command_waits_for_its_reply() {
    let desk = send([letter(1), letter(2)], Ended::Idle, |peer| {
        peer.greet(&[]);
        for id in [1, 2] {
            for begin in ["MAIL FROM:<sender@from.example>", "RCPT TO:<r", "DATA"] {
                peer.expect(begin);
                peer.expect_no_more();
                peer.say(if begin == "DATA" {
                    "354 go\r\n"
                } else {
                    "250 ok\r\n"
                });
            }
            assert!(peer.body().contains(&format!("subject {id}")));
            peer.expect_no_more();
            peer.say("250 ok\r\n");
        }
        peer.expect_quit();
    });
    assert_eq!(desk.results().len(), 4);
}

#[test]
fn a_raw_message_to_many_goes_in_transactions_of_max_recipients() {
    let server = Server::one(|peer| {
        peer.greet(&["PIPELINING"]);
        assert_eq!(peer.envelope(2), ["r1@to.example", "r2@to.example"]);
        peer.say("250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n");
        peer.body();
        peer.say("250 ok\r\n");
        assert_eq!(peer.take_envelope(), "r3@to.example");
        peer.body();
        peer.say("250 ok\r\n");
        peer.expect_quit();
    });
    let mut settings = settings(server.port);
    settings.max_recipients = 2;
    let backend = smtp(settings.clone());
    assert_eq!(backend.batch_limit(&message(1, true)), 2);
    assert_eq!(backend.batch_limit(&message(1, false)), 1);
    // A batch that is too large all the same is divided.
    let mut desk = FakeDesk::with([circular(1, 3)]);
    desk.requeue = true;
    assert_eq!(run(settings, &mut desk), Ok(Ended::Idle));
    server.finish();
    assert_eq!(desk.reports.len(), 3);
}

#[test]
fn a_large_envelope_goes_in_several_writes_and_a_large_message_whole() {
    const RECIPIENTS: usize = 600;
    let server = Server::one(|peer| {
        peer.greet(&["PIPELINING"]);
        peer.expect("MAIL FROM:<");
        peer.say("250 ok\r\n");
        for _ in 0..RECIPIENTS {
            peer.expect("RCPT TO:<");
            peer.say("250 ok\r\n");
        }
        peer.expect("DATA");
        peer.say("354 go\r\n");
        assert!(peer.body().len() > 300_000);
        peer.say("250 ok\r\n");
        peer.expect_quit();
    });
    let mut bytes = b"From: a@b.example\r\nMessage-ID: <x@y>\r\n\r\n".to_vec();
    for _ in 0..5000 {
        bytes.extend(b".a line that begins with a dot and is of no other interest here\r\n");
    }
    let everybody = (1..=RECIPIENTS as i64).map(|id| receiver(id, &format!("r{id}@to.example")));
    let mut desk = FakeDesk::with([raw(&bytes, everybody)]);
    let mut settings = settings(server.port);
    settings.max_recipients = RECIPIENTS;
    assert_eq!(run(settings, &mut desk), Ok(Ended::Idle));
    server.finish();
    assert_eq!(desk.reports.len(), RECIPIENTS);
}

#[test]
fn a_refused_arm_closes_the_connection_without_a_dot() {
    let server = Server::one(|peer| {
        peer.greet(&["PIPELINING"]);
        peer.take_envelope();
        peer.expect_end();
    });
    let mut desk = FakeDesk::with([letter(1), letter(2)]);
    desk.refuse_to_arm = true;
    assert_eq!(run(settings(server.port), &mut desk), Ok(Ended::Close));
    server.finish();
    // Its own by the desk, and the one that was taken ahead.
    assert_eq!(desk.results(), [Told::Again(vec![1]), Told::Again(vec![2])]);
}

#[test]
fn armed_but_not_a_byte_handed_over_is_cancelled() {
    let (gone, wait) = mpsc::channel();
    let envelope = "MAIL FROM:<sender@from.example>\r\nRCPT TO:<r1@to.example>\r\n".len();
    let server = Server::start(move |door| {
        let mut peer = door.open();
        peer.greet(&["PIPELINING"]);
        // DATA stays unread, so that closing resets the connection.
        peer.read_exactly(envelope);
        peer.say("250 ok\r\n250 ok\r\n354 go\r\n");
        drop(peer);
        gone.send(()).unwrap();
    });
    let mut desk = FakeDesk::with([letter(1)]);
    desk.on_arm = Some(Box::new(move || wait.recv().unwrap()));
    assert_eq!(run(settings(server.port), &mut desk), Ok(Ended::Close));
    server.finish();
    assert_eq!(
        desk.results(),
        [Told::Arm(vec![1]), Told::Settle(1, Cancelled, None)]
    );
}

#[test]
fn a_connection_serves_its_number_of_messages_and_says_goodbye() {
    let server = Server::one(|peer| {
        peer.greet(&["PIPELINING"]);
        for _ in 0..2 {
            peer.take_envelope();
            peer.body();
            peer.say("250 ok\r\n");
        }
        peer.expect_quit();
    });
    let mut settings = settings(server.port);
    settings.max_messages = 2;
    let mut desk = FakeDesk::with([letter(1), letter(2), letter(3)]);
    assert_eq!(run(settings, &mut desk), Ok(Ended::Close));
    server.finish();
    assert!(!desk.told.contains(&Told::Next(vec![3])));
}

#[test]
fn a_rested_connection_that_its_server_closed_costs_no_batch() {
    for farewell in ["421 4.4.2 idle too long\r\n", ""] {
        let (gone, wait) = mpsc::channel();
        let server = Server::start(move |door| {
            let mut peer = door.open();
            peer.greet(&["PIPELINING"]);
            peer.take_envelope();
            peer.body();
            peer.say("250 ok\r\n");
            peer.say(farewell);
            drop(peer);
            gone.send(()).unwrap();
        });
        let backend = smtp(settings(server.port));
        let mut session = backend.open().unwrap();
        let mut desk = FakeDesk::with([letter(1)]);
        assert_eq!(session.run(&mut desk), Ok(Ended::Idle));
        wait.recv().unwrap();
        let mut desk = FakeDesk::with([letter(2)]);
        assert_eq!(session.run(&mut desk), Ok(Ended::Close));
        assert_eq!(desk.told, []);
        server.finish();
    }
}

#[test]
fn a_rested_connection_that_is_still_there_is_used_again() {
    let server = Server::one(|peer| {
        peer.greet(&["PIPELINING"]);
        for _ in 0..2 {
            peer.take_envelope();
            peer.body();
            peer.say("250 ok\r\n");
        }
        peer.expect_quit();
    });
    let backend = smtp(settings(server.port));
    let mut session = backend.open().unwrap();
    for id in [1, 2] {
        let mut desk = FakeDesk::with([letter(id)]);
        assert_eq!(session.run(&mut desk), Ok(Ended::Idle));
        assert_eq!(desk.results()[1], Told::Settle(id, Accepted, Some(250)));
    }
    drop(session);
    server.finish();
}

#[test]
fn the_envelope_sender_is_the_return_path_else_the_address_in_from() {
    let server = Server::one(|peer| {
        peer.greet(&["8BITMIME", "SIZE 100000"]);
        for begin in [
            "MAIL FROM:<bounce@path.example> SIZE=",
            "MAIL FROM:<> SIZE=",
            "MAIL FROM:<sender@from.example> SIZE=46 BODY=8BITMIME",
        ] {
            peer.expect(begin);
            peer.say("250 ok\r\n");
            peer.expect("RCPT");
            peer.say("250 ok\r\n");
            peer.expect("DATA");
            peer.say("354 go\r\n");
            peer.body_bytes();
            peer.say("250 ok\r\n");
        }
        peer.expect_quit();
    });
    let with = |id, path: &str| {
        let mut batch = letter(id);
        let mut message = message(id, false);
        message.return_path = Some(path.to_owned());
        batch.message = Arc::new(message);
        batch
    };
    let eight_bit = raw(
        b"From: sender@from.example\r\nMessage-ID:x\r\n\r\n\xe6\r\n",
        [receiver(3, "r3@to.example")],
    );
    let mut desk = FakeDesk::with([with(1, "bounce@path.example"), with(2, ""), eight_bit]);
    assert_eq!(run(settings(server.port), &mut desk), Ok(Ended::Idle));
    server.finish();
}
