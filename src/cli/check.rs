use std::{
    io::{self, Write as _},
    path::Path,
};

use chrono::Utc;
use serde::Serialize;

use super::{
    Exit,
    console::looks,
    context::Globals,
    output::{Format, heard, json_line, local},
    progress::progress,
    ways::{listening, way},
};
use crate::{
    backend::{Proof, SecretSource},
    config::{Backend, Config, Delivery, Kind},
    inbound::{self, Standing},
    message::DisplayText,
    size,
    store::{Finding, POINTS, Reader},
};

/// Look through the config and the whole store for what is wrong; changes nothing
#[derive(clap::Args)]
#[command(
    after_help = "One line a point: config, secrets, listener, store, disk, schema, leftovers, text_index, integrity, foreign_keys, contents, counters.\nThe last four read the whole store. Ctrl-C does no harm. Exit code 0: all is well; 1: something is wrong, and its line says the way out.\n\nExamples:\n  postroom check\n  postroom check --format json\n  postroom check --store /var/backups/postroom.db"
)]
pub(super) struct Args {
    /// How to write it
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

#[derive(Serialize)]
struct PointJson<'a> {
    check: &'a str,
    /// `null`: not looked at, since something before it is wrong.
    ok: Option<bool>,
    message: &'a str,
}

/// Says each point as it is known, and remembers whether one was wrong.
struct Told {
    format: Format,
    wrong: bool,
}

impl Told {
    /// `Err`: it could not be looked at, and why.
    fn point(&mut self, check: &str, finding: Result<Finding, &str>) -> anyhow::Result<()> {
        let (ok, word, message) = match finding {
            Ok(Ok(well)) => (Some(true), "ok", well),
            Ok(Err(wrong)) => (Some(false), "WRONG", wrong),
            Err(why) => (None, "-", format!("not looked at, since {why}")),
        };
        self.wrong |= ok == Some(false);
        let mut line = Vec::new();
        match self.format {
            Format::Json => json_line(
                &mut line,
                &PointJson {
                    check,
                    ok,
                    message: &message,
                },
            )?,
            Format::Text => {
                writeln!(
                    line,
                    "{word:<5}  {check:<12}  {}",
                    DisplayText::line(&message)
                )?;
            }
        }
        // Who reads no further is told by the exit code.
        heard(io::stdout().lock().write_all(&line))?;
        Ok(())
    }
}

pub(super) fn run(globals: &Globals, args: &Args) -> Exit {
    let mut told = Told {
        format: args.format,
        wrong: false,
    };
    let config = globals.config();
    told.point("config", Ok(configured(config.as_ref())))?;
    // Where no config can be read, a store that was named can still be looked at.
    let named = globals.named_store().map(|_| Config::default());
    let reader = match (&config, named) {
        (Ok(config), _) => {
            told.point("secrets", Ok(secrets(config)))?;
            told.point("listener", listener(config))?;
            opened(globals, config)
        }
        (Err(_), Some(defaults)) => opened(globals, &defaults),
        (Err(_), None) => Err("which one it is stands in the config: mend that first".to_owned()),
    };
    let reader = match reader {
        Ok(reader) => {
            told.point("store", Ok(Ok(reader.path().display().to_string())))?;
            Ok(reader)
        }
        Err(why) => {
            told.point("store", Ok(Err(why)))?;
            Err("the store cannot be opened")
        }
    };
    let bar = progress("{spinner} {msg}, {elapsed}");
    bar.enable_steady_tick(std::time::Duration::from_millis(200));
    let floor = config
        .as_ref()
        .map_or(Delivery::default().min_free, |config| {
            config.delivery.min_free
        });
    let reader = reader.as_ref().map_err(|why| *why);
    told.point("disk", reader.map(|reader| disk(reader, floor)))?;
    for (name, look) in POINTS {
        bar.set_message(*name);
        let finding =
            reader.map(|reader| look(reader).unwrap_or_else(|error| Err(error.to_string())));
        bar.suspend(|| told.point(name, finding))?;
    }
    bar.finish_and_clear();
    Ok(u8::from(told.wrong))
}

/// The config can be read, and every backend in it can be used as far as that can be told without connecting.
fn configured(config: Result<&Config, &anyhow::Error>) -> Finding {
    let config = config.map_err(|error| format!("{error:#}"))?;
    let Some(path) = &config.path else {
        const NONE: &str =
            "there is no config file, so no backend either: `postroom init` writes one";
        return Ok(NONE.to_owned());
    };
    let place = path.display();
    let unlocked = |backend| secrets_of(backend).all(|secret| secret.check().is_ok());
    let screen = looks(config).err();
    let faults: Vec<_> = config
        .backends
        .iter()
        // What is wrong with a secret is told at its own point.
        .filter(|(_, backend)| unlocked(backend))
        .filter_map(|(name, backend)| way(name, backend, config).err())
        .map(|error| format!("{error:#}"))
        .chain(screen)
        .collect();
    match (faults.is_empty(), config.backends.len()) {
        (false, _) => Err(format!("{place}: {}", faults.join("; "))),
        (true, 0) => Ok(format!(
            "{place}, no backend, so nothing is taken or sent: add [backends.email] with host = \"…\" to it"
        )),
        (true, 1) => Ok(format!("{place}, 1 backend")),
        (true, n) => Ok(format!("{place}, {n} backends")),
    }
}

