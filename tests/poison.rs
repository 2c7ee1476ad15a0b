//! One message that the server cannot stand is its own trouble: the others go out, and it is counted.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use postroom::demo::server::{Action, Event, Extension, Phase, Script, Server};
use serde_json::{Value, json};
use support::{Postroom, SOON, Setup, message, raw_message, several};

const POISON: &str = "poison@example.com";

/// A way for one message to look like an outage: what the server says when it meets `POISON`, at this phase.
#[derive(Clone, Copy, Debug)]
struct Fault {
    phase: Phase,
    code: u16,
}

const FAULTS: [Fault; 6] = [
    Fault {
        phase: Phase::Mail,
        code: 421,
    },
    Fault {
        phase: Phase::Mail,
        code: 530,
    },
    Fault {
        phase: Phase::Rcpt,
        code: 421,
    },
    Fault {
        phase: Phase::Rcpt,
        code: 530,
    },
    Fault {
        phase: Phase::Rcpt,
        code: 535,
    },
    Fault {
        phase: Phase::Dot,
        code: 530,
    },
];

impl Fault {
    fn server(self) -> Server {
        let action = Action::reply(self.code, "", "not with this one");
        let judge = move |event: &Event<'_>| {
            let met = match self.phase {
                Phase::Mail => event.sender == POISON,
                _ => event.recipient == Some(POISON),
            };
            (event.phase == self.phase && met).then(|| action.clone())
        };
        Server::start(Script::accept_all().by(judge)).unwrap()
    }

    fn message(self, key: &str) -> serde_json::Value {
        if self.phase == Phase::Mail {
            let mut poison = message(key, "feedback", &["april@example.com"]);
            poison["return_path"] = POISON.into();
            poison
        } else {
            message(key, "feedback", &[POISON])
        }
    }
}

fn one_connection(server: &Server, probe: &str) -> Postroom {
    Setup::new()
        .smtp("email", server)
        .set("backends.email.connections", 1)
        .set("backends.email.probe", probe)
        .build()
}

#[test]
fn at_the_head_of_the_queue_it_is_the_probe_once_and_then_another_is() {
    for fault in FAULTS {
        let server = fault.server();
        let postroom = one_connection(&server, "300ms");
        postroom.submit(&[fault.message("poison")]);
        postroom.submit(&several("m", 5));
        let service = postroom.start(&["run"]);
        assert!(
            server.wait_for(|ledger| ledger.entries.len() == 5, SOON),
            "{fault:?}: {:?}",
            server.ledger().recipients()
        );
        service.terminate().ok();
        assert_eq!(postroom.count("key:poison -status:sent"), 1, "{fault:?}");
    }
}

#[test]
fn many_of_one_sender_whom_the_server_turns_away_cost_the_others_a_few_probes_and_not_one_each() {
    let fault = FAULTS[0];
    let server = fault.server();
    let postroom = one_connection(&server, "100ms");
    let poison = (0..100).map(|n| fault.message(&format!("poison{n}")));
    postroom.submit(&poison.collect::<Vec<_>>());
    postroom.submit(&several("m", 5));
    let service = postroom.start(&["run"]);
    assert!(server.wait_for(|ledger| ledger.entries.len() == 5, SOON));
    service.terminate().ok();
    // After each that is taken it is tried whether more than that sender's are turned away.
    let connections = server.with_ledger(|ledger| ledger.connections);
    assert!(connections <= 60, "{connections} connections");
}

#[test]
fn a_pass_every_minute_gets_past_it_too() {
    for fault in FAULTS {
        let server = fault.server();
        let postroom = one_connection(&server, "1ms");
        postroom.submit(&[fault.message("poison")]);
        postroom.submit(&several("m", 5));
        for _ in 0..3 {
            postroom.deliver();
        }
        assert_eq!(postroom.count("status:sent"), 5, "{fault:?}");
    }
}

