//! `check` finds what should never be, says the way out, and changes nothing.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt as _};

use chrono::{Datelike as _, TimeDelta, Utc};
use postroom::demo::server::{Action, Phase, Script, Server};
use serde_json::{Value, json};
use support::{
    Certificate, Disk, Postroom, SOON, Setup, message, page_size, several, with_own_mounts,
};

/// Every point with what it came to.
fn check(postroom: &Postroom, code: i32) -> BTreeMap<String, (Value, String)> {
    let ran = postroom.run(&["check", "--format", "json"]).exit(code);
    let points = ran.json_lines().into_iter().map(|point| {
        let text = |key: &str| point[key].as_str().unwrap().to_owned();
        (text("check"), (point["ok"].clone(), text("message")))
    });
    points.collect()
}

/// The only points that are wrong, and that one says this.
fn only_wrong(postroom: &Postroom, check_name: &str, words: &[&str]) {
    let points = check(postroom, 1);
    let wrong: Vec<_> = points
        .iter()
        .filter(|(_, (ok, _))| *ok == json!(false))
        .collect();
    assert_eq!(wrong.len(), 1, "{points:#?}");
    let (name, (_, message)) = wrong[0];
    assert_eq!(name, check_name, "{points:#?}");
    for word in words {
        assert!(message.contains(word), "{word}: {message}");
    }
}

fn with_rows() -> Postroom {
    let postroom = Setup::new().file("email").build();
    postroom.submit(&several("m", 5));
    postroom.deliver();
    postroom
}

fn sql(postroom: &Postroom, sql: &str) {
    let conn = rusqlite::Connection::open(postroom.store_path()).unwrap();
    conn.execute_batch(sql).unwrap();
}

#[test]
fn a_store_that_is_well_has_a_line_for_each_point_and_exit_code_0() {
    let postroom = with_rows();
    let points = check(&postroom, 0);
    let names = [
        "config",
        "contents",
        "counters",
        "disk",
        "foreign_keys",
        "integrity",
        "leftovers",
        "listener",
        "schema",
        "secrets",
        "store",
        "text_index",
    ];
    assert_eq!(points.keys().collect::<Vec<_>>(), names);
    assert!(
        points.values().all(|(ok, _)| *ok == json!(true)),
        "{points:#?}"
    );
    let ran = postroom.run(&["check"]).ok();
    assert_eq!(ran.stdout.lines().count(), names.len());
    assert!(
        ran.stdout.lines().all(|line| line.starts_with("ok ")),
        "{ran:?}"
    );
}

#[test]
fn counts_that_are_not_those_of_the_rows_are_found() {
    let postroom = with_rows();
    sql(&postroom, "UPDATE counter SET n = n + 2 WHERE state = 12");
    only_wrong(
        &postroom,
        "counters",
        &["says 7", "there are 5", "restore a backup"],
    );
    sql(&postroom, "DELETE FROM counter WHERE state = 12");
    only_wrong(&postroom, "counters", &["says 0", "there are 5"]);
    sql(
        &postroom,
        "INSERT INTO counter VALUES (1, 1, 12, 5), (1, 1, 6, 1)",
    );
    only_wrong(&postroom, "counters", &["says 1", "there are none"]);
}

#[test]
fn a_content_with_another_letter_than_was_handed_over_is_found() {
    let postroom = with_rows();
    sql(
        &postroom,
        "UPDATE content SET body = CAST(replace(CAST(body AS TEXT), 'e', 'f') AS BLOB), codec = 0 WHERE id = 1",
    );
    only_wrong(
        &postroom,
        "contents",
        &[
            "1 (of receiver 1)",
            "not what was handed over",
            "restore a backup",
        ],
    );
}

#[test]
fn a_stretch_that_would_hide_receivers_from_a_question_for_a_time_is_found() {
    let postroom = with_rows();
    sql(
        &postroom,
        "UPDATE stretch SET sent_from = sent_from - 9, sent_to = sent_from - 8",
    );
    only_wrong(&postroom, "counters", &["5 receivers have times"]);
    sql(&postroom, "DELETE FROM stretch");
    only_wrong(&postroom, "counters", &["5 receivers have times"]);
}

