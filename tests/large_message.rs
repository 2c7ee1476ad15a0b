//! A message to very many: stored whole or not at all, without keeping the store from others.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::fs;

use postroom::{
    demo::server::{Script, Server},
    store::{Reader, Store},
};
use serde_json::json;
use support::{Postroom, Running, Setup, message};

const MANY: usize = 4_000;

fn letter(key: &str) -> String {
    let mut letter = message(key, "news", &[]);
    letter["receivers"] = (0..MANY)
        .map(|n| json!({"to": format!("user{n}@example.com"), "user": format!("user{n}")}))
        .collect();
    letter.to_string()
}

fn rows(reader: &Reader) -> usize {
    reader.counts().unwrap().total() as usize
}

/// Kills `submit` when some of the receivers are rows and some are not.
fn killed_while_storing(server: &Server) -> Postroom {
    for _ in 0..20 {
        let postroom = Postroom::to(server);
        let file = postroom.folder().join("letter.jsonl");
        fs::write(&file, letter("news")).unwrap();
        let reader = Store::open(&postroom.store_path())
            .unwrap()
            .reader()
            .unwrap();
        let submitting = postroom.start(&["submit", file.to_str().unwrap()]);
        while rows(&reader) == 0 {
            std::thread::yield_now();
        }
        submitting.kill();
        if rows(&reader) < MANY {
            return postroom;
        }
    }
    panic!("the program was always faster than its end");
}

#[test]
fn a_message_to_very_many_reaches_each_once_though_its_hand_over_was_killed() {
    let server = Server::start(Script::accept_all()).unwrap();
    let postroom = killed_while_storing(&server);
    let again = postroom.run_with(&["submit", "-"], letter("news")).ok();
    assert_eq!(again.json_lines()[0]["result"], "already", "{again:?}");
    assert_eq!(postroom.deliver().sent, MANY as u64);
    let ledger = server.ledger();
    let mut reached: Vec<&str> = ledger.recipients();
    reached.sort_unstable();
    reached.dedup();
    assert_eq!((ledger.accepted, reached.len()), (MANY as u64, MANY));
    postroom.run(&["check"]).ok();
}

#[test]
fn a_message_whose_receivers_are_not_all_there_is_not_cleaned_away() {
    let server = Server::start(Script::accept_all()).unwrap();
    let postroom = killed_while_storing(&server);
    postroom.run(&["delete", "--all", "--yes"]).ok();
    postroom
        .run(&["delete-messages-without-receivers", "--yes"])
        .ok();
    let sent = postroom.deliver().sent as usize;
    assert!(sent > 0 && sent < MANY, "{sent}");
    assert_eq!(postroom.count("key:news"), sent);
    postroom.run(&["check"]).ok();
}

#[test]
fn a_message_to_very_many_is_told_of_with_all_its_receivers() {
    let server = Server::start(Script::accept_all()).unwrap();
    let postroom = Postroom::to(&server);
    let ran = postroom.run_with(&["submit", "-"], letter("news")).ok();
    assert_eq!(ran.json_lines()[0]["receivers"], MANY);
    assert_eq!(postroom.count(""), MANY);
}

#[test]
fn killed_at_any_commit_of_a_large_message_and_cleaned_up_it_is_there_once_when_it_is_handed_over_again()
 {
    let mut letter = message("grades", "grade", &[]);
    letter["template"] = true.into();
    letter["content"] = json!({"en": {"subject": "Grade of {{ user }}", "text": "{{ to }}"}});
    letter["receivers"] = (0..600)
        .map(|n| json!({"to": format!("user{n}@example.com"), "user": format!("user{n}")}))
        .collect();
    let mut became = std::collections::BTreeSet::new();
    for commit in 1..20 {
        let postroom = Setup::new().file("email").build();
        let file = postroom.folder().join("letter.jsonl");
        fs::write(&file, letter.to_string()).unwrap();
        let mut submit = postroom.command(&["submit", file.to_str().unwrap()]);
        let at = format!("after another commit:{commit}");
        let killed = Running::spawn(submit.env("POSTROOM_KILL_AT", at))
            .wait()
            .was_killed();
        postroom
            .run(&["delete-messages-without-receivers", "--yes"])
            .ok();
        let again = postroom.submit(std::slice::from_ref(&letter)).remove(0);
        became.insert(again["result"].as_str().unwrap().to_owned());
        let rows = postroom.list_json("");
        let mut users: Vec<_> = rows.iter().map(|row| row["user"].to_string()).collect();
        users.sort_unstable();
        users.dedup();
        assert_eq!((rows.len(), users.len()), (600, 600), "{commit}");
        for row in &rows {
            let subject = format!("Grade of {}", row["user"].as_str().unwrap());
            assert_eq!(row["subject"], subject);
        }
        postroom.run(&["check"]).ok();
        if !killed {
            break;
        }
    }
    assert_eq!(became.len(), 2, "{became:?}");
}
