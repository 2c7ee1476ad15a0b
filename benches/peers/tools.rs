//! What the peers are, and where they come from.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Postfix's programs: those of this machine, or unpacked from Debian's packages without being installed.
pub struct Postfix {
    unpacked: Option<PathBuf>,
}

impl Postfix {
    /// One of its programs.
    pub fn command(&self, program: &str) -> Command {
        let Some(root) = &self.unpacked else {
            return Command::new(program);
        };
        let mut command = Command::new(root.join("usr/sbin").join(program));
        let libraries = ["usr/lib/postfix", LIBRARIES].map(|folder| root.join(folder));
        command.env(
            "LD_LIBRARY_PATH",
            env::join_paths(libraries).expect("paths"),
        );
        command
    }
}

/// Where Debian keeps libraries on this kind of machine.
const LIBRARIES: &str = if cfg!(target_arch = "aarch64") {
    "usr/lib/aarch64-linux-gnu"
} else {
    "usr/lib/x86_64-linux-gnu"
};

/// Python with django-post_office.
pub struct Django {
    /// The interpreter.
    pub python: PathBuf,
}

/// `None`, and a line that says so, where it cannot be had.
pub fn postfix() -> Option<Postfix> {
    let installed = Postfix { unpacked: None };
    if ends_at_all(&mut installed.command("smtp-source")) {
        return Some(installed);
    }
    let root = place("debian");
    let unpacked = Postfix {
        unpacked: Some(root.clone()),
    };
    if !ends_at_all(&mut unpacked.command("smtp-source")) {
        unpack(&root);
    }
    // Without its libraries it ends with 127.
    let runs = unpacked
        .command("smtp-source")
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.code() != Some(127));
    if !runs {
        println!(
            "NOT MEASURED: smtp-source (there is no Postfix here, and Debian's could not be fetched: it needs apt-get and dpkg); \
             the sink is the mail server of the tests"
        );
    }
    runs.then_some(unpacked)
}

/// Fetches the package and the libraries that it wants, and unpacks them here.
fn unpack(root: &Path) {
    let packages = place("packages");
    let fetch = |names: &[String]| {
        ends_well(
            Command::new("apt-get")
                .args(["-qq", "download"])
                .args(names)
                .current_dir(&packages),
        )
    };
    if !fetch(&["postfix".to_owned()]) {
        return;
    }
    let wanted = Command::new("apt-cache")
        .args(["depends", "--no-recommends", "--no-suggests", "postfix"])
        .output();
    let wanted = wanted.map(|ran| ran.stdout).unwrap_or_default();
    let libraries: Vec<String> = String::from_utf8_lossy(&wanted)
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "))
        // The C library is that of this machine.
        .filter(|name| name.starts_with("lib") && *name != "libc6")
        .map(str::to_owned)
        .collect();
    fetch(&libraries);
    for package in fs::read_dir(&packages).into_iter().flatten().flatten() {
        ends_well(Command::new("dpkg").arg("-x").arg(package.path()).arg(root));
    }
}

/// `None`, and a line that says so, where it cannot be had.
pub fn django() -> Option<Django> {
    let venv = place("venv");
    let python = venv.join("bin/python");
    let is_there = |python: &Path| {
        let packages = ["django", "django-post-office"];
        ends_well(
            Command::new(python)
                .args(["-m", "pip", "show"])
                .args(packages),
        )
    };
    if !is_there(&python) {
        ends_well(Command::new("python3").args(["-m", "venv"]).arg(&venv));
        ends_well(Command::new(&python).args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "django==5.2.*",
            "django-post-office==3.*",
        ]));
    }
    let there = is_there(&python);
    if !there {
        println!(
            "NOT MEASURED: django-post_office (it could not be installed: it needs python3 with venv, and PyPI)"
        );
    }
    there.then_some(Django { python })
}

/// A folder for what was fetched.
fn place(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("peers")
        .join(name);
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// Whether there is such a program.
fn ends_at_all(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).output().is_ok()
}

fn ends_well(command: &mut Command) -> bool {
    let ran = command.stdin(Stdio::null()).output();
    ran.is_ok_and(|ran| ran.status.success())
}
