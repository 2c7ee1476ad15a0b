//! Engines in the foreground: until they are done, or a signal stops them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::Context as _;
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};

use super::{context::Globals, operator::operator};
use crate::{
    config::Config,
    delivery::{Engine, Options, Way, Work, system_clock},
    store::Store,
};

/// How long a stop waits for replies under way.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// How often a signal is looked for, and progress shown.
const TICK: Duration = Duration::from_millis(20);

/// A process that delivers from one store until its work is done or a signal comes: the first stops cleanly, the second ends at once.
pub(super) struct Foreground {
    pub(super) store: Arc<Store>,
    kind: &'static str,
    work: Work,
    stop: Arc<AtomicBool>,
}

impl Foreground {
    /// Opens the configured store, and listens for signals from here on.
    pub(super) fn open(
        globals: &Globals,
        config: &Config,
        kind: &'static str,
        work: Work,
    ) -> anyhow::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            // In this order: the first signal finds the flag down and raises it, the second finds it up.
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&stop))
                .and_then(|_| flag::register(signal, Arc::clone(&stop)))
                .context("cannot listen for signals")?;
        }
        Ok(Self {
            store: globals.open(config)?,
            kind,
            work,
            stop,
        })
    }

    /// Enters the store with an engine that delivers over these ways.
    pub(super) fn engine(&self, config: &Config, ways: Vec<Way>) -> anyhow::Result<Engine> {
        let options = Options {
            kind: self.kind,
            by: format!("{}, {}", self.kind, operator()),
            work: self.work,
            lease: config.delivery.lease,
            patience: PATIENCE,
            min_free: config.delivery.min_free,
            clock: system_clock(),
            seed: fastrand::u64(..),
        };
        Ok(Engine::start(&self.store, ways, options)?)
    }

    /// Watches over the work until `tick` says that it is over. `tick` hears whether this is the moment at which a signal asked for the end.
    pub(super) fn watch<T>(
        &self,
        mut tick: impl FnMut(bool) -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        let mut stopped = false;
        loop {
            let stops_now = !stopped && self.is_stopped();
            stopped |= stops_now;
            if let Some(over) = tick(stops_now)? {
                return Ok(over);
            }
            thread::sleep(TICK);
        }
    }

    /// Whether a signal has asked for the end.
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }
}

/// What a first signal leads to, in words.
pub(super) fn stopping() -> String {
    let patience = PATIENCE.as_secs();
    format!(
        "stopping: waiting up to {patience} s for answers under way; a second signal ends at once and leaves them unknown"
    )
}
