//! What the console knows. Nothing here does I/O; `update` changes it and `view` draws it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use chrono::TimeDelta;
use ratatui::{crossterm::event::KeyEvent, layout::Size};

use super::{
    action::Place,
    asks::Asks,
    clock::Zone,
    detail::{Body, Tab},
    effect::{JobId, Order},
    layout::{Areas, Focus},
    query_line::QueryLine,
    question::{Reach, Sort, Unserved},
    text,
    theme::Theme,
};
use crate::{
    message::{DisplayText, ReceiverId, Timestamp},
    query::Query,
    store::{BackendRow, Count, Counts, Detail, Row, Target},
};

/// Who is due for longer than this, and no engine is alive, waits for nobody. Between two passes of cron all may be well for so long.
const NEGLECT: TimeDelta = TimeDelta::minutes(1);

/// Columns of the last line that a report leaves to the keys.
const KEYS: usize = 28;

/// What does not change while the console runs.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The store's path, for the first line.
    pub store: DisplayText,
    /// Look, do not touch.
    pub read_only: bool,
    /// Labels of message types.
    pub types: BTreeMap<String, String>,
    /// Where the operator is.
    pub zone: Zone,
    /// How roles look.
    pub theme: Theme,
}

/// A query and the words it was read from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The words.
    pub text: String,
    /// What they mean.
    pub query: Query,
}

/// Everything the console knows.
#[derive(Clone, Debug)]
pub struct State {
    /// What does not change.
    pub setup: Setup,
    /// The terminal's size.
    pub size: Size,
    /// The time of the last tick.
    pub now: Timestamp,
    /// Where keys go when nothing lies over it.
    pub focus: Focus,
    /// What lies over it.
    pub overlay: Option<Overlay>,
    /// The rows.
    pub table: Table,
    /// The marks.
    pub marks: Marks,
    /// How many are marked and shown, where that had to be asked.
    pub mark_counts: Option<MarkCounts>,
    /// A range of marks that has begun here.
    pub range: Option<ReceiverId>,
    /// The detail pane.
    pub pane: Pane,
    /// How many receivers have each state; `None` until known.
    pub counts: Option<Counts>,
    /// The backends.
    pub backends: Vec<BackendRow>,
    /// What is due although no engine is alive.
    pub unserved: Option<Unserved>,
    /// Running jobs, oldest first.
    pub jobs: Vec<Job>,
    /// A word about the last key; the next key takes it away.
    pub hint: Option<Notice>,
    /// What the last job came to; Esc or the next job takes it away.
    pub report: Option<Notice>,
    /// The store could not answer.
    pub trouble: Option<(Sort, DisplayText)>,
    pub(super) asks: Asks,
    /// Keys that wait for the rows they are meant for.
    pub(super) deferred: VecDeque<KeyEvent>,
    pub(super) last_job: JobId,
    pub(super) version: Option<u64>,
    /// When the store was last asked what it does not tell by changing: whether an engine is alive.
    pub(super) looked: Timestamp,
}

impl State {
    /// The state before anything is known.
    pub fn new(setup: Setup, size: Size, now: Timestamp) -> Self {
        Self {
            setup,
            size,
            now,
            focus: Focus::default(),
            overlay: None,
            table: Table::default(),
            marks: Marks::default(),
            mark_counts: None,
            range: None,
            pane: Pane::default(),
            counts: None,
            backends: Vec::new(),
            unserved: None,
            looked: now,
            jobs: Vec::new(),
            hint: None,
            report: None,
            trouble: None,
            asks: Asks::default(),
            deferred: VecDeque::new(),
            last_job: 0,
            version: None,
        }
    }

    /// Where a key goes.
    pub fn place(&self) -> Place {
        match (&self.overlay, self.focus) {
            (Some(Overlay::Query(_)), _) => Place::Query,
            (Some(Overlay::Confirm(_)), _) => Place::Question,
            (Some(Overlay::Help(_)), _) => Place::Help,
            (None, Focus::Table) => Place::Table,
            (None, Focus::Detail) => Place::Detail,
        }
    }

