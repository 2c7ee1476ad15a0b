//! The query line while it is being edited: opens with everything selected, so that typing replaces and an arrow edits.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use tui_input::{Input, InputRequest};

use crate::{message::DisplayText, query::QueryError};

/// The query line.
#[derive(Clone, Debug)]
pub struct QueryLine {
    input: Input,
    selected: bool,
    /// Why Enter did not take it.
    pub error: Option<QueryError>,
}

impl QueryLine {
    /// Opens on a query, all of it selected.
    pub fn open(text: &str) -> Self {
        Self {
            input: Input::new(harmless(text)),
            selected: !text.is_empty(),
            error: None,
        }
    }

    /// The words.
    pub fn text(&self) -> &str {
        self.input.value()
    }

    /// Where the cursor stands, in bytes.
    pub fn cursor(&self) -> usize {
        let mut letters = self.text().char_indices();
        letters
            .nth(self.input.cursor())
            .map_or(self.text().len(), |(at, _)| at)
    }

    /// Puts other words there, the cursor behind them.
    pub fn set(&mut self, text: &str) {
        self.error = None;
        self.selected = false;
        self.input = Input::new(harmless(text));
    }

    /// Puts words in place of those from a place up to the cursor.
    pub fn replace(&mut self, from: usize, words: &str) {
        let (text, at) = (self.text(), self.cursor());
        let before = format!("{}{}", &text[..from.min(at)], harmless(words));
        let after = text[at..].to_owned();
        let cursor = before.chars().count();
        self.set(&(before + &after));
        self.input = std::mem::take(&mut self.input).with_cursor(cursor);
    }

    /// Nothing of it is selected any more.
    pub fn deselect(&mut self) {
        self.selected = false;
    }

    /// Whether all of it is selected.
    pub fn is_selected(&self) -> bool {
        self.selected
    }

    /// How many columns are scrolled away on a line of this width, and in which column of what is left the cursor stands.
    pub fn scrolled(&self, width: usize) -> (usize, usize) {
        let scroll = self.input.visual_scroll(width);
        (scroll, self.input.visual_cursor().saturating_sub(scroll))
    }

    /// A key that is no command of the query line. Whether anything changed.
    pub fn key(&mut self, key: KeyEvent) -> bool {
        let Some(request) = request(key) else {
            return false;
        };
        if let InputRequest::InsertChar(letter) = request {
            let shown = harmless(letter.encode_utf8(&mut [0; 4]));
            // Typed or pasted, a terminal does not act on it.
            if !shown.starts_with(letter) {
                self.paste(&shown);
                return true;
            }
        }
        self.error = None;
        if std::mem::take(&mut self.selected) {
            if matches!(
                request,
                InputRequest::InsertChar(_)
                    | InputRequest::DeletePrevChar
                    | InputRequest::DeleteNextChar
            ) {
                self.input.reset();
            }
            self.input.handle(request);
            return true;
        }
        self.input.handle(request).is_some()
    }

    /// Pasted text: line ends become spaces, and what a terminal would act on is made visible.
    pub fn paste(&mut self, text: &str) {
        self.error = None;
        if std::mem::take(&mut self.selected) {
            self.input.reset();
        }
        for letter in harmless(text.trim_end()).chars() {
            self.input.handle(InputRequest::InsertChar(letter));
        }
    }
}

fn harmless(text: &str) -> String {
    DisplayText::line(&text.replace(['\r', '\n'], " ")).into_string()
}

/// What a key means to a line of text: the usual keys and readline's.
fn request(key: KeyEvent) -> Option<InputRequest> {
    let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
    let alt = key.modifiers.contains(KeyModifiers::ALT);
    Some(match key.code {
        KeyCode::Char('a') if ctrl => InputRequest::GoToStart,
        KeyCode::Char('e') if ctrl => InputRequest::GoToEnd,
        KeyCode::Char('w') if ctrl => InputRequest::DeletePrevWord,
        KeyCode::Char('u') if ctrl => InputRequest::DeleteFromStart,
        KeyCode::Char('k') if ctrl => InputRequest::DeleteTillEnd,
        KeyCode::Char('h') if ctrl => InputRequest::DeletePrevChar,
        KeyCode::Char('b') if alt => InputRequest::GoToPrevWord,
        KeyCode::Char('f') if alt => InputRequest::GoToNextWord,
        KeyCode::Char('d') if alt => InputRequest::DeleteNextWord,
        KeyCode::Char(letter) if !ctrl && !alt && !letter.is_control() => {
            InputRequest::InsertChar(letter)
        }
        KeyCode::Backspace if ctrl || alt => InputRequest::DeletePrevWord,
        KeyCode::Backspace => InputRequest::DeletePrevChar,
        KeyCode::Delete => InputRequest::DeleteNextChar,
        KeyCode::Left if ctrl || alt => InputRequest::GoToPrevWord,
        KeyCode::Right if ctrl || alt => InputRequest::GoToNextWord,
        KeyCode::Left => InputRequest::GoToPrevChar,
        KeyCode::Right => InputRequest::GoToNextChar,
        KeyCode::Home => InputRequest::GoToStart,
        KeyCode::End => InputRequest::GoToEnd,
        _ => return None,
    })
}
