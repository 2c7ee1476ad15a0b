//! Everything about one receiver, and the contents and messages that a delivery needs.

use rusqlite::{Connection, OptionalExtension as _, Row as SqlRow, params};
use serde_json::Value;

use super::{Detail, Reader, StoreError, audit, cause, codec, timestamp, window};
use crate::message::{
    Attempt, AttemptId, CauseId, Content, ContentId, Failure, JobId, Message, MessageId, Outcome,
    ReceiverId, State, Status, Text,
};

impl Reader {
    /// One receiver with every attempt; `None` when there is no such number.
    pub fn detail(&self, id: ReceiverId) -> Result<Option<Detail>, StoreError> {
        self.run(|conn| {
            // One read transaction, or the attempts could be newer than the row they explain.
            let tx = conn.unchecked_transaction()?;
            let sql = format!(
                "SELECT {}, m.metadata, r.metadata, m.sender, r.uid, m.created_by, r.job, r.name, m.reply_to, m.return_path, m.headers,
                        r.priority, r.send_after, r.expires_at, r.resend_limit, r.unknown_count
                 FROM receiver r {} WHERE r.id = ?",
                window::COLUMNS,
                window::JOINS
            );
            let found = tx
                .prepare_cached(&sql)?
                .query_row([id.0], |row| {
                    let text = |column| row.get::<_, Option<String>>(column).map(|text| text.map(Text::from));
                    let time = |column| row.get::<_, Option<i64>>(column).map(|at| at.map(timestamp));
                    Ok(Detail {
                        row: window::read_row(row)?,
                        message_status: "",
                        message_metadata: read_json(row, 17)?,
                        receiver_metadata: read_json(row, 18)?,
                        from: text(19)?,
                        uid: row.get::<_, String>(20)?.into(),
                        created_by: text(21)?,
                        job: row.get::<_, Option<i64>>(22)?.map(JobId),
                        name: text(23)?,
                        reply_to: text(24)?,
                        return_path: text(25)?,
                        headers: read_headers(row, 26)?
                            .into_iter()
                            .map(|(name, value)| (name.into(), value.into()))
                            .collect(),
                        priority: row.get(27)?,
                        send_after: time(28)?,
                        expires_at: time(29)?,
                        resend_limit: row.get(30)?,
                        unknown_count: row.get(31)?,
                        attempts: Vec::new(),
                        actions: Vec::new(),
                    })
                })
                .optional()?;
            let Some(mut detail) = found else { return Ok(None) };
            detail.message_status = message_status(&tx, detail.row.message_id)?;
            detail.attempts = attempts(&tx, id)?;
            for attempt in &mut detail.attempts {
                attempt.cause = cause_of(&tx, attempt, detail.row.identity.raw())?;
            }
            detail.actions = audit::of_receiver(&tx, id)?;
            Ok(Some(detail))
        })
    }

    /// What a receiver's message says in its language; `None` when there is no such number.
    pub fn content_of(&self, id: ReceiverId) -> Result<Option<Content>, StoreError> {
        self.run(|conn| {
            conn.prepare_cached(
                "SELECT c.codec, c.body FROM receiver r JOIN content c ON c.id = r.content_id WHERE r.id = ?",
            )?
            .query_row([id.0], |row| {
                codec::unpack(row.get(0)?, row.get_ref(1)?.as_blob()?)
            })
            .optional()
        })
    }

    /// A message as backends see it.
    pub(crate) fn message(&self, id: MessageId) -> Result<Message, StoreError> {
        self.run(|conn| {
            conn.prepare_cached(
                "SELECT m.id, m.key, k.name, m.sender, m.reply_to, m.headers, m.return_path, m.created_at, m.metadata, m.raw
                 FROM message m JOIN kind k ON k.id = m.kind_id WHERE m.id = ?",
            )?
            .query_row([id.0], |row| {
                Ok(Message {
                    id,
                    key: row.get(1)?,
                    kind: row.get(2)?,
                    from: row.get(3)?,
                    reply_to: row.get(4)?,
                    headers: read_headers(row, 5)?,
                    return_path: row.get(6)?,
                    created_at: timestamp(row.get(7)?),
                    metadata: read_json(row, 8)?,
                    raw: row.get(9)?,
                })
            })
        })
    }

