//! One attachment of a whole message, into a file.

use std::{
    io::{self, ErrorKind, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

use super::super::{
    Exit,
    error::Usage,
    output::{say, tell},
};
use crate::{
    grouped::counted,
    message::{Body, Content, Parts, ReceiverId},
    save::save,
};

/// Where it is to go.
pub(super) struct Place<'a> {
    /// A file or a folder, `-` for standard output; `None`: a file here, called after the receiver and the attachment.
    pub(super) output: Option<&'a Path>,
    /// Also in place of a file that is there.
    pub(super) force: bool,
}

/// For the argument: an attachment's number.
pub(super) fn number(text: &str) -> Result<u64, &'static str> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number
        .ok_or("an attachment's number is a whole one from 1 on, as `postroom show ID` lists them")
}

pub(super) fn run(id: ReceiverId, content: &Content, number: usize, place: &Place<'_>) -> Exit {
    let Body::Raw(bytes) = &content.body else {
        bail!(
            "nothing is attached to the message of receiver {id}: only raw messages have attachments"
        );
    };
    let parts = Parts::of(bytes);
    let Some(part) = parts.attachment(number) else {
        let there = match parts.attachments().count() {
            0 => "nothing is attached to it".to_owned(),
            1 => "it has only one".to_owned(),
            many => format!("it has {many}"),
        };
        bail!(
            "the message of receiver {id} has no attachment {number}: {there}; `postroom show {id}` lists what there is"
        );
    };
    let (bytes, sound) = part.decoded();
    if !sound {
        tell(&format!(
            "postroom: attachment {number} is broken, what can be read of it is saved: {}",
            part.told()
        ));
    }
    let own = part.file_name(id);
    let path = match place.output {
        Some(output) if output == Path::new("-") => return print(&bytes),
        Some(output) if output.is_dir() => output.join(own),
        Some(output) => output.to_owned(),
        None => PathBuf::from(own),
    };
    match save(&path, &bytes, place.force) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => bail!(
            "{} is there already: name another file with --output, or write over it with --force",
            path.display()
        ),
        result => result.with_context(|| format!("cannot write {}", path.display()))?,
    }
    let size = counted(bytes.len() as u64, "byte");
    say(&format!("saved {size} in {}", path.display()))?;
    Ok(0)
}

fn print(bytes: &[u8]) -> Exit {
    let mut out = io::stdout().lock();
    if out.is_terminal() {
        return Err(Usage(
            "an attachment could steer the terminal: send it into a file or a pipe".to_owned(),
        )
        .into());
    }
    out.write_all(bytes)?;
    out.flush()?;
    Ok(0)
}
