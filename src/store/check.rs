//! Looking through a whole store for what should never be: it only reads. Each point says what is well, or what is wrong and the way out.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use rusqlite::Connection;

use super::{Reader, StoreError, codec, engine, half, schema};

/// What a point came to: in words, what is well, or what is wrong and the way out.
pub type Finding = Result<String, String>;

/// One point: its name, and how it is looked at.
pub type Point = (&'static str, fn(&Reader) -> Result<Finding, StoreError>);

/// Every point, the quick ones first. Those of the whole store take about as long as reading it.
pub const POINTS: &[Point] = &[
    ("schema", |reader| reader.run(schema_as_migrated)),
    ("leftovers", |reader| Ok(leftovers(&reader.path))),
    ("text_index", |reader| reader.run(text_index)),
    ("integrity", |reader| reader.run(integrity)),
    ("foreign_keys", |reader| reader.run(foreign_keys)),
    ("contents", |reader| reader.run(contents)),
    ("counters", |reader| reader.run(counters)),
];

/// A table of counts that triggers keep: column `n` for each distinct value of the keys among the rows.
struct Counter {
    table: &'static str,
    keys: &'static str,
    rows: &'static str,
}

const COUNTERS: &[Counter] = &[
    Counter {
        table: "counter",
        keys: "backend_id, kind_id, state",
        rows: "receiver",
    },
    Counter {
        table: "cause_counter",
        keys: "cause_id, backend_id, kind_id, state",
        rows: "receiver WHERE cause_id IS NOT NULL",
    },
];

/// Receivers whose times lie outside of what is kept of their stretch of ids.
const OUTSIDE: &str = "SELECT count(*) FROM receiver r LEFT JOIN stretch z ON z.number = r.id >> 12
    WHERE z.number IS NULL OR r.created_at >> 22 NOT BETWEEN z.created_from AND z.created_to
       OR (r.sent_at IS NOT NULL AND coalesce(r.sent_at >> 22 NOT BETWEEN z.sent_from AND z.sent_to, 1))";

/// So many faults are told, of however many there are.
const TOLD: usize = 3;

const RESTORE: &str =
    "restore a backup; until then copy the file, before anything else writes to it";

/// Some faults in words, with how many more there are.
fn told(faults: &[String]) -> String {
    let some = faults.iter().take(TOLD).map(String::as_str);
    let some = some.collect::<Vec<_>>().join("; ");
    match faults.len().saturating_sub(TOLD) {
        0 => some,
        more => format!("{some}; and {more} more"),
    }
}

fn integrity(conn: &Connection) -> rusqlite::Result<Finding> {
    let said: Vec<String> = conn
        .prepare("PRAGMA integrity_check(100)")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    Ok(match said.as_slice() {
        [ok] if ok == "ok" => Ok("every page, index and value is as it should be".to_owned()),
        faults => Err(format!("{}: {RESTORE}", told(faults))),
    })
}

fn foreign_keys(conn: &Connection) -> rusqlite::Result<Finding> {
    let mut missing: BTreeMap<(String, String), u64> = BTreeMap::new();
    let mut statement = conn.prepare("PRAGMA foreign_key_check")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        *missing.entry((row.get(0)?, row.get(2)?)).or_default() += 1;
    }
    let faults: Vec<_> = missing
        .into_iter()
        .map(|((table, parent), n)| format!("{n} of {table} name a {parent} that is not there"))
        .collect();
    Ok(if faults.is_empty() {
        Ok("everything that is named is there".to_owned())
    } else {
        Err(format!("{}: {RESTORE}", told(&faults)))
    })
}

/// What is to be sent is known by what it was when it was handed over: SQLite does not notice a letter that has become another.
fn contents(conn: &Connection) -> rusqlite::Result<Finding> {
    let mut statement = conn.prepare("SELECT id, codec, body, hash FROM content")?;
    let mut rows = statement.query([])?;
    let (mut whole, mut broken, mut faults) = (0_u64, 0_u64, Vec::new());
    while let Some(row) = rows.next()? {
        let (body, hash) = (row.get_ref(2)?, row.get_ref(3)?);
        if codec::is_whole(row.get(1)?, body.as_blob()?, hash.as_blob()?) {
            whole += 1;
            continue;
        }
        broken += 1;
        if faults.len() < TOLD {
            let id: i64 = row.get(0)?;
            let receiver = "SELECT min(id) FROM receiver WHERE content_id = ?";
            let receiver: Option<i64> = conn.query_row(receiver, [id], |row| row.get(0))?;
            faults.push(match receiver {
                Some(receiver) => format!("{id} (of receiver {receiver})"),
                None => id.to_string(),
            });
        }
    }
    Ok(if broken == 0 {
        Ok(format!("{whole} are what was handed over"))
    } else {
        Err(format!(
            "{broken} are not what was handed over, such as {}: {RESTORE}",
            faults.join(", ")
        ))
    })
}

