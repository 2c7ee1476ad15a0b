//! Words in a line: letters of both cases are the same, unless capitals are asked for.

use std::ops::Range;

/// Where words stand in a line.
pub(super) fn hits<'a>(line: &'a str, words: &'a str) -> impl Iterator<Item = Range<usize>> + 'a {
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
