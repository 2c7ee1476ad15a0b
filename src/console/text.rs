//! Small helpers for text on a screen: numbers people can read, lines that fit.

use crate::columns::first;
pub use crate::{
    columns::{columns, cut, last},
    grouped::{counted, grouped},
};

/// A word as a shell takes it: as it is, or in single quotes where it holds what a shell would act on.
pub fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,=@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        shell_quoted(word)
    }
}

/// Words as one word of a shell.
pub fn shell_quoted(words: &str) -> String {
    format!("'{}'", words.replace('\'', "'\\''"))
}

/// At most four columns: `812`, `4.1k`, `120k`, `1.2M`.
pub fn compact(number: u64) -> String {
    for (unit, letter) in [(1_000_000_000, 'G'), (1_000_000, 'M'), (1000, 'k')] {
        if number >= unit {
            let whole = number / unit;
            return if whole < 10 {
                format!("{whole}.{}{letter}", number % unit / (unit / 10))
            } else {
                format!("{whole}{letter}")
            };
        }
    }
    number.to_string()
}

/// Like [`cut`], but what is lost is the beginning: of a path the end says more.
pub fn cut_start(text: &str, width: usize) -> String {
    if columns(text) <= width {
        text.to_owned()
    } else if width == 0 {
        String::new()
    } else {
        format!("…{}", last(text, width - 1))
    }
}

/// Exactly so many columns, cut or filled up with spaces at the right, or at the left for numbers.
pub fn fitted(text: &str, width: usize, to_the_right: bool) -> String {
    let cut = cut(text, width);
    let fill = width.saturating_sub(columns(&cut));
    if to_the_right {
        format!("{}{cut}", " ".repeat(fill))
    } else {
        format!("{cut}{}", " ".repeat(fill))
    }
}

/// One line in pieces of at most so many columns, broken at a space where there is one in the second half.
pub fn wrapped(line: &str, width: usize) -> Vec<&str> {
    hanging(line, width, 0)
}

/// Like [`wrapped`], with so many columns less for all pieces but the first.
pub fn hanging(line: &str, width: usize, less: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = line;
    let mut room = width;
    // Only as much is measured as fits: the time grows with the line, not with its square.
    loop {
        let head = first(rest, room);
        if head.len() == rest.len() {
            break;
        }
        let at = match head.rfind(' ') {
            Some(space) if space >= head.len() / 2 => space + 1,
            _ if head.is_empty() => match rest.chars().next() {
                Some(first) => first.len_utf8(),
                None => break,
            },
            _ => head.len(),
        };
        let (piece, after) = rest.split_at(at);
        pieces.push(piece);
        rest = after;
        room = width.saturating_sub(less);
    }
    if pieces.is_empty() || !rest.is_empty() {
        pieces.push(rest);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_can_be_read_at_a_glance() {
        assert_eq!(compact(812), "812");
        assert_eq!(compact(4120), "4.1k");
        assert_eq!(compact(1_204_331), "1.2M");
    }

    #[test]
    fn text_is_cut_by_columns_not_by_letters() {
        assert_eq!(cut_start("/var/lib/postroom.db", 12), "…postroom.db");
        assert_eq!(fitted("ab", 4, true), "  ab");
        assert_eq!(fitted("日本", 5, false), "日本 ");
    }

    #[test]
    fn a_long_line_is_broken_without_losing_a_letter() {
        let line = "451 4.7.1 greylisted, try again in 300 seconds";
        for width in 1..60 {
            let pieces = wrapped(line, width);
            assert_eq!(pieces.concat(), line);
            assert!(pieces.iter().all(|piece| columns(piece) <= width));
        }
        assert_eq!(wrapped("日本", 1), ["日", "本"]);
    }
}
