//! Devilry's messages, from Django's `dumpdata`: the rows of `devilry_message`, and those of `devilry_account` that say who a user is.
//!
//! Rows may come in any order, so the dump is read twice: [`Dump::look`] learns who the users are and lays the messages aside in a file; then
//! [`Plan::receivers`] goes through the receivers, each of which then has all that belongs to it. What stands in memory is the users and 20 bytes a
//! message, however many receivers there are.

mod convert;
mod fields;
mod file;
mod messages;
mod people;
mod rows;

use std::{fmt, path::Path, sync::Arc};

use serde_json::Value;

use crate::{
    message::Timestamp,
    store::{ImportedMessage, ImportedReceiver},
};
use convert::Converter;
use fields::Fields;
pub use file::Dump;
use messages::Messages;
use people::People;
use rows::{Row, Rows};

/// The name under which Devilry's own tries stand in the history.
pub const BY: &str = "devilry";

/// Devilry's own default of `DEVILRY_MESSAGE_RESEND_LIMIT`.
pub const RESEND_LIMIT: u32 = 2;

const MESSAGE: &str = "devilry_message.message";
const RECEIVER: &str = "devilry_message.messagereceiver";

/// A dump that cannot be read at all, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// The file, or what it is laid aside in, could not be read or written.
    #[error("cannot read the dump")]
    Io(#[from] std::io::Error),
    /// It begins with something else.
    #[error(
        "this is no dump of Django's: it begins with neither [ nor {{; `python manage.py dumpdata devilry_account devilry_message > dump.json` writes one"
    )]
    Foreign,
    /// It ends too early.
    #[error(
        "the dump ends in the middle, behind row {0}: whatever wrote it did not finish; write it again"
    )]
    Cut(u64),
    /// It goes on with something that is no row.
    #[error("behind row {0} stands something that is no row of a dump")]
    Odd(u64),
    /// It has neither messages nor receivers.
    #[error(
        "there are no messages of Devilry's in it: `python manage.py dumpdata devilry_account devilry_message > dump.json` writes them"
    )]
    Empty,
}

/// A row that cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its model; empty when it has none.
    pub model: String,
    /// Its primary key as it stands there, if it has one.
    pub pk: Option<String>,
    /// Which row of the dump it is, from 1.
    pub row: u64,
    /// What is wrong, and what would be right.
    pub reason: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.pk {
            Some(pk) => write!(f, "{} {pk}", self.model)?,
            None if self.model.is_empty() => write!(f, "row {}", self.row)?,
            None => write!(f, "{} in row {}", self.model, self.row)?,
        }
        write!(f, ": {}", self.reason)
    }
}

/// What the dump leaves open.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The failed count beyond which a receiver is an Error.
    pub resend_limit: u32,
    /// The language of a user who names none.
    pub language: String,
    /// When what has no time was made.
    pub now: Timestamp,
}

/// What a first look came to: everything that belongs to receivers, and how many of these there are.
pub struct Plan {
    people: People,
    messages: Messages,
    /// How many rows of receivers there are.
    pub receivers: u64,
    /// Rows that cannot be taken, receivers aside.
    pub refusals: Vec<Refusal>,
}

/// A row with its number, as far as it could be read.
struct Read {
    row: u64,
    model: String,
    pk: Option<Value>,
    fields: Fields,
}

impl Read {
    fn refuse(&self, reason: String) -> Refusal {
        Refusal {
            model: self.model.clone(),
            pk: self.pk.as_ref().map(ToString::to_string),
            row: self.row,
            reason,
        }
    }

    /// Django's own number of it.
    fn number(&self) -> Result<i64, Refusal> {
        let number = self.pk.as_ref().and_then(Value::as_i64);
        number.filter(|number| *number >= 0).ok_or_else(|| {
            self.refuse("has no pk that is a number, and nothing else tells it apart".to_owned())
        })
    }
}

