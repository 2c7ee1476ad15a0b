//! When something is wrong with the disk, the store, the config or a secret: a clear error that names it and the way out, and nothing is lost.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{
    fs::{self, OpenOptions, Permissions},
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use postroom::{
    demo::server::{Action, Phase, Script, Server},
    query::Query,
    store::{Anchor, Store},
};
use rusqlite::Connection;
use serde_json::{Value, json};
use support::{
    Disk, Postroom, Ran, ReadOnly, SOON, Setup, Summary, message, page_size, raw_message,
    with_own_mounts,
};

/// It must have failed with this code, saying all of these words and nothing of a fault in the program.
fn refused(ran: Ran, code: i32, words: &[&str]) -> Ran {
    let ran = ran.exit(code);
    assert!(ran.stderr.starts_with("postroom: "), "{ran:#?}");
    for word in words {
        assert!(ran.stderr.contains(word), "{word:?} is missing: {ran:#?}");
    }
    assert!(!ran.stderr.contains("Error code"), "{ran:#?}");
    ran
}

/// A message of some KiB that cannot be compressed to less, the same every time.
fn bulky(number: u64) -> Value {
    let mut random = fastrand::Rng::with_seed(number);
    let text: String = std::iter::repeat_with(|| random.alphanumeric())
        .take(6000)
        .collect();
    let mut line = message(
        &format!("m{number}"),
        "bulk",
        &[&format!("r{number}@example.com")],
    );
    line["content"]["en"]["text"] = json!(text);
    line
}

fn lines(messages: &[Value]) -> String {
    messages
        .iter()
        .map(|line| line.to_string() + "\n")
        .collect()
}

// A full disk.

#[test]
fn on_a_full_disk_submit_acknowledges_exactly_what_it_stored() {
    with_own_mounts(
        "on_a_full_disk_submit_acknowledges_exactly_what_it_stored",
        || {
            let disk = Disk::of(65_536);
            let postroom = Setup::new().file("outbox").build_in(disk.path());
            disk.fill_but(2048);
            let messages: Vec<_> = (0..600).map(bulky).collect();
            let ran = refused(
                postroom.run_with(&["submit", "-"], lines(&messages)),
                1,
                &["postroom.db", "is full", "free some space"],
            );
            let acknowledged: Vec<_> = ran
                .json_lines()
                .into_iter()
                .map(|receipt| {
                    assert_eq!(receipt["result"], "stored");
                    receipt["key"].clone()
                })
                .collect();
            assert!(
                (1..600).contains(&acknowledged.len()),
                "{}",
                acknowledged.len()
            );

            disk.free();
            let mut stored: Vec<_> = postroom
                .list_json("")
                .iter()
                .map(|row| row["message_key"].clone())
                .collect();
            stored.reverse();
            assert_eq!(stored, acknowledged);

            let receipts = postroom.submit(&messages);
            let already = receipts
                .iter()
                .filter(|receipt| receipt["result"] == "already");
            assert_eq!(already.count(), acknowledged.len());
            assert_eq!(postroom.count(""), 600);
        },
    );
}

#[test]
fn on_a_full_disk_every_command_says_so() {
    with_own_mounts("on_a_full_disk_every_command_says_so", || {
        let disk = Disk::of(1024);
        let server = Server::start(Script::accept_all()).unwrap();
        let postroom = Setup::new()
            .smtp("email", &server)
            .set("delivery.min_free", "0")
            .build_in(disk.path());
        postroom.submit(&[message("m", "t", &["april@example.com"])]);
        disk.fill();
        let line = lines(&[message("n", "t", &["april@example.com"])]);
        for arguments in [
            ["submit"].as_slice(),
            &["deliver"],
            &["run"],
            &["hold", "--all", "--yes"],
            &["resend", "--all", "--yes"],
            &["resend-failed"],
            &["backend", "email", "pause"],
            &["list"],
            &["show", "1"],
        ] {
            refused(
                postroom.run_with(arguments, &line),
                1,
                &["postroom.db", "is full", "free some space"],
            );
        }
        refused(postroom.run(&["status"]), 3, &["postroom.db", "is full"]);
        refused(
            postroom.run(&[
                "init",
                "--store",
                &disk.path().join("b.db").display().to_string(),
            ]),
            1,
            &["b.db", "is full"],
        );
        assert!(!disk.path().join("b.db").exists());
        server.with_ledger(|ledger| assert_eq!(ledger.connections, 0));

        disk.free();
        assert_eq!(postroom.deliver().sent, 1);
    });
}

