//! How things go over each backend: what it sends now, and in each hour of the last day. Kept by the minute as results are written, so that it costs
//! the same whatever the store holds.

use std::collections::HashMap;

use chrono::TimeDelta;
use rusqlite::{Connection, params};

use super::{Reader, StoreError, health::oldest_due_of, millis};
use crate::message::{Status, Text, Timestamp};

const MINUTE: i64 = 60_000;

/// How many hours [`Traffic::hours`] holds.
pub const HOURS: usize = 24;

/// Tries that ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tries {
    /// The message was accepted.
    pub sent: u64,
    /// It was not, or nobody knows.
    pub failed: u64,
}

/// How things go over one backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// Its name.
    pub backend: Text,
    /// Receivers that are Failed.
    pub failed: u64,
    /// Receivers that are Error.
    pub error: u64,
    /// When the receiver that has waited longest became due; it may lie ahead.
    pub oldest_due: Option<Timestamp>,
    /// Receivers sent in a minute, taken over this minute and the last.
    pub rate: u64,
    /// Tries in each hour, the oldest first; the last hour is the one that lasts.
    pub hours: [Tries; HOURS],
}

impl Reader {
    /// Every backend by name. `until` is the end of the hour that lasts, on the clock of whoever looks.
    pub fn traffic(&self, now: Timestamp, until: Timestamp) -> Result<Vec<Traffic>, StoreError> {
        self.snapshot(|conn| {
            let backends: Vec<(i64, String)> = conn
                .prepare_cached("SELECT id, name FROM backend ORDER BY name")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<Result<_, _>>()?;
            let hours = hours(conn, until)?;
            let mut traffic = Vec::with_capacity(backends.len());
            for (id, name) in backends {
                traffic.push(Traffic {
                    backend: name.into(),
                    failed: receivers(conn, id, Status::Failed)?,
                    error: receivers(conn, id, Status::Error)?,
                    oldest_due: oldest_due_of(conn, id)?,
                    rate: rate(conn, id, now)?,
                    hours: hours.get(&id).copied().unwrap_or_default(),
                });
            }
            Ok(traffic)
        })
    }
}

/// The tries of each backend in the hours before `until`.
fn hours(conn: &Connection, until: Timestamp) -> rusqlite::Result<HashMap<i64, [Tries; HOURS]>> {
    let from = millis(until - TimeDelta::hours(HOURS as i64)) / MINUTE;
    let mut hours: HashMap<i64, [Tries; HOURS]> = HashMap::new();
    let mut statement = conn.prepare_cached(
        "SELECT backend_id, (minute - ?1) / 60, sum(accepted), sum(failed) FROM traffic
         WHERE minute >= ?1 AND minute < ?1 + ?2 GROUP BY 1, 2",
    )?;
    let mut rows = statement.query(params![from, 60 * HOURS as i64])?;
    while let Some(row) = rows.next()? {
        let hour: i64 = row.get(1)?;
        hours.entry(row.get(0)?).or_default()[hour as usize] = Tries {
            sent: row.get::<_, i64>(2)? as u64,
            failed: row.get::<_, i64>(3)? as u64,
        };
    }
    Ok(hours)
}

fn rate(conn: &Connection, backend: i64, now: Timestamp) -> rusqlite::Result<u64> {
    let this = millis(now) / MINUTE;
    let sent: i64 = conn
        .prepare_cached(
            "SELECT coalesce(sum(accepted), 0) FROM traffic WHERE minute BETWEEN ? AND ? AND backend_id = ?",
        )?
        .query_row(params![this - 1, this, backend], |row| row.get(0))?;
    let elapsed = MINUTE + millis(now).rem_euclid(MINUTE);
    Ok((sent * MINUTE / elapsed) as u64)
}

fn receivers(conn: &Connection, backend: i64, status: Status) -> rusqlite::Result<u64> {
    conn.prepare_cached(
        "SELECT coalesce(sum(n), 0) FROM counter JOIN state ON state.id = counter.state WHERE backend_id = ? AND status = ?",
    )?
    .query_row(params![backend, status.name()], |row| row.get::<_, i64>(0))
    .map(|n| n as u64)
}
