//! Messages in.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use rusqlite::{OptionalExtension as _, Transaction, params};

use super::{
    Store, StoreError, codec, millis, random_hex,
    remainder::{self, Common, Line, PART, Unrendered, put_by},
};
use crate::message::{Content, MessageId, Submission, Timestamp};

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
        let mut done = 0;
        while done < submissions.len() {
            let rest = &submissions[done..];
            let slice = self.write(|tx| {
                let began = Instant::now();
                let mut slice = Vec::new();
                for submission in rest {
                    slice.push(insert(tx, submission, now, &mut known)?);
                    if began.elapsed() > SLICE {
                        break;
                    }
                }
                Ok(slice)
            });
            let slice = slice?;
            done += slice.len();
            receipts.extend(slice);
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
        let run = || -> rusqlite::Result<Vec<Receipt>> {
            let mut conn = self.writer();
            let tx = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            let mut known = Known::default();
            let receipts: Vec<_> = submissions
                .iter()
                .map(|submission| insert(&tx, submission, now, &mut known))
                .collect::<Result<_, _>>()?;
            if receipts
                .iter()
                .any(|receipt| matches!(receipt, Receipt::Conflict { .. }))
            {
                tx.rollback()?;
            } else {
                tx.commit()?;
            }
            Ok(receipts)
        };
        let receipts = run().map_err(|error| super::error::explain(&self.path, error))?;
        self.store_remainder()?;
        Ok(receipts)
    }
}

fn insert(
    tx: &Transaction<'_>,
    submission: &Submission,
    now: Timestamp,
    known: &mut Known,
) -> rusqlite::Result<Receipt> {
    if let Some(key) = &submission.key {
        let there = tx
            .prepare_cached(
                "SELECT id, digest FROM message WHERE key = ?1 UNION ALL SELECT message_id, digest FROM spent_key WHERE key = ?1",
            )?
            .query_row([key], |row| {
                Ok((MessageId(row.get(0)?), row.get::<_, [u8; 32]>(1)?))
            })
            .optional()?;
        if let Some((message, digest)) = there {
            let key = key.clone();
            return Ok(if digest == submission.digest {
                Receipt::Already { key, message }
            } else {
                Receipt::Conflict { key, message }
            });
        }
    }
    let key = match &submission.key {
        Some(key) => key.clone(),
        None => fresh(12)?,
    };
    let kind = id_of(tx, &mut known.kinds, &submission.kind, kind_id)?;
    tx.prepare_cached(
        "INSERT INTO message (key, digest, kind_id, sender, reply_to, headers, return_path, created_by, created_at, metadata, raw)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        key,
        submission.digest,
        kind,
        submission.from,
        submission.reply_to,
        json(&submission.headers)?,
        submission.return_path,
        submission.created_by,
        millis(now),
        json(&submission.metadata)?,
        submission.contents.iter().any(|(_, content)| content.is_raw()),
    ])?;
    let message = tx.last_insert_rowid();

    let mut contents = HashMap::with_capacity(submission.contents.len());
    let spoken = |language: &str| {
        let mut receivers = submission.receivers.iter();
        receivers.any(|receiver| receiver.language == language)
    };
    // A language that nobody here reads would stand in the store for nobody.
    let read = submission
        .contents
        .iter()
        .filter(|(language, _)| spoken(language));
    for (language, content) in read {
        let packed = codec::pack(content)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        contents.insert(
            language.as_str(),
            content_id(tx, &content.subject, &packed)?,
        );
    }

    let due_at = submission
        .send_after
        .map_or(millis(now), |at| millis(at).max(millis(now)));
    let common = Common {
        message,
        kind,
        created_at: millis(now),
        priority: submission.priority,
        send_after: submission.send_after.map(millis),
        expires_at: submission.expires_at.map(millis),
        due_at,
    };
    let mut lines = Vec::with_capacity(submission.receivers.len());
    let mut written = HashMap::new();
    for receiver in &submission.receivers {
        let failure = receiver.rendered.as_ref();
        let failure = failure.and_then(|rendered| rendered.failure.as_ref());
        let backend = id_of(tx, &mut known.backends, &receiver.backend, |tx, name| {
            backend_id(tx, name, now)
        })?;
        let own = match &receiver.rendered {
            None => None,
            Some(rendered) => Some(own_content(tx, &rendered.content, &mut written)?),
        };
        let Some(content) = own.or_else(|| contents.get(receiver.language.as_str()).copied())
        else {
            let what = format!(
                "no content in language {:?} for {}",
                receiver.language, receiver.identity
            );
            return Err(rusqlite::Error::ToSqlConversionFailure(what.into()));
        };
        lines.push(Line {
            backend,
            content,
            identity: receiver.identity.clone(),
            name: receiver.name.clone(),
            user: receiver.user.clone(),
            language: receiver.language.clone(),
            metadata: json(&receiver.metadata)?,
            unrendered: failure.map(Unrendered::of),
        });
    }
    if lines.len() > PART {
        put_by(tx, &common, lines)?;
    } else {
        remainder::insert(tx, &common, &lines)?;
    }
    Ok(Receipt::Stored {
        key,
        message: MessageId(message),
        receivers: submission.receivers.len(),
    })
}

/// The number of a receiver's own content. `written` knows those of this message: one that many share is packed once.
fn own_content(
    tx: &Transaction<'_>,
    content: &Arc<Content>,
    written: &mut HashMap<*const Content, i64>,
) -> rusqlite::Result<i64> {
    if let Some(id) = written.get(&Arc::as_ptr(content)) {
        return Ok(*id);
    }
    let packed = codec::pack(content)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    let id = content_id(tx, &content.subject, &packed)?;
    written.insert(Arc::as_ptr(content), id);
    Ok(id)
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

fn id_of(
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
