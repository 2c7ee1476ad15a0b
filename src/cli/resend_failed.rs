use super::{
    Exit,
    context::{Globals, acting},
    deliver::tell_of_pauses,
    output::{receivers, say},
};
use crate::message::State;

/// Make every Failed receiver within the resend limit due now; marks only, `deliver` or `run` sends
#[derive(clap::Args)]
#[command(
    after_help = "Held ones and those being sent stay as they are.\n\nExamples:\n  postroom resend-failed\n  postroom resend-failed && postroom deliver"
)]
pub(super) struct Args {}

pub(super) fn run(globals: &Globals, _: &Args) -> Exit {
    let config = globals.config()?;
    let store = globals.open(&config)?;
    let done = store.resend_failed(&acting(&config, "status:failed"))?;
    // Scripts read two numbers here.
    let held = match store.reader()?.counts()?.of_state(State::FailedHeld) {
        0 => "",
        _ => "; held ones stay: `postroom release is:held`",
    };
    say(&format!(
        "{} due now, {} exceeded the resend limit{held}",
        receivers(done.due),
        done.exceeded
    ))?;
    tell_of_pauses(globals, &config)?;
    Ok(0)
}
