//! The schema and its numbered migrations.

use std::path::{Path, PathBuf};

use chrono::Utc;
use rusqlite::{Connection, TransactionBehavior};

use super::{
    Backup, Store, StoreError, backup::interruptible, beside, cause, connect, engine,
    error::explain,
};

/// Marks the file as ours (`PRAGMA application_id`): "POST" in ASCII.
pub(super) const APPLICATION_ID: i64 = 0x504f_5354;

/// The migrations, in order. One transaction each; a released one is never changed.
const MIGRATIONS: &[Migration] = &[
    Migration::adds(include_str!("../../assets/migrations/0001-spine.sql")),
    Migration::adds(include_str!("../../assets/migrations/0002-sorting.sql")),
    Migration::adds(include_str!("../../assets/migrations/0003-cleaning.sql")),
    Migration::adds(include_str!("../../assets/migrations/0004-causes.sql")).then(cause::note_all),
    Migration::adds(include_str!("../../assets/migrations/0005-imported.sql")),
    Migration::adds(include_str!("../../assets/migrations/0006-remainder.sql")),
    Migration::adds(include_str!("../../assets/migrations/0007-traffic.sql")),
];

/// The number of the schema this version needs.
pub const SCHEMA: i64 = MIGRATIONS.len() as i64;

/// One step from a schema to the next.
struct Migration {
    sql: &'static str,
    /// It drops or rewrites what is there: a backup is made before it.
    rewrites: bool,
    /// What SQL alone cannot fill in; in the same transaction.
    then: fn(&Connection) -> rusqlite::Result<()>,
}

impl Migration {
    /// It adds something, and leaves alone what is there.
    const fn adds(sql: &'static str) -> Self {
        Self {
            sql,
            rewrites: false,
            then: |_| Ok(()),
        }
    }

    const fn then(self, then: fn(&Connection) -> rusqlite::Result<()>) -> Self {
        Self { then, ..self }
    }

    /// It drops or rewrites something.
    #[cfg_attr(not(test), expect(dead_code, reason = "no migration has had to yet"))]
    const fn rewrites(sql: &'static str) -> Self {
        Self {
            sql,
            rewrites: true,
            then: |_| Ok(()),
        }
    }
}

/// What a migration did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// The number of the schema before.
    pub from: i64,
    /// And now.
    pub to: i64,
    /// The copy of the store before, if data was dropped or rewritten.
    pub backup: Option<PathBuf>,
}

