//! A mail as applications have always handed one over, an envelope and a message of RFC 5322 → [`Submission`]. `postroom sendmail` and the SMTP
//! listener share it.

use std::{collections::HashSet, ops::Range};

use lettre::{
    Address,
    message::{
        Mailbox, Mailboxes,
        header::{From, Headers},
    },
};
use mail_parser::{Message, MessageParser};
use memchr::{memchr, memmem};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{
    NewReceiver, SubmissionError, SubmitDefaults,
    address::folded,
    body::{is_language, subject_and_from, visible, with_crlf},
    fields::{Wrong, one_line},
};
use crate::{
    message::{
        Body, Content, DisplayText, Submission, Timestamp,
        parts::{Parts, Role},
    },
    suggest::did_you_mean,
};

/// What a header may be long; reading it takes memory by the field.
const LONGEST_HEADER: usize = 1 << 20;
const MOST_FIELDS: usize = 2_000;

/// Fields that are for Postroom and not for the receiver.
const OURS: &str = "x-postroom-";
const OUR_FIELDS: [&str; 4] = [
    "x-postroom-type",
    "x-postroom-key",
    "x-postroom-language",
    "x-postroom-user",
];

/// Fields that no receiver may see: blind copies are blind, and the return path is written where the mail arrives (RFC 5321 4.4).
const DROPPED: [&str; 3] = ["bcc", "resent-bcc", "return-path"];

/// Fields that differ when the same mail is written again.
const FLEETING: [&str; 3] = ["date", "message-id", "content-type"];

/// Whom a mail is from and for. The header of the message says nothing about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// The envelope sender; `Some("")` is the null sender, `None` the address in From.
    pub sender: Option<String>,
    /// Bare addresses.
    pub recipients: Vec<String>,
    /// The From of a message that has none: an address, with or without a name.
    pub from: Option<String>,
    /// Who hands it over.
    pub created_by: Option<String>,
}

impl Submission {
    /// Reads a mail. Every line end becomes CRLF (RFC 5321 2.3.8); `X-Postroom-Type`, `-Key`, `-Language` and `-User` are taken out, and so are Bcc
    /// and Return-Path; a missing From and Date are added, a missing Message-ID when it is sent (RFC 6409 8); a From without a domain gets the address
    /// that a missing one would have. Else nothing is changed.
    pub fn of_mail(
        message: Vec<u8>,
        envelope: Envelope,
        defaults: &SubmitDefaults,
        now: Timestamp,
    ) -> Result<Self, SubmissionError> {
        submission(message, envelope, defaults, now).map_err(|wrong| SubmissionError {
            key: None,
            field: wrong
                .field
                .map(|field| DisplayText::line(&field).into_string()),
            message: DisplayText::line(&wrong.message).into_string(),
        })
    }
}

/// The addresses in To, Cc and Bcc of a message's header, or in Resent-To, Resent-Cc and Resent-Bcc when one of these is there (RFC 5322 3.6.6).
/// They need not be addresses that mail can go to.
pub fn addressees(message: &[u8]) -> Vec<String> {
    let message = with_crlf(message);
    let Some(parsed) = parse_header(&message) else {
        return Vec::new();
    };
    let of = |names: [&'static str; 3]| -> Vec<String> {
        names
            .into_iter()
            .flat_map(|name| parsed.header_values(name))
            .filter_map(|value| value.as_address())
            .flat_map(|list| list.iter())
            .filter_map(|one| one.address().or(one.name()))
            .map(str::to_owned)
            .collect()
    };
    let resent = of(["Resent-To", "Resent-Cc", "Resent-Bcc"]);
    if resent.is_empty() {
        of(["To", "Cc", "Bcc"])
    } else {
        resent
    }
}

