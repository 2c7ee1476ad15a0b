//! Messages, laid aside in a file until their receivers come.

use std::{
    fs::File,
    io::{self, BufWriter, Write as _},
    os::unix::fs::FileExt as _,
    path::Path,
    sync::Arc,
};

use chrono::SecondsFormat;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    DumpError,
    fields::{Fields, Who},
    people::People,
};
use crate::{message::Timestamp, store::ImportedMessage};

/// What a row of a message says.
#[derive(Serialize, Deserialize)]
pub(super) struct Message {
    number: i64,
    kind: String,
    created_by: Option<Who>,
    created_at: Option<Timestamp>,
    types: Vec<String>,
    metadata: Value,
}

/// Reads the fields of a message.
pub(super) fn parse(number: i64, fields: &mut Fields) -> Result<Message, String> {
    let kind = one_line(&fields.text("context_type")?);
    let created_by = fields.who("created_by")?;
    let created_at = fields.time("created_datetime")?;
    let types = match fields.data("message_type") {
        None => Vec::new(),
        Some(Value::Array(types)) => types
            .into_iter()
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect(),
        Some(Value::String(name)) => vec![name],
        Some(other) => return Err(format!("message_type is {other}, not a list of types")),
    };
    // What has no place of its own here is kept beside the caller's own data.
    let mut devilry = Map::new();
    devilry.insert("pk".to_owned(), number.into());
    for name in ["status", "status_data", "virtual_message_receivers"] {
        let said = fields.data(name);
        let said = said.filter(|value| value.as_object().is_none_or(|map| !map.is_empty()));
        if let Some(value) = said {
            devilry.insert(name.to_owned(), value);
        }
    }
    let mut metadata = match fields.data("metadata") {
        None => Map::new(),
        Some(Value::Object(map)) => map,
        Some(other) => Map::from_iter([("metadata".to_owned(), other)]),
    };
    metadata.insert("devilry".to_owned(), Value::Object(devilry));
    Ok(Message {
        number,
        kind,
        created_by,
        created_at,
        types,
        metadata: Value::Object(metadata),
    })
}

/// A text that has to be one line: line ends become spaces.
pub(super) fn one_line(text: &str) -> String {
    let parts = text.split(['\r', '\n', '\0']).map(str::trim);
    let parts: Vec<_> = parts.filter(|part| !part.is_empty()).collect();
    parts.join(" ")
}

impl Message {
    /// As the store wants it.
    pub(super) fn imported(self, people: &People, now: Timestamp) -> ImportedMessage {
        // What never changes of a message in Devilry: another site's message of the same number is not taken for it.
        let created = self
            .created_at
            .map(|at| at.to_rfc3339_opts(SecondsFormat::Millis, true));
        let this = json!(["devilry", self.number, self.kind, created]).to_string();
        ImportedMessage {
            key: format!("devilry-message-{}", self.number),
            digest: Sha256::digest(this).into(),
            created_by: self.created_by.map(|who| one_line(&people.name(&who))),
            created_at: self.created_at.unwrap_or(now),
            kind: self.kind,
            metadata: self.metadata,
        }
    }
}

/// Where a message lies in the file.
struct Place {
    number: i64,
    offset: u64,
    length: u32,
    /// A receiver has named it.
    used: bool,
}

/// Every message of a dump.
pub(super) struct Messages {
    file: BufWriter<File>,
    end: u64,
    places: Vec<Place>,
}

impl Messages {
    /// None yet.
    pub(super) fn new(folder: &Path) -> io::Result<Self> {
        Ok(Self {
            file: BufWriter::new(super::aside(folder)?),
            end: 0,
            places: Vec::new(),
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub(super) fn lay_aside(&mut self, message: &Message) -> io::Result<()> {
        let bytes = serde_json::to_vec(message)?;
        self.file.write_all(&bytes)?;
        self.places.push(Place {
            number: message.number,
            offset: self.end,
            length: bytes.len() as u32,
            used: false,
        });
        self.end += bytes.len() as u64;
        Ok(())
    }

    /// No more will come. Of two with one number the first counts.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.file.flush()?;
        self.places.sort_by_key(|place| place.number);
        self.places.dedup_by_key(|place| place.number);
        Ok(())
    }

    /// The place of the message of this number; it is no longer lonely.
    pub(super) fn find(&mut self, number: i64) -> Option<usize> {
        let index = self
            .places
            .binary_search_by_key(&number, |place| place.number)
            .ok()?;
        self.places[index].used = true;
        Some(index)
    }

    pub(super) fn get(&self, index: usize) -> Result<Message, DumpError> {
        let place = &self.places[index];
        let mut bytes = vec![0; place.length as usize];
        self.file
            .get_ref()
            .read_exact_at(&mut bytes, place.offset)?;
        Ok(serde_json::from_slice(&bytes).map_err(io::Error::from)?)
    }

    /// The places of those that nobody named.
    pub(super) fn lonely(&self) -> Vec<usize> {
        let places = self.places.iter().enumerate();
        places
            .filter(|(_, place)| !place.used)
            .map(|(index, _)| index)
            .collect()
    }
}

/// A message as its receivers want it.
#[derive(Clone)]
pub(super) struct Found {
    pub(super) message: Arc<ImportedMessage>,
    /// The types of its receivers, as `email`.
    pub(super) types: Arc<[String]>,
}

/// The message that was asked for last: receivers of one mostly follow each other.
#[derive(Default)]
pub(super) struct Last(Option<(i64, Found)>);

impl Last {
    /// The message of this number; `None` when there is none.
    pub(super) fn get(
        &mut self,
        number: i64,
        messages: &mut Messages,
        people: &People,
        now: Timestamp,
    ) -> Result<Option<Found>, DumpError> {
        if let Some((last, found)) = &self.0
            && *last == number
        {
            return Ok(Some(found.clone()));
        }
        let Some(index) = messages.find(number) else {
            return Ok(None);
        };
        let mut message = messages.get(index)?;
        let found = Found {
            types: std::mem::take(&mut message.types).into(),
            message: Arc::new(message.imported(people, now)),
        };
        self.0 = Some((number, found.clone()));
        Ok(Some(found))
    }
}
