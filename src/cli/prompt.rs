//! The one question: `[y/N]`.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use anyhow::Context as _;

use super::error::Usage;

/// Whether there is somebody to ask.
pub(super) fn at_terminal() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Without a terminal there is nobody to ask: that is wrong usage.
pub(super) fn needs_terminal() -> anyhow::Result<()> {
    if !at_terminal() {
        return Err(Usage(
            "there is no terminal to ask at: add --yes to do it, or --dry-run to see it".to_owned(),
        )
        .into());
    }
    Ok(())
}

/// Asks; only `y` is a yes.
pub(super) fn confirm(question: &str) -> anyhow::Result<bool> {
    needs_terminal()?;
    let mut stderr = io::stderr();
    write!(stderr, "{question} [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin()
        .lock()
        .read_line(&mut answer)
        .context("cannot read the answer")?;
    Ok(answer.trim().eq_ignore_ascii_case("y"))
}
