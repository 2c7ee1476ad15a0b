//! Moving the log into the database file, behind the writers: a thread that commits must not stop to do it.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs::File,
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, InterruptHandle, config::DbConfig, ffi};

use super::{PAGE, Store, StoreError, connect, error::explain};
use crate::fail;

/// From this many pages not moved yet it is worth while.
const WORTH: i64 = 2_000;

/// From this many pages the log begins anew, for which writers wait a moment: else one that never pauses would let it grow for ever.
const LONG: i64 = 8_000;

/// A connection that has no [`Mover`] moves the log itself once it is as long as this: then nobody else does.
pub(super) const UNATTENDED: i64 = 2 * LONG;

/// Bytes that the log's file keeps when it begins anew, in a new store twice as many as it has where nobody reads for long: what a backup made it grow is
/// given back.
pub(super) const KEPT: i64 = 2 * UNATTENDED * PAGE;

/// From this many bytes that cannot be moved it is told, and again whenever they have doubled.
const MUCH: i64 = 250 << 20;

/// How often the log is looked at.
pub(super) const EVERY: Duration = Duration::from_millis(50);

/// Moves the log of one store, on a connection of its own.
pub(super) struct Mover {
    path: PathBuf,
    conn: Connection,
    file: &'static File,
    /// Bytes of a page of this store.
    page: i64,
    /// From so many bytes that cannot be moved it is told.
    tell_from: i64,
    /// It was told that the file cannot be written.
    told: bool,
}

/// What the log is like: pages, and how many of them are in the database file too.
struct Log {
    length: i64,
    moved: i64,
}

impl Mover {
    pub(super) fn new(store: &Store) -> Result<Self, StoreError> {
        let (path, mut conn) = connect(store.path(), false)?;
        let mut set_up = || -> rusqlite::Result<i64> {
            conn.busy_handler(Some(wait_for_readers))?;
            store
                .writer()
                .pragma_update(None, "wal_autocheckpoint", 0)?;
            conn.pragma_query_value(None, "page_size", |row| row.get(0))
        };
        let page = set_up().map_err(|error| explain(&path, error))?;
        let file = never_closed(&path).map_err(|source| StoreError::Io {
            path: path.clone(),
            source: source.into(),
        })?;
        Ok(Self {
            path,
            conn,
            file,
            page,
            tell_from: MUCH,
            told: false,
        })
    }

    /// Ends what is being moved; it is moved next time.
    pub(super) fn interrupt_handle(&self) -> InterruptHandle {
        self.conn.get_interrupt_handle()
    }

    /// Moves what is worth it, or all there is when that is asked for. What cannot be done now is done next time; what keeps it for long is told.
    pub(super) fn step(&mut self, asked: bool) {
        match self.try_step(asked) {
            // Another process is moving it just now.
            Ok(log) if log.length < 0 => {}
            Ok(log) => {
                self.told = false;
                self.tell_length(log.length - log.moved);
            }
            Err(error) => self.tell(&explain(&self.path, error)),
        }
    }

    fn try_step(&self, asked: bool) -> rusqlite::Result<Log> {
        let log = self.checkpoint("NOOP")?;
        if !asked && log.length - log.moved < WORTH {
            return Ok(log);
        }
        let log = self.move_some()?;
        if log.length < LONG {
            return Ok(log);
        }
        // What was written meanwhile, so that next to nothing is left to be moved and flushed while writers wait.
        self.move_some()?;
        fail::point("before the log begins anew");
        let log = self.checkpoint("RESTART")?;
        fail::point("after the log began anew");
        Ok(log)
    }

    fn tell_length(&mut self, left: i64) {
        let bytes = left * self.page;
        if left < WORTH {
            self.tell_from = MUCH;
        } else if bytes >= self.tell_from {
            self.tell_from = 2 * bytes;
            let (store, mib) = (self.path.display(), bytes >> 20);
            tracing::warn!(%store, mib, "the store's log grows and grows: a process began to read and has not ended; `lsof` with the store's name lists who has it open");
        }
    }

