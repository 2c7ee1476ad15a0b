//! The query language: text in, [`Query`] out. Pure: it knows the words and their places, not the store.
//!
//! Words joined by space are AND, `-` in front negates, `,` inside a value is OR.

mod display;
mod parse;
mod when;

use std::ops::Range;

use unicode_width::UnicodeWidthStr as _;

use crate::message::{Delivery, DisplayText, Reason, Status, Timestamp};

pub use parse::{Context, FIELDS, Field};

/// A whole question: every term must hold. No term: everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// The terms, in the order they were written.
    pub terms: Vec<Term>,
}

impl Query {
    /// A capital `AND`, `OR` or `NOT` between other terms of the text that was parsed: it is searched for like any word, and was hardly meant as one.
    /// With what would be right.
    pub fn doubt(&self, text: &str) -> Option<QueryError> {
        let (first, last) = (self.terms.first()?, self.terms.last()?);
        self.terms.iter().find_map(|term| {
            let word = text.get(term.span.clone())?;
            let right = match word {
                _ if term == last => return None,
                "NOT" => "\"not\" is a `-` in front, as in `-status:sent`",
                _ if term == first => return None,
                "AND" => "\"and\" is a space alone",
                "OR" => {
                    "\"or\" is a comma between the values of a field, as in `status:failed,error`"
                }
                _ => return None,
            };
            let message = format!(
                "`{word}` is searched for as a word: {right}; quote it if the word is meant"
            );
            Some(QueryError {
                message,
                span: term.span.clone(),
            })
        })
    }
}

/// One word of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// A `-` stood in front.
    pub negated: bool,
    /// What is asked.
    pub predicate: Predicate,
    /// Where it stands in the text, in bytes.
    pub span: Range<usize>,
}

/// What one word asks of a receiver. The values inside one predicate are alternatives; no list is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Predicate {
    /// `status:`
    Status(Vec<Status>),
    /// `reason:`
    Reason(Vec<Reason>),
    /// `type:`, the whole word, case ignored.
    Type(Vec<String>),
    /// `backend:`, by name.
    Backend(Vec<String>),
    /// `lang:`, by tag, case ignored; a tag is also every longer one that begins with it (RFC 4647, 3.3.1).
    Language(Vec<String>),
    /// `user:`, the whole value, case ignored.
    User(Vec<String>),
    /// `to:`
    To(Vec<To>),
    /// `key:`, the whole value, case ignored.
    Key(Vec<String>),
    /// `subject:`, a substring, case ignored.
    Subject(Vec<String>),
    /// `id:`
    Id(Vec<i64>),
    /// `code:`
    Code(Vec<Code>),
    /// `cause:`, by number.
    Cause(Vec<i64>),
    /// `failed:`, the failed count.
    Failed(Vec<Range<i64>>),
    /// `sent:`
    Sent(Vec<When>),
    /// `created:`
    Created(Vec<When>),
    /// `is:`
    Is(Vec<Is>),
    /// `delivery:`
    Delivery(Vec<Delivery>),
    /// Bare words: a substring of subject, user or identity, case ignored (under three letters a prefix); a bare number is also an id.
    Words(Vec<String>),
}

/// One value of `to:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// The whole identity, case ignored.
    Identity(String),
    /// `@example.com`: every identity of that domain; without the `@`.
    Domain(String),
}

/// One value of `code:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Code {
    /// A reply code such as 451.
    Reply(u16),
    /// An enhanced code such as 4.7.1.
    Enhanced(String),
}

/// One value of a question for a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// It has no time (`none`).
    Never,
    /// It has one (`yes`).
    Any,
    /// From (inclusive) until (exclusive); an open end is `None`.
    Between(Option<Timestamp>, Option<Timestamp>),
}

/// One value of `is:`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Is {
    /// An engine holds the row now.
    Sending,
    /// An operator holds it back.
    Held,
    /// Its next try lies in the future.
    Scheduled,
}

impl Is {
    /// Every value of `is:`.
    pub const ALL: [Self; 3] = [Self::Sending, Self::Held, Self::Scheduled];

    /// The word in a query.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sending => "sending",
            Self::Held => "held",
            Self::Scheduled => "scheduled",
        }
    }
}

/// A query that could not be read: the place, what is wrong with it and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    /// What is wrong, and what would be right.
    pub message: String,
    /// Where, in bytes of the text.
    pub span: Range<usize>,
}

impl QueryError {
    /// The query, a caret line under the place, and the message: three lines that no terminal acts on. `text` is the text that was parsed.
    pub fn render(&self, text: &str) -> String {
        let shown = |range: Range<usize>| DisplayText::line(text.get(range).unwrap_or_default());
        let width = |range| shown(range).as_str().width();
        let indent = width(0..self.span.start);
        let carets = width(self.span.clone()).max(1);
        format!(
            "{}\n{}{}\n{}",
            DisplayText::line(text),
            " ".repeat(indent),
            "^".repeat(carets),
            self.message
        )
    }
}
