//! From a query to SQL: which index leads, and what is left to check on each row.
//!
//! A plan is a list of arms; each is walked by one index in the order of the id, and SQLite merges them. That is what makes the first window
//! as fast at ten million receivers as at ten.

use std::{collections::BTreeSet, fmt::Write as _};

use rusqlite::{Connection, OptionalExtension as _, types::Value};

use super::{millis, search, window::read_state};
use crate::{
    message::{Delivery, Reason, State},
    query::{Code, Is, Predicate, Query, Term, To, When},
};

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

/// What is gathered while the terms are read.
#[derive(Default)]
struct Gathered {
    states: Option<BTreeSet<State>>,
    kinds: Option<BTreeSet<i64>>,
    backends: Option<BTreeSet<i64>>,
    ids: Option<BTreeSet<i64>>,
    exact: Option<String>,
    sending: bool,
    matches: Vec<String>,
    numbers: Vec<i64>,
    rest: Vec<String>,
    values: Vec<Value>,
}

impl Gathered {
    fn bind(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("?{}", self.values.len())
    }

    /// `column IN (…)`, or what has the same meaning for an empty list.
    fn any_of<T: Into<Value>>(
        &mut self,
        column: &str,
        values: impl IntoIterator<Item = T>,
    ) -> String {
        let places: Vec<String> = values.into_iter().map(|value| self.bind(value)).collect();
        format!("{column} IN ({})", places.join(", "))
    }
}

/// Narrows a set that is still open (`None`) or already narrowed.
fn narrow<T: Ord + Clone>(set: &mut Option<BTreeSet<T>>, found: BTreeSet<T>) {
    *set = Some(match set.take() {
        None => found,
        Some(before) => before.intersection(&found).cloned().collect(),
    });
}

