//! Messages in.

use std::{
    borrow::Cow,
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::{
    Store, StoreError, codec,
    error::explain,
    millis,
    part::{ENOUGH, PART, Packing, Ready, Row},
    random_hex, remainder,
};
use crate::message::{MessageId, Submission, Timestamp};

/// A write transaction ends after this, so that others get in between.
const SLICE: Duration = Duration::from_millis(15);

/// What became of one submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// It is in the store, durably.
    Stored {
        /// The caller's key, or the one made for it.
        key: String,
        /// Its number.
        message: MessageId,
        /// How many receivers it has.
        receivers: usize,
    },
    /// The same key with the same body was there, or is remembered of a message that was deleted: nothing was changed.
    Already {
        /// The key.
        key: String,
        /// The number it got then.
        message: MessageId,
    },
    /// The same key with another body was there: nothing was changed.
    Conflict {
        /// The key.
        key: String,
        /// The number of the message that has it.
        message: MessageId,
    },
}

/// Ids that are looked up again and again within one call.
#[derive(Default)]
struct Known {
    kinds: HashMap<String, i64>,
    backends: HashMap<String, i64>,
}

/// A submission with all done that can be done without the write lock.
struct Prepared<'a> {
    submission: &'a Submission,
    key: Cow<'a, str>,
    headers: String,
    metadata: String,
    receivers: Receivers,
}

enum Receivers {
    /// Few: they become rows with the message.
    Few(Ready),
    /// Very many: in parts that are put by, named by these hashes.
    Many(Vec<[u8; 32]>),
    /// Of no interest: the key was there.
    Unasked,
}

impl Store {
    /// Stores the submissions in order, in transactions of a few milliseconds, each durable before the next begins. On an error what
    /// came before the failing transaction is stored; handing all of it over again is harmless where there are keys.
    pub fn submit(
        &self,
        submissions: &[Submission],
        now: Timestamp,
    ) -> Result<Vec<Receipt>, StoreError> {
        let mut receipts = Vec::with_capacity(submissions.len());
        self.submit_into(submissions, now, &mut receipts)?;
        Ok(receipts)
    }

    /// The same; also on an error `receipts` has one for each that is stored.
    pub fn submit_into(
        &self,
        submissions: &[Submission],
        now: Timestamp,
        receipts: &mut Vec<Receipt>,
    ) -> Result<(), StoreError> {
        let mut known = Known::default();
        let mut rest = submissions;
        while !rest.is_empty() {
            let mut prepared = self.prepare_some(&mut rest)?;
            while let Some(first) = prepared.front() {
                let submission = first.submission;
                let slice = self.write(|tx| {
                    let began = Instant::now();
                    let mut slice = Vec::new();
                    for submission in &prepared {
                        let Some(receipt) = insert(tx, submission, now, &mut known)? else {
                            break;
                        };
                        slice.push(receipt);
                        if began.elapsed() > SLICE {
                            break;
                        }
                    }
                    Ok(slice)
                })?;
                if slice.is_empty() {
                    prepared[0] = self.prepare(submission)?;
                }
                prepared.drain(..slice.len());
                receipts.extend(slice);
            }
            self.store_remainder()?;
        }
        Ok(())
    }

    /// Stores all submissions in one transaction, or, when one of them is in conflict with what is there, none.
    pub fn submit_all_or_none(
        &self,
        submissions: &[Submission],
        now: Timestamp,
    ) -> Result<Vec<Receipt>, StoreError> {
        let stored = loop {
            let prepared: Vec<_> = submissions
                .iter()
                .map(|submission| self.prepare(submission))
                .collect::<Result<_, _>>()?;
            let run = || -> rusqlite::Result<Option<Vec<Receipt>>> {
                let mut conn = self.writer();
                let tx =
                    conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
                let mut known = Known::default();
                let receipts: Option<Vec<_>> = prepared
                    .iter()
                    .map(|submission| insert(&tx, submission, now, &mut known).transpose())
                    .collect::<Option<Result<_, _>>>()
                    .transpose()?;
                let good = receipts.as_ref().is_some_and(|receipts| {
                    let mut receipts = receipts.iter();
                    !receipts.any(|receipt| matches!(receipt, Receipt::Conflict { .. }))
                });
                if good {
                    tx.commit()?;
                } else {
                    tx.rollback()?;
                }
                Ok(receipts)
            };
            if let Some(receipts) = run().map_err(|error| explain(&self.path, error))? {
                break receipts;
            }
        };
        self.store_remainder()?;
        Ok(stored)
    }

