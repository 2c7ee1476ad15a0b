//! What a message says: content by language, or one raw RFC 5322 message.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lettre::{Address, message::Mailbox};
use mail_parser::MessageParser;
use serde_json::Value;

use super::{
    fields::{Fields, Wrong},
    in_header,
};
use crate::message::{Body, Content, html_as_text, template::Source};

/// A content with its language.
type Said = (String, Content);

/// The words of a message.
pub(super) struct Contents {
    /// One entry when raw; empty when they are templates.
    pub(super) by_language: Vec<Said>,
    pub(super) templates: Option<Vec<(String, Source)>>,
    pub(super) raw: bool,
    /// The header From: of a raw message its own.
    pub(super) from: Option<String>,
}

impl Contents {
    /// The language whose content a receiver gets: `nb-NO`, else `nb`, else the default language likewise. Who asks for none gets the only
    /// one, if there is only one.
    pub(super) fn language(&self, wanted: Option<&str>, default: &str) -> Option<String> {
        let there = self.tags();
        let only = match there.as_slice() {
            [only] if self.raw || wanted.is_none() => Some(*only),
            _ => None,
        };
        let mut tags = wanted.into_iter().chain([default]).flat_map(wider);
        tags.find_map(|tag| there.iter().copied().find(|known| folded(known) == tag))
            .or(only)
            .map(str::to_owned)
    }

    pub(super) fn languages(&self) -> String {
        self.tags().join(", ")
    }

    /// The languages there are; never empty.
    fn tags(&self) -> Vec<&str> {
        match &self.templates {
            Some(templates) => templates.iter().map(|(tag, _)| tag.as_str()).collect(),
            None => self
                .by_language
                .iter()
                .map(|(tag, _)| tag.as_str())
                .collect(),
        }
    }
}

/// Tags have no case (RFC 5646 2.1.1), and `nb_NO` is often meant.
fn folded(tag: &str) -> String {
    tag.to_ascii_lowercase().replace('_', "-")
}

/// The tag and its shorter forms (RFC 4647 3.4).
fn wider(tag: &str) -> impl Iterator<Item = String> {
    std::iter::successors(Some(folded(tag)), |tag| {
        tag.rsplit_once('-').map(|(wider, _)| wider.to_owned())
    })
}

/// Takes `content`, `raw` or `raw_base64`; a content may be made of templates.
pub(super) fn read(
    fields: &mut Fields,
    from: Option<String>,
    default_language: &str,
    template: bool,
) -> Result<Contents, Wrong> {
    let content = fields.take("content");
    let raw = fields.text("raw")?;
    let encoded = fields.text("raw_base64")?;
    match (content, raw, encoded) {
        (Some(content), None, None) => {
            let sources = by_language(fields, content)?;
            let (by_language, templates) = if template {
                (Vec::new(), Some(sources))
            } else {
                let said = sources.into_iter().map(said);
                (said.collect::<Result<_, _>>()?, None)
            };
            Ok(Contents {
                by_language,
                templates,
                raw: false,
                from,
            })
        }
        (None, Some(_), None) | (None, None, Some(_)) if template => Err(fields.wrong(
            "template",
            "makes nothing of a raw message, which is sent as it is: give content",
        )),
        (None, Some(raw), None) => self::raw(fields, "raw", raw.as_bytes(), from, default_language),
        (None, None, Some(encoded)) => {
            let raw = STANDARD
                .decode(encoded.trim())
                .map_err(|error| fields.wrong("raw_base64", &format!("is not base64: {error}")))?;
            self::raw(fields, "raw_base64", &raw, from, default_language)
        }
        (None, None, None) => {
            const MISSING: &str =
                "is missing, as in {\"en\": {\"subject\": \"…\", \"text\": \"…\"}}; or give raw";
            Err(fields.wrong("content", MISSING))
        }
        _ => Err(Wrong::whole(
            "content, raw and raw_base64: only one of them".to_owned(),
        )),
    }
}