/// Sixty receivers on a disk that this server fills whenever a message is announced, from the twentieth on, as long as it may.
fn sixty(disk: &Arc<Disk>, times: usize) -> (Server, Postroom) {
    let filling = Arc::clone(disk);
    let left = AtomicUsize::new(times);
    let server = Server::start(Script::accept_all().by(move |event| {
        let fill = event.phase == Phase::Data
            && event.transaction >= 20
            && left
                .fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1))
                .is_ok();
        if fill {
            filling.fill();
        }
        None
    }))
    .unwrap();
    let postroom = Setup::new()
        .smtp("email", &server)
        .set("backends.email.connections", 1)
        .set("backends.email.on_unknown", "hold")
        .set("delivery.min_free", "0")
        .build_in(disk.path());
    let to: Vec<_> = (0..60).map(|n| format!("r{n}@example.com")).collect();
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    postroom.submit(&[message("m", "t", &to)]);
    (server, postroom)
}

#[test]
fn a_pass_on_a_disk_that_fills_up_stops_sending_and_goes_on_when_there_is_space() {
    with_own_mounts(
        "a_pass_on_a_disk_that_fills_up_stops_sending_and_goes_on_when_there_is_space",
        || {
            let disk = Arc::new(Disk::of(4096));
            let (server, postroom) = sixty(&disk, 1);
            let pass = postroom.start(&["deliver", "--format", "json"]);
            assert!(server.wait_for(
                |ledger| ledger.met(Phase::Data) >= 20 && ledger.open == 0,
                SOON
            ));
            disk.free();
            let ran = pass.wait().ok();
            let summary: Summary = serde_json::from_str(&ran.stdout).unwrap();
            assert_eq!(summary.sent, 60);
            assert!(ran.stderr.contains("is full"), "{ran:?}");
            assert_eq!(postroom.count("status:sent"), 60);
            server.with_ledger(|ledger| {
                assert_eq!(ledger.entries.len(), 60);
                assert_eq!(ledger.duplicates(), []);
                assert!(ledger.connections >= 2);
            });
        },
    );
}

#[test]
fn a_pass_on_a_disk_that_stays_full_fails_and_the_next_one_sends_nobody_anything_twice() {
    with_own_mounts(
        "a_pass_on_a_disk_that_stays_full_fails_and_the_next_one_sends_nobody_anything_twice",
        || {
            let disk = Arc::new(Disk::of(4096));
            // Longer than a pass has patience.
            let (server, postroom) = sixty(&disk, usize::MAX);
            let ran = postroom.run(&["deliver"]).exit(1);
            assert!(
                ran.stderr
                    .lines()
                    .any(|line| line.starts_with("postroom: ") && line.contains("is full")),
                "{ran:#?}"
            );
            // Whatever was announced while the disk was full got no final dot.
            server.with_ledger(|ledger| assert_eq!(ledger.messages, 19));

            drop(server);
            disk.free();
            let server = Server::start(Script::accept_all()).unwrap();
            postroom.configure(
                Setup::new()
                    .smtp("email", &server)
                    .set("backends.email.on_unknown", "hold")
                    .set("delivery.min_free", "0"),
            );
            // Room for the last result was kept.
            assert_eq!(postroom.count("status:sent"), 19);
            assert_eq!(postroom.deliver().sent, 41);
            assert_eq!(postroom.count("status:sent"), 60);
            server.with_ledger(|ledger| assert_eq!(ledger.entries.len(), 41));
        },
    );
}

#[test]
fn a_disk_with_some_room_but_not_for_results_costs_the_server_one_message_begun_in_vain() {
    with_own_mounts(
        "a_disk_with_some_room_but_not_for_results_costs_the_server_one_message_begun_in_vain",
        || {
            let disk = Disk::of(4096);
            let server = Server::start(Script::accept_all()).unwrap();
            let postroom = Setup::new()
                .smtp("email", &server)
                .set("backends.email.connections", 1)
                .set("delivery.min_free", "0")
                .build_in(disk.path());
            postroom.submit(&[message("m", "t", &["april@example.com"])]);
            disk.fill_but(400);
            let service = postroom.start(&["run"]);
            assert!(server.wait_for(|ledger| ledger.met(Phase::Data) == 1, SOON));
            assert!(!server.wait_for(|ledger| ledger.met(Phase::Data) > 1, Duration::from_secs(2)));
            disk.free();
            assert!(server.wait_for(|ledger| ledger.messages == 1, SOON));
            service.terminate().ok();
            assert_eq!(postroom.count("status:sent"), 1);
        },
    );
}