    /// A content.
    pub(crate) fn content(&self, id: ContentId) -> Result<Content, StoreError> {
        self.run(|conn| {
            conn.prepare_cached("SELECT codec, body FROM content WHERE id = ?")?
                .query_row([id.0], |row| {
                    codec::unpack(row.get(0)?, row.get_ref(1)?.as_blob()?)
                })
        })
    }
}

/// The status of a whole message, derived from its receivers (the seeds' order of precedence).
fn message_status(conn: &Connection, id: MessageId) -> rusqlite::Result<&'static str> {
    let (mut any, mut total, mut engaged) = ([0_u64; 4], 0, false);
    let mut statement =
        conn.prepare_cached("SELECT state, count(*), max(engine IS NOT NULL) FROM receiver WHERE message_id = ? GROUP BY state")?;
    let mut rows = statement.query([id.0])?;
    while let Some(row) = rows.next()? {
        let n = row.get::<_, i64>(1)? as u64;
        any[window::read_state(row, 0)?.status() as usize] += n;
        total += n;
        engaged |= row.get::<_, bool>(2)?;
    }
    let of = |status: Status| any[status as usize];
    Ok(if of(Status::Error) > 0 {
        "error"
    } else if of(Status::Failed) > 0 {
        "failed"
    } else if of(Status::Sent) == total {
        "sent"
    } else if of(Status::Sent) > 0 || engaged {
        "sending"
    } else {
        "not_sent"
    })
}

fn attempts(conn: &Connection, receiver: ReceiverId) -> rusqlite::Result<Vec<Attempt>> {
    let mut attempts: Vec<Attempt> = conn
        .prepare_cached(
            "SELECT id, started_at, ended_at, outcome, code, enhanced, server, phase, error, traceback, transcript, reply, tried_by,
                    late_outcome, late_at, late_text
             FROM attempt WHERE receiver_id = ? ORDER BY epoch",
        )?
        .query_map(params![receiver.0], |row| {
            let text = |column| row.get::<_, Option<String>>(column).map(|text| text.map(Text::from));
            let late: Option<String> = row.get(13)?;
            Ok(Attempt {
                id: AttemptId(row.get(0)?),
                number: 0,
                started_at: timestamp(row.get(1)?),
                ended_at: row.get::<_, Option<i64>>(2)?.map(timestamp),
                outcome: row.get::<_, Option<String>>(3)?.as_deref().and_then(Outcome::from_name),
                code: row.get(4)?,
                enhanced_code: text(5)?,
                server: text(6)?,
                phase: text(7)?,
                error: text(8)?,
                cause: None,
                traceback: text(9)?,
                transcript: text(10)?,
                reply: text(11)?,
                by: row.get::<_, String>(12)?.into(),
                late: match late {
                    None => None,
                    Some(outcome) => {
                        let at = timestamp(row.get(14)?).to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
                        Some(format!("{outcome} at {at}: {}", row.get::<_, Option<String>>(15)?.unwrap_or_default()).into())
                    }
                },
            })
        })?
        .collect::<Result<_, _>>()?;
    for (index, attempt) in attempts.iter_mut().enumerate() {
        attempt.number = index + 1;
    }
    Ok(attempts)
}

/// The cause of one that failed, found by its words: nothing has to be stored with it.
fn cause_of(
    conn: &Connection,
    attempt: &Attempt,
    identity: &str,
) -> rusqlite::Result<Option<CauseId>> {
    if matches!(attempt.outcome, None | Some(Outcome::Accepted)) {
        return Ok(None);
    }
    let raw = |text: &Option<Text>| text.as_ref().map(|text| text.raw().to_owned());
    let failure = Failure {
        code: attempt.code,
        enhanced: raw(&attempt.enhanced_code),
        error: raw(&attempt.error).unwrap_or_default(),
        server: raw(&attempt.server),
        phase: raw(&attempt.phase),
        ..Failure::default()
    };
    cause::find(conn, &failure, identity)
}

pub(super) fn read_json(row: &SqlRow<'_>, column: usize) -> rusqlite::Result<Value> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| unreadable(column, error))
}

fn read_headers(row: &SqlRow<'_>, column: usize) -> rusqlite::Result<Vec<(String, String)>> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| unreadable(column, error))
}

fn unreadable(column: usize, error: serde_json::Error) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error.into())
}

// A compile-time reminder: `message_status` indexes an array by the status.
const _: () = assert!(Status::Sent as usize == 3 && State::ALL.len() == 14);
