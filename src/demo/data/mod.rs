//! Messages like the ones that universities and a shop send: the same for the same seed.

mod compose;
mod people;
mod texts;

use chrono::{DateTime, Days, NaiveTime, TimeDelta, Utc};
use fastrand::Rng;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::Fate;
use crate::message::{NewReceiver, Submission, Timestamp};
use compose::Facts;
use people::{Person, Site};

/// Over how many days the messages are spread.
const DAYS: i64 = 60;
/// The newest messages: one to each fate, so that a screen of the newest shows all of them.
const TOUR: usize = Fate::ALL.len();
/// Before them, one receiver in so many of a newsletter over the backend that is down.
const STUCK: usize = 250;
/// Before that, one receiver in so many of courses whose students have their mail where newcomers are greylisted.
const PUT_OFF: usize = 60;
/// The largest course, and the most receivers of a newsletter.
const MANY: usize = 120;
/// With fewer receivers than this there is nothing of that.
const ENOUGH: usize = 500;
/// How many people start their studies together: who shares a course.
const COHORT: usize = 64;

/// One message of the demo, and when it was handed over.
#[derive(Clone, Debug, PartialEq)]
pub struct Letter {
    /// When: within the last 60 days.
    pub created_at: Timestamp,
    /// What, to whom, over the backend `email` (one newsletter: `campus`).
    pub submission: Submission,
}

/// Messages with this many receivers together, oldest first, spread over the 60 days before `now`.
///
/// Most go to one person or a small group, some to a whole course of 5 to 120; a few are raw. The mix is the same for every number. Where there is room
/// for it, the newest messages go to one address of every [`Fate`]; before them come newsletters over a backend named `campus`, and courses that are
/// greylisted as a whole.
pub fn letters(seed: u64, now: Timestamp, receivers: usize) -> Letters {
    Letters {
        rng: Rng::with_seed(seed),
        seed,
        now,
        wanted: receivers,
        made: 0,
        number: 0,
        finale: if receivers < ENOUGH {
            0
        } else {
            TOUR + receivers / STUCK + receivers / PUT_OFF
        },
        people: (receivers / 30).max(4 * COHORT),
    }
}

/// See [`letters`].
#[derive(Clone, Debug)]
pub struct Letters {
    rng: Rng,
    seed: u64,
    now: Timestamp,
    wanted: usize,
    made: usize,
    number: u64,
    /// How many receivers the last messages have, which are chosen, not drawn.
    finale: usize,
    /// How many people there are at each university.
    people: usize,
}

/// What messages are about: their type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Feedback,
    CommentDelivery,
    DeadlineMoved,
    AssignmentPublished,
    PasswordReset,
    Invoice,
    OrderShipped,
    SecurityAlert,
    Newsletter,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Feedback => "feedback",
            Self::CommentDelivery => "comment_delivery",
            Self::DeadlineMoved => "deadline_moved",
            Self::AssignmentPublished => "assignment_published",
            Self::PasswordReset => "password_reset",
            Self::Invoice => "invoice",
            Self::OrderShipped => "order_shipped",
            Self::SecurityAlert => "security_alert",
            Self::Newsletter => "newsletter",
        }
    }

    const fn of_chance(per_mille: u64) -> Self {
        match per_mille {
            0..=289 => Self::Feedback,
            290..=459 => Self::CommentDelivery,
            460..=474 => Self::DeadlineMoved,
            475..=485 => Self::AssignmentPublished,
            486..=620 => Self::PasswordReset,
            621..=760 => Self::Invoice,
            761..=890 => Self::OrderShipped,
            891..=996 => Self::SecurityAlert,
            _ => Self::Newsletter,
        }
    }

    const fn priority(self) -> i64 {
        match self {
            Self::PasswordReset | Self::SecurityAlert => 10,
            Self::Newsletter => -10,
            _ => 0,
        }
    }
}

/// The languages people read here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Language {
    En,
    Nb,
    De,
    Fr,
    Pl,
    Ja,
    Ar,
}

impl Language {
    const fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Nb => "nb",
            Self::De => "de",
            Self::Fr => "fr",
            Self::Pl => "pl",
            Self::Ja => "ja",
            Self::Ar => "ar",
        }
    }
}

impl Iterator for Letters {
    type Item = Letter;

    fn next(&mut self) -> Option<Letter> {
        let left = self
            .wanted
            .checked_sub(self.made)
            .filter(|left| *left > 0)?;
        let mut site = people::pick(self.rng.u32(..100));
        let mut kind = Kind::of_chance(self.rng.u64(..1000));
        let mut backend = "email";
        let stuck = self.wanted / STUCK;
        let people = if left > self.finale {
            let mut people = self.people(kind, site);
            people.truncate(left - self.finale);
            people
        } else if left > TOUR + stuck {
            kind = Kind::DeadlineMoved;
            site = &people::SITES[0];
            let first = left - TOUR - stuck;
            let class = (first.saturating_sub(MANY)..first).map(|number| site.person(number));
            class
                .map(|person| person.moved_to(Fate::Greylisted))
                .collect()
        } else if left > TOUR {
            kind = Kind::Newsletter;
            backend = "campus";
            let first = left - TOUR;
            (first.saturating_sub(MANY)..first)
                .map(|number| site.person(number))
                .collect()
        } else {
            kind = Kind::Feedback;
            site = &people::SITES[left % people::SITES.len()];
            vec![site.person_with(Fate::ALL[TOUR - left], self.people)]
        };
        let created_at = self.moment(people.len());
        self.made += people.len();
        self.number += 1;
        let facts = Facts::draw(&mut self.rng, kind, site, &people, created_at);
        Some(Letter {
            created_at,
            submission: self.submission(kind, site, backend, people, &facts, created_at),
        })
    }
}

