//! What operators do: resend, hold, release, cancel, mark as sent. One table of rules, walked in small transactions.

use std::ops::ControlFlow;

use rusqlite::{Connection, OptionalExtension as _, Transaction, params, params_from_iter};

use super::{
    Action, Affected, Reader, Store, StoreError, Target, audit, error::explain, millis, plan::Plan,
    window::read_state,
};
use crate::{
    message::{JobId, Reason, ReceiverId, State, Status, Timestamp},
    query::Query,
};

/// Rows a transaction: well under 50 ms of the write lock.
const CHUNK: usize = 500;

/// Who acts, and what the rules need to know.
#[derive(Clone, Debug)]
pub struct Acting {
    /// For the audit log: `SUDO_USER`, else the user.
    pub who: String,
    /// The target in words, for the audit log.
    pub target: String,
    /// Now.
    pub now: Timestamp,
    /// The configured resend limit, which a resend adds to the failed count.
    pub resend_limit: u32,
}

/// What [`Store::resend_failed`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResendFailed {
    /// Failed receivers within the limit: due now.
    pub due: u64,
    /// Receivers beyond the limit: left alone.
    pub exceeded: u64,
}

impl Action {
    /// The states it means something to.
    pub fn applies_to(self, state: State) -> bool {
        match self {
            Self::Resend => true,
            Self::Hold => state.is_pending(),
            Self::Release => matches!(state, State::Held | State::FailedHeld),
            Self::Cancel => {
                matches!(state.status(), Status::NotSent | Status::Failed)
                    || state == State::ErrorUnconfirmed
            }
            Self::MarkSent => matches!(state, State::FailedUnconfirmed | State::ErrorUnconfirmed),
        }
    }

    /// What it sets. `?1` is now, `?2` the configured resend limit, `?3` the job; a claim of the row ends, so that its arm fails.
    fn assignments(self) -> &'static str {
        match self {
            Self::Resend => {
                "state = 0, due_at = ?1, unknown_count = 0, resend_limit = failed_count + ?2, backoff_from = failed_count, ignore_expiry = 1, job = ?3,
                 uid = CASE WHEN state IN (12, 13) THEN lower(hex(randomblob(12))) ELSE uid END"
            }
            Self::Hold => "state = CASE state WHEN 0 THEN 1 ELSE 5 END, due_at = NULL, job = NULL",
            Self::Release => {
                "state = CASE WHEN state = 1 THEN 0 WHEN unknown_count > 0 THEN 4 ELSE 2 END, due_at = max(?1, coalesce(send_after, ?1))"
            }
            Self::Cancel => "state = 11, due_at = NULL, job = NULL",
            Self::MarkSent => "state = 13, due_at = NULL, job = NULL, sent_at = ?1",
        }
    }
}

impl Reader {
    /// What an action would touch.
    pub fn affected(&self, action: Action, target: &Target) -> Result<Affected, StoreError> {
        self.run(|conn| {
            let mut affected = Affected::default();
            let mut cursor = Cursor::new(target);
            while let Some(ids) = cursor.next(conn, 5_000)? {
                sort(conn, action, &ids, &mut affected)?;
            }
            Ok(affected)
        })
    }
}

impl Store {
    /// Does it, in chunks that let others in. `progress` sees what was done so far and may stop it between two chunks. Newest first; what is handed over
    /// meanwhile is not touched.
    pub fn act(
        &self,
        action: Action,
        target: &Target,
        acting: &Acting,
        progress: &mut dyn FnMut(&Affected) -> ControlFlow<()>,
    ) -> Result<Affected, StoreError> {
        let mut affected = Affected::default();
        let mut cursor = Cursor::new(target);
        if action == Action::Resend {
            let job = self.write(|tx| {
                tx.execute(
                    "INSERT INTO job (created_at, who) VALUES (?, ?)",
                    params![millis(acting.now), acting.who],
                )?;
                Ok(JobId(tx.last_insert_rowid()))
            })?;
            affected.job = Some(job);
        }
        let mut result = Ok(());
        loop {
            let before = affected.clone();
            let step = self.write(|tx| {
                let Some(ids) = cursor.next(tx, CHUNK)? else {
                    return Ok(false);
                };
                act_on(tx, action, &ids, acting, &mut affected)?;
                Ok(true)
            });
            match step {
                Ok(true) if progress(&affected).is_continue() => {}
                Ok(_) => break,
                Err(error) => {
                    affected = before;
                    result = Err(error);
                    break;
                }
            }
        }
        // What was done is in the log also when the rest failed.
        if affected.total() > 0 {
            self.write(|tx| {
                audit::write(
                    tx,
                    acting.now,
                    &acting.who,
                    action.name(),
                    &acting.target,
                    affected.total(),
                    target.single(),
                )
            })?;
        }
        result.map(|()| affected)
    }

