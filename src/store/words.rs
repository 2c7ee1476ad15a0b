//! The words that a query may name: what stands in the store now.

use super::{CauseRow, Reader, StoreError};
use crate::{message::Text, query::Query};

/// So many of the newest receivers are looked at for their languages: no index tells these.
const NEWEST: i64 = 10_000;

/// No more causes than these are offered, the biggest first.
const CAUSES: usize = 50;

/// What a query may name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// Types of messages that have receivers, those with the most first.
    pub types: Vec<Text>,
    /// Backends that have receivers, likewise.
    pub backends: Vec<Text>,
    /// Languages of the newest receivers, likewise.
    pub languages: Vec<Text>,
    /// Causes, likewise.
    pub causes: Vec<CauseRow>,
}

impl Reader {
    /// What a query may name.
    pub fn words(&self) -> Result<Words, StoreError> {
        let causes = self.causes(&Query::default(), CAUSES)?;
        self.snapshot(|conn| {
            let names = |sql: &str| -> rusqlite::Result<Vec<Text>> {
                let mut statement = conn.prepare_cached(sql)?;
                let names = statement.query_map([], |row| row.get::<_, String>(0))?;
                names.map(|name| name.map(Text::from)).collect()
            };
            Ok(Words {
                types: names(
                    "SELECT k.name FROM counter c JOIN kind k ON k.id = c.kind_id GROUP BY k.id HAVING sum(c.n) > 0 ORDER BY sum(c.n) DESC, k.name",
                )?,
                backends: names(
                    "SELECT b.name FROM counter c JOIN backend b ON b.id = c.backend_id GROUP BY b.id HAVING sum(c.n) > 0 ORDER BY sum(c.n) DESC, b.name",
                )?,
                languages: names(&format!(
                    "SELECT language FROM (SELECT language FROM receiver ORDER BY id DESC LIMIT {NEWEST}) GROUP BY language ORDER BY count(*) DESC, language"
                ))?,
                causes,
            })
        })
    }
}