#[test]
fn of_a_process_that_was_killed_on_a_disk_that_is_full_it_is_written_down_what_is_unknown() {
    with_own_mounts(
        "of_a_process_that_was_killed_on_a_disk_that_is_full_it_is_written_down_what_is_unknown",
        || {
            let disk = Disk::of(4096);
            let server =
                Server::start(Script::accept_all().on(Phase::Dot, Action::stall())).unwrap();
            let postroom = Setup::new()
                .smtp("email", &server)
                .set("backends.email.on_unknown", "hold")
                .set("delivery.min_free", "0")
                .build_in(disk.path());
            postroom.submit(&[message("m", "t", &["april@example.com"])]);
            let pass = postroom.start(&["deliver"]);
            assert!(server.wait_for(|ledger| ledger.met(Phase::Dot) == 1, SOON));
            disk.fill();
            pass.kill();
            // There is room again: what the dead one had kept.
            postroom.run(&["deliver"]).ok();
            assert_eq!(postroom.count("reason:unconfirmed"), 1);
        },
    );
}

// What cannot be written.

const READING: [&[&str]; 8] = [
    &["list"],
    &["list", "--format", "json"],
    &["list", "feedback"],
    &["show", "1"],
    &["show", "1", "--format", "json"],
    &["backend"],
    &["resend", "--all", "--dry-run"],
    &["status"],
];

const WRITING: [&[&str]; 6] = [
    &["submit"],
    &["deliver"],
    &["resend", "--all", "--yes"],
    &["hold", "--all", "--yes"],
    &["backend", "email", "pause"],
    &["backend", "email", "pause"],
];

/// Reading works as before, writing is refused and sends nothing.
fn assert_read_only(postroom: &Postroom, before: &str, server: &Server) {
    for arguments in READING {
        let ran = postroom.run(arguments).ok();
        assert!(!ran.stdout.is_empty() && ran.stderr.is_empty(), "{ran:#?}");
    }
    assert_eq!(postroom.run(&["list"]).ok().stdout, before);
    let line = lines(&[message("n", "t", &["april@example.com"])]);
    for arguments in WRITING {
        refused(
            postroom.run_with(arguments, &line),
            1,
            &["postroom.db", "cannot be written", "owner and mode"],
        );
    }
    server.with_ledger(|ledger| assert_eq!(ledger.connections, 0));

    let store = Store::open_read_only(&postroom.store_path()).unwrap();
    assert!(store.is_read_only());
    let rows = store
        .reader()
        .unwrap()
        .window(&Query::default(), Anchor::First, 10)
        .unwrap();
    assert_eq!(rows.len(), 2);
}

fn two_receivers() -> (Server, Postroom) {
    let server = Server::start(Script::accept_all()).unwrap();
    let postroom = Postroom::to(&server);
    postroom.submit(&[message(
        "m",
        "feedback",
        &["april@example.com", "ben@example.com"],
    )]);
    (server, postroom)
}

#[test]
fn a_store_in_a_folder_that_cannot_be_written_can_be_read() {
    with_own_mounts(
        "a_store_in_a_folder_that_cannot_be_written_can_be_read",
        || {
            let (server, postroom) = two_receivers();
            let before = postroom.run(&["list"]).ok().stdout;
            let folder = postroom.folder();
            let read_only = ReadOnly::make(&folder);
            assert_read_only(&postroom, &before, &server);
            drop(read_only);
            assert_eq!(postroom.deliver().sent, 2);
        },
    );
}

#[test]
fn a_store_file_that_cannot_be_written_can_be_read() {
    with_own_mounts("a_store_file_that_cannot_be_written_can_be_read", || {
        let (server, postroom) = two_receivers();
        let before = postroom.run(&["list"]).ok().stdout;
        let store = postroom.store_path();
        let read_only = ReadOnly::make(&store);
        assert_read_only(&postroom, &before, &server);
        drop(read_only);
        assert_eq!(postroom.deliver().sent, 2);
    });
}

