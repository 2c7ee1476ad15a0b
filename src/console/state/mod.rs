//! What the console knows. Nothing here does I/O; `update` changes it and `view` draws it.

mod causes;
mod columns;
mod editing;
mod job;
mod marks;
mod notice;
mod overlay;
mod overview;
mod pane;
mod table;

use std::collections::{BTreeMap, VecDeque};

use chrono::TimeDelta;
use ratatui::{crossterm::event::KeyEvent, layout::Size};

use super::{
    action::Place,
    asks::Asks,
    clock::Zone,
    content::Reading,
    effect::JobId,
    kept::Kept,
    keymap::Keymap,
    layout::{Areas, Focus},
    question::{Sort, Unserved},
    theme::Theme,
};
use crate::{
    message::{DisplayText, Timestamp},
    query::Query,
    store::{BackendRow, Count, Counts, Place as Stand, Row, Traffic, Words},
};

/// So many changes of the marks and of the query can be taken back.
const STEPS: usize = 50;

/// Who is due for longer than this, and no engine is alive, waits for nobody. Between two passes of cron all may be well for so long.
const NEGLECT: TimeDelta = TimeDelta::minutes(1);

pub use causes::{Causes, scrolled};
pub use columns::{Choice, Columns, KeptColumn};
pub use editing::Editing;
pub use job::{Job, Phase};
pub use marks::{MarkCounts, Marks};
pub use notice::Notice;
pub use overlay::{Confirm, Help, Overlay, Palette, Panel, Prompt, Wanted};
pub use overview::Overview;
pub use pane::{Pane, Search};
pub use table::Table;

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
    /// Draw with nothing but ASCII.
    pub ascii: bool,
    /// Which keys mean what.
    pub keymap: Keymap,
    /// How the program is called on a command line, with the flags that lead to this store.
    pub program: String,
    /// Queries by name, from the config.
    pub queries: BTreeMap<String, String>,
    /// Where the console keeps what is to be there at its next start, for the eye.
    pub kept_in: DisplayText,
}

impl Default for Setup {
    /// What a console without a config begins with, on a store without a name.
    fn default() -> Self {
        Self {
            store: DisplayText::line(""),
            read_only: false,
            types: BTreeMap::new(),
            zone: Zone::Local,
            theme: Theme::Default,
            ascii: false,
            keymap: Keymap::default(),
            program: "postroom".to_owned(),
            queries: BTreeMap::new(),
            kept_in: DisplayText::default(),
        }
    }
}

/// What fills the screen, between its first lines and its last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Screen {
    /// The table and the detail.
    #[default]
    Receivers,
    /// The failures by cause.
    Causes,
    /// The backends and the last day.
    Overview,
}

/// A query and the words it was read from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The words.
    pub text: String,
    /// What they mean.
    pub query: Query,
}

/// The marks and the query before a change of either.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) marks: Marks,
    pub(super) asked: Asked,
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
    /// What fills the screen.
    pub screen: Screen,
    /// Which half of the receivers' screen has the keys when nothing lies over it.
    pub focus: Focus,
    /// From where the table was entered, and the words of the query there: Esc goes back.
    pub from: Option<(Screen, String)>,
    /// What lies over it.
    pub overlay: Option<Overlay>,
    /// The rows.
    pub table: Table,
    /// The marks.
    pub marks: Marks,
    /// How many are marked and shown, where that had to be asked.
    pub mark_counts: Option<MarkCounts>,
    /// A range of marks that has begun here.
    pub range: Option<Stand>,
    /// Which columns the table shows.
    pub columns: Columns,
    /// What goes with the query line while it is being edited.
    pub editing: Editing,
    /// What a query may name.
    pub words: Words,
    /// Queries that were asked, the latest last.
    pub history: Vec<String>,
    /// Queries that were kept under a name here.
    pub saved: BTreeMap<String, String>,
    /// What can be taken back, the latest last.
    pub(super) undo: Vec<Step>,
    /// The detail pane.
    pub pane: Pane,
    /// The failures by cause.
    pub causes: Causes,
    /// The overview.
    pub overview: Overview,
    /// How many receivers have each state; `None` until known.
    pub counts: Option<Counts>,
    /// The backends.
    pub backends: Vec<BackendRow>,
    /// How things go over them.
    pub traffic: Vec<Traffic>,
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
    /// The name of a file that waits for what is to stand in it, and what will if the store has nothing more exact; `None`: then it is not written.
    pub(super) saving: Option<(String, Option<Reading>)>,
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
            screen: Screen::default(),
            focus: Focus::default(),
            from: None,
            overlay: None,
            table: Table::default(),
            marks: Marks::default(),
            mark_counts: None,
            range: None,
            columns: Columns::default(),
            editing: Editing::default(),
            words: Words::default(),
            history: Vec::new(),
            saved: BTreeMap::new(),
            undo: Vec::new(),
            pane: Pane::default(),
            causes: Causes::default(),
            overview: Overview::default(),
            counts: None,
            backends: Vec::new(),
            traffic: Vec::new(),
            unserved: None,
            looked: now,
            jobs: Vec::new(),
            hint: None,
            report: None,
            trouble: None,
            saving: None,
            asks: Asks::default(),
            deferred: VecDeque::new(),
            last_job: 0,
            version: None,
        }
    }

    /// Begins with what was kept at the last run.
    pub fn recall(&mut self, kept: Kept) {
        self.columns = Columns::from_kept(&kept.columns);
        self.table.sort = kept.sort();
        self.history = kept.history;
        self.saved = kept.queries;
    }

    /// Remembers the marks and the query, before either is changed.
    pub(super) fn remember(&mut self) {
        if self.undo.len() == STEPS {
            self.undo.remove(0);
        }
        self.undo.push(Step {
            marks: self.marks.clone(),
            asked: self.table.asked.clone(),
        });
    }

    /// Where a key goes.
    pub fn place(&self) -> Place {
        match &self.overlay {
            Some(Overlay::Query(_)) => Place::Query,
            Some(Overlay::Confirm(_)) => Place::Question,
            Some(Overlay::Help(_)) => Place::Help,
            Some(Overlay::Prompt(_)) => Place::Prompt,
            Some(Overlay::Copying { .. }) => Place::Copying,
            Some(Overlay::Palette(_)) => Place::Palette,
            Some(Overlay::Filter(_)) => Place::Filter,
            Some(Overlay::Columns(_)) => Place::Columns,
            None => self.ground(),
        }
    }

    /// Where a key goes when nothing lies over the screen.
    pub fn ground(&self) -> Place {
        match (self.screen, self.focus) {
            (Screen::Receivers, Focus::Table) => Place::Table,
            (Screen::Receivers, Focus::Detail) => Place::Detail,
            (Screen::Causes, _) => Place::Causes,
            (Screen::Overview, _) => Place::Overview,
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

    /// How many have been due for longer than an engine that runs would leave them.
    pub fn neglected(&self) -> Option<Count> {
        let unserved = self.unserved?;
        (self.now - unserved.since > NEGLECT).then_some(unserved.due)
    }

    /// Shows the first frame no later than this is true: the rows, or why there are none, are known.
    pub fn is_ready(&self) -> bool {
        self.table.loaded || self.table.failed.is_some() || self.trouble.is_some()
    }
}
