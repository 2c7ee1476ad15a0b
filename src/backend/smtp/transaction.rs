//! One mail transaction on paper: who takes part, the commands of its envelope, the bytes of its body. Pure; nothing is sent here.

use std::{io::Write as _, ops::Range, panic::resume_unwind, sync::Mutex, thread};

use lettre::Address;

use super::{
    failure::{Facts, Phase, Scene},
    features::Features,
    settings::SmtpSettings,
    transcript::Transcript,
};
use crate::{
    backend::{
        lines::{header_and_body, lines},
        mime::{self, BuildError, MimeBuilder},
    },
    delivery::{Batch, Desk, Report},
    message::Outcome,
};

/// At most this many bytes of commands go out before their replies are read: more could block both sides (RFC 2920 3.1).
const GROUP: usize = 8 * 1024;

/// Messages larger than this (bytes) are built one at a time in the whole process.
const LARGE: usize = 1 << 20;

/// Builds a large message: that takes several times its size for a moment, so one at a time, and on a thread of its own, since glibc's malloc keeps for
/// each thread what that thread once needed.
fn alone<T: Send>(build: impl Fn() -> T + Sync) -> T {
    static BUILDING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = BUILDING.lock();
    let ended = thread::scope(|scope| {
        let builder = thread::Builder::new().name("large-message".to_owned());
        let thread = builder.spawn_scoped(scope, &build).ok()?;
        Some(thread.join())
    });
    match ended {
        Some(Ok(result)) => result,
        // As if it had been built on this thread: the worker catches it, and it is a temporary failure with a traceback.
        Some(Err(panic)) => resume_unwind(panic),
        // No thread to be had: here, then.
        None => build(),
    }
}

/// One line of the envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Mail,
    /// For the receiver with this index in the batch.
    Rcpt(usize),
    Data,
}

impl Command {
    pub(super) fn phase(self) -> Phase {
        match self {
            Self::Mail => Phase::Mail,
            Self::Rcpt(_) => Phase::Rcpt,
            Self::Data => Phase::Data,
        }
    }
}

/// A batch ready to go.
#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) batch: Batch,
    /// The lines of the envelope, and where each ends.
    lines: Vec<u8>,
    commands: Vec<(Command, usize)>,
    /// The message, dot-stuffed, with its final dot.
    pub(super) body: Vec<u8>,
    /// The message's size without that.
    pub(super) size: usize,
    pub(super) transcript: Transcript,
    /// How many recipients take part.
    pub(super) recipients: usize,
    /// Whether its envelope went out behind the body of the one before.
    pub(super) ahead: bool,
}

impl Transaction {
    /// Builds message and envelope. Whoever cannot get it is settled; `None` when nobody is left.
    pub(super) fn prepare(
        batch: Batch,
        mime: &MimeBuilder,
        settings: &SmtpSettings,
        features: &Features,
        facts: &Facts,
        desk: &mut dyn Desk,
    ) -> Option<Self> {
        let write = || Self::write(&batch, mime, settings, features);
        let written = if batch.content.size() > LARGE {
            alone(write)
        } else {
            write()
        };
        match written {
            Ok((envelope, excluded)) => {
                for (index, exclusion) in excluded {
                    exclude(&batch, Some(index), &exclusion, facts, desk);
                }
                let envelope = envelope?;
                Some(Self {
                    batch,
                    lines: envelope.lines,
                    commands: envelope.commands,
                    body: envelope.body,
                    size: envelope.size,
                    recipients: envelope.recipients,
                    transcript: Transcript::new(),
                    ahead: false,
                })
            }
            Err(exclusion) => {
                exclude(&batch, None, &exclusion, facts, desk);
                None
            }
        }
    }

