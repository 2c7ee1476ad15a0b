//! A whole message (RFC 5322) taken apart as RFC 2045 to 2049 and 2231 say: which parts it has, what each is and is called, and what it says once it
//! is decoded. What a stranger wrote is read in time that grows with its length alone, and in one pass: a tree of values that hold each other would
//! end the process where it is nested deep enough.

mod decode;
mod header;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use mail_parser::decoders::charsets::map::charset_decoder;
use memchr::{memchr, memmem};

use self::{
    decode::Encoding,
    header::{Facts, extent, subject},
};
use super::{ReceiverId, is_dangerous};
use crate::grouped::counted;

/// What is nested deeper is not opened.
const DEEPEST: usize = 100;

/// So many parts are told apart.
const MOST_PARTS: usize = 20_000;

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
    /// Its subject, if it holds a message.
    subject: Option<String>,
    charset: Option<String>,
    encoding: Encoding,
    attached: bool,
    /// It is part of a message within the message.
    forwarded: bool,
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

/// A message on the way through it.
struct Walk<'a> {
    message: &'a [u8],
    all: Vec<Part<'a>>,
    open: Vec<Open>,
    cut: bool,
}

/// A part whose end has not been seen.
struct Open {
    part: usize,
    /// What parts the parts in it; empty: nothing does, or no longer.
    boundary: Vec<u8>,
}

impl<'a> Walk<'a> {
    fn through(message: &'a [u8]) -> Parts<'a> {
        let mut walk = Self {
            message,
            all: Vec::new(),
            open: Vec::new(),
            cut: false,
        };
        // A line end before a delimiter belongs to the delimiter; it may be that of the header's last line.
        let mut from = walk.begin(0).saturating_sub(1);
        let dashes = memmem::Finder::new(b"\n--");
        while let Some(found) = dashes.find(&message[from..]) {
            let end = from + found;
            let line = line_at(message, end + 1);
            from = end + 1;
            let Some((level, last)) = walk.delimited(&message[line.clone()]) else {
                continue;
            };
            if !last && walk.all.len() >= MOST_PARTS {
                walk.cut = true;
                break;
            }
            walk.close(level + 1, end);
            if last {
                walk.open[level].boundary.clear();
            } else {
                from = walk.begin(line.end).saturating_sub(1);
            }
        }
        walk.close(0, message.len());
        walk.finish()
    }

    /// Begins a part, and the message that it is if it is one. Returns where the body begins.
    fn begin(&mut self, mut at: usize) -> usize {
        loop {
            let (end, body) = extent(self.message, at);
            let parent = self.open.last().map(|open| open.part);
            let above = parent.map(|parent| &self.all[parent]);
            let head = &self.message[at..end];
            let facts = Facts::read(
                head,
                above.is_some_and(|above| above.kind == "multipart/digest"),
            );
            let forwarded =
                above.is_some_and(|above| above.forwarded || above.kind == "message/rfc822");
            if let Some(parent) = parent
                && self.all[parent].kind == "message/rfc822"
            {
                self.all[parent].subject = subject(head);
            }
            let depth = self.open.len();
            let boundary = facts.boundary.unwrap_or_default().into_bytes();
            let is_multipart = facts.kind.starts_with("multipart/");
            let holds_message =
                facts.kind == "message/rfc822" && facts.encoding == Encoding::Identity;
            let closed = if (is_multipart || holds_message) && depth >= DEEPEST {
                Some("nested too deep to be opened")
            } else if is_multipart && boundary.is_empty() {
                Some("without a boundary between its parts")
            } else {
                None
            };
            self.open.push(Open {
                part: self.all.len(),
                boundary: if is_multipart && closed.is_none() {
                    boundary
                } else {
                    Vec::new()
                },
            });
            self.all.push(Part {
                depth,
                kind: facts.kind,
                name: facts.name,
                role: Role::Holder,
                subject: None,
                charset: facts.charset,
                // What holds parts is never encoded (RFC 2045 6.4).
                encoding: if is_multipart {
                    Encoding::Identity
                } else {
                    facts.encoding
                },
                attached: facts.attached,
                forwarded,
                parent,
                closed,
                head,
                body: b"",
                from: body,
            });
            if !holds_message || closed.is_some() {
                return body;
            }
            at = body;
        }
    }

    /// Which of the open parts this line delimits, from the outermost on, and whether it is the last of its delimiters (RFC 2046 5.1.1).
    fn delimited(&self, line: &[u8]) -> Option<(usize, bool)> {
        let line = line.trim_ascii_end().strip_prefix(b"--")?;
        self.open
            .iter()
            .enumerate()
            .rev()
            .find_map(|(level, open)| {
                let rest = line.strip_prefix(open.boundary.as_slice())?;
                match (open.boundary.is_empty(), rest) {
                    (true, _) => None,
                    (_, b"") => Some((level, false)),
                    (_, b"--") => Some((level, true)),
                    _ => None,
                }
            })
    }

    /// All open parts from this level on end here, at a line end.
    fn close(&mut self, level: usize, end: usize) {
        let end = if end < self.message.len() && self.message[..end].ends_with(b"\r") {
            end - 1
        } else {
            end
        };
        for open in self.open.drain(level..) {
            let part = &mut self.all[open.part];
            part.body = self.message.get(part.from..end).unwrap_or_default();
        }
    }

    /// Everything is closed: what is each part to a reader?
    fn finish(mut self) -> Parts<'a> {
        let holds = |all: &[Part<'a>], at: usize| {
            let deeper = |next: &Part<'a>| next.depth > all[at].depth;
            all.get(at + 1).is_some_and(deeper)
        };
        let leaf = |kind: &str| {
            self.all.iter().enumerate().position(|(at, part)| {
                part.kind == kind
                    && !part.attached
                    && !part.forwarded
                    && (at == 0 || part.name.is_none())
            })
        };
        let html = leaf("text/html");
        // Text behind HTML that is not the same in other words is a footer.
        let text = leaf("text/plain").filter(|text| {
            let parent = self.all[*text].parent.map(|at| &self.all[at]);
            html.is_none_or(|html| *text < html)
                || parent.is_some_and(|parent| parent.kind == "multipart/alternative")
        });
        let mut number = 0;
        for at in 0..self.all.len() {
            let is_multipart = self.all[at].kind.starts_with("multipart/");
            let holds = holds(&self.all, at);
            let part = &mut self.all[at];
            part.role = if Some(at) == text {
                Role::Text
            } else if Some(at) == html {
                Role::Html
            } else if is_multipart && holds {
                Role::Holder
            } else {
                number += 1;
                Role::Attachment(number)
            };
            if is_multipart && !holds && part.closed.is_none() {
                part.closed = Some("without any of its parts");
            }
        }
        Parts {
            all: self.all,
            text,
            html,
            cut: self.cut,
        }
    }
}

/// The line that begins here, with its end.
fn line_at(bytes: &[u8], at: usize) -> std::ops::Range<usize> {
    let end = memchr(b'\n', &bytes[at..]);
    at..end.map_or(bytes.len(), |end| at + end + 1)
}