#[test]
fn what_a_crash_left_in_the_log_is_not_overlooked_in_a_folder_that_cannot_be_written() {
    with_own_mounts(
        "what_a_crash_left_in_the_log_is_not_overlooked_in_a_folder_that_cannot_be_written",
        || {
            let (_server, postroom) = two_receivers();
            let crash = postroom.folder().join("crash");
            fs::create_dir(&crash).unwrap();
            // A copy taken while somebody writes is what a crash leaves.
            let open = Store::open(&postroom.store_path()).unwrap();
            postroom.submit(&[message("later", "t", &["carl@example.com"])]);
            for ending in ["", "-wal"] {
                let name = format!("postroom.db{ending}");
                fs::copy(postroom.folder().join(&name), crash.join(&name)).unwrap();
            }
            drop(open);
            let store = crash.join("postroom.db");
            let store = store.to_str().unwrap();
            let read_only = ReadOnly::make(&crash);
            let ran = postroom.run(&["list", "--format", "json", "--store", store]);
            if ran.status.success() {
                assert_eq!(ran.json_lines().len(), 3);
            } else {
                refused(ran, 1, &["postroom.db-wal", "copy"]);
            }
            drop(read_only);
            let ran = postroom.run(&["list", "--format", "json", "--store", store]);
            assert_eq!(ran.ok().json_lines().len(), 3);
        },
    );
}

// Stores that are none of ours.

const NEEDING_A_STORE: [&[&str]; 16] = [
    &["list"],
    &["show", "1"],
    &["submit"],
    &["deliver"],
    &["run"],
    &["resend", "--all", "--yes"],
    &["resend", "--all", "--dry-run"],
    &["resend-failed"],
    &["hold", "--all", "--yes"],
    &["release", "--all", "--yes"],
    &["cancel", "--all", "--yes"],
    &["mark-sent", "--all", "--yes"],
    &["backend"],
    &["backend", "email", "pause"],
    &["console"],
    &["console", "--read-only"],
];

/// Every command refuses the store with these words, and the file stays as it is.
fn assert_unusable(postroom: &Postroom, words: &[&str]) {
    let before = fs::read(postroom.store_path()).ok();
    let line = lines(&[message("n", "t", &["april@example.com"])]);
    for arguments in NEEDING_A_STORE {
        refused(postroom.run_with(arguments, &line), 1, words);
    }
    refused(postroom.run(&["status"]), 3, words);
    assert_eq!(fs::read(postroom.store_path()).ok(), before);
}

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn without_a_store_every_command_refuses_says_init_and_creates_nothing() {
    let (_server, postroom) = two_receivers();
    fs::remove_file(postroom.store_path()).unwrap();
    let before = names_in(&postroom.folder());
    let words = [
        "there is no store at",
        "postroom.db",
        "`postroom init`",
        "--store",
    ];
    assert_unusable(&postroom, &words);
    refused(postroom.run(&["migrate"]), 1, &words);
    let elsewhere = postroom.folder().join("no/such/folder.db");
    let elsewhere = elsewhere.to_str().unwrap();
    refused(
        postroom.run(&["list", "--store", elsewhere]),
        1,
        &["no/such/folder.db", "`postroom init`"],
    );
    assert_eq!(names_in(&postroom.folder()), before);
}

#[test]
fn a_store_of_a_newer_version_is_refused_and_left_alone() {
    let (server, postroom) = two_receivers();
    let store = Connection::open(postroom.store_path()).unwrap();
    let schema: i64 = store
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    store
        .pragma_update(None, "user_version", schema + 1)
        .unwrap();
    store.close().unwrap();
    let words = [
        "postroom.db",
        "newer Postroom",
        &format!("schema {}", schema + 1),
    ];
    assert_unusable(&postroom, &words);
    refused(postroom.run(&["migrate"]), 1, &words);
    refused(postroom.run(&["init"]), 1, &words);
    server.with_ledger(|ledger| assert_eq!(ledger.connections, 0));
}

