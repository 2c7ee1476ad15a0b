//! Messages with very many receivers: stored whole in one short transaction, made rows in steps that let others in.
//!
//! Before that transaction its receivers are written down as packed parts, in steps too. They lie among the contents, where nobody sees them: if it
//! never comes to that transaction, they are contents that nobody uses: used when the message is handed over again, or cleaned away. The transaction itself names the parts and no
//! more. From then on the message is known by its key, and nothing of it can be lost: while a part is named no content is cleaned away, who stored the
//! message makes rows of the parts at once, and if it dies, whoever has the store open goes on.

use std::collections::HashMap;

use rusqlite::{OptionalExtension as _, Transaction, params};
use serde::{Deserialize, Serialize};

use super::{
    Store, StoreError, codec,
    error::explain,
    pace::GAP,
    part::{Packing, Part, Ready, Row},
    submit::{content_id, json},
};

/// Bytes of parts that are written at once: a few milliseconds.
const AT_ONCE: usize = 1 << 18;

/// What stands for a part in the message's own transaction.
#[derive(Serialize, Deserialize)]
struct Named {
    /// The hash of the content that is the part.
    content: [u8; 32],
}

/// What may stand there.
#[derive(Deserialize)]
#[serde(untagged)]
enum Body {
    Named(Named),
    /// As older versions packed it.
    Whole(Part<'static>),
}

/// A part that was found.
struct Found {
    id: i64,
    message: i64,
    named: Option<[u8; 32]>,
    part: Ready,
}

impl Store {
    /// Writes the parts of a message down; returns what they are named by.
    pub(super) fn put_by<'a>(
        &self,
        first: Part<'a>,
        packing: &mut Packing<'a>,
    ) -> Result<Vec<[u8; 32]>, StoreError> {
        let explain = |error| explain(&self.path, error);
        let (mut put, mut waiting, mut size) = (Vec::new(), Vec::new(), 0);
        let mut next = Some(first);
        while let Some(part) = next {
            let packed = codec::pack(&part)
                .map_err(|error| explain(rusqlite::Error::ToSqlConversionFailure(error.into())))?;
            put.push(packed.hash);
            size += packed.body.len();
            waiting.push(packed);
            next = if packing.is_done() {
                None
            } else {
                Some(packing.part().map_err(explain)?)
            };
            if size >= AT_ONCE || next.is_none() {
                self.write(|tx| {
                    for packed in &waiting {
                        content_id(tx, "", packed)?;
                    }
                    Ok(())
                })?;
                waiting.clear();
                size = 0;
            }
        }
        Ok(put)
    }

    /// Makes rows of one part, if there is any; says whether there was.
    pub(super) fn store_some(&self) -> Result<bool, StoreError> {
        let Some(found) = self
            .next_part()
            .map_err(|error| explain(&self.path, error))?
        else {
            return Ok(false);
        };
        self.write(|tx| {
            let mine = tx
                .prepare_cached("DELETE FROM remainder WHERE id = ?")?
                .execute([found.id])?;
            if mine == 0 {
                // Somebody else was faster.
                return Ok(());
            }
            let message = tx
                .prepare_cached("SELECT id, kind_id, created_at FROM message WHERE id = ?")?
                .query_row([found.message], |row| {
                    Ok(Row {
                        id: row.get(0)?,
                        kind: row.get(1)?,
                        created_at: row.get(2)?,
                    })
                })?;
            found.part.insert(tx, &message, &mut HashMap::new())?;
            if let Some(hash) = found.named {
                tx.prepare_cached("DELETE FROM content WHERE hash = ?")?
                    .execute([hash])?;
            }
            Ok(())
        })?;
        Ok(true)
    }

