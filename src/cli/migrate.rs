use super::{Exit, backup::with_backup, context::Globals, output::say};
use crate::store::{Migrated, Store};

/// Bring a store of an older version to this version's schema
#[derive(clap::Args)]
#[command(
    after_help = "Before data is dropped or rewritten, the store is copied to a file beside it. Stop `postroom run` first.\n\nExamples:\n  postroom migrate\n  postroom migrate --store /var/lib/postroom/postroom.db"
)]
pub(super) struct Args {}

pub(super) fn run(globals: &Globals, _: &Args) -> Exit {
    let config = globals.config()?;
    let path = globals.store_path(&config)?;
    let Migrated { from, to, backup } =
        with_backup(&config, |backup| Store::migrate(&path, backup))?;
    let shown = path.display();
    if let Some(backup) = backup {
        say(&format!(
            "{}: the store as it was, written and verified",
            backup.display()
        ))?;
    }
    say(&if from == to {
        format!("{shown}: schema {to}, nothing to do")
    } else {
        format!("{shown}: schema {from} is now {to}")
    })?;
    Ok(0)
}
