//! Moving in: what Devilry left is here with its history, once, and nothing of it goes out by itself.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod dump;
#[path = "../support/mod.rs"]
mod support;

use std::{fs, io::Write as _, process::Command};

use dump::{Dump, people, receiver};
use flate2::{Compression, write::GzEncoder};
use postroom::demo::server::{Action, Script, Server};
use serde_json::{Value, json};
use support::{Postroom, Ran, Setup};

/// Written by hand, as Django writes it.
const SMALL: &str = include_str!("devilry.json");

fn postroom() -> Postroom {
    Setup::new().file("email").build()
}

fn import(postroom: &Postroom, dump: &str) -> Ran {
    postroom.run_with(&["import", "devilry", "-"], dump)
}

/// What a list tells of everybody, but for what is made anew each time.
fn everybody(postroom: &Postroom) -> Vec<Value> {
    let mut all = postroom.list_json("");
    for receiver in &mut all {
        let receiver = receiver.as_object_mut().unwrap();
        receiver.remove("id");
        receiver.remove("message_id");
    }
    all.sort_by_key(ToString::to_string);
    all
}

#[test]
fn what_devilry_knew_of_a_receiver_is_here_field_by_field() {
    let postroom = postroom();
    let ran = import(&postroom, SMALL).ok();
    assert!(
        ran.stdout.starts_with("import: took 5 receivers (1 Not sent, 2 Failed, 1 Error, 1 Sent); 1 of its messages had no receivers\n3 receivers held:"),
        "{}",
        ran.stdout
    );
    let april = postroom.show_only("user:april");
    for (field, value) in [
        ("message_key", json!("devilry-message-17")),
        ("type", json!("comment_delivery")),
        ("created_at", json!("2019-01-10T15:39:01.500Z")),
        ("created_by", json!("dewey")),
        ("subject", json!("En administrator la til en kommentar")),
        ("identity", json!("april@example.com")),
        ("backend", json!("email")),
        ("language", json!("nb")),
        ("status", json!("sent")),
        ("reason", json!("accepted")),
        ("failed_count", json!(1)),
        ("sent_count", json!(1)),
        ("sent_at", json!("2019-01-10T16:00:00.000Z")),
        ("receiver_metadata", json!({"group": 3})),
        (
            "message_metadata",
            json!({
                "assignment": 25,
                "devilry": {"pk": 17, "status": "sent", "virtual_message_receivers": {"user_ids": [7, 8, 9]}},
            }),
        ),
        (
            "content",
            json!({"subject": "En administrator la til en kommentar", "text": "Hei April", "html": "<p>Hei April</p>"}),
        ),
    ] {
        assert_eq!(april[field], value, "{field}");
    }
    let [failed, sent] = april["attempts"].as_array().unwrap().as_slice() else {
        panic!("the error, and that it was sent: {april}")
    };
    assert_eq!(failed["outcome"], "temporary");
    assert_eq!(failed["started_at"], "2019-01-10T15:39:02.250Z");
    assert_eq!(failed["error"], "[Errno 111] Connection refused");
    assert!(
        failed["traceback"]
            .as_str()
            .unwrap()
            .contains("line 399, in sync_send")
    );
    assert_eq!(failed["by"], "devilry");
    assert_eq!(
        (&sent["outcome"], &sent["ended_at"]),
        (&json!("accepted"), &json!("2019-01-10T16:00:00.000Z"))
    );

    // Not for notifications, but the only one.
    let ben = postroom.show_only("to:ben@example.com");
    assert_eq!(
        (&ben["status"], &ben["reason"], &ben["failed_count"]),
        (&json!("error"), &json!("exhausted"), &json!(3))
    );
    let tracebacks: Vec<_> = ben["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|attempt| {
            assert_eq!(
                (&attempt["code"], &attempt["enhanced_code"]),
                (&json!(550), &json!("5.1.1"))
            );
            attempt["traceback"]
                .as_str()
                .unwrap()
                .rsplit(' ')
                .next()
                .unwrap()
                .trim()
        })
        .collect();
    assert_eq!(tracebacks, ["first", "second", "third"]);
    // Every address that is for notifications.
    assert_eq!(postroom.count("user:carol status:failed is:held"), 2);
    assert_eq!(postroom.only("user:dora")["identity"], "dora@example.com");
    assert_eq!(postroom.count("code:5.1.1"), 1);
    assert_eq!(postroom.count("no such message"), 0);
    assert_eq!(postroom.count("administrator"), 1);
    let audit = postroom
        .run(&["audit", "--format", "json"])
        .ok()
        .json_lines();
    assert_eq!(
        (&audit[0]["action"], &audit[0]["count"]),
        (&json!("import"), &json!(5))
    );
    postroom.run(&["check"]).ok();
}

