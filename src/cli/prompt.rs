//! The one question: `[y/N]`.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use anyhow::Context as _;

use super::error::Usage;

/// Asks; only `y` is a yes. Without a terminal there is nobody to ask: that is wrong usage.
pub(super) fn confirm(question: &str) -> anyhow::Result<bool> {
    let stdin = io::stdin();
    if !stdin.is_terminal() || !io::stderr().is_terminal() {
        return Err(Usage(
            "there is no terminal to ask at: add --yes to do it, or --dry-run to see it".to_owned(),
        )
        .into());
    }
    let mut stderr = io::stderr();
    write!(stderr, "{question} [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    stdin
        .lock()
        .read_line(&mut answer)
        .context("cannot read the answer")?;
    Ok(answer.trim().eq_ignore_ascii_case("y"))
}
