//! Messages with very many receivers: stored whole in one short transaction, made rows in steps that let others in.
//!
//! The transaction that stores such a message holds its receivers as packed parts. From then on the message is known by its key, and nothing of it
//! can be lost: who stored it makes rows of the parts at once, and if it dies, whoever has the store open goes on.

use rusqlite::{OptionalExtension as _, Transaction, params};
use serde::{Deserialize, Serialize};

use super::{
    SeedAttempt, Store, StoreError, cause, codec,
    error::explain,
    pace::GAP,
    seed::insert_attempts,
    submit::{fresh, json},
    timestamp,
};
use crate::message::{Failure, Outcome, ReceiverId, State};

/// Receivers that become rows in one transaction: some 15 ms.
pub(super) const PART: usize = 250;

/// What the receivers of one message have in common.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Common {
    pub(super) message: i64,
    pub(super) kind: i64,
    /// Milliseconds since 1970, like all times here.
    pub(super) created_at: i64,
    pub(super) priority: i64,
    pub(super) send_after: Option<i64>,
    pub(super) expires_at: Option<i64>,
    pub(super) due_at: i64,
}

/// One receiver that is to become a row.
#[derive(Serialize, Deserialize)]
pub(super) struct Line {
    pub(super) backend: i64,
    pub(super) content: i64,
    pub(super) identity: String,
    pub(super) name: Option<String>,
    pub(super) user: Option<String>,
    pub(super) language: String,
    pub(super) metadata: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) unrendered: Option<Unrendered>,
}

/// Why a receiver has no words that could be sent.
#[derive(Serialize, Deserialize)]
pub(super) struct Unrendered {
    error: String,
    traceback: String,
    phase: Option<String>,
}

impl Unrendered {
    pub(super) fn of(failure: &Failure) -> Self {
        Self {
            error: failure.error.clone(),
            traceback: failure.traceback.clone(),
            phase: failure.phase.clone(),
        }
    }

    /// Notes it: a try that failed for good before anybody was asked.
    fn note(&self, tx: &Transaction<'_>, identity: &str, at: i64) -> rusqlite::Result<()> {
        let receiver = ReceiverId(tx.last_insert_rowid());
        let attempt = SeedAttempt {
            outcome: Outcome::Permanent,
            started_at: timestamp(at),
            ended_at: timestamp(at),
            code: None,
            enhanced: None,
            text: self.error.clone(),
            traceback: self.traceback.clone(),
            server: None,
            phase: self.phase.clone(),
            transcript: None,
        };
        let cause = cause::note(tx, &attempt.failure(), identity, timestamp(at))?;
        tx.prepare_cached(
            "UPDATE receiver SET failed_count = 1, epoch = 1, cause_id = ? WHERE id = ?",
        )?
        .execute([cause.0, receiver.0])?;
        insert_attempts(tx, receiver, &[attempt], "submit")
    }
}

/// Some receivers of a message.
#[derive(Serialize, Deserialize)]
struct Part {
    common: Common,
    lines: Vec<Line>,
}

impl Store {
    /// Makes rows of one part, if there is any; says whether there was.
    pub(super) fn store_some(&self) -> Result<bool, StoreError> {
        // Asked before a transaction is begun: mostly there is nothing to do.
        let any: bool = self
            .writer()
            .query_row("SELECT EXISTS (SELECT 1 FROM remainder)", [], |row| {
                row.get(0)
            })
            .map_err(|error| explain(&self.path, error))?;
        if !any {
            return Ok(false);
        }
        self.write(|tx| {
            let found: Option<(i64, i64, Vec<u8>)> = tx
                .prepare_cached("SELECT id, codec, body FROM remainder ORDER BY id LIMIT 1")?
                .query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                .optional()?;
            let Some((id, codec, body)) = found else {
                return Ok(false);
            };
            let part: Part = codec::unpack(codec, &body)?;
            insert(tx, &part.common, &part.lines)?;
            tx.prepare_cached("DELETE FROM remainder WHERE id = ?")?
                .execute([id])?;
            Ok(true)
        })
    }

    /// Makes rows of all there is, in steps that let others in.
    pub fn store_remainder(&self) -> Result<(), StoreError> {
        while self.store_some()? {
            std::thread::sleep(GAP);
        }
        Ok(())
    }
}

/// Receivers as rows.
pub(super) fn insert(
    tx: &Transaction<'_>,
    common: &Common,
    lines: &[Line],
) -> rusqlite::Result<()> {
    let mut statement = tx.prepare_cached(
        "INSERT INTO receiver (message_id, kind_id, backend_id, content_id, created_at, identity, name, user, language, metadata, priority,
                               send_after, expires_at, uid, state, due_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?;
    for line in lines {
        statement.execute(params![
            common.message,
            common.kind,
            line.backend,
            line.content,
            common.created_at,
            line.identity,
            line.name,
            line.user,
            line.language,
            line.metadata,
            common.priority,
            common.send_after,
            common.expires_at,
            fresh(12)?,
            match line.unrendered {
                None => State::Queued,
                Some(_) => State::Permanent,
            }
            .number(),
            line.unrendered.is_none().then_some(common.due_at),
        ])?;
        if let Some(unrendered) = &line.unrendered {
            unrendered.note(tx, &line.identity, common.created_at)?;
        }
    }
    Ok(())
}

/// Receivers as parts, to become rows later.
pub(super) fn put_by(
    tx: &Transaction<'_>,
    common: &Common,
    mut lines: Vec<Line>,
) -> rusqlite::Result<()> {
    let mut statement =
        tx.prepare_cached("INSERT INTO remainder (message_id, codec, body) VALUES (?, ?, ?)")?;
    while !lines.is_empty() {
        let later = lines.split_off(lines.len().min(PART));
        let part = Part {
            common: common.clone(),
            lines,
        };
        let (codec, body) = codec::squeeze(json(&part)?.into_bytes());
        statement.execute(params![common.message, codec, body])?;
        lines = later;
    }
    Ok(())
}
