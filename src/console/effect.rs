//! What comes in from outside ([`Event`]) and what goes out ([`Effect`]): `update` turns the one into the other, the runtime does the rest.

use std::sync::Arc;

use ratatui::{crossterm::event::KeyEvent, layout::Position};

use super::{
    kept::Change,
    page::Page,
    question::{Answer, Ask},
};
use crate::{
    delivery::Tally,
    message::{Text, Timestamp},
    store::{Action, Affected, Chosen, Target},
};

/// Something happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A key was pressed, or repeats.
    Key(KeyEvent),
    /// Text was pasted.
    Paste(String),
    /// The terminal has this many columns and rows now.
    Resize(u16, u16),
    /// A second went by; it is now.
    Tick(Timestamp),
    /// The store answered.
    Answer(Ask, Result<Answer, String>),
    /// A job has gone on.
    Job(JobId, JobNews),
    /// The process was stopped and continues.
    Resumed,
    /// The pager has ended; `Some`: it could not show anything, for this reason.
    Paged(Option<String>),
    /// A file was written, or not.
    Saved(Save, Result<(), NotSaved>),
    /// What was to be there at the next start could not be written, for this reason.
    NotKept(String),
    /// A backend was paused or resumed, or not; `Err` is a sentence for the operator.
    BackendSet(BackendOrder, Result<(), String>),
    /// The mouse was used here.
    Mouse(Mouse, Position),
}

/// What a mouse can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mouse {
    /// A click with the first button.
    Click,
    /// The wheel, down.
    WheelDown,
    /// The wheel, up.
    WheelUp,
}

/// A backend is to be paused, or resumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendOrder {
    /// Which.
    pub backend: Text,
    /// Pause it; else resume it.
    pub pause: bool,
}

/// Something to be done outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// The screen no longer shows the state.
    Draw,
    /// Clear the terminal, then draw everything.
    Redraw,
    /// Ask the store.
    Ask(Ask),
    /// Begin a job.
    Start(JobId, Order),
    /// End a job early.
    Stop(JobId),
    /// Stop the process, as Ctrl-Z does elsewhere.
    Suspend,
    /// Put this into the clipboard of the operator's terminal.
    Copy(String),
    /// Show this in the operator's pager.
    Page(Arc<Page>),
    /// Write a file.
    Save(Save),
    /// Pause or resume a backend.
    SetBackend(BackendOrder),
    /// Have this at the next start.
    Keep(Change),
    /// End.
    Quit,
}

/// A file to be written, for nobody but its owner to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Save {
    /// Its name, as it was typed.
    pub path: String,
    /// What shall stand in it.
    pub bytes: Arc<Vec<u8>>,
    /// Also in place of one that is there.
    pub overwrite: bool,
}

/// Why a file was not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotSaved {
    /// There is one of that name.
    Exists,
    /// A sentence for the operator.
    Failed(String),
}

/// A job of this console: its first is 1.
pub type JobId = u64;

/// What an operator confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// What is done.
    pub action: Action,
    /// To whom, as the operator meant it.
    pub target: Target,
    /// Who that was when it was counted: these and no others. `None`: whoever it is when it begins.
    pub chosen: Option<Arc<Chosen>>,
}

/// How a job is going.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobNews {
    /// So many are written down so far.
    Marked(Affected),
    /// Delivery goes on: so many of so many have been tried.
    Delivered {
        /// Tried.
        done: u64,
        /// Receivers of the job.
        total: u64,
    },
    /// It is over; `Err` is a sentence for the operator.
    Finished(Result<Outcome, String>),
}

/// What a job came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What the action changed in the store.
    pub affected: Affected,
    /// What was delivered; `None`: nothing was to be, or a running service was given the work.
    pub tally: Option<Tally>,
    /// Held back because the job was stopped.
    pub held: u64,
    /// How many receivers of the job still wait.
    pub left: u64,
    /// How many it never tried and that wait for it no longer: something else has held, cancelled, deleted or resent them.
    pub taken: u64,
    /// Why receivers of the job still wait, in a sentence, if some do (the backend is down, a service delivers them).
    pub waiting: Option<String>,
}
