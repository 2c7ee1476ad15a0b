//! What a conversation is carried by: a socket, encrypted or not, or standard input and output.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    sync::Arc,
    time::{Duration, Instant},
};

use rustls::{ServerConfig, ServerConnection};

/// How long a connection that is closed still reads what is under way: closing over unread bytes would reset it, and destroy our last reply.
const LINGER: Duration = Duration::from_secs(1);

/// Both ends of a conversation.
pub(super) enum Wire {
    /// A connection.
    Socket {
        tcp: TcpStream,
        tls: Option<Box<ServerConnection>>,
    },
    /// A program that started us.
    Pipe(io::Stdin, io::Stdout),
}

/// A socket that gives up at a moment, not after so long without a byte: who sends a byte now and then is slow all the same.
struct Until<'a> {
    tcp: &'a TcpStream,
    deadline: Instant,
}

impl Until<'_> {
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(Some(left))
    }
}

impl Read for Until<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.tcp.set_read_timeout(self.left()?)?;
        self.tcp.read(into)
    }
}

impl Write for Until<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tcp.set_write_timeout(self.left()?)?;
        self.tcp.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Wire {
    pub(super) fn is_encrypted(&self) -> bool {
        matches!(self, Self::Socket { tls: Some(_), .. })
    }

    /// Reads what is there; 0 is the end. A time-out is an error.
    pub(super) fn read(&mut self, into: &mut [u8], deadline: Instant) -> io::Result<usize> {
        loop {
            let read = match self {
                Self::Pipe(input, _) => input.read(into),
                Self::Socket { tcp, tls } => {
                    let mut tcp = Until { tcp, deadline };
                    match tls {
                        None => tcp.read(into),
                        Some(tls) => rustls::Stream::new(&mut **tls, &mut tcp).read(into),
                    }
                }
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Without a close_notify: every command and message tells its own length.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                read => return read,
            }
        }
    }

    /// Writes all of it.
    pub(super) fn write(&mut self, bytes: &[u8], deadline: Instant) -> io::Result<()> {
        match self {
            Self::Pipe(_, output) => {
                output.write_all(bytes)?;
                output.flush()
            }
            Self::Socket { tcp, tls } => {
                let mut tcp = Until { tcp, deadline };
                match tls {
                    None => tcp.write_all(bytes),
                    Some(tls) => {
                        let mut stream = rustls::Stream::new(&mut **tls, &mut tcp);
                        stream.write_all(bytes)?;
                        stream.flush()
                    }
                }
            }
        }
    }

    /// Shakes hands: from here on everything is encrypted.
    pub(super) fn encrypt(
        &mut self,
        config: Arc<ServerConfig>,
        deadline: Instant,
    ) -> io::Result<()> {
        let Self::Socket { tcp, tls } = self else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        let mut session = ServerConnection::new(config).map_err(io::Error::other)?;
        let mut tcp = Until { tcp, deadline };
        while session.is_handshaking() {
            if session.complete_io(&mut tcp)? == (0, 0) {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        *tls = Some(Box::new(session));
        Ok(())
    }

    /// Ends it so that what was said arrives.
    pub(super) fn close(&mut self, scratch: &mut [u8]) {
        let Self::Socket { tcp, tls } = self else {
            return;
        };
        let mut until = Until {
            tcp,
            deadline: Instant::now() + LINGER,
        };
        if let Some(tls) = tls {
            tls.send_close_notify();
            let _ = tls.write_tls(&mut until);
        }
        let _ = tcp.shutdown(Shutdown::Write);
        while let Ok(1..) = until.read(scratch) {}
    }
}
