//! The orders in which receivers are listed: those that an index serves.
//!
//! Each is a sequence of groups, walked one after the other: by type that is one type after the other, each newest first; by the time of sending,
//! those that have one and then those that have none. So every order comes down to walks by the id or by a time.

use std::{cmp::Ordering, collections::BTreeMap};

use rusqlite::Connection;

use super::{Row, millis, plan::Walk, search};
use crate::{
    message::{ReceiverId, Status, Timestamp},
    query::{Predicate, Query, Term, When},
};

/// An order, and its direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sort {
    /// By what.
    pub by: By,
    /// The other way round than usual.
    pub reversed: bool,
}

/// By what receivers may be ordered. Among equals the newest comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// The id, highest first: the usual order.
    #[default]
    Id,
    /// When it was handed over, latest first.
    Created,
    /// When it was last accepted, latest first; those that never were come last, whatever the direction.
    Sent,
    /// The message's type, in the alphabet, case ignored.
    Type,
    /// The status, in the order of [`Status::ALL`].
    Status,
}

impl By {
    /// Every order.
    pub const ALL: [Self; 5] = [
        Self::Id,
        Self::Created,
        Self::Sent,
        Self::Type,
        Self::Status,
    ];

    /// The word on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Created => "created",
            Self::Sent => "sent",
            Self::Type => "type",
            Self::Status => "status",
        }
    }

    /// Whether what is highest comes first, unless it is asked for the other way round.
    pub const fn descends(self) -> bool {
        matches!(self, Self::Id | Self::Created | Self::Sent)
    }
}

impl From<By> for Sort {
    fn from(by: By) -> Self {
        Self {
            by,
            reversed: false,
        }
    }
}

/// Where a receiver stands, or stood, in every order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub(super) id: ReceiverId,
    created_at: Timestamp,
    sent_at: Option<Timestamp>,
    kind: String,
    status: Status,
}

impl Place {
    /// Whose place it is.
    pub fn id(&self) -> ReceiverId {
        self.id
    }
}

impl From<&Row> for Place {
    fn from(row: &Row) -> Self {
        Self {
            id: row.id,
            created_at: row.created_at,
            sent_at: row.sent_at,
            kind: search::fold(row.kind.raw()),
            status: row.state.status(),
        }
    }
}

/// Receivers that stand together in an order.
pub(super) struct Group {
    pub(super) walk: Walk,
    /// What they have in common.
    common: Option<Predicate>,
}

impl Group {
    /// Those of the group that match.
    pub(super) fn within(&self, query: &Query) -> Query {
        let mut query = query.clone();
        query
            .terms
            .extend(self.common.clone().map(|predicate| Term {
                negated: false,
                predicate,
                span: 0..0,
            }));
        query
    }

    /// Whether a place is among them.
    pub(super) fn holds(&self, place: &Place) -> bool {
        match &self.common {
            Some(Predicate::Type(names)) => names
                .first()
                .is_some_and(|name| search::fold(name) == place.kind),
            Some(Predicate::Status(list)) => list.contains(&place.status),
            Some(Predicate::Sent(list)) => list.contains(&When::Never) == place.sent_at.is_none(),
            _ => true,
        }
    }

    /// The time by which they are ordered, of this place.
    pub(super) fn at(&self, place: &Place) -> Option<i64> {
        match self.walk {
            Walk::Id => None,
            Walk::Created => Some(millis(place.created_at)),
            Walk::Sent => place.sent_at.map(millis),
        }
    }
}

impl Sort {
    /// Which of two places comes first.
    pub fn compare(self, one: &Place, other: &Place) -> Ordering {
        let turned = |order: Ordering| {
            if self.reversed {
                order.reverse()
            } else {
                order
            }
        };
        let by = match self.by {
            By::Id => Ordering::Equal,
            By::Created => turned(other.created_at.cmp(&one.created_at)),
            By::Sent => match (one.sent_at, other.sent_at) {
                (Some(one), Some(other)) => turned(other.cmp(&one)),
                (one, other) => one.is_none().cmp(&other.is_none()),
            },
            By::Type => turned(one.kind.cmp(&other.kind)),
            By::Status => turned((one.status as usize).cmp(&(other.status as usize))),
        };
        by.then_with(|| {
            if self.descending() {
                other.id.cmp(&one.id)
            } else {
                one.id.cmp(&other.id)
            }
        })
    }

    /// How far a place is on the way from one to another, 0 to 1, by what the order goes by: ids or times, however many receivers lie between. `None`
    /// where that says nothing.
    pub fn along(self, first: &Place, last: &Place, place: &Place) -> Option<f64> {
        let at = |place: &Place| match self.by {
            By::Id => Some(place.id.0),
            By::Created => Some(millis(place.created_at)),
            By::Sent => place.sent_at.map(millis),
            By::Type | By::Status => None,
        };
        let (first, last, place) = (at(first)?, at(last)?, at(place)?);
        let (way, whole) = ((place - first) as f64, (last - first) as f64);
        (first != last).then(|| (way / whole).clamp(0.0, 1.0))
    }

    /// The groups, in this order.
    pub(super) fn groups(self, conn: &Connection) -> rusqlite::Result<Vec<Group>> {
        let group = |walk, common| Group { walk, common };
        let mut groups = match self.by {
            By::Id => vec![group(Walk::Id, None)],
            By::Created => vec![group(Walk::Created, None)],
            // Never turned round: who asks for the earliest wants to see times.
            By::Sent => {
                return Ok(vec![
                    group(Walk::Sent, Some(Predicate::Sent(vec![When::Any]))),
                    group(Walk::Id, Some(Predicate::Sent(vec![When::Never]))),
                ]);
            }
            By::Type => {
                let mut names = BTreeMap::new();
                let mut statement = conn.prepare_cached("SELECT name FROM kind")?;
                for name in statement.query_map([], |row| row.get::<_, String>(0))? {
                    let name = name?;
                    names.insert(search::fold(&name), name);
                }
                let names = names.into_values();
                names
                    .map(|name| group(Walk::Id, Some(Predicate::Type(vec![name]))))
                    .collect()
            }
            By::Status => Status::ALL
                .map(|status| group(Walk::Id, Some(Predicate::Status(vec![status]))))
                .into(),
        };
        if self.reversed {
            groups.reverse();
        }
        Ok(groups)
    }

    /// Whether a group is walked from the highest time or id down: among equals the newest comes first, whatever the direction.
    pub(super) fn descending(self) -> bool {
        !(self.by.descends() && self.reversed)
    }
}
