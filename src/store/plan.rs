//! From a query to SQL: which index leads, and what is left to check on each row.
//!
//! A plan is a list of arms; each is walked by one index in the order that is asked for, and SQLite merges them. That is what makes the first
//! window as fast at ten million receivers as at ten. Where no index leads to what matches, the plan says so: see [`Scan`].

mod gather;
mod tally;
mod term;

use std::{collections::BTreeSet, fmt::Write as _};

use rusqlite::{Connection, OptionalExtension as _, params_from_iter, types::Value};

use super::model::Scan;
use crate::{
    message::{State, Status},
    query::Query,
};
use gather::{Exact, Gathered, balanced};
pub(super) use tally::Counter;
use tally::Tally;

/// So many receivers are read faster one by one than they are found by a word, or than another order is walked for them.
const FEW: u64 = 5_000;

/// More walks than this cost more than one over all of them (and SQLite joins 500 at most).
const ARMS: usize = 100;

/// To find one receiver among so many takes a look at each of them: that is a scan.
const SPARSE: u64 = 200;

/// Up to so many receivers are read within a moment.
const MOMENT: u64 = 20_000;

/// In which order the arms are walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Walk {
    /// By the id.
    Id,
    /// By the time of handing over, then by the id.
    Created,
    /// By the time of the last acceptance, then by the id; only receivers that have one.
    Sent,
}

impl Walk {
    /// The column that stands before the id.
    pub(super) const fn column(self) -> Option<&'static str> {
        match self {
            Self::Id => None,
            Self::Created => Some("r.created_at"),
            Self::Sent => Some("r.sent_at"),
        }
    }
}

/// A query made ready for SQLite.
pub(super) struct Plan {
    /// In which order.
    pub(super) walk: Walk,
    arms: Vec<Arm>,
    /// Conditions that every arm checks, each in parentheses, over `r`.
    rest: Vec<String>,
    /// Conditions over the stretches `z` of ids that are worth a look.
    stretches: Vec<String>,
    /// The values of `?1`, `?2` …
    pub(super) values: Vec<Value>,
    /// How many match, when the question is only about status, reason, type, backend and cause.
    pub(super) counted: Option<u64>,
    /// What makes it slow, if something does.
    pub(super) scan: Option<Scan>,
}

/// One index walk. `from` names the tables, `r` is the receiver, `id` its number in the leading table, `leading` the condition that the index serves.
struct Arm {
    from: String,
    id: &'static str,
    leading: String,
    /// It reads many rows, so that it should pass over whole stretches of ids.
    long: bool,
}

impl Arm {
    /// The way is never left to SQLite: it knows nothing about how many rows each has.
    fn by(index: &str, leading: String) -> Self {
        Self {
            from: format!("receiver r INDEXED BY {index}"),
            id: "r.id",
            leading,
            long: false,
        }
    }

    fn by_id(leading: String) -> Self {
        Self {
            from: "receiver r NOT INDEXED".to_owned(),
            id: "r.id",
            leading,
            long: false,
        }
    }

    fn long(self) -> Self {
        Self { long: true, ..self }
    }
}

impl Plan {
    /// Reads the query against the store's small tables (types, backends, counters, progress of the text index).
    pub(super) fn new(conn: &Connection, query: &Query) -> rusqlite::Result<Self> {
        Self::walking(conn, query, Walk::Id)
    }

    /// The same in another order.
    pub(super) fn walking(conn: &Connection, query: &Query, walk: Walk) -> rusqlite::Result<Self> {
        let mut all = Gathered::new(conn, query)?;
        let tally = Tally::read(conn)?;
        let of_causes = match &all.causes {
            None => None,
            causes => Some(Tally::read_causes(conn, causes.as_ref())?),
        };
        let matching = of_causes.as_ref().unwrap_or(&tally).sum(
            all.states.as_ref(),
            all.kinds.as_ref(),
            all.backends.as_ref(),
        );
        let narrowed = all.states.is_some()
            || all.kinds.is_some()
            || all.backends.is_some()
            || all.causes.is_some();
        if let Some(of_causes) = &of_causes {
            // Whoever is in another state has none of the causes: mostly those who were sent.
            let found = of_causes.among(all.states.as_ref(), None, None);
            all.states = Some(found.map(|counter| counter.state).collect());
        }
        if narrowed && matching <= FEW {
            // So few that walking them beats the text index, which proposes receivers of every status.
            all.matches.clear();
        }
        let counted = all.is_counted().then_some(matching);
        let nothing = matching == 0
            || all.ids.as_ref().is_some_and(BTreeSet::is_empty)
            || matches!(&all.exact, Some(Exact { places, .. }) if places.is_empty());
        let mut plan = Self {
            walk,
            arms: Vec::new(),
            rest: Vec::new(),
            stretches: std::mem::take(&mut all.stretches),
            values: Vec::new(),
            counted,
            scan: None,
        };
        if !nothing {
            plan.lead(conn, all, &tally, of_causes.as_ref(), matching)?;
        }
        Ok(plan)
    }

