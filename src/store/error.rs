use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Why the store did not do what was asked. Each names the thing and the way out.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no file.
    #[error("there is no store at {}: run `postroom init`, or name one with --store", .0.display())]
    Missing(PathBuf),
    /// `create` found a file.
    #[error("{} exists already: it is left as it is", .0.display())]
    Exists(PathBuf),
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
    /// SQLite can read it, but it is something else's.
    #[error("{} is not a Postroom store", .0.display())]
    Foreign(PathBuf),
    /// Not SQLite at all, or damaged.
    #[error("{} is damaged or not a SQLite database: restore a backup; `sqlite3 FILE .recover` may save what is in it", .0.display())]
    Corrupt(PathBuf),
    /// A store belongs to one host.
    #[error("{} lies on a network file system ({kind}): locks and flushes cannot be trusted there; put the store on a local disk", path.display())]
    Network {
        /// The store.
        path: PathBuf,
        /// The file system.
        kind: &'static str,
    },
    /// No room.
    #[error("the disk that holds {} is full: nothing was changed; free some space and try again", .0.display())]
    Full(PathBuf),
    /// Not ours to write.
    #[error("{} cannot be written: check the owner and mode of the file and of its folder", .0.display())]
    ReadOnly(PathBuf),
    /// The file or its folder cannot be opened.
    #[error("{} cannot be opened: check that it and its folder may be read and written by this user", .0.display())]
    CannotOpen(PathBuf),
    /// Somebody held the write lock too long.
    #[error("{} is locked by another process for too long: look for one that hangs", .0.display())]
    Busy(PathBuf),
    /// A query was interrupted because a newer one took its place.
    #[error("the query was interrupted")]
    Interrupted,
    /// The file system.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What happened.
        source: std::io::Error,
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
        source: rusqlite::Error,
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
        Some(ErrorCode::ReadOnly) => StoreError::ReadOnly(path),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Corrupt(path),
        Some(ErrorCode::CannotOpen) => StoreError::CannotOpen(path),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy(path),
        Some(ErrorCode::OperationInterrupted) => StoreError::Interrupted,
        _ => StoreError::Sqlite { path, source },
    }
}
