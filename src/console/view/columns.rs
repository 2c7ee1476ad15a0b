//! The choice of columns.

use ratatui::{
    buffer::Buffer,
    layout::{Position, Rect},
    widgets::{Clear, Widget as _},
};

use super::{Pieces, widths};
use crate::console::{state::State, text, theme::Role};

/// Draws it. Where the line under the cursor begins.
pub(super) fn draw(state: &State, at: usize, area: Rect, buffer: &mut Buffer) -> Option<Position> {
    Clear.render(area, buffer);
    let theme = state.setup.theme;
    let seen = widths(state);
    let mut rows = area.rows();
    if let Some(title) = rows.next() {
        Pieces::new(theme)
            .with(Role::Title, " Columns")
            .draw(title, buffer);
    }
    let height = usize::from(area.height.saturating_sub(1));
    let first = (at + 1).saturating_sub(height);
    let mut cursor = None;
    let choices = state.columns.all().iter().enumerate().skip(first);
    for ((line, choice), row) in choices.zip(rows) {
        let sign = match (choice.column.always_shows(), choice.shown) {
            (true, _) => "[•]",
            (_, true) => "[x]",
            (_, false) => "[ ]",
        };
        let width = match choice.width {
            Some(width) => format!("{width} wide"),
            None => String::new(),
        };
        let found = seen.iter().any(|(column, _)| *column == choice.column);
        let note = if choice.shown && !found && !seen.is_empty() {
            "no room"
        } else {
            width.as_str()
        };
        let words = format!(
            " {sign} {} {note}",
            text::fitted(&choice.column.headed(state.table.sort), 12, false)
        );
        let role = if line == at {
            Role::Cursor
        } else {
            Role::Plain
        };
        let words = text::fitted(&words, usize::from(row.width), false);
        Pieces::new(theme).with(role, words).draw(row, buffer);
        if line == at {
            cursor = Some(Position::new(row.x + 1, row.y));
        }
    }
    cursor
}
