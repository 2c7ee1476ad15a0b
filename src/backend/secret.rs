use std::{
    env, fmt, fs, io,
    io::Read as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

/// A password, a token or a key. It has no `Display` and its `Debug` is empty of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The letters, for the one place that needs them.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(secret: String) -> Self {
        Self(secret)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

/// Where a secret is kept. It is read when a connection authenticates, so a new one works without a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// A file that only its owner can read; a line end after the secret is not part of it.
    File(PathBuf),
    /// A variable of the environment.
    Env(String),
}

/// A secret that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("cannot read the secret in {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others than its owner can read the file.
    #[error("the secret in {0} can be read by others (mode {mode:04o}): run `chmod 600 {0}`", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// There is nothing in it, or not text.
    #[error("the secret in {0} is empty or not text in UTF-8")]
    Useless(String),
    /// The variable is not set.
    #[error("the environment variable {0} is not set")]
    Unset(String),
}

impl SecretSource {
    /// Reads the secret.
    pub fn read(&self) -> Result<Secret, SecretError> {
        let secret = match self {
            Self::File(path) => from_file(path)?,
            Self::Env(name) => match env::var(name) {
                Ok(secret) => secret,
                Err(env::VarError::NotPresent) => return Err(SecretError::Unset(name.clone())),
                Err(env::VarError::NotUnicode(_)) => {
                    return Err(SecretError::Useless(name.clone()));
                }
            },
        };
        if secret.is_empty() || secret.contains('\0') {
            let place = match self {
                Self::File(path) => path.display().to_string(),
                Self::Env(name) => name.clone(),
            };
            return Err(SecretError::Useless(place));
        }
        Ok(Secret(secret))
    }

    /// Whether it could be read now, so that a mistake is told before the first connection.
    pub fn check(&self) -> Result<(), SecretError> {
        self.read().map(drop)
    }
}

fn from_file(path: &Path) -> Result<String, SecretError> {
    let unreadable = |source| SecretError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let mut file = fs::File::open(path).map_err(unreadable)?;
    // The open file is asked, not the path, so that it cannot be exchanged in between.
    let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(SecretError::Exposed {
            path: path.to_owned(),
            mode,
        });
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(unreadable)?;
    let mut secret =
        String::from_utf8(bytes).map_err(|_| SecretError::Useless(path.display().to_string()))?;
    if secret.ends_with('\n') {
        secret.pop();
        if secret.ends_with('\r') {
            secret.pop();
        }
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &[u8], mode: u32) -> (tempfile::TempDir, SecretSource) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (folder, SecretSource::File(path))
    }

    #[test]
    fn a_secret_file_readable_by_others_is_refused_with_the_way_out() {
        for mode in [0o640, 0o604, 0o644, 0o660] {
            let (_folder, source) = file(b"hunter2", mode);
            let told = source.check().unwrap_err().to_string();
            assert!(
                told.contains("chmod 600 ") && told.contains("/password"),
                "{told}"
            );
        }
    }

    #[test]
    fn the_line_end_after_a_secret_is_not_part_of_it() {
        for content in [&b"hunter 2"[..], b"hunter 2\n", b"hunter 2\r\n"] {
            let (_folder, source) = file(content, 0o600);
            assert_eq!(source.read().unwrap().expose(), "hunter 2");
        }
    }

    #[test]
    fn an_empty_secret_is_no_secret() {
        let (_folder, source) = file(b"\n", 0o400);
        assert!(matches!(source.read(), Err(SecretError::Useless(_))));
        let source = SecretSource::Env("POSTROOM_TEST_THAT_NOBODY_SETS".to_owned());
        assert!(matches!(source.read(), Err(SecretError::Unset(_))));
    }

    #[test]
    fn a_secret_is_not_in_its_debug() {
        assert_eq!(format!("{:?}", Secret("hunter2".to_owned())), "[hidden]");
    }
}
