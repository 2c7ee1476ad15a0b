use super::{
    Exit,
    act::Leave,
    context::{Globals, acting},
    output::{say, tell},
    progress::progress,
    prompt::{at_terminal, confirm},
};

/// Delete messages that have no receivers any more, and contents that nobody uses
#[derive(clap::Args)]
#[command(
    after_help = "The keys of deleted messages are remembered for 90 days: handing such a message over again stays harmless. At a terminal it asks, elsewhere (cron) it does not.\n\nExamples:\n  postroom delete-messages-without-receivers --dry-run\n  postroom delete-messages-without-receivers"
)]
pub(super) struct Args {
    #[command(flatten)]
    leave: Leave,
}

pub(super) fn run(globals: &Globals, args: &Args) -> Exit {
    const NAME: &str = "delete-messages-without-receivers";
    let config = globals.config()?;
    if args.leave.dry_run {
        let unused = globals.look(&config)?.unused()?;
        let many = counted(unused.messages(), unused.contents());
        say(&format!("{NAME}: would delete {many}"))?;
        return Ok(0);
    }
    let store = globals.open(&config)?;
    let unused = store.reader()?.unused()?;
    let many = counted(unused.messages(), unused.contents());
    // This is for cron, where nobody can be asked.
    if at_terminal() && !args.leave.yes {
        let said = format!("{NAME}: would delete {many}");
        if unused.messages() + unused.contents() == 0 {
            say(&said)?;
            return Ok(0);
        }
        tell(&said);
        if !confirm(&format!("Delete {many} for good?"))? {
            tell("Nothing was done.");
            return Ok(1);
        }
    }
    let bar = progress("{spinner} {pos}/{len} messages and contents");
    bar.set_length(unused.messages() + unused.contents());
    let acting = acting(&config, many);
    let done = store.delete_unused(&unused, &acting, &mut |so_far| bar.set_position(so_far));
    bar.finish_and_clear();
    let (messages, contents) = done?;
    say(&format!("{NAME}: deleted {}", counted(messages, contents)))?;
    if messages + contents > 0 {
        store.give_back()?;
    }
    Ok(0)
}

/// `2 messages, 1 content`
fn counted(messages: u64, contents: u64) -> String {
    let several = |n: u64| if n == 1 { "" } else { "s" };
    format!(
        "{messages} message{}, {contents} content{}",
        several(messages),
        several(contents)
    )
}
