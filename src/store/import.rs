//! Receivers with their history, from elsewhere: taken once, however often they are handed over.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use serde_json::Value;

use super::{
    Acting, Reader, SeedAttempt, Store, StoreError, audit, cause, codec, millis,
    pace::GAP,
    seed::insert_attempts,
    submit::{backend_id, content_id, fresh, json, kind_id},
};
use crate::message::{Content, MessageId, Outcome, ReceiverId, State, Status, Timestamp};

/// A write transaction ends after this, so that others get in between.
const SLICE: Duration = Duration::from_millis(20);

/// A content ready to be written; made away from the store's thread, since packing costs more than writing.
pub struct PackedContent {
    subject: String,
    packed: codec::Packed,
}

impl PackedContent {
    /// Packs it.
    pub fn new(content: &Content) -> Result<Self, serde_json::Error> {
        Ok(Self {
            subject: content.subject.clone(),
            packed: codec::pack(content)?,
        })
    }
}

/// A message as it was elsewhere.
pub struct ImportedMessage {
    /// Its key here, the same whenever it is handed over.
    pub key: String,
    /// What makes it this very message: with another digest under the same key it is refused.
    pub digest: [u8; 32],
    /// Its type.
    pub kind: String,
    /// Who made it.
    pub created_by: Option<String>,
    /// When.
    pub created_at: Timestamp,
    /// Its data.
    pub metadata: Value,
}

/// One receiver as it was elsewhere.
pub struct ImportedReceiver {
    /// Its message; stored with the first of its receivers.
    pub message: Arc<ImportedMessage>,
    /// Its number there; of each message taken once.
    pub number: i64,
    /// Where it goes: each becomes a receiver of its own here, with the same history. Never empty.
    pub identities: Vec<String>,
    /// The person's name.
    pub user: Option<String>,
    /// The language of its words.
    pub language: String,
    /// What it says.
    pub words: PackedContent,
    /// Its data.
    pub metadata: Value,
    /// When it was made.
    pub created_at: Timestamp,
    /// What it is now; never one that is sent by itself.
    pub state: State,
    /// Tries that failed, as they were counted there.
    pub failed_count: u32,
    /// Times it was accepted, as they were counted there.
    pub sent_count: u32,
    /// The failed count beyond which it is an Error; `None`: the configured one.
    pub resend_limit: Option<u32>,
    /// When it was accepted last; of a Sent one never missing.
    pub sent_at: Option<Timestamp>,
    /// Its tries, oldest first.
    pub attempts: Vec<SeedAttempt>,
}

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is in the store, durably.
    New,
    /// It was taken before: nothing was changed.
    Already,
    /// This message has its key and is another: nothing was changed.
    Foreign(MessageId),
}

/// Taking over what was elsewhere, a slice at a time; one line in the audit log tells how many receivers that was.
pub struct Import<'a> {
    store: &'a Store,
    now: Timestamp,
    backend: &'a str,
    by: &'a str,
    line: audit::Line<'a>,
    receivers: u64,
}

impl Store {
    /// Begins. `backend` is the way out of everything that is taken, `by` who tried before it came here.
    pub fn import<'a>(&'a self, acting: &'a Acting, backend: &'a str, by: &'a str) -> Import<'a> {
        Import {
            store: self,
            now: acting.now,
            backend,
            by,
            line: audit::Line::new(acting.now, &acting.who, "import", &acting.target),
            receivers: 0,
        }
    }
}

impl Reader {
    /// What would become of these receivers; nothing is written.
    pub fn would_take(&self, receivers: &[ImportedReceiver]) -> Result<Vec<Taken>, StoreError> {
        self.run(|conn| {
            let mut known = HashMap::new();
            let find = |receiver: &ImportedReceiver| {
                Ok(match find(conn, &receiver.message, &mut known)? {
                    Found::Nothing => Taken::New,
                    Found::Here(id) if !has(conn, id, receiver.number)? => Taken::New,
                    Found::Here(_) | Found::Spent => Taken::Already,
                    Found::Foreign(id) => Taken::Foreign(id),
                })
            };
            receivers.iter().map(find).collect()
        })
    }

    /// What would become of these messages; nothing is written.
    pub fn would_take_messages(
        &self,
        messages: &[Arc<ImportedMessage>],
    ) -> Result<Vec<Taken>, StoreError> {
        self.run(|conn| {
            let mut known = HashMap::new();
            let messages = messages.iter();
            messages
                .map(|message| Ok(find(conn, message, &mut known)?.as_taken()))
                .collect()
        })
    }
}

