//! Which columns the table shows, in which order and how wide.

use serde::{Deserialize, Serialize};

use crate::console::column::Column;

/// Which columns the table shows, in which order and how wide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns(Vec<Choice>);

/// What was chosen for a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Which.
    pub column: Column,
    /// Whether it is shown, where there is room.
    pub shown: bool,
    /// How wide; `None`: as there is room.
    pub width: Option<usize>,
}

/// The same, as it is kept in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptColumn {
    name: String,
    shown: bool,
    width: Option<usize>,
}

/// A column is never wider than this, nor narrower than [`NARROWEST`].
const WIDEST: usize = 200;

/// See [`WIDEST`].
const NARROWEST: usize = 3;

impl Default for Columns {
    fn default() -> Self {
        let choice = |column: Column| Choice {
            column,
            shown: column.is_usual(),
            width: None,
        };
        Self(Column::ALL.map(choice).into())
    }
}

impl Columns {
    /// Every column, in order.
    pub fn all(&self) -> &[Choice] {
        &self.0
    }

    /// Shows it, or hides it. Why not, if it always shows.
    pub fn turn(&mut self, at: usize) -> Result<(), &'static str> {
        match self.0.get_mut(at) {
            Some(choice) if choice.column.always_shows() => {
                Err("ID, To, Subject and Status always show")
            }
            Some(choice) => {
                choice.shown = !choice.shown;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Moves it one place to the right, or to the left. Where it stands then.
    pub fn shift(&mut self, at: usize, right: bool) -> usize {
        let to = if right { at + 1 } else { at.saturating_sub(1) };
        if to < self.0.len() && at < self.0.len() {
            self.0.swap(at, to);
            return to;
        }
        at
    }

    /// Makes it so much wider or narrower than `now`.
    pub fn size(&mut self, at: usize, now: usize, by: isize) {
        if let Some(choice) = self.0.get_mut(at) {
            let width = choice.width.unwrap_or(now).saturating_add_signed(by);
            choice.width = Some(width.clamp(NARROWEST, WIDEST));
        }
    }

    /// As wide as there is room.
    pub fn unsize(&mut self, at: usize) {
        if let Some(choice) = self.0.get_mut(at) {
            choice.width = None;
        }
    }

    /// For a file.
    pub fn kept(&self) -> Vec<KeptColumn> {
        let kept = |choice: &Choice| KeptColumn {
            name: choice.column.name().to_owned(),
            shown: choice.shown,
            width: choice.width,
        };
        self.0.iter().map(kept).collect()
    }

    /// From a file, whatever stands in it: what is unknown is left out, what is missing is as usual.
    pub fn from_kept(kept: &[KeptColumn]) -> Self {
        let mut choices: Vec<Choice> = Vec::new();
        for one in kept {
            let column = Column::ALL
                .into_iter()
                .find(|column| column.name() == one.name);
            if let Some(column) = column
                && choices.iter().all(|choice| choice.column != column)
            {
                choices.push(Choice {
                    column,
                    shown: one.shown || column.always_shows(),
                    width: one.width.map(|width| width.clamp(NARROWEST, WIDEST)),
                });
            }
        }
        for choice in Self::default().0 {
            if choices.iter().all(|other| other.column != choice.column) {
                choices.push(choice);
            }
        }
        Self(choices)
    }
}
