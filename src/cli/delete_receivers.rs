use chrono::{Days, Local};

use super::{
    Exit,
    act::{Leave, carry_out},
    context::{Globals, query},
    error::Usage,
};
use crate::store::{Action, Target};

/// Delete receivers created before midnight (local time) that many days ago, with every attempt
#[derive(clap::Args)]
#[command(
    after_help = "Receivers that are still to be sent, held or being sent stay, unless --pending says otherwise; those being sent at that very moment always do. At a terminal it asks, elsewhere (cron) it does not. 0 is everything from before today. `[retention]` in the config lets `run` do this by itself.\n\nExamples:\n  postroom delete-receivers 90 --dry-run\n  postroom delete-receivers 365 && postroom delete-messages-without-receivers"
)]
pub(super) struct Args {
    /// How many days to keep, beside today
    #[arg(value_name = "DAYS", allow_negative_numbers = true, value_parser = days)]
    days: u64,
    /// Also those that are still to be sent or held
    #[arg(long)]
    pending: bool,
    #[command(flatten)]
    leave: Leave,
}

fn days(text: &str) -> Result<u64, &'static str> {
    let days = text.parse().ok().filter(|days| *days <= 36_500);
    days.ok_or("how many days to keep is a whole number, as in `90`; 0 keeps today")
}

pub(super) fn run(globals: &Globals, args: &Args) -> Exit {
    let config = globals.config()?;
    let today = Local::now().date_naive();
    let day = today
        .checked_sub_days(Days::new(args.days))
        .ok_or_else(|| Usage(format!("there was no day {} days ago", args.days)))?;
    // The query language knows when a day begins where the clocks are set forward at midnight.
    let (words, query) = query(&[format!("created:<{}", day.format("%Y-%m-%d"))])?;
    let action = Action::CleanUp {
        pending: args.pending,
    };
    let words = if args.pending {
        format!("{words} --pending")
    } else {
        words
    };
    carry_out(
        globals,
        &config,
        action,
        &Target::Query(query),
        words,
        &args.leave,
    )
}
