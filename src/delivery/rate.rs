//! How fast receivers may go out over one backend: a token bucket. Pure; the time is told.

use std::{
    fmt,
    time::{Duration, Instant},
};

use serde::{Deserialize, Deserializer, de::Error as _};

/// What may go at once after a rest: as much as the rate allows in this time, and one in any case.
const BURST: Duration = Duration::from_millis(100);

/// So many receivers in so much time: `50/s`, `3000/m`, `10000/h`, `50000/d`. A transaction to N recipients counts N; what is tried again counts again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many; 0 counts as 1.
    pub count: u32,
    /// In how long.
    pub per: Duration,
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let wrong = || {
            D::Error::custom(format!(
                "`{text}` is no rate; write a number and a unit: \"50/s\", \"3000/m\", \"10000/h\", \"50000/d\""
            ))
        };
        let (count, unit) = text.split_once('/').ok_or_else(wrong)?;
        let count = count
            .trim()
            .parse()
            .ok()
            .filter(|&n| n > 0)
            .ok_or_else(wrong)?;
        let seconds = match unit.trim() {
            "s" => 1,
            "m" => 60,
            "h" => 60 * 60,
            "d" => 24 * 60 * 60,
            _ => return Err(wrong()),
        };
        Ok(Self {
            count,
            per: Duration::from_secs(seconds),
        })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.per.as_secs() {
            1 => write!(f, "{}/s", self.count),
            60 => write!(f, "{}/m", self.count),
            3600 => write!(f, "{}/h", self.count),
            86_400 => write!(f, "{}/d", self.count),
            _ => write!(
                f,
                "{} per {}",
                self.count,
                humantime::format_duration(self.per)
            ),
        }
    }
}

/// The bucket of one backend in one process, shared by its connections.
///
/// It is kept as the moment at which it will be full again (the generic cell rate algorithm): nothing has to be filled up as time passes.
#[derive(Debug)]
pub(super) struct Bucket {
    /// The time that one receiver takes.
    each: Duration,
    burst: Duration,
    full_at: Instant,
}

impl Bucket {
    /// A full one.
    pub(super) fn new(rate: Rate, now: Instant) -> Self {
        let each = rate.per / rate.count.max(1);
        Self {
            each,
            // A bucket that holds one is full again after the time of one.
            burst: BURST.saturating_sub(each),
            full_at: now,
        }
    }

    /// How long until anybody may go; zero: now.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        self.full_at.saturating_duration_since(now + self.burst)
    }

    /// `receivers` go. More than it holds may go together, since a message goes to all recipients of its transaction at once: those who
    /// follow wait for as much longer.
    pub(super) fn take(&mut self, receivers: usize, now: Instant) {
        let receivers = u32::try_from(receivers).unwrap_or(u32::MAX);
        self.full_at = self.full_at.max(now) + self.each.saturating_mul(receivers);
    }

    /// How many may go from now until `ahead` has passed.
    pub(super) fn within(&self, ahead: Duration, now: Instant) -> usize {
        let last = now + ahead + self.burst;
        match last.checked_duration_since(self.full_at.max(now)) {
            Some(time) => (time.as_nanos() / self.each.as_nanos().max(1)) as usize + 1,
            None => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn bucket(count: u32, per: Duration) -> (Bucket, Instant) {
        let now = Instant::now();
        (Bucket::new(Rate { count, per }, now), now)
    }

    /// How many go one by one until the time is over, each as soon as it may.
    fn sent(bucket: &mut Bucket, mut now: Instant, until: Instant) -> usize {
        let mut sent = 0;
        loop {
            now += bucket.wait(now);
            if now >= until {
                return sent;
            }
            bucket.take(1, now);
            sent += 1;
        }
    }

    #[test]
    fn after_a_rest_no_more_goes_at_once_than_in_a_tenth_of_a_second() {
        let (mut bucket, now) = bucket(50, SECOND);
        assert_eq!(sent(&mut bucket, now, now + Duration::from_nanos(1)), 5);
        let later = now + 3600 * SECOND;
        assert_eq!(sent(&mut bucket, later, later + Duration::from_nanos(1)), 5);
    }

    #[test]
    fn a_slow_rate_lets_one_go_at_a_time() {
        let (mut bucket, now) = bucket(2, 60 * SECOND);
        assert_eq!(bucket.within(SECOND, now), 1);
        bucket.take(1, now);
        assert_eq!(bucket.wait(now), 30 * SECOND);
        assert_eq!(bucket.within(SECOND, now), 0);
        assert_eq!(bucket.within(SECOND, now + 29 * SECOND), 1);
    }

    #[test]
    fn a_transaction_to_many_counts_for_each_of_them() {
        let (mut bucket, now) = bucket(10, SECOND);
        bucket.take(100, now);
        assert_eq!(bucket.wait(now), 10 * SECOND);
    }

    proptest! {
        #[test]
        fn no_second_sees_more_than_the_rate_and_one_burst(count in 1u32..5_000, seconds in 1u64..600, begin in 0u64..100) {
            let per = SECOND * seconds as u32;
            let (mut bucket, now) = bucket(count, per);
            let first = now + SECOND * begin as u32;
            let many = sent(&mut bucket, first, first + per);
            let burst = (u64::from(count) * 100 / (seconds * 1000)) as usize + 1;
            prop_assert!(many <= count as usize + burst + 1, "{many}");
            prop_assert!(many >= count as usize, "{many}");
        }

        #[test]
        fn as_many_as_foretold_go(count in 1u32..1_000, taken in 0usize..50, ahead in 1u64..3_000) {
            let (mut bucket, now) = bucket(count, SECOND);
            bucket.take(taken, now);
            let ahead = Duration::from_millis(ahead);
            let foretold = bucket.within(ahead, now);
            prop_assert_eq!(sent(&mut bucket, now, now + ahead + Duration::from_nanos(1)), foretold);
        }
    }
}
