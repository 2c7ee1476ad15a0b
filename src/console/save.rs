//! A file that an operator asked for, where its name leads.

use std::{io::ErrorKind, path::PathBuf};

use super::effect::{NotSaved, Save};

/// Writes it.
pub fn save(save: &Save) -> Result<(), NotSaved> {
    let written = crate::save::save(&place(&save.path), &save.bytes, save.overwrite);
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => NotSaved::Exists,
        _ => NotSaved::Failed(error.to_string()),
    })
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
    use std::{fs, sync::Arc};

    use super::*;

    #[test]
    fn a_file_that_is_there_is_told_from_one_that_cannot_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: PathBuf| Save {
            path: path.display().to_string(),
            bytes: Arc::new(b"one".to_vec()),
            overwrite: false,
        };
        let there = at(folder.path().join("there"));
        save(&there).unwrap();
        assert_eq!(save(&there), Err(NotSaved::Exists));
        let result = save(&at(folder.path().join("no/such/place")));
        assert!(matches!(result, Err(NotSaved::Failed(_))), "{result:?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
