//! The first transition: an engine takes rows that are due.

use std::cmp::Reverse;

use rusqlite::{
    Connection, OptionalExtension as _, Row as SqlRow, Transaction, named_params, params,
};

use super::{
    Store, StoreError, detail::read_json, error::corrupt, millis, timestamp, window::read_state,
};
use crate::message::{
    ContentId, JobId, MessageId, Outcome, Receiver, ReceiverId, State, Timestamp,
};

/// A resend of up to so many is looked through whole for every claim; for that, its index need not be in order.
const FEW: i64 = 2_000;

/// Which rows an engine may claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everything due at this moment; what falls due later is not for this engine.
    DueAt(Timestamp),
    /// Everything due, for ever.
    Always,
    /// Only what this resend made due.
    Job(JobId),
}

/// The counts and times of a row from which the next state follows; nobody changes them while the row is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Before this try.
    pub state: State,
    /// Tries that failed.
    pub failed_count: u32,
    /// Times it was accepted.
    pub sent_count: u32,
    /// Tries of which nobody knows the end, since the last resend.
    pub unknown_count: u32,
    /// Its own limit; `None`: the configured one.
    pub resend_limit: Option<u32>,
    /// The failed count from which the backoff is counted.
    pub backoff_from: u32,
    /// When it became due.
    pub due_at: Timestamp,
    /// When it was last accepted.
    pub sent_at: Option<Timestamp>,
    /// When it becomes useless; `None` also when an operator said that it does not matter.
    pub expires_at: Option<Timestamp>,
    /// The resend it belongs to.
    pub job: Option<JobId>,
}

/// A row that an engine has claimed.
#[derive(Clone, Debug)]
pub struct Claim {
    /// What a backend needs to know of it.
    pub receiver: Receiver,
    /// What the next state follows from.
    pub standing: Standing,
    /// Its message.
    pub message: MessageId,
    /// Its words.
    pub content: ContentId,
}

/// The columns that [`read_claim`] reads.
pub(super) const CLAIM_COLUMNS: &str = "id, epoch, uid, identity, name, user, language, metadata, state, failed_count, sent_count,
    unknown_count, resend_limit, backoff_from, due_at, sent_at, CASE WHEN ignore_expiry THEN NULL ELSE expires_at END, job,
    message_id, content_id";

pub(super) fn read_claim(row: &SqlRow<'_>) -> rusqlite::Result<Claim> {
    Ok(Claim {
        receiver: Receiver {
            id: ReceiverId(row.get(0)?),
            epoch: row.get(1)?,
            uid: row.get(2)?,
            identity: row.get(3)?,
            name: row.get(4)?,
            user: row.get(5)?,
            language: row.get(6)?,
            metadata: read_json(row, 7)?,
        },
        standing: Standing {
            state: read_state(row, 8)?,
            failed_count: row.get(9)?,
            sent_count: row.get(10)?,
            unknown_count: row.get(11)?,
            resend_limit: row.get(12)?,
            backoff_from: row.get(13)?,
            due_at: timestamp(row.get(14)?),
            sent_at: row.get::<_, Option<i64>>(15)?.map(timestamp),
            expires_at: row.get::<_, Option<i64>>(16)?.map(timestamp),
            job: row.get::<_, Option<i64>>(17)?.map(JobId),
        },
        message: MessageId(row.get(18)?),
        content: ContentId(row.get(19)?),
    })
}

