//! A disk that forgets what was not synced when the power goes, and one that fails: Sent stays Sent, and no result is lost silently.
//!
//! `POSTROOM_CUTS=500 cargo test --test storage` cuts the power more often, and lets every single write fail once.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../support/mod.rs"]
mod support;

mod shim;

use std::{
    collections::BTreeSet,
    env, fs,
    path::PathBuf,
    process::{Command, Stdio},
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use fastrand::Rng;
use postroom::{
    demo::server::{Action, Phase, Script, Server},
    message::Outcome,
    query::{Context, Query},
    store::{Anchor, Reader, Store},
};
use rusqlite::Connection;
use shim::Disk;
use support::{
    Postroom, Running, SOON, Service, Setup, Signal, Summary, assert_explained, free_address,
    lengthen_the_log, listening, several,
};

fn cuts() -> usize {
    let told = env::var("POSTROOM_CUTS").ok();
    told.map_or(16, |told| told.parse().unwrap())
}

/// Where the power may go, beside nowhere in particular (`src/fail.rs`), and up to which time the process is there.
const POINTS: [(&str, u64); 8] = [
    ("before a commit", 7),
    ("after a commit", 7),
    ("before another commit", 7),
    ("after another commit", 7),
    ("before the arm", 7),
    ("before the body", 7),
    ("after the dot", 7),
    ("after the reply", 7),
];

/// The same while a long log is moved into the file, and soon after.
const MOVING: [(&str, u64); 5] = [
    ("before a commit", 12),
    ("after a commit", 12),
    ("after the log began anew", 1),
    ("while the log is moved", 2),
    ("before the log begins anew", 1),
];

/// Who was seen to be Sent by somebody who looked.
#[derive(Default)]
struct Witness {
    store: OnceLock<PathBuf>,
    seen: Mutex<BTreeSet<i64>>,
}

impl Witness {
    fn sent(&self) -> BTreeSet<i64> {
        let store = Store::open_read_only(self.store.get().unwrap()).unwrap();
        let sent = Query::parse("status:sent", &Context::local()).unwrap();
        let reader = store.reader().unwrap();
        let rows = reader.window(&sent, Anchor::First, 100_000).unwrap();
        rows.iter().map(|row| row.id.0).collect()
    }

    fn look(&self) {
        self.seen.lock().unwrap().extend(self.sent());
    }
}

/// What there is to do when the power goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Log {
    Short,
    /// A log that is moved into the file and begins anew.
    Long,
}

fn cut_the_power(test: &str, log: Log, on_unknown: &str, most: usize) {
    let witness = Arc::new(Witness::default());
    let looking = Arc::clone(&witness);
    let server = Server::start(Script::accept_all().by(move |event| {
        if event.phase == Phase::Dot && event.transaction % 3 == 0 {
            looking.look();
        }
        None
    }))
    .unwrap();
    let postroom = Setup::new()
        .smtp("email", &server)
        .set("backends.email.on_unknown", on_unknown)
        .set("backends.email.connections", 2)
        .build();
    witness.store.set(postroom.store_path()).unwrap();
    let Some(disk) = Disk::under(&postroom, test) else {
        return;
    };
    let mut rng = Rng::with_seed(7);
    // A long log is copied whole at every sync.
    let (cuts, points, writes) = match log {
        Log::Short => (cuts(), &POINTS[..], 400),
        Log::Long => (cuts().div_ceil(4), &MOVING[..], 9_500),
    };
    for cut in 0..cuts {
        postroom.submit(&several(&format!("m{cut}."), 12));
        let onlooker = (log == Log::Long).then(|| long_log(&postroom));
        disk.sync();
        // At one of the points, or instead of any write or sync.
        let (fault, at) = if cut % 2 == 0 {
            let (point, times) = points[cut / 2 % points.len()];
            let at = format!("{point}:{}", rng.u64(1..=times));
            ("POSTROOM_KILL_AT", at)
        } else {
            ("POSTROOM_DISK_FAIL", format!("KILL:{}", rng.u64(1..writes)))
        };
        let deliver = &mut disk.command(&["deliver"]);
        Running::spawn(deliver.env(fault, &at)).wait();
        drop(onlooker);
        // Nobody looks while the power goes.
        let seen = witness.seen.lock().unwrap();
        disk.cut(&mut rng);
        let whole: String = Connection::open(postroom.store_path())
            .unwrap()
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(whole, "ok", "cut {cut}, {at}");
        let turned: Vec<_> = seen.difference(&witness.sent()).copied().collect();
        assert_eq!(turned, [0; 0], "cut {cut}, {at}: Sent turned back");
    }
    assert!((0..6).any(|_| postroom.deliver() == Summary::default()));
    assert_explained(&postroom, &server, most);
    assert!(!witness.seen.lock().unwrap().is_empty());
}

