use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use signal_hook::{consts::SIGHUP, flag};

use super::{
    Exit,
    context::Globals,
    deliver::words,
    engine::{Foreground, PATIENCE, stopping},
    notify::{self, Notify},
    ways::{limits, listening, ways},
};
use crate::{
    config::Config,
    delivery::{Engine, Tally, Way, Work},
    inbound::{self, Listener},
    store::{BackendState, Keeper, Retention, Store},
};

/// After a reload the engine of the old config waits this long for the answers it still expects: longer than a server may take over the last one
/// (RFC 5321 4.5.3.2.6), so that a reload leaves nobody unconfirmed.
const DRAIN: Duration = Duration::from_secs(15 * 60);

/// So many engines of configs before may still wait for answers when the config is read once more: each has its connections.
const WAITING: usize = 8;

/// How often the log says what went out, if anything did.
const SUMMARY: Duration = Duration::from_secs(60);

/// The service: deliver what is due, until SIGTERM or Ctrl-C
///
/// What another process submits goes out within a second. SIGTERM and Ctrl-C wait up to 30 seconds for answers under way; a second one ends at
/// once.
///
/// What `[retention]` in the config says goes is deleted. At the address of `[listen.smtp]` applications hand mails over.
///
/// SIGHUP reads the config again. When something is wrong with it the log says what, and nothing changes. Else everything from then on goes as it
/// says, and what is under way is still waited for. Only the store cannot be changed so.
///
/// The log goes to stderr, a line for each receiver that was not reached. Under systemd (Type=notify) the service says when it is ready, what it
/// does, and that it lives (WatchdogSec).
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  postroom run\n  postroom run -v --config /etc/postroom/config.toml"
)]
pub(super) struct Args {}

pub(super) fn run(globals: &Globals, _: &Args) -> Exit {
    let hung_up = Arc::new(AtomicBool::new(false));
    flag::register(SIGHUP, Arc::clone(&hung_up)).context("cannot listen for signals")?;
    let config = globals.config()?;
    let foreground = Foreground::open(globals, &config, "run", Work::Forever)?;
    let ways = ways(&config)?;
    let listener = listening(&config)?
        .map(|settings| listen(&foreground.store, settings))
        .transpose()?;
    let engine = foreground.engine(&config, ways)?;
    let keeper = keeper(&foreground.store, &config)?;
    let mut service = Service {
        globals,
        foreground: &foreground,
        config,
        engines: vec![engine],
        listener,
        leaving: Vec::new(),
        keeper,
        ended: Tally::default(),
        notify: Notify::from_environment(),
        summary: Summary::new(Instant::now()),
    };
    service.begun();
    notify::ready();
    let tally = foreground.watch(|stops_now| {
        if stops_now {
            service.stop();
        } else if !foreground.is_stopped() && hung_up.swap(false, Ordering::AcqRel) {
            service.reload();
        }
        service.turn()
    })?;
    tracing::info!("ended: {}", words(&tally));
    Ok(0)
}

fn keeper(store: &Arc<Store>, config: &Config) -> anyhow::Result<Keeper> {
    let retention = Retention {
        sent: config.retention.sent,
        error: config.retention.error,
    };
    Ok(Keeper::start(store, retention)?)
}

fn listen(store: &Arc<Store>, settings: inbound::Settings) -> anyhow::Result<Listener> {
    let address = settings.address();
    Listener::start(store, settings).with_context(|| {
        format!("[listen.smtp]: cannot listen at {address} (is another program there?)")
    })
}

struct Service<'a> {
    globals: &'a Globals,
    foreground: &'a Foreground,
    config: Config,
    /// The last one takes up work; those before it wait for answers.
    engines: Vec<Engine>,
    /// Takes mails over.
    listener: Option<Listener>,
    /// Those that only let their clients finish.
    leaving: Vec<Listener>,
    /// Deletes what `[retention]` says.
    keeper: Keeper,
    /// What came of those that have ended.
    ended: Tally,
    notify: Notify,
    summary: Summary,
}

