//! Makes the bytes that leave: lettre writes headers and parts, this module decides which, and lets nothing in that could start a header of its own.

use std::{
    fmt::Write as _,
    io::Write as _,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lettre::{
    Address,
    address::AddressError,
    message::{
        Mailbox, Mailboxes, MultiPart, SinglePart,
        header::{self, Header, HeaderName, HeaderValue, Headers},
    },
};
use mail_parser::MessageParser;

use super::dkim::{self, BodyHash, Dkim};

use crate::message::{Body, Content, LONGEST_HEADER_NAME, Message, OWN_HEADERS, Receiver};

/// How many contents' formatted parts are kept: one worker seldom mixes more.
const CACHED: usize = 8;

/// And at most so many bytes of them: larger ones are formatted again for each receiver, which takes less time than sending them.
const CACHED_BYTES: usize = 4 << 20;

/// A message as it leaves, and what an envelope needs to know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// Header and body, CRLF at every line end, dots as they are.
    pub bytes: Vec<u8>,
    /// The address in From; a raw message may have none.
    pub from: Option<Address>,
}

/// A message that cannot be built for this receiver. Another try would not help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// Neither the message nor the backend says who sends.
    #[error("the message has no From, and the backend has no default: set `from` in one of them")]
    NoFrom,
    /// CR, LF or NUL where a header would be torn apart by it.
    #[error("{field} contains a line end or NUL: a header could be smuggled in with it")]
    Injection {
        /// The header.
        field: String,
    },
    /// Not an address that mail can go to.
    #[error("{field}: {address:?} is no email address")]
    Address {
        /// Where it stands.
        field: String,
        /// What stands there.
        address: String,
        /// What a parser says about it.
        source: AddressError,
    },
    /// A header's name has letters it may not have (RFC 5322 2.2).
    #[error("{0:?} is no name for a header")]
    HeaderName(String),
    /// A header that Postroom writes itself.
    #[error("the header {0} is written by Postroom and cannot be given")]
    OwnHeader(String),
    /// The uid has letters that a Message-ID or a file name may not have.
    #[error("the uid {0:?} cannot stand in a Message-ID")]
    Uid(String),
    /// There is only the template.
    #[error(
        "its template could not be rendered: {0}; hand the message over again, under another key"
    )]
    Unrendered(String),
    /// The key does not sign.
    #[error("the message could not be signed (DKIM): {0}")]
    Sign(String),
}

/// Builds messages; the parts of a content that many receivers share are encoded once.
#[derive(Debug)]
pub struct MimeBuilder {
    cache: Mutex<Vec<Cached>>,
    dkim: Option<Arc<Dkim>>,
}

#[derive(Debug)]
struct Cached {
    /// Keeps the allocation, not the content: so no other content can ever have this address while the entry stands.
    content: Weak<Content>,
    part: Part,
    /// Where messages are signed.
    body: Option<BodyHash>,
}

/// What of a message does not depend on the receiver.
#[derive(Clone, Debug)]
enum Part {
    /// From behind `MIME-Version` to the end.
    Parts(Arc<Vec<u8>>),
    /// What was found in the header of a raw message.
    Raw {
        has_message_id: bool,
        from: Option<Arc<str>>,
    },
}

impl Part {
    fn size(&self) -> usize {
        match self {
            Self::Parts(part) => part.len(),
            Self::Raw { .. } => 0,
        }
    }
}

impl MimeBuilder {
    /// A builder with nothing cached, that signs what it builds if there is a key.
    pub fn new(dkim: Option<Arc<Dkim>>) -> Self {
        Self {
            cache: Mutex::default(),
            dkim,
        }
    }

