//! The palette: a line for the letters, and below it the actions that have them.

use ratatui::{
    buffer::Buffer,
    layout::{Position, Rect},
    widgets::{Clear, Widget as _},
};

use super::{Pieces, query_line};
use crate::console::{
    palette::found,
    state::{Palette, State, scrolled},
    text::fitted,
    theme::Role,
};

/// Draws it. Where the terminal's cursor belongs.
pub(super) fn draw(state: &State, palette: &Palette, area: Rect, buffer: &mut Buffer) -> Position {
    Clear.render(area, buffer);
    let theme = state.setup.theme;
    let width = usize::from(area.width);
    let line = Rect { height: 1, ..area };
    Pieces::new(theme).with(Role::Key, " : ").draw(line, buffer);
    let field = Rect {
        x: line.x + 3,
        width: line.width.saturating_sub(3),
        ..line
    };
    let cursor = query_line::draw_field(theme, &palette.line, field, buffer);

    let actions = found(state, palette.line.text());
    if actions.is_empty() {
        let nothing = Pieces::new(theme).with(Role::Label, "   No action has these letters.");
        if let Some(row) = area.rows().nth(1) {
            nothing.draw(row, buffer);
        }
        return cursor;
    }
    let lines = usize::from(area.height.saturating_sub(1));
    let chosen = palette.chosen.min(actions.len() - 1);
    let top = scrolled(0, chosen, lines);
    let (name_width, key_width) = if width < 60 { (19, 9) } else { (22, 16) };
    for ((index, action), row) in actions
        .iter()
        .enumerate()
        .skip(top)
        .zip(area.rows().skip(1))
    {
        let why = action.disabled(state);
        let (here, disabled) = (index == chosen, why.is_some());
        let in_role = |role| match (here, disabled) {
            (true, _) => Role::Cursor,
            (false, true) => Role::Label,
            (false, false) => role,
        };
        let keymap = &state.setup.keymap;
        let (keys, help) = (keymap.shown(action.entry), keymap.fill(action.entry.help));
        let words = match &why {
            Some(why) if action.here => format!("{help} Not now: {why}."),
            Some(place) => format!("({place}) {help}"),
            None => help,
        };
        let words = match why {
            Some(why) if width < 80 => why,
            _ => words,
        };
        let mut line = Pieces::new(theme);
        line.push(
            in_role(Role::Plain),
            format!("   {}", fitted(action.entry.name, name_width, false)),
        );
        line.push(
            in_role(Role::Key),
            format!(" {} ", fitted(&keys, key_width, false)),
        );
        let room = width.saturating_sub(line.width());
        line.push(in_role(Role::Plain), fitted(&words, room, false));
        line.draw_exact(row, buffer);
    }
    cursor
}
