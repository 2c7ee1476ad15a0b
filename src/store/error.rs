use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rusqlite::ErrorCode;

use crate::size;

/// Why the store did not do what was asked. Each names the thing and the way out.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no file.
    #[error("there is no store at {}: run `postroom init`, or name one with --store", .0.display())]
    Missing(PathBuf),
    /// `create` found a file.
    #[error("{} exists already: it is left as it is", .0.display())]
    Exists(PathBuf),
    /// A log without its database lies where a new one is to be.
    #[error("{} is left of a database that is gone, and would be read as a part of the new one: move it away first", .0.display())]
    Orphan(PathBuf),
    /// A newer Postroom wrote it.
    #[error("{} was written by a newer Postroom (schema {found}, this one knows up to {known}): use that version", path.display())]
    Newer {
        /// The store.
        path: PathBuf,
        /// Its schema's number.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// An older Postroom wrote it.
    #[error("{} has schema {found}, this Postroom needs {known}: run `postroom migrate`", path.display())]
    Older {
        /// The store.
        path: PathBuf,
        /// Its schema's number.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// Somebody delivers from a store that is to be migrated.
    #[error("{} is delivered from: stop `postroom run`, and every console and `deliver` on it, then migrate", .0.display())]
    InUse(PathBuf),
    /// SQLite can read it, but it is something else's.
    #[error("{} is not a Postroom store", .0.display())]
    Foreign(PathBuf),
    /// Not SQLite at all, or damaged.
    #[error("{} is damaged or not a SQLite database: restore a backup; `sqlite3 FILE .recover` may save what is in it", .0.display())]
    Corrupt(PathBuf),
    /// A folder stands where the file should.
    #[error("{} is a folder, not a store: name the file in it", .0.display())]
    Folder(PathBuf),
    /// Where a file is to be, there is no folder.
    #[error("there is no folder {}: make it first, or name another place", .0.display())]
    NoFolder(PathBuf),
    /// It lies where nobody can write, and without writing its log cannot be read.
    #[error("{} was not closed in order and lies where nothing can be written: what {}-wal holds would be overlooked; copy both to a place that can be written, and open the copy", .0.display(), .0.display())]
    ReadOnlyLog(PathBuf),
    /// A store belongs to one host.
    #[error("{} lies on a network file system ({kind}): locks and flushes cannot be trusted there; put the store on a local disk", path.display())]
    Network {
        /// The store.
        path: PathBuf,
        /// The file system.
        kind: &'static str,
    },
    /// No room.
    #[error("the disk that holds {} is full: free some space and try again", .0.display())]
    Full(PathBuf),
    /// Less room than a copy of the store needs.
    #[error("the disk that is to hold {} has {} MiB free, and the copy needs {} MiB: free some space, or name a place on another disk", path.display(), has >> 20, needs.div_ceil(1 << 20))]
    NoRoom {
        /// The copy.
        path: PathBuf,
        /// Its size in bytes.
        needs: u64,
        /// What is free, in bytes.
        has: u64,
    },
    /// A copy of the store that SQLite finds fault with.
    #[error("no backup of {} was made, since the copy is damaged ({what}): `postroom check` tells whether the store is", path.display())]
    BadCopy {
        /// The store.
        path: PathBuf,
        /// SQLite's word.
        what: String,
    },
    /// Room is left, and less than sending wants to leave alone.
    #[error("the disk that holds {} has only {} left, and nothing is sent below {} (min_free in [delivery]): free some space", path.display(), size::shown(*free), size::shown(*least))]
    Low {
        /// The store.
        path: PathBuf,
        /// Bytes that are free.
        free: u64,
        /// Bytes that have to be.
        least: u64,
    },
    /// Not ours to write.
    #[error("{} cannot be written: check the owner and mode of the file and of its folder, and whether its disk is mounted read-only", .0.display())]
    ReadOnly(PathBuf),
    /// Nobody has it open, and this user may not write where SQLite puts what readers and writers share.
    #[error("{} may be read by this user, but nobody has it open, and SQLite cannot make the files it needs beside it: look as its owner (sudo), or while `postroom run` is running", .0.display())]
    AtRest(PathBuf),
    /// The file or its folder cannot be opened.
    #[error("{} cannot be opened: check that it and its folder may be read and written by this user", .0.display())]
    CannotOpen(PathBuf),
    /// Somebody held the write lock too long.
    #[error("{} is locked by another process for too long: look for one that hangs", .0.display())]
    Busy(PathBuf),
    /// The file that was opened is no longer at its path.
    #[error("{} was moved, removed or replaced while it was delivered from: delivery from it ends; put it where it belongs and start again", .0.display())]
    Displaced(PathBuf),
    /// An engine's lock file is gone.
    #[error("{} was removed: it says that this process lives, and others would send what it sends; delivery ends, start it again", .0.display())]
    LockLost(PathBuf),
    /// What was asked was interrupted: a newer question took its place, or a signal came.
    #[error("it was interrupted")]
    Interrupted,
    /// The file system.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What happened.
        source: Arc<io::Error>,
    },
    /// A value in the store that this version cannot read.
    #[error("{}: {what}", path.display())]
    Unreadable {
        /// The store.
        path: PathBuf,
        /// Which value.
        what: String,
    },
    /// Anything else SQLite says.
    #[error("{}: {source}", path.display())]
    Sqlite {
        /// The store.
        path: PathBuf,
        /// What SQLite said.
        source: Arc<rusqlite::Error>,
    },
}

