//! The header of an ordinary message, and what may stand in it.

use std::{fmt::Write as _, io::Write as _};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lettre::{
    Address,
    message::{
        Mailbox, Mailboxes,
        header::{self, Header, HeaderName, HeaderValue, Headers},
    },
};

use super::{
    BuildError,
    address::{address, mailbox, mailboxes},
    clean,
};
use crate::message::{Content, LONGEST_HEADER_NAME, Message, OWN_HEADERS, Receiver};

/// The header of an ordinary message up to MIME-Version, with room for `more` bytes behind it.
pub(super) fn head(
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

pub(super) fn message_id(out: &mut Vec<u8>, uid: &str, domain: &str) {
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