/// The conditions, each in parentheses, as a tree: SQLite allows a depth of 1,000, and a list that was pasted is longer.
fn balanced(conditions: &[String], operator: &str) -> String {
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

impl Plan {
    /// Reads the query against the store's small tables (types, backends, progress of the text index).
    pub(super) fn new(conn: &Connection, query: &Query) -> rusqlite::Result<Self> {
        let mut all = Gathered::default();
        for term in &query.terms {
            add_term(conn, &mut all, term)?;
        }
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

fn add_term(conn: &Connection, all: &mut Gathered, term: &Term) -> rusqlite::Result<()> {
    let states_where = |keep: &dyn Fn(State) -> bool| -> BTreeSet<State> {
        State::ALL
            .into_iter()
            .filter(|state| keep(*state) != term.negated)
            .collect()
    };
    match &term.predicate {
        Predicate::Status(list) => narrow(
            &mut all.states,
            states_where(&|state| list.contains(&state.status())),
        ),
        Predicate::Reason(list) => narrow(
            &mut all.states,
            states_where(&|state| list.contains(&state.reason())),
        ),
        Predicate::Type(list) => narrow(&mut all.kinds, named(conn, "kind", list, term.negated)?),
        Predicate::Backend(list) => narrow(
            &mut all.backends,
            named(conn, "backend", list, term.negated)?,
        ),
        Predicate::Id(list) if !term.negated => {
            narrow(&mut all.ids, list.iter().copied().collect());
        }
        Predicate::Is(list) if list.as_slice() == [Is::Held] => {
            narrow(
                &mut all.states,
                states_where(&|state| state.reason() == Reason::Held),
            );
        }
        Predicate::Is(list) if list.as_slice() == [Is::Sending] && !term.negated => {
            all.sending = true;
        }
        predicate => {
            let condition = condition(conn, all, predicate, term.negated)?;
            let condition = if term.negated {
                format!("NOT ({condition})")
            } else {
                condition
            };
            all.rest.push(condition);
        }
    }
    Ok(())
}

/// What is checked on each row. On the way it notes which index could lead.
fn condition(
    conn: &Connection,
    all: &mut Gathered,
    predicate: &Predicate,
    negated: bool,
) -> rusqlite::Result<String> {
    let sql = match predicate {
        Predicate::Id(list) => all.any_of("r.id", list.iter().copied()),
        Predicate::Language(list) => all.any_of(
            "lower(r.language)",
            list.iter().map(|tag| tag.to_lowercase()),
        ),
        Predicate::User(list) => whole(all, "r.user", list, negated),
        Predicate::To(list) => {
            let identities: Vec<String> = list
                .iter()
                .filter_map(|to| {
                    if let To::Identity(identity) = to {
                        Some(identity.clone())
                    } else {
                        None
                    }
                })
                .collect();
            let mut conditions = Vec::new();
            if !identities.is_empty() {
                let negated = negated || identities.len() < list.len();
                conditions.push(whole(all, "r.identity", &identities, negated));
            }
            for to in list {
                if let To::Domain(domain) = to {
                    let suffix = all.bind(format!("@{}", search::fold(domain)));
                    conditions.push(format!("postroom_ends({suffix}, r.identity)"));
                }
            }
            balanced(&conditions, "OR")
        }
        Predicate::Key(list) => {
            let mut messages = BTreeSet::new();
            for key in list {
                let mut statement =
                    conn.prepare_cached("SELECT id FROM message WHERE key = ? COLLATE NOCASE")?;
                for id in statement.query_map([key], |row| row.get::<_, i64>(0))? {
                    messages.insert(id?);
                }
            }
            let condition = all.any_of("r.message_id", messages);
            if !negated && all.exact.is_none() {
                all.exact = Some(condition.clone());
            }
            condition
        }
        Predicate::Subject(list) => text(
            all,
            list,
            negated,
            &["(SELECT subject FROM content WHERE content.id = r.content_id)"],
            false,
        ),
        Predicate::Words(list) => text(
            all,
            list,
            negated,
            &[
                "(SELECT subject FROM content WHERE content.id = r.content_id)",
                "r.user",
                "r.identity",
            ],
            true,
        ),
        Predicate::Code(list) => {
            const LAST: &str = "SELECT 1 FROM attempt a WHERE a.receiver_id = r.id AND a.epoch = (SELECT max(epoch) FROM attempt WHERE receiver_id = r.id)";
            let (mut replies, mut enhanced) = (BTreeSet::new(), BTreeSet::new());
            for code in list {
                match code {
                    Code::Reply(code) => drop(replies.insert(i64::from(*code))),
                    Code::Enhanced(code) => drop(enhanced.insert(code.clone())),
                }
            }
            let replies = all.any_of("a.code", replies);
            let enhanced = all.any_of("a.enhanced", enhanced);
            format!("EXISTS ({LAST} AND ({replies} OR {enhanced}))")
        }
        Predicate::Failed(list) => {
            let conditions: Vec<String> = list
                .iter()
                .map(|range| {
                    let (from, until) = (all.bind(range.start), all.bind(range.end));
                    format!("(r.failed_count >= {from} AND r.failed_count < {until})")
                })
                .collect();
            balanced(&conditions, "OR")
        }
        Predicate::Sent(list) => when(all, "r.sent_at", list),
        Predicate::Created(list) => when(all, "r.created_at", list),
        Predicate::Is(list) => {
            let conditions: Vec<String> = list
                .iter()
                .map(|is| match is {
                    Is::Sending => "r.engine IS NOT NULL".to_owned(),
                    Is::Held => format!(
                        "r.state IN ({}, {})",
                        State::Held.number(),
                        State::FailedHeld.number()
                    ),
                    Is::Scheduled => {
                        format!(
                            "r.engine IS NULL AND r.due_at > {}",
                            all.bind(millis(chrono::Utc::now()))
                        )
                    }
                })
                .collect();
            // `due_at` is NULL where nothing is due: that is no, not unknown.
            format!("coalesce({}, 0)", balanced(&conditions, "OR"))
        }
        Predicate::Delivery(list) => {
            let name = |delivery: &Delivery| match delivery {
                Delivery::Pending => "pending".to_owned(),
                Delivery::Delivered => "delivered".to_owned(),
                Delivery::Undelivered => "undelivered".to_owned(),
            };
            all.any_of("coalesce(r.delivery, '')", list.iter().map(name))
        }
        // These have sets of their own.
        Predicate::Status(_)
        | Predicate::Reason(_)
        | Predicate::Type(_)
        | Predicate::Backend(_) => "1".to_owned(),
    };
    Ok(sql)
}

/// The numbers of the rows of a small table whose name is one of the list, case ignored; or all the others.
fn named(
    conn: &Connection,
    table: &str,
    list: &[String],
    negated: bool,
) -> rusqlite::Result<BTreeSet<i64>> {
    let wanted: BTreeSet<String> = list.iter().map(|name| search::fold(name)).collect();
    let mut statement = conn.prepare_cached(&format!("SELECT id, name FROM {table}"))?;
    let rows = statement.query_map([], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
    })?;
    let mut found = BTreeSet::new();
    for row in rows {
        let (id, name) = row?;
        if wanted.contains(&search::fold(&name)) != negated {
            found.insert(id);
        }
    }
    Ok(found)
}

/// `column` equals one of the values, case ignored. In ASCII the index of that column leads; beyond, the text index does.
fn whole(all: &mut Gathered, column: &str, list: &[String], negated: bool) -> String {
    if list.iter().all(|value| value.is_ascii()) {
        let condition = all.any_of(&format!("{column} COLLATE NOCASE"), list.iter().cloned());
        if !negated && all.exact.is_none() {
            all.exact = Some(condition.clone());
        }
        return format!("coalesce({condition}, 0)");
    }
    note_match(all, list, negated);
    let conditions: Vec<String> = list
        .iter()
        .map(|value| format!("postroom_is({}, {column})", all.bind(search::fold(value))))
        .collect();
    balanced(&conditions, "OR")
}

/// One of the columns contains one of the words; words under three letters must stand at the beginning.
fn text(
    all: &mut Gathered,
    list: &[String],
    negated: bool,
    columns: &[&str],
    numbers_are_ids: bool,
) -> String {
    note_match(all, list, negated);
    let mut conditions = Vec::new();
    for word in list {
        let folded = search::fold(word);
        let function = if folded.chars().count() < 3 {
            "postroom_begins"
        } else {
            "postroom_has"
        };
        let place = all.bind(folded);
        conditions.extend(
            columns
                .iter()
                .map(|column| format!("{function}({place}, {column})")),
        );
        if numbers_are_ids && let Ok(number) = word.parse::<i64>() {
            let place = all.bind(number);
            conditions.push(format!("r.id = {place}"));
            if !negated {
                all.numbers.push(number);
            }
        }
    }
    balanced(&conditions, "OR")
}

/// Lets the text index lead, if it can serve every alternative.
fn note_match(all: &mut Gathered, list: &[String], negated: bool) {
    let trigrams: Option<Vec<String>> = list
        .iter()
        .map(|word| search::match_expression(word))
        .collect();
    if let Some(trigrams) = trigrams.filter(|_| !negated) {
        all.matches.push(format!("({})", balanced(&trigrams, "OR")));
    }
}

fn when(all: &mut Gathered, column: &str, list: &[When]) -> String {
    let conditions: Vec<String> = list
        .iter()
        .map(|when| match when {
            When::Never => format!("{column} IS NULL"),
            When::Any => format!("{column} IS NOT NULL"),
            When::Between(from, until) => {
                let mut condition = format!("({column} IS NOT NULL");
                if let Some(from) = from {
                    let _ = write!(condition, " AND {column} >= {}", all.bind(millis(*from)));
                }
                if let Some(until) = until {
                    let _ = write!(condition, " AND {column} < {}", all.bind(millis(*until)));
                }
                condition + ")"
            }
        })
        .collect();
    balanced(&conditions, "OR")
}
