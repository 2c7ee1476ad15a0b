//! What a message says, part by part: as text, as its HTML looks, its headers, its source, its attachments. Read beside the screen, since it may
//! be large and takes its time.

use std::sync::Arc;

use mail_parser::{Message, MessageParser, MessagePart, MimeHeaders as _};

use super::{
    page::Page,
    text::{counted, grouped},
    theme::Role,
};
use crate::{
    message::{Body, Content, Text, html_as_text},
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
    /// What is attached to a whole message, by name.
    Attachments,
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
}

impl Reading {
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
    }
}

/// A part letter by letter, for a file; `None`: nothing but what is shown.
pub fn raw(content: &Content, part: Part) -> Option<Vec<u8>> {
    match (&content.body, part) {
        (Body::Parts { text, .. } | Body::Template { text, .. }, Part::Text) => {
            Some(text.clone().into_bytes())
        }
        (Body::Parts { html, .. } | Body::Template { html, .. }, Part::Source) => {
            html.clone().map(String::into_bytes)
        }
        (Body::Raw(bytes), Part::Source) => Some(bytes.clone()),
        (Body::Raw(bytes), Part::Headers) => {
            let message = MessageParser::default().parse_headers(bytes.as_slice())?;
            Some(head(&message, bytes).to_vec())
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
    Whole(Box<Message<'a>>, &'a [u8]),
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
            Body::Raw(bytes) => match MessageParser::default().parse(bytes.as_slice()) {
                Some(message) => Self::Whole(Box::new(message), bytes),
                None => Self::Bytes(bytes),
            },
        }
    }

    fn parts(&self) -> Vec<Part> {
        match self {
            Self::Parts { html: None, .. } | Self::Bytes(_) => vec![Part::Text],
            Self::Parts { .. } => vec![Part::Text, Part::Html, Part::Source],
            Self::Whole(message, _) => {
                let mut parts = vec![Part::Text];
                if html_of(message).is_some() {
                    parts.push(Part::Html);
                }
                parts.extend([Part::Headers, Part::Source]);
                if message.attachment_count() > 0 {
                    parts.push(Part::Attachments);
                }
                parts
            }
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
            (Self::Whole(message, _), Part::Text) => match message.body_text(0) {
                Some(text) => page.text(Role::Plain, &text),
                None => page.say(Role::Label, "There is no text in this message."),
            },
            (Self::Whole(message, _), Part::Html) => {
                laid_out(html_of(message).unwrap_or_default(), width, page);
            }
            (Self::Whole(message, bytes), Part::Headers) => {
                page.text(Role::Plain, &String::from_utf8_lossy(head(message, bytes)));
            }
            (Self::Whole(message, _), Part::Attachments) => {
                for (number, part) in (1..).zip(message.attachments()) {
                    page.hanging(Role::Plain, &format!("{number:>3}. {}", described(part)), 5);
                }
            }
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

/// The HTML that a reader would see, if there is some.
fn html_of<'a>(message: &'a Message<'_>) -> Option<&'a str> {
    let part = message.html_bodies().find(|part| part.is_text_html())?;
    part.text_contents()
}

/// The headers, without the empty line below them.
fn head<'a>(message: &Message<'_>, bytes: &'a [u8]) -> &'a [u8] {
    let end = usize::try_from(message.root_part().raw_body_offset()).unwrap_or(0);
    bytes.get(..end).unwrap_or(bytes).trim_ascii_end()
}

/// Name, type and size of an attachment.
fn described(part: &MessagePart<'_>) -> String {
    let kind = part.content_type().map_or_else(
        || "no type".to_owned(),
        |kind| match kind.subtype() {
            Some(subtype) => format!("{}/{subtype}", kind.ctype()),
            None => kind.ctype().to_owned(),
        },
    );
    let inner = part.message().and_then(|message| message.subject());
    let name = part.attachment_name().or(inner).unwrap_or("without a name");
    format!("{name}  {kind}, {}", counted(part.len() as u64, "byte"))
}