    /// The envelope, if anybody is left to send to, and who is excluded; or why everybody is.
    fn write(
        batch: &Batch,
        mime: &MimeBuilder,
        settings: &SmtpSettings,
        features: &Features,
    ) -> Result<(Option<Envelope>, Vec<Excluded>), Exclusion> {
        let Some(first) = batch.receivers.first() else {
            return Ok((None, Vec::new()));
        };
        let message = &batch.message;
        let built = mime.build(message, &batch.content, first, settings.from.as_deref())?;
        let sender = mime::sender(message, built.from)?;
        let sender = sender.as_ref().map_or("", AsRef::as_ref);
        let (body, size) = on_the_wire(&built.bytes);

        if let Some(limit) = features.size_limit
            && size as u64 > limit
        {
            return Err(Exclusion::Size { size, limit });
        }
        let eight_bit = !built.bytes.is_ascii();
        if !sender.is_ascii() && !features.utf8 {
            return Err(Exclusion::Utf8(sender.to_owned()));
        }
        // What is neither ASCII nor UTF-8 no extension allows: it goes as it is.
        let (header, _) = header_and_body(&built.bytes);
        let utf8_header = eight_bit && !header.is_ascii() && str::from_utf8(header).is_ok();
        let mut utf8 = utf8_header || !sender.is_ascii();

        let mut excluded = Vec::new();
        let mut members = Vec::with_capacity(batch.receivers.len());
        for (index, receiver) in batch.receivers.iter().enumerate() {
            match mime::address("to", &receiver.identity) {
                Err(error) => excluded.push((index, error.into())),
                Ok(address) if !is_ascii(&address) && !features.utf8 => {
                    excluded.push((index, Exclusion::Utf8(address.to_string())));
                }
                Ok(address) => {
                    utf8 |= !is_ascii(&address);
                    members.push((index, address));
                }
            }
        }
        if members.is_empty() {
            return Ok((None, excluded));
        }
        // After the addresses: one beyond ASCII stands in the header too, and is what has to be told.
        if utf8_header && !features.utf8 {
            return Err(Exclusion::Utf8Header);
        }
        if eight_bit && !features.eight_bit {
            return Err(Exclusion::EightBit);
        }

        let mut envelope = Envelope {
            lines: Vec::with_capacity(128 + 64 * members.len()),
            commands: Vec::with_capacity(3 + members.len()),
            body,
            size,
            recipients: members.len(),
        };
        let mut mail = format!("MAIL FROM:<{sender}>");
        if features.size {
            mail.push_str(" SIZE=");
            mail.push_str(&size.to_string());
        }
        if eight_bit {
            mail.push_str(" BODY=8BITMIME");
        }
        if utf8 {
            mail.push_str(" SMTPUTF8");
        }
        envelope.line(Command::Mail, &mail);
        for (index, address) in members {
            envelope.line(Command::Rcpt(index), &format!("RCPT TO:<{address}>"));
        }
        envelope.line(Command::Data, "DATA");
        Ok((Some(envelope), excluded))
    }

    /// The command with this number.
    pub(super) fn command(&self, number: usize) -> Option<Command> {
        self.commands.get(number).map(|(command, _)| *command)
    }

    /// The commands from `first` on that go out in one write: one, or with PIPELINING as many as are safe.
    pub(super) fn group(&self, first: usize, pipelining: bool) -> Range<usize> {
        let begin = self.offset(first);
        let mut end = first + 1;
        while pipelining
            && self
                .commands
                .get(end)
                .is_some_and(|(_, offset)| offset - begin <= GROUP)
        {
            end += 1;
        }
        first..end.min(self.commands.len())
    }

    /// Whether the whole envelope is one group, so that it may follow the body of the transaction before.
    pub(super) fn is_one_group(&self) -> bool {
        self.group(0, true).end == self.commands.len()
    }

    /// The lines of these commands.
    pub(super) fn lines(&self, commands: &Range<usize>) -> &[u8] {
        &self.lines[self.offset(commands.start)..self.offset(commands.end)]
    }

    fn offset(&self, command: usize) -> usize {
        match command.checked_sub(1) {
            None => 0,
            Some(before) => self
                .commands
                .get(before)
                .map_or(self.lines.len(), |(_, end)| *end),
        }
    }

    /// The indices of those who take part, in the order of their commands.
    pub(super) fn members(&self) -> impl Iterator<Item = usize> {
        self.commands
            .iter()
            .filter_map(|(command, _)| match command {
                Command::Rcpt(index) => Some(*index),
                _ => None,
            })
    }

    /// The batch with only those for whom `keep` holds; `None` when there is nobody.
    pub(super) fn part(&self, mut keep: impl FnMut(usize) -> bool) -> Option<Batch> {
        let receivers: Vec<_> = self
            .members()
            .filter(|&index| keep(index))
            .map(|index| self.batch.receivers[index].clone())
            .collect();
        (!receivers.is_empty()).then(|| Batch {
            message: self.batch.message.clone(),
            content: self.batch.content.clone(),
            receivers,
        })
    }
}

struct Envelope {
    lines: Vec<u8>,
    commands: Vec<(Command, usize)>,
    body: Vec<u8>,
    size: usize,
    recipients: usize,
}

impl Envelope {
    fn line(&mut self, command: Command, line: &str) {
        // Writing to a `Vec` cannot fail.
        let _ = write!(self.lines, "{line}\r\n");
        self.commands.push((command, self.lines.len()));
    }
}

/// One receiver, by its index in the batch, that cannot get it.
type Excluded = (usize, Exclusion);

