//! The console's promises, tested without a terminal and without a store: keys in, screens and effects out.

mod acting;
mod arranging;
mod attachments;
mod causes;
mod content;
mod detail;
mod export;
mod filtering;
mod jobs;
mod looks;
mod marking;
mod memory;
mod mouse;
mod moving;
mod overview;
mod palette;
mod properties;
mod querying;
mod reading;
mod screens;
mod sizes;
mod watching;

use std::collections::VecDeque;

use chrono::FixedOffset;
use ratatui::{
    Terminal,
    backend::TestBackend,
    buffer::Buffer,
    crossterm::event::{KeyCode, KeyEvent, KeyModifiers},
    layout::Size,
};

use super::{
    clock::Zone,
    effect::{Effect, Event, JobId, JobNews, Order},
    kept::Change,
    keymap::Keymap,
    question::{Ask, Source as _},
    state::{Setup, State},
    theme::Theme,
    update::{start, update},
    view::view,
};
use crate::message::{DisplayText, ReceiverId, Timestamp};
use memory::Memory;

/// A console over a store in memory, driven by keys. Every question is answered at once, unless [`Console::hold`] says otherwise.
struct Console {
    state: State,
    store: Memory,
    /// Questions not yet answered, while they are held.
    asked: VecDeque<Ask>,
    held: bool,
    /// Effects that leave the console, in order.
    effects: Vec<Effect>,
    /// How often something was to be drawn.
    draws: usize,
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    at("2026-11-22T15:39:00Z")
}

fn setup() -> Setup {
    Setup {
        store: DisplayText::line("/var/lib/postroom/postroom.db"),
        types: [("comment".to_owned(), "Comment or delivery".to_owned())].into(),
        zone: Zone::Fixed(FixedOffset::east_opt(3600).unwrap()),
        queries: [("stuck".to_owned(), "status:failed,error".to_owned())].into(),
        kept_in: DisplayText::line("/home/april/.local/state/postroom/console.json"),
        ..Setup::default()
    }
}

impl Console {
    fn open(store: Memory) -> Self {
        Self::with(store, setup(), "", 80, 24)
    }

    fn sized(store: Memory, width: u16, height: u16) -> Self {
        Self::with(store, setup(), "", width, height)
    }

    fn with(store: Memory, setup: Setup, query: &str, width: u16, height: u16) -> Self {
        Self::of(
            store,
            State::new(setup, Size::new(width, height), now()),
            query,
        )
    }

    fn of(store: Memory, state: State, query: &str) -> Self {
        let mut console = Self {
            state,
            store,
            asked: VecDeque::new(),
            held: false,
            effects: Vec::new(),
            draws: 0,
        };
        let effects = start(&mut console.state, query);
        console.take(effects);
        console
    }

    /// Holds answers back, as a slow disk does.
    fn hold(&mut self) {
        self.held = true;
    }

    /// Answers what was held back.
    fn release(&mut self) {
        self.held = false;
        self.answer();
    }

    fn event(&mut self, event: Event) {
        let effects = update(&mut self.state, event);
        self.take(effects);
    }

