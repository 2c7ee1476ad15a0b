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
    config::{Config, ConfigError},
    console::{self, ConsoleOptions, keymap::Keymap, theme::Theme},
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
    let program = globals.program();
    open(
        globals,
        config,
        Arc::new(store),
        words,
        args.read_only,
        program,
    )
}

/// The console on this store, until it is left. `program` is how a command on the same store begins.
pub(super) fn open(
    globals: &Globals,
    config: Config,
    store: Arc<Store>,
    query: String,
    read_only: bool,
    program: String,
) -> Exit {
    let (theme, keymap) = looks(&config).map_err(|message| ConfigError {
        path: config.path.clone().unwrap_or_default(),
        line: None,
        message,
    })?;
    console::run(ConsoleOptions {
        query,
        read_only,
        theme: if globals.colour() {
            theme
        } else {
            Theme::Monochrome
        },
        ascii: config.console.ascii,
        mouse: config.console.mouse,
        keymap,
        program,
        store,
        types: config.types.clone(),
        queries: config.queries.clone(),
        who: operator(),
        resend_limit: config.delivery.resend_limit(),
        lease: config.delivery.lease,
        min_free: config.delivery.min_free,
        ways: Box::new(move || ways(&config)),
    })?;
    Ok(0)
}

/// What `[console]` and `[keys]` of the config say; `Err` is what is wrong there.
pub(super) fn looks(config: &Config) -> Result<(Theme, Keymap), String> {
    let theme = Theme::read(&config.console.colors);
    let theme = theme.map_err(|why| format!("[console.colors]: {why}"))?;
    let keymap = Keymap::read(&config.keys).map_err(|why| format!("[keys]: {why}"))?;
    Ok((theme, keymap))
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