    /// The message for one receiver. `default_from` is the backend's.
    pub fn build(
        &self,
        message: &Message,
        content: &Arc<Content>,
        receiver: &Receiver,
        default_from: Option<&str>,
    ) -> Result<Built, BuildError> {
        check_uid(&receiver.uid)?;
        if let Body::Template { error, .. } = &content.body {
            return Err(BuildError::Unrendered(error.clone()));
        }
        let (part, hash) = self.part(content);
        let mut built = Self::unsigned(message, content, part, receiver, default_from)?;
        if let (Some(dkim), Some(hash)) = (&self.dkim, hash) {
            let signature = dkim
                .sign(&built.bytes, &hash)
                .map_err(|error| BuildError::Sign(error.to_string()))?;
            built.bytes.splice(0..0, signature);
        }
        Ok(built)
    }

    fn unsigned(
        message: &Message,
        content: &Content,
        part: Part,
        receiver: &Receiver,
        default_from: Option<&str>,
    ) -> Result<Built, BuildError> {
        match (&content.body, part) {
            (
                Body::Raw(raw),
                Part::Raw {
                    has_message_id,
                    from,
                },
            ) => {
                // What a stranger's program wrote into From need not be an address; who handed the message over may have said better.
                let written = from.and_then(|from| address("From", &from).ok());
                let from = match (written, message.from.as_deref().or(default_from)) {
                    (Some(written), _) => Some(written),
                    (None, Some(given)) => Some(mailbox("From", given)?.email),
                    (None, None) => None,
                };
                let mut bytes = Vec::with_capacity(raw.len() + 128);
                if !has_message_id {
                    let domain = from.as_ref().ok_or(BuildError::NoFrom)?.domain();
                    message_id(&mut bytes, &receiver.uid, domain);
                }
                bytes.extend_from_slice(raw);
                Ok(Built { bytes, from })
            }
            (_, Part::Parts(part)) => {
                let (mut bytes, from) = head(message, content, receiver, default_from, part.len())?;
                bytes.extend_from_slice(b"MIME-Version: 1.0\r\n");
                bytes.extend_from_slice(&part);
                Ok(Built {
                    bytes,
                    from: Some(from),
                })
            }
            // A content's part is of its own kind; the compiler cannot know.
            (_, Part::Raw { .. }) => Err(BuildError::NoFrom),
        }
    }

    fn part(&self, content: &Arc<Content>) -> (Part, Option<BodyHash>) {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let known = cache
            .iter()
            .position(|cached| cached.content.as_ptr() == Arc::as_ptr(content));
        if let Some(index) = known {
            // The least recently used stands first.
            cache[index..].rotate_left(1);
            if let Some(cached) = cache.last() {
                return (cached.part.clone(), cached.body);
            }
        }
        let part = format_part(content);
        let body = self.dkim.as_ref().map(|_| match (&part, &content.body) {
            (Part::Raw { .. }, Body::Raw(raw)) => dkim::hash_body(raw),
            (Part::Parts(part), _) => dkim::hash_body(part),
            // A content's part is of its own kind; the compiler cannot know.
            (Part::Raw { .. }, _) => dkim::hash_body(b""),
        });
        if part.size() > CACHED_BYTES {
            return (part, body);
        }
        let mut size = part.size() + cache.iter().map(|cached| cached.part.size()).sum::<usize>();
        while cache.len() >= CACHED || size > CACHED_BYTES {
            size -= cache.remove(0).part.size();
        }
        cache.push(Cached {
            content: Arc::downgrade(content),
            part: part.clone(),
            body,
        });
        (part, body)
    }
}

fn format_part(content: &Content) -> Part {
    match &content.body {
        Body::Parts { text, html } | Body::Template { text, html, .. } => {
            let body = match html {
                None => SinglePart::plain(with_crlf(text)).formatted(),
                Some(html) if text.is_empty() => SinglePart::html(with_crlf(html)).formatted(),
                Some(html) => {
                    MultiPart::alternative_plain_html(with_crlf(text), with_crlf(html)).formatted()
                }
            };
            Part::Parts(Arc::new(body))
        }
        Body::Raw(raw) => {
            let parsed = MessageParser::default().parse_headers(raw);
            let from = parsed
                .as_ref()
                .and_then(|parsed| parsed.from()?.first()?.address())
                .map(Arc::from);
            Part::Raw {
                has_message_id: has_header(raw, b"message-id"),
                from,
            }
        }
    }
}

