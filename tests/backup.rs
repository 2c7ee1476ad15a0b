//! A copy of the store, made while it is in use; what it does when it is opened as the live store.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use chrono::Utc;
use postroom::{
    demo::server::{Script, Server},
    store::{Backup, Store, StoreError},
};
use support::{Disk, Postroom, SOON, Setup, message, page_size, several, with_own_mounts};

/// The copy of a backup in its own right: the program with `--store`.
fn on<'a>(copy: &'a Path, arguments: &[&'a str]) -> Vec<&'a str> {
    [arguments, &["--store", copy.to_str().unwrap()]].concat()
}

fn backup(postroom: &Postroom, name: &str) -> PathBuf {
    let copy = postroom.folder().join(name);
    let ran = postroom.run(&["backup", copy.to_str().unwrap()]).ok();
    assert!(ran.stdout.contains(name), "{ran:?}");
    copy
}

fn count(postroom: &Postroom, copy: &Path, query: &str) -> usize {
    let list = ["list", "--format", "json", "--limit", "0", query];
    postroom.run(&on(copy, &list)).ok().json_lines().len()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_backup_made_while_run_is_sending_is_whole_and_sends_nothing_until_it_is_resumed() {
    const MESSAGES: usize = 3_000;
    let server = Server::start(Script::accept_all()).unwrap();
    let postroom = Setup::new()
        .smtp("email", &server)
        .file("unused")
        .set("delivery.default_backend", "email")
        .build();
    postroom.submit(&several("m", MESSAGES));
    let run = postroom.start(&["run"]);
    assert!(server.wait_for(|ledger| ledger.accepted >= 200, SOON));
    let copy = backup(&postroom, "copy.db");
    assert_eq!(
        fs::metadata(&copy).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert!(server.wait_for(|ledger| ledger.accepted == MESSAGES as u64, SOON));
    run.terminate().ok();
    assert_eq!(postroom.count("status:sent"), MESSAGES);
    server.with_ledger(|ledger| assert_eq!(ledger.duplicates(), []));

    // Whole, and of one moment.
    let conn = rusqlite::Connection::open(&copy).unwrap();
    let said: String = conn
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    drop(conn);
    assert_eq!(said, "ok");
    assert_eq!(count(&postroom, &copy, ""), MESSAGES);
    let before = count(&postroom, &copy, "status:sent");
    assert!((100..MESSAGES).contains(&before), "{before} were sent");

    // It sends nothing by itself, and says why; also over a backend that its store had not known.
    let why = "a backup made at ";
    let ran = postroom.run(&on(&copy, &["deliver"])).ok();
    assert!(
        ran.stdout.starts_with("0 sent") && ran.stderr.contains(why),
        "{ran:?}"
    );
    assert_eq!(server.with_ledger(|ledger| ledger.entries.len()), MESSAGES);
    let ran = postroom.run(&on(&copy, &["status"])).exit(1);
    assert!(
        ran.stdout.contains("backend email is paused") && ran.stdout.contains(why),
        "{ran:?}"
    );
    let backends = postroom
        .run(&on(&copy, &["backend", "--format", "json"]))
        .ok();
    for backend in backends.json_lines() {
        assert_eq!(backend["state"], "paused", "{backend}");
        assert!(
            backend["error"].as_str().unwrap().starts_with(why),
            "{backend}"
        );
    }
    let service = postroom.start(&on(&copy, &["run"]));
    postroom.wait_until("the service is there", |postroom| {
        let ran = postroom.run(&on(&copy, &["status", "--format", "json"]));
        ran.json_lines()[0]["engines"] != serde_json::json!([])
    });
    let ran = service.terminate().ok();
    assert!(ran.stderr.contains(why), "{ran:?}");
    assert_eq!(server.with_ledger(|ledger| ledger.entries.len()), MESSAGES);

    // Until somebody says so, warned.
    let ran = postroom
        .run(&on(&copy, &["backend", "email", "resume"]))
        .ok();
    assert!(ran.stderr.contains("would go out again"), "{ran:?}");
    postroom.run(&on(&copy, &["deliver"])).ok();
    assert_eq!(count(&postroom, &copy, "status:sent"), MESSAGES);
    let again = server.with_ledger(|ledger| ledger.entries.len()) - MESSAGES;
    assert_eq!(again, MESSAGES - before);
    let ran = postroom
        .run(&on(&copy, &["backend", "email", "resume"]))
        .ok();
    assert_eq!(ran.stderr, "", "there is nothing left to warn of");
}

#[test]
fn what_was_being_sent_when_the_backup_was_made_is_in_doubt_in_it_and_nowhere_else() {
    let (server, postroom) = support::held_at_the_dot();
    postroom.submit(&several("m", 3));
    let delivering = postroom.start(&["deliver"]);
    assert!(server.wait_for(|ledger| ledger.withheld == 1, SOON));
    let copy = backup(&postroom, "copy.db");
    // The engine of the original lives, and holds nothing in the copy.
    postroom.run(&on(&copy, &["deliver"])).ok();
    assert_eq!(count(&postroom, &copy, "is:sending"), 0);
    assert_eq!(count(&postroom, &copy, "reason:unconfirmed"), 1);
    assert_eq!(count(&postroom, &copy, "status:not_sent"), 2);
    assert_eq!(postroom.count("is:sending"), 3);
    server.release();
    delivering.wait().ok();
    assert_eq!(postroom.count("reason:accepted"), 3);
    server.with_ledger(|ledger| assert_eq!(ledger.duplicates(), []));
}

#[test]
fn a_backup_replaces_nothing_and_leaves_nothing_half_made() {
    let postroom = Setup::new().file("email").build();
    postroom.submit(&several("m", 3));
    let folder = tempfile::tempdir().unwrap();
    let to = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let refused = |name: &str, word: &str| {
        let ran = postroom.run(&["backup", &to(name)]).exit(1);
        assert!(
            ran.stderr.contains(word) && ran.stderr.contains(name),
            "{ran:?}"
        );
    };
    fs::write(to("mine"), "precious").unwrap();
    refused("mine", "left as it is");
    assert_eq!(fs::read_to_string(to("mine")).unwrap(), "precious");
    fs::create_dir(to("folder")).unwrap();
    refused("folder", "name the file in it");
    let ran = postroom.run(&["backup", &to("nowhere/b.db")]).exit(1);
    let wanted = format!("postroom: there is no folder {}: make it", to("nowhere"));
    assert!(ran.stderr.starts_with(&wanted), "{ran:?}");
    fs::write(to("b.db-wal"), "of another").unwrap();
    refused("b.db", "move it away");
    // An empty one is what looking at a backup leaves, that was removed since.
    fs::write(to("b.db-wal"), "").unwrap();

    // What a killed one left goes with the next.
    for ending in ["", "-wal", "-journal"] {
        fs::write(to(&format!("b.db.new-0123456789abcdef{ending}")), "half").unwrap();
    }
    postroom.run(&["backup", &to("b.db")]).ok();
    assert_eq!(names(folder.path()), ["b.db", "b.db-wal", "folder", "mine"]);
    postroom
        .run(&["backup", "--store", &to("b.db"), &to("c.db")])
        .ok();
    let ran = postroom.run(&["backend", "--store", &to("c.db")]).ok();
    assert_eq!(
        ran.stdout.matches("a backup made at").count(),
        1,
        "a backup of a backup is as old as the first: {ran:?}"
    );
}

#[test]
fn a_pause_of_before_is_told_in_the_backup_too() {
    let postroom = Setup::new().file("email").build();
    postroom.run(&["backend", "email", "pause"]).ok();
    let copy = backup(&postroom, "copy.db");
    let ran = postroom
        .run(&on(&copy, &["backend", "--format", "json"]))
        .ok();
    let error = ran.json_lines()[0]["error"].as_str().unwrap().to_owned();
    assert!(
        error.starts_with("a backup made at") && error.contains("before that: paused by "),
        "{error}"
    );
    let ran = postroom.run(&["backend", "email", "resume"]).ok();
    assert_eq!(ran.stderr, "", "the original is no backup");
}

#[test]
fn a_stopped_backup_leaves_nothing_behind() {
    let postroom = Setup::new().file("email").build();
    let conn = rusqlite::Connection::open(postroom.store_path()).unwrap();
    conn.execute_batch("CREATE TABLE ballast AS SELECT zeroblob(20000000) AS x")
        .unwrap();
    drop(conn);
    let folder = tempfile::tempdir().unwrap();
    let stop = AtomicBool::new(false);
    let made = Store::backup(
        &postroom.store_path(),
        &folder.path().join("b.db"),
        &Backup {
            who: "tester",
            backends: &[],
            now: Utc::now(),
            progress: &|done, all| {
                assert!(done < all, "it went on");
                stop.store(true, Ordering::Release);
            },
            stop: &stop,
        },
    );
    assert!(matches!(made, Err(StoreError::Interrupted)), "{made:?}");
    assert_eq!(names(folder.path()), Vec::<String>::new());
}

#[test]
fn a_damaged_store_makes_no_backup() {
    let postroom = Setup::new().file("email").build();
    postroom.submit(&[message("a", "t", &["april@example.com"])]);
    let conn = rusqlite::Connection::open(postroom.store_path()).unwrap();
    let page: i64 = conn
        .query_row(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'receiver_state'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    drop(conn);
    let mut bytes = fs::read(postroom.store_path()).unwrap();
    let size = page_size(&bytes);
    let at = (page as usize - 1) * size;
    bytes[at..at + size].fill(0x55);
    fs::write(postroom.store_path(), bytes).unwrap();
    let copy = postroom.folder().join("copy.db");
    let ran = postroom.run(&["backup", copy.to_str().unwrap()]).exit(1);
    assert!(ran.stderr.contains("damaged"), "{ran:?}");
    assert!(
        !names(&postroom.folder())
            .iter()
            .any(|name| name.contains("copy"))
    );
}

#[test]
fn without_room_a_backup_says_how_much_it_needs() {
    with_own_mounts("without_room_a_backup_says_how_much_it_needs", || {
        let postroom = Setup::new().file("email").build();
        let disk = Disk::of(64);
        let copy = disk.path().join("copy.db");
        let ran = postroom.run(&["backup", copy.to_str().unwrap()]).exit(1);
        assert!(
            ran.stderr.contains("free some space") && ran.stderr.contains("needs 1 MiB"),
            "{ran:?}"
        );
        assert_eq!(names(disk.path()), Vec::<String>::new());
    });
}

#[test]
fn init_removes_what_a_killed_init_left_and_does_not_join_a_log_of_another_store() {
    let postroom = Setup::new().build();
    let half = postroom.folder().join("postroom.db.new-0123456789abcdef");
    fs::write(&half, "half").unwrap();
    postroom.run(&["init"]).ok();
    assert!(!half.exists(), "init on a store that is there");

    fs::remove_file(postroom.store_path()).unwrap();
    fs::write(&half, "half").unwrap();
    let log = postroom.folder().join("postroom.db-wal");
    fs::write(&log, "of another").unwrap();
    let ran = postroom.run(&["init"]).exit(1);
    assert!(
        ran.stderr.contains("postroom.db-wal") && ran.stderr.contains("move it away"),
        "{ran:?}"
    );
    assert!(!postroom.store_path().exists());
    fs::remove_file(&log).unwrap();
    postroom.run(&["init"]).ok();
    assert!(!half.exists());
    postroom.run(&["status"]).ok();
}

#[test]
fn a_store_whose_pages_have_another_size_is_used_and_copied_as_it_is() {
    let server = Server::start(Script::accept_all()).unwrap();
    let postroom = Postroom::to(&server);
    let conn = rusqlite::Connection::open(postroom.store_path()).unwrap();
    // Both only outside of WAL mode.
    conn.execute_batch(
        "PRAGMA journal_mode = DELETE; PRAGMA page_size = 4096; VACUUM; PRAGMA journal_mode = WAL;",
    )
    .unwrap();
    drop(conn);
    postroom.submit(&several("m", 50));
    assert_eq!(postroom.deliver().sent, 50);
    let copy = backup(&postroom, "copy.db");
    assert_eq!(count(&postroom, &copy, "status:sent"), 50);
    for store in [postroom.store_path(), copy] {
        assert_eq!(page_size(&fs::read(store).unwrap()), 4096);
    }
}
