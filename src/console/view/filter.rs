//! The filter panel.

use ratatui::{
    buffer::Buffer,
    layout::{Position, Rect},
    widgets::{Clear, Widget as _},
};

use super::Pieces;
use crate::{
    console::{
        column::label_of,
        filter::{self, Choice},
        state::{Panel, State},
        text::{self, compact, grouped},
        theme::Role,
    },
    message::{DisplayText, Text},
    store::Count,
};

/// A panel of fewer lines has none for what it cannot show.
const LEAST: u16 = 6;

/// Draws it. Where the line under the cursor begins.
pub(super) fn draw(
    state: &State,
    panel: &Panel,
    area: Rect,
    buffer: &mut Buffer,
) -> Option<Position> {
    Clear.render(area, buffer);
    let theme = state.setup.theme;
    let width = usize::from(area.width).saturating_sub(1);
    let asked = &state.table.asked;
    let choices = filter::choices(&state.words, asked);
    let mut lines: Vec<(Option<usize>, Pieces)> = Vec::new();
    let mut section = None;
    for (at, choice) in choices.iter().enumerate() {
        if section.replace(choice.section()) != Some(choice.section()) {
            let title = format!(" {}", choice.section().title());
            lines.push((None, Pieces::new(theme).with(Role::Title, title)));
        }
        lines.push((Some(at), line(state, panel, choice, at == panel.at, width)));
    }
    let area = beside(state, area, buffer);
    let height = usize::from(area.height);
    let here = lines.iter().position(|(at, _)| *at == Some(panel.at));
    // The head of its part stays in sight with the first line of it.
    let below = here.unwrap_or(0) + 2;
    let first = below.saturating_sub(height).min(here.unwrap_or(0));
    let mut cursor = None;
    for ((at, pieces), row) in lines.iter().skip(first).zip(area.rows()) {
        pieces.draw(row, buffer);
        if *at == Some(panel.at) {
            cursor = Some(Position::new(row.x + 1, row.y));
        }
    }
    cursor
}

/// What the query says beside what the panel shows, in its last lines. What is left of it for the choices.
fn beside(state: &State, area: Rect, buffer: &mut Buffer) -> Rect {
    let rest = filter::beside(&state.table.asked).join(" ");
    if rest.is_empty() || area.height < LEAST {
        return area;
    }
    let words = format!("and {}", DisplayText::line(&rest));
    let width = usize::from(area.width).saturating_sub(2).max(1);
    let pieces = text::wrapped(&words, width);
    let height = pieces.len().min(2) as u16;
    let last = Rect {
        x: area.x + 1,
        y: area.bottom() - height,
        width: area.width.saturating_sub(1),
        height,
    };
    for (piece, row) in pieces.iter().zip(last.rows()) {
        Pieces::new(state.setup.theme)
            .with(Role::Label, *piece)
            .draw(row, buffer);
    }
    Rect {
        height: area.height - height,
        ..area
    }
}

fn line(state: &State, panel: &Panel, choice: &Choice, here: bool, width: usize) -> Pieces {
    let on = choice.is_on(&state.table.asked);
    let sign = match (choice, on) {
        (Choice::Sent(_), true) => "(•)",
        (Choice::Sent(_), false) => "( )",
        (_, true) => "[x]",
        (_, false) => "[ ]",
    };
    let name = match choice {
        Choice::Status(status) => status.label().to_owned(),
        Choice::Sent(day) => day.label().to_owned(),
        Choice::Type(word) => label_of(&Text::from(word.as_str()), &state.setup),
        Choice::Backend(word) | Choice::Language(word) => DisplayText::line(word).into_string(),
    };
    let count = panel.counts.iter().find(|(other, _)| other == choice);
    let count = match count {
        Some((_, Count::Exact(count))) if *count < 10_000_000 => grouped(*count),
        Some((_, Count::Exact(count))) => compact(*count),
        Some((_, Count::AtLeast(count))) => format!("≥ {}", grouped(*count)),
        None => "…".to_owned(),
    };
    let room = width.saturating_sub(text::columns(&count) + 7);
    let words = format!(" {sign} {} ", text::fitted(&name, room, false));
    let role = |role| if here { Role::Cursor } else { role };
    let status = match choice {
        Choice::Status(status) => Role::Status(*status),
        _ => Role::Plain,
    };
    Pieces::new(state.setup.theme)
        .with(role(if on { Role::Chosen } else { status }), words)
        .with(role(Role::Plain), format!("{count} "))
}
