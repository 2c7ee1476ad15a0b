//! Cleaning up: what goes, what stays, and what is remembered of it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::fs;

use chrono::{DateTime, Days, NaiveTime, TimeDelta, Utc};
use rusqlite::Connection;
use serde_json::{Value, json};
use support::{Postroom, SOON, Setup, message, several};

/// The store, opened beside the program.
fn beside(postroom: &Postroom) -> Connection {
    Connection::open(postroom.store_path()).unwrap()
}

fn count(postroom: &Postroom, what: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM {what}");
    beside(postroom)
        .query_row(&sql, [], |row| row.get(0))
        .unwrap()
}

/// Makes everything look as if it had been handed over then.
fn created(postroom: &Postroom, at: DateTime<Utc>) {
    beside(postroom)
        .execute(
            "UPDATE receiver SET created_at = ?",
            [at.timestamp_millis()],
        )
        .unwrap();
}

fn days_ago(days: i64) -> DateTime<Utc> {
    Utc::now() - TimeDelta::days(days)
}

/// One receiver each in `sent` (1), `error` (2), `due` (3) and `held` (4).
fn one_of_each() -> Postroom {
    let postroom = Setup::new().file("disk").build();
    let messages: Vec<_> = ["sent", "error", "due", "held"]
        .into_iter()
        .map(|key| message(key, key, &[&format!("{key}@example.com")]))
        .collect();
    postroom.submit(&messages[..1]);
    postroom.deliver();
    postroom.submit(&messages[1..]);
    postroom.run(&["cancel", "--yes", "--id", "2"]).ok();
    postroom.run(&["hold", "--yes", "--id", "4"]).ok();
    postroom
}

fn keys(postroom: &Postroom) -> Vec<String> {
    let mut keys: Vec<String> = postroom
        .list_json("")
        .iter()
        .map(|row| row["message_key"].as_str().unwrap().to_owned())
        .collect();
    keys.sort_unstable();
    keys
}

fn ids(postroom: &Postroom, query: &str) -> Vec<i64> {
    let found = postroom.list_json(query);
    found
        .iter()
        .map(|row| row["id"].as_i64().unwrap())
        .collect()
}

#[test]
fn cleaning_up_spares_what_is_still_to_be_sent_or_held_unless_told_otherwise() {
    let postroom = one_of_each();
    created(&postroom, days_ago(40));
    let ran = postroom.run(&["delete-receivers", "30", "--yes"]).ok();
    assert!(
        ran.stdout.contains("deleted 2 receivers (1 Error, 1 Sent)")
            && ran
                .stdout
                .contains("2 left alone: still to be sent, or held"),
        "{ran:?}"
    );
    assert_eq!(keys(&postroom), ["due", "held"]);
    let ran = postroom
        .run(&["delete-receivers", "30", "--pending", "--yes"])
        .ok();
    assert!(ran.stdout.contains("2 receivers (2 Not sent)"), "{ran:?}");
    assert_eq!(count(&postroom, "receiver"), 0);
    assert_eq!(count(&postroom, "attempt"), 0);
    assert_eq!(count(&postroom, "counter WHERE n <> 0"), 0);
}

#[test]
fn days_begin_at_local_midnight() {
    let postroom = Setup::new().file("disk").build();
    postroom.submit(&several("m", 2));
    postroom.deliver();
    // No midnight of UTC is one here.
    let zone = "XYZ-11:30";
    let offset = TimeDelta::minutes(11 * 60 + 30);
    let midnight = (Utc::now() + offset)
        .date_naive()
        .checked_sub_days(Days::new(3))
        .unwrap()
        .and_time(NaiveTime::MIN)
        .and_utc()
        - offset;
    for (id, at) in [(1, midnight - TimeDelta::milliseconds(1)), (2, midnight)] {
        beside(&postroom)
            .execute(
                "UPDATE receiver SET created_at = ? WHERE id = ?",
                [at.timestamp_millis(), id],
            )
            .unwrap();
    }
    let output = postroom
        .command(&["delete-receivers", "3", "--yes"])
        .env("TZ", zone)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(keys(&postroom), ["m1"]);
}