#[test]
fn a_store_of_an_older_version_waits_for_migrate() {
    let (_server, postroom) = two_receivers();
    let store = Connection::open(postroom.store_path()).unwrap();
    let id: i64 = store
        .pragma_query_value(None, "application_id", |row| row.get(0))
        .unwrap();
    drop(store);
    fs::remove_file(postroom.store_path()).unwrap();
    // Before the first migration there is nothing in it.
    let older = Connection::open(postroom.store_path()).unwrap();
    older.pragma_update(None, "application_id", id).unwrap();
    older.close().unwrap();
    assert_unusable(
        &postroom,
        &["postroom.db", "schema 0", "`postroom migrate`"],
    );

    let ran = postroom.run(&["migrate"]).ok();
    assert!(ran.stdout.contains("schema 0 is now"), "{ran:?}");
    postroom.submit(&[message("m", "t", &["april@example.com"])]);
    assert_eq!(postroom.deliver().sent, 1);
}

#[test]
fn another_program_s_database_is_not_taken_for_a_store() {
    let (_server, postroom) = two_receivers();
    fs::remove_file(postroom.store_path()).unwrap();
    let foreign = Connection::open(postroom.store_path()).unwrap();
    foreign
        .execute_batch("CREATE TABLE receiver (id INTEGER); PRAGMA user_version = 1;")
        .unwrap();
    foreign.close().unwrap();
    let words = ["postroom.db", "is not a Postroom store"];
    assert_unusable(&postroom, &words);
    refused(postroom.run(&["migrate"]), 1, &words);
    refused(postroom.run(&["init"]), 1, &words);

    // An empty file is an empty database to SQLite.
    fs::write(postroom.store_path(), "").unwrap();
    assert_unusable(&postroom, &words);
    refused(postroom.run(&["migrate"]), 1, &words);
}

#[test]
fn a_file_of_random_bytes_is_no_store() {
    let (_server, postroom) = two_receivers();
    let mut random = fastrand::Rng::with_seed(7);
    for size in [1000, 4096, 100_000] {
        let bytes: Vec<u8> = std::iter::repeat_with(|| random.u8(..))
            .take(size)
            .collect();
        fs::write(postroom.store_path(), bytes).unwrap();
        let words = [
            "postroom.db",
            "damaged or not a SQLite database",
            "restore a backup",
        ];
        assert_unusable(&postroom, &words);
        refused(postroom.run(&["migrate"]), 1, &words);
        refused(postroom.run(&["init"]), 1, &words);
    }
}

#[test]
fn a_folder_is_no_store() {
    let (_server, postroom) = two_receivers();
    fs::remove_file(postroom.store_path()).unwrap();
    fs::create_dir(postroom.store_path()).unwrap();
    let words = ["postroom.db is a folder", "name the file"];
    assert_unusable(&postroom, &words);
    refused(postroom.run(&["migrate"]), 1, &words);
    refused(postroom.run(&["init"]), 1, &words);
    assert_eq!(names_in(&postroom.store_path()), Vec::<String>::new());
}

/// A store with every sort of row in it, closed.
fn rich_store() -> (Server, Postroom) {
    let server = Server::start(
        Script::accept_all()
            .rcpt(
                "gone@example.com",
                Action::reply(550, "5.1.1", "no such user"),
            )
            .rcpt(
                "grey@example.com",
                Action::reply(451, "4.7.1", "greylisted"),
            ),
    )
    .unwrap();
    let postroom = Postroom::to(&server);
    let mut messages: Vec<_> = (0..8).map(bulky).collect();
    messages.push(message("g", "t", &["gone@example.com", "grey@example.com"]));
    messages.push(raw_message("raw", &["carl@example.com"]));
    postroom.submit(&messages);
    postroom.run(&["deliver"]).ok();
    postroom.submit(&[message("later", "t", &["doris@example.com"])]);
    (server, postroom)
}

/// On a damaged store a command answers, or says what is damaged: it never falls over.
fn assert_survives(postroom: &Postroom, arguments: &[&str], what: &str) {
    let ran = postroom.run(arguments);
    let code = ran.status.code();
    assert!(matches!(code, Some(0..=3)), "{what}: {ran:#?}");
    if code != Some(0) && ran.stdout.is_empty() {
        assert!(ran.stderr.contains("postroom: "), "{what}: {ran:#?}");
        assert!(
            ran.stderr.contains("postroom.db") || ran.stderr.contains("there is no receiver"),
            "{what}: {ran:#?}"
        );
    }
}

