//! The one pass through a message: where each part begins and ends, and which is in which.

use std::collections::{HashMap, hash_map::Entry};

use memchr::{memchr, memmem};

use super::{
    Part, Parts, Role,
    decode::Encoding,
    header::{Facts, extent, subject},
};

/// What is nested deeper is not opened.
pub(super) const DEEPEST: usize = 100;

/// So many parts are told apart.
pub(super) const MOST_PARTS: usize = 20_000;

/// A message, and how far it was gone through.
pub(super) struct Walk<'a> {
    message: &'a [u8],
    all: Vec<Part<'a>>,
    open: Vec<Open>,
    /// Which of the open parts each boundary parts, from the outermost on: to compare a line with every one of them would take a hundred times as long.
    boundaries: HashMap<Vec<u8>, Vec<usize>>,
    cut: bool,
}

/// A part whose end has not been seen.
struct Open {
    part: usize,
    /// What parts the parts in it; empty: nothing does, or no longer.
    boundary: Vec<u8>,
}

impl<'a> Walk<'a> {
    pub(super) fn through(message: &'a [u8]) -> Parts<'a> {
        let mut walk = Self {
            message,
            all: Vec::new(),
            open: Vec::new(),
            boundaries: HashMap::new(),
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
                walk.forget(level);
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
            let boundary = if is_multipart && closed.is_none() {
                let levels = self.boundaries.entry(boundary.clone());
                levels.or_default().push(depth);
                boundary
            } else {
                Vec::new()
            };
            self.open.push(Open {
                part: self.all.len(),
                boundary,
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

    /// Which of the open parts this line delimits, the innermost of several, and whether it is the last of its delimiters (RFC 2046 5.1.1).
    fn delimited(&self, line: &[u8]) -> Option<(usize, bool)> {
        let line = line.trim_ascii_end().strip_prefix(b"--")?;
        let of = |boundary: &[u8]| self.boundaries.get(boundary)?.last().copied();
        let next = of(line).map(|level| (level, false));
        let last = line.strip_suffix(b"--").and_then(of);
        next.max(last.map(|level| (level, true)))
    }

    /// Nothing parts this part any more.
    fn forget(&mut self, level: usize) {
        let boundary = std::mem::take(&mut self.open[level].boundary);
        if let Entry::Occupied(mut levels) = self.boundaries.entry(boundary) {
            levels.get_mut().retain(|other| *other != level);
            if levels.get().is_empty() {
                levels.remove();
            }
        }
    }

    /// All open parts from this level on end here, at a line end.
    fn close(&mut self, level: usize, end: usize) {
        let end = if end < self.message.len() && self.message[..end].ends_with(b"\r") {
            end - 1
        } else {
            end
        };
        for level in level..self.open.len() {
            self.forget(level);
        }
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
pub(super) fn line_at(bytes: &[u8], at: usize) -> std::ops::Range<usize> {
    let end = memchr(b'\n', &bytes[at..]);
    at..end.map_or(bytes.len(), |end| at + end + 1)
}
