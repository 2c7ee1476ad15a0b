//! Everything that was done can be found again: by whom, when, to whom, to how many.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use serde_json::{Value, json};
use support::{Postroom, Setup, message, several};

fn audit(postroom: &Postroom, arguments: &[&str]) -> Vec<Value> {
    let arguments = [&["audit", "--format", "json"], arguments].concat();
    postroom.run(&arguments).ok().json_lines()
}

#[test]
fn every_action_is_in_the_audit_log_newest_first() {
    let postroom = Setup::new().file("disk").build();
    postroom.submit(&several("m", 4));
    let actions: [&[&str]; 9] = [
        &["hold", "--all"],
        &["release", "is:held"],
        &["cancel", "key:m3"],
        &["resend", "--id", "4"],
        &["delete", "--id", "1,2"],
        &["backend", "disk", "pause"],
        &["backend", "disk", "resume"],
        &["delete-receivers", "0", "--pending"],
        &["delete-messages-without-receivers"],
    ];
    for action in actions {
        let asks = action[0] != "backend";
        let yes: &[&str] = if asks { &["--yes"] } else { &[] };
        let action = if action[0] == "delete-receivers" {
            // Nobody was created before today.
            &["delete", "user:m2,m3"]
        } else {
            action
        };
        postroom.run(&[action, yes].concat()).ok();
    }
    let lines = audit(&postroom, &[]);
    let told: Vec<_> = lines
        .iter()
        .rev()
        .map(|line| {
            (
                line["action"].as_str().unwrap(),
                line["target"].as_str().unwrap(),
                line["count"].as_u64().unwrap(),
                line["receiver_id"].as_i64(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("hold", "all", 4, None),
            ("release", "is:held", 4, None),
            ("cancel", "key:m3", 1, Some(4)),
            ("resend", "id:4", 1, Some(4)),
            ("delete", "id:1,2", 2, None),
            ("backend pause", "disk", 0, None),
            ("backend resume", "disk", 0, None),
            ("delete", "user:m2,m3", 2, None),
            (
                "delete-messages-without-receivers",
                "4 messages, 4 contents",
                4,
                None
            ),
        ]
    );
    for line in &lines {
        assert!(!line["who"].as_str().unwrap().is_empty(), "{line}");
        assert!(line["at"].as_str().unwrap().ends_with('Z'), "{line}");
    }
    assert_eq!(audit(&postroom, &["--limit", "2"]), lines[..2]);
    assert_eq!(audit(&postroom, &["--limit", "0"]), lines);
}

#[test]
fn nothing_is_noted_that_was_not_done() {
    let postroom = Setup::new().file("disk").build();
    postroom.submit(&several("m", 2));
    postroom.run(&["hold", "--all", "--dry-run"]).ok();
    postroom.run(&["hold", "--all"]).exit(2);
    postroom.run(&["release", "--all", "--yes"]).ok();
    assert_eq!(audit(&postroom, &[]), Vec::<Value>::new());
    let said = postroom.run(&["audit"]).ok().stdout;
    assert_eq!(said, "Nothing was done yet.\n");
}

#[test]
fn the_log_reads_as_a_table_and_as_tsv_whatever_a_query_says() {
    let postroom = Setup::new().file("disk").build();
    postroom.submit(&[message("a", "t\u{1b}[31m", &["a@example.com"])]);
    postroom.run(&["hold", "--yes", "type:t\u{1b}[31m"]).ok();
    let table = postroom.run(&["audit"]).ok().stdout;
    assert!(
        table.starts_with("When") && table.contains("  hold "),
        "{table}"
    );
    let tsv = postroom.run(&["audit", "--format", "tsv"]).ok().stdout;
    let mut lines = tsv.lines();
    assert_eq!(
        lines.next(),
        Some("id\tat\twho\taction\ttarget\tcount\treceiver_id")
    );
    let cells: Vec<_> = lines.next().unwrap().split('\t').collect();
    assert_eq!(
        (cells.len(), cells[3], cells[5], cells[6]),
        (7, "hold", "1", "1")
    );
    assert!(!table.contains('\u{1b}') && !tsv.contains('\u{1b}'));
    postroom.run(&["audit", "--limit", "-1"]).exit(2);
}

#[test]
fn a_long_log_is_whole() {
    let postroom = Setup::new().file("disk").build();
    let store = rusqlite::Connection::open(postroom.store_path()).unwrap();
    store
        .execute_batch(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1234)
             INSERT INTO audit (at, who, action, target, count) SELECT i, 'april', 'hold', 'all', i FROM n",
        )
        .unwrap();
    drop(store);
    let counts: Vec<_> = audit(&postroom, &["--limit", "0"])
        .iter()
        .map(|line| line["count"].as_i64().unwrap())
        .collect();
    assert_eq!(counts, (1..=1234).rev().collect::<Vec<_>>());
    assert_eq!(audit(&postroom, &["--limit", "1000"]).len(), 1000);
    assert_eq!(audit(&postroom, &[]).len(), 100);
}

#[test]
fn a_receiver_shows_what_operators_did_to_it() {
    let postroom = Setup::new().file("disk").build();
    postroom.submit(&several("m", 2));
    postroom.run(&["hold", "--yes", "--id", "1"]).ok();
    postroom.run(&["release", "--yes", "user:m0"]).ok();
    let shown = postroom.show_json(1);
    let actions: Vec<_> = shown["actions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|action| action["action"].as_str().unwrap())
        .collect();
    assert_eq!(actions, ["hold", "release"]);
    assert_eq!(postroom.show_json(2)["actions"], json!([]));
    let text = postroom.run(&["show", "1"]).ok().stdout;
    let (_, actions) = text.split_once("\nActions\n").unwrap();
    assert!(
        actions.lines().next().unwrap().contains(" hold, by ") && actions.contains(" release, by "),
        "{text}"
    );
    let text = postroom.run(&["show", "2"]).ok().stdout;
    assert!(!text.contains("Actions"), "{text}");
}

#[test]
fn who_acts_has_a_name_where_no_variable_says_it() {
    let postroom = Setup::new().file("disk").build();
    let mut pause = postroom.command(&["backend", "disk", "pause"]);
    for variable in ["SUDO_USER", "USER", "LOGNAME"] {
        pause.env_remove(variable);
    }
    assert!(pause.status().unwrap().success());
    let name = std::process::Command::new("id").arg("-un").output();
    let name = String::from_utf8(name.unwrap().stdout).unwrap();
    assert_eq!(audit(&postroom, &[])[0]["who"], name.trim_end());
}
