//! Jobs outside the screen: an operator's order is written to the store, and a resend delivered, by a running service if there is one, else here
//! through the same delivery module.

use std::{
    fmt,
    ops::ControlFlow,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{
    effect::{BackendOrder, JobNews, Order, Outcome},
    text::{counted, grouped},
};
use crate::{
    delivery::{Clock, Engine, Options, Tally, Way, Work},
    message::JobId,
    store::{Acting, Action, Affected, BackendState, Chosen, Store, Target},
};

/// How often progress is looked at. Fast enough to be live, slow enough for a bad line.
const LOOK: Duration = Duration::from_millis(250);

/// Of a very large resend more seldom: then between two looks so many times passes as one takes.
const SELDOM: u32 = 20;

/// How long a stop waits for replies under way.
const PATIENCE: Duration = Duration::from_millis(1500);

/// What the console wishes of a thread that works: to stop, or to rest for a while.
#[derive(Debug, Default)]
pub struct Stop {
    wishes: Mutex<Wishes>,
    news: Condvar,
}

#[derive(Debug, Default)]
struct Wishes {
    stop: bool,
    pause: bool,
    /// What it does about it.
    now: Now,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Now {
    #[default]
    Works,
    /// It holds nothing.
    Rests,
    Over,
}

impl Stop {
    fn wishes(&self) -> MutexGuard<'_, Wishes> {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_while(&self, condition: impl FnMut(&mut Wishes) -> bool) -> MutexGuard<'_, Wishes> {
        self.news
            .wait_while(self.wishes(), condition)
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Wishes that it stops.
    pub fn stop(&self) {
        self.wishes().stop = true;
        self.news.notify_all();
    }

    /// Whether that is wished.
    pub fn is_wanted(&self) -> bool {
        self.wishes().stop
    }

    /// Waits so long at most for a wish; whether it is to stop.
    pub fn wait(&self, most: Duration) -> bool {
        self.news
            .wait_timeout_while(self.wishes(), most, |wishes| !wishes.stop && !wishes.pause)
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .stop
    }

    /// Wishes that it lets go of everything and rests.
    pub fn pause(&self) {
        self.wishes().pause = true;
        self.news.notify_all();
    }

    /// Waits until it rests, or has ended.
    pub fn wait_for_rest(&self) {
        drop(self.wait_while(|wishes| wishes.now == Now::Works));
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.wishes().pause = false;
        self.news.notify_all();
    }

    /// Says that the work is over.
    pub fn end(&self) {
        self.wishes().now = Now::Over;
        self.news.notify_all();
    }

    fn is_pause_wanted(&self) -> bool {
        self.wishes().pause
    }

    /// Rests for as long as that is wished. Whoever calls it holds nothing that others wait for.
    fn rest(&self) {
        self.wishes().now = Now::Rests;
        self.news.notify_all();
        self.wait_while(|wishes| wishes.pause && !wishes.stop).now = Now::Works;
    }
}

/// Who carries out orders.
pub trait Courier: Send + Sync {
    /// Carries out an order and returns when it is over. `news` hears of its progress. `Err` is a sentence for the operator.
    fn carry_out(
        &self,
        order: &Order,
        stop: &Stop,
        news: &dyn Fn(JobNews),
    ) -> Result<Outcome, String>;

    /// Pauses or resumes a backend. `Err` is a sentence for the operator.
    fn set_backend(&self, order: &BackendOrder) -> Result<(), String>;
}

/// Makes the ways out when a job needs them: a secret that cannot be read is told then, and does not keep anybody from looking.
pub type Ways = dyn Fn() -> anyhow::Result<Vec<Way>> + Send + Sync;

/// The courier of a real store.
pub struct StoreCourier {
    /// The store.
    pub store: Arc<Store>,
    /// The ways out.
    pub ways: Box<Ways>,
    /// Who acts, for the audit log and the attempts.
    pub who: String,
    /// What a resend adds to the failed count.
    pub resend_limit: u32,
    /// How long an engine may be silent.
    pub lease: Duration,
    /// So many bytes of the disk are left alone.
    pub min_free: u64,
    /// The time.
    pub clock: Clock,
}

impl fmt::Debug for StoreCourier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreCourier")
            .field("who", &self.who)
            .finish_non_exhaustive()
    }
}

impl Courier for StoreCourier {
    fn carry_out(
        &self,
        order: &Order,
        stop: &Stop,
        news: &dyn Fn(JobNews),
    ) -> Result<Outcome, String> {
        let told = |error: anyhow::Error| format!("{error:#}");
        let chosen = self.chosen(order).map_err(told)?;
        let affected = self.write(order, &chosen, stop, news).map_err(told)?;
        let outcome = Outcome {
            affected,
            tally: None,
            held: 0,
            left: 0,
            taken: 0,
            waiting: None,
        };
        match outcome.affected.job {
            Some(job) if order.action == Action::Resend => {
                let outcome = self.deliver(job, outcome, stop, news);
                outcome
                    .and_then(|outcome| self.without_taken(job, &chosen, outcome))
                    .map_err(told)
            }
            _ => Ok(outcome),
        }
    }

    fn set_backend(&self, order: &BackendOrder) -> Result<(), String> {
        let (name, who, now) = (order.backend.raw(), &self.who, (self.clock)());
        if order.pause {
            let why = format!("paused by {who}");
            self.store.pause_backend(name, who, &why, now).map(drop)
        } else {
            self.store.resume_backend(name, who, now)
        }
        .map_err(|error| error.to_string())
    }
}

impl StoreCourier {
    fn acting(&self, order: &Order) -> Acting {
        Acting {
            who: self.who.clone(),
            target: in_words(&order.target),
            now: (self.clock)(),
            resend_limit: self.resend_limit,
        }
    }

    /// Whom the order means: those who were counted, else whoever it is now.
    fn chosen(&self, order: &Order) -> anyhow::Result<Arc<Chosen>> {
        Ok(match &order.chosen {
            Some(chosen) => Arc::clone(chosen),
            None => Arc::new(self.store.reader()?.choose(order.action, &order.target)?),
        })
    }

    /// Marks the receivers in the store.
    fn write(
        &self,
        order: &Order,
        chosen: &Chosen,
        stop: &Stop,
        news: &dyn Fn(JobNews),
    ) -> anyhow::Result<Affected> {
        let mut told = Instant::now();
        let mut progress = |affected: &Affected| {
            if told.elapsed() >= LOOK {
                told = Instant::now();
                news(JobNews::Marked(affected.clone()));
            }
            if stop.is_pause_wanted() {
                stop.rest();
            }
            if stop.is_wanted() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let acting = self.acting(order);
        Ok(self.store.act_on(chosen, &acting, &mut progress)?)
    }

    /// Delivers a resend, or watches a service do it.
    fn deliver(
        &self,
        job: JobId,
        mut outcome: Outcome,
        stop: &Stop,
        news: &dyn Fn(JobNews),
    ) -> anyhow::Result<Outcome> {
        let total = outcome.affected.total();
        // Beside those who write: whoever delivers must not wait while a million are counted.
        let reader = self.store.reader()?;
        let mut engine = self.begin(job, stop)?;
        loop {
            if stop.is_pause_wanted() {
                // Before the process stands still: what is under way is answered or in doubt, and nothing is held.
                if let Some(engine) = engine.take() {
                    outcome.tally = Some(ended(engine, outcome.tally)?);
                }
                stop.rest();
                engine = self.begin(job, stop)?;
            }
            let looked = Instant::now();
            let (done, over) = if let Some(engine) = &engine {
                // What somebody else holds or takes is not done, though it no longer waits.
                let tallies = [outcome.tally.unwrap_or_default(), engine.tally()];
                let over = engine.is_done();
                (tallies.iter().map(Tally::tried).sum(), over)
            } else {
                let waiting = reader.job_waiting(job)?;
                (total.saturating_sub(waiting), waiting == 0)
            };
            let pause = LOOK.max(looked.elapsed() * SELDOM);
            news(JobNews::Delivered { done, total });
            if over || stop.wait(pause) {
                break;
            }
            // A service that ended meanwhile leaves the rest to whoever comes next; nobody watches for ever.
            if engine.is_none() && !self.served()? {
                outcome.left = reader.job_waiting(job)?;
                outcome.waiting = Some("the service that was to deliver has ended".to_owned());
                return Ok(outcome);
            }
        }
        // First what is under way gets its result: a receiver that was held meanwhile would be told twice.
        if let Some(engine) = engine {
            outcome.tally = Some(ended(engine, outcome.tally)?);
        }
        if stop.is_wanted() {
            outcome.held = self.store.stop_job(job, &self.stopping(job))?;
        }
        outcome.left = reader.job_waiting(job)?;
        outcome.waiting = self.why_left(job, outcome.left)?;
        Ok(outcome)
    }

    /// What no longer waits was not always tried by this resend: another console or command may have held it, sent it itself, or taken it out
    /// otherwise. Of a service nobody knows for whom it tried.
    fn without_taken(
        &self,
        job: JobId,
        chosen: &Chosen,
        mut outcome: Outcome,
    ) -> anyhow::Result<Outcome> {
        let reached = match &outcome.tally {
            Some(tally) => tally.tried() + outcome.left,
            None => self.store.reader()?.job_reached(job, chosen)?,
        };
        let all = outcome.affected.total();
        outcome.taken = all.saturating_sub(outcome.held + reached);
        Ok(outcome)
    }

    fn stopping(&self, job: JobId) -> Acting {
        Acting {
            who: self.who.clone(),
            target: format!("what had not gone out of resend {job}"),
            now: (self.clock)(),
            resend_limit: self.resend_limit,
        }
    }

    /// Delivers it here, unless a service does.
    fn begin(&self, job: JobId, stop: &Stop) -> anyhow::Result<Option<Engine>> {
        if self.served()? || stop.is_wanted() {
            return Ok(None);
        }
        self.engine(job).map(Some)
    }

    fn engine(&self, job: JobId) -> anyhow::Result<Engine> {
        let options = Options {
            kind: "console",
            by: format!("console, {}", self.who),
            work: Work::Job(job),
            lease: self.lease,
            patience: PATIENCE,
            min_free: self.min_free,
            clock: Arc::clone(&self.clock),
            seed: fastrand::u64(..),
        };
        Ok(Engine::start(&self.store, (self.ways)()?, options)?)
    }

    /// Whether a service is alive that delivers whatever is due.
    fn served(&self) -> anyhow::Result<bool> {
        let engines = self.store.reader()?.engines((self.clock)())?;
        Ok(engines
            .iter()
            .any(|engine| engine.kind == "run" && engine.alive && !engine.lease_over))
    }

    /// Why receivers of the job still wait, if some do.
    fn why_left(&self, job: JobId, waiting: u64) -> anyhow::Result<Option<String>> {
        if waiting == 0 {
            return Ok(None);
        }
        let reader = self.store.reader()?;
        let theirs = reader.job_waits_for(job)?;
        let troubled: Vec<String> = reader
            .backends()?
            .iter()
            .filter(|backend| backend.state != BackendState::Up)
            .filter(|backend| theirs.iter().any(|name| name == backend.name.raw()))
            .map(|backend| format!("{} is {}", backend.name.shown(), backend.state.name()))
            .collect();
        let why = if troubled.is_empty() {
            String::new()
        } else {
            format!(": {}", troubled.join(", "))
        };
        Ok(Some(format!("{} still waiting{why}", grouped(waiting))))
    }
}

/// Stops it, and waits for its end: what came of it and of those before it.
fn ended(engine: Engine, before: Option<Tally>) -> anyhow::Result<Tally> {
    engine.stop();
    let tally = engine.wait()?;
    Ok([before.unwrap_or_default(), tally].into_iter().sum())
}

/// A target for the audit log.
fn in_words(target: &Target) -> String {
    match target {
        Target::Query(query) if query.terms.is_empty() => "everything".to_owned(),
        Target::Query(query) => query.to_string(),
        Target::Except(query, except) => format!(
            "{query} but for {}",
            counted(except.len() as u64, "receiver")
        ),
        Target::Ids(ids) => match ids.as_slice() {
            [id] => format!("id:{id}"),
            ids => counted(ids.len() as u64, "marked receiver"),
        },
    }
}

/// What came of a resend's tries, for whoever reads it in a line.
pub(super) fn tally_in_words(tally: &Tally) -> (Vec<String>, bool) {
    let others = [
        (tally.failed, "failed"),
        (tally.error, "error"),
        (tally.unconfirmed, "unconfirmed"),
        (tally.backend, "met a backend that does not work"),
    ];
    let mut words = vec![format!("{} sent", grouped(tally.sent))];
    words.extend(
        others
            .iter()
            .filter(|(many, _)| *many > 0)
            .map(|(many, word)| format!("{} {word}", grouped(*many))),
    );
    let bad = words.len() > 1;
    (words, bad)
}
