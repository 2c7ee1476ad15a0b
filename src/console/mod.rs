//! The console: a ratatui application over the store.
//!
//! [`update`](update::update) turns an [`Event`](effect::Event) and the [`State`](state::State) into the next state and a list of
//! [`Effect`](effect::Effect)s; [`view`](view::view) draws a state. Neither does I/O. The [runtime] executes the effects: threads that
//! answer questions from the store ([`reader`]), threads that carry out what an operator confirmed ([`courier`]), the [terminal]. What keys
//! mean is data ([`action`]), and so are the columns ([`mod@column`]) and the looks ([`theme`]). What the filter panel ([`filter`]) and the
//! completion ([`complete`]) make of a query's text is pure; what is there again at the next start is a small file ([`kept`]).

pub mod action;
mod ascii;
mod asks;
pub mod clock;
pub mod column;
pub mod complete;
pub mod content;
pub mod courier;
pub mod detail;
pub mod effect;
pub mod filter;
pub mod kept;
pub mod keymap;
pub mod layout;
pub mod page;
pub mod pager;
mod palette;
pub mod query_line;
pub mod question;
pub mod reader;
pub mod runtime;
mod save;
pub mod source;
pub mod state;
pub mod terminal;
mod text;
pub mod theme;
pub mod traceback;
pub mod update;
pub mod view;

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    sync::Arc,
    time::Duration,
};

use crate::{
    delivery::system_clock,
    message::DisplayText,
    store::{Store, Upkeep},
};
use clock::Zone;
use courier::{StoreCourier, Ways};
use keymap::Keymap;
use source::StoreSource;
use state::Setup;
use theme::Theme;

pub(crate) use text::shell_word;

/// What the console is started with.
pub struct ConsoleOptions {
    /// The store.
    pub store: Arc<Store>,
    /// The first query, as an operator would type it.
    pub query: String,
    /// Look, do not touch. A store that was opened to look only makes the console so, too.
    pub read_only: bool,
    /// How roles look.
    pub theme: Theme,
    /// Draw with nothing but ASCII.
    pub ascii: bool,
    /// Take the mouse, too.
    pub mouse: bool,
    /// Labels of message types.
    pub types: BTreeMap<String, String>,
    /// Which keys mean what.
    pub keymap: Keymap,
    /// How the program is called on a command line, with the flags that lead to this store.
    pub program: String,
    /// Queries by name.
    pub queries: BTreeMap<String, String>,
    /// Who acts: `SUDO_USER`, else the user.
    pub who: String,
    /// The ways out, made when something is resent.
    pub ways: Box<Ways>,
    /// The configured resend limit.
    pub resend_limit: u32,
    /// The configured lease.
    pub lease: Duration,
    /// The configured floor of free disk, in bytes.
    pub min_free: u64,
}

/// Runs the console until it is left.
pub fn run(options: ConsoleOptions) -> anyhow::Result<()> {
    let store = options.store;
    let read_only = options.read_only || store.is_read_only();
    let upkeep = if read_only {
        None
    } else {
        Some(Upkeep::start(&store)?)
    };
    let path = store.path().display().to_string();
    let kept_in = kept::place();
    let shown = kept_in.as_ref().map(|path| path.display().to_string());
    let words = runtime::run(runtime::Parts {
        setup: Setup {
            store: DisplayText::line(&path),
            read_only,
            types: options.types,
            zone: Zone::Local,
            theme: options.theme,
            ascii: options.ascii,
            keymap: options.keymap,
            program: options.program,
            queries: options.queries,
            kept_in: DisplayText::line(&shown.unwrap_or_default()),
        },
        kept_in,
        query: options.query,
        swift: Box::new(StoreSource::new(store.reader()?)),
        patient: Box::new(StoreSource::new(store.reader()?)),
        courier: Arc::new(StoreCourier {
            store: Arc::clone(&store),
            ways: options.ways,
            who: options.who,
            resend_limit: options.resend_limit,
            lease: options.lease,
            min_free: options.min_free,
            clock: system_clock(),
        }),
        mouse: options.mouse,
    })?;
    drop(upkeep);
    for line in words {
        writeln!(io::stdout(), "{line}")?;
    }
    Ok(())
}
