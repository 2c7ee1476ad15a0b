//! A whole copy of the store, made beside those who write to it.
//!
//! The copy is one moment of the store: a read transaction is held from its first page to its last. Without it SQLite begins anew after each write of
//! another process, and beside a busy engine would never end. The price is that the log is not written over meanwhile: it grows by what is written
//! while the copy lasts. `VACUUM INTO` pays that price for longer, since it builds every index anew.
//!
//! A copy that were simply opened as the live store would send again what went out since: so it marks itself, and all its backends are paused.

use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use chrono::SecondsFormat;
use rusqlite::{
    Connection, ErrorCode, InterruptHandle, OpenFlags,
    backup::{Backup as Copying, StepResult},
};

use super::{
    BackendRow, BackendState, Store, StoreError, audit, check_version, connect, error::explain,
    half::Half, in_transaction, millis, submit::backend_id, wait_for_lock,
};
use crate::message::Timestamp;

/// Pages a step, 2 MiB of a new store: often enough for progress and a signal.
const STEP: i32 = 1_024;

/// How the reason of a pause begins that a backup brought with it.
const MARK: &str = "a backup made at ";

/// What a backup is told, and whom to ask.
pub struct Backup<'a> {
    /// Who makes it, for its audit log.
    pub who: &'a str,
    /// The backends of the config: they are paused in the copy also when the store does not know them yet.
    pub backends: &'a [String],
    /// Now.
    pub now: Timestamp,
    /// Told how many bytes of how many are copied.
    pub progress: &'a dyn Fn(u64, u64),
    /// Raised, the backup ends with [`StoreError::Interrupted`] and leaves nothing behind.
    pub stop: &'a AtomicBool,
}

impl Store {
    /// Copies the store at `path`, of this version's schema or an older one, to `to`, which must not exist: mode 0600, verified, durable. Returns its size in bytes.
    pub fn backup(path: &Path, to: &Path, backup: &Backup<'_>) -> Result<u64, StoreError> {
        let (path, source) = connect(path, true)?;
        check_version(&path, &source, true)?;
        backup.copy(&path, &source, to)
    }
}

impl BackendRow {
    /// Whether it is paused because the store is a backup: what went out since would go out again.
    pub fn is_of_a_backup(&self) -> bool {
        self.state == BackendState::Paused && self.error.raw().starts_with(MARK)
    }
}

impl Backup<'_> {
    /// The whole way from an open store to a copy in its place.
    pub(super) fn copy(
        &self,
        path: &Path,
        source: &Connection,
        to: &Path,
    ) -> Result<u64, StoreError> {
        let half = Half::of(to)?;
        let from = |error| explain(path, error);
        let snapshot = source.unchecked_transaction().map_err(from)?;
        let size = size(&snapshot).map_err(from)?;
        let room = super::free(half.path()).unwrap_or(u64::MAX);
        if room < size {
            return Err(StoreError::NoRoom {
                path: to.to_owned(),
                needs: size,
                has: room,
            });
        }
        let either = |error: rusqlite::Error| match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => explain(path, error),
            _ => explain(to, error),
        };
        self.pages(&snapshot, half.path()).map_err(either)?;
        drop(snapshot);
        let wrong = self.mark(path, half.path()).map_err(either)?;
        if let Some(what) = wrong {
            return Err(StoreError::BadCopy {
                path: path.to_owned(),
                what,
            });
        }
        half.put()?;
        Ok(size)
    }

    /// Copies every page.
    fn pages(&self, source: &Connection, half: &Path) -> rusqlite::Result<()> {
        let mut target = open(half)?;
        // A copy that is not finished is thrown away.
        target.pragma_update(None, "synchronous", "OFF")?;
        target.pragma_update(None, "journal_mode", "OFF")?;
        let page: i64 = source.pragma_query_value(None, "page_size", |row| row.get(0))?;
        let copying = Copying::new(source, &mut target)?;
        let mut waited = 0;
        loop {
            if self.stop.load(Ordering::Acquire) {
                return Err(error(ErrorCode::OperationInterrupted));
            }
            let step = copying.step(STEP)?;
            let pages = copying.progress();
            let bytes = |pages: i32| (i64::from(pages) * page) as u64;
            (self.progress)(
                bytes(pages.pagecount - pages.remaining),
                bytes(pages.pagecount),
            );
            match step {
                StepResult::Done => return Ok(()),
                StepResult::More => {}
                _ if wait_for_lock(waited) => waited += 1,
                _ => return Err(error(ErrorCode::DatabaseBusy)),
            }
        }
    }

    /// Pauses every backend of the copy, notes where it came from, and has SQLite look through it; answers with what SQLite finds wrong.
    fn mark(&self, path: &Path, half: &Path) -> rusqlite::Result<Option<String>> {
        let mut copy = open(half)?;
        let at = self.now.to_rfc3339_opts(SecondsFormat::Secs, true);
        in_transaction(&mut copy, |tx| {
            for backend in self.backends {
                backend_id(tx, backend, self.now)?;
            }
            // The backup of a backup that was never resumed is as old as the first: its original went on from there.
            tx.execute(
                "UPDATE backend SET paused = 1, changed_at = ?1, error = ?2 || CASE WHEN paused THEN '; before that: ' || error ELSE '' END
                 WHERE NOT (paused AND substr(error, 1, length(?3)) = ?3)",
                (millis(self.now), format!("{MARK}{at}; what went out since then would go out again"), MARK),
            )?;
            audit::write(
                tx,
                self.now,
                self.who,
                "backup",
                &path.to_string_lossy(),
                0,
                None,
            )
        })?;
        let said = interruptible(&copy.get_interrupt_handle(), self.stop, || {
            copy.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0))
        })?;
        // What is still in the log would stay behind.
        let busy: i64 = copy.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        if busy != 0 {
            return Err(error(ErrorCode::DatabaseBusy));
        }
        copy.close().map_err(|(_, error)| error)?;
        Ok((said != "ok").then_some(said))
    }
}

/// Runs what takes long on one connection; a raised `stop` ends it.
pub(super) fn interruptible<T>(
    handle: &InterruptHandle,
    stop: &AtomicBool,
    work: impl FnOnce() -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let watch = scope.spawn(|| {
            while !over.load(Ordering::Acquire) {
                if stop.load(Ordering::Acquire) {
                    handle.interrupt();
                }
                thread::park_timeout(Duration::from_millis(50));
            }
        });
        let result = work();
        over.store(true, Ordering::Release);
        watch.thread().unpark();
        result
    })
}

/// The half-made copy. Nobody else knows it, and the file system it will lie on may know no locks: none are taken.
fn open(half: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags_and_vfs(half, flags, c"unix-none")?;
    conn.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    Ok(conn)
}

/// The size of what the transaction sees.
fn size(snapshot: &Connection) -> rusqlite::Result<u64> {
    // The first read is what begins it.
    snapshot.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    let value = |name| snapshot.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    Ok((value("page_count")? * value("page_size")?) as u64)
}

fn error(code: ErrorCode) -> rusqlite::Error {
    let extended_code = match code {
        ErrorCode::OperationInterrupted => rusqlite::ffi::SQLITE_INTERRUPT,
        _ => rusqlite::ffi::SQLITE_BUSY,
    };
    rusqlite::Error::SqliteFailure(
        rusqlite::ffi::Error {
            code,
            extended_code,
        },
        None,
    )
}
