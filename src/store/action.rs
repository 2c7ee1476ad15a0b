//! What operators do: resend, hold, release, cancel, mark as sent, delete. One table of rules, walked in small transactions.

use std::{ops::ControlFlow, time::Instant};

use rusqlite::{Transaction, params};

use super::{
    Action, Affected, Chosen, Reader, Store, StoreError, Target, audit,
    chosen::{WINDOW, id_list},
    clean,
    error::{corrupt, explain},
    millis,
    pace::{GAP, Pace},
    window::read_state,
};
use crate::message::{JobId, ReceiverId, State, Status, Timestamp};

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
            Self::Resend | Self::Delete | Self::CleanUp { pending: true } => true,
            Self::Hold => state.is_pending(),
            Self::Release => matches!(state, State::Held | State::FailedHeld),
            Self::Cancel => {
                matches!(state.status(), Status::NotSent | Status::Failed)
                    || state == State::ErrorUnconfirmed
            }
            Self::MarkSent => matches!(state, State::FailedUnconfirmed | State::ErrorUnconfirmed),
            Self::CleanUp { pending: false } => {
                matches!(state.status(), Status::Error | Status::Sent)
            }
        }
    }

    /// What those are that it means nothing to, as one would say of them: "3 receivers not held".
    pub fn left_alone(self) -> &'static str {
        match self {
            Self::Hold => "held already, Error or Sent",
            Self::Release => "not held",
            Self::Cancel => "Error already, or Sent",
            Self::MarkSent => "not unconfirmed",
            // The first two leave nobody.
            Self::Resend | Self::Delete | Self::CleanUp { .. } => "still to be sent, or held",
        }
    }

    /// Whether one that was chosen in one state and is in another now is still meant. Who may resend or delete whatever the status said yes to
    /// a status: what was Sent meanwhile must not go out again.
    fn still_means(self, chosen: State, now: State) -> bool {
        let whatever_the_status =
            matches!(self, Self::Resend | Self::Delete | Self::CleanUp { .. });
        self.applies_to(now) && (!whatever_the_status || chosen.status() == now.status())
    }

    /// What it sets. `?1` is now, `?2` the configured resend limit, `?3` the job; a claim of the row ends, so that its arm fails. `None`: the row goes,
    /// and so does its arm.
    fn assignments(self) -> Option<&'static str> {
        Some(match self {
            Self::Delete | Self::CleanUp { .. } => return None,
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
        })
    }
}

impl Store {
    /// Does it to all that are meant at this moment; see [`Store::act_on`].
    pub fn act(
        &self,
        action: Action,
        target: &Target,
        acting: &Acting,
        progress: &mut dyn FnMut(&Affected) -> ControlFlow<()>,
    ) -> Result<Affected, StoreError> {
        let chosen = self.reader()?.choose(action, target)?;
        self.act_on(&chosen, acting, progress)
    }

    /// Does it to those that were chosen and to no others, in transactions of a few milliseconds with gaps that let others in. Who has become something
    /// else since is left alone where the action would otherwise mean something else too. `progress` sees what was done so far and may stop it
    /// between two transactions. Newest first; what is handed over meanwhile is not touched.
    pub fn act_on(
        &self,
        chosen: &Chosen,
        acting: &Acting,
        progress: &mut dyn FnMut(&Affected) -> ControlFlow<()>,
    ) -> Result<Affected, StoreError> {
        let action = chosen.action;
        let mut affected = Affected {
            armed: chosen.would().armed,
            not_applicable: chosen.would().not_applicable,
            ..Affected::default()
        };
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
        let mut line = audit::Line::new(acting.now, &acting.who, action.name(), &acting.target);
        let (mut pace, mut meant) = (Pace::new(), chosen.iter());
        let mut last = None;
        loop {
            let some: Vec<_> = meant.by_ref().take(pace.rows()).collect();
            if some.is_empty() {
                return Ok(affected);
            }
            let (done, one, written, began) = self.write(|tx| {
                let began = Instant::now();
                let mut done = affected.clone();
                let one = act_on(tx, action, &some, acting, &mut done)?.or(last);
                let written = match done.total() {
                    0 => None,
                    n => Some(line.write(tx, n, one.filter(|_| n == 1))?),
                };
                Ok((done, one, written, began))
            })?;
            pace.held_since(began);
            (affected, last) = (done, one);
            if let Some(id) = written {
                line.written(id);
            }
            if progress(&affected).is_break() {
                return Ok(affected);
            }
            std::thread::sleep(GAP);
        }
    }

