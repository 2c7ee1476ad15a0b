//! A question that wants a `y`: what would happen, to how many of which status.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    widgets::{Block, Clear, Widget as _},
};

use super::Pieces;
use crate::{
    console::{
        effect::Order,
        state::{Confirm, State},
        text::{self, counted, grouped},
        theme::Role,
    },
    message::Status,
    store::{Action, Affected, Row},
};

pub(super) fn draw(state: &State, confirm: &Confirm, screen: Rect, buffer: &mut Buffer) {
    let room = usize::from(screen.width.saturating_sub(6)).min(64);
    let lines = lines(state, confirm, room);
    let width = lines.iter().map(Pieces::width).max().unwrap_or(0).max(30) as u16 + 4;
    let height = lines.len() as u16 + 2;
    let area = Rect {
        x: screen.x + screen.width.saturating_sub(width) / 2,
        y: screen.y + screen.height.saturating_sub(height) / 2,
        width,
        height,
    }
    .intersection(screen);
    Clear.render(area, buffer);
    let block = Block::bordered();
    let inner = block.inner(area);
    block.render(area, buffer);
    // The last line holds the answer: it is there however little room there is.
    let skip = lines.len().saturating_sub(usize::from(inner.height));
    let first = usize::from(skip > 0);
    let shown = lines[..first]
        .iter()
        .chain(&lines[first + skip.min(lines.len() - first)..]);
    for (line, row) in shown.zip(inner.rows()) {
        let row = Rect {
            x: row.x + 1,
            width: row.width.saturating_sub(2),
            ..row
        };
        line.draw(row, buffer);
    }
}

fn lines(state: &State, confirm: &Confirm, room: usize) -> Vec<Pieces> {
    let mut lines = Lines {
        state,
        room,
        said: Vec::new(),
    };
    match confirm {
        Confirm::Quit => quit(&mut lines),
        Confirm::Order {
            order,
            affected,
            hidden,
            only,
        } => {
            lines.say(
                Role::Title,
                &question(order, affected.as_ref(), only.as_deref()),
            );
            if let Some(affected) = affected {
                touched(&mut lines, order, affected, *hidden, only.is_some());
            }
        }
    }
    let answer = match confirm {
        Confirm::Order { affected: None, .. } => "counting…",
        _ => "[y/N]",
    };
    lines.blank();
    lines.say(Role::Key, answer);
    lines.said
}

struct Lines<'a> {
    state: &'a State,
    room: usize,
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
    }
}

fn question(order: &Order, affected: Option<&Affected>, only: Option<&Row>) -> String {
    let verb = verb(order.action);
    match (only, affected) {
        (Some(row), _) => format!("{verb} {} to {}?", row.id, row.identity.shown()),
        (None, Some(affected)) => {
            format!("{verb} {}?", counted(affected.total(), "marked receiver"))
        }
        (None, None) => format!("{verb} the marked receivers?"),
    }
}

fn touched(lines: &mut Lines<'_>, order: &Order, affected: &Affected, hidden: u64, only: bool) {
    for (status, many) in Status::ALL.into_iter().zip(affected.by_status) {
        if many > 0 {
            let theme = lines.state.setup.theme;
            let line = Pieces::new(theme)
                .with(Role::Status(status), format!("  {:<10}", status.label()))
                .with(Role::Plain, grouped(many));
            lines.said.push(line);
        }
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
            "{} not in a state for it, left alone.",
            counted(affected.not_applicable, "receiver")
        );
        lines.say(Role::Label, &words);
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
