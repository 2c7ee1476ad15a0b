use std::fmt;

/// Text that came from outside (a message, a server, a config file). It has no `Display`, so it reaches a screen or a table only
/// through [`Text::shown`]; export takes the letters as they are from [`Text::raw`].
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(String);

impl Text {
    /// The letters as they came.
    pub fn raw(&self) -> &str {
        &self.0
    }

    /// The same on one line, made harmless: see [`DisplayText`].
    pub fn shown(&self) -> DisplayText {
        DisplayText::line(&self.0)
    }
}

impl<T: Into<String>> From<T> for Text {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Text that no terminal acts on: every control, bidi, line-separator, zero-width-joining and tag character is replaced by something
/// that can be seen. Only this type may reach a widget, a table or an error message.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DisplayText(String);

impl DisplayText {
    /// One line: line ends become `⏎`, tabs a space.
    pub fn line(raw: &str) -> Self {
        let mut shown = String::with_capacity(raw.len());
        for c in raw.chars() {
            match c {
                '\n' => shown.push('⏎'),
                '\t' => shown.push(' '),
                '\r' => {}
                _ => push_visible(&mut shown, c),
            }
        }
        Self(shown)
    }

    /// Several lines: `\n` stays, `\r\n` counts as one, tabs become four spaces.
    pub fn lines(raw: &str) -> Self {
        let mut shown = String::with_capacity(raw.len());
        let mut chars = raw.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\n' => shown.push('\n'),
                '\t' => shown.push_str("    "),
                '\r' if chars.peek() == Some(&'\n') => {}
                _ => push_visible(&mut shown, c),
            }
        }
        Self(shown)
    }

    /// The harmless letters.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The harmless letters, owned.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Display for DisplayText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Whether a terminal or a reader's eye could be misled by `c`: controls (C0, C1, DEL), bidi controls, line and paragraph separators,
/// zero-width and other invisible format characters, tags, and the variation selectors supplement.
pub(crate) fn is_dangerous(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

fn push_visible(shown: &mut String, c: char) {
    match c {
        '\0'..='\u{1f}' => shown.push(char::from_u32(0x2400 + c as u32).unwrap_or('\u{fffd}')),
        '\u{7f}' => shown.push('\u{2421}'),
        c if is_dangerous(c) => shown.push('\u{fffd}'),
        c => shown.push(c),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nothing_a_terminal_acts_on_ever_comes_out(raw in any::<String>()) {
            prop_assert!(!DisplayText::line(&raw).as_str().chars().any(is_dangerous));
            prop_assert!(!DisplayText::lines(&raw).as_str().chars().any(|c| c != '\n' && is_dangerous(c)));
        }
    }

    #[test]
    fn an_escape_sequence_is_shown_not_obeyed() {
        assert_eq!(
            DisplayText::line("a\u{1b}[31mb\tc\r\nd\u{202e}e").as_str(),
            "a␛[31mb c⏎d\u{fffd}e"
        );
        assert_eq!(DisplayText::lines("a\r\nb\rc").as_str(), "a\nb␍c");
    }
}
