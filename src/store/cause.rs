//! Causes: noted as results are written, counted by triggers, told grouped.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use rusqlite::{
    Connection, OptionalExtension as _, functions::FunctionFlags, params, params_from_iter,
};

use super::{
    CauseRow, Reader, Store, StoreError,
    error::explain,
    millis,
    plan::{self, Counter, Plan},
    timestamp,
};
use crate::{
    message::{Cause, CauseId, Failure, ReceiverId, Status, Timestamp},
    query::{Code, Predicate, Query, Term},
};

/// Patterns of causes that are one, folded; see [`Store::merging`].
pub(super) type Patterns = Arc<[String]>;

/// Whether the text is what the pattern says, `*` being anything; both folded.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(first) else {
        return false;
    };
    let mut middle: Vec<&str> = rest.split('*').collect();
    let last = middle.pop().unwrap_or_default();
    for part in middle {
        match text.find(part) {
            Some(at) => text = &text[at + part.len()..],
            None => return false,
        }
    }
    text.ends_with(last)
}

/// `postroom_group(text)`: the number of the first pattern that a cause's text matches, else NULL.
pub(super) fn register(conn: &Connection, patterns: &Patterns) -> rusqlite::Result<()> {
    let patterns = Arc::clone(patterns);
    conn.create_scalar_function(
        "postroom_group",
        1,
        FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC,
        move |context| {
            if patterns.is_empty() {
                return Ok(None);
            }
            let text = context.get_raw(0).as_str()?.to_lowercase();
            let group = patterns.iter().position(|pattern| matches(pattern, &text));
            Ok(group.map(|group| group as i64))
        },
    )
}

impl Store {
    /// Causes whose text matches the same one of these patterns (`*` is anything, case does not matter) count as one, under the oldest one's
    /// number, for this store and the readers it makes from now on.
    pub fn merging(mut self, patterns: &[String]) -> Result<Self, StoreError> {
        self.merge = patterns
            .iter()
            .map(|pattern| pattern.to_lowercase())
            .collect();
        register(&self.writer(), &self.merge).map_err(|error| explain(&self.path, error))?;
        Ok(self)
    }
}

/// The number of a failure's cause, made where it is met for the first time.
pub(super) fn note(
    tx: &Connection,
    failure: &Failure,
    identity: &str,
    at: Timestamp,
) -> rusqlite::Result<CauseId> {
    let cause = Cause::of(failure, identity);
    let (fingerprint, at) = (cause.fingerprint(), millis(at));
    let known = tx
        .prepare_cached("SELECT id, first_seen, last_seen FROM cause WHERE fingerprint = ?")?
        .query_row([fingerprint], |row| {
            Ok((
                CauseId(row.get(0)?),
                row.get::<_, i64>(1)?,
                row.get::<_, i64>(2)?,
            ))
        })
        .optional()?;
    let Some((id, first, last)) = known else {
        tx.prepare_cached(
            "INSERT INTO cause (fingerprint, code, enhanced, text, server, phase, first_seen, last_seen)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)",
        )?
        .execute(params![
            fingerprint,
            cause.code,
            cause.enhanced,
            cause.text,
            cause.server,
            cause.phase,
            at
        ])?;
        return Ok(CauseId(tx.last_insert_rowid()));
    };
    if at < first || at > last {
        tx.prepare_cached("UPDATE cause SET first_seen = ?, last_seen = ? WHERE id = ?")?
            .execute(params![first.min(at), last.max(at), id.0])?;
    }
    Ok(id)
}

/// The same for a receiver that an engine tried; `None` when it is gone.
pub(super) fn note_for(
    tx: &Connection,
    receiver: ReceiverId,
    failure: &Failure,
    at: Timestamp,
) -> rusqlite::Result<Option<CauseId>> {
    let identity: Option<String> = tx
        .prepare_cached("SELECT identity FROM receiver WHERE id = ?")?
        .query_row([receiver.0], |row| row.get(0))
        .optional()?;
    identity
        .map(|identity| note(tx, failure, &identity, at))
        .transpose()
}

/// What a result that came late says of the cause, if no later try has ended.
pub(super) fn correct(
    tx: &Connection,
    receiver: ReceiverId,
    epoch: i64,
    cause: Option<CauseId>,
) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "UPDATE receiver SET cause_id = ?1 WHERE id = ?2
             AND NOT EXISTS (SELECT 1 FROM attempt WHERE receiver_id = ?2 AND epoch > ?3 AND outcome IS NOT NULL)",
    )?
    .execute(params![cause.map(|cause| cause.0), receiver.0, epoch])?;
    Ok(())
}

