//! How many receivers have which backend, type, state and cause, from the counters: what a plan knows before it reads a single one.

use std::collections::BTreeSet;

use rusqlite::{Connection, Row};

use crate::{
    message::State,
    store::{cause, window::read_state},
};

/// The counters, as they are now.
pub(super) struct Tally(Vec<Counter>);

/// How many receivers have all of this.
#[derive(Clone, Copy)]
pub(in crate::store) struct Counter {
    /// The cause of their last try; 0 where that was not asked.
    pub(in crate::store) cause: i64,
    pub(in crate::store) backend: i64,
    pub(in crate::store) kind: i64,
    pub(in crate::store) state: State,
    pub(in crate::store) n: u64,
}

impl Tally {
    pub(super) fn read(conn: &Connection) -> rusqlite::Result<Self> {
        let mut statement = conn
            .prepare_cached("SELECT backend_id, kind_id, state, n, 0 FROM counter WHERE n > 0")?;
        let rows = statement.query_map([], Counter::read)?;
        Ok(Self(rows.collect::<Result<_, _>>()?))
    }

    /// Only of receivers with one of these causes; `None`: with any.
    pub(super) fn read_causes(
        conn: &Connection,
        causes: Option<&BTreeSet<i64>>,
    ) -> rusqlite::Result<Self> {
        let mut statement = conn.prepare_cached(match causes {
            None => "SELECT backend_id, kind_id, state, n, cause_id FROM cause_counter WHERE ? IS NULL",
            Some(_) => {
                "SELECT backend_id, kind_id, state, n, cause_id FROM cause_counter WHERE cause_id IN (SELECT value FROM json_each(?))"
            }
        })?;
        let rows = statement.query_map([causes.map(cause::id_list)], Counter::read)?;
        Ok(Self(rows.collect::<Result<_, _>>()?))
    }

    /// What counts for these states, types and backends; `None`: whichever.
    pub(super) fn among(
        &self,
        states: Option<&BTreeSet<State>>,
        kinds: Option<&BTreeSet<i64>>,
        backends: Option<&BTreeSet<i64>>,
    ) -> impl Iterator<Item = Counter> {
        self.0.iter().copied().filter(move |counter| {
            states.is_none_or(|states| states.contains(&counter.state))
                && kinds.is_none_or(|kinds| kinds.contains(&counter.kind))
                && backends.is_none_or(|backends| backends.contains(&counter.backend))
        })
    }

    /// How many have one of these states, types and backends; `None`: whichever.
    pub(super) fn sum(
        &self,
        states: Option<&BTreeSet<State>>,
        kinds: Option<&BTreeSet<i64>>,
        backends: Option<&BTreeSet<i64>>,
    ) -> u64 {
        let counters = self.among(states, kinds, backends);
        counters.map(|counter| counter.n).sum()
    }

    /// The types and states among these that anybody has.
    pub(super) fn kinds_and_states(
        &self,
        states: Option<&BTreeSet<State>>,
        kinds: Option<&BTreeSet<i64>>,
    ) -> BTreeSet<(i64, State)> {
        self.among(states, kinds, None)
            .map(|counter| (counter.kind, counter.state))
            .collect()
    }
}

impl Counter {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            backend: row.get(0)?,
            kind: row.get(1)?,
            state: read_state(row, 2)?,
            n: row.get::<_, i64>(3)? as u64,
            cause: row.get(4)?,
        })
    }
}
