use std::{
    fmt,
    ops::RangeInclusive,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// A point of an SMTP conversation at which a [`Script`] may decide what the server does.
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
    /// How many times this phase was met with this recipient (case ignored), this time included.
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

    /// The same, and the connection stays open, after a 421 too.
    #[must_use]
    pub fn and_go_on(self) -> Self {
        self.and(Then::GoOn)
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

/// An SMTP extension that the server offers unless told otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extension {
    /// RFC 2920.
    Pipelining,
    /// RFC 6152.
    EightBitMime,
    /// RFC 1870.
    Size,
    /// RFC 2034.
    EnhancedStatusCodes,
    /// RFC 6531.
    SmtpUtf8,
}

impl Extension {
    pub(super) const ALL: [Self; 5] = [
        Self::Pipelining,
        Self::EightBitMime,
        Self::Size,
        Self::EnhancedStatusCodes,
        Self::SmtpUtf8,
    ];

    pub(super) const fn keyword(self) -> &'static str {
        match self {
            Self::Pipelining => "PIPELINING",
            Self::EightBitMime => "8BITMIME",
            Self::Size => "SIZE",
            Self::EnhancedStatusCodes => "ENHANCEDSTATUSCODES",
            Self::SmtpUtf8 => "SMTPUTF8",
        }
    }
}

/// How much of what was accepted the ledger keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    Counts,
    Entries,
    Bodies,
}

/// When the server speaks TLS.
#[derive(Clone)]
pub(super) enum Tls {
    Never,
    Start(Arc<rustls::ServerConfig>),
    Implicit(Arc<rustls::ServerConfig>),
}

/// What a [`Server`](super::Server) offers and how it behaves.
///
/// Rules are asked in the order they were added; the first that fits decides, and the usual positive reply is given where none does.
pub struct Script {
    pub(super) name: String,
    pub(super) offered: Vec<Extension>,
    pub(super) max_size: usize,
    pub(super) max_recipients: usize,
    pub(super) login: Option<(String, String)>,
    pub(super) tls: Tls,
    pub(super) keep: Keep,
    pub(super) transcripts: bool,
    rules: Vec<Rule>,
}

struct Rule {
    fits: Fits,
    /// Of the events that fit, which it decides, counted from 1.
    times: RangeInclusive<u64>,
    met: AtomicU64,
}