#[test]
fn importing_twice_adds_nothing_whatever_became_of_it_meanwhile() {
    let postroom = postroom();
    import(&postroom, SMALL).ok();
    let again = import(&postroom, SMALL).ok();
    assert_eq!(
        again.stdout,
        "import: took 0 receivers; 4 of its rows were taken before\n"
    );
    postroom.run(&["release", "--yes", "is:held"]).ok();
    assert_eq!(postroom.deliver().sent, 3);
    postroom.run(&["resend", "--yes", "user:april"]).ok();
    postroom.run(&["delete", "--yes", "user:ben"]).ok();
    import(&postroom, SMALL).ok();
    assert_eq!(postroom.count(""), 4);
    postroom.run(&["delete", "--yes", "--all"]).ok();
    postroom
        .run(&["delete-messages-without-receivers", "--yes"])
        .ok();
    import(&postroom, SMALL).ok();
    assert_eq!(postroom.count(""), 0);
}

#[test]
fn what_was_not_sent_or_failed_is_held_until_it_is_released_and_keeps_its_limit() {
    let server = Server::start(Script::accept_all().rcpt(
        "carol@example.com",
        Action::reply(451, "4.7.1", "greylisted"),
    ))
    .unwrap();
    let postroom = Postroom::to(&server);
    import(&postroom, SMALL).ok();
    assert_eq!(postroom.deliver().sent, 0);
    postroom.run(&["release", "--yes", "is:held"]).ok();
    assert_eq!(postroom.deliver().sent, 2);
    // One failure there and one here are within the limit of two; the third is not.
    assert_eq!(
        postroom.state_of("to:carol@example.com"),
        "failed/temporary"
    );
    postroom.run(&["resend-failed"]).ok();
    postroom.deliver();
    assert_eq!(postroom.state_of("to:carol@example.com"), "error/exhausted");
    assert_eq!(
        postroom.show_only("to:carol@example.com")["attempts"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
}

#[test]
fn another_limit_and_another_backend_are_taken_and_what_is_not_configured_is_not() {
    let server = Server::start(Script::accept_all().rcpt(
        "carol@example.com",
        Action::reply(451, "4.7.1", "greylisted"),
    ))
    .unwrap();
    let postroom = Setup::new().smtp("one", &server).file("two").build();
    let ran = import(&postroom, SMALL).exit(1);
    assert!(ran.stderr.contains("--backend"), "{}", ran.stderr);
    let run = |arguments: &[&str]| {
        postroom.run_with(&[&["import", "devilry", "-"], arguments].concat(), SMALL)
    };
    let ran = run(&["--backend", "twoo"]).exit(2);
    assert!(ran.stderr.contains("did you mean `two`"), "{}", ran.stderr);
    run(&["--backend", "one", "--resend-limit", "1"]).ok();
    assert_eq!(postroom.count("backend:one"), 5);
    postroom.run(&["release", "--yes", "is:held"]).ok();
    postroom.deliver();
    assert_eq!(postroom.state_of("to:carol@example.com"), "error/exhausted");
}

#[test]
fn a_dry_run_says_the_same_and_writes_nothing() {
    let postroom = postroom();
    let ran = postroom
        .run_with(&["import", "devilry", "-", "--dry-run"], SMALL)
        .ok();
    assert_eq!(
        ran.stdout,
        "import: would take 5 receivers (1 Not sent, 2 Failed, 1 Error, 1 Sent); 1 of its messages had no receivers\n"
    );
    assert_eq!(postroom.count(""), 0);
    import(&postroom, SMALL).ok();
    let ran = postroom
        .run_with(&["import", "devilry", "-", "--dry-run"], SMALL)
        .ok();
    assert_eq!(
        ran.stdout,
        "import: would take 0 receivers; 4 of its rows were taken before\n"
    );
}

#[test]
fn the_same_dump_in_any_form_and_order_is_the_same() {
    let dump = Dump::of(300);
    let first = postroom();
    import(&first, &dump.array()).ok();
    let wanted = everybody(&first);
    assert_eq!(wanted.len(), 300);
    first.run(&["check"]).ok();

    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(dump.lines().as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let rows: Vec<Value> = serde_json::from_str(&dump.array()).unwrap();
    for (name, bytes) in [
        ("lines", dump.lines().into_bytes()),
        ("indented", serde_json::to_vec_pretty(&rows).unwrap()),
        ("receivers first", dump.backwards().array().into_bytes()),
        ("natural keys", dump.naturally().array().into_bytes()),
        ("gzip", gzip),
    ] {
        for piped in [false, true] {
            let other = postroom();
            if piped {
                other.run_with(&["import", "devilry", "-"], &bytes).ok();
            } else {
                fs::write(other.folder().join("dump"), &bytes).unwrap();
                other.run(&["import", "devilry", "dump"]).ok();
            }
            assert_eq!(everybody(&other), wanted, "{name}, piped: {piped}");
        }
    }
}

#[test]
fn a_row_that_cannot_be_taken_is_told_and_taken_once_it_is_mended() {
    let whole = Dump::of(20);
    let mut dump = Dump::of(20);
    let of = |dump: &mut Dump, pk: i64, field: &str, value: Value| {
        let row = dump
            .rows
            .iter_mut()
            .find(|row| row["pk"] == pk && row["model"] == receiver::MODEL);
        row.unwrap()["fields"][field] = value;
    };
    of(&mut dump, 1001, "status", json!("snt"));
    of(&mut dump, 1002, "message", json!(99_999));
    of(&mut dump, 1003, "sending_failed_count", json!(-1));
    of(&mut dump, 1004, "created_datetime", json!("yesterday"));
    of(
        &mut dump,
        1005,
        "status_data",
        json!({"errors": [{"error_message": "no time"}]}),
    );
    of(&mut dump, 1006, "send_to", json!("nobody"));
    of(&mut dump, 1007, "message_type", json!("sms"));
    dump.rows
        .retain(|row| row["model"] != people::EMAIL || row["fields"]["user"] != 8);
    dump.rows
        .push(json!({"model": receiver::MODEL, "fields": {}}));
    dump.rows.push(json!({"pk": 1}));
    let postroom = postroom();
    let ran = import(&postroom, &dump.array()).exit(1);
    for wanted in [
        "devilry_message.messagereceiver 1001: status is `snt`; it is not_sent, failed, error or sent",
        "devilry_message.messagereceiver 1002: its message 99999 is not in the dump",
        "devilry_message.messagereceiver 1003: sending_failed_count is -1",
        "devilry_message.messagereceiver 1004: created_datetime is \"yesterday\"",
        "devilry_message.messagereceiver 1005: status_data.errors[0].timestamp is null",
        "devilry_message.messagereceiver 1006: `nobody` is no address",
        "devilry_message.messagereceiver 1007: message_type is `sms`",
        "devilry_message.messagereceiver 1008: has no address: send_to is empty, and the dump has no email of user user8",
        "has no pk that is a number",
        ": has no `model`",
    ] {
        assert!(ran.stderr.contains(wanted), "{wanted}\n{}", ran.stderr);
    }
    assert!(
        ran.stdout.contains("took 12 receivers")
            && ran.stdout.contains("10 of its rows cannot be taken"),
        "{}",
        ran.stdout
    );
    assert_eq!(postroom.count(""), 12);
    import(&postroom, &whole.array()).ok();
    assert_eq!(postroom.count(""), 20);
    postroom.run(&["check"]).ok();
}

#[test]
fn what_is_no_whole_dump_of_devilry_is_refused_before_anything_is_taken() {
    let postroom = postroom();
    let whole = Dump::of(20).array();
    for (dump, wanted) in [
        ("", "no dump of Django's"),
        ("Loading settings\n[]", "no dump of Django's"),
        ("[]", "dumpdata devilry_account devilry_message"),
        (&whole[..whole.len() / 2], "ends in the middle"),
        (&whole[..whole.len() - 1], "ends in the middle"),
    ] {
        let ran = import(&postroom, dump).exit(1);
        assert!(ran.stderr.contains(wanted), "{}", ran.stderr);
    }
    assert_eq!(postroom.count(""), 0);
    let ran = postroom.run(&["import", "devilry", "nowhere.json"]).exit(1);
    assert!(ran.stderr.contains("nowhere.json"), "{}", ran.stderr);
    let ran = postroom.run(&["import", "devilry", "."]).exit(1);
    assert!(ran.stderr.contains("is a folder"), "{}", ran.stderr);
}

#[test]
fn another_devilrys_message_of_the_same_number_is_not_taken_for_it() {
    let postroom = postroom();
    import(&postroom, SMALL).ok();
    let other = SMALL.replace("2019-01-10T15:39:00.120Z", "2020-01-10T15:39:00.120Z");
    let ran = import(&postroom, &other).exit(1);
    assert!(
        ran.stderr
            .contains("devilry-message-17: message 1 has this key and is another"),
        "{}",
        ran.stderr
    );
    assert_eq!(postroom.count(""), 5);
}

#[test]
fn a_dump_larger_than_the_memory_there_is_is_taken() {
    const MIB: usize = 160;
    let postroom = postroom();
    let mut dump = Dump::of(1_200);
    dump.grow(150_000);
    let file = postroom.folder().join("dump.json");
    fs::write(&file, dump.array()).unwrap();
    assert!(fs::metadata(&file).unwrap().len() > (MIB as u64) << 20);
    let ran = Command::new("sh")
        .args([
            "-c",
            &format!("ulimit -v {}; exec \"$0\" \"$@\"", MIB << 10),
        ])
        .arg(env!("CARGO_BIN_EXE_postroom"))
        .args(["import", "devilry", "dump.json"])
        .current_dir(postroom.folder())
        .env("POSTROOM_CONFIG", postroom.config_path())
        .env("POSTROOM_STORE", postroom.store_path())
        // glibc reserves addresses for each thread, which is no memory yet.
        .env("MALLOC_ARENA_MAX", "1")
        .output()
        .unwrap();
    assert!(ran.status.success(), "{ran:?}");
    assert_eq!(postroom.count("status:not_sent,failed,error,sent"), 1_200);
}
