//! How a connection is opened: TCP, greeting, EHLO, TLS, AUTH. What goes wrong here is nobody's fault but the backend's.

use std::{
    error::Error,
    io,
    net::TcpStream,
    time::{Duration, Instant},
};

use rustls::pki_types::ServerName;

use super::{
    connection::Connection,
    failure::{Facts, LinkError, Phase, Scene},
    features::Features,
    lookup,
    reply::Reply,
    settings::{SmtpSettings, Tls},
    tls::{self, Trust, TrustError},
    token::Tokens,
    transcript::Transcript,
    wire::Stream,
};
use crate::delivery::Trouble;

impl Connection {
    /// Connects, greets, secures, authenticates. The transcript is told either way. Where the server refused a token that had been used
    /// before, it may only be too old: then once more, with a new one.
    pub(super) fn open(
        settings: &SmtpSettings,
        trust: &Trust,
        tokens: &Tokens,
    ) -> Result<(Self, Transcript), Trouble> {
        match Self::try_open(settings, trust, tokens) {
            Err((_, true)) => Self::try_open(settings, trust, tokens),
            opened => opened,
        }
        .map_err(|(trouble, _)| trouble)
    }

    /// On `Err` also whether an old token was refused.
    fn try_open(
        settings: &SmtpSettings,
        trust: &Trust,
        tokens: &Tokens,
    ) -> Result<(Self, Transcript), (Trouble, bool)> {
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
                match connection.introduce(settings, trust, tokens, &mut transcript, &mut since) {
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
        let trouble = Trouble {
            failure: match &failed.kind {
                Kind::Refused(reply) => scene.refused(reply),
                Kind::Other(error) => scene.broken(&**error),
            },
            auth: failed.auth,
            retry_after: None,
        };
        Err((trouble, failed.stale))
    }

    fn introduce(
        &mut self,
        settings: &SmtpSettings,
        trust: &Trust,
        tokens: &Tokens,
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
            self.authenticate(credentials, tokens, limit, transcript)?;
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
    let until = Instant::now() + settings.timeouts.connect;
    let addresses =
        lookup::addresses(host, settings.port, settings.timeouts.connect).map_err(|source| {
            OpenFault::Lookup {
                host: host.clone(),
                source,
            }
        })?;
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
    Err(match last {
        Some(fault) => fault,
        None if addresses.is_empty() => OpenFault::NoAddress(host.clone()),
        // The lookup took it all.
        None => OpenFault::Link(LinkError::TimedOut(settings.timeouts.connect)),
    })
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
    #[error(transparent)]
    Link(LinkError),
}

enum Kind {
    Refused(Reply),
    Other(Box<dyn Error>),
}

/// Why a connection did not come about.
pub(super) struct OpenError {
    phase: Phase,
    kind: Kind,
    /// The server refused our login.
    auth: bool,
    /// It was by a token that had been used before.
    stale: bool,
}

impl OpenError {
    pub(super) fn new(phase: Phase, error: impl Error + 'static) -> Self {
        Self {
            phase,
            kind: Kind::Other(Box::new(error)),
            auth: false,
            stale: false,
        }
    }

    fn refused(phase: Phase, reply: Reply) -> Self {
        Self {
            phase,
            kind: Kind::Refused(reply),
            auth: false,
            stale: false,
        }
    }

    /// The server refused our login, by a token that had been used before or not. 4yz says nothing about it, nor does 421.
    pub(super) fn login(reply: Reply, stale: bool) -> Self {
        let auth = reply.is_permanent();
        Self {
            auth,
            stale: auth && stale,
            ..Self::refused(Phase::Auth, reply)
        }
    }
}
