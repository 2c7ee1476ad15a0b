//! What goes to stdout: JSON lines that no terminal acts on, and a few words that every command uses.

use std::io::{self, Write};

use chrono::{Local, SecondsFormat};
use clap::ValueEnum;
use serde::Serialize;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter};

use crate::message::{DisplayText, Timestamp, is_dangerous};

/// Writes a line for people to stdout, made harmless. `println!` would panic where nobody listens or the disk is full.
pub(super) fn say(line: &str) -> io::Result<()> {
    heard(writeln!(
        io::stdout().lock(),
        "{}",
        DisplayText::lines(line)
    ))
}

/// Of what was to be said that nobody listens any more is no failure: what was done is done, and the exit code says how it went.
pub(super) fn heard(said: io::Result<()>) -> io::Result<()> {
    said.or_else(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Ok(()),
        _ => Err(error),
    })
}

/// Writes a line to stderr, made harmless. When nobody listens there is nobody to tell.
pub(super) fn tell(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", DisplayText::lines(line));
}

/// How to write what is one thing; lists have more forms.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For reading, in local time
    Text,
    /// One object on one line
    Json,
}

/// Writes one object on one line. Every control, bidi, line-separator and invisible character is escaped as `\uXXXX`.
pub(super) fn json_line<T: Serialize>(mut out: impl Write, value: &T) -> anyhow::Result<()> {
    let line = json(value)?;
    out.write_all(&line)?;
    out.write_all(b"\n")?;
    Ok(())
}

fn json<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<Vec<u8>> {
    let mut line = Vec::with_capacity(512);
    let mut serializer =
        serde_json::Serializer::with_formatter(&mut line, Harmless(CompactFormatter));
    value.serialize(&mut serializer)?;
    Ok(line)
}

struct Harmless(CompactFormatter);

impl Formatter for Harmless {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        text: &str,
    ) -> io::Result<()> {
        let mut plain_from = 0;
        for (at, c) in text.char_indices().filter(|(_, c)| is_dangerous(*c)) {
            out.write_all(&text.as_bytes()[plain_from..at])?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
            plain_from = at + c.len_utf8();
        }
        out.write_all(&text.as_bytes()[plain_from..])
    }

    fn write_char_escape<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        let byte = match escape {
            CharEscape::Backspace => 8,
            CharEscape::Tab => b'\t',
            CharEscape::LineFeed => b'\n',
            CharEscape::FormFeed => 12,
            CharEscape::CarriageReturn => b'\r',
            CharEscape::AsciiControl(byte) => byte,
            printable => return self.0.write_char_escape(out, printable),
        };
        write!(out, "\\u{byte:04x}")
    }
}

/// A time for a machine: RFC 3339 in UTC, to the millisecond.
pub(super) fn utc(at: Timestamp) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// A time for a person: local, to the minute.
pub(super) fn local(at: Timestamp) -> String {
    at.with_timezone(&Local)
        .format("%Y-%m-%d %H:%M")
        .to_string()
}

/// A time for a person who wants to know exactly.
pub(super) fn local_exact(at: Timestamp) -> String {
    at.with_timezone(&Local)
        .format("%Y-%m-%d %H:%M:%S%.3f")
        .to_string()
}

/// `1 receiver`, `2 receivers`.
pub(super) fn receivers(n: u64) -> String {
    match n {
        1 => "1 receiver".to_owned(),
        n => format!("{n} receivers"),
    }
}

/// `1 receiver waits`, `2 receivers wait`.
pub(super) fn wait(n: u64) -> String {
    let verb = if n == 1 { "waits" } else { "wait" };
    format!("{} {verb}", receivers(n))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_json_line_is_one_harmless_line_that_reads_as_the_same_value(text in any::<String>()) {
            let line = String::from_utf8(json(&text).unwrap()).unwrap();
            prop_assert!(!line.chars().any(is_dangerous));
            prop_assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
        }
    }

    #[test]
    fn escapes_are_written_as_four_hex_digits() {
        let line =
            String::from_utf8(json("\u{1b}\n\u{7f}\u{9b}\u{202e}\u{2028}\u{e0041}\"é").unwrap())
                .unwrap();
        assert_eq!(
            line,
            r#""\u001b\u000a\u007f\u009b\u202e\u2028\udb40\udc41\"é""#
        );
    }
}