/// Every line end as CRLF. lettre would do it, but moves the rest of the text for each line: a minute for 20 MB.
fn with_crlf(text: &str) -> String {
    let mut lines = String::with_capacity(text.len() + text.len() / 32);
    for line in text.split_inclusive('\n') {
        match line.strip_suffix('\n') {
            Some(line) if !line.ends_with('\r') => {
                lines.push_str(line);
                lines.push_str("\r\n");
            }
            _ => lines.push_str(line),
        }
    }
    lines
}

/// Whether the header section names this field (given in lower case), whatever stands behind it.
fn has_header(raw: &[u8], name: &[u8]) -> bool {
    raw.split(|&byte| byte == b'\n')
        .take_while(|line| !matches!(line, [] | [b'\r']))
        .any(|line| {
            line.iter()
                .position(|&byte| byte == b':')
                .is_some_and(|end| line[..end].trim_ascii_end().eq_ignore_ascii_case(name))
        })
}

/// The header of an ordinary message up to MIME-Version, with room for `more` bytes behind it.
fn head(
    message: &Message,
    content: &Content,
    receiver: &Receiver,
    default_from: Option<&str>,
    more: usize,
) -> Result<(Vec<u8>, Address), BuildError> {
    let from = message
        .from
        .as_deref()
        .or(default_from)
        .ok_or(BuildError::NoFrom)?;
    let from = mailbox("From", from)?;
    clean("To", &receiver.identity)?;
    if let Some(name) = &receiver.name {
        clean("To", name)?;
    }
    clean("Subject", &content.subject)?;
    let name = receiver.name.clone().filter(|name| !name.trim().is_empty());
    let to = Mailbox::new(name, address("To", &receiver.identity)?);

    let mut out = Vec::with_capacity(more + 640);
    let sender = from.email.clone();
    push(&mut out, header::From::from(Mailboxes::from(from)));
    push(&mut out, header::To::from(Mailboxes::from(to)));
    match encoded_words("Subject", &content.subject, true) {
        Some(words) => out.extend(words.into_bytes()),
        None => push(&mut out, header::Subject::from(content.subject.clone())),
    }
    // chrono's own RFC 2822 writer panics beyond the year 9999.
    let date = message.created_at.format("%a, %-d %b %Y %H:%M:%S +0000");
    let _ = write!(out, "Date: {date}\r\n");
    message_id(&mut out, &receiver.uid, sender.domain());
    if let Some(reply_to) = &message.reply_to {
        push(
            &mut out,
            header::ReplyTo::from(mailboxes("Reply-To", reply_to)?),
        );
    }
    for (name, value) in &message.headers {
        clean(name, value)?;
        check_header_name(name)?;
        if let Some(words) = encoded_words(name, value, false) {
            out.extend(words.into_bytes());
            continue;
        }
        let name = HeaderName::new_from_ascii(name.clone())
            .map_err(|_| BuildError::HeaderName(name.clone()))?;
        // One by one: `Headers` keeps only the last of a name, and a caller may mean two.
        let mut one = Headers::new();
        one.insert_raw(HeaderValue::new(name, value.clone()));
        let _ = write!(out, "{one}");
    }
    Ok((out, sender))
}

/// Whether a caller may give a header of this name.
fn check_header_name(name: &str) -> Result<(), BuildError> {
    let printable = |byte: u8| byte.is_ascii_graphic() && byte != b':';
    if name.is_empty() || name.len() > LONGEST_HEADER_NAME || !name.bytes().all(printable) {
        return Err(BuildError::HeaderName(name.to_owned()));
    }
    if OWN_HEADERS.iter().any(|own| own.eq_ignore_ascii_case(name)) {
        return Err(BuildError::OwnHeader(name.to_owned()));
    }
    Ok(())
}