impl Service<'_> {
    fn begun(&self) {
        let names: Vec<_> = self.config.backends.keys().map(String::as_str).collect();
        let store = &self.foreground.store;
        tracing::info!(store = %store.path().display(), backends = names.join(", "), "delivering");
        if let Some(listener) = &self.listener {
            tracing::info!(address = %listener.address(), "taking mails over by SMTP");
        }
        for limit in limits(&self.config) {
            tracing::info!("{limit}");
        }
        for name in names {
            let row = store.backend(name).ok().flatten();
            if let Some(row) = row.filter(|row| row.state == BackendState::Paused) {
                tracing::warn!(backend = name, reason = %row.error.shown(), waiting = row.waiting, "paused: nothing is sent over it until `postroom backend {name} resume`");
            }
        }
    }

    /// Lives, and says so; the tally when all engines have ended.
    fn turn(&mut self) -> anyhow::Result<Option<Tally>> {
        if let Some(engine) = self.engines.last() {
            self.notify.lives(engine.turns());
        }
        let tally = self.engines.iter().map(Engine::tally);
        let tally = tally.chain([self.ended]).sum();
        self.notify.status(|| words(&tally));
        self.summary.look(tally, Instant::now());
        while let Some(at) = self.engines.iter().position(Engine::is_done) {
            let engine = self.engines.remove(at);
            let works = at == self.engines.len();
            match engine.wait() {
                Ok(tally) => self.ended = [self.ended, tally].into_iter().sum(),
                Err(error) if works => {
                    self.stop();
                    return Err(error.into());
                }
                Err(error) => tracing::error!(%error, "the engine of the old config failed"),
            }
        }
        self.leaving.retain(|listener| !listener.is_done());
        let over = self.engines.is_empty() && self.leaving.is_empty();
        Ok(over.then_some(self.ended))
    }

    fn stop(&mut self) {
        tracing::info!("{}", stopping());
        notify::stopping();
        self.leave(PATIENCE);
        for engine in &self.engines {
            engine.stop_within(PATIENCE);
        }
    }

    /// Nobody is taken in any more; those who are in the middle of a message have so long to finish it.
    fn leave(&mut self, patience: Duration) {
        if let Some(mut listener) = self.listener.take() {
            listener.stop_within(patience);
            self.leaving.push(listener);
        }
    }

    /// Delivers as the config now says, if it can be used.
    fn reload(&mut self) {
        notify::reloading();
        let new = self.look_again().and_then(|(config, ways)| {
            let door = self.door(listening(&config)?)?;
            let engine = self.foreground.engine(&config, ways)?;
            let keeper = keeper(&self.foreground.store, &config)?;
            Ok((config, engine, keeper, door))
        });
        match new {
            Ok((config, engine, keeper, door)) => {
                match (door, &self.listener) {
                    (Door::Same(settings), Some(listener)) => listener.go_by(*settings),
                    (Door::Same(_) | Door::None, _) => self.leave(PATIENCE),
                    (Door::New(listener), _) => {
                        self.leave(PATIENCE);
                        self.listener = Some(listener);
                    }
                }
                // Those before it wait already.
                if let Some(old) = self.engines.last() {
                    old.stop_within(DRAIN);
                }
                self.engines.push(engine);
                self.keeper = keeper;
                self.config = config;
                tracing::info!("the config was read again");
                self.begun();
            }
            Err(error) => {
                let error = format!("{error:#}");
                tracing::error!(error, "the config is not taken: the one before holds");
            }
        }
        notify::ready();
    }

    /// Where mails are taken over from now on. At the same address the listener stays, so that nobody finds it closed.
    fn door(&self, settings: Option<inbound::Settings>) -> anyhow::Result<Door> {
        Ok(match (settings, &self.listener) {
            (None, _) => Door::None,
            (Some(settings), Some(listener)) if listener.is_at(&settings) => {
                Door::Same(settings.into())
            }
            (Some(settings), _) => Door::New(listen(&self.foreground.store, settings)?),
        })
    }

    fn look_again(&self) -> anyhow::Result<(Config, Vec<Way>)> {
        if self.engines.len() > WAITING {
            bail!(
                "{WAITING} engines of the configs before still wait for answers, {} minutes at most: try again later, or restart the service",
                DRAIN.as_secs() / 60
            );
        }
        let config = self.globals.config()?;
        let store = self.globals.store_path(&config)?;
        let ours = self.globals.store_path(&self.config)?;
        if store != ours {
            bail!(
                "[store] path names {} now: a running service keeps its store, {}; restart it to change that",
                store.display(),
                ours.display()
            );
        }
        let ways = ways(&config)?;
        Ok((config, ways))
    }
}

/// Where mails are taken over after a reload.
enum Door {
    None,
    /// Where they were, by these settings.
    Same(Box<inbound::Settings>),
    New(Listener),
}

/// What the log says now and then, since it has no line per success.
struct Summary {
    at: Instant,
    told: Tally,
}

impl Summary {
    fn new(now: Instant) -> Self {
        Self {
            at: now,
            told: Tally::default(),
        }
    }

    fn look(&mut self, tally: Tally, now: Instant) {
        if let Some(new) = self.news(tally, now) {
            tracing::info!("in the last minute: {}", words(&new));
        }
    }

    /// What has come since the last time, if it is time and something has.
    fn news(&mut self, tally: Tally, now: Instant) -> Option<Tally> {
        if now.duration_since(self.at) < SUMMARY {
            return None;
        }
        self.at = now;
        let told = std::mem::replace(&mut self.told, tally);
        (tally.tried() > told.tried()).then(|| Tally {
            sent: tally.sent - told.sent,
            failed: tally.failed - told.failed,
            error: tally.error - told.error,
            unconfirmed: tally.unconfirmed - told.unconfirmed,
            backend: tally.backend - told.backend,
            store_errors: tally.store_errors - told.store_errors,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_says_once_a_minute_what_went_out_and_nothing_when_nothing_did() {
        let begin = Instant::now();
        let after = |seconds| begin + Duration::from_secs(seconds);
        let sent = |sent| Tally {
            sent,
            ..Tally::default()
        };
        let mut summary = Summary::new(begin);
        assert_eq!(summary.news(sent(5), after(59)), None);
        assert_eq!(summary.news(sent(7), after(60)), Some(sent(7)));
        assert_eq!(summary.news(sent(9), after(61)), None);
        assert_eq!(summary.news(sent(9), after(120)), Some(sent(2)));
        assert_eq!(summary.news(sent(9), after(180)), None);
    }
}
