//! Kill it at any moment: nothing is lost, and nobody gets it twice but where the store says so.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::collections::BTreeMap;

use postroom::demo::server::{Script, Server};
use support::{Postroom, SOON, Setup, several};

const MESSAGES: usize = 5_000;
const KILLS: usize = 12;

/// Kills `deliver` twelve times in the middle, each after some more messages, then lets it finish.
fn kill_and_finish(postroom: &Postroom, server: &Server) {
    for kill in 1..=KILLS {
        let delivering = postroom.start(&["deliver"]);
        // A little further each time, at no particular point of a transaction.
        let goal = (kill * MESSAGES / (KILLS + 2)) as u64;
        assert!(
            server.wait_for(|ledger| ledger.accepted >= goal, SOON),
            "the {kill}th run got stuck"
        );
        delivering.kill();
    }
    for _ in 0..3 {
        postroom.deliver();
    }
}

fn copies(server: &Server) -> BTreeMap<String, usize> {
    let mut copies = BTreeMap::new();
    for recipient in server.ledger().recipients() {
        *copies.entry(recipient.to_owned()).or_insert(0) += 1;
    }
    copies
}

#[test]
fn killed_twelve_times_under_hold_nothing_is_lost_and_nobody_gets_it_twice() {
    let server = Server::start(Script::accept_all()).unwrap();
    let postroom = Setup::new()
        .smtp("email", &server)
        .set("backends.email.on_unknown", "hold")
        .build();
    postroom.submit(&several("m", MESSAGES));
    kill_and_finish(&postroom, &server);
    let copies = copies(&server);
    assert_eq!(copies.values().max(), Some(&1));
    let rows = postroom.list_json("");
    assert_eq!(rows.len(), MESSAGES);
    for row in &rows {
        let got = copies.contains_key(row["identity"].as_str().unwrap());
        match row["reason"].as_str().unwrap() {
            "accepted" => assert!(got, "called Sent, and nobody accepted it: {row}"),
            "unconfirmed" => {}
            _ => panic!("neither sent nor in doubt: {row}"),
        }
    }
}

#[test]
fn killed_twelve_times_under_resend_everybody_gets_it_and_every_extra_copy_is_an_unknown_attempt() {
    let server = Server::start(Script::accept_all()).unwrap();
    let postroom = Postroom::to(&server);
    postroom.submit(&several("m", MESSAGES));
    kill_and_finish(&postroom, &server);
    let copies = copies(&server);
    for row in postroom.list_json("") {
        let got = copies
            .get(row["identity"].as_str().unwrap())
            .copied()
            .unwrap_or(0);
        if row["reason"] != "unconfirmed" {
            assert_eq!(row["status"], "sent", "{row}");
            assert!(got >= 1, "called Sent, and nobody accepted it: {row}");
        }
        if got > 1 {
            let shown = postroom.show_json(&row["id"]);
            let unknown = shown["attempts"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|attempt| attempt["outcome"] == "unknown")
                .count();
            assert!(
                got <= 1 + unknown,
                "{got} copies, {unknown} unknown attempts: {shown}"
            );
        }
    }
}
