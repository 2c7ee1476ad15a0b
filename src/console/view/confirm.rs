//! A question that wants a `y`: what would happen, to how many of which status.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    widgets::{Block, Borders, Clear, Widget as _},
};

use super::Pieces;
use crate::{
    console::{
        effect::Order,
        layout::Focus,
        question::Reach,
        state::{Confirm, State},
        text::{self, counted, grouped},
        theme::Role,
    },
    message::{DisplayText, Status},
    store::{Action, Affected, Row},
};

/// Below this height a question takes the whole width, without a box, and says more in a line.
const ROOMY: u16 = 16;

/// Draws it over the screen, but not over the footer.
pub(super) fn draw(state: &State, confirm: &Confirm, screen: Rect, buffer: &mut Buffer) {
    let screen = Rect {
        height: screen.height.saturating_sub(1),
        ..screen
    };
    let short = screen.height < ROOMY;
    let margin = if short { 2 } else { 6 };
    let room = usize::from(screen.width.saturating_sub(margin)).min(64);
    let lines = lines(state, confirm, room, short);
    let longest = lines.iter().map(Pieces::width).max().unwrap_or(0) as u16;
    let (width, height) = if short {
        (screen.width, lines.len() as u16 + 1)
    } else {
        (longest.max(30) + 4, lines.len() as u16 + 2)
    };
    let left = screen.width.saturating_sub(width) / 2;
    let above = screen.height.saturating_sub(height);
    let area = Rect {
        x: screen.x + left,
        y: screen.y + if short { above } else { above / 2 },
        width,
        height,
    }
    .intersection(screen);
    clear(area, buffer);
    let block = if short {
        Block::new().borders(Borders::TOP)
    } else {
        Block::bordered()
    };
    let inner = block.inner(area);
    block.render(area, buffer);
    // The last line holds the answer: it is there however little room there is.
    let fit = usize::from(inner.height);
    let shown = if lines.len() > fit {
        let (answer, rest) = lines
            .split_last()
            .map_or((&[][..], &[][..]), |(answer, rest)| {
                (std::slice::from_ref(answer), rest)
            });
        rest.iter().take(fit.saturating_sub(1)).chain(answer)
    } else {
        lines.iter().take(fit).chain(&[])
    };
    for (line, row) in shown.zip(inner.rows()) {
        let row = Rect {
            x: row.x + 1,
            width: row.width.saturating_sub(2),
            ..row
        };
        line.draw(row, buffer);
    }
}

/// Clears the area, and the letter of two columns that may reach into it from the left: a terminal would show that instead of the border.
fn clear(area: Rect, buffer: &mut Buffer) {
    Clear.render(area, buffer);
    if area.x > 0 {
        for row in area.rows() {
            let before = &mut buffer[(row.x - 1, row.y)];
            if text::columns(before.symbol()) > 1 {
                before.set_symbol(" ");
            }
        }
    }
}