/// Every secret that a backend needs.
fn secrets_of(backend: &Backend) -> impl Iterator<Item = &SecretSource> {
    let login = match &backend.kind {
        Kind::Smtp(settings) => settings.credentials.as_ref(),
        Kind::Sendmail(_) | Kind::File(_) => None,
    };
    let login = login.and_then(|login| match &login.proof {
        Proof::Password(source) => Some(source),
        Proof::Token(_) => None,
    });
    let key = backend.dkim.as_ref().map(|dkim| &dkim.key);
    login.into_iter().chain(key)
}

/// Every secret that the listener needs.
fn secrets_of_listener(config: &Config) -> impl Iterator<Item = SecretSource> {
    config.listen_smtp.iter().flat_map(|listen| {
        let key = listen.tls.iter();
        let key = key.map(|(_, key)| SecretSource::File(key.clone()));
        listen.users.values().cloned().chain(key)
    })
}

/// `run` can listen, and clients will take the certificate.
fn listener(config: &Config) -> Result<Finding, &'static str> {
    if secrets_of_listener(config).any(|secret| secret.check().is_err()) {
        return Err("its secrets cannot be had");
    }
    let look = |settings: inbound::Settings| {
        let address = settings.address();
        anyhow::Ok(match settings.certificate(Utc::now())? {
            Some((file, standing)) => {
                usable(file, standing).map(|words| format!("{address}, {words}"))
            }
            None => Ok(format!("{address}, without STARTTLS")),
        })
    };
    let found = listening(config).and_then(|settings| match settings {
        Some(settings) => look(settings),
        None => Ok(Ok("there is none".to_owned())),
    });
    Ok(found.unwrap_or_else(|error| Err(format!("{error:#}"))))
}

fn usable(file: &Path, standing: Standing) -> Finding {
    const RENEW: &str = "renew it, then `systemctl reload postroom`";
    let file = file.display();
    match standing {
        Standing::Until(end) => Ok(format!("{file} until {}", local(end))),
        Standing::Soon(end) => Err(format!("{file} expires soon, {}: {RENEW}", local(end))),
        Standing::Expired(end) => Err(format!("{file} expired {}: {RENEW}", local(end))),
        Standing::NotYet(begin) => Err(format!(
            "{file} cannot be used before {}: look at this machine's clock",
            local(begin)
        )),
        Standing::Authority => Err(format!(
            "{file} begins with the certificate of an authority (CA:TRUE), as self-signed ones often are, which no client should take for a server's: \
             make it anew with CA:FALSE, by `openssl req -x509 -addext basicConstraints=critical,CA:FALSE …`"
        )),
        Standing::Useless => Err(format!(
            "{file} holds a certificate that no client can take for a server's: make it anew"
        )),
    }
}

/// Secrets' files can be read, by their owner alone. A variable may be set only where `run` is started.
fn secrets(config: &Config) -> Finding {
    let (mut well, mut wrong) = (Vec::new(), Vec::new());
    let named = config
        .backends
        .iter()
        .flat_map(|(name, backend)| secrets_of(backend).map(move |source| (name.as_str(), source)));
    let named = named.map(|(name, source)| (name, source.clone()));
    let listens = secrets_of_listener(config).map(|source| ("listen.smtp", source));
    for (name, source) in named.chain(listens) {
        let checked = source.check();
        match (source, checked) {
            (SecretSource::Env(variable), Err(_)) => well.push(format!(
                "{name}: {variable} is not set here, and has to be where `run` or `deliver` is started"
            )),
            (_, Err(error)) => wrong.push(format!("{name}: {:#}", anyhow::Error::from(error))),
            (SecretSource::File(path), Ok(())) => well.push(format!("{name}: {}", path.display())),
            (SecretSource::Env(variable), Ok(())) => well.push(format!("{name}: {variable}")),
        }
    }
    if !wrong.is_empty() {
        Err(wrong.join("; "))
    } else if well.is_empty() {
        Ok("none is named".to_owned())
    } else {
        Ok(well.join("; "))
    }
}

/// Little is left well before sending stops, or whoever is told could do nothing about it any more.
fn disk(reader: &Reader, floor: u64) -> Finding {
    let Some(free) = reader.free() else {
        return Ok("how full it is cannot be told here".to_owned());
    };
    let words = format!("{} free", size::shown(free));
    if free < floor.saturating_mul(4) {
        let floor = size::shown(floor);
        Err(format!(
            "{words}, which is little: free some space; below {floor} nothing is sent (min_free in [delivery])"
        ))
    } else {
        Ok(words)
    }
}

fn opened(globals: &Globals, config: &Config) -> Result<Reader, String> {
    globals.look(config).map_err(|error| format!("{error:#}"))
}
