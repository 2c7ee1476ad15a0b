//! The fields of a row, taken one by one; what is wrong is told with the field's name.

use chrono::{DateTime, Datelike as _, NaiveDateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::message::Timestamp;

/// A user as a row names one: the primary key, or the natural key, which is the short name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum Who {
    Number(i64),
    Name(Box<str>),
}

/// The fields of one row.
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    pub(super) fn new(map: Map<String, Value>) -> Self {
        Self(map)
    }

    /// The value of a field; `null` is nothing.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.0
            .get_mut(name)
            .map(Value::take)
            .filter(|value| !value.is_null())
    }

    /// A value that some of Django's fields write as JSON within a string.
    pub(super) fn data(&mut self, name: &str) -> Option<Value> {
        let value = self.take(name)?;
        if let Value::String(text) = &value
            && text.starts_with(['{', '['])
            && let Ok(inner) = serde_json::from_str(text)
        {
            return Some(inner);
        }
        Some(value)
    }

    pub(super) fn text(&mut self, name: &str) -> Result<String, String> {
        match self.take(name) {
            None => Ok(String::new()),
            Some(Value::String(text)) => Ok(text),
            Some(other) => Err(format!("{name} is {}, not a text", kind(&other))),
        }
    }

    pub(super) fn flag(&mut self, name: &str) -> Result<bool, String> {
        match self.take(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(other) => Err(format!("{name} is {}, not true or false", kind(&other))),
        }
    }

    pub(super) fn count(&mut self, name: &str) -> Result<u32, String> {
        match self.take(name) {
            None => Ok(0),
            Some(value) => value
                .as_u64()
                .and_then(|count| u32::try_from(count).ok())
                .ok_or_else(|| format!("{name} is {value}, not a count")),
        }
    }

    pub(super) fn time(&mut self, name: &str) -> Result<Option<Timestamp>, String> {
        self.take(name).map(|value| time(name, &value)).transpose()
    }

    /// A user: a number, or a natural key.
    pub(super) fn who(&mut self, name: &str) -> Result<Option<Who>, String> {
        self.take(name).map(|value| who(name, value)).transpose()
    }
}

/// A time as Django and `isoformat` write it; one without a zone is UTC.
pub(super) fn time(name: &str, value: &Value) -> Result<Timestamp, String> {
    let text = value.as_str().unwrap_or_default();
    let zoned = DateTime::parse_from_rfc3339(text).map(|time| time.with_timezone(&Utc));
    let time = zoned.or_else(|_| {
        let naive = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f");
        naive.map(|naive| naive.and_utc())
    });
    match time {
        Ok(time) if (1970..=9999).contains(&time.year()) => Ok(time),
        _ => Err(format!(
            "{name} is {value}, not a time such as 2026-11-01T08:30:00.123Z"
        )),
    }
}

fn who(name: &str, value: Value) -> Result<Who, String> {
    let named = |text: String| Who::Name(text.into());
    match value {
        Value::Number(number) => number.as_i64().map(Who::Number),
        Value::String(text) => Some(text.parse().map_or_else(|_| named(text), Who::Number)),
        // --natural-foreign
        Value::Array(key) => match <[Value; 1]>::try_from(key) {
            Ok([Value::String(text)]) => Some(named(text)),
            _ => None,
        },
        _ => None,
    }
    .ok_or_else(|| {
        format!("{name} is neither a user's number nor a natural key such as [\"april\"]")
    })
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
