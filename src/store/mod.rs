//! The store: one SQLite file, the only truth, and the only place with SQL.
//!
//! [`Store`] holds the one connection that writes; every [`Reader`] has a connection of its own and never waits for it. Operators' actions and
//! submissions write through [`Store`]; delivering processes register as an [`Engine`](engine::Engine) and write through its ledger, where one
//! durable commit serves all connections that wait for it.
//!
//! Where to look, in the order of a receiver's life:
//!
//! - in: `submit` (with `codec`, how contents are packed, `part`, receivers on their way, and `remainder`, those of a message to very many); `import` takes in what another
//!   system sent; `seed` gives a demo its past;
//! - out: `engine` (who delivers, who died), `claim`, `ledger` (arm and settle), `reserve` (the room on the disk for results), `backend` (breaker and pause), `cause` (what failures have in common);
//! - read: `window` asks a `plan`, which knows the indexes, in the order of a `sort`; `detail`, `health`, `traffic`, `words` and `search` (the text
//!   index); `model` is what all of them answer with;
//! - operators: `chosen` finds whom an action means, `action` does it, `audit` notes it;
//! - away: `clean` deletes, `retention` has it done by itself, `space` gives the room back; `pace` keeps whatever is done to many in small steps;
//! - the file: `open`, `schema` and its migrations, `half` (a file in the making), `lock` (who is at work beside it), `backup`, `check`, `upkeep` (the
//!   threads that look after it: one moves the `log`, one feeds the text index), `error`.

mod action;
mod audit;
mod backend;
mod backup;
mod cause;
mod check;
mod chosen;
mod claim;
mod clean;
mod codec;
mod detail;
pub mod engine;
mod error;
mod half;
mod health;
mod import;
mod ledger;
mod lock;
mod log;
mod model;
mod open;
mod pace;
mod part;
mod plan;
mod remainder;
mod reserve;
mod retention;
mod schema;
mod search;
mod seed;
mod sort;
mod space;
mod submit;
mod traffic;
mod upkeep;
mod window;
mod words;

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

pub use action::{Acting, ResendFailed};
pub use backup::Backup;
pub use check::{Finding, POINTS, Point};
pub use chosen::Chosen;
pub use claim::{Claim, Scope, Standing};
pub use clean::{KEYS_KEPT, Unused};
pub use error::StoreError;
pub use import::{Import, ImportedMessage, ImportedReceiver, PackedContent, Taken};
pub use ledger::{ArmRequest, Ledger, Next, Record, Settlement};
pub use model::{
    Action, Affected, Anchor, AuditEntry, BackendRow, BackendState, CauseRow, Count, Counts,
    Detail, EngineRow, Row, Scan, Target,
};
pub use retention::{Keeper, Retention};
pub use schema::{Migrated, SCHEMA};
pub use seed::{SeedAttempt, SeedReceiver};
pub use sort::{By, Place, Sort};
pub use submit::Receipt;
pub use traffic::{HOURS, Traffic, Tries};
pub use upkeep::Upkeep;
pub use words::Words;

use crate::{fail, message::Timestamp};
use half::Half;
use open::{check_version, connect, open_checked, refuse_network, wait_for_lock};

/// Bytes of a page of a new store. One receiver's result changes a few bytes on each of a dozen pages, and all of these are written and flushed before
/// its connection goes on: with SQLite's usual 4,096 one connection delivers a tenth less and takes a tenth more of the processors
/// (`cargo bench --bench peers`), and nothing that reads is faster (`cargo bench --bench store`). Stores keep the size that they were made with.
const PAGE: i64 = 2_048;

/// An open store: where it is, and the one connection of this process that writes.
pub struct Store {
    path: PathBuf,
    writer: Mutex<Connection>,
    read_only: bool,
    /// See [`Store::merging`].
    merge: cause::Patterns,
}

/// A connection that only reads. One per thread; the handle of [`Reader::interrupt_handle`] stops its query from another.
pub struct Reader {
    path: PathBuf,
    conn: Connection,
}

