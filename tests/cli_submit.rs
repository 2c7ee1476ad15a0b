//! Handing messages over from a shell: what a script may rely on.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests should panic where they cannot go on"
)]

mod support;

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use support::{Postroom, Setup, message};

fn postroom() -> Postroom {
    Setup::new().file("disk").build()
}

fn lines(messages: &[Value]) -> String {
    let lines: Vec<_> = messages
        .iter()
        .map(|message| format!("{message}\n"))
        .collect();
    lines.concat()
}

#[test]
fn receipts_come_in_the_order_of_the_lines_and_good_lines_are_taken_beside_bad_ones() {
    let postroom = postroom();
    let input = [
        message("a", "feedback", &["april@example.com", "andy@example.com"]).to_string(),
        String::new(),
        "{\"key\":\"b\",\"receivers\":[{\"to\":\"nobody\"}],\"content\":{\"en\":{\"text\":\"t\"}}}"
            .to_owned(),
        "no JSON".to_owned(),
        message("c", "feedback", &["ron@example.com"]).to_string(),
    ];
    let ran = postroom.run_with(&["submit"], input.join("\n")).exit(1);
    let receipts = ran.json_lines();
    assert_eq!(
        receipts[0],
        json!({"key": "a", "result": "stored", "message_id": 1, "receivers": 2})
    );
    assert_eq!(receipts[1]["line"], 3);
    assert_eq!(receipts[1]["key"], "b");
    assert_eq!(receipts[1]["result"], "error");
    assert_eq!(receipts[1]["field"], "receivers[0].to");
    assert!(
        receipts[1]["error"]
            .as_str()
            .unwrap()
            .contains("april@example.com")
    );
    assert_eq!(
        (&receipts[2]["line"], &receipts[2]["key"]),
        (&json!(4), &Value::Null)
    );
    assert_eq!(receipts[3]["key"], "c");
    assert_eq!(receipts.len(), 4);
    assert_eq!(postroom.count(""), 3);
}

#[test]
fn a_repeat_is_harmless_and_another_body_under_the_same_key_is_refused() {
    let postroom = postroom();
    let first = message("a", "feedback", &["april@example.com"]);
    postroom.submit(std::slice::from_ref(&first));
    let receipts = postroom.submit(std::slice::from_ref(&first));
    assert_eq!(
        receipts,
        [json!({"key": "a", "result": "already", "message_id": 1})]
    );

    let other = message("a", "feedback", &["andy@example.com"]);
    let ran = postroom.run_with(&["submit"], lines(&[other])).exit(1);
    let receipt = &ran.json_lines()[0];
    assert_eq!(
        (&receipt["line"], &receipt["key"], &receipt["result"]),
        (&json!(1), &json!("a"), &json!("error"))
    );
    assert_eq!(postroom.count(""), 1);
}

#[test]
fn a_message_without_a_key_gets_one() {
    let postroom = postroom();
    let mut without = message("", "feedback", &["april@example.com"]);
    without["key"] = Value::Null;
    let receipts = postroom.submit(&[without.clone(), without]);
    assert_ne!(receipts[0]["key"], receipts[1]["key"]);
    assert_eq!(postroom.count(""), 2);
}

#[test]
fn strict_takes_all_or_none() {
    let postroom = postroom();
    let good = [
        message("a", "t", &["april@example.com"]),
        message("b", "t", &["andy@example.com"]),
    ];
    let mut input = lines(&good);
    input.push_str("{}\n");
    let ran = postroom.run_with(&["submit", "--strict"], &input).exit(1);
    let results: Vec<_> = ran
        .json_lines()
        .iter()
        .map(|receipt| receipt["result"].clone())
        .collect();
    assert_eq!(results, ["error", "error", "error"]);
    assert_eq!(postroom.count(""), 0);

    postroom
        .run_with(&["submit", "--strict"], lines(&good))
        .ok();
    assert_eq!(postroom.count(""), 2);

    // One that is in conflict with what is there keeps the others out, too.
    let conflict = [
        message("c", "t", &["ron@example.com"]),
        message("a", "t", &["ron@example.com"]),
    ];
    let ran = postroom
        .run_with(&["submit", "--strict"], lines(&conflict))
        .exit(1);
    assert_eq!(ran.json_lines()[1]["field"], "key");
    assert_eq!(postroom.count(""), 2);
}

