//! The table: its head and the rows on the screen, and no others.

use ratatui::{
    buffer::Buffer,
    layout::{Position, Rect},
};

use super::Pieces;
use crate::{
    console::{
        column::{Column, Context},
        layout::Focus,
        state::State,
        text,
        theme::Role,
    },
    store::Row,
};

/// From this width on there is room for air before the first column.
const ROOMY: u16 = 60;

/// Draws it. Where the row under the cursor begins.
pub(super) fn draw(state: &State, area: Rect, buffer: &mut Buffer) -> Option<Position> {
    if area.is_empty() {
        return None;
    }
    let lines = usize::from(area.height - 1);
    let rows = state.table.shown(lines);
    let margin = margin(area);
    let context = context(state, area);
    let columns = widths(state, area);

    let mut head = Pieces::new(state.setup.theme).with(Role::Plain, " ".repeat(margin));
    for (column, width) in &columns {
        let words = column.headed(state.table.sort);
        head.push(Role::Head, column.fitted(&words, *width));
        head.push(Role::Plain, Column::gap());
    }
    head.draw_exact(Rect { height: 1, ..area }, buffer);

    if rows.is_empty() {
        empty(state, area, buffer);
        return None;
    }
    let mut at = None;
    for (row, line) in rows.iter().zip(area.rows().skip(1)) {
        if state.table.cursor == Some(row.id) {
            at = Some(Position::new(line.x + 1, line.y));
        }
        draw_row(state, row, &columns, context, margin, line, buffer);
    }
    at
}

fn margin(area: Rect) -> usize {
    if area.width < ROOMY { 3 } else { 5 }
}

fn context(state: &State, area: Rect) -> Context<'_> {
    let rows = state
        .table
        .shown(usize::from(area.height.saturating_sub(1)));
    let digits = rows.iter().map(|row| row.id.to_string().len());
    Context {
        setup: &state.setup,
        now: state.now,
        reasons: area.width >= ROOMY,
        id_width: digits.max().unwrap_or(6),
    }
}

/// The columns of a table in this area, with their widths.
pub(super) fn widths(state: &State, area: Rect) -> Vec<(Column, usize)> {
    let room = usize::from(area.width).saturating_sub(margin(area) + 1);
    Column::fit(&state.columns, room, context(state, area))
}

fn draw_row(
    state: &State,
    row: &Row,
    columns: &[(Column, usize)],
    context: Context<'_>,
    margin: usize,
    area: Rect,
    buffer: &mut Buffer,
) {
    let here = state.table.cursor == Some(row.id);
    let over = match (here, state.focus) {
        (false, _) => None,
        (true, Focus::Table) => Some(Role::Cursor),
        (true, Focus::Detail) => Some(Role::CursorAway),
    };
    let in_role = |role| over.unwrap_or(role);
    let mut line = Pieces::new(state.setup.theme);
    let bar = if here { "▌" } else { " " };
    let gone = state.table.gone == Some(row.id);
    let moved = state.table.moved == Some(row.id);
    let mark = if gone || (moved && !state.is_marked(row.id)) {
        "≠"
    } else if state.is_marked(row.id) {
        "●"
    } else if state.is_in_range(row) {
        "○"
    } else {
        " "
    };
    let air = if margin == 5 { " " } else { "" };
    line.push(in_role(Role::Plain), format!("{air}{bar}{air}"));
    let mark_role = if mark == " " { Role::Plain } else { Role::Mark };
    line.push(in_role(mark_role), format!("{mark} "));
    for (column, width) in columns {
        let (mut cell, role) = column.cell(row, context);
        if gone && *column == Column::Subject {
            cell = format!("(no longer matches) {cell}");
        } else if moved && *column == Column::Subject {
            cell = format!("(moved elsewhere) {cell}");
        }
        line.push(in_role(role), column.fitted(&cell, *width));
        line.push(in_role(Role::Plain), Column::gap());
    }
    let fill = usize::from(area.width).saturating_sub(line.width());
    line.push(in_role(Role::Plain), " ".repeat(fill));
    line.draw_exact(area, buffer);
}

fn empty(state: &State, area: Rect, buffer: &mut Buffer) {
    let failed = state.table.failed.as_ref();
    let told = failed.map(|why| format!("The store did not answer: {why}"));
    let role = if told.is_some() {
        Role::Problem
    } else {
        Role::Label
    };
    let scan = state.table.scan.as_ref();
    let reading = scan.map(|scan| format!("reading… {scan}"));
    let word = if let Some(told) = &told {
        told.as_str()
    } else if !state.table.loaded {
        reading.as_deref().unwrap_or("reading…")
    } else if state.table.asked.query.terms.is_empty() {
        "There are no receivers in the store yet."
    } else {
        &state
            .setup
            .keymap
            .fill("Nothing matches. {show-all} shows all, {query} edits the query.")
    };
    draw_words(state, role, word, area, buffer);
}

/// Draws what is said in the place of rows, below the head.
pub(super) fn draw_words(state: &State, role: Role, word: &str, area: Rect, buffer: &mut Buffer) {
    let indent = 5.min(area.width);
    let line = Rect {
        x: area.x + indent,
        y: area.y + 2,
        width: area.width - indent,
        height: 1,
    };
    for (piece, line) in text::wrapped(word, usize::from(line.width).max(1))
        .into_iter()
        .zip(
            Rect {
                height: area.height.saturating_sub(2),
                ..line
            }
            .rows(),
        )
    {
        Pieces::new(state.setup.theme)
            .with(role, piece)
            .draw(line, buffer);
    }
}
