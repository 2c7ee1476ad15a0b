//! Files that an operator asks for: whole or not at all, readable by their owner only, and never in place of another without a yes.

use std::{
    io::{self, ErrorKind, Write as _},
    path::Path,
};

/// Writes one. Where there is one of that name already, and it is not to be written over, [`ErrorKind::AlreadyExists`]. What is no plain file is
/// never replaced: an admin who names `/dev/null` would lose it.
pub(crate) fn save(path: &Path, bytes: &[u8], overwrite: bool) -> io::Result<()> {
    if path.is_dir() {
        return Err(io::Error::new(
            ErrorKind::IsADirectory,
            "it is a folder: name a file in it",
        ));
    }
    if path.symlink_metadata().is_ok_and(|there| !there.is_file()) {
        return Err(io::Error::new(
            ErrorKind::InvalidInput,
            "it is no plain file, but a link, a device, a pipe or a socket: name another",
        ));
    }
    // Made with mode 0600 beside its place, then put there.
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    let folder = folder.unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(|error| {
        // The error of the name that nobody chose is about the folder.
        let (kind, shown) = (error.kind(), folder.display());
        let words = match kind {
            ErrorKind::NotFound => {
                format!("there is no folder {shown}: make it first, or name another place")
            }
            _ => format!("{kind} in the folder {shown}: name another place"),
        };
        io::Error::new(kind, words)
    })?;
    file.write_all(bytes)?;
    let put = if overwrite {
        file.persist(path)
    } else {
        file.persist_noclobber(path)
    };
    put.map(drop).map_err(|error| error.error)
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::{
            fs::{PermissionsExt as _, symlink},
            net::UnixListener,
        },
    };

    use super::*;

    #[test]
    fn a_file_is_for_its_owner_only_and_takes_the_place_of_another_only_when_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("traceback.txt");
        save(&path, b"one", false).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let error = save(&path, b"two", false).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        save(&path, b"two", true).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_written_says_why_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        for path in [
            folder.path().to_owned(),
            folder.path().join("no/such/place"),
        ] {
            assert!(save(&path, b"one", true).is_err(), "{path:?}");
        }
        let nowhere = folder.path().join("no/such");
        let error = save(&nowhere.join("place"), b"one", true).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "there is no folder {}: make it first, or name another place",
                nowhere.display()
            )
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_no_plain_file_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (link, socket) = (folder.path().join("link"), folder.path().join("socket"));
        symlink("/dev/null", &link).unwrap();
        let _listener = UnixListener::bind(&socket).unwrap();
        for path in [&link, &socket] {
            for overwrite in [false, true] {
                let error = save(path, b"one", overwrite).unwrap_err();
                assert!(error.to_string().contains("no plain file"), "{error}");
            }
            assert!(!path.symlink_metadata().unwrap().is_file());
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
