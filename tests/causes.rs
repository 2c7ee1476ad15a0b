//! Causes: failures that are the same fault stand together, and are found, counted and acted on together.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use postroom::demo::server::{Action, Phase, Script, Server};
use serde_json::Value;
use support::{Postroom, Setup, message};

fn causes(postroom: &Postroom, query: &str) -> Vec<Value> {
    postroom
        .run(&["causes", "--format", "json", "--", query])
        .ok()
        .json_lines()
}

/// Number, count and text of each.
fn told(causes: &[Value]) -> Vec<(i64, u64, &str)> {
    let one = |cause: &'_ Value| -> (i64, u64) {
        (
            cause["id"].as_i64().unwrap(),
            cause["count"].as_u64().unwrap(),
        )
    };
    causes
        .iter()
        .map(|cause| (one(cause).0, one(cause).1, cause["text"].as_str().unwrap()))
        .collect()
}

/// A server that greylists in its own words for each, has no ben, and takes everybody else.
fn server() -> Server {
    let script = Script::accept_all().by(|event| {
        let to = event.recipient.filter(|_| event.phase == Phase::Rcpt)?;
        match to.split_once('@')? {
            (_, "grey.example") => {
                let words = format!(
                    "<{to}>: Greylisted, try again in {} seconds",
                    100 + to.len()
                );
                Some(Action::reply(451, "4.7.1", &words))
            }
            ("ben", _) => Some(Action::reply(550, "5.1.1", "ben is no user here")),
            _ => None,
        }
    });
    Server::start(script).unwrap()
}

fn four() -> (Server, Postroom) {
    let server = server();
    // Over several, chance would number the causes.
    let postroom = Setup::new()
        .smtp("email", &server)
        .set("backends.email.connections", 1)
        .build();
    let to = [
        "april@grey.example",
        "al@grey.example",
        "ben@example.com",
        "carol@example.com",
    ];
    postroom.submit(&[
        message("a", "feedback", &to),
        message("b", "invoice", &["dora@grey.example"]),
    ]);
    let summary = postroom.deliver();
    assert_eq!((summary.failed, summary.error, summary.sent), (3, 1, 1));
    (server, postroom)
}

const GREY: &str = "451 4.7.1 <ADDRESS>: Greylisted, try again in N seconds";
const NOBODY: &str = "550 5.1.1 USER is no user here";

#[test]
fn failures_of_the_same_fault_are_one_cause_with_the_keys_that_scripts_rely_on() {
    let (server, postroom) = four();
    let found = causes(&postroom, "");
    assert_eq!(told(&found), [(1, 3, GREY), (2, 1, NOBODY)]);
    let keys: Vec<&str> = found[0]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        keys,
        [
            "id",
            "count",
            "code",
            "enhanced_code",
            "text",
            "server",
            "phase",
            "first_seen",
            "last_seen",
            "sample"
        ]
    );
    assert_eq!(found[0]["code"], 451);
    assert_eq!(found[0]["enhanced_code"], "4.7.1");
    assert_eq!(found[0]["server"], server.addr().to_string());
    assert_eq!(found[0]["phase"], "rcpt");
    assert!(found[0]["first_seen"].as_str() <= found[0]["last_seen"].as_str());
    let sample = postroom.show_json(&found[1]["sample"]);
    assert_eq!(sample["identity"], "ben@example.com");
    assert_eq!(sample["attempts"][0]["cause"], 2);

    let table = postroom.run(&["causes"]).ok().stdout;
    assert!(
        table.contains(GREY) && table.contains("Cause  Count  Text"),
        "{table}"
    );
    let tsv = postroom
        .run(&["causes", "--format", "tsv", "--limit", "1"])
        .ok()
        .stdout;
    let lines: Vec<Vec<&str>> = tsv.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(
        (lines[0][4], lines[1][4], lines[1].len()),
        ("text", GREY, keys.len())
    );
}

#[test]
fn causes_and_list_agree_on_whom_a_cause_has_met() {
    let (_server, postroom) = four();
    for query in [
        "",
        "type:feedback",
        "status:failed",
        "code:451",
        "-to:al@grey.example",
        "cause:1",
        "code:4.7.1 type:invoice",
        "status:sent",
    ] {
        let found = causes(&postroom, query);
        for cause in &found {
            let narrowed = format!("{query} cause:{}", cause["id"]);
            assert_eq!(cause["count"], postroom.count(&narrowed), "{narrowed}");
        }
        let counted: u64 = found
            .iter()
            .map(|cause| cause["count"].as_u64().unwrap())
            .sum();
        let failed = postroom.count(&format!("{query} status:failed,error"));
        assert_eq!(counted, failed as u64, "{query}");
    }
    assert_eq!(postroom.count("cause:1,2"), 4);
    assert_eq!(postroom.count("-cause:1"), 2);
    assert_eq!(postroom.count("cause:3"), 0);
    let none = postroom.run(&["causes", "type:nothing"]).ok().stdout;
    assert_eq!(none, "No failed receiver matches.\n");
}