impl Dump {
    /// Reads all of it once. `progress` is told now and then how many bytes of the file were read.
    pub fn look(&mut self, progress: &mut dyn FnMut(u64)) -> Result<Plan, DumpError> {
        let mut plan = Plan {
            people: People::default(),
            messages: Messages::new(self.folder())?,
            receivers: 0,
            refusals: Vec::new(),
        };
        let (mut rows, position) = self.rows()?;
        while let Some(row) = rows.next()? {
            if row.number % 256 == 0 {
                progress(position.get());
            }
            match rows::model(row.bytes) {
                Some(RECEIVER) => plan.receivers += 1,
                Some(MESSAGE | people::USER | people::EMAIL | people::NAME) | None => {
                    let learnt = match read(&row) {
                        Ok(read) => plan.learn(read)?,
                        Err(refusal) => Err(refusal),
                    };
                    plan.refusals.extend(learnt.err());
                }
                Some(_) => {}
            }
        }
        if plan.receivers == 0 && plan.messages.is_empty() {
            return Err(DumpError::Empty);
        }
        plan.messages.finish()?;
        Ok(plan)
    }
}

impl Plan {
    /// Takes a row of anything but a receiver: the outer error is the dump's, the inner one the row's.
    fn learn(&mut self, mut read: Read) -> Result<Result<(), Refusal>, DumpError> {
        if read.model != MESSAGE {
            let (model, pk) = (read.model.clone(), read.pk.clone());
            let learnt = self.people.learn(&model, pk.as_ref(), &mut read.fields);
            return Ok(learnt.map_err(|reason| read.refuse(reason)));
        }
        let number = match read.number() {
            Ok(number) => number,
            Err(refusal) => return Ok(Err(refusal)),
        };
        match messages::parse(number, &mut read.fields) {
            Ok(message) => Ok(Ok(self.messages.lay_aside(&message)?)),
            Err(reason) => Ok(Err(read.refuse(reason))),
        }
    }

    /// Goes through all receivers, each ready for the store or refused, until `take` says no.
    pub fn receivers(
        &mut self,
        dump: &mut Dump,
        settings: &Settings,
        take: &mut dyn FnMut(Result<ImportedReceiver, Refusal>) -> bool,
    ) -> Result<(), DumpError> {
        let mut converter = Converter::new(&self.people, &mut self.messages, settings);
        let (mut rows, _) = dump.rows()?;
        while let Some(row) = rows.next()? {
            if rows::model(row.bytes) != Some(RECEIVER) {
                continue;
            }
            let receiver = match read(&row) {
                Ok(read) => converter.receiver(read)?,
                Err(refusal) => Err(refusal),
            };
            if !take(receiver) {
                break;
            }
        }
        Ok(())
    }

    /// Then goes through the messages that no receiver named, until `take` says no.
    pub fn lonely(
        &mut self,
        settings: &Settings,
        take: &mut dyn FnMut(Arc<ImportedMessage>) -> bool,
    ) -> Result<(), DumpError> {
        for index in self.messages.lonely() {
            let message = self.messages.get(index)?;
            if !take(Arc::new(message.imported(&self.people, settings.now))) {
                break;
            }
        }
        Ok(())
    }
}

/// What a row says.
fn read(row: &Row<'_>) -> Result<Read, Refusal> {
    let refuse = |reason: String| Refusal {
        model: String::new(),
        pk: None,
        row: row.number,
        reason,
    };
    if row.too_long {
        return Err(refuse("is longer than 64 MiB".to_owned()));
    }
    let value = serde_json::from_slice(row.bytes)
        .map_err(|error| refuse(format!("is not JSON: {error}")))?;
    let Value::Object(mut map) = value else {
        return Err(refuse("is no object".to_owned()));
    };
    let Some(Value::String(model)) = map.remove("model") else {
        return Err(refuse("has no `model`".to_owned()));
    };
    let pk = map.remove("pk").filter(|pk| !pk.is_null());
    let Some(Value::Object(fields)) = map.remove("fields") else {
        return Err(Refusal {
            model,
            pk: pk.map(|pk| pk.to_string()),
            ..refuse("has no `fields`".to_owned())
        });
    };
    Ok(Read {
        row: row.number,
        model,
        pk,
        fields: Fields::new(fields),
    })
}

/// Where a dump that can be read only once is kept meanwhile: beside the store, which has room, else where such files lie.
fn aside(folder: &Path) -> std::io::Result<std::fs::File> {
    tempfile::tempfile_in(folder).or_else(|_| tempfile::tempfile())
}
