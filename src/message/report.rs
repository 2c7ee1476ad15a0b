use std::fmt;

use super::Outcome;

/// What one try came to for one receiver.
#[derive(Clone, Debug)]
pub enum Report {
    /// The backend took it; its last reply, which may carry a queue id.
    Accepted {
        /// The reply in full.
        reply: String,
        /// Its code.
        code: Option<u16>,
        /// Its enhanced code.
        enhanced: Option<String>,
    },
    /// It did not, or nobody knows.
    Failed(Outcome, Failure),
}

impl Report {
    /// The outcome of the attempt.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Accepted { .. } => Outcome::Accepted,
            Self::Failed(outcome, _) => *outcome,
        }
    }
}

/// Why something did not work, told so that an admin needs no log beside it. No secret stands in any of its fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// The server's reply code.
    pub code: Option<u16>,
    /// The enhanced status code (RFC 3463).
    pub enhanced: Option<String>,
    /// What went wrong, in one line: the server's own words where there are some.
    pub error: String,
    /// The whole error chain with what was being done, to which server, in which phase, and how long it took.
    pub traceback: String,
    /// What was said in this transaction.
    pub transcript: Option<String>,
    /// The server, as `host:port`.
    pub server: Option<String>,
    /// The phase: `connect`, `greeting`, `tls`, `ehlo`, `auth`, `mail`, `rcpt`, `data`, `block`, `dot`, `build`, …
    pub phase: Option<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.error)
    }
}

impl std::error::Error for Failure {}
