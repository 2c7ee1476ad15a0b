//! What the console asks of the store, and what comes back: data only, so that a test can answer as well as SQLite.

use std::sync::Arc;

use super::{
    content::{Part, Piece, Reading},
    page::{Hit, Page},
};
use crate::{
    message::{ReceiverId, Text, Timestamp},
    query::Query,
    store::{
        Action, Affected, BackendRow, CauseRow, Chosen, Count, Counts, Detail, Place, Row, Scan,
        Sort as InOrder, Target, Traffic, Words,
    },
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
        /// What of it.
        piece: Piece,
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
        /// In this order.
        sort: InOrder,
        /// The end that comes first.
        from: Place,
        /// The other end.
        to: Place,
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
    /// The first and the last receiver that match, unless it takes long to find them.
    Ends {
        /// What must match.
        query: Query,
        /// In this order.
        sort: InOrder,
    },
    /// What makes a query slow, if something does.
    Scan {
        /// The query.
        query: Query,
        /// The order of what matches.
        sort: InOrder,
    },
    /// How many match a query that is still being written, up to [`COUNT_CAP`].
    Preview(Query),
    /// How many match a choice of the filter panel, up to [`COUNT_CAP`].
    Facet(Query),
    /// What a query may name.
    Words,
}

/// A question for rows around a place.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowQuestion {
    /// What must match.
    pub query: Query,
    /// In which order.
    pub sort: InOrder,
    /// Where.
    pub at: At,
    /// How many rows before the place.
    pub above: usize,
    /// How many rows from the place on, the place itself included.
    pub below: usize,
    /// Say which of the rows match this too: the marks, when they are a query other than the table's.
    pub marks: Option<Query>,
}

/// The middle of a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// The first row; `above` means nothing.
    First,
    /// The last row; as many rows as `above` and `below` together.
    Last,
    /// Where this receiver stands, stood or would stand.
    Around(Place),
    /// Where this receiver stands if it matches, else the first.
    Keep(Place),
    /// Where the receiver with this number stands if it matches, else this place.
    Find(ReceiverId, Place),
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
    /// `None`: it is no longer in the store, or this piece is nothing but what is shown.
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
    /// See [`Question::Count`], [`Question::Preview`], [`Question::Facet`].
    Count(Count),
    /// See [`Question::Ends`].
    Ends(Option<Box<(Place, Place)>>),
    /// See [`Question::Scan`].
    Scan(Option<Scan>),
    /// See [`Question::Words`].
    Words(Words),
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
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reach {
    /// How many of which status.
    pub affected: Affected,
    /// Of those that a resend would touch, the ones whose last try ended unknown: they may have the message.
    pub unconfirmed: u64,
    /// Of those that a resend would touch, the ones that an operator holds back.
    pub held: u64,
    /// Of those that it would touch, the ones that an engine has claimed and not begun to send.
    pub claimed: u64,
    /// The first of those that it would touch.
    pub first: Vec<Row>,
    /// All of them, as they were when they were counted: the action touches no others.
    pub chosen: Option<Arc<Chosen>>,
}

/// So many of those that an action would touch are named.
pub const NAMED: usize = 3;

/// Neighbouring rows, in the order that was asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Window {
    /// The rows.
    pub rows: Vec<Row>,
    /// Nothing that matches comes before them.
    pub newest: bool,
    /// Nothing that matches comes after them.
    pub oldest: bool,
    /// Those that match [`WindowQuestion::marks`].
    pub marked: Vec<ReceiverId>,
    /// The receiver of [`At::Around`] is not among them, but matches: it stands elsewhere by now.
    pub elsewhere: bool,
}

/// The sorts of question. Of each sort only the latest matters: a new one takes the place of an older one, even of one being answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "named after the questions")]
pub enum Sort {
    Scan,
    Window,
    Detail,
    Range,
    Overview,
    Version,
    Words,
    Content,
    Raw,
    Find,
    Causes,
    Failures,
    Affected,
    Marks,
    Preview,
    Count,
    Ends,
    Facet,
}

impl Sort {
    /// How many sorts there are.
    pub const COUNT: usize = Self::Facet as usize + 1;

    /// Questions that may take long are answered beside the others, so that counting a million rows never delays a key.
    pub fn is_patient(self) -> bool {
        matches!(
            self,
            Self::Words
                | Self::Content
                | Self::Raw
                | Self::Find
                | Self::Causes
                | Self::Failures
                | Self::Affected
                | Self::Marks
                | Self::Preview
                | Self::Count
                | Self::Ends
                | Self::Facet
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
            Self::Ends { .. } => Sort::Ends,
            Self::Scan { .. } => Sort::Scan,
            Self::Preview(_) => Sort::Preview,
            Self::Facet(_) => Sort::Facet,
            Self::Words => Sort::Words,
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
