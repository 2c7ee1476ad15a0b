//! The third line: the query, how much matches it, how much is marked.

use ratatui::{
    buffer::Buffer,
    layout::{Position, Rect},
    widgets::{Clear, Widget as _},
};

use super::Pieces;
use crate::{
    console::{
        action::Command,
        complete::Offer,
        layout::Areas,
        query_line::QueryLine,
        state::{Marks, Overlay, State},
        text::{self, compact, grouped},
        theme::{Role, Theme},
    },
    message::DisplayText,
    store::{Count, Sort},
};

/// So many things that could stand at the cursor are seen at once.
const MOST_OFFERS: usize = 8;

/// Draws it. Where the terminal's cursor belongs, while it is being edited.
pub(super) fn draw(state: &State, area: Rect, buffer: &mut Buffer) -> Option<Position> {
    let right = [false, true].map(|short| right(state, short));
    let roomy = right[0].width() + 24 <= usize::from(area.width);
    let [full, short] = right;
    let rest = if roomy { full } else { short }.draw_right(area, buffer);
    let lead = Pieces::new(state.setup.theme).with(Role::Key, lead(state));
    lead.draw(rest, buffer);
    let field = field(state, rest);
    if let Some(Overlay::Query(line)) = &state.overlay {
        return Some(draw_field(state.setup.theme, line, field, buffer));
    }
    let text = DisplayText::line(&state.table.asked.text);
    let pieces = Pieces::new(state.setup.theme);
    let pieces = if text.as_str().is_empty() {
        pieces.with(Role::Label, "everything")
    } else {
        pieces.with(Role::Plain, text.into_string())
    };
    pieces.draw(field, buffer);
    None
}

/// What stands before the words: the key that leads there.
fn lead(state: &State) -> String {
    let key = state.setup.keymap.key(Command::EditQuery);
    format!(" {} ", key.as_deref().unwrap_or(">"))
}

/// Where the words stand.
fn field(state: &State, line: Rect) -> Rect {
    let before = (text::columns(&lead(state)) as u16).min(line.width);
    Rect {
        x: line.x + before,
        width: line.width - before,
        ..line
    }
}

/// How wide what is said about the words may be.
fn room(state: &State, areas: &Areas) -> usize {
    usize::from(field(state, areas.query).width.saturating_sub(1))
}

/// Why the query cannot be read, below the place that is at fault. It lies over the table for as long.
pub(super) fn draw_error(state: &State, areas: &Areas, buffer: &mut Buffer) {
    let Some(Overlay::Query(line)) = &state.overlay else {
        return;
    };
    let theme = state.setup.theme;
    let Some(error) = &line.error else {
        return draw_offers(state, areas, buffer);
    };
    let width = room(state, areas);
    let message = DisplayText::line(&error.message);
    let message = text::wrapped(message.as_str(), width);
    let fault = text::columns(&line.text()[..floor(line.text(), error.span.start)]);
    let mut lines = vec![
        Pieces::new(theme)
            .with(Role::Plain, " ".repeat(fault))
            .with(Role::Problem, "^"),
    ];
    // Of a query longer than the line the place may be scrolled away; it is underlined there.
    if fault >= width {
        lines.clear();
    }
    lines.extend(
        message
            .into_iter()
            .map(|piece| Pieces::new(theme).with(Role::Problem, piece)),
    );
    let top = areas.query.bottom();
    let area = Rect {
        y: top,
        height: (lines.len() as u16 + 1).min(areas.footer.y.saturating_sub(top)),
        ..areas.query
    };
    Clear.render(area, buffer);
    for (line, row) in lines.iter().zip(area.rows()) {
        line.draw(field(state, row), buffer);
    }
}

/// What could stand at the cursor, below the place; below that, what makes the query slow. It lies over the table.
fn draw_offers(state: &State, areas: &Areas, buffer: &mut Buffer) {
    let editing = &state.editing;
    let theme = state.setup.theme;
    let lines_left = areas.footer.y.saturating_sub(areas.query.bottom());
    let width = room(state, areas);
    let scan = editing.scan.as_ref().map(ToString::to_string);
    let scan: Vec<&str> = scan
        .as_ref()
        .map(|scan| text::wrapped(scan, width))
        .unwrap_or_default();
    let list: Vec<(String, &Offer)> = editing
        .offers
        .list
        .iter()
        .map(|offer| (DisplayText::line(&offer.text).into_string(), offer))
        .collect();
    let height = list
        .len()
        .min(MOST_OFFERS)
        .min(usize::from(lines_left).saturating_sub(scan.len() + 1));
    let first = editing.chosen.unwrap_or(0);
    let first = first.saturating_sub(height.saturating_sub(1));
    let shown = list.iter().enumerate().skip(first).take(height);
    let widest = shown.clone().map(|(_, (words, _))| text::columns(words));
    let column = widest.max().unwrap_or(0).min(width * 2 / 3);
    let mut lines: Vec<Pieces> = shown
        .map(|(at, (words, offer))| {
            let role = if editing.chosen == Some(at) {
                Role::Cursor
            } else {
                Role::Plain
            };
            let name = if offer.name.is_some() { "kept: " } else { "" };
            Pieces::new(theme)
                .with(role, format!(" {} ", text::fitted(words, column, false)))
                .with(Role::Label, format!(" {name}{}", offer.help))
        })
        .collect();
    if list.len() > height && height > 0 {
        let more = format!(" {} of {}", height, list.len());
        lines.push(Pieces::new(theme).with(Role::Label, more));
    }
    lines.extend(
        scan.iter()
            .map(|piece| Pieces::new(theme).with(Role::Warning, *piece)),
    );
    if lines.is_empty() {
        return;
    }
    let area = Rect {
        y: areas.query.bottom(),
        height: (lines.len() as u16).min(lines_left),
        ..areas.query
    };
    Clear.render(area, buffer);
    for (line, row) in lines.iter().zip(area.rows()) {
        line.draw(field(state, row), buffer);
    }
}

