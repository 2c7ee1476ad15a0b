use std::{
    fs::{self, OpenOptions},
    io::{self, ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, anyhow};

use super::{Exit, context::Globals, output::say};
use crate::{
    config::Config,
    store::{Store, StoreError},
};

/// The config file with every key explained.
const SAMPLE: &str = include_str!("../../assets/config.toml");

/// Write a commented config file and create the store; what exists already is left as it is
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  postroom init\n  postroom init --config /etc/postroom/config.toml --store /var/lib/postroom/postroom.db"
)]
pub(super) struct Args {}

pub(super) fn run(globals: &Globals, _: &Args) -> Exit {
    let path = config_path(globals)?;
    let written = write_new(&path, &sample(globals.named_store().as_deref())?)?;
    told(
        &path,
        if written {
            "written: name your mail server in it"
        } else {
            "exists already, left as it is"
        },
    )?;

    let config = Config::load(Some(&path))?;
    let store = globals.store_path(&config)?;
    match Store::create(&store) {
        Ok(_) => told(&store, "created")?,
        Err(StoreError::Exists(_)) => {
            // Something is there: say at once if it is no store of ours.
            Store::open_read_only(&store)?;
            Store::remove_halves(&store);
            told(&store, "exists already, left as it is")?;
        }
        Err(error) => return Err(error.into()),
    }
    Ok(0)
}

/// The named one; else the one that would be read; else the first place where one is looked for.
fn config_path(globals: &Globals) -> anyhow::Result<PathBuf> {
    if let Some(path) = globals.named_config() {
        return Ok(path);
    }
    let usual = Config::usual_paths();
    let there = usual.iter().find(|path| path.exists());
    there.or(usual.first()).cloned().ok_or_else(|| {
        anyhow!("no usual place for a config file is known here: name one with --config")
    })
}

/// The sample; with a store that was named on the command line, so that it need not be named again.
fn sample(store: Option<&Path>) -> anyhow::Result<String> {
    let Some(store) = store else {
        return Ok(SAMPLE.to_owned());
    };
    let store = std::path::absolute(store)?;
    let store = store.to_str().ok_or_else(|| {
        anyhow!(
            "the path {} is not UTF-8, which a config file has to be",
            store.display()
        )
    })?;
    let line = format!("path = {}", toml::Value::from(store));
    Ok(SAMPLE.replacen("# path = \"/var/lib/postroom/postroom.db\"", &line, 1))
}

/// Writes the file unless there is one.
fn write_new(path: &Path, text: &str) -> anyhow::Result<bool> {
    let shown = path.display();
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    match file {
        Ok(mut file) => {
            file.write_all(text.as_bytes())
                .with_context(|| format!("cannot write {shown}"))?;
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error).with_context(|| format!("cannot write {shown}")),
    }
}

fn told(path: &Path, what: &str) -> io::Result<()> {
    say(&format!("{}: {what}", path.display()))
}
