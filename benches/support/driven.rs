//! The console in this process, on a real store, driven by keys: as its runtime does it, with a thread for each kind of question, but drawn into
//! whatever counts or keeps it.

use std::{collections::BTreeMap, path::Path, time::Duration};

use chrono::Utc;
use crossbeam_channel::{Receiver, Sender, unbounded};
use postroom::{
    console::{
        effect::{Effect, Event},
        question::{Ask, Sort},
        reader::Reader,
        source::StoreSource,
        state::{Setup, State},
        update::{start, update},
        view::view,
    },
    store::Store,
};
use ratatui::{
    Frame,
    crossterm::event::{KeyCode, KeyEvent, KeyModifiers},
    layout::Size,
};

/// Nothing takes longer.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where frames go.
pub trait Canvas {
    /// Draws one.
    fn draw(&mut self, view: &mut dyn FnMut(&mut Frame<'_>));
}

/// The console.
pub struct Driven<C> {
    pub state: State,
    pub canvas: C,
    /// Effects that leave the console.
    pub left: Vec<Effect>,
    swift: Reader,
    patient: Reader,
    news: Receiver<Event>,
    /// For events from elsewhere.
    pub sender: Sender<Event>,
    /// The latest question of each sort that is not answered.
    open: BTreeMap<Sort, u64>,
}

impl<C: Canvas> Driven<C> {
    /// Opens it on a store, to look only.
    pub fn open(store: &Path, setup: Setup, size: Size, query: &str, canvas: C) -> Self {
        let store = Store::open_read_only(store).expect("a store");
        let (sender, news) = unbounded();
        let reader = |name| {
            let source = StoreSource::new(store.reader().expect("a reader"));
            let sender = sender.clone();
            // Whoever is gone needs no answer.
            let deliver = move |ask, answer| drop(sender.send(Event::Answer(ask, answer)));
            Reader::start(name, Box::new(source), Box::new(deliver)).expect("a thread")
        };
        let mut driven = Self {
            state: State::new(setup, size, Utc::now()),
            canvas,
            left: Vec::new(),
            swift: reader("swift"),
            patient: reader("patient"),
            news,
            sender,
            open: BTreeMap::new(),
        };
        let effects = start(&mut driven.state, query);
        driven.take(effects);
        driven.rest();
        driven
    }

    /// Presses a key and returns when the rows or the receiver it is about are on the screen.
    pub fn press(&mut self, code: KeyCode) {
        self.happen(Event::Key(KeyEvent::new(code, KeyModifiers::NONE)));
        while [Sort::Window, Sort::Detail]
            .iter()
            .any(|sort| self.open.contains_key(sort))
        {
            self.turn();
        }
    }

    /// The same, key by key.
    pub fn type_in(&mut self, text: &str) {
        for letter in text.chars() {
            self.press(KeyCode::Char(letter));
        }
    }

    /// Something happens.
    pub fn happen(&mut self, event: Event) {
        let effects = update(&mut self.state, event);
        self.take(effects);
    }

    /// Waits until this is so.
    pub fn wait_until(&mut self, is_so: impl Fn(&State) -> bool) {
        while !is_so(&self.state) {
            self.turn();
        }
    }

    /// Waits until every question is answered.
    pub fn rest(&mut self) {
        while !self.open.is_empty() {
            self.turn();
        }
    }

    /// Takes in what has happened by now, if anything has.
    pub fn catch_up(&mut self) {
        if !self.news.is_empty() {
            self.turn();
        }
    }

    /// Waits for something to happen, takes in all that has happened by then, and draws once.
    fn turn(&mut self) {
        let first = self.news.recv_timeout(PATIENCE).expect("an answer");
        let mut effects = Vec::new();
        let news: Vec<Event> = std::iter::once(first).chain(self.news.try_iter()).collect();
        for event in news {
            if let Event::Answer(ask, _) = &event {
                self.answered(ask);
            }
            effects.extend(update(&mut self.state, event));
        }
        self.take(effects);
    }

    fn answered(&mut self, ask: &Ask) {
        let sort = ask.question.sort();
        if self.open.get(&sort) == Some(&ask.ticket) {
            self.open.remove(&sort);
        }
    }

    fn take(&mut self, effects: Vec<Effect>) {
        let mut draw = false;
        for effect in effects {
            match effect {
                Effect::Draw => draw = true,
                Effect::Ask(ask) => {
                    let sort = ask.question.sort();
                    self.open.insert(sort, ask.ticket);
                    let reader = if sort.is_patient() {
                        &self.patient
                    } else {
                        &self.swift
                    };
                    reader.ask(ask);
                }
                other => self.left.push(other),
            }
        }
        if draw {
            let state = &self.state;
            self.canvas.draw(&mut |frame| view(state, frame));
        }
    }
}
