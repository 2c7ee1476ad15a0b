use std::{path::PathBuf, sync::Arc};

use chrono::Utc;

use super::{
    Exit,
    console::{needs_terminal, open},
    context::Globals,
    output::say,
    progress::progress,
    ways::ways,
};
use crate::demo::Demo;

/// Try it: a throw-away store, a misbehaving mail server on loopback, and the console on them
#[derive(clap::Args)]
#[command(
    after_help = "Nothing leaves this machine, and what was made goes when the console is left.\n\nExamples:\n  postroom demo\n  postroom demo --seed-only /tmp/demo && postroom demo --dir /tmp/demo\n  postroom demo --seed-only /tmp/large --receivers 1000000"
)]
pub(super) struct Args {
    /// Leave postroom.db and config.toml in this folder (made; refused when not empty), and end
    #[arg(long, value_name = "DIR", conflicts_with = "dir")]
    seed_only: Option<PathBuf>,
    /// Serve a folder that --seed-only left
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Write a store of this many receivers directly, without delivering them, to try its size
    #[arg(long, value_name = "N", conflicts_with = "dir")]
    receivers: Option<usize>,
}

pub(super) fn run(globals: &Globals, args: &Args) -> Exit {
    if args.seed_only.is_none() {
        needs_terminal()?;
    }
    let demo = match (&args.dir, &args.seed_only) {
        (Some(dir), _) => Demo::open(dir)?,
        (None, Some(dir)) => Demo::create(dir)?,
        (None, None) => Demo::temporary()?,
    };
    if args.dir.is_none() {
        seed(&demo, args.receivers)?;
    }
    if let Some(dir) = &args.seed_only {
        say(&format!(
            "{0}: seeded; `postroom demo --dir {0}` serves it",
            dir.display()
        ))?;
        return Ok(0);
    }
    open(
        globals,
        demo.config().clone(),
        Arc::clone(demo.store()),
        String::new(),
        false,
    )
}

fn seed(demo: &Demo, receivers: Option<usize>) -> anyhow::Result<()> {
    let bar = progress("making the demo {wide_bar} {pos}/{len} receivers, {eta} left");
    match receivers {
        Some(receivers) => demo.direct(receivers, Utc::now(), &bar)?,
        None => {
            demo.live(&ways(demo.config())?, Utc::now(), &bar)?;
        }
    }
    bar.finish_and_clear();
    Ok(())
}
