//! The global flags, and what they lead to: the config, the store, the operator.

use std::{
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::anyhow;
use chrono::Utc;
use clap::{Args, ValueEnum};

use super::{
    error::{Usage, place},
    operator::operator,
    output::tell,
};
use crate::{
    config::Config,
    console::shell_word,
    query::{Context, Query},
    store::{Acting, Reader, Store},
};

/// They stand apart in every help, after what is the command's own.
const GLOBAL: &str = "Global options";

/// Flags that every command takes.
#[derive(Args)]
pub(super) struct Globals {
    /// The store to work on [default: POSTROOM_STORE, the config's, $XDG_DATA_HOME/postroom/postroom.db]
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "FILE")]
    store: Option<PathBuf>,
    /// The config to read [default: POSTROOM_CONFIG, $XDG_CONFIG_HOME/postroom/config.toml, /etc/postroom/config.toml]
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Whether to colour what is written
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "WHEN", default_value = "auto")]
    pub(super) color: Color,
    /// Log one level more (to stderr); twice for two
    #[arg(short, long, global = true, help_heading = GLOBAL, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Also into a file or a pipe
    Always,
    /// Never
    Never,
}

impl Globals {
    /// The store that was named, by the flag or the environment.
    pub(super) fn named_store(&self) -> Option<PathBuf> {
        self.store
            .clone()
            .or_else(|| from_environment("POSTROOM_STORE"))
    }

    /// The config that was named, by the flag or the environment.
    pub(super) fn named_config(&self) -> Option<PathBuf> {
        self.config
            .clone()
            .or_else(|| from_environment("POSTROOM_CONFIG"))
    }

    pub(super) fn config(&self) -> anyhow::Result<Config> {
        Ok(Config::load(self.named_config().as_deref())?)
    }

    pub(super) fn store_path(&self, config: &Config) -> anyhow::Result<PathBuf> {
        config
            .store_path(self.named_store().as_deref())
            .ok_or_else(|| anyhow!("no home folder is known here, so there is no usual place for the store: name one with --store"))
    }

    /// The store, to read and write.
    pub(super) fn open(&self, config: &Config) -> anyhow::Result<Arc<Store>> {
        let store = Store::open(&self.store_path(config)?)?;
        Ok(Arc::new(store.merging(&config.causes.merge)?))
    }

    /// The store, to look only.
    pub(super) fn look(&self, config: &Config) -> anyhow::Result<Reader> {
        let store = Store::open_read_only(&self.store_path(config)?)?;
        Ok(store.merging(&config.causes.merge)?.reader()?)
    }

    /// How a command on the same store begins, from whatever folder: `postroom` with the flags that were given.
    pub(super) fn program(&self) -> String {
        let flags = [("--config", &self.config), ("--store", &self.store)];
        let mut words = "postroom".to_owned();
        for (flag, path) in flags {
            if let Some(path) = path {
                words.extend([" ", flag, " ", &quoted(path)]);
            }
        }
        words
    }

    /// Whether stdout may have colours.
    pub(super) fn colour(&self) -> bool {
        match self.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                let asked_not_to =
                    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                io::stdout().is_terminal() && !asked_not_to
            }
        }
    }
}

/// A path as a shell takes it, from whatever folder.
pub(super) fn quoted(path: &Path) -> String {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    shell_word(&path.display().to_string())
}

/// A variable that is set to nothing is not set.
fn from_environment(name: &str) -> Option<PathBuf> {
    std::env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

/// The query that the arguments make, joined by a space.
pub(super) fn query(words: &[String]) -> anyhow::Result<(String, Query)> {
    let text = words.join(" ");
    let query =
        Query::parse(&text, &Context::local()).map_err(|error| Usage::query(&text, &error))?;
    if let Some(doubt) = query.doubt(&text) {
        let place = place(&text, &doubt);
        tell(&format!(
            "warning: a word of this query is hardly meant as one{place}"
        ));
    }
    Ok((text, query))
}

/// Who acts now, on what.
pub(super) fn acting(config: &Config, target: impl Into<String>) -> Acting {
    Acting {
        who: operator(),
        target: target.into(),
        now: Utc::now(),
        resend_limit: config.delivery.resend_limit(),
    }
}