/// Gives the failures of a store that knew no causes theirs: part of the migration.
pub(super) fn note_all(tx: &Connection) -> rusqlite::Result<()> {
    let mut attempts = tx.prepare(
        "SELECT a.receiver_id, r.identity, a.ended_at, a.code, a.enhanced, a.error, a.server, a.phase,
                a.epoch = (SELECT max(epoch) FROM attempt WHERE receiver_id = a.receiver_id AND outcome IS NOT NULL)
         FROM attempt a CROSS JOIN receiver r ON r.id = a.receiver_id WHERE a.outcome <> 'accepted' ORDER BY a.id",
    )?;
    let mut last = tx.prepare("UPDATE receiver SET cause_id = ? WHERE id = ?")?;
    let mut rows = attempts.query([])?;
    while let Some(row) = rows.next()? {
        let (receiver, identity): (i64, String) = (row.get(0)?, row.get(1)?);
        let failure = Failure {
            code: row.get(3)?,
            enhanced: row.get(4)?,
            error: row.get::<_, Option<String>>(5)?.unwrap_or_default(),
            server: row.get(6)?,
            phase: row.get(7)?,
            ..Failure::default()
        };
        let cause = note(tx, &failure, &identity, timestamp(row.get(2)?))?;
        if row.get(8)? {
            last.execute([cause.0, receiver])?;
        }
    }
    Ok(())
}