#[test]
fn an_index_that_leads_in_circles_ends_with_a_word_and_not_never() {
    let postroom = with_rows();
    postroom.submit(&several("n", 600));
    // The first interior page of what is walked leads to itself.
    let mut bytes = fs::read(postroom.store_path()).unwrap();
    for what in ["receiver", "receiver_created"] {
        let conn = rusqlite::Connection::open(postroom.store_path()).unwrap();
        let root: i64 = conn
            .query_row(
                "SELECT rootpage FROM sqlite_schema WHERE name = ?",
                [what],
                |row| row.get(0),
            )
            .unwrap();
        drop(conn);
        let root = usize::try_from(root).unwrap();
        let size = page_size(&bytes);
        let page = &mut bytes[(root - 1) * size..root * size];
        // Its cells lead to leaves: each to the one of the first.
        let header = if page[0] == 5 || page[0] == 2 {
            12
        } else {
            panic!("one page only")
        };
        let cells = usize::from(u16::from_be_bytes([page[3], page[4]]));
        let cell = |n: usize, page: &[u8]| {
            usize::from(u16::from_be_bytes([
                page[header + 2 * n],
                page[header + 2 * n + 1],
            ]))
        };
        let first = cell(0, page);
        let leaf: [u8; 4] = page[first..first + 4].try_into().unwrap();
        for n in 1..cells {
            let at = cell(n, page);
            page[at..at + 4].copy_from_slice(&leaf);
        }
        page[8..12].copy_from_slice(&leaf);
    }
    fs::write(postroom.store_path(), bytes).unwrap();
    check(&postroom, 1);
    for arguments in [
        &["list", "--limit", "0"][..],
        &["list", "--limit", "0", "--sort", "created"],
        &["resend", "--all", "--yes"],
        &["delete-messages-without-receivers", "--yes"],
    ] {
        let ran = postroom.run(arguments);
        assert!(
            ran.stderr.contains("damaged") || ran.stdout.len() < 1 << 20,
            "{arguments:?} {ran:?}"
        );
    }
}

#[test]
fn a_row_that_names_one_that_is_gone_is_found() {
    let postroom = with_rows();
    sql(
        &postroom,
        "PRAGMA foreign_keys = OFF; DELETE FROM message WHERE id = 1",
    );
    only_wrong(&postroom, "foreign_keys", &["1 of receiver", "message"]);
}

#[test]
fn a_schema_that_was_changed_by_hand_is_found() {
    let postroom = with_rows();
    sql(&postroom, "CREATE TABLE mine (x)");
    only_wrong(&postroom, "schema", &["table mine is not ours"]);
    sql(&postroom, "DROP TABLE mine; DROP INDEX receiver_user");
    only_wrong(&postroom, "schema", &["index receiver_user is missing"]);
    sql(&postroom, "CREATE INDEX receiver_user ON receiver (user)");
    only_wrong(&postroom, "schema", &["index receiver_user is another"]);
}

#[test]
fn a_damaged_page_is_found_and_the_way_out_told() {
    let postroom = with_rows();
    let conn = rusqlite::Connection::open(postroom.store_path()).unwrap();
    let root = |name: &str| -> usize {
        let page: i64 = conn
            .query_row(
                "SELECT rootpage FROM sqlite_schema WHERE name = ?",
                [name],
                |row| row.get(0),
            )
            .unwrap();
        page as usize - 1
    };
    let (one, other) = (root("receiver_state"), root("receiver_user"));
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    drop(conn);
    // A page that is sound, and not the one that belongs there.
    let mut bytes = fs::read(postroom.store_path()).unwrap();
    let size = page_size(&bytes);
    bytes.copy_within(other * size..(other + 1) * size, one * size);
    fs::write(postroom.store_path(), bytes).unwrap();
    let points = check(&postroom, 1);
    let (ok, message) = &points["integrity"];
    assert!(
        *ok == json!(false) && message.contains("restore a backup"),
        "{points:#?}"
    );
}

#[test]
fn what_the_dead_left_beside_the_store_is_named_and_what_the_living_have_is_not() {
    let server = Server::start(Script::accept_all().on(Phase::Dot, Action::stall())).unwrap();
    let postroom = Postroom::to(&server);
    postroom.submit(&[message("a", "t", &["april@example.com"])]);
    let delivering = postroom.start(&["deliver"]);
    assert!(server.wait_for(|ledger| ledger.met(Phase::Dot) == 1, SOON));
    check(&postroom, 0);
    delivering.kill();
    only_wrong(&postroom, "leftovers", &[".engine-", "postroom deliver"]);
    let half = postroom.folder().join("postroom.db.new-0123456789abcdef");
    fs::write(&half, "").unwrap();
    only_wrong(
        &postroom,
        "leftovers",
        &[".new-0123456789abcdef", "postroom init"],
    );
    assert!(half.exists(), "check only looks");
}

#[test]
fn an_empty_lock_that_a_killed_engine_left_before_its_row_goes_with_the_next_pass() {
    let postroom = with_rows();
    let lock = postroom
        .folder()
        .join(format!("postroom.db.engine-{}", "0f".repeat(16)));
    fs::write(&lock, "").unwrap();
    only_wrong(&postroom, "leftovers", &[".engine-0f0f"]);
    postroom.deliver();
    assert!(!lock.exists());
    check(&postroom, 0);
}

