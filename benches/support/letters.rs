//! Messages of 4 KiB to one recipient each.

use postroom::message::Submission;

#[path = "../../tests/support/submission.rs"]
mod fixture;

pub use fixture::{receiver, submission};

/// What the nth says, in 4 KiB.
pub fn text(n: usize) -> String {
    let line = format!("Message {n}: your examiner has given feedback on your delivery.\n");
    line.repeat(4096 / line.len())
}

/// The nth.
pub fn letter(n: usize) -> Submission {
    let to = vec![receiver("email", format!("user{n}@example.com"))];
    submission("feedback", format!("Feedback {n}"), text(n), to)
}
