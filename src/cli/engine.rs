//! An engine in the foreground: until it is done, or a signal stops it.

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

use super::{context::Globals, operator::operator, ways::ways};
use crate::{
    delivery::{Engine, Options, Tally, Work, system_clock},
    store::Store,
};

/// How long a stop waits for replies under way.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a signal is looked for, and progress shown.
const TICK: Duration = Duration::from_millis(20);

/// What came of a run in the foreground.
pub(super) struct Ran {
    pub(super) tally: Tally,
    /// A signal stopped it.
    pub(super) stopped: bool,
}

/// Delivers from the configured store until the work is done or a signal comes: the first stops cleanly, which is
/// `told`, the second ends at once.
pub(super) fn run(
    globals: &Globals,
    kind: &'static str,
    work: Work,
    started: impl FnOnce(&Arc<Store>) -> anyhow::Result<()>,
    told: impl Fn(&str),
    mut tick: impl FnMut(Tally),
) -> anyhow::Result<Ran> {
    let config = globals.config()?;
    let store = globals.open(&config)?;
    let ways = ways(&config)?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        // In this order: the first signal finds the flag down and raises it, the second finds it up.
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&stop))
            .and_then(|_| flag::register(signal, Arc::clone(&stop)))
            .context("cannot listen for signals")?;
    }
    let options = Options {
        kind,
        by: format!("{kind}, {}", operator()),
        work,
        lease: config.delivery.lease,
        patience: PATIENCE,
        min_free: config.delivery.min_free,
        clock: system_clock(),
        seed: fastrand::u64(..),
    };
    let engine = Engine::start(&store, ways, options)?;
    started(&store)?;
    let mut stopped = false;
    while !engine.is_done() {
        if !stopped && stop.load(Ordering::Acquire) {
            stopped = true;
            let patience = PATIENCE.as_secs();
            told(&format!(
                "stopping: waiting up to {patience} s for answers under way; a second signal ends at once and leaves them unknown"
            ));
            engine.stop();
        }
        tick(engine.tally());
        thread::sleep(TICK);
    }
    let tally = engine.wait()?;
    Ok(Ran { tally, stopped })
}
