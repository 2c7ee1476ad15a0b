//! A dump as it stands in a file → its rows, one at a time: one JSON array, or one object a line.

use std::io::{BufRead, ErrorKind, Read as _};

use memchr::{memchr2, memchr3};
use serde::Deserialize;

use super::DumpError;

/// A longer row is refused rather than held in memory.
const LONGEST: usize = 64 << 20;

/// One row, not yet parsed.
pub(super) struct Row<'a> {
    /// From 1.
    pub(super) number: u64,
    pub(super) bytes: &'a [u8],
    /// Only its beginning was kept.
    pub(super) too_long: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Unknown,
    Array,
    Ended,
    Lines,
}

/// The rows of a dump.
pub(super) struct Rows<R> {
    input: R,
    shape: Shape,
    number: u64,
    bytes: Vec<u8>,
}

impl<R: BufRead> Rows<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            shape: Shape::Unknown,
            number: 0,
            bytes: Vec::new(),
        }
    }

    /// The next row.
    pub(super) fn next(&mut self) -> Result<Option<Row<'_>>, DumpError> {
        let Some(first) = self.first_byte()? else {
            return match self.shape {
                Shape::Array => Err(DumpError::Cut(self.number)),
                Shape::Unknown => Err(DumpError::Foreign),
                Shape::Ended | Shape::Lines => Ok(None),
            };
        };
        if self.shape == Shape::Unknown && first == b'{' {
            self.shape = Shape::Lines;
        }
        self.bytes.clear();
        let too_long = match (self.shape, first) {
            (Shape::Lines, _) => self.line()?,
            (Shape::Array, b'{') => self.object()?,
            (Shape::Unknown, _) => return Err(DumpError::Foreign),
            _ => return Err(DumpError::Odd(self.number)),
        };
        self.number += 1;
        Ok(Some(Row {
            number: self.number,
            bytes: &self.bytes,
            too_long,
        }))
    }

    /// The first byte of what comes next, left where it is. Brackets and commas between rows are passed.
    fn first_byte(&mut self) -> Result<Option<u8>, DumpError> {
        loop {
            let buffer = fill(&mut self.input)?;
            let Some(&byte) = buffer.first() else {
                return Ok(None);
            };
            let pass = match (byte, self.shape) {
                (b' ' | b'\t' | b'\r' | b'\n', _) | (b',', Shape::Array) => 1,
                (0xef, Shape::Unknown) if buffer.starts_with(b"\xef\xbb\xbf") => 3,
                (b'[', Shape::Unknown) => {
                    self.shape = Shape::Array;
                    1
                }
                (b']', Shape::Array) => {
                    self.shape = Shape::Ended;
                    1
                }
                _ => return Ok(Some(byte)),
            };
            self.input.consume(pass);
        }
    }

    /// Reads a line; returns whether it was too long.
    fn line(&mut self) -> Result<bool, DumpError> {
        let mut limited = self.input.by_ref().take(LONGEST as u64);
        limited.read_until(b'\n', &mut self.bytes)?;
        let whole = self.bytes.len() < LONGEST || self.bytes.ends_with(b"\n");
        if !whole {
            self.input.skip_until(b'\n')?;
        }
        Ok(!whole)
    }

    /// Reads from a brace to the one that closes it; returns whether that was too long. What lies in strings is passed over at the speed of memory.
    fn object(&mut self) -> Result<bool, DumpError> {
        let (mut depth, mut in_string, mut escaped, mut too_long) = (0_usize, false, false, false);
        loop {
            let buffer = fill(&mut self.input)?;
            if buffer.is_empty() {
                return Err(DumpError::Cut(self.number));
            }
            let mut at = 0;
            let mut closed = false;
            while at < buffer.len() && !closed {
                if escaped {
                    escaped = false;
                    at += 1;
                    continue;
                }
                let found = if in_string {
                    memchr2(b'"', b'\\', &buffer[at..])
                } else {
                    memchr3(b'"', b'{', b'}', &buffer[at..])
                };
                let Some(found) = found else {
                    at = buffer.len();
                    break;
                };
                at += found;
                match buffer[at] {
                    b'"' => in_string = !in_string,
                    b'\\' => escaped = true,
                    b'{' => depth += 1,
                    _ => {
                        depth -= 1;
                        closed = depth == 0;
                    }
                }
                at += 1;
            }
            too_long |= self.bytes.len() + at > LONGEST;
            if !too_long {
                self.bytes.extend_from_slice(&buffer[..at]);
            }
            self.input.consume(at);
            if closed {
                return Ok(too_long);
            }
        }
    }
}

