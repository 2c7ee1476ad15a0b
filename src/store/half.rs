//! A store in the making: beside its place, and put there whole. Nobody, also not after a crash, meets half a store.

use std::{
    fs::File,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::{StoreError, beside, error::explain_io, lock, random_hex};

/// What stands between the place and the id in the name of a file in the making.
const ENDING: &str = ".new-";
/// Random bytes in that id.
const ID: usize = 8;
/// What SQLite puts beside a database.
const COMPANIONS: [&str; 3] = ["-wal", "-journal", "-shm"];

/// An empty file with mode 0600 that will be a store. Dropped before it is put in its place, it goes with all that SQLite put beside it.
pub(super) struct Half {
    path: PathBuf,
    place: PathBuf,
    /// Held locked, so that nobody takes it for a leftover.
    file: File,
}

impl Half {
    /// Begins one, unless something is in its place. What others left half made when they were killed goes first.
    pub(super) fn of(place: &Path) -> Result<Self, StoreError> {
        if place.is_dir() {
            return Err(StoreError::Folder(place.to_owned()));
        }
        if place.symlink_metadata().is_ok() {
            return Err(StoreError::Exists(place.to_owned()));
        }
        // The log of a database that is gone would be read as a part of the new one. An empty one is what readers leave.
        let mut logs = COMPANIONS[..2].iter().map(|ending| beside(place, ending));
        if let Some(log) = logs.find(|log| log.metadata().is_ok_and(|log| log.len() > 0)) {
            return Err(StoreError::Orphan(log));
        }
        if let Some(folder) = place
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            && !folder.exists()
        {
            return Err(StoreError::NoFolder(folder.to_owned()));
        }
        sweep(place);
        let path = beside(place, &format!("{ENDING}{}", random_hex(ID)?));
        let file = lock::make(&path).map_err(|error| explain_io(place, &path, error))?;
        Ok(Self {
            path,
            place: place.to_owned(),
            file,
        })
    }

    /// Where it is made.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Puts it in its place, durably. Nobody may have it open any more.
    pub(super) fn put(self) -> Result<(), StoreError> {
        let io = |error| explain_io(&self.place, &self.place, error);
        self.file.sync_all().map_err(io)?;
        // Neither replaces what came there meanwhile; the second is for file systems without links.
        let placed = std::fs::hard_link(&self.path, &self.place).or_else(|error| {
            if error.kind() == ErrorKind::AlreadyExists {
                return Err(error);
            }
            let renamed = renameat_with(CWD, &self.path, CWD, &self.place, RenameFlags::NOREPLACE);
            Ok(renamed?)
        });
        match placed {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Err(StoreError::Exists(self.place.clone()));
            }
            placed => placed.map_err(io)?,
        }
        let folder = match self.place.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(io)
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
        remove_companions(&self.path);
    }
}

/// Removes what was left half made beside this place by a process that was killed.
pub(super) fn sweep(place: &Path) {
    for (path, _) in lock::named(place, ENDING, 2 * ID) {
        if lock::sweep(&path, || true) {
            remove_companions(&path);
        }
    }
}

/// What was left half made beside this place.
pub(super) fn leftovers(place: &Path) -> Vec<PathBuf> {
    let halves = lock::named(place, ENDING, 2 * ID).into_iter();
    halves
        .map(|(path, _)| path)
        .filter(|path| !lock::is_held(path))
        .collect()
}

fn remove_companions(path: &Path) {
    for ending in COMPANIONS {
        let _ = std::fs::remove_file(beside(path, ending));
    }
}
