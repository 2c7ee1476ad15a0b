//! The rows on hand.

use std::collections::BTreeSet;

use super::Asked;
use crate::{
    message::{DisplayText, ReceiverId},
    store::{Count, Place, Row, Scan, Sort},
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
    /// In which order.
    pub sort: Sort,
    /// The rows around the cursor.
    pub rows: Vec<Row>,
    /// Nothing that matches comes before the first of them.
    pub newest: bool,
    /// Nothing that matches comes after the last of them.
    pub oldest: bool,
    /// Those of them that match the query of the marks, when that is another one.
    pub marked: BTreeSet<ReceiverId>,
    /// The row under the cursor no longer matches; it stays until the cursor leaves it.
    pub gone: Option<ReceiverId>,
    /// The row under the cursor matches, but stands elsewhere by now; it stays until the cursor leaves it.
    pub moved: Option<ReceiverId>,
    /// The receiver the operator is at.
    pub cursor: Option<ReceiverId>,
    /// Where it stood when the cursor came to it: what is read again is read around this place.
    pub(in crate::console) place: Option<Place>,
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
    /// Where the first and the last that match stand, where that was worth asking.
    pub ends: Option<Box<(Place, Place)>>,
    /// What makes this query slow, if something does.
    pub scan: Option<Scan>,
    /// Why the rows of this query are not known, when the store could not answer.
    pub failed: Option<DisplayText>,
}

impl Table {
    /// The rows of the query could not be read: none is shown, since those on hand belong to another one.
    pub(in crate::console) fn fail(&mut self, why: DisplayText) {
        *self = Self {
            asked: std::mem::take(&mut self.asked),
            sort: self.sort,
            scan: self.scan.take(),
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
        self.rows.iter().position(|row| row.id == id)
    }

    /// Puts the cursor on one of the rows.
    pub(in crate::console) fn put_cursor(&mut self, index: Option<usize>) {
        let row = index.and_then(|index| self.rows.get(index));
        self.cursor = row.map(|row| row.id);
        self.place = row.map(Place::from);
    }

    /// The row under the cursor is there only for the cursor.
    pub(in crate::console) fn is_stray(&self, id: ReceiverId) -> bool {
        self.gone == Some(id) || self.moved == Some(id)
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
