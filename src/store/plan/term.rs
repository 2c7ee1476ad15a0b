//! From one term of a query to its condition in SQL, and to what could lead a walk.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use rusqlite::Connection;

use super::gather::{Gathered, balanced, narrow};
use crate::{
    message::{Reason, State, Status, Timestamp},
    query::{Code, Is, Predicate, Term, To, When},
    store::{cause, millis, search},
};

const SUBJECT: &str = "(SELECT subject FROM content WHERE content.id = r.content_id)";

/// Adds what one term says.
pub(super) fn add(conn: &Connection, all: &mut Gathered, term: &Term) -> rusqlite::Result<()> {
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
        Predicate::Cause(list) if !term.negated => {
            narrow(&mut all.causes, cause::with_merged(conn, list)?);
            narrow(&mut all.states, states_where(&is_no_success));
        }
        Predicate::Code(list) if !term.negated && list.iter().all(is_refusal) => {
            let codes: Vec<&Code> = list.iter().collect();
            narrow(&mut all.causes, cause::with_code(conn, &codes)?);
            all.rest.push(NOT_TRYING.to_owned());
        }
        Predicate::Is(list) if list.as_slice() == [Is::Held] => {
            narrow(
                &mut all.states,
                states_where(&|state| state.reason() == Reason::Held),
            );
        }
        Predicate::Is(list) if list.as_slice() == [Is::Sending] && !term.negated => {
            all.sending = true;
            // Ids lead before it does.
            all.rest.push("r.engine IS NOT NULL".to_owned());
        }
        predicate => {
            let (condition, served) = condition(conn, all, predicate, term.negated)?;
            all.rest.push(if term.negated {
                format!("NOT ({condition})")
            } else {
                condition
            });
            if term.negated || !served {
                all.unserved.push(term.to_string());
            }
        }
    }
    Ok(())
}

/// What is checked on each row, and whether, unless it is negated, something can lead to the rows for which it holds: that is noted on the way.
fn condition(
    conn: &Connection,
    all: &mut Gathered,
    predicate: &Predicate,
    negated: bool,
) -> rusqlite::Result<(String, bool)> {
    Ok(match predicate {
        Predicate::Id(list) => (all.any_of("r.id", list.iter().copied()), true),
        Predicate::Language(list) => (language(all, list), false),
        Predicate::User(list) => whole(all, "receiver_user", "r.user", list, negated),
        Predicate::To(list) => to(all, list, negated),
        Predicate::Key(list) => {
            let mut messages = BTreeSet::new();
            for key in list {
                let mut statement =
                    conn.prepare_cached("SELECT id FROM message WHERE key = ? COLLATE NOCASE")?;
                for id in statement.query_map([key], |row| row.get::<_, i64>(0))? {
                    messages.insert(id?);
                }
            }
            if !negated {
                all.note_exact("receiver_message", "r.message_id", messages.iter().copied());
            }
            (all.any_of("r.message_id", messages), true)
        }
        Predicate::Subject(list) => text(all, list, negated, &[SUBJECT], false),
        Predicate::Words(list) => {
            text(all, list, negated, &[SUBJECT, "r.user", "r.identity"], true)
        }
        Predicate::Code(list) => (code(conn, all, list)?, false),
        Predicate::Cause(list) => {
            let causes = cause::with_merged(conn, list)?;
            let unsent = State::ALL.into_iter().filter(|state| is_no_success(*state));
            let unsent = all.any_of("r.state", unsent.map(|state| i64::from(state.number())));
            (format!("{} AND {unsent}", all.has_cause(&causes)), false)
        }
        Predicate::Failed(list) => {
            let conditions: Vec<String> = list
                .iter()
                .map(|range| {
                    let (from, until) = (all.bind(range.start), all.bind(range.end));
                    format!("(r.failed_count >= {from} AND r.failed_count < {until})")
                })
                .collect();
            (balanced(&conditions, "OR"), false)
        }
        Predicate::Sent(list) => {
            if !negated && list.as_slice() == [When::Never] {
                // What is Sent has a time: see the schema.
                let states = State::ALL.into_iter();
                narrow(
                    &mut all.states,
                    states
                        .filter(|state| state.status() != Status::Sent)
                        .collect(),
                );
            }
            when(all, "sent", list, negated)
        }
        Predicate::Created(list) => when(all, "created", list, negated),
        Predicate::Is(list) => is(all, list, negated),
        Predicate::Delivery(list) => {
            let names = || list.iter().map(|told| told.name().to_owned());
            if !negated {
                all.note_exact("receiver_delivery", "r.delivery", names());
            }
            (all.any_of("coalesce(r.delivery, '')", names()), true)
        }
        // These have sets of their own.
        Predicate::Status(_)
        | Predicate::Reason(_)
        | Predicate::Type(_)
        | Predicate::Backend(_) => ("1".to_owned(), true),
    })
}