    /// Prepares so many of the rest as make a transaction.
    fn prepare_some<'a>(
        &self,
        rest: &mut &'a [Submission],
    ) -> Result<VecDeque<Prepared<'a>>, StoreError> {
        let (mut prepared, mut receivers, mut size) = (VecDeque::new(), 0, 0);
        while let Some((first, others)) = rest.split_first()
            && receivers < PART
            && size < ENOUGH
        {
            let one = self.prepare(first)?;
            if let Receivers::Few(ready) = &one.receivers {
                receivers += ready.receivers();
                size += ready.size();
            } else {
                // What it is made of is not left lying about longer than it must.
                receivers = PART;
            }
            prepared.push_back(one);
            *rest = others;
        }
        Ok(prepared)
    }

    fn prepare<'a>(&self, submission: &'a Submission) -> Result<Prepared<'a>, StoreError> {
        let explain = |error| explain(&self.path, error);
        let key = match &submission.key {
            Some(key) => Cow::Borrowed(key.as_str()),
            None => Cow::Owned(fresh(12).map_err(explain)?),
        };
        let mut packing = Packing::new(submission, &key);
        let first = packing.part().map_err(explain)?;
        let receivers = if packing.is_done() {
            Receivers::Few(first.ready().map_err(explain)?)
        } else if self.has_key(submission).map_err(explain)? {
            Receivers::Unasked
        } else {
            Receivers::Many(self.put_by(first, &mut packing)?)
        };
        Ok(Prepared {
            submission,
            headers: json(&submission.headers).map_err(explain)?,
            metadata: json(&submission.metadata).map_err(explain)?,
            key,
            receivers,
        })
    }

    fn has_key(&self, submission: &Submission) -> rusqlite::Result<bool> {
        Ok(there(&self.writer(), submission)?.is_some())
    }
}

/// What became of a submission whose key is there.
fn there(conn: &Connection, submission: &Submission) -> rusqlite::Result<Option<Receipt>> {
    let Some(key) = submission.key.clone() else {
        return Ok(None);
    };
    let there = conn
        .prepare_cached(
            "SELECT id, digest FROM message WHERE key = ?1 UNION ALL SELECT message_id, digest FROM spent_key WHERE key = ?1",
        )?
        .query_row([&key], |row| {
            Ok((MessageId(row.get(0)?), row.get::<_, [u8; 32]>(1)?))
        })
        .optional()?;
    Ok(there.map(|(message, digest)| {
        if digest == submission.digest {
            Receipt::Already { key, message }
        } else {
            Receipt::Conflict { key, message }
        }
    }))
}

