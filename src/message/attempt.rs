use serde::Serialize;

use super::{AttemptId, CauseId, Text, Timestamp};

/// How one try for one receiver ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The backend took it.
    Accepted,
    /// Refused for now (4yz).
    Temporary,
    /// Refused for good (5yz).
    Permanent,
    /// The server could not be reached or used; says nothing about the receiver.
    Backend,
    /// It may have been accepted; the answer never came. Stays for ever.
    Unknown,
    /// Armed, but no byte of the body was handed over: certainly not sent.
    Cancelled,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 6] = [
        Self::Accepted,
        Self::Temporary,
        Self::Permanent,
        Self::Backend,
        Self::Unknown,
        Self::Cancelled,
    ];

    /// The word in the store and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Temporary => "temporary",
            Self::Permanent => "permanent",
            Self::Backend => "backend",
            Self::Unknown => "unknown",
            Self::Cancelled => "cancelled",
        }
    }

    /// The outcome of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.name() == name)
    }
}

/// One try for one receiver, as it stands in the store: appended, never overwritten.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// Its number in the store.
    pub id: AttemptId,
    /// 1 for the receiver's first try.
    pub number: usize,
    /// When it began.
    pub started_at: Timestamp,
    /// When its outcome was known.
    pub ended_at: Option<Timestamp>,
    /// How it ended; `None` while running.
    pub outcome: Option<Outcome>,
    /// The server's reply code.
    pub code: Option<u16>,
    /// The enhanced status code (RFC 3463), as `4.7.1`.
    pub enhanced_code: Option<Text>,
    /// The server that answered, as `mx.example:25`.
    pub server: Option<Text>,
    /// What was being done: `connect`, `rcpt`, `dot` …
    pub phase: Option<Text>,
    /// What went wrong, in a line; or, of an accepted one, nothing.
    pub error: Option<Text>,
    /// The fault that it has in common with others that failed.
    pub cause: Option<CauseId>,
    /// The whole error chain with its context.
    pub traceback: Option<Text>,
    /// What was said, secrets hidden.
    pub transcript: Option<Text>,
    /// The last reply of an accepted one: the server's queue id stands here.
    pub reply: Option<Text>,
    /// Who tried: the engine's kind, and the operator if one asked for it.
    pub by: Text,
    /// What was learned after the row had moved on.
    pub late: Option<Text>,
}
