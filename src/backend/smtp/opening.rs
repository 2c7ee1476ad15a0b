//! How a connection is opened: TCP, greeting, EHLO, TLS, AUTH. What goes wrong here is nobody's fault but the backend's.

use std::{
    error::Error,
    io,
    net::{TcpStream, ToSocketAddrs as _},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lettre::transport::smtp::authentication::{self, Mechanism};
use rustls::pki_types::ServerName;

use super::{
    connection::Connection,
    failure::{Facts, LinkError, Phase, Scene},
    features::Features,
    reply::Reply,
    settings::{Credentials, SmtpSettings, Tls},
    tls::{self, Trust, TrustError},
    transcript::Transcript,
    wire::Stream,
};
use crate::{backend::secret::SecretError, delivery::Trouble};

impl Connection {
    /// Connects, greets, secures, authenticates. The transcript is told either way.
    pub(super) fn open(
        settings: &SmtpSettings,
        trust: &Trust,
    ) -> Result<(Self, Transcript), Trouble> {
        let mut transcript = Transcript::new();
        let mut facts = Facts {
            backend: settings.name.clone(),
            server: settings.server(),
            peer: None,
            tls: None,
            opened: Instant::now(),
        };
        let mut since = facts.opened;
        let failed = match connect(settings) {
            Ok(stream) => {
                let mut connection = Self::over(stream, facts.clone());
                match connection.introduce(settings, trust, &mut transcript, &mut since) {
                    Ok(()) => return Ok((connection, transcript)),
                    Err(failed) => {
                        facts = connection.facts;
                        failed
                    }
                }
            }
            Err(error) => OpenError::new(Phase::Connect, error),
        };
        let scene = Scene {
            facts: &facts,
            phase: failed.phase,
            took: since.elapsed(),
            batch: None,
            receiver: None,
            recipients: 0,
            transcript: Some(&transcript),
        };
        Err(Trouble {
            failure: match &failed.kind {
                Kind::Refused(reply) => scene.refused(reply),
                Kind::Other(error) => scene.broken(&**error),
            },
            auth: failed.auth,
            retry_after: None,
        })
    }

    fn introduce(
        &mut self,
        settings: &SmtpSettings,
        trust: &Trust,
        transcript: &mut Transcript,
        since: &mut Instant,
    ) -> Result<(), OpenError> {
        let limit = settings.timeouts.greeting;
        if let Some(peer) = self.facts.peer {
            transcript.remark(&format!("connected to {peer}"));
            if settings.tls == Tls::None && !settings.insecure && !peer.ip().is_loopback() {
                return Err(OpenError::new(Phase::Connect, OpenFault::NotLoopback));
            }
        }
        if settings.tls == Tls::Implicit {
            *since = Instant::now();
            self.encrypt(settings, trust, transcript)?;
        }
        *since = Instant::now();
        let greeting = self
            .reply(limit)
            .map_err(|error| OpenError::new(Phase::Greeting, error))?;
        transcript.server(&greeting);
        if greeting.code() != 220 {
            return Err(OpenError::refused(Phase::Greeting, greeting));
        }
        *since = Instant::now();
        self.hello(settings, transcript)?;
        if settings.tls == Tls::Starttls {
            *since = Instant::now();
            if !self.features.starttls {
                return Err(OpenError::new(Phase::Tls, OpenFault::NoStarttls));
            }
            let reply = self.ask("STARTTLS", Phase::Tls, limit, transcript)?;
            if reply.code() != 220 {
                return Err(OpenError::refused(Phase::Tls, reply));
            }
            // What came in clear behind the 220 would be believed as if it had come encrypted (command injection).
            self.expect_silence()
                .map_err(|error| OpenError::new(Phase::Tls, error))?;
            self.encrypt(settings, trust, transcript)?;
            *since = Instant::now();
            self.hello(settings, transcript)?;
        }
        if let Some(credentials) = &settings.credentials {
            *since = Instant::now();
            self.authenticate(credentials, limit, transcript)?;
        }
        Ok(())
    }

    fn encrypt(
        &mut self,
        settings: &SmtpSettings,
        trust: &Trust,
        transcript: &mut Transcript,
    ) -> Result<(), OpenError> {
        let failed = |fault| OpenError::new(Phase::Tls, fault);
        let config = trust
            .config()
            .map_err(|error| failed(OpenFault::Trust(error)))?;
        let name = ServerName::try_from(settings.host.clone())
            .map_err(|_| failed(OpenFault::Name(settings.host.clone())))?;
        let limit = settings.timeouts.greeting;
        self.stream.set_deadline(limit);
        self.stream.encrypt(config, name).map_err(|error| {
            failed(match error.kind() {
                io::ErrorKind::TimedOut => OpenFault::Link(LinkError::TimedOut(limit)),
                io::ErrorKind::UnexpectedEof => OpenFault::Link(LinkError::Closed),
                _ => match tls::advice(&error) {
                    Some(advice) => OpenFault::Certificate(advice, error),
                    None => OpenFault::Handshake(error),
                },
            })
        })?;
        self.facts.tls = self.stream.tls_version();
        transcript.remark(self.facts.tls.unwrap_or_default());
        Ok(())
    }

    /// EHLO, or HELO where that is all the server knows (RFC 5321 3.2).
    fn hello(
        &mut self,
        settings: &SmtpSettings,
        transcript: &mut Transcript,
    ) -> Result<(), OpenError> {
        let (name, limit) = (settings.helo(), settings.timeouts.greeting);
        let reply = self.ask(&format!("EHLO {name}"), Phase::Ehlo, limit, transcript)?;
        if reply.is_positive() {
            self.features = Features::read(&reply);
            return Ok(());
        }
        if !reply.is_permanent() {
            return Err(OpenError::refused(Phase::Ehlo, reply));
        }
        self.features = Features::default();
        let reply = self.ask(&format!("HELO {name}"), Phase::Ehlo, limit, transcript)?;
        if reply.is_positive() {
            return Ok(());
        }
        Err(OpenError::refused(Phase::Ehlo, reply))
    }

    /// RFC 4954, by PLAIN where offered, else LOGIN. What is secret goes out here and nowhere into a record.
    fn authenticate(
        &mut self,
        credentials: &Credentials,
        limit: Duration,
        transcript: &mut Transcript,
    ) -> Result<(), OpenError> {
        let failed = |fault| OpenError::new(Phase::Auth, fault);
        let secret = credentials
            .secret
            .read()
            .map_err(|error| failed(OpenFault::Secret(error)))?;
        let login = authentication::Credentials::new(
            credentials.username.clone(),
            secret.expose().to_owned(),
        );
        // The words are asked for one by one; LOGIN's prompts differ from server to server, their order does not.
        let (mechanism, prompts): (_, &[Option<&str>]) = if self.features.plain {
            (Mechanism::Plain, &[None])
        } else if self.features.login {
            (Mechanism::Login, &[Some("Username"), Some("Password")])
        } else {
            return Err(failed(OpenFault::NoMechanism));
        };
        let mut hidden = vec![secret.expose().to_owned()];
        let mut words = Vec::new();
        for prompt in prompts {
            let word = mechanism
                .response(&login, *prompt)
                .map_err(|error| OpenError::new(Phase::Auth, error))?;
            let word = STANDARD.encode(word);
            hidden.push(word.clone());
            words.push(word);
        }
        hidden.push(STANDARD.encode(secret.expose()));

        let (mut line, mut shown, rest) = if mechanism == Mechanism::Plain {
            let line = format!("AUTH PLAIN {}", words.concat());
            (line, "AUTH PLAIN [hidden]", &[][..])
        } else {
            ("AUTH LOGIN".to_owned(), "AUTH LOGIN", &words[..])
        };
        let mut rest = rest.iter();
        loop {
            transcript.client(shown.as_bytes());
            let mut reply = self
                .exchange(&line, limit)
                .map_err(|error| OpenError::new(Phase::Auth, error))?;
            for word in &hidden {
                reply.hide(word);
            }
            transcript.server(&reply);
            match (reply.code(), rest.next()) {
                (235, None) => return Ok(()),
                (334, Some(word)) => {
                    line.clone_from(word);
                    shown = "[hidden]";
                }
                _ => {
                    return Err(OpenError {
                        // 4yz says nothing about the password, nor does 421.
                        auth: reply.is_permanent(),
                        ..OpenError::refused(Phase::Auth, reply)
                    });
                }
            }
        }
    }

    /// Says a line of the opening and waits for its reply.
    fn ask(
        &mut self,
        line: &str,
        phase: Phase,
        limit: Duration,
        transcript: &mut Transcript,
    ) -> Result<Reply, OpenError> {
        transcript.client(line.as_bytes());
        let reply = self
            .exchange(line, limit)
            .map_err(|error| OpenError::new(phase, error))?;
        transcript.server(&reply);
        Ok(reply)
    }
}

/// Tries the server's addresses one after the other; each gets its share of the time that is left.
fn connect(settings: &SmtpSettings) -> Result<Stream, OpenFault> {
    let host = &settings.host;
    let addresses: Vec<_> = (host.as_str(), settings.port)
        .to_socket_addrs()
        .map_err(|source| OpenFault::Lookup {
            host: host.clone(),
            source,
        })?
        .collect();
    let until = Instant::now() + settings.timeouts.connect;
    let mut last = None;
    for (index, address) in addresses.iter().enumerate() {
        let left = until.saturating_duration_since(Instant::now());
        let share = left / (addresses.len() - index) as u32;
        if share.is_zero() {
            break;
        }
        match TcpStream::connect_timeout(address, share).and_then(Stream::new) {
            Ok(stream) => return Ok(stream),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                // Told in the words of the config: what was really left differs from try to try, and a probe that fails alike must read alike.
                last = Some(OpenFault::Link(LinkError::TimedOut(
                    settings.timeouts.connect,
                )));
            }
            Err(source) => {
                last = Some(OpenFault::Connect {
                    address: address.to_string(),
                    source,
                });
            }
        }
    }
    Err(last.unwrap_or_else(|| OpenFault::NoAddress(host.clone())))
}