    /// The part that is next, made ready without the write lock.
    fn next_part(&self) -> rusqlite::Result<Option<Found>> {
        let mut conn = self.writer();
        // Both looks see the same moment.
        let tx = conn.transaction()?;
        let found: Option<(i64, i64, i64, Vec<u8>)> = tx
            .prepare_cached(
                "SELECT id, message_id, codec, body FROM remainder ORDER BY id LIMIT 1",
            )?
            .query_row([], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })
            .optional()?;
        let Some((id, message, codec, body)) = found else {
            return Ok(None);
        };
        let (named, part) = match codec::unpack(codec, &body)? {
            Body::Whole(part) => (None, part),
            Body::Named(Named { content }) => {
                let part = tx
                    .prepare_cached("SELECT codec, body FROM content WHERE hash = ?")?
                    .query_row([content], |row| {
                        codec::unpack::<Part<'_>>(row.get(0)?, row.get_ref(1)?.as_blob()?)
                    })?;
                (Some(content), part)
            }
        };
        drop(tx);
        drop(conn);
        Ok(Some(Found {
            id,
            message,
            named,
            part: part.ready()?,
        }))
    }

    /// Makes rows of all there is, in steps that let others in.
    pub fn store_remainder(&self) -> Result<(), StoreError> {
        while self.store_some()? {
            std::thread::sleep(GAP);
        }
        Ok(())
    }
}

/// Whether all these parts lie there: who cleans up may have been there meanwhile.
pub(super) fn are_there(tx: &Transaction<'_>, parts: &[[u8; 32]]) -> rusqlite::Result<bool> {
    let mut look = tx.prepare_cached("SELECT 1 FROM content WHERE hash = ?")?;
    for part in parts {
        if !look.exists([part])? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Names the parts as a message's: it has these receivers.
pub(super) fn name(tx: &Transaction<'_>, message: i64, parts: &[[u8; 32]]) -> rusqlite::Result<()> {
    let mut statement =
        tx.prepare_cached("INSERT INTO remainder (message_id, codec, body) VALUES (?, 0, ?)")?;
    for &content in parts {
        statement.execute(params![message, json(&Named { content })?.into_bytes()])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_older_version_packed_becomes_rows() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::create(&folder.path().join("postroom.db")).unwrap();
        let part = r#"{"common":{"message":5,"kind":2,"created_at":9,"priority":3,"send_after":null,"expires_at":77,"due_at":9},"lines":[
            {"backend":3,"content":4,"identity":"a@example.com","name":"A","user":"a","language":"en","metadata":"{\"n\":1}"},
            {"backend":3,"content":4,"identity":"b@example.com","name":null,"user":null,"language":"en","metadata":"null",
             "unrendered":{"error":"no grade","traceback":"line 1","phase":"render"}}]}"#;
        store
            .write(|tx| {
                tx.execute_batch(
                    "INSERT INTO kind VALUES (2, 'feedback');
                     INSERT INTO backend (id, name, changed_at) VALUES (3, 'email', 0);
                     INSERT INTO content VALUES (4, zeroblob(32), 's', 0, x'7b7d');
                     INSERT INTO message VALUES (5, 'k', zeroblob(32), 2, NULL, NULL, '[]', NULL, NULL, 9, '{}', 0);",
                )?;
                tx.execute(
                    "INSERT INTO remainder (message_id, codec, body) VALUES (5, 0, ?)",
                    [part.as_bytes()],
                )
            })
            .unwrap();
        store.store_remainder().unwrap();
        let rows: Vec<String> = store
            .reader()
            .unwrap()
            .run(|conn| {
                conn.prepare(
                    "SELECT concat_ws(' ', message_id, kind_id, backend_id, content_id, created_at, identity, name, user, metadata, priority, expires_at, state, due_at)
                     FROM receiver ORDER BY id",
                )?
                .query_map([], |row| row.get(0))?
                .collect()
            })
            .unwrap();
        let wanted = [
            "5 2 3 4 9 a@example.com A a {\"n\":1} 3 77 0 9",
            "5 2 3 4 9 b@example.com null 3 77 7",
        ];
        assert_eq!(rows, wanted);
        assert!(!store.store_some().unwrap());
    }
}
