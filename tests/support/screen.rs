use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Write as _},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Instant,
};

use rustix::pty::OpenptFlags;

use super::{Postroom, SOON};

/// The program on a pseudo-terminal: keys go in, and what it writes is kept.
pub struct Terminal {
    master: File,
    child: Child,
    written: Arc<(Mutex<Vec<u8>>, Condvar)>,
}

impl Terminal {
    /// Starts it on a terminal of so many columns and rows, with these variables besides.
    pub fn start(
        postroom: &Postroom,
        size: (u16, u16),
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        let master = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        rustix::pty::grantpt(&master).unwrap();
        rustix::pty::unlockpt(&master).unwrap();
        let name = rustix::pty::ptsname(&master, Vec::new()).unwrap();
        let name = std::str::from_utf8(name.as_bytes()).unwrap();
        let other = OpenOptions::new().read(true).write(true).open(name);
        let other = other.unwrap();
        let (columns, rows) = (size.0.to_string(), size.1.to_string());
        let sized = Command::new("stty")
            .args(["cols", &columns, "rows", &rows, "-F", name])
            .status();
        assert!(sized.unwrap().success());
        let child = postroom
            .command(arguments)
            .envs(variables.iter().copied())
            .env("TERM", "xterm-256color")
            .stdin(other.try_clone().unwrap())
            .stdout(other.try_clone().unwrap())
            .stderr(Stdio::from(other))
            .spawn()
            .unwrap();
        let written = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let (mut from, into) = (master.try_clone().map(File::from).unwrap(), written.clone());
        thread::spawn(move || {
            let mut some = [0; 4096];
            // The terminal hangs up with its last writer.
            while let Ok(n @ 1..) = from.read(&mut some) {
                into.0.lock().unwrap().extend(&some[..n]);
                into.1.notify_all();
            }
        });
        Self {
            master: master.into(),
            child,
            written,
        }
    }

    /// Presses keys.
    pub fn press(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until it has written this; what it wrote until then is forgotten.
    pub fn wait_for(&self, wanted: &str) {
        let until = Instant::now() + SOON;
        let mut written = self.written.0.lock().unwrap();
        loop {
            let place = memchr::memmem::find(&written, wanted.as_bytes());
            if let Some(place) = place {
                written.drain(..place + wanted.len());
                return;
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "{wanted:?} never came, but {:?}",
                String::from_utf8_lossy(&written)
            );
            written = self.written.1.wait_timeout(written, left).unwrap().0;
        }
    }

    /// Waits until it has ended.
    pub fn wait(&mut self) -> ExitStatus {
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
