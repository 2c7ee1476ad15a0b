//! `[backends.NAME]`: the ways out.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use lettre::message::Mailbox;
use serde::{Deserialize, de::DeserializeOwned};

use super::{Delivery, OnUnknown, Permanent, Rate, Tls, explain, values};
use crate::{backend::SecretSource, suggest::did_you_mean};

/// `[backends.NAME]`: what every kind has, and what its kind has.
#[derive(Clone, Debug, PartialEq)]
pub struct Backend {
    /// The header From of messages that have none of their own.
    pub from: Option<String>,
    /// Whether a 5xx refusal is final. Default: what `[delivery]` says.
    pub permanent: Permanent,
    /// What to do when an answer never came. Default: `resend` for smtp, `hold` for every other kind.
    pub on_unknown: OnUnknown,
    /// How often a backend that is down is tried. Default: `30s`.
    pub probe: Duration,
    /// How many sessions may be open at once. Default: 8 for smtp, 1 for file.
    pub connections: usize,
    /// What its kind has of its own.
    pub kind: Kind,
}

/// `kind = "…"`, with the keys that only this kind has. Default: `smtp`.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A mail server.
    Smtp(Box<Smtp>),
    /// One `.eml` per receiver in this folder, named by its uid. Default: `outbox` beside the config file.
    File(PathBuf),
}

impl Kind {
    /// The word in the config file.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Smtp(_) => "smtp",
            Self::File(_) => "file",
        }
    }

    /// Whether its identities are email addresses.
    pub const fn is_mail(&self) -> bool {
        match self {
            Self::Smtp(_) | Self::File(_) => true,
        }
    }
}

/// The keys of a backend of kind `smtp`.
#[derive(Clone, Debug, PartialEq)]
pub struct Smtp {
    /// The server's name or address.
    pub host: String,
    /// Default: 587 with STARTTLS, 465 with implicit TLS, 25 without.
    pub port: u16,
    /// Default: `starttls`.
    pub tls: Tls,
    /// Allows `tls = "none"` to a server that is not on loopback. Default: false.
    pub insecure: bool,
    /// A PEM file of further certificate authorities to trust.
    pub ca_file: Option<PathBuf>,
    /// The name in EHLO. Default: the machine's name, else its address literal.
    pub helo: Option<String>,
    /// Whom to log in as, and where the password is kept.
    pub login: Option<(String, SecretSource)>,
    /// How many recipients of a raw message go in one transaction. Default: 100.
    pub max_recipients: usize,
    /// How many receivers may go out in how much time. Default: no limit.
    pub rate: Option<Rate>,
    /// How many messages a connection carries before it is closed. Default: 1000.
    pub max_messages: u32,
    /// How old a connection may become. Default: `5m`.
    pub max_age: Duration,
    /// How long to wait in each phase.
    pub timeouts: Timeouts,
}

