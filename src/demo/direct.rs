//! Histories without deliveries: what the demo's mail server would have said, written straight into the store, so that a million receivers take minutes.

use std::time::Duration;

use anyhow::ensure;
use chrono::TimeDelta;
use fastrand::Rng;
use indicatif::ProgressBar;

use super::{Demo, Fate, Letter, letters, live::SEED, server::Phase};
use crate::{
    message::{Outcome, ReceiverId, State, Submission, Timestamp},
    store::{Receipt, SeedAttempt, SeedReceiver},
};

impl Demo {
    /// Writes this many receivers of the demo's mix with their histories into the (empty) store. Messages that come close after one another share
    /// their time: a transaction for each would take hours. The bar counts receivers.
    pub fn direct(
        &self,
        receivers: usize,
        now: Timestamp,
        bar: &ProgressBar,
    ) -> anyhow::Result<()> {
        bar.set_length(receivers as u64);
        let mut teller = Teller {
            rng: Rng::with_seed(SEED),
            now,
            server: self.server().addr().to_string(),
            backoff: &self.config().delivery.backoff,
            limit: self.config().delivery.resend_limit(),
            stuck: 0,
        };
        // About three receivers a message.
        let together = (receivers / 3 / 4000).clamp(1, 200);
        let mut all = letters(SEED, now, receivers);
        let mut next = 1;
        loop {
            let group: Vec<Letter> = all.by_ref().take(together).collect();
            let Some(at) = group.last().map(|letter| letter.created_at) else {
                return Ok(());
            };
            let submissions: Vec<Submission> =
                group.into_iter().map(|letter| letter.submission).collect();
            let receipts = self.store().submit(&submissions, at)?;
            let mut stories = Vec::new();
            let first = next;
            for (submission, receipt) in submissions.iter().zip(&receipts) {
                let Receipt::Stored { message, .. } = receipt else {
                    anyhow::bail!("the store is not empty");
                };
                for receiver in &submission.receivers {
                    let told = Told {
                        id: ReceiverId(next),
                        message: message.0,
                        key: submission.key.as_deref().unwrap_or_default(),
                        to: &receiver.identity,
                        backend: &receiver.backend,
                        created_at: at,
                        expires_at: submission.expires_at,
                    };
                    if submission.send_after.is_none() {
                        stories.extend(teller.story(&told));
                    }
                    next += 1;
                }
            }
            let written = self.store().seed(&stories, "deliver")?;
            ensure!(written == stories.len(), "the store is not empty");
            bar.inc((next - first) as u64);
        }
    }
}

/// What a story is about.
struct Told<'a> {
    id: ReceiverId,
    message: i64,
    key: &'a str,
    to: &'a str,
    backend: &'a str,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
}

struct Teller<'a> {
    rng: Rng,
    now: Timestamp,
    server: String,
    backoff: &'a [Duration],
    limit: u32,
    /// How many receivers there were of the backend that is down.
    stuck: usize,
}