/// Why somebody cannot get the message over this connection, whatever the server would say.
#[derive(Debug, thiserror::Error)]
enum Exclusion {
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error("the message has {size} bytes, the server takes {limit} at most (SIZE)")]
    Size { size: usize, limit: u64 },
    #[error("the address {0} is not ASCII, and the server does not offer SMTPUTF8")]
    Utf8(String),
    #[error(
        "the header of the message is not ASCII, and the server does not offer SMTPUTF8 (encoded words, RFC 2047, need no such offer)"
    )]
    Utf8Header,
    #[error("the message has 8-bit bytes, and the server does not offer 8BITMIME")]
    EightBit,
}

impl Exclusion {
    fn phase(&self) -> Phase {
        match self {
            Self::Build(_) => Phase::Build,
            Self::Size { .. } => Phase::Size,
            Self::Utf8(_) | Self::Utf8Header => Phase::Utf8,
            Self::EightBit => Phase::EightBit,
        }
    }
}

/// Settles one receiver, or all, as refused for good.
fn exclude(
    batch: &Batch,
    index: Option<usize>,
    exclusion: &Exclusion,
    facts: &Facts,
    desk: &mut dyn Desk,
) {
    for (at, receiver) in batch.receivers.iter().enumerate() {
        if index.is_some_and(|index| index != at) {
            continue;
        }
        let scene = Scene {
            facts,
            phase: exclusion.phase(),
            took: std::time::Duration::ZERO,
            batch: Some(batch),
            receiver: Some(receiver),
            recipients: 0,
            transcript: None,
        };
        desk.settle(
            receiver,
            Report::Failed(Outcome::Permanent, scene.broken(exclusion)),
        );
    }
}

fn is_ascii(address: &Address) -> bool {
    AsRef::<str>::as_ref(address).is_ascii()
}

/// The message as it crosses the wire, and its size before that (RFC 1870: without the doubled dots and the final one). Dots at the begin of
/// a line are doubled (RFC 5321 4.5.2); every line ends in CRLF, so no bare CR or LF can make a server see an end where none is.
fn on_the_wire(message: &[u8]) -> (Vec<u8>, usize) {
    let mut wire = Vec::with_capacity(message.len() + message.len() / 64 + 256);
    let mut doubled = 0;
    for line in lines(message) {
        if line.first() == Some(&b'.') {
            wire.push(b'.');
            doubled += 1;
        }
        wire.extend_from_slice(line);
        wire.extend_from_slice(b"\r\n");
    }
    let size = wire.len() - doubled;
    wire.extend_from_slice(b".\r\n");
    (wire, size)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a server makes of it.
    fn received(wire: &[u8]) -> Vec<u8> {
        let text = wire.strip_suffix(b".\r\n").unwrap();
        let mut message = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let end = rest.windows(2).position(|two| two == b"\r\n").unwrap() + 2;
            let (line, next) = rest.split_at(end);
            assert_ne!(line, b".\r\n", "the message ended early");
            message.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
            rest = next;
        }
        message
    }

    #[test]
    fn dots_are_doubled_at_the_begin_of_a_line_only() {
        let (wire, size) = on_the_wire(b".a\r\nb.c\r\n.\r\n..\r\n");
        assert_eq!(wire, b"..a\r\nb.c\r\n..\r\n...\r\n.\r\n");
        assert_eq!(size, 16);
    }

    #[test]
    fn a_bare_line_feed_cannot_end_a_message() {
        let (wire, _) = on_the_wire(b"a\n.\r\nMAIL FROM:<x@y>\r\n\r.\rb");
        assert_eq!(wire, b"a\r\n..\r\nMAIL FROM:<x@y>\r\n\r\n..\r\nb\r\n.\r\n");
    }

    #[test]
    fn an_empty_message_is_only_the_dot() {
        assert_eq!(on_the_wire(b""), (b".\r\n".to_vec(), 0));
    }

    proptest! {
        #[test]
        fn what_the_server_receives_is_what_was_sent(
            lines in prop::collection::vec(prop::collection::vec(prop_oneof![Just(b'.'), any::<u8>()], 0..30), 0..30)
        ) {
            let mut message = Vec::new();
            for line in lines {
                message.extend(line.into_iter().filter(|byte| !matches!(byte, b'\r' | b'\n')));
                message.extend(b"\r\n");
            }
            let (wire, size) = on_the_wire(&message);
            prop_assert_eq!(size, message.len());
            prop_assert_eq!(received(&wire), message);
        }

        #[test]
        fn no_message_has_a_bare_line_end_or_a_second_end_on_the_wire(
            message in prop::collection::vec(prop_oneof![Just(b'.'), Just(b'\r'), Just(b'\n'), any::<u8>()], 0..200)
        ) {
            let (wire, size) = on_the_wire(&message);
            prop_assert_eq!(received(&wire).len(), size);
            for (index, &byte) in wire.iter().enumerate() {
                prop_assert!(byte != b'\n' || wire[index - 1] == b'\r');
                prop_assert!(byte != b'\r' || wire[index + 1] == b'\n');
            }
        }
    }
}
