//! Opening the file: what every connection needs, and which files are refused.

use std::{
    fmt::Write as _,
    fs::{File, Metadata, Permissions},
    os::{
        fd::AsRawFd as _,
        unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    },
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, DEFAULT_NAME, FileControl, OpenFlags, config::DbConfig};
use rustix::fs::{Access, Mode, OFlags};

use super::{
    SCHEMA, StoreError, beside, cause,
    error::{self, explain},
    log, schema, window,
};

/// Opens a store of this schema, with all that its queries use.
pub(super) fn open_checked(
    path: &Path,
    read_only: bool,
) -> Result<(PathBuf, Connection), StoreError> {
    let (path, conn) = connect(path, read_only)?;
    check_version(&path, &conn, false).map_err(|error| match error {
        StoreError::ReadOnly(path) | StoreError::CannotOpen(path)
            if read_only
                && !error::is_on_read_only(&path)
                // Not opened to see: to close it would end the locks of this process' other connections.
                && rustix::fs::access(&path, Access::READ_OK).is_ok() =>
        {
            StoreError::AtRest(path)
        }
        other => other,
    })?;
    window::register(&conn)
        .and_then(|()| cause::register(&conn, &cause::Patterns::default()))
        .map_err(|error| explain(&path, error))?;
    Ok((path, conn))
}

/// Refuses what is no store, and one of another schema.
pub(super) fn check_version(
    path: &Path,
    conn: &Connection,
    older_is_fine: bool,
) -> Result<(), StoreError> {
    let read = || -> rusqlite::Result<(i64, i64)> {
        Ok((
            conn.pragma_query_value(None, "application_id", |row| row.get(0))?,
            schema::version(conn)?,
        ))
    };
    let (application, found) = read().map_err(|error| explain(path, error))?;
    match found {
        _ if application != schema::APPLICATION_ID => Err(StoreError::Foreign(path.to_owned())),
        found if found > SCHEMA => Err(StoreError::Newer {
            path: path.to_owned(),
            found,
            known: SCHEMA,
        }),
        found if found < SCHEMA && !older_is_fine => Err(StoreError::Older {
            path: path.to_owned(),
            found,
            known: SCHEMA,
        }),
        _ => Ok(()),
    }
}

/// Opens an existing file and sets what every connection needs.
pub(super) fn connect(path: &Path, read_only: bool) -> Result<(PathBuf, Connection), StoreError> {
    let path = match path.canonicalize() {
        Ok(path) => path,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(StoreError::Missing(path.to_owned()));
        }
        Err(source) => {
            return Err(StoreError::Io {
                path: path.to_owned(),
                source: source.into(),
            });
        }
    };
    if path.is_dir() {
        return Err(StoreError::Folder(path));
    }
    refuse_network(&path)?;
    let (name, mode) = match read_only {
        false => (path.clone(), OpenFlags::SQLITE_OPEN_READ_WRITE),
        true if is_still(&path)? => (
            still(&path),
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI,
        ),
        true => (path.clone(), OpenFlags::SQLITE_OPEN_READ_ONLY),
    };
    let open = || -> rusqlite::Result<Connection> {
        let mut conn = Connection::open_with_flags(&name, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        conn.busy_handler(Some(wait_for_lock))?;
        conn.pragma_update(None, "foreign_keys", true)?;
        conn.pragma_update(None, "temp_store", "MEMORY")?;
        // The plans are ours: they must not change with a value that happens to be bound, nor be made anew for each.
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        conn.set_prepared_statement_cache_capacity(64);
        if !read_only {
            conn.pragma_update(None, "wal_autocheckpoint", log::UNATTENDED)?;
            conn.pragma_update(None, "journal_size_limit", log::KEPT)?;
            stay_readable(&path, &conn)?;
        }
        Ok(conn)
    };
    let conn = open().map_err(|error| explain(&path, error))?;
    Ok((path, conn))
}

