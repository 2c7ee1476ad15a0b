//! Between "the server may have it" and "we know": what is said, and what follows.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use postroom::demo::server::{Action, Script, Server};
use support::{Setup, Summary, message};

const TO: &str = "april@example.com";

#[test]
fn a_connection_that_drops_after_the_dot_is_unknown_and_tried_once_more() {
    // The server takes it and says so to nobody.
    let server = Server::start(Script::accept_all().dot_first(2, TO, Action::vanish())).unwrap();
    let postroom = Setup::new().smtp("email", &server).build();
    postroom.submit(&[message("m", "feedback", &[TO])]);

    assert_eq!(
        postroom.deliver(),
        Summary {
            unconfirmed: 1,
            ..Summary::default()
        }
    );
    assert_eq!(postroom.state_of(""), "failed/unconfirmed");
    let shown = postroom.show_only("");
    assert_eq!(shown["attempts"][0]["outcome"], "unknown");
    assert!(
        shown["attempts"][0]["traceback"]
            .as_str()
            .unwrap()
            .contains("dot")
    );
    assert_eq!(shown["failed_count"], 0);

    assert_eq!(
        postroom.deliver(),
        Summary {
            unconfirmed: 1,
            ..Summary::default()
        }
    );
    assert_eq!(postroom.state_of(""), "error/unconfirmed");
    assert_eq!(
        postroom.deliver(),
        Summary::default(),
        "now the operator decides"
    );
    let text = postroom
        .run(&["show", &shown["id"].to_string()])
        .ok()
        .stdout;
    assert!(
        text.contains("unknown") || text.contains("unconfirmed"),
        "{text}"
    );

    postroom
        .run(&["mark-sent", "reason:unconfirmed", "--yes"])
        .ok();
    assert_eq!(postroom.state_of(""), "sent/marked");
    let marked = postroom.only("");
    assert_eq!(marked["sent_count"], 0);
    assert!(marked["sent_at"].is_string());
}

#[test]
fn under_hold_an_unknown_end_waits_for_the_operator() {
    let server = Server::start(Script::accept_all().dot_first(1, TO, Action::vanish())).unwrap();
    let postroom = Setup::new()
        .smtp("email", &server)
        .set("backends.email.on_unknown", "hold")
        .build();
    postroom.submit(&[message("m", "feedback", &[TO, "ben@example.com"])]);
    assert_eq!(
        postroom.deliver(),
        Summary {
            sent: 1,
            unconfirmed: 1,
            ..Summary::default()
        }
    );
    assert_eq!(
        postroom.state_of("to:april@example.com"),
        "error/unconfirmed"
    );
    assert_eq!(postroom.deliver(), Summary::default());
}
