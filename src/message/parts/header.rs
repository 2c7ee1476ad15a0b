//! What a part's header says of it.

use mail_parser::{MessageParser, MimeHeaders};
use memchr::memchr;

use super::{decode::Encoding, walk::line_at};

/// A field is read so far, in bytes: what is written in many pieces takes time that grows with their square.
const LONGEST_FIELD: usize = 8 * 1024;

/// A name, a type or a subject is taken so far. Letters.
const LONGEST_WORD: usize = 255;

/// Where the header that begins here ends, and where the body behind it begins. It ends with an empty line, or before a line that is no field.
pub(super) fn extent(message: &[u8], at: usize) -> (usize, usize) {
    let mut end = at;
    loop {
        let range = line_at(message, end);
        let line = &message[range.clone()];
        if line.trim_ascii_end().is_empty() {
            return (end, range.end);
        }
        let goes_on = end > at && matches!(line[0], b' ' | b'\t');
        // What begins with dashes is a delimiter, even if there is a colon in it.
        if !goes_on && (line.starts_with(b"--") || name(line).is_none()) {
            return (end, end);
        }
        end = range.end;
    }
}

/// The name of the field in this line; spaces before the colon are obsolete, not unheard of (RFC 5322 4.5).
fn name(line: &[u8]) -> Option<&[u8]> {
    let name = line[..memchr(b':', line)?].trim_ascii_end();
    (!name.is_empty() && name.iter().all(u8::is_ascii_graphic)).then_some(name)
}

/// What is to be known of a part.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) kind: String,
    pub(super) charset: Option<String>,
    pub(super) boundary: Option<String>,
    pub(super) name: Option<String>,
    pub(super) encoding: Encoding,
    /// Its sender says that it is an attachment.
    pub(super) attached: bool,
}

impl Facts {
    /// Reads a header. In a digest a part that says nothing else is a message (RFC 2046 5.1.5).
    pub(super) fn read(head: &[u8], in_digest: bool) -> Self {
        const WANTED: [&[u8]; 3] = [
            b"content-type",
            b"content-disposition",
            b"content-transfer-encoding",
        ];
        let fields = picked(head, &WANTED);
        let parsed = MessageParser::new().parse_headers(&fields);
        let part = parsed.as_ref().and_then(|parsed| parsed.parts.first());
        let kind = part.and_then(MimeHeaders::content_type);
        let disposition = part.and_then(MimeHeaders::content_disposition);
        let encoding = part.and_then(MimeHeaders::content_transfer_encoding);
        let of = |name: &str| kind.and_then(|kind| kind.attribute(name));
        let called = disposition.and_then(|disposition| disposition.attribute("filename"));
        let default = if in_digest {
            "message/rfc822"
        } else {
            "text/plain"
        };
        Self {
            kind: match kind.map(|kind| (kind.ctype(), kind.subtype())) {
                Some((kind, Some(subtype))) => word(&format!("{kind}/{subtype}")),
                _ => default.to_owned(),
            },
            charset: of("charset").map(word),
            boundary: of("boundary").map(|boundary| boundary.trim_end().to_owned()),
            name: called
                .or(of("name"))
                .map(word)
                .filter(|name| !name.trim().is_empty()),
            encoding: Encoding::of(encoding.unwrap_or_default().trim()),
            attached: disposition.is_some_and(mail_parser::ContentType::is_attachment),
        }
    }
}

/// What a message's header says it is about.
pub(super) fn subject(head: &[u8]) -> Option<String> {
    let field = picked(head, &[b"subject"]);
    let parsed = MessageParser::new().parse_headers(&field)?;
    parsed.subject().map(word)
}

fn word(text: &str) -> String {
    text.chars().take(LONGEST_WORD).collect()
}

/// The first field of each of these names, given in lower case, as far as it is read.
fn picked(head: &[u8], names: &[&[u8]]) -> Vec<u8> {
    let mut fields = Vec::new();
    let mut seen = vec![false; names.len()];
    let mut at = 0;
    while at < head.len() {
        let begin = at;
        at = line_at(head, at).end;
        while head[at..].starts_with(b" ") || head[at..].starts_with(b"\t") {
            at = line_at(head, at).end;
        }
        let field = &head[begin..at];
        let is_it =
            |wanted: &&[u8]| name(field).is_some_and(|name| name.eq_ignore_ascii_case(wanted));
        if let Some(which) = names.iter().position(is_it)
            && !std::mem::replace(&mut seen[which], true)
        {
            fields.extend_from_slice(field[..field.len().min(LONGEST_FIELD)].trim_ascii_end());
            fields.extend_from_slice(b"\r\n");
        }
    }
    fields.extend_from_slice(b"\r\n");
    fields
}