#[test]
fn a_secret_that_others_can_read_and_a_config_that_cannot_be_are_told_and_the_rest_is_looked_at() {
    let server = Server::start(Script::accept_all()).unwrap();
    let postroom = Setup::new()
        .smtp("email", &server)
        .set("backends.email.username", "postroom")
        .set("backends.email.password_file", "smtp-password")
        .build();
    let password = postroom.folder().join("smtp-password");
    fs::write(&password, "hunter2\n").unwrap();
    fs::set_permissions(&password, fs::Permissions::from_mode(0o644)).unwrap();
    only_wrong(
        &postroom,
        "secrets",
        &["email", "chmod 600", "smtp-password"],
    );
    fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
    check(&postroom, 0);

    let key = postroom.folder().join("dkim.pem");
    fs::write(&key, "no key at all").unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    let signing = Setup::new()
        .smtp("email", &server)
        .set("backends.email.dkim.domain", "example.com")
        .set("backends.email.dkim.selector", "mail")
        .set("backends.email.dkim.key_file", "dkim.pem");
    postroom.configure(signing);
    only_wrong(&postroom, "secrets", &["email", "chmod 600", "dkim.pem"]);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    only_wrong(&postroom, "config", &["`email` cannot be used", "dkim.pem"]);

    fs::write(postroom.config_path(), "[delivery]\nbackof = 1\n").unwrap();
    only_wrong(&postroom, "config", &["did you mean `backoff`?", "line 2"]);

    postroom.configure(Setup::new());
    let (_, said) = &check(&postroom, 0)["config"];
    assert!(
        said.contains("no backend") && said.contains("add [backends.email]"),
        "{said}"
    );
}

/// A listener with this certificate.
fn listening_with(certificate: &Certificate) -> Setup {
    let (cert_file, key_file) = certificate.files();
    Setup::new()
        .file("email")
        .set("listen.smtp.address", "127.0.0.1:2525")
        .set("listen.smtp.cert_file", cert_file.to_str().unwrap())
        .set("listen.smtp.key_file", key_file.to_str().unwrap())
}

/// One from so many days ago to so many days hence.
fn of_days(ago: i64, hence: i64) -> Certificate {
    let day = |days| {
        let day = Utc::now() + TimeDelta::days(days);
        let of = |n: u32| u8::try_from(n).unwrap();
        rcgen::date_time_ymd(day.year(), of(day.month()), of(day.day()))
    };
    Certificate::with(&["localhost"], |params| {
        (params.not_before, params.not_after) = (day(-ago), day(hence));
    })
}

#[test]
fn a_listener_whose_certificate_no_client_will_take_is_told_before_clients_tell_it() {
    let postroom = Setup::new().file("email").build();
    let good = of_days(10, 80);
    postroom.configure(listening_with(&good));
    let points = check(&postroom, 0);
    let (ok, message) = &points["listener"];
    assert_eq!(*ok, json!(true));
    assert!(
        message.contains("127.0.0.1:2525, ") && message.contains(" until 20"),
        "{message}"
    );

    let authority = Certificate::with(&["localhost"], |params| {
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    });
    let for_clients = Certificate::with(&["localhost"], |params| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    });
    for (certificate, told) in [
        (of_days(90, -1), "ca.pem expired 20"),
        (of_days(80, 10), "ca.pem expires soon, 20"),
        (of_days(-2, 90), "cannot be used before 20"),
        (authority, "CA:FALSE"),
        (for_clients, "no client can take"),
    ] {
        postroom.configure(listening_with(&certificate));
        only_wrong(&postroom, "listener", &[told]);
    }
    // Those that live for six days are renewed every fourth.
    let short = of_days(3, 3);
    postroom.configure(listening_with(&short));
    check(&postroom, 0);

    let (_, key) = good.files();
    postroom.configure(listening_with(&short).set("listen.smtp.key_file", key.to_str().unwrap()));
    only_wrong(&postroom, "listener", &["cannot be used together"]);
    postroom.configure(listening_with(&good).set("listen.smtp.cert_file", "nowhere.pem"));
    only_wrong(&postroom, "listener", &["cert_file: ", "nowhere.pem"]);
    postroom.configure(listening_with(&good));
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    only_wrong(
        &postroom,
        "secrets",
        &["listen.smtp", "chmod 600", "key.pem"],
    );
    assert_eq!(check(&postroom, 1)["listener"].0, Value::Null);
}

#[test]
fn without_a_store_check_says_so_and_what_it_could_not_look_at() {
    let postroom = Setup::new().file("email").build();
    fs::remove_file(postroom.store_path()).unwrap();
    only_wrong(&postroom, "store", &["postroom init"]);
    assert_eq!(check(&postroom, 1)["counters"].0, Value::Null);
    assert!(!postroom.store_path().exists());
}

#[test]
fn a_disk_that_is_nearly_full_is_told() {
    with_own_mounts("a_disk_that_is_nearly_full_is_told", || {
        let disk = Disk::of(4_096);
        let postroom = Setup::new().file("email").build_in(disk.path());
        only_wrong(
            &postroom,
            "disk",
            &["MiB free", "free some space", "64 MiB"],
        );
    });
}

#[test]
fn how_much_disk_is_little_follows_from_the_floor_below_which_nothing_is_sent() {
    let with = |floor: &str| {
        let setup = Setup::new().file("email");
        setup.set("delivery.min_free", floor).build()
    };
    only_wrong(&with("9999999GiB"), "disk", &["9999999 GiB", "min_free"]);
    with_own_mounts(
        "how_much_disk_is_little_follows_from_the_floor_below_which_nothing_is_sent",
        || {
            let disk = Disk::of(4_096);
            let setup = Setup::new().file("email").set("delivery.min_free", "0");
            check(&setup.build_in(disk.path()), 0);
        },
    );
}
