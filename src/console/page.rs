//! A text in lines, made harmless, of which only what is seen is ever broken to a width: twenty megabytes scroll as fast as twenty lines.

mod find;
#[cfg(test)]
mod tests;

use std::{io, ops::Range};

use self::find::hits;
use super::{text, theme::Role};
use crate::message::DisplayText;

/// A line longer than this goes on in the next, so that breaking one to a width stays cheap. Bytes.
const LONGEST: usize = 4096;

/// A text of more lines is cut: each takes memory of its own, and sixty megabytes can be nothing but line ends.
const MOST_LINES: usize = 1_000_000;

/// And one that is longer: what is made harmless grows by that. Bytes.
const LARGEST: usize = 128 << 20;

/// On a screen of fewer lines the head of a page is out of sight at first.
const ROOMY: usize = 6;

/// More places than this are not told one by one.
pub const MOST_HITS: usize = 10_000;

/// A text in lines. What gets in is made harmless on the way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    text: String,
    lines: Vec<Line>,
    /// So many lines say what the text is, and are not of it.
    head: usize,
    /// The line to be in sight first.
    first: usize,
}

#[derive(Clone, Debug, PartialEq)]
struct Line {
    range: Range<usize>,
    role: Role,
    /// How far what is broken off it is moved in.
    hang: usize,
    /// It goes on in the next line.
    goes_on: bool,
    /// What stands out in it: bytes of the line.
    spans: Box<[(Range<usize>, Role)]>,
}

/// How a page is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Columns.
    pub width: usize,
    /// Lines on the screen.
    pub height: usize,
    /// Long lines are broken; else they are scrolled sideways.
    pub wrap: bool,
}

/// A place to scroll to: a line and, where it is broken, which row of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    /// Which line, from 0.
    pub line: usize,
    /// Which row of it, from 0.
    pub row: usize,
}

/// A row of the screen: part of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Which line.
    pub line: usize,
    /// Columns it is moved in.
    pub indent: usize,
    /// Bytes of the line.
    pub range: Range<usize>,
}

/// A place that matches a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Which line.
    pub line: usize,
    /// Where in it, in bytes.
    pub at: usize,
}

impl Page {
    /// A line.
    pub fn say(&mut self, role: Role, line: &str) {
        self.hanging(role, line, 0);
    }

    /// A line, and how far what is broken off it is moved in.
    pub fn hanging(&mut self, role: Role, line: &str, hang: usize) {
        self.push(role, DisplayText::line(line).as_str(), hang, Box::default());
    }

    /// A line that was made harmless before, and what stands out in it. What is broken off it is moved in a little farther than the line.
    pub fn spanned(&mut self, role: Role, line: &DisplayText, spans: Vec<(Range<usize>, Role)>) {
        let line = line.as_str();
        let indent = line.len() - line.trim_start_matches(' ').len();
        let hang = if indent > 0 { indent + 2 } else { 0 };
        self.push(role, line, hang, spans.into());
    }

    /// A line of pieces, each in its role.
    pub fn pieces(&mut self, pieces: &[(Role, &str)]) {
        let mut line = String::new();
        let mut spans = Vec::new();
        for (role, piece) in pieces {
            let from = line.len();
            line.push_str(DisplayText::line(piece).as_str());
            spans.push((from..line.len(), *role));
        }
        self.push(Role::Plain, &line, 0, spans.into());
    }

    /// An empty line.
    pub fn blank(&mut self) {
        self.say(Role::Plain, "");
    }

    /// A label and its value.
    pub fn pair(&mut self, label: &str, value: &str) {
        let value = DisplayText::line(value);
        let line = format!("{label:<15} {value}");
        let end = label.len();
        self.push(Role::Plain, &line, 16, Box::new([(0..end, Role::Label)]));
    }

    /// All lines of a text, as far as they find room.
    pub fn text(&mut self, role: Role, raw: &str) {
        for line in raw.split_inclusive('\n') {
            if self.lines.len() >= MOST_LINES || self.text.len() >= LARGEST {
                let words = "There is more: saved in a file it can be read whole.";
                return self.say(Role::Warning, words);
            }
            // One line, or none.
            for line in DisplayText::lines(line).as_str().lines() {
                self.push(role, line, 0, Box::default());
            }
        }
    }

    /// The text begins here: what stands before it never leaves the screen, and gives way where there is little room.
    pub fn begin(&mut self) {
        self.head = self.lines.len();
        self.first = self.head;
    }

    /// The lines that follow should be in sight first.
    pub fn look_here(&mut self) {
        self.first = self.lines.len();
    }

