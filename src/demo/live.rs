use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use indicatif::ProgressBar;

use super::{Demo, Letter, letters};
use crate::{
    delivery::{Clock, Engine, Options, Tally, Way, Work},
    message::Timestamp,
};

/// The demo's messages are always the same ones.
pub(super) const SEED: u64 = 1;
/// How many receivers the demo has unless told.
const RECEIVERS: usize = 3000;
/// A pass delivers so many messages, or what came in so many hours: as a cron job would that comes by often enough.
const MESSAGES: usize = 24;
const HOURS: i64 = 12;

/// A clock that is set to a time in the past and goes on from there.
#[derive(Clone)]
struct PastClock(Arc<Mutex<(Timestamp, Instant)>>);

impl PastClock {
    fn new(at: Timestamp) -> Self {
        Self(Arc::new(Mutex::new((at, Instant::now()))))
    }

    fn set(&self, at: Timestamp) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (at, Instant::now());
    }

    fn clock(&self) -> Clock {
        let clock = self.clone();
        Arc::new(move || {
            let (at, since) = *clock.0.lock().unwrap_or_else(PoisonError::into_inner);
            at + since.elapsed()
        })
    }
}

impl Demo {
    /// Hands the demo's messages over and delivers them to its mail server, as if the last 60 days passed in a few seconds: every status and every
    /// traceback is what a real delivery left. `ways` are those of [`Demo::config`]; the bar counts receivers.
    pub fn live(&self, ways: &[Way], now: Timestamp, bar: &ProgressBar) -> anyhow::Result<Tally> {
        let letters: Vec<Letter> = letters(SEED, now, RECEIVERS).collect();
        bar.set_length(RECEIVERS as u64);
        let clock = PastClock::new(now);
        let mut tallies = Vec::new();
        for batch in batches(&letters, now) {
            for letter in batch {
                self.store()
                    .submit(std::slice::from_ref(&letter.submission), letter.created_at)?;
            }
            let last = batch.last().map_or(now, |letter| letter.created_at);
            clock.set((last + TimeDelta::seconds(40)).min(now));
            let options = Options {
                kind: "deliver",
                by: "deliver".to_owned(),
                work: Work::Pass,
                lease: self.config().delivery.lease,
                patience: Duration::from_secs(30),
                min_free: self.config().delivery.min_free,
                clock: clock.clock(),
                seed: SEED,
            };
            tallies.push(Engine::start(self.store(), ways.to_vec(), options)?.wait()?);
            bar.inc(
                batch
                    .iter()
                    .map(|letter| letter.submission.receivers.len() as u64)
                    .sum(),
            );
        }
        Ok(tallies.into_iter().sum())
    }
}

/// What one pass after another finds, oldest first. The last pass finds what came in within the last hour.
fn batches(letters: &[Letter], now: Timestamp) -> impl Iterator<Item = &[Letter]> {
    let hour_ago = now - TimeDelta::hours(1);
    let mut rest = letters;
    std::iter::from_fn(move || {
        let first = rest.first()?.created_at;
        let (most, until) = if first > hour_ago {
            (usize::MAX, now)
        } else {
            (MESSAGES, hour_ago.min(first + TimeDelta::hours(HOURS)))
        };
        let count = rest
            .iter()
            .take(most)
            .take_while(|letter| letter.created_at <= until)
            .count();
        let (batch, left) = rest.split_at(count);
        rest = left;
        Some(batch)
    })
}
