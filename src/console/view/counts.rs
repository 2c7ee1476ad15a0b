//! The second line: the statuses, their keys and how many receivers have them.

use ratatui::{buffer::Buffer, layout::Rect};

use super::Pieces;
use crate::{
    console::{
        action::Command,
        layout::Focus,
        state::State,
        text::{compact, grouped},
        theme::Role,
        update::words_of,
    },
    message::Status,
};

/// The statuses, and the actions that show them.
const STATUSES: [(Command, Option<Status>); 5] = [
    (Command::ShowAll, None),
    (Command::ShowNotSent, Some(Status::NotSent)),
    (Command::ShowFailed, Some(Status::Failed)),
    (Command::ShowError, Some(Status::Error)),
    (Command::ShowSent, Some(Status::Sent)),
];

pub(super) fn draw(state: &State, area: Rect, buffer: &mut Buffer) {
    let levels = [
        (3, true, true),
        (2, true, true),
        (2, true, false),
        (1, true, false),
        (2, false, false),
        (1, false, false),
    ];
    let mut lines = levels
        .into_iter()
        .map(|(gap, labels, exact)| pieces(state, gap, labels, exact));
    let line = lines
        .find(|line| line.width() <= usize::from(area.width))
        .unwrap_or_else(|| pieces(state, 1, false, false));
    line.draw(area, buffer);
}

fn pieces(state: &State, gap: usize, labels: bool, exact: bool) -> Pieces {
    let mut pieces = Pieces::new(state.setup.theme);
    for (command, status) in STATUSES {
        let number = state.counts.as_ref().map(|counts| match status {
            Some(status) => counts.of(status),
            None => counts.total(),
        });
        let number = match number {
            Some(number) if exact => grouped(number),
            Some(number) => compact(number),
            None => "…".to_owned(),
        };
        let chosen = state.table.asked.text == words_of(status);
        let role = match (chosen, status) {
            (true, _) => Role::Chosen,
            (false, Some(status)) if number != "0" => Role::Status(status),
            _ => Role::Plain,
        };
        let gap = if status.is_none() { 1 } else { gap };
        pieces.push(Role::Plain, " ".repeat(gap));
        // While the detail has the keys, its digits are those of the tabs.
        let digit = if state.focus == Focus::Detail {
            Role::Label
        } else {
            Role::Key
        };
        if let Some(key) = state.setup.keymap.key(command) {
            pieces.push(digit, format!("{key} "));
        }
        // Of the narrowest kind only the chosen status says its name.
        let label = match status {
            _ if !labels && !chosen => "",
            Some(status) => status.label(),
            None => "All",
        };
        let space = if label.is_empty() { "" } else { " " };
        pieces.push(role, format!("{label}{space}{number}"));
    }
    pieces
}
