//! Puts `disk.c` between the program and the disk.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use fastrand::Rng;
use tempfile::TempDir;

use crate::support::{Postroom, shim, skipped};

/// What a disk writes whole or not at all, in bytes.
const SECTOR: usize = 512;

/// A disk of a test's own under a store. It knows what of the store would be left after a power cut.
pub struct Disk<'a> {
    postroom: &'a Postroom,
    shim: &'static Path,
    synced: TempDir,
}

impl<'a> Disk<'a> {
    /// The disk under this store; where there can be none, `None`, and a line on stderr.
    pub fn under(postroom: &'a Postroom, test: &str) -> Option<Self> {
        let Some(shim) = shim() else {
            skipped(&format!(
                "{test}: no C compiler (`cc`) here, or nothing can be preloaded"
            ));
            return None;
        };
        let disk = Self {
            postroom,
            shim,
            synced: tempfile::tempdir().unwrap(),
        };
        disk.sync();
        Some(disk)
    }

    /// `postroom` with these arguments, on this disk.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.postroom.command(arguments);
        command
            .env("LD_PRELOAD", self.shim)
            .env("POSTROOM_DISK_STORE", self.postroom.store_path())
            .env("POSTROOM_DISK_SYNCED", self.synced.path())
            .env("POSTROOM_DISK_BROKEN", self.broken());
        command
    }

    /// While this file exists nothing can be written.
    pub fn broken(&self) -> PathBuf {
        self.synced.path().join("broken")
    }

    /// Whether the fault that a command was told to meet has been met.
    pub fn has_failed(&self) -> bool {
        self.synced.path().join("failed").exists()
    }

    fn files(&self) -> [(PathBuf, PathBuf); 2] {
        ["postroom.db", "postroom.db-wal"].map(|name| {
            (
                self.postroom.folder().join(name),
                self.synced.path().join(name),
            )
        })
    }

    /// Everything that was written up to now is safe.
    pub fn sync(&self) {
        for (file, synced) in self.files() {
            let _ = fs::remove_file(&synced);
            if file.exists() {
                fs::copy(file, synced).unwrap();
            }
        }
    }

    /// The power goes. Of what was not synced nothing is left, or some sectors are. Nobody may have the store open.
    pub fn cut(&self, rng: &mut Rng) {
        let keeps = [0.0, 0.5, 0.95][rng.usize(0..3)];
        for (file, synced) in self.files() {
            let (now, safe) = (fs::read(&file), fs::read(&synced));
            let left = match (now, safe) {
                (Ok(now), safe) => {
                    let safe = safe.unwrap_or_default();
                    let length = if rng.f64() < keeps {
                        now.len()
                    } else {
                        safe.len()
                    };
                    let mut left = vec![0; length];
                    for at in (0..length).step_by(SECTOR) {
                        let from = if rng.f64() < keeps { &now } else { &safe };
                        let end = (at + SECTOR).min(from.len()).min(length);
                        if at < end {
                            left[at..end].copy_from_slice(&from[at..end]);
                        }
                    }
                    Some(left)
                }
                // It was removed, and the folder may not know it yet.
                (Err(_), Ok(safe)) => (rng.f64() >= keeps).then_some(safe),
                (Err(_), Err(_)) => None,
            };
            match left {
                Some(left) => fs::write(file, left).unwrap(),
                None => drop(fs::remove_file(file)),
            }
        }
        // Shared memory is memory.
        let _ = fs::remove_file(self.postroom.folder().join("postroom.db-shm"));
        self.sync();
    }
}