/// The header in encoded words (RFC 2047) where lettre would let something through that a reader could take for more than text: control
/// characters; in a `text` that people wrote also what looks like an encoded word, and a word too long for a line (RFC 5322 2.1.1). `None`: lettre
/// does it well.
fn encoded_words(name: &str, value: &str, text: bool) -> Option<String> {
    /// With the frame around it a word has at most 75 letters (RFC 2047 2).
    const BYTES: usize = 45;
    const LONGEST: usize = 900;
    let odd = value.contains(|c: char| c.is_control() && c != '\t')
        || text && (value.contains("=?") || value.split(' ').any(|word| word.len() > LONGEST));
    if !odd {
        return None;
    }
    let mut header = format!("{name}:");
    let mut rest = value;
    while !rest.is_empty() {
        let mut end = rest.len().min(BYTES);
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let (word, after) = rest.split_at(end);
        let fold = if rest.len() == value.len() {
            ""
        } else {
            "\r\n"
        };
        let _ = write!(header, "{fold} =?utf-8?b?{}?=", STANDARD.encode(word));
        rest = after;
    }
    header.push_str("\r\n");
    Some(header)
}

fn push<H: Header>(out: &mut Vec<u8>, header: H) {
    let mut one = Headers::new();
    one.set(header);
    let _ = write!(out, "{one}");
}

fn message_id(out: &mut Vec<u8>, uid: &str, domain: &str) {
    let _ = write!(out, "Message-ID: <{uid}@{domain}>\r\n");
}

/// A uid stands in Message-IDs and file names.
pub(super) fn check_uid(uid: &str) -> Result<(), BuildError> {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if uid.is_empty() || uid.len() > 200 || uid.starts_with('.') || !uid.bytes().all(safe) {
        return Err(BuildError::Uid(uid.to_owned()));
    }
    Ok(())
}

fn clean(field: &str, value: &str) -> Result<(), BuildError> {
    if value.contains(['\r', '\n', '\0']) {
        let field = field.replace(|c: char| c.is_control(), "?");
        return Err(BuildError::Injection { field });
    }
    Ok(())
}

/// The envelope's sender: what the message says, else the address in From; `None` is the null sender.
pub(super) fn sender(
    message: &Message,
    from: Option<Address>,
) -> Result<Option<Address>, BuildError> {
    match message.return_path.as_deref() {
        Some("") => Ok(None),
        Some(path) => address("return_path", path).map(Some),
        None => from.ok_or(BuildError::NoFrom).map(Some),
    }
}

/// A bare address that can stand in an envelope and in a header. A domain beyond ASCII is written as DNS has it (RFC 5890, A-labels), so that every
/// server can take it; behind a local part beyond ASCII it stays, since such an address needs SMTPUTF8 in any case.
pub(super) fn address(field: &str, bare: &str) -> Result<Address, BuildError> {
    let refused = |source| BuildError::Address {
        field: field.to_owned(),
        address: bare.to_owned(),
        source,
    };
    if bare.chars().any(char::is_control) {
        return Err(refused(AddressError::InvalidInput));
    }
    let address: Address = bare.parse().map_err(refused)?;
    if address.domain().is_ascii() || !address.user().is_ascii() {
        return Ok(address);
    }
    let domain = idna::domain_to_ascii(address.domain())
        .map_err(|_| refused(AddressError::InvalidDomain))?;
    Address::new(address.user(), domain).map_err(refused)
}

/// `Name <address>` or a bare address. Names are taken as people write them, dots and commas unquoted too.
fn mailbox(field: &str, written: &str) -> Result<Mailbox, BuildError> {
    clean(field, written)?;
    let written = written.trim();
    let Some((name, bare)) = written
        .strip_suffix('>')
        .and_then(|written| written.rsplit_once('<'))
    else {
        return Ok(Mailbox::new(None, address(field, written)?));
    };
    let name = name.trim();
    let name = match name
        .strip_prefix('"')
        .and_then(|name| name.strip_suffix('"'))
    {
        Some(quoted) => unescape(quoted),
        None => name.to_owned(),
    };
    let name = Some(name).filter(|name| !name.trim().is_empty());
    Ok(Mailbox::new(name, address(field, bare.trim())?))
}