impl Teller<'_> {
    /// What became of one receiver until now; `None`: nothing yet.
    fn story(&mut self, told: &Told<'_>) -> Option<SeedReceiver> {
        if told.backend != "email" {
            self.stuck += 1;
            // One transaction found out; the others wait.
            if self.stuck > 100 {
                return None;
            }
        }
        let fate = Fate::of_address(told.to);
        // Who was put off once is known from then on.
        let stranger = self.rng.u8(..3) == 0;
        let recent = self.now - told.created_at < TimeDelta::hours(1);
        let mut at = if recent {
            self.now - TimeDelta::seconds(self.rng.i64(5..40))
        } else {
            told.created_at + TimeDelta::seconds(self.rng.i64(2..90))
        };
        let mut attempts = Vec::new();
        let (mut failed, mut unknown) = (0, 0);
        let (state, due_at) = loop {
            let tries = failed + unknown;
            let outcome = match fate {
                _ if told.backend != "email" => Outcome::Backend,
                Fate::Greylisted if tries == 0 && (stranger || recent) => Outcome::Temporary,
                Fate::Busy | Fate::HangsUp if tries < 2 => Outcome::Temporary,
                Fate::MailboxFull => Outcome::Temporary,
                Fate::UnknownUser | Fate::Policy | Fate::Disabled => Outcome::Permanent,
                Fate::Flaky if tries == 0 => Outcome::Unknown,
                Fate::Lost if tries < 2 => Outcome::Unknown,
                _ => Outcome::Accepted,
            };
            attempts.push(self.attempt(told, fate, outcome, at));
            let due = match outcome {
                Outcome::Temporary => {
                    failed += 1;
                    let step = self
                        .backoff
                        .get(failed as usize - 1)
                        .or(self.backoff.last());
                    at + step.copied().unwrap_or_default()
                }
                Outcome::Unknown => {
                    unknown += 1;
                    at + TimeDelta::seconds(1)
                }
                Outcome::Backend => break (State::FailedBackend, Some(told.created_at)),
                Outcome::Permanent => break (State::Permanent, None),
                _ => break (State::Accepted, None),
            };
            if failed > self.limit {
                break (State::Exhausted, None);
            }
            if unknown > 1 {
                break (State::ErrorUnconfirmed, None);
            }
            if told
                .expires_at
                .is_some_and(|end| end <= due && end <= self.now)
            {
                break (State::Expired, None);
            }
            if due > self.now || recent {
                let waits = if unknown > 0 {
                    State::FailedUnconfirmed
                } else {
                    State::FailedTemporary
                };
                break (waits, Some(due));
            }
            at = due + TimeDelta::seconds(self.rng.i64(0..20));
        };
        Some(SeedReceiver {
            id: told.id,
            state,
            due_at,
            sent_at: (state == State::Accepted).then_some(at),
            attempts,
        })
    }

    fn attempt(
        &mut self,
        told: &Told<'_>,
        fate: Fate,
        outcome: Outcome,
        at: Timestamp,
    ) -> SeedAttempt {
        let took = TimeDelta::milliseconds(self.rng.i64(2..60));
        let server = match told.backend {
            "email" => self.server.clone(),
            _ => "127.0.0.1:1".to_owned(),
        };
        let mut attempt = SeedAttempt {
            outcome,
            started_at: at - took,
            ended_at: at,
            code: Some(250),
            enhanced: Some("2.0.0".to_owned()),
            text: format!("250 2.0.0 ok: queued as {:06X}", told.id.0),
            traceback: String::new(),
            server: Some(server),
            phase: None,
            transcript: None,
        };
        if outcome == Outcome::Accepted {
            return attempt;
        }
        let refusal = fate.refusal().filter(|_| outcome != Outcome::Backend);
        let (phase, doing) = match (&refusal, outcome) {
            (_, Outcome::Backend) => ("connect", "connecting"),
            (Some(refusal), _) if refusal.phase == Phase::Rcpt => {
                ("rcpt", "naming the recipient (RCPT TO)")
            }
            (None, Outcome::Temporary) => ("data", "announcing the message (DATA)"),
            _ => ("dot", "waiting for the answer to the final dot"),
        };
        let cause = match (&refusal, outcome) {
            (_, Outcome::Backend) => "connection refused",
            (None, _) => "the server closed the connection",
            (_, Outcome::Permanent) => "refused for good",
            _ => "refused for now",
        };
        attempt.text = match &refusal {
            Some(said) => {
                format!(
                    "{} {} {}",
                    said.code,
                    said.enhanced,
                    said.text.replace('\n', " ")
                )
            }
            None => format!("{cause} while {doing}"),
        };
        attempt.code = refusal.as_ref().map(|refusal| refusal.code);
        attempt.enhanced = refusal.map(|refusal| refusal.enhanced.to_owned());
        attempt.phase = Some(phase.to_owned());
        attempt.traceback = traceback(told, &attempt, phase, doing, cause);
        attempt.transcript =
            (outcome != Outcome::Backend).then(|| transcript(told, &attempt, phase));
        attempt
    }
}

/// As the `smtp` backend tells it.
fn traceback(
    told: &Told<'_>,
    attempt: &SeedAttempt,
    phase: &str,
    doing: &str,
    cause: &str,
) -> String {
    let took = (attempt.ended_at - attempt.started_at).as_seconds_f64();
    format!(
        "{}\n\n  while       {doing}\n  to          {}\n  phase       {phase}, {took:.3} s in it, {:.3} s since connecting\n  \
         backend     {}\n  server      {}, not encrypted\n  message     {}, key {}\n  receiver    {}\n  transaction 1 recipient\n\n\
         Caused by:\n  0: {cause}\n  1: {}\n",
        attempt.text,
        told.to,
        took + 0.02,
        told.backend,
        attempt.server.as_deref().unwrap_or_default(),
        told.message,
        told.key,
        told.id,
        attempt.text,
    )
}

fn transcript(told: &Told<'_>, attempt: &SeedAttempt, phase: &str) -> String {
    let mut lines = vec![
        "   0.021  C: MAIL FROM:<no-reply@uni.example>".to_owned(),
        format!("   0.021  C: RCPT TO:<{}>", told.to),
        "   0.021  C: DATA".to_owned(),
        "   0.022  S: 250 2.1.0 ok".to_owned(),
    ];
    let reply = attempt
        .code
        .map(|_| format!("   0.023  S: {}", attempt.text));
    if phase == "dot" {
        lines.push("   0.022  S: 250 2.1.5 ok".to_owned());
        lines.push("   0.022  S: 354 end with a dot".to_owned());
        lines.push("   0.022  C: [2,048 bytes of message]".to_owned());
    }
    lines.extend(reply);
    lines.join("\n") + "\n"
}
