//! A row of a receiver → what the store takes.

use std::sync::Arc;

use lettre::Address;
use serde_json::{Map, Value};

use super::{
    DumpError, Read, Refusal, Settings,
    fields::{self, Fields},
    messages::{Found, Last, Messages, one_line},
    people::People,
};
use crate::{
    message::{Body, Content, Outcome, State, Timestamp, html_as_text, is_language},
    store::{ImportedMessage, ImportedReceiver, PackedContent, SeedAttempt},
};

/// The one type of receivers there is.
const EMAIL: &str = "email";

/// As mail is usually wrapped.
const WIDTH: usize = 76;

/// Turns receivers over, one after the other.
pub(super) struct Converter<'a> {
    people: &'a People,
    messages: &'a mut Messages,
    settings: &'a Settings,
    last: Last,
}

impl<'a> Converter<'a> {
    pub(super) fn new(
        people: &'a People,
        messages: &'a mut Messages,
        settings: &'a Settings,
    ) -> Self {
        Self {
            people,
            messages,
            settings,
            last: Last::default(),
        }
    }

    /// One receiver, or why it cannot be taken.
    pub(super) fn receiver(
        &mut self,
        mut read: Read,
    ) -> Result<Result<ImportedReceiver, Refusal>, DumpError> {
        let number = match read.number() {
            Ok(number) => number,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let Some(of) = read.fields.take("message").as_ref().and_then(Value::as_i64) else {
            return Ok(Err(
                read.refuse("message is not the number of one".to_owned())
            ));
        };
        // Found in any case: a message whose receivers are all refused is not one without receivers.
        let now = self.settings.now;
        let found = self.last.get(of, self.messages, self.people, now)?;
        let Some(Found { message, types }) = found else {
            let reason = format!(
                "its message {of} is not in the dump, or cannot be taken: dump all of devilry_message"
            );
            return Ok(Err(read.refuse(reason)));
        };
        let receiver = self.convert(number, message, &types, &mut read.fields);
        Ok(receiver.map_err(|reason| read.refuse(reason)))
    }

    fn convert(
        &self,
        number: i64,
        message: Arc<ImportedMessage>,
        types: &[String],
        fields: &mut Fields,
    ) -> Result<ImportedReceiver, String> {
        let kind = fields.text("message_type")?;
        let kind = match kind.as_str() {
            "" => types.first().map_or(EMAIL, String::as_str),
            kind => kind,
        };
        if kind != EMAIL {
            return Err(format!("message_type is `{kind}`; only `{EMAIL}` is known"));
        }
        let who = fields.who("user")?;
        let send_to = fields.text("send_to")?;
        let identities = match (send_to.trim(), &who) {
            ("", Some(who)) => self.people.addresses(who),
            ("", None) => return Err("has neither send_to nor user".to_owned()),
            (send_to, _) => vec![send_to.to_owned()],
        };
        if identities.is_empty() {
            let user = who.map(|who| self.people.name(&who)).unwrap_or_default();
            return Err(format!(
                "has no address: send_to is empty, and the dump has no email of user {user} that is primary or for notifications; dump devilry_account as well"
            ));
        }
        for identity in &identities {
            if identity.contains(char::is_control) || identity.parse::<Address>().is_err() {
                return Err(format!("`{identity}` is no address"));
            }
        }
        let language = who.as_ref().and_then(|who| self.people.language(who));
        let language = language.filter(|language| is_language(language));
        let created_at = fields.time("created_datetime")?;
        let created_at = created_at.unwrap_or(message.created_at);
        let sent_at = fields.time("sent_datetime")?;
        let status = fields.text("status")?;
        let (state, sent_at) = match status.as_str() {
            "not_sent" => (State::Held, sent_at),
            "failed" => (State::FailedHeld, sent_at),
            "error" => (State::Exhausted, sent_at),
            "sent" => (State::Accepted, Some(sent_at.unwrap_or(created_at))),
            _ => {
                return Err(format!(
                    "status is `{status}`; it is not_sent, failed, error or sent"
                ));
            }
        };
        let held = matches!(state, State::Held | State::FailedHeld);
        let content = content(fields)?;
        Ok(ImportedReceiver {
            message,
            number,
            identities,
            user: who.map(|who| one_line(&self.people.name(&who))),
            language: language.unwrap_or(&self.settings.language).to_owned(),
            words: PackedContent::new(&content).map_err(|error| error.to_string())?,
            metadata: fields
                .data("metadata")
                .unwrap_or_else(|| Value::Object(Map::new())),
            created_at,
            state,
            failed_count: fields.count("sending_failed_count")?,
            sent_count: fields.count("sending_success_count")?,
            resend_limit: held.then_some(self.settings.resend_limit),
            sent_at,
            attempts: attempts(fields, sent_at)?,
        })
    }
}

fn content(fields: &mut Fields) -> Result<Content, String> {
    let subject = one_line(&fields.text("subject")?);
    let html = fields.text("message_content_html")?;
    let mut text = fields.text("message_content_plain")?;
    if text.is_empty() && !html.is_empty() {
        // What cannot be derived is no reason to lose the receiver: the HTML stands there.
        text = html_as_text(&html, WIDTH).unwrap_or_default();
    }
    let html = (!html.is_empty()).then_some(html);
    Ok(Content {
        subject,
        body: Body::Parts { text, html },
    })
}

/// Every error that was noted, and the one time it is known to have been accepted, oldest first.
fn attempts(fields: &mut Fields, sent_at: Option<Timestamp>) -> Result<Vec<SeedAttempt>, String> {
    let mut attempts = Vec::new();
    let errors = match fields.data("status_data") {
        Some(Value::Object(mut data)) => data.remove("errors").unwrap_or_default(),
        _ => Value::Null,
    };
    match errors {
        Value::Null => {}
        Value::Array(errors) => {
            for (index, error) in errors.into_iter().enumerate() {
                let name = format!("status_data.errors[{index}]");
                attempts.push(failed(&name, error)?);
            }
        }
        _ => return Err("status_data.errors is no list".to_owned()),
    }
    if let Some(at) = sent_at {
        attempts.push(attempt(Outcome::Accepted, at));
    }
    attempts.sort_by_key(|attempt| attempt.ended_at);
    Ok(attempts)
}

fn attempt(outcome: Outcome, at: Timestamp) -> SeedAttempt {
    SeedAttempt {
        outcome,
        started_at: at,
        ended_at: at,
        code: None,
        enhanced: None,
        text: String::new(),
        traceback: String::new(),
        server: None,
        phase: None,
        transcript: None,
    }
}

fn failed(name: &str, error: Value) -> Result<SeedAttempt, String> {
    let Value::Object(map) = error else {
        return Err(format!("{name} is no object"));
    };
    let mut fields = Fields::new(map);
    let within = |reason: String| format!("{name}.{reason}");
    let at = fields.take("timestamp").unwrap_or_default();
    let at = fields::time("timestamp", &at).map_err(within)?;
    let message = fields.text("error_message").map_err(within)?;
    let traceback = fields.text("exception_traceback").map_err(within)?;
    // Some exceptions have no words; the last line of the traceback names them.
    let last = traceback.lines().rev().find(|line| !line.trim().is_empty());
    let text = match message.trim() {
        "" => last.unwrap_or("no error message").to_owned(),
        _ => message,
    };
    let (code, enhanced) = reply(&text);
    let outcome = match code {
        Some(500..) => Outcome::Permanent,
        _ => Outcome::Temporary,
    };
    Ok(SeedAttempt {
        code,
        enhanced,
        traceback: if traceback.is_empty() {
            text.clone()
        } else {
            traceback
        },
        text,
        ..attempt(outcome, at)
    })
}

/// The server's reply in what Python's smtplib says: `(550, b'5.1.1 No such user')`.
fn reply(text: &str) -> (Option<u16>, Option<String>) {
    let replies = text.match_indices('(').filter_map(|(at, _)| {
        let rest = &text[at + 1..];
        let (code, words) = (rest.get(..3)?, rest.get(3..)?.strip_prefix(", b")?);
        let code: u16 = code.parse().ok()?;
        (400..600)
            .contains(&code)
            .then_some((code, &words[1.min(words.len())..]))
    });
    let Some((code, words)) = replies.into_iter().next() else {
        return (None, None);
    };
    let first = words
        .split([' ', '\'', '"', '\\'])
        .next()
        .unwrap_or_default();
    let parts: Vec<_> = first.split('.').collect();
    let is_number = |part: &&str| {
        (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    let enhanced =
        parts.len() == 3 && parts.iter().all(is_number) && parts[0].parse() == Ok(code / 100);
    (Some(code), enhanced.then(|| first.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reply_is_found_in_the_words_of_smtplib() {
        let wanted = |code: u16, enhanced: Option<&str>| (Some(code), enhanced.map(str::to_owned));
        for (text, reply_there) in [
            (
                "{'april@example.com': (550, b'5.1.1 <april@example.com>: unknown')}",
                wanted(550, Some("5.1.1")),
            ),
            ("(451, b'4.7.1 Greylisted')", wanted(451, Some("4.7.1"))),
            ("(452, b'')", wanted(452, None)),
            ("(554, b\"5.7 it's no\")", wanted(554, None)),
            ("[Errno 111] Connection refused", (None, None)),
            ("(250, b'ok') (", (None, None)),
            ("(", (None, None)),
            ("(45", (None, None)),
            ("(æøå, b'", (None, None)),
        ] {
            assert_eq!(reply(text), reply_there, "{text}");
        }
    }
}