fn submission(
    message: Vec<u8>,
    envelope: Envelope,
    defaults: &SubmitDefaults,
    now: Timestamp,
) -> Result<Submission, Wrong> {
    if memchr(0, &message).is_some() {
        return Err(Wrong::whole(
            "the message has a NUL in it, which no mail may have (RFC 5322 4): encode it, as base64 does".to_owned(),
        ));
    }
    let mut message = if is_crlf(&message) {
        message
    } else {
        with_crlf(&message)
    };
    let Header {
        mut kept,
        ours,
        from,
        has_date,
        end,
    } = Header::read(&message)?;
    let ours = Ours::read(&ours)?;

    let alone = from.clone().and_then(|from| user_alone(&kept[from]));
    let given = match &envelope.from {
        Some(given) if from.is_none() || alone.is_some() => {
            let mut given: Mailbox = given
                .parse()
                .map_err(|_| Wrong::at("From".to_owned(), "is no address"))?;
            given.name = alone.or(given.name);
            // Its own, if it has one, cannot stand beside it.
            kept.drain(from.unwrap_or_default());
            Some(given)
        }
        _ => None,
    };
    let mut added = String::new();
    if let Some(from) = &given {
        let mut one = Headers::new();
        one.set(From::from(Mailboxes::from(from.clone())));
        added.push_str(&one.to_string());
    }
    if !has_date {
        added.push_str(
            &now.format("Date: %a, %-d %b %Y %H:%M:%S +0000\r\n")
                .to_string(),
        );
    }
    kept.splice(0..0, added.into_bytes());
    kept.extend_from_slice(b"\r\n");
    message.splice(..end, kept);

    let (subject, own) = subject_and_from(&message);
    let backend = backend(defaults)?;
    let from = own.or(given).map(|from| from.to_string()).or(envelope.from);
    let facts = defaults.backends.get(&backend);
    if from.is_none() && !facts.is_some_and(|facts| facts.has_from) {
        let why = format!(
            "is missing, neither the envelope's sender nor the backend `{backend}` can stand for it"
        );
        return Err(Wrong::at("From".to_owned(), &why));
    }
    let language = ours.language.unwrap_or_else(|| defaults.language.clone());
    let receivers = receivers(
        &envelope.recipients,
        ours.user.as_deref(),
        &language,
        &backend,
    )?;
    let digest = match &ours.key {
        Some(_) => digest(&message, envelope.sender.as_deref(), &receivers),
        // Nobody can repeat a key that is made for it.
        None => [0; 32],
    };
    let content = Content {
        subject,
        body: Body::Raw(message),
    };
    Ok(Submission {
        key: ours.key,
        kind: ours.kind.unwrap_or_default(),
        from,
        reply_to: None,
        headers: Vec::new(),
        return_path: envelope.sender,
        created_by: envelope.created_by,
        metadata: Value::Object(Map::new()),
        priority: 0,
        send_after: None,
        expires_at: None,
        contents: vec![(language, content)],
        receivers,
        digest,
    })
}

fn backend(defaults: &SubmitDefaults) -> Result<String, Wrong> {
    let why = "is missing: name the backend of mails in default_backend of the config file";
    let name = defaults.backend.clone();
    name.ok_or_else(|| Wrong::at("backend".to_owned(), why))
}

fn receivers(
    recipients: &[String],
    user: Option<&str>,
    language: &str,
    backend: &str,
) -> Result<Vec<NewReceiver>, Wrong> {
    let mut seen = HashSet::with_capacity(recipients.len());
    let mut receivers = Vec::with_capacity(recipients.len());
    for recipient in recipients {
        if recipient.parse::<Address>().is_err() || recipient.contains(char::is_control) {
            let why = format!(
                "`{recipient}` is no address that mail can go to, such as april@example.com"
            );
            return Err(Wrong::whole(why));
        }
        if seen.insert(folded(recipient)) {
            receivers.push(NewReceiver {
                identity: recipient.clone(),
                name: None,
                user: user.map(str::to_owned),
                language: language.to_owned(),
                rendered: None,
                backend: backend.to_owned(),
                metadata: Value::Object(Map::new()),
            });
        }
    }
    if receivers.is_empty() {
        return Err(Wrong::whole("the mail is for nobody".to_owned()));
    }
    Ok(receivers)
}

/// Whether every line ends with CRLF, and nothing else looks like a line end.
fn is_crlf(message: &[u8]) -> bool {
    let mut rest = message;
    while let Some(at) = memchr::memchr2(b'\r', b'\n', rest) {
        match rest[at..].strip_prefix(b"\r\n") {
            Some(after) => rest = after,
            None => return false,
        }
    }
    true
}

/// What a message's header is made of.
struct Header<'a> {
    /// The fields that stay, as they are.
    kept: Vec<u8>,
    /// The name, in lower case, and the whole of each field that is for us.
    ours: Vec<(String, &'a [u8])>,
    /// Where From stands in `kept`.
    from: Option<Range<usize>>,
    has_date: bool,
    /// Where the body begins.
    end: usize,
}

impl<'a> Header<'a> {
    /// Reads the header of a message whose lines end with CRLF. It ends with an empty line, or before a line that is no field: many a program writes
    /// no header at all.
    fn read(message: &'a [u8]) -> Result<Self, Wrong> {
        let mut header = Self {
            kept: Vec::new(),
            ours: Vec::new(),
            from: None,
            has_date: false,
            end: 0,
        };
        for fields in 0.. {
            let rest = &message[header.end..];
            if let Some(body) = rest.strip_prefix(b"\r\n") {
                header.end = message.len() - body.len();
                break;
            }
            let Some(name) = name(rest) else { break };
            let field = field(rest);
            header.end += field.len();
            if fields == MOST_FIELDS || header.end > LONGEST_HEADER {
                return Err(Wrong::whole(format!(
                    "the header is too long: at most {MOST_FIELDS} fields in 1 MiB"
                )));
            }
            if name.starts_with(OURS) {
                header.ours.push((name, field));
                continue;
            }
            header.has_date |= name == "date";
            if !DROPPED.contains(&name.as_str()) {
                let begin = header.kept.len();
                header.kept.extend_from_slice(field);
                if !field.ends_with(b"\n") {
                    header.kept.extend_from_slice(b"\r\n");
                }
                if name == "from" {
                    header.from.get_or_insert(begin..header.kept.len());
                }
            }
        }
        Ok(header)
    }
}

