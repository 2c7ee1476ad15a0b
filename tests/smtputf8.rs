//! Addresses and headers beyond ASCII, to servers that offer SMTPUTF8 (RFC 6531) and to those that do not.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use postroom::demo::server::{Extension, Script, Server};
use serde_json::{Value, json};
use support::{Postroom, message};

/// Somebody beyond ASCII, somebody in a domain beyond ASCII, somebody else, and a message with such a header.
fn messages() -> Vec<Value> {
    let mut header = message("header", "t", &["header@example.com"]);
    header["raw"] = json!(
        "From: a@example.com\r\nTo: all@example.com\r\nSubject: Blåbær\r\nMessage-ID: <h@example.com>\r\n\r\nHello.\r\n"
    );
    header.as_object_mut().unwrap().remove("content");
    vec![
        message("local", "t", &["blåbær@example.com"]),
        message("domain", "t", &["april@blåbær.example"]),
        message("plain", "t", &["ben@example.com"]),
        header,
    ]
}

#[test]
fn where_it_is_offered_smtputf8_is_said_for_those_who_need_it_and_for_nobody_else() {
    let server = Server::start(Script::accept_all().keep_transcripts()).unwrap();
    let postroom = Postroom::to(&server);
    postroom.submit(&messages());
    assert_eq!(postroom.deliver().sent, 4);
    let said: String = server.with_ledger(|ledger| {
        assert_eq!(ledger.violations, [""; 0]);
        ledger.transcripts.values().cloned().collect()
    });
    let lines: Vec<&str> = said.lines().collect();
    for (recipient, utf8) in [
        ("blåbær@example.com", true),
        ("april@xn--blbr-roah.example", false),
        ("ben@example.com", false),
        ("header@example.com", true),
    ] {
        let rcpt = format!("C: RCPT TO:<{recipient}>");
        let at = lines.iter().position(|line| *line == rcpt);
        let at = at.unwrap_or_else(|| panic!("{rcpt} in {said}"));
        let mail = lines[..at]
            .iter()
            .rfind(|line| line.starts_with("C: MAIL "))
            .unwrap();
        assert_eq!(mail.contains(" SMTPUTF8"), utf8, "{recipient}: {mail}");
    }
}

#[test]
fn where_it_is_not_offered_only_those_who_need_it_are_refused_with_words() {
    let script = Script::accept_all().without(Extension::SmtpUtf8);
    let server = Server::start(script).unwrap();
    let postroom = Postroom::to(&server);
    postroom.submit(&messages());
    let summary = postroom.deliver();
    let all = postroom.list_json("");
    assert_eq!((summary.sent, summary.error), (2, 2), "{all:#?}");
    for (key, words) in [
        ("key:local", "the address blåbær@example.com is not ASCII"),
        ("key:header", "the header of the message is not ASCII"),
    ] {
        let shown = postroom.show_only(key);
        let attempt = &shown["attempts"][0];
        assert_eq!(attempt["outcome"], "permanent");
        assert_eq!(
            attempt["transcript"],
            Value::Null,
            "no transaction was begun"
        );
        for field in ["error", "traceback"] {
            let told = attempt[field].as_str().unwrap();
            assert!(
                told.contains(words) && told.contains("does not offer SMTPUTF8"),
                "{told}"
            );
        }
    }
    assert_eq!(postroom.state_of("key:domain"), "sent/accepted");
    assert_eq!(
        postroom.only("key:domain")["identity"],
        "april@blåbær.example"
    );
}
