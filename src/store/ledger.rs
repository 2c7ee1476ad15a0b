//! Arm and settle: the durable half of delivery.
//!
//! Everything that a process writes about its deliveries goes through one [`Ledger`]. Who comes first leads: it waits for the writer's lock and, a little,
//! for the other connections, and commits all that has gathered; those whose work it took only wait for its word. So one flush serves all
//! connections, and a single connection pays for no hand-over between threads.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{SyncSender, sync_channel},
    },
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode, OptionalExtension as _, TransactionBehavior, params};

use super::{Store, StoreError, audit, cause, error::explain, millis};
use crate::{
    fail,
    message::{CauseId, Failure, JobId, Outcome, Receiver, ReceiverId, Report, State, Timestamp},
};

/// A group waits at most this long for the connections that have not come.
const GATHER: Duration = Duration::from_millis(5);

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
    /// See [`Receiver::epoch`].
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

/// The place of one delivering process in the store; everything it writes is fenced on its id.
pub struct Ledger {
    store: Arc<Store>,
    engine: String,
    /// Who tries, as attempts show it.
    by: String,
    queue: Mutex<Queue>,
    /// Every connection at work has come.
    full: Condvar,
    /// The engine has left: nobody comes to write what is settled now.
    left: AtomicBool,
}

/// What waits to be written.
#[derive(Default)]
struct Queue {
    entries: VecDeque<Entry>,
    /// How many of them are arms.
    arms: usize,
    /// Somebody waits for the writer's lock and will take all there is by then.
    led: bool,
    /// How many connections are at work: each will come to arm soon.
    at_work: usize,
    /// How long the last commit took.
    took: Duration,
}

enum Entry {
    Settle(Box<Settlement>, Instant),
    /// With the way back to the one who waits.
    Arm(ArmRequest, SyncSender<Armed>),
}

/// Whose fence failed.
type Armed = Result<Vec<ReceiverId>, StoreError>;

impl Ledger {
    pub(super) fn new(store: Arc<Store>, engine: String, by: String) -> Self {
        Self {
            store,
            engine,
            by,
            queue: Mutex::default(),
            full: Condvar::new(),
            left: AtomicBool::new(false),
        }
    }

    /// The engine's id.
    pub fn engine(&self) -> &str {
        &self.engine
    }

    /// The store it writes to.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Arms, durably, with everything settled before in the same commit. Answers with the receivers whose fence failed: then none is armed.
    pub fn arm(&self, request: ArmRequest) -> Result<Vec<ReceiverId>, StoreError> {
        let (answer, answered) = sync_channel(1);
        let leads = {
            let mut queue = self.queue();
            queue.entries.push_back(Entry::Arm(request, answer));
            queue.arms += 1;
            if queue.arms == queue.at_work {
                self.full.notify_all();
            }
            !std::mem::replace(&mut queue.led, true)
        };
        if leads {
            // Nothing of this process is being written any more: whom the last group answered is on the way.
            let conn = self.store.writer();
            self.gather();
            // An error is in the answer too.
            let _ = self.commit(conn);
        }
        answered
            .recv()
            .unwrap_or_else(|_| Err(StoreError::Busy(self.store.path.clone())))
    }

    /// A connection is at work: it will come to arm.
    pub(crate) fn begin(&self) {
        self.queue().at_work += 1;
    }

    /// It is no longer.
    pub(crate) fn end(&self) {
        self.queue().at_work -= 1;
        self.full.notify_all();
    }

    /// Waits for the other connections, as long as one flush for all may save: without that, two halves of them would take turns for ever, each waiting
    /// for the other's flush.
    fn gather(&self) {
        let queue = self.queue();
        let patience = (queue.took / 2).min(GATHER);
        let _ = self
            .full
            .wait_timeout_while(queue, patience, |queue| queue.arms < queue.at_work);
    }

    /// Notes a result; it is durable with the next arm or flush, and at once when the engine has left.
    pub fn settle(&self, settlement: Settlement) {
        self.queue()
            .entries
            .push_back(Entry::Settle(Box::new(settlement), Instant::now()));
        if self.left.load(Ordering::SeqCst) {
            self.flush_late();
        }
    }

    /// The engine leaves: what is settled from now on is written at once, as a late result where its row has moved on.
    pub(super) fn leave(&self) {
        self.left.store(true, Ordering::SeqCst);
        self.flush_late();
    }

    fn flush_late(&self) {
        if let Err(error) = self.flush() {
            tracing::error!(%error, "an answer that came late could not be written");
        }
    }

    /// Whether results wait to be written.
    pub fn has_unwritten(&self) -> bool {
        !self.queue().entries.is_empty()
    }

    /// Writes what waits, if the oldest has waited for this long for an arm to ride with.
    pub fn flush_older_than(&self, age: Duration) -> Result<(), StoreError> {
        match self.queue().entries.front() {
            Some(Entry::Settle(_, since)) if since.elapsed() < age => return Ok(()),
            _ => {}
        }
        self.flush()
    }

    /// Writes what waits. On an error it is kept and can be tried again.
    pub fn flush(&self) -> Result<(), StoreError> {
        if !self.has_unwritten() {
            return Ok(());
        }
        self.commit(self.store.writer())
    }

