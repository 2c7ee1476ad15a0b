//! A mail server that does exactly what a test says, on a loopback port.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ServerConfig, ServerConnection,
    pki_types::{CertificateDer, PrivateKeyDer},
};

/// Longer than anything here takes; a test that waits for what never comes fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Server {
    pub port: u16,
    thread: JoinHandle<()>,
}

impl Server {
    /// Runs the script, which accepts the connections it expects.
    pub fn start(script: impl FnOnce(&Door) + Send + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let thread = thread::spawn(move || script(&Door(listener)));
        Self { port, thread }
    }

    /// A script for the one connection.
    pub fn one(script: impl FnOnce(&mut Peer) + Send + 'static) -> Self {
        Self::start(|door| script(&mut door.open()))
    }

    /// Waits for the end of the script; what it asserted counts.
    pub fn finish(self) {
        if let Err(panic) = self.thread.join() {
            std::panic::resume_unwind(panic);
        }
    }
}

pub struct Door(TcpListener);

impl Door {
    pub fn open(&self) -> Peer {
        let (tcp, _) = self.0.accept().unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        tcp.set_nodelay(true).unwrap();
        Peer {
            tcp,
            tls: None,
            unread: Vec::new(),
        }
    }
}

/// The client, as the server sees it.
pub struct Peer {
    tcp: TcpStream,
    tls: Option<ServerConnection>,
    unread: Vec<u8>,
}

impl Peer {
    pub fn say(&mut self, lines: &str) {
        match &mut self.tls {
            None => self.tcp.write_all(lines.as_bytes()).unwrap(),
            Some(tls) => {
                let mut stream = rustls::Stream::new(tls, &mut self.tcp);
                stream.write_all(lines.as_bytes()).unwrap();
                stream.flush().unwrap();
            }
        }
    }

    /// Says something that may not arrive: the client may be gone.
    pub fn try_to_say(&mut self, lines: &str) {
        let _ = self.tcp.write_all(lines.as_bytes());
    }

    /// Reads more; whether there was more.
    fn read(&mut self) -> bool {
        let mut piece = [0; 4096];
        let read = match &mut self.tls {
            None => self.tcp.read(&mut piece),
            Some(tls) => rustls::Stream::new(tls, &mut self.tcp).read(&mut piece),
        };
        match read {
            Ok(read) => {
                self.unread.extend_from_slice(&piece[..read]);
                read > 0
            }
            Err(error) => {
                let kind = error.kind();
                assert!(
                    kind != std::io::ErrorKind::WouldBlock && kind != std::io::ErrorKind::TimedOut,
                    "the client neither spoke nor left"
                );
                false
            }
        }
    }

    pub fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.unread.windows(2).position(|two| two == b"\r\n") {
                let line = self.unread.drain(..end + 2).collect::<Vec<u8>>();
                return String::from_utf8(line[..end].to_vec()).unwrap();
            }
            assert!(self.read(), "the client left, after {:?}", self.unread);
        }
    }

    /// The next line begins so.
    pub fn expect(&mut self, begin: &str) -> String {
        let line = self.line();
        assert!(line.starts_with(begin), "{line:?} instead of {begin:?}");
        line
    }

    /// Nothing more has come than what was read.
    pub fn expect_no_more(&self) {
        let more = String::from_utf8_lossy(&self.unread);
        assert_eq!(more, "", "the client said more than it should");
    }

    /// Greets, and offers these.
    pub fn greet(&mut self, offers: &[&str]) {
        self.say("220 mx.test ready\r\n");
        self.hello(offers);
    }

    pub fn hello(&mut self, offers: &[&str]) {
        self.expect("EHLO ");
        let mut reply = "250-mx.test".to_owned();
        for offer in offers {
            reply += "\r\n250-";
            reply += offer;
        }
        let last = reply.rfind("250-").unwrap();
        reply.replace_range(last..last + 4, "250 ");
        self.say(&(reply + "\r\n"));
    }

    /// Reads MAIL, so many RCPT, and DATA; gives back the addresses of RCPT.
    pub fn envelope(&mut self, recipients: usize) -> Vec<String> {
        self.expect("MAIL FROM:<");
        let named = (0..recipients)
            .map(|_| self.expect("RCPT TO:<"))
            .map(|line| line["RCPT TO:<".len()..line.len() - 1].to_owned())
            .collect();
        assert_eq!(self.line(), "DATA");
        named
    }

    /// Accepts a whole pipelined envelope of one recipient, and gives back the address.
    pub fn take_envelope(&mut self) -> String {
        let named = self.envelope(1).remove(0);
        self.say("250 sender ok\r\n250 recipient ok\r\n354 go\r\n");
        named
    }

    /// The message up to its dot, doubled dots as they came.
    pub fn body(&mut self) -> String {
        let mut body = String::new();
        loop {
            let line = self.line();
            if line == "." {
                return body;
            }
            body += &line;
            body += "\r\n";
        }
    }

    /// The same for a message that need not be text.
    pub fn body_bytes(&mut self) -> Vec<u8> {
        loop {
            let end = self.unread.windows(5).position(|end| end == b"\r\n.\r\n");
            if let Some(end) = end {
                let mut body: Vec<u8> = self.unread.drain(..end + 5).collect();
                body.truncate(end + 2);
                return body;
            }
            assert!(self.read(), "the client left within the message");
        }
    }

    /// The client says nothing more and leaves.
    pub fn expect_end(&mut self) {
        while self.read() {}
        self.expect_no_more();
    }

    /// The client clears away a transaction that came to nothing.
    pub fn take_reset(&mut self) {
        assert_eq!(self.line(), "RSET");
        self.say("250 ok\r\n");
    }

    pub fn expect_quit(&mut self) {
        assert_eq!(self.line(), "QUIT");
        self.expect_end();
    }

    /// Whether the client leaves within this time.
    pub fn leaves_within(&mut self, time: Duration) -> bool {
        self.tcp.set_read_timeout(Some(time)).unwrap();
        let left = match self.tcp.read(&mut [0; 1024]) {
            Ok(read) => read == 0,
            Err(error) => {
                let kind = error.kind();
                kind != std::io::ErrorKind::WouldBlock && kind != std::io::ErrorKind::TimedOut
            }
        };
        self.tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        left
    }

    /// Reads exactly so many bytes and leaves the rest with the kernel.
    pub fn read_exactly(&mut self, bytes: usize) {
        let mut piece = vec![0; bytes];
        self.tcp.read_exact(&mut piece).unwrap();
    }

    pub fn encrypt(&mut self, identity: &Identity) {
        let tls = ServerConnection::new(Arc::clone(&identity.config)).unwrap();
        self.tls = Some(tls);
    }
}

/// A CA and a server certificate for `localhost`.
pub struct Identity {
    pub ca_pem: String,
    config: Arc<ServerConfig>,
}

pub fn identity() -> Identity {
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()])
        .unwrap()
        .signed_by(&key, &ca)
        .unwrap();
    Identity {
        ca_pem: ca.pem(),
        config: config(leaf.der().clone(), &key),
    }
}

/// A certificate for `localhost` that nobody signed but itself; of an authority, as `openssl req -x509` makes them, or not.
pub fn self_signed(of_an_authority: bool) -> Identity {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    if of_an_authority {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    let certificate = params.self_signed(&key).unwrap();
    Identity {
        ca_pem: certificate.pem(),
        config: config(certificate.der().clone(), &key),
    }
}

fn config(certificate: CertificateDer<'static>, key: &KeyPair) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    Arc::new(config)
}
