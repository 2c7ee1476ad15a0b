//! Where the messages of a bench go.

use std::{
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use postroom::demo::server::{Script, Server};

/// A mail server on loopback that takes everything and keeps nothing; it goes with this value.
pub enum Sink {
    /// Postfix's `smtp-sink`, and its port.
    Postfix(Child, u16),
    /// The one of the tests. It costs a third of what `smtp-sink` does.
    Ours(Server),
}

impl Sink {
    /// `smtp-sink` where it is installed, else the mail server of the tests.
    pub fn start() -> Self {
        Self::by(Command::new("smtp-sink")).unwrap_or_else(|| {
            let server = Server::start(Script::accept_all().counts_only());
            Self::Ours(server.expect("a server"))
        })
    }

    /// This `smtp-sink`, if it is there.
    pub fn by(mut smtp_sink: Command) -> Option<Self> {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let port = free.and_then(|free| free.local_addr());
        let port = port.expect("a free port").port();
        if rustix::process::geteuid().is_root() {
            smtp_sink.args(["-u", "nobody"]);
        }
        smtp_sink.args([&format!("127.0.0.1:{port}"), "256"]);
        let sink = Self::Postfix(smtp_sink.spawn().ok()?, port);
        let deadline = Instant::now() + Duration::from_secs(5);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(Instant::now() < deadline, "smtp-sink does not listen");
            thread::yield_now();
        }
        Some(sink)
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Postfix(..) => "smtp-sink",
            Self::Ours(_) => "the mail server of the tests",
        }
    }

    /// The process, where it is one of its own.
    #[allow(dead_code, reason = "only some benches ask")]
    pub fn pid(&self) -> Option<u32> {
        match self {
            Self::Postfix(process, _) => Some(process.id()),
            Self::Ours(_) => None,
        }
    }

    pub fn port(&self) -> u16 {
        match self {
            Self::Postfix(_, port) => *port,
            Self::Ours(server) => server.port(),
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Self::Postfix(process, _) = self {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
