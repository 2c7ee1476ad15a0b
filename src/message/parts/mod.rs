//! A whole message (RFC 5322) taken apart as RFC 2045 to 2049 and 2231 say: which parts it has, what each is and is called, and what it says once it
//! is decoded. What a stranger wrote is read in time that grows with its length alone, and in one pass: a tree of values that hold each other would
//! end the process where it is nested deep enough.

mod decode;
mod header;
#[cfg(test)]
mod tests;
mod walk;

use std::borrow::Cow;

use mail_parser::decoders::charsets::map::charset_decoder;

use self::{decode::Encoding, walk::Walk};
use super::{ReceiverId, is_dangerous};
use crate::grouped::counted;

/// What a part in a list is moved in at most, in columns.
const MOST_INDENT: usize = 20;

/// A name for a file is cut to so many bytes: with what stands before it that is less than any file system takes.
const LONGEST_NAME: usize = 120;

/// The parts of a whole message.
#[derive(Debug)]
pub(crate) struct Parts<'a> {
    all: Vec<Part<'a>>,
    text: Option<usize>,
    html: Option<usize>,
    cut: bool,
}

/// A part of a whole message; the first is the message itself.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    /// In how many others it is.
    pub depth: usize,
    /// `text/plain`, in lower case.
    pub kind: String,
    /// What its sender calls it. It may be anything.
    pub name: Option<String>,
    /// What it is to a reader.
    pub role: Role,
    /// It is part of a message within the message.
    pub forwarded: bool,
    /// Its subject, if it holds a message.
    subject: Option<String>,
    charset: Option<String>,
    encoding: Encoding,
    attached: bool,
    parent: Option<usize>,
    /// Why it was not opened, although it should hold parts.
    closed: Option<&'static str>,
    head: &'a [u8],
    body: &'a [u8],
    /// Where the body begins in the message.
    from: usize,
}

/// What a part is to a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It only holds others.
    Holder,
    /// The text.
    Text,
    /// The same as HTML.
    Html,
    /// Everything else, counted from 1. What a message within the message holds is counted, too.
    Attachment(usize),
}

impl<'a> Parts<'a> {
    /// Takes a message apart.
    pub(crate) fn of(message: &'a [u8]) -> Self {
        Walk::through(message)
    }

    /// Every part, each behind the one that holds it.
    pub(crate) fn all(&self) -> &[Part<'a>] {
        &self.all
    }

    /// There are more parts than are told apart: the last of `all` has the rest in it.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut
    }

    /// The header of the message, without the empty line below it; empty: this is no message.
    pub(crate) fn head(&self) -> &'a [u8] {
        self.all
            .first()
            .map_or(&b""[..], |message| message.head.trim_ascii_end())
    }

    /// What a reader would read first.
    pub(crate) fn text(&self) -> Option<&Part<'a>> {
        self.all.get(self.text?)
    }

    /// The same as HTML.
    pub(crate) fn html(&self) -> Option<&Part<'a>> {
        self.all.get(self.html?)
    }

    /// What is attached, in order.
    pub(crate) fn attachments(&self) -> impl Iterator<Item = &Part<'a>> {
        self.all
            .iter()
            .filter(|part| matches!(part.role, Role::Attachment(_)))
    }

    /// The attachment with this number, counted from 1.
    pub(crate) fn attachment(&self, number: usize) -> Option<&Part<'a>> {
        self.attachments().nth(number.checked_sub(1)?)
    }
}

impl Part<'_> {
    /// What it says, and whether all of it could be decoded; else as much as could.
    pub(crate) fn decoded(&self) -> (Cow<'_, [u8]>, bool) {
        self.encoding.decode(self.body)
    }

    /// The same as text.
    pub(crate) fn string(&self) -> String {
        let (bytes, _) = self.decoded();
        let charset = self.charset.as_deref().unwrap_or_default();
        match charset_decoder(charset.as_bytes()) {
            Some(decoder) => decoder(&bytes),
            None => String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    /// Its number, if it is an attachment.
    pub(crate) fn number(&self) -> Option<usize> {
        match self.role {
            Role::Attachment(number) => Some(number),
            _ => None,
        }
    }

    /// Columns that it is moved in by in a list of all parts.
    pub(crate) fn indent(&self) -> usize {
        (self.depth * 2).min(MOST_INDENT)
    }

    /// `plan.pdf  application/pdf, 5 bytes`
    pub(crate) fn told(&self) -> String {
        let kind = &self.kind;
        if self.role == Role::Holder {
            return kind.clone();
        }
        let (bytes, sound) = self.decoded();
        let size = counted(bytes.len() as u64, "byte");
        let broken = format!("{} that is broken", self.encoding.name());
        let trouble = [self.closed, (!sound).then_some(broken.as_str())];
        let trouble: Vec<_> = trouble
            .into_iter()
            .flatten()
            .map(|why| [", ", why].concat())
            .collect();
        let trouble = trouble.concat();
        match self.role {
            Role::Attachment(_) => {
                let name = self.name.as_deref().or(self.subject.as_deref());
                let name = name.unwrap_or("without a name");
                format!("{name}  {kind}, {size}{trouble}")
            }
            Role::Html => format!("{kind}, {size}: the HTML{trouble}"),
            _ => format!("{kind}, {size}: the text{trouble}"),
        }
    }

    /// A name under which it can be saved. What its sender calls it never stands alone: it could be the name of a file that something else reads.
    pub(crate) fn file_name(&self, receiver: ReceiverId) -> String {
        format!("postroom-{receiver}-{}", self.harmless_name())
    }

    /// What its sender calls it, but never a path, a hidden file, an option, or letters that a terminal acts on.
    fn harmless_name(&self) -> String {
        let given = self.name.as_deref().unwrap_or_default();
        let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
        let odd = |c: char| is_dangerous(c) || matches!(c, ':' | '*' | '?' | '"' | '<' | '>' | '|');
        let name: String = last.chars().map(|c| if odd(c) { '_' } else { c }).collect();
        let blank = |c: char| c.is_whitespace() || c == '.';
        let name = name
            .trim_start_matches(|c| blank(c) || matches!(c, '-' | '~'))
            .trim_end_matches(blank);
        if name.is_empty() {
            let number = self.number().unwrap_or_default();
            return format!("attachment-{number}.{}", extension(&self.kind));
        }
        cut(name)
    }
}

/// The end of a name for what has none.
fn extension(kind: &str) -> &'static str {
    match kind {
        "text/plain" => "txt",
        "text/html" => "html",
        "text/csv" => "csv",
        "text/calendar" => "ics",
        "message/rfc822" => "eml",
        "application/pdf" => "pdf",
        "image/png" => "png",
        "image/jpeg" => "jpg",
        "image/gif" => "gif",
        _ => "bin",
    }
}

/// Not longer than a file system takes, with its end, which says what it is.
fn cut(name: &str) -> String {
    if name.len() <= LONGEST_NAME {
        return name.to_owned();
    }
    let end = match name.rsplit_once('.') {
        Some((_, end)) if end.len() <= 16 => &name[name.len() - end.len() - 1..],
        _ => "",
    };
    let mut at = LONGEST_NAME - end.len();
    while !name.is_char_boundary(at) {
        at -= 1;
    }
    format!("{}{end}", &name[..at])
}
