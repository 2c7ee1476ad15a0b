//! What the lines of a traceback are: of Postroom's own error chains, of Python, of Java and its kin, of Rust. Pure.
//!
//! Every line is judged by itself and by the few before it, so that text which is cut off, or into which another program has written, loses
//! nothing but the colour of the lines concerned: [`parse`] returns every line it was given, in order.

mod chain;
mod java;
mod python;
mod rust;
#[cfg(test)]
mod tests;

use std::ops::Range;

/// What a line is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// None of the below.
    #[default]
    Plain,
    /// What went wrong.
    Error,
    /// What joins one error or stack to the next: `Caused by:`, `Traceback (most recent call last):`.
    Joint,
    /// A place in the code, or a line that belongs to one (its source, how often it was repeated).
    Frame,
    /// A circumstance of Postroom's own chains, or one of the causes.
    Fact,
}

/// A line of a traceback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// The line as it came.
    pub text: &'a str,
    /// What it is.
    pub kind: Kind,
    /// Of a frame: the code is not the application's own.
    pub foreign: bool,
    /// What should catch the eye: file and line of a frame, the label of a fact.
    pub span: Range<usize>,
    /// Of a frame: the one to look at first.
    pub failing: bool,
}

impl<'a> Line<'a> {
    fn of(text: &'a str, kind: Kind) -> Self {
        Self {
            text,
            kind,
            foreign: false,
            span: 0..0,
            failing: false,
        }
    }

    fn frame(text: &'a str, foreign: bool, span: Range<usize>) -> Self {
        Self {
            foreign,
            span,
            ..Self::of(text, Kind::Frame)
        }
    }
}

/// Folding a run of fewer lines would hide more than it saves.
const LEAST_FOLDED: usize = 2;

/// Every line of a text and what it is.
pub fn parse(text: &str) -> Vec<Line<'_>> {
    let mut reading = Reading::default();
    let mut rest = text.lines().peekable();
    while let Some(line) = rest.next() {
        let next = rest.peek().copied().unwrap_or_default();
        reading.take(line, next);
    }
    let mut lines = reading.lines;
    if let Some(failing) = reading.failing {
        lines[failing].failing = true;
    }
    lines
}

/// Runs of foreign frames that may be folded: line numbers. The failing line is never among them.
pub fn folds(lines: &[Line<'_>]) -> Vec<Range<usize>> {
    let mut folds = Vec::new();
    let mut begun = None;
    let nothing_more = Line::of("", Kind::Plain);
    for (at, line) in lines.iter().chain([&nothing_more]).enumerate() {
        let foreign = line.kind == Kind::Frame && line.foreign && !line.failing;
        match (foreign, begun) {
            (true, None) => begun = Some(at),
            (false, Some(from)) => {
                if at - from >= LEAST_FOLDED {
                    folds.push(from..at);
                }
                begun = None;
            }
            _ => {}
        }
    }
    folds
}

/// Which list a numbered line belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum List {
    #[default]
    None,
    /// What follows `Caused by:`.
    Causes,
    /// What follows `stack backtrace:`.
    Stack,
}

/// What is known from the lines so far.
#[derive(Default)]
struct Reading<'a> {
    lines: Vec<Line<'a>>,
    list: List,
    /// The line before was a frame of this language, or belonged to one.
    python: Option<python::Stack>,
    /// Lines that belong to the last Rust frame are foreign as it is.
    rust: Option<bool>,
    /// The message of a panic stands below the line that names its place.
    panicked: bool,
    /// The frame to look at first, as far as is known.
    failing: Option<usize>,
    /// The errors of Java seen so far: the first frame of the last one is the one to look at.
    java: java::Errors,
}

impl<'a> Reading<'a> {
    fn take(&mut self, text: &'a str, next: &str) {
        let line = self.read(text, next);
        self.lines.push(line);
    }

    fn read(&mut self, text: &'a str, next: &str) -> Line<'a> {
        if std::mem::take(&mut self.panicked) && !text.trim().is_empty() {
            return Line::of(text, Kind::Error);
        }
        let here = self.lines.len();
        if let Some(line) = python::read(&mut self.python, text) {
            // The innermost call comes last, and the last stack is of the error that was not handled.
            if line.kind == Kind::Frame && !line.foreign && !line.span.is_empty() {
                self.failing = Some(here);
            }
            return line;
        }
        if let Some(line) = rust::read(&mut self.rust, self.list, text, next) {
            match line.kind {
                Kind::Error => self.panicked = text.trim_end().ends_with(':'),
                Kind::Joint => self.list = List::Stack,
                Kind::Frame if !line.foreign && self.failing.is_none() => self.failing = Some(here),
                _ => {}
            }
            return line;
        }
        if let Some(line) = java::read(text) {
            match line.kind {
                Kind::Error => self.java.begin(text),
                Kind::Frame if self.java.is_first_of_its_own(&line) => self.failing = Some(here),
                _ => {}
            }
            return line;
        }
        if let Some(line) = chain::read(&mut self.list, text) {
            return line;
        }
        Line::of(text, Kind::Plain)
    }
}

/// How many columns a line is moved in.
fn indent(text: &str) -> usize {
    text.len() - text.trim_start().len()
}

/// Whether this is letters, digits and `_` in parts joined by dots.
fn is_dotted(name: &str) -> bool {
    name.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && name.split('.').all(|part| {
            !part.is_empty()
                && part
                    .chars()
                    .all(|c| c.is_alphanumeric() || matches!(c, '_' | '$'))
        })
}
