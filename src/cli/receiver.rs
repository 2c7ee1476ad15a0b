//! A receiver in JSON: the keys that scripts rely on.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{audit::AuditJson, output::utc};
use crate::{
    message::{Attempt, Body, Content, Delivery, Outcome, Part, Parts, Text},
    store::{Detail, Row},
};

/// For arguments: a receiver's number.
pub(super) fn number(text: &str) -> Result<i64, &'static str> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or("a receiver's number is a whole one, as `postroom list` shows it")
}

/// A receiver in one JSON object.
#[derive(Serialize)]
pub(super) struct ReceiverJson<'a> {
    id: i64,
    message_id: i64,
    message_key: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    created_at: String,
    subject: &'a str,
    user: Option<&'a str>,
    identity: &'a str,
    backend: &'a str,
    language: &'a str,
    status: &'static str,
    reason: &'static str,
    failed_count: u32,
    sent_count: u32,
    sent_at: Option<String>,
    next_attempt_at: Option<String>,
    sending: bool,
    delivery: Option<Delivery>,
}

impl<'a> From<&'a Row> for ReceiverJson<'a> {
    fn from(row: &'a Row) -> Self {
        Self {
            id: row.id.0,
            message_id: row.message_id.0,
            message_key: row.message_key.raw(),
            kind: row.kind.raw(),
            created_at: utc(row.created_at),
            subject: row.subject.raw(),
            user: row.user.as_ref().map(Text::raw),
            identity: row.identity.raw(),
            backend: row.backend.raw(),
            language: row.language.raw(),
            status: row.state.status().name(),
            reason: row.state.reason().name(),
            failed_count: row.failed_count,
            sent_count: row.sent_count,
            sent_at: row.sent_at.map(utc),
            next_attempt_at: row.next_attempt_at.map(utc),
            sending: row.sending,
            delivery: row.delivery,
        }
    }
}

/// Everything about one receiver in one JSON object.
#[derive(Serialize)]
pub(super) struct DetailJson<'a> {
    #[serde(flatten)]
    receiver: ReceiverJson<'a>,
    message_status: &'static str,
    from: Option<&'a str>,
    created_by: Option<&'a str>,
    uid: &'a str,
    content: Value,
    metadata: Value,
    message_metadata: &'a Value,
    receiver_metadata: &'a Value,
    attempts: Vec<AttemptJson<'a>>,
    actions: Vec<AuditJson<'a>>,
}

impl<'a> DetailJson<'a> {
    /// A receiver and what its message says.
    pub(super) fn of(detail: &'a Detail, content: &Content) -> Self {
        Self {
            receiver: (&detail.row).into(),
            message_status: detail.message_status,
            from: detail.from.as_ref().map(Text::raw),
            created_by: detail.created_by.as_ref().map(Text::raw),
            uid: detail.uid.raw(),
            content: content_json(content),
            metadata: together(&detail.message_metadata, &detail.receiver_metadata),
            message_metadata: &detail.message_metadata,
            receiver_metadata: &detail.receiver_metadata,
            attempts: detail.attempts.iter().map(AttemptJson::from).collect(),
            actions: detail.actions.iter().map(AuditJson::from).collect(),
        }
    }
}

fn content_json(content: &Content) -> Value {
    match &content.body {
        Body::Parts { text, html } => {
            json!({"subject": content.subject, "text": text, "html": html})
        }
        Body::Template { text, html, .. } => {
            json!({"subject": content.subject, "text": text, "html": html, "template": true})
        }
        Body::Raw(bytes) => {
            let parts = Parts::of(bytes);
            let said = |part: Option<&Part<'_>>| part.map(Part::string);
            json!({
                "subject": content.subject,
                "text": said(parts.text()),
                "html": said(parts.html()),
                "parts": parts.all().iter().map(PartJson::from).collect::<Vec<_>>(),
                "raw": String::from_utf8_lossy(bytes),
            })
        }
    }
}

/// A part of a raw message.
#[derive(Serialize)]
struct PartJson<'a> {
    /// In how many others it is; each stands behind the one that holds it.
    depth: usize,
    #[serde(rename = "type")]
    kind: &'a str,
    name: Option<&'a str>,
    /// Bytes, once it is decoded.
    size: usize,
    /// Its number, if it is one.
    attachment: Option<usize>,
    /// It could not be decoded to the end.
    broken: bool,
}

impl<'a> From<&'a Part<'_>> for PartJson<'a> {
    fn from(part: &'a Part<'_>) -> Self {
        let (bytes, sound) = part.decoded();
        Self {
            depth: part.depth,
            kind: &part.kind,
            name: part.name.as_deref(),
            size: bytes.len(),
            attachment: part.number(),
            broken: !sound,
        }
    }
}

/// The receiver's metadata laid over the message's: what a backend sees as context.
fn together(message: &Value, receiver: &Value) -> Value {
    match (message, receiver) {
        (Value::Object(message), Value::Object(receiver)) => {
            let both: Map<_, _> = message
                .iter()
                .chain(receiver)
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect();
            Value::Object(both)
        }
        (message, Value::Null) => message.clone(),
        (Value::Null, receiver) => receiver.clone(),
        (message, Value::Object(receiver)) if receiver.is_empty() => message.clone(),
        (_, receiver) => receiver.clone(),
    }
}

#[derive(Serialize)]
struct AttemptJson<'a> {
    number: usize,
    started_at: String,
    ended_at: Option<String>,
    outcome: Option<Outcome>,
    code: Option<u16>,
    enhanced_code: Option<&'a str>,
    server: Option<&'a str>,
    phase: Option<&'a str>,
    error: Option<&'a str>,
    cause: Option<i64>,
    traceback: Option<&'a str>,
    transcript: Option<&'a str>,
    reply: Option<&'a str>,
    by: &'a str,
    late: Option<&'a str>,
}

impl<'a> From<&'a Attempt> for AttemptJson<'a> {
    fn from(attempt: &'a Attempt) -> Self {
        let raw = |text: &'a Option<Text>| text.as_ref().map(Text::raw);
        Self {
            number: attempt.number,
            started_at: utc(attempt.started_at),
            ended_at: attempt.ended_at.map(utc),
            outcome: attempt.outcome,
            code: attempt.code,
            enhanced_code: raw(&attempt.enhanced_code),
            server: raw(&attempt.server),
            phase: raw(&attempt.phase),
            error: raw(&attempt.error),
            cause: attempt.cause.map(|cause| cause.0),
            traceback: raw(&attempt.traceback),
            transcript: raw(&attempt.transcript),
            // A folder or a program takes a message without a word.
            reply: raw(&attempt.reply).filter(|reply| !reply.is_empty()),
            by: attempt.by.raw(),
            late: raw(&attempt.late),
        }
    }
}