#[test]
fn who_is_deleted_is_not_found_by_words_any_more_and_who_stays_is() {
    let postroom = Setup::new().file("disk").build();
    postroom.submit(&several("april", 3));
    let service = postroom.start(&["run"]);
    postroom.wait_until("the words are indexed", |postroom| {
        count(postroom, "search") == 3
    });
    service.terminate().ok();
    postroom.run(&["delete", "--id", "2,3", "--yes"]).ok();
    assert_eq!(count(&postroom, "search_stale"), 2);
    assert_eq!(ids(&postroom, "april"), [1]);
    serve_until(&postroom, "the index has only who is there", |postroom| {
        count(postroom, "search") == 1
    });
    assert_eq!(count(&postroom, "search_stale"), 0);
    postroom.submit(&several("andy", 1));
    assert_eq!(keys(&postroom), ["andy0", "april0"]);
    assert_eq!(ids(&postroom, "april"), [1]);
    assert_eq!(ids(&postroom, "andy"), [4], "no number is given twice");
}

#[test]
fn without_a_terminal_and_yes_nothing_is_deleted_and_a_dry_run_deletes_nothing() {
    let postroom = one_of_each();
    created(&postroom, days_ago(40));
    for command in [
        &["delete", "--all"][..],
        &["delete", "--id", "1"],
        &["delete", "status:sent"],
        &["delete", "key:nobody"],
    ] {
        let ran = postroom.run_with(command, "y\n").exit(2);
        assert!(ran.stderr.contains("--yes"), "{ran:?}");
    }
    for command in [
        &["delete", "--all"][..],
        &["delete", "key:nobody"],
        &["delete-receivers", "30"],
        &["delete-receivers", "30", "--pending"],
        &["delete-messages-without-receivers"],
    ] {
        let dry = postroom.run(&[command, &["--dry-run"]].concat()).ok();
        assert!(dry.stdout.contains("would delete"), "{dry:?}");
    }
    postroom.run(&["delete", "--yes"]).exit(2);
    postroom.run(&["delete-receivers", "-1", "--yes"]).exit(2);
    assert_eq!(keys(&postroom), ["due", "error", "held", "sent"]);
    assert_eq!(count(&postroom, "audit WHERE action LIKE 'delete%'"), 0);
}

#[test]
fn cleaning_up_asks_at_a_terminal_and_needs_no_yes_from_cron() {
    let postroom = one_of_each();
    created(&postroom, days_ago(40));
    let (code, seen) = postroom.answering(&["delete-receivers", "30"], "n", || {});
    assert!(
        code == Some(1) && seen.contains("Delete 2 receivers for good? [y/N]"),
        "{seen}"
    );
    assert_eq!(keys(&postroom), ["due", "error", "held", "sent"]);
    postroom.run(&["delete-receivers", "30"]).ok();
    assert_eq!(keys(&postroom), ["due", "held"]);
    let clean_up = ["delete-messages-without-receivers"];
    let (code, seen) = postroom.answering(&clean_up, "n", || {});
    assert!(
        code == Some(1) && seen.contains("Delete 2 messages, 2 contents for good? [y/N]"),
        "{seen}"
    );
    assert_eq!(count(&postroom, "message"), 4);
    postroom.run(&clean_up).ok();
    assert_eq!(count(&postroom, "message"), 2);
    postroom.run(&clean_up).ok();
}

#[test]
fn a_delete_says_first_by_status_what_goes_and_what_will_never_be_sent() {
    let postroom = one_of_each();
    let dry = postroom.run(&["delete", "--all", "--dry-run"]).ok();
    assert!(
        dry.stdout
            .contains("would delete 4 receivers (2 Not sent, 1 Error, 1 Sent)")
            && dry.stdout.contains("2 of them are Not sent or Failed"),
        "{dry:?}"
    );
    let ran = postroom.run(&["delete", "--id", "3,77", "--yes"]).ok();
    assert!(
        ran.stdout
            .contains("deleted 1 receiver (1 Not sent); 77 does not exist"),
        "{ran:?}"
    );
    assert_eq!(postroom.deliver().sent, 0);
    postroom.run(&["show", "3"]).exit(1);
}

#[test]
fn what_is_done_is_done_to_those_who_were_counted_and_to_no_others() {
    let postroom = Setup::new().file("disk").build();
    postroom.submit(&several("m", 3));
    postroom.run(&["cancel", "--yes", "--id", "3"]).ok();
    let (code, seen) = postroom.answering(&["delete", "--all"], "y", || {
        // Receiver 1 is sent, 2 is deleted, and somebody is handed over.
        postroom.run(&["delete", "--yes", "--id", "2"]).ok();
        assert_eq!(postroom.deliver().sent, 1);
        postroom.submit(&[message("new", "feedback", &["new@example.com"])]);
    });
    assert_eq!(code, Some(0));
    assert!(seen.contains("3 receivers (2 Not sent, 1 Error)"), "{seen}");
    assert_eq!(keys(&postroom), ["m0", "new"]);

    let (code, seen) = postroom.answering(&["resend", "-y", "--all"], "", || ());
    assert_eq!((code, seen.contains("[y/N]")), (Some(0), false), "{seen}");
    let (code, _) = postroom.answering(&["resend", "--all"], "y", || {
        assert_eq!(postroom.deliver().sent, 2);
    });
    assert_eq!(code, Some(0));
    assert_eq!(
        postroom.deliver().sent,
        0,
        "sent since: not without being asked"
    );
}