    /// Frees rows that were claimed and not armed: they were never tried.
    pub fn free(&self, receivers: &[&Receiver]) -> Result<(), StoreError> {
        self.store.write_unflushed(|tx| {
            let mut statement = tx.prepare_cached(
                "UPDATE receiver SET engine = NULL, phase = NULL WHERE id = ? AND epoch = ? AND engine = ? AND phase = 1",
            )?;
            for receiver in receivers {
                statement.execute(params![receiver.id.0, receiver.epoch, self.engine])?;
            }
            Ok(())
        })
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the whole queue in one durable transaction and answers everybody in it.
    fn commit(&self, mut conn: MutexGuard<'_, Connection>) -> Result<(), StoreError> {
        let entries = {
            let mut queue = self.queue();
            queue.led = false;
            queue.arms = 0;
            std::mem::take(&mut queue.entries)
        };
        if entries.is_empty() {
            return Ok(());
        }
        let began = Instant::now();
        let written = self.write(&mut conn, &entries);
        let mut queue = self.queue();
        queue.took = began.elapsed();
        match written {
            Ok(armed) => {
                drop((queue, conn));
                let answers = entries.into_iter().filter_map(Entry::into_answer);
                for (answer, armed) in answers.zip(armed) {
                    let _ = answer.send(Ok(armed));
                }
                Ok(())
            }
            Err(error) => {
                let error = explain(&self.store.path, error);
                // Results are kept, in their order, before whatever came meanwhile; arms are told no.
                for entry in entries.into_iter().rev() {
                    match entry {
                        Entry::Settle(..) => queue.entries.push_front(entry),
                        Entry::Arm(_, answer) => {
                            let _ = answer.send(Err(error.clone()));
                        }
                    }
                }
                Err(error)
            }
        }
    }

    /// One transaction for all of them. A result that the schema refuses must not keep everybody else's from the disk: then they are written once
    /// more, each result in a savepoint of its own.
    fn write(
        &self,
        conn: &mut Connection,
        entries: &VecDeque<Entry>,
    ) -> rusqlite::Result<Vec<Vec<ReceiverId>>> {
        match self.write_once(conn, entries, false) {
            Err(error) if is_refusal(&error) => self.write_once(conn, entries, true),
            result => result,
        }
    }

    fn write_once(
        &self,
        conn: &mut Connection,
        entries: &VecDeque<Entry>,
        careful: bool,
    ) -> rusqlite::Result<Vec<Vec<ReceiverId>>> {
        let mut armed = Vec::new();
        let mut tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for entry in entries {
            match entry {
                Entry::Settle(settlement, _) if !careful => {
                    settle(&tx, &self.engine, &self.by, settlement)?;
                }
                Entry::Settle(settlement, _) => {
                    let savepoint = tx.savepoint()?;
                    match settle(&savepoint, &self.engine, &self.by, settlement) {
                        Ok(()) => savepoint.commit()?,
                        Err(error) if is_refusal(&error) => {
                            tracing::error!(receiver = settlement.receiver.0, %error, "a result could not be written");
                        }
                        Err(error) => return Err(error),
                    }
                }
                Entry::Arm(request, _) => armed.push(self.write_arm(&tx, request)?),
            }
        }
        fail::point("before a commit");
        tx.commit()?;
        fail::point("after a commit");
        Ok(armed)
    }

    /// All of the transaction's receivers or none: of several, every fence is looked at before anything is written. A row that is armed already
    /// under this very claim is ours: a commit that seemed to fail had happened.
    fn write_arm(
        &self,
        conn: &Connection,
        request: &ArmRequest,
    ) -> rusqlite::Result<Vec<ReceiverId>> {
        let mut stale = Vec::new();
        if request.receivers.len() > 1 {
            let mut fence = conn.prepare_cached(
                "SELECT 1 FROM receiver WHERE id = ? AND epoch = ? AND engine = ?",
            )?;
            for (receiver, epoch) in &request.receivers {
                if !fence.exists(params![receiver.0, epoch, self.engine])? {
                    stale.push(*receiver);
                }
            }
        }
        if !stale.is_empty() {
            return Ok(stale);
        }
        let mut arm = conn.prepare_cached(
            "UPDATE receiver SET phase = 2 WHERE id = ? AND epoch = ? AND engine = ?",
        )?;
        let mut begin = conn.prepare_cached(
            "INSERT INTO attempt (receiver_id, epoch, started_at, tried_by) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )?;
        for (receiver, epoch) in &request.receivers {
            if arm.execute(params![receiver.0, epoch, self.engine])? == 0 {
                // The only one.
                return Ok(vec![*receiver]);
            }
            begin.execute(params![
                receiver.0,
                epoch,
                millis(request.started_at),
                self.by
            ])?;
        }
        Ok(stale)
    }
}

impl Entry {
    fn into_answer(self) -> Option<SyncSender<Armed>> {
        match self {
            Self::Settle(..) => None,
            Self::Arm(_, answer) => Some(answer),
        }
    }
}

/// Whether the schema refused a row.
fn is_refusal(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation)
}

/// Writes one result: the row if the claim still stands, the attempt, and beside it what came too late.
pub(super) fn settle(
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
    tx.prepare_cached(
        "INSERT INTO attempt (receiver_id, epoch, started_at, ended_at, outcome, code, enhanced, server, phase, error, traceback, transcript,
                              reply, tried_by)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
         ON CONFLICT (receiver_id, epoch) DO UPDATE SET
             ended_at = ?4, outcome = ?5, code = ?6, enhanced = ?7, server = ?8, phase = ?9, error = ?10, traceback = ?11, transcript = ?12,
             reply = ?13
         WHERE outcome IS NULL",
    )?
    .execute(params![
        settlement.receiver.0,
        settlement.epoch,
        millis(settlement.started_at),
        millis(settlement.ended_at.max(settlement.started_at)),
        outcome.name(),
        code,
        enhanced,
        failure.server,
        failure.phase,
        told.then_some(&failure.error),
        told.then_some(&failure.traceback),
        failure.transcript,
        reply,
        by,
    ])?;
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
