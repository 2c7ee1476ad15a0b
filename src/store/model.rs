//! What the store answers with.

use std::fmt;

use serde_json::Value;

use crate::message::{
    Attempt, CauseId, Delivery, JobId, MessageId, ReceiverId, State, Status, Text, Timestamp,
};

/// A receiver as a table shows it: the row an operator works with.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its number.
    pub id: ReceiverId,
    /// The message it belongs to.
    pub message_id: MessageId,
    /// The caller's own id of the message.
    pub message_key: Text,
    /// The message's type.
    pub kind: Text,
    /// When it was handed over.
    pub created_at: Timestamp,
    /// The subject in its language.
    pub subject: Text,
    /// The application's name of the person.
    pub user: Option<Text>,
    /// Where the backend delivers.
    pub identity: Text,
    /// The backend's name.
    pub backend: Text,
    /// Its language.
    pub language: Text,
    /// Status and reason.
    pub state: State,
    /// How many tries failed.
    pub failed_count: u32,
    /// How many times it was accepted.
    pub sent_count: u32,
    /// When it was last accepted.
    pub sent_at: Option<Timestamp>,
    /// When it is tried next; `None`: not by itself.
    pub next_attempt_at: Option<Timestamp>,
    /// An engine holds it now.
    pub sending: bool,
    /// What a delivery report told.
    pub delivery: Option<Delivery>,
}

/// Everything about one receiver but its content, which may be large: see [`Reader::content_of`](super::Reader::content_of).
#[derive(Clone, Debug, PartialEq)]
pub struct Detail {
    /// The row of the table.
    pub row: Row,
    /// The whole message's status, derived from all its receivers: `error`, `failed`, `sent`, `sending` or `not_sent`.
    pub message_status: &'static str,
    /// The message's metadata and the receiver's own.
    pub message_metadata: Value,
    /// See [`Detail::message_metadata`].
    pub receiver_metadata: Value,
    /// The header From of the message, if it has one.
    pub from: Option<Text>,
    /// The Message-ID's local part or client reference.
    pub uid: Text,
    /// Who handed the message over.
    pub created_by: Option<Text>,
    /// The resend that made it due, while it is.
    pub job: Option<JobId>,
    /// The name that goes with the identity.
    pub name: Option<Text>,
    /// The address that answers go to, where it is another than From.
    pub reply_to: Option<Text>,
    /// The envelope sender that was asked for; it may be empty.
    pub return_path: Option<Text>,
    /// Headers that the caller asked for.
    pub headers: Vec<(Text, Text)>,
    /// Higher numbers go first.
    pub priority: i64,
    /// Not before.
    pub send_after: Option<Timestamp>,
    /// Not after.
    pub expires_at: Option<Timestamp>,
    /// The failed count beyond which it is an Error; `None`: the configured one.
    pub resend_limit: Option<u32>,
    /// How many tries in a row may have arrived without our knowing.
    pub unknown_count: u32,
    /// Every try, oldest first.
    pub attempts: Vec<Attempt>,
    /// What operators did to this receiver alone, oldest first.
    pub actions: Vec<AuditEntry>,
}

/// Where a window begins. `P` says where a receiver stands: in the usual order, from the newest (the highest id) to the oldest, its id does; in any
/// order a [`Place`](super::Place) does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor<P = ReceiverId> {
    /// The first rows.
    First,
    /// The last rows (listed in the same order as ever).
    Last,
    /// Rows behind this one, without it.
    After(P),
    /// Rows before this one, without it: the nearest ones.
    Before(P),
    /// This row, or the next one behind it that matches, and what follows.
    From(P),
}

/// Why a question may take long: no index leads to what matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// The terms that only a look at each receiver tells; none: each has its index, but few receivers have all of it.
    pub terms: Vec<String>,
    /// How many receivers are read at most.
    pub receivers: u64,
}

impl fmt::Display for Scan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.terms.as_slice() {
            [] => f.write_str("no index leads to what matches all of it")?,
            terms => write!(f, "no index leads to {}", terms.join(" "))?,
        }
        write!(
            f,
            ": up to {} receivers are read one by one",
            self.receivers
        )
    }
}

/// How many rows match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Exactly so many.
    Exact(u64),
    /// So many, and maybe more: counting stopped there.
    AtLeast(u64),
}

/// How many receivers have each state. Exact, and O(1) in the size of the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// By [`State::number`].
    pub by_state: [u64; 14],
}

impl Counts {
    /// All receivers.
    pub fn total(&self) -> u64 {
        self.by_state.iter().sum()
    }

    /// Those with this status.
    pub fn of(&self, status: Status) -> u64 {
        status
            .states()
            .map(|state| self.by_state[usize::from(state.number())])
            .sum()
    }

