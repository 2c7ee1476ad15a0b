use super::{Outcome, context::Globals};
use crate::store::Store;

/// Bring a store of an older version to this version's schema
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  postroom migrate\n  postroom migrate --store /var/lib/postroom/postroom.db"
)]
pub(super) struct Args {}

pub(super) fn run(globals: &Globals, _: &Args) -> Outcome {
    let config = globals.config()?;
    let path = globals.store_path(&config)?;
    let (had, has) = Store::migrate(&path)?;
    if had == has {
        println!("{}: schema {has}, nothing to do", path.display());
    } else {
        println!("{}: schema {had} is now {has}", path.display());
    }
    Ok(0)
}
