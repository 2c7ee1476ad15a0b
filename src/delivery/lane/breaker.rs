//! When a backend may be used: its gate, the streaks that shut it, and the wait until it is tried again. Pure.

use std::time::Duration;

use super::super::Trouble;
use crate::{
    message::{Failure, MessageId, Outcome, ReceiverId, Report, Timestamp},
    store::{BackendRow, BackendState},
};

/// A probe waits at most this long for the next.
const PROBE_MAX: Duration = Duration::from_secs(600);

/// After refused credentials: more often, and the provider would lock the account.
const PROBE_AUTH: Duration = Duration::from_secs(3600);

/// So many different messages lost in a row before they were armed: the way is broken, not the messages.
const LOST_IN_A_ROW: usize = 3;

/// So many different receivers in a row refused alike for policy: a misconfigured relay must not make 50,000 Errors.
const ALIKE_IN_A_ROW: usize = 20;

/// Whether a lane may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::delivery) enum Gate {
    /// As much as its connections take.
    Open,
    /// One transaction, to see whether the way works again.
    Probing,
    /// Nothing until then.
    Shut(Timestamp),
    /// Nothing, until somebody outside changes that.
    Closed,
}

/// Who looks at a gate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// A pass or a job: it is over for a backend whose breaker opens.
    pub(super) once: bool,
    /// Its first look.
    pub(super) first: bool,
    pub(super) now: Timestamp,
}

impl Gate {
    /// Whether anybody may pass.
    pub(super) fn lets_pass(self) -> bool {
        matches!(self, Self::Open | Self::Probing)
    }

    /// The gate after a look at what the store says of the backend: another process may have paused or resumed it, or met its trouble.
    pub(super) fn after(self, row: Option<&BackendRow>, look: Look) -> Self {
        match row.map(|row| (row.state, row.probe_at)) {
            Some((BackendState::Paused, _)) => Self::Closed,
            // A pass and an operator's resend begin with a probe whatever the breaker says.
            Some((BackendState::Down, _)) if look.once && look.first => Self::Probing,
            Some((BackendState::Down, _)) if self == Self::Probing => Self::Probing,
            Some((BackendState::Down, _)) if look.once => Self::Closed,
            Some((BackendState::Down, Some(at))) if at > look.now => Self::Shut(at),
            Some((BackendState::Down, _)) => Self::Probing,
            // Over for this pass, though another process may have found it well again.
            _ if look.once && !look.first && self == Self::Closed => Self::Closed,
            _ => Self::Open,
        }
    }
}

/// How long until the next probe: the first wait, doubling; an hour after refused credentials; never less than the server asked for. `last` is the wait that
/// was set before, with its end.
pub(super) fn probe_wait(
    last: Option<(Duration, Timestamp)>,
    first: Duration,
    trouble: &Trouble,
    now: Timestamp,
) -> Duration {
    let wait = if trouble.auth {
        PROBE_AUTH
    } else {
        usual_wait(last, first, now)
    };
    wait.max(trouble.retry_after.unwrap_or_default())
}

/// The same where nothing more is known of the trouble.
pub(super) fn usual_wait(
    last: Option<(Duration, Timestamp)>,
    first: Duration,
    now: Timestamp,
) -> Duration {
    match last {
        // Every connection meets the same outage: only a probe that fails after its interval makes the next one longer.
        Some((last, ends)) if ends > now => last,
        Some((last, _)) => (last * 2).min(PROBE_MAX.max(first)),
        None => first,
    }
}

/// What went wrong in a row.
#[derive(Default)]
pub(super) struct Streaks {
    /// Different messages lost before they were armed, none accepted between.
    lost: Vec<MessageId>,
    /// What was refused alike, and to whom.
    alike: Option<(Failure, Vec<ReceiverId>)>,
}

impl Streaks {
    /// Notes a message whose link was lost before it was armed; `true` when that is the way's fault.
    pub(super) fn lost(&mut self, message: MessageId) -> bool {
        self.lost.retain(|other| *other != message);
        self.lost.push(message);
        let broken = self.lost.len() >= LOST_IN_A_ROW;
        if broken {
            self.lost.clear();
        }
        broken
    }

