use super::{Exit, context::Globals, output::say};
use crate::store::Store;

/// Bring a store of an older version to this version's schema
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  postroom migrate\n  postroom migrate --store /var/lib/postroom/postroom.db"
)]
pub(super) struct Args {}

pub(super) fn run(globals: &Globals, _: &Args) -> Exit {
    let config = globals.config()?;
    let path = globals.store_path(&config)?;
    let (had, has) = Store::migrate(&path)?;
    let shown = path.display();
    say(&if had == has {
        format!("{shown}: schema {has}, nothing to do")
    } else {
        format!("{shown}: schema {had} is now {has}")
    })?;
    Ok(0)
}
