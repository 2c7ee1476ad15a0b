use std::sync::Arc;

use super::{Exit, context::Globals, deliver::words, engine, output::tell, ways::limits};
use crate::{
    delivery::Work,
    store::{BackendState, Keeper, Retention, Store},
};

/// The service: deliver what is due, until SIGTERM or Ctrl-C
#[derive(clap::Args)]
#[command(
    after_help = "What another process submits goes out within a second. The first signal waits up to 30 seconds for answers under way; a second ends at once. Deletes what `[retention]` in the config says.\n\nExamples:\n  postroom run\n  postroom run -v --config /etc/postroom/config.toml"
)]
pub(super) struct Args {}

pub(super) fn run(globals: &Globals, _: &Args) -> Exit {
    let config = globals.config()?;
    let retention = Retention {
        sent: config.retention.sent,
        error: config.retention.error,
    };
    let mut keeper = None;
    for limit in limits(&config) {
        tracing::info!("{limit}");
    }
    let names: Vec<_> = config.backends.keys().map(String::as_str).collect();
    let started = |store: &Arc<Store>| {
        keeper = Some(Keeper::start(store, retention)?);
        tracing::info!(store = %store.path().display(), backends = names.join(", "), "delivering");
        for name in &names {
            let row = store.backend(name).ok().flatten();
            if let Some(row) = row.filter(|row| row.state == BackendState::Paused) {
                tracing::warn!(backend = name, reason = %row.error.shown(), waiting = row.waiting, "paused: nothing is sent over it until `postroom backend {name} resume`");
            }
        }
        Ok(())
    };
    let ran = engine::run(globals, "run", Work::Forever, started, tell, |_| {})?;
    drop(keeper);
    tracing::info!(stopped = ran.stopped, "ended: {}", words(&ran.tally));
    Ok(0)
}
