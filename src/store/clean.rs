//! Deleting: receivers with all that is theirs, messages that have none any more, contents that nobody uses, keys that are old enough to be forgotten.

use std::time::{Duration, Instant};

use rusqlite::{Connection, params};

use super::{
    Acting, Reader, Store, StoreError, audit,
    chosen::id_list,
    error::corrupt,
    millis,
    pace::{GAP, Pace},
};
use crate::message::{ReceiverId, Timestamp};

/// How long the key of a deleted message is remembered.
pub const KEYS_KEPT: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// A message whose receivers are not all rows yet is not without receivers.
const UNLESS_MESSAGE_WAITS: &str =
    "AND NOT EXISTS (SELECT 1 FROM remainder WHERE remainder.message_id = t.id)";
/// Which contents they will use stands packed: while there are any, none goes.
const UNLESS_ANY_WAITS: &str = "AND NOT EXISTS (SELECT 1 FROM remainder)";

/// Rows that a look into the store passes.
const WINDOW: i64 = 5_000;

/// Messages without receivers, and contents that nobody uses, as they were found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unused {
    messages: Vec<i64>,
    contents: Vec<i64>,
}

impl Unused {
    /// How many messages.
    pub fn messages(&self) -> u64 {
        self.messages.len() as u64
    }

    /// How many contents.
    pub fn contents(&self) -> u64 {
        self.contents.len() as u64
    }
}

impl Reader {
    /// Finds messages without receivers, and contents that nobody uses.
    pub fn unused(&self) -> Result<Unused, StoreError> {
        self.run(|conn| {
            Ok(Unused {
                messages: unused(conn, "message", "message_id", UNLESS_MESSAGE_WAITS)?,
                contents: unused(conn, "content", "content_id", UNLESS_ANY_WAITS)?,
            })
        })
    }

    /// Finds causes that no receiver has any more and that were not met for as long as keys are kept: a server that never says the same twice would
    /// make them more and more.
    pub(super) fn unused_causes(&self, now: Timestamp) -> Result<Vec<i64>, StoreError> {
        let old = format!("AND last_seen <= {}", millis(now - KEYS_KEPT));
        self.run(|conn| unused(conn, "cause", "cause_id", &old))
    }
}

/// The rows of a table that no receiver names in this column.
fn unused(conn: &Connection, table: &str, column: &str, and: &str) -> rusqlite::Result<Vec<i64>> {
    let (mut found, mut after) = (Vec::new(), 0);
    // A window ends after so many rows, found or not: no read keeps the log from being moved.
    let mut bound = conn.prepare(&format!(
        "SELECT max(id) FROM (SELECT id FROM {table} WHERE id > ? ORDER BY id LIMIT {WINDOW})"
    ))?;
    let mut look = conn.prepare(&format!(
        "SELECT id FROM {table} t WHERE id > ? AND id <= ? AND NOT EXISTS (SELECT 1 FROM receiver WHERE {column} = t.id) {and}"
    ))?;
    while let Some(upto) = bound.query_row([after], |row| row.get::<_, Option<i64>>(0))? {
        for id in look.query_map([after, upto], |row| row.get(0))? {
            found.push(id?);
        }
        if upto <= after {
            return Err(corrupt());
        }
        after = upto;
    }
    Ok(found)
}

