//! Local time, for the eye and for what `today` means.

use chrono::{DateTime, Datelike as _, FixedOffset, Local, TimeDelta, Timelike as _};

use crate::{
    message::Timestamp,
    query::{Context, Query, QueryError},
};

/// Where the operator is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Zone {
    /// Where the machine is.
    #[default]
    Local,
    /// A fixed distance from Greenwich.
    Fixed(FixedOffset),
}

impl Zone {
    fn local(self, at: Timestamp) -> DateTime<FixedOffset> {
        match self {
            Self::Local => at.with_timezone(&Local).fixed_offset(),
            Self::Fixed(offset) => at.with_timezone(&offset),
        }
    }

    /// Reads a query: its days are this zone's, its ages count from now.
    pub fn read(self, text: &str, now: Timestamp) -> Result<Query, QueryError> {
        match self {
            Self::Local => Query::parse(
                text,
                &Context {
                    now: now.with_timezone(&Local),
                },
            ),
            Self::Fixed(offset) => Query::parse(
                text,
                &Context {
                    now: now.with_timezone(&offset),
                },
            ),
        }
    }

    /// Twelve columns at most: `10 Jan 15:39`, or `10 Jan 2024` when the year is another than now's.
    pub fn short(self, at: Timestamp, now: Timestamp) -> String {
        let (at, now) = (self.local(at), self.local(now));
        if at.year() == now.year() {
            at.format("%e %b %H:%M").to_string()
        } else {
            at.format("%e %b  %Y").to_string()
        }
    }

    /// `15:39` today, else as [`Zone::short`].
    pub fn since(self, at: Timestamp, now: Timestamp) -> String {
        if self.local(at).date_naive() == self.local(now).date_naive() {
            self.local(at).format("%H:%M").to_string()
        } else {
            self.short(at, now).trim_start().to_owned()
        }
    }

    /// The end of the hour that lasts.
    pub fn hour_end(self, now: Timestamp) -> Timestamp {
        let local = self.local(now);
        let gone = TimeDelta::minutes(local.minute().into())
            + TimeDelta::seconds(local.second().into())
            + TimeDelta::nanoseconds(local.nanosecond().into());
        now - gone + TimeDelta::hours(1)
    }

    /// The hour of the day in which a time lies.
    pub fn hour(self, at: Timestamp) -> u32 {
        self.local(at).hour()
    }

    /// To the second, with the distance from Greenwich.
    pub fn full(self, at: Timestamp) -> String {
        self.local(at).format("%Y-%m-%d %H:%M:%S %:z").to_string()
    }

    /// To the second, for a list of events.
    pub fn second(self, at: Timestamp) -> String {
        self.local(at).format("%e %b %H:%M:%S").to_string()
    }
}

/// How old something is, in its largest units and whole ones: `40 s`, `12 min`, `3 h 4 min`, `2 d 3 h`.
pub fn age(time: TimeDelta) -> String {
    let seconds = time.num_seconds().max(0);
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// A length of time in its two largest units: `340 ms`, `12.3 s`, `4 min 2 s`, `3 h 4 min`.
pub fn lasted(time: TimeDelta) -> String {
    let milliseconds = time.num_milliseconds().max(0);
    let seconds = milliseconds / 1000;
    match seconds {
        0 => format!("{milliseconds} ms"),
        1..60 => format!("{seconds}.{} s", milliseconds % 1000 / 100),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}
