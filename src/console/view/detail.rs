//! The detail of one receiver: a title with the tabs, and below it what the tab says.

use ratatui::{buffer::Buffer, layout::Rect};

use super::Pieces;
use crate::console::{
    detail::Tab,
    layout::{Areas, Focus},
    page::Shape,
    state::{Overlay, Search, State},
    text,
    theme::Role,
};

/// The identity may shrink to so many columns before tabs do.
const LEAST_NAME: usize = 18;

pub(super) fn draw(state: &State, areas: &Areas, buffer: &mut Buffer) {
    let area = areas.detail;
    if area.is_empty() {
        return;
    }
    title(state, Rect { height: 1, ..area }, buffer);
    let body = areas.detail_body();
    if state.pane.id.is_none() {
        let word = if state.table.cursor.is_some() {
            "reading…"
        } else {
            ""
        };
        Pieces::new(state.setup.theme)
            .with(Role::Label, word)
            .draw(body, buffer);
        return;
    }
    let pane = &state.pane;
    let shape = Shape {
        width: usize::from(body.width),
        height: usize::from(body.height),
        wrap: !pane.unwrapped,
    };
    let copying = match state.overlay {
        Some(Overlay::Copying { line }) => line,
        _ => None,
    };
    let search = pane.search.as_ref();
    let words = search.map(|search| search.words.as_str());
    let here = search.and_then(Search::here);
    for (row, line) in pane.page.shown(pane.at, shape).iter().zip(body.rows()) {
        let indent = row.indent as u16;
        let line = Rect {
            x: line.x + indent,
            width: line.width.saturating_sub(indent),
            ..line
        };
        let mut pieces = Pieces::new(state.setup.theme);
        for (part, role) in pane.page.parts(row, words, here) {
            let role = if copying == Some(row.line) {
                Role::Cursor
            } else {
                role
            };
            pieces.push(role, part);
        }
        if copying == Some(row.line) && pieces.is_empty() {
            pieces.push(Role::Cursor, " ");
        }
        pieces.skip(pane.sideways).draw(line, buffer);
    }
}

fn title(state: &State, area: Rect, buffer: &mut Buffer) {
    let theme = state.setup.theme;
    let width = usize::from(area.width);
    let rule = Pieces::new(theme).with(Role::Label, "─".repeat(width));
    rule.draw(area, buffer);

    let whose = match (state.pane.id, &state.pane.detail) {
        (Some(id), Some(detail)) => format!(" {id} · {} ", detail.row.identity.shown()),
        (Some(id), None) => format!(" {id} "),
        _ => String::new(),
    };
    // Whose detail it is should be seen before all tabs are; on the narrowest screens it gives way.
    let least = text::columns(&whose).min(LEAST_NAME);
    let fits =
        |tabs: &Pieces, right: &Pieces| 2 + least + 2 + tabs.width() + 2 + right.width() <= width;
    let (tabs, right) = [
        (Tabs::WithKeys, true),
        (Tabs::All, true),
        (Tabs::All, false),
        (Tabs::This, true),
    ]
    .into_iter()
    .map(|(which, long)| (tabs(state, which), right(state, long)))
    .find(|(tabs, right)| fits(tabs, right))
    .unwrap_or_else(|| (tabs(state, Tabs::This), right(state, false)));
    let room = width.saturating_sub(2 + 2 + tabs.width() + right.width() + 2);
    let name_role = if state.focus == Focus::Detail {
        Role::Title
    } else {
        Role::Plain
    };
    let mut left = Pieces::new(theme).with(Role::Label, "──");
    left.push(name_role, fit_name(&whose, room));
    left.push(Role::Label, "──");
    left.append(tabs);
    let rest = right.draw_right(area, buffer);
    left.draw(rest, buffer);
}

/// The name within so many columns; its last is a space, cut or not.
fn fit_name(whose: &str, room: usize) -> String {
    if text::columns(whose) <= room {
        whose.to_owned()
    } else if room < 6 {
        String::new()
    } else {
        format!("{} ", text::cut(whose.trim_end(), room - 1))
    }
}

/// How much is said of the tabs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tabs {
    /// Each with the key that shows it, where it does.
    WithKeys,
    All,
    /// Only the one that is shown.
    This,
}

fn tabs(state: &State, which: Tabs) -> Pieces {
    let mut pieces = Pieces::new(state.setup.theme).with(Role::Plain, " ");
    if which == Tabs::This {
        let place = state.pane.tab as usize + 1;
        pieces.push(Role::Chosen, state.pane.tab.name());
        pieces.push(Role::Label, format!(" {place}/{} ", Tab::ALL.len()));
        return pieces;
    }
    for (index, tab) in Tab::ALL.into_iter().enumerate() {
        if index > 0 {
            pieces.push(Role::Label, " │ ");
        }
        let role = if tab == state.pane.tab {
            Role::Chosen
        } else {
            Role::Plain
        };
        if which == Tabs::WithKeys && state.focus == Focus::Detail {
            pieces.push(Role::Key, format!("{} ", index + 1));
        }
        pieces.push(role, tab.name());
    }
    pieces.with(Role::Plain, " ")
}

/// Which attempt, and how far down.
fn right(state: &State, long: bool) -> Pieces {
    let mut words = Vec::new();
    let attempts = state
        .pane
        .detail
        .as_ref()
        .map_or(0, |detail| detail.attempts.len());
    if state.pane.tab.is_of_attempt() && attempts > 0 {
        let attempt = state.pane.attempt + 1;
        words.push(if long {
            format!("attempt {attempt} of {attempts}")
        } else {
            format!("{attempt}/{attempts}")
        });
    }
    // Where the line that names the parts is out of sight.
    if let (Tab::Content, Some(reading)) = (state.pane.tab, &state.pane.content)
        && state.pane.at.line > 0
        && let Some(place) = reading.place()
    {
        let name = reading.part.name();
        words.push(if long {
            format!("{name} {place}")
        } else {
            name.to_owned()
        });
    }
    if let Some(search) = &state.pane.search {
        words.push(search.said());
    }
    if state.pane.sideways > 0 {
        words.push(format!("→{}", state.pane.sideways));
    }
    if let Some(seen) = state.pane.page.seen(state.pane.at, state.shape()) {
        words.push(format!("{seen}%"));
    }
    let pieces = Pieces::new(state.setup.theme);
    if words.is_empty() {
        pieces
    } else {
        pieces
            .with(Role::Plain, format!(" {} ", words.join(" · ")))
            .with(Role::Label, "──")
    }
}
