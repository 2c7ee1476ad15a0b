//! The failures by cause.

use crate::{
    message::{CauseId, DisplayText},
    query::Query,
    store::CauseRow,
};

/// The failures by cause, as far as they are known.
#[derive(Clone, Debug, Default)]
pub struct Causes {
    /// The causes, those that were the biggest when the list was opened first; `None` until they are read.
    pub rows: Option<Vec<CauseRow>>,
    /// What their receivers match.
    pub query: Query,
    /// Which of them the operator is at.
    pub cursor: Option<CauseId>,
    /// How many are scrolled away.
    pub top: usize,
    /// Why they are not known, when the store could not answer.
    pub failed: Option<DisplayText>,
}

impl Causes {
    /// The causes that are known.
    pub fn known(&self) -> &[CauseRow] {
        self.rows.as_deref().unwrap_or_default()
    }

    /// Where the cursor stands.
    pub fn index(&self) -> Option<usize> {
        let cursor = self.cursor?;
        self.known().iter().position(|row| row.id == cursor)
    }

    /// The one under the cursor.
    pub fn current(&self) -> Option<&CauseRow> {
        self.known().get(self.index()?)
    }

    /// Takes in what the store says now. Nothing moves under the operator's hands: causes stay where they are, new ones come last, and the one under
    /// the cursor stays with none left.
    pub(in crate::console) fn take(&mut self, mut now: Vec<CauseRow>) {
        let mut rows = Vec::with_capacity(now.len());
        for mut row in self.rows.take().unwrap_or_default() {
            if let Some(index) = now.iter().position(|other| other.id == row.id) {
                rows.push(now.remove(index));
            } else if self.cursor == Some(row.id) {
                row.count = 0;
                rows.push(row);
            }
        }
        rows.append(&mut now);
        if self.cursor.is_none() {
            self.cursor = rows.first().map(|row| row.id);
        }
        self.rows = Some(rows);
        self.failed = None;
    }
}

/// The first line of a list that is shown, on a screen of so many lines: the last one as far as the cursor is in sight then.
pub fn scrolled(top: usize, cursor: usize, lines: usize) -> usize {
    top.min(cursor)
        .max((cursor + 1).saturating_sub(lines.max(1)))
}