impl Letters {
    /// To whom: a course, a group, or one person.
    fn people(&mut self, kind: Kind, site: &Site) -> Vec<Person> {
        let rng = &mut self.rng;
        let (start, count) = match kind {
            Kind::DeadlineMoved | Kind::AssignmentPublished => {
                let cohort = rng.usize(..self.people / COHORT);
                // Small courses are more frequent than large ones.
                let course = 5.0 + 115.0 * rng.f64().powf(1.6);
                (cohort * COHORT, course as usize)
            }
            Kind::Newsletter => (rng.usize(..self.people), rng.usize(40..=120)),
            Kind::Feedback => (rng.usize(..self.people), [1, 1, 1, 2, 2, 3][rng.usize(..6)]),
            Kind::CommentDelivery => (rng.usize(..self.people), rng.usize(1..=4)),
            _ => (rng.usize(..self.people), 1),
        };
        (start..start + count)
            .map(|number| site.person(number % self.people))
            .collect()
    }

    /// A time for the next message, later than the last: evenly by receivers, but quiet at night. The finale is of the last hour.
    fn moment(&mut self, receivers: usize) -> Timestamp {
        let left = self.wanted - self.made;
        if left <= self.finale {
            let minutes = match left {
                ..=TOUR => 3 * left,
                _ if left <= TOUR + self.wanted / STUCK => 40,
                _ => 50,
            };
            return self.now - TimeDelta::minutes(minutes as i64);
        }
        let span = TimeDelta::days(DAYS).num_milliseconds() as usize;
        let end = self.now - TimeDelta::hours(1);
        let done = 1000 * self.made + self.rng.usize(..1000 * receivers);
        // In 128 bits: milliseconds times receivers.
        let gone = span as u128 * done as u128 / (1000 * (self.wanted - self.finale)) as u128;
        let even = end - TimeDelta::milliseconds((span - gone as usize) as i64);
        let midnight = even.date_naive().and_time(NaiveTime::MIN).and_utc();
        let Some(next_midnight) = midnight
            .checked_add_days(Days::new(1))
            .filter(|next| *next <= end)
        else {
            return even;
        };
        let day = (next_midnight - midnight).as_seconds_f64();
        let time = (even - midnight).as_seconds_f64() / day;
        // Rising, so that the order stays; steep at midnight, flat at noon.
        let busy = time + 0.8 * (std::f64::consts::TAU * time).sin() / std::f64::consts::TAU;
        midnight + TimeDelta::milliseconds((busy * day * 1000.0) as i64)
    }

    fn submission(
        &mut self,
        kind: Kind,
        site: &Site,
        backend: &str,
        people: Vec<Person>,
        facts: &Facts,
        created_at: DateTime<Utc>,
    ) -> Submission {
        let number = self.number;
        let raw = kind == Kind::Newsletter || (kind == Kind::Invoice && self.rng.u8(..40) == 0);
        let contents = if raw {
            vec![compose::raw(kind, site, &people, facts)]
        } else {
            compose::parts(kind, site, &people, facts)
        };
        let soon = self.now - created_at < TimeDelta::days(2) && backend == "email";
        let planned = soon
            && match kind {
                Kind::AssignmentPublished | Kind::Newsletter => true,
                Kind::Invoice => self.rng.bool(),
                _ => false,
            };
        let receivers = people
            .into_iter()
            .map(|person| NewReceiver {
                language: if raw {
                    &contents[0].0
                } else {
                    person.language.tag()
                }
                .to_string(),
                identity: person.address,
                name: Some(person.name),
                user: Some(person.user),
                rendered: None,
                backend: backend.to_owned(),
                metadata: person.metadata,
            })
            .collect();
        Submission {
            key: Some(format!("{}-{number}", kind.name().replace('_', "-"))),
            kind: kind.name().to_owned(),
            from: (!raw).then(|| facts.from.clone()),
            reply_to: (!raw && kind == Kind::CommentDelivery)
                .then(|| format!("reply+{number}@{}", site.domain)),
            headers: if raw || kind.priority() > 0 {
                Vec::new()
            } else {
                vec![("X-Site".to_owned(), site.domain.to_owned())]
            },
            return_path: match kind {
                Kind::Newsletter => Some(format!("bounces@{}", site.domain)),
                Kind::SecurityAlert => Some(String::new()),
                _ => None,
            },
            created_by: Some(facts.created_by.clone()),
            metadata: json!({
                "site": site.domain,
                "url": facts.url,
                "number": number,
            }),
            priority: kind.priority(),
            send_after: planned.then(|| self.now + TimeDelta::hours(self.rng.i64(2..72))),
            expires_at: (kind == Kind::PasswordReset).then(|| created_at + TimeDelta::days(1)),
            contents,
            receivers,
            // The seed and the number say everything about a body.
            digest: Sha256::digest(format!("demo {} {number}", self.seed)).into(),
        }
    }
}