/// Makes the log long. As long as the one who looks on is there it stays so.
fn long_log(postroom: &Postroom) -> Reader {
    let store = Store::open_read_only(&postroom.store_path()).unwrap();
    let onlooker = store.reader().unwrap();
    onlooker.counts().unwrap();
    lengthen_the_log(&postroom.store_path());
    onlooker
}

#[test]
fn when_the_power_goes_while_the_log_is_moved_sent_is_still_sent_and_nobody_gets_anything_twice() {
    let test = "when_the_power_goes_while_the_log_is_moved_sent_is_still_sent_and_nobody_gets_anything_twice";
    cut_the_power(test, Log::Long, "hold", 1);
}

#[test]
fn after_a_power_cut_sent_is_still_sent_and_under_hold_nobody_gets_anything_twice() {
    let test = "after_a_power_cut_sent_is_still_sent_and_under_hold_nobody_gets_anything_twice";
    cut_the_power(test, Log::Short, "hold", 1);
}

#[test]
fn after_a_power_cut_under_resend_every_copy_is_explained() {
    let test = "after_a_power_cut_under_resend_every_copy_is_explained";
    cut_the_power(test, Log::Short, "resend", 2);
}

#[test]
fn what_got_a_receipt_is_there_after_a_power_cut() {
    let postroom = Setup::new().file("disk").build();
    let test = "what_got_a_receipt_is_there_after_a_power_cut";
    let Some(disk) = Disk::under(&postroom, test) else {
        return;
    };
    let mut rng = Rng::with_seed(11);
    let mut known = BTreeSet::new();
    for cut in 0..cuts() {
        let lines = several(&format!("m{cut}."), 30);
        let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
        let file = postroom.folder().join("letters");
        fs::write(&file, lines.join("\n")).unwrap();
        // As long as somebody looks on, the log is not moved into the file, and synced, when a process ends.
        let onlooker = Store::open_read_only(&postroom.store_path()).unwrap();
        onlooker.reader().unwrap().counts().unwrap();
        let (point, _) = POINTS[2 + cut % 2];
        let submit = &mut disk.command(&["submit", file.to_str().unwrap()]);
        let at = format!("{point}:{}", rng.u64(1..6));
        let ran = Running::spawn(submit.env("POSTROOM_KILL_AT", at)).wait();
        let receipts = ran.stdout.lines().filter_map(|line| {
            let receipt = serde_json::from_str::<serde_json::Value>(line).ok()?;
            Some(receipt["key"].as_str()?.to_owned())
        });
        known.extend(receipts);
        drop(onlooker);
        disk.cut(&mut rng);
        let stored: BTreeSet<String> = postroom
            .details()
            .iter()
            .map(|detail| detail.row.message_key.raw().to_owned())
            .collect();
        let lost: Vec<_> = known.difference(&stored).collect();
        assert_eq!(lost, [""; 0]);
    }
    assert!(!known.is_empty());
}

/// A server, six messages for it over one connection, and the store they are in.
fn six(script: Script) -> (Server, Postroom) {
    let server = Server::start(script).unwrap();
    let postroom = Setup::new()
        .smtp("email", &server)
        .set("backends.email.on_unknown", "hold")
        .set("backends.email.connections", 1)
        .set("delivery.min_free", "0")
        .build();
    postroom.submit(&several("m", 6));
    (server, postroom)
}

