//! What the console asks of the store, and what comes back: data only, so that a test can answer as well as SQLite.

use std::sync::Arc;

use super::{
    content::{Part, Reading},
    page::{Hit, Page},
};
use crate::{
    message::{ReceiverId, Text, Timestamp},
    query::Query,
    store::{Action, Affected, BackendRow, CauseRow, Count, Counts, Detail, Row, Target, Traffic},
};

/// How far matches are counted before the first answer is given: beyond it the screen says `≥` until the exact figure is there.
pub const COUNT_CAP: u64 = 10_000;

/// How many rows a range of marks may span. Beyond it a query says better what is meant.
pub const RANGE_CAP: usize = 10_000;

/// How many causes are shown; beyond them a query says better what is meant.
pub const MOST_CAUSES: usize = 1000;

/// How many causes of each backend the overview shows.
pub const CAUSES_OF_A_BACKEND: usize = 5;

/// Something the console wants to know.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// Whether the store changed: a number that differs after every change.
    Version,
    /// Rows of the table.
    Window(WindowQuestion),
    /// The status line and the backends. The end of the hour that lasts, on the operator's clock.
    Overview(Timestamp),
    /// The failures that match, by cause: at most [`MOST_CAUSES`].
    Causes(Query),
    /// The biggest causes over each of these backends.
    Failures(Vec<Text>),
    /// Everything about one receiver.
    Detail(ReceiverId),
    /// What a receiver's message says, for a pane of so many columns.
    Content {
        /// Which receiver.
        id: ReceiverId,
        /// Which part of it.
        part: Part,
        /// How many columns.
        width: usize,
    },
    /// The same letter by letter, for a file.
    Raw {
        /// Which receiver.
        id: ReceiverId,
        /// Which part of it.
        part: Part,
    },
    /// Where words stand in a text. The store has nothing to do with it, but it may take as long.
    Find {
        /// The text.
        page: Arc<Page>,
        /// The words.
        words: String,
    },
    /// The receivers between two rows, both included; at most [`RANGE_CAP`], and one more to show that there are more.
    Range {
        /// Among what matches this.
        query: Query,
        /// The end with the higher number.
        newest: ReceiverId,
        /// The end with the lower number.
        oldest: ReceiverId,
    },
    /// What an action would touch.
    Affected {
        /// Which action.
        action: Action,
        /// Whom.
        target: Target,
    },
    /// How many are marked, and how many of them the query shows.
    Marks {
        /// The marks.
        marks: Target,
        /// The query of the table.
        query: Query,
    },
    /// How many match.
    Count {
        /// What.
        query: Query,
        /// Count to the end; else up to [`COUNT_CAP`].
        exact: bool,
    },
}

/// A question for rows around a place.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowQuestion {
    /// What must match.
    pub query: Query,
    /// Where.
    pub at: At,
    /// How many rows newer than the place.
    pub above: usize,
    /// How many rows from the place on, the place itself included.
    pub below: usize,
    /// Say which of the rows match this too: the marks, when they are a query other than the table's.
    pub marks: Option<Query>,
}

/// The middle of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The newest row; `above` means nothing.
    Newest,
    /// The oldest row; as many rows as `above` and `below` together.
    Oldest,
    /// Where this receiver stands or would stand.
    Around(ReceiverId),
    /// Where this receiver stands if it matches, else the newest.
    Keep(ReceiverId),
}