/// The tag itself, or one that says more: `nb` is also `nb-NO` (RFC 4647, 3.3.1).
fn language(all: &mut Gathered, list: &[String]) -> String {
    let conditions: Vec<String> = list
        .iter()
        .map(|tag| {
            let tag = search::fold(tag);
            let more = all.bind(format!("{tag}-"));
            let tag = all.bind(tag);
            format!("(postroom_is({tag}, r.language) OR postroom_begins({more}, r.language))")
        })
        .collect();
    balanced(&conditions, "OR")
}

fn to(all: &mut Gathered, list: &[To], negated: bool) -> (String, bool) {
    let identities: Option<Vec<String>> = list
        .iter()
        .map(|to| match to {
            To::Identity(identity) => Some(identity.clone()),
            To::Domain(_) => None,
        })
        .collect();
    if let Some(identities) = identities {
        return whole(all, "receiver_identity", "r.identity", &identities, negated);
    }
    let (mut parts, mut conditions) = (Vec::new(), Vec::new());
    for to in list {
        let (function, part) = match to {
            To::Identity(identity) => ("postroom_is", search::fold(identity)),
            To::Domain(domain) => ("postroom_ends", format!("@{}", search::fold(domain))),
        };
        conditions.push(format!(
            "{function}({}, r.identity)",
            all.bind(part.clone())
        ));
        parts.push(part);
    }
    let served = note_match(all, &parts, negated);
    (balanced(&conditions, "OR"), served)
}

/// Who was sent the message all the same is no failure, whatever the last try said.
fn is_no_success(state: State) -> bool {
    state.status() != Status::Sent
}

/// The codes of failures, which the causes know: an accepted try's are 2yz and 2.x.y (RFC 5321 4.2.1, RFC 3463 2).
fn is_refusal(code: &Code) -> bool {
    match code {
        Code::Reply(code) => *code >= 400,
        Code::Enhanced(code) => !code.starts_with('2'),
    }
}

/// The last try has ended: one that runs has no code, and the cause is still that of the one before.
const NOT_TRYING: &str = "r.phase IS NOT 2";

/// The codes of the last attempt.
fn code(conn: &Connection, all: &mut Gathered, list: &[Code]) -> rusqlite::Result<String> {
    const LAST: &str = "SELECT 1 FROM attempt a WHERE a.receiver_id = r.id AND a.epoch = (SELECT max(epoch) FROM attempt WHERE receiver_id = r.id)";
    let (refusals, others): (Vec<&Code>, Vec<&Code>) =
        list.iter().partition(|code| is_refusal(code));
    let refused = all.has_cause(&cause::with_code(conn, &refusals)?);
    let refused = format!("({refused} AND {NOT_TRYING})");
    if others.is_empty() {
        return Ok(refused);
    }
    let (mut replies, mut enhanced) = (BTreeSet::new(), BTreeSet::new());
    for code in others {
        match code {
            Code::Reply(code) => drop(replies.insert(i64::from(*code))),
            Code::Enhanced(code) => drop(enhanced.insert(code.clone())),
        }
    }
    let replies = all.any_of("a.code", replies);
    let enhanced = all.any_of("a.enhanced", enhanced);
    Ok(format!(
        "({refused} OR EXISTS ({LAST} AND ({replies} OR {enhanced})))"
    ))
}