fn by_language(fields: &Fields, content: Value) -> Result<Vec<(String, Source)>, Wrong> {
    const SHAPE: &str =
        "must be an object by language, as in {\"en\": {\"subject\": \"…\", \"text\": \"…\"}}";
    let Value::Object(map) = content else {
        return Err(fields.wrong("content", SHAPE));
    };
    if map.is_empty() {
        return Err(fields.wrong("content", SHAPE));
    }
    let mut sources: Vec<(String, Source)> = Vec::with_capacity(map.len());
    for (language, value) in map {
        let path = format!("content.{language}");
        if !value.is_object() {
            return Err(fields.wrong("content", SHAPE));
        }
        if !is_language(&language) {
            return Err(Wrong::at(
                path,
                "is no language; write a tag such as en, nb or nb-NO",
            ));
        }
        if sources
            .iter()
            .any(|(other, _)| folded(other) == folded(&language))
        {
            return Err(Wrong::at(path, "stands there twice"));
        }
        let mut fields = Fields::new(value, path, &["subject", "text", "html"])?;
        let subject = fields.line("subject")?.unwrap_or_default();
        let text = fields.text("text")?;
        let html = fields.text("html")?;
        if text.is_none() && html.is_none() && subject.is_empty() {
            return Err(fields.wrong(
                "text",
                "is missing: neither subject, text nor html says anything",
            ));
        }
        sources.push((
            language,
            Source {
                subject,
                text,
                html,
            },
        ));
    }
    Ok(sources)
}

/// Words that are sent as they stand there.
fn said((language, source): (String, Source)) -> Result<Said, Wrong> {
    let Source {
        subject,
        text,
        html,
    } = source;
    let text = match (text, &html) {
        (Some(text), _) => text,
        (None, Some(html)) => {
            text_of(html).map_err(|why| Wrong::at(format!("content.{language}.html"), &why))?
        }
        (None, None) => String::new(),
    };
    let body = Body::Parts { text, html };
    Ok((language, Content { subject, body }))
}

/// Whether it has the form of a language's tag.
pub(crate) fn is_language(tag: &str) -> bool {
    let letters = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    tag.starts_with(|c: char| c.is_ascii_alphabetic())
        && tag.chars().all(letters)
        && tag.len() <= 35
}

/// The plain text of an HTML body, wrapped as mail usually is.
fn text_of(html: &str) -> Result<String, String> {
    const WIDTH: usize = 76;
    html_as_text(html, WIDTH).map_err(|why| format!("{why}; give text as well"))
}

fn raw(
    fields: &Fields,
    name: &str,
    bytes: &[u8],
    given_from: Option<String>,
    language: &str,
) -> Result<Contents, Wrong> {
    let bytes = with_crlf(bytes);
    if !begins_with_a_header(&bytes) {
        return Err(fields.wrong(
            name,
            "is no message: it begins with headers, then an empty line, then the body (RFC 5322)",
        ));
    }
    let (subject, own) = subject_and_from(&bytes);
    if let (Some(own), Some(given)) = (&own, &given_from)
        && in_header(given).is_ok_and(|given| given.email != own.email)
    {
        let why = format!(
            "the raw message says From {}; it is sent as it is, so leave this out",
            own.email
        );
        return Err(fields.wrong("from", &why));
    }
    Ok(Contents {
        by_language: vec![(
            language.to_owned(),
            Content {
                subject,
                body: Body::Raw(bytes),
            },
        )],
        templates: None,
        raw: true,
        from: own.map(|own| own.to_string()).or(given_from),
    })
}

/// What the header of a whole message says. What a stranger's program wrote into From need not be an address: then it is `None`.
pub(super) fn subject_and_from(message: &[u8]) -> (String, Option<Mailbox>) {
    let headers = MessageParser::new()
        .with_minimal_headers()
        .parse_headers(message)
        .unwrap_or_default();
    let own = headers.from().and_then(|from| from.first());
    let own = own.and_then(|from| {
        let address = from.address()?.parse::<Address>().ok()?;
        let name = from.name().map(visible).filter(|name| !name.is_empty());
        Some(Mailbox::new(name, address))
    });
    let subject = headers.subject().map(visible).unwrap_or_default();
    (subject, own)
}

/// A name and a colon (RFC 5322 2.2).
fn begins_with_a_header(bytes: &[u8]) -> bool {
    let name = bytes
        .split(|&b| b == b':' || b == b'\r')
        .next()
        .unwrap_or_default();
    !name.is_empty()
        && name.iter().all(u8::is_ascii_graphic)
        && bytes.get(name.len()) == Some(&b':')
}

/// A decoded header on one line: an encoded word can hide line ends, which are for showing only here.
pub(super) fn visible(text: &str) -> String {
    text.split(char::is_control)
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// CRLF at every line end (RFC 5321 2.3.8): a bare CR or LF becomes one.
pub(super) fn with_crlf(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 32);
    let mut rest = bytes.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        match byte {
            b'\r' => {
                rest.next_if_eq(&b'\n');
                out.extend(b"\r\n");
            }
            b'\n' => out.extend(b"\r\n"),
            byte => out.push(byte),
        }
    }
    out
}
