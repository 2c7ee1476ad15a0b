//! What a message says, part by part: as text, as its HTML looks, its headers, its source, its attachments. Read beside the screen, since it may
//! be large and takes its time.

use std::sync::Arc;

use super::{
    page::Page,
    text::{counted, grouped},
    theme::Role,
};
use crate::{
    message::{Body, Content, Parts, ReceiverId, Text, html_as_text},
    store::Detail,
};

/// HTML beyond this is not laid out: its source can be read. Bytes.
const MOST_HTML: usize = 1024 * 1024;

/// Tables are laid out in so many columns at least, and lines of text in so many at most.
const WIDTHS: std::ops::RangeInclusive<usize> = 20..=100;

/// A part of a content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Part {
    /// The plain text.
    #[default]
    Text,
    /// The HTML as a reader would see it.
    Html,
    /// The headers of a whole message.
    Headers,
    /// The HTML, or the whole message, letter by letter.
    Source,
    /// What a whole message is made of, and what is attached to it, by name.
    Attachments,
}

/// What of a content goes into a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A part, letter by letter.
    Part(Part),
    /// The attachment with this number, counted from 1.
    Attachment(usize),
}

impl Part {
    /// Its name on the screen.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "Text",
            Self::Html => "HTML",
            Self::Headers => "Headers",
            Self::Source => "Source",
            Self::Attachments => "Attachments",
        }
    }
}

/// A content as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// The part that is shown: the one asked for, if there is one.
    pub part: Part,
    /// The parts there are.
    pub parts: Vec<Part>,
    /// The text.
    pub page: Arc<Page>,
    /// Names for files of what is attached, in order.
    pub attachments: Arc<[String]>,
}

impl Reading {
    /// Which of the parts it is, as `2/5`; `None` where there is but one.
    pub fn place(&self) -> Option<String> {
        let many = self.parts.len();
        let at = self.parts.iter().position(|part| *part == self.part)?;
        (many > 1).then(|| format!("{}/{many}", at + 1))
    }

    /// The part so many after a part; the last is followed by the first.
    pub fn step(&self, by: usize) -> Part {
        let at = self.parts.iter().position(|part| *part == self.part);
        let next = (at.unwrap_or(0) + by) % self.parts.len().max(1);
        self.parts.get(next).copied().unwrap_or_default()
    }
}

/// Reads a part for a pane of so many columns.
pub fn read(detail: &Detail, content: &Content, part: Part, width: usize) -> Reading {
    let source = Source::of(content);
    let parts = source.parts();
    let part = if parts.contains(&part) {
        part
    } else {
        Part::Text
    };
    let mut page = Page::default();
    if parts.len() > 1 {
        let mut bar: Vec<(Role, &str)> = Vec::new();
        for known in &parts {
            if !bar.is_empty() {
                bar.push((Role::Label, " │ "));
            }
            let role = if *known == part {
                Role::Chosen
            } else {
                Role::Plain
            };
            bar.push((role, known.name()));
        }
        page.pieces(&bar);
        page.blank();
        page.begin();
    }
    if matches!(part, Part::Text | Part::Html) {
        page.pair("Subject", &content.subject);
        let from = detail.from.as_ref().map(Text::raw);
        if let Some(from) = from {
            page.pair("From", from);
        }
        page.pair("To", detail.row.identity.raw());
        page.blank();
    }
    source.tell(part, width, &mut page);
    Reading {
        part,
        parts,
        page: Arc::new(page),
        attachments: source.attachments(detail.row.id),
    }
}

/// A piece as it came, for a file; `None`: nothing but what is shown.
pub fn raw(content: &Content, piece: Piece) -> Option<Vec<u8>> {
    match (&content.body, piece) {
        (Body::Parts { text, .. } | Body::Template { text, .. }, Piece::Part(Part::Text)) => {
            Some(text.clone().into_bytes())
        }
        (Body::Parts { html, .. } | Body::Template { html, .. }, Piece::Part(Part::Source)) => {
            html.clone().map(String::into_bytes)
        }
        (Body::Raw(bytes), Piece::Part(Part::Text)) => {
            Some(Parts::of(bytes).text()?.string().into_bytes())
        }
        (Body::Raw(bytes), Piece::Part(Part::Source)) => Some(bytes.clone()),
        (Body::Raw(bytes), Piece::Part(Part::Headers)) => Some(Parts::of(bytes).head().to_vec()),
        (Body::Raw(bytes), Piece::Attachment(number)) => {
            let parts = Parts::of(bytes);
            Some(parts.attachment(number)?.decoded().0.into_owned())
        }
        _ => None,
    }
}