    /// What was last to be said in the last line, beside the keys.
    pub fn said(&self) -> Option<(&DisplayText, bool)> {
        match (self.latest(), &self.report) {
            (Some(latest), _) => self.fits(latest.0, 0).then_some(latest),
            (None, Some(report)) if self.fits(&report.text, KEYS) => {
                Some((&report.text, report.bad))
            }
            _ => None,
        }
    }

    /// What finds no room there: lines of their own, each with whether something went wrong. A report stays in sight whatever else is said.
    pub fn notes(&self) -> Vec<(String, bool)> {
        let latest = self.latest();
        let mut notes = Vec::new();
        if let Some(report) = &self.report
            && (latest.is_some() || !self.fits(&report.text, KEYS))
        {
            self.note(&report.text, report.bad, 2, &mut notes);
        }
        if let Some((text, bad)) = latest
            && !self.fits(text, 0)
        {
            self.note(text, bad, 3, &mut notes);
        }
        notes.truncate(Areas::most_notes(self.size));
        notes
    }

    /// What the last key or the store brought.
    fn latest(&self) -> Option<(&DisplayText, bool)> {
        match (&self.hint, &self.trouble) {
            (Some(hint), _) => Some((&hint.text, hint.bad)),
            // What stands in the table already is not said twice.
            (None, Some((_, trouble))) if self.table.failed.as_ref() != Some(trouble) => {
                Some((trouble, true))
            }
            _ => None,
        }
    }

    fn fits(&self, said: &DisplayText, beside: usize) -> bool {
        text::columns(said.as_str()) + 2 + beside <= usize::from(self.size.width)
    }

    fn note(&self, said: &DisplayText, bad: bool, most: usize, notes: &mut Vec<(String, bool)>) {
        let width = usize::from(self.size.width.saturating_sub(2)).max(1);
        let pieces = text::wrapped(said.as_str(), width);
        let shown = pieces.len().min(most);
        for (index, piece) in pieces.iter().take(shown).enumerate() {
            let more = index + 1 == shown && pieces.len() > shown;
            let piece = if more {
                format!("{}…", text::cut(piece.trim_end(), width - 1))
            } else {
                (*piece).to_owned()
            };
            notes.push((piece, bad));
        }
    }

    /// The regions of the screen; `None` when it is too small.
    pub fn areas(&self) -> Option<Areas> {
        Areas::of(self.size, self.focus, self.notes().len())
    }

    /// How many rows of the table are seen; at least 1, so that arithmetic goes on when nothing is.
    pub fn table_rows(&self) -> usize {
        Areas::of(self.size, Focus::Table, self.notes().len())
            .map_or(1, |areas| areas.table_rows())
            .max(1)
    }

    /// The row under the cursor.
    pub fn current(&self) -> Option<&Row> {
        self.table
            .index()
            .and_then(|index| self.table.rows.get(index))
    }

    /// Whether a row is marked.
    pub fn is_marked(&self, id: ReceiverId) -> bool {
        match &self.marks {
            Marks::Ids(ids) => ids.contains(&id),
            Marks::All { asked, except } => {
                let matches = if asked.query == self.table.asked.query {
                    self.table.gone != Some(id)
                } else {
                    self.table.marked.contains(&id)
                };
                matches && !except.contains(&id)
            }
        }
    }

    /// Whether a row would be marked if the range ended at the cursor.
    pub fn is_in_range(&self, id: ReceiverId) -> bool {
        match (self.range, self.table.cursor) {
            (Some(from), Some(to)) => from.min(to) <= id && id <= from.max(to),
            _ => false,
        }
    }

    /// How many are marked and how many of them are not among what the query shows; `None` while that is being counted.
    pub fn marked(&self) -> Option<MarkCounts> {
        self.marked_here().or(self.mark_counts)
    }