#[test]
fn whoever_gets_the_message_after_all_has_no_cause_any_more() {
    let server = Server::start(Script::accept_all().rcpt_first(
        1,
        "april@example.com",
        Action::reply(451, "4.7.1", "later"),
    ))
    .unwrap();
    let postroom = Postroom::to(&server);
    postroom.submit(&[message("a", "feedback", &["april@example.com"])]);
    assert_eq!(postroom.deliver().failed, 1);
    assert_eq!(causes(&postroom, "").len(), 1);
    postroom.run(&["resend", "cause:1", "--yes"]).ok();
    assert_eq!(postroom.only("cause:1")["status"], "not_sent");
    assert_eq!(postroom.deliver().sent, 1);
    assert_eq!(causes(&postroom, ""), [] as [Value; 0]);
    assert_eq!(postroom.count("cause:1"), 0);
    assert_eq!(postroom.count("code:451"), 0);
    let shown = postroom.show_only("");
    assert_eq!(
        (
            &shown["attempts"][0]["cause"],
            &shown["attempts"][1]["cause"]
        ),
        (&Value::from(1), &Value::Null)
    );
}

#[test]
fn an_end_that_nobody_knows_and_a_server_that_is_down_are_causes_too() {
    let mut server =
        Server::start(Script::accept_all().dot_first(1, "april@example.com", Action::vanish()))
            .unwrap();
    let postroom = Setup::new()
        .smtp("email", &server)
        .set("backends.email.on_unknown", "hold")
        .build();
    postroom.submit(&[message("a", "feedback", &["april@example.com"])]);
    assert_eq!(postroom.deliver().unconfirmed, 1);
    server.stop();
    postroom.submit(&[message("b", "feedback", &["ben@example.com"])]);
    assert_eq!(postroom.deliver().backend, 1);
    let found = causes(&postroom, "");
    let phases: Vec<_> = found
        .iter()
        .map(|cause| cause["phase"].as_str().unwrap())
        .collect();
    assert_eq!(phases, ["dot", "connect"]);
    assert!(found.iter().all(|cause| cause["code"].is_null()));
    // An operator says that it arrived: what is Sent is no failure.
    postroom.run(&["mark-sent", "cause:1", "--yes"]).ok();
    assert_eq!(causes(&postroom, "").len(), 1);
    assert_eq!(postroom.count("cause:1"), 0);
}

#[test]
fn a_line_in_the_config_makes_two_causes_one_for_what_was_and_what_comes() {
    let (server, postroom) = four();
    let merging = |patterns: &[&str]| {
        let patterns: Vec<toml::Value> = patterns.iter().map(|pattern| (*pattern).into()).collect();
        Setup::new()
            .smtp("email", &server)
            .set("causes.merge", patterns)
    };
    let apart = [(1, 3, GREY), (2, 1, NOBODY)];
    for patterns in [&["*greylist", "550*user"][..], &["*greylisted*", "*r*"]] {
        postroom.configure(merging(patterns));
        assert_eq!(
            told(&causes(&postroom, "")),
            apart,
            "the first line that matches counts: {patterns:?}"
        );
    }
    postroom.configure(merging(&["nothing", "*R*"]));
    assert_eq!(told(&causes(&postroom, "")), [(1, 4, GREY)]);
    let seen = |query: &str, key: &str| causes(&postroom, query)[0][key].clone();
    assert!(seen("", "first_seen").as_str() <= seen("", "last_seen").as_str());
    for query in ["cause:1", "cause:2"] {
        assert_eq!(postroom.count(query), 4);
        assert_eq!(causes(&postroom, query)[0]["count"], 4);
    }
    assert_eq!(causes(&postroom, "to:@grey.example")[0]["count"], 3);
    assert_eq!(
        postroom.show_only("to:ben@example.com")["attempts"][0]["cause"],
        1
    );
    let told = postroom
        .run(&["resend", "cause:2", "--dry-run"])
        .ok()
        .stdout;
    assert!(told.contains("4 receivers"), "{told}");

    postroom.configure(merging(&["*"]));
    let refused = postroom.run(&["causes"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        refused.stderr.contains("merge") && refused.stderr.contains("*greylist*"),
        "{}",
        refused.stderr
    );
}

#[test]
fn what_a_server_says_in_a_cause_cannot_steer_the_terminal() {
    let words = "\u{1b}[31mred\u{7} \u{202e}drow";
    let server =
        Server::start(Script::accept_all().on(Phase::Rcpt, Action::reply(550, "5.7.0", words)))
            .unwrap();
    let postroom = Postroom::to(&server);
    postroom.submit(&[message("a", "feedback", &["april@example.com"])]);
    assert_eq!(postroom.deliver().error, 1);
    for format in ["table", "tsv", "json"] {
        let out = postroom.run(&["causes", "--format", format]).ok().stdout;
        assert!(
            out.contains("red") && !out.contains(['\u{1b}', '\u{7}', '\u{202e}']),
            "{out:?}"
        );
    }
    assert!(
        causes(&postroom, "")[0]["text"]
            .as_str()
            .unwrap()
            .contains(words)
    );
}