    /// Chooses the index that leads; what it does not serve becomes a condition on each row.
    fn lead(
        &mut self,
        conn: &Connection,
        mut all: Gathered,
        tally: &Tally,
        of_causes: Option<&Tally>,
        matching: u64,
    ) -> rusqlite::Result<()> {
        // What the chosen arms read at most, as far as that is known.
        let mut read = None;
        let few_ids = all.ids.is_some() || all.sending;
        self.arms = if let Some(ids) = all.ids.take() {
            vec![Arm::by_id(all.any_of("r.id", ids))]
        } else if all.sending {
            vec![Arm::by(
                "receiver_engine",
                "r.engine IS NOT NULL".to_owned(),
            )]
        } else if let Some(Exact {
            index,
            column,
            places,
        }) = all.exact.take()
        {
            if places.len() > ARMS {
                let any = format!("{column} IN ({})", places.join(", "));
                vec![Arm::by(index, any)]
            } else {
                let arm = |place| Arm::by(index, format!("{column} = {place}"));
                places.iter().map(arm).collect()
            }
        } else if !all.matches.is_empty() {
            self.text(conn, &mut all)?
        } else {
            let (arms, most) = sets(&all, tally, of_causes);
            read = Some(most);
            arms
        };
        let (wanted, of) = self.in_order(&all, tally, of_causes);
        if let Some(causes) = all.causes.take() {
            let condition = all.has_cause(&causes);
            all.rest.push(condition);
        }
        if let Some(states) = all.states.take() {
            let numbers = states.into_iter().map(|state| i64::from(state.number()));
            let condition = all.any_of("r.state", numbers);
            all.rest.push(condition);
        }
        for (column, set) in [
            ("r.kind_id", all.kinds.take()),
            ("r.backend_id", all.backends.take()),
        ] {
            if let Some(set) = set {
                let condition = all.any_of(column, set);
                all.rest.push(condition);
            }
        }
        self.rest = all.rest;
        self.values = all.values;
        let matters = self.walk != Walk::Id || !all.unserved.is_empty();
        let few = few_ids || (matters && self.are_few(conn, read)?);
        if self.walk != Walk::Id && !few {
            let (index, leading) = match self.walk {
                Walk::Sent => ("receiver_sent", "r.sent_at IS NOT NULL"),
                Walk::Id | Walk::Created => ("receiver_created", "1"),
            };
            self.arms = vec![Arm::by(index, leading.to_owned())];
            read = Some(of);
        }
        let receivers = read.unwrap_or(matching);
        let sparse = read.is_some_and(|read| wanted.saturating_mul(SPARSE) < read);
        if !few && receivers > MOMENT && (sparse || !all.unserved.is_empty()) {
            self.scan = Some(Scan {
                terms: all.unserved,
                receivers,
            });
        }
        Ok(())
    }
}

impl Plan {
    /// How many receivers that status, type, backend and cause allow stand in this order, and how many stand in it at all.
    fn in_order(&self, all: &Gathered, tally: &Tally, of_causes: Option<&Tally>) -> (u64, u64) {
        let (states, kinds, backends) = (&all.states, &all.kinds, &all.backends);
        let mut standing: BTreeSet<State> = match self.walk {
            // What was Sent once and is no longer is rare.
            Walk::Sent => Status::Sent.states().collect(),
            Walk::Id | Walk::Created => State::ALL.into(),
        };
        let all_of_them = tally.sum(Some(&standing), None, None);
        standing.retain(|state| states.as_ref().is_none_or(|states| states.contains(state)));
        let wanted =
            of_causes
                .unwrap_or(tally)
                .sum(Some(&standing), kinds.as_ref(), backends.as_ref());
        (wanted, all_of_them)
    }