fn lines(state: &State, confirm: &Confirm, room: usize, short: bool) -> Vec<Pieces> {
    let mut lines = Lines {
        state,
        room,
        short,
        said: Vec::new(),
    };
    match confirm {
        Confirm::Quit => quit(&mut lines),
        Confirm::Overwrite(save) => {
            let name = DisplayText::line(&save.path);
            lines.say(Role::Title, &format!("Write over {name}?"));
            lines.say(Role::Plain, "There is a file of that name already.");
        }
        Confirm::Pause {
            backend,
            pause,
            waiting,
            error,
        } => {
            let (name, waiting) = (backend.shown(), counted(*waiting, "receiver"));
            if *pause {
                lines.say(Role::Title, &format!("Pause backend {name}?"));
                let words =
                    format!("Nobody tries it until it is resumed; {waiting} waiting for it now.");
                lines.say(Role::Plain, &words);
            } else {
                lines.say(Role::Title, &format!("Resume backend {name}?"));
                lines.say(Role::Label, error.shown().as_str());
                let words = format!("{waiting} waiting for it: who is due is tried at once.");
                lines.say(Role::Plain, &words);
            }
        }
        Confirm::Order {
            order,
            reach,
            only,
            cause,
            ..
        } => {
            let affected = reach.as_ref().map(|reach| &reach.affected);
            let whom = if cause.is_some() {
                "receiver with this cause"
            } else {
                "marked receiver"
            };
            lines.say(
                Role::Title,
                &question(order, affected, only.as_deref(), whom),
            );
            if confirm.is_of_marks() {
                read_now(&mut lines);
            }
            if let Some(cause) = cause {
                lines.say(Role::Label, cause.text.shown().as_str());
            }
            if let Some(reach) = reach {
                let hidden = state.marked().filter(|_| confirm.is_of_marks());
                let hidden = hidden.map_or(0, |marked| marked.hidden);
                touched(&mut lines, order, reach, hidden, only.is_some());
            }
        }
    }
    let counting = match confirm {
        Confirm::Order { reach, .. } => {
            reach.is_none() || (confirm.is_of_marks() && state.marked().is_none())
        }
        _ => false,
    };
    let answer = match (confirm, confirm.to_be_typed()) {
        _ if counting => "counting…".to_owned(),
        (Confirm::Order { typed, .. }, Some(many)) => {
            format!(
                "Type {many}, then y: {typed:_<0$} [y/N]",
                many.to_string().len()
            )
        }
        _ => "[y/N]".to_owned(),
    };
    if !short {
        lines.blank();
    }
    lines.say(Role::Key, &answer);
    lines.said
}

struct Lines<'a> {
    state: &'a State,
    room: usize,
    short: bool,
    said: Vec<Pieces>,
}

impl Lines<'_> {
    fn say(&mut self, role: Role, words: &str) {
        for piece in text::wrapped(words, self.room) {
            self.said
                .push(Pieces::new(self.state.setup.theme).with(role, piece));
        }
    }

    fn blank(&mut self) {
        self.said.push(Pieces::new(self.state.setup.theme));
    }
}

fn verb(action: Action) -> &'static str {
    match action {
        Action::Resend => "Resend",
        Action::Hold => "Hold",
        Action::Release => "Release",
        Action::Cancel => "Cancel",
        Action::MarkSent => "Mark as sent",
        Action::Delete | Action::CleanUp { .. } => "Delete",
    }
}

fn question(order: &Order, affected: Option<&Affected>, only: Option<&Row>, whom: &str) -> String {
    let verb = verb(order.action);
    match (only, affected) {
        (Some(row), _) => format!("{verb} receiver {} to {}?", row.id, row.identity.shown()),
        (None, Some(affected)) => {
            let total = affected.total();
            // The plural stands at the receivers, whatever else is said of them.
            let (many, rest) = whom.split_once("receiver").unwrap_or((whom, ""));
            let many = counted(total, &format!("{many}receiver"));
            format!("{verb} {many}{rest}?")
        }
        (None, None) => {
            let whom = whom.replace("receiver", "receivers");
            format!("{verb} the {whom}?")
        }
    }
}

/// Whoever reads of one receiver may think of that one alone, while the marks are meant.
fn read_now(lines: &mut Lines<'_>) {
    let state = lines.state;
    let Some(id) = state.pane.id.filter(|_| state.focus == Focus::Detail) else {
        return;
    };
    let words = if state.is_marked(id) {
        format!("{id}, which you are reading, is one of the marked.")
    } else {
        format!("Not {id}, which you are reading: it is not marked.")
    };
    lines.say(Role::Warning, &words);
    if !lines.short {
        let words = "To mean it alone: {unmark-all} in the table takes the marks away.";
        lines.say(Role::Label, &state.setup.keymap.fill(words));
    }
}

