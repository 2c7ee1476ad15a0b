//! Makes the bytes that leave: lettre writes headers and parts, this module decides which, and lets nothing in that could start a header of its own.

mod address;
mod header;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError, Weak};

use lettre::{
    Address,
    address::AddressError,
    message::{MultiPart, SinglePart},
};
use mail_parser::MessageParser;

use super::dkim::{self, BodyHash, Dkim};
use crate::message::{Body, Content, Message, Receiver};

use self::{
    address::mailbox,
    header::{check_uid, head, message_id},
};

pub(super) use self::address::{address, sender};

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

/// Nothing in it may begin a line of its own.
fn clean(field: &str, value: &str) -> Result<(), BuildError> {
    if value.contains(['\r', '\n', '\0']) {
        let field = field.replace(|c: char| c.is_control(), "?");
        return Err(BuildError::Injection { field });
    }
    Ok(())
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
