//! The failures by cause: a list, and below it all that is known of the one under the cursor.

use ratatui::{
    buffer::Buffer,
    layout::{Position, Rect},
};

use super::{Pieces, table};
use crate::{
    console::{
        layout::Areas,
        state::{State, scrolled},
        text::{self, counted, fitted, grouped},
        theme::Role,
    },
    message::Text,
    store::CauseRow,
};

/// Columns of a time.
const TIME: usize = 12;

/// How many causes are seen at once.
pub(super) fn lines(areas: &Areas) -> usize {
    let body = areas.body();
    usize::from(body.height.saturating_sub(1 + below(body)))
}

/// Lines for what is known of the cause under the cursor.
fn below(body: Rect) -> u16 {
    match body.height {
        ..9 => 2,
        9..14 => 3,
        _ => 6,
    }
}

/// Draws them. Where the row under the cursor begins.
pub(super) fn draw(state: &State, areas: &Areas, buffer: &mut Buffer) -> Option<Position> {
    let body = areas.body();
    let theme = state.setup.theme;
    let causes = &state.causes;
    let columns = columns(usize::from(body.width));
    let margin = " ".repeat(columns.margin);
    let mut head = Pieces::new(theme).with(Role::Plain, margin);
    for (name, width, right) in columns.heads() {
        head.push(Role::Head, fitted(name, width, right));
        head.push(Role::Plain, "  ");
    }
    head.draw_exact(Rect { height: 1, ..body }, buffer);

    let Some(index) = causes.index() else {
        let word = match (&causes.failed, &causes.rows) {
            (Some(why), _) => (Role::Problem, format!("The store did not answer: {why}")),
            (None, None) => (Role::Label, "reading…".to_owned()),
            (None, Some(_)) if causes.query.terms.is_empty() => {
                (Role::Label, "Nothing failed.".to_owned())
            }
            (None, Some(_)) => {
                let words = "Nothing that matches failed. {show-all} shows all causes.";
                (Role::Label, state.setup.keymap.fill(words))
            }
        };
        table::draw_words(state, word.0, &word.1, body, buffer);
        return None;
    };
    let seen = lines(areas);
    let top = scrolled(causes.top, index, seen);
    let mut at = None;
    let rows = causes.known().iter().enumerate().skip(top).take(seen);
    for ((number, row), line) in rows.zip(body.rows().skip(1)) {
        let here = number == index;
        if here {
            at = Some(Position::new(line.x + 1, line.y));
        }
        draw_row(state, row, &columns, here, line, buffer);
    }
    let height = below(body);
    let area = Rect {
        y: body.bottom() - height,
        height,
        ..body
    };
    draw_one(state, &causes.known()[index], index, area, buffer);
    at
}

/// What finds room.
struct Columns {
    margin: usize,
    count: usize,
    text: usize,
    server: usize,
    phase: usize,
    first: usize,
    last: usize,
    sample: usize,
}

fn columns(width: usize) -> Columns {
    let wide = |from: usize, columns: usize| if width >= from { columns } else { 0 };
    let mut columns = Columns {
        margin: if width < 60 { 3 } else { 5 },
        count: if width < 60 { 6 } else { 9 },
        text: 0,
        server: wide(120, 24),
        phase: wide(120, 8),
        first: wide(80, TIME),
        last: wide(60, TIME),
        sample: wide(100, 8),
    };
    let taken: usize = columns.heads().map(|(_, width, _)| width + 2).sum();
    columns.text = width.saturating_sub(columns.margin + taken + 3);
    columns
}

impl Columns {
    /// Each that has room, with its width and whether it is aligned to the right.
    fn heads(&self) -> impl Iterator<Item = (&'static str, usize, bool)> {
        [
            ("Count", self.count, true),
            ("Cause", self.text, false),
            ("Server", self.server, false),
            ("Phase", self.phase, false),
            ("First seen", self.first, false),
            ("Last seen", self.last, false),
            ("Sample", self.sample, true),
        ]
        .into_iter()
        .filter(|(_, width, _)| *width > 0)
    }
}

