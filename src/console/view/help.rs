//! The help: every key of a place, and why some do nothing now.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    widgets::{Clear, Widget as _},
};

use super::Pieces;
use crate::console::{
    action::{self, Place},
    state::{Help, State},
    text,
    theme::Role,
};

/// The signs of the table.
const SIGNS: [(&str, &str); 9] = [
    ("▌", "the cursor"),
    ("●", "marked"),
    ("○", "in the range that has begun"),
    (
        "≠",
        "no longer matches, or stands elsewhere; stays while the cursor is on it",
    ),
    ("▸", "being sent now"),
    ("‖", "held back by an operator"),
    ("↑12", "so many rows above"),
    (
        "█",
        "where the screen is among all that matches, by number or time",
    ),
    ("┊", "somewhere in between: this order does not say where"),
];

pub(super) fn draw(state: &State, help: Help, area: Rect, buffer: &mut Buffer) {
    Clear.render(area, buffer);
    let mut rows = area.rows();
    if let Some(title) = rows.next() {
        let theme = state.setup.theme;
        Pieces::new(theme)
            .with(Role::Label, "─".repeat(usize::from(area.width)))
            .draw(title, buffer);
        let title = Rect {
            x: title.x + 2,
            width: title.width.saturating_sub(2),
            ..title
        };
        Pieces::new(theme)
            .with(Role::Title, " Keys ")
            .draw(title, buffer);
    }
    let lines = lines(state, help.place, usize::from(area.width));
    let height = usize::from(area.height.saturating_sub(1));
    let scroll = help.scroll.min(lines.len().saturating_sub(height));
    for (line, row) in lines.into_iter().skip(scroll).zip(rows) {
        line.draw(row, buffer);
    }
}

/// The lines on a screen of this width: the place's own keys first, then those of the others.
pub(super) fn lines(state: &State, place: Place, width: usize) -> Vec<Pieces> {
    let theme = state.setup.theme;
    let others = [
        Place::Table,
        Place::Detail,
        Place::Causes,
        Place::Overview,
        Place::Copying,
        Place::Query,
        Place::Prompt,
        Place::Palette,
        Place::Question,
    ];
    let mut lines = Vec::new();
    let mut told = Vec::new();
    for section in std::iter::once(place).chain(others.into_iter().filter(|other| *other != place))
    {
        if !lines.is_empty() {
            lines.push(Pieces::new(theme));
        }
        lines.push(Pieces::new(theme).with(Role::Title, format!(" {}", section.name())));
        for entry in action::in_place(section) {
            // What works in several places is told once, in the first.
            if told.contains(&entry.command) {
                continue;
            }
            told.push(entry.command);
            let why = if section == place {
                (entry.disabled)(state)
            } else {
                None
            };
            let keymap = &state.setup.keymap;
            let mut words = keymap.fill(entry.help);
            if let Some(why) = why {
                words = format!("{words} Not now: {}.", keymap.fill(why));
            }
            let role = if why.is_some() {
                Role::Label
            } else {
                Role::Plain
            };
            let keys = keymap.shown(entry);
            push(&mut lines, state, &keys, &words, role, width);
        }
    }
    lines.push(Pieces::new(theme));
    lines.push(Pieces::new(theme).with(Role::Title, " Signs"));
    for (sign, meaning) in SIGNS {
        push(&mut lines, state, sign, meaning, Role::Plain, width);
    }
    lines
}

fn push(lines: &mut Vec<Pieces>, state: &State, keys: &str, words: &str, role: Role, width: usize) {
    let column = if width < 60 { 12 } else { 18 };
    for (index, piece) in text::wrapped(words, width.saturating_sub(column + 2).max(8))
        .into_iter()
        .enumerate()
    {
        let keys = if index == 0 { keys } else { "" };
        let keys = text::fitted(keys, column, false);
        lines.push(
            Pieces::new(state.setup.theme)
                .with(Role::Key, format!(" {keys} "))
                .with(role, piece),
        );
    }
}