/// Draws a line that is being edited. Where the terminal's cursor belongs.
pub(super) fn draw_field(
    theme: Theme,
    line: &QueryLine,
    field: Rect,
    buffer: &mut Buffer,
) -> Position {
    // The last column is the cursor's, when it stands behind the text.
    let width = usize::from(field.width).saturating_sub(1).max(1);
    let (scroll, column) = line.scrolled(width);
    let text = line.text();
    let mut pieces = Pieces::new(theme);
    match &line.error {
        Some(error) => {
            let start = floor(text, error.span.start);
            let end = floor(text, error.span.end).max(start);
            pieces.push(Role::Plain, &text[..start]);
            pieces.push(Role::Fault, &text[start..end]);
            pieces.push(Role::Plain, &text[end..]);
        }
        None if line.is_selected() => pieces.push(Role::Selection, text),
        None => pieces.push(Role::Plain, text),
    }
    pieces.skip(scroll).draw(field, buffer);
    let x = field.x + (column as u16).min(field.width.saturating_sub(1));
    Position::new(x, field.y)
}

/// The nearest place at or before `at` where a letter begins.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The query line, while it is being written and was changed.
fn being_written(state: &State) -> Option<&QueryLine> {
    match &state.overlay {
        Some(Overlay::Query(line)) if !line.is_selected() => {
            (line.text() != state.table.asked.text).then_some(line)
        }
        _ => None,
    }
}

/// How many match, in words.
fn matches(count: Count, number: &dyn Fn(u64) -> String, short: bool) -> String {
    let word = if short { "" } else { " match" };
    match count {
        Count::Exact(count) => format!("{}{word}", number(count)),
        Count::AtLeast(count) => format!("≥ {}{word}", number(count)),
    }
}

/// Matches and marks.
fn right(state: &State, short: bool) -> Pieces {
    let number = |number: u64| {
        if short {
            compact(number)
        } else {
            grouped(number)
        }
    };
    let mut pieces = Pieces::new(state.setup.theme);
    if let Some(line) = being_written(state) {
        let count = match (&state.editing.query, state.editing.count) {
            _ if line.error.is_some() => String::new(),
            (None, _) => "not yet a query".to_owned(),
            (Some(_), None) => "counting…".to_owned(),
            (Some(_), Some(count)) => matches(count, &number, short),
        };
        return pieces.with(Role::Label, format!("{count} "));
    }
    // Rows above the screen: what came in while somebody was reading.
    let above = state.table.top() as u64;
    if state.table.loaded && above > 0 {
        let more = if state.table.newest { "" } else { "+" };
        let gap = if short { " " } else { "   " };
        pieces.push(Role::Label, format!("↑{}{more}{gap}", number(above)));
    }
    if state.table.loaded {
        if state.table.sort != Sort::default() && !short {
            let by = format!("by {}   ", state.table.sort.by.name());
            pieces.push(Role::Label, by);
        }
        if state.table.scan.is_some() && !short {
            pieces.push(Role::Warning, "no index   ");
        }
        let word = if short { "" } else { " match" };
        let count = state
            .table
            .count
            .map(|count| matches(count, &number, short));
        let count = count.unwrap_or_else(|| format!("…{word}"));
        pieces.push(Role::Plain, count);
    }
    if state.table.failed.is_some() {
        pieces.push(Role::Problem, "not read");
    } else if !state.table.loaded {
        pieces.push(Role::Label, "reading…");
    }
    if !state.marks.is_empty() {
        let gap = if short { " " } else { "   " };
        let word = if short { "●" } else { "marked " };
        let (total, hidden) = match (state.marked(), &state.marks) {
            (Some(marked), _) => (number(marked.total), Some(marked.hidden)),
            (None, Marks::Ids(ids)) => (number(ids.len() as u64), None),
            (None, Marks::All { except, .. }) if except.is_empty() => ("all".to_owned(), None),
            (None, Marks::All { except, .. }) => {
                (format!("all but {}", number(except.len() as u64)), None)
            }
        };
        let hidden = match hidden {
            None | Some(0) => String::new(),
            Some(hidden) => format!(" ({} hidden)", number(hidden)),
        };
        pieces.push(Role::Mark, format!("{gap}{word}{total}{hidden}"));
    }
    if !pieces.is_empty() {
        pieces.push(Role::Plain, " ");
    }
    pieces
}
