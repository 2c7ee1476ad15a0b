//! The columns of `list`: name, heading and cell of each in one place.

use clap::ValueEnum;

use super::{
    output::{local, utc},
    table::GAP,
};
use crate::{
    message::{Delivery, DisplayText, Text},
    store::{By, Row},
};

/// A column of `list`. Each may also be named as in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Column {
    Id,
    #[value(alias = "message_key")]
    Key,
    #[value(alias = "created_at")]
    Created,
    User,
    #[value(alias = "identity")]
    To,
    Subject,
    #[value(alias = "failed_count")]
    Failed,
    #[value(alias = "sent_count")]
    Ok,
    Status,
    Reason,
    #[value(alias = "sent_at")]
    Sent,
    Type,
    Backend,
    #[value(alias = "language")]
    Lang,
    #[value(alias = "next_attempt_at")]
    Next,
    Sending,
    Delivery,
    #[value(name = "message_id", alias = "message")]
    Message,
}

impl Column {
    /// What Devilry's admin list shows, and the reason.
    const USUAL: [Self; 11] = [
        Self::Id,
        Self::Created,
        Self::User,
        Self::To,
        Self::Subject,
        Self::Failed,
        Self::Ok,
        Self::Status,
        Self::Reason,
        Self::Sent,
        Self::Type,
    ];

    /// As many of the usual ones as fit on a line of this width, at least ID, To, Subject and Status; all of them where there is no line to fit on.
    pub(super) fn usual(room: Option<usize>) -> Vec<Self> {
        // The ones that an operator needs first come first, with the width that makes each worth showing.
        const WANTED: [(Column, usize); 11] = [
            (Column::Id, 7),
            (Column::To, 18),
            (Column::Subject, 18),
            (Column::Status, 8),
            (Column::Reason, 11),
            (Column::Created, 16),
            (Column::Failed, 6),
            (Column::User, 8),
            (Column::Type, 10),
            (Column::Sent, 16),
            (Column::Ok, 2),
        ];
        let Some(room) = room else {
            return Self::USUAL.to_vec();
        };
        let mut taken = 0;
        let wanted: Vec<_> = WANTED
            .iter()
            .enumerate()
            .take_while(|(index, (_, width))| {
                taken += width + if *index == 0 { 0 } else { GAP.len() };
                *index < 4 || taken <= room
            })
            .map(|(_, (column, _))| *column)
            .collect();
        Self::USUAL
            .into_iter()
            .filter(|column| wanted.contains(column))
            .collect()
    }

    /// The heading in a table.
    pub(super) const fn heading(self) -> &'static str {
        match self {
            Self::Id => "ID",
            Self::Key => "Key",
            Self::Created => "Created",
            Self::User => "User",
            Self::To => "To",
            Self::Subject => "Subject",
            Self::Failed => "Failed",
            Self::Ok => "Ok",
            Self::Status => "Status",
            Self::Reason => "Reason",
            Self::Sent => "Sent",
            Self::Type => "Type",
            Self::Backend => "Backend",
            Self::Lang => "Lang",
            Self::Next => "Next try",
            Self::Sending => "Sending",
            Self::Delivery => "Delivery",
            Self::Message => "Message",
        }
    }

    /// The order that is named like it, if an index gives one.
    pub(super) const fn order(self) -> Option<By> {
        match self {
            Self::Id => Some(By::Id),
            Self::Created => Some(By::Created),
            Self::Sent => Some(By::Sent),
            Self::Type => Some(By::Type),
            Self::Status => Some(By::Status),
            _ => None,
        }
    }

    /// The heading in TSV: the key in JSON.
    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Key => "message_key",
            Self::Created => "created_at",
            Self::User => "user",
            Self::To => "identity",
            Self::Subject => "subject",
            Self::Failed => "failed_count",
            Self::Ok => "sent_count",
            Self::Status => "status",
            Self::Reason => "reason",
            Self::Sent => "sent_at",
            Self::Type => "type",
            Self::Backend => "backend",
            Self::Lang => "language",
            Self::Next => "next_attempt_at",
            Self::Sending => "sending",
            Self::Delivery => "delivery",
            Self::Message => "message_id",
        }
    }

    /// Numbers stand to the right.
    pub(super) const fn is_number(self) -> bool {
        matches!(self, Self::Id | Self::Failed | Self::Ok | Self::Message)
    }

    /// Columns of free text, which give way on a narrow terminal.
    pub(super) const fn gives_way(self) -> bool {
        matches!(
            self,
            Self::Subject | Self::To | Self::User | Self::Key | Self::Type
        )
    }

    /// The cell for a person's eyes.
    pub(super) fn cell(self, row: &Row) -> DisplayText {
        let text = match self {
            Self::Created => local(row.created_at),
            Self::Status => row.state.status().label().to_owned(),
            Self::Sent => row.sent_at.map(local).unwrap_or_default(),
            Self::Next => row.next_attempt_at.map(local).unwrap_or_default(),
            Self::Sending => if row.sending { "sending" } else { "" }.to_owned(),
            other => return other.value(row),
        };
        DisplayText::line(&text)
    }

    /// The value for a machine, harmless all the same.
    pub(super) fn value(self, row: &Row) -> DisplayText {
        let text = match self {
            Self::Key => return row.message_key.shown(),
            Self::User => {
                return row.user.as_ref().map(Text::shown).unwrap_or_default();
            }
            Self::To => return row.identity.shown(),
            Self::Subject => return row.subject.shown(),
            Self::Type => return row.kind.shown(),
            Self::Backend => return row.backend.shown(),
            Self::Lang => return row.language.shown(),
            Self::Id => row.id.to_string(),
            Self::Created => utc(row.created_at),
            Self::Failed => row.failed_count.to_string(),
            Self::Ok => row.sent_count.to_string(),
            Self::Status => row.state.status().name().to_owned(),
            Self::Reason => row.state.reason().name().to_owned(),
            Self::Sent => row.sent_at.map(utc).unwrap_or_default(),
            Self::Next => row.next_attempt_at.map(utc).unwrap_or_default(),
            Self::Sending => row.sending.to_string(),
            Self::Delivery => row.delivery.map_or("", Delivery::name).to_owned(),
            Self::Message => row.message_id.to_string(),
        };
        DisplayText::line(&text)
    }
}
