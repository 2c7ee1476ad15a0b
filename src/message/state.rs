use std::fmt;

use serde::Serialize;

/// The four words of Devilry's message framework: what an operator reads first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Prepared, ready for sending.
    NotSent,
    /// A try failed; Postroom will try again by itself.
    Failed,
    /// Postroom will not try again by itself; somebody should look.
    Error,
    /// Accepted by the backend.
    Sent,
}

impl Status {
    /// All four, in the order of the console's status line.
    pub const ALL: [Self; 4] = [Self::NotSent, Self::Failed, Self::Error, Self::Sent];

    /// The word in JSON and in queries.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotSent => "not_sent",
            Self::Failed => "failed",
            Self::Error => "error",
            Self::Sent => "sent",
        }
    }

    /// The word people read.
    pub const fn label(self) -> &'static str {
        match self {
            Self::NotSent => "Not sent",
            Self::Failed => "Failed",
            Self::Error => "Error",
            Self::Sent => "Sent",
        }
    }

    /// The states with this status.
    pub fn states(self) -> impl Iterator<Item = State> {
        State::ALL
            .into_iter()
            .filter(move |state| state.status() == self)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// Why a receiver has its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Waiting for its first try, or for one that an operator asked for.
    Queued,
    /// Stopped by an operator; only an operator's action moves it.
    Held,
    /// Refused for now.
    Temporary,
    /// The server could not be reached.
    Backend,
    /// It may have arrived: the final answer was never seen.
    Unconfirmed,
    /// Refused for now more often than the resend limit allows.
    Exhausted,
    /// Refused for good.
    Permanent,
    /// Too late to be of use.
    Expired,
    /// The identity does not want messages.
    Suppressed,
    /// Given up by an operator.
    Cancelled,
    /// The backend took it.
    Accepted,
    /// An operator said that it arrived.
    Marked,
}

impl Reason {
    /// Every reason, for the query language's suggestions.
    pub const ALL: [Self; 12] = [
        Self::Queued,
        Self::Held,
        Self::Temporary,
        Self::Backend,
        Self::Unconfirmed,
        Self::Exhausted,
        Self::Permanent,
        Self::Expired,
        Self::Suppressed,
        Self::Cancelled,
        Self::Accepted,
        Self::Marked,
    ];

    /// The word in JSON, in queries and on screens.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Held => "held",
            Self::Temporary => "temporary",
            Self::Backend => "backend",
            Self::Unconfirmed => "unconfirmed",
            Self::Exhausted => "exhausted",
            Self::Permanent => "permanent",
            Self::Expired => "expired",
            Self::Suppressed => "suppressed",
            Self::Cancelled => "cancelled",
            Self::Accepted => "accepted",
            Self::Marked => "marked",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

macro_rules! states {
    ($($number:literal $name:ident = $status:ident / $reason:ident),* $(,)?) => {
        /// A status with its reason: the fourteen pairs that exist. An illegal pair cannot be written down.
        ///
        /// The number is the one in the store (`state.id`); it never changes its meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum State {
            $(
                #[doc = concat!(stringify!($status), ", ", stringify!($reason), ".")]
                $name = $number,
            )*
        }

        impl State {
            /// Every state, by number.
            pub const ALL: [Self; 14] = [$(Self::$name),*];

            /// What an operator reads first.
            pub const fn status(self) -> Status {
                match self { $(Self::$name => Status::$status),* }
            }

            /// Why it has that status.
            pub const fn reason(self) -> Reason {
                match self { $(Self::$name => Reason::$reason),* }
            }
        }
    };
}

states! {
    0 Queued = NotSent / Queued,
    1 Held = NotSent / Held,
    2 FailedTemporary = Failed / Temporary,
    3 FailedBackend = Failed / Backend,
    4 FailedUnconfirmed = Failed / Unconfirmed,
    5 FailedHeld = Failed / Held,
    6 Exhausted = Error / Exhausted,
    7 Permanent = Error / Permanent,
    8 Expired = Error / Expired,
    9 ErrorUnconfirmed = Error / Unconfirmed,
    10 Suppressed = Error / Suppressed,
    11 Cancelled = Error / Cancelled,
    12 Accepted = Sent / Accepted,
    13 Marked = Sent / Marked,
}

impl State {
    /// The number in the store.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The state with this number.
    pub fn from_number(number: i64) -> Option<Self> {
        usize::try_from(number)
            .ok()
            .and_then(|index| Self::ALL.get(index).copied())
    }

    /// Whether Postroom itself will still try: exactly these states have a due time.
    pub const fn is_pending(self) -> bool {
        matches!(
            self,
            Self::Queued | Self::FailedTemporary | Self::FailedBackend | Self::FailedUnconfirmed
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_states_number_finds_it_again() {
        for (index, state) in State::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(state.number()), index);
            assert_eq!(State::from_number(index as i64), Some(state));
        }
        assert_eq!(State::from_number(14), None);
        assert_eq!(State::from_number(-1), None);
    }
}
