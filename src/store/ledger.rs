//! Arm and settle: the durable half of delivery.
//!
//! Everything that a process writes about its deliveries goes through one [`Ledger`]. Who comes first leads: it waits for the writer's lock and, a little,
//! for the other connections, and commits all that has gathered; those whose work it took only wait for its word. So one flush serves all
//! connections, and a single connection pays for no hand-over between threads.

mod rows;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{SyncSender, sync_channel},
    },
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode, TransactionBehavior, params};

use self::rows::arm;
use super::{
    Store, StoreError,
    error::{explain, explain_io},
    reserve::Reserve,
};
use crate::{
    fail,
    message::{Receiver, ReceiverId},
};

pub(super) use self::rows::settle;
pub use self::rows::{ArmRequest, Next, Record, Settlement};

/// A group waits at most this long for the connections that have not come.
const GATHER: Duration = Duration::from_millis(5);

/// The place of one delivering process in the store; everything it writes is fenced on its id.
pub struct Ledger {
    store: Arc<Store>,
    engine: String,
    /// Who tries, as attempts show it.
    by: String,
    queue: Mutex<Queue>,
    /// Every connection at work has come.
    full: Condvar,
    /// Where the disk has no room for results, there is this.
    reserve: Reserve,
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
    /// How often all there was has been taken.
    taken: u64,
    /// How many connections are at work: each will come to arm soon.
    at_work: usize,
    /// How long the last commit took.
    took: Duration,
    /// Claims that could not be freed.
    unfreed: Vec<(ReceiverId, i64)>,
}

enum Entry {
    Settle(Box<Settlement>, Instant),
    /// With the way back to the one who waits.
    Arm(ArmRequest, SyncSender<Armed>),
}

/// Whose fence failed.
type Armed = Result<Vec<ReceiverId>, StoreError>;

impl Ledger {
    pub(super) fn new(store: Arc<Store>, engine: String, by: String, reserve: Reserve) -> Self {
        Self {
            store,
            engine,
            by,
            reserve,
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
        let (leads, group) = {
            let mut queue = self.queue();
            queue.entries.push_back(Entry::Arm(request, answer));
            queue.arms += 1;
            if queue.arms == queue.at_work {
                self.full.notify_all();
            }
            (!std::mem::replace(&mut queue.led, true), queue.taken)
        };
        if leads {
            // Nothing of this process is being written any more: whom the last group answered is on the way.
            let conn = self.store.writer();
            // A flush may have taken the group from its leader. To wait for the others then would be to wait for oneself, and the next group would
            // lose its leader in the same way.
            if self.queue().taken == group {
                self.gather();
                // An error is in the answer too.
                let _ = self.commit(conn);
            }
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
        // Also when nothing waits: what another thread is writing just now would wait again if the disk refused it.
        if let Err(error) = self.commit(self.store.writer()) {
            tracing::error!(%error, "an answer that came late could not be written");
        }
    }

    /// Whether results wait to be written.
    pub fn has_unwritten(&self) -> bool {
        !self.queue().entries.is_empty()
    }

    /// Writes what waits, if the oldest has waited for this long for an arm to ride with and none has come.
    pub fn flush_older_than(&self, age: Duration) -> Result<(), StoreError> {
        self.free_late()?;
        let waits = {
            let queue = self.queue();
            let oldest = queue.entries.front();
            !queue.led
                && oldest.is_some_and(
                    |entry| matches!(entry, Entry::Settle(_, since) if since.elapsed() >= age),
                )
        };
        if waits { self.flush() } else { Ok(()) }
    }

    /// Writes what waits. On an error it is kept and can be tried again.
    pub fn flush(&self) -> Result<(), StoreError> {
        let freed = self.free_late();
        if self.has_unwritten() {
            self.commit(self.store.writer())?;
        }
        freed
    }

    /// Frees rows that were claimed and not armed: they were never tried. On an error that is done with the next flush: what an engine holds nobody
    /// else may touch for as long as it lives.
    pub fn free(&self, receivers: &[&Receiver]) -> Result<(), StoreError> {
        let claims = receivers.iter();
        self.free_claims(
            claims
                .map(|receiver| (receiver.id, receiver.epoch))
                .collect(),
        )
    }

    fn free_late(&self) -> Result<(), StoreError> {
        let claims = std::mem::take(&mut self.queue().unfreed);
        if claims.is_empty() {
            return Ok(());
        }
        self.free_claims(claims)
    }

    fn free_claims(&self, claims: Vec<(ReceiverId, i64)>) -> Result<(), StoreError> {
        let freed = self.store.write_unflushed(|tx| {
            let mut statement = tx.prepare_cached(
                "UPDATE receiver SET engine = NULL, phase = NULL WHERE id = ? AND epoch = ? AND engine = ? AND phase = 1",
            )?;
            for (receiver, epoch) in &claims {
                statement.execute(params![receiver.0, epoch, self.engine])?;
            }
            Ok(())
        });
        if freed.is_err() {
            self.queue().unfreed.extend(claims);
        }
        freed
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the whole queue in one durable transaction and answers everybody in it.
    fn commit(&self, mut conn: MutexGuard<'_, Connection>) -> Result<(), StoreError> {
        let mut entries = {
            let mut queue = self.queue();
            queue.led = false;
            queue.taken += 1;
            queue.arms = 0;
            std::mem::take(&mut queue.entries)
        };
        if entries.iter().any(Entry::is_arm)
            && let Err(error) = self.keep_room()
        {
            entries = refuse_arms(entries, &error);
        }
        if entries.is_empty() {
            return Ok(());
        }
        let began = Instant::now();
        let mut written = self.try_write(&mut conn, &entries);
        if let Err(error @ StoreError::Full(_)) = &written
            && entries.iter().any(|entry| !entry.is_arm())
            && self.reserve.spend()
        {
            entries = refuse_arms(entries, error);
            written = self.try_write(&mut conn, &entries);
        }
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
                // Results are kept, in their order, before whatever came meanwhile; arms are told no.
                for entry in refuse_arms(entries, &error).into_iter().rev() {
                    queue.entries.push_front(entry);
                }
                Err(error)
            }
        }
    }

    /// No arm without room for its results.
    pub(super) fn keep_room(&self) -> Result<(), StoreError> {
        let path = self.store.path();
        let kept = self.reserve.keep();
        kept.map_err(|error| explain_io(path, path, error))
    }

    fn try_write(
        &self,
        conn: &mut Connection,
        entries: &VecDeque<Entry>,
    ) -> Result<Vec<Vec<ReceiverId>>, StoreError> {
        self.write(conn, entries)
            .map_err(|error| explain(&self.store.path, error))
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
                Entry::Arm(request, _) => armed.push(arm(&tx, &self.engine, &self.by, request)?),
            }
        }
        fail::point("before a commit");
        tx.commit()?;
        fail::point("after a commit");
        Ok(armed)
    }
}

/// The results; arms are told why not.
fn refuse_arms(entries: VecDeque<Entry>, why: &StoreError) -> VecDeque<Entry> {
    let mut results = VecDeque::with_capacity(entries.len());
    for entry in entries {
        match entry {
            Entry::Settle(..) => results.push_back(entry),
            Entry::Arm(_, answer) => {
                let _ = answer.send(Err(why.clone()));
            }
        }
    }
    results
}

impl Entry {
    fn is_arm(&self) -> bool {
        matches!(self, Self::Arm(..))
    }

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