#[test]
fn while_others_go_out_the_breaker_stays_closed_and_it_counts_as_a_failure_of_its_own() {
    for fault in FAULTS {
        let server = fault.server();
        let postroom = one_connection(&server, "1h");
        let mut messages = several("m", 20);
        messages.insert(3, fault.message("poison"));
        postroom.submit(&messages);
        let summary = postroom.deliver();
        assert_eq!(
            (summary.sent, summary.backend),
            (20, 0),
            "{fault:?}: {summary:?}"
        );
        assert_eq!(postroom.only("key:poison")["failed_count"], 1, "{fault:?}");
        assert!(
            postroom.run(&["backend"]).ok().stdout.contains("up"),
            "{fault:?}"
        );
        server.with_ledger(|ledger| {
            assert!(ledger.connections <= 4, "{fault:?}: {}", ledger.connections);
        });
    }
}

#[test]
fn a_recipient_denied_beside_others_who_are_accepted_is_refused_for_good() {
    for code in [530, 535] {
        let fault = Fault {
            phase: Phase::Rcpt,
            code,
        };
        let deny = Action::reply(code, "", "not this one");
        for first in [true, false] {
            let server = Server::start(Script::accept_all().rcpt(POISON, deny.clone())).unwrap();
            let postroom = one_connection(&server, "1h");
            let mut to = vec!["a@example.com", "b@example.com"];
            to.insert(if first { 0 } else { 2 }, POISON);
            postroom.submit(&[raw_message("raw", &to)]);
            let summary = postroom.deliver();
            assert_eq!((summary.sent, summary.error), (2, 1), "{fault:?}");
            assert_eq!(
                postroom.state_of(&format!("to:{POISON}")),
                "error/permanent"
            );
        }
    }
}

#[test]
fn a_server_that_turns_everybody_away_is_down_and_nobody_s_count_rises() {
    for (phase, code) in [(Phase::Mail, 421), (Phase::Mail, 535), (Phase::Rcpt, 530)] {
        let server =
            Server::start(Script::accept_all().on(phase, Action::reply(code, "", "go away")))
                .unwrap();
        let postroom = one_connection(&server, "1ms");
        postroom.submit(&several("m", 10));
        for pass in 1..=4 {
            assert_eq!(
                postroom.deliver().backend,
                1,
                "one probe a pass, not a wave"
            );
            server.with_ledger(|ledger| assert_eq!(ledger.connections, pass));
        }
        assert_eq!(postroom.count("failed:0 -status:error"), 10);
        assert_eq!(
            postroom.count("reason:backend"),
            4,
            "each probe is another receiver"
        );
    }
}

#[test]
fn a_server_that_begins_to_turn_everybody_away_is_down_after_three() {
    for (phase, code) in [(Phase::Mail, 421), (Phase::Mail, 530), (Phase::Rcpt, 535)] {
        let action = Action::reply(code, "", "go away");
        let server = Server::start(Script::accept_all().by(move |event| {
            (event.phase == phase && event.transaction > 5).then(|| action.clone())
        }))
        .unwrap();
        let postroom = one_connection(&server, "1h");
        postroom.submit(&several("m", 200));
        let summary = postroom.deliver();
        assert_eq!(summary.sent, 5);
        assert!(summary.failed <= 2 && summary.error == 0, "{summary:?}");
        assert!(postroom.count("status:not_sent") >= 190);
        assert!(postroom.run(&["backend"]).ok().stdout.contains("down"));
    }
}

/// A message that can never go out, or not to this server, and what a pass makes of it.
struct Poison {
    what: &'static str,
    script: Script,
    message: Value,
    state: &'static str,
}

/// A message of so many MB.
fn large(size: usize) -> Value {
    let mut large = raw_message("poison", &[POISON]);
    let line = format!("{}\r\n", "x".repeat(78));
    large["raw"] =
        (large["raw"].as_str().unwrap().to_owned() + &line.repeat((size << 20) / 80)).into();
    large
}

