//! Takes typed fields out of a JSON object, with the path of each for error messages.

use chrono::{DateTime, Datelike as _, Utc};
use serde_json::{Map, Value};

use crate::{message::Timestamp, suggest::did_you_mean};

/// What is wrong, and where.
pub(super) struct Wrong {
    pub(super) field: Option<String>,
    pub(super) message: String,
}

impl Wrong {
    pub(super) fn whole(message: String) -> Self {
        Self {
            field: None,
            message,
        }
    }

    /// `why` goes on from the field's name: "is no address".
    pub(super) fn at(field: String, why: &str) -> Self {
        Self {
            message: why.to_owned(),
            field: Some(field),
        }
    }
}

/// The fields of one object; each can be taken once, `null` counts as missing.
pub(super) struct Fields {
    path: String,
    map: Map<String, Value>,
}

impl Fields {
    /// Refuses what is no object, and names that are not known.
    pub(super) fn new(value: Value, path: String, known: &[&str]) -> Result<Self, Wrong> {
        let Value::Object(map) = value else {
            let message = "must be an object: {\"…\": …}";
            return Err(if path.is_empty() {
                Wrong::whole(format!("a line {message}"))
            } else {
                Wrong::at(path, message)
            });
        };
        let fields = Self { path, map };
        match fields
            .map
            .keys()
            .find(|name| !known.contains(&name.as_str()))
        {
            None => Ok(fields),
            Some(unknown) => {
                let near = did_you_mean(unknown, known.iter().copied());
                Err(fields.wrong(unknown, &format!("unknown field{near}")))
            }
        }
    }

    pub(super) fn put(&mut self, name: &str, value: Value) {
        self.map.insert(name.to_owned(), value);
    }

    pub(super) fn path(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    pub(super) fn wrong(&self, name: &str, why: &str) -> Wrong {
        Wrong::at(self.path(name), why)
    }

    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.map.remove(name).filter(|value| !value.is_null())
    }

    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, Wrong> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(name, "must be a string")),
        }
    }

    /// A text that ends up in a header or a command.
    pub(super) fn line(&mut self, name: &str) -> Result<Option<String>, Wrong> {
        let text = self.text(name)?;
        if let Some(text) = &text {
            one_line(text).map_err(|why| self.wrong(name, why))?;
        }
        Ok(text)
    }

    pub(super) fn integer(&mut self, name: &str) -> Result<Option<i64>, Wrong> {
        match self.take(name) {
            None => Ok(None),
            Some(value) => match value.as_i64() {
                Some(number) => Ok(Some(number)),
                None => Err(self.wrong(name, "must be a whole number")),
            },
        }
    }

    pub(super) fn time(&mut self, name: &str) -> Result<Option<Timestamp>, Wrong> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        let time = DateTime::parse_from_rfc3339(&text).map(|time| time.with_timezone(&Utc));
        match time {
            Ok(time) if (1970..=9999).contains(&time.year()) => Ok(Some(time)),
            _ => Err(self.wrong(
                name,
                "must be a time such as 2026-11-01T08:30:00Z (RFC 3339)",
            )),
        }
    }
}

/// Header injection ends here: no CR, LF or NUL in anything that is written on one line.
pub(super) fn one_line(text: &str) -> Result<(), &'static str> {
    if text.contains(['\r', '\n', '\0']) {
        return Err("has a line end or NUL in it; it must be one line");
    }
    Ok(())
}
