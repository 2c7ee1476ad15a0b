//! One message that the server cannot stand is its own trouble: the others go out, and it is counted.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use postroom::demo::server::{Action, Event, Phase, Script, Server};
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