/// Writes it; `None`, and nothing written, when it must be prepared again: what lay there when it was is there no more.
fn insert(
    tx: &Transaction<'_>,
    prepared: &Prepared<'_>,
    now: Timestamp,
    known: &mut Known,
) -> rusqlite::Result<Option<Receipt>> {
    let submission = prepared.submission;
    if let Some(receipt) = there(tx, submission)? {
        return Ok(Some(receipt));
    }
    let ready = match &prepared.receivers {
        Receivers::Few(_) => true,
        Receivers::Many(parts) => remainder::are_there(tx, parts)?,
        Receivers::Unasked => false,
    };
    if !ready {
        return Ok(None);
    }
    let kind = id_of(tx, &mut known.kinds, &submission.kind, kind_id)?;
    tx.prepare_cached(
        "INSERT INTO message (key, digest, kind_id, sender, reply_to, headers, return_path, created_by, created_at, metadata, raw)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        prepared.key,
        submission.digest,
        kind,
        submission.from,
        submission.reply_to,
        prepared.headers,
        submission.return_path,
        submission.created_by,
        millis(now),
        prepared.metadata,
        submission.contents.iter().any(|(_, content)| content.is_raw()),
    ])?;
    let message = Row {
        id: tx.last_insert_rowid(),
        kind,
        created_at: millis(now),
    };
    match &prepared.receivers {
        Receivers::Few(ready) => ready.insert(tx, &message, &mut known.backends)?,
        Receivers::Many(parts) => remainder::name(tx, message.id, parts)?,
        Receivers::Unasked => {}
    }
    Ok(Some(Receipt::Stored {
        key: prepared.key.clone().into_owned(),
        message: MessageId(message.id),
        receivers: submission.receivers.len(),
    }))
}

/// The number of a content, which is stored once.
pub(super) fn content_id(
    tx: &Transaction<'_>,
    subject: &str,
    packed: &codec::Packed,
) -> rusqlite::Result<i64> {
    let there = tx
        .prepare_cached("SELECT id FROM content WHERE hash = ?")?
        .query_row([packed.hash], |row| row.get(0))
        .optional()?;
    if let Some(id) = there {
        return Ok(id);
    }
    tx.prepare_cached("INSERT INTO content (hash, subject, codec, body) VALUES (?, ?, ?, ?)")?
        .execute(params![packed.hash, subject, packed.codec, packed.body])?;
    Ok(tx.last_insert_rowid())
}

/// The number of a type's row, made on first use.
pub(super) fn kind_id(tx: &Transaction<'_>, name: &str) -> rusqlite::Result<i64> {
    tx.prepare_cached("INSERT INTO kind (name) VALUES (?) ON CONFLICT DO NOTHING")?
        .execute([name])?;
    tx.prepare_cached("SELECT id FROM kind WHERE name = ?")?
        .query_row([name], |row| row.get(0))
}

/// The number of a backend's row, made on first use.
pub(super) fn backend_id(
    tx: &Transaction<'_>,
    name: &str,
    now: Timestamp,
) -> rusqlite::Result<i64> {
    tx.prepare_cached(
        "INSERT INTO backend (name, changed_at) VALUES (?, ?) ON CONFLICT DO NOTHING",
    )?
    .execute(params![name, millis(now)])?;
    tx.prepare_cached("SELECT id FROM backend WHERE name = ?")?
        .query_row([name], |row| row.get(0))
}

