//! The config file: TOML, typed. What a key of a backend means and its default stand with the backend's own settings; every key is explained for
//! people in `assets/config.toml`.
//!
//! Every key but a backend's `host` may be missing. An unknown one is an error, since a slip of the pen must not silently mean the default.
//! Relative paths are relative to the file. No secret stands in it.

mod backend;
mod console;
mod listen;
mod places;
mod values;

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use etcetera::BaseStrategy as _;
use serde::Deserialize;
use toml::{Spanned, de::DeTable};

use crate::{
    duration,
    inbound::ListenSettings,
    message::DisplayText,
    query::{Context, Query},
    size,
    suggest::did_you_mean,
};

use places::{Places as _, key_in, named};

pub use backend::{Backend, Kind};
pub use console::{Console, Keys};
pub use values::Permanent;

/// Everything the config file says, checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// The file it was read from; `None`: there is none, and everything is the default.
    pub path: Option<PathBuf>,
    /// `[store]`
    pub store: Store,
    /// `[delivery]`
    pub delivery: Delivery,
    /// `[backends.NAME]`
    pub backends: BTreeMap<String, Backend>,
    /// `[listen.smtp]`; without it nobody listens.
    pub listen_smtp: Option<ListenSettings>,
    /// `[causes]`
    pub causes: Causes,
    /// `[retention]`
    pub retention: Retention,
    /// `[status]`
    pub status: Status,
    /// `[types]`: the label to show for a message's type.
    pub types: BTreeMap<String, String>,
    /// `[console]`
    pub console: Console,
    /// `[keys]`: the console's keys by the name of the action.
    pub keys: BTreeMap<String, Keys>,
    /// `[queries]`: queries by name, which the console offers.
    pub queries: BTreeMap<String, String>,
}

/// `[store]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// The SQLite file. Default: `$XDG_DATA_HOME/postroom/postroom.db`.
    pub path: Option<PathBuf>,
}

/// `[delivery]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Delivery {
    /// The backend of a receiver that names none. Default: the only one there is, else `email` if there is one.
    pub default_backend: Option<String>,
    /// The language of a receiver that names none, and the last one to fall back to. Default: `en`.
    pub default_language: String,
    /// How long to wait after the first, second … failure; the last step repeats. Default: `1m,5m,15m,1h*3,6h,1d`.
    #[serde(deserialize_with = "values::backoff")]
    pub backoff: Vec<Duration>,
    /// A receiver that failed more often than this is an Error. Default: the number of steps in `backoff`.
    resend_limit: Option<u32>,
    /// Whether a 5xx refusal is final. Default: `error`.
    pub permanent: Permanent,
    /// How long an engine that is not heard of keeps the receivers it claimed. Default: `2m`.
    #[serde(deserialize_with = "duration::read")]
    pub lease: Duration,
    /// Below so many bytes of free disk nothing is sent; 0: no matter. Default: `64MiB`.
    #[serde(deserialize_with = "size::read")]
    pub min_free: u64,
}

impl Default for Delivery {
    fn default() -> Self {
        const MINUTES: [u64; 8] = [1, 5, 15, 60, 60, 60, 6 * 60, 24 * 60];
        Self {
            default_backend: None,
            default_language: "en".to_owned(),
            backoff: MINUTES.map(|m| Duration::from_secs(m * 60)).to_vec(),
            resend_limit: None,
            permanent: Permanent::default(),
            lease: Duration::from_secs(120),
            min_free: 64 << 20,
        }
    }
}

impl Delivery {
    /// How many failures a receiver may have before it is an Error.
    pub fn resend_limit(&self) -> u32 {
        self.resend_limit
            .unwrap_or_else(|| u32::try_from(self.backoff.len()).unwrap_or(u32::MAX))
    }
}

/// `[causes]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Causes {
    /// Causes whose text matches the same one of these count as one; `*` is anything, case does not matter. Default: none.
    #[serde(deserialize_with = "values::patterns")]
    pub merge: Vec<String>,
}

/// `[retention]`: how long `run` keeps what is done with. A missing key: for ever.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// Receivers that were Sent this long ago go.
    #[serde(deserialize_with = "duration::read_some")]
    pub sent: Option<Duration>,
    /// Receivers that have been Error for this long go.
    #[serde(deserialize_with = "duration::read_some")]
    pub error: Option<Duration>,
}

