//! The `postroom` binary: everything is in [`postroom::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    postroom::cli::main(std::env::args_os())
}
