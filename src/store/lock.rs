//! Files beside a store that say "somebody is at work here": locked for as long as that one lives, so that a free lock means that nobody does.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

/// Makes a new file with mode 0600 and locks it until the file is closed. Whoever sweeps may take it for a leftover before it is locked; then it is made anew.
pub(super) fn make(path: &Path) -> io::Result<File> {
    loop {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        file.lock()?;
        if file.metadata()?.nlink() > 0 {
            return Ok(file);
        }
    }
}

/// Whether a living process holds the lock. Only looks: the shared lock that it takes for a moment hinders nobody who would settle.
pub(super) fn is_held(path: &Path) -> bool {
    File::open(path)
        .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// The files called like `of` with `ending` and an id of so many hex digits behind it, and their ids. A folder that cannot be read has none.
pub(super) fn named(of: &Path, ending: &str, digits: usize) -> Vec<(PathBuf, String)> {
    let folder = match of.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let Some(name) = of.file_name() else {
        return Vec::new();
    };
    let mut begins = name.to_owned();
    begins.push(ending);
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files
        .filter_map(|file| {
            let name = file.file_name();
            let id = name.to_str()?.strip_prefix(begins.to_str()?)?;
            let is_id = id.len() == digits && id.bytes().all(|b| b.is_ascii_hexdigit());
            is_id.then(|| (file.path(), id.to_owned()))
        })
        .collect()
}

/// Removes a file that nobody holds, if `is_leftover` still says so once the lock is ours: from then on nobody can begin to use it.
pub(super) fn sweep(path: &Path, is_leftover: impl FnOnce() -> bool) -> bool {
    let Ok(file) = OpenOptions::new().write(true).open(path) else {
        return false;
    };
    // The name may belong to another file by now.
    let ours = file.try_lock().is_ok() && file.metadata().is_ok_and(|file| file.nlink() > 0);
    ours && is_leftover() && std::fs::remove_file(path).is_ok()
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, Ordering},
        thread,
    };

    use super::*;

    #[test]
    fn a_leftover_goes_and_what_somebody_holds_stays() {
        let folder = tempfile::tempdir().unwrap();
        let of = folder.path().join("postroom.db");
        let path = folder.path().join("postroom.db.engine-00ff");
        let held = make(&path).unwrap();
        assert!(is_held(&path));
        assert!(!sweep(&path, || true));
        drop(held);
        assert!(!is_held(&path));
        assert_eq!(
            named(&of, ".engine-", 4),
            [(path.clone(), "00ff".to_owned())]
        );
        assert!(!sweep(&path, || false), "it is in use after all");
        assert!(sweep(&path, || true));
        assert_eq!(named(&of, ".engine-", 4), []);
    }

    #[test]
    fn a_newcomer_whose_file_was_swept_before_it_was_locked_makes_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    sweep(&path, || true);
                }
            });
            let kept = (0..2_000).all(|_| {
                let held = make(&path).unwrap();
                let kept = is_held(&path);
                // While it is held: who has the lock of a file that has lost its name removes nothing.
                let _ = std::fs::remove_file(&path);
                drop(held);
                kept
            });
            over.store(true, Ordering::Relaxed);
            assert!(kept, "locked, and not where others look");
        });
    }
}
