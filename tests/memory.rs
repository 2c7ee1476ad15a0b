//! Large messages cost memory for a few of them at a time, however many connections there are.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![cfg(target_os = "linux")]

mod support;

use postroom::demo::server::{Action, Script, Server};
use serde_json::Value;
use support::{Postroom, SOON, message, peak, raw_message};

/// Of each message, in bytes.
const SIZE: usize = 16 << 20;

const MESSAGES: usize = 10;

/// Lines that say nothing twice within a message; `n` makes them differ from message to message.
fn lines(n: usize) -> String {
    format!("{n:078}\r\n").repeat(SIZE / 80)
}

/// The most memory that a pass over these messages and eight connections took, in MiB.
fn peak_over(messages: &[Value]) -> usize {
    let server = Server::start(
        Script::accept_all()
            .counts_only()
            .nth_dot(MESSAGES as u64, Action::accept().when_released()),
    )
    .unwrap();
    let postroom = Postroom::to(&server);
    for message in messages {
        postroom.submit(std::slice::from_ref(message));
    }
    let pass = postroom.start(&["deliver"]);
    assert!(server.wait_for(|ledger| ledger.withheld == 1, SOON));
    let mib = peak(pass.pid());
    server.release();
    pass.wait().ok();
    assert_eq!(postroom.count("status:sent"), MESSAGES);
    mib
}

#[test]
fn raw_messages_of_16_mb_over_eight_connections_take_a_few_hundred_mb() {
    let messages: Vec<_> = (0..MESSAGES)
        .map(|n| {
            let mut message = raw_message(&format!("m{n}"), &["a@example.com"]);
            message["raw"] = (message["raw"].as_str().unwrap().to_owned() + &lines(n)).into();
            message
        })
        .collect();
    let mib = peak_over(&messages);
    assert!(mib < 300, "{mib} MiB");
}

#[test]
fn texts_of_16_mb_over_eight_connections_take_a_few_hundred_mb() {
    let messages: Vec<_> = (0..MESSAGES)
        .map(|n| {
            let mut message = message(&format!("m{n}"), "feedback", &["a@example.com"]);
            message["content"]["en"]["text"] = lines(n).into();
            message
        })
        .collect();
    let mib = peak_over(&messages);
    assert!(mib < 300, "{mib} MiB");
}
