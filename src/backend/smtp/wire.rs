//! The socket under a session: TCP, later perhaps TLS, every operation against a deadline.

use std::{
    io::{self, IoSlice, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::{Duration, Instant},
};

use rustls::{ClientConfig, ClientConnection, pki_types::ServerName};

/// A TCP stream whose reads and writes end at a deadline, however the bytes trickle, and which counts what the kernel took.
#[derive(Debug)]
struct Wire {
    tcp: TcpStream,
    deadline: Instant,
    handed: u64,
}

impl Wire {
    fn left(&self) -> io::Result<Duration> {
        match self.deadline.checked_duration_since(Instant::now()) {
            Some(left) if !left.is_zero() => Ok(left),
            _ => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    fn count(&mut self, written: io::Result<usize>) -> io::Result<usize> {
        let written = written.map_err(in_words)?;
        self.handed += written as u64;
        Ok(written)
    }
}

/// A socket's time-out is reported as `WouldBlock` on Unix.
fn in_words(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::WouldBlock {
        io::ErrorKind::TimedOut.into()
    } else {
        error
    }
}

impl Read for Wire {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.tcp.set_read_timeout(Some(self.left()?))?;
        self.tcp.read(into).map_err(in_words)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tcp.set_write_timeout(Some(self.left()?))?;
        let written = self.tcp.write(bytes);
        self.count(written)
    }

    fn write_vectored(&mut self, bytes: &[IoSlice<'_>]) -> io::Result<usize> {
        self.tcp.set_write_timeout(Some(self.left()?))?;
        let written = self.tcp.write_vectored(bytes);
        self.count(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The stream a session speaks over.
#[derive(Debug)]
pub(super) struct Stream {
    wire: Wire,
    tls: Option<Box<ClientConnection>>,
}

impl Stream {
    /// A stream in clear. Nagle's algorithm is off: it would hold back the last segment of every message for 40 ms.
    pub(super) fn new(tcp: TcpStream) -> io::Result<Self> {
        tcp.set_nodelay(true)?;
        let wire = Wire {
            tcp,
            deadline: Instant::now(),
            handed: 0,
        };
        Ok(Self { wire, tls: None })
    }

    /// Every read and write until the next call must be over within `limit` from now.
    pub(super) fn set_deadline(&mut self, limit: Duration) {
        self.wire.deadline = Instant::now() + limit;
    }

    /// Who is at the other end.
    pub(super) fn peer(&self) -> io::Result<SocketAddr> {
        self.wire.tcp.peer_addr()
    }

    /// How many bytes the kernel took so far.
    pub(super) fn handed(&self) -> u64 {
        self.wire.handed
    }

    /// Shakes hands: from here on everything is encrypted.
    pub(super) fn encrypt(
        &mut self,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> io::Result<()> {
        let mut tls = ClientConnection::new(config, name).map_err(io::Error::other)?;
        while tls.is_handshaking() {
            if tls.complete_io(&mut self.wire)? == (0, 0) {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        self.tls = Some(Box::new(tls));
        Ok(())
    }

    /// The version of TLS in use, in people's words.
    pub(super) fn tls_version(&self) -> Option<&'static str> {
        let version = self.tls.as_ref()?.protocol_version();
        Some(match version {
            Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3",
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLS 1.2",
            _ => "TLS",
        })
    }

    /// Reads what is there; 0 is the end.
    pub(super) fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = match &mut self.tls {
                None => self.wire.read(into),
                Some(tls) => rustls::Stream::new(&mut **tls, &mut self.wire).read(into),
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Without a close_notify: for us the end all the same, since every reply tells its own length.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                read => return read,
            }
        }
    }

    /// Writes all of it.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.tls {
            None => self.wire.write_all(bytes),
            Some(tls) => {
                let mut stream = rustls::Stream::new(&mut **tls, &mut self.wire);
                stream.write_all(bytes)?;
                stream.flush()
            }
        }
    }

    /// Whether the other end has neither closed nor said anything while nobody listened.
    pub(super) fn is_silent(&mut self) -> bool {
        if self.wire.tcp.set_nonblocking(true).is_err() {
            return false;
        }
        let silent = self.look();
        self.wire.tcp.set_nonblocking(false).is_ok() && silent
    }

    fn look(&mut self) -> bool {
        let Some(tls) = &mut self.tls else {
            let peeked = self.wire.tcp.peek(&mut [0]);
            return peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        };
        loop {
            match tls.read_tls(&mut self.wire.tcp) {
                Ok(0) => return false,
                Ok(_) => match tls.process_new_packets() {
                    Ok(state)
                        if state.plaintext_bytes_to_read() == 0 && !state.peer_has_closed() => {}
                    _ => return false,
                },
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            }
        }
    }

    /// Says that nothing more comes, as far as that goes without waiting.
    pub(super) fn close(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            let _ = tls.write_tls(&mut self.wire);
        }
    }
}