fn counters(conn: &Connection) -> rusqlite::Result<Finding> {
    // One read transaction, or somebody writes between the count and the rows.
    let tx = conn.unchecked_transaction()?;
    let mut faults = Vec::new();
    let mut rows = 0;
    for Counter {
        table,
        keys,
        rows: of,
    } in COUNTERS
    {
        let counted = count(&tx, &format!("SELECT {keys}, 1 FROM {of}"))?;
        let mut kept = count(&tx, &format!("SELECT {keys}, n FROM {table}"))?;
        rows += counted.values().sum::<i64>();
        for (key, n) in counted {
            let says = kept.remove(&key).unwrap_or(0);
            if says != n {
                faults.push(format!(
                    "{table} says {says} for {keys} = {key:?}, and there are {n}"
                ));
            }
        }
        for (key, says) in kept.into_iter().filter(|(_, says)| *says != 0) {
            faults.push(format!(
                "{table} says {says} for {keys} = {key:?}, and there are none"
            ));
        }
    }
    let outside: i64 = tx.query_row(OUTSIDE, [], |row| row.get(0))?;
    if outside > 0 {
        faults.push(format!(
            "{outside} receivers have times that stretch does not know, so that a question for a time may overlook them"
        ));
    }
    Ok(if faults.is_empty() {
        Ok(format!("{rows} rows counted anew, and the counts agree"))
    } else {
        Err(format!(
            "{}: the numbers that are shown are wrong, the receivers themselves are not touched; restore a backup, or stop everything and count anew (in SQL: DELETE the rows of that table, INSERT the recount)",
            told(&faults)
        ))
    })
}

/// Adds up the last column of a query by all that come before it. In memory there is only what is distinct.
fn count(conn: &Connection, sql: &str) -> rusqlite::Result<BTreeMap<Vec<i64>, i64>> {
    let mut statement = conn.prepare(sql)?;
    let keys = statement.column_count() - 1;
    let mut rows = statement.query([])?;
    let (mut counted, mut key) = (BTreeMap::new(), Vec::with_capacity(keys));
    while let Some(row) = rows.next()? {
        key.clear();
        for column in 0..keys {
            key.push(row.get(column)?);
        }
        let n: i64 = row.get(keys)?;
        match counted.get_mut(&key) {
            Some(sum) => *sum += n,
            None => drop(counted.insert(key.clone(), n)),
        }
    }
    Ok(counted)
}

fn schema_as_migrated(conn: &Connection) -> rusqlite::Result<Finding> {
    let mut fresh = Connection::open_in_memory()?;
    schema::migrate(&mut fresh)?;
    let (wanted, found) = (parts(&fresh)?, parts(conn)?);
    let mut faults: Vec<String> = Vec::new();
    for (name, sql) in &wanted {
        match found.get(name) {
            None => faults.push(format!("{name} is missing")),
            Some(other) if other != sql => faults.push(format!("{name} is another")),
            Some(_) => {}
        }
    }
    let strange = found.keys().filter(|name| !wanted.contains_key(*name));
    faults.extend(strange.map(|name| format!("{name} is not ours")));
    let number = schema::version(conn)?;
    Ok(if faults.is_empty() {
        Ok(format!("number {number}, as its migrations make it"))
    } else {
        Err(format!(
            "number {number}, but {}: undo what was changed by hand, or restore a backup",
            told(&faults)
        ))
    })
}

/// What a schema is made of; what SQLite makes for itself is left out.
fn parts(conn: &Connection) -> rusqlite::Result<BTreeMap<String, String>> {
    conn.prepare(
        "SELECT type || ' ' || name, coalesce(sql, '') FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
    )?
    .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
    .collect()
}

fn text_index(conn: &Connection) -> rusqlite::Result<Finding> {
    let behind: i64 = conn.query_row(
        "SELECT count(*) FROM receiver WHERE id > (SELECT upto FROM search_progress)",
        [],
        |row| row.get(0),
    )?;
    Ok(Ok(match behind {
        0 => "complete".to_owned(),
        n => format!(
            "not complete, which only makes looking for what is new ({n}) slower: whatever delivers adds it"
        ),
    }))
}

fn leftovers(store: &Path) -> Finding {
    let name = |paths: Vec<std::path::PathBuf>| -> BTreeSet<String> {
        paths
            .iter()
            .map(|path| path.display().to_string())
            .collect()
    };
    let (engines, halves) = (name(engine::leftovers(store)), name(half::leftovers(store)));
    let mut faults = Vec::new();
    if !engines.is_empty() {
        let engines: Vec<_> = engines.into_iter().collect();
        faults.push(format!(
            "{} of an engine that died: the next `postroom deliver` or `run` settles what it held and removes it",
            told(&engines)
        ));
    }
    if !halves.is_empty() {
        let halves: Vec<_> = halves.into_iter().collect();
        faults.push(format!(
            "{} was left half made by a process that was killed: `postroom init` removes it",
            told(&halves)
        ));
    }
    if faults.is_empty() {
        Ok("none".to_owned())
    } else {
        Err(faults.join("; "))
    }
}
