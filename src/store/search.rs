//! The text index: trigrams of subject, user and identity.
//!
//! Text is folded here before it goes in and before it is asked for, so that both sides agree. The index only proposes rows; every proposed row
//! is checked against the text itself. It is filled, emptied and merged in small steps behind the writers.

use rusqlite::params;

use super::{Store, StoreError, error::explain};

/// More trigrams than this narrow no further, as every row is checked anyway.
const TRIGRAMS: usize = 12;

/// Pages that a merge writes at once: a few milliseconds of the write lock, as each has some thousand entries.
const MERGED: i64 = 1;

/// How text is compared: lower case.
pub(super) fn fold(text: &str) -> String {
    text.to_lowercase()
}

/// The expression for FTS5 that proposes every row with this word in it; `None` when it is too short.
pub(super) fn match_expression(word: &str) -> Option<String> {
    let letters: Vec<char> = fold(word).chars().collect();
    if letters.len() < 3 {
        return None;
    }
    let windows = letters.windows(3);
    let step = windows.len().div_ceil(TRIGRAMS).max(1);
    let trigrams: Vec<String> = windows
        .step_by(step)
        .map(|window| {
            format!(
                "\"{}\"",
                window.iter().collect::<String>().replace('"', "\"\"")
            )
        })
        .collect();
    Some(format!("({})", trigrams.join(" AND ")))
}

impl Store {
    /// Adds up to `limit` receivers to the text index; returns how many it added. Zero: nothing is left to do.
    pub fn index_some(&self, limit: usize) -> Result<usize, StoreError> {
        let behind = {
            let conn = self.writer();
            conn.prepare_cached(
                "SELECT coalesce((SELECT max(id) FROM receiver), 0) > upto FROM search_progress",
            )
            .and_then(|mut statement| statement.query_row([], |row| row.get::<_, bool>(0)))
            .map_err(|error| explain(&self.path, error))?
        };
        if !behind {
            return Ok(0);
        }
        self.write_unflushed(|tx| {
            let upto: i64 = tx.query_row("SELECT upto FROM search_progress", [], |row| row.get(0))?;
            let mut rows = tx.prepare_cached(
                "SELECT r.id, c.subject, coalesce(r.user, ''), r.identity FROM receiver r JOIN content c ON c.id = r.content_id
                 WHERE r.id > ? ORDER BY r.id LIMIT ?",
            )?;
            let mut insert = tx.prepare_cached("INSERT INTO search (rowid, text) VALUES (?, ?)")?;
            let mut rows = rows.query(params![upto, limit as i64])?;
            let (mut added, mut last) = (0, upto);
            while let Some(row) = rows.next()? {
                last = row.get(0)?;
                let text = [row.get::<_, String>(1)?, row.get(2)?, row.get(3)?].join("\n");
                insert.execute(params![last, fold(&text)])?;
                added += 1;
            }
            if added > 0 {
                tx.execute("UPDATE search_progress SET upto = ?", [last])?;
            }
            Ok(added)
        })
    }

    /// Takes up to `limit` deleted receivers out of the text index; returns how many it took. Zero: nothing is left to do.
    pub(super) fn unindex_some(&self, limit: usize) -> Result<usize, StoreError> {
        let any = self
            .writer()
            .prepare_cached("SELECT 1 FROM search_stale")
            .and_then(|mut stale| stale.exists([]))
            .map_err(|error| explain(&self.path, error))?;
        if !any {
            return Ok(0);
        }
        self.write_unflushed(|tx| {
            const SOME: &str = "SELECT id FROM search_stale ORDER BY id LIMIT ?";
            tx.prepare_cached(&format!("DELETE FROM search WHERE rowid IN ({SOME})"))?
                .execute([limit as i64])?;
            tx.prepare_cached(&format!("DELETE FROM search_stale WHERE id IN ({SOME})"))?
                .execute([limit as i64])
        })
    }

    /// Merges some of the text index, which makes it faster to ask and drops what was taken out, once that is a tenth; returns whether there may be more
    /// to do. What was taken out is passed over without being counted as work, so take out no more while there is something to merge.
    pub(super) fn merge_some(&self) -> Result<bool, StoreError> {
        self.write_unflushed(|tx| {
            let before = tx.total_changes();
            tx.prepare_cached("INSERT INTO search (search, rank) VALUES ('merge', ?)")?
                .execute([MERGED])?;
            // https://sqlite.org/fts5.html#the_merge_command: less than two changes are none.
            Ok(tx.total_changes() - before >= 2)
        })
    }
}
