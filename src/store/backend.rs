//! The state of each backend: breaker and pause, which outlive every process.

use std::time::Duration;

use rusqlite::{OptionalExtension as _, Row as SqlRow, params};

use super::{
    BackendRow, BackendState, Reader, Store, StoreError, audit, millis, submit::backend_id,
    timestamp,
};
use crate::message::{Failure, Outcome, ReceiverId, Report, Text, Timestamp};

const COLUMNS: &str = "name, paused, down_since, changed_at, error, traceback, probe_at, probe_wait,
    (SELECT coalesce(sum(n), 0) FROM counter JOIN state ON state.id = counter.state WHERE counter.backend_id = backend.id AND state.pending)";

fn read(row: &SqlRow<'_>) -> rusqlite::Result<BackendRow> {
    let (paused, down_since): (bool, Option<i64>) = (row.get(1)?, row.get(2)?);
    Ok(BackendRow {
        name: row.get::<_, String>(0)?.into(),
        state: match (paused, down_since) {
            (true, _) => BackendState::Paused,
            (false, Some(_)) => BackendState::Down,
            (false, None) => BackendState::Up,
        },
        since: timestamp(if paused {
            row.get(3)?
        } else {
            down_since.map_or_else(|| row.get(3), Ok)?
        }),
        error: Text::from(row.get::<_, String>(4)?),
        traceback: Text::from(row.get::<_, String>(5)?),
        probe_at: row.get::<_, Option<i64>>(6)?.map(timestamp),
        probe_wait: row
            .get::<_, Option<i64>>(7)?
            .map(|wait| Duration::from_millis(wait as u64)),
        waiting: row.get::<_, i64>(8)? as u64,
    })
}

impl Reader {
    /// Every backend that ever had a receiver or a state, by name.
    pub fn backends(&self) -> Result<Vec<BackendRow>, StoreError> {
        self.run(|conn| {
            conn.prepare_cached(&format!("SELECT {COLUMNS} FROM backend ORDER BY name"))?
                .query_map([], read)?
                .collect()
        })
    }
}

impl Store {
    /// One backend's state; `None` when nothing was ever stored about it.
    pub fn backend(&self, name: &str) -> Result<Option<BackendRow>, StoreError> {
        let conn = self.writer();
        let look = || {
            conn.prepare_cached(&format!("SELECT {COLUMNS} FROM backend WHERE name = ?"))?
                .query_row([name], read)
                .optional()
        };
        look().map_err(|error| super::error::explain(&self.path, error))
    }

    /// What the last tries over a backend came to, oldest first: of the last thousand attempts those that ended since the backend's state last
    /// changed. Of a refusal only what tells it from another is read.
    pub fn last_reports(&self, name: &str) -> Result<Vec<(ReceiverId, Report)>, StoreError> {
        let conn = self.writer();
        let look = || {
            conn.prepare_cached(
                "SELECT receiver_id, outcome, code, enhanced, attempt.phase, attempt.error
                 FROM (SELECT id, receiver_id, outcome, code, enhanced, phase, error, ended_at FROM attempt ORDER BY id DESC LIMIT 1000) AS attempt
                 JOIN receiver ON receiver.id = receiver_id
                 JOIN backend ON backend.id = backend_id
                 WHERE backend.name = ? AND ended_at > changed_at ORDER BY attempt.id",
            )?
            .query_map([name], |row| {
                let outcome = row.get::<_, String>(1)?;
                let (code, enhanced) = (row.get(2)?, row.get(3)?);
                let report = match Outcome::from_name(&outcome) {
                    None | Some(Outcome::Accepted) => Report::Accepted {
                        reply: String::new(),
                        code,
                        enhanced,
                    },
                    Some(outcome) => Report::Failed(
                        outcome,
                        Failure {
                            code,
                            enhanced,
                            phase: row.get(4)?,
                            error: row.get(5)?,
                            ..Failure::default()
                        },
                    ),
                };
                Ok((ReceiverId(row.get(0)?), report))
            })?
            .collect::<Result<_, _>>()
        };
        look().map_err(|error| super::error::explain(&self.path, error))
    }

    /// The breaker opens, or stays open for longer: the way does not work, and is probed again after `wait`. Why a paused one is paused stays.
    pub fn backend_down(
        &self,
        name: &str,
        error: &str,
        traceback: &str,
        wait: Duration,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(|tx| {
            let id = backend_id(tx, name, now)?;
            let (now, wait) = (millis(now), wait.as_millis() as i64);
            tx.prepare_cached(
                "UPDATE backend SET down_since = coalesce(down_since, ?1), probe_at = ?1 + ?2, probe_wait = ?2,
                                    error = iif(paused, error, ?3), traceback = iif(paused, traceback, ?4),
                                    changed_at = CASE WHEN down_since IS NULL AND NOT paused THEN ?1 ELSE changed_at END
                 WHERE id = ?5",
            )?
            .execute(params![now, wait, error, traceback, id])?;
            Ok(())
        })
    }

    /// The breaker closes: the way works.
    pub fn backend_up(&self, name: &str, now: Timestamp) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.prepare_cached(
                "UPDATE backend SET down_since = NULL, probe_at = NULL, probe_wait = NULL, error = '', traceback = '',
                                    changed_at = CASE WHEN paused THEN changed_at ELSE ?1 END
                 WHERE name = ?2 AND down_since IS NOT NULL",
            )?
            .execute(params![millis(now), name])?;
            Ok(())
        })
    }

    /// Tried by nobody until resumed. `why` is shown beside it. Returns whether it was not paused already.
    pub fn pause_backend(
        &self,
        name: &str,
        who: &str,
        why: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(|tx| {
            let id = backend_id(tx, name, now)?;
            let pause = "UPDATE backend SET paused = 1, changed_at = ?, error = ? WHERE id = ? AND NOT paused";
            let paused = tx.execute(pause, params![millis(now), why, id])? > 0;
            if paused {
                audit::write(tx, now, who, "backend pause", name, 0, None)?;
            }
            Ok(paused)
        })
    }

    /// Ends a pause, and closes the breaker: the next due row is tried at once.
    pub fn resume_backend(&self, name: &str, who: &str, now: Timestamp) -> Result<(), StoreError> {
        self.write(|tx| {
            let id = backend_id(tx, name, now)?;
            tx.execute(
                "UPDATE backend SET paused = 0, down_since = NULL, probe_at = NULL, probe_wait = NULL, error = '', traceback = '',
                                    changed_at = ? WHERE id = ?",
                params![millis(now), id],
            )?;
            audit::write(tx, now, who, "backend resume", name, 0, None)
        })
    }
}
