//! From a query to SQL: which index leads, and what is left to check on each row.
//!
//! A plan is a list of arms; each is walked by one index in the order of the id, and SQLite merges them. That is what makes the first window
//! as fast at ten million receivers as at ten.

mod gather;

use std::{collections::BTreeSet, fmt::Write as _};

use rusqlite::{Connection, OptionalExtension as _, types::Value};

use super::window::read_state;
use crate::{message::State, query::Query};
use gather::{Gathered, balanced};

/// So many receivers are read faster one by one than they are found by a word.
const FEW: u64 = 5_000;

/// More walks than this cost more than one over all of them (and SQLite joins 500 at most).
const ARMS: usize = 100;

/// A query made ready for SQLite.
pub(super) struct Plan {
    arms: Vec<Arm>,
    /// Conditions that every arm checks, each in parentheses, over `r`.
    rest: Vec<String>,
    /// The values of `?1`, `?2` …
    pub(super) values: Vec<Value>,
    /// The question is only about status, reason, type and backend: the counters answer it.
    pub(super) counted: Option<Counted>,
}

/// A question that the counters answer.
pub(super) struct Counted {
    pub(super) states: BTreeSet<State>,
    pub(super) kinds: Option<BTreeSet<i64>>,
    pub(super) backends: Option<BTreeSet<i64>>,
}

impl Counted {
    /// How many receivers that is.
    pub(super) fn sum(&self, conn: &Connection) -> rusqlite::Result<u64> {
        let mut total = 0;
        let mut statement =
            conn.prepare_cached("SELECT backend_id, kind_id, state, n FROM counter")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (backend, kind, state): (i64, i64, State) =
                (row.get(0)?, row.get(1)?, read_state(row, 2)?);
            let wanted = self.states.contains(&state)
                && self
                    .kinds
                    .as_ref()
                    .is_none_or(|kinds| kinds.contains(&kind))
                && self
                    .backends
                    .as_ref()
                    .is_none_or(|backends| backends.contains(&backend));
            if wanted {
                total += row.get::<_, i64>(3)? as u64;
            }
        }
        Ok(total)
    }
}

/// One index walk. `from` names the tables, `r` is the receiver, `id` its number in the leading table, `leading` the condition that the index serves.
struct Arm {
    from: &'static str,
    id: &'static str,
    leading: String,
}

impl Arm {
    fn receiver(leading: String) -> Self {
        Self {
            from: "receiver r",
            id: "r.id",
            leading,
        }
    }
}

impl Plan {
    /// Reads the query against the store's small tables (types, backends, progress of the text index).
    pub(super) fn new(conn: &Connection, query: &Query) -> rusqlite::Result<Self> {
        let mut all = Gathered::new(conn, query)?;
        let states = all
            .states
            .clone()
            .unwrap_or_else(|| State::ALL.into_iter().collect());
        let counted = Counted {
            states: states.clone(),
            kinds: all.kinds.clone(),
            backends: all.backends.clone(),
        };
        let narrowed = all.states.is_some() || all.kinds.is_some() || all.backends.is_some();
        if narrowed && !all.matches.is_empty() && counted.sum(conn)? <= FEW {
            // So few that walking them beats the text index, which proposes receivers of every status.
            all.matches.clear();
        }
        let only_counted = all.rest.is_empty()
            && all.ids.is_none()
            && all.exact.is_none()
            && all.matches.is_empty()
            && !all.sending;
        let arms = lead(conn, &mut all, &states)?;
        Ok(Self {
            arms,
            rest: all.rest,
            values: all.values,
            counted: only_counted.then_some(counted),
        })
    }