/// Lets one write or sync after the other fail, each in a store of its own; in CI not every one of them.
fn one_failure(test: &str, error: &str) {
    let step = if env::var_os("POSTROOM_CUTS").is_some() {
        1
    } else {
        9
    };
    let mut times = 1;
    loop {
        let (server, postroom) = six(Script::accept_all());
        let Some(disk) = Disk::under(&postroom, test) else {
            return;
        };
        let deliver = &mut disk.command(&["deliver", "--format", "json"]);
        let fault = format!("{error}:{times}");
        let ran = Running::spawn(deliver.env("POSTROOM_DISK_FAIL", &fault)).wait();
        if !disk.has_failed() {
            assert!(times > 30, "there were only {times} writes");
            return;
        }
        match ran.status.code() {
            Some(0) => assert_eq!(postroom.count("status:sent"), 6, "{fault}: {ran:#?}"),
            _ => assert!(ran.stderr.contains("postroom: "), "{fault}: {ran:#?}"),
        }
        postroom.deliver();
        let unknown = postroom.details().iter().any(|detail| {
            let mut attempts = detail.attempts.iter();
            attempts.any(|attempt| attempt.outcome == Some(Outcome::Unknown))
        });
        assert!(!unknown, "{fault}: a result was lost: {ran:#?}");
        assert_explained(&postroom, &server, 1);
        assert_eq!(postroom.count("status:sent"), 6, "{fault}");
        times += step;
    }
}

#[test]
fn a_write_that_fails_once_costs_nobody_a_result() {
    one_failure("a_write_that_fails_once_costs_nobody_a_result", "EIO");
}

#[test]
fn a_disk_that_is_full_once_costs_nobody_a_result() {
    one_failure("a_disk_that_is_full_once_costs_nobody_a_result", "ENOSPC");
}

/// A disk that fails from the fourth message's announcement on, until the file at this path is removed.
fn failing_at_the_fourth(broken: &Arc<OnceLock<PathBuf>>) -> Script {
    let broken = Arc::clone(broken);
    Script::accept_all().by(move |event| {
        if event.phase == Phase::Data && event.transaction == 4 {
            fs::write(broken.get().unwrap(), "").unwrap();
        }
        None
    })
}

#[test]
fn while_the_disk_refuses_nothing_is_sent_and_what_was_answered_is_written_when_it_takes_it() {
    let broken = Arc::new(OnceLock::new());
    let (server, postroom) = six(failing_at_the_fourth(&broken));
    let test =
        "while_the_disk_refuses_nothing_is_sent_and_what_was_answered_is_written_when_it_takes_it";
    let Some(disk) = Disk::under(&postroom, test) else {
        return;
    };
    broken.set(disk.broken()).unwrap();
    let deliver = Running::spawn(&mut disk.command(&["deliver", "--format", "json"]));
    // Announced, not armed: the connection is closed without a dot.
    assert!(server.wait_for(
        |ledger| ledger.met(Phase::Data) >= 4 && ledger.open == 0,
        SOON
    ));
    server.with_ledger(|ledger| assert_eq!(ledger.messages, 3));
    fs::remove_file(disk.broken()).unwrap();
    let ran = deliver.wait().ok();
    assert_eq!(ran.json_lines()[0]["sent"], 6, "{ran:#?}");
    assert_eq!(postroom.count("status:sent"), 6);
    assert_explained(&postroom, &server, 1);
}

#[test]
fn a_disk_that_takes_writes_and_keeps_none_costs_the_server_one_message_begun_in_vain() {
    let broken = Arc::new(OnceLock::new());
    let (server, postroom) = six(Script::accept_all().by({
        let broken = Arc::clone(&broken);
        move |event| {
            if event.phase == Phase::Data && event.connection == 1 {
                fs::write(broken.get().unwrap(), "sync").unwrap();
            }
            None
        }
    }));
    let test = "a_disk_that_takes_writes_and_keeps_none_costs_the_server_one_message_begun_in_vain";
    let Some(disk) = Disk::under(&postroom, test) else {
        return;
    };
    broken.set(disk.broken()).unwrap();
    let service = Running::spawn(&mut disk.command(&["run"]));
    assert!(!server.wait_for(|ledger| ledger.met(Phase::Data) > 1, Duration::from_secs(2)));
    fs::remove_file(disk.broken()).unwrap();
    assert!(server.wait_for(|ledger| ledger.messages == 6, SOON));
    service.terminate().ok();
    assert_eq!(postroom.count("status:sent"), 6);
    assert_explained(&postroom, &server, 1);
}

