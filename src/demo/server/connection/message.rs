use std::{
    ops::{ControlFlow, Range},
    sync::Arc,
};

use memchr::{memchr2, memmem};

use super::{
    super::{Action, Entry, Event, Phase, script::Keep},
    Connection, Envelope, Flow, Mode, halves,
};

impl Connection<'_> {
    /// Looks for the end of the message and answers it. The whole message stays in `input` until then, which makes an end that is cut by a
    /// read nothing special.
    pub(super) fn message(&mut self, searched: usize) -> Flow<bool> {
        let waiting = &self.input[self.unread.clone()];
        // The CRLF that ends the DATA line counts for an empty message (RFC 5321 section 4.1.1.4).
        let (length, end) = if waiting.starts_with(b".\r\n") {
            (0, 3)
        } else {
            // Up to four bytes of an end may have been there before.
            let from = searched.saturating_sub(4);
            let Some(at) = memmem::find(&waiting[from..], b"\r\n.\r\n") else {
                self.mode = Mode::Message(waiting.len());
                return ControlFlow::Continue(false);
            };
            (from + at + 2, from + at + 5)
        };
        let message = self.unread.start..self.unread.start + length;
        self.unread.start += end;
        self.mode = Mode::Command;
        let envelope = self.envelope.take();
        if let Some(envelope) = envelope {
            self.end_of_message(message, envelope)?;
        }
        ControlFlow::Continue(true)
    }

    fn end_of_message(&mut self, message: Range<usize>, envelope: Envelope) -> Flow {
        self.news.met[Phase::Dot as usize] += 1;
        let script = &self.shared.script;
        let bytes = &self.input[message];
        if !bytes.is_ascii() && !envelope.eight_bit {
            self.news
                .violations
                .push("8-bit bytes in a message that was not declared 8BITMIME".to_owned());
        }
        if script.keep != Keep::Counts {
            self.news.violations.extend(fault_in_lines(bytes));
        }
        let uid = uid(bytes);
        let action = if script.has_rules() {
            self.shared.ask(&mut Event {
                phase: Phase::Dot,
                connection: self.id,
                transaction: envelope.transaction,
                line: bytes,
                sender: &envelope.sender,
                recipient: envelope.recipients.first().map(String::as_str),
                recipients: &envelope.recipients,
                uid: &uid,
                seen: 0,
            })
        } else {
            None
        };
        let action = action.unwrap_or_else(|| {
            if bytes.len() > script.max_size {
                Action::reply(552, "5.3.4", "message too large")
            } else if envelope.recipients.is_empty() {
                Action::reply(554, "5.5.1", "no valid recipients")
            } else {
                Action::accept()
            }
        });
        if script.transcripts {
            let told = format!("C: ({} bytes of message)\n", bytes.len());
            self.news.transcript.push_str(&told);
        }
        if action.accepts() && !envelope.recipients.is_empty() {
            self.news.messages += 1;
            self.news.accepted += envelope.recipients.len() as u64;
            if script.keep != Keep::Counts {
                let uid: Arc<str> = uid.into();
                let body = (script.keep == Keep::Bodies).then(|| unstuffed(bytes));
                let size = bytes.len();
                self.news
                    .entries
                    .extend(envelope.recipients.into_iter().map(|recipient| Entry {
                        uid: Arc::clone(&uid),
                        recipient,
                        sender: Arc::clone(&envelope.sender),
                        transaction: envelope.transaction,
                        connection: self.id,
                        size,
                        body: body.clone(),
                    }));
            }
        }
        let usual = format!("250 2.0.0 ok: queued as {:06X}\r\n", envelope.transaction);
        self.act(&action, usual.as_bytes())?;
        ControlFlow::Continue(())
    }
}

/// The local part of the Message-ID, empty if there is none.
fn uid(message: &[u8]) -> String {
    const NAME: &[u8] = b"message-id:";
    let mut rest = message;
    while !rest.is_empty() && !rest.starts_with(b"\r\n") {
        if rest.len() > NAME.len() && rest[..NAME.len()].eq_ignore_ascii_case(NAME) {
            // The value may begin on the next line; it is short.
            let value = &rest[NAME.len()..rest.len().min(NAME.len() + 1000)];
            let id = halves(value, b'<').1;
            let id = halves(id, b'>').0;
            return String::from_utf8_lossy(halves(id, b'@').0).into_owned();
        }
        rest = halves(rest, b'\n').1;
    }
    String::new()
}

/// What is wrong with the message's lines: a CR or LF alone, or more than 998 bytes (RFC 5321 sections 2.3.8 and 4.5.3.1.6).
fn fault_in_lines(message: &[u8]) -> Option<String> {
    let mut rest = message;
    while let Some(at) = memchr2(b'\r', b'\n', rest) {
        if !rest[at..].starts_with(b"\r\n") {
            return Some("a CR or LF alone in a message".to_owned());
        }
        if at > 998 {
            return Some(format!("a line of {at} bytes in a message"));
        }
        rest = &rest[at + 2..];
    }
    None
}

/// The message as it was meant: a dot at the beginning of a line was doubled on its way (RFC 5321 section 4.5.2).
fn unstuffed(wire: &[u8]) -> Arc<[u8]> {
    let mut message = Vec::with_capacity(wire.len());
    for line in wire.split_inclusive(|byte| *byte == b'\n') {
        message.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
    }
    message.into()
}
