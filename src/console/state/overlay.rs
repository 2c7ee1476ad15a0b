//! What lies over the table and the detail.

use std::collections::VecDeque;

use crate::{
    console::{
        action::Place,
        effect::{Order, Save},
        filter::Choice,
        query_line::QueryLine,
        question::Reach,
    },
    message::{ReceiverId, Text},
    store::{CauseRow, Count, Row},
};

/// Above so many receivers the number is to be typed before a `y` is taken.
const MANY: u64 = 1000;

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
    /// The filter panel.
    Filter(Panel),
    /// The columns are being chosen; the cursor is on this one.
    Columns(usize),
}

/// An action is being looked for by its name.
#[derive(Clone, Debug)]
pub struct Palette {
    /// The letters.
    pub line: QueryLine,
    /// Which of those found is chosen, counted from 0.
    pub chosen: usize,
}

/// The filter panel.
#[derive(Clone, Debug, Default)]
pub struct Panel {
    /// On which line the cursor is.
    pub at: usize,
    /// How many match each choice, as far as that is known.
    pub counts: Vec<(Choice, Count)>,
    /// What is still to be counted.
    pub(in crate::console) todo: VecDeque<Choice>,
    /// What is being counted.
    pub(in crate::console) counting: Option<Choice>,
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
    /// The number of an attachment of this receiver's content: there are so many.
    Attachment(ReceiverId, usize),
    /// The name of a file for an attachment of this receiver's content.
    AttachmentFile(ReceiverId, usize),
    /// The name under which a query is kept.
    QueryName,
    /// The number of a receiver to go to.
    Id,
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
        /// The one receiver that is meant, when it is the cursor's and not a mark.
        only: Option<Box<Row>>,
        /// The cause whose receivers are meant, when it is neither marks nor a row.
        cause: Option<Box<CauseRow>>,
        /// The number of receivers, as far as it has been typed, where it must be.
        typed: String,
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

impl Confirm {
    /// Whether it is about the marks, some of which may be hidden.
    pub fn is_of_marks(&self) -> bool {
        matches!(
            self,
            Self::Order {
                only: None,
                cause: None,
                ..
            }
        )
    }

    /// The number that must be typed before it can be confirmed, if there is one.
    pub fn to_be_typed(&self) -> Option<u64> {
        match self {
            Self::Order {
                reach: Some(reach), ..
            } => Some(reach.affected.total()).filter(|total| *total > MANY),
            _ => None,
        }
    }

    /// Whether it can be confirmed, as far as that is typed.
    pub fn is_typed(&self) -> bool {
        match (self, self.to_be_typed()) {
            (Self::Order { typed, .. }, Some(total)) => *typed == total.to_string(),
            _ => true,
        }
    }
}

/// The help that is open.
#[derive(Clone, Copy, Debug)]
pub struct Help {
    /// Help on what.
    pub place: Place,
    /// How many lines are scrolled away.
    pub scroll: usize,
}
