//! From the terms of a query to conditions in SQL, and to what could lead a walk.

use std::{collections::BTreeSet, fmt::Write as _};

use rusqlite::{Connection, types::Value};

use crate::{
    message::{Delivery, Reason, State},
    query::{Code, Is, Predicate, Query, Term, To, When},
    store::{millis, search},
};

/// What is gathered while the terms are read.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) states: Option<BTreeSet<State>>,
    pub(super) kinds: Option<BTreeSet<i64>>,
    pub(super) backends: Option<BTreeSet<i64>>,
    pub(super) ids: Option<BTreeSet<i64>>,
    pub(super) exact: Option<String>,
    pub(super) sending: bool,
    pub(super) matches: Vec<String>,
    pub(super) numbers: Vec<i64>,
    pub(super) rest: Vec<String>,
    pub(super) values: Vec<Value>,
}

impl Gathered {
    /// Reads the terms against the store's small tables.
    pub(super) fn new(conn: &Connection, query: &Query) -> rusqlite::Result<Self> {
        let mut all = Self::default();
        for term in &query.terms {
            add_term(conn, &mut all, term)?;
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
}

/// Narrows a set that is still open (`None`) or already narrowed.
fn narrow<T: Ord + Clone>(set: &mut Option<BTreeSet<T>>, found: BTreeSet<T>) {
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
