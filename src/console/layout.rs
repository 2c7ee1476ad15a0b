//! Where everything stands on a screen of a given size. Pure, so that `update` knows as well as `view` how many rows fit.

use ratatui::layout::{Rect, Size};

/// The smallest screen that shows anything.
pub const SMALLEST: Size = Size::new(40, 10);

/// However much is said, the first three lines, the last and this many of the table remain: 3.
const LEAST_BESIDE_NOTES: u16 = 7;

/// From this width on the detail stands beside the table.
const BESIDE: u16 = 140;

/// From this height on it stands below, on a screen too narrow for two columns.
const BELOW: u16 = 32;

/// Where the keys go, when no question and no help is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Focus {
    /// The table.
    #[default]
    Table,
    /// The detail.
    Detail,
}

/// The regions of a screen. A region that is not shown is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Areas {
    /// Program, store, backends.
    pub header: Rect,
    /// The statuses with their counts.
    pub counts: Rect,
    /// The query and the marks.
    pub query: Rect,
    /// The table, its head included.
    pub table: Rect,
    /// The line between a table and a detail beside it.
    pub divider: Rect,
    /// The detail, its title included.
    pub detail: Rect,
    /// What was said and finds no room in the last line.
    pub notes: Rect,
    /// Keys, notices, jobs.
    pub footer: Rect,
}

impl Areas {
    /// How many lines of notes a screen has room for.
    pub fn most_notes(size: Size) -> usize {
        usize::from(size.height.saturating_sub(LEAST_BESIDE_NOTES))
    }

    /// The regions beside so many lines of notes, or `None` when the screen is too small for any.
    pub fn of(size: Size, focus: Focus, notes: usize) -> Option<Self> {
        if size.width < SMALLEST.width || size.height < SMALLEST.height {
            return None;
        }
        let line = |y| Rect::new(0, y, size.width, 1);
        let notes = notes.min(Self::most_notes(size)) as u16;
        let body = Rect::new(0, 3, size.width, size.height - 4 - notes);
        let mut areas = Self {
            header: line(0),
            counts: line(1),
            query: line(2),
            notes: Rect::new(0, body.bottom(), size.width, notes),
            footer: line(size.height - 1),
            ..Self::default()
        };
        if size.width >= BESIDE {
            // A traceback is read well in some sixty columns; the table makes use of what there is beyond.
            let table = (size.width - (size.width * 2 / 5).clamp(56, 64)).min(180);
            areas.table = Rect {
                width: table,
                ..body
            };
            areas.divider = Rect {
                x: table,
                width: 1,
                ..body
            };
            areas.detail = Rect {
                x: table + 1,
                width: size.width - table - 1,
                ..body
            };
        } else if size.height >= BELOW {
            let table = body.height * 3 / 5;
            areas.table = Rect {
                height: table,
                ..body
            };
            areas.detail = Rect {
                y: body.y + table,
                height: body.height - table,
                ..body
            };
        } else if focus == Focus::Detail {
            areas.detail = body;
        } else {
            areas.table = body;
        }
        Some(areas)
    }

    /// How many rows of the table are seen.
    pub fn table_rows(&self) -> usize {
        usize::from(self.table.height.saturating_sub(1))
    }

    /// The part of the detail below its title, with a margin of a column at the left.
    pub fn detail_body(&self) -> Rect {
        Rect {
            x: self.detail.x + 1,
            y: self.detail.y + 1,
            width: self.detail.width.saturating_sub(2),
            height: self.detail.height.saturating_sub(1),
        }
    }

    /// All between the query and the notes.
    pub fn body(&self) -> Rect {
        Rect {
            y: self.query.bottom(),
            height: self.notes.y.saturating_sub(self.query.bottom()),
            ..self.query
        }
    }

    /// Whether the detail is seen at all.
    pub fn shows_detail(&self) -> bool {
        !self.detail.is_empty()
    }
}
