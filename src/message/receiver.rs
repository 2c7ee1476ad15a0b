use serde::Serialize;
use serde_json::Value;

use super::{MessageId, ReceiverId, Timestamp};

/// One thing the application wanted to say, as the backends see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Its number.
    pub id: MessageId,
    /// The caller's own id; unique.
    pub key: String,
    /// A free word such as `feedback`.
    pub kind: String,
    /// The header From, if the message has one of its own.
    pub from: Option<String>,
    /// The header Reply-To.
    pub reply_to: Option<String>,
    /// Further headers, in the caller's order.
    pub headers: Vec<(String, String)>,
    /// The envelope sender; `Some("")` is the null sender; `None`: the address in From.
    pub return_path: Option<String>,
    /// When it was handed over: the header Date.
    pub created_at: Timestamp,
    /// The caller's own data.
    pub metadata: Value,
    /// Whether its content is one raw RFC 5322 message.
    pub raw: bool,
}

/// One message to one identity over one backend, as a backend sees it while an engine holds the row.
#[derive(Clone, Debug, PartialEq)]
pub struct Receiver {
    /// Its number.
    pub id: ReceiverId,
    /// The claim under which the engine holds it; every write is fenced on it.
    pub epoch: i64,
    /// The stable Message-ID or client reference, without angle brackets and domain: the same on every retry.
    pub uid: String,
    /// Where the backend delivers: an email address, a phone number.
    pub identity: String,
    /// The display name that was given with the identity.
    pub name: Option<String>,
    /// The application's name of the person.
    pub user: Option<String>,
    /// The language of its content.
    pub language: String,
    /// The caller's own data.
    pub metadata: Value,
}

/// What a delivery report told after the message was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// A report was asked for and has not come.
    Pending,
    /// It arrived.
    Delivered,
    /// It did not arrive.
    Undelivered,
}

impl Delivery {
    /// Every value.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Delivered, Self::Undelivered];

    /// The word in JSON and in queries.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Undelivered => "undelivered",
        }
    }

    /// The value of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|told| told.name() == name)
    }
}