#[test]
fn a_store_that_was_cut_short_is_an_error_and_not_a_fault() {
    let (_server, postroom) = rich_store();
    let whole = fs::read(postroom.store_path()).unwrap();
    for part in [20, 50, 90] {
        fs::write(postroom.store_path(), &whole[..whole.len() * part / 100]).unwrap();
        for arguments in [
            ["list", "--limit", "0"].as_slice(),
            &["show", "3"],
            &["status"],
            &["deliver"],
            &["hold", "--all", "--yes"],
        ] {
            assert_survives(&postroom, arguments, &format!("{part} % {arguments:?}"));
        }
    }
}

#[test]
fn a_damaged_page_is_an_error_and_not_a_fault() {
    let (_server, postroom) = rich_store();
    let whole = fs::read(postroom.store_path()).unwrap();
    let size = page_size(&whole);
    let mut random = fastrand::Rng::with_seed(11);
    for page in 0..whole.len() / size {
        // Half of the pages are overwritten whole, half have some bytes turned round.
        let mut damaged = whole.clone();
        let bytes = &mut damaged[page * size..][..size];
        if page % 2 == 0 {
            random.fill(bytes);
        } else {
            for _ in 0..20 {
                bytes[random.usize(..size)] ^= random.u8(1..);
            }
        }
        fs::write(postroom.store_path(), damaged).unwrap();
        let _ = fs::remove_file(postroom.folder().join("postroom.db-wal"));
        let others: [&[&str]; 4] = [
            &["show", "9", "--format", "json"],
            &["status"],
            &["hold", "--all", "--yes"],
            &["deliver"],
        ];
        for arguments in [&["list", "--limit", "0"], others[page / 2 % others.len()]] {
            assert_survives(&postroom, arguments, &format!("page {page} {arguments:?}"));
        }
    }
}

#[test]
fn init_twice_leaves_everything_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("deep/config.toml");
    let store = folder.path().join("data/postroom.db");
    let (_server, postroom) = two_receivers();
    let arguments = [
        "init",
        "--config",
        config.to_str().unwrap(),
        "--store",
        store.to_str().unwrap(),
    ];
    let first = postroom.run(&arguments).ok();
    assert!(first.stdout.contains("created"), "{first:?}");
    let before = (fs::read(&config).unwrap(), fs::read(&store).unwrap());
    let second = postroom.run(&arguments).ok();
    assert_eq!(second.stdout.matches("exists already").count(), 2);
    assert_eq!(
        (fs::read(&config).unwrap(), fs::read(&store).unwrap()),
        before
    );
}

// The config and its secrets.

/// Every command that reads the config refuses it with these words.
fn assert_config_refused(postroom: &Postroom, config: &str, words: &[&str]) {
    fs::write(postroom.config_path(), config).unwrap();
    let path = postroom.config_path();
    let mut words = words.to_vec();
    words.push(path.to_str().unwrap());
    for arguments in [["list"].as_slice(), &["deliver"], &["submit"], &["console"]] {
        refused(postroom.run(arguments), 1, &words);
    }
    refused(postroom.run(&["status"]), 3, &words);
}

#[test]
fn a_slip_in_the_config_is_named_with_its_line_and_what_was_meant() {
    let (_server, postroom) = two_receivers();
    for (config, words) in [
        (
            "[delivery]\nresend_limits = 3\n",
            [
                "line 2",
                "unknown key `resend_limits`",
                "did you mean `resend_limit`?",
            ],
        ),
        (
            "[delivry]\n",
            [
                "line 1",
                "unknown key `delivry`",
                "did you mean `delivery`?",
            ],
        ),
        (
            "[backends.email]\nhots = \"mail.example.com\"\n",
            [
                "[backends.email]",
                "unknown key `hots`",
                "did you mean `host`?",
            ],
        ),
        (
            "[delivery]\n\nlease = \"2 fortnights\"\n",
            ["line 3", "`2 fortnights` is no duration", "\"5m\""],
        ),
        (
            "[delivery]\nbackoff = \"1m,soon\"\n",
            ["line 2", "`soon` is no duration", "\"30s\""],
        ),
        (
            "[delivery]\ndefault_backend = \"emial\"\n[backends.email]\nhost = \"localhost\"\n",
            ["`emial`", "[backends.emial]", "did you mean `email`?"],
        ),
        ("[delivery\n", ["line 1", "config.toml", ":"]),
    ] {
        assert_config_refused(&postroom, config, &words);
    }
}

