use std::{sync::Arc, time::Duration};

/// A point of an SMTP conversation at which a [`Script`](super::Script) may decide what the server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// The connection was made; nothing was said, not even TLS.
    Connect,
    /// The server's turn to greet.
    Greeting,
    /// EHLO or HELO.
    Ehlo,
    /// STARTTLS.
    StartTls,
    /// AUTH.
    Auth,
    /// MAIL FROM.
    Mail,
    /// RCPT TO, once per recipient.
    Rcpt,
    /// DATA, before the message.
    Data,
    /// The end of the message: the reply that decides.
    Dot,
    /// RSET.
    Rset,
    /// QUIT.
    Quit,
}

impl Phase {
    /// Every phase, in the order of a conversation.
    pub const ALL: [Self; 11] = [
        Self::Connect,
        Self::Greeting,
        Self::Ehlo,
        Self::StartTls,
        Self::Auth,
        Self::Mail,
        Self::Rcpt,
        Self::Data,
        Self::Dot,
        Self::Rset,
        Self::Quit,
    ];
}

/// What a script is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// Where in the conversation.
    pub phase: Phase,
    /// The connection, 1 for the server's first.
    pub connection: u64,
    /// The transaction, 1 for the server's first MAIL; 0 outside of one.
    pub transaction: u64,
    /// The command without its line end; at the dot, the message as it came, dots doubled.
    pub line: &'a [u8],
    /// The envelope sender; empty for the null sender and outside of a transaction.
    pub sender: &'a str,
    /// At RCPT the one asked about; at DATA and the dot the first that was accepted.
    pub recipient: Option<&'a str>,
    /// The recipients accepted so far in this transaction.
    pub recipients: &'a [String],
    /// At the dot, the local part of the message's Message-ID.
    pub uid: &'a str,
    /// How many times this phase was met with this recipient (case ignored), at the dot with this uid, this time included.
    pub seen: u64,
}

impl Event<'_> {
    /// The domain of [`Event::recipient`], as it was written; empty without one.
    pub fn domain(&self) -> &str {
        self.recipient
            .and_then(|recipient| recipient.rsplit_once('@'))
            .map_or("", |(_, domain)| domain)
    }
}

/// What the server does at one point: what it says, when, how fast, and what becomes of the connection then.
///
/// Whether it accepts follows from what it says: a reply in 2yz (3yz at DATA) accepts, everything else does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    pub(super) say: Say,
    pub(super) wait: Wait,
    pub(super) pace: Option<Duration>,
    pub(super) then: Then,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Say {
    /// The usual positive reply of the phase.
    Usual,
    /// Exactly these bytes.
    Bytes(Arc<[u8]>),
    /// Nothing, but what was asked for is done.
    DoneSilently,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    No,
    For(Duration),
    Released,
}

/// What becomes of the connection after an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    GoOn,
    Close,
    Reset,
    Stall,
    Deaf,
}

impl Action {
    const fn new(say: Say, then: Then) -> Self {
        Self {
            say,
            wait: Wait::No,
            pace: None,
            then,
        }
    }

    /// The usual positive reply.
    pub const fn accept() -> Self {
        Self::new(Say::Usual, Then::GoOn)
    }

    /// A reply; several lines where `text` has them; without an enhanced code where `enhanced` is empty. After a 421 the connection is closed,
    /// as RFC 5321 section 3.8 wants it.
    pub fn reply(code: u16, enhanced: &str, text: &str) -> Self {
        let enhanced = match enhanced {
            "" => String::new(),
            code => format!("{code} "),
        };
        let last = text.split('\n').count();
        let lines = text.split('\n').zip(1..).map(|(line, number)| {
            let dash = if number < last { '-' } else { ' ' };
            format!("{code}{dash}{enhanced}{line}\r\n")
        });
        let bytes = lines.collect::<String>();
        let then = if code == 421 { Then::Close } else { Then::GoOn };
        Self::new(Say::Bytes(bytes.into_bytes().into()), then)
    }

    /// Exactly these bytes, whatever they are: two replies in one packet, an endless line, another protocol.
    pub fn raw(bytes: impl AsRef<[u8]>) -> Self {
        Self::new(Say::Bytes(bytes.as_ref().into()), Then::GoOn)
    }

    /// A line that is no reply at all, and not UTF-8 either.
    pub fn garbage() -> Self {
        Self::raw(b"\xff\xfe\x00~~ this is no SMTP \xc3\x28 ~~\r\n")
    }

    /// Closes the connection without a word.
    pub fn close() -> Self {
        Self::raw([]).and_close()
    }

    /// Resets the connection (RST) without a word.
    pub fn reset() -> Self {
        Self::raw([]).and_reset()
    }

    /// Says nothing any more, and reads on until the client hangs up or the server stops.
    pub fn stall() -> Self {
        Self::raw([]).and_stall()
    }

    /// Does what was asked for, at the dot: takes the message, and closes the connection without telling.
    pub const fn vanish() -> Self {
        Self::new(Say::DoneSilently, Then::Close)
    }

    /// The same, this much later.
    #[must_use]
    pub fn late(self, by: Duration) -> Self {
        Self {
            wait: Wait::For(by),
            ..self
        }
    }

    /// The same, but not before [`Server::release`](super::Server::release) was called.
    #[must_use]
    pub fn when_released(self) -> Self {
        Self {
            wait: Wait::Released,
            ..self
        }
    }

    /// The same, one byte at a time with this pause between them.
    #[must_use]
    pub fn bytewise(self, pause: Duration) -> Self {
        Self {
            pace: Some(pause),
            ..self
        }
    }

    /// The same, and then the connection is closed in order.
    #[must_use]
    pub fn and_close(self) -> Self {
        self.and(Then::Close)
    }

    /// The same, and then the connection is reset (RST).
    #[must_use]
    pub fn and_reset(self) -> Self {
        self.and(Then::Reset)
    }

    /// The same, and then not a word more; what comes is read and thrown away.
    #[must_use]
    pub fn and_stall(self) -> Self {
        self.and(Then::Stall)
    }

    /// The same, and then nothing is read or said any more: a client that writes much must wait. Ends when the server stops.
    #[must_use]
    pub fn and_go_deaf(self) -> Self {
        self.and(Then::Deaf)
    }

    fn and(self, then: Then) -> Self {
        Self { then, ..self }
    }

    /// Whether what was asked for is done.
    pub(super) fn accepts(&self) -> bool {
        match &self.say {
            Say::Usual | Say::DoneSilently => true,
            Say::Bytes(bytes) => matches!(bytes.first(), Some(b'2' | b'3')),
        }
    }

    /// Whether the bytes can simply join those that wait to be written.
    pub(super) fn is_plain(&self) -> bool {
        self.wait == Wait::No && self.pace.is_none() && self.then == Then::GoOn
    }
}
