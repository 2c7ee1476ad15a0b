use std::{
    fs, io,
    path::{Path, PathBuf},
    process,
    sync::Arc,
    thread::{self, JoinHandle},
};

use anyhow::Context as _;
use chrono::Utc;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::{Handle, Signals},
};

use super::{
    Exit,
    console::{needs_terminal, open},
    context::{Globals, quoted},
    error::Usage,
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
    #[arg(long, value_name = "N", conflicts_with = "dir", value_parser = how_many)]
    receivers: Option<usize>,
}

pub(super) fn run(globals: &Globals, args: &Args) -> Exit {
    if args.seed_only.is_none() {
        needs_terminal().map_err(|_| {
            Usage("the demo opens the console, which needs a terminal; `postroom demo --seed-only DIR` needs none".to_owned())
        })?;
    }
    let demo = match (&args.dir, &args.seed_only) {
        (Some(dir), _) => Demo::open(dir)?,
        (None, Some(dir)) => {
            let demo = Demo::create(dir)?;
            seed(&demo, args.receivers)?;
            demo
        }
        (None, None) => temporary(args.receivers)?,
    };
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
        format!("postroom --config {}", quoted(&demo.config_path())),
    )
}

/// A seeded one that leaves no folder behind, whatever ends it meanwhile.
/// For the argument: how many receivers.
fn how_many(text: &str) -> Result<usize, &'static str> {
    let number = text.parse().ok();
    number.ok_or("how many receivers is a whole number, as in `1000000`")
}

fn temporary(receivers: Option<usize>) -> anyhow::Result<Demo> {
    // From before there is a folder, so that no signal finds one that nobody removes.
    let signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).context("cannot listen for signals")?;
    let demo = Demo::temporary()?;
    let folder = demo.config_path().parent().map(Path::to_owned);
    let _watch = Watch::start(signals, folder.unwrap_or_default());
    seed(&demo, receivers)?;
    Ok(demo)
}

/// Until it is dropped: a signal removes the folder and ends the process.
struct Watch {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    fn start(mut signals: Signals, folder: PathBuf) -> Self {
        let handle = signals.handle();
        let thread = thread::spawn(move || {
            if let Some(signal) = signals.forever().next() {
                // The seeding goes on and may make one more file meanwhile.
                for _ in 0..10 {
                    match fs::remove_dir_all(&folder) {
                        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
                        _ => break,
                    }
                }
                process::exit(128 + signal);
            }
        });
        Self {
            handle,
            thread: Some(thread),
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            // A panic there has told about itself.
            let _ = thread.join();
        }
    }
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
