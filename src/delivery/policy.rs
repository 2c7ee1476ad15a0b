//! What a row becomes after a try: the whole retry policy, pure.

use std::time::Duration;

use serde::Deserialize;

use crate::{
    message::{Outcome, State, Timestamp},
    store::{Next, Standing},
};

/// The rules of one backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The n-th failure waits the n-th step; the last step repeats. Never empty in effect: an empty list waits nothing.
    pub backoff: Vec<Duration>,
    /// A failed count greater than this is Error.
    pub resend_limit: u32,
    /// A permanent refusal counts like a temporary one.
    pub retry_permanent: bool,
    /// What follows when nobody knows whether the message arrived.
    pub on_unknown: OnUnknown,
}

/// What follows when nobody knows whether the message arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnUnknown {
    /// One more try with the same Message-ID; unknown again: hold (`"resend"`). The default of `smtp`.
    Resend,
    /// The operator decides (`"hold"`). The default of every other kind.
    Hold,
}

impl Policy {
    /// The row after a try with this outcome. `jitter` in 0..1 adds up to a tenth to a wait, so that what failed together does not come back together.
    pub fn next(&self, before: &Standing, outcome: Outcome, now: Timestamp, jitter: f64) -> Next {
        let same = Next {
            state: before.state,
            due_at: Some(before.due_at),
            failed_count: before.failed_count,
            sent_count: before.sent_count,
            unknown_count: before.unknown_count,
            sent_at: before.sent_at,
            job: None,
        };
        let failed = Next {
            failed_count: before.failed_count + 1,
            ..same
        };
        match outcome {
            Outcome::Accepted => Next {
                state: State::Accepted,
                due_at: None,
                sent_count: before.sent_count + 1,
                sent_at: Some(now),
                ..same
            },
            Outcome::Temporary => self.again(before, failed, now, jitter),
            Outcome::Permanent if self.retry_permanent => self.again(before, failed, now, jitter),
            Outcome::Permanent => Next {
                state: State::Permanent,
                due_at: None,
                ..failed
            },
            // The server is to blame, not the receiver: no count rises and it stays due; the wait shows on the backend.
            Outcome::Backend => Next {
                state: State::FailedBackend,
                ..same
            },
            Outcome::Unknown => {
                let unknown = Next {
                    unknown_count: before.unknown_count + 1,
                    ..same
                };
                if self.on_unknown == OnUnknown::Resend && before.unknown_count == 0 {
                    Next {
                        state: State::FailedUnconfirmed,
                        due_at: Some(just_after(now)),
                        ..unknown
                    }
                } else {
                    Next {
                        state: State::ErrorUnconfirmed,
                        due_at: None,
                        ..unknown
                    }
                }
            }
            Outcome::Cancelled => Next {
                due_at: Some(just_after(now)),
                job: before.job,
                ..same
            },
        }
    }

    fn again(&self, before: &Standing, failed: Next, now: Timestamp, jitter: f64) -> Next {
        if failed.failed_count > before.resend_limit.unwrap_or(self.resend_limit) {
            return Next {
                state: State::Exhausted,
                due_at: None,
                ..failed
            };
        }
        if before.expires_at.is_some_and(|at| at <= now) {
            return Next {
                state: State::Expired,
                due_at: None,
                ..failed
            };
        }
        let step = failed
            .failed_count
            .saturating_sub(before.backoff_from)
            .max(1) as usize;
        let wait = self
            .backoff
            .get(step - 1)
            .or(self.backoff.last())
            .copied()
            .unwrap_or_default();
        let wait = wait.mul_f64(1.0 + jitter.clamp(0.0, 1.0) / 10.0);
        Next {
            state: State::FailedTemporary,
            due_at: Some(just_after(now + wait)),
            ..failed
        }
    }
}