fn touched(lines: &mut Lines<'_>, order: &Order, reach: &Reach, hidden: u64, only: bool) {
    let affected = &reach.affected;
    let theme = lines.state.setup.theme;
    let some = || {
        Status::ALL
            .into_iter()
            .zip(affected.by_status)
            .filter(|(_, many)| *many > 0)
    };
    if lines.short {
        let words: Vec<String> = some()
            .map(|(status, many)| format!("{} {}", status.label(), grouped(many)))
            .collect();
        lines.say(Role::Plain, &words.join(", "));
    } else {
        lines.said.extend(some().map(|(status, many)| {
            Pieces::new(theme)
                .with(Role::Status(status), format!("  {:<10}", status.label()))
                .with(Role::Plain, grouped(many))
        }));
    }
    if !only {
        first(lines, reach);
    }
    let sent = affected.by_status[Status::Sent as usize];
    if order.action == Action::Resend && sent > 0 {
        let words = if only {
            "This one was accepted already: the message goes out to it a second time.".to_owned()
        } else {
            format!(
                "{} accepted already: the message goes out to them a second time.",
                if sent == 1 {
                    "1 was".to_owned()
                } else {
                    format!("{} were", grouped(sent))
                }
            )
        };
        lines.say(Role::Warning, &words);
    }
    if reach.unconfirmed > 0 {
        let words = if only {
            "This one may have arrived already: it may get the message a second time.".to_owned()
        } else {
            format!(
                "{} may have arrived already: they may get the message a second time.",
                grouped(reach.unconfirmed)
            )
        };
        lines.say(Role::Warning, &words);
    }
    if reach.held > 0 {
        let words = if only {
            "This one is held: it goes out all the same.".to_owned()
        } else {
            format!("{} held: they go out all the same.", grouped(reach.held))
        };
        lines.say(Role::Warning, &words);
    }
    if order.action == Action::Delete {
        lines.say(
            Role::Warning,
            "What is deleted is gone, with every attempt and its traceback.",
        );
    }
    if reach.claimed > 0 {
        let words = format!(
            "{} about to be sent by an engine: it lets go of them.",
            counted(reach.claimed, "receiver")
        );
        lines.say(Role::Warning, &words);
    }
    if hidden > 0 {
        let words = format!("{} of the marks are hidden by the query.", grouped(hidden));
        lines.say(Role::Warning, &words);
    }
    if affected.armed > 0 {
        let words = format!(
            "{} being sent right now, left alone.",
            counted(affected.armed, "receiver")
        );
        lines.say(Role::Label, &words);
    }
    if affected.not_applicable > 0 {
        let words = format!(
            "{} left alone: {}.",
            counted(affected.not_applicable, "receiver"),
            order.action.left_alone()
        );
        lines.say(Role::Label, &words);
    }
}

/// The first receivers: whoever sees the wrong ones says no.
fn first(lines: &mut Lines<'_>, reach: &Reach) {
    let theme = lines.state.setup.theme;
    let most = if lines.short { 1 } else { reach.first.len() };
    for row in reach.first.iter().take(most) {
        let words = format!(
            "{} {}  {}",
            row.id,
            row.identity.shown(),
            row.subject.shown()
        );
        let words = text::cut(&words, lines.room.saturating_sub(2));
        lines
            .said
            .push(Pieces::new(theme).with(Role::Label, format!("  {words}")));
    }
    let more = reach.affected.total().saturating_sub(most as u64);
    if more > 0 && most > 0 && !lines.short {
        let words = format!("  and {} more", grouped(more));
        lines.said.push(Pieces::new(theme).with(Role::Label, words));
    }
}

fn quit(lines: &mut Lines<'_>) {
    let state = lines.state;
    if state.jobs.is_empty() {
        lines.say(Role::Title, "No job is running any more. Quit?");
        return;
    }
    for job in &state.jobs {
        let (done, total) = job.progress();
        let words = format!(
            "{} is running: {} of {} done.",
            job.order.action.name(),
            grouped(done),
            grouped(total)
        );
        lines.say(Role::Title, &words);
    }
    lines.say(
        Role::Plain,
        "Quit and stop it? What has not gone out is held; release or resend continues it.",
    );
}
