//! How the state changes: one event in, the effects out. No I/O.

mod answers;
mod causes;
mod columns;
mod export;
mod filter;
mod jobs;
mod keys;
mod marks;
mod mouse;
mod moves;
mod overview;
mod palette;
mod pane;
mod query;

use chrono::TimeDelta;
use ratatui::layout::Size;

use super::{
    effect::{Effect, Event},
    question::{Question, Sort},
    state::{Notice, Overlay, Palette, Prompt, State},
};

pub use jobs::told;
pub use query::words_of;

/// How often it is asked whether anybody delivers, also when the store does not change.
const LOOK: TimeDelta = TimeDelta::seconds(10);

/// The effects that an event had so far.
#[derive(Debug, Default)]
struct Out(Vec<Effect>);

impl Out {
    fn draw(&mut self) {
        if !self.0.contains(&Effect::Draw) {
            self.0.push(Effect::Draw);
        }
    }

    fn ask(&mut self, state: &mut State, question: Question) {
        self.0.push(Effect::Ask(state.asks.ask(question)));
    }

    fn hint(&mut self, state: &mut State, text: &str) {
        state.hint = Some(Notice::good(text));
        self.draw();
    }

    /// The same in words of the console's own, in which an action's name in braces stands for its key.
    fn advise(&mut self, state: &mut State, words: &str) {
        let words = state.setup.keymap.fill(words);
        self.hint(state, &words);
    }
}

/// Begins with a query as if it had been typed: what must be asked first.
pub fn start(state: &mut State, query: &str) -> Vec<Effect> {
    let mut out = Out::default();
    out.draw();
    out.ask(state, Question::Version);
    overview::ask(state, &mut out);
    query::begin(state, query, &mut out);
    out.0
}

/// Takes in an event.
pub fn update(state: &mut State, event: Event) -> Vec<Effect> {
    let mut out = Out::default();
    let lines = state.table_rows();
    match event {
        Event::Key(key) => keys::press(state, key, &mut out),
        Event::Paste(text) => paste(state, &text, &mut out),
        Event::Resize(width, height) => resize(state, Size::new(width, height), &mut out),
        Event::Tick(now) => {
            let neglected = state.neglected();
            state.now = now;
            if state.neglected() != neglected {
                out.draw();
            }
            // That an engine ended changes nothing in the store.
            if now - state.looked >= LOOK && !state.asks.waits(Sort::Overview) {
                state.looked = now;
                overview::ask(state, &mut out);
            }
            for sort in ON_SCREEN {
                if state.asks.is_stale(sort) && !state.asks.waits(sort) {
                    again(state, sort, &mut out);
                }
            }
            if !state.asks.waits(Sort::Version) {
                out.ask(state, Question::Version);
            }
        }
        Event::Answer(ask, answer) => answers::take(state, &ask, answer, &mut out),
        Event::Job(id, news) => jobs::take(state, id, news, &mut out),
        Event::Resumed => {
            out.0.push(Effect::Redraw);
            refresh(state, &mut out);
        }
        Event::Paged(None) => {}
        Event::Paged(Some(why)) => {
            state.hint = Some(Notice::bad(&why));
            out.draw();
        }
        Event::Saved(save, result) => export::saved(state, save, result, &mut out),
        Event::BackendSet(order, result) => overview::taken(state, &order, result, &mut out),
        Event::Mouse(what, at) => mouse::take(state, what, at, &mut out),
        Event::NotKept(why) => {
            let words = format!("{} could not be written: {why}", state.setup.kept_in);
            state.hint = Some(Notice::bad(&words));
            out.draw();
        }
    }
    // What is said may take lines from the table, or give them back.
    if state.table_rows() != lines {
        moves::settle(state);
        moves::fill(state, &mut out);
        keys::keep_scroll_in_bounds(state);
        out.draw();
    }
    out.0
}

fn paste(state: &mut State, text: &str, out: &mut Out) {
    match &mut state.overlay {
        Some(Overlay::Query(line)) => {
            line.paste(text);
            query::edited(state, out);
        }
        Some(Overlay::Prompt(Prompt { line, .. }) | Overlay::Palette(Palette { line, .. })) => {
            line.paste(text);
            out.draw();
        }
        _ => out.advise(
            state,
            "pasted text is taken only by a line that is being written: {query} opens one",
        ),
    }
}

fn resize(state: &mut State, size: Size, out: &mut Out) {
    if state.size == size {
        return;
    }
    state.size = size;
    moves::settle(state);
    moves::fill(state, out);
    moves::read_detail(state, out);
    // What was laid out for another width is laid out anew.
    pane::compose(state, out);
    keys::keep_scroll_in_bounds(state);
    out.draw();
}

/// What the screen shows of the store.
const ON_SCREEN: [Sort; 10] = [
    Sort::Window,
    Sort::Overview,
    Sort::Detail,
    Sort::Content,
    Sort::Count,
    Sort::Ends,
    Sort::Marks,
    Sort::Causes,
    Sort::Failures,
    Sort::Facet,
];

/// The store has changed, or may have: asks again for everything that is on the screen. What is being asked already is asked once more
/// when its answer is there, since it may have read the store before the change.
fn refresh(state: &mut State, out: &mut Out) {
    for sort in ON_SCREEN {
        if state.asks.waits(sort) {
            state.asks.set_stale(sort);
        } else {
            again(state, sort, out);
        }
    }
}

/// Asks one thing again, if it is on the screen.
fn again(state: &mut State, sort: Sort, out: &mut Out) {
    if sort != Sort::Facet {
        state.asks.forget(sort);
    }
    match sort {
        Sort::Window => moves::reread(state, out),
        Sort::Overview => overview::ask(state, out),
        Sort::Causes => causes::read(state, out),
        Sort::Failures => overview::read(state, out),
        Sort::Detail => moves::reread_detail(state, out),
        Sort::Count => query::count(state, out),
        Sort::Marks => marks::count(state, out),
        Sort::Content => pane::reread_content(state, out),
        Sort::Ends => query::ends(state, out),
        Sort::Facet => filter::refresh(state, out),
        Sort::Range
        | Sort::Version
        | Sort::Affected
        | Sort::Raw
        | Sort::Find
        | Sort::Scan
        | Sort::Preview
        | Sort::Words => {}
    }
}
