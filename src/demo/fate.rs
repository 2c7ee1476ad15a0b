use std::time::Duration;

use super::server::{Action, Event, Phase, Script};

/// What becomes of mail to one of the demo's domains. The receiver's address alone decides, so that whoever reads it in the console knows what
/// to expect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Accepted.
    Accepted,
    /// Refused at the first RCPT, accepted from the second on.
    Greylisted,
    /// Accepted, after some thought.
    Slow,
    /// Refused for now at the dot, twice a message.
    Busy,
    /// Refused for now, always.
    MailboxFull,
    /// Refused for good: there is no such user.
    UnknownUser,
    /// Refused for good at the dot, in several lines.
    Policy,
    /// Refused for good, in words that try to act on the reader's terminal.
    Disabled,
    /// The message is taken, but the connection dies before the reply: once a message.
    Flaky,
    /// The same, twice a message.
    Lost,
    /// The connection dies before the message is sent, four times a receiver.
    HangsUp,
}

impl Fate {
    /// Every fate.
    pub const ALL: [Self; 11] = [
        Self::Accepted,
        Self::Greylisted,
        Self::Slow,
        Self::Busy,
        Self::MailboxFull,
        Self::UnknownUser,
        Self::Policy,
        Self::Disabled,
        Self::Flaky,
        Self::Lost,
        Self::HangsUp,
    ];

    /// The domain that has this fate; `None` for the many that accept.
    pub const fn domain(self) -> Option<&'static str> {
        Some(match self {
            Self::Accepted => return None,
            Self::Greylisted => "greylist.example",
            Self::Slow => "slow.example",
            Self::Busy => "busy.example",
            Self::MailboxFull => "full.example",
            Self::UnknownUser => "moved.example",
            Self::Policy => "strict.example",
            Self::Disabled => "disabled.example",
            Self::Flaky => "flaky.example",
            Self::Lost => "lost.example",
            Self::HangsUp => "hangup.example",
        })
    }

    /// What mail to this address will meet.
    pub fn of_address(address: &str) -> Self {
        let domain = address.rsplit_once('@').map(|(_, domain)| domain);
        Self::ALL
            .into_iter()
            .find(|fate| {
                fate.domain()
                    .zip(domain)
                    .is_some_and(|(own, domain)| own.eq_ignore_ascii_case(domain))
            })
            .unwrap_or(Self::Accepted)
    }

    /// Of a thousand people, so many have this fate.
    const fn per_mille(self) -> u64 {
        match self {
            Self::Accepted => 0,
            Self::Greylisted => 35,
            Self::Slow | Self::MailboxFull => 12,
            Self::Busy => 10,
            Self::UnknownUser => 18,
            Self::Policy => 7,
            Self::Flaky => 6,
            Self::Disabled => 5,
            Self::Lost | Self::HangsUp => 4,
        }
    }

    /// The fate of somebody with this number between 0 and 999; most are accepted.
    pub(super) fn of_chance(mut chance: u64) -> Self {
        for fate in Self::ALL {
            if chance < fate.per_mille() {
                return fate;
            }
            chance -= fate.per_mille();
        }
        Self::Accepted
    }

    /// What the server says to those it refuses, and when.
    pub(super) const fn refusal(self) -> Option<Refusal> {
        let (phase, code, enhanced, text) = match self {
            Self::Greylisted => (
                Phase::Rcpt,
                451,
                "4.7.1",
                "Greylisted, please try again in 300 seconds",
            ),
            Self::Busy => (Phase::Dot, 451, "4.3.0", "Error: queue file write error"),
            Self::MailboxFull => (
                Phase::Rcpt,
                452,
                "4.2.2",
                "The recipient's mailbox is full and can't accept messages now",
            ),
            Self::UnknownUser => (
                Phase::Rcpt,
                550,
                "5.1.1",
                "The email account that you tried to reach does not exist.\n\
                 Please check the address for typing errors or spaces.",
            ),
            Self::Policy => (
                Phase::Dot,
                554,
                "5.7.1",
                "Message refused: its content looks like unsolicited mail.\n\
                 If you think that this is wrong, see\n\
                 https://postmaster.strict.example/why?ip=127.0.0.1",
            ),
            Self::Disabled => (
                Phase::Rcpt,
                550,
                "5.2.1",
                "mailbox \u{1b}[31;5mDISABLED\u{1b}[0m\u{7} \u{202e}tnuocca ruoy kcehc\u{202c}",
            ),
            Self::Accepted | Self::Slow | Self::Flaky | Self::Lost | Self::HangsUp => return None,
        };
        Some(Refusal {
            phase,
            code,
            enhanced,
            text,
        })
    }

    /// What the server does; `None`: the usual.
    fn action(self, event: &Event<'_>) -> Option<Action> {
        // A refusal of the whole transaction would be unjust to the others in it.
        let alone = event.recipients.len() == 1;
        let refuse = |times: u64| {
            self.refusal()
                .filter(|refusal| event.phase == refusal.phase)
                .filter(|_| (alone || event.phase == Phase::Rcpt) && event.seen <= times)
                .map(|refusal| Action::reply(refusal.code, refusal.enhanced, refusal.text))
        };
        match self {
            Self::Accepted => None,
            Self::Greylisted => refuse(1),
            Self::Busy => refuse(2),
            Self::MailboxFull | Self::UnknownUser | Self::Policy | Self::Disabled => {
                refuse(u64::MAX)
            }
            Self::Slow => (event.phase == Phase::Rcpt)
                .then(|| Action::accept().late(Duration::from_millis(30))),
            Self::Flaky => {
                (event.phase == Phase::Dot && alone && event.seen <= 1).then(Action::vanish)
            }
            Self::Lost => {
                (event.phase == Phase::Dot && alone && event.seen <= 2).then(Action::vanish)
            }
            Self::HangsUp => {
                (event.phase == Phase::Data && alone && event.seen <= 4).then(Action::close)
            }
        }
    }
}

/// A reply that refuses.
pub(super) struct Refusal {
    pub(super) phase: Phase,
    pub(super) code: u16,
    pub(super) enhanced: &'static str,
    pub(super) text: &'static str,
}

/// How the demo's mail server behaves: by the receiver's domain, see [`Fate`].
pub fn script() -> Script {
    Script::accept_all().by(|event| {
        event
            .recipient
            .and_then(|to| Fate::of_address(to).action(event))
    })
}
