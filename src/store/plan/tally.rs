//! How many receivers have which backend, type and state, from the counters: what a plan knows before it reads a single one.

use std::collections::BTreeSet;

use rusqlite::Connection;

use crate::{message::State, store::window::read_state};

/// The counters, as they are now.
pub(super) struct Tally(Vec<Counter>);

struct Counter {
    backend: i64,
    kind: i64,
    state: State,
    n: u64,
}

impl Tally {
    pub(super) fn read(conn: &Connection) -> rusqlite::Result<Self> {
        let mut statement =
            conn.prepare_cached("SELECT backend_id, kind_id, state, n FROM counter WHERE n > 0")?;
        let rows = statement.query_map([], |row| {
            Ok(Counter {
                backend: row.get(0)?,
                kind: row.get(1)?,
                state: read_state(row, 2)?,
                n: row.get::<_, i64>(3)? as u64,
            })
        })?;
        Ok(Self(rows.collect::<Result<_, _>>()?))
    }

    /// How many have one of these states, types and backends; `None`: whichever.
    pub(super) fn sum(
        &self,
        states: Option<&BTreeSet<State>>,
        kinds: Option<&BTreeSet<i64>>,
        backends: Option<&BTreeSet<i64>>,
    ) -> u64 {
        let counters = self.0.iter().filter(|counter| {
            states.is_none_or(|states| states.contains(&counter.state))
                && kinds.is_none_or(|kinds| kinds.contains(&counter.kind))
                && backends.is_none_or(|backends| backends.contains(&counter.backend))
        });
        counters.map(|counter| counter.n).sum()
    }

    /// The types and states among these that anybody has.
    pub(super) fn kinds_and_states(
        &self,
        states: Option<&BTreeSet<State>>,
        kinds: Option<&BTreeSet<i64>>,
    ) -> BTreeSet<(i64, State)> {
        let counters = self.0.iter().filter(|counter| {
            states.is_none_or(|states| states.contains(&counter.state))
                && kinds.is_none_or(|kinds| kinds.contains(&counter.kind))
        });
        counters
            .map(|counter| (counter.kind, counter.state))
            .collect()
    }
}