/// What to call whoever is named in a From without a domain, as cron writes it: `root (Cron Daemon)`. Mail servers refuse such a From.
fn user_alone(from: &[u8]) -> Option<String> {
    let parsed = MessageParser::default().parse_headers(from)?;
    let first = parsed.from()?.first()?;
    let user = first.address().filter(|user| !user.contains('@'))?;
    Some(visible(first.name().unwrap_or(user)))
}

/// The name of the field that begins here, in lower case; spaces before the colon are obsolete, not unheard of (RFC 5322 4.5).
fn name(text: &[u8]) -> Option<String> {
    let line = &text[..memchr(b'\r', text).unwrap_or(text.len())];
    let name = line[..memchr(b':', line)?].trim_ascii_end();
    let is_name = !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
    is_name.then(|| String::from_utf8_lossy(name).to_ascii_lowercase())
}

/// The field that begins here with all its lines.
fn field(text: &[u8]) -> &[u8] {
    let mut end = 0;
    loop {
        let Some(at) = memmem::find(&text[end..], b"\r\n") else {
            return text;
        };
        end += at + 2;
        if !text[end..].starts_with(b" ") && !text[end..].starts_with(b"\t") {
            return &text[..end];
        }
    }
}

/// What the fields for us say.
#[derive(Default)]
struct Ours {
    kind: Option<String>,
    key: Option<String>,
    language: Option<String>,
    user: Option<String>,
}

impl Ours {
    fn read(fields: &[(String, &[u8])]) -> Result<Self, Wrong> {
        let mut ours = Self::default();
        for (name, field) in fields {
            let wrong = |why: &str| Wrong::at(shown(name), why);
            let place = match name.as_str() {
                "x-postroom-type" => &mut ours.kind,
                "x-postroom-key" => &mut ours.key,
                "x-postroom-language" => &mut ours.language,
                "x-postroom-user" => &mut ours.user,
                _ => {
                    let near = did_you_mean(name, OUR_FIELDS);
                    return Err(wrong(&format!("is no header that Postroom knows{near}")));
                }
            };
            let value = decoded(field);
            one_line(&value).map_err(&wrong)?;
            if value.is_empty() {
                if name == "x-postroom-key" {
                    return Err(wrong("is empty; leave it out to have one made"));
                }
                continue;
            }
            if place.replace(value).is_some() {
                return Err(wrong("stands there twice"));
            }
        }
        match &ours.language {
            Some(language) if !is_language(language) => Err(Wrong::at(
                "X-Postroom-Language".to_owned(),
                "is no language; write a tag such as en, nb or nb-NO",
            )),
            _ => Ok(ours),
        }
    }
}

/// A field's name as people write it.
fn shown(name: &str) -> String {
    let words: Vec<String> = name
        .split('-')
        .map(|word| {
            let (first, rest) = word.split_at_checked(1).unwrap_or_default();
            first.to_ascii_uppercase() + rest
        })
        .collect();
    words.join("-")
}

/// The text of a field; mail libraries write what is not ASCII as encoded words (RFC 2047), as they do in a subject.
fn decoded(field: &[u8]) -> String {
    let value = memchr(b':', field).map_or(field, |colon| &field[colon..]);
    let subject = [b"Subject", value].concat();
    let parser = MessageParser::new().with_minimal_headers();
    let parsed = parser.parse_headers(&subject);
    let text = parsed.as_ref().and_then(Message::subject);
    text.unwrap_or_default().trim().to_owned()
}

/// Only the header: a body can be long.
fn parse_header(message: &[u8]) -> Option<Message<'_>> {
    let header = Header::read(message).ok()?;
    MessageParser::default().parse_headers(&message[..header.end])
}

/// What the mail says, whenever and with whatever boundaries between its parts it was written: so that handing the same over again is known as that.
fn digest(message: &[u8], sender: Option<&str>, receivers: &[NewReceiver]) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut feed = |bytes: &[u8]| {
        hash.update(bytes.len().to_le_bytes());
        hash.update(bytes);
    };
    feed(sender.unwrap_or("\0").as_bytes());
    for receiver in receivers {
        feed(receiver.identity.as_bytes());
    }
    let mut rest = message;
    while let Some(name) = name(rest) {
        let field = field(rest);
        if !FLEETING.contains(&name.as_str()) {
            feed(visible(&String::from_utf8_lossy(field)).as_bytes());
        }
        rest = &rest[field.len()..];
    }
    let parts = Parts::of(message);
    for part in parts.all() {
        feed(part.kind.as_bytes());
        feed(part.name.as_deref().unwrap_or_default().as_bytes());
        // What holds others is known by them, and what is in a message within the message by that.
        if part.role == Role::Holder || part.forwarded {
            continue;
        }
        if part.kind.starts_with("text/") {
            feed(part.string().as_bytes());
        } else {
            feed(&part.decoded().0);
        }
    }
    if parts.is_cut() {
        feed(rest);
    }
    hash.finalize().into()
}
