//! The schema and its numbered migrations.

use rusqlite::{Connection, TransactionBehavior};

/// Marks the file as ours (`PRAGMA application_id`): "POST" in ASCII.
pub(super) const APPLICATION_ID: i64 = 0x504f_5354;

/// The migrations, in order. One transaction each; a released one is never changed.
const MIGRATIONS: &[&str] = &[
    include_str!("../../assets/migrations/0001-spine.sql"),
    include_str!("../../assets/migrations/0002-sorting.sql"),
    include_str!("../../assets/migrations/0003-cleaning.sql"),
];

/// The number of the schema this version needs.
pub const SCHEMA: i64 = MIGRATIONS.len() as i64;

/// The number of the schema in the file; 0 when it is empty.
pub(super) fn version(conn: &Connection) -> rusqlite::Result<i64> {
    conn.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Brings the file from its own number up to `SCHEMA`; returns the number it had.
pub(super) fn migrate(conn: &mut Connection) -> rusqlite::Result<i64> {
    let found = version(conn)?;
    for (index, sql) in MIGRATIONS.iter().enumerate().skip(found.max(0) as usize) {
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Another process may have been faster while we waited for the lock.
        if version(&tx)? == index as i64 {
            tx.execute_batch(sql)?;
            tx.pragma_update(None, "application_id", APPLICATION_ID)?;
            tx.pragma_update(None, "user_version", index as i64 + 1)?;
        }
        tx.commit()?;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::message::State;

    fn migrated() -> Connection {
        let mut conn = Connection::open_in_memory().unwrap();
        assert_eq!(migrate(&mut conn).unwrap(), 0);
        conn
    }

    #[test]
    fn the_states_of_the_schema_are_the_states_of_the_code() {
        let conn = migrated();
        let mut statement = conn
            .prepare("SELECT id, status, reason, pending FROM state ORDER BY id")
            .unwrap();
        let rows: Vec<(u8, String, String, bool)> = statement
            .query_map([], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        let wanted: Vec<_> = State::ALL
            .into_iter()
            .map(|state| {
                let (status, reason) = (state.status().name(), state.reason().name());
                (
                    state.number(),
                    status.to_owned(),
                    reason.to_owned(),
                    state.is_pending(),
                )
            })
            .collect();
        assert_eq!(rows, wanted);
    }

    #[test]
    fn migrating_twice_changes_nothing() {
        let mut conn = migrated();
        assert_eq!(migrate(&mut conn).unwrap(), SCHEMA);
        assert_eq!(version(&conn).unwrap(), SCHEMA);
    }
}