    fn tell(&mut self, error: &StoreError) {
        // Somebody else moves it, nobody waits for it any more, or nobody can write and make it grow.
        let passes = matches!(
            error,
            StoreError::Busy(_) | StoreError::Interrupted | StoreError::ReadOnly(_)
        );
        if !passes && !std::mem::replace(&mut self.told, true) {
            tracing::error!(%error, "the store's log cannot be moved into the store and grows until it can");
        }
    }

    /// Moves what it can beside the writers. SQLite would flush the file when the last page of the log is moved and, if that is while the log begins
    /// anew, let writers wait for it.
    fn move_some(&self) -> rusqlite::Result<Log> {
        let log = self.checkpoint("PASSIVE")?;
        fail::point("while the log is moved");
        // SQLite flushes it too before the log is given up; where the disk refuses, the log stays as it is.
        let refused = ffi::Error::new(ffi::SQLITE_IOERR_FSYNC);
        let flushed = self.file.sync_data();
        flushed.map_err(|_| rusqlite::Error::SqliteFailure(refused, None))?;
        Ok(log)
    }

    fn checkpoint(&self, mode: &str) -> rusqlite::Result<Log> {
        checkpoint(&self.conn, mode)
    }
}

/// Whoever closes a store last moves its log and takes it away. Where that would take long it is left as it is, for who opens the store next: it is as
/// safe there.
pub(super) fn leave(store: &Store) {
    let conn = store.writer();
    let long = checkpoint(&conn, "NOOP").is_ok_and(|log| log.length - log.moved > UNATTENDED);
    // Where that is refused it is moved.
    let _ = conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, long);
}

fn checkpoint(conn: &Connection, mode: &str) -> rusqlite::Result<Log> {
    conn.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
        Ok(Log {
            length: row.get(1)?,
            moved: row.get(2)?,
        })
    })
}

/// The file, opened once in this process and for good. Whoever closes a file loses all the locks that the process has on it, SQLite's among them
/// (<https://sqlite.org/howtocorrupt.html>, 2.2).
fn never_closed(path: &Path) -> io::Result<&'static File> {
    static FILES: Mutex<BTreeMap<(u64, u64), &'static File>> = Mutex::new(BTreeMap::new());
    let mut files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
    let of = path.metadata()?;
    match files.entry((of.dev(), of.ino())) {
        Entry::Occupied(known) => Ok(known.get()),
        Entry::Vacant(new) => Ok(new.insert(Box::leak(Box::new(File::open(path)?)))),
    }
}

/// While the log begins anew no writer gets in: a reader that takes its time, such as a backup, must not stop them for long.
fn wait_for_readers(tries: i32) -> bool {
    tries < 100 && super::wait_for_lock(tries)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn a_long_log_begins_anew_beside_readers_that_come_again_and_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::create(&folder.path().join("postroom.db")).unwrap();
        let mut mover = Mover::new(&store).unwrap();
        let write = |bytes: i64| {
            let add = "INSERT INTO content (hash, subject, codec, body) VALUES (randomblob(32), '', 0, zeroblob(?))";
            store.write(|tx| tx.execute(add, [bytes])).unwrap();
        };
        let contents = |conn: &Connection| {
            conn.query_row("SELECT count(*) FROM content", [], |row| {
                row.get::<_, i64>(0)
            })
        };
        let mut written = 0;
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let reader = store.reader().unwrap();
                while !done.load(Ordering::Relaxed) {
                    reader.run(contents).unwrap();
                }
            });
            write(LONG * PAGE);
            written += 1;
            while mover.checkpoint("NOOP").unwrap().length >= LONG {
                mover.step(false);
                write(1);
                written += 1;
            }
            done.store(true, Ordering::Relaxed);
        });
        assert_eq!(store.reader().unwrap().run(contents).unwrap(), written);
    }

    #[test]
    fn a_log_that_cannot_be_moved_is_told_from_the_same_size_whatever_the_pages() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::create(&folder.path().join("postroom.db")).unwrap();
        let mut mover = Mover::new(&store).unwrap();
        assert_eq!(mover.page, PAGE);
        for page in [PAGE, 4_096] {
            (mover.page, mover.tell_from) = (page, MUCH);
            mover.tell_length(MUCH / page - 1);
            assert_eq!(mover.tell_from, MUCH, "not yet");
            mover.tell_length(MUCH / page);
            assert_eq!(mover.tell_from, 2 * MUCH, "told");
        }
    }
}
