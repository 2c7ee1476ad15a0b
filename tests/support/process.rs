use std::{
    fmt::Display,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Instant,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::SOON;

/// What a process that ended left behind.
#[derive(Clone, Debug)]
pub struct Ran {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// It must have ended well.
    pub fn ok(self) -> Self {
        self.exit(0)
    }

    /// It must have ended with this status.
    pub fn exit(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "{self:#?}");
        self
    }

    /// Whether SIGKILL ended it.
    pub fn was_killed(&self) -> bool {
        self.status.signal() == Some(Signal::KILL.as_raw())
    }

    /// Its output, one value a line.
    pub fn json_lines(&self) -> Vec<Value> {
        self.stdout
            .lines()
            .map(|line| {
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
            })
            .collect()
    }
}

/// The most memory that a process took so far, in MiB.
pub fn peak(pid: impl Display) -> usize {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = most.and_then(|most| most.trim().split(' ').next());
    kib.unwrap().parse::<usize>().unwrap() >> 10
}

pub fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postroom"));
    command
        .args(arguments)
        .current_dir(folder)
        .env("POSTROOM_CONFIG", folder.join("config.toml"))
        .env("POSTROOM_STORE", folder.join("postroom.db"))
        .env("HOME", folder)
        .env("XDG_CONFIG_HOME", folder.join("xdg-config"))
        .env("XDG_DATA_HOME", folder.join("xdg-data"))
        .env("XDG_STATE_HOME", folder.join("xdg-state"))
        .env("TZ", "UTC")
        .env_remove("NO_COLOR")
        .env_remove("SUDO_USER")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

pub fn run(folder: &Path, arguments: &[&str], input: &[u8]) -> Ran {
    let mut running = Running::start(folder, arguments);
    let mut stdin = running.stdin.take().unwrap();
    thread::scope(|scope| {
        // It may end without having read all of it.
        scope.spawn(move || drop(stdin.write_all(input)));
        running.wait()
    })
}

/// A process that runs; dropped, it is killed.
pub struct Running {
    pid: Pid,
    stdin: Option<std::process::ChildStdin>,
    lines: Receiver<String>,
    ended: Receiver<(ExitStatus, String)>,
    stdout: String,
    reaped: bool,
}

impl Running {
    pub(super) fn start(folder: &Path, arguments: &[&str]) -> Self {
        Self::spawn(&mut command(folder, arguments))
    }

    /// What [`Postroom::command`](super::Postroom::command) gave, with an environment of the test's own.
    pub fn spawn(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let pid = Pid::from_child(&child);
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let (line, lines) = channel();
        thread::spawn(move || {
            let mut stdout = BufReader::new(stdout);
            let mut read = Vec::new();
            while matches!(stdout.read_until(b'\n', &mut read), Ok(1..)) {
                let text = String::from_utf8_lossy(&read).into_owned();
                read.clear();
                if line.send(text).is_err() {
                    return;
                }
            }
        });
        let (end, ended) = channel();
        thread::spawn(move || {
            let mut said = Vec::new();
            drop(stderr.read_to_end(&mut said));
            let status = child.wait().unwrap();
            drop(end.send((status, String::from_utf8_lossy(&said).into_owned())));
        });
        Self {
            pid,
            stdin,
            lines,
            ended,
            stdout: String::new(),
            reaped: false,
        }
    }

    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Reads its output up to a line that is wanted, and gives that line.
    pub fn line(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + SOON;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left);
            let line = line.unwrap_or_else(|error| panic!("{error} after: {}", self.stdout));
            self.stdout.push_str(&line);
            if wanted(&line) {
                return line;
            }
        }
    }

    /// SIGKILL: what a crash looks like.
    pub fn kill(mut self) -> Ran {
        self.signal(Signal::KILL);
        self.finish()
    }

    /// SIGTERM, and its end.
    pub fn terminate(mut self) -> Ran {
        self.signal(Signal::TERM);
        self.finish()
    }

    /// Any signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).unwrap();
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Ran {
        self.finish()
    }

    fn finish(&mut self) -> Ran {
        drop(self.stdin.take());
        let ended = self.ended.recv_timeout(SOON);
        let (status, stderr) = ended
            .unwrap_or_else(|_| panic!("still running after {SOON:?}; it said: {}", self.stdout));
        self.reaped = true;
        assert!(!stderr.contains("panicked at"), "{stderr}");
        // The reader's end of the channel closes with the pipe.
        self.stdout.extend(self.lines.iter());
        Ran {
            status,
            stdout: std::mem::take(&mut self.stdout),
            stderr,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.reaped {
            let _ = kill_process(self.pid, Signal::KILL);
        }
    }
}
