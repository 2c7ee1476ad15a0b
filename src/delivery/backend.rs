//! What the engine knows of a way out: these traits and nothing else.

use std::{sync::Arc, time::Duration};

use crate::message::{Content, Failure, Message, Receiver, ReceiverId, Report};

/// One message on its way to some receivers over one backend: what is armed, sent and settled together.
#[derive(Clone, Debug)]
pub struct Batch {
    /// What is said, and the context a backend may want.
    pub message: Arc<Message>,
    /// The words, in the language of these receivers.
    pub content: Arc<Content>,
    /// To whom; never empty.
    pub receivers: Vec<Receiver>,
}

/// A configured way out. It hands out sessions; each runs on a worker thread of its own.
pub trait Backend: Send + Sync {
    /// How many sessions may be open at once.
    fn connections(&self) -> usize;

    /// How many receivers of this message may stand in one [`Batch`].
    fn batch_limit(&self, message: &Message) -> usize;

    /// Makes the way ready: connects, greets, authenticates.
    fn open(&self) -> Result<Box<dyn Session>, Trouble>;

    /// Does what [`Backend::open`] does, sends nothing, and tells what was said, secrets hidden.
    fn probe(&self) -> Result<String, Trouble>;
}

/// An open way out, used by one worker.
pub trait Session: Send {
    /// Sends batch after batch from the desk until it has no more, or until this session should not be used again.
    ///
    /// Every receiver of every batch it took ends in exactly one of these: settled, given back, or in a batch reported lost. Whatever is left
    /// over when this returns or panics the desk sorts by itself: armed receivers are unknown, the others were not sent.
    fn run(&mut self, desk: &mut dyn Desk) -> Result<Ended, Trouble>;
}

/// How a session's run ended without trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The desk had no more; the session may be run again.
    Idle,
    /// The session is used up (its server closed it, its maximum of messages or age is reached): open another for what is left.
    Close,
}

/// Where a session takes its work and leaves its results.
pub trait Desk {
    /// The next batch, if there is one now. A session may take one before the last is settled, to pipeline its envelope.
    fn next(&mut self) -> Option<Batch>;

    /// Writes down durably that these receivers of the batch (by index into `batch.receivers`) may get the message from now on. Without
    /// an `Ok` no byte that can be accepted may leave. What was settled before is written in the same commit.
    ///
    /// On `Err` the session forgets these receivers: the desk has sorted them. Before DATA it may go on after RSET; after a
    /// 354 the connection is closed without a dot.
    fn arm(&mut self, batch: &Batch, receivers: &[usize]) -> Result<(), NotArmed>;

    /// The result for one receiver of a batch taken from this desk. It is durable at the next arm, or 20 ms later.
    fn settle(&mut self, receiver: &Receiver, result: Report);

    /// Takes back receivers that were not tried, without a word in their history: they go again, before others. Used when a
    /// connection must be changed or when the server wants the rest in a new transaction.
    fn again(&mut self, batch: Batch);

    /// The link failed after this batch's envelope was begun and before it was armed: certainly not sent. Each goes once more, alone; whoever
    /// meets it again has a temporary failure.
    fn lost(&mut self, batch: Batch, failure: Failure);

    /// Whether this way has brought a transaction to its end since it was last in trouble, over whatever session. Then a server that turns
    /// a message away as if it took nobody's means that message. A desk that does not know says no.
    fn works(&self) -> bool {
        false
    }
}

/// The store refused to arm: somebody else has the rows, or the disk is full. Nothing may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the batch could not be armed")]
pub struct NotArmed;

/// The way itself does not work: no receiver is to blame. It opens the backend's breaker.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{failure}")]
pub struct Trouble {
    /// What was met.
    pub failure: Failure,
    /// Whether the server refused our credentials: such are tried once an hour only, or the account gets locked.
    pub auth: bool,
    /// The server asked to be left alone for this long.
    pub retry_after: Option<Duration>,
}

impl Trouble {
    /// Trouble of which nothing more is known: it is tried again like any way that is down.
    pub fn of(failure: Failure) -> Self {
        Self {
            failure,
            auth: false,
            retry_after: None,
        }
    }
}

/// The simple kind of backend: RapidSMS's `send`. It gets one message, its context and N receivers, tries all of them, and says which failed.
/// `Direct` makes a [`Backend`] of it.
pub trait Gateway: Send + Sync {
    /// Tries every receiver of the batch. `arm` is called once, before anything leaves that could arrive; when it refuses, nothing may leave and
    /// the call returns `Ok`.
    fn send(
        &self,
        batch: &Batch,
        arm: &mut dyn FnMut() -> Result<(), NotArmed>,
    ) -> Result<(), SendError>;

    /// Looks whether the way is ready, sends nothing, and says in words what it found.
    fn probe(&self) -> Result<String, Trouble>;
}

/// A gateway's answer when not all went well (RapidSMS 0.21, `MessageSendingError` with `failed_identities`).
#[derive(Clone, Debug, thiserror::Error)]
#[error("{failure}")]
pub struct SendError {
    /// What went wrong with the call as a whole.
    pub failure: Failure,
    /// Whether another try can help where nothing more exact is said.
    pub permanent: bool,
    /// Who is meant.
    pub failed: Failed,
}

/// Whom a [`SendError`] means. Receivers are named by Postroom's own number, never by an address that a gateway may have rewritten.
#[derive(Clone, Debug)]
pub enum Failed {
    /// Everybody: the gateway gave no list.
    All,
    /// Only these; who is not named was accepted.
    Only(Vec<Named>),
    /// The gateway promises a result for each receiver. Who is left out is unknown.
    Each {
        /// Accepted.
        accepted: Vec<ReceiverId>,
        /// Refused.
        failed: Vec<Named>,
    },
}

/// One failed receiver in a gateway's answer.
#[derive(Clone, Debug)]
pub struct Named {
    /// Who.
    pub receiver: ReceiverId,
    /// Whether another try can help.
    pub permanent: bool,
    /// Why.
    pub failure: Failure,
}