impl Import<'_> {
    /// Takes these receivers, in transactions of a few milliseconds with gaps that let others in. On an error, what came before the failing
    /// transaction is stored; handing all of it over again is harmless.
    pub fn take(&mut self, receivers: &[ImportedReceiver]) -> Result<Vec<Taken>, StoreError> {
        let mut taken = Vec::with_capacity(receivers.len());
        while taken.len() < receivers.len() {
            let rest = &receivers[taken.len()..];
            let (slice, count, line) = self.store.write(|tx| {
                let began = Instant::now();
                let (mut slice, mut count, mut known) = (Vec::new(), 0, HashMap::new());
                let backend = backend_id(tx, self.backend, self.now)?;
                for receiver in rest {
                    let became = self.one(tx, receiver, backend, &mut known)?;
                    if became == Taken::New {
                        count += receiver.identities.len() as u64;
                    }
                    slice.push(became);
                    if began.elapsed() > SLICE {
                        break;
                    }
                }
                let line = match count {
                    0 => None,
                    _ => Some(self.line.write(tx, self.receivers + count, None)?),
                };
                Ok((slice, count, line))
            })?;
            self.receivers += count;
            if let Some(line) = line {
                self.line.written(line);
            }
            taken.extend(slice);
            std::thread::sleep(GAP);
        }
        Ok(taken)
    }

    /// Takes messages that have no receivers, likewise.
    pub fn take_messages(
        &mut self,
        messages: &[Arc<ImportedMessage>],
    ) -> Result<Vec<Taken>, StoreError> {
        let mut taken = Vec::with_capacity(messages.len());
        while taken.len() < messages.len() {
            let rest = &messages[taken.len()..];
            let slice: Vec<Taken> = self.store.write(|tx| {
                let (began, mut slice, mut known) = (Instant::now(), Vec::new(), HashMap::new());
                for message in rest {
                    let found = find(tx, message, &mut known)?;
                    if let Found::Nothing = found {
                        insert_message(tx, message)?;
                    }
                    slice.push(found.as_taken());
                    if began.elapsed() > SLICE {
                        break;
                    }
                }
                Ok(slice)
            })?;
            taken.extend(slice);
            std::thread::sleep(GAP);
        }
        Ok(taken)
    }

    fn one(
        &self,
        tx: &Transaction<'_>,
        receiver: &ImportedReceiver,
        backend: i64,
        known: &mut HashMap<String, Found>,
    ) -> rusqlite::Result<Taken> {
        let message = match find(tx, &receiver.message, known)? {
            Found::Here(id) => id,
            Found::Nothing => {
                let id = insert_message(tx, &receiver.message)?;
                known.insert(receiver.message.key.clone(), Found::Here(id));
                id
            }
            found => return Ok(found.as_taken()),
        };
        let marked = tx
            .prepare_cached(
                "INSERT INTO imported (message_id, number) VALUES (?, ?) ON CONFLICT DO NOTHING",
            )?
            .execute([message, receiver.number])?;
        if marked == 0 {
            return Ok(Taken::Already);
        }
        let kind = kind_id(tx, &receiver.message.kind)?;
        let content = content_id(tx, &receiver.words.subject, &receiver.words.packed)?;
        let metadata = json(&receiver.metadata)?;
        let ended = receiver.attempts.last().map(|attempt| attempt.ended_at);
        let error_at = (receiver.state.status() == Status::Error)
            .then(|| ended.unwrap_or(receiver.created_at));
        for identity in &receiver.identities {
            let mut cause = None;
            for attempt in &receiver.attempts {
                cause = match attempt.outcome {
                    Outcome::Accepted => None,
                    _ => Some(cause::note(
                        tx,
                        &attempt.failure(),
                        identity,
                        attempt.ended_at,
                    )?),
                };
            }
            tx.prepare_cached(
                "INSERT INTO receiver (message_id, kind_id, backend_id, content_id, created_at, identity, user, language, metadata, priority, uid,
                                       state, failed_count, sent_count, resend_limit, sent_at, error_at, epoch, cause_id)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                message,
                kind,
                backend,
                content,
                millis(receiver.created_at),
                identity,
                receiver.user,
                receiver.language,
                metadata,
                fresh(12)?,
                receiver.state.number(),
                receiver.failed_count,
                receiver.sent_count,
                receiver.resend_limit,
                receiver.sent_at.map(millis),
                error_at.map(millis),
                receiver.attempts.len() as i64,
                cause.map(|cause| cause.0),
            ])?;
            let id = ReceiverId(tx.last_insert_rowid());
            insert_attempts(tx, id, &receiver.attempts, self.by)?;
        }
        Ok(Taken::New)
    }
}

/// What is there under a message's key.
#[derive(Clone, Copy)]
enum Found {
    Nothing,
    Here(i64),
    /// It was there, and is deleted.
    Spent,
    Foreign(MessageId),
}

impl Found {
    /// What becomes of a message itself.
    fn as_taken(self) -> Taken {
        match self {
            Self::Nothing => Taken::New,
            Self::Here(_) | Self::Spent => Taken::Already,
            Self::Foreign(id) => Taken::Foreign(id),
        }
    }
}

/// Looks for a message. `known` is of this transaction alone: between two of them somebody may delete it.
fn find(
    conn: &Connection,
    message: &ImportedMessage,
    known: &mut HashMap<String, Found>,
) -> rusqlite::Result<Found> {
    if let Some(found) = known.get(&message.key) {
        return Ok(*found);
    }
    let there: Option<(i64, [u8; 32], bool)> = conn
        .prepare_cached(
            "SELECT id, digest, 0 FROM message WHERE key = ?1 UNION ALL SELECT message_id, digest, 1 FROM spent_key WHERE key = ?1",
        )?
        .query_row([&message.key], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let found = match there {
        None => return Ok(Found::Nothing),
        Some((id, digest, _)) if digest != message.digest => Found::Foreign(MessageId(id)),
        Some((_, _, true)) => Found::Spent,
        Some((id, _, false)) => Found::Here(id),
    };
    known.insert(message.key.clone(), found);
    Ok(found)
}

fn has(conn: &Connection, message: i64, number: i64) -> rusqlite::Result<bool> {
    conn.prepare_cached("SELECT 1 FROM imported WHERE message_id = ? AND number = ?")?
        .exists([message, number])
}

fn insert_message(tx: &Transaction<'_>, message: &ImportedMessage) -> rusqlite::Result<i64> {
    tx.prepare_cached(
        "INSERT INTO message (key, digest, kind_id, headers, created_by, created_at, metadata, raw) VALUES (?, ?, ?, '[]', ?, ?, ?, 0)",
    )?
    .execute(params![
        message.key,
        message.digest,
        kind_id(tx, &message.kind)?,
        message.created_by,
        millis(message.created_at),
        json(&message.metadata)?,
    ])?;
    Ok(tx.last_insert_rowid())
}
