//! How many columns of a terminal text takes, and cutting it by columns.
//!
//! Terminals and ratatui count grapheme by grapheme. `UnicodeWidthStr::width` of a whole string does not: it takes an Arabic lam with its alef for
//! one column, which a table drawn in cells never does.

use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr;

/// How many columns it takes.
pub fn columns(text: &str) -> usize {
    if text.is_ascii() {
        return text.len();
    }
    text.graphemes(true).map(UnicodeWidthStr::width).sum()
}

/// As much of its beginning as fits into so many columns.
pub fn first(text: &str, width: usize) -> &str {
    let mut taken = 0;
    for (at, grapheme) in text.grapheme_indices(true) {
        taken += grapheme.width();
        if taken > width {
            return &text[..at];
        }
    }
    text
}

/// As much of its end as fits into so many columns.
pub fn last(text: &str, width: usize) -> &str {
    let mut taken = 0;
    for (at, grapheme) in text.grapheme_indices(true).rev() {
        taken += grapheme.width();
        if taken > width {
            return &text[at + grapheme.len()..];
        }
    }
    text
}

/// The text within so many columns; that something is cut is told by an ellipsis.
pub fn cut(text: &str, width: usize) -> String {
    if columns(text) <= width {
        text.to_owned()
    } else if width == 0 {
        String::new()
    } else {
        format!("{}…", first(text, width - 1))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_is_cut_by_columns_not_by_letters() {
        assert_eq!(cut("日本語テキスト", 7), "日本語…");
        assert_eq!(cut("日本語テキスト", 6), "日本…");
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abc", 0), "");
        assert_eq!(last("日本語", 5), "本語");
    }

    #[test]
    fn an_arabic_ligature_counts_as_the_cells_it_is_drawn_in() {
        let text = "تعليق جديد على الإجابة";
        assert_eq!(columns(text), text.chars().count());
        assert_eq!(columns(first(text, 18)), 18);
    }

    proptest! {
        #[test]
        fn what_is_cut_always_fits(text in any::<String>(), width in 0..40_usize) {
            prop_assert!(columns(first(&text, width)) <= width);
            prop_assert!(columns(last(&text, width)) <= width);
            prop_assert!(columns(&cut(&text, width)) <= width);
        }
    }
}
