//! What an arm and a result do to rows.

use rusqlite::{Connection, OptionalExtension as _, ToSql, params};

use crate::{
    message::{CauseId, Failure, JobId, Outcome, ReceiverId, Report, State, Timestamp},
    store::{audit, cause, millis},
};

/// The columns of a row after a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next {
    /// Status and reason.
    pub state: State,
    /// When it is tried again.
    pub due_at: Option<Timestamp>,
    /// Tries that failed.
    pub failed_count: u32,
    /// Times it was accepted.
    pub sent_count: u32,
    /// Tries of unknown end.
    pub unknown_count: u32,
    /// When it was last accepted.
    pub sent_at: Option<Timestamp>,
    /// The resend that will try it again.
    pub job: Option<JobId>,
}

/// The result of one try for one receiver, ready to be written.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// Whom, under which claim.
    pub receiver: ReceiverId,
    /// See [`Receiver::epoch`](crate::message::Receiver::epoch).
    pub epoch: i64,
    /// What the row becomes.
    pub next: Next,
    /// What happened.
    pub report: Report,
    /// When the try began.
    pub started_at: Timestamp,
    /// When its end was known.
    pub ended_at: Timestamp,
    /// Whether the attempt is worth a line in the history; a probe that failed like the one before is not.
    pub record: Record,
}

/// What a settlement leaves in the receiver's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// An attempt.
    Attempt,
    /// Nothing.
    Nothing,
}

/// Receivers of one transaction that may get the message from now on: all of them or none.
#[derive(Clone, Debug)]
pub struct ArmRequest {
    /// Each with its claim.
    pub receivers: Vec<(ReceiverId, i64)>,
    /// When the try began.
    pub started_at: Timestamp,
}

/// All of the transaction's receivers or none: of several, every fence is looked at before anything is written. A row that is armed already
/// under this very claim is ours: a commit that seemed to fail had happened.
pub(super) fn arm(
    conn: &Connection,
    engine: &str,
    by: &str,
    request: &ArmRequest,
) -> rusqlite::Result<Vec<ReceiverId>> {
    let mut stale = Vec::new();
    if request.receivers.len() > 1 {
        let mut fence = conn
            .prepare_cached("SELECT 1 FROM receiver WHERE id = ? AND epoch = ? AND engine = ?")?;
        for (receiver, epoch) in &request.receivers {
            if !fence.exists(params![receiver.0, epoch, engine])? {
                stale.push(*receiver);
            }
        }
    }
    if !stale.is_empty() {
        return Ok(stale);
    }
    let mut update = conn.prepare_cached(
        "UPDATE receiver SET phase = 2 WHERE id = ? AND epoch = ? AND engine = ?",
    )?;
    let mut insert = conn.prepare_cached(
        "INSERT INTO attempt (receiver_id, epoch, started_at, tried_by) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
    )?;
    for (receiver, epoch) in &request.receivers {
        if update.execute(params![receiver.0, epoch, engine])? == 0 {
            // The only one.
            return Ok(vec![*receiver]);
        }
        insert.execute(params![receiver.0, epoch, millis(request.started_at), by])?;
    }
    Ok(stale)
}

/// Writes one result: the row if the claim still stands, the attempt, and beside it what came too late.
pub(in crate::store) fn settle(
    tx: &Connection,
    engine: &str,
    by: &str,
    settlement: &Settlement,
) -> rusqlite::Result<()> {
    let Settlement {
        receiver,
        epoch,
        next,
        report,
        ..
    } = settlement;
    let recorded = settlement.record == Record::Attempt;
    let cause = if recorded {
        cause_of(tx, settlement)?
    } else {
        None
    };
    let held = tx
        .prepare_cached(
            "UPDATE receiver SET state = ?, due_at = ?, failed_count = ?, sent_count = ?, unknown_count = ?, sent_at = ?, job = ?,
                                 cause_id = iif(?, ?, cause_id), engine = NULL, phase = NULL
             WHERE id = ? AND epoch = ? AND engine = ?",
        )?
        .execute(params![
            next.state.number(),
            next.due_at.map(millis),
            next.failed_count,
            next.sent_count,
            next.unknown_count,
            next.sent_at.map(millis),
            next.job.map(|job| job.0),
            recorded,
            cause.map(|cause| cause.0),
            receiver.0,
            epoch,
            engine,
        ])?
        == 1;
    if !recorded {
        return Ok(());
    }
    let outcome = report.outcome();
    let there: Option<Option<String>> = if held {
        None
    } else {
        tx.prepare_cached("SELECT outcome FROM attempt WHERE receiver_id = ? AND epoch = ?")?
            .query_row(params![receiver.0, epoch], |row| row.get(0))
            .optional()?
    };
    match there {
        // The attempt has this very outcome: a commit that seemed to fail had happened.
        Some(Some(before)) if before == outcome.name() => Ok(()),
        Some(Some(_)) => file_late(tx, by, settlement, cause),
        _ if held || receiver_exists(tx, *receiver)? => {
            write_attempt(tx, by, settlement)?;
            if held {
                return Ok(());
            }
            cause::correct(tx, *receiver, *epoch, cause)?;
            correct(tx, by, settlement)
        }
        _ => Ok(()),
    }
}

