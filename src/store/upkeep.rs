//! What has to be done behind the writers: moving the log into the database file, keeping the text index, and making the file smaller after deletions.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::{Store, StoreError, connect, error::explain, pace::GAP, space::WORTH};

/// Receivers a step: a few milliseconds of the write lock.
const STEP: usize = 50;

/// Steps of merging the text index that follow one of filling it: as much as filling calls for, on the average.
const MERGES: u32 = 8;

/// From this many pages the log is moved.
const LOG_PAGES: i64 = 2_000;

/// From this many pages the log is moved whole, while writers wait a moment: else one that never pauses would let it grow for ever.
const LOG_PAGES_LIMIT: i64 = 8_000;

/// A thread that looks after an open store until it is dropped.
pub struct Upkeep {
    stop: Option<Sender<()>>,
    busy: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Upkeep {
    /// Starts it. While `busy` is set (by [`Upkeep::set_busy`]) it leaves the write lock to others nineteen parts in twenty.
    pub fn start(store: &Arc<Store>) -> Result<Self, StoreError> {
        // The committing thread must not stop to move the log: this thread does it, on a connection of its own.
        let (path, mut log) = connect(store.path(), false)?;
        log.busy_handler(Some(wait_for_readers))
            .and_then(|()| store.writer().pragma_update(None, "wal_autocheckpoint", 0))
            .map_err(|error| explain(&path, error))?;
        let busy = Arc::new(AtomicBool::new(false));
        let (stop, stopped) = mpsc::channel();
        let (store, sending) = (Arc::clone(store), Arc::clone(&busy));
        let thread = std::thread::Builder::new()
            .name("upkeep".to_owned())
            .spawn(move || {
                let (mut pause, mut merging, mut shrinking) = (Duration::ZERO, true, false);
                while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                    let began = Instant::now();
                    let stored = store.store_some().unwrap_or(false);
                    let added = store.index_some(STEP).unwrap_or(0) > 0;
                    let merges = if added || merging { merge(&store) } else { 0 };
                    let taken = merges < MERGES && store.unindex_some(STEP).unwrap_or(0) > 0;
                    merging = taken || merges == MERGES;
                    let shrank = shrinking || store.free_pages().is_ok_and(|free| free >= WORTH);
                    shrinking = shrank && store.vacuum_some().is_ok_and(|left| left > 0);
                    let took = began.elapsed().saturating_sub(GAP * merges);
                    pause = match (
                        stored || added || merging || shrank,
                        sending.load(Ordering::Relaxed),
                    ) {
                        (false, _) => Duration::from_millis(250),
                        (true, true) => took * 19,
                        (true, false) => took.max(GAP),
                    };
                    // The file ends where its last page is when all of the log is in it.
                    checkpoint(&log, shrank && !shrinking);
                }
            })
            .map_err(|source| StoreError::Io {
                path: "the upkeep thread".into(),
                source: source.into(),
            })?;
        Ok(Self {
            stop: Some(stop),
            busy,
            thread: Some(thread),
        })
    }

    /// Says whether somebody is in a hurry.
    pub fn set_busy(&self, busy: bool) {
        self.busy.store(busy, Ordering::Relaxed);
    }
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// While the log is moved whole no writer gets in: a reader that takes its time, such as a backup, must not stop them for long.
fn wait_for_readers(tries: i32) -> bool {
    tries < 100 && super::wait_for_lock(tries)
}

/// Merges the text index in a few steps with gaps that let others in; returns how many there were to do.
fn merge(store: &Store) -> u32 {
    let steps = (0..MERGES).take_while(|_| {
        let more = store.merge_some().unwrap_or(false);
        if more {
            std::thread::sleep(GAP);
        }
        more
    });
    steps.count() as u32
}

/// Moves the log when it is long enough to be worth it, or when it is asked for. What cannot be done now is done next time.
fn checkpoint(conn: &rusqlite::Connection, asked: bool) {
    let pages = |mode: &str| {
        conn.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
            row.get::<_, i64>(1)
        })
    };
    let Ok(length) = conn.query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| {
        row.get::<_, i64>(1)
    }) else {
        return;
    };
    if (asked || length >= LOG_PAGES)
        && pages("PASSIVE").is_ok_and(|length| length >= LOG_PAGES_LIMIT)
    {
        let _ = pages("RESTART");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reader_does_not_stop_the_writers_while_the_log_cannot_be_moved() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::create(&folder.path().join("postroom.db")).unwrap());
        let upkeep = Upkeep::start(&store).unwrap();
        let (_, reader) = connect(store.path(), true).unwrap();
        let snapshot = reader.unchecked_transaction().unwrap();
        let look = || -> i64 {
            snapshot
                .query_row("SELECT count(*) FROM content", [], |row| row.get(0))
                .unwrap()
        };
        assert_eq!(look(), 0);
        let began = Instant::now();
        for n in 0..60 {
            let big = vec![b'x'; 1 << 20];
            store
                .write(|tx| {
                    tx.execute(
                        "INSERT INTO content (hash, subject, codec, body) VALUES (randomblob(32), ?, 0, ?)",
                        (n, big),
                    )
                })
                .unwrap();
        }
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "{:?}",
            began.elapsed()
        );
        assert_eq!(look(), 0);
        drop(upkeep);
    }
}