#[test]
fn killed_while_the_disk_refuses_what_was_not_written_is_in_doubt_and_nothing_goes_twice() {
    let broken = Arc::new(OnceLock::new());
    let (server, postroom) = six(failing_at_the_fourth(&broken));
    let test =
        "killed_while_the_disk_refuses_what_was_not_written_is_in_doubt_and_nothing_goes_twice";
    let Some(disk) = Disk::under(&postroom, test) else {
        return;
    };
    broken.set(disk.broken()).unwrap();
    let deliver = Running::spawn(&mut disk.command(&["deliver"]));
    assert!(server.wait_for(
        |ledger| ledger.met(Phase::Data) >= 4 && ledger.open == 0,
        SOON
    ));
    deliver.signal(Signal::KILL);
    drop(deliver.wait());
    fs::remove_file(disk.broken()).unwrap();
    postroom.deliver();
    assert_explained(&postroom, &server, 1);
    assert_eq!(postroom.count("reason:unconfirmed"), 1);
    assert_eq!(postroom.count("status:sent"), 5);
}

#[test]
fn what_could_not_be_let_go_while_the_disk_refused_goes_out_when_it_takes_it() {
    let broken: Arc<OnceLock<PathBuf>> = Arc::default();
    let place = Arc::clone(&broken);
    // The first connection is turned away, and from then on the disk refuses.
    let (server, postroom) = six(Script::accept_all().by(move |event| {
        let first = event.phase == Phase::Greeting && event.connection == 1;
        first.then(|| {
            fs::write(place.get().unwrap(), "").unwrap();
            Action::reply(421, "4.3.2", "not now").and_close()
        })
    }));
    let test = "what_could_not_be_let_go_while_the_disk_refused_goes_out_when_it_takes_it";
    let Some(disk) = Disk::under(&postroom, test) else {
        return;
    };
    broken.set(disk.broken()).unwrap();
    let command = disk.command(&["run"]);
    let environment = command
        .get_envs()
        .filter_map(|(name, value)| value.map(|value| (name, value)));
    // Its log is on stderr.
    let mut service = Running::spawn(
        Command::new("sh")
            .args(["-c", "exec \"$0\" run 2>&1"])
            .arg(command.get_program())
            .current_dir(postroom.folder())
            .envs(environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped()),
    );
    // Neither the backend's trouble could be written, nor that six receivers are free.
    for _ in 0..2 {
        service
            .line(|line| line.contains("the store cannot be written") && line.contains("backend="));
    }
    fs::remove_file(disk.broken()).unwrap();
    assert!(server.wait_for(|ledger| ledger.messages == 6, SOON));
    service.terminate().ok();
    assert_eq!(postroom.count("status:sent"), 6);
    assert_explained(&postroom, &server, 1);
}

/// Makes of this store what the first version of Postroom would have made of it.
fn in_the_first_schema(postroom: &Postroom) {
    let path = postroom.store_path();
    let newer = path.with_extension("newer");
    fs::rename(&path, &newer).unwrap();
    let conn = Connection::open(&path).unwrap();
    conn.execute("ATTACH ? AS newer", [newer.to_str().unwrap()])
        .unwrap();
    let id: i64 = conn
        .query_row("PRAGMA newer.application_id", [], |row| row.get(0))
        .unwrap();
    conn.pragma_update(None, "application_id", id).unwrap();
    conn.execute_batch(include_str!("../../assets/migrations/0001-spine.sql"))
        .unwrap();
    conn.pragma_update(None, "user_version", 1).unwrap();
    for table in [
        "kind", "backend", "content", "message", "job", "receiver", "attempt", "audit",
    ] {
        let columns: String = conn
            .query_row(
                "SELECT group_concat(name) FROM pragma_table_info(?)",
                [table],
                |row| row.get(0),
            )
            .unwrap();
        let copy = format!("INSERT INTO {table} ({columns}) SELECT {columns} FROM newer.{table}");
        conn.execute(&copy, []).unwrap();
    }
}

