//! Who is in the group of the store may look at it, whether somebody has it open or nobody, and change nothing.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{
    fs::{self, Permissions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use serde_json::Value;
use support::{Ran, Running, SOON, Terminal, message, skipped};
use tempfile::TempDir;

/// Numbers of users and groups that nobody has to have.
const POSTROOM: u32 = 60_001;
const LOOKER: u32 = 60_002;
const STRANGER: u32 = 60_003;

/// A store of the user postroom that its group may read, in a place where all of them can run the program.
struct Site {
    folder: TempDir,
}

impl Site {
    /// `None` where this cannot be tried.
    fn of(test: &str) -> Option<Self> {
        let root = rustix::process::getuid().is_root();
        if !root || Command::new("setpriv").arg("--version").output().is_err() {
            skipped(&format!(
                "{test}: it takes root and setpriv to be several users"
            ));
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let site = Self { folder };
        open(site.folder.path(), 0o755);
        fs::copy(env!("CARGO_BIN_EXE_postroom"), site.file("postroom")).unwrap();
        open(&site.file("postroom"), 0o755);
        let home = site.file("home");
        fs::create_dir(&home).unwrap();
        chown(&home, Some(POSTROOM), Some(POSTROOM)).unwrap();
        open(&home, 0o750);
        let config = "[store]\npath = \"home/postroom.db\"\n[backends.disk]\nkind = \"file\"\npath = \"home/outbox\"\nfrom = \"no-reply@example.com\"\n";
        fs::write(site.file("config.toml"), config).unwrap();
        open(&site.file("config.toml"), 0o644);
        site.run(POSTROOM, &["init"]).ok();
        open(&site.store(), 0o640);
        Some(site)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn store(&self) -> PathBuf {
        self.file("home/postroom.db")
    }

    /// `postroom` as this user. The looker is in the group of postroom.
    fn command(&self, user: u32, arguments: &[&str]) -> Command {
        let group = if user == LOOKER { POSTROOM } else { user };
        let mut command = Command::new("setpriv");
        command
            .arg(format!("--reuid={user}"))
            .arg(format!("--regid={user}"))
            .arg(format!("--groups={group}"))
            .arg(self.file("postroom"))
            .args(arguments)
            .current_dir(self.folder.path())
            .env("POSTROOM_CONFIG", self.file("config.toml"))
            .env("HOME", self.file("nowhere"))
            .env("TZ", "UTC")
            .env_remove("POSTROOM_STORE")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, user: u32, arguments: &[&str]) -> Ran {
        Running::spawn(&mut self.command(user, arguments)).wait()
    }

    fn submit(&self, key: &str) {
        let line = message(key, "feedback", &[&format!("{key}@example.com")]).to_string();
        fs::write(self.file("line"), line).unwrap();
        self.run(POSTROOM, &["submit", "line"]).ok();
    }

    fn seen(&self, user: u32, query: &str) -> Vec<Value> {
        let arguments = ["list", "--format", "json", "--", query];
        self.run(user, &arguments).ok().json_lines()
    }
}

fn open(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn the_group_looks_at_a_store_at_rest_and_at_one_in_use_and_changes_nothing() {
    let Some(site) =
        Site::of("the_group_looks_at_a_store_at_rest_and_at_one_in_use_and_changes_nothing")
    else {
        return;
    };
    site.submit("a");
    // At rest.
    assert_eq!(site.seen(LOOKER, "").len(), 1);
    for arguments in [
        &["show", "1"][..],
        &["causes"],
        &["audit"],
        &["backend"],
        &["status"],
    ] {
        site.run(LOOKER, arguments).ok();
    }
    let other = message("x", "feedback", &["x@example.com"]).to_string();
    fs::write(site.file("other"), other).unwrap();
    for arguments in [
        &["resend", "--all", "--yes"][..],
        &["hold", "--all", "--yes"],
        &["delete", "--all", "--yes"],
        &["backend", "disk", "pause"],
        &["deliver"],
        &["submit", "other"],
    ] {
        let ran = site.run(LOOKER, arguments);
        assert_eq!(ran.status.code(), Some(1), "{arguments:?}: {ran:?}");
        assert!(ran.stderr.contains("cannot be written"), "{ran:?}");
    }
    let ran = site.run(STRANGER, &["list"]).exit(1);
    assert!(ran.stderr.contains("postroom.db"), "{ran:?}");

    // Somebody begins to write, and to send, while the looker has it open. Only letters that change are drawn, so these names share none.
    let mut console =
        Terminal::running(site.command(LOOKER, &["console", "--read-only"]), (100, 30));
    console.wait_for("a@example.com");
    site.submit("bobby");
    console.wait_for("↑1");
    console.press("g");
    console.wait_for("bobby@");
    let service = Running::spawn(&mut site.command(POSTROOM, &["run"]));
    let until = Instant::now() + SOON;
    while site.seen(LOOKER, "status:sent").len() < 2 {
        assert!(Instant::now() < until);
    }
    site.submit("cecilia");
    console.wait_for("↑1");
    console.press("g");
    console.wait_for("cecilia@");
    service.terminate();
    assert_eq!(site.seen(LOOKER, "").len(), 3);
    console.press("q");
    assert!(console.wait().success());

    // It is the owner's still, and nothing of the looker's lies beside it.
    site.submit("d");
    assert_eq!(site.seen(LOOKER, "").len(), 4);
    site.run(POSTROOM, &["check"]).ok();
    for file in fs::read_dir(site.file("home")).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().uid(), POSTROOM, "{file:?}");
    }
}

#[test]
fn a_store_for_its_owner_alone_leaves_nothing_beside_it_and_no_group_looks() {
    let Some(site) =
        Site::of("a_store_for_its_owner_alone_leaves_nothing_beside_it_and_no_group_looks")
    else {
        return;
    };
    site.submit("a");
    open(&site.store(), 0o600);
    site.submit("b");
    let names: Vec<_> = fs::read_dir(site.file("home"))
        .unwrap()
        .map(|file| file.unwrap().file_name())
        .collect();
    assert_eq!(names, ["postroom.db"]);
    let ran = site.run(LOOKER, &["list"]).exit(1);
    assert!(ran.stderr.contains("postroom.db"), "{ran:?}");
    // Opened wider again, it is looked at as soon as it was written once.
    open(&site.store(), 0o640);
    let ran = site.run(LOOKER, &["list"]).exit(1);
    assert!(ran.stderr.contains("nobody has it open"), "{ran:?}");
    site.submit("c");
    assert_eq!(site.seen(LOOKER, "").len(), 3);
}

#[test]
fn a_service_that_was_killed_leaves_a_store_that_the_group_can_look_at() {
    let Some(site) =
        Site::of("a_service_that_was_killed_leaves_a_store_that_the_group_can_look_at")
    else {
        return;
    };
    site.submit("a");
    let service = Running::spawn(&mut site.command(POSTROOM, &["run"]));
    let until = Instant::now() + SOON;
    while site.seen(LOOKER, "status:sent").is_empty() {
        assert!(Instant::now() < until);
    }
    service.kill();
    assert_eq!(site.seen(LOOKER, "status:sent").len(), 1);
    site.submit("b");
    assert_eq!(site.seen(LOOKER, "").len(), 2);
}

#[test]
fn what_is_written_after_the_mode_was_narrowed_is_for_the_owner_alone() {
    let Some(site) = Site::of("what_is_written_after_the_mode_was_narrowed_is_for_the_owner_alone")
    else {
        return;
    };
    site.submit("a");
    let service = Running::spawn(&mut site.command(POSTROOM, &["run"]));
    let until = Instant::now() + SOON;
    while site.seen(POSTROOM, "status:sent").is_empty() {
        assert!(Instant::now() < until);
    }
    // What it leaves is a log that the group may read, and that is written on.
    service.kill();
    open(&site.store(), 0o600);
    let (lines, mut more) = io::pipe().unwrap();
    let mut submit = Running::spawn(site.command(POSTROOM, &["submit"]).stdin(lines));
    let line = message("b", "feedback", &["b@example.com"]);
    writeln!(more, "{line}").unwrap();
    submit.line(|line| line.contains("stored"));
    for name in ["postroom.db", "postroom.db-wal", "postroom.db-shm"] {
        let file = fs::metadata(site.file("home").join(name)).unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600, "{name}");
    }
    drop(more);
    submit.wait().ok();
}
