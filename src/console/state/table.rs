//! The rows on hand.

use std::collections::BTreeSet;

use super::Asked;
use crate::{
    message::{DisplayText, ReceiverId},
    store::{Count, Row},
};

/// The rows that are known, and where the operator is among them.
#[derive(Clone, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four facts that have nothing to do with each other, not one of several modes"
)]
pub struct Table {
    /// What must match.
    pub asked: Asked,
    /// The rows around the cursor, newest first.
    pub rows: Vec<Row>,
    /// Nothing newer than the first of them matches.
    pub newest: bool,
    /// Nothing older than the last of them matches.
    pub oldest: bool,
    /// Those of them that match the query of the marks, when that is another one.
    pub marked: BTreeSet<ReceiverId>,
    /// The row under the cursor no longer matches; it stays until the cursor leaves it.
    pub gone: Option<ReceiverId>,
    /// The receiver the operator is at.
    pub cursor: Option<ReceiverId>,
    /// On which line of the screen it stands, the table's first being 0.
    pub line: usize,
    /// Rows to move once more rows are known: down is positive.
    pub(in crate::console) pending: i64,
    /// Other rows than these are being read: those of another query, or of one of its ends.
    pub(in crate::console) jumping: bool,
    /// The rows of this query are known.
    pub loaded: bool,
    /// How many match.
    pub count: Option<Count>,
    /// Why the rows of this query are not known, when the store could not answer.
    pub failed: Option<DisplayText>,
}

impl Table {
    /// The rows of the query could not be read: none is shown, since those on hand belong to another one.
    pub(in crate::console) fn fail(&mut self, why: DisplayText) {
        *self = Self {
            asked: std::mem::take(&mut self.asked),
            failed: Some(why),
            ..Self::default()
        };
    }

    /// Whether so many can match, given the rows on hand.
    pub(in crate::console) fn agrees(&self, count: Count) -> bool {
        let known = (self.rows.len() - usize::from(self.gone.is_some())) as u64;
        match count {
            Count::Exact(count) if self.newest && self.oldest => count == known,
            Count::Exact(count) => count > known,
            Count::AtLeast(_) => !(self.newest && self.oldest),
        }
    }

    /// Where a receiver stands among the rows.
    pub fn index_of(&self, id: ReceiverId) -> Option<usize> {
        self.rows.binary_search_by(|row| id.cmp(&row.id)).ok()
    }

    /// Where the cursor stands among the rows.
    pub fn index(&self) -> Option<usize> {
        self.cursor.and_then(|id| self.index_of(id))
    }

    /// The row on the first line of the screen.
    pub fn top(&self) -> usize {
        self.index()
            .map_or(0, |index| index.saturating_sub(self.line))
    }

    /// The rows on a screen of so many lines.
    pub fn shown(&self, lines: usize) -> &[Row] {
        let top = self.top().min(self.rows.len());
        &self.rows[top..(top + lines).min(self.rows.len())]
    }

    /// Whether a receiver is known to match.
    pub fn has(&self, id: ReceiverId) -> bool {
        self.gone != Some(id) && self.index_of(id).is_some()
    }
}
