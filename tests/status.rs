//! `status` for people and for monitoring: what is well, a warning, critical.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use postroom::demo::server::{Action, Phase, Script, Server};
use serde_json::{Value, json};
use support::{Postroom, SOON, Setup, message, several};

/// The exit code, and the first line.
fn status(postroom: &Postroom) -> (i32, String) {
    let ran = postroom.run(&["status"]);
    let first = ran.stdout.lines().next().unwrap_or_default().to_owned();
    (ran.status.code().unwrap(), first)
}

fn json_of(postroom: &Postroom) -> Value {
    postroom
        .run(&["status", "--format", "json"])
        .json_lines()
        .remove(0)
}

fn sql(postroom: &Postroom, sql: &str) {
    let conn = rusqlite::Connection::open(postroom.store_path()).unwrap();
    conn.execute_batch(sql).unwrap();
}

/// So many hours ago, as the store keeps times.
fn hours_ago(hours: i64) -> i64 {
    (chrono::Utc::now() - chrono::TimeDelta::hours(hours)).timestamp_millis()
}

#[test]
fn a_backend_that_is_down_warns_and_is_critical_when_that_lasts() {
    let mut server = Server::start(Script::accept_all()).unwrap();
    let setup = Setup::new().smtp("email", &server);
    let postroom = setup.clone().build();
    server.stop();
    postroom.submit(&[message("a", "t", &["april@example.com"])]);
    postroom.deliver();
    let (code, first) = status(&postroom);
    assert_eq!(code, 1, "{first}");
    assert!(
        first.starts_with("warning: backend email is down since "),
        "{first}"
    );
    sql(
        &postroom,
        &format!("UPDATE backend SET down_since = {}", hours_ago(1)),
    );
    let (code, first) = status(&postroom);
    assert_eq!(code, 2, "{first}");
    assert!(
        first.starts_with("critical: backend email is down since ") && first.contains("1 waiting"),
        "{first}"
    );
    postroom.configure(setup.clone().set("status.backend_down", "3h"));
    assert_eq!(status(&postroom).0, 1);
    postroom.configure(setup.set("status.backend_down", "soon"));
    let ran = postroom.run(&["status"]).exit(3);
    assert!(
        ran.stderr.contains("backend_down") && ran.stderr.contains("no duration"),
        "{ran:?}"
    );
}

#[test]
fn a_receiver_that_is_due_for_long_is_critical_whatever_its_priority() {
    let setup = Setup::new().file("email");
    let postroom = setup.clone().build();
    let mut urgent = message("urgent", "t", &["ron@example.com"]);
    urgent["priority"] = json!(9);
    postroom.submit(&[message("a", "t", &["april@example.com"]), urgent]);
    let (code, first) = status(&postroom);
    assert_eq!((code, first.as_str()), (0, "ok: 2 receivers"));
    let late = format!(
        "UPDATE receiver SET due_at = {} WHERE priority = 0",
        hours_ago(2)
    );
    sql(&postroom, &late);
    let (code, first) = status(&postroom);
    assert_eq!(code, 2, "{first}");
    assert!(
        first.starts_with("critical: a receiver has been due since "),
        "{first}"
    );
    let late = json_of(&postroom)["late_seconds"].as_i64().unwrap();
    assert!((7_200..9_000).contains(&late), "{late}");
    postroom.configure(setup.clone().set("status.overdue", "3h"));
    assert_eq!(status(&postroom).0, 1, "from a sixth of it on");
    postroom.configure(setup.set("status.overdue", "1d"));
    assert_eq!(status(&postroom).0, 0);
    postroom.run(&["backend", "email", "pause"]).ok();
    let (code, first) = status(&postroom);
    assert_eq!(code, 1);
    assert!(
        first.contains("paused since") && first.contains("2 waiting"),
        "{first}"
    );
    assert!(
        first.ends_with("; `postroom backend email resume` ends it"),
        "{first}"
    );
}

#[test]
fn who_waits_for_a_backend_that_is_gone_from_the_config_is_told_with_both_ways_out() {
    let postroom = Setup::new().file("old").build();
    postroom.submit(&several("m", 2));
    postroom.configure(Setup::new().file("new"));
    let (code, first) = status(&postroom);
    assert_eq!(code, 1, "{first}");
    assert_eq!(
        first,
        "warning: backend old is not in the config, and 2 receivers wait for it: add [backends.old] there, or `postroom cancel backend:old`"
    );
    postroom.run(&["cancel", "backend:old", "--yes"]).ok();
    let (_, first) = status(&postroom);
    assert!(!first.contains("not in the config"), "{first}");
}

