//! What is marked, and whom an action means.

use std::collections::BTreeSet;

use super::{Asked, State};
use crate::{
    message::ReceiverId,
    store::{Count, Place, Row, Target},
};

/// What an operator has marked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Marks {
    /// These.
    Ids(BTreeSet<ReceiverId>),
    /// All that match, but for some.
    All {
        /// What must match.
        asked: Asked,
        /// But these.
        except: BTreeSet<ReceiverId>,
    },
}

impl Default for Marks {
    fn default() -> Self {
        Self::Ids(BTreeSet::new())
    }
}

impl Marks {
    /// Whether nothing is marked.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Ids(ids) if ids.is_empty())
    }

    /// Whom they mean; `None` when nothing is marked.
    pub fn target(&self) -> Option<Target> {
        match self {
            Self::Ids(ids) if ids.is_empty() => None,
            Self::Ids(ids) => Some(Target::Ids(ids.iter().copied().collect())),
            Self::All { asked, except } if except.is_empty() => {
                Some(Target::Query(asked.query.clone()))
            }
            Self::All { asked, except } => Some(Target::Except(
                asked.query.clone(),
                except.iter().copied().collect(),
            )),
        }
    }
}

/// How many are marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkCounts {
    /// In all.
    pub total: u64,
    /// Of them, those that the query does not show.
    pub hidden: u64,
}

impl State {
    /// Whether a row is marked.
    pub fn is_marked(&self, id: ReceiverId) -> bool {
        match &self.marks {
            Marks::Ids(ids) => ids.contains(&id),
            Marks::All { asked, except } => {
                let matches = if asked.query == self.table.asked.query {
                    self.table.gone != Some(id)
                } else {
                    self.table.marked.contains(&id)
                };
                matches && !except.contains(&id)
            }
        }
    }

    /// Whether a row would be marked if the range ended at the cursor.
    pub fn is_in_range(&self, row: &Row) -> bool {
        let Some((from, to)) = self.range_ends() else {
            return false;
        };
        let (sort, place) = (self.table.sort, Place::from(row));
        // A row that stays only for the cursor stands where it stood.
        self.table.cursor == Some(row.id)
            || (sort.compare(&from, &place).is_le() && sort.compare(&place, &to).is_le())
    }

    /// The ends of the range that has begun, the first one first.
    pub(in crate::console) fn range_ends(&self) -> Option<(Place, Place)> {
        let (from, to) = (self.range.clone()?, self.table.place.clone()?);
        Some(if self.table.sort.compare(&from, &to).is_le() {
            (from, to)
        } else {
            (to, from)
        })
    }

    /// How many are marked and how many of them are not among what the query shows; `None` while that is being counted.
    pub fn marked(&self) -> Option<MarkCounts> {
        self.marked_here().or(self.mark_counts)
    }

    /// The same, as far as it is known without asking.
    pub(in crate::console) fn marked_here(&self) -> Option<MarkCounts> {
        let table = &self.table;
        match &self.marks {
            Marks::Ids(ids) => {
                let all_seen =
                    table.asked.query.terms.is_empty() || ids.iter().all(|id| table.has(*id));
                all_seen.then_some(MarkCounts {
                    total: ids.len() as u64,
                    hidden: 0,
                })
            }
            Marks::All { asked, except }
                if except.is_empty() && asked.query == table.asked.query =>
            {
                match table.count {
                    Some(Count::Exact(total)) => Some(MarkCounts { total, hidden: 0 }),
                    _ => None,
                }
            }
            Marks::All { .. } => None,
        }
    }

    /// Whom an action means: the marks, else the row under the cursor.
    pub fn target(&self) -> Option<Target> {
        self.marks
            .target()
            .or_else(|| self.table.cursor.map(|id| Target::Ids(vec![id])))
    }
}
