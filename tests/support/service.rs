//! `run` with a listener.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    os::unix::net::UnixDatagram,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{Postroom, SOON, Setup, peak};

/// `run`, and where it listens.
pub struct Service {
    pub child: Child,
    socket: UnixDatagram,
    log: PathBuf,
    pub address: SocketAddr,
}

/// An address where nobody listens yet.
pub fn free_address() -> SocketAddr {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap()
}

/// A backend, and a listener at this address.
pub fn listening(address: SocketAddr) -> Setup {
    Setup::new()
        .file("disk")
        .set("listen.smtp.address", address.to_string())
}

impl Service {
    /// Starts it; it listens when this returns.
    pub fn start(postroom: &Postroom, address: SocketAddr) -> Self {
        Self::running(postroom, postroom.command(&["-v", "run"]), address)
    }

    /// The same with a command of the test's own.
    pub fn running(postroom: &Postroom, mut command: Command, address: SocketAddr) -> Self {
        let path = postroom.folder().join("notify");
        let _ = fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(SOON)).unwrap();
        let log = postroom.folder().join("log");
        let child = command
            .env("NOTIFY_SOCKET", path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let service = Self {
            child,
            socket,
            log,
            address,
        };
        service.says("READY=1");
        service
    }

    /// SIGKILL: what a crash looks like.
    pub fn kill(mut self) {
        self.signal(Signal::KILL);
        self.child.wait().unwrap();
    }

    fn says(&self, wanted: &str) {
        let mut said = [0; 4096];
        loop {
            let length = self.socket.recv(&mut said).unwrap();
            let said = String::from_utf8_lossy(&said[..length]);
            if said.lines().any(|line| line.starts_with(wanted)) {
                return;
            }
        }
    }

    /// Any signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// SIGHUP, and the end of the reload.
    pub fn reload(&self) {
        self.signal(Signal::HUP);
        self.says("RELOADING=1");
        self.says("READY=1");
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// The most memory it took so far, in MiB.
    pub fn peak(&self) -> usize {
        peak(self.child.id())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