    /// `SELECT id …` of what matches, in the plan's order or against it, at most `limit` rows (SQL). The bound, if there is one, is a comparison with
    /// places: of the id (`"< ?7"`), in other orders of the time and the id (`"< (?7, ?8)"`).
    pub(super) fn ids(&self, bound: Option<&str>, descending: bool, limit: &str) -> String {
        if self.arms.is_empty() {
            // The limit is the last value bound: naming it keeps the number of values right.
            return format!("SELECT id FROM receiver WHERE 0 LIMIT {limit}");
        }
        let direction = if descending { "DESC" } else { "ASC" };
        let (columns, order) = match self.walk {
            Walk::Id => ("id", format!("id {direction}")),
            Walk::Created | Walk::Sent => ("at, id", format!("at {direction}, id {direction}")),
        };
        let mut sql = "SELECT id FROM (".to_owned();
        for (index, arm) in self.arms.iter().enumerate() {
            let union = if index == 0 { "" } else { " UNION " };
            let arm = self.arm(arm, bound, direction, limit);
            let _ = write!(sql, "{union}SELECT {columns} FROM ({arm})");
        }
        let _ = write!(sql, " ORDER BY {order} LIMIT {limit})");
        sql
    }

    fn arm(&self, arm: &Arm, bound: Option<&str>, direction: &str, limit: &str) -> String {
        let Arm {
            from, id, leading, ..
        } = arm;
        let key = self.walk.column();
        let mut conditions = vec![leading.clone()];
        if let Some(bound) = bound {
            conditions.push(match key {
                None => format!("{id} {bound}"),
                Some(at) => format!("({at}, {id}) {bound}"),
            });
        }
        conditions.extend_from_slice(&self.rest);
        if key.is_none() && arm.long && !self.stretches.is_empty() {
            if let Some((side, place)) = bound.and_then(|bound| bound.split_once(' ')) {
                let side = side.trim_end_matches('=');
                conditions.push(format!("z.number {side}= ({place} >> 12)"));
            }
            conditions.extend_from_slice(&self.stretches);
            return format!(
                "SELECT {id} AS id FROM stretch z CROSS JOIN {from} ON {id} >= (z.number << 12) AND {id} < ((z.number + 1) << 12)
                 WHERE {} ORDER BY z.number {direction}, {id} {direction} LIMIT {limit}",
                balanced(&conditions, "AND")
            );
        }
        let (also, first) = key.map_or((String::new(), String::new()), |at| {
            (format!(", {at} AS at"), format!("{at} {direction}, "))
        });
        format!(
            "SELECT {id} AS id{also} FROM {from} WHERE {} ORDER BY {first}{id} {direction} LIMIT {limit}",
            balanced(&conditions, "AND")
        )
    }

    /// Binds one more value for a bound or a limit.
    pub(super) fn bind(&mut self, value: i64) -> String {
        self.values.push(value.into());
        format!("?{}", self.values.len())
    }