fn is(all: &mut Gathered, list: &[Is], negated: bool) -> (String, bool) {
    if !negated {
        // What is being sent or scheduled is due: see the schema.
        let can_be = |state: State| {
            list.iter().any(|is| match is {
                Is::Held => state.reason() == Reason::Held,
                Is::Sending | Is::Scheduled => state.is_pending(),
            })
        };
        let states = State::ALL.into_iter().filter(|state| can_be(*state));
        narrow(&mut all.states, states.collect());
    }
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
                let now = all.bind(millis(chrono::Utc::now()));
                format!("r.engine IS NULL AND r.due_at > {now}")
            }
        })
        .collect();
    // `due_at` is NULL where nothing is due: that is no, not unknown.
    let condition = format!("coalesce({}, 0)", balanced(&conditions, "OR"));
    (condition, false)
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
fn whole(
    all: &mut Gathered,
    index: &'static str,
    column: &str,
    list: &[String],
    negated: bool,
) -> (String, bool) {
    if list.iter().all(|value| value.is_ascii()) {
        let column = format!("{column} COLLATE NOCASE");
        if !negated {
            all.note_exact(index, &column, list.iter().cloned());
        }
        let condition = all.any_of(&column, list.iter().cloned());
        return (format!("coalesce({condition}, 0)"), true);
    }
    let served = note_match(all, list, negated);
    let conditions: Vec<String> = list
        .iter()
        .map(|value| format!("postroom_is({}, {column})", all.bind(search::fold(value))))
        .collect();
    (balanced(&conditions, "OR"), served)
}

/// One of the columns contains one of the words; words under three letters must stand at the beginning.
fn text(
    all: &mut Gathered,
    list: &[String],
    negated: bool,
    columns: &[&str],
    numbers_are_ids: bool,
) -> (String, bool) {
    let served = note_match(all, list, negated);
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
    (balanced(&conditions, "OR"), served)
}

/// Lets the text index lead, if it can serve every alternative.
fn note_match(all: &mut Gathered, list: &[String], negated: bool) -> bool {
    let trigrams: Option<Vec<String>> = list
        .iter()
        .map(|word| search::match_expression(word))
        .collect();
    let Some(trigrams) = trigrams.filter(|_| !negated) else {
        return false;
    };
    all.matches.push(format!("({})", balanced(&trigrams, "OR")));
    true
}

/// A time (`sent` or `created`) lies in one of the spans. The stretches of ids in which that can be lead.
fn when(all: &mut Gathered, time: &str, list: &[When], negated: bool) -> (String, bool) {
    let (mut rows, mut stretches) = (Vec::new(), Vec::new());
    for when in list {
        let (mut row, mut stretch) = (Vec::new(), Vec::new());
        match when {
            When::Never => row.push(format!("r.{time}_at IS NULL")),
            When::Any => {}
            When::Between(from, until) => {
                if let Some(from) = from {
                    let from = all.bind(first_milli(*from));
                    row.push(format!("r.{time}_at >= {from}"));
                    stretch.push(format!("z.{time}_to >= ({from} >> 22)"));
                }
                if let Some(until) = until {
                    let until = all.bind(first_milli(*until));
                    row.push(format!("r.{time}_at < {until}"));
                    stretch.push(format!("z.{time}_from <= ({until} >> 22)"));
                }
            }
        }
        if *when != When::Never {
            row.push(format!("r.{time}_at IS NOT NULL"));
            stretch.push(format!("z.{time}_to IS NOT NULL"));
        }
        rows.push(balanced(&row, "AND"));
        stretches.push(balanced(&stretch, "AND"));
    }
    // The states lead to what was never sent; nothing leads to a mixture.
    let dated = !list.contains(&When::Never);
    if dated && !negated {
        all.stretches.push(balanced(&stretches, "OR"));
    }
    (balanced(&rows, "OR"), dated || list == [When::Never])
}

/// The first millisecond that is not before a moment: times are kept in whole ones.
fn first_milli(at: Timestamp) -> i64 {
    millis(at + TimeDelta::nanoseconds(999_999))
}