#[test]
fn a_receiver_that_was_taken_up_and_is_deleted_is_not_sent_and_one_being_sent_stays() {
    let (server, postroom) = support::held_at_the_dot();
    postroom.submit(&several("m", 50));
    let delivering = postroom.start(&["deliver", "--format", "json"]);
    assert!(server.wait_for(|ledger| ledger.withheld == 1, SOON));
    let ran = postroom.run(&["delete", "--all", "--yes"]).ok();
    assert!(
        ran.stdout.contains("49 receivers (49 Not sent)")
            && ran.stdout.contains("1 left alone: being sent"),
        "{ran:?}"
    );
    let ran = postroom
        .run(&["delete-messages-without-receivers", "--yes"])
        .ok();
    assert!(ran.stdout.contains("49 messages, 49 contents"), "{ran:?}");
    server.release();
    let summary = &delivering.wait().ok().json_lines()[0];
    assert_eq!(
        (&summary["sent"], &summary["error"]),
        (&json!(1), &json!(0))
    );
    server.with_ledger(|ledger| assert_eq!(ledger.entries.len(), 1));
    assert_eq!(postroom.state_of(""), "sent/accepted");
}

#[test]
fn a_message_goes_with_its_words_when_it_has_no_receiver_and_its_key_is_known_still() {
    let postroom = Setup::new().file("disk").build();
    let mut shared = message("two", "feedback", &["a@example.com", "b@example.com"]);
    shared["content"] = json!({
        "en": {"subject": "Hello", "text": "Hello"},
        "nb": {"subject": "Hei", "text": "Hei"},
    });
    let mut same_words = message("other", "feedback", &["c@example.com"]);
    same_words["content"] = json!({"en": {"subject": "Hello", "text": "Hello"}});
    let messages = [shared, same_words];
    postroom.submit(&messages);
    assert_eq!(count(&postroom, "content"), 1, "nobody reads nb");
    postroom.deliver();

    let clean = || {
        postroom
            .run(&["delete-messages-without-receivers", "--yes"])
            .ok()
            .stdout
    };
    postroom.run(&["delete", "--id", "1", "--yes"]).ok();
    assert!(clean().contains("deleted 0 messages, 0 contents"));
    postroom.run(&["delete", "--id", "2", "--yes"]).ok();
    assert!(clean().contains("deleted 1 message, 0 contents"));
    postroom.run(&["delete", "--id", "3", "--yes"]).ok();
    assert_eq!(postroom.submit(&messages[1..])[0]["result"], "already");
    assert!(clean().contains("deleted 1 message, 1 content"));

    for (index, receipt) in postroom.submit(&messages).into_iter().enumerate() {
        assert_eq!(receipt["result"], "already", "{receipt}");
        assert_eq!(receipt["message_id"], json!(index + 1), "{receipt}");
    }
    let mut another = messages[1].clone();
    another["content"]["en"]["text"] = json!("Something else");
    let ran = postroom.run_with(&["submit"], another.to_string()).exit(1);
    assert_eq!(ran.json_lines()[0]["result"], "error", "{ran:?}");
    assert_eq!(count(&postroom, "message"), 0);
    assert_eq!(postroom.deliver().sent, 0);
}

#[test]
fn a_key_is_forgotten_when_its_message_was_deleted_ninety_days_ago() {
    let postroom = Setup::new().file("disk").build();
    let messages = several("m", 2);
    postroom.submit(&messages);
    postroom.run(&["delete", "--all", "--yes"]).ok();
    let clean = || {
        postroom
            .run(&["delete-messages-without-receivers", "--yes"])
            .ok()
    };
    clean();
    let spent = |key: &str, days: i64| {
        beside(&postroom)
            .execute(
                "UPDATE spent_key SET spent_at = ? WHERE key = ?",
                rusqlite::params![days_ago(days).timestamp_millis(), key],
            )
            .unwrap();
    };
    spent("m0", 91);
    spent("m1", 89);
    clean();
    let results: Vec<Value> = postroom
        .submit(&messages)
        .iter()
        .map(|receipt| receipt["result"].clone())
        .collect();
    assert_eq!(results, ["stored", "already"]);
}