    /// The text index proposes; what it does not have yet is walked, so that a search never misses one.
    fn text(&self, conn: &Connection, all: &mut Gathered) -> rusqlite::Result<Vec<Arm>> {
        let upto: i64 = conn
            .query_row("SELECT upto FROM search_progress", [], |row| row.get(0))
            .optional()?
            .unwrap_or(0);
        let upto = all.bind(upto);
        let text = balanced(&all.matches, "AND");
        let text = all.bind(text);
        let mut proposed = format!("s.search MATCH {text} AND s.rowid <= {upto}");
        if !self.stretches.is_empty() {
            // It cannot pass over stretches in between, but it need not begin before the first nor go on behind the last.
            let mut ends = conn.prepare(&format!(
                "SELECT min(number) << 12, (max(number) + 1) << 12 FROM stretch z WHERE {}",
                balanced(&self.stretches, "AND")
            ))?;
            let values = all.values.iter().take(ends.parameter_count());
            let (from, until): (Option<i64>, Option<i64>) = ends
                .query_row(params_from_iter(values), |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })?;
            let (Some(from), Some(until)) = (from, until) else {
                return Ok(Vec::new());
            };
            let (from, until) = (all.bind(from), all.bind(until));
            let _ = write!(proposed, " AND s.rowid >= {from} AND s.rowid < {until}");
        }
        let mut arms = vec![
            Arm {
                from: "search s CROSS JOIN receiver r NOT INDEXED ON r.id = s.rowid".to_owned(),
                id: "s.rowid",
                leading: proposed,
                long: false,
            },
            Arm::by_id(format!("r.id > {upto}")).long(),
        ];
        let numbers = std::mem::take(&mut all.numbers);
        if !numbers.is_empty() {
            arms.push(Arm::by_id(all.any_of("r.id", numbers)));
        }
        Ok(arms)
    }

    /// Whether the arms lead to so few receivers that these are read and sorted: `read`, if the counters told, else a look at the indexes.
    fn are_few(&self, conn: &Connection, read: Option<u64>) -> rusqlite::Result<bool> {
        if let Some(read) = read {
            return Ok(read <= FEW);
        }
        let mut found = 0;
        for Arm { from, leading, .. } in &self.arms {
            let sql = format!(
                "SELECT count(*) FROM (SELECT 1 FROM {from} WHERE {leading} LIMIT {})",
                FEW + 1
            );
            let mut count = conn.prepare(&sql)?;
            let values = self.values.iter().take(count.parameter_count());
            found += count.query_row(params_from_iter(values), |row| row.get::<_, i64>(0))?;
        }
        Ok(found as u64 <= FEW)
    }
}

/// Receivers per cause, backend, type and state that match the query, where the counters alone tell.
pub(super) fn by_cause(conn: &Connection, query: &Query) -> rusqlite::Result<Option<Vec<Counter>>> {
    let all = Gathered::new(conn, query)?;
    if !all.is_counted() {
        return Ok(None);
    }
    let tally = Tally::read_causes(conn, all.causes.as_ref())?;
    let counters = tally.among(
        all.states.as_ref(),
        all.kinds.as_ref(),
        all.backends.as_ref(),
    );
    Ok(Some(counters.collect()))
}

/// Of the walks that causes, types, states or backends lead to the shortest, and how long it is.
fn sets(all: &Gathered, tally: &Tally, of_causes: Option<&Tally>) -> (Vec<Arm>, u64) {
    let (states, kinds, backends) = (
        all.states.as_ref(),
        all.kinds.as_ref(),
        all.backends.as_ref(),
    );
    let everything = (
        vec![Arm::by_id("1".to_owned())],
        tally.sum(None, None, None),
    );
    let mut ways = vec![everything];
    if let Some(states) = states {
        let arms = states
            .iter()
            .map(|state| Arm::by("receiver_state", format!("r.state = {}", state.number())));
        ways.push((arms.collect(), tally.sum(Some(states), None, None)));
    }
    if kinds.is_some() {
        let pairs = tally.kinds_and_states(states, kinds);
        let arms = pairs.iter().map(|(kind, state)| {
            let leading = format!("r.kind_id = {kind} AND r.state = {}", state.number());
            Arm::by("receiver_kind", leading)
        });
        ways.push((arms.collect(), tally.sum(states, kinds, None)));
    }
    if let Some(backends) = backends {
        let arms = backends
            .iter()
            .map(|backend| Arm::by("receiver_backend", format!("r.backend_id = {backend}")));
        ways.push((arms.collect(), tally.sum(None, None, Some(backends))));
    }
    if let Some(tally) = of_causes {
        let pairs: BTreeSet<_> = tally
            .among(states, None, None)
            .map(|counter| (counter.cause, counter.state))
            .collect();
        let arms = pairs.iter().map(|(cause, state)| {
            let leading = format!("r.cause_id = {cause} AND r.state = {}", state.number());
            Arm::by("receiver_cause", leading)
        });
        ways.push((arms.collect(), tally.sum(states, None, None)));
    }
    let shortest = ways
        .into_iter()
        .filter(|(arms, _)| arms.len() <= ARMS)
        .min_by_key(|(arms, most)| (*most, arms.len()));
    let (arms, most) = shortest.unwrap_or_default();
    (arms.into_iter().map(Arm::long).collect(), most)
}
