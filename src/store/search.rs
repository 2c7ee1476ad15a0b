//! The text index: trigrams of subject, user and identity.
//!
//! Text is folded here before it goes in and before it is asked for, so that both sides agree. The index only proposes rows; every proposed row
//! is checked against the text itself.

use rusqlite::params;

use super::{Store, StoreError, error::explain};

/// More trigrams than this narrow no further, as every row is checked anyway.
const TRIGRAMS: usize = 12;

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
}
