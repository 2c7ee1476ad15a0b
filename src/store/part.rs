//! Receivers on their way to be rows, with all that is said of them by names: so it is made and packed while others write, and only what is ready
//! takes the write lock.

use std::{borrow::Cow, collections::HashMap};

use rusqlite::{Error, Transaction, params};
use serde::{Deserialize, Serialize};

use super::{
    SeedAttempt, cause, codec, millis,
    seed::insert_attempts,
    submit::{backend_id, content_id, fresh, id_of, json},
    timestamp,
};
use crate::message::{Content, Failure, NewReceiver, Outcome, ReceiverId, State, Submission};

/// Receivers that become rows in one transaction: some 15 ms.
pub(super) const PART: usize = 250;

/// A part that has so much to say (bytes) takes no further receiver.
pub(super) const ENOUGH: usize = 1 << 20;

/// What the receivers of one message have in common, and its row has not.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Common {
    priority: i64,
    /// Milliseconds since 1970, like all times here.
    send_after: Option<i64>,
    expires_at: Option<i64>,
}

/// The row of a message.
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) kind: i64,
    pub(super) created_at: i64,
}

/// One receiver that is to become a row. Its numbers count what [`Names`] lists.
#[derive(Serialize, Deserialize)]
struct Line {
    backend: i64,
    content: i64,
    identity: String,
    name: Option<String>,
    user: Option<String>,
    language: String,
    metadata: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unrendered: Option<Unrendered>,
}

/// Why a receiver has no words that could be sent.
#[derive(Serialize, Deserialize)]
struct Unrendered {
    error: String,
    traceback: String,
    phase: Option<String>,
}

impl Unrendered {
    fn of(failure: &Failure) -> Self {
        Self {
            error: failure.error.clone(),
            traceback: failure.traceback.clone(),
            phase: failure.phase.clone(),
        }
    }

    /// Notes it: a try that failed for good before anybody was asked.
    fn note(&self, tx: &Transaction<'_>, identity: &str, at: i64) -> rusqlite::Result<()> {
        let receiver = ReceiverId(tx.last_insert_rowid());
        let attempt = SeedAttempt {
            outcome: Outcome::Permanent,
            started_at: timestamp(at),
            ended_at: timestamp(at),
            code: None,
            enhanced: None,
            text: self.error.clone(),
            traceback: self.traceback.clone(),
            server: None,
            phase: self.phase.clone(),
            transcript: None,
        };
        let cause = cause::note(tx, &attempt.failure(), identity, timestamp(at))?;
        tx.prepare_cached(
            "UPDATE receiver SET failed_count = 1, epoch = 1, cause_id = ? WHERE id = ?",
        )?
        .execute([cause.0, receiver.0])?;
        insert_attempts(tx, receiver, &[attempt], "submit")
    }
}

/// What the numbers of lines stand for.
#[derive(Serialize, Deserialize)]
struct Names<'a> {
    /// The message's own: no two messages have the same part, whatever else they have in common, and what is handed over again has the same parts.
    key: Cow<'a, str>,
    backends: Vec<Cow<'a, str>>,
    contents: Vec<Words<'a>>,
}

/// A content.
#[derive(Serialize, Deserialize)]
enum Words<'a> {
    /// This part is the first of its message to need it.
    New(Cow<'a, Content>),
    /// A part before this one brought it: by its hash.
    Known([u8; 32]),
}

/// Some receivers of a message.
#[derive(Serialize, Deserialize)]
pub(super) struct Part<'a> {
    common: Common,
    /// What older versions packed has none: there the lines have the numbers of rows.
    names: Option<Names<'a>>,
    lines: Vec<Line>,
}

/// Makes parts of a message, one after the other.
pub(super) struct Packing<'a> {
    key: &'a str,
    common: Common,
    contents: HashMap<&'a str, &'a Content>,
    /// The contents that the parts so far have brought, with the hashes that were asked for.
    brought: HashMap<*const Content, Option<[u8; 32]>>,
    rest: &'a [NewReceiver],
}

