//! What has to be done behind the writers: moving the log into the database file, keeping the text index, and making the file smaller after deletions.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rusqlite::InterruptHandle;

use super::{
    Store, StoreError,
    log::{self, Mover},
    pace::GAP,
    space::WORTH,
};

/// Receivers a step: a few milliseconds of the write lock.
const STEP: usize = 50;

/// Steps of merging the text index that follow one of filling it: as much as filling calls for, on the average.
const MERGES: u32 = 16;

/// How long it rests when there was nothing to do.
const REST: Duration = Duration::from_millis(250);

/// Threads that look after an open store until this is dropped.
pub struct Upkeep {
    store: Arc<Store>,
    busy: Arc<AtomicBool>,
    moving: InterruptHandle,
    /// The log has a thread of its own: it grows while the other one makes room for those who are in a hurry.
    threads: [Thread; 2],
}

impl Upkeep {
    /// Starts it. While `busy` is set (by [`Upkeep::set_busy`]) it leaves the write lock to others nineteen parts in twenty.
    pub fn start(store: &Arc<Store>) -> Result<Self, StoreError> {
        let mover = Mover::new(store)?;
        let moving = mover.interrupt_handle();
        let mover = Arc::new(Mutex::new(mover));
        let move_log = move |all| {
            mover
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .step(all);
        };
        let busy = Arc::new(AtomicBool::new(false));
        let mut work = Work {
            store: Arc::clone(store),
            busy: Arc::clone(&busy),
            merging: true,
            shrinking: false,
        };
        let log = {
            let move_log = move_log.clone();
            Thread::start("log", move || {
                move_log(false);
                log::EVERY
            })?
        };
        let rest = Thread::start("upkeep", move || {
            let (pause, shrank) = work.step();
            if shrank {
                // The file ends where its last page is when all of the log is in it.
                move_log(true);
            }
            pause
        })?;
        Ok(Self {
            store: Arc::clone(store),
            busy,
            moving,
            threads: [log, rest],
        })
    }

    /// Says whether somebody is in a hurry.
    pub fn set_busy(&self, busy: bool) {
        self.busy.store(busy, Ordering::Relaxed);
    }
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        for thread in &mut self.threads {
            thread.stop.take();
        }
        // A log that grew long beside a reader takes its time, and whoever ends is in a hurry. Said again and again: between two statements nobody hears it.
        while self.threads.iter().any(Thread::is_at_work) {
            self.moving.interrupt();
            std::thread::sleep(GAP);
        }
        log::leave(&self.store);
    }
}

/// What is done in small steps: receivers of large messages, the text index, the file's size.
struct Work {
    store: Arc<Store>,
    busy: Arc<AtomicBool>,
    /// The text index has something to merge.
    merging: bool,
    /// The file is being made smaller.
    shrinking: bool,
}

impl Work {
    /// Does a little of each; returns how long to rest, and whether the file has just become as small as it can be.
    fn step(&mut self) -> (Duration, bool) {
        let store = &self.store;
        let began = Instant::now();
        let stored = store.store_some().unwrap_or(false);
        let added = store.index_some(STEP).unwrap_or(0) > 0;
        let merges = if added || self.merging {
            merge(store)
        } else {
            0
        };
        let taken = merges < MERGES && store.unindex_some(STEP).unwrap_or(0) > 0;
        self.merging = taken || merges == MERGES;
        let shrank = self.shrinking || store.free_pages().is_ok_and(|free| free >= WORTH);
        self.shrinking = shrank && store.vacuum_some().is_ok_and(|left| left > 0);
        let took = began.elapsed().saturating_sub(GAP * merges);
        let worked = stored || added || self.merging || shrank;
        let pause = match (worked, self.busy.load(Ordering::Relaxed)) {
            (false, _) => REST,
            (true, true) => took * 19,
            (true, false) => took.max(GAP),
        };
        (pause, shrank && !self.shrinking)
    }
}

/// A thread that does something again and again, with a rest of the length it says between, until it is dropped.
struct Thread {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Thread {
    fn start(
        name: &str,
        mut work: impl FnMut() -> Duration + Send + 'static,
    ) -> Result<Self, StoreError> {
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let mut rest = Duration::ZERO;
                while stopped.recv_timeout(rest) == Err(RecvTimeoutError::Timeout) {
                    rest = work();
                }
            })
            .map_err(|source| StoreError::Io {
                path: format!("the thread {name}").into(),
                source: source.into(),
            })?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    fn is_at_work(&self) -> bool {
        self.thread
            .as_ref()
            .is_some_and(|thread| !thread.is_finished())
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rusqlite::config::DbConfig;

    use super::*;
    use crate::store::PAGE;
    use crate::store::connect;

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

    const ADD: &str = "INSERT INTO content (hash, subject, codec, body) VALUES (randomblob(32), '', 0, zeroblob(?))";

    /// A store whose log is too long to be moved in a moment, since somebody was reading.
    fn with_a_long_log(folder: &Path) -> Arc<Store> {
        let store = Arc::new(Store::create(&folder.join("postroom.db")).unwrap());
        let upkeep = Upkeep::start(&store).unwrap();
        let (_, reader) = connect(store.path(), true).unwrap();
        let snapshot = reader.unchecked_transaction().unwrap();
        let look = "SELECT count(*) FROM content";
        let contents: i64 = snapshot.query_row(look, [], |row| row.get(0)).unwrap();
        assert_eq!(contents, 0);
        let bytes = 3 * log::UNATTENDED * PAGE;
        store.write(|tx| tx.execute(ADD, [bytes])).unwrap();
        drop(upkeep);
        store
    }

    #[test]
    fn what_the_log_grew_beside_a_reader_is_given_back_when_it_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let store = with_a_long_log(folder.path());
        let file = folder.path().join("postroom.db-wal");
        let size = || file.metadata().unwrap().len();
        let kept = u64::try_from(log::KEPT).unwrap();
        assert!(size() > kept);
        let _upkeep = Upkeep::start(&store).unwrap();
        let until = Instant::now() + Duration::from_secs(60);
        while size() > kept {
            assert!(Instant::now() < until, "{} MiB", size() >> 20);
            store.write(|tx| tx.execute(ADD, [1])).unwrap();
        }
    }

    #[test]
    fn a_long_log_keeps_nobody_from_ending_and_the_next_one_finds_it_whole() {
        let folder = tempfile::tempdir().unwrap();
        let store = with_a_long_log(folder.path());
        let path = store.path().to_owned();
        let pages = |mode: &str| -> (i64, i64) {
            let conn = rusqlite::Connection::open(&path).unwrap();
            let pages = conn
                .query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
                    Ok((row.get(1)?, row.get(2)?))
                })
                .unwrap();
            conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
                .unwrap();
            pages
        };
        let upkeep = Upkeep::start(&store).unwrap();
        let until = Instant::now() + Duration::from_secs(60);
        while path.metadata().unwrap().len() < 8 << 20 {
            assert!(Instant::now() < until, "nobody moves the log");
            std::thread::yield_now();
        }
        drop(upkeep);
        let left = pages("NOOP");
        assert!(
            left.0 > log::UNATTENDED && left.1 == 0,
            "it was waited for: {left:?}"
        );
        drop(store);
        assert_eq!(pages("NOOP"), left, "it was waited for at the end");

        let store = Store::open(&path).unwrap();
        let body = "SELECT length(body) FROM content";
        let bytes = store
            .reader()
            .unwrap()
            .run(|conn| conn.query_row(body, [], |row| row.get::<_, i64>(0)))
            .unwrap();
        assert_eq!(bytes, 3 * log::UNATTENDED * PAGE);
    }
}