#[test]
fn a_config_that_was_named_and_is_missing_or_no_text_is_an_error() {
    let (_server, postroom) = two_receivers();
    refused(
        postroom.run(&["list", "--config", "nowhere.toml"]),
        1,
        &[
            "nowhere.toml",
            "there is no such config file",
            "`postroom init`",
        ],
    );
    fs::write(postroom.config_path(), b"[store]\npath = \"\xff\"\n").unwrap();
    refused(
        postroom.run(&["list"]),
        1,
        &["config.toml", "cannot be read"],
    );
    let folder = postroom.folder();
    refused(
        postroom.run(&["list", "--config", folder.to_str().unwrap()]),
        1,
        &[folder.to_str().unwrap(), "cannot be read"],
    );
}

const SECRET: &str = "correct horse battery staple";

/// A backend that logs in with a password from there.
fn with_login(place: &str, value: &str) -> (Server, Postroom) {
    let server = Server::start(Script::accept_all().login("postroom", SECRET)).unwrap();
    let postroom = Setup::new()
        .smtp("email", &server)
        .set("backends.email.username", "postroom")
        .set(&format!("backends.email.{place}"), value)
        .build();
    postroom.submit(&[message("m", "t", &["april@example.com"])]);
    (server, postroom)
}

/// The backend cannot be used, everything that reads goes on, and the secret is told to nobody.
fn assert_secret_refused(server: &Server, postroom: &Postroom, words: &[&str]) {
    for arguments in [
        ["deliver"].as_slice(),
        &["run"],
        &["deliver", "-vv"],
        &["backend", "email", "probe"],
    ] {
        let ran = postroom.run(arguments).exit(1);
        assert!(!ran.stderr.contains(SECRET) && !ran.stdout.contains(SECRET));
        for word in words {
            assert!(ran.stderr.contains(word), "{word}: {ran:#?}");
        }
    }
    for arguments in [
        ["list"].as_slice(),
        &["status"],
        &["show", "1"],
        &["backend"],
    ] {
        let ran = postroom.run(arguments).ok();
        assert!(!ran.stdout.contains(SECRET), "{ran:?}");
    }
    server.with_ledger(|ledger| assert_eq!(ledger.messages, 0));
    assert_eq!(postroom.state_of("key:m"), "not_sent/queued");
}

#[test]
fn a_secret_that_others_can_read_is_not_used_until_its_mode_is_mended() {
    let (server, postroom) = with_login("password_file", "password");
    let secret = postroom.folder().join("password");
    fs::write(&secret, SECRET).unwrap();
    for mode in [0o644, 0o640, 0o604, 0o606] {
        fs::set_permissions(&secret, Permissions::from_mode(mode)).unwrap();
        let way_out = format!("chmod 600 {}", secret.display());
        let words = ["`email`", "can be read by others", &way_out];
        assert_secret_refused(&server, &postroom, &words);
    }
    fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
    assert_eq!(postroom.deliver().sent, 1);
    let ran = postroom.run(&["show", "1", "--format", "json"]).ok();
    assert!(!ran.stdout.contains(SECRET));
}

#[test]
fn a_secret_that_is_missing_or_empty_is_named() {
    let (server, postroom) = with_login("password_file", "nowhere/password");
    let words = [
        "`email`",
        "cannot read the secret",
        "nowhere/password",
        "password_file",
    ];
    assert_secret_refused(&server, &postroom, &words);

    let (server, postroom) = with_login("password_file", "password");
    let secret = postroom.folder().join("password");
    fs::write(&secret, "\n").unwrap();
    fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
    assert_secret_refused(&server, &postroom, &["`email`", "password", "empty"]);

    let (server, postroom) = with_login("password_env", "POSTROOM_TEST_NOBODY_SETS_THIS");
    let words = ["`email`", "POSTROOM_TEST_NOBODY_SETS_THIS", "is not set"];
    assert_secret_refused(&server, &postroom, &words);
}