/// `[status]`: what `postroom status` finds bad enough to tell.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Status {
    /// A backend that has been down for longer than this is critical; before that it is a warning. Default: `5m`.
    #[serde(deserialize_with = "duration::read")]
    pub backend_down: Duration,
    /// A receiver that has been due for longer than this is critical; from a sixth of it on it is a warning. Default: `1h`.
    #[serde(deserialize_with = "duration::read")]
    pub overdue: Duration,
    /// A receiver that became Error within this time is a warning. Default: `24h`.
    #[serde(deserialize_with = "duration::read")]
    pub errors_within: Duration,
}

impl Default for Status {
    fn default() -> Self {
        Self {
            backend_down: Duration::from_secs(5 * 60),
            overdue: Duration::from_secs(60 * 60),
            errors_within: Duration::from_secs(24 * 60 * 60),
        }
    }
}

/// A config file that cannot be used: which, where, why, and the way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file.
    pub path: PathBuf,
    /// Counted from 1, where it is known.
    pub line: Option<usize>,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display().to_string();
        write!(f, "{}", DisplayText::line(&path))?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        write!(f, ": {}", DisplayText::line(&self.message))
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads the named file, which must exist; else `$XDG_CONFIG_HOME/postroom/config.toml`, else `/etc/postroom/config.toml`, else nothing.
    pub fn load(named: Option<&Path>) -> Result<Self, ConfigError> {
        if let Some(path) = named {
            return match fs::read_to_string(path) {
                Ok(text) => Self::parse(&text, path),
                Err(error) => Err(unreadable(path, &error)),
            };
        }
        for path in Self::usual_paths() {
            match fs::read_to_string(&path) {
                Ok(text) => return Self::parse(&text, &path),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(unreadable(&path, &error)),
            }
        }
        Ok(Self::default())
    }

    /// Where a config file is looked for when none is named, best first. `init` writes to the first.
    pub fn usual_paths() -> Vec<PathBuf> {
        let own = etcetera::choose_base_strategy().map(|dirs| dirs.config_dir());
        own.into_iter()
            .chain([PathBuf::from("/etc")])
            .map(|dir| dir.join("postroom").join("config.toml"))
            .collect()
    }

    /// The store's file: the named one, else the config's, else `$XDG_DATA_HOME/postroom/postroom.db`. `None`: the machine knows no home.
    pub fn store_path(&self, named: Option<&Path>) -> Option<PathBuf> {
        let configured = || {
            named
                .map(Path::to_owned)
                .or_else(|| self.store.path.clone())
        };
        configured().or_else(|| {
            let dirs = etcetera::choose_base_strategy().ok()?;
            Some(dirs.data_dir().join("postroom").join("postroom.db"))
        })
    }

    /// The backend of a receiver that names none.
    pub fn default_backend(&self) -> Option<&str> {
        if let Some(name) = &self.delivery.default_backend {
            return Some(name);
        }
        let mut names = self.backends.keys();
        match (names.next(), names.next()) {
            (Some(only), None) => Some(only),
            _ => self
                .backends
                .get_key_value("email")
                .map(|(name, _)| name.as_str()),
        }
    }

    /// Reads `text`, the content of the file at `path`.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let fail = |line, message| ConfigError {
            path: path.to_owned(),
            line,
            message,
        };
        let line_at = |offset: usize| {
            let before = text.get(..offset).unwrap_or_default();
            Some(1 + before.matches('\n').count())
        };
        // Where every key stands; a file that is no TOML at all is explained below.
        let places = DeTable::parse(text).ok();
        let file: File = toml::from_str(text).map_err(|error| {
            let start = error.span().map(|span| span.start);
            let key = start.and_then(|at| places.as_ref()?.get_ref().key_of_value(at));
            fail(start.and_then(line_at), named(key, explain(&error)))
        })?;
        // What is wrong with a value begins with its key.
        let line_of = |section: &[&str], why: &str| {
            let key = key_in(why);
            let at = places.as_ref()?.get_ref().place_of(section, key)?;
            line_at(at)
        };

        let base = path.parent().unwrap_or(Path::new(""));
        let mut config = Self {
            path: Some(path.to_owned()),
            store: Store {
                path: file.store.path.map(|path| base.join(path)),
            },
            delivery: file.delivery,
            backends: BTreeMap::new(),
            listen_smtp: None,
            causes: file.causes,
            retention: file.retention,
            status: file.status,
            types: file.types,
            console: file.console,
            keys: file.keys,
            queries: file.queries,
        };
        for (name, section) in file.backends {
            let line = line_at(section.span().start);
            let backend = backend::parse(&name, section.into_inner(), &config.delivery, base)
                .map_err(|why| {
                    let line = line_of(&["backends", &name], &why).or(line);
                    fail(line, format!("[backends.{name}]: {why}"))
                })?;
            config.backends.insert(name, backend);
        }
        if let Some(keys) = file.listen.smtp {
            let settings = listen::smtp(keys, base).map_err(|why| {
                let line = line_of(&["listen", "smtp"], &why);
                fail(line, format!("[listen.smtp]: {why}"))
            })?;
            config.listen_smtp = Some(settings);
        }
        config
            .check()
            .map_err(|why| fail(line_of(&["delivery"], &why), why))?;
        for (name, query) in &config.queries {
            Query::parse(query, &Context::local()).map_err(|error| {
                let why = format!("{name}: {error}");
                let line = line_of(&["queries"], &why);
                fail(line, format!("[queries]: {why}"))
            })?;
        }
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        if self.delivery.default_language.is_empty() {
            return Err("default_language is empty; name a language, such as \"en\"".to_owned());
        }
        if self.delivery.lease < Duration::from_secs(1) {
            return Err("lease: an engine needs at least \"1s\"".to_owned());
        }
        match &self.delivery.default_backend {
            Some(name) if !self.backends.contains_key(name) => Err(format!(
                "default_backend names `{name}`, and there is no section [backends.{name}]{}",
                did_you_mean(name, self.backends.keys().map(String::as_str))
            )),
            _ => Ok(()),
        }
    }
}

