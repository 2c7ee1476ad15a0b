//! The detail pane.

use std::sync::Arc;

use super::State;
use crate::{
    console::{
        content::{Part, Reading},
        detail::Tab,
        page::{Hit, MOST_HITS, Page, Shape, Spot},
        text::grouped,
    },
    message::ReceiverId,
    store::Detail,
};

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
    /// Which part of the content.
    pub part: Part,
    /// The content, once it is read: of this receiver, this part, and laid out for a pane as wide as this one.
    pub content: Option<Reading>,
    /// What the content was last asked for: the part and the width.
    pub(in crate::console) content_for: Option<(Part, usize)>,
    /// Foreign frames of tracebacks are shown.
    pub unfolded: bool,
    /// What the tab says.
    pub page: Arc<Page>,
    /// What is at the top.
    pub at: Spot,
    /// Long lines are not broken.
    pub unwrapped: bool,
    /// So many columns are scrolled away, where lines are not broken.
    pub sideways: usize,
    /// What is looked for in it.
    pub search: Option<Search>,
}

/// What is looked for in the pane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// The words.
    pub words: String,
    /// Where they stand; `None` while that is being found out.
    pub hits: Option<Vec<Hit>>,
    /// Which of them the operator is at; `None`: the text has changed since.
    pub current: Option<usize>,
    /// Once they are found, go to the first from the top of the screen on.
    pub go: bool,
}

impl Search {
    /// The hit the operator is at.
    pub fn here(&self) -> Option<Hit> {
        self.hits.as_ref()?.get(self.current?).copied()
    }

    /// How it goes, in words.
    pub fn said(&self) -> String {
        let Some(hits) = &self.hits else {
            return "searching…".to_owned();
        };
        let most = if hits.len() > MOST_HITS { "≥ " } else { "" };
        let many = hits.len().min(MOST_HITS);
        match self.current {
            _ if many == 0 => "no match".to_owned(),
            Some(current) => {
                let (current, many) = (grouped(current as u64 + 1), grouped(many as u64));
                format!("match {current} of {most}{many}")
            }
            None if many == 1 => "1 match".to_owned(),
            None => format!("{most}{} matches", grouped(many as u64)),
        }
    }
}

impl State {
    /// How the page of the pane is laid out on this screen.
    pub fn shape(&self) -> Shape {
        let body = self.areas().map(|areas| areas.detail_body());
        let body = body.unwrap_or_default();
        Shape {
            width: usize::from(body.width),
            height: usize::from(body.height),
            wrap: !self.pane.unwrapped,
        }
    }

    /// The attempt that the pane shows.
    pub fn attempt(&self) -> Option<&crate::message::Attempt> {
        self.pane.id?;
        let detail = self.pane.detail.as_ref()?;
        detail.attempts.get(self.pane.attempt)
    }
}