/// Why a connection could not be opened, where the server did not just say no.
#[derive(Debug, thiserror::Error)]
enum OpenFault {
    #[error("the name {host} could not be looked up")]
    Lookup { host: String, source: io::Error },
    #[error("the name {0} has no address")]
    NoAddress(String),
    #[error("no connection to {address}")]
    Connect { address: String, source: io::Error },
    #[error("the server is not on this machine: with `tls = \"none\"` mail would leave in clear")]
    NotLoopback,
    #[error(
        "the server does not offer STARTTLS: nothing was sent (`tls = \"implicit\"` or another port may be right)"
    )]
    NoStarttls,
    #[error("{0:?} is no name that a certificate could be for")]
    Name(String),
    #[error(transparent)]
    Trust(TrustError),
    #[error("no secure connection came about")]
    Handshake(#[source] io::Error),
    #[error("{0}")]
    Certificate(&'static str, #[source] io::Error),
    #[error("the server offers neither AUTH PLAIN nor AUTH LOGIN")]
    NoMechanism,
    #[error(transparent)]
    Secret(SecretError),
    #[error(transparent)]
    Link(LinkError),
}

enum Kind {
    Refused(Reply),
    Other(Box<dyn Error>),
}

struct OpenError {
    phase: Phase,
    kind: Kind,
    auth: bool,
}

impl OpenError {
    fn new(phase: Phase, error: impl Error + 'static) -> Self {
        Self {
            phase,
            kind: Kind::Other(Box::new(error)),
            auth: false,
        }
    }

    fn refused(phase: Phase, reply: Reply) -> Self {
        Self {
            phase,
            kind: Kind::Refused(reply),
            auth: false,
        }
    }
}
