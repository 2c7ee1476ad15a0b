//! One line of JSON → [`Submission`]: everything is checked here, so the store and the backends need not doubt it.

mod address;
mod body;
mod digest;
mod fields;
mod mail;
mod once;
mod receiver;

use std::{collections::BTreeMap, sync::Arc};

use lettre::Address;
use serde_json::{Map, Value};

use super::{
    Content, DisplayText, Failure, NewReceiver, Submission,
    template::{About, Templates},
};
use address::in_header;
pub(crate) use body::is_language;
use digest::digest;
use fields::{Fields, Wrong};
use receiver::receivers;

pub use mail::{Envelope, addressees};

/// What a submission may leave out, and what it may name: taken from the config.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubmitDefaults {
    /// The backend of a receiver that names none.
    pub backend: Option<String>,
    /// The language of a receiver that names none, and the last one to fall back to.
    pub language: String,
    /// The backends there are.
    pub backends: BTreeMap<String, BackendFacts>,
}

/// What a submission must know of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackendFacts {
    /// Its identities are email addresses.
    pub mail: bool,
    /// It has a From for messages without one.
    pub has_from: bool,
}

/// A line that was refused: nothing of it is in the store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", field.as_ref().map(|field| format!("{field} ")).unwrap_or_default())]
pub struct SubmissionError {
    /// The line's key, if it could be read.
    pub key: Option<String>,
    /// Where, as `receivers[0].to`; `None`: the line as a whole.
    pub field: Option<String>,
    /// What is wrong with the field and what would be right; harmless to a terminal.
    pub message: String,
}

const KNOWN: &[&str] = &[
    "key",
    "type",
    "from",
    "reply_to",
    "headers",
    "return_path",
    "created_by",
    "metadata",
    "priority",
    "send_after",
    "expires_at",
    "content",
    "raw",
    "raw_base64",
    "receivers",
    "template",
    "context",
];
/// Headers that Postroom writes, and those that would say something untrue: each receiver's message is addressed to that receiver alone.
pub(crate) const OWN_HEADERS: &[&str] = &[
    "from",
    "to",
    "cc",
    "bcc",
    "subject",
    "date",
    "message-id",
    "reply-to",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "return-path",
];

/// A name cannot be folded, and a line should have 78 letters at most (RFC 5322 2.1.1): this many leave room for the colon and a space.
pub(crate) const LONGEST_HEADER_NAME: usize = 76;

/// Lines are folded at spaces, and have 998 letters at most (RFC 5322 2.1.1).
const LONGEST_WORD: usize = 900;

/// Further from 0 than this a priority says nothing; the claim looks at each one in turn.
const HIGHEST_PRIORITY: i64 = 1000;

/// What a message says in one language.
#[derive(Clone, Debug, PartialEq)]
pub struct Preview {
    /// The language.
    pub language: String,
    /// The receiver it was made for: the first who reads this language; `None` when nobody does.
    pub to: Option<String>,
    /// The words.
    pub content: Arc<Content>,
    /// Why they could not be made.
    pub failure: Option<Failure>,
}

/// What a line would hand over.
#[derive(Clone, Debug, PartialEq)]
pub struct Previewed {
    /// Its key, if it has one.
    pub key: Option<String>,
    /// What it says, by language.
    pub languages: Vec<Preview>,
    /// Further receivers whose words could not be made, and why.
    pub failures: Vec<(String, Failure)>,
}

impl Submission {
    /// Reads one line of JSON as an application hands it over.
    pub fn parse(line: &str, defaults: &SubmitDefaults) -> Result<Self, SubmissionError> {
        Ok(parse(line, defaults)?.0)
    }

