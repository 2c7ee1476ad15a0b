//! What operators did, and what they should be able to find again.

use rusqlite::{Connection, params};

use super::{Reader, StoreError, millis, model::AuditEntry, timestamp};
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

impl Reader {
    /// The newest lines of the audit log, newest first.
    pub fn audit(&self, limit: usize) -> Result<Vec<AuditEntry>, StoreError> {
        self.run(|conn| {
            conn.prepare_cached(
                "SELECT at, who, action, target, count FROM audit ORDER BY id DESC LIMIT ?",
            )?
            .query_map([limit as i64], |row| {
                Ok(AuditEntry {
                    at: timestamp(row.get(0)?),
                    who: row.get::<_, String>(1)?.into(),
                    action: row.get::<_, String>(2)?.into(),
                    target: row.get::<_, String>(3)?.into(),
                    count: row.get::<_, i64>(4)? as u64,
                })
            })?
            .collect()
        })
    }
}