/// The file as TOML has it.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    store: Store,
    delivery: Delivery,
    backends: BTreeMap<String, Spanned<toml::Table>>,
    listen: listen::Listen,
    causes: Causes,
    retention: Retention,
    status: Status,
    types: BTreeMap<String, String>,
    console: Console,
    keys: BTreeMap<String, Keys>,
    queries: BTreeMap<String, String>,
}

fn unreadable(path: &Path, error: &io::Error) -> ConfigError {
    let message = if error.kind() == io::ErrorKind::NotFound {
        "there is no such config file; `postroom init` writes one".to_owned()
    } else {
        format!("cannot be read: {error}")
    };
    ConfigError {
        path: path.to_owned(),
        line: None,
        message,
    }
}

/// What a reader of the file can do something with, without the line it is about (a password put there by mistake must not be repeated), and with
/// the nearest known key instead of all of them.
fn explain(error: &toml::de::Error) -> String {
    let message = error.message();
    // serde's words: unknown field `hots`, expected one of `host`, `port`
    let quoted: Vec<_> = message.split('`').skip(1).step_by(2).collect();
    if message.starts_with("unknown field `") {
        let (unknown, known) = (quoted[0], &quoted[1..]);
        let near = did_you_mean(unknown, known.iter().copied());
        return format!("unknown key `{unknown}`{near}");
    }
    if message.starts_with("unknown variant `") {
        let (word, known) = (quoted[0], &quoted[1..]);
        let near = did_you_mean(word, known.iter().copied());
        let known: Vec<_> = known.iter().map(|word| format!("\"{word}\"")).collect();
        return format!("\"{word}\" is none of {}{near}", known.join(", "));
    }
    // serde's words: invalid type: integer `7`, expected a string
    let Some((found, wanted)) = message
        .strip_prefix("invalid ")
        .and_then(|rest| rest.split_once(": "))
        .and_then(|(_, rest)| rest.split_once(", expected "))
    else {
        return message.to_owned();
    };
    let wanted = match wanted {
        "a string" | "path string" => "a text in quotes",
        "a boolean" => "true or false",
        "u16" => "a whole number from 0 to 65535",
        "u32" | "usize" => "a whole number from 0 on",
        "a sequence" => "a list in brackets",
        // serde names our type.
        section if section == "a map" || section.starts_with("struct ") => "a section in brackets",
        other => other,
    };
    // Of a text only that it is one: it may be a secret.
    let found = match found.split_once(' ') {
        Some(("string", _)) => "a text",
        Some(("integer" | "floating", _)) => quoted.first().copied().unwrap_or(found),
        _ => found,
    };
    format!("{found} stands here, and {wanted} is wanted")
}