    /// Reads a line likewise, and tells what it says in every language.
    pub fn preview(line: &str, defaults: &SubmitDefaults) -> Result<Previewed, SubmissionError> {
        let (submission, templates) = parse(line, defaults)?;
        let reader = |language: &str| {
            let mut receivers = submission.receivers.iter();
            receivers.find(|receiver| receiver.language == language)
        };
        let mut languages = Vec::new();
        for (language, content) in &submission.contents {
            languages.push(Preview {
                language: language.clone(),
                to: reader(language).map(|receiver| receiver.identity.clone()),
                content: Arc::new(content.clone()),
                failure: None,
            });
        }
        if let Some(mut templates) = templates {
            let tags: Vec<String> = templates.languages().map(str::to_owned).collect();
            for language in tags {
                let reader = reader(&language);
                let rendered = match reader.and_then(|reader| reader.rendered.clone()) {
                    Some(rendered) => rendered,
                    None => templates
                        .render(&language, &About::default())
                        .map_err(|why| {
                            refuse(
                                submission.key.as_deref(),
                                Wrong::at("content".to_owned(), why),
                            )
                        })?,
                };
                languages.push(Preview {
                    language,
                    to: reader.map(|receiver| receiver.identity.clone()),
                    content: rendered.content,
                    failure: rendered.failure,
                });
            }
        }
        let shown = |receiver: &&NewReceiver| {
            let sample = reader(&receiver.language);
            sample.is_some_and(|sample| std::ptr::eq(sample, *receiver))
        };
        let others = submission.receivers.iter();
        let failures = others
            .filter(|receiver| !shown(receiver))
            .filter_map(|receiver| {
                let failure = receiver.rendered.as_ref()?.failure.clone()?;
                Some((receiver.identity.clone(), failure))
            });
        Ok(Previewed {
            languages,
            failures: failures.collect(),
            key: submission.key.clone(),
        })
    }
}

fn parse(
    line: &str,
    defaults: &SubmitDefaults,
) -> Result<(Submission, Option<Templates>), SubmissionError> {
    let (mut value, twice) = once::read(line).map_err(|error| {
        let words = error.to_string();
        let words = words.replacen(" at line 1 column", " at column", 1);
        refuse(None, Wrong::whole(format!("not a line of JSON: {words}")))
    })?;
    let key = value.as_object_mut().and_then(|map| map.remove("key"));
    let digest = digest(&value);
    let spoken = key.as_ref().and_then(Value::as_str).map(str::to_owned);
    if let Some(field) = twice {
        let spoken = spoken.filter(|_| field != "key");
        let wrong = Wrong::at(field, "stands there twice; leave the one that is meant");
        return Err(refuse(spoken.as_deref(), wrong));
    }
    submission(value, key, digest, defaults).map_err(|wrong| refuse(spoken.as_deref(), wrong))
}

fn refuse(key: Option<&str>, wrong: Wrong) -> SubmissionError {
    SubmissionError {
        key: key.map(str::to_owned),
        field: wrong
            .field
            .map(|field| DisplayText::line(&field).into_string()),
        message: DisplayText::line(&wrong.message).into_string(),
    }
}

fn submission(
    value: Value,
    key: Option<Value>,
    digest: [u8; 32],
    defaults: &SubmitDefaults,
) -> Result<(Submission, Option<Templates>), Wrong> {
    let mut fields = Fields::new(value, String::new(), KNOWN)?;
    if let Some(key) = key {
        fields.put("key", key);
    }
    let key = fields.line("key")?;
    if key.as_deref() == Some("") {
        return Err(fields.wrong("key", "is empty; leave it out to have one made"));
    }
    let template = match fields.take("template") {
        None => false,
        Some(Value::Bool(template)) => template,
        Some(_) => return Err(fields.wrong("template", "must be true or false")),
    };
    let context = context(&mut fields, template)?;

    let from = fields.line("from")?;
    if let Some(from) = &from {
        in_header(from).map_err(|why| fields.wrong("from", why))?;
    }
    let reply_to = fields.line("reply_to")?;
    if let Some(reply_to) = &reply_to {
        in_header(reply_to).map_err(|why| fields.wrong("reply_to", why))?;
    }
    let return_path = fields.line("return_path")?;
    if let Some(path) = &return_path
        && !path.is_empty()
        && (path.parse::<Address>().is_err() || path.contains(char::is_control))
    {
        return Err(fields.wrong(
            "return_path",
            "must be a bare address such as bounces@example.com, or empty",
        ));
    }
    let headers = headers(&mut fields)?;
    let kind = fields.line("type")?.unwrap_or_default();
    let created_by = fields.line("created_by")?;
    let metadata = metadata(&mut fields);
    let priority = fields.integer("priority")?.unwrap_or(0);
    if !(-HIGHEST_PRIORITY..=HIGHEST_PRIORITY).contains(&priority) {
        return Err(fields.wrong(
            "priority",
            "lies between -1000 and 1000; higher goes first, 0 is ordinary",
        ));
    }
    let send_after = fields.time("send_after")?;
    let expires_at = fields.time("expires_at")?;
    if let (Some(after), Some(expires)) = (send_after, expires_at)
        && expires <= after
    {
        return Err(fields.wrong(
            "expires_at",
            "is not after send_after, so it could never be sent",
        ));
    }

    let mut contents = body::read(&mut fields, from, &defaults.language, template)?;
    if contents.raw {
        let unusable = match (&reply_to, headers.is_empty()) {
            (Some(_), _) => Some("reply_to"),
            (None, false) => Some("headers"),
            (None, true) => None,
        };
        if let Some(name) = unusable {
            return Err(fields.wrong(
                name,
                "a raw message is sent as it is: put this into its own headers",
            ));
        }
    }
    let mut templates = match contents.templates.clone() {
        None => None,
        Some(sources) => {
            let context = context.unwrap_or_default();
            let made = Templates::new(sources, &context);
            Some(made.map_err(|wrong| Wrong::at(wrong.field, &wrong.reason))?)
        }
    };
    let receivers = receivers(&mut fields, &contents, templates.as_mut(), defaults)?;
    let submission = Submission {
        key,
        kind,
        from: contents.from,
        reply_to,
        headers,
        return_path,
        created_by,
        metadata,
        priority,
        send_after,
        expires_at,
        contents: std::mem::take(&mut contents.by_language),
        receivers,
        digest,
    };
    Ok((submission, templates))
}