pub(super) fn id_of(
    tx: &Transaction<'_>,
    known: &mut HashMap<String, i64>,
    name: &str,
    look_up: impl FnOnce(&Transaction<'_>, &str) -> rusqlite::Result<i64>,
) -> rusqlite::Result<i64> {
    if let Some(id) = known.get(name) {
        return Ok(*id);
    }
    let id = look_up(tx, name)?;
    known.insert(name.to_owned(), id);
    Ok(id)
}

pub(super) fn json(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

pub(super) fn fresh(bytes: usize) -> rusqlite::Result<String> {
    random_hex(bytes).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::message::{Body, Content, NewReceiver, Rendered};

    const MANY: usize = 2_000;

    /// A message that says something else to each, and nothing that can be compressed: 2 MB when it is packed.
    fn large() -> Submission {
        let receiver = |n: usize| {
            let text: String = (0..30).map(|_| fresh(32).unwrap()).collect();
            let content = Content {
                subject: format!("Grade of {n}"),
                body: Body::Parts { text, html: None },
            };
            NewReceiver {
                identity: format!("user{n}@example.com"),
                name: None,
                user: None,
                language: "en".to_owned(),
                rendered: Some(Rendered {
                    content: Arc::new(content),
                    failure: None,
                }),
                backend: "email".to_owned(),
                metadata: serde_json::Value::Null,
            }
        };
        Submission {
            key: Some("grades".to_owned()),
            kind: "grade".to_owned(),
            from: None,
            reply_to: None,
            headers: Vec::new(),
            return_path: None,
            created_by: None,
            metadata: serde_json::Value::Null,
            priority: 0,
            send_after: None,
            expires_at: None,
            contents: Vec::new(),
            receivers: (0..MANY).map(receiver).collect(),
            digest: [7; 32],
        }
    }

    fn store(folder: &tempfile::TempDir) -> Store {
        Store::create(&folder.path().join("postroom.db")).unwrap()
    }

    fn write(store: &Store, prepared: &Prepared<'_>) -> Option<Receipt> {
        let insert = |tx: &Transaction<'_>| {
            insert(tx, prepared, Timestamp::default(), &mut Known::default())
        };
        store.write(insert).unwrap()
    }

    /// Bytes of the log.
    fn written(store: &Store) -> u64 {
        let log = crate::store::beside(store.path(), "-wal");
        log.metadata().unwrap().len()
    }

    #[test]
    fn the_transaction_of_a_large_message_writes_little_however_much_it_says() {
        let (folder, large) = (tempfile::tempdir().unwrap(), large());
        let store = store(&folder);
        let before = written(&store);
        let prepared = store.prepare(&large).unwrap();
        let put_by = written(&store) - before;
        assert!(put_by > 1 << 20, "{put_by}");
        let before = written(&store);
        assert!(matches!(
            write(&store, &prepared),
            Some(Receipt::Stored {
                receivers: MANY,
                ..
            })
        ));
        let whole = written(&store) - before;
        assert!(whole < 200 << 10, "{whole}");
        let reader = store.reader().unwrap();
        assert_eq!(reader.unused().unwrap(), crate::store::Unused::default());
        store.store_remainder().unwrap();
        assert_eq!(reader.counts().unwrap().total(), MANY as u64);
        let contents: i64 = reader
            .run(|conn| {
                conn.query_row(
                    "SELECT count(*) FROM content c WHERE c.subject LIKE 'Grade of %' AND EXISTS (SELECT 1 FROM receiver WHERE content_id = c.id
                         AND identity = 'user' || substr(c.subject, 10) || '@example.com')",
                    [],
                    |row| row.get(0),
                )
            })
            .unwrap();
        assert_eq!(contents, MANY as i64);
        assert_eq!(reader.unused().unwrap().contents(), 0);
    }

    #[test]
    fn what_was_put_by_of_a_large_message_and_cleaned_away_is_put_by_again() {
        let (folder, large) = (tempfile::tempdir().unwrap(), large());
        let store = store(&folder);
        let prepared = store.prepare(&large).unwrap();
        let unused = store.reader().unwrap().unused().unwrap();
        assert!(unused.contents() > 0);
        // What is handed over again finds what is there.
        store.prepare(&large).unwrap();
        assert_eq!(store.reader().unwrap().unused().unwrap(), unused);
        let remove = |tx: &Transaction<'_>| tx.execute("DELETE FROM content WHERE id % 2 = 0", []);
        store.write(remove).unwrap();
        assert_eq!(write(&store, &prepared), None);
        let receipts = store.submit(std::slice::from_ref(&large), Timestamp::default());
        assert!(matches!(receipts.unwrap()[..], [Receipt::Stored { .. }]));
        let again = store.submit(&[large], Timestamp::default()).unwrap();
        assert!(matches!(again[..], [Receipt::Already { .. }]));
        let reader = store.reader().unwrap();
        assert_eq!(reader.counts().unwrap().total(), MANY as u64);
        assert_eq!(reader.unused().unwrap().contents(), 0);
    }
}
