//! What is said to the operator: in the last line, or in lines of its own above it.

use super::State;
use crate::{
    console::{layout::Areas, text},
    message::DisplayText,
};

/// Columns of the last line that a report leaves to the keys.
const KEYS: usize = 28;

/// A sentence for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What it says.
    pub text: DisplayText,
    /// Whether something went wrong.
    pub bad: bool,
}

impl Notice {
    /// Something worth knowing.
    pub fn good(text: &str) -> Self {
        Self {
            text: DisplayText::line(text),
            bad: false,
        }
    }

    /// Something that went wrong.
    pub fn bad(text: &str) -> Self {
        Self {
            text: DisplayText::line(text),
            bad: true,
        }
    }
}

impl State {
    /// What was last to be said in the last line, beside the keys.
    pub fn said(&self) -> Option<(&DisplayText, bool)> {
        match (self.latest(), &self.report) {
            (Some(latest), _) => self.fits(latest.0, 0).then_some(latest),
            (None, Some(report)) if self.fits(&report.text, KEYS) => {
                Some((&report.text, report.bad))
            }
            _ => None,
        }
    }

    /// What finds no room there: lines of their own, each with whether something went wrong. A report stays in sight whatever else is said.
    pub fn notes(&self) -> Vec<(String, bool)> {
        let latest = self.latest();
        let mut notes = Vec::new();
        if let Some(report) = &self.report
            && (latest.is_some() || !self.fits(&report.text, KEYS))
        {
            self.note(&report.text, report.bad, 2, &mut notes);
        }
        if let Some((text, bad)) = latest
            && !self.fits(text, 0)
        {
            self.note(text, bad, 3, &mut notes);
        }
        notes.truncate(Areas::most_notes(self.size));
        notes
    }

    /// What the last key or the store brought.
    fn latest(&self) -> Option<(&DisplayText, bool)> {
        match (&self.hint, &self.trouble) {
            (Some(hint), _) => Some((&hint.text, hint.bad)),
            // What stands in the table already is not said twice.
            (None, Some((_, trouble))) if self.table.failed.as_ref() != Some(trouble) => {
                Some((trouble, true))
            }
            _ => None,
        }
    }

    fn fits(&self, said: &DisplayText, beside: usize) -> bool {
        text::columns(said.as_str()) + 2 + beside <= usize::from(self.size.width)
    }

    fn note(&self, said: &DisplayText, bad: bool, most: usize, notes: &mut Vec<(String, bool)>) {
        let width = usize::from(self.size.width.saturating_sub(2)).max(1);
        let pieces = text::wrapped(said.as_str(), width);
        let shown = pieces.len().min(most);
        for (index, piece) in pieces.iter().take(shown).enumerate() {
            let more = index + 1 == shown && pieces.len() > shown;
            let piece = if more {
                format!("{}…", text::cut(piece.trim_end(), width - 1))
            } else {
                (*piece).to_owned()
            };
            notes.push((piece, bad));
        }
    }
}
