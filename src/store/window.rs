//! Windows on the receivers, and how many there are.

use rusqlite::{Connection, Row as SqlRow, functions::FunctionFlags, params_from_iter};

use super::{
    Anchor, Count, Counts, Place, Reader, Row, Scan, Sort, StoreError,
    error::corrupt,
    millis,
    plan::{Plan, Walk},
    search, timestamp,
};
use crate::{
    message::{Delivery, MessageId, ReceiverId, State},
    query::Query,
};

/// The columns of [`Row`], to be read by [`read_row`].
pub(super) const COLUMNS: &str = "r.id, r.message_id, m.key, k.name, r.created_at, c.subject, r.user, r.identity, b.name, r.language, r.state,
    r.failed_count, r.sent_count, r.sent_at, r.due_at, r.engine IS NOT NULL, r.delivery";

/// The tables that [`COLUMNS`] stand in, beside `receiver r`.
pub(super) const JOINS: &str =
    "JOIN message m ON m.id = r.message_id JOIN kind k ON k.id = r.kind_id
    JOIN content c ON c.id = r.content_id JOIN backend b ON b.id = r.backend_id";

pub(super) fn read_row(row: &SqlRow<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        id: ReceiverId(row.get(0)?),
        message_id: MessageId(row.get(1)?),
        message_key: row.get::<_, String>(2)?.into(),
        kind: row.get::<_, String>(3)?.into(),
        created_at: timestamp(row.get(4)?),
        subject: row.get::<_, String>(5)?.into(),
        user: row.get::<_, Option<String>>(6)?.map(Into::into),
        identity: row.get::<_, String>(7)?.into(),
        backend: row.get::<_, String>(8)?.into(),
        language: row.get::<_, String>(9)?.into(),
        state: read_state(row, 10)?,
        failed_count: row.get(11)?,
        sent_count: row.get(12)?,
        sent_at: row.get::<_, Option<i64>>(13)?.map(timestamp),
        next_attempt_at: row.get::<_, Option<i64>>(14)?.map(timestamp),
        sending: row.get(15)?,
        delivery: row
            .get_ref(16)?
            .as_str_or_null()?
            .and_then(Delivery::from_name),
    })
}

pub(super) fn read_state(row: &SqlRow<'_>, column: usize) -> rusqlite::Result<State> {
    let number: i64 = row.get(column)?;
    State::from_number(number).ok_or(rusqlite::Error::IntegralValueOutOfRange(column, number))
}

impl Reader {
    /// Up to `limit` receivers that match, newest first, from the anchor on.
    pub fn window(
        &self,
        query: &Query,
        anchor: Anchor,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let (backwards, bound) = match anchor {
            Anchor::First => (false, None),
            Anchor::Last => (true, None),
            Anchor::After(id) => (false, Some(("<", id))),
            Anchor::From(id) => (false, Some(("<=", id))),
            Anchor::Before(id) => (true, Some((">", id))),
        };
        self.snapshot(|conn| {
            let mut rows = walk(
                conn,
                Plan::new(conn, query)?,
                bound.map(|(side, id)| (side, None, id.0)),
                !backwards,
                limit,
            )?;
            if backwards {
                rows.reverse();
            }
            Ok(rows)
        })
    }

    /// The same in any order.
    pub fn window_in(
        &self,
        query: &Query,
        sort: Sort,
        anchor: &Anchor<Place>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let (backwards, inclusive, place) = match anchor {
            Anchor::First => (false, false, None),
            Anchor::Last => (true, false, None),
            Anchor::After(place) => (false, false, Some(place)),
            Anchor::From(place) => (false, true, Some(place)),
            Anchor::Before(place) => (true, false, Some(place)),
        };
        let descending = sort.descending() != backwards;
        let side = match (descending, inclusive) {
            (true, false) => "<",
            (true, true) => "<=",
            (false, false) => ">",
            (false, true) => ">=",
        };
        self.snapshot(|conn| {
            let mut rows = Vec::new();
            let mut groups = sort.groups(conn)?;
            if backwards {
                groups.reverse();
            }
            // The place stands in one of the groups: what comes before that one lies behind.
            if let Some(place) = place {
                let here = groups.iter().position(|group| group.holds(place));
                groups.drain(..here.unwrap_or(groups.len()));
            }
            for (index, group) in groups.iter().enumerate() {
                let plan = Plan::walking(conn, &group.within(query), group.walk)?;
                let bound = place
                    .filter(|_| index == 0)
                    .map(|place| (side, group.at(place), place.id.0));
                rows.extend(walk(conn, plan, bound, descending, limit - rows.len())?);
                if rows.len() >= limit {
                    break;
                }
            }
            if backwards {
                rows.reverse();
            }
            Ok(rows)
        })
    }

