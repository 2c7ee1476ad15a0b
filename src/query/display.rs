//! [`Query`] → text that reads as the same query: what was relative to a moment is written as that moment.

use std::fmt::{self, Write as _};

use chrono::SecondsFormat;

use super::{Code, Predicate, Query, Term, To, When};
use crate::message::Timestamp;

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, term) in self.terms.iter().enumerate() {
            if index > 0 {
                f.write_char(' ')?;
            }
            write!(f, "{term}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.negated {
            f.write_char('-')?;
        }
        write!(f, "{}", self.predicate)
    }
}

impl fmt::Display for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(all) => list(f, "status:", all, |status| status.name().to_owned()),
            Self::Reason(all) => list(f, "reason:", all, |reason| reason.name().to_owned()),
            Self::Type(all) => list(f, "type:", all, |text| quoted(text)),
            Self::Backend(all) => list(f, "backend:", all, |text| quoted(text)),
            Self::Language(all) => list(f, "lang:", all, |text| quoted(text)),
            Self::User(all) => list(f, "user:", all, |text| quoted(text)),
            Self::To(all) => list(f, "to:", all, |to| match to {
                To::Identity(identity) => quoted(identity),
                To::Domain(domain) => quoted(&format!("@{domain}")),
            }),
            Self::Key(all) => list(f, "key:", all, |text| quoted(text)),
            Self::Subject(all) => list(f, "subject:", all, |text| quoted(text)),
            Self::Id(all) => list(f, "id:", all, ToString::to_string),
            Self::Code(all) => list(f, "code:", all, |code| match code {
                Code::Reply(code) => format!("{code:03}"),
                Code::Enhanced(code) => code.clone(),
            }),
            Self::Cause(all) => list(f, "cause:", all, ToString::to_string),
            Self::Failed(all) => list(f, "failed:", all, |range| match (range.start, range.end) {
                (start, i64::MAX) => format!(">={start}"),
                (start, end) if end == start + 1 => start.to_string(),
                (_, end) => format!("<{end}"),
            }),
            Self::Sent(all) => list(f, "sent:", all, |when| time(*when)),
            Self::Created(all) => list(f, "created:", all, |when| time(*when)),
            Self::Is(all) => list(f, "is:", all, |is| is.name().to_owned()),
            Self::Delivery(all) => list(f, "delivery:", all, |told| told.name().to_owned()),
            // A word that would read as something else is quoted: see `quoted`.
            Self::Words(all) => list(f, "", all, |text| quoted(text)),
        }
    }
}

fn list<T>(
    f: &mut fmt::Formatter<'_>,
    field: &str,
    all: &[T],
    show: impl Fn(&T) -> String,
) -> fmt::Result {
    f.write_str(field)?;
    for (index, item) in all.iter().enumerate() {
        if index > 0 {
            f.write_char(',')?;
        }
        f.write_str(&show(item))?;
    }
    Ok(())
}

fn quoted(text: &str) -> String {
    let plain = !text.is_empty()
        && !text.starts_with('-')
        && !text.contains(|c: char| c.is_whitespace() || matches!(c, '"' | '\\' | ',' | ':'));
    if plain {
        return text.to_owned();
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn time(when: When) -> String {
    let instant = |at: Timestamp| at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    match when {
        When::Never => "none".to_owned(),
        When::Any | When::Between(None, None) => "yes".to_owned(),
        When::Between(Some(from), None) => format!(">={}", instant(from)),
        When::Between(None, Some(until)) => format!("<{}", instant(until)),
        When::Between(Some(from), Some(until)) => format!("{}..{}", instant(from), instant(until)),
    }
}