/// Of a store that others than its owner may read, what readers and writers share stays beside it when the last of them goes, the log emptied. So who
/// may only read can look at it at rest too, and SQLite itself sees when somebody begins to write (https://sqlite.org/wal.html#read_only_databases).
/// A store for its owner alone leaves nothing: when an admin gives it a wider mode, these files are made anew with that.
fn stay_readable(path: &Path, conn: &Connection) -> rusqlite::Result<()> {
    let mode = std::fs::metadata(path).map_or(0, |file| file.permissions().mode());
    for ending in ["-wal", "-shm"] {
        narrow(&beside(path, ending), mode);
    }
    if mode & 0o077 != 0 {
        // As its size has a limit the log is emptied at the end.
        conn.file_control(DEFAULT_NAME, FileControl::PersistWal(&mut 1))?;
    }
    Ok(())
}

/// Takes away from what lies beside a store what the store's mode does not give: a log that stayed from when the store was open to more people would
/// show them what is written now. Where that fails it stays as it was: who may not change it is not its owner.
fn narrow(path: &Path, mode: u32) {
    // In somebody else's folder the name may lead anywhere. And no more than the path is opened: to close such a file would end SQLite's locks on it.
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let Ok(file) = rustix::fs::open(path, flags, Mode::empty()).map(File::from) else {
        return;
    };
    let wider =
        |there: &Metadata| there.is_file() && there.permissions().mode() & !mode & 0o777 != 0;
    if let Ok(there) = file.metadata()
        && wider(&there)
    {
        let kept = Permissions::from_mode(there.permissions().mode() & mode & 0o777);
        let _ = std::fs::set_permissions(format!("/proc/self/fd/{}", file.as_raw_fd()), kept);
    }
}

/// Whether nobody can write to the store, so that it may be read without the files that readers and writers share: SQLite could not make
/// them there. Where they exist somebody writes by another way, and SQLite reads as always. That this user may not write is not enough: nothing keeps
/// `run` from starting meanwhile, and what were read then could be halves of two moments.
fn is_still(path: &Path) -> Result<bool, StoreError> {
    let folder = path.parent().unwrap_or(path);
    if !error::is_on_read_only(folder) || beside(path, "-shm").exists() {
        return Ok(false);
    }
    let log = std::fs::metadata(beside(path, "-wal"));
    if log.is_ok_and(|log| log.len() > 0) {
        return Err(StoreError::ReadOnlyLog(path.to_owned()));
    }
    Ok(true)
}

/// SQLite's name for a file that does not change (https://sqlite.org/uri.html).
fn still(path: &Path) -> PathBuf {
    let mut uri = String::from("file:");
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'-' | b'_') {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02x}");
        }
    }
    uri.push_str("?immutable=1");
    uri.into()
}

/// `flock` and `fsync` mean too little on network file systems; the numbers are Linux' magic ones (statfs(2)).
pub(super) fn refuse_network(path: &Path) -> Result<(), StoreError> {
    let kind = match rustix::fs::statfs(path).map(|fs| fs.f_type as u32) {
        Ok(0x6969) => "NFS",
        Ok(0xff53_4d42 | 0xfe53_4d42 | 0x517b) => "SMB",
        Ok(0x0102_1997) => "9P",
        Ok(0x00c3_6400) => "Ceph",
        _ => return Ok(()),
    };
    Err(StoreError::Network {
        path: path.to_owned(),
        kind,
    })
}

/// Short sleeps with jitter, so that two processes that collide do not collide again. An engine that never pauses leaves the lock free for a tenth of a
/// millisecond at a time, and who looks more seldom misses that again and again; so who has not waited long looks as often. Gives up after about half
/// a minute.
pub(super) fn wait_for_lock(tries: i32) -> bool {
    const HURRY: i32 = 1_000;
    let micros = if tries < HURRY { 10..100 } else { 100..1_000 };
    std::thread::sleep(Duration::from_micros(fastrand::u64(micros)));
    tries < 50_000
}