    /// `SELECT id …` of what matches, with a bound on the id (`"< ?7"`) if there is one, in the given order, at most `limit` rows (SQL).
    pub(super) fn ids(&self, bound: Option<&str>, descending: bool, limit: &str) -> String {
        let order = if descending { "DESC" } else { "ASC" };
        let mut sql = String::new();
        for (index, arm) in self.arms.iter().enumerate() {
            let union = if index == 0 { "" } else { " UNION " };
            let Arm { from, id, leading } = arm;
            let _ = write!(
                sql,
                "{union}SELECT id FROM (SELECT {id} AS id FROM {from} WHERE {leading}"
            );
            if let Some(bound) = bound {
                let _ = write!(sql, " AND {id} {bound}");
            }
            if !self.rest.is_empty() {
                let _ = write!(sql, " AND {}", balanced(&self.rest, "AND"));
            }
            let _ = write!(sql, " ORDER BY {id} {order} LIMIT {limit})");
        }
        if self.arms.is_empty() {
            // The limit is the last value bound: naming it keeps the number of values right.
            return format!("SELECT id FROM receiver WHERE 0 LIMIT {limit}");
        }
        let _ = write!(sql, " ORDER BY id {order} LIMIT {limit}");
        sql
    }

    /// Binds one more value for a bound or a limit.
    pub(super) fn bind(&mut self, value: i64) -> String {
        self.values.push(value.into());
        format!("?{}", self.values.len())
    }
}

/// Chooses the index that leads; what it does not serve becomes a condition on each row.
fn lead(
    conn: &Connection,
    all: &mut Gathered,
    states: &BTreeSet<State>,
) -> rusqlite::Result<Vec<Arm>> {
    let every_state = states.len() == State::ALL.len();
    let state_numbers: Vec<i64> = states
        .iter()
        .map(|state| i64::from(state.number()))
        .collect();
    let single = |leading: String| vec![Arm::receiver(leading)];
    let mut kinds_in_rest = true;
    let mut states_in_rest = true;
    if states.is_empty()
        || all.kinds.as_ref().is_some_and(BTreeSet::is_empty)
        || all.backends.as_ref().is_some_and(BTreeSet::is_empty)
        || all.ids.as_ref().is_some_and(BTreeSet::is_empty)
    {
        return Ok(Vec::new());
    }
    let arms =
        if let Some(ids) = all.ids.take() {
            single(all.any_of("r.id", ids))
        } else if let Some(exact) = all.exact.take() {
            single(exact)
        } else if all.sending {
            single("r.engine IS NOT NULL".to_owned())
        } else if !all.matches.is_empty() {
            let upto: i64 = conn
                .query_row("SELECT upto FROM search_progress", [], |row| row.get(0))
                .optional()?
                .unwrap_or(0);
            let upto = all.bind(upto);
            let text = balanced(&all.matches, "AND");
            let text = all.bind(text);
            let mut arms = vec![
                Arm {
                    from: "search s CROSS JOIN receiver r ON r.id = s.rowid",
                    id: "s.rowid",
                    leading: format!("s.search MATCH {text} AND s.rowid <= {upto}"),
                },
                // Not indexed yet: walked, so that a search never misses one.
                Arm::receiver(format!("r.id > {upto}")),
            ];
            let numbers = std::mem::take(&mut all.numbers);
            if !numbers.is_empty() {
                arms.push(Arm::receiver(all.any_of("r.id", numbers)));
            }
            arms
        } else if let Some(kinds) = all
            .kinds
            .clone()
            .filter(|kinds| kinds.len() * states.len() <= ARMS)
        {
            kinds_in_rest = false;
            states_in_rest = false;
            let mut arms = Vec::new();
            for kind in kinds {
                let kind = all.bind(kind);
                arms.extend(state_numbers.iter().map(|state| {
                    Arm::receiver(format!("r.kind_id = {kind} AND r.state = {state}"))
                }));
            }
            arms
        } else if every_state {
            single("1".to_owned())
        } else {
            states_in_rest = false;
            state_numbers
                .iter()
                .map(|state| Arm::receiver(format!("r.state = {state}")))
                .collect()
        };
    if states_in_rest && !every_state {
        let condition = all.any_of("r.state", state_numbers);
        all.rest.push(condition);
    }
    if kinds_in_rest && let Some(kinds) = all.kinds.clone() {
        let condition = all.any_of("r.kind_id", kinds);
        all.rest.push(condition);
    }
    if let Some(backends) = all.backends.clone() {
        let condition = all.any_of("r.backend_id", backends);
        all.rest.push(condition);
    }
    Ok(arms)
}
