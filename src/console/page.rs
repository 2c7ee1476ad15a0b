//! A text in lines, made harmless, of which only what is seen is ever broken to a width: twenty megabytes scroll as fast as twenty lines.

use std::{io, ops::Range};

use super::{text, theme::Role};
use crate::message::DisplayText;

/// A line longer than this goes on in the next, so that breaking one to a width stays cheap. Bytes.
const LONGEST: usize = 4096;

/// More places than this are not told one by one.
pub const MOST_HITS: usize = 10_000;

/// A text in lines. What gets in is made harmless on the way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    text: String,
    lines: Vec<Line>,
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

    /// All lines of a text.
    pub fn text(&mut self, role: Role, raw: &str) {
        for line in DisplayText::lines(raw).as_str().lines() {
            self.push(role, line, 0, Box::default());
        }
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

    /// The whole text, harmless as it is.
    pub fn plain(&self) -> String {
        let mut plain = String::with_capacity(self.text.len() + self.lines.len());
        for (at, line) in self.lines.iter().enumerate() {
            plain.push_str(self.line(at));
            if !line.goes_on {
                plain.push('\n');
            }
        }
        plain
    }

    /// Writes the whole text, harmless as it is.
    pub fn write(&self, to: &mut dyn io::Write) -> io::Result<()> {
        for (at, line) in self.lines.iter().enumerate() {
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
            if let Some(hit) = hits.iter().find(|hit| hit.contains(&at)) {
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

    /// A place from which the line to look at first is in sight: the top, if it is.
    pub fn opening(&self, shape: Shape) -> Spot {
        let top = Spot::default();
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

/// Where words stand in a line.
fn hits<'a>(line: &'a str, words: &'a str) -> impl Iterator<Item = Range<usize>> + 'a {
    let exact = words.chars().any(char::is_uppercase);
    let mut from = 0;
    std::iter::from_fn(move || {
        if words.is_empty() {
            return None;
        }
        let found = if exact {
            let at = memchr::memmem::find(&line.as_bytes()[from..], words.as_bytes())?;
            from + at..from + at + words.len()
        } else {
            folded(line, from, words)?
        };
        from = found.end;
        Some(found)
    })
}

/// The first place from `from` on, whatever the case.
fn folded(line: &str, from: usize, words: &str) -> Option<Range<usize>> {
    let first = words.chars().next()?;
    let mut at = from;
    loop {
        let rest = &line[at..];
        let start = if first.is_ascii() {
            let (low, high) = (first as u8, first.to_ascii_uppercase() as u8);
            memchr::memchr2(low, high, rest.as_bytes())?
        } else {
            rest.find(|c: char| c.to_lowercase().eq(first.to_lowercase()))?
        };
        let start = at + start;
        if let Some(end) = matched(&line[start..], words) {
            return Some(start..start + end);
        }
        at = start + line[start..].chars().next().map_or(1, char::len_utf8);
    }
}

/// How many bytes at the beginning of a line are these words, whatever the case.
fn matched(line: &str, words: &str) -> Option<usize> {
    let mut letters = line.char_indices();
    for wanted in words.chars() {
        let (_, letter) = letters.next()?;
        if letter != wanted && !letter.to_lowercase().eq(wanted.to_lowercase()) {
            return None;
        }
    }
    Some(letters.next().map_or(line.len(), |(at, _)| at))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn page(text: &str) -> Page {
        let mut page = Page::default();
        page.text(Role::Plain, text);
        page
    }

    fn shape(width: usize, height: usize, wrap: bool) -> Shape {
        Shape {
            width,
            height,
            wrap,
        }
    }

    /// What stands on a screen, row by row.
    fn screen(page: &Page, from: Spot, shape: Shape) -> Vec<&str> {
        let rows = page.shown(from, shape).into_iter();
        rows.map(|row| &page.line(row.line)[row.range]).collect()
    }

    #[test]
    fn a_line_that_is_too_long_goes_on_and_is_whole_again_for_a_copy() {
        let line = "å1".repeat(5000);
        let page = page(&format!("before\n{line}\nafter"));
        assert_eq!(page.len(), 2 + line.len().div_ceil(LONGEST - 1));
        for at in 1..page.len() - 1 {
            assert_eq!(page.whole_line(at), line);
        }
        assert_eq!(page.whole_line(0), "before");
        assert_eq!(page.plain(), format!("before\n{line}\nafter\n"));
    }

    #[test]
    fn words_are_found_whatever_their_case_unless_capitals_are_asked_for() {
        let page = page("Ærlig talt\nærlig Talt TALT");
        let places = |words| -> Vec<(usize, usize)> {
            let hits = page.find(words).into_iter();
            hits.map(|hit| (hit.line, hit.at)).collect()
        };
        assert_eq!(places("talt"), [(0, 7), (1, 7), (1, 12)]);
        assert_eq!(places("Talt"), [(1, 7)]);
        assert_eq!(places("ærlig"), [(0, 0), (1, 0)]);
        assert_eq!(places("t t"), [(1, 10)]);
        assert_eq!(places(""), []);
    }

    #[test]
    fn a_place_too_many_to_tell_is_told_by_one_more() {
        assert_eq!(page(&"a".repeat(20_000)).find("a").len(), MOST_HITS + 1);
    }

    proptest! {
        #[test]
        fn going_down_row_by_row_shows_every_letter_and_going_up_again_leads_back(
            text in "([a-zæ日 \u{301}\u{200b}]{0,60}\n){0,12}",
            width in 1..40_usize,
            height in 1..9_usize,
            wrap in any::<bool>(),
        ) {
            let page = page(&text);
            let shape = shape(width, height, wrap);
            let mut at = Spot::default();
            let mut seen: Vec<String> = screen(&page, at, shape).into_iter().map(str::to_owned).collect();
            let mut steps = 0;
            while at < page.last(shape) {
                at = page.moved(at, 1, shape);
                steps += 1;
                seen.push((*screen(&page, at, shape).last().unwrap()).to_owned());
            }
            let lines: String = (0..page.len()).map(|line| page.line(line)).collect();
            prop_assert_eq!(seen.concat(), lines);
            prop_assert_eq!(page.moved(Spot::default(), steps, shape), at);
            prop_assert_eq!(page.moved(at, -steps, shape), Spot::default());
        }

        #[test]
        fn no_place_and_no_shape_is_out_of_bounds(
            text in any::<String>(),
            line in 0..50_usize,
            row in 0..50_usize,
            by in -60..60_i64,
            width in 0..40_usize,
            height in 0..9_usize,
            wrap in any::<bool>(),
            words in "[a-c\u{e6} ]{0,2}",
        ) {
            let page = page(&text);
            let shape = shape(width, height, wrap);
            let spot = page.clamped(Spot { line, row }, shape);
            let spot = page.moved(spot, by, shape);
            for row in page.shown(spot, shape) {
                let parts = page.parts(&row, Some(&words), None);
                let letters: String = parts.iter().map(|(part, _)| *part).collect();
                prop_assert_eq!(letters.as_str(), &page.line(row.line)[row.range.clone()]);
            }
            for hit in page.find(&words) {
                prop_assert!(page.line(hit.line).is_char_boundary(hit.at));
                let around = page.around(hit, shape);
                prop_assert!(height == 0 || page.shown(around, shape).iter().any(|row| row.line == hit.line));
            }
            let _ = page.seen(spot, shape);
        }
    }
}