type Judge = Box<dyn Fn(&Event<'_>) -> Option<Action> + Send + Sync>;

enum Fits {
    At(Phase, Option<String>, Action),
    By(Judge),
}

const EVERY_TIME: RangeInclusive<u64> = 1..=u64::MAX;

impl Script {
    /// Every message is accepted, in clear, without a login; messages up to 64 MiB, a thousand recipients a transaction.
    pub fn accept_all() -> Self {
        Self {
            name: "mx.example".to_owned(),
            offered: Extension::ALL.to_vec(),
            max_size: 64 << 20,
            max_recipients: 1000,
            login: None,
            tls: Tls::Never,
            keep: Keep::Entries,
            transcripts: false,
            rules: Vec::new(),
        }
    }

    /// What the server calls itself; `mx.example` unless told.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Does not offer this extension.
    #[must_use]
    pub fn without(mut self, extension: Extension) -> Self {
        self.offered.retain(|offered| *offered != extension);
        self
    }

    /// The largest message it takes, in bytes.
    #[must_use]
    pub fn max_size(mut self, bytes: usize) -> Self {
        self.max_size = bytes;
        self
    }

    /// How many recipients it takes in one transaction; those beyond get `452 4.5.3`.
    #[must_use]
    pub fn max_recipients(mut self, recipients: usize) -> Self {
        self.max_recipients = recipients;
        self
    }

    /// Offers AUTH PLAIN and LOGIN (with STARTTLS: only behind it) and wants this login before MAIL.
    #[must_use]
    pub fn login(mut self, user: &str, password: &str) -> Self {
        self.login = Some((user.to_owned(), password.to_owned()));
        self
    }

    /// Offers STARTTLS and wants it before AUTH and MAIL.
    #[must_use]
    pub fn starttls(mut self, config: Arc<rustls::ServerConfig>) -> Self {
        self.tls = Tls::Start(config);
        self
    }

    /// Speaks TLS from the first byte.
    #[must_use]
    pub fn implicit_tls(mut self, config: Arc<rustls::ServerConfig>) -> Self {
        self.tls = Tls::Implicit(config);
        self
    }

    /// The ledger keeps the messages themselves too.
    #[must_use]
    pub fn keep_bodies(mut self) -> Self {
        self.keep = Keep::Bodies;
        self
    }

    /// The ledger keeps counts only: for benches, where millions of entries would cost memory.
    #[must_use]
    pub fn counts_only(mut self) -> Self {
        self.keep = Keep::Counts;
        self
    }

    /// The ledger keeps what was said on every connection.
    #[must_use]
    pub fn keep_transcripts(mut self) -> Self {
        self.transcripts = true;
        self
    }

    /// At this phase, always.
    #[must_use]
    pub fn on(self, phase: Phase, action: Action) -> Self {
        self.rule(Fits::At(phase, None, action), EVERY_TIME)
    }

    /// The first `times` times that this phase is met on this server.
    #[must_use]
    pub fn first(self, times: u64, phase: Phase, action: Action) -> Self {
        self.rule(Fits::At(phase, None, action), 1..=times)
    }

    /// The `n`-th time that this phase is met on this server, counted from 1.
    #[must_use]
    pub fn nth(self, n: u64, phase: Phase, action: Action) -> Self {
        self.rule(Fits::At(phase, None, action), n..=n)
    }

    /// The `n`-th message on this server, counted from 1, when it has come whole.
    #[must_use]
    pub fn nth_dot(self, n: u64, action: Action) -> Self {
        self.nth(n, Phase::Dot, action)
    }

    /// RCPT of this recipient (case ignored).
    #[must_use]
    pub fn rcpt(self, recipient: &str, action: Action) -> Self {
        self.to(recipient, Phase::Rcpt, action)
    }

    /// RCPT of this recipient, the first `times` times.
    #[must_use]
    pub fn rcpt_first(self, times: u64, recipient: &str, action: Action) -> Self {
        self.rule(at(Phase::Rcpt, recipient, action), 1..=times)
    }

    /// The dot of a transaction in which this recipient was accepted.
    #[must_use]
    pub fn dot(self, recipient: &str, action: Action) -> Self {
        self.to(recipient, Phase::Dot, action)
    }

    /// The dot of a transaction in which this recipient was accepted, the first `times` times.
    #[must_use]
    pub fn dot_first(self, times: u64, recipient: &str, action: Action) -> Self {
        self.rule(at(Phase::Dot, recipient, action), 1..=times)
    }

    /// This phase (RCPT, DATA or the dot) with this recipient: at RCPT the one asked about, else one that was accepted.
    #[must_use]
    pub fn to(self, recipient: &str, phase: Phase, action: Action) -> Self {
        self.rule(at(phase, recipient, action), EVERY_TIME)
    }

    /// A rule of any shape: `None` leaves the decision to those that follow. It runs on the connection's own thread.
    #[must_use]
    pub fn by(self, judge: impl Fn(&Event<'_>) -> Option<Action> + Send + Sync + 'static) -> Self {
        self.rule(Fits::By(Box::new(judge)), EVERY_TIME)
    }

    fn rule(mut self, fits: Fits, times: RangeInclusive<u64>) -> Self {
        self.rules.push(Rule {
            fits,
            times,
            met: AtomicU64::new(0),
        });
        self
    }

    pub(super) fn offers(&self, extension: Extension) -> bool {
        self.offered.contains(&extension)
    }

    /// Whether there is anything to ask.
    pub(super) fn has_rules(&self) -> bool {
        !self.rules.is_empty()
    }

    /// Whether a rule may look at [`Event::seen`].
    pub(super) fn needs_seen(&self) -> bool {
        self.rules
            .iter()
            .any(|rule| matches!(rule.fits, Fits::By(_)))
    }

    /// What the rules say; `None` where none of them fits.
    pub(super) fn decide(&self, event: &Event<'_>) -> Option<Action> {
        self.rules.iter().find_map(|rule| rule.decide(event))
    }
}

impl Rule {
    fn decide(&self, event: &Event<'_>) -> Option<Action> {
        match &self.fits {
            Fits::By(judge) => judge(event),
            Fits::At(phase, recipient, action) => {
                let fits = *phase == event.phase
                    && recipient
                        .as_deref()
                        .is_none_or(|wanted| means(event, wanted));
                (fits
                    && self
                        .times
                        .contains(&(self.met.fetch_add(1, Ordering::Relaxed) + 1)))
                .then(|| action.clone())
            }
        }
    }
}

fn at(phase: Phase, recipient: &str, action: Action) -> Fits {
    Fits::At(phase, Some(recipient.to_owned()), action)
}

fn means(event: &Event<'_>, wanted: &str) -> bool {
    let same = |recipient: &str| recipient.eq_ignore_ascii_case(wanted);
    if event.phase == Phase::Rcpt {
        event.recipient.is_some_and(same)
    } else {
        event.recipients.iter().any(|recipient| same(recipient))
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script")
            .field("name", &self.name)
            .field("offered", &self.offered)
            .field("rules", &self.rules.len())
            .finish_non_exhaustive()
    }
}