/// The cause that a result tells.
fn cause_of(tx: &Connection, settlement: &Settlement) -> rusqlite::Result<Option<CauseId>> {
    match &settlement.report {
        Report::Accepted { .. } => Ok(None),
        Report::Failed(_, failure) => {
            cause::note_for(tx, settlement.receiver, failure, settlement.ended_at)
        }
    }
}

fn receiver_exists(tx: &Connection, receiver: ReceiverId) -> rusqlite::Result<bool> {
    tx.prepare_cached("SELECT 1 FROM receiver WHERE id = ?")?
        .exists([receiver.0])
}

/// Ends the running attempt, or writes a whole one where nothing was armed.
fn write_attempt(tx: &Connection, by: &str, settlement: &Settlement) -> rusqlite::Result<()> {
    let outcome = settlement.report.outcome();
    let empty = Failure::default();
    let (failure, reply, code, enhanced) = match &settlement.report {
        Report::Accepted {
            reply,
            code,
            enhanced,
        } => (&empty, Some(reply), *code, enhanced.as_ref()),
        Report::Failed(_, failure) => (failure, None, failure.code, failure.enhanced.as_ref()),
    };
    let told = outcome != Outcome::Accepted;
    let ended_at = millis(settlement.ended_at.max(settlement.started_at));
    let started_at = millis(settlement.started_at);
    let (error, traceback) = (
        told.then_some(&failure.error),
        told.then_some(&failure.traceback),
    );
    let values: [&dyn ToSql; 14] = [
        &settlement.receiver.0,
        &settlement.epoch,
        &ended_at,
        &outcome.name(),
        &code,
        &enhanced,
        &failure.server,
        &failure.phase,
        &error,
        &traceback,
        &failure.transcript,
        &reply,
        &started_at,
        &by,
    ];
    let ended = tx
        .prepare_cached(
            "UPDATE attempt SET ended_at = ?3, outcome = ?4, code = ?5, enhanced = ?6, server = ?7, phase = ?8, error = ?9, traceback = ?10,
                                transcript = ?11, reply = ?12
             WHERE receiver_id = ?1 AND epoch = ?2 AND outcome IS NULL",
        )?
        .execute(&values[..12])?;
    if ended == 0 {
        tx.prepare_cached(
            "INSERT INTO attempt (receiver_id, epoch, ended_at, outcome, code, enhanced, server, phase, error, traceback, transcript, reply,
                                  started_at, tried_by)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) ON CONFLICT DO NOTHING",
        )?
        .execute(&values[..])?;
    }
    Ok(())
}

/// A result for an attempt that already has another: it stands beside it, once.
fn file_late(
    tx: &Connection,
    by: &str,
    settlement: &Settlement,
    cause: Option<CauseId>,
) -> rusqlite::Result<()> {
    let text = match &settlement.report {
        Report::Accepted { reply, .. } => reply,
        Report::Failed(_, failure) => &failure.error,
    };
    let filed = tx
        .prepare_cached(
            "UPDATE attempt SET late_outcome = ?, late_at = ?, late_text = ? WHERE receiver_id = ? AND epoch = ? AND late_outcome IS NULL",
        )?
        .execute(params![
            settlement.report.outcome().name(),
            millis(settlement.ended_at),
            text,
            settlement.receiver.0,
            settlement.epoch
        ])?;
    if filed == 0 {
        return Ok(());
    }
    if matches!(
        settlement.report.outcome(),
        Outcome::Accepted | Outcome::Temporary | Outcome::Permanent
    ) {
        cause::correct(tx, settlement.receiver, settlement.epoch, cause)?;
    }
    correct(tx, by, settlement)
}

/// What a late result does to the row that has moved on.
fn correct(tx: &Connection, by: &str, settlement: &Settlement) -> rusqlite::Result<()> {
    let Settlement {
        receiver,
        next,
        report,
        ended_at,
        ..
    } = settlement;
    match report.outcome() {
        Outcome::Accepted => {
            let corrected = tx
                .prepare_cached(
                    "UPDATE receiver SET state = ?1, due_at = NULL, sent_count = sent_count + 1, sent_at = ?2, job = NULL,
                                         epoch = epoch + 1, engine = NULL, phase = NULL
                     WHERE id = ?3 AND phase IS NOT 2 AND state <> ?1",
                )?
                .execute(params![State::Accepted.number(), millis(*ended_at), receiver.0])?;
            if corrected == 0 {
                let target = format!(
                    "receiver {receiver}: accepted twice, an earlier try's answer came late"
                );
                audit::write(tx, *ended_at, by, "duplicate", &target, 1, Some(*receiver))?;
            }
        }
        // A newer try of unknown end leaves the row in doubt, whatever this one came to.
        Outcome::Temporary | Outcome::Permanent => {
            tx.prepare_cached(
                "UPDATE receiver SET state = ?1, due_at = ?2, failed_count = failed_count + 1, job = NULL, epoch = epoch + 1,
                                     engine = NULL, phase = NULL
                 WHERE id = ?3 AND phase IS NOT 2 AND state IN (4, 9)
                     AND NOT EXISTS (SELECT 1 FROM attempt WHERE receiver_id = ?3 AND epoch > ?4 AND outcome = 'unknown')",
            )?
            .execute(params![
                next.state.number(),
                next.due_at.map(millis),
                receiver.0,
                settlement.epoch
            ])?;
        }
        Outcome::Backend | Outcome::Unknown | Outcome::Cancelled => {}
    }
    Ok(())
}
