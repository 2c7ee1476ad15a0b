//! The columns of the table: one type says what stands in the head, in a cell, how wide it is, where it stands and when it gives way.

use super::{
    clock::Zone,
    state::{Columns, Setup},
    text,
    theme::Role,
};
use crate::{
    message::{Delivery, DisplayText, Reason, Text, Timestamp},
    store::{By, Row, Sort},
};

/// A column. The order of the variants is the usual order on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after what they show")]
pub enum Column {
    Id,
    Created,
    User,
    To,
    Subject,
    Failed,
    Ok,
    Status,
    Sent,
    Type,
    Backend,
    Language,
    Next,
    Key,
    Message,
    Delivery,
}

/// Between two columns.
const GAP: usize = 2;

/// What the identity and the subject get beyond their least before another column finds room.
const RESERVE: usize = 24;

/// The same on a wide table, where who looks for a column is to find it.
const WIDE_RESERVE: usize = 16;

/// From this width on a table is wide.
const WIDE: usize = 110;

/// What a cell needs to know beside its row.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Labels and the operator's zone.
    pub setup: &'a Setup,
    /// Now.
    pub now: Timestamp,
    /// Whether the status has room for its reason.
    pub reasons: bool,
    /// The widest id on the screen, in digits.
    pub id_width: usize,
}

impl Column {
    /// Every column, in the usual order on the screen.
    pub const ALL: [Self; 16] = [
        Self::Id,
        Self::Created,
        Self::User,
        Self::To,
        Self::Subject,
        Self::Failed,
        Self::Ok,
        Self::Status,
        Self::Sent,
        Self::Type,
        Self::Backend,
        Self::Language,
        Self::Next,
        Self::Key,
        Self::Message,
        Self::Delivery,
    ];

    /// The order in which columns find room; the first four always do.
    const BY_WEIGHT: [Self; 16] = [
        Self::Status,
        Self::Id,
        Self::To,
        Self::Subject,
        Self::Created,
        Self::Failed,
        Self::Ok,
        Self::Type,
        Self::User,
        Self::Sent,
        Self::Next,
        Self::Backend,
        Self::Language,
        Self::Delivery,
        Self::Key,
        Self::Message,
    ];

    /// Whether it always shows: without these a row says nothing.
    pub fn always_shows(self) -> bool {
        matches!(self, Self::Id | Self::To | Self::Subject | Self::Status)
    }

    /// Whether it shows unless it is told otherwise.
    pub fn is_usual(self) -> bool {
        !matches!(self, Self::Key | Self::Message | Self::Delivery)
    }