impl Store {
    /// Makes a new, empty store with mode 0600, and the folder it lies in.
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        let io = |source: std::io::Error| StoreError::Io {
            path: path.to_owned(),
            source: source.into(),
        };
        if let Some(folder) = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
        {
            std::fs::create_dir_all(folder).map_err(io)?;
        }
        let half = Half::of(path)?;
        Self::set_up(half.path(), path)?;
        half.put()?;
        Self::open(path)
    }

    /// Removes what others left half made beside a store when they were killed.
    pub fn remove_halves(path: &Path) {
        half::sweep(path);
    }

    /// Makes an empty store of an empty file; on an error it is called `path`.
    fn set_up(half: &Path, path: &Path) -> Result<(), StoreError> {
        refuse_network(half)?;
        let set_up = || -> rusqlite::Result<()> {
            let mut conn = Connection::open_with_flags(
                half,
                OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
            )?;
            // All must be said before the first table.
            conn.pragma_update(None, "page_size", PAGE)?;
            conn.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
            conn.pragma_update(None, "journal_mode", "WAL")?;
            schema::migrate(&mut conn)?;
            Ok(())
        };
        set_up().map_err(|error| error::explain(path, error))
    }

    /// Opens a store to read and write.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let (path, conn) = open_checked(path, false)?;
        let configure = || -> rusqlite::Result<()> {
            conn.pragma_update(None, "synchronous", "FULL")?;
            conn.pragma_update(None, "cache_size", -16_384)?;
            Ok(())
        };
        configure().map_err(|error| error::explain(&path, error))?;
        Ok(Self {
            path,
            writer: Mutex::new(conn),
            read_only: false,
            merge: cause::Patterns::default(),
        })
    }

    /// Opens a store to look only: SQLite itself refuses every write.
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        let (path, conn) = open_checked(path, true)?;
        Ok(Self {
            path,
            writer: Mutex::new(conn),
            read_only: true,
            merge: cause::Patterns::default(),
        })
    }

    /// The file, symbolic links resolved.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Refuses with [`StoreError::Low`] when its disk has fewer bytes free than that. A disk that does not say is taken to have room.
    pub fn wants_free(&self, least: u64) -> Result<(), StoreError> {
        let Some(free) = free(&self.path) else {
            return Ok(());
        };
        if free < least {
            let path = self.path.clone();
            return Err(StoreError::Low { path, free, least });
        }
        Ok(())
    }

    /// Whether it was opened to look only.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// A new connection that only reads.
    pub fn reader(&self) -> Result<Reader, StoreError> {
        let (path, conn) = connect(&self.path, true)?;
        window::register(&conn)
            .and_then(|()| cause::register(&conn, &self.merge))
            .map_err(|error| error::explain(&path, error))?;
        Ok(Reader { path, conn })
    }

    /// Moves the log into the database file and gives its space back: on a full disk that may be all the room there is for what waits to be written.
    pub fn trim_log(&self) -> Result<(), StoreError> {
        self.writer()
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .map_err(|error| error::explain(&self.path, error))
    }

    fn writer(&self) -> MutexGuard<'_, Connection> {
        // A panic while writing left at most an open transaction, which its guard rolled back.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One durable write transaction.
    fn write<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let mut conn = self.writer();
        in_transaction(&mut conn, work).map_err(|error| error::explain(&self.path, error))
    }

    /// One write transaction that may be lost by a power cut, though not by a crash: for what is only a claim.
    fn write_unflushed<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let mut conn = self.writer();
        let run = || -> rusqlite::Result<T> {
            conn.pragma_update(None, "synchronous", "NORMAL")?;
            let result = in_transaction(&mut conn, work);
            conn.pragma_update(None, "synchronous", "FULL")?;
            result
        };
        run().map_err(|error| error::explain(&self.path, error))
    }
}

impl Reader {
    /// The store's file, symbolic links resolved.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many bytes are free on its disk; `None` where that is not counted.
    pub fn free(&self) -> Option<u64> {
        free(&self.path)
    }

    /// Stops the query this reader is running, from any thread.
    pub fn interrupt_handle(&self) -> rusqlite::InterruptHandle {
        self.conn.get_interrupt_handle()
    }

    /// A number that changes when any other connection has written.
    pub fn data_version(&self) -> Result<i64, StoreError> {
        self.run(|conn| conn.pragma_query_value(None, "data_version", |row| row.get(0)))
    }

    fn run<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        work(&self.conn).map_err(|error| error::explain(&self.path, error))
    }
}

/// Runs `work` in one `BEGIN IMMEDIATE`.
fn in_transaction<T>(
    conn: &mut Connection,
    work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let result = work(&tx)?;
    fail::point("before another commit");
    tx.commit()?;
    fail::point("after another commit");
    Ok(result)
}

/// The file of the same name with something at its end.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// How many bytes are free on a file's disk; `None` where that is not counted.
fn free(path: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(path).ok()?;
    (disk.f_blocks > 0).then(|| disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// A time as the store keeps it: milliseconds since 1970.
fn millis(at: Timestamp) -> i64 {
    at.timestamp_millis()
}

/// A time from the store. What cannot be a time is shown as the beginning of time rather than hidden.
fn timestamp(millis: i64) -> Timestamp {
    Timestamp::from_timestamp_millis(millis).unwrap_or_default()
}

/// `n` random bytes from the operating system as hex digits: ids that nobody else has.
fn random_hex(n: usize) -> Result<String, StoreError> {
    let mut bytes = vec![0; n];
    getrandom::fill(&mut bytes).map_err(|error| StoreError::Io {
        path: "the system's random source".into(),
        source: std::io::Error::from(error).into(),
    })?;
    Ok(bytes
        .iter()
        .fold(String::with_capacity(2 * n), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        }))
}
