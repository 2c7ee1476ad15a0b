//! What monitoring asks: it must cost the same on ten million receivers as on ten.

use rusqlite::{Connection, params};

use super::{Count, Reader, StoreError, claim::next_priority, millis, timestamp};
use crate::message::{State, Timestamp};

/// Counting new Errors further would tell nothing more.
const ENOUGH: usize = 10_000;

/// The ends that nobody wished for.
const LOST: [State; 4] = [
    State::Exhausted,
    State::Permanent,
    State::Expired,
    State::ErrorUnconfirmed,
];

impl Reader {
    /// When the receiver that has waited longest became due, of those that no engine holds and no pause holds back; it may lie ahead.
    pub fn oldest_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.run(|conn| {
            let mut oldest = None;
            for backend in not_paused(conn)? {
                oldest = oldest
                    .into_iter()
                    .chain(oldest_due_of(conn, backend)?)
                    .min();
            }
            Ok(oldest)
        })
    }

    /// How many receivers are due by now, of those that no engine holds and no pause holds back: counted up to `cap`, along the index of what is due.
    pub fn due(&self, now: Timestamp, cap: u64) -> Result<Count, StoreError> {
        self.snapshot(|conn| {
            let mut due = 0;
            for backend in not_paused(conn)? {
                let mut below = i64::MAX;
                while due < cap
                    && let Some(priority) = next_priority(conn, backend, below)?
                {
                    let more: i64 = conn
                        .prepare_cached(
                            "SELECT count(*) FROM (
                                 SELECT 1 FROM receiver INDEXED BY receiver_due
                                 WHERE backend_id = ? AND priority = ? AND due_at <= ? AND due_at IS NOT NULL AND engine IS NULL LIMIT ?)",
                        )?
                        .query_row(
                            params![backend, priority, millis(now), (cap - due) as i64],
                            |row| row.get(0),
                        )?;
                    due += more as u64;
                    below = priority;
                }
            }
            Ok(if due >= cap {
                Count::AtLeast(due)
            } else {
                Count::Exact(due)
            })
        })
    }

    /// How many receivers have become Error since then by nobody's wish: counted up to ten thousand, along the index of the times.
    pub fn new_errors(&self, since: Timestamp) -> Result<Count, StoreError> {
        self.run(|conn| {
            let [a, b, c, d] = LOST.map(State::number);
            let (looked_at, new): (i64, i64) = conn
                .prepare_cached(
                    "SELECT count(*), count(*) FILTER (WHERE state IN (?3, ?4, ?5, ?6)) FROM (
                         SELECT state FROM receiver INDEXED BY receiver_error
                         WHERE error_at >= ?1 AND error_at IS NOT NULL ORDER BY error_at DESC LIMIT ?2)",
                )?
                .query_row(params![millis(since), ENOUGH as i64, a, b, c, d], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })?;
            Ok(if looked_at == ENOUGH as i64 {
                Count::AtLeast(new as u64)
            } else {
                Count::Exact(new as u64)
            })
        })
    }
}

/// The backends that may be tried.
fn not_paused(conn: &Connection) -> rusqlite::Result<Vec<i64>> {
    conn.prepare_cached("SELECT id FROM backend WHERE NOT paused")?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// When the receiver of a backend that has waited longest became due, of those that no engine holds.
pub(super) fn oldest_due_of(
    conn: &Connection,
    backend: i64,
) -> rusqlite::Result<Option<Timestamp>> {
    let (mut oldest, mut below) = (None::<i64>, i64::MAX);
    // Within one priority the index is in order of time: its first row is enough.
    while let Some(priority) = next_priority(conn, backend, below)? {
        let due: Option<i64> = conn
            .prepare_cached(
                "SELECT min(due_at) FROM receiver INDEXED BY receiver_due
                 WHERE backend_id = ? AND priority = ? AND due_at IS NOT NULL AND engine IS NULL",
            )?
            .query_row([backend, priority], |row| row.get(0))?;
        oldest = oldest.into_iter().chain(due).min();
        below = priority;
    }
    Ok(oldest.map(timestamp))
}