    /// Those with this status and reason.
    pub fn of_state(&self, state: State) -> u64 {
        self.by_state[usize::from(state.number())]
    }
}

/// A fault that failed receivers have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CauseRow {
    /// Its number; of several that count as one, the oldest one's.
    pub id: CauseId,
    /// How many receivers met it in their last try.
    pub count: u64,
    /// The server's reply code.
    pub code: Option<u16>,
    /// The enhanced status code (RFC 3463).
    pub enhanced_code: Option<Text>,
    /// What went wrong, with placeholders for what differs from one receiver to the next.
    pub text: Text,
    /// The server, as `host:port`.
    pub server: Option<Text>,
    /// What was being done.
    pub phase: Option<Text>,
    /// When a try first met it, whatever became of its receiver since.
    pub first_seen: Timestamp,
    /// When a try last met it.
    pub last_seen: Timestamp,
    /// One of the receivers.
    pub sample: ReceiverId,
}

/// Whom an action means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// All that match a query.
    Query(crate::query::Query),
    /// All that match a query but these.
    Except(crate::query::Query, Vec<ReceiverId>),
    /// These.
    Ids(Vec<ReceiverId>),
}

/// What an operator can do to receivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send again, whatever the status.
    Resend,
    /// Stop until released.
    Hold,
    /// Let held ones go on.
    Release,
    /// Give up.
    Cancel,
    /// Say that an unconfirmed one arrived.
    MarkSent,
    /// Take out of the store, with every attempt.
    Delete,
    /// The same, for cleaning up: not those still to be sent, held or being sent, unless told so.
    CleanUp {
        /// Those too, but for the ones being sent at that moment.
        pending: bool,
    },
}

impl Action {
    /// The word on the command line and in the audit log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Resend => "resend",
            Self::Hold => "hold",
            Self::Release => "release",
            Self::Cancel => "cancel",
            Self::MarkSent => "mark-sent",
            Self::Delete => "delete",
            Self::CleanUp { .. } => "delete-receivers",
        }
    }
}

/// What an action touched, or would touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Affected {
    /// Receivers changed, by the status they had before: in the order of [`Status::ALL`].
    pub by_status: [u64; 4],
    /// Those of them that may have arrived: nobody knows.
    pub unconfirmed: u64,
    /// Receivers left alone because they were being sent at that moment.
    pub armed: u64,
    /// Receivers left alone because the action means nothing to them.
    pub not_applicable: u64,
    /// Receivers left alone because they are no longer what they were when they were counted.
    pub changed: u64,
    /// The job that a resend made.
    pub job: Option<JobId>,
}

impl Affected {
    /// How many were changed.
    pub fn total(&self) -> u64 {
        self.by_status.iter().sum()
    }
}

/// A backend as the store remembers it, across processes.
#[derive(Clone, Debug, PartialEq)]
pub struct BackendRow {
    /// Its name in the config.
    pub name: Text,
    /// What it is doing.
    pub state: BackendState,
    /// Since when.
    pub since: Timestamp,
    /// What was met last, in one line; empty when up.
    pub error: Text,
    /// The traceback of what was met last.
    pub traceback: Text,
    /// When it is tried again, if it is down.
    pub probe_at: Option<Timestamp>,
    /// How long the last wait between two probes was.
    pub probe_wait: Option<std::time::Duration>,
    /// How many receivers are due or will be, over this backend.
    pub waiting: u64,
}

/// What a backend is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendState {
    /// As it should be.
    Up,
    /// It could not be reached; probes go on.
    Down,
    /// Stopped by an operator, or after twenty refusals alike: tried by nobody until resumed.
    Paused,
}

impl BackendState {
    /// The word in JSON and on screens.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Paused => "paused",
        }
    }
}

/// An engine that the store knows of.
#[derive(Clone, Debug)]
pub struct EngineRow {
    /// Its id, 32 hex digits.
    pub id: String,
    /// `run`, `deliver` or `console`.
    pub kind: String,
    /// Its process.
    pub pid: u32,
    /// When it was last heard of.
    pub heartbeat_at: Timestamp,
    /// How many rows it has claimed and not armed.
    pub claimed: u64,
    /// How many rows it has armed.
    pub armed: u64,
    /// Its process lives: it holds its lock.
    pub alive: bool,
    /// It was not heard of for longer than its lease. Alive all the same, it is stopped or hangs: what it has armed waits until that process ends.
    pub lease_over: bool,
}

/// One line of the audit log.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEntry {
    /// Its number: later lines have higher ones.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// Who: `SUDO_USER`, else the user; `postroom` for what it did by itself.
    pub who: Text,
    /// What.
    pub action: Text,
    /// To whom, in words.
    pub target: Text,
    /// How many receivers; of messages without receivers, how many of these.
    pub count: u64,
    /// The receiver, where it is about one.
    pub receiver: Option<ReceiverId>,
}
