//! Files that an operator asks for: whole or not at all, readable by their owner only, and never in place of another without a yes.

use std::{
    io::{self, ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use super::effect::{NotSaved, Save};

/// Writes it.
pub fn save(save: &Save) -> Result<(), NotSaved> {
    let path = place(&save.path);
    if path.is_dir() {
        return Err(NotSaved::Failed("it is a folder".to_owned()));
    }
    // Made with mode 0600 beside its place, then put there.
    write(&path, save).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => NotSaved::Exists,
        _ => NotSaved::Failed(error.to_string()),
    })
}

fn write(path: &Path, save: &Save) -> io::Result<()> {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    file.write_all(&save.bytes)?;
    let put = if save.overwrite {
        file.persist(path)
    } else {
        file.persist_noclobber(path)
    };
    put.map(drop).map_err(|error| error.error)
}

/// `~/` is the operator's own folder, as in a shell.
fn place(typed: &str) -> PathBuf {
    let home = typed
        .strip_prefix("~/")
        .and_then(|rest| Some(etcetera::home_dir().ok()?.join(rest)));
    home.unwrap_or_else(|| PathBuf::from(typed))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _, sync::Arc};

    use super::*;

    fn wanted(path: &Path, text: &str, overwrite: bool) -> Save {
        Save {
            path: path.display().to_string(),
            bytes: Arc::new(text.as_bytes().to_vec()),
            overwrite,
        }
    }

    #[test]
    fn a_file_is_for_its_owner_only_and_takes_the_place_of_another_only_when_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("traceback.txt");
        save(&wanted(&path, "one", false)).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(save(&wanted(&path, "two", false)), Err(NotSaved::Exists));
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        save(&wanted(&path, "two", true)).unwrap();
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
            let result = save(&wanted(&path, "one", true));
            assert!(matches!(result, Err(NotSaved::Failed(_))), "{result:?}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
