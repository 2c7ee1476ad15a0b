//! The bar beside the rows: where the screen is among all that matches, as far as that is known without counting.

use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    console::{
        state::{State, Table},
        theme::Role,
    },
    store::Place,
};

/// Draws it in a column that is as high as the table, below the head.
pub(super) fn draw(state: &State, column: Rect, buffer: &mut Buffer) {
    let track = Rect {
        y: column.y + 1,
        height: column.height.saturating_sub(1),
        ..column
    };
    let lines = usize::from(track.height);
    let whole = state.table.newest && state.table.oldest;
    if track.is_empty() || !state.table.loaded || (whole && state.table.rows.len() <= lines) {
        return;
    }
    let thumb = thumb(&state.table, lines);
    let theme = state.setup.theme;
    for (line, row) in track.rows().enumerate() {
        let (sign, role) = match &thumb {
            Some((from, to)) if (*from..*to).contains(&line) => ("█", Role::Label),
            Some(_) => ("│", Role::Label),
            // Somewhere in between: more cannot be said.
            None => ("┊", Role::Label),
        };
        buffer.set_stringn(row.x, row.y, sign, 1, theme.style(role));
    }
}

/// From which line of the bar to which the screen reaches. It touches an end only where the screen does.
fn thumb(table: &Table, lines: usize) -> Option<(usize, usize)> {
    let shown = table.shown(lines);
    let top = table.top();
    let bottom = top + shown.len();
    let (at_first, at_last) = (
        table.newest && top == 0,
        table.oldest && bottom == table.rows.len(),
    );
    let (from, to) = if table.newest && table.oldest {
        let all = table.rows.len().max(1) as f64;
        (top as f64 / all, bottom as f64 / all)
    } else {
        let along = |row| {
            let ends = table.ends.as_ref()?;
            table.sort.along(&ends.0, &ends.1, &Place::from(row))
        };
        match (shown.first().and_then(along), shown.last().and_then(along)) {
            (Some(from), Some(to)) => (from, to),
            _ if at_first => (0.0, 0.0),
            _ if at_last => (1.0, 1.0),
            _ => return None,
        }
    };
    let size = ((to - from) * lines as f64).ceil().max(1.0) as usize;
    let size = size.min(lines.saturating_sub(2).max(1));
    let last = lines - size.min(lines);
    let wanted = (from * lines as f64).floor() as usize;
    let from = match (at_first, at_last) {
        (true, _) => 0,
        (_, true) => last,
        _ if last >= 2 => wanted.clamp(1, last - 1),
        _ => wanted.min(last),
    };
    Some((from, from + size))
}
