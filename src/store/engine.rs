//! Delivering processes: who lives, who died, and what the dead held.

use std::{
    fs::{File, Metadata, OpenOptions, TryLockError},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rusqlite::{Connection, Transaction, params};

use super::{
    EngineRow, Ledger, Reader, Settlement, Store, StoreError, beside,
    claim::{CLAIM_COLUMNS, Claim, read_claim},
    error::explain_io,
    ledger, lock, millis, random_hex,
    reserve::Reserve,
    timestamp,
};
use crate::message::Timestamp;

/// What stands between the store and the engine's id in the name of its lock.
const LOCK: &str = ".engine-";
/// An engine's id: 128 random bits.
const ID_DIGITS: usize = 32;

/// A delivering process's place in the store. [`Engine::leave`] frees what it holds; killed or dropped without that, its lock
/// falls and others clean up.
pub struct Engine {
    ledger: Arc<Ledger>,
    lease: Duration,
    lock_path: PathBuf,
    lock: File,
    /// Device and inode of the store's file.
    file: (u64, u64),
}

/// How an armed row of a dead engine ends: the settlement for a try of which nobody knows the end.
pub type Bury<'a> = dyn Fn(&str, &Claim, Timestamp) -> Settlement + 'a;

/// What cleaning up after dead engines found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reaped {
    /// Engines that were gone.
    pub engines: usize,
    /// Rows that were only claimed: free again.
    pub freed: usize,
    /// Rows that were armed: nobody knows whether they arrived.
    pub unknown: usize,
}

impl Engine {
    /// Enters the store as an engine: first the lock, then the row, so that a row without a lock is always a dead one.
    pub fn enter(
        store: &Arc<Store>,
        kind: &str,
        by: String,
        lease: Duration,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let id = random_hex(ID_DIGITS / 2)?;
        let lock_path = lock_path(store.path(), &id);
        let io = |source| explain_io(store.path(), &lock_path, source);
        let lock = lock::make(&lock_path).map_err(io)?;
        // Whoever may write the store must be able to clean up after us.
        let mode = std::fs::metadata(store.path()).map_err(io)?.permissions();
        lock.set_permissions(mode).map_err(io)?;
        let reserve = Reserve::new(&lock_path, store.page_size()?.cast_unsigned()).map_err(io)?;
        let file = inode(store.path()).map_err(|source| StoreError::Io {
            path: store.path().to_owned(),
            source: source.into(),
        })?;
        let entered = store.write(|tx| {
            tx.execute(
                "INSERT INTO engine (id, kind, pid, started_at, heartbeat_at, lease_until) VALUES (?, ?, ?, ?, ?, ?)",
                params![id, kind, std::process::id(), millis(now), millis(now), millis(now + lease)],
            )?;
            Ok(())
        });
        if let Err(error) = entered {
            let _ = std::fs::remove_file(&lock_path);
            return Err(error);
        }
        Ok(Self {
            ledger: Arc::new(Ledger::new(Arc::clone(store), id, by, reserve)),
            lease,
            lock_path,
            lock,
            file,
        })
    }

    /// Whether this is still the place to deliver from. When the store's file was moved or replaced, what is handed over goes elsewhere, and when the
    /// lock was removed, others take this engine for dead and send what it sends: then it has to end.
    pub fn check(&self) -> Result<(), StoreError> {
        let store = self.ledger.store().path();
        match inode(store) {
            Ok(file) if file == self.file => {}
            Ok(_) => return Err(StoreError::Displaced(store.to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(StoreError::Displaced(store.to_owned()));
            }
            // A look that fails says nothing.
            Err(_) => {}
        }
        match self.lock.metadata() {
            Ok(lock) if lock.nlink() == 0 => Err(StoreError::LockLost(self.lock_path.clone())),
            _ => Ok(()),
        }
    }

    /// Where this engine writes.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Says that it lives.
    pub fn heartbeat(&self, now: Timestamp) -> Result<(), StoreError> {
        let store = self.ledger.store();
        store.write_unflushed(|tx| self.beat(tx, now))
    }

    /// The same after the disk refused something, and whether it has and takes all that an arm needs: else every message would be begun in vain.
    pub fn may_arm(&self, now: Timestamp) -> Result<(), StoreError> {
        self.ledger.store().write(|tx| self.beat(tx, now))?;
        self.ledger.keep_room()
    }

    fn beat(&self, tx: &Transaction<'_>, now: Timestamp) -> rusqlite::Result<()> {
        let until = millis(now + self.lease);
        tx.prepare_cached("UPDATE engine SET heartbeat_at = ?, lease_until = ? WHERE id = ?")?
            .execute(params![millis(now), until, self.ledger.engine()])?;
        Ok(())
    }

    /// Frees what it still has claimed, and ends what is still armed as `bury` says.
    pub fn leave(&self, bury: &Bury<'_>, now: Timestamp) -> Result<Reaped, StoreError> {
        self.ledger.leave();
        settle_estate(self.ledger.store(), self.ledger.engine(), bury, now)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Only an engine that left cleanly has no row any more; any other is found dead by whoever comes next.
        let _ = std::fs::remove_file(&self.lock_path);
    }
}

impl Store {
    /// Cleans up after engines that died: their claimed rows are free, their armed ones end as `bury` says. Of an engine whose lease is over but whose process
    /// lives, only the claimed rows are freed; its armed ones wait for it.
    pub fn reap(self: &Arc<Self>, bury: &Bury<'_>, now: Timestamp) -> Result<Reaped, StoreError> {
        let mut reaped = Reaped::default();
        let engines = self.engine_ids()?;
        // Killed between its lock and its row, an engine leaves an empty lock. Its row can only come while it holds the lock.
        for (path, id) in lock::named(self.path(), LOCK, ID_DIGITS) {
            let known =
                |engines: &[(String, Timestamp)]| engines.iter().any(|engine| engine.0 == id);
            if !known(&engines) {
                lock::sweep(&path, || {
                    self.engine_ids().is_ok_and(|engines| !known(&engines))
                });
            }
        }
        for engine in engines {
            let path = lock_path(self.path(), &engine.0);
            let io = |source| explain_io(self.path(), &path, source);
            // A missing file is a free lock; made anew, it also keeps a second cleaner out.
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)
                .map_err(io)?;
            match file.try_lock() {
                Ok(()) => {
                    // What it kept for its results is for these.
                    let _ = file.set_len(0);
                    let estate = settle_estate(self, &engine.0, bury, now)?;
                    reaped.engines += 1;
                    reaped.freed += estate.freed;
                    reaped.unknown += estate.unknown;
                    let _ = std::fs::remove_file(&path);
                }
                Err(TryLockError::WouldBlock) if engine.1 < now => {
                    reaped.freed += self.free_claims(&engine.0)?;
                }
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(io(error)),
            }
        }
        Ok(reaped)
    }

