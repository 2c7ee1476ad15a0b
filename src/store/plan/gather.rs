//! What the terms of a query come to: conditions in SQL, and what could lead a walk.

use std::collections::BTreeSet;

use rusqlite::{Connection, types::Value};

use super::term;
use crate::{message::State, query::Query, store::cause};

/// What is gathered while the terms are read.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) states: Option<BTreeSet<State>>,
    pub(super) kinds: Option<BTreeSet<i64>>,
    pub(super) backends: Option<BTreeSet<i64>>,
    pub(super) causes: Option<BTreeSet<i64>>,
    pub(super) ids: Option<BTreeSet<i64>>,
    /// Walks that one index of equal values serves, together all that can match.
    pub(super) exact: Option<Exact>,
    pub(super) sending: bool,
    /// Conditions for the text index.
    pub(super) matches: Vec<String>,
    /// Ids that a bare number also means.
    pub(super) numbers: Vec<i64>,
    /// Conditions over `z`, the stretches of ids in which anything can match.
    pub(super) stretches: Vec<String>,
    /// Conditions over `r`, to be checked on each row.
    pub(super) rest: Vec<String>,
    /// The terms that nothing above serves: only looking at each row tells.
    pub(super) unserved: Vec<String>,
    pub(super) values: Vec<Value>,
}

/// An index, its first column, and the places of the values that are asked for: each is walked in the order of the id.
pub(super) struct Exact {
    pub(super) index: &'static str,
    pub(super) column: String,
    pub(super) places: Vec<String>,
}

impl Gathered {
    /// Reads the terms against the store's small tables.
    pub(super) fn new(conn: &Connection, query: &Query) -> rusqlite::Result<Self> {
        let mut all = Self::default();
        for term in &query.terms {
            term::add(conn, &mut all, term)?;
        }
        Ok(all)
    }

    pub(super) fn bind(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("?{}", self.values.len())
    }

    /// `column IN (…)`, or what has the same meaning for an empty list.
    pub(super) fn any_of<T: Into<Value>>(
        &mut self,
        column: &str,
        values: impl IntoIterator<Item = T>,
    ) -> String {
        let places: Vec<String> = values.into_iter().map(|value| self.bind(value)).collect();
        format!("{column} IN ({})", places.join(", "))
    }

    /// Whether the cause is one of these: for a row that has none, no.
    pub(super) fn has_cause(&mut self, causes: &BTreeSet<i64>) -> String {
        let causes = self.bind(cause::id_list(causes));
        format!("coalesce(r.cause_id IN (SELECT value FROM json_each({causes})), 0)")
    }

    /// Whether it is all about what the counters count.
    pub(super) fn is_counted(&self) -> bool {
        self.rest.is_empty() && self.ids.is_none() && !self.sending
    }

    /// Lets an index of equal values lead, unless one does already.
    pub(super) fn note_exact<T: Into<Value>>(
        &mut self,
        index: &'static str,
        column: &str,
        values: impl IntoIterator<Item = T>,
    ) {
        if self.exact.is_some() {
            return;
        }
        let places = values.into_iter().map(|value| self.bind(value)).collect();
        self.exact = Some(Exact {
            index,
            column: column.to_owned(),
            places,
        });
    }
}

/// Narrows a set that is still open (`None`) or already narrowed.
pub(super) fn narrow<T: Ord + Clone>(set: &mut Option<BTreeSet<T>>, found: BTreeSet<T>) {
    *set = Some(match set.take() {
        None => found,
        Some(before) => before.intersection(&found).cloned().collect(),
    });
}

/// The conditions, each in parentheses, as a tree: SQLite allows a depth of 1,000, and a list that was pasted is longer.
pub(super) fn balanced(conditions: &[String], operator: &str) -> String {
    match conditions {
        [] => "0".to_owned(),
        [only] => format!("({only})"),
        several => {
            let (left, right) = several.split_at(several.len() / 2);
            format!(
                "({} {operator} {})",
                balanced(left, operator),
                balanced(right, operator)
            )
        }
    }
}
