use std::{
    io::{self, BufWriter, Write},
    path::PathBuf,
};

use anyhow::Context as _;
use chrono::Utc;
use serde_json::{Value, json};

use super::{
    Exit,
    context::Globals,
    lines::{Given, Lines},
    output::json_line,
    ways::submit_defaults,
};
use crate::{
    message::{Submission, SubmissionError},
    store::{Receipt, Store},
};

/// No more lines than these share a commit.
const LINES: usize = 1000;
/// Hand messages over: JSON Lines in, one receipt a line out, in the same order
#[derive(clap::Args)]
#[command(
    after_help = "A line:\n  {\"key\":\"order-1842\",\"type\":\"receipt\",\"from\":\"Shop <shop@example.com>\",\n   \"content\":{\"en\":{\"subject\":\"Your order\",\"text\":\"…\"}},\"receivers\":[{\"to\":\"april@example.com\",\"user\":\"april\"}]}\n\nA key makes a repeat harmless. Exit code 1 when a line was refused; the good ones are taken all the same.\n\nExamples:\n  postroom submit messages.jsonl\n  my-application | postroom submit --strict -"
)]
pub(super) struct Args {
    /// The file to read; `-` is standard input
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
    /// Take all lines or none
    #[arg(long)]
    strict: bool,
}

pub(super) fn run(globals: &Globals, args: &Args) -> Exit {
    let config = globals.config()?;
    let store = globals.open(&config)?;
    let mut lines = Lines::open(&args.file)?;
    let defaults = submit_defaults(&config);
    let parse = |line: Given| Line {
        number: line.number,
        parsed: line
            .text
            .and_then(|text| Submission::parse(text.trim(), &defaults)),
    };
    let mut desk = Desk {
        store: &store,
        out: BufWriter::new(io::stdout().lock()),
        refused: false,
    };
    if args.strict {
        let mut all = Vec::new();
        while let Some(line) = lines.next()? {
            all.push(parse(line));
        }
        desk.all_or_none(all)?;
    } else {
        let mut batch = Vec::new();
        while let Some(line) = lines.next()? {
            batch.push(parse(line));
            // Who writes a line and waits for its receipt gets it at once; who writes many gets one commit for many.
            if batch.len() >= LINES || !lines.has_next_at_hand() {
                desk.each(std::mem::take(&mut batch))?;
            }
        }
        desk.each(batch)?;
    }
    Ok(u8::from(desk.refused))
}

/// A line that was read.
struct Line {
    number: usize,
    parsed: Result<Submission, SubmissionError>,
}

struct Desk<'a, W: Write> {
    store: &'a Store,
    out: W,
    refused: bool,
}

impl<W: Write> Desk<'_, W> {
    /// Stores the good ones and says what became of every one, up to the first that the store refused to take.
    fn each(&mut self, lines: Vec<Line>) -> anyhow::Result<()> {
        let (slips, good) = apart(lines);
        let mut receipts = Vec::with_capacity(good.len());
        let stored = self.store.submit_into(&good, Utc::now(), &mut receipts);
        let mut receipts = receipts.iter();
        let mut first_left = None;
        for (line, refused) in &slips {
            if let Some(error) = refused {
                self.error(*line, error)?;
            } else if let Some(receipt) = receipts.next() {
                self.receipt(*line, receipt)?;
            } else {
                first_left = Some(*line);
                break;
            }
        }
        self.out.flush()?;
        match first_left {
            None => Ok(stored?),
            Some(line) => stored.with_context(|| {
                format!("line {line} and those after it were not taken: hand them over again")
            }),
        }
    }

    /// Stores all when all are good, else none.
    fn all_or_none(&mut self, lines: Vec<Line>) -> anyhow::Result<()> {
        let (slips, good) = apart(lines);
        let sound = good.len() == slips.len();
        let receipts = if sound {
            self.store.submit_all_or_none(&good, Utc::now())?
        } else {
            Vec::new()
        };
        let stored = sound
            && !receipts
                .iter()
                .any(|receipt| matches!(receipt, Receipt::Conflict { .. }));
        let mut good = good.into_iter().enumerate();
        for (line, refused) in slips {
            if let Some(error) = refused {
                self.error(line, &error)?;
                continue;
            }
            let Some((index, submission)) = good.next() else {
                continue;
            };
            match receipts.get(index) {
                Some(receipt) if stored || matches!(receipt, Receipt::Conflict { .. }) => {
                    self.receipt(line, receipt)?;
                }
                _ => self.error(line, &not_stored(submission.key))?,
            }
        }
        Ok(self.out.flush()?)
    }

    fn receipt(&mut self, line: usize, receipt: &Receipt) -> anyhow::Result<()> {
        let receipt = match receipt {
            Receipt::Stored {
                key,
                message,
                receivers,
            } => {
                json!({"key": key, "result": "stored", "message_id": message.0, "receivers": receivers})
            }
            Receipt::Already { key, message } => {
                json!({"key": key, "result": "already", "message_id": message.0})
            }
            Receipt::Conflict { key, message } => {
                let error = SubmissionError {
                    key: Some(key.clone()),
                    field: Some("key".to_owned()),
                    message: format!(
                        "message {message} has this key and says something else: nothing was changed"
                    ),
                };
                return self.error(line, &error);
            }
        };
        json_line(&mut self.out, &receipt)
    }

    fn error(&mut self, line: usize, error: &SubmissionError) -> anyhow::Result<()> {
        self.refused = true;
        json_line(&mut self.out, &refusal(line, error))
    }
}

/// The receipt of a line that was refused.
pub(super) fn refusal(line: usize, error: &SubmissionError) -> Value {
    let SubmissionError {
        key,
        field,
        message,
    } = error;
    json!({"line": line, "key": key, "result": "error", "field": field, "error": message})
}

fn not_stored(key: Option<String>) -> SubmissionError {
    SubmissionError {
        key,
        field: None,
        message: "not stored: another line was refused, and --strict takes all or none".to_owned(),
    }
}

/// The number of each line with its refusal, if it was refused, and those that were not.
fn apart(lines: Vec<Line>) -> (Vec<(usize, Option<SubmissionError>)>, Vec<Submission>) {
    let mut good = Vec::with_capacity(lines.len());
    let slips = lines
        .into_iter()
        .map(|line| {
            let refused = match line.parsed {
                Ok(submission) => {
                    good.push(submission);
                    None
                }
                Err(error) => Some(error),
            };
            (line.number, refused)
        })
        .collect();
    (slips, good)
}