    /// Stops a resend: what of it has not gone out is held; what is armed is left to end. Returns how many were held.
    pub fn stop_job(&self, job: JobId, acting: &Acting) -> Result<u64, StoreError> {
        let mut held = 0;
        loop {
            let ids = {
                let conn = self.writer();
                ids(&conn, "SELECT id FROM receiver INDEXED BY receiver_job WHERE job = ? AND phase IS NOT 2 LIMIT ?", [job.0, CHUNK as i64])
                    .map_err(|error| explain(&self.path, error))?
            };
            if ids.is_empty() {
                return Ok(held);
            }
            held += self
                .act(Action::Hold, &Target::Ids(ids), acting, &mut |_| {
                    ControlFlow::Continue(())
                })?
                .total();
        }
    }

    /// Devilry's `devilry_resend_failed_messages`: Failed receivers within the limit are due now. Held ones and those being sent stay.
    pub fn resend_failed(&self, acting: &Acting) -> Result<ResendFailed, StoreError> {
        let mut done = ResendFailed::default();
        let mut below = i64::MAX;
        loop {
            let chunk = self.write(|tx| {
                let ids = ids(
                    tx,
                    "SELECT id FROM receiver WHERE state IN (2, 3, 4) AND engine IS NULL AND id < ? ORDER BY id DESC LIMIT ?",
                    [below, CHUNK as i64],
                )?;
                let Some(last) = ids.last() else { return Ok(None) };
                let chunk = id_list(&ids);
                let due = tx
                    .prepare_cached(
                        "UPDATE receiver SET due_at = ?1 WHERE id IN (SELECT value FROM json_each(?2))
                             AND failed_count <= coalesce(resend_limit, ?3)",
                    )?
                    .execute(params![millis(acting.now), chunk, acting.resend_limit])?;
                Ok(Some((last.0, due as u64, (ids.len() - due) as u64)))
            })?;
            let Some((last, due, over)) = chunk else {
                break;
            };
            below = last;
            done.due += due;
            done.exceeded += over;
        }
        done.exceeded += self.write(|tx| {
            let exhausted: i64 = tx.query_row(
                "SELECT coalesce(sum(n), 0) FROM counter WHERE state = ?",
                [State::Exhausted.number()],
                |row| row.get(0),
            )?;
            if done.due > 0 {
                audit::write(
                    tx,
                    acting.now,
                    &acting.who,
                    "resend-failed",
                    &acting.target,
                    done.due,
                    None,
                )?;
            }
            Ok(exhausted as u64)
        })?;
        Ok(done)
    }

    /// How many receivers of a resend still wait for their try, or are being tried.
    pub fn job_waiting(&self, job: JobId) -> Result<u64, StoreError> {
        let conn = self.writer();
        conn.prepare_cached("SELECT count(*) FROM receiver INDEXED BY receiver_job WHERE job = ?")
            .and_then(|mut statement| statement.query_row([job.0], |row| row.get::<_, i64>(0)))
            .optional()
            .map(|n| n.unwrap_or(0) as u64)
            .map_err(|error| explain(&self.path, error))
    }
}

impl Target {
    fn single(&self) -> Option<ReceiverId> {
        match self {
            Self::Ids(ids) if ids.len() == 1 => ids.first().copied(),
            _ => None,
        }
    }
}