/// The number of the schema in the file; 0 when it is empty.
pub(super) fn version(conn: &Connection) -> rusqlite::Result<i64> {
    conn.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Brings the file from its own number up to `SCHEMA`; returns the number it had.
pub(super) fn migrate(conn: &mut Connection) -> rusqlite::Result<i64> {
    apply(conn, MIGRATIONS)
}

fn apply(conn: &mut Connection, migrations: &[Migration]) -> rusqlite::Result<i64> {
    let found = version(conn)?;
    for (index, migration) in migrations.iter().enumerate().skip(found.max(0) as usize) {
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Another process may have been faster while we waited for the lock.
        if version(&tx)? == index as i64 {
            tx.execute_batch(migration.sql)?;
            (migration.then)(&tx)?;
            tx.pragma_update(None, "application_id", APPLICATION_ID)?;
            tx.pragma_update(None, "user_version", index as i64 + 1)?;
        }
        tx.commit()?;
    }
    Ok(found)
}

impl Store {
    /// Brings a store of an older version to this one's schema. Nobody may deliver from it meanwhile. `backup` makes the copy that is kept when data is dropped or rewritten.
    pub fn migrate(path: &Path, backup: &Backup<'_>) -> Result<Migrated, StoreError> {
        let (path, mut conn) = connect(path, false)?;
        super::check_version(&path, &conn, true)?;
        upgrade(&path, &mut conn, MIGRATIONS, backup)
    }
}

/// [`Store::migrate`] with any list.
fn upgrade(
    path: &Path,
    conn: &mut Connection,
    migrations: &[Migration],
    backup: &Backup<'_>,
) -> Result<Migrated, StoreError> {
    let from = version(conn).map_err(|error| explain(path, error))?;
    let pending = migrations.get(from.max(0) as usize..).unwrap_or_default();
    if !pending.is_empty() && engine::anybody_alive(path) {
        return Err(StoreError::InUse(path.to_owned()));
    }
    let kept = if pending.iter().any(|migration| migration.rewrites) {
        let at = backup.now.with_timezone(&Utc).format("%Y%m%dT%H%M%SZ");
        let kept = beside(path, &format!(".schema-{from}-{at}"));
        backup.copy(path, conn, &kept)?;
        Some(kept)
    } else {
        None
    };
    interruptible(&conn.get_interrupt_handle(), backup.stop, || {
        apply(conn, migrations)
    })
    .map_err(|error| explain(path, error))?;
    Ok(Migrated {
        from,
        to: migrations.len() as i64,
        backup: kept,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::message::State;

    const SPINE: &str = MIGRATIONS[0].sql;
    const ADDED: &str = "CREATE TABLE added (x INTEGER); INSERT INTO added VALUES (1);";
    const REWRITTEN: &str =
        "UPDATE audit SET who = upper(who); ALTER TABLE audit DROP COLUMN count;";

    fn at(second: i64) -> Backup<'static> {
        static NEVER: AtomicBool = AtomicBool::new(false);
        Backup {
            who: "tester",
            backends: &[],
            now: chrono::DateTime::from_timestamp(second, 0).unwrap(),
            progress: &|_, _| {},
            stop: &NEVER,
        }
    }

    /// A store with the first schema and one line of audit.
    fn first(folder: &Path) -> (PathBuf, Connection) {
        let path = folder.join("postroom.db");
        std::fs::write(&path, "").unwrap();
        let (path, mut conn) = connect(&path, false).unwrap();
        conn.pragma_update(None, "journal_mode", "WAL").unwrap();
        apply(&mut conn, &[Migration::adds(SPINE)]).unwrap();
        conn.execute("INSERT INTO audit (at, who, action, target, count) VALUES (1, 'anna', 'hold', 'all', 3)", [])
            .unwrap();
        (path, conn)
    }

    fn who(conn: &Connection) -> String {
        conn.query_row("SELECT who FROM audit ORDER BY id LIMIT 1", [], |row| {
            row.get(0)
        })
        .unwrap()
    }

    #[test]
    fn before_a_migration_that_rewrites_there_is_a_backup_beside_the_store_and_else_none() {
        let folder = tempfile::tempdir().unwrap();
        let (path, mut conn) = first(folder.path());
        let list = [Migration::adds(SPINE), Migration::adds(ADDED)];
        let migrated = upgrade(&path, &mut conn, &list, &at(0)).unwrap();
        assert_eq!((migrated.from, migrated.to, migrated.backup), (1, 2, None));

        let list = [
            Migration::adds(SPINE),
            Migration::adds(ADDED),
            Migration::rewrites(REWRITTEN),
        ];
        let migrated = upgrade(&path, &mut conn, &list, &at(86_400)).unwrap();
        let kept = path.with_file_name("postroom.db.schema-2-19700102T000000Z");
        assert_eq!(migrated.backup.as_deref(), Some(kept.as_path()));
        assert_eq!((version(&conn).unwrap(), who(&conn).as_str()), (3, "ANNA"));
        let (_, before) = connect(&kept, true).unwrap();
        assert_eq!(
            (version(&before).unwrap(), who(&before).as_str()),
            (2, "anna")
        );

        let again = upgrade(&path, &mut conn, &list, &at(172_800)).unwrap();
        assert_eq!((again.from, again.backup), (3, None));
    }

    #[test]
    fn without_its_backup_a_migration_that_rewrites_does_not_begin() {
        let folder = tempfile::tempdir().unwrap();
        let (path, mut conn) = first(folder.path());
        let list = [Migration::adds(SPINE), Migration::rewrites(REWRITTEN)];
        std::fs::write(beside(&path, ".schema-1-19700101T000000Z"), "mine").unwrap();
        let refused = upgrade(&path, &mut conn, &list, &at(0));
        assert!(matches!(refused, Err(StoreError::Exists(_))), "{refused:?}");
        assert_eq!((version(&conn).unwrap(), who(&conn).as_str()), (1, "anna"));
    }

    #[test]
    fn killed_in_the_middle_of_a_migration_the_store_is_as_before_and_a_second_run_finishes() {
        let folder = tempfile::tempdir().unwrap();
        let (path, mut conn) = first(folder.path());
        let list = [Migration::adds(SPINE), Migration::rewrites(REWRITTEN)];
        // So small a cache that what is not committed stands in the log already, as a kill leaves it.
        conn.pragma_update(None, "cache_size", 1).unwrap();
        let tx = conn
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .unwrap();
        tx.execute_batch(REWRITTEN).unwrap();
        tx.execute_batch("CREATE TABLE ballast AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 5000) SELECT x, randomblob(90) FROM n")
            .unwrap();
        let killed = folder.path().join("killed.db");
        std::fs::copy(&path, &killed).unwrap();
        let log = std::fs::copy(beside(&path, "-wal"), beside(&killed, "-wal")).unwrap();
        assert!(log > 100_000, "nothing of it was written: {log}");
        drop(tx);

        let (killed, mut conn) = connect(&killed, false).unwrap();
        assert_eq!((version(&conn).unwrap(), who(&conn).as_str()), (1, "anna"));
        let migrated = upgrade(&killed, &mut conn, &list, &at(0)).unwrap();
        assert!(migrated.backup.is_some());
        assert_eq!((version(&conn).unwrap(), who(&conn).as_str()), (2, "ANNA"));
    }

    #[test]
    fn nobody_migrates_under_an_engine_that_lives() {
        let folder = tempfile::tempdir().unwrap();
        let (path, mut conn) = first(folder.path());
        let list = [Migration::adds(SPINE), Migration::adds(ADDED)];
        let lock = beside(&path, ".engine-0123456789abcdef0123456789abcdef");
        let engine = super::super::lock::make(&lock).unwrap();
        let refused = upgrade(&path, &mut conn, &list, &at(0));
        assert!(matches!(refused, Err(StoreError::InUse(_))), "{refused:?}");
        drop(engine);
        assert_eq!(upgrade(&path, &mut conn, &list, &at(0)).unwrap().to, 2);
    }

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
    fn the_failures_of_a_store_without_causes_have_theirs_when_it_is_migrated() {
        let mut conn = Connection::open_in_memory().unwrap();
        conn.pragma_update(None, "foreign_keys", true).unwrap();
        conn.execute_batch(MIGRATIONS[0].sql).unwrap();
        conn.pragma_update(None, "user_version", 1).unwrap();
        conn.execute_batch(
            "INSERT INTO kind VALUES (1, 'feedback');
             INSERT INTO backend (id, name, changed_at) VALUES (1, 'email', 0);
             INSERT INTO content VALUES (1, zeroblob(32), 's', 0, x'7b7d');
             INSERT INTO message VALUES (1, 'k', zeroblob(32), 1, NULL, NULL, '[]', NULL, NULL, 0, '{}', 0);
             INSERT INTO receiver (id, message_id, kind_id, backend_id, content_id, created_at, identity, language, metadata, priority, uid, state, due_at, sent_at)
                 VALUES (1, 1, 1, 1, 1, 0, 'a@example.com', 'en', '{}', 0, 'u1', 2, 9, NULL),
                        (2, 1, 1, 1, 1, 0, 'b@example.com', 'en', '{}', 0, 'u2', 2, 9, NULL),
                        (3, 1, 1, 1, 1, 0, 'c@example.com', 'en', '{}', 0, 'u3', 12, NULL, 9),
                        (4, 1, 1, 1, 1, 0, 'd@example.com', 'en', '{}', 0, 'u4', 0, 9, NULL);
             INSERT INTO attempt (receiver_id, epoch, started_at, ended_at, outcome, code, error, traceback, tried_by) VALUES
                 (1, 1, 10, 11, 'temporary', 451, '451 a@example.com: later', '', 'x'),
                 (2, 1, 20, 21, 'permanent', 550, '550 gone', '', 'x'),
                 (2, 3, 30, 31, 'temporary', 451, '451 b@example.com: later', '', 'x'),
                 (3, 1, 40, 41, 'temporary', 451, '451 c@example.com: later', '', 'x'),
                 (3, 2, 50, 51, 'accepted', 250, NULL, NULL, 'x'),
                 (1, 2, 60, NULL, NULL, NULL, NULL, NULL, 'x');",
        )
        .unwrap();
        assert_eq!(migrate(&mut conn).unwrap(), 1);
        let rows = |sql: &str| -> Vec<Vec<Option<String>>> {
            let mut statement = conn.prepare(sql).unwrap();
            let width = statement.column_count();
            statement
                .query_map([], |row| (0..width).map(|column| row.get(column)).collect())
                .unwrap()
                .collect::<Result<_, _>>()
                .unwrap()
        };
        let some = |cells: &[&str]| -> Vec<_> {
            cells.iter().map(|cell| Some((*cell).to_owned())).collect()
        };
        assert_eq!(
            rows(
                "SELECT CAST(id AS TEXT), text, CAST(first_seen AS TEXT), CAST(last_seen AS TEXT) FROM cause ORDER BY id"
            ),
            [
                some(&["1", "451 ADDRESS: later", "11", "41"]),
                some(&["2", "550 gone", "21", "21"])
            ]
        );
        assert_eq!(
            rows("SELECT CAST(cause_id AS TEXT) FROM receiver ORDER BY id"),
            [some(&["1"]), some(&["1"]), vec![None], vec![None]]
        );
        assert_eq!(
            rows(
                "SELECT CAST(cause_id AS TEXT), CAST(state AS TEXT), CAST(n AS TEXT) FROM cause_counter"
            ),
            [some(&["1", "2", "2"])]
        );
    }

    #[test]
    fn migrating_twice_changes_nothing() {
        let mut conn = migrated();
        assert_eq!(migrate(&mut conn).unwrap(), SCHEMA);
        assert_eq!(version(&conn).unwrap(), SCHEMA);
    }

    #[test]
    fn receivers_from_before_the_stretches_are_in_them() {
        let mut conn = Connection::open_in_memory().unwrap();
        apply(&mut conn, &MIGRATIONS[..1]).unwrap();
        conn.execute_batch(
            "INSERT INTO kind VALUES (1, 'feedback');
             INSERT INTO backend (id, name, changed_at) VALUES (1, 'email', 0);
             INSERT INTO content VALUES (1, zeroblob(32), 'subject', 0, x'00');
             INSERT INTO message (id, key, digest, kind_id, headers, created_at, metadata, raw) VALUES (1, 'key', zeroblob(32), 1, '[]', 0, '{}', 0);
             INSERT INTO receiver (id, message_id, kind_id, backend_id, content_id, created_at, identity, language, metadata, priority, uid, state, sent_at)
                 SELECT value, 1, 1, 1, 1, value << 22, 'a@example.com', 'en', '{}', 0, 'uid', 11, CASE value WHEN 4097 THEN 7 << 22 END
                 FROM (SELECT 5 AS value UNION SELECT 9 UNION SELECT 4097);",
        )
        .unwrap();
        migrate(&mut conn).unwrap();
        let stretches: Vec<String> = conn
            .prepare(
                "SELECT number || ': ' || created_from || '-' || created_to || ', ' || coalesce(sent_from || '-' || sent_to, 'none')
                 FROM stretch ORDER BY number",
            )
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(stretches, ["0: 5-9, none", "1: 4097-4097, 7-7"]);
    }
}
