use std::{
    io::{self, IsTerminal as _},
    sync::Arc,
};

use super::{
    Exit,
    context::{Globals, query},
    error::Usage,
    operator::operator,
    ways::ways,
};
use crate::{
    config::Config,
    console::{self, ConsoleOptions},
    store::Store,
};

/// The console: see what did not arrive, why, and send it again
#[derive(clap::Args, Default)]
#[command(
    after_help = "`?` in the console shows the keys; `q` leaves it.\n\nExamples:\n  postroom console status:failed,error\n  postroom console --read-only -- -status:sent"
)]
pub(super) struct Args {
    /// Where to begin: words, field:value, -not (see `postroom list --help`)
    query: Vec<String>,
    /// Look, do not touch
    #[arg(long)]
    read_only: bool,
}

pub(super) fn run(globals: &Globals, args: &Args) -> Exit {
    let config = globals.config()?;
    let (words, _) = query(&args.query)?;
    let path = globals.store_path(&config)?;
    let store = if args.read_only {
        Store::open_read_only(&path)
    } else {
        Store::open(&path)
    }?;
    needs_terminal()?;
    let store = store.merging(&config.causes.merge)?;
    open(globals, config, Arc::new(store), words, args.read_only)
}

/// The console on this store, until it is left.
pub(super) fn open(
    globals: &Globals,
    config: Config,
    store: Arc<Store>,
    query: String,
    read_only: bool,
) -> Exit {
    console::run(ConsoleOptions {
        store,
        query,
        read_only,
        color: globals.colour(),
        types: config.types.clone(),
        who: operator(),
        resend_limit: config.delivery.resend_limit(),
        lease: config.delivery.lease,
        min_free: config.delivery.min_free,
        ways: Box::new(move || ways(&config)),
    })?;
    Ok(0)
}

pub(super) fn needs_terminal() -> Result<(), Usage> {
    if io::stdin().is_terminal() && io::stdout().is_terminal() {
        return Ok(());
    }
    Err(Usage(
        "the console needs a terminal; `postroom list` and `postroom show` write to a pipe"
            .to_owned(),
    ))
}
