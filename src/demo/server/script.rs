use std::{
    fmt,
    ops::RangeInclusive,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{Action, Event, Phase};

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
