//! Messages as they are handed over: lines of JSON, one at a time.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read as _},
    path::Path,
};

use anyhow::Context as _;

use crate::message::SubmissionError;

/// What is read at once: as many lines as lie in it share a commit.
const BUFFER: usize = 1 << 20;
/// A longer line is refused rather than held in memory.
const LONGEST: usize = 64 << 20;

/// A line that was given, counted from 1.
pub(super) struct Given {
    pub(super) number: usize,
    pub(super) text: Result<String, SubmissionError>,
}

/// The lines of a file.
pub(super) struct Lines {
    /// What it is, for whoever has to be told that it cannot be read.
    shown: String,
    input: BufReader<Box<dyn io::Read>>,
    number: usize,
}

impl Lines {
    /// The lines of a file; `-` is standard input.
    pub(super) fn open(file: &Path) -> anyhow::Result<Self> {
        let (shown, input): (_, Box<dyn io::Read>) = if file.as_os_str() == "-" {
            ("standard input".to_owned(), Box::new(io::stdin()))
        } else {
            let shown = file.display().to_string();
            let opened = File::open(file).with_context(|| format!("cannot read {shown}"))?;
            (shown, Box::new(opened))
        };
        Ok(Self {
            shown,
            input: BufReader::with_capacity(BUFFER, input),
            number: 0,
        })
    }

    /// The next line that is not blank.
    pub(super) fn next(&mut self) -> anyhow::Result<Option<Given>> {
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            let limit = LONGEST as u64 + 1;
            if self
                .input
                .by_ref()
                .take(limit)
                .read_until(b'\n', &mut bytes)
                .with_context(|| format!("cannot read {}", self.shown))?
                == 0
            {
                return Ok(None);
            }
            self.number += 1;
            if self.number == 1 && bytes.starts_with(b"\xef\xbb\xbf") {
                bytes.drain(..3);
            }
            if bytes.len() > LONGEST {
                self.input
                    .skip_until(b'\n')
                    .with_context(|| format!("cannot read {}", self.shown))?;
                return Ok(Some(self.refused("the line is longer than 64 MiB")));
            }
            if !bytes.trim_ascii().is_empty() {
                break;
            }
        }
        Ok(Some(match String::from_utf8(bytes) {
            Ok(text) => Given {
                number: self.number,
                text: Ok(text),
            },
            Err(error) => {
                let at = error.utf8_error().valid_up_to() + 1;
                self.refused(&format!(
                    "the line is not UTF-8 (byte {at}); raw_base64 carries other bytes"
                ))
            }
        }))
    }

    fn refused(&self, why: &str) -> Given {
        let error = SubmissionError {
            key: None,
            field: None,
            message: why.to_owned(),
        };
        Given {
            number: self.number,
            text: Err(error),
        }
    }

    /// Whether a whole line lies there already.
    pub(super) fn has_next_at_hand(&self) -> bool {
        self.input.buffer().contains(&b'\n')
    }
}