    /// The same, as far as it is known without asking.
    pub(super) fn marked_here(&self) -> Option<MarkCounts> {
        let table = &self.table;
        match &self.marks {
            Marks::Ids(ids) => {
                let all_seen =
                    table.asked.query.terms.is_empty() || ids.iter().all(|id| table.has(*id));
                all_seen.then_some(MarkCounts {
                    total: ids.len() as u64,
                    hidden: 0,
                })
            }
            Marks::All { asked, except }
                if except.is_empty() && asked.query == table.asked.query =>
            {
                match table.count {
                    Some(Count::Exact(total)) => Some(MarkCounts { total, hidden: 0 }),
                    _ => None,
                }
            }
            Marks::All { .. } => None,
        }
    }

    /// How many have been due for longer than an engine that runs would leave them.
    pub fn neglected(&self) -> Option<Count> {
        let unserved = self.unserved?;
        (self.now - unserved.since > NEGLECT).then_some(unserved.due)
    }

    /// Whom an action means: the marks, else the row under the cursor.
    pub fn target(&self) -> Option<Target> {
        self.marks
            .target()
            .or_else(|| self.table.cursor.map(|id| Target::Ids(vec![id])))
    }

    /// Shows the first frame no later than this is true: the rows, or why there are none, are known.
    pub fn is_ready(&self) -> bool {
        self.table.loaded || self.table.failed.is_some() || self.trouble.is_some()
    }
}

/// The rows that are known, and where the operator is among them.
#[derive(Clone, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four facts that have nothing to do with each other, not one of several modes"
)]
pub struct Table {
    /// What must match.
    pub asked: Asked,
    /// The rows around the cursor, newest first.
    pub rows: Vec<Row>,
    /// Nothing newer than the first of them matches.
    pub newest: bool,
    /// Nothing older than the last of them matches.
    pub oldest: bool,
    /// Those of them that match the query of the marks, when that is another one.
    pub marked: BTreeSet<ReceiverId>,
    /// The row under the cursor no longer matches; it stays until the cursor leaves it.
    pub gone: Option<ReceiverId>,
    /// The receiver the operator is at.
    pub cursor: Option<ReceiverId>,
    /// On which line of the screen it stands, the table's first being 0.
    pub line: usize,
    /// Rows to move once more rows are known: down is positive.
    pub(super) pending: i64,
    /// Other rows than these are being read: those of another query, or of one of its ends.
    pub(super) jumping: bool,
    /// The rows of this query are known.
    pub loaded: bool,
    /// How many match.
    pub count: Option<Count>,
    /// Why the rows of this query are not known, when the store could not answer.
    pub failed: Option<DisplayText>,
}

impl Table {
    /// The rows of the query could not be read: none is shown, since those on hand belong to another one.
    pub(super) fn fail(&mut self, why: DisplayText) {
        *self = Self {
            asked: std::mem::take(&mut self.asked),
            failed: Some(why),
            ..Self::default()
        };
    }

    /// Whether so many can match, given the rows on hand.
    pub(super) fn agrees(&self, count: Count) -> bool {
        let known = (self.rows.len() - usize::from(self.gone.is_some())) as u64;
        match count {
            Count::Exact(count) if self.newest && self.oldest => count == known,
            Count::Exact(count) => count > known,
            Count::AtLeast(_) => !(self.newest && self.oldest),
        }
    }

    /// Where a receiver stands among the rows.
    pub fn index_of(&self, id: ReceiverId) -> Option<usize> {
        self.rows.binary_search_by(|row| id.cmp(&row.id)).ok()
    }

    /// Where the cursor stands among the rows.
    pub fn index(&self) -> Option<usize> {
        self.cursor.and_then(|id| self.index_of(id))
    }

    /// The row on the first line of the screen.
    pub fn top(&self) -> usize {
        self.index()
            .map_or(0, |index| index.saturating_sub(self.line))
    }

