//! What an adversary tried: operators, other processes and the mail server at the worst moment.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use postroom::demo::server::{Action, Script, Server};
use support::{SOON, Setup, message};

fn one_connection(server: &Server) -> Setup {
    Setup::new()
        .smtp("email", server)
        .set("backends.email.connections", 1)
}

/// `n` messages to one receiver each: `key` and a number.
fn several(key: &str, n: usize) -> Vec<serde_json::Value> {
    (0..n)
        .map(|n| {
            let to = format!("{key}{n}@example.com");
            message(&format!("{key}{n}"), "feedback", &[&to])
        })
        .collect()
}

#[test]
fn what_was_accepted_is_sent_also_when_the_row_was_resent_while_it_waited() {
    let server =
        Server::start(Script::accept_all().nth_dot(1, Action::accept().when_released())).unwrap();
    let postroom = one_connection(&server).build();
    postroom.submit(&several("m", 4));
    let service = postroom.start(&["run"]);
    assert!(server.wait_for(|ledger| ledger.withheld == 1, SOON));
    // The last one is claimed and waits; the operator's word ends that claim, and the service claims it anew.
    postroom.run(&["resend", "key:m3", "--yes"]).ok();
    postroom.wait_until("the service has claimed it again", |postroom| {
        postroom.only("key:m3")["sending"] == true
    });
    server.release();
    assert!(server.wait_for(|ledger| ledger.entries.len() == 4, SOON));
    postroom.wait_until("all are settled", |postroom| {
        postroom.count("is:sending") == 0
    });
    service.terminate().ok();
    assert_eq!(postroom.count("status:sent"), 4);
    postroom.deliver();
    server.with_ledger(|ledger| assert_eq!(ledger.duplicates(), []));
}
