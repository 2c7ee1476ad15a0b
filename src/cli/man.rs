use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Command;
use clap_mangen::{
    Man,
    roff::{Roff, roman},
};

use super::{Exit, command, output::say};

/// Write the manual: the page `postroom(1)`, or a page for each command into a folder
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  postroom man | man -l -\n  postroom man --dir ~/.local/share/man/man1"
)]
pub(super) struct Args {
    /// Write all pages into this folder (made when missing): postroom.1, postroom-list.1, …
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Exit {
    // What `help` says is what the pages say.
    let mut all = command().disable_help_subcommand(true);
    all.build();
    if let Some(dir) = &args.dir {
        let pages = write_all(&all, dir)?;
        say(&format!("{}: {pages} pages", dir.display()))?;
    } else {
        let mut out = io::stdout().lock();
        out.write_all(&page(&all)?)?;
        out.flush()?;
    }
    Ok(0)
}

fn write_all(command: &Command, dir: &Path) -> anyhow::Result<usize> {
    fs::create_dir_all(dir).with_context(|| format!("cannot make the folder {}", dir.display()))?;
    let mut pages = 1;
    for sub in command.get_subcommands() {
        pages += write_all(sub, dir)?;
    }
    let path = dir.join(Man::new(command.clone()).get_filename());
    fs::write(&path, page(command)?).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(pages)
}

fn page(command: &Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    let man = Man::new(command.clone())
        .source(format!("postroom {}", env!("CARGO_PKG_VERSION")))
        .manual("Postroom");
    man.render_title(&mut page)?;
    // Ragged right: what is set in columns stays so.
    let mut ragged = Roff::new();
    ragged.control("ad", ["l"]);
    ragged.to_writer(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    if let Some(help) = command.get_after_long_help() {
        let help = help.to_string();
        let (notes, examples) = help.split_once("Examples:\n").unwrap_or((&help, ""));
        let (examples, more) = examples.split_once("\n\n").unwrap_or((examples, ""));
        section("NOTES", &format!("{notes}\n{more}")).to_writer(&mut page)?;
        section("EXAMPLES", examples).to_writer(&mut page)?;
    }
    Ok(page)
}

/// Each line of the text as a line of its own.
fn section(heading: &str, text: &str) -> Roff {
    let mut roff = Roff::new();
    if text.trim().is_empty() {
        return roff;
    }
    roff.control("SH", [heading]);
    for line in text.trim_matches('\n').lines() {
        if line.is_empty() {
            roff.control("sp", []);
        } else {
            roff.text([roman(line)]).control("br", []);
        }
    }
    roff
}
