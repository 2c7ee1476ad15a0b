//! Columns that line up, and fit the terminal if there is one.

use std::io::Write;

use clap::ValueEnum;

use crate::{
    columns::{columns, cut},
    message::DisplayText,
};

/// Between two columns.
pub(super) const GAP: &str = "  ";
/// A column that gives way keeps at least so much.
const NARROWEST: usize = 8;
/// A column that gives way wants so much, as long as there are columns that can be left out.
const WANTED: usize = 24;

/// How to write what is many.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Columns that line up, in local time
    Table,
    /// One object a line
    Json,
    /// Values between tabs, under a line of names
    Tsv,
}

/// For `--limit`.
pub(super) fn limit(text: &str) -> Result<usize, &'static str> {
    text.parse()
        .map_err(|_| "how many rows at most is a whole number; 0 is all")
}

/// How one column looks.
#[derive(Clone, Copy)]
pub(super) struct Look {
    pub(super) heading: &'static str,
    pub(super) right: bool,
    pub(super) gives_way: bool,
    /// Left out where there is too little room, the last of them first.
    pub(super) leaves: bool,
}

/// A cell: harmless text, and the SGR parameters of its colour, if any.
pub(super) struct Cell {
    pub(super) text: DisplayText,
    pub(super) colour: Option<&'static str>,
}

impl From<DisplayText> for Cell {
    fn from(text: DisplayText) -> Self {
        Self { text, colour: None }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        DisplayText::line(&text).into()
    }
}

/// A table that is written part by part: the first part sets the widths.
pub(super) struct Table {
    looks: Vec<Look>,
    widths: Option<Vec<usize>>,
    /// What fits on a line; `None`: everything does.
    room: Option<usize>,
}

impl Table {
    pub(super) fn new(looks: Vec<Look>, room: Option<usize>) -> Self {
        Self {
            looks,
            widths: None,
            room,
        }
    }

    /// Writes some rows, before the first ones the headings.
    pub(super) fn write(&mut self, out: &mut dyn Write, rows: &[Vec<Cell>]) -> std::io::Result<()> {
        if self.widths.is_none() {
            let widths = self.fit(rows);
            let headings: Vec<Cell> = self
                .looks
                .iter()
                .map(|look| DisplayText::line(look.heading).into())
                .collect();
            self.line(out, &headings, &widths)?;
            self.widths = Some(widths);
        }
        let widths = self.widths.as_deref().unwrap_or_default();
        rows.iter().try_for_each(|row| self.line(out, row, widths))
    }

    fn fit(&self, rows: &[Vec<Cell>]) -> Vec<usize> {
        let mut widths: Vec<usize> = self
            .looks
            .iter()
            .map(|look| columns(look.heading))
            .collect();
        for row in rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(columns(cell.text.as_str()));
            }
        }
        let Some(room) = self.room else {
            return widths;
        };
        let wants = |(width, look): (&usize, &Look)| {
            if look.gives_way {
                (*width).min(WANTED)
            } else {
                *width
            }
        };
        for last in (0..self.looks.len()).rev() {
            if taken(widths.iter().zip(&self.looks).map(wants)) > room && self.looks[last].leaves {
                widths[last] = 0;
            }
        }
        let mut too_much = taken(widths.iter().copied()).saturating_sub(room);
        // The widest gives way first, a cell at a time: columns end up alike.
        while too_much > 0 {
            let widest = widths
                .iter_mut()
                .zip(&self.looks)
                .filter(|(width, look)| look.gives_way && **width > NARROWEST)
                .max_by_key(|(width, _)| **width);
            let Some((width, _)) = widest else { break };
            *width -= 1;
            too_much -= 1;
        }
        widths
    }

    fn line(&self, out: &mut dyn Write, cells: &[Cell], widths: &[usize]) -> std::io::Result<()> {
        let mut line = String::new();
        let cells = cells.iter().zip(&self.looks).zip(widths);
        let cells = cells.filter(|(_, width)| **width > 0);
        for (index, ((cell, look), &width)) in cells.enumerate() {
            if index > 0 {
                line.push_str(GAP);
            }
            let text = self.cut(cell.text.as_str(), width);
            let padding = " ".repeat(width.saturating_sub(columns(&text)));
            if look.right {
                line.push_str(&padding);
            }
            match cell.colour {
                Some(colour) => {
                    line.extend(["\u{1b}[", colour, "m", &text, "\u{1b}[0m"]);
                }
                None => line.push_str(&text),
            }
            if !look.right {
                line.push_str(&padding);
            }
        }
        writeln!(out, "{}", line.trim_end())
    }

    fn cut(&self, text: &str, width: usize) -> String {
        match self.room {
            Some(_) => cut(text, width),
            None => text.to_owned(),
        }
    }
}

/// What columns of these widths take on a line; one that is left out has none.
fn taken(widths: impl Iterator<Item = usize>) -> usize {
    let shown = widths.filter(|width| *width > 0);
    let with_gaps: usize = shown.map(|width| width + GAP.len()).sum();
    with_gaps.saturating_sub(GAP.len())
}

/// The width of the terminal that stdout is, if it is one.
pub(super) fn room() -> Option<usize> {
    use std::io::IsTerminal as _;
    if !std::io::stdout().is_terminal() {
        return None;
    }
    let (columns, _) = crossterm::terminal::size().ok()?;
    Some(usize::from(columns)).filter(|&columns| columns > 0)
}
