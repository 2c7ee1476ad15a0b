use std::{
    io::{self, BufWriter, Write},
    path::PathBuf,
};

use serde_json::json;

use super::{
    Exit,
    context::Globals,
    lines::Lines,
    output::{Format, json_line},
    submit::refusal,
    ways::submit_defaults,
};
use crate::message::{Body, DisplayText, Failure, Preview, Submission, SubmissionError};

/// Show what messages would say in each language, and store nothing
#[derive(clap::Args)]
#[command(
    after_help = "Templates are rendered for the first receiver who reads the language, and tried for all others. Exit code 1 when a line would be refused, or a template cannot be rendered for somebody.\n\nExamples:\n  postroom preview messages.jsonl\n  my-application | postroom preview --format json -"
)]
pub(super) struct Args {
    /// The file to read, as `submit` does; `-` is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// How to write it
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

pub(super) fn run(globals: &Globals, args: &Args) -> Exit {
    let defaults = submit_defaults(&globals.config()?);
    let mut lines = Lines::open(&args.file)?;
    let mut desk = Desk {
        out: BufWriter::new(io::stdout().lock()),
        format: args.format,
        faults: false,
        first: true,
    };
    while let Some(line) = lines.next()? {
        let said = line
            .text
            .and_then(|text| Submission::preview(text.trim(), &defaults));
        match said {
            Err(error) => desk.refused(line.number, &error)?,
            Ok(said) => {
                let key = said.key.as_deref();
                for language in &said.languages {
                    desk.language(line.number, key, language)?;
                }
                for (to, failure) in &said.failures {
                    desk.failed(line.number, key, to, failure)?;
                }
            }
        }
        desk.out.flush()?;
    }
    Ok(u8::from(desk.faults))
}

struct Desk<W: Write> {
    out: W,
    format: Format,
    faults: bool,
    first: bool,
}

impl<W: Write> Desk<W> {
    fn language(&mut self, line: usize, key: Option<&str>, said: &Preview) -> anyhow::Result<()> {
        self.faults |= said.failure.is_some();
        let (text, html) = match &said.content.body {
            Body::Parts { text, html } | Body::Template { text, html, .. } => {
                (text.clone(), html.as_deref())
            }
            Body::Raw(bytes) => (String::from_utf8_lossy(bytes).into_owned(), None),
        };
        let error = said.failure.as_ref();
        if self.format == Format::Json {
            let shown = json!({
                "line": line,
                "key": key,
                "language": said.language,
                "to": said.to,
                "subject": said.content.subject,
                "text": text,
                "html": html,
                "error": error.map(|failure| &failure.error),
                "traceback": error.map(|failure| &failure.traceback),
            });
            return json_line(&mut self.out, &shown);
        }
        self.head(line, key, Some(&said.language), said.to.as_deref())?;
        if let Some(failure) = error {
            return self.block(&failure.traceback);
        }
        let subject = DisplayText::line(&said.content.subject);
        writeln!(self.out, "Subject: {subject}")?;
        if !text.is_empty() {
            writeln!(self.out)?;
            self.block(&text)?;
        }
        if let Some(html) = html {
            writeln!(self.out, "\nHTML")?;
            self.block(html)?;
        }
        Ok(())
    }

    /// One more receiver for whom a template cannot be rendered.
    fn failed(
        &mut self,
        line: usize,
        key: Option<&str>,
        to: &str,
        failure: &Failure,
    ) -> anyhow::Result<()> {
        self.faults = true;
        if self.format == Format::Json {
            let shown = json!({
                "line": line, "key": key, "to": to, "error": failure.error, "traceback": failure.traceback,
            });
            return json_line(&mut self.out, &shown);
        }
        self.head(line, key, None, Some(to))?;
        self.block(&failure.error)
    }

    fn refused(&mut self, line: usize, error: &SubmissionError) -> anyhow::Result<()> {
        self.faults = true;
        if self.format == Format::Json {
            return json_line(&mut self.out, &refusal(line, error));
        }
        self.head(line, error.key.as_deref(), None, None)?;
        // Harmless already: it was made so when the line was refused.
        writeln!(self.out, "refused: {error}")?;
        Ok(())
    }

    /// `── line 3, key order-1842, nb, to april@example.com`
    fn head(
        &mut self,
        line: usize,
        key: Option<&str>,
        language: Option<&str>,
        to: Option<&str>,
    ) -> io::Result<()> {
        if !std::mem::take(&mut self.first) {
            writeln!(self.out)?;
        }
        let parts = [
            Some(format!("line {line}")),
            key.map(|key| format!("key {key}")),
            language.map(str::to_owned),
            to.map(|to| format!("to {to}")),
        ];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        writeln!(self.out, "── {}", DisplayText::line(&parts.join(", ")))
    }

    fn block(&mut self, text: &str) -> anyhow::Result<()> {
        writeln!(self.out, "{}", DisplayText::lines(text.trim_end()))?;
        Ok(())
    }
}