impl<'a> Packing<'a> {
    pub(super) fn new(submission: &'a Submission, key: &'a str) -> Self {
        let contents = submission.contents.iter();
        Self {
            key,
            common: Common {
                priority: submission.priority,
                send_after: submission.send_after.map(millis),
                expires_at: submission.expires_at.map(millis),
            },
            contents: contents
                .map(|(language, content)| (language.as_str(), content))
                .collect(),
            brought: HashMap::new(),
            rest: &submission.receivers,
        }
    }

    /// Whether every receiver is in a part.
    pub(super) fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next part; what it says is borrowed.
    pub(super) fn part(&mut self) -> rusqlite::Result<Part<'a>> {
        let mut names = Names {
            key: self.key.into(),
            backends: Vec::new(),
            contents: Vec::new(),
        };
        let (mut lines, mut size) = (Vec::new(), 0);
        let (mut backends, mut contents) = (HashMap::new(), HashMap::new());
        while let Some((receiver, rest)) = self.rest.split_first()
            && lines.len() < PART
            && size < ENOUGH
        {
            let backend = *backends.entry(&receiver.backend).or_insert_with(|| {
                names.backends.push(receiver.backend.as_str().into());
                names.backends.len() as i64 - 1
            });
            let says = self.says(receiver)?;
            let content = if let Some(number) = contents.get(&std::ptr::from_ref(says)) {
                *number
            } else {
                let words = self.words(says)?;
                if let Words::New(_) = words {
                    size += says.size();
                }
                names.contents.push(words);
                let number = names.contents.len() as i64 - 1;
                contents.insert(std::ptr::from_ref(says), number);
                number
            };
            let failure = receiver.rendered.as_ref();
            let failure = failure.and_then(|rendered| rendered.failure.as_ref());
            let metadata = json(&receiver.metadata)?;
            size += metadata.len() + failure.map_or(0, |failure| failure.traceback.len());
            lines.push(Line {
                backend,
                content,
                identity: receiver.identity.clone(),
                name: receiver.name.clone(),
                user: receiver.user.clone(),
                language: receiver.language.clone(),
                metadata,
                unrendered: failure.map(Unrendered::of),
            });
            self.rest = rest;
        }
        for content in contents.into_keys() {
            self.brought.entry(content).or_default();
        }
        Ok(Part {
            common: self.common,
            names: Some(names),
            lines,
        })
    }

    fn says(&self, receiver: &'a NewReceiver) -> rusqlite::Result<&'a Content> {
        if let Some(rendered) = &receiver.rendered {
            return Ok(&rendered.content);
        }
        let shared = self.contents.get(receiver.language.as_str()).copied();
        shared.ok_or_else(|| {
            let what = format!(
                "no content in language {:?} for {}",
                receiver.language, receiver.identity
            );
            Error::ToSqlConversionFailure(what.into())
        })
    }

    fn words(&mut self, content: &'a Content) -> rusqlite::Result<Words<'a>> {
        Ok(match self.brought.get_mut(&std::ptr::from_ref(content)) {
            None => Words::New(Cow::Borrowed(content)),
            Some(Some(hash)) => Words::Known(*hash),
            Some(unasked) => {
                let hash = codec::hash(content).map_err(not_json)?;
                Words::Known(*unasked.insert(hash))
            }
        })
    }
}

/// A part with all done that can be done without the store.
pub(super) struct Ready {
    common: Common,
    names: Option<ReadyNames>,
    lines: Vec<Line>,
}

struct ReadyNames {
    backends: Vec<String>,
    contents: Vec<ReadyWords>,
}

enum ReadyWords {
    New(String, codec::Packed),
    Known([u8; 32]),
}

impl Part<'_> {
    /// Packs what is new in it.
    pub(super) fn ready(self) -> rusqlite::Result<Ready> {
        let ready = |words: Words<'_>| {
            Ok(match words {
                Words::Known(hash) => ReadyWords::Known(hash),
                Words::New(content) => ReadyWords::New(
                    content.subject.clone(),
                    codec::pack(&*content).map_err(not_json)?,
                ),
            })
        };
        let names = match self.names {
            None => None,
            Some(names) => Some(ReadyNames {
                backends: names.backends.into_iter().map(Cow::into_owned).collect(),
                contents: names
                    .contents
                    .into_iter()
                    .map(ready)
                    .collect::<rusqlite::Result<_>>()?,
            }),
        };
        Ok(Ready {
            common: self.common,
            names,
            lines: self.lines,
        })
    }
}

