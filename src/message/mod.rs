//! The nouns, and nothing but the nouns: no I/O, no SQL, no terminal. Every other module speaks in these types.

mod attempt;
mod cause;
mod content;
mod html;
mod id;
mod parse;
mod parts;
mod receiver;
mod report;
mod state;
mod submission;
mod template;
mod text;

pub use attempt::{Attempt, Outcome};
pub use cause::Cause;
pub use content::{Body, Content};
pub(crate) use html::html_as_text;
pub use id::{AttemptId, CauseId, ContentId, JobId, MessageId, ReceiverId};
pub use parse::{
    BackendFacts, Envelope, Preview, Previewed, SubmissionError, SubmitDefaults, addressees,
};
pub(crate) use parse::{LONGEST_HEADER_NAME, OWN_HEADERS, is_language};
pub(crate) use parts::{Part, Parts};
pub use receiver::{Delivery, Message, Receiver};
pub use report::{Failure, Report};
pub use state::{Reason, State, Status};
pub use submission::{NewReceiver, Submission};
pub use template::Rendered;
pub(crate) use text::is_dangerous;
pub use text::{DisplayText, Text};

/// A point in time, always UTC; days are made local only where a person reads or asks.
pub type Timestamp = chrono::DateTime<chrono::Utc>;