fn draw_row(
    state: &State,
    row: &CauseRow,
    columns: &Columns,
    here: bool,
    area: Rect,
    buffer: &mut Buffer,
) {
    let in_role = |role| if here { Role::Cursor } else { role };
    let shown = |text: Option<&Text>| text.map(|text| text.shown().into_string());
    let short = |at| state.setup.zone.short(at, state.now);
    let air = if columns.margin == 5 { " " } else { "" };
    let bar = if here { "▌" } else { " " };
    let mut line = Pieces::new(state.setup.theme);
    line.push(in_role(Role::Plain), format!("{air}{bar}{air}  "));
    for (name, width, right) in columns.heads() {
        let (cell, role) = match name {
            "Count" if row.count == 0 => ("0".to_owned(), Role::Label),
            "Count" => (grouped(row.count), Role::Plain),
            "Server" => (shown(row.server.as_ref()).unwrap_or_default(), Role::Plain),
            "Phase" => (shown(row.phase.as_ref()).unwrap_or_default(), Role::Plain),
            "First seen" => (short(row.first_seen), Role::Plain),
            "Last seen" => (short(row.last_seen), Role::Plain),
            "Sample" => (row.sample.to_string(), Role::Plain),
            _ => (row.text.shown().into_string(), Role::Plain),
        };
        line.push(in_role(role), fitted(&cell, width, right));
        line.push(in_role(Role::Plain), "  ");
    }
    let fill = usize::from(area.width).saturating_sub(line.width());
    line.push(in_role(Role::Plain), " ".repeat(fill));
    line.draw_exact(area, buffer);
}

/// All that is known of one.
fn draw_one(state: &State, row: &CauseRow, index: usize, area: Rect, buffer: &mut Buffer) {
    let theme = state.setup.theme;
    let width = usize::from(area.width);
    let title = format!(" cause {} · {} ", row.id, counted(row.count, "receiver"));
    let place = format!(" {} of {} ", index + 1, state.causes.known().len());
    let mut lines = area.rows();
    if let Some(line) = lines.next() {
        Pieces::new(theme)
            .with(Role::Label, "─".repeat(width))
            .draw(line, buffer);
        let place = Pieces::new(theme).with(Role::Label, place);
        let rest = place.draw_right(
            Rect {
                width: line.width.saturating_sub(2),
                ..line
            },
            buffer,
        );
        let rest = Rect {
            x: rest.x + 2,
            width: rest.width.saturating_sub(2),
            ..rest
        };
        Pieces::new(theme)
            .with(Role::Title, title)
            .draw(rest, buffer);
    }
    let shown = row.text.shown();
    let pieces = text::wrapped(shown.as_str(), width.saturating_sub(2).max(1));
    // The last line says when and where.
    let room = usize::from(area.height).saturating_sub(2);
    for (piece, line) in pieces.iter().take(room).zip(&mut lines) {
        let line = Rect {
            x: line.x + 1,
            width: line.width.saturating_sub(2),
            ..line
        };
        Pieces::new(theme)
            .with(Role::Plain, *piece)
            .draw(line, buffer);
    }
    if let Some(line) = lines.next() {
        let zone = state.setup.zone;
        let since = |at| zone.since(at, state.now);
        let said = |before: &str, text: Option<&Text>| {
            text.map_or_else(String::new, |text| format!("{before}{}", text.shown()))
        };
        let words = format!(
            " first {}, last {}, sample {}{}{}",
            since(row.first_seen),
            since(row.last_seen),
            row.sample,
            said(", at ", row.server.as_ref()),
            said(", ", row.phase.as_ref())
        );
        Pieces::new(theme)
            .with(Role::Label, words)
            .draw(line, buffer);
    }
}