#[test]
fn when_the_power_goes_in_the_middle_of_a_migration_the_next_one_finishes_and_nobody_is_lost() {
    let test =
        "when_the_power_goes_in_the_middle_of_a_migration_the_next_one_finishes_and_nobody_is_lost";
    let refusal = Action::reply(451, "4.7.1", "greylisted");
    let server = Server::start(Script::accept_all().by(move |event| {
        let refused = event.phase == Phase::Rcpt && event.recipient?.contains('7');
        refused.then(|| refusal.clone())
    }))
    .unwrap();
    let old = Postroom::to(&server);
    old.submit(&several("m", 300));
    old.deliver();
    let told = |postroom: &Postroom| {
        postroom
            .run(&["list", "--format", "json", "--limit", "0"])
            .ok()
            .stdout
    };
    let before = told(&old);
    in_the_first_schema(&old);

    let mut rng = Rng::with_seed(5);
    let step = if env::var_os("POSTROOM_CUTS").is_some() {
        1
    } else {
        23
    };
    let mut times = 1;
    loop {
        let postroom = Postroom::to(&server);
        fs::copy(old.store_path(), postroom.store_path()).unwrap();
        let Some(disk) = Disk::under(&postroom, test) else {
            return;
        };
        let migrate = &mut disk.command(&["migrate"]);
        let fault = format!("KILL:{times}");
        let ran = Running::spawn(migrate.env("POSTROOM_DISK_FAIL", &fault)).wait();
        if !disk.has_failed() {
            assert!(times > 30, "there were only {times} writes");
            ran.ok();
            return;
        }
        assert!(ran.was_killed(), "{fault}: {ran:?}");
        disk.cut(&mut rng);
        postroom.run(&["migrate"]).ok();
        postroom.run(&["check"]).ok();
        assert_eq!(told(&postroom), before, "{fault}");
        times += step;
    }
}

#[test]
fn a_log_that_the_disk_does_not_let_into_the_store_is_told_once_and_moved_when_it_does() {
    let address = free_address();
    let postroom = listening(address).build();
    let test =
        "a_log_that_the_disk_does_not_let_into_the_store_is_told_once_and_moved_when_it_does";
    let Some(disk) = Disk::under(&postroom, test) else {
        return;
    };
    let service = Service::running(&postroom, disk.command(&["-v", "run"]), address);
    fs::write(disk.broken(), "").unwrap();
    lengthen_the_log(&postroom.store_path());
    let told = || service.log().matches("log cannot be moved").count();
    postroom.wait_until("it is told", |_| told() == 1);
    fs::remove_file(disk.broken()).unwrap();
    postroom.wait_until("the log is moved", |postroom| {
        fs::metadata(postroom.store_path()).unwrap().len() > 16 << 20
    });
    assert_eq!(told(), 1, "{}", service.log());
}

#[test]
fn a_log_that_grows_since_somebody_does_not_end_to_read_is_told() {
    let address = free_address();
    let postroom = listening(address).build();
    let service = Service::start(&postroom, address);
    let reader = Connection::open(postroom.store_path()).unwrap();
    let reading = reader.unchecked_transaction().unwrap();
    let look = "SELECT count(*) FROM content";
    let contents: i64 = reading.query_row(look, [], |row| row.get(0)).unwrap();
    assert_eq!(contents, 0);
    let other = Connection::open(postroom.store_path()).unwrap();
    other.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
    let add = "INSERT INTO content (hash, subject, codec, body) VALUES (randomblob(32), '', 0, zeroblob(300000000))";
    other.execute(add, []).unwrap();
    postroom.wait_until("it is told", |_| {
        service.log().contains("log grows and grows")
    });
}