#[test]
fn a_wrong_password_is_told_without_the_password() {
    let (_server, postroom) = with_login("password_file", "password");
    let secret = postroom.folder().join("password");
    fs::write(&secret, format!("not {SECRET}")).unwrap();
    fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
    for arguments in [
        ["deliver", "-vv"].as_slice(),
        &["backend", "email", "probe"],
        &["backend"],
        &["status"],
        &["show", "1"],
        &["show", "1", "--format", "json"],
    ] {
        let ran = postroom.run(arguments);
        let all = format!("{}{}", ran.stdout, ran.stderr);
        for encoded in [
            SECRET.to_owned(),
            base64(SECRET),
            base64(&format!("not {SECRET}")),
        ] {
            assert!(!all.contains(&encoded), "{arguments:?}: {all}");
        }
    }
    assert_eq!(postroom.state_of("key:m"), "failed/backend");
}

fn base64(text: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    STANDARD.encode(text)
}

// Where the output goes.

fn to_full_disk(postroom: &Postroom, arguments: &[&str], stderr_too: bool) -> (i32, String) {
    let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = postroom.command(arguments);
    command.stdin(Stdio::null()).stdout(full());
    if stderr_too {
        command.stderr(full());
    }
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!told.contains("panicked"), "{arguments:?}: {told}");
    (output.status.code().unwrap(), told)
}

#[test]
fn output_that_cannot_be_written_is_an_error_and_not_a_fault() {
    let (_server, postroom) = two_receivers();
    for (arguments, code) in [
        (["list"].as_slice(), 1),
        (&["list", "--format", "tsv"], 1),
        (&["show", "1"], 1),
        (&["status"], 3),
        (&["backend"], 1),
        (&["backend", "email", "pause"], 1),
        (&["backend", "email", "resume"], 1),
        (&["backend", "email", "probe"], 1),
        (&["hold", "--all", "--dry-run"], 1),
        (&["hold", "--all", "--yes"], 1),
        (&["release", "--all", "--yes"], 1),
        (&["resend-failed"], 1),
        (&["deliver"], 1),
        (&["deliver", "--format", "json"], 1),
        (&["migrate"], 1),
        (&["init"], 1),
    ] {
        let (exit, told) = to_full_disk(&postroom, arguments, false);
        assert_eq!(exit, code, "{arguments:?}: {told}");
        assert!(
            told.contains("cannot write to standard output") && told.contains("No space left"),
            "{arguments:?}: {told}"
        );
        assert_eq!(to_full_disk(&postroom, arguments, true).0, code);
    }
    // The work itself was done.
    assert_eq!(postroom.count("status:sent"), 2);
    for (arguments, code) in [
        (["list", "foo:bar"].as_slice(), 2),
        (&["show", "x"], 2),
        (&["show", "4711"], 1),
        (&["list", "--config", "nowhere"], 1),
    ] {
        assert_eq!(to_full_disk(&postroom, arguments, true).0, code);
    }
}

#[test]
fn a_log_that_nobody_reads_costs_no_result() {
    let server = Server::start(Script::accept_all().rcpt(
        "gone@example.com",
        Action::reply(550, "5.1.1", "no such user"),
    ))
    .unwrap();
    let postroom = Postroom::to(&server);
    postroom.submit(&[message(
        "m",
        "t",
        &["april@example.com", "gone@example.com", "ben@example.com"],
    )]);
    let mut child = postroom
        .command(&["deliver", "-vvvv"])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(postroom.count("status:sent"), 2);
    assert_eq!(postroom.state_of("to:gone@example.com"), "error/permanent");
    server.with_ledger(|ledger| assert_eq!(ledger.duplicates(), []));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error_but_receipts_that_nobody_reads_are() {
    let (_server, postroom) = two_receivers();
    let broken = |arguments: &[&str], input: &str| {
        // Nobody listens from the start: a pipe closed after the start might still have taken the words.
        let (listener, stdout) = std::io::pipe().unwrap();
        drop(listener);
        let mut child = postroom.command(arguments).stdout(stdout).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!told.contains("panicked"), "{told}");
        (output.status.code(), told)
    };
    for arguments in [["list"].as_slice(), &["show", "1"], &["backend"]] {
        assert_eq!(broken(arguments, ""), (Some(0), String::new()));
    }
    // The exit code tells all the same.
    assert_eq!(broken(&["status"], ""), (Some(0), String::new()));
    let (code, told) = broken(
        &["submit"],
        &lines(&[message("n", "t", &["a@example.com"])]),
    );
    assert_eq!(code, Some(1));
    assert!(told.contains("standard output"), "{told}");
}
