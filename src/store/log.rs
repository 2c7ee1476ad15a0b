//! Moving the log into the database file, behind the writers: a thread that commits must not stop to do it.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs::File,
    io,
    os::unix::fs::MetadataExt as _,
    path::Path,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, InterruptHandle, config::DbConfig};

use super::{Store, StoreError, connect, error::explain};
use crate::fail;

/// From this many pages not moved yet it is worth while.
const WORTH: i64 = 2_000;

/// From this many pages the log begins anew, for which writers wait a moment: else one that never pauses would let it grow for ever.
const LONG: i64 = 8_000;

/// A connection that has no [`Mover`] moves the log itself once it is as long as this: then nobody else does.
pub(super) const UNATTENDED: i64 = 2 * LONG;

/// Bytes that the log's file keeps when it begins anew, twice as many as it has where nobody reads for long: what a backup made it grow is given back.
pub(super) const KEPT: i64 = 2 * UNATTENDED * 4_096;

/// How often the log is looked at.
pub(super) const EVERY: Duration = Duration::from_millis(50);

/// Moves the log of one store, on a connection of its own.
pub(super) struct Mover {
    conn: Connection,
    file: &'static File,
}

/// What the log is like: pages, and how many of them are in the database file too.
struct Log {
    length: i64,
    moved: i64,
}

impl Mover {
    pub(super) fn new(store: &Store) -> Result<Self, StoreError> {
        let (path, mut conn) = connect(store.path(), false)?;
        conn.busy_handler(Some(wait_for_readers))
            .and_then(|()| store.writer().pragma_update(None, "wal_autocheckpoint", 0))
            .map_err(|error| explain(&path, error))?;
        let file = never_closed(&path).map_err(|source| StoreError::Io {
            path,
            source: source.into(),
        })?;
        Ok(Self { conn, file })
    }

    /// Ends what is being moved; it is moved next time.
    pub(super) fn interrupt_handle(&self) -> InterruptHandle {
        self.conn.get_interrupt_handle()
    }

    /// Moves what is worth it, or all there is when that is asked for. What cannot be done now is done next time.
    pub(super) fn step(&self, asked: bool) -> rusqlite::Result<()> {
        let log = self.checkpoint("NOOP")?;
        if !asked && log.length - log.moved < WORTH {
            return Ok(());
        }
        let log = self.move_some()?;
        if log.length >= LONG {
            // What was written meanwhile, so that next to nothing is left to be moved and flushed while writers wait.
            self.move_some()?;
            fail::point("before the log begins anew");
            self.checkpoint("RESTART")?;
            fail::point("after the log began anew");
        }
        Ok(())
    }

    /// Moves what it can beside the writers. SQLite would flush the file when the last page of the log is moved and, if that is while the log begins
    /// anew, let writers wait for it.
    fn move_some(&self) -> rusqlite::Result<Log> {
        let log = self.checkpoint("PASSIVE")?;
        fail::point("while the log is moved");
        // It is flushed again by SQLite before the log is given up.
        let _ = self.file.sync_data();
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
        let mover = Mover::new(&store).unwrap();
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
            write(LONG << 12);
            written += 1;
            while mover.checkpoint("NOOP").unwrap().length >= LONG {
                mover.step(false).unwrap();
                write(1);
                written += 1;
            }
            done.store(true, Ordering::Relaxed);
        });
        assert_eq!(store.reader().unwrap().run(contents).unwrap(), written);
    }
}