    /// What makes windows on this query slow, if something does.
    pub fn scan(&self, query: &Query, sort: Sort) -> Result<Option<Scan>, StoreError> {
        self.snapshot(|conn| {
            for group in sort.groups(conn)? {
                let plan = Plan::walking(conn, &group.within(query), group.walk)?;
                if plan.scan.is_some() {
                    return Ok(plan.scan);
                }
            }
            Ok(None)
        })
    }

    /// How many match: exact at once where the counters know (status, reason, type, backend, cause), else counted up to `cap`.
    pub fn count(&self, query: &Query, cap: u64) -> Result<Count, StoreError> {
        self.snapshot(|conn| {
            let mut plan = Plan::new(conn, query)?;
            if let Some(counted) = plan.counted {
                return Ok(Count::Exact(counted));
            }
            let limit = plan.bind(cap as i64);
            let sql = format!("SELECT count(*) FROM ({})", plan.ids(None, true, &limit));
            let n: i64 = conn
                .prepare(&sql)?
                .query_row(params_from_iter(&plan.values), |row| row.get(0))?;
            Ok(if n as u64 >= cap {
                Count::AtLeast(n as u64)
            } else {
                Count::Exact(n as u64)
            })
        })
    }

    /// How many receivers have each state.
    pub fn counts(&self) -> Result<Counts, StoreError> {
        self.run(|conn| {
            let mut counts = Counts::default();
            let mut statement =
                conn.prepare_cached("SELECT state, sum(n) FROM counter GROUP BY state")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let state = read_state(row, 0)?;
                counts.by_state[usize::from(state.number())] = row.get::<_, i64>(1)? as u64;
            }
            Ok(counts)
        })
    }
}

impl Reader {
    /// The plan rests on the counters: what they say and what is read must be of one moment.
    pub(super) fn snapshot<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.run(|conn| work(&*conn.unchecked_transaction()?))
    }
}

/// Reads up to `limit` rows of a plan. The bound: which side of which time, if the plan is ordered by one, and which id.
fn walk(
    conn: &Connection,
    mut plan: Plan,
    bound: Option<(&str, Option<i64>, i64)>,
    descending: bool,
    limit: usize,
) -> rusqlite::Result<Vec<Row>> {
    let plan_walk = plan.walk;
    let beyond = move |row: &Row| {
        let here = match plan_walk {
            Walk::Id => (None, row.id.0),
            Walk::Created => (Some(millis(row.created_at)), row.id.0),
            Walk::Sent => (row.sent_at.map(millis), row.id.0),
        };
        bound.is_none_or(|(side, at, id)| match (descending, side.len()) {
            (true, 1) => here < (at, id),
            (true, _) => here <= (at, id),
            (false, 1) => here > (at, id),
            (false, _) => here >= (at, id),
        })
    };
    let bound = bound.map(|(side, at, id)| {
        let at = at.map(|at| plan.bind(at));
        let id = plan.bind(id);
        match at {
            None => format!("{side} {id}"),
            Some(at) => format!("{side} ({at}, {id})"),
        }
    });
    let limit = plan.bind(limit as i64);
    let ids = plan.ids(bound.as_deref(), descending, &limit);
    // The ids first, from indexes alone; the joins for the few that are shown.
    let direction = if descending { "DESC" } else { "ASC" };
    let first = plan
        .walk
        .column()
        .map_or(String::new(), |at| format!("{at} {direction}, "));
    let sql = format!(
        "SELECT {COLUMNS} FROM ({ids}) p CROSS JOIN receiver r ON r.id = p.id {JOINS} ORDER BY {first}r.id {direction}"
    );
    let rows: Vec<Row> = conn
        .prepare(&sql)?
        .query_map(params_from_iter(&plan.values), read_row)?
        .collect::<Result<_, _>>()?;
    if rows.iter().all(beyond) {
        Ok(rows)
    } else {
        Err(corrupt())
    }
}

/// The comparisons that a plan checks on each row: the folded needle first, then a column that may be NULL.
pub(super) fn register(conn: &Connection) -> rusqlite::Result<()> {
    type Test = fn(&str, &str) -> bool;
    let functions: [(&str, Test); 4] = [
        ("postroom_has", |needle, text| text.contains(needle)),
        ("postroom_begins", |needle, text| text.starts_with(needle)),
        ("postroom_ends", |needle, text| text.ends_with(needle)),
        ("postroom_is", |needle, text| text == needle),
    ];
    for (name, test) in functions {
        conn.create_scalar_function(
            name,
            2,
            FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC,
            move |context| {
                let (needle, text) = (
                    context.get_raw(0).as_str()?,
                    context.get_raw(1).as_str_or_null()?,
                );
                Ok(text.is_some_and(|text| test(needle, &search::fold(text))))
            },
        )?;
    }
    Ok(())
}