fn act_on(
    tx: &Transaction<'_>,
    action: Action,
    ids: &[ReceiverId],
    acting: &Acting,
    affected: &mut Affected,
) -> rusqlite::Result<()> {
    let applicable = sort(tx, action, ids, affected)?;
    if applicable.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "UPDATE receiver SET {}, epoch = epoch + (engine IS NOT NULL), engine = NULL, phase = NULL
         WHERE id IN (SELECT value FROM json_each(?4)) AND phase IS NOT 2",
        action.assignments()
    );
    tx.prepare_cached(&sql)?.execute(params![
        millis(acting.now),
        acting.resend_limit,
        affected.job.map(|job| job.0),
        id_list(&applicable)
    ])?;
    Ok(())
}

/// Which of these the action touches; the others are counted with the reason.
fn sort(
    conn: &Connection,
    action: Action,
    ids: &[ReceiverId],
    affected: &mut Affected,
) -> rusqlite::Result<Vec<ReceiverId>> {
    let mut applicable = Vec::with_capacity(ids.len());
    let mut statement = conn.prepare_cached(
        "SELECT id, state, phase IS 2 FROM receiver WHERE id IN (SELECT value FROM json_each(?))",
    )?;
    let mut rows = statement.query([id_list(ids)])?;
    while let Some(row) = rows.next()? {
        let (state, armed) = (read_state(row, 1)?, row.get::<_, bool>(2)?);
        if armed {
            affected.armed += 1;
        } else if action.applies_to(state) {
            affected.by_status[state.status() as usize] += 1;
            affected.unconfirmed += u64::from(state.reason() == Reason::Unconfirmed);
            applicable.push(ReceiverId(row.get(0)?));
        } else {
            affected.not_applicable += 1;
        }
    }
    Ok(applicable)
}

/// Walks a target from the newest receiver to the oldest.
struct Cursor<'a> {
    target: &'a Target,
    everything: Query,
    below: i64,
}

impl<'a> Cursor<'a> {
    fn new(target: &'a Target) -> Self {
        Self {
            target,
            everything: Query::default(),
            below: i64::MAX,
        }
    }

    /// The next receivers, at most `limit`; `None` at the end.
    fn next(
        &mut self,
        conn: &Connection,
        limit: usize,
    ) -> rusqlite::Result<Option<Vec<ReceiverId>>> {
        let (query, except): (&Query, &[ReceiverId]) = match self.target {
            Target::Query(query) => (query, &[]),
            Target::Except(query, except) => (query, except),
            Target::Ids(ids) => {
                let mut rest: Vec<ReceiverId> =
                    ids.iter().copied().filter(|id| id.0 < self.below).collect();
                rest.sort_unstable_by(|a, b| b.cmp(a));
                rest.dedup();
                rest.truncate(limit);
                let Some(last) = rest.last() else {
                    return Ok(None);
                };
                self.below = last.0;
                return Ok(Some(rest));
            }
        };
        let query = if query.terms.is_empty() {
            &self.everything
        } else {
            query
        };
        let mut plan = Plan::new(conn, query)?;
        let (bound, limit) = (
            format!("< {}", plan.bind(self.below)),
            plan.bind(limit as i64),
        );
        let found: Vec<ReceiverId> = conn
            .prepare(&plan.ids(Some(&bound), true, &limit))?
            .query_map(params_from_iter(&plan.values), |row| {
                Ok(ReceiverId(row.get(0)?))
            })?
            .collect::<Result<_, _>>()?;
        let Some(last) = found.last() else {
            return Ok(None);
        };
        self.below = last.0;
        Ok(Some(
            found
                .into_iter()
                .filter(|id| !except.contains(id))
                .collect(),
        ))
    }
}

fn ids<P: rusqlite::Params>(
    conn: &Connection,
    sql: &str,
    values: P,
) -> rusqlite::Result<Vec<ReceiverId>> {
    conn.prepare_cached(sql)?
        .query_map(values, |row| Ok(ReceiverId(row.get(0)?)))?
        .collect()
}

fn id_list(ids: &[ReceiverId]) -> String {
    let mut list = String::from("[");
    for (index, id) in ids.iter().enumerate() {
        if index > 0 {
            list.push(',');
        }
        list.push_str(&id.0.to_string());
    }
    list.push(']');
    list
}