/// An answer to the question of the same name.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// `None`: the source cannot say, so everything is asked again.
    Version(Option<u64>),
    /// See [`Question::Window`].
    Window(Window),
    /// See [`Question::Overview`].
    Overview {
        /// How many have each state.
        counts: Box<Counts>,
        /// The backends, by name.
        backends: Vec<BackendRow>,
        /// What is due although no engine is alive.
        unserved: Option<Box<Unserved>>,
        /// How things go over them, in the same order.
        traffic: Vec<Traffic>,
    },
    /// See [`Question::Causes`].
    Causes(Vec<CauseRow>),
    /// See [`Question::Failures`]; in the same order.
    Failures(Vec<Vec<CauseRow>>),
    /// `None`: it is no longer in the store.
    Detail(Option<Box<Detail>>),
    /// `None`: it is no longer in the store.
    Content(Option<Reading>),
    /// `None`: it is no longer in the store, or this part is nothing but what is shown.
    Raw(Option<Vec<u8>>),
    /// See [`Question::Find`].
    Find(Vec<Hit>),
    /// See [`Question::Range`].
    Range(Vec<ReceiverId>),
    /// See [`Question::Affected`].
    Affected(Reach),
    /// See [`Question::Marks`].
    Marks {
        /// All that are marked.
        total: u64,
        /// Those of them that match the query of the table.
        shown: u64,
    },
    /// See [`Question::Count`].
    Count(Count),
}

/// Receivers that are due while nobody delivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unserved {
    /// Since when the oldest of them is.
    pub since: Timestamp,
    /// How many, counted up to [`COUNT_CAP`].
    pub due: Count,
}

/// What an action would touch, and what an operator should know of it beforehand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// How many of which status.
    pub affected: Affected,
    /// Of those that a resend would touch, the ones whose last try ended unknown: they may have the message.
    pub unconfirmed: u64,
    /// Of those that a resend would touch, the ones that an operator holds back.
    pub held: u64,
}

/// Neighbouring rows, newest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Window {
    /// The rows.
    pub rows: Vec<Row>,
    /// Nothing newer matches.
    pub newest: bool,
    /// Nothing older matches.
    pub oldest: bool,
    /// Those that match [`WindowQuestion::marks`].
    pub marked: Vec<ReceiverId>,
}

/// The sorts of question. Of each sort only the latest matters: a new one takes the place of an older one, even of one being answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "named after the questions")]
pub enum Sort {
    Window,
    Detail,
    Range,
    Overview,
    Version,
    Content,
    Raw,
    Find,
    Causes,
    Failures,
    Affected,
    Marks,
    Count,
}

impl Sort {
    /// How many sorts there are.
    pub const COUNT: usize = Self::Count as usize + 1;

    /// Questions that may take long are answered beside the others, so that counting a million rows never delays a key.
    pub fn is_patient(self) -> bool {
        matches!(
            self,
            Self::Content
                | Self::Raw
                | Self::Find
                | Self::Causes
                | Self::Failures
                | Self::Affected
                | Self::Marks
                | Self::Count
        )
    }
}

impl Question {
    /// Which sort it is.
    pub fn sort(&self) -> Sort {
        match self {
            Self::Version => Sort::Version,
            Self::Window(_) => Sort::Window,
            Self::Overview(_) => Sort::Overview,
            Self::Causes(_) => Sort::Causes,
            Self::Failures(_) => Sort::Failures,
            Self::Detail(_) => Sort::Detail,
            Self::Content { .. } => Sort::Content,
            Self::Raw { .. } => Sort::Raw,
            Self::Find { .. } => Sort::Find,
            Self::Range { .. } => Sort::Range,
            Self::Affected { .. } => Sort::Affected,
            Self::Marks { .. } => Sort::Marks,
            Self::Count { .. } => Sort::Count,
        }
    }
}

/// A question with its number: an answer to an older number is dropped.
#[derive(Clone, Debug, PartialEq)]
pub struct Ask {
    /// Rises with every question.
    pub ticket: u64,
    /// What is asked.
    pub question: Question,
}

/// Who answers. It lives on a thread of its own.
pub trait Source: Send {
    /// Answers one question; `Err` is a sentence for the operator.
    fn answer(&mut self, question: &Question) -> Result<Answer, String>;

    /// Something that another thread calls to make [`Source::answer`] return early, with whatever error.
    fn interrupter(&self) -> Box<dyn Fn() + Send + Sync>;
}
