use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
};

use anyhow::{Context as _, anyhow};
use chrono::Utc;
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};

use super::{Exit, context::Globals, operator::operator, output::say, progress::progress};
use crate::{
    config::Config,
    size,
    store::{Backup, Store, StoreError},
};

/// Copy the store while it is in use; the copy sends nothing until its backends are resumed
#[derive(clap::Args)]
#[command(
    after_help = "The copy is one moment of the store, verified, and readable by its owner alone (mode 0600). An existing file is left as it is. Opened as the live store, its backends are paused until `postroom backend NAME resume`: what went out since the backup was made would go out again.\n\nExamples:\n  postroom backup /var/backups/postroom.db\n  postroom list status:error --store /var/backups/postroom.db"
)]
pub(super) struct Args {
    /// Where to put the copy; there must be no such file
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) fn run(globals: &Globals, args: &Args) -> Exit {
    let config = globals.config()?;
    let path = globals.store_path(&config)?;
    let bytes = with_backup(&config, |backup| Store::backup(&path, &args.file, backup))?;
    let (file, size) = (args.file.display(), size::shown(bytes));
    say(&format!(
        "{file}: written and verified, {size}; its backends are paused until they are resumed"
    ))?;
    Ok(0)
}

/// Does what makes a backup: progress on a terminal, and a signal leaves nothing behind.
pub(super) fn with_backup<T>(
    config: &Config,
    work: impl FnOnce(&Backup<'_>) -> Result<T, StoreError>,
) -> anyhow::Result<T> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        flag::register(signal, Arc::clone(&stop)).context("cannot listen for signals")?;
    }
    let bar = progress("{bar:30} {bytes} of {total_bytes}, {bytes_per_sec} {msg}");
    let done = work(&Backup {
        who: &operator(),
        backends: &config.backends.keys().cloned().collect::<Vec<_>>(),
        now: Utc::now(),
        progress: &|done, all| {
            bar.set_length(all);
            bar.set_position(done);
            if done == all {
                bar.set_message("looking through the copy");
            }
        },
        stop: &stop,
    });
    bar.finish_and_clear();
    done.map_err(|error| match error {
        StoreError::Interrupted => {
            anyhow!("stopped by a signal: the store is as it was, and nothing half made is left")
        }
        error => error.into(),
    })
}