fn kinds() -> Vec<Poison> {
    let all = Script::accept_all;
    let plain = || message("poison", "feedback", &[POISON]);
    let kind = |what, script, message, state| Poison {
        what,
        script,
        message,
        state,
    };
    let hangs_up = |phase, action: Action| all().to(POISON, phase, action);
    let bad = Action::reply(553, "5.1.3", "bad address syntax");
    let unrendered = json!({
        "key": "poison", "type": "feedback", "template": true, "receivers": [{"to": POISON}],
        "content": {"en": {"subject": "Hello", "text": "Dear {{ name }}"}},
    });
    vec![
        kind(
            "an address that the server calls none",
            all().rcpt(POISON, bad),
            plain(),
            "error/permanent",
        ),
        kind(
            "an address beyond ASCII for a server that is not",
            all().without(Extension::SmtpUtf8),
            message("poison", "feedback", &["pøison@example.com"]),
            "error/permanent",
        ),
        kind(
            "more than the server says it takes",
            all().max_size(10 << 20),
            large(12),
            "error/permanent",
        ),
        kind(
            "what it finds too large when it has it",
            all().without(Extension::Size).max_size(10 << 20),
            large(12),
            "error/permanent",
        ),
        kind("50 MB that it takes", all(), large(50), "sent/accepted"),
        kind(
            "a template that cannot be rendered",
            all(),
            unrendered,
            "error/permanent",
        ),
        kind(
            "the server hangs up at RCPT",
            hangs_up(Phase::Rcpt, Action::close()),
            plain(),
            "failed/temporary",
        ),
        kind(
            "it resets at DATA",
            hangs_up(Phase::Data, Action::reset()),
            plain(),
            "failed/temporary",
        ),
        kind(
            "it hangs up when it should take the message",
            hangs_up(Phase::Data, Action::raw("354 go ahead\r\n").and_close()),
            plain(),
            "failed/unconfirmed",
        ),
        kind(
            "it hangs up at the dot",
            hangs_up(Phase::Dot, Action::close()),
            plain(),
            "failed/unconfirmed",
        ),
    ]
}

#[test]
fn a_message_that_can_never_go_out_holds_up_nobody_whatever_is_wrong_with_it() {
    for poison in kinds() {
        let what = poison.what;
        let server = Server::start(poison.script).unwrap();
        let postroom = one_connection(&server, "1h");
        postroom.submit(&[poison.message]);
        // Who could not be rendered is asked for once more, so that a pass meets it.
        postroom.run(&["resend", "--yes", "status:error"]).ok();
        postroom.submit(&several("m", 5));
        postroom.deliver();
        assert_eq!(postroom.count("status:sent -key:poison"), 5, "{what}");
        assert_eq!(postroom.state_of("key:poison"), poison.state, "{what}");
        let up = postroom.run(&["backend"]).ok().stdout;
        assert!(up.contains("up"), "{what}: {up}");
        server.with_ledger(|ledger| {
            assert!(ledger.connections <= 4, "{what}: {}", ledger.connections);
            let others = ledger
                .recipients()
                .into_iter()
                .filter(|to| to.starts_with('m'));
            assert_eq!(others.count(), 5, "{what}");
        });
    }
}

#[test]
fn a_server_that_wants_a_message_for_nobody_and_never_answers_it_keeps_nobody_waiting() {
    let server = Server::start(
        Script::accept_all()
            .rcpt(POISON, Action::reply(550, "5.1.1", "no such user"))
            .by(|event| {
                let for_nobody = event.recipients.is_empty();
                match event.phase {
                    Phase::Data if for_nobody => Some(Action::raw("354 go ahead\r\n")),
                    Phase::Dot if for_nobody => Some(Action::stall()),
                    _ => None,
                }
            }),
    )
    .unwrap();
    let postroom = one_connection(&server, "1h");
    postroom.submit(&[message("poison", "feedback", &[POISON])]);
    postroom.submit(&several("m", 5));
    let delivering = postroom.start(&["deliver"]);
    assert!(server.wait_for(|ledger| ledger.met(Phase::Dot) == 1, SOON));
    postroom.wait_until("the refusal is written down", |postroom| {
        postroom.state_of("key:poison") == "error/permanent"
    });
    assert_eq!(postroom.count("key:poison is:sending"), 0);
    delivering.wait().ok();
    assert_eq!(postroom.count("status:sent"), 5);
}