    fn engine_ids(&self) -> Result<Vec<(String, Timestamp)>, StoreError> {
        let conn = self.writer();
        let read = || -> rusqlite::Result<Vec<_>> {
            // Who was taken for dead by mistake may have claimed since: such rows must be found too.
            conn.prepare_cached(
                "SELECT id, lease_until FROM engine
                 UNION ALL
                 SELECT DISTINCT engine, 0 FROM receiver WHERE engine IS NOT NULL AND engine NOT IN (SELECT id FROM engine)",
            )?
                .query_map([], |row| Ok((row.get(0)?, timestamp(row.get(1)?))))?
                .collect()
        };
        read().map_err(|error| super::error::explain(&self.path, error))
    }

    fn free_claims(&self, engine: &str) -> Result<usize, StoreError> {
        self.write(|tx| free_claimed(tx, engine))
    }
}

impl Reader {
    /// The engines that the store knows of.
    pub fn engines(&self, now: Timestamp) -> Result<Vec<EngineRow>, StoreError> {
        self.run(|conn| {
            conn.prepare_cached(
                "SELECT e.id, e.kind, e.pid, e.heartbeat_at, e.lease_until,
                        (SELECT count(*) FROM receiver WHERE engine = e.id AND phase = 1),
                        (SELECT count(*) FROM receiver WHERE engine = e.id AND phase = 2)
                 FROM engine e ORDER BY e.started_at",
            )?
            .query_map([], |row| {
                let id: String = row.get(0)?;
                Ok(EngineRow {
                    alive: lock::is_held(&lock_path(&self.path, &id)),
                    id,
                    kind: row.get(1)?,
                    pid: row.get(2)?,
                    heartbeat_at: timestamp(row.get(3)?),
                    lease_over: timestamp(row.get(4)?) < now,
                    claimed: row.get::<_, i64>(5)? as u64,
                    armed: row.get::<_, i64>(6)? as u64,
                })
            })?
            .collect()
        })
    }
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    let same = |file: Metadata| (file.dev(), file.ino());
    path.metadata().map(same)
}

fn lock_path(store: &Path, id: &str) -> PathBuf {
    beside(store, &format!("{LOCK}{id}"))
}

/// Whether any engine lives, of whatever version.
pub(super) fn anybody_alive(store: &Path) -> bool {
    let locks = lock::named(store, LOCK, ID_DIGITS);
    locks.iter().any(|(path, _)| lock::is_held(path))
}

/// The locks beside a store that belong to no living engine.
pub(super) fn leftovers(store: &Path) -> Vec<PathBuf> {
    let locks = lock::named(store, LOCK, ID_DIGITS).into_iter();
    locks
        .map(|(path, _)| path)
        .filter(|path| !lock::is_held(path))
        .collect()
}

fn free_claimed(conn: &Connection, engine: &str) -> rusqlite::Result<usize> {
    conn.execute(
        "UPDATE receiver SET engine = NULL, phase = NULL WHERE engine = ? AND phase = 1",
        [engine],
    )
}

/// Ends everything an engine held, in one durable transaction, and strikes it off the list.
fn settle_estate(
    store: &Store,
    engine: &str,
    bury: &Bury<'_>,
    now: Timestamp,
) -> Result<Reaped, StoreError> {
    store.write(|tx| {
        let freed = free_claimed(tx, engine)?;
        let sql = format!(
            "SELECT {CLAIM_COLUMNS}, (SELECT name FROM backend WHERE backend.id = receiver.backend_id),
                    (SELECT started_at FROM attempt a WHERE a.receiver_id = receiver.id AND a.epoch = receiver.epoch)
             FROM receiver WHERE engine = ?"
        );
        let armed: Vec<(Claim, String, Option<i64>)> = tx
            .prepare(&sql)?
            .query_map([engine], |row| Ok((read_claim(row)?, row.get(20)?, row.get(21)?)))?
            .collect::<Result<_, _>>()?;
        for (claim, backend, started_at) in &armed {
            let mut settlement = bury(backend, claim, now);
            settlement.started_at = started_at.map_or(now, timestamp);
            ledger::settle(tx, engine, "postroom", &settlement)?;
        }
        tx.execute("DELETE FROM engine WHERE id = ?", [engine])?;
        Ok(Reaped { engines: 1, freed, unknown: armed.len() })
    })
}