#[test]
fn new_errors_warn_by_the_time_they_became_errors_and_not_for_ever() {
    let server = Server::start(
        Script::accept_all().rcpt("andy@example.com", Action::reply(550, "5.1.1", "never")),
    )
    .unwrap();
    let postroom = Postroom::to(&server);
    postroom.submit(&[
        message("a", "t", &["andy@example.com"]),
        message("b", "t", &["ron@example.com"]),
    ]);
    postroom.run(&["hold", "user:ron", "--yes"]).ok();
    postroom.deliver();
    // Handed over long ago, an Error only now.
    sql(
        &postroom,
        &format!("UPDATE receiver SET created_at = {}", hours_ago(100)),
    );
    let (code, first) = status(&postroom);
    assert_eq!(code, 1, "{first}");
    assert!(
        first.starts_with("warning: 1 receiver became Error since "),
        "{first}"
    );
    assert_eq!(json_of(&postroom)["new_errors"], 1);
    sql(
        &postroom,
        &format!(
            "UPDATE receiver SET error_at = {} WHERE error_at IS NOT NULL",
            hours_ago(25)
        ),
    );
    assert_eq!(status(&postroom).0, 0);
    let seen = json_of(&postroom);
    assert_eq!(
        (&seen["error"], &seen["new_errors"]),
        (&json!(1), &json!(0))
    );
    postroom.run(&["cancel", "user:ron", "--yes"]).ok();
    assert_eq!(status(&postroom).0, 0, "somebody wished for that");
}

#[test]
fn an_engine_that_died_and_holds_receivers_is_never_well() {
    let server = Server::start(Script::accept_all().on(Phase::Dot, Action::stall())).unwrap();
    let postroom = Setup::new()
        .smtp("email", &server)
        .set("backends.email.connections", 1)
        .set("backends.email.on_unknown", "hold")
        .build();
    postroom.submit(&several("m", 3));
    let delivering = postroom.start(&["deliver"]);
    assert!(server.wait_for(|ledger| ledger.met(Phase::Dot) == 1, SOON));
    assert_eq!(status(&postroom).0, 0, "it lives");
    delivering.kill();
    let (code, first) = status(&postroom);
    assert_eq!(code, 1, "{first}");
    assert!(
        first.contains("the engine `deliver`") && first.contains("died and holds 3 receivers"),
        "{first}"
    );
    sql(
        &postroom,
        &format!("UPDATE engine SET heartbeat_at = {}", hours_ago(2)),
    );
    assert_eq!(status(&postroom).0, 2, "nobody came to settle them");
}

#[test]
fn the_first_line_has_the_worst_and_the_json_has_these_keys() {
    let server = Server::start(
        Script::accept_all().rcpt("andy@example.com", Action::reply(550, "5.1.1", "never")),
    )
    .unwrap();
    let postroom = Postroom::to(&server);
    postroom.submit(&[message("a", "t", &["andy@example.com"])]);
    postroom.deliver();
    postroom.submit(&[message("b", "t", &["april@example.com"])]);
    sql(
        &postroom,
        &format!(
            "UPDATE receiver SET due_at = {} WHERE due_at IS NOT NULL",
            hours_ago(2)
        ),
    );
    let ran = postroom.run(&["status"]).exit(2);
    let mut lines = ran.stdout.lines();
    let first = lines.next().unwrap();
    assert!(
        first.starts_with("critical: a receiver has been due") && first.ends_with("; and 1 more"),
        "{ran:?}"
    );
    assert!(
        lines
            .next()
            .unwrap()
            .starts_with("  warning: 1 receiver became Error"),
        "{ran:?}"
    );
    let seen = json_of(&postroom);
    let keys: Vec<_> = seen.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "status",
            "problems",
            "total",
            "not_sent",
            "failed",
            "error",
            "sent",
            "oldest_due",
            "late_seconds",
            "new_errors",
            "new_errors_exact",
            "sent_per_minute",
            "hours",
            "backends",
            "engines"
        ]
    );
    assert_eq!(seen["problems"][0]["level"], "critical");
}

#[test]
fn who_reads_the_first_line_alone_gets_it_and_the_level_too() {
    let postroom = Setup::new().file("email").build();
    postroom.run(&["backend", "email", "pause"]).ok();
    let script = "for i in 1 2 3 4 5; do { \"$0\" status; echo $? >&2; } | head -n 1; done";
    let mut command = std::process::Command::new("sh");
    command
        .args(["-c", script])
        .arg(env!("CARGO_BIN_EXE_postroom"))
        .env("POSTROOM_CONFIG", postroom.config_path())
        .env("POSTROOM_STORE", postroom.store_path());
    let ran = command.output().unwrap();
    assert_eq!(String::from_utf8(ran.stdout).unwrap().lines().count(), 5);
    assert_eq!(String::from_utf8(ran.stderr).unwrap(), "1\n".repeat(5));
}
