//! What operators did, and what they should be able to find again.

use rusqlite::{Connection, Row as SqlRow, params};

use super::{Reader, StoreError, error::corrupt, millis, model::AuditEntry, timestamp};
use crate::message::{ReceiverId, Timestamp};

/// Writes one line; part of the transaction that does the deed.
pub(super) fn write(
    tx: &Connection,
    at: Timestamp,
    who: &str,
    action: &str,
    target: &str,
    count: u64,
    receiver: Option<ReceiverId>,
) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO audit (at, who, action, target, count, receiver_id) VALUES (?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        millis(at),
        who,
        action,
        target,
        count as i64,
        receiver.map(|id| id.0)
    ])?;
    Ok(())
}

/// One line about something that takes many transactions: each writes how far it has come, so that the log is right whatever ends it.
pub(super) struct Line<'a> {
    at: Timestamp,
    who: &'a str,
    action: &'a str,
    target: &'a str,
    /// Its number, once it is there.
    id: Option<i64>,
}

impl<'a> Line<'a> {
    pub(super) fn new(at: Timestamp, who: &'a str, action: &'a str, target: &'a str) -> Self {
        Self {
            at,
            who,
            action,
            target,
            id: None,
        }
    }

    /// Writes the count so far, and the receiver while it is about one; part of the transaction that does the deed. Returns what [`Line::written`]
    /// wants to know when that is committed.
    pub(super) fn write(
        &self,
        tx: &Connection,
        count: u64,
        receiver: Option<ReceiverId>,
    ) -> rusqlite::Result<i64> {
        if let Some(id) = self.id {
            tx.prepare_cached("UPDATE audit SET count = ?, receiver_id = ? WHERE id = ?")?
                .execute(params![count as i64, receiver.map(|id| id.0), id])?;
            return Ok(id);
        }
        write(
            tx,
            self.at,
            self.who,
            self.action,
            self.target,
            count,
            receiver,
        )?;
        Ok(tx.last_insert_rowid())
    }

    /// The transaction is committed: the next one corrects this line.
    pub(super) fn written(&mut self, id: i64) {
        self.id = Some(id);
    }
}

const COLUMNS: &str = "id, at, who, action, target, count, receiver_id";

fn read(row: &SqlRow<'_>) -> rusqlite::Result<AuditEntry> {
    Ok(AuditEntry {
        id: row.get(0)?,
        at: timestamp(row.get(1)?),
        who: row.get::<_, String>(2)?.into(),
        action: row.get::<_, String>(3)?.into(),
        target: row.get::<_, String>(4)?.into(),
        count: row.get::<_, i64>(5)? as u64,
        receiver: row.get::<_, Option<i64>>(6)?.map(ReceiverId),
    })
}

impl Reader {
    /// Lines of the audit log, newest first: the newest ones, or those before the line of this number.
    pub fn audit(&self, before: Option<i64>, limit: usize) -> Result<Vec<AuditEntry>, StoreError> {
        self.run(|conn| {
            conn.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM audit WHERE id < ? ORDER BY id DESC LIMIT ?"
            ))?
            .query_map(params![before.unwrap_or(i64::MAX), limit as i64], |row| {
                let entry = read(row)?;
                match before {
                    Some(before) if entry.id >= before => Err(corrupt()),
                    _ => Ok(entry),
                }
            })?
            .collect()
        })
    }
}

/// What was done to this one receiver, oldest first; of those that were many at once, the log has one line without them.
pub(super) fn of_receiver(
    conn: &Connection,
    receiver: ReceiverId,
) -> rusqlite::Result<Vec<AuditEntry>> {
    conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM audit INDEXED BY audit_receiver WHERE receiver_id = ? ORDER BY id"
    ))?
    .query_map([receiver.0], read)?
    .collect()
}
