//! The state as a screen. No I/O, and no decisions: what is shown is what is known.

mod causes;
mod columns;
mod confirm;
mod counts;
mod detail;
mod filter;
mod footer;
mod header;
mod help;
mod overview;
mod palette;
mod query_line;
mod scrollbar;
mod table;

use ratatui::{
    Frame,
    buffer::Buffer,
    layout::{Position, Rect},
    style::Style,
    text::{Line, Span},
};

use super::{
    ascii::in_ascii,
    column::Column,
    layout::{Areas, SMALLEST},
    state::{Overlay, Screen, State},
    text,
    theme::{Role, Theme},
};

/// Draws the whole screen.
pub fn view(state: &State, frame: &mut Frame<'_>) {
    let area = frame.area();
    // The terminal may have another size by now than the last event said; the frame is right.
    let Some(areas) = Areas::of(area.as_size(), state.focus, state.notes().len()) else {
        too_small(area, frame.buffer_mut());
        return;
    };
    let buffer = frame.buffer_mut();
    header::draw(state, areas.header, buffer);
    counts::draw(state, areas.counts, buffer);
    let mut cursor = query_line::draw(state, areas.query, buffer);
    footer::draw_notes(state, areas.notes, buffer);
    if let Some(Overlay::Help(help)) = &state.overlay {
        help::draw(state, *help, help_area(&areas), buffer);
    } else if let Some(Overlay::Palette(looked_for)) = &state.overlay {
        cursor = Some(palette::draw(state, looked_for, areas.body(), buffer));
    } else {
        let row = match state.screen {
            Screen::Receivers => receivers(state, &areas, buffer),
            Screen::Causes => causes::draw(state, &areas, buffer),
            Screen::Overview => overview::draw(state, &areas, buffer),
        };
        cursor = cursor.or(row);
        query_line::draw_error(state, &areas, buffer);
        if let Some(Overlay::Confirm(confirm)) = &state.overlay {
            confirm::draw(state, confirm, area, buffer);
            cursor = None;
        }
    }
    cursor = footer::draw(state, areas.footer, buffer).or(cursor);
    if state.setup.ascii {
        in_ascii(buffer);
    }
    if let Some(position) = cursor {
        frame.set_cursor_position(position);
    }
}

/// The table, a panel beside it, and the detail. Where the row or the line under the cursor begins.
fn receivers(state: &State, areas: &Areas, buffer: &mut Buffer) -> Option<Position> {
    let (panel, beside) = split(state, areas.table);
    let row = table::draw(state, beside, buffer);
    let line = match &state.overlay {
        Some(Overlay::Filter(filter)) => filter::draw(state, filter, panel, buffer),
        Some(Overlay::Columns(at)) => columns::draw(state, *at, panel, buffer),
        _ => None,
    };
    for y in areas.divider.rows() {
        buffer.set_stringn(y.x, y.y, "│", 1, state.setup.theme.style(Role::Label));
    }
    // Where there is a line between the panes, it is the bar too.
    let last = Rect {
        x: beside.right().saturating_sub(1),
        width: beside.width.min(1),
        ..beside
    };
    let bar = if areas.divider.is_empty() {
        last
    } else {
        areas.divider
    };
    scrollbar::draw(state, bar, buffer);
    detail::draw(state, areas, buffer);
    line.or(row)
}

/// How many causes are seen at once; at least 1, so that arithmetic goes on when none is.
pub(super) fn causes_lines(state: &State) -> usize {
    state
        .areas()
        .map_or(1, |areas| causes::lines(&areas).max(1))
}

/// How many lines the overview has, and how many of them are seen.
pub(super) fn overview_extent(state: &State) -> (usize, usize) {
    state
        .areas()
        .map_or((0, 0), |areas| overview::extent(state, &areas))
}

/// The first line of the overview that is seen.
pub(super) fn overview_top(state: &State) -> usize {
    let (lines, _) = overview_extent(state);
    state
        .areas()
        .map_or(0, |areas| overview::scroll(state, &areas, lines))
}

/// The first line of the overview to be seen so that its cursor is.
pub(super) fn overview_scroll(state: &State) -> usize {
    state
        .areas()
        .map_or(0, |areas| overview::scroll_to_cursor(state, &areas))
}

/// How wide a panel beside the table is.
const PANEL: u16 = 34;

/// A table narrower than this is not worth drawing beside a panel.
const LEAST_TABLE: u16 = 46;