/// What templates are told.
fn context(fields: &mut Fields, template: bool) -> Result<Option<Map<String, Value>>, Wrong> {
    match fields.take("context") {
        None => Ok(None),
        Some(_) if !template => {
            Err(fields.wrong("context", "belongs to templates: say \"template\": true"))
        }
        Some(Value::Object(map)) => Ok(Some(map)),
        Some(_) => Err(fields.wrong("context", "must be an object, as in {\"grade\": \"B\"}")),
    }
}

fn metadata(fields: &mut Fields) -> Value {
    let given = fields.take("metadata");
    given.unwrap_or_else(|| Value::Object(Map::new()))
}

fn headers(fields: &mut Fields) -> Result<Vec<(String, String)>, Wrong> {
    let Some(value) = fields.take("headers") else {
        return Ok(Vec::new());
    };
    let Value::Object(map) = value else {
        return Err(fields.wrong(
            "headers",
            "must be an object, as in {\"X-Course\": \"INF1000\"}",
        ));
    };
    let mut headers = Vec::with_capacity(map.len());
    for (name, value) in map {
        let at = |why: &str| Wrong::at(format!("headers.{name}"), why);
        // RFC 5322 2.2: printable ASCII without the colon.
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_graphic() && b != b':') {
            return Err(at("is no name of a header: letters, digits and `-`"));
        }
        if name.len() > LONGEST_HEADER_NAME {
            return Err(at(&format!(
                "is too long for the name of a header: at most {LONGEST_HEADER_NAME} letters"
            )));
        }
        let lower = name.to_ascii_lowercase();
        if OWN_HEADERS.contains(&lower.as_str()) {
            return Err(at(match lower.as_str() {
                "from" => "is written by Postroom; use the field `from`",
                "reply-to" => "is written by Postroom; use the field `reply_to`",
                "return-path" => "is written by Postroom; use the field `return_path`",
                "subject" => "is written by Postroom; it belongs into `content`",
                "to" | "cc" | "bcc" => {
                    "is written by Postroom: each receiver gets a message of their own; add receivers"
                }
                _ => "is written by Postroom",
            }));
        }
        let values = match value {
            Value::Array(values) => values,
            value => vec![value],
        };
        for value in values {
            let Value::String(value) = value else {
                return Err(at("must be a string, or a list of strings"));
            };
            fields::one_line(&value).map_err(at)?;
            let unfoldable = |word: &str| word.len() > LONGEST_WORD && word.is_ascii();
            if value.split([' ', '\t']).any(unfoldable) {
                return Err(at(&format!(
                    "has a word of more than {LONGEST_WORD} letters, and no line of a mail can hold it (RFC 5322 2.1.1): put spaces into it"
                )));
            }
            headers.push((name.clone(), value));
        }
    }
    Ok(headers)
}