/// Where the parts come from.
enum Source<'a> {
    Parts {
        text: &'a str,
        html: Option<&'a str>,
    },
    Whole(Parts<'a>, &'a [u8]),
    /// A whole message that cannot be read as one.
    Bytes(&'a [u8]),
}

impl<'a> Source<'a> {
    fn of(content: &'a Content) -> Self {
        match &content.body {
            Body::Parts { text, html } | Body::Template { text, html, .. } => Self::Parts {
                text,
                html: html.as_deref(),
            },
            Body::Raw(bytes) => match Parts::of(bytes) {
                parts if parts.head().is_empty() => Self::Bytes(bytes),
                parts => Self::Whole(parts, bytes),
            },
        }
    }

    fn parts(&self) -> Vec<Part> {
        match self {
            Self::Parts { html: None, .. } | Self::Bytes(_) => vec![Part::Text],
            Self::Parts { .. } => vec![Part::Text, Part::Html, Part::Source],
            Self::Whole(message, _) => {
                let mut parts = vec![Part::Text];
                if message.html().is_some() {
                    parts.push(Part::Html);
                }
                parts.extend([Part::Headers, Part::Source]);
                if message.attachments().next().is_some() {
                    parts.push(Part::Attachments);
                }
                parts
            }
        }
    }

    fn attachments(&self, receiver: ReceiverId) -> Arc<[String]> {
        match self {
            Self::Whole(message, _) => message
                .attachments()
                .map(|part| part.file_name(receiver))
                .collect(),
            Self::Parts { .. } | Self::Bytes(_) => Arc::default(),
        }
    }

    fn tell(&self, part: Part, width: usize, page: &mut Page) {
        match (self, part) {
            (Self::Parts { text: "", .. }, Part::Text) => {
                page.say(Role::Label, "Nothing but the subject.");
            }
            (Self::Parts { text, .. }, Part::Text) => page.text(Role::Plain, text),
            (Self::Parts { html, .. }, Part::Html) => {
                laid_out(html.unwrap_or_default(), width, page);
            }
            (Self::Parts { html, .. }, _) => page.text(Role::Plain, html.unwrap_or_default()),
            (Self::Whole(message, _), Part::Text | Part::Html) => {
                match (part, message.text(), message.html()) {
                    (Part::Text, Some(text), _) => page.text(Role::Plain, &text.string()),
                    (_, _, Some(html)) => laid_out(&html.string(), width, page),
                    (..) => page.say(Role::Label, "There is no text in this message."),
                }
            }
            (Self::Whole(message, _), Part::Headers) => {
                page.text(Role::Plain, &String::from_utf8_lossy(message.head()));
            }
            (Self::Whole(message, _), Part::Attachments) => listed(message, page),
            (Self::Whole(_, bytes), Part::Source) => {
                page.text(Role::Plain, &String::from_utf8_lossy(bytes));
            }
            (Self::Bytes(bytes), _) => {
                page.say(
                    Role::Label,
                    &format!(
                        "{} that are no message:",
                        counted(bytes.len() as u64, "byte")
                    ),
                );
                page.text(Role::Plain, &String::from_utf8_lossy(bytes));
            }
        }
    }
}

fn laid_out(html: &str, width: usize, page: &mut Page) {
    if html.len() > MOST_HTML {
        let size = grouped(html.len() as u64);
        let words =
            format!("{size} bytes of HTML are too many to lay out: the source can be read.");
        return page.say(Role::Warning, &words);
    }
    match html_as_text(html, width.clamp(*WIDTHS.start(), *WIDTHS.end())) {
        Ok(text) => page.text(Role::Plain, &text),
        Err(why) => page.say(Role::Warning, &format!("This HTML {why}.")),
    }
}

/// Every part on a line of its own, what is attached with its number.
fn listed(message: &Parts<'_>, page: &mut Page) {
    for part in message.all() {
        let number = part.number().map(|number| format!("{number}."));
        let role = if number.is_some() {
            Role::Plain
        } else {
            Role::Label
        };
        let (number, indent) = (number.unwrap_or_default(), part.indent());
        let line = format!("{number:>4} {:indent$}{}", "", part.told());
        page.hanging(role, &line, 5 + indent);
    }
    if message.is_cut() {
        page.say(
            Role::Warning,
            "There are more: the last has the rest in it.",
        );
    }
}
