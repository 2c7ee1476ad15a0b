//! The shape of every traceback: the failing thing first, then its circumstances, then the chain of causes.

use std::{error::Error, fmt::Write as _};

/// A traceback that is being told.
pub(super) struct Traceback(String);

impl Traceback {
    /// Begins with what went wrong, in a line.
    pub(super) fn of(error: &str) -> Self {
        Self(format!("{error}\n\n"))
    }

    /// One circumstance.
    pub(super) fn line(&mut self, label: &str, value: &str) {
        // Writing to a `String` cannot fail.
        let _ = writeln!(self.0, "  {label:<11} {value}");
    }

    /// Ends with what led to it, outermost first.
    pub(super) fn caused_by(mut self, causes: &[String]) -> String {
        self.0.push_str("\nCaused by:\n");
        for (index, cause) in causes.iter().enumerate() {
            let _ = writeln!(self.0, "  {index}: {cause}");
        }
        self.0
    }
}

/// An error and everything that led to it, outermost first.
pub(super) fn chain(error: &dyn Error) -> Vec<String> {
    let mut causes: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        let words = cause.to_string();
        // Some errors repeat their source's words.
        if causes.last() != Some(&words) {
            causes.push(words);
        }
        next = cause.source();
    }
    causes
}
