//! One message to many: each receiver gets its own answer, and nobody gets it twice.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use postroom::demo::server::{Action, Script, Server};
use support::{Postroom, Setup, Summary, message, raw_message};

const FIVE: [&str; 5] = [
    "one@example.com",
    "gone@example.com",
    "grey@example.com",
    "full@example.com",
    "five@example.com",
];

#[test]
fn of_five_recipients_the_accepted_share_a_transaction_and_only_the_4xx_are_tried_again() {
    let server = Server::start(
        Script::accept_all()
            .rcpt(
                "gone@example.com",
                Action::reply(550, "5.1.1", "no such user"),
            )
            .rcpt_first(
                1,
                "grey@example.com",
                Action::reply(451, "4.7.1", "greylisted"),
            )
            .rcpt_first(
                1,
                "full@example.com",
                Action::reply(452, "4.2.2", "mailbox full"),
            ),
    )
    .unwrap();
    let postroom = Setup::new()
        .smtp("email", &server)
        .set("delivery.backoff", "0s")
        .build();
    postroom.submit(&[raw_message("news", &FIVE)]);

    assert_eq!(
        postroom.deliver(),
        Summary {
            sent: 2,
            failed: 2,
            error: 1,
            ..Summary::default()
        }
    );
    server.with_ledger(|ledger| {
        assert_eq!(ledger.recipients(), ["one@example.com", "five@example.com"]);
        assert_eq!(ledger.entries[0].transaction, ledger.entries[1].transaction);
    });
    assert_eq!(postroom.state_of("to:gone@example.com"), "error/permanent");
    assert_eq!(postroom.state_of("to:grey@example.com"), "failed/temporary");
    assert_eq!(postroom.state_of("to:full@example.com"), "failed/temporary");
    assert_eq!(
        postroom.show_only("to:one@example.com")["message_status"],
        "error"
    );

    assert_eq!(
        postroom.deliver(),
        Summary {
            sent: 2,
            ..Summary::default()
        }
    );
    server.with_ledger(|ledger| {
        assert_eq!(ledger.recipients().len(), 4);
        assert_eq!(ledger.duplicates(), []);
    });
    let refused = postroom.show_only("to:gone@example.com");
    let attempt = &refused["attempts"][0];
    assert_eq!(attempt["code"], 550);
    assert_eq!(attempt["enhanced_code"], "5.1.1");
    assert_eq!(attempt["outcome"], "permanent");
    assert!(attempt["error"].as_str().unwrap().contains("no such user"));
    assert!(
        attempt["traceback"]
            .as_str()
            .unwrap()
            .contains("gone@example.com")
    );
    assert!(
        attempt["transcript"]
            .as_str()
            .unwrap()
            .contains("RCPT TO:<gone@example.com>")
    );
    assert_eq!(refused["attempts"].as_array().unwrap().len(), 1);
}

#[test]
fn an_ordinary_message_to_several_is_one_transaction_each_with_its_own_to() {
    let server = Server::start(Script::accept_all().keep_bodies()).unwrap();
    let postroom = Postroom::to(&server);
    postroom.submit(&[message(
        "welcome",
        "feedback",
        &["april@example.com", "ben@example.com"],
    )]);
    assert_eq!(postroom.deliver().sent, 2);
    server.with_ledger(|ledger| {
        assert_eq!(ledger.messages, 2);
        for entry in &ledger.entries {
            let body = String::from_utf8_lossy(entry.body.as_ref().unwrap()).into_owned();
            assert!(body.contains(&format!("To: {}", entry.recipient)), "{body}");
            assert!(
                body.contains(&format!("Message-ID: <{}@", entry.uid)),
                "{body}"
            );
        }
    });
}

#[test]
fn more_recipients_than_a_server_takes_at_once_go_in_a_second_transaction_without_penalty() {
    let server = Server::start(Script::accept_all().max_recipients(3)).unwrap();
    let postroom = Postroom::to(&server);
    postroom.submit(&[raw_message("news", &FIVE)]);
    assert_eq!(postroom.deliver().sent, 5);
    server.with_ledger(|ledger| assert_eq!(ledger.duplicates(), []));
    assert!(
        postroom
            .list_json("")
            .iter()
            .all(|row| row["failed_count"] == 0)
    );
}

#[test]
fn the_file_backend_leaves_one_eml_per_receiver() {
    let postroom = Setup::new().file("disk").build();
    postroom.submit(&[message(
        "welcome",
        "feedback",
        &["april@example.com", "ben@example.com"],
    )]);
    assert_eq!(postroom.deliver().sent, 2);
    let files: Vec<_> = std::fs::read_dir(postroom.folder().join("disk"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    assert_eq!(files.len(), 2);
    assert!(
        files
            .iter()
            .all(|file| file.extension().is_some_and(|ending| ending == "eml"))
    );
}