impl Store {
    /// Takes up to `limit` due rows of one backend for an engine: highest priority first, then longest due. A claim is not an attempt.
    pub fn claim(
        &self,
        engine: &str,
        backend: &str,
        scope: Scope,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Claim>, StoreError> {
        self.write_unflushed(|tx| {
            let Some(backend) = backend_number(tx, backend)? else {
                return Ok(Vec::new());
            };
            let job = Resend::of(tx, scope)?;
            match job {
                Some(Resend { job, since: None }) => take_few(tx, engine, backend, job, limit, now),
                _ => take_due(tx, engine, backend, job, limit, scope.until(now), now),
            }
        })
    }

    /// The sweep: what is past its time and not armed will not be tried again; a claim of it ends, so that its arm fails. Returns how many receivers that was; call it until it is none.
    pub fn expire(&self, now: Timestamp) -> Result<usize, StoreError> {
        const SWEEP: &str = "SELECT id FROM receiver INDEXED BY receiver_expiry
            WHERE expires_at <= ?1 AND expires_at IS NOT NULL AND due_at IS NOT NULL AND phase IS NOT 2 AND NOT ignore_expiry";
        let found = {
            let conn = self.writer();
            conn.prepare_cached(SWEEP)
                .and_then(|mut sweep| sweep.exists([millis(now)]))
                .map_err(|error| super::error::explain(&self.path, error))?
        };
        if !found {
            return Ok(0);
        }
        self.write(|tx| {
            tx.prepare_cached(&format!(
                "UPDATE receiver SET state = ?2, due_at = NULL, job = NULL, epoch = epoch + (engine IS NOT NULL), engine = NULL, phase = NULL
                 WHERE id IN ({SWEEP} LIMIT 500) AND due_at IS NOT NULL"
            ))?
            .execute(params![millis(now), State::Expired.number()])
        })
    }

    /// Whether a claim would find anything; only looks, so that an idle service takes no lock.
    pub fn has_due(&self, backend: &str, scope: Scope, now: Timestamp) -> Result<bool, StoreError> {
        let conn = self.writer();
        let look = || -> rusqlite::Result<bool> {
            let Some(backend) = backend_number(&conn, backend)? else {
                return Ok(false);
            };
            let job = Resend::of(&conn, scope)?;
            if let Some(Resend { job, since: None }) = job {
                return conn
                    .prepare_cached("SELECT 1 FROM receiver INDEXED BY receiver_job WHERE job = ? AND backend_id = ? AND engine IS NULL")?
                    .exists([job.0, backend]);
            }
            let mut below = i64::MAX;
            while let Some(priority) = next_priority(&conn, backend, below)? {
                let due = conn
                    .prepare_cached(
                        "SELECT 1 FROM receiver INDEXED BY receiver_due
                         WHERE backend_id = ? AND priority = ? AND due_at BETWEEN ? AND ? AND due_at IS NOT NULL AND engine IS NULL
                           AND (?5 IS NULL OR job = ?5)",
                    )?
                    .exists(params![
                        backend,
                        priority,
                        Resend::since(job),
                        millis(scope.until(now)),
                        job.map(|resend| resend.job.0)
                    ])?;
                if due {
                    return Ok(true);
                }
                below = priority;
            }
            Ok(false)
        };
        look().map_err(|error| super::error::explain(&self.path, error))
    }
}

impl Store {
    /// What a receiver's last try came to, of those that have come to an end.
    pub fn last_outcome(&self, receiver: ReceiverId) -> Result<Option<Outcome>, StoreError> {
        let conn = self.writer();
        let look = || {
            conn.prepare_cached(
                "SELECT outcome FROM attempt WHERE receiver_id = ? AND outcome IS NOT NULL ORDER BY epoch DESC LIMIT 1",
            )?
            .query_row([receiver.0], |row| row.get::<_, String>(0))
            .optional()
        };
        let outcome = look().map_err(|error| super::error::explain(&self.path, error))?;
        Ok(outcome.as_deref().and_then(Outcome::from_name))
    }
}

/// A resend whose receivers an engine claims.
#[derive(Clone, Copy)]
struct Resend {
    job: JobId,
    /// When it made them due, if they are too many to be looked through: what waited before then is passed over.
    since: Option<i64>,
}

impl Resend {
    fn of(conn: &Connection, scope: Scope) -> rusqlite::Result<Option<Self>> {
        let Scope::Job(job) = scope else {
            return Ok(None);
        };
        let found: i64 = conn
            .prepare_cached(
                "SELECT count(*) FROM (SELECT 1 FROM receiver INDEXED BY receiver_job WHERE job = ? LIMIT ?)",
            )?
            .query_row([job.0, FEW + 1], |row| row.get(0))?;
        let since = if found > FEW {
            conn.prepare_cached("SELECT created_at FROM job WHERE id = ?")?
                .query_row([job.0], |row| row.get(0))
                .optional()?
        } else {
            None
        };
        Ok(Some(Self { job, since }))
    }

