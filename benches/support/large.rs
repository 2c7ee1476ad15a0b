//! Stores of the demo's mix, of any size: made once, kept under `target/`, so that a second run begins at once.
//!
//! A small one is what `postroom demo --receivers` writes. A large one is that many times over: the program's own way takes a transaction and a
//! dozen indexes for every few messages, which is hours at ten million. Here every table is copied in the order of its id, and the indexes are made
//! at the end; then the program itself fills the text index.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use postroom::store::{SCHEMA, Store};
use rusqlite::Connection;

/// Up to here the program itself makes the store; larger ones are multiples of it.
const BASE: usize = 100_000;

/// Receivers that one step adds to the text index.
const STEP: usize = 20_000;

/// Raised when what is kept is to be made anew though its schema is the same.
const EDITION: u32 = 2;

/// The file of a store with so many receivers. Above 100,000 only multiples of that.
pub fn store(receivers: usize) -> PathBuf {
    let folder = format!("demo-{receivers}-schema-{SCHEMA}-{EDITION}");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
    let (path, made) = (folder.join("postroom.db"), folder.join("made"));
    if made.exists() {
        return path;
    }
    // What is there was left half made.
    if folder.exists() {
        fs::remove_dir_all(&folder).expect("removed");
    }
    let teller = Teller {
        receivers,
        began: Instant::now(),
    };
    if receivers <= BASE {
        demo(&folder, receivers);
    } else {
        assert!(
            receivers.is_multiple_of(BASE),
            "a store of {receivers}: above {BASE} only multiples of that"
        );
        let base = store(BASE);
        fs::create_dir_all(&folder).expect("a folder");
        drop(Store::create(&path).expect("a store"));
        multiply(&base, &path, receivers / BASE, &teller).expect("multiplied");
    }
    index(&path, &teller);
    fs::write(made, "").expect("marked");
    path
}

/// Says how far a store is.
struct Teller {
    receivers: usize,
    began: Instant,
}

impl Teller {
    fn say(&self, what: &str) {
        let (receivers, took) = (self.receivers, self.began.elapsed().as_secs());
        eprintln!("making a store of {receivers} receivers: {what} ({took} s)");
    }
}

fn demo(folder: &Path, receivers: usize) {
    let made = Command::new(env!("CARGO_BIN_EXE_postroom"))
        .args(["demo", "--receivers", &receivers.to_string(), "--seed-only"])
        .arg(folder)
        .stdout(Stdio::null())
        .status();
    assert!(made.expect("a process").success());
}

/// The text index, as the program fills it.
fn index(path: &Path, teller: &Teller) {
    let store = Store::open(path).expect("a store");
    let (mut indexed, mut told) = (0, 0);
    loop {
        let added = store.index_some(STEP).expect("indexed");
        indexed += added;
        if added == 0 {
            break;
        }
        if indexed >= told + teller.receivers / 10 {
            told = indexed;
            teller.say(&format!("{indexed} in the text index"));
        }
    }
    drop(store);
    // As the program's own upkeep does until nothing is left to merge.
    let conn = Connection::open(path).expect("a store");
    loop {
        let before = conn.total_changes();
        conn.execute_batch("INSERT INTO search (search, rank) VALUES ('merge', 2000)")
            .expect("merged");
        if conn.total_changes() - before < 2 {
            break;
        }
    }
    conn.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        .expect("a short log");
    teller.say("ready");
}

/// Fills an empty store with everything of another one, so many times.
fn multiply(from: &Path, into: &Path, times: usize, teller: &Teller) -> rusqlite::Result<()> {
    let conn = Connection::open(into)?;
    conn.execute_batch(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF;
         PRAGMA ignore_check_constraints = ON; PRAGMA cache_size = -1000000; PRAGMA threads = 2;
         CREATE TEMP TABLE copy (n INTEGER PRIMARY KEY);",
    )?;
    conn.execute("ATTACH ? AS base", [from.to_str().expect("a path")])?;
    for n in 0..times {
        conn.execute("INSERT INTO copy VALUES (?)", [n as i64])?;
    }
    let made_later: Vec<(String, String, String)> = conn
        .prepare("SELECT type, name, sql FROM main.sqlite_schema WHERE type IN ('index', 'trigger') AND sql IS NOT NULL ORDER BY type, name")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    for (kind, name, _) in &made_later {
        conn.execute_batch(&format!("DROP {kind} main.{name}"))?;
    }
    for table in ["kind", "backend", "cause"] {
        conn.execute_batch(&format!(
            "INSERT INTO main.{table} SELECT * FROM base.{table}"
        ))?;
    }
    for table in ["content", "message", "receiver", "attempt"] {
        copies(&conn, table, times)?;
        teller.say(table);
    }
    for (table, keys, numbers) in [
        ("counter", "backend_id, kind_id, state", "n"),
        ("cause_counter", "cause_id, backend_id, kind_id, state", "n"),
        ("traffic", "minute, backend_id", "accepted, failed"),
    ] {
        let multiplied: Vec<String> = numbers
            .split(", ")
            .map(|number| format!("{number} * {times}"))
            .collect();
        let multiplied = multiplied.join(", ");
        conn.execute_batch(&format!(
            "INSERT INTO main.{table} ({keys}, {numbers}) SELECT {keys}, {multiplied} FROM base.{table}"
        ))?;
    }
    conn.execute_batch(
        "INSERT INTO stretch (number, created_from, created_to, sent_from, sent_to)
         SELECT id >> 12, min(created_at >> 22), max(created_at >> 22), min(sent_at >> 22), max(sent_at >> 22) FROM receiver GROUP BY 1",
    )?;
    for (kind, name, sql) in &made_later {
        conn.execute_batch(sql)?;
        if kind == "index" {
            teller.say(name);
        }
    }
    conn.execute_batch("DETACH base; PRAGMA journal_mode = WAL;")
}

/// Every row of a table so many times, neighbours together: the ids are in the same order as before.
fn copies(conn: &Connection, table: &str, times: usize) -> rusqlite::Result<()> {
    let columns: Vec<String> = conn
        .prepare("SELECT name FROM pragma_table_info(?)")?
        .query_map([table], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let value = |column: &String| match (table, column.as_str()) {
        (_, "id") | ("receiver", "message_id" | "content_id") | ("attempt", "receiver_id") => {
            format!("(t.{column} - 1) * {times} + n + 1")
        }
        // What may be there only once.
        ("content", "hash") => "iif(n = 0, t.hash, randomblob(32))".to_owned(),
        ("message", "key") | ("receiver", "uid") => {
            format!("iif(n = 0, t.{column}, t.{column} || printf('-%x', n))")
        }
        // Another person.
        ("receiver", "identity" | "user") => {
            format!("iif(n = 0, t.{column}, printf('x%x', n) || t.{column})")
        }
        _ => format!("t.{column}"),
    };
    let values: Vec<String> = columns.iter().map(value).collect();
    let (columns, values) = (columns.join(", "), values.join(", "));
    conn.execute_batch(&format!(
        "INSERT INTO main.{table} ({columns}) SELECT {values} FROM base.{table} t CROSS JOIN copy ORDER BY t.id, n"
    ))
}