/// A pass tries only what was due at its start: what it makes due itself lies behind that, though the clock may not have moved.
fn just_after(at: Timestamp) -> Timestamp {
    at + Duration::from_millis(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn policy() -> Policy {
        Policy {
            backoff: vec![Duration::from_secs(60), Duration::from_secs(300)],
            resend_limit: 2,
            retry_permanent: false,
            on_unknown: OnUnknown::Resend,
        }
    }

    fn standing(failed_count: u32) -> Standing {
        Standing {
            state: State::Queued,
            failed_count,
            sent_count: 0,
            unknown_count: 0,
            resend_limit: None,
            backoff_from: 0,
            due_at: now(),
            sent_at: None,
            expires_at: None,
            job: None,
        }
    }

    fn now() -> Timestamp {
        Timestamp::from_timestamp_millis(1_700_000_000_000).unwrap()
    }

    #[test]
    fn up_to_the_limit_it_is_failed_beyond_it_error() {
        let states: Vec<State> = (0..3)
            .map(|failed| {
                policy()
                    .next(&standing(failed), Outcome::Temporary, now(), 0.0)
                    .state
            })
            .collect();
        assert_eq!(
            states,
            [
                State::FailedTemporary,
                State::FailedTemporary,
                State::Exhausted
            ]
        );
    }

    #[test]
    fn the_nth_failure_waits_the_nth_step_and_the_last_step_repeats() {
        let long = Policy {
            resend_limit: 9,
            ..policy()
        };
        let waits: Vec<i64> = (0..3)
            .map(|failed| {
                long.next(&standing(failed), Outcome::Temporary, now(), 0.0)
                    .due_at
                    .unwrap()
            })
            .map(|due| (due - now()).num_seconds())
            .collect();
        assert_eq!(waits, [60, 300, 300]);
    }

    #[test]
    fn after_a_resend_the_backoff_begins_anew() {
        let resent = Standing {
            backoff_from: 2,
            resend_limit: Some(4),
            ..standing(2)
        };
        let next = policy().next(&resent, Outcome::Temporary, now(), 0.0);
        assert_eq!(
            (next.state, (next.due_at.unwrap() - now()).num_seconds()),
            (State::FailedTemporary, 60)
        );
    }

    #[test]
    fn an_unknown_end_is_tried_once_more_and_then_left_to_the_operator() {
        let first = policy().next(&standing(0), Outcome::Unknown, now(), 0.0);
        assert_eq!(
            (first.state, first.failed_count, first.unknown_count),
            (State::FailedUnconfirmed, 0, 1)
        );
        let again = Standing {
            unknown_count: 1,
            state: first.state,
            ..standing(0)
        };
        assert_eq!(
            policy().next(&again, Outcome::Unknown, now(), 0.0).state,
            State::ErrorUnconfirmed
        );
        let hold = Policy {
            on_unknown: OnUnknown::Hold,
            ..policy()
        };
        assert_eq!(
            hold.next(&standing(0), Outcome::Unknown, now(), 0.0).state,
            State::ErrorUnconfirmed
        );
    }

    #[test]
    fn past_its_expiry_a_refused_receiver_is_expired() {
        let late = Standing {
            expires_at: Some(now()),
            ..standing(0)
        };
        assert_eq!(
            policy().next(&late, Outcome::Temporary, now(), 0.0).state,
            State::Expired
        );
    }

    proptest! {
        #[test]
        fn a_row_has_a_due_time_exactly_while_postroom_will_still_try(
            failed in 0_u32..5, unknown in 0_u32..3, limit in proptest::option::of(0_u32..5), outcome in 0..Outcome::ALL.len(), jitter in 0.0..1.0,
        ) {
            let before = Standing { unknown_count: unknown, resend_limit: limit, ..standing(failed) };
            let next = policy().next(&before, Outcome::ALL[outcome], now(), jitter);
            prop_assert_eq!(next.due_at.is_some(), next.state.is_pending());
            prop_assert_eq!(next.sent_at.is_some(), next.state == State::Accepted);
        }
    }
}