    /// Notes a result; answers with a word when too many receivers in a row were refused alike for policy (5.7.x, RFC 3463 3.8).
    pub(super) fn result(&mut self, receiver: ReceiverId, report: &Report) -> Option<String> {
        let policy = |code: &String| code.starts_with("5.7.");
        let failure = match report {
            Report::Failed(Outcome::Permanent, failure)
                if failure.enhanced.as_ref().is_some_and(policy) =>
            {
                failure
            }
            // These say nothing about what the server thinks of us.
            Report::Failed(Outcome::Backend | Outcome::Cancelled, _) => return None,
            Report::Accepted { .. } => {
                self.lost.clear();
                self.alike = None;
                return None;
            }
            Report::Failed(..) => {
                self.alike = None;
                return None;
            }
        };
        let same = |seen: &Failure| {
            (&seen.code, &seen.enhanced, &seen.phase)
                == (&failure.code, &failure.enhanced, &failure.phase)
        };
        match &mut self.alike {
            Some((seen, receivers)) if same(seen) => {
                if !receivers.contains(&receiver) {
                    receivers.push(receiver);
                }
                let words = &failure.error;
                (receivers.len() >= ALIKE_IN_A_ROW)
                    .then(|| format!("paused by itself: {ALIKE_IN_A_ROW} receivers in a row were refused alike: {words}"))
            }
            _ => {
                self.alike = Some((failure.clone(), vec![receiver]));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(auth: bool, retry_after: Option<Duration>) -> Trouble {
        Trouble {
            failure: Failure::default(),
            auth,
            retry_after,
        }
    }

    fn refused(code: &str) -> Report {
        let failure = Failure {
            code: Some(554),
            enhanced: Some(code.to_owned()),
            ..Failure::default()
        };
        Report::Failed(Outcome::Permanent, failure)
    }

    #[test]
    fn the_wait_for_a_probe_doubles_up_to_ten_minutes() {
        let (first, mut now) = (Duration::from_secs(30), Timestamp::UNIX_EPOCH);
        let mut waits = vec![probe_wait(None, first, &trouble(false, None), now)];
        for _ in 0..6 {
            let last = waits.last().map(|wait| (*wait, now + *wait));
            let early = probe_wait(last, first, &trouble(false, None), now);
            assert_eq!(
                Some(&early),
                waits.last(),
                "the same outage, met by another connection"
            );
            now += early;
            waits.push(probe_wait(last, first, &trouble(false, None), now));
        }
        assert_eq!(
            waits.iter().map(Duration::as_secs).collect::<Vec<_>>(),
            [30, 60, 120, 240, 480, 600, 600]
        );
    }

    #[test]
    fn refused_credentials_wait_an_hour_and_what_the_server_asks_for_is_a_floor() {
        let (second, now) = (Duration::from_secs(1), Timestamp::UNIX_EPOCH);
        assert_eq!(
            probe_wait(None, second, &trouble(true, None), now),
            PROBE_AUTH
        );
        let asked = Some(Duration::from_secs(90));
        assert_eq!(
            probe_wait(None, second, &trouble(false, asked), now).as_secs(),
            90
        );
    }

    #[test]
    fn three_different_messages_lost_in_a_row_are_the_ways_fault_and_one_message_never_is() {
        let mut streaks = Streaks::default();
        assert!((0..9).all(|_| !streaks.lost(MessageId(1))));
        assert!(!streaks.lost(MessageId(2)));
        assert_eq!(
            streaks.result(
                ReceiverId(9),
                &Report::Accepted {
                    reply: String::new(),
                    code: None,
                    enhanced: None
                }
            ),
            None
        );
        assert!(!streaks.lost(MessageId(3)));
        assert!(!streaks.lost(MessageId(4)));
        assert!(streaks.lost(MessageId(5)));
    }

    #[test]
    fn only_different_receivers_refused_alike_in_a_row_count() {
        let mut streaks = Streaks::default();
        assert!((0..40).all(|_| streaks.result(ReceiverId(1), &refused("5.7.1")).is_none()));
        assert!((1..19).all(|n| streaks.result(ReceiverId(n), &refused("5.7.1")).is_none()));
        assert!(
            streaks.result(ReceiverId(50), &refused("5.1.1")).is_none(),
            "another refusal ends the row"
        );
        assert!((0..19).all(|n| streaks.result(ReceiverId(n), &refused("5.7.1")).is_none()));
        assert!(streaks.result(ReceiverId(19), &refused("5.7.1")).is_some());
    }
}
