use std::{
    fs::{File, OpenOptions},
    io::{PipeWriter, Read as _, Write as _},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread::{self, JoinHandle},
    time::Instant,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, WaitOptions, kill_process, pidfd_open, waitpid},
    pty::OpenptFlags,
};

use super::{Postroom, SOON};

/// The program on a pseudo-terminal: keys go in, and what it writes is kept.
pub struct Terminal {
    /// `None`: it hung up.
    master: Option<File>,
    name: String,
    child: Child,
    written: Arc<(Mutex<Vec<u8>>, Condvar)>,
    /// Dropped, it ends the thread that reads.
    stop: Option<PipeWriter>,
    reader: Option<JoinHandle<()>>,
}

impl Terminal {
    /// Starts it on a terminal of so many columns and rows, with these variables besides.
    pub fn start(
        postroom: &Postroom,
        size: (u16, u16),
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        let mut command = postroom.command(arguments);
        command.envs(variables.iter().copied());
        Self::running(command, size)
    }

    /// The same with a command of the test's own.
    pub fn running(mut command: Command, size: (u16, u16)) -> Self {
        // Nobody but the test holds this side, or it would never hang up.
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = rustix::pty::openpt(flags).unwrap();
        rustix::pty::grantpt(&master).unwrap();
        rustix::pty::unlockpt(&master).unwrap();
        let name = rustix::pty::ptsname(&master, Vec::new()).unwrap();
        let name = std::str::from_utf8(name.as_bytes()).unwrap();
        let other = OpenOptions::new().read(true).write(true).open(name);
        let other = other.unwrap();
        set_size(name, size);
        let child = command
            .env("TERM", "xterm-256color")
            .stdin(other.try_clone().unwrap())
            .stdout(other.try_clone().unwrap())
            .stderr(Stdio::from(other))
            .spawn()
            .unwrap();
        drop(command);
        let written = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let (mut from, into) = (master.try_clone().map(File::from).unwrap(), written.clone());
        let (stopped, stop) = std::io::pipe().unwrap();
        let reader = thread::spawn(move || {
            let mut some = [0; 4096];
            loop {
                let mut fds = [
                    PollFd::new(&from, PollFlags::IN),
                    PollFd::new(&stopped, PollFlags::IN),
                ];
                poll(&mut fds, None).unwrap();
                if !fds[1].revents().is_empty() {
                    return;
                }
                // The terminal hangs up with its last writer.
                let Ok(n @ 1..) = from.read(&mut some) else {
                    return;
                };
                into.0.lock().unwrap().extend(&some[..n]);
                into.1.notify_all();
            }
        });
        Self {
            master: Some(master.into()),
            name: name.to_owned(),
            child,
            written,
            stop: Some(stop),
            reader: Some(reader),
        }
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Gives the terminal another size, and says so.
    pub fn resize(&self, size: (u16, u16)) {
        set_size(&self.name, size);
        self.signal(Signal::WINCH);
    }

    /// The terminal is no more.
    pub fn hang_up(&mut self) {
        self.stop.take();
        self.reader.take().unwrap().join().unwrap();
        self.master.take();
    }

    /// Waits until it stands still, as after Ctrl-Z.
    pub fn wait_until_stopped(&self) {
        let (_, status) = waitpid(Some(self.pid()), WaitOptions::UNTRACED)
            .unwrap()
            .unwrap();
        assert!(status.stopped(), "{status:?}");
    }

    /// Presses keys.
    pub fn press(&mut self, keys: &str) {
        let master = self.master.as_mut().unwrap();
        master.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until it has written this; what it wrote until then is forgotten.
    pub fn wait_for(&self, wanted: &str) {
        self.wait_between("", wanted);
    }

    /// Waits until it has written the one and then the other. What stands between.
    pub fn wait_between(&self, one: &str, other: &str) -> String {
        let until = Instant::now() + SOON;
        let mut written = self.written.0.lock().unwrap();
        loop {
            let begins = memchr::memmem::find(&written, one.as_bytes()).map(|at| at + one.len());
            let length =
                begins.and_then(|at| memchr::memmem::find(&written[at..], other.as_bytes()));
            if let (Some(at), Some(length)) = (begins, length) {
                let between = String::from_utf8_lossy(&written[at..at + length]).into_owned();
                written.drain(..at + length + other.len());
                return between;
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "{one:?} and {other:?} never came, but {:?}",
                String::from_utf8_lossy(&written)
            );
            written = self.written.1.wait_timeout(written, left).unwrap().0;
        }
    }

    /// Waits until it has ended.
    pub fn wait(&mut self) -> ExitStatus {
        let process = pidfd_open(self.pid(), PidfdFlags::empty()).unwrap();
        let soon = Timespec::try_from(SOON).unwrap();
        let mut fds = [PollFd::new(&process, PollFlags::IN)];
        let ended = poll(&mut fds, Some(&soon)).unwrap();
        assert_eq!(ended, 1, "it does not end");
        self.child.wait().unwrap()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn set_size(terminal: &str, size: (u16, u16)) {
    let (columns, rows) = (size.0.to_string(), size.1.to_string());
    let sized = Command::new("stty")
        .args(["cols", &columns, "rows", &rows, "-F", terminal])
        .status();
    assert!(sized.unwrap().success());
}
