use serde_json::Value;

use super::{Content, Rendered, Timestamp};

/// A message as an application hands it over: checked, its languages and backends resolved, ready for the store.
#[derive(Clone, Debug, PartialEq)]
pub struct Submission {
    /// The caller's own id; `None`: the store makes one.
    pub key: Option<String>,
    /// A free word such as `feedback`.
    pub kind: String,
    /// The header From.
    pub from: Option<String>,
    /// The header Reply-To.
    pub reply_to: Option<String>,
    /// Further headers, in the caller's order.
    pub headers: Vec<(String, String)>,
    /// The envelope sender; `Some("")` is the null sender.
    pub return_path: Option<String>,
    /// Who made it, in the application's words.
    pub created_by: Option<String>,
    /// The caller's own data.
    pub metadata: Value,
    /// Higher goes first; 0 is ordinary.
    pub priority: i64,
    /// Not before this.
    pub send_after: Option<Timestamp>,
    /// Not after this.
    pub expires_at: Option<Timestamp>,
    /// The words by language; a raw message has one entry, and one whose receivers have words of their own none.
    pub contents: Vec<(String, Content)>,
    /// To whom; no two with the same backend, identity and user.
    pub receivers: Vec<NewReceiver>,
    /// SHA-256 of the parsed body without its key: a repeat of the key with another digest is refused.
    pub digest: [u8; 32],
}

/// One receiver of a [`Submission`].
#[derive(Clone, Debug, PartialEq)]
pub struct NewReceiver {
    /// The bare address or number.
    pub identity: String,
    /// The display name given with it.
    pub name: Option<String>,
    /// The application's name of the person.
    pub user: Option<String>,
    /// One of the languages of [`Submission::contents`], unless there are words of its own.
    pub language: String,
    /// What a template says to this receiver alone.
    pub rendered: Option<Rendered>,
    /// The backend's name.
    pub backend: String,
    /// The caller's own data.
    pub metadata: Value,
}