    fn since(resend: Option<Self>) -> i64 {
        resend.and_then(|resend| resend.since).unwrap_or(i64::MIN)
    }
}

impl Scope {
    /// What is due until then may be claimed.
    fn until(self, now: Timestamp) -> Timestamp {
        match self {
            Self::DueAt(cut) => cut,
            Self::Always | Self::Job(_) => now,
        }
    }
}

fn backend_number(conn: &Connection, name: &str) -> rusqlite::Result<Option<i64>> {
    conn.prepare_cached("SELECT id FROM backend WHERE name = ?")?
        .query_row([name], |row| row.get(0))
        .optional()
}

/// The highest priority below this one that anything waits with.
pub(super) fn next_priority(
    conn: &Connection,
    backend: i64,
    below: i64,
) -> rusqlite::Result<Option<i64>> {
    conn.prepare_cached(
        "SELECT max(priority) FROM receiver INDEXED BY receiver_due
         WHERE backend_id = ? AND priority < ? AND due_at IS NOT NULL AND engine IS NULL",
    )?
    .query_row(params![backend, below], |row| row.get(0))
    .and_then(|found: Option<i64>| match found {
        Some(found) if found >= below => Err(corrupt()),
        found => Ok(found),
    })
}

fn take_due(
    tx: &Transaction<'_>,
    engine: &str,
    backend: i64,
    job: Option<Resend>,
    limit: usize,
    until: Timestamp,
    now: Timestamp,
) -> rusqlite::Result<Vec<Claim>> {
    let mut claims = Vec::new();
    let mut below = i64::MAX;
    // Once per priority, highest first: so the index gives the order without a sort.
    while claims.len() < limit {
        let Some(priority) = next_priority(tx, backend, below)? else {
            break;
        };
        below = priority;
        let sql = format!(
            "UPDATE receiver SET engine = :engine, phase = 1, epoch = epoch + 1 WHERE id IN (
                 SELECT id FROM receiver INDEXED BY receiver_due
                 WHERE backend_id = :backend AND priority = :priority AND due_at BETWEEN :since AND :until AND due_at IS NOT NULL
                   AND engine IS NULL AND (:job IS NULL OR job = :job)
                   AND (expires_at IS NULL OR ignore_expiry OR expires_at > :now)
                 ORDER BY due_at, id LIMIT :limit)
             RETURNING {CLAIM_COLUMNS}"
        );
        let mut statement = tx.prepare_cached(&sql)?;
        let rows = statement.query_map(
            named_params! {
                ":engine": engine, ":backend": backend, ":priority": priority, ":since": Resend::since(job), ":until": millis(until),
                ":now": millis(now), ":job": job.map(|resend| resend.job.0), ":limit": (limit - claims.len()) as i64,
            },
            read_claim,
        )?;
        let mut found: Vec<Claim> = rows.collect::<Result<_, _>>()?;
        found.sort_by_key(turn);
        claims.append(&mut found);
    }
    Ok(claims)
}

/// Takes receivers of a resend that are few.
fn take_few(
    tx: &Transaction<'_>,
    engine: &str,
    backend: i64,
    job: JobId,
    limit: usize,
    now: Timestamp,
) -> rusqlite::Result<Vec<Claim>> {
    let sql = format!(
        "UPDATE receiver SET engine = ?1, phase = 1, epoch = epoch + 1 WHERE id IN (
             SELECT id FROM receiver INDEXED BY receiver_job
             WHERE job = ?2 AND backend_id = ?3 AND due_at <= ?4 AND engine IS NULL ORDER BY priority DESC, due_at, id LIMIT ?5)
         RETURNING {CLAIM_COLUMNS}, priority"
    );
    let mut claims: Vec<(i64, Claim)> = tx
        .prepare_cached(&sql)?
        .query_map(
            params![engine, job.0, backend, millis(now), limit as i64],
            |row| Ok((row.get("priority")?, read_claim(row)?)),
        )?
        .collect::<Result<_, _>>()?;
    claims.sort_by_key(|(priority, claim)| (Reverse(*priority), turn(claim)));
    Ok(claims.into_iter().map(|(_, claim)| claim).collect())
}

/// Within a priority the longest due first; `RETURNING` promises no order.
fn turn(claim: &Claim) -> (Timestamp, ReceiverId) {
    (claim.standing.due_at, claim.receiver.id)
}
