//! Disks of a test's own: small ones that fill up, and folders that cannot be written, whoever asks.

use std::{
    env,
    ffi::OsStr,
    fs::{self, File},
    io::Write as _,
    path::Path,
    process::Command,
};

use tempfile::TempDir;

/// Set to the name of the test that runs inside.
const INSIDE: &str = "POSTROOM_TEST_WITH_ITS_OWN_MOUNTS";

/// Runs `body` where it may mount: the test program runs this very test once more, in a mount namespace of its own. On a machine that allows no such
/// thing it says so on stderr, and nothing is tested.
pub fn with_own_mounts(test: &str, body: impl FnOnce()) {
    if env::var_os(INSIDE).is_some_and(|name| name == test) {
        return body();
    }
    let Some(unshare) = unshare() else {
        return super::skipped(&format!(
            "{test}: this machine lets nobody mount (`unshare --map-root-user --mount` is refused)"
        ));
    };
    let ran = Command::new("unshare")
        .args(unshare)
        .arg(env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(INSIDE, test)
        .output()
        .unwrap();
    let (said, told) = (
        String::from_utf8_lossy(&ran.stdout),
        String::from_utf8_lossy(&ran.stderr),
    );
    assert!(
        ran.status.success() && said.contains("1 passed"),
        "{said}\n{told}"
    );
}

/// The flags that make it work here: as anybody, or only as root.
fn unshare() -> Option<&'static [&'static str]> {
    const WAYS: [&[&str]; 2] = [&["--map-root-user", "--mount"], &["--mount"]];
    let folder = tempfile::tempdir().unwrap();
    WAYS.into_iter().find(|flags| {
        Command::new("unshare")
            .args(*flags)
            .args(["mount", "-t", "tmpfs", "none"])
            .arg(folder.path())
            .output()
            .is_ok_and(|ran| ran.status.success())
    })
}

fn run(program: &str, arguments: &[&OsStr]) {
    let ran = Command::new(program).args(arguments).output().unwrap();
    assert!(ran.status.success(), "{program} {arguments:?}: {ran:?}");
}

/// A small disk.
pub struct Disk {
    folder: TempDir,
}

impl Disk {
    /// One of so many KiB.
    pub fn of(kib: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={kib}k");
        run(
            "mount",
            &[
                "-t".as_ref(),
                "tmpfs".as_ref(),
                "-o".as_ref(),
                size.as_ref(),
                "none".as_ref(),
                folder.path().as_os_str(),
            ],
        );
        Self { folder }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Until nothing more fits.
    pub fn fill(&self) {
        let ballast = self.path().join("ballast");
        let mut ballast = File::options()
            .create(true)
            .append(true)
            .open(ballast)
            .unwrap();
        for piece in [1 << 16, 1 << 12, 1] {
            while ballast.write_all(&vec![0; piece]).is_ok() {}
        }
    }

    /// Until only so many KiB fit.
    pub fn fill_but(&self, kib: u64) {
        self.fill();
        let ballast = File::options()
            .write(true)
            .open(self.path().join("ballast"))
            .unwrap();
        let length = ballast.metadata().unwrap().len();
        ballast.set_len(length - kib * 1024).unwrap();
    }

    /// Takes away what filled it.
    pub fn free(&self) {
        fs::remove_file(self.path().join("ballast")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).output();
    }
}

/// Makes a file or a folder one that nobody can write, until this is dropped.
pub struct ReadOnly<'a>(&'a Path);

impl<'a> ReadOnly<'a> {
    pub fn make(path: &'a Path) -> Self {
        let (bind, what) = (OsStr::new("--bind"), path.as_os_str());
        run("mount", &[bind, what, what]);
        run("mount", &["-o".as_ref(), "remount,bind,ro".as_ref(), what]);
        Self(path)
    }
}

impl Drop for ReadOnly<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).output();
    }
}