impl Store {
    /// Deletes what [`Reader::unused`] found and is so still, and forgets keys that are old enough. Returns how many messages and contents that was.
    pub fn delete_unused(
        &self,
        unused: &Unused,
        acting: &Acting,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(u64, u64), StoreError> {
        let (mut messages, mut contents) = (0, 0);
        let mut line = audit::Line::new(
            acting.now,
            &acting.who,
            "delete-messages-without-receivers",
            &acting.target,
        );
        let mut pace = Pace::new();
        let parts: [(&[i64], bool); 2] = [(&unused.messages, true), (&unused.contents, false)];
        for (mut rest, are_messages) in parts {
            while !rest.is_empty() {
                let (some, later) = rest.split_at(pace.rows().min(rest.len()));
                let (done, written, began) = self.write(|tx| {
                    let began = Instant::now();
                    let ids = list(some);
                    let done = if are_messages {
                        (messages + remove_messages(tx, &ids, acting.now)?, contents)
                    } else {
                        (messages, contents + remove_contents(tx, &ids)?)
                    };
                    let written = match done {
                        (0, 0) => None,
                        (messages, _) => Some(line.write(tx, messages, None)?),
                    };
                    Ok((done, written, began))
                })?;
                pace.held_since(began);
                (messages, contents) = done;
                if let Some(id) = written {
                    line.written(id);
                }
                progress(messages + contents);
                rest = later;
                std::thread::sleep(GAP);
            }
        }
        while self.forget_keys(acting.now, pace.rows())? > 0 {
            std::thread::sleep(GAP);
        }
        Ok((messages, contents))
    }

    /// Forgets those of these causes that still nobody has.
    pub(super) fn forget_causes(&self, ids: &[i64], now: Timestamp) -> Result<usize, StoreError> {
        self.write(|tx| {
            tx.prepare_cached(
                "DELETE FROM cause WHERE id IN (SELECT value FROM json_each(?)) AND last_seen <= ?
                     AND NOT EXISTS (SELECT 1 FROM receiver WHERE cause_id = cause.id)",
            )?
            .execute(params![list(ids), millis(now - KEYS_KEPT)])
        })
    }

    /// Forgets some keys of messages that were deleted long enough ago; returns how many.
    pub(super) fn forget_keys(&self, now: Timestamp, most: usize) -> Result<usize, StoreError> {
        self.write(|tx| {
            tx.prepare_cached(
                "DELETE FROM spent_key WHERE key IN (SELECT key FROM spent_key INDEXED BY spent_key_at WHERE spent_at <= ? LIMIT ?)",
            )?
            .execute(params![millis(now - KEYS_KEPT), most as i64])
        })
    }
}

fn list(ids: &[i64]) -> String {
    id_list(ids.iter().copied().map(ReceiverId))
}

/// Takes receivers out (a JSON list of their numbers), but for those that are being sent, with their attempts. The counters and the text index follow
/// by their triggers.
pub(super) fn remove_receivers(tx: &Connection, ids: &str) -> rusqlite::Result<u64> {
    let removed = tx
        .prepare_cached(
            "DELETE FROM receiver WHERE id IN (SELECT value FROM json_each(?)) AND phase IS NOT 2",
        )?
        .execute([ids])?;
    Ok(removed as u64)
}

/// Takes those of these messages out that have no receiver, and remembers their keys.
pub(super) fn remove_messages(tx: &Connection, ids: &str, now: Timestamp) -> rusqlite::Result<u64> {
    let empty = format!(
        "id IN (SELECT value FROM json_each(?1)) AND NOT EXISTS (SELECT 1 FROM receiver WHERE message_id = t.id) {UNLESS_MESSAGE_WAITS}"
    );
    tx.prepare_cached(&format!(
        "INSERT OR REPLACE INTO spent_key (key, digest, message_id, spent_at) SELECT key, digest, id, ?2 FROM message AS t WHERE {empty}"
    ))?
    .execute(params![ids, millis(now)])?;
    let removed = tx
        .prepare_cached(&format!("DELETE FROM message AS t WHERE {empty}"))?
        .execute([ids])?;
    Ok(removed as u64)
}

/// Takes those of these contents out that no receiver uses.
pub(super) fn remove_contents(tx: &Connection, ids: &str) -> rusqlite::Result<u64> {
    let removed = tx
        .prepare_cached(&format!(
            "DELETE FROM content WHERE id IN (SELECT value FROM json_each(?))
                 AND NOT EXISTS (SELECT 1 FROM receiver WHERE content_id = content.id) {UNLESS_ANY_WAITS}"
        ))?
        .execute([ids])?;
    Ok(removed as u64)
}
