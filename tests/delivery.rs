//! From an application's message to the mail server and back, as an operator runs it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod support;

use std::{fs, os::unix::fs::PermissionsExt as _};

use postroom::demo::server::{Action, Script, Server};
use support::{Certificate, Postroom, Setup, Summary, message, raw_message};

#[test]
fn what_was_submitted_goes_out_once_and_a_refusal_explains_itself() {
    let refusal = Action::reply(451, "4.7.1", "greylisted");
    let server = Server::start(Script::accept_all().rcpt("b@example.com", refusal)).unwrap();
    let postroom = Postroom::to(&server);
    let receipts = postroom.submit(&[
        message("m1", "feedback", &["a@example.com", "b@example.com"]),
        raw_message("r1", &["c@example.com", "d@example.com"]),
    ]);
    assert_eq!(receipts.len(), 2);
    let first = Summary {
        sent: 3,
        failed: 1,
        ..Summary::default()
    };
    assert_eq!(postroom.deliver(), first);
    assert_eq!(postroom.deliver(), Summary::default());

    assert_eq!(postroom.count("status:sent"), 3);
    assert_eq!(postroom.state_of("to:b@example.com"), "failed/temporary");
    let attempts = postroom.show_only("to:b@example.com")["attempts"].clone();
    assert_eq!(attempts[0]["error"], "451 4.7.1 greylisted");
    let traceback = attempts[0]["traceback"].as_str().unwrap();
    assert!(traceback.contains("RCPT TO") && traceback.contains(&server.addr().to_string()));

    let ledger = server.ledger();
    assert_eq!(ledger.duplicates(), []);
    assert_eq!(ledger.violations, [""; 0]);
    assert_eq!(ledger.accepted, 3);
}

#[test]
fn a_server_that_wants_starttls_and_a_login_gets_its_mail() {
    let certificate = Certificate::new(&["127.0.0.1"]);
    let script = Script::accept_all().starttls(certificate.server());
    let server = Server::start(script.login("postroom", "s3cret")).unwrap();
    let postroom = Setup::new()
        .smtp("email", &server)
        .set("backends.email.tls", "starttls")
        .set(
            "backends.email.ca_file",
            certificate.ca_file().to_str().unwrap(),
        )
        .set("backends.email.username", "postroom")
        .set("backends.email.password_file", "password")
        .build();
    let password = postroom.folder().join("password");
    fs::write(&password, "s3cret\n").unwrap();
    fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
    postroom.submit(&[message("m1", "feedback", &["a@example.com"])]);
    assert_eq!(postroom.deliver().sent, 1);
    assert_eq!(server.ledger().violations, [""; 0]);
}