impl ReadyWords {
    fn id(&self, tx: &Transaction<'_>) -> rusqlite::Result<i64> {
        match self {
            Self::New(subject, packed) => content_id(tx, subject, packed),
            Self::Known(hash) => tx
                .prepare_cached("SELECT id FROM content WHERE hash = ?")?
                .query_row([hash], |row| row.get(0)),
        }
    }
}

impl Ready {
    /// How many receivers it has.
    pub(super) fn receivers(&self) -> usize {
        self.lines.len()
    }

    /// How much there is to be written of contents, in bytes.
    pub(super) fn size(&self) -> usize {
        let contents = self.names.iter().flat_map(|names| &names.contents);
        contents
            .map(|words| match words {
                ReadyWords::New(_, packed) => packed.body.len(),
                ReadyWords::Known(_) => 0,
            })
            .sum()
    }

    /// Writes the rows. `backends` has the numbers of those that were looked up before.
    pub(super) fn insert(
        &self,
        tx: &Transaction<'_>,
        message: &Row,
        backends: &mut HashMap<String, i64>,
    ) -> rusqlite::Result<()> {
        let common = &self.common;
        let created_at = message.created_at;
        let due_at = common
            .send_after
            .map_or(created_at, |at| at.max(created_at));
        let mut ids = None;
        if let Some(names) = &self.names {
            let backend = |name: &String| {
                id_of(tx, backends, name, |tx, name| {
                    backend_id(tx, name, timestamp(created_at))
                })
            };
            let backends: Vec<i64> = names
                .backends
                .iter()
                .map(backend)
                .collect::<Result<_, _>>()?;
            let contents = names.contents.iter().map(|words| words.id(tx));
            ids = Some((backends, contents.collect::<Result<Vec<i64>, _>>()?));
        }
        let mut statement = tx.prepare_cached(
            "INSERT INTO receiver (message_id, kind_id, backend_id, content_id, created_at, identity, name, user, language, metadata, priority,
                                   send_after, expires_at, uid, state, due_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?;
        for line in &self.lines {
            let (backend, content) = match &ids {
                None => (line.backend, line.content),
                Some((backends, contents)) => {
                    (nth(backends, line.backend)?, nth(contents, line.content)?)
                }
            };
            statement.execute(params![
                message.id,
                message.kind,
                backend,
                content,
                created_at,
                line.identity,
                line.name,
                line.user,
                line.language,
                line.metadata,
                common.priority,
                common.send_after,
                common.expires_at,
                fresh(12)?,
                match line.unrendered {
                    None => State::Queued,
                    Some(_) => State::Permanent,
                }
                .number(),
                line.unrendered.is_none().then_some(due_at),
            ])?;
            if let Some(unrendered) = &line.unrendered {
                unrendered.note(tx, &line.identity, created_at)?;
            }
        }
        Ok(())
    }
}

fn nth(ids: &[i64], number: i64) -> rusqlite::Result<i64> {
    let id = usize::try_from(number).ok().and_then(|n| ids.get(n));
    id.copied()
        .ok_or_else(|| codec::damaged("a receiver of a message names what is not there".into()))
}

fn not_json(error: serde_json::Error) -> Error {
    Error::ToSqlConversionFailure(error.into())
}