    /// Its name where columns are kept.
    pub fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Created => "created",
            Self::User => "user",
            Self::To => "to",
            Self::Subject => "subject",
            Self::Failed => "failed",
            Self::Ok => "ok",
            Self::Status => "status",
            Self::Sent => "sent",
            Self::Type => "type",
            Self::Backend => "backend",
            Self::Language => "lang",
            Self::Next => "next",
            Self::Key => "key",
            Self::Message => "message",
            Self::Delivery => "delivery",
        }
    }

    /// The order that goes by it, if an index gives one.
    pub fn order(self) -> Option<By> {
        By::ALL.into_iter().find(|by| by.name() == self.name())
    }

    /// What stands above it in a table of this order: an arrow at the column that it goes by.
    pub fn headed(self, sort: Sort) -> String {
        let arrow = match (self.order() == Some(sort.by), sort.by, sort.reversed) {
            (false, ..) | (_, By::Id, false) => "",
            (true, by, reversed) if by.descends() == reversed => "▲",
            (true, ..) => "▼",
        };
        format!("{}{arrow}", self.head())
    }

    /// What stands above it.
    pub fn head(self) -> &'static str {
        match self {
            Self::Id => "ID",
            Self::Created => "Created",
            Self::User => "User",
            Self::To => "To",
            Self::Subject => "Subject",
            Self::Failed => "Failed",
            Self::Ok => "Ok",
            Self::Status => "Status",
            Self::Sent => "Sent",
            Self::Type => "Type",
            Self::Backend => "Backend",
            Self::Language => "Lang",
            Self::Next => "Next try",
            Self::Key => "Key",
            Self::Message => "Message",
            Self::Delivery => "Delivery",
        }
    }

    /// Whether it is aligned to the right, as numbers are.
    pub fn is_number(self) -> bool {
        matches!(self, Self::Id | Self::Failed | Self::Ok | Self::Message)
    }

    /// The least and the most columns of the screen it makes use of.
    fn width(self, context: Context<'_>) -> (usize, usize) {
        match self {
            Self::Id => (context.id_width.max(3), context.id_width.max(3)),
            Self::Created | Self::Sent | Self::Next => (12, 12),
            Self::User => (8, 16),
            Self::To => (11, 30),
            Self::Subject => (8, 100),
            Self::Failed => (6, 6),
            Self::Ok => (3, 3),
            Self::Status if context.reasons => (9, 19),
            Self::Status => (9, 9),
            Self::Type => (10, 20),
            Self::Backend => (7, 12),
            Self::Language => (5, 5),
            Self::Key => (8, 30),
            Self::Message => (7, 7),
            Self::Delivery => (11, 11),
        }
    }

    /// The columns that find room, with their widths, in their order on the screen. What is over goes to those that were made wider, then to those
    /// that make use of more.
    pub fn fit(columns: &Columns, room: usize, context: Context<'_>) -> Vec<(Self, usize)> {
        let wanted = |column: Self| columns.all().iter().find(|choice| choice.column == column);
        let width = |column: Self| {
            let (least, most) = column.width(context);
            match wanted(column).and_then(|choice| choice.width) {
                Some(wide) => (least.min(wide), wide),
                None => (least, most),
            }
        };
        let mut chosen: Vec<(Self, usize)> = Vec::new();
        let mut left = room + GAP;
        for column in Self::BY_WEIGHT {
            if !wanted(column).is_some_and(|choice| choice.shown) {
                continue;
            }
            let (least, _) = width(column);
            // Beyond the four that always show, a column is only worth it while these still have a decent width.
            let reserve = match chosen.len() {
                ..4 => 0,
                _ if room < WIDE => RESERVE,
                _ => WIDE_RESERVE,
            };
            if left < least + GAP + reserve {
                break;
            }
            left -= least + GAP;
            chosen.push((column, least));
        }
        let place = |column: Self| columns.all().iter().position(|c| c.column == column);
        chosen.sort_by_key(|(column, _)| place(*column));
        let sized = columns.all().iter().filter(|choice| choice.width.is_some());
        let sized = sized.map(|choice| (choice.column, 1));
        // A reason is worth more than a longer subject, which takes what the others leave.
        let growers = [
            (Self::Status, 1),
            (Self::To, 2),
            (Self::Type, 4),
            (Self::User, 4),
            (Self::Backend, 4),
            (Self::Key, 4),
            (Self::Subject, 1),
            (Self::To, 1),
        ];
        for (grower, part) in sized.chain(growers) {
            if let Some((_, now)) = chosen.iter_mut().find(|(column, _)| *column == grower) {
                let (_, most) = width(grower);
                let more = (left / part).min(most.saturating_sub(*now));
                *now += more;
                left -= more;
            }
        }
        chosen
    }

    /// What stands in the cell of a row.
    pub fn cell(self, row: &Row, context: Context<'_>) -> (String, Role) {
        let plain = |text: String| (text, Role::Plain);
        let time = |at: Option<Timestamp>| match at {
            Some(at) => (context.zone().short(at, context.now), Role::Plain),
            None => ("—".to_owned(), Role::Label),
        };
        match self {
            Self::Id => plain(row.id.to_string()),
            Self::Created => time(Some(row.created_at)),
            Self::User => plain(
                row.user
                    .as_ref()
                    .map(|user| user.shown().into_string())
                    .unwrap_or_default(),
            ),
            Self::To => plain(row.identity.shown().into_string()),
            Self::Subject => plain(row.subject.shown().into_string()),
            Self::Failed if row.failed_count == 0 => ("0".to_owned(), Role::Label),
            Self::Failed => plain(row.failed_count.to_string()),
            Self::Ok => plain(row.sent_count.to_string()),
            Self::Status => {
                let status = row.state.status();
                let sign = if row.sending {
                    "▸"
                } else if row.state.reason() == Reason::Held {
                    "‖"
                } else {
                    ""
                };
                // The reason stands where it says more than the status.
                let reason = match row.state.reason() {
                    _ if !context.reasons => String::new(),
                    Reason::Queued | Reason::Accepted => String::new(),
                    other => format!(" {other}"),
                };
                let label = format!("{}{sign}", status.label());
                (format!("{label}{reason}"), Role::Status(status))
            }
            Self::Sent => time(row.sent_at),
            Self::Type => plain(label_of(&row.kind, context.setup)),
            Self::Backend => plain(row.backend.shown().into_string()),
            Self::Language => plain(row.language.shown().into_string()),
            Self::Next => time(row.next_attempt_at),
            Self::Key => plain(row.message_key.shown().into_string()),
            Self::Message => plain(row.message_id.to_string()),
            Self::Delivery => plain(row.delivery.map_or("", Delivery::name).to_owned()),
        }
    }

    /// The head or a cell within its width.
    pub fn fitted(self, text: &str, width: usize) -> String {
        text::fitted(text, width, self.is_number())
    }

    /// The space between two columns.
    pub fn gap() -> String {
        " ".repeat(GAP)
    }
}

impl Context<'_> {
    fn zone(self) -> Zone {
        self.setup.zone
    }
}

/// The label of a type and, where that is another, the word that a query takes.
pub fn type_in_full(kind: &Text, setup: &Setup) -> String {
    let (label, word) = (label_of(kind, setup), kind.shown().into_string());
    if label == word {
        return word;
    }
    format!("{label} ({word})")
}

/// The label of a type, else the word itself.
pub fn label_of(kind: &Text, setup: &Setup) -> String {
    let label = setup.types.get(kind.raw());
    label
        .map_or_else(|| kind.shown(), |label| DisplayText::line(label))
        .into_string()
}
