use std::io::{self, Write as _};

use clap_complete::Shell;

use super::{Exit, command};

/// Write what lets a shell complete commands and options, for a file of that shell
#[derive(clap::Args)]
#[command(after_help = "Where shells look for it:
  bash        ~/.local/share/bash-completion/completions/postroom
  fish        ~/.config/fish/completions/postroom.fish
  zsh         _postroom in a folder of $fpath
  elvish      a module that rc.elv uses
  powershell  a file that $PROFILE runs

Examples:
  postroom completions bash > ~/.local/share/bash-completion/completions/postroom
  postroom completions fish > ~/.config/fish/completions/postroom.fish")]
pub(super) struct Args {
    /// Which shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub(super) fn run(args: &Args) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(), "postroom", &mut script);
    let mut out = io::stdout().lock();
    out.write_all(&script)?;
    out.flush()?;
    Ok(0)
}
