use super::{Exit, context::Globals, deliver::words, engine, output::tell};
use crate::delivery::Work;

/// The service: deliver what is due, until SIGTERM or Ctrl-C
#[derive(clap::Args)]
#[command(
    after_help = "What another process submits goes out within a second. The first signal waits up to 30 seconds for answers under way; a second ends at once.\n\nExamples:\n  postroom run\n  postroom run -v --config /etc/postroom/config.toml"
)]
pub(super) struct Args {}

pub(super) fn run(globals: &Globals, _: &Args) -> Exit {
    let config = globals.config()?;
    if config.retention.sent.is_some() || config.retention.error.is_some() {
        tracing::warn!("[retention] is not applied by this version yet: everything is kept");
    }
    let names: Vec<_> = config.backends.keys().map(String::as_str).collect();
    let started = |store: &crate::store::Store| {
        tracing::info!(store = %store.path().display(), backends = names.join(", "), "delivering");
    };
    let ran = engine::run(globals, "run", Work::Forever, started, tell, |_| {})?;
    tracing::info!(stopped = ran.stopped, "ended: {}", words(&ran.tally));
    Ok(0)
}