#[test]
fn a_file_may_begin_with_a_byte_order_mark_and_end_without_a_newline() {
    let postroom = postroom();
    let path = postroom.folder().join("messages.jsonl");
    let text = format!(
        "\u{feff}{}\r\n{}",
        message("a", "t", &["april@example.com"]),
        message("b", "t", &["a@example.com"])
    );
    std::fs::write(&path, text).unwrap();
    postroom.run(&["submit", "messages.jsonl"]).ok();
    assert_eq!(postroom.count(""), 2);
    let ran = postroom.run(&["submit", "nowhere.jsonl"]).exit(1);
    assert!(ran.stderr.contains("nowhere.jsonl"), "{ran:?}");
}

#[test]
fn a_line_that_is_not_utf_8_is_refused_alone() {
    let postroom = postroom();
    let mut input = b"{\"key\":\"\xff\"}\n".to_vec();
    input.extend(lines(&[message("a", "t", &["april@example.com"])]).into_bytes());
    let ran = postroom.run_with(&["submit"], input).exit(1);
    assert!(
        ran.json_lines()[0]["error"]
            .as_str()
            .unwrap()
            .contains("UTF-8")
    );
    assert_eq!(postroom.count(""), 1);
}

#[test]
fn who_waits_for_a_receipt_before_writing_the_next_line_gets_it() {
    let postroom = postroom();
    let mut child = Command::new(env!("CARGO_BIN_EXE_postroom"))
        .args(["submit", "-"])
        .env("POSTROOM_CONFIG", postroom.config_path())
        .env("POSTROOM_STORE", postroom.store_path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut to = child.stdin.take().unwrap();
    let mut from = BufReader::new(child.stdout.take().unwrap());
    for key in ["a", "b", "c"] {
        writeln!(to, "{}", message(key, "t", &["april@example.com"])).unwrap();
        let mut receipt = String::new();
        from.read_line(&mut receipt).unwrap();
        assert!(receipt.contains(&format!("\"key\":\"{key}\"")), "{receipt}");
    }
    drop(to);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let postroom = postroom();
    let ran = postroom.run(&["submit", "nofile"]).exit(1);
    let wanted = "postroom: cannot read nofile\n  caused by: No such file or directory";
    assert!(ran.stderr.starts_with(wanted), "{ran:?}");
    let folder = postroom.folder().to_str().unwrap().to_owned();
    let ran = postroom.run(&["submit", &folder]).exit(1);
    assert!(
        ran.stderr.contains(&format!("cannot read {folder}")),
        "{ran:?}"
    );
}

#[test]
fn without_a_backend_a_line_is_refused_with_the_way_to_add_one() {
    let postroom = Setup::new().build();
    let ran = postroom
        .run_with(
            &["submit"],
            lines(&[message("a", "t", &["april@example.com"])]),
        )
        .exit(1);
    assert!(
        ran.json_lines()[0]["error"]
            .as_str()
            .unwrap()
            .contains("[backends.email]")
    );
}

#[test]
fn header_injection_is_refused_and_the_refusal_is_harmless() {
    let postroom = postroom();
    let mut hostile = message("a", "t", &["april@example.com"]);
    hostile["content"]["en"]["subject"] = json!("Hello\r\nBcc: everybody@example.com");
    let mut odd = message("b", "t", &["april@example.com"]);
    odd["\u{1b}]52;c;eA==\u{7}\u{202e}"] = json!(1);
    let ran = postroom
        .run_with(&["submit"], lines(&[hostile, odd]))
        .exit(1);
    assert_eq!(ran.json_lines()[0]["field"], "content.en.subject");
    assert!(!ran.stdout.contains(['\u{1b}', '\u{7}', '\u{202e}']));
    assert_eq!(postroom.count(""), 0);
}

#[test]
fn a_line_in_which_a_name_stands_twice_is_refused_with_the_place_of_it() {
    let postroom = postroom();
    let given = [
        (
            "type",
            r#"{"key":"a","type":"x","content":{"en":{"subject":"S","text":"T"}},"type":"y","receivers":[{"to":"april@example.com"}]}"#,
        ),
        (
            "content.en",
            r#"{"key":"a","content":{"en":{"subject":"S","text":"T"},"en":{"subject":"Other","text":"T"}},"receivers":[{"to":"april@example.com"}]}"#,
        ),
        (
            "receivers[1].to",
            r#"{"key":"a","content":{"en":{"subject":"S","text":"T"}},"receivers":[{"to":"ron@example.com"},{"to":"april@example.com","to":"ben@example.com"}]}"#,
        ),
        (
            "receivers[0].metadata.groups[1].id",
            r#"{"key":"a","content":{"en":{"subject":"S","text":"T"}},"receivers":[{"to":"april@example.com","metadata":{"groups":[{},{"id":1,"id":1}]}}],"type":"x","type":"y"}"#,
        ),
        (
            "key",
            r#"{"key":"a","key":"b","content":{"en":{"subject":"S","text":"T"}},"receivers":[{"to":"april@example.com"}]}"#,
        ),
    ];
    for (field, line) in given {
        let ran = postroom.run_with(&["submit"], line).exit(1);
        let receipt = ran.json_lines().remove(0);
        let key = if field == "key" {
            Value::Null
        } else {
            json!("a")
        };
        assert_eq!(receipt["field"], field, "{receipt}");
        assert_eq!(receipt["key"], key, "{receipt}");
        assert!(
            receipt["error"]
                .as_str()
                .unwrap()
                .contains("stands there twice"),
            "{receipt}"
        );
    }
    assert_eq!(postroom.count(""), 0);
    let same = r#"{"content":{"en":{"subject":"S","text":"T"},"nb":{"subject":"S","text":"T"}},"receivers":[{"to":"april@example.com"},{"to":"ben@example.com"}]}"#;
    postroom.run_with(&["submit"], same).ok();
}

#[test]
fn a_message_to_nobody_is_told_how_to_name_somebody() {
    let nobody = json!({"content": {"en": {"text": "t"}}, "receivers": []}).to_string();
    let ran = postroom().run_with(&["submit"], nobody).exit(1);
    let error = ran.json_lines()[0]["error"].to_string();
    assert!(error.contains("names nobody; it must be a list"), "{error}");
}

#[test]
fn what_is_said_of_a_value_of_another_kind_is_what_it_must_be() {
    let postroom = Setup::new().file("disk").build();
    for (field, value, must) in [
        ("key", json!(7), "must be a string"),
        ("priority", json!("high"), "must be a whole number"),
        ("template", json!("yes"), "must be true or false"),
        ("send_after", json!("tomorrow"), "must be a time such as"),
        (
            "receivers",
            json!({"to": "a@example.com"}),
            "must be a list of receivers",
        ),
        (
            "content",
            json!({"subject": "x"}),
            "must be an object by language",
        ),
    ] {
        let mut line = message("m", "t", &["a@example.com"]);
        line[field] = value;
        let ran = postroom.run_with(&["submit"], line.to_string()).exit(1);
        let receipt = &ran.json_lines()[0];
        assert_eq!(receipt["field"], field);
        assert!(
            receipt["error"].as_str().unwrap().starts_with(must),
            "{receipt}"
        );
    }
}