/// Runs the service until this is so, and ends it.
fn serve_until(postroom: &Postroom, what: &str, is_so: impl Fn(&Postroom) -> bool) {
    let service = postroom.start(&["run"]);
    postroom.wait_until(what, is_so);
    service.terminate().ok();
}

#[test]
fn run_keeps_the_retention_and_touches_nothing_else() {
    let postroom = one_of_each();
    let later = message("later", "feedback", &["later@example.com"]);
    postroom.run(&["hold", "--yes", "--all"]).ok();
    let age = |sql: &str, days: i64| {
        beside(&postroom)
            .execute(sql, [days_ago(days).timestamp_millis()])
            .unwrap();
    };
    created(&postroom, days_ago(900));
    age("UPDATE receiver SET sent_at = ? WHERE id = 1", 89);
    age("UPDATE receiver SET error_at = ? WHERE id = 2", 364);
    // Sent long ago, and held since it is to be sent again.
    age("UPDATE receiver SET sent_at = ? WHERE id = 4", 800);
    let kept = |sent: &str, error: &str| {
        Setup::new()
            .file("disk")
            .set("retention.sent", sent)
            .set("retention.error", error)
    };
    postroom.configure(kept("90d", "365d"));
    postroom.submit(std::slice::from_ref(&later));
    serve_until(&postroom, "the service has looked", |postroom| {
        postroom.state_of("key:later") == "sent/accepted"
    });
    assert_eq!(keys(&postroom), ["due", "error", "held", "later", "sent"]);

    postroom.configure(kept("88d", "363d"));
    serve_until(&postroom, "both are gone", |postroom| {
        keys(postroom) == ["due", "held", "later"]
    });
    assert_eq!(count(&postroom, "message"), 3, "messages go with them");
    assert_eq!(count(&postroom, "content"), 3, "and so do contents");
    let again = message("sent", "sent", &["sent@example.com"]);
    assert_eq!(postroom.submit(&[again])[0]["result"], "already");
    let audit = postroom
        .run(&["audit", "--format", "json", "--limit", "1"])
        .ok()
        .json_lines();
    assert_eq!(
        (&audit[0]["who"], &audit[0]["action"], &audit[0]["count"]),
        (&json!("postroom"), &json!("retention"), &json!(2))
    );
}

#[test]
fn an_error_is_kept_from_when_it_became_one() {
    let postroom = one_of_each();
    created(&postroom, days_ago(900));
    postroom.configure(Setup::new().file("disk").set("retention.error", "1d"));
    postroom.run(&["cancel", "--yes", "--id", "3"]).ok();
    postroom.submit(&[message("later", "feedback", &["later@example.com"])]);
    serve_until(&postroom, "the service has looked", |postroom| {
        postroom.state_of("key:later") == "sent/accepted"
    });
    assert_eq!(keys(&postroom), ["due", "error", "held", "later", "sent"]);
}

/// Messages whose words no compression makes small.
fn large(n: usize) -> Vec<Value> {
    let mut seed = 1_u64;
    let mut noise = |length: usize| -> String {
        let letters = (0..length).map(|_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            char::from(b' ' + (seed >> 33) as u8 % 90)
        });
        letters.collect()
    };
    (0..n)
        .map(|n| {
            let mut large = message(&format!("l{n}"), "large", &["a@example.com"]);
            large["content"]["en"]["text"] = json!(noise(60_000));
            large
        })
        .collect()
}

fn size(postroom: &Postroom) -> u64 {
    fs::metadata(postroom.store_path()).unwrap().len()
}

#[test]
fn the_file_becomes_smaller_when_much_was_deleted() {
    let postroom = Setup::new().file("disk").build();
    postroom.submit(&large(100));
    let before = size(&postroom);
    assert!(before > 4_000_000, "{before}");
    postroom.run(&["delete", "--all", "--yes"]).ok();
    postroom
        .run(&["delete-messages-without-receivers", "--yes"])
        .ok();
    let after = size(&postroom);
    assert!(after < before / 10, "{before} -> {after}");
    let sound: String = beside(&postroom)
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(sound, "ok");
}

#[test]
fn the_service_makes_the_file_smaller_while_it_runs() {
    let postroom = Setup::new().file("disk").build();
    postroom.submit(&large(250));
    postroom.deliver();
    let before = size(&postroom);
    postroom.configure(Setup::new().file("disk").set("retention.sent", "0s"));
    serve_until(&postroom, "the file is small", |postroom| {
        postroom.run(&["status"]);
        size(postroom) < before / 10
    });
}
