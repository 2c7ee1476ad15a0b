//! What lies over the table and the detail.

use crate::{
    console::{
        action::Place,
        effect::{Order, Save},
        query_line::QueryLine,
        question::Reach,
    },
    message::Text,
    store::{CauseRow, Row},
};

/// What lies over the table and the detail.
#[derive(Clone, Debug)]
pub enum Overlay {
    /// The query line is being edited.
    Query(QueryLine),
    /// A question that wants a `y`.
    Confirm(Confirm),
    /// Help on a place.
    Help(Help),
    /// A line of text is being written.
    Prompt(Prompt),
    /// What to copy is being chosen.
    Copying {
        /// The line of the pane that would be, where the pane is on the screen.
        line: Option<usize>,
    },
    /// An action is being looked for.
    Palette(Palette),
}

/// An action is being looked for by its name.
#[derive(Clone, Debug)]
pub struct Palette {
    /// The letters.
    pub line: QueryLine,
    /// Which of those found is chosen, counted from 0.
    pub chosen: usize,
}

/// A line of text that is being written, and what for.
#[derive(Clone, Debug)]
pub struct Prompt {
    /// What for.
    pub wanted: Wanted,
    /// The text.
    pub line: QueryLine,
}

/// What a line of text is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Words to look for in the pane.
    Search,
    /// The name of a file for what the pane says.
    File,
}

/// A question that wants a `y`.
#[derive(Clone, Debug)]
pub enum Confirm {
    /// Whether to do it.
    Order {
        /// What.
        order: Order,
        /// What it would touch; `None` while that is being counted. Until then no key confirms.
        reach: Option<Reach>,
        /// How many of them are marked and not shown.
        hidden: u64,
        /// The one receiver that is meant, when it is the cursor's and not a mark.
        only: Option<Box<Row>>,
        /// The cause whose receivers are meant, when it is neither marks nor a row.
        cause: Option<Box<CauseRow>>,
    },
    /// Whether to pause a backend, or to resume it.
    Pause {
        /// Which.
        backend: Text,
        /// Pause it; else resume it.
        pause: bool,
        /// How many wait for it.
        waiting: u64,
        /// It is down or was paused for this reason.
        error: Text,
    },
    /// Whether to leave although jobs are running.
    Quit,
    /// Whether to write over a file.
    Overwrite(Save),
}

/// The help that is open.
#[derive(Clone, Copy, Debug)]
pub struct Help {
    /// Help on what.
    pub place: Place,
    /// How many lines are scrolled away.
    pub scroll: usize,
}
