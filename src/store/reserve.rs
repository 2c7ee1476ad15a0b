//! Room on the disk that is kept for results: between a message's last byte and its result in the store others may fill the disk, and then nobody would
//! know any more who has got it.

use std::{
    fs::{File, OpenOptions},
    io,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustix::{
    fs::{FallocateFlags, fallocate},
    io::Errno,
};

/// Pages of the store. The result of one receiver writes 10 to the log, those of a hundred in one message 50, and eight such at once 150.
const PAGES: u64 = 256;

/// The room, taken by making an engine's lock larger. Whoever finds the engine dead has it too.
pub(super) struct Reserve(Mutex<Kept>);

struct Kept {
    file: File,
    /// Bytes.
    room: u64,
    whole: bool,
}

impl Reserve {
    /// Nothing is kept yet. The lock is opened once more: what is locked ends with the file that locked it.
    pub(super) fn new(lock: &Path, page_size: u64) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).open(lock)?;
        let room = PAGES * page_size;
        let whole = false;
        Ok(Self(Mutex::new(Kept { file, room, whole })))
    }

    /// Takes the room if it is not kept yet; an error where the disk has none. A file system that cannot do such a thing keeps none.
    pub(super) fn keep(&self) -> io::Result<()> {
        let mut kept = self.kept();
        if kept.whole {
            return Ok(());
        }
        match fallocate(&kept.file, FallocateFlags::empty(), 0, kept.room) {
            Ok(()) => kept.whole = true,
            Err(error @ (Errno::NOSPC | Errno::DQUOT)) => {
                // Of what it got nothing is kept from others.
                let _ = kept.file.set_len(0);
                return Err(error.into());
            }
            Err(_) => {}
        }
        Ok(())
    }

    /// Gives the room back to the disk; whether there was any.
    pub(super) fn spend(&self) -> bool {
        let mut kept = self.kept();
        std::mem::take(&mut kept.whole) && kept.file.set_len(0).is_ok()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