    /// The line to look at first.
    pub fn first(&self) -> usize {
        self.first
    }

    fn push(&mut self, role: Role, line: &str, hang: usize, spans: Box<[(Range<usize>, Role)]>) {
        let mut rest = line;
        let mut spans = Some(spans);
        loop {
            let (piece, after) = rest.split_at(chunk(rest));
            let from = self.text.len();
            self.text.push_str(piece);
            self.lines.push(Line {
                range: from..self.text.len(),
                role,
                hang,
                goes_on: !after.is_empty(),
                // What stands out does so near the beginning.
                spans: spans.take().unwrap_or_default(),
            });
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// A line's letters; empty beyond the last.
    pub fn line(&self, line: usize) -> &str {
        self.lines
            .get(line)
            .map_or("", |line| &self.text[line.range.clone()])
    }

    /// The whole of the line that this is part of, as it came.
    pub fn whole_line(&self, line: usize) -> String {
        let mut from = line.min(self.len().saturating_sub(1));
        while from > 0 && self.lines[from - 1].goes_on {
            from -= 1;
        }
        let mut whole = String::new();
        for at in from..self.len() {
            whole.push_str(self.line(at));
            if !self.lines[at].goes_on {
                break;
            }
        }
        whole
    }

    /// The whole text without its head, harmless as it is.
    pub fn plain(&self) -> String {
        let mut plain = String::with_capacity(self.text.len() + self.lines.len());
        for (at, line) in self.lines.iter().enumerate().skip(self.head) {
            plain.push_str(self.line(at));
            if !line.goes_on {
                plain.push('\n');
            }
        }
        plain
    }

    /// Writes the whole text without its head, harmless as it is.
    pub fn write(&self, to: &mut dyn io::Write) -> io::Result<()> {
        for (at, line) in self.lines.iter().enumerate().skip(self.head) {
            let end = if line.goes_on { "" } else { "\n" };
            write!(to, "{}{end}", self.line(at))?;
        }
        Ok(())
    }

    /// A piece of a line in its roles, with what matches a search in a role of its own.
    pub fn parts(&self, row: &Row, search: Option<&str>, here: Option<Hit>) -> Vec<(&str, Role)> {
        let Some(line) = self.lines.get(row.line) else {
            return Vec::new();
        };
        let letters = self.line(row.line);
        let mut cuts = vec![row.range.start, row.range.end];
        let hits: Vec<Range<usize>> = search
            .map(|words| hits(letters, words).collect())
            .unwrap_or_default();
        let ends = hits.iter().chain(line.spans.iter().map(|span| &span.0));
        cuts.extend(
            ends.flat_map(|range| [range.start, range.end])
                .filter(|at| row.range.contains(at)),
        );
        cuts.sort_unstable();
        cuts.dedup();
        let role_at = |at: usize| {
            // They stand in order, and there may be thousands.
            let hit = hits.get(hits.partition_point(|hit| hit.end <= at));
            if let Some(hit) = hit.filter(|hit| hit.contains(&at)) {
                let is_here =
                    here.is_some_and(|here| here.line == row.line && here.at == hit.start);
                return if is_here { Role::Here } else { Role::Match };
            }
            let span = line.spans.iter().find(|(range, _)| range.contains(&at));
            span.map_or(line.role, |(_, role)| *role)
        };
        cuts.windows(2)
            .map(|two| (&letters[two[0]..two[1]], role_at(two[0])))
            .collect()
    }

    /// The rows of a line.
    fn rows(&self, at: usize, shape: Shape) -> Vec<Row> {
        let Some(line) = self.lines.get(at) else {
            return Vec::new();
        };
        let letters = self.line(at);
        let width = shape.width.max(1);
        if !shape.wrap {
            return vec![Row {
                line: at,
                indent: 0,
                range: 0..letters.len(),
            }];
        }
        // On a pane too narrow for it, moving in would leave nothing to read.
        let hang = if line.hang * 2 < width { line.hang } else { 0 };
        let mut from = 0;
        text::hanging(letters, width, hang)
            .into_iter()
            .map(|piece| {
                let row = Row {
                    line: at,
                    indent: if from == 0 { 0 } else { hang },
                    range: from..from + piece.len(),
                };
                from += piece.len();
                row
            })
            .collect()
    }

    /// The rows on a screen that begins at a place.
    pub fn shown(&self, from: Spot, shape: Shape) -> Vec<Row> {
        let mut shown = Vec::with_capacity(shape.height);
        let mut skip = from.row;
        for line in from.line..self.len() {
            if shown.len() >= shape.height {
                break;
            }
            shown.extend(self.rows(line, shape).into_iter().skip(skip));
            skip = 0;
        }
        shown.truncate(shape.height);
        shown
    }

    /// So many rows down, or up where it is negative. Never beyond what leaves no row of the screen empty.
    pub fn moved(&self, from: Spot, by: i64, shape: Shape) -> Spot {
        let mut at = self.valid(from, shape);
        let mut left = by.unsigned_abs() as usize;
        while left > 0 {
            if by > 0 {
                let rows = self.rows(at.line, shape).len();
                if at.row + left < rows {
                    at.row += left;
                    break;
                }
                if at.line + 1 >= self.len() {
                    break;
                }
                left -= rows - at.row;
                at = Spot {
                    line: at.line + 1,
                    row: 0,
                };
            } else {
                if at.row >= left {
                    at.row -= left;
                    break;
                }
                left -= at.row;
                at.row = 0;
                if at.line == 0 {
                    break;
                }
                left -= 1;
                at.line -= 1;
                at.row = self.rows(at.line, shape).len().saturating_sub(1);
            }
        }
        at.min(self.last(shape))
    }

    /// The same place after the text or the shape has changed: no row that there is not, and none empty that could be filled.
    pub fn clamped(&self, at: Spot, shape: Shape) -> Spot {
        self.valid(at, shape).min(self.last(shape))
    }

    /// The same place, or the nearest before it that there is.
    fn valid(&self, at: Spot, shape: Shape) -> Spot {
        let line = at.line.min(self.len().saturating_sub(1));
        let row = if line == at.line {
            at.row.min(self.rows(line, shape).len().saturating_sub(1))
        } else {
            0
        };
        Spot { line, row }
    }

    /// The place from which the end is just in sight.
    pub fn last(&self, shape: Shape) -> Spot {
        let mut left = shape.height.max(1);
        for line in (0..self.len()).rev() {
            let rows = self.rows(line, shape).len();
            if rows >= left {
                return Spot {
                    line,
                    row: rows - left,
                };
            }
            left -= rows;
        }
        Spot::default()
    }

    /// A place from which the line to look at first is in sight: the top, if it is. Where there is little room that is where the text begins.
    pub fn opening(&self, shape: Shape) -> Spot {
        let top = if shape.height < ROOMY {
            let begin = Spot {
                line: self.head,
                row: 0,
            };
            self.clamped(begin, shape)
        } else {
            Spot::default()
        };
        if self
            .shown(top, shape)
            .iter()
            .any(|row| row.line == self.first)
        {
            return top;
        }
        self.around(
            Hit {
                line: self.first,
                at: 0,
            },
            shape,
        )
    }

    /// A place from which a hit is in sight, with some lines above it.
    pub fn around(&self, hit: Hit, shape: Shape) -> Spot {
        let rows = self.rows(hit.line, shape);
        let row = rows.iter().rposition(|row| row.range.start <= hit.at);
        let spot = Spot {
            line: hit.line,
            row: row.unwrap_or(0),
        };
        self.moved(spot, -(shape.height as i64 / 3), shape)
    }

    /// How much has been seen when this is the top of the screen, in percent; `None` when all of it is in sight.
    pub fn seen(&self, from: Spot, shape: Shape) -> Option<usize> {
        let end = self.last(shape);
        if end == Spot::default() {
            return None;
        }
        if from >= end {
            return Some(100);
        }
        let last = self.shown(from, shape).last().map_or(0, |row| row.line + 1);
        Some((last * 100 / self.len().max(1)).min(99))
    }

    /// Every place that matches: letters of both cases are the same, unless capitals are asked for. At most [`MOST_HITS`], and one more to show
    /// that there are more.
    pub fn find(&self, words: &str) -> Vec<Hit> {
        let hits = (0..self.len()).flat_map(|line| {
            hits(self.line(line), words).map(move |hit| Hit {
                line,
                at: hit.start,
            })
        });
        hits.take(MOST_HITS + 1).collect()
    }
}

/// How many bytes of a line stand in one: [`LONGEST`] at most, whole letters with what is combined with them as far as possible.
fn chunk(line: &str) -> usize {
    use unicode_segmentation::UnicodeSegmentation as _;
    if line.len() <= LONGEST {
        return line.len();
    }
    let mut hard = LONGEST;
    while !line.is_char_boundary(hard) {
        hard -= 1;
    }
    if line.as_bytes()[..=hard].is_ascii() {
        return hard;
    }
    let whole = line[..hard].grapheme_indices(true).next_back();
    whole.map_or(hard, |(at, _)| if at > LONGEST / 2 { at } else { hard })
}
