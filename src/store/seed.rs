//! Receivers with a history, written directly: for trying a store at scale, and for histories that come from elsewhere.

use rusqlite::{Connection, params};

use super::{Store, StoreError, cause, millis};
use crate::message::{Failure, Outcome, ReceiverId, State, Timestamp};

/// The state and history to give a receiver that was just submitted.
#[derive(Clone, Debug)]
pub struct SeedReceiver {
    /// Who.
    pub id: ReceiverId,
    /// What it becomes.
    pub state: State,
    /// When it is tried next; for pending states only.
    pub due_at: Option<Timestamp>,
    /// When it was accepted last.
    pub sent_at: Option<Timestamp>,
    /// Its tries, oldest first.
    pub attempts: Vec<SeedAttempt>,
}

/// One try in such a history.
#[derive(Clone, Debug)]
pub struct SeedAttempt {
    /// How it ended.
    pub outcome: Outcome,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// The reply code; of an accepted try, 2yz.
    pub code: Option<u16>,
    /// The enhanced code.
    pub enhanced: Option<String>,
    /// What went wrong; for an accepted try, the reply.
    pub text: String,
    /// The traceback; empty for an accepted try.
    pub traceback: String,
    /// The server, as `host:port`.
    pub server: Option<String>,
    /// What was being done.
    pub phase: Option<String>,
    /// What was said.
    pub transcript: Option<String>,
}

impl SeedAttempt {
    /// What a backend would have told.
    pub(super) fn failure(&self) -> Failure {
        Failure {
            code: self.code,
            enhanced: self.enhanced.clone(),
            error: self.text.clone(),
            server: self.server.clone(),
            phase: self.phase.clone(),
            ..Failure::default()
        }
    }
}

impl Store {
    /// Gives receivers that no engine holds their history. Returns how many were changed.
    pub fn seed(&self, receivers: &[SeedReceiver], by: &str) -> Result<usize, StoreError> {
        self.write(|tx| {
            let mut update = tx.prepare_cached(
                "UPDATE receiver SET state = ?, due_at = ?, sent_at = ?, failed_count = ?, sent_count = ?, unknown_count = ?, epoch = ?, cause_id = ?
                 WHERE id = ? AND engine IS NULL AND epoch = 0",
            )?;
            let mut changed = 0;
            for receiver in receivers {
                let count = |wanted: &[Outcome]| {
                    receiver.attempts.iter().filter(|attempt| wanted.contains(&attempt.outcome)).count() as i64
                };
                let mut last = None;
                for attempt in &receiver.attempts {
                    last = match attempt.outcome {
                        Outcome::Accepted => None,
                        _ => cause::note_for(tx, receiver.id, &attempt.failure(), attempt.ended_at)?,
                    };
                }
                changed += update.execute(params![
                    receiver.state.number(),
                    receiver.due_at.map(millis),
                    receiver.sent_at.map(millis),
                    count(&[Outcome::Temporary, Outcome::Permanent]),
                    count(&[Outcome::Accepted]),
                    count(&[Outcome::Unknown]),
                    receiver.attempts.len() as i64,
                    last.map(|cause| cause.0),
                    receiver.id.0,
                ])?;
                insert_attempts(tx, receiver.id, &receiver.attempts, by)?;
            }
            Ok(changed)
        })
    }
}

/// Writes the tries of a receiver that has none.
pub(super) fn insert_attempts(
    tx: &Connection,
    receiver: ReceiverId,
    attempts: &[SeedAttempt],
    by: &str,
) -> rusqlite::Result<()> {
    let mut insert = tx.prepare_cached(
        "INSERT INTO attempt (receiver_id, epoch, started_at, ended_at, outcome, code, enhanced, error, traceback, reply, tried_by, server, phase, transcript)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?;
    for (index, attempt) in attempts.iter().enumerate() {
        let accepted = attempt.outcome == Outcome::Accepted;
        insert.execute(params![
            receiver.0,
            index as i64 + 1,
            millis(attempt.started_at),
            millis(attempt.ended_at),
            attempt.outcome.name(),
            attempt.code,
            attempt.enhanced,
            (!accepted).then_some(&attempt.text),
            (!accepted).then_some(&attempt.traceback),
            accepted.then_some(&attempt.text),
            by,
            attempt.server,
            attempt.phase,
            attempt.transcript,
        ])?;
    }
    Ok(())
}
