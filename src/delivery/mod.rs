//! The delivery module: the only thing that sends, whoever asks.
//!
//! claim → route → send → settle. An [`Engine`] claims due rows from the store, groups them into [`Batch`]es, and lets the workers of each
//! [`Way`] send them; what follows from an outcome is the [`Policy`]'s, what is written is the store's. Backends are known by their traits only.

mod backend;
mod direct;
mod engine;
mod floor;
mod lane;
mod policy;
mod rate;
mod router;
mod signal;
mod worker;

use std::{iter::Sum, sync::Arc};

use serde::Serialize;

pub use backend::{
    Backend, Batch, Desk, Ended, Failed, Gateway, Named, NotArmed, SendError, Session, Trouble,
};
pub use direct::Direct;
pub use engine::{Engine, Options, Work, bury_the_dead};
pub use lane::Way;
pub use policy::{OnUnknown, Policy};
pub use rate::Rate;

use crate::message::{Outcome, State, Timestamp};
// The traits speak in these.
pub use crate::message::{Failure, Report};

/// Where the time comes from.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The machine's own clock.
pub fn system_clock() -> Clock {
    Arc::new(chrono::Utc::now)
}

/// What came of an engine's tries, in receivers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Accepted.
    pub sent: u64,
    /// Refused for now: tried again later.
    pub failed: u64,
    /// Refused for good, too often or too late.
    pub error: u64,
    /// Nobody knows.
    pub unconfirmed: u64,
    /// Met a backend that does not work.
    pub backend: u64,
    /// Times the store could not be written.
    #[serde(skip)]
    pub store_errors: u64,
}

impl Tally {
    /// Receivers with a result, whatever it is.
    pub fn tried(&self) -> u64 {
        self.sent + self.failed + self.error + self.unconfirmed + self.backend
    }
}

impl Sum for Tally {
    fn sum<I: Iterator<Item = Self>>(tallies: I) -> Self {
        tallies.fold(Self::default(), |a, b| Self {
            sent: a.sent + b.sent,
            failed: a.failed + b.failed,
            error: a.error + b.error,
            unconfirmed: a.unconfirmed + b.unconfirmed,
            backend: a.backend + b.backend,
            store_errors: a.store_errors + b.store_errors,
        })
    }
}

impl Tally {
    fn count(&mut self, state: State, outcome: Outcome) {
        let counter = match (outcome, state) {
            (Outcome::Cancelled, _) => return,
            (_, State::Accepted) => &mut self.sent,
            (_, State::FailedTemporary) => &mut self.failed,
            (_, State::FailedBackend) => &mut self.backend,
            (_, State::FailedUnconfirmed | State::ErrorUnconfirmed) => &mut self.unconfirmed,
            _ => &mut self.error,
        };
        *counter += 1;
    }
}