fn mailboxes(field: &str, written: &str) -> Result<Mailboxes, BuildError> {
    clean(field, written)?;
    match written.parse::<Mailboxes>() {
        Ok(list) if list.iter().next().is_some() => list
            .into_iter()
            .map(|one| Ok(Mailbox::new(one.name, address(field, one.email.as_ref())?)))
            .collect(),
        _ => mailbox(field, written).map(Mailboxes::from),
    }
}

fn unescape(quoted: &str) -> String {
    let mut plain = String::with_capacity(quoted.len());
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        plain.push(if c == '\\' {
            chars.next().unwrap_or(c)
        } else {
            c
        });
    }
    plain
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone as _;
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::message::{MessageId, ReceiverId};

    fn message() -> Message {
        Message {
            id: MessageId(17),
            key: "order-1842".to_owned(),
            kind: "order".to_owned(),
            from: Some("Devilry <no-reply@uni.example>".to_owned()),
            reply_to: None,
            headers: Vec::new(),
            return_path: None,
            created_at: chrono::Utc.with_ymd_and_hms(2026, 11, 2, 8, 5, 9).unwrap(),
            metadata: Value::Null,
            raw: false,
        }
    }

    fn receiver() -> Receiver {
        Receiver {
            id: ReceiverId(1),
            epoch: 1,
            uid: "0192a-7f".to_owned(),
            identity: "april@example.com".to_owned(),
            name: None,
            user: None,
            language: "en".to_owned(),
            metadata: Value::Null,
        }
    }

    fn content(subject: &str, text: &str, html: Option<&str>) -> Arc<Content> {
        Arc::new(Content {
            subject: subject.to_owned(),
            body: Body::Parts {
                text: text.to_owned(),
                html: html.map(str::to_owned),
            },
        })
    }

    fn raw(bytes: &[u8]) -> Arc<Content> {
        Arc::new(Content {
            subject: String::new(),
            body: Body::Raw(bytes.to_vec()),
        })
    }

    fn build(
        message: &Message,
        content: &Arc<Content>,
        receiver: &Receiver,
    ) -> Result<Built, BuildError> {
        MimeBuilder::new(None).build(message, content, receiver, None)
    }

    fn text_of(built: &Built) -> String {
        String::from_utf8(built.bytes.clone()).unwrap()
    }

    #[test]
    fn an_ordinary_message_says_who_to_whom_when_and_what() {
        let mut message = message();
        message.reply_to = Some("Exams & Co. <exams@uni.example>".to_owned());
        message.headers = vec![
            ("X-Tag".to_owned(), "one".to_owned()),
            ("X-Tag".to_owned(), "two".to_owned()),
        ];
        let mut receiver = receiver();
        receiver.name = Some("April, J. \"A\"".to_owned());
        let built = build(
            &message,
            &content("Tilbakemelding på øving", "Hei", None),
            &receiver,
        )
        .unwrap();
        let text = text_of(&built);
        assert_eq!(built.from.unwrap().to_string(), "no-reply@uni.example");
        for line in [
            "From: Devilry <no-reply@uni.example>\r\n",
            "Date: Mon, 2 Nov 2026 08:05:09 +0000\r\n",
            "Message-ID: <0192a-7f@uni.example>\r\n",
            "X-Tag: one\r\nX-Tag: two\r\n",
            "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        let parsed = MessageParser::default().parse(&built.bytes).unwrap();
        assert_eq!(parsed.subject(), Some("Tilbakemelding på øving"));
        let to = parsed.to().unwrap().first().unwrap();
        assert_eq!(
            (to.name(), to.address()),
            (Some("April, J. \"A\""), Some("april@example.com"))
        );
        let reply_to = parsed.reply_to().unwrap().first().unwrap();
        assert_eq!(
            (reply_to.name(), reply_to.address()),
            (Some("Exams & Co."), Some("exams@uni.example"))
        );
        assert_eq!(parsed.body_text(0).unwrap().trim_end(), "Hei");
    }

    #[test]
    fn text_and_html_go_as_alternatives() {
        let content = content("s", "plain æ\n.dot\n", Some("<p>rich æ</p>"));
        let built = build(&message(), &content, &receiver()).unwrap();
        let parsed = MessageParser::default().parse(&built.bytes).unwrap();
        assert!(parsed.content_type_is("multipart", "alternative"));
        assert_eq!(parsed.body_text(0).unwrap().trim_end(), "plain æ\r\n.dot");
        assert_eq!(parsed.body_html(0).unwrap().trim_end(), "<p>rich æ</p>");
        assert!(built.bytes.is_ascii());
    }

    trait Is {
        fn content_type_is(&self, kind: &str, sub: &str) -> bool;
    }

    impl Is for mail_parser::Message<'_> {
        fn content_type_is(&self, kind: &str, sub: &str) -> bool {
            use mail_parser::MimeHeaders as _;
            self.content_type()
                .is_some_and(|found| found.ctype() == kind && found.subtype() == Some(sub))
        }
    }

    #[test]
    fn the_message_id_is_the_same_on_every_retry_and_differs_per_receiver() {
        let builder = MimeBuilder::new(None);
        let content = content("s", "t", None);
        let mut other = receiver();
        other.uid = "other".to_owned();
        let first = builder
            .build(&message(), &content, &receiver(), None)
            .unwrap();
        let again = builder
            .build(&message(), &content, &receiver(), None)
            .unwrap();
        let third = builder.build(&message(), &content, &other, None).unwrap();
        assert_eq!(first, again);
        assert!(text_of(&third).contains("<other@uni.example>"));
    }

    #[test]
    fn a_content_is_never_taken_for_another_that_lived_at_its_address() {
        let builder = MimeBuilder::new(None);
        for number in 0..200 {
            let text = format!("text number {number}");
            let built = builder
                .build(&message(), &content("s", &text, None), &receiver(), None)
                .unwrap();
            assert!(text_of(&built).contains(&text));
        }
        assert!(builder.cache.lock().unwrap().len() <= CACHED);
    }

    #[test]
    fn without_any_from_nothing_is_built() {
        let mut message = message();
        message.from = None;
        let content = content("s", "t", None);
        assert_eq!(
            build(&message, &content, &receiver()),
            Err(BuildError::NoFrom)
        );
        let built = MimeBuilder::new(None)
            .build(&message, &content, &receiver(), Some("x@backend.example"))
            .unwrap();
        assert!(text_of(&built).starts_with("From: x@backend.example\r\n"));
    }

    #[test]
    fn a_raw_message_goes_as_it_is() {
        let bytes =
            b"From: A <a@b.example>\r\nmessage-ID : <x@y>\r\nSubject: s\r\n\r\n.body \xff\r\n";
        let built = build(&message(), &raw(bytes), &receiver()).unwrap();
        assert_eq!(built.bytes, bytes);
        assert_eq!(built.from.unwrap().to_string(), "a@b.example");
    }

    #[test]
    fn a_raw_message_without_a_message_id_gets_one_and_nothing_else() {
        let bytes = b"From: A <a@b.example>\r\n\r\nMessage-ID: in the body\r\n";
        let built = build(&message(), &raw(bytes), &receiver()).unwrap();
        let added = b"Message-ID: <0192a-7f@b.example>\r\n";
        assert_eq!(built.bytes, [&added[..], bytes].concat());
    }

    #[test]
    fn a_raw_message_with_an_odd_from_goes_from_whom_its_submitter_named() {
        let bytes = b"From: undisclosed\r\nMessage-ID: x\r\n\r\nhi\r\n";
        let built = build(&message(), &raw(bytes), &receiver()).unwrap();
        assert_eq!(built.bytes, bytes);
        assert_eq!(built.from.unwrap().to_string(), "no-reply@uni.example");
        let mut message = message();
        message.from = None;
        let built = build(&message, &raw(bytes), &receiver()).unwrap();
        assert_eq!(built.from, None);
    }

    #[test]
    fn headers_that_postroom_writes_cannot_be_given() {
        for name in OWN_HEADERS {
            let mut message = message();
            message.headers = vec![(name.to_ascii_uppercase(), "x".to_owned())];
            assert!(matches!(
                build(&message, &content("s", "t", None), &receiver()),
                Err(BuildError::OwnHeader(_))
            ));
        }
    }

    #[test]
    fn a_domain_beyond_ascii_is_written_as_dns_has_it() {
        let mut message = message();
        message.from = Some("Bücher <post@bücher.example>".to_owned());
        message.reply_to = Some("a@straße.example, b@uni.example".to_owned());
        let mut receiver = receiver();
        receiver.identity = "april@blåbær.example".to_owned();
        let built = build(&message, &content("s", "t", None), &receiver).unwrap();
        assert!(built.bytes.is_ascii());
        let text = text_of(&built);
        for line in [
            "To: april@xn--blbr-roah.example\r\n",
            " <post@xn--bcher-kva.example>\r\n",
            "Message-ID: <0192a-7f@xn--bcher-kva.example>\r\n",
            "Reply-To: a@xn--strae-oqa.example, b@uni.example\r\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        receiver.identity = "blåbær@blåbær.example".to_owned();
        let built = build(&message, &content("s", "t", None), &receiver).unwrap();
        assert!(text_of(&built).contains("To: blåbær@blåbær.example\r\n"));
    }

    #[test]
    fn an_identity_that_is_no_address_is_refused() {
        for identity in [
            "",
            "april",
            "a@b@c",
            "a b@c.example",
            "a@b.example>",
            "a@b.example\t",
            "\"a\nb\"@c.example",
        ] {
            let mut receiver = receiver();
            receiver.identity = identity.to_owned();
            assert!(
                build(&message(), &content("s", "t", None), &receiver).is_err(),
                "{identity:?}"
            );
        }
    }

    fn hostile() -> impl Strategy<Value = String> {
        prop::collection::vec(
            prop_oneof![
                Just("\r\n".to_owned()),
                Just("\n".to_owned()),
                Just("\r".to_owned()),
                Just("\0".to_owned()),
                Just("X-Evil: 1".to_owned()),
                Just("\u{2028}\u{85}".to_owned()),
                Just("ø <a@b>, \"".to_owned()),
                any::<String>(),
                "[ -~]{0,40}",
            ],
            0..6,
        )
        .prop_map(|parts| parts.concat())
    }

    #[test]
    fn line_ends_become_crlf_and_nothing_else_changes() {
        for (text, crlf) in [
            ("", ""),
            ("a", "a"),
            ("a\nb\r\nc\n\n", "a\r\nb\r\nc\r\n\r\n"),
            ("\n\r\r\na\rb", "\r\n\r\r\na\rb"),
        ] {
            assert_eq!(with_crlf(text), crlf);
        }
    }

    proptest! {
        #[test]
        fn nothing_a_caller_gives_can_start_a_header(
            subject in hostile(), name in hostile(), from in hostile(), reply in hostile(),
            header in hostile(), value in hostile(), which in 0..6
        ) {
            let mut message = message();
            let mut receiver = receiver();
            let mut words = "s".to_owned();
            match which {
                0 => words = subject,
                1 => receiver.name = Some(name),
                2 => message.from = Some(format!("{from} <a@b.example>")),
                3 => message.reply_to = Some(format!("{reply} <a@b.example>")),
                4 => message.headers = vec![("X-Mine".to_owned(), value)],
                _ => message.headers = vec![(header, "v".to_owned())],
            }
            let Ok(built) = build(&message, &content(&words, "the text", None), &receiver) else { return Ok(()) };
            let text = String::from_utf8_lossy(&built.bytes).into_owned();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            prop_assert_eq!(body, "the text\r\n");
            prop_assert!(!head.replace("\r\n", "").contains(['\r', '\n', '\0']));
            let mut expected = 7 + 1;
            expected += usize::from(message.reply_to.is_some()) + message.headers.len();
            let fields = head.split("\r\n").filter(|line| !line.starts_with([' ', '\t'])).count();
            prop_assert_eq!(fields, expected, "{}", head);
        }
    }
}