    /// Stops a resend: what of it has not gone out is held; what is armed is left to end. Returns how many were held.
    pub fn stop_job(&self, job: JobId, acting: &Acting) -> Result<u64, StoreError> {
        let (mut held, reader) = (0, self.reader()?);
        loop {
            let ids: Vec<ReceiverId> = reader.run(|conn| {
                conn.prepare_cached("SELECT id FROM receiver INDEXED BY receiver_job WHERE job = ? AND phase IS NOT 2")?
                    .query_map([job.0], |row| Ok(ReceiverId(row.get(0)?)))?
                    .collect()
            })?;
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
        let mut line = audit::Line::new(acting.now, &acting.who, "resend-failed", &acting.target);
        let mut pace = Pace::new();
        for state in Status::Failed.states().filter(|state| state.is_pending()) {
            let mut below = i64::MAX;
            loop {
                let some = self.write(|tx| {
                    let began = Instant::now();
                    let ids: Vec<ReceiverId> = tx
                        .prepare_cached(
                            "SELECT id FROM receiver INDEXED BY receiver_state WHERE state = ? AND engine IS NULL AND id < ? ORDER BY id DESC LIMIT ?",
                        )?
                        .query_map(params![state.number(), below, pace.rows() as i64], |row| Ok(ReceiverId(row.get(0)?)))?
                        .collect::<Result<_, _>>()?;
                    let Some(last) = ids.last() else { return Ok(None) };
                    if last.0 >= below {
                        return Err(corrupt());
                    }
                    let due = tx
                        .prepare_cached(
                            "UPDATE receiver SET due_at = ?1 WHERE id IN (SELECT value FROM json_each(?2))
                                 AND failed_count <= coalesce(resend_limit, ?3)",
                        )?
                        .execute(params![millis(acting.now), id_list(ids.iter().copied()), acting.resend_limit])?;
                    let so_far = ResendFailed {
                        due: done.due + due as u64,
                        exceeded: done.exceeded + (ids.len() - due) as u64,
                    };
                    let written = match so_far.due {
                        0 => None,
                        n => Some(line.write(tx, n, None)?),
                    };
                    Ok(Some((last.0, so_far, written, began)))
                })?;
                let Some((last, so_far, written, began)) = some else {
                    break;
                };
                pace.held_since(began);
                (below, done) = (last, so_far);
                if let Some(id) = written {
                    line.written(id);
                }
                std::thread::sleep(GAP);
            }
        }
        let conn = self.writer();
        let exhausted: i64 = conn
            .query_row(
                "SELECT coalesce(sum(n), 0) FROM counter WHERE state = ?",
                [State::Exhausted.number()],
                |row| row.get(0),
            )
            .map_err(|error| explain(&self.path, error))?;
        done.exceeded += exhausted as u64;
        Ok(done)
    }
}

impl Reader {
    /// How many receivers of a resend still wait for their try, or are being tried: each is counted.
    pub fn job_waiting(&self, job: JobId) -> Result<u64, StoreError> {
        self.run(|conn| {
            conn.prepare_cached(
                "SELECT count(*) FROM receiver INDEXED BY receiver_job WHERE job = ?",
            )?
            .query_row([job.0], |row| row.get::<_, i64>(0))
            .map(|waiting| waiting as u64)
        })
    }

    /// The backends over which receivers of a resend still wait.
    pub fn job_waits_for(&self, job: JobId) -> Result<Vec<String>, StoreError> {
        self.run(|conn| {
            conn.prepare_cached(
                "SELECT name FROM backend WHERE id IN (SELECT backend_id FROM receiver INDEXED BY receiver_job WHERE job = ?)",
            )?
            .query_map([job.0], |row| row.get(0))?
            .collect()
        })
    }

    /// How many of those that a resend chose are still in it or were tried since it began. The others something else has taken out of it.
    pub fn job_reached(&self, job: JobId, chosen: &Chosen) -> Result<u64, StoreError> {
        let (mut reached, mut meant) = (0, chosen.iter());
        loop {
            let some: Vec<_> = meant.by_ref().take(WINDOW).map(|(id, _)| id).collect();
            if some.is_empty() {
                return Ok(reached);
            }
            reached += self.run(|conn| {
                conn.prepare_cached(
                    "SELECT count(*) FROM receiver WHERE id IN (SELECT value FROM json_each(?2))
                         AND (job = ?1 OR EXISTS (SELECT 1 FROM attempt WHERE receiver_id = receiver.id AND outcome IS NOT 'cancelled'
                                                  AND started_at >= (SELECT created_at FROM job WHERE id = ?1)))",
                )?
                .query_row(params![job.0, id_list(some)], |row| row.get::<_, i64>(0))
            })? as u64;
        }
    }
}

/// Does it to those of these that it still means something to, and counts the others with the reason. Returns one that was touched.
fn act_on(
    tx: &Transaction<'_>,
    action: Action,
    meant: &[(ReceiverId, State)],
    acting: &Acting,
    affected: &mut Affected,
) -> rusqlite::Result<Option<ReceiverId>> {
    let mut touched = Vec::with_capacity(meant.len());
    let found: Vec<(ReceiverId, State, bool)> = tx
        .prepare_cached(
            "SELECT id, state, phase IS 2 FROM receiver WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id DESC",
        )?
        .query_map([id_list(meant.iter().map(|(id, _)| *id))], |row| {
            Ok((ReceiverId(row.get(0)?), read_state(row, 1)?, row.get(2)?))
        })?
        .collect::<Result<_, _>>()?;
    // Both are newest first.
    let mut found = found.into_iter().peekable();
    for (id, before) in meant {
        match found.next_if(|(found, ..)| found == id) {
            Some((_, _, true)) => affected.armed += 1,
            Some((_, state, false)) if action.still_means(*before, state) => {
                affected.touch(state);
                touched.push(*id);
            }
            // Changed meanwhile, or deleted.
            _ => affected.changed += 1,
        }
    }
    let ids = id_list(touched.iter().copied());
    match action.assignments() {
        _ if touched.is_empty() => {}
        None => {
            clean::remove_receivers(tx, &ids)?;
        }
        Some(assignments) => {
            let sql = format!(
                "UPDATE receiver SET {assignments}, epoch = epoch + (engine IS NOT NULL), engine = NULL, phase = NULL
                 WHERE id IN (SELECT value FROM json_each(?4)) AND phase IS NOT 2",
            );
            tx.prepare_cached(&sql)?.execute(params![
                millis(acting.now),
                acting.resend_limit,
                affected.job.map(|job| job.0),
                ids
            ])?;
        }
    }
    Ok(touched.last().copied())
}