    fn take(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Draw => self.draws += 1,
                Effect::Ask(ask) => {
                    // Of each sort the latest question wins.
                    let sort = ask.question.sort();
                    self.asked.retain(|other| other.question.sort() != sort);
                    self.asked.push_back(ask);
                }
                other => self.effects.push(other),
            }
        }
        if !self.held {
            self.answer();
        }
    }

    fn answer(&mut self) {
        while let Some(ask) = self.asked.pop_front() {
            let answer = self.store.answer(&ask.question);
            let effects = update(&mut self.state, Event::Answer(ask, answer));
            self.take(effects);
        }
    }

    /// Presses keys, written as in the help and parted by spaces.
    fn press(&mut self, keys: &str) -> &mut Self {
        for key in keys.split(' ') {
            self.event(Event::Key(key_of(key)));
        }
        self
    }

    /// Types text, letter by letter.
    fn type_in(&mut self, text: &str) -> &mut Self {
        for letter in text.chars() {
            self.event(Event::Key(KeyEvent::new(
                KeyCode::Char(letter),
                KeyModifiers::NONE,
            )));
        }
        self
    }

    fn tick(&mut self) -> &mut Self {
        self.event(Event::Tick(now()));
        self
    }

    fn job(&mut self, id: JobId, news: JobNews) -> &mut Self {
        self.event(Event::Job(id, news));
        self
    }

    fn resize(&mut self, width: u16, height: u16) -> &mut Self {
        self.event(Event::Resize(width, height));
        self
    }

    fn cursor(&self) -> Option<i64> {
        self.state.table.cursor.map(|id| id.0)
    }

    fn shown(&self) -> Vec<i64> {
        let lines = self.state.table_rows();
        self.state
            .table
            .shown(lines)
            .iter()
            .map(|row| row.id.0)
            .collect()
    }

    fn marked(&self) -> Vec<i64> {
        let rows = self.state.table.rows.iter();
        rows.map(|row| row.id)
            .filter(|id| self.state.is_marked(*id))
            .map(|id| id.0)
            .collect()
    }

    /// The orders given so far.
    fn orders(&self) -> Vec<&Order> {
        let starts = self.effects.iter().filter_map(|effect| match effect {
            Effect::Start(_, order) => Some(order),
            _ => None,
        });
        starts.collect()
    }

    fn buffer(&self) -> Buffer {
        let mut terminal = Terminal::new(TestBackend::new(
            self.state.size.width,
            self.state.size.height,
        ))
        .unwrap();
        terminal.draw(|frame| view(&self.state, frame)).unwrap();
        terminal.backend().buffer().clone()
    }

    /// The screen as text, line by line.
    fn screen(&self) -> String {
        let buffer = self.buffer();
        let width = usize::from(buffer.area.width).max(1);
        let lines = buffer.content.chunks(width).map(|cells| {
            let mut skip = 0;
            let mut line = String::new();
            for cell in cells {
                if skip == 0 {
                    line.push_str(cell.symbol());
                    skip = super::text::columns(cell.symbol()).saturating_sub(1);
                } else {
                    skip -= 1;
                }
            }
            line.trim_end().to_owned() + "\n"
        });
        lines.collect()
    }

    /// What the screen says, wherever its lines break.
    fn words(&self) -> String {
        let screen = self.screen().replace(['│', '─', '█', '\n'], " ");
        let words: Vec<&str> = screen.split_whitespace().collect();
        words.join(" ")
    }

    /// What was last said.
    fn hint(&self) -> &str {
        let hint = self.state.hint.as_ref();
        hint.map_or("", |hint| hint.text.as_str())
    }

    /// What is to be there at the next start.
    fn kept(&self) -> Vec<&Change> {
        let kept = self.effects.iter().filter_map(|effect| match effect {
            Effect::Keep(change) => Some(change),
            _ => None,
        });
        kept.collect()
    }

    /// The last line: keys that work and what was said.
    fn footer(&self) -> String {
        self.screen().lines().last().unwrap_or_default().to_owned()
    }
}

fn key_of(name: &str) -> KeyEvent {
    let plain = |code| KeyEvent::new(code, KeyModifiers::NONE);
    match name {
        "space" => plain(KeyCode::Char(' ')),
        "enter" => plain(KeyCode::Enter),
        "esc" => plain(KeyCode::Esc),
        "tab" => plain(KeyCode::Tab),
        "shift-tab" => KeyEvent::new(KeyCode::BackTab, KeyModifiers::SHIFT),
        "up" => plain(KeyCode::Up),
        "down" => plain(KeyCode::Down),
        "left" => plain(KeyCode::Left),
        "right" => plain(KeyCode::Right),
        "pgup" => plain(KeyCode::PageUp),
        "pgdn" => plain(KeyCode::PageDown),
        "home" => plain(KeyCode::Home),
        "end" => plain(KeyCode::End),
        "backspace" => plain(KeyCode::Backspace),
        _ => {
            let number = name
                .strip_prefix('f')
                .and_then(|number| number.parse().ok());
            match (name.strip_prefix("ctrl-"), number) {
                (Some(letter), _) => KeyEvent::new(
                    KeyCode::Char(letter.chars().next().unwrap()),
                    KeyModifiers::CONTROL,
                ),
                (None, Some(number)) => plain(KeyCode::F(number)),
                (None, None) => plain(KeyCode::Char(name.chars().next().unwrap())),
            }
        }
    }
}

fn ids(ids: &[i64]) -> Vec<ReceiverId> {
    ids.iter().copied().map(ReceiverId).collect()
}
