//! Turns what went wrong into the words an admin reads.

use std::{
    error::Error,
    fmt::Write as _,
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use super::{
    reply::{Malformed, Reply},
    transcript::Transcript,
};
use crate::{
    backend::traceback::{Traceback, chain},
    delivery::{Batch, Failure},
    message::Receiver,
};

/// At most so many recipients are named in a traceback.
const NAMED: usize = 10;

/// What was being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Connect,
    Greeting,
    Ehlo,
    Tls,
    Auth,
    Reset,
    Mail,
    Rcpt,
    Data,
    Block,
    Dot,
    Build,
    Size,
    Utf8,
    EightBit,
}

impl Phase {
    /// The word in the store.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Greeting => "greeting",
            Self::Ehlo => "ehlo",
            Self::Tls => "tls",
            Self::Auth => "auth",
            Self::Reset => "rset",
            Self::Mail => "mail",
            Self::Rcpt => "rcpt",
            Self::Data => "data",
            Self::Block => "block",
            Self::Dot => "dot",
            Self::Build => "build",
            Self::Size => "size",
            Self::Utf8 => "smtputf8",
            Self::EightBit => "8bitmime",
        }
    }

    /// The words after "while".
    const fn doing(self) -> &'static str {
        match self {
            Self::Connect => "connecting",
            Self::Greeting => "waiting for the greeting",
            Self::Ehlo => "introducing ourselves (EHLO)",
            Self::Tls => "securing the connection (TLS)",
            Self::Auth => "authenticating (AUTH)",
            Self::Reset => "clearing the last transaction (RSET)",
            Self::Mail => "naming the sender (MAIL FROM)",
            Self::Rcpt => "naming the recipient (RCPT TO)",
            Self::Data => "announcing the message (DATA)",
            Self::Block => "sending the message",
            Self::Dot => "waiting for the answer to the final dot",
            Self::Build => "building the message",
            Self::Size | Self::Utf8 | Self::EightBit => {
                "comparing the message with the server's offer (EHLO)"
            }
        }
    }
}

/// The link to the server is of no more use.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    #[error("timed out: no answer within {}", humantime::format_duration(*.0))]
    TimedOut(Duration),
    #[error("timed out: the network took no more for {}", humantime::format_duration(*.0))]
    Stuck(Duration),
    #[error("the server closed the connection")]
    Closed,
    #[error("the connection was lost")]
    Lost(#[source] io::Error),
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("the server spoke out of turn: {0:?}")]
    Stray(String),
    #[error("the server's answer fits no rule of SMTP: {0}")]
    Unexpected(String),
}

impl LinkError {
    /// Whether the server talked nonsense, so that which answer belongs to which command is in doubt.
    pub(super) fn is_nonsense(&self) -> bool {
        matches!(
            self,
            Self::Malformed(_) | Self::Stray(_) | Self::Unexpected(_)
        )
    }
}

/// What is known of a connection, or of the attempt to have one.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) backend: String,
    /// As `host:port`.
    pub(super) server: String,
    pub(super) peer: Option<SocketAddr>,
    pub(super) tls: Option<&'static str>,
    pub(super) opened: Instant,
}

/// The circumstances of one failure.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) facts: &'a Facts,
    pub(super) phase: Phase,
    /// How long it was in that phase; a reply knows its own time.
    pub(super) took: Duration,
    pub(super) batch: Option<&'a Batch>,
    /// The one receiver that is meant; `None`: all of the batch.
    pub(super) receiver: Option<&'a Receiver>,
    /// How many recipients the transaction has.
    pub(super) recipients: usize,
    pub(super) transcript: Option<&'a Transcript>,
}

impl Scene<'_> {
    /// The server said no.
    pub(super) fn refused(&self, reply: &Reply) -> Failure {
        let server = &self.facts.server;
        let kind = match reply.code() {
            421 => format!("{server} closes the connection"),
            530 => format!("{server} takes no mail without a login or TLS"),
            535 => format!("{server} does not accept our login"),
            _ if reply.is_permanent() => format!("refused for good by {server}"),
            _ if reply.is_refusal() => format!("refused for now by {server}"),
            _ => format!("{server} gave an answer that fits no rule of SMTP here"),
        };
        let words = reply.in_one_line();
        let causes = [kind, words.clone()];
        Failure {
            code: Some(reply.code()),
            enhanced: reply.enhanced(),
            ..self.failure(words, &causes, reply.took())
        }
    }

    /// Something broke, here or on the way.
    pub(super) fn broken(&self, error: &dyn Error) -> Failure {
        let causes = chain(error);
        let mut words = causes.first().cloned().unwrap_or_default();
        // An exclusion says itself what was being done.
        if !matches!(
            self.phase,
            Phase::Build | Phase::Size | Phase::Utf8 | Phase::EightBit
        ) {
            let _ = write!(words, " while {}", self.phase.doing());
        }
        for cause in causes.iter().skip(1) {
            let _ = write!(words, ": {cause}");
        }
        let words = words.replace(['\r', '\n'], " ");
        self.failure(words, &causes, self.took)
    }

    fn failure(&self, error: String, causes: &[String], took: Duration) -> Failure {
        Failure {
            code: None,
            enhanced: None,
            traceback: self.traceback(&error, causes, took),
            error,
            transcript: self.transcript.map(Transcript::render),
            server: Some(self.facts.server.clone()),
            phase: Some(self.phase.name().to_owned()),
        }
    }

    fn traceback(&self, error: &str, causes: &[String], took: Duration) -> String {
        let facts = self.facts;
        let mut told = Traceback::of(error);
        told.line("while", self.phase.doing());
        if let Some(receiver) = self.receiver {
            told.line("to", &receiver.identity);
        }
        told.line(
            "phase",
            &format!(
                "{}, {:.3} s in it, {:.3} s since connecting",
                self.phase.name(),
                took.as_secs_f64(),
                facts.opened.elapsed().as_secs_f64()
            ),
        );
        told.line("backend", &facts.backend);
        let mut server = facts.server.clone();
        if let Some(peer) = facts.peer {
            let _ = write!(server, " at {}", peer.ip());
        }
        let _ = write!(server, ", {}", facts.tls.unwrap_or("not encrypted"));
        told.line("server", &server);
        if let Some(batch) = self.batch {
            told.line(
                "message",
                &format!("{}, key {}", batch.message.id, batch.message.key),
            );
            if let Some(receiver) = self.receiver {
                told.line("receiver", &receiver.id.to_string());
                told.line("uid", &receiver.uid);
            } else {
                for Receiver {
                    id, identity, uid, ..
                } in batch.receivers.iter().take(NAMED)
                {
                    told.line("receiver", &format!("{id}, {identity}, uid {uid}"));
                }
                if batch.receivers.len() > NAMED {
                    told.line("", &format!("and {} more", batch.receivers.len() - NAMED));
                }
            }
            told.line(
                "transaction",
                &match self.recipients {
                    0 => "none was begun".to_owned(),
                    1 => "1 recipient".to_owned(),
                    n => format!("{n} recipients"),
                },
            );
        }
        told.caused_by(causes)
    }
}