/// `timeouts = { … }` of a backend of kind `smtp`; the defaults are those of RFC 5321 4.5.3.2.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    /// For the link itself. Default: `30s`.
    #[serde(deserialize_with = "values::duration")]
    pub connect: Duration,
    /// For the server's first word. Default: `5m`.
    #[serde(deserialize_with = "values::duration")]
    pub greeting: Duration,
    /// For the answer to MAIL, and to EHLO, STARTTLS and AUTH. Default: `5m`.
    #[serde(deserialize_with = "values::duration")]
    pub mail: Duration,
    /// For the answer to each RCPT. Default: `5m`.
    #[serde(deserialize_with = "values::duration")]
    pub rcpt: Duration,
    /// For the 354. Default: `2m`.
    #[serde(deserialize_with = "values::duration")]
    pub data: Duration,
    /// For the server to take each block of the body. Default: `3m`.
    #[serde(deserialize_with = "values::duration")]
    pub block: Duration,
    /// For the answer to the final dot. Default: `10m`.
    #[serde(deserialize_with = "values::duration")]
    pub dot: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let minutes = |m: u64| Duration::from_secs(m * 60);
        Self {
            connect: Duration::from_secs(30),
            greeting: minutes(5),
            mail: minutes(5),
            rcpt: minutes(5),
            data: minutes(2),
            block: minutes(3),
            dot: minutes(10),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SmtpKeys {
    host: String,
    port: Option<u16>,
    tls: Tls,
    username: Option<String>,
    password_file: Option<PathBuf>,
    password_env: Option<String>,
    from: Option<String>,
    connections: Option<usize>,
    max_recipients: Option<usize>,
    rate: Option<Rate>,
    #[serde(deserialize_with = "values::some_duration")]
    probe: Option<Duration>,
    on_unknown: Option<OnUnknown>,
    permanent: Option<Permanent>,
    insecure: bool,
    ca_file: Option<PathBuf>,
    helo: Option<String>,
    max_messages: Option<u32>,
    #[serde(deserialize_with = "values::some_duration")]
    max_age: Option<Duration>,
    timeouts: Timeouts,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct FileKeys {
    path: Option<PathBuf>,
    from: Option<String>,
    connections: Option<usize>,
    #[serde(deserialize_with = "values::some_duration")]
    probe: Option<Duration>,
    on_unknown: Option<OnUnknown>,
    permanent: Option<Permanent>,
}

const PROBE: Duration = Duration::from_secs(30);

/// Reads one section.
pub(super) fn parse(
    name: &str,
    mut section: toml::Table,
    delivery: &Delivery,
    base: &Path,
) -> Result<Backend, String> {
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err("a backend's name is a word that can be shown".to_owned());
    }
    if section.contains_key("password") {
        return Err(
            "a secret never stands in the config; name a file with password_file or a variable with password_env".to_owned(),
        );
    }
    let kind = match section.remove("kind") {
        None => "smtp".to_owned(),
        Some(toml::Value::String(kind)) => kind,
        Some(_) => return Err("kind is a word, such as \"smtp\"".to_owned()),
    };
    let backend = match kind.as_str() {
        "smtp" => {
            let keys: SmtpKeys = keys(section)?;
            Backend {
                from: keys.from.clone(),
                permanent: keys.permanent.unwrap_or(delivery.permanent),
                on_unknown: keys.on_unknown.unwrap_or(OnUnknown::Resend),
                probe: keys.probe.unwrap_or(PROBE),
                connections: at_least_one("connections", keys.connections, 8)?,
                kind: Kind::Smtp(Box::new(smtp(keys, base)?)),
            }
        }
        "file" => {
            let keys: FileKeys = keys(section)?;
            Backend {
                from: keys.from,
                permanent: keys.permanent.unwrap_or(delivery.permanent),
                on_unknown: keys.on_unknown.unwrap_or(OnUnknown::Hold),
                probe: keys.probe.unwrap_or(PROBE),
                connections: at_least_one("connections", keys.connections, 1)?,
                kind: Kind::File(base.join(keys.path.unwrap_or_else(|| "outbox".into()))),
            }
        }
        "sendmail" | "kannel" | "http" | "exec" => {
            return Err(format!(
                "kind \"{kind}\" is not available yet; this version has \"smtp\" and \"file\""
            ));
        }
        _ => {
            return Err(format!(
                "unknown kind \"{kind}\"; this version has \"smtp\" and \"file\"{}",
                did_you_mean(&kind, ["smtp", "file"])
            ));
        }
    };
    match &backend.from {
        Some(from) if from.parse::<Mailbox>().is_err() || from.contains(['\r', '\n', '\0']) => {
            Err(format!(
                "from: `{from}` is no address; write \"no-reply@example.com\" or \"Name <no-reply@example.com>\""
            ))
        }
        _ if backend.probe < Duration::from_millis(1) => {
            Err("probe: there must be some time between two probes, such as \"30s\"".to_owned())
        }
        _ => Ok(backend),
    }
}

fn smtp(keys: SmtpKeys, base: &Path) -> Result<Smtp, String> {
    if keys.host.is_empty() {
        return Err("host is missing: the name of the mail server".to_owned());
    }
    if keys
        .host
        .contains(|c: char| c.is_whitespace() || c.is_control())
    {
        return Err(format!("host: `{}` is no name of a server", keys.host));
    }
    if keys.tls == Tls::None && !keys.insecure && !is_loopback(&keys.host) {
        return Err(format!(
            "tls = \"none\" would send mail and password in clear to {}; use \"starttls\" or \"implicit\", or say insecure = true",
            keys.host
        ));
    }
    if keys.helo.as_ref().is_some_and(|helo| {
        helo.is_empty() || helo.contains(|c: char| c.is_whitespace() || c.is_control())
    }) {
        return Err(
            "helo is one word: a host name, or an address literal such as [192.0.2.1]".to_owned(),
        );
    }
    let secret = match (keys.password_file, keys.password_env) {
        (Some(_), Some(_)) => {
            return Err("password_file and password_env: only one of them".to_owned());
        }
        (Some(path), None) => Some(SecretSource::File(base.join(path))),
        (None, Some(name)) => Some(SecretSource::Env(name)),
        (None, None) => None,
    };
    let login = match (keys.username, secret) {
        (Some(username), Some(secret)) => Some((username, secret)),
        (None, None) => None,
        (Some(_), None) => {
            return Err("username needs a password: add password_file or password_env".to_owned());
        }
        (None, Some(_)) => return Err("a password needs a username".to_owned()),
    };
    Ok(Smtp {
        port: keys.port.unwrap_or(keys.tls.port()),
        host: keys.host,
        tls: keys.tls,
        insecure: keys.insecure,
        ca_file: keys.ca_file.map(|path| base.join(path)),
        helo: keys.helo,
        login,
        max_recipients: at_least_one("max_recipients", keys.max_recipients, 100)?,
        rate: keys.rate,
        max_messages: at_least_one("max_messages", keys.max_messages, 1000)?,
        max_age: keys.max_age.unwrap_or(Duration::from_secs(300)),
        timeouts: keys.timeouts,
    })
}

fn keys<T: DeserializeOwned>(section: toml::Table) -> Result<T, String> {
    T::deserialize(section).map_err(|error| explain(&error))
}

fn at_least_one<T: PartialOrd + From<u8>>(
    key: &str,
    value: Option<T>,
    default: T,
) -> Result<T, String> {
    let value = value.unwrap_or(default);
    if value < T::from(1) {
        return Err(format!("{key} must be at least 1"));
    }
    Ok(value)
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback())
}
