//! One line of JSON → [`Submission`]: everything is checked here, so the store and the backends need not doubt it.

mod body;
mod fields;
mod mail;

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use lettre::{Address, message::Mailbox};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{
    Content, DisplayText, Failure, NewReceiver, Submission,
    template::{About, Templates},
};
use crate::suggest::did_you_mean;
use body::Contents;
pub(crate) use body::is_language;
use fields::{Fields, Wrong};

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
const KNOWN_OF_RECEIVER: &[&str] = &["to", "user", "language", "backend", "metadata", "context"];

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
    let mut value: Value = serde_json::from_str(line).map_err(|error| {
        let words = error.to_string();
        let words = words.replacen(" at line 1 column", " at column", 1);
        refuse(None, Wrong::whole(format!("not a line of JSON: {words}")))
    })?;
    let key = value.as_object_mut().and_then(|map| map.remove("key"));
    let digest = digest(&value);
    let spoken = key.as_ref().and_then(Value::as_str).map(str::to_owned);
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
        Some(_) => return Err(fields.wrong("template", "is true or false")),
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
            "is a bare address such as bounces@example.com, or empty",
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
        Some(_) => Err(fields.wrong("context", "is an object, as in {\"grade\": \"B\"}")),
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
        return Err(fields.wrong("headers", "is an object, as in {\"X-Course\": \"INF1000\"}"));
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
                return Err(at("is a string, or a list of strings"));
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

fn receivers(
    fields: &mut Fields,
    contents: &Contents,
    mut templates: Option<&mut Templates>,
    defaults: &SubmitDefaults,
) -> Result<Vec<NewReceiver>, Wrong> {
    const SHAPE: &str = "is a list of receivers, as in [{\"to\": \"april@example.com\"}]";
    let all = match fields.take("receivers") {
        Some(Value::Array(all)) if !all.is_empty() => all,
        Some(Value::Array(_)) => {
            return Err(fields.wrong("receivers", &format!("names nobody; it {SHAPE}")));
        }
        Some(_) => return Err(fields.wrong("receivers", SHAPE)),
        None => return Err(fields.wrong("receivers", &format!("is missing; it {SHAPE}"))),
    };
    let mut receivers = Vec::with_capacity(all.len());
    let mut seen = HashSet::with_capacity(all.len());
    for (index, value) in all.into_iter().enumerate() {
        let is_template = templates.is_some();
        let (mut receiver, context) = receiver(value, index, contents, is_template, defaults)?;
        let same = (
            receiver.backend.clone(),
            folded(&receiver.identity),
            receiver.user.clone(),
        );
        if !seen.insert(same) {
            continue;
        }
        if let Some(templates) = &mut templates {
            let about = About {
                to: Some(&receiver.identity),
                name: receiver.name.as_deref(),
                user: receiver.user.as_deref(),
                context: context.as_ref(),
            };
            let rendered = templates.render(&receiver.language, &about);
            receiver.rendered = Some(rendered.map_err(|why| fields.wrong("content", why))?);
        }
        receivers.push(receiver);
    }
    Ok(receivers)
}

/// An identity as it is compared: a domain has no case (RFC 5321 2.4), a local part may have.
fn folded(identity: &str) -> String {
    match identity.rsplit_once('@') {
        Some((local, domain)) => format!("{local}@{}", domain.to_lowercase()),
        None => identity.to_owned(),
    }
}

fn receiver(
    value: Value,
    index: usize,
    contents: &Contents,
    template: bool,
    defaults: &SubmitDefaults,
) -> Result<(NewReceiver, Option<Map<String, Value>>), Wrong> {
    let mut fields = Fields::new(value, format!("receivers[{index}]"), KNOWN_OF_RECEIVER)?;
    let context = context(&mut fields, template)?;
    let backend = match fields.line("backend")? {
        Some(name) => name,
        None => defaults.backend.clone().ok_or_else(|| {
            let why = if defaults.backends.is_empty() {
                "is missing, and no backend is configured; add one to the config file: [backends.email] with host = \"…\""
            } else {
                "is missing, and none is the default; name one here or in default_backend of the config file"
            };
            fields.wrong("backend", why)
        })?,
    };
    let Some(facts) = defaults.backends.get(&backend) else {
        let near = did_you_mean(&backend, defaults.backends.keys().map(String::as_str));
        let near = if near.is_empty() {
            "; a backend is a section [backends.NAME] of the config file"
        } else {
            &near
        };
        let why = format!("`{backend}` is not configured{near}");
        return Err(fields.wrong("backend", &why));
    };
    if contents.from.is_none() && facts.mail && !facts.has_from {
        let why = format!("is missing, and the backend `{backend}` has none either");
        return Err(Wrong::at("from".to_owned(), &why));
    }

    let to = fields.line("to")?.unwrap_or_default();
    if to.trim().is_empty() {
        return Err(fields.wrong("to", "is missing: the address to deliver to"));
    }
    let (name, identity) = if facts.mail {
        let to = mailbox(&to).map_err(|why| fields.wrong("to", why))?;
        (to.name, to.email.to_string())
    } else {
        (None, to.trim().to_owned())
    };
    let wanted = fields.line("language")?;
    let language = contents
        .language(wanted.as_deref(), &defaults.language)
        .ok_or_else(|| {
            let wanted = wanted.as_deref().unwrap_or(&defaults.language);
            let why = format!(
                "there is no content in `{wanted}`, nor in the default language `{}`; there is {}",
                defaults.language,
                contents.languages()
            );
            fields.wrong("language", &why)
        })?;
    let receiver = NewReceiver {
        identity,
        name,
        user: fields.line("user")?.filter(|user| !user.is_empty()),
        language,
        rendered: None,
        backend,
        metadata: metadata(&mut fields),
    };
    Ok((receiver, context))
}

const NO_ADDRESS: &str = "is no address; write april@example.com or April <april@example.com>, with quotes around a name that has a comma in it";

/// An address for a header, kept as it was written.
fn in_header(text: &str) -> Result<Mailbox, &'static str> {
    match text.parse() {
        Ok(mailbox) if !text.contains(char::is_control) => Ok(mailbox),
        _ => Err(NO_ADDRESS),
    }
}

/// An address with or without a display name; nothing else may stand in it.
fn mailbox(text: &str) -> Result<Mailbox, &'static str> {
    if text.contains(char::is_control) {
        return Err(NO_ADDRESS);
    }
    // A quoted local part loses its quotes in lettre's mailboxes, not in its addresses.
    let text = text.trim();
    let bare = text.parse::<Address>().map(Mailbox::from);
    let parsed = bare
        .or_else(|_| text.parse::<Mailbox>())
        .map_err(|_| NO_ADDRESS)?;
    let name = parsed.name.filter(|name| !name.trim().is_empty());
    Ok(Mailbox::new(name, parsed.email))
}

/// SHA-256 of the value with the members of every object in order of their names.
fn digest(value: &Value) -> [u8; 32] {
    let mut hash = Sha256::new();
    feed(&mut hash, value);
    hash.finalize().into()
}

fn feed(hash: &mut Sha256, value: &Value) {
    match value {
        Value::Array(items) => {
            hash.update("[");
            for item in items {
                feed(hash, item);
                hash.update(",");
            }
            hash.update("]");
        }
        Value::Object(map) => {
            let sorted: BTreeMap<_, _> = map.iter().collect();
            hash.update("{");
            for (name, item) in sorted {
                hash.update(Value::from(name.as_str()).to_string());
                hash.update(":");
                feed(hash, item);
                hash.update(",");
            }
            hash.update("}");
        }
        plain => hash.update(plain.to_string()),
    }
}