/// What lies in the buffer; empty at the end.
fn fill(input: &mut impl BufRead) -> Result<&[u8], DumpError> {
    loop {
        match input.fill_buf() {
            // Asked once more: the borrow checker does not see that nothing is kept (rust-lang/rust#54663).
            Ok(_) => return Ok(input.fill_buf()?),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // What was cut off says so in many ways, depending on what packed it.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(&[]),
            Err(error) => return Err(error.into()),
        }
    }
}

/// The model of a row, read without building it; `None` when it cannot be read.
pub(super) fn model(bytes: &[u8]) -> Option<&str> {
    #[derive(Deserialize)]
    struct Head<'a> {
        model: &'a str,
    }
    // Django writes it first.
    if let Some(rest) = bytes.strip_prefix(b"{\"model\": \"")
        && let Some(end) = memchr2(b'"', b'\\', rest)
        && rest[end] == b'"'
    {
        return std::str::from_utf8(&rest[..end]).ok();
    }
    let head: Head<'_> = serde_json::from_slice(bytes).ok()?;
    Some(head.model)
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn read(text: &str, buffer: usize) -> Result<Vec<Value>, DumpError> {
        let mut rows = Rows::new(BufReader::with_capacity(buffer, text.as_bytes()));
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            all.push(serde_json::from_slice(row.bytes).unwrap());
        }
        Ok(all)
    }

    proptest! {
        #[test]
        fn an_array_in_any_layout_and_lines_are_the_same_rows(texts in proptest::collection::vec(".*", 1..5), buffer in 1_usize..40) {
            let rows: Vec<Value> = texts.iter().map(|text| json!({"model": "m", "fields": {text: [text, {"\\\"": "}{"}]}})).collect();
            let lines: Vec<_> = rows.iter().map(ToString::to_string).collect();
            let lines = lines.join("\n");
            prop_assert_eq!(&read(&lines, buffer).unwrap(), &rows);
            prop_assert_eq!(&read(&serde_json::to_string(&rows).unwrap(), buffer).unwrap(), &rows);
            prop_assert_eq!(&read(&serde_json::to_string_pretty(&rows).unwrap(), buffer).unwrap(), &rows);
        }
    }

    #[test]
    fn what_is_no_dump_or_only_a_part_of_one_is_told_apart() {
        for (text, wanted) in [
            ("", "begins with neither"),
            ("hello", "begins with neither"),
            ("[{\"a\": 1}, ", "behind row 1"),
            ("[{\"a\": 1}, {\"b\": \"", "behind row 1"),
            ("[{\"a\": 1}, 7]", "behind row 1"),
            ("[] []", "behind row 0"),
        ] {
            let error = read(text, 8).unwrap_err().to_string();
            assert!(error.contains(wanted), "{text}: {error}");
        }
        assert!(read("\u{feff}[ ]\n", 8).unwrap().is_empty());
    }

    #[test]
    fn the_model_is_found_wherever_it_stands() {
        for row in [
            r#"{"model": "a.b", "pk": 1}"#,
            r#"{"pk": 1, "model": "a.b"}"#,
            r#"{"fields": {"model": "x"}, "model":"a.b"}"#,
        ] {
            assert_eq!(model(row.as_bytes()), Some("a.b"), "{row}");
        }
        assert_eq!(model(b"{\"pk\": 1}"), None);
    }
}