/// The number under which a failure's cause is told, if it is known.
pub(super) fn find(
    conn: &Connection,
    failure: &Failure,
    identity: &str,
) -> rusqlite::Result<Option<CauseId>> {
    let fingerprint = Cause::of(failure, identity).fingerprint();
    let found: Option<(i64, Option<i64>)> = conn
        .prepare_cached("SELECT id, postroom_group(text) FROM cause WHERE fingerprint = ?")?
        .query_row([fingerprint], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match found {
        Some((_, Some(group))) => conn
            .prepare_cached("SELECT min(id) FROM cause WHERE postroom_group(text) = ?")?
            .query_row([group], |row| Ok(Some(CauseId(row.get(0)?)))),
        Some((id, None)) => Ok(Some(CauseId(id))),
        None => Ok(None),
    }
}

/// These causes, and all that count as one with one of them.
pub(super) fn with_merged(conn: &Connection, ids: &[i64]) -> rusqlite::Result<BTreeSet<i64>> {
    let mut all: BTreeSet<i64> = ids.iter().copied().collect();
    let mut group_of =
        conn.prepare_cached("SELECT postroom_group(text) FROM cause WHERE id = ?")?;
    let mut groups = BTreeSet::new();
    for id in &all {
        groups.extend(
            group_of
                .query_row([id], |row| row.get::<_, Option<i64>>(0))
                .optional()?
                .flatten(),
        );
    }
    let mut members = conn.prepare_cached("SELECT id FROM cause WHERE postroom_group(text) = ?")?;
    for group in groups {
        for id in members.query_map([group], |row| row.get::<_, i64>(0))? {
            all.insert(id?);
        }
    }
    Ok(all)
}

/// The causes with one of these codes.
pub(super) fn with_code(conn: &Connection, codes: &[&Code]) -> rusqlite::Result<BTreeSet<i64>> {
    let mut found = BTreeSet::new();
    let mut replies = conn.prepare_cached("SELECT id FROM cause WHERE code = ?")?;
    let mut enhanced = conn.prepare_cached("SELECT id FROM cause WHERE enhanced = ?")?;
    for code in codes {
        let rows = match code {
            Code::Reply(code) => replies.query([code])?,
            Code::Enhanced(code) => enhanced.query([code])?,
        };
        found.extend(
            rows.mapped(|row| row.get::<_, i64>(0))
                .collect::<Result<Vec<_>, _>>()?,
        );
    }
    Ok(found)
}

/// For `json_each`: there may be more of them than SQLite binds values.
pub(super) fn id_list(causes: &BTreeSet<i64>) -> String {
    let ids: Vec<String> = causes.iter().map(ToString::to_string).collect();
    format!("[{}]", ids.join(","))
}

/// Receivers with one cause.
#[derive(Clone, Copy)]
struct Met {
    count: u64,
    sample: Sample,
}

/// How one of them is found.
#[derive(Clone, Copy)]
enum Sample {
    /// It was met on the way.
    Receiver(i64),
    /// The newest of these.
    Newest(Counter),
}

impl Met {
    fn add(&mut self, other: Self) {
        self.count += other.count;
        self.sample = match (self.sample, other.sample) {
            (Sample::Receiver(one), Sample::Receiver(two)) => Sample::Receiver(one.max(two)),
            (Sample::Newest(one), Sample::Newest(two)) if one.n >= two.n => self.sample,
            (_, other) => other,
        };
    }
}

impl Reader {
    /// Receivers that match and are not Sent, by the cause of their last try: the biggest groups first, at most `limit` of them. At once where
    /// the counters know (status, reason, type, backend, held, cause), else by one walk over what matches.
    pub fn causes(&self, query: &Query, limit: usize) -> Result<Vec<CauseRow>, StoreError> {
        self.snapshot(|conn| {
            let met = met(conn, query)?;
            let mut groups: BTreeMap<i64, (Met, Seen)> = BTreeMap::new();
            let mut merged = Merged::default();
            for (id, one) in met {
                let (leader, seen) = merged.of(conn, id)?;
                groups
                    .entry(leader)
                    .and_modify(|(group, _)| group.add(one))
                    .or_insert((one, seen));
            }
            let mut groups: Vec<_> = groups.into_iter().collect();
            groups.sort_by_key(|(id, (met, _))| (std::cmp::Reverse(met.count), *id));
            groups.truncate(limit);
            groups
                .into_iter()
                .map(|(id, (met, seen))| describe(conn, id, &met, seen))
                .collect()
        })
    }
}

/// How many receivers have which cause.
fn met(conn: &Connection, query: &Query) -> rusqlite::Result<HashMap<i64, Met>> {
    let mut query = query.clone();
    query.terms.push(Term {
        negated: true,
        predicate: Predicate::Status(vec![Status::Sent]),
        span: 0..0,
    });
    let mut met: HashMap<i64, Met> = HashMap::new();
    let mut add = |cause: i64, count, sample| {
        let one = Met { count, sample };
        met.entry(cause)
            .and_modify(|all| all.add(one))
            .or_insert(one);
    };
    if let Some(counters) = plan::by_cause(conn, &query)? {
        for one in counters {
            add(one.cause, one.n, Sample::Newest(one));
        }
        return Ok(met);
    }
    let mut plan = Plan::new(conn, &query)?;
    let everything = plan.bind(-1);
    let sql = format!(
        "SELECT r.cause_id, p.id FROM ({}) p CROSS JOIN receiver r ON r.id = p.id WHERE r.cause_id IS NOT NULL",
        plan.ids(None, true, &everything)
    );
    let mut statement = conn.prepare(&sql)?;
    let mut rows = statement.query(params_from_iter(&plan.values))?;
    while let Some(row) = rows.next()? {
        add(row.get(0)?, 1, Sample::Receiver(row.get(1)?));
    }
    Ok(met)
}

/// First and last seen.
type Seen = (i64, i64);

/// The groups met so far.
#[derive(Default)]
struct Merged(HashMap<i64, (i64, Seen)>);

impl Merged {
    /// The number under which a cause is told, and when that was seen.
    fn of(&mut self, conn: &Connection, id: i64) -> rusqlite::Result<(i64, Seen)> {
        let (group, seen): (Option<i64>, Seen) = conn
            .prepare_cached(
                "SELECT postroom_group(text), first_seen, last_seen FROM cause WHERE id = ?",
            )?
            .query_row([id], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?;
        let Some(group) = group else {
            return Ok((id, seen));
        };
        if let Some(known) = self.0.get(&group) {
            return Ok(*known);
        }
        let leader = conn
            .prepare_cached("SELECT min(id), min(first_seen), max(last_seen) FROM cause WHERE postroom_group(text) = ?")?
            .query_row([group], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?;
        self.0.insert(group, leader);
        Ok(leader)
    }
}

fn describe(conn: &Connection, id: i64, met: &Met, seen: Seen) -> rusqlite::Result<CauseRow> {
    let sample = match met.sample {
        Sample::Receiver(id) => id,
        Sample::Newest(one) => conn
            .prepare_cached(
                "SELECT id FROM receiver INDEXED BY receiver_cause
                 WHERE cause_id = ? AND backend_id = ? AND kind_id = ? AND state = ? ORDER BY id DESC LIMIT 1",
            )?
            .query_row(
                [one.cause, one.backend, one.kind, one.state.number().into()],
                |row| row.get(0),
            )?,
    };
    let text = |text: Option<String>| text.map(Into::into);
    conn.prepare_cached("SELECT code, enhanced, text, server, phase FROM cause WHERE id = ?")?
        .query_row([id], |row| {
            Ok(CauseRow {
                id: CauseId(id),
                count: met.count,
                code: row.get(0)?,
                enhanced_code: text(row.get(1)?),
                text: row.get::<_, String>(2)?.into(),
                server: text(row.get(3)?),
                phase: text(row.get(4)?),
                first_seen: timestamp(seen.0),
                last_seen: timestamp(seen.1),
                sample: ReceiverId(sample),
            })
        })
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_is_anything_and_everything_else_is_itself() {
        for (pattern, text) in [
            ("*greylist*", "451 greylisted for n seconds"),
            ("451*seconds", "451 greylisted for n seconds"),
            ("greylisted", "greylisted"),
            ("a*a*a", "aaa"),
            ("*", ""),
            ("a**b", "ab"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("greylist", "greylisted"),
            ("*greylist", "greylisted"),
            ("a*a*a", "aa"),
            ("ab*ba", "aba"),
            ("", "a"),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }
}