    /// The rows on a screen of so many lines.
    pub fn shown(&self, lines: usize) -> &[Row] {
        let top = self.top().min(self.rows.len());
        &self.rows[top..(top + lines).min(self.rows.len())]
    }

    /// Whether a receiver is known to match.
    pub fn has(&self, id: ReceiverId) -> bool {
        self.gone != Some(id) && self.index_of(id).is_some()
    }
}

/// What an operator has marked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Marks {
    /// These.
    Ids(BTreeSet<ReceiverId>),
    /// All that match, but for some.
    All {
        /// What must match.
        asked: Asked,
        /// But these.
        except: BTreeSet<ReceiverId>,
    },
}

impl Default for Marks {
    fn default() -> Self {
        Self::Ids(BTreeSet::new())
    }
}

impl Marks {
    /// Whether nothing is marked.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Ids(ids) if ids.is_empty())
    }

    /// Whom they mean; `None` when nothing is marked.
    pub fn target(&self) -> Option<Target> {
        match self {
            Self::Ids(ids) if ids.is_empty() => None,
            Self::Ids(ids) => Some(Target::Ids(ids.iter().copied().collect())),
            Self::All { asked, except } if except.is_empty() => {
                Some(Target::Query(asked.query.clone()))
            }
            Self::All { asked, except } => Some(Target::Except(
                asked.query.clone(),
                except.iter().copied().collect(),
            )),
        }
    }
}

/// How many are marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkCounts {
    /// In all.
    pub total: u64,
    /// Of them, those that the query does not show.
    pub hidden: u64,
}

/// The detail pane.
#[derive(Clone, Debug, Default)]
pub struct Pane {
    /// Whose detail it holds. While the cursor moves that may be another than the cursor's.
    pub id: Option<ReceiverId>,
    /// `None`: the receiver is no longer in the store.
    pub detail: Option<Box<Detail>>,
    /// Which tab.
    pub tab: Tab,
    /// Which attempt, counted from 0.
    pub attempt: usize,
    /// How many lines are scrolled away.
    pub scroll: usize,
    /// What the tab says, before it is broken into lines.
    pub body: Body,
}

/// What lies over the table and the detail.
#[derive(Clone, Debug)]
pub enum Overlay {
    /// The query line is being edited.
    Query(QueryLine),
    /// A question that wants a `y`.
    Confirm(Confirm),
    /// Help on a place.
    Help(Help),
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
    },
    /// Whether to leave although jobs are running.
    Quit,
}

/// The help that is open.
#[derive(Clone, Copy, Debug)]
pub struct Help {
    /// Help on what.
    pub place: Place,
    /// How many lines are scrolled away.
    pub scroll: usize,
}

/// A job that is running.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its number.
    pub id: JobId,
    /// What was confirmed.
    pub order: Order,
    /// How many receivers it should touch.
    pub expected: u64,
    /// How far it is.
    pub phase: Phase,
    /// It was told to end.
    pub stopping: bool,
}

/// How far a job is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// So many receivers are written down.
    Marking(u64),
    /// Delivery is under way: so many of so many have been tried.
    Delivering(u64, u64),
}

impl Job {
    /// How many receivers are done and how many there are.
    pub fn progress(&self) -> (u64, u64) {
        match &self.phase {
            Phase::Marking(done) => (*done, self.expected.max(*done)),
            Phase::Delivering(done, total) => (*done, *total),
        }
    }
}

/// A sentence for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What it says.
    pub text: DisplayText,
    /// Whether something went wrong.
    pub bad: bool,
}

impl Notice {
    /// Something worth knowing.
    pub fn good(text: &str) -> Self {
        Self {
            text: DisplayText::line(text),
            bad: false,
        }
    }

    /// Something that went wrong.
    pub fn bad(text: &str) -> Self {
        Self {
            text: DisplayText::line(text),
            bad: true,
        }
    }
}