/// The panel's part of the table's area, and the table's: on a small screen the panel has all of it.
fn split(state: &State, area: Rect) -> (Rect, Rect) {
    let none = Rect { width: 0, ..area };
    match &state.overlay {
        Some(Overlay::Filter(_) | Overlay::Columns(_)) if area.width >= PANEL + LEAST_TABLE => {
            let panel = Rect {
                width: PANEL,
                ..area
            };
            let rest = Rect {
                x: area.x + PANEL,
                width: area.width - PANEL,
                ..area
            };
            (panel, rest)
        }
        Some(Overlay::Filter(_) | Overlay::Columns(_)) => (area, none),
        _ => (none, area),
    }
}

/// The columns of the table on this screen, with their widths.
pub(super) fn widths(state: &State) -> Vec<(Column, usize)> {
    let table = state.areas().map(|areas| split(state, areas.table).1);
    let table = table.filter(|area| !area.is_empty());
    table.map_or_else(Vec::new, |area| table::widths(state, area))
}

/// How many lines the help has and how many of them are seen.
pub(super) fn help_extent(state: &State) -> (usize, usize) {
    match (&state.overlay, state.areas()) {
        (Some(Overlay::Help(help)), Some(areas)) => {
            let area = help_area(&areas);
            let lines = help::lines(state, help.place, usize::from(area.width));
            (lines.len(), usize::from(area.height.saturating_sub(1)))
        }
        _ => (0, 0),
    }
}

/// The help lies over all but the first line and what is said below.
fn help_area(areas: &Areas) -> Rect {
    let height = areas.notes.y.saturating_sub(areas.counts.y);
    Rect {
        height,
        ..areas.counts
    }
}

fn too_small(area: Rect, buffer: &mut Buffer) {
    let word = format!("postroom needs {}×{}", SMALLEST.width, SMALLEST.height);
    let line = Rect {
        y: area.y + area.height / 2,
        height: area.height.min(1),
        ..area
    };
    if !line.is_empty() {
        buffer.set_stringn(line.x, line.y, word, usize::from(line.width), Style::new());
    }
}

/// A line of pieces, each in its role, that knows how wide it is.
#[derive(Clone, Debug)]
struct Pieces {
    theme: Theme,
    parts: Vec<(String, Role)>,
}

impl Pieces {
    fn new(theme: Theme) -> Self {
        Self {
            theme,
            parts: Vec::new(),
        }
    }

    fn push(&mut self, role: Role, text: impl Into<String>) {
        self.parts.push((text.into(), role));
    }

    fn with(mut self, role: Role, text: impl Into<String>) -> Self {
        self.push(role, text);
        self
    }

    fn append(&mut self, other: Self) {
        self.parts.extend(other.parts);
    }

    fn width(&self) -> usize {
        self.parts.iter().map(|(text, _)| text::columns(text)).sum()
    }

    fn is_empty(&self) -> bool {
        self.parts.iter().all(|(text, _)| text.is_empty())
    }

    /// Draws from the left of the area, cut at its right with an ellipsis.
    fn draw(&self, area: Rect, buffer: &mut Buffer) {
        if area.is_empty() {
            return;
        }
        let mut left = usize::from(area.width);
        let mut spans = Vec::with_capacity(self.parts.len());
        for (text, role) in &self.parts {
            let cut = text::cut(text, left);
            let was_cut = cut != *text;
            left -= text::columns(&cut);
            spans.push(Span::styled(cut, self.theme.style(*role)));
            if was_cut {
                break;
            }
        }
        buffer.set_line(area.x, area.y, &Line::from(spans), area.width);
    }

    /// Draws from the left of the area; what does not fit is cut without a word.
    fn draw_exact(&self, area: Rect, buffer: &mut Buffer) {
        let spans = self
            .parts
            .iter()
            .map(|(text, role)| Span::styled(text.as_str(), self.theme.style(*role)));
        buffer.set_line(area.x, area.y, &spans.collect::<Line<'_>>(), area.width);
    }

    /// Draws at the right end of the area; what is left of it is returned, with a gap.
    fn draw_right(&self, area: Rect, buffer: &mut Buffer) -> Rect {
        if self.is_empty() {
            return area;
        }
        let width = self.width().min(usize::from(area.width)) as u16;
        let x = area.right() - width;
        self.draw(Rect { x, width, ..area }, buffer);
        Rect {
            width: area.width.saturating_sub(width + 2),
            ..area
        }
    }

    /// Without its first columns.
    fn skip(mut self, columns: usize) -> Self {
        let mut left = columns;
        for (text, _) in &mut self.parts {
            let width = text::columns(text);
            if width <= left {
                left -= width;
                text.clear();
            } else {
                let keep = width - left;
                *text = text::last(text, keep).to_owned();
                break;
            }
        }
        self
    }
}