impl StoreError {
    /// Whether trying again later can help: the disk or a lock, not the data.
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Full(_)
                | Self::Busy(_)
                | Self::Sqlite { .. }
                | Self::ReadOnly(_)
                | Self::Io { .. }
        )
    }
}

/// Puts SQLite's word into ours.
pub(super) fn explain(path: &Path, source: rusqlite::Error) -> StoreError {
    let path = path.to_owned();
    if let rusqlite::Error::FromSqlConversionFailure(..)
    | rusqlite::Error::InvalidColumnType(..)
    | rusqlite::Error::IntegralValueOutOfRange(..)
    | rusqlite::Error::QueryReturnedNoRows = &source
    {
        return StoreError::Unreadable {
            path,
            what: source.to_string(),
        };
    }
    match source.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full(path),
        // SQLite has no words of its own for a full disk when it makes the files beside the store.
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) if has_no_room(&path) => {
            StoreError::Full(path)
        }
        Some(ErrorCode::CannotOpen) if is_on_read_only(&path) => StoreError::ReadOnly(path),
        Some(ErrorCode::ReadOnly) => StoreError::ReadOnly(path),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Corrupt(path),
        Some(ErrorCode::CannotOpen) => StoreError::CannotOpen(path),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy(path),
        Some(ErrorCode::OperationInterrupted) => StoreError::Interrupted,
        _ => StoreError::Sqlite {
            path,
            source: source.into(),
        },
    }
}

/// What SQLite brought cannot be: an index that is damaged would lead in circles for ever.
pub(super) fn corrupt() -> rusqlite::Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    rusqlite::Error::SqliteFailure(code, None)
}

/// Puts the file system's word about a file beside the store into ours.
pub(super) fn explain_io(store: &Path, path: &Path, source: io::Error) -> StoreError {
    match source.kind() {
        io::ErrorKind::StorageFull => StoreError::Full(store.to_owned()),
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            StoreError::ReadOnly(store.to_owned())
        }
        _ => StoreError::Io {
            path: path.to_owned(),
            source: source.into(),
        },
    }
}

fn has_no_room(path: &Path) -> bool {
    rustix::fs::statvfs(path).is_ok_and(|disk| disk.f_bavail == 0)
}

/// Whether the file lies on a disk that is mounted read-only.
pub(super) fn is_on_read_only(path: &Path) -> bool {
    rustix::fs::statvfs(path)
        .is_ok_and(|disk| disk.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY))
}
