//! The last line: the keys that work now, and what was last to be said.

use ratatui::{
    buffer::Buffer,
    layout::{Position, Rect},
};

use super::{Pieces, query_line};
use crate::console::{
    action::{self, Command, Place},
    state::{Job, Overlay, Phase, Prompt, Screen, State, Wanted},
    text::grouped,
    theme::Role,
};
use crate::store::{BackendRow, BackendState};

/// Draws it. Where the terminal's cursor belongs, while a line of text is written here.
pub(super) fn draw(state: &State, area: Rect, buffer: &mut Buffer) -> Option<Position> {
    if let Some(Overlay::Prompt(prompt)) = &state.overlay {
        return Some(draw_prompt(state, prompt, area, buffer));
    }
    let rest = said(state, usize::from(area.width)).draw_right(area, buffer);
    hints(state, usize::from(rest.width)).draw(rest, buffer);
    None
}

/// The line of text that is being written, and its keys where there is room for both.
fn draw_prompt(state: &State, prompt: &Prompt, area: Rect, buffer: &mut Buffer) -> Position {
    let theme = state.setup.theme;
    let label: &str = match prompt.wanted {
        Wanted::Search => " search: ",
        Wanted::File | Wanted::AttachmentFile(..) => " save as: ",
        Wanted::Attachment(_, many) => &format!(" which attachment, 1 to {many}: "),
        Wanted::QueryName => " keep the query as: ",
        Wanted::Id => " go to number: ",
    };
    let hints = hints(state, usize::from(area.width / 2));
    let area = if usize::from(area.width) >= hints.width() + label.len() + 30 {
        hints.draw_right(area, buffer)
    } else {
        area
    };
    Pieces::new(theme).with(Role::Key, label).draw(area, buffer);
    let field = Rect {
        x: area.x + label.len() as u16,
        width: area.width.saturating_sub(label.len() as u16),
        ..area
    };
    query_line::draw_field(theme, &prompt.line, field, buffer)
}

/// Draws what was said and finds no room in the last line.
pub(super) fn draw_notes(state: &State, area: Rect, buffer: &mut Buffer) {
    for ((text, bad), line) in state.notes().into_iter().zip(area.rows()) {
        let role = if bad { Role::Warning } else { Role::Good };
        let pieces = Pieces::new(state.setup.theme).with(role, format!(" {text}"));
        pieces.draw(line, buffer);
    }
}

/// The hints that find room. On a narrow line the less important ones give way first; the order stays that of the table of actions.
fn hints(state: &State, room: usize) -> Pieces {
    let place = state.place();
    let mut entries: Vec<_> = action::in_place(place)
        .filter(|entry| entry.footer.is_some() && (entry.disabled)(state).is_none())
        .filter_map(|entry| Some((entry, state.setup.keymap.first(entry)?)))
        .collect();
    loop {
        let mut pieces = Pieces::new(state.setup.theme);
        for (entry, key) in &entries {
            let gap = if pieces.is_empty() { " " } else { "   " };
            pieces.push(Role::Key, format!("{gap}{key}"));
            pieces.push(Role::Plain, format!(" {}", hint(state, entry)));
        }
        if pieces.width() <= room {
            return pieces;
        }
        let weakest = entries
            .iter()
            .enumerate()
            .max_by_key(|(_, (entry, _))| entry.footer);
        let Some((weakest, _)) = weakest else {
            return pieces;
        };
        entries.remove(weakest);
    }
}

fn hint(state: &State, entry: &action::Entry) -> &'static str {
    match entry.command {
        Command::Range if state.range.is_some() => "end range",
        Command::Resend if state.screen == Screen::Causes => "resend all",
        Command::Resend if !state.marks.is_empty() => "resend marked",
        Command::Open if state.screen == Screen::Causes => "its receivers",
        Command::Open if state.screen == Screen::Overview => "what failed",
        Command::Pause if state.overview.current(state).is_some_and(is_paused) => "resume",
        Command::Yes if matches!(&state.overlay, Some(Overlay::Confirm(confirm)) if !confirm.is_typed()) => {
            "yes, once the number is typed"
        }
        _ => entry.hint,
    }
}

fn is_paused(row: &BackendRow) -> bool {
    row.state == BackendState::Paused
}

/// What was last to be said, and how the jobs are going.
fn said(state: &State, room: usize) -> Pieces {
    let theme = state.setup.theme;
    let mut pieces = Pieces::new(theme);
    // A question has the line for its answers.
    let said = state.said().filter(|_| {
        state.hint.is_some() || state.trouble.is_some() || state.place() != Place::Question
    });
    if let Some((text, bad)) = said {
        let role = if bad { Role::Warning } else { Role::Good };
        pieces.push(role, format!(" {text} "));
    }
    let Some(job) = state.jobs.last() else {
        return pieces;
    };
    for short in [false, true] {
        let mut both = pieces.clone();
        both.append(progress(state, job, short));
        if both.width() <= room {
            return both;
        }
    }
    if pieces.is_empty() {
        progress(state, job, true)
    } else {
        pieces
    }
}

fn progress(state: &State, job: &Job, short: bool) -> Pieces {
    const STEPS: u64 = 8;
    let (done, total) = job.progress();
    let mut pieces = Pieces::new(state.setup.theme);
    let word = match job.phase {
        _ if job.stopping => "stopping",
        Phase::Marking(_) => "preparing",
        Phase::Delivering(..) => job.order.action.name(),
    };
    pieces.push(
        Role::Plain,
        format!(" {word} {}/{} ", grouped(done), grouped(total)),
    );
    if !short {
        let full = (done * STEPS).checked_div(total).unwrap_or(0);
        let bar: String = (0..STEPS)
            .map(|step| if step < full { '▓' } else { '░' })
            .collect();
        pieces.push(Role::Plain, format!("{bar} "));
        if state.jobs.len() > 1 {
            pieces.push(Role::Label, format!("+{} ", state.jobs.len() - 1));
        }
    }
    if !job.stopping
        && let Some(key) = state.setup.keymap.key(Command::Stop)
    {
        pieces.push(Role::Key, key);
        pieces.push(Role::Plain, " stop ");
    }
    pieces
}
