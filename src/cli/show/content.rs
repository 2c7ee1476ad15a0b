//! What a message says, for reading.

use std::io::{self, Write};

use super::block;
use crate::message::{Body, Content, DisplayText, Parts, html_as_text};

/// Columns of text that only HTML says; mail is usually as wide.
const WIDTH: usize = 76;

pub(super) fn content(out: &mut dyn Write, content: &Content) -> io::Result<()> {
    match &content.body {
        Body::Parts { text, .. } => {
            writeln!(out, "\nContent")?;
            block(out, &DisplayText::lines(text))
        }
        Body::Template { text, html, .. } => {
            writeln!(out, "\nTemplate, which could not be rendered")?;
            let html = html.as_deref().unwrap_or_default();
            block(
                out,
                &DisplayText::lines(if text.is_empty() { html } else { text }),
            )
        }
        Body::Raw(bytes) => raw(out, bytes),
    }
}

/// A whole message: its headers as they are, its text as a reader would see it, and what else is in it.
fn raw(out: &mut dyn Write, bytes: &[u8]) -> io::Result<()> {
    let as_it_is = |bytes| DisplayText::lines(&String::from_utf8_lossy(bytes));
    let parts = Parts::of(bytes);
    if parts.head().is_empty() {
        writeln!(out, "\nContent, a raw message as it was handed over")?;
        return block(out, &as_it_is(bytes));
    }
    writeln!(
        out,
        "\nContent, a raw message: its headers, and its text decoded"
    )?;
    block(out, &as_it_is(parts.head()))?;
    writeln!(out)?;
    block(out, &DisplayText::lines(&text(&parts)))?;
    let attached = parts.attachments().count() > 0;
    if parts.all().len() == 1 && !attached {
        return Ok(());
    }
    let how = if attached {
        "; `--attachment N` saves the one with this number"
    } else {
        ""
    };
    writeln!(out, "\nParts{how}")?;
    for part in parts.all() {
        let number = part.number().map(|number| format!("{number}."));
        let (number, indent) = (number.unwrap_or_default(), part.indent());
        let told = DisplayText::line(&part.told());
        writeln!(out, "{number:>6} {:indent$}{told}", "")?;
    }
    if parts.is_cut() {
        writeln!(out, "       there are more: the last has the rest in it")?;
    }
    Ok(())
}

/// The text that a reader would see, or why there is none.
fn text(parts: &Parts<'_>) -> String {
    match (parts.text(), parts.html()) {
        (Some(text), _) => text.string(),
        (None, Some(html)) => html_as_text(&html.string(), WIDTH)
            .unwrap_or_else(|why| format!("(there is only HTML, which {why})")),
        (None, None) => "(there is no text in it)".to_owned(),
    }
}
