//! `[backends.NAME]`: the ways out.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use lettre::message::Mailbox;
use serde::{Deserialize, de::DeserializeOwned};

use super::{Delivery, Permanent, explain, places::named};
use crate::{
    backend::{
        Credentials, DkimSettings, FileSettings, Proof, SecretSource, SendmailSettings,
        SmtpSettings, Timeouts, Tls, TokenCommand,
    },
    delivery::{OnUnknown, Rate},
    duration,
    suggest::did_you_mean,
};

/// `[backends.NAME]`: the way out itself, and what delivery has to know of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Backend {
    /// Whether a 5xx refusal is final. Default: what `[delivery]` says.
    pub permanent: Permanent,
    /// What to do when an answer never came. Default: `resend` for smtp, `hold` for every other kind.
    pub on_unknown: OnUnknown,
    /// How often a backend that is down is tried. Default: `30s`.
    pub probe: Duration,
    /// How many receivers may go out in how much time. Default: no limit.
    pub rate: Option<Rate>,
    /// How its messages are signed, if at all.
    pub dkim: Option<DkimSettings>,
    /// The way out.
    pub kind: Kind,
}

impl Backend {
    /// The header From of messages that have none of their own.
    pub fn from(&self) -> Option<&str> {
        match &self.kind {
            Kind::Smtp(settings) => settings.from.as_deref(),
            Kind::Sendmail(settings) => settings.from.as_deref(),
            Kind::File(settings) => settings.from.as_deref(),
        }
    }
}

/// `kind = "…"`, with the keys that this kind has. Default: `smtp`.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A mail server.
    Smtp(Box<SmtpSettings>),
    /// A program that is given the messages. Default: `/usr/sbin/sendmail`.
    Sendmail(SendmailSettings),
    /// A folder for `.eml` files. Default: `outbox` beside the config file.
    File(FileSettings),
}

impl Kind {
    /// The word in the config file.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Smtp(_) => "smtp",
            Self::Sendmail(_) => "sendmail",
            Self::File(_) => "file",
        }
    }

    /// Whether its identities are email addresses.
    pub const fn is_mail(&self) -> bool {
        match self {
            Self::Smtp(_) | Self::Sendmail(_) | Self::File(_) => true,
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
    token_command: Option<Vec<String>>,
    #[serde(deserialize_with = "duration::read_some")]
    token_lifetime: Option<Duration>,
    from: Option<String>,
    connections: Option<usize>,
    max_recipients: Option<usize>,
    rate: Option<Rate>,
    #[serde(deserialize_with = "duration::read_some")]
    probe: Option<Duration>,
    on_unknown: Option<OnUnknown>,
    permanent: Option<Permanent>,
    dkim: Option<DkimKeys>,
    insecure: bool,
    ca_file: Option<PathBuf>,
    helo: Option<String>,
    max_messages: Option<u32>,
    #[serde(deserialize_with = "duration::read_some")]
    max_age: Option<Duration>,
    timeouts: Timeouts,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SendmailKeys {
    program: Option<PathBuf>,
    args: Option<Vec<String>>,
    #[serde(deserialize_with = "duration::read_some")]
    timeout: Option<Duration>,
    from: Option<String>,
    connections: Option<usize>,
    rate: Option<Rate>,
    #[serde(deserialize_with = "duration::read_some")]
    probe: Option<Duration>,
    on_unknown: Option<OnUnknown>,
    permanent: Option<Permanent>,
    dkim: Option<DkimKeys>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct FileKeys {
    path: Option<PathBuf>,
    from: Option<String>,
    connections: Option<usize>,
    #[serde(deserialize_with = "duration::read_some")]
    probe: Option<Duration>,
    on_unknown: Option<OnUnknown>,
    permanent: Option<Permanent>,
    dkim: Option<DkimKeys>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct DkimKeys {
    domain: String,
    selector: String,
    key_file: Option<PathBuf>,
    key_env: Option<String>,
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
            "password: a secret never stands in the config; name a file with password_file or a variable with password_env".to_owned(),
        );
    }
    if section.contains_key("token") {
        return Err(
            "token: a secret never stands in the config; name a program that prints the token with token_command".to_owned(),
        );
    }
    let kind = match section.remove("kind") {
        None => "smtp".to_owned(),
        Some(toml::Value::String(kind)) => kind,
        Some(_) => return Err("kind: it is a word, such as \"smtp\"".to_owned()),
    };
    let backend = match kind.as_str() {
        "smtp" => {
            let mut keys: SmtpKeys = keys(section)?;
            Backend {
                permanent: keys.permanent.unwrap_or(delivery.permanent),
                on_unknown: keys.on_unknown.unwrap_or(OnUnknown::Resend),
                probe: keys.probe.unwrap_or(PROBE),
                rate: keys.rate,
                dkim: keys.dkim.take().map(|keys| dkim(keys, base)).transpose()?,
                kind: Kind::Smtp(Box::new(smtp(name, keys, base)?)),
            }
        }
        "sendmail" => {
            let mut keys: SendmailKeys = keys(section)?;
            Backend {
                permanent: keys.permanent.unwrap_or(delivery.permanent),
                on_unknown: keys.on_unknown.unwrap_or(OnUnknown::Hold),
                probe: keys.probe.unwrap_or(PROBE),
                rate: keys.rate,
                dkim: keys.dkim.take().map(|keys| dkim(keys, base)).transpose()?,
                kind: Kind::Sendmail(sendmail(name, keys, base)?),
            }
        }
        "file" => {
            let mut keys: FileKeys = keys(section)?;
            Backend {
                permanent: keys.permanent.unwrap_or(delivery.permanent),
                on_unknown: keys.on_unknown.unwrap_or(OnUnknown::Hold),
                probe: keys.probe.unwrap_or(PROBE),
                rate: None,
                dkim: keys.dkim.take().map(|keys| dkim(keys, base)).transpose()?,
                kind: Kind::File(file(name, keys, base)?),
            }
        }
        "kannel" | "http" | "exec" => {
            return Err(format!(
                "kind: \"{kind}\" is not available yet; this version has \"smtp\", \"sendmail\" and \"file\""
            ));
        }
        _ => {
            return Err(format!(
                "kind: there is no \"{kind}\"; this version has \"smtp\", \"sendmail\" and \"file\"{}",
                did_you_mean(&kind, ["smtp", "sendmail", "file"])
            ));
        }
    };
    match backend.from() {
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

fn smtp(name: &str, mut keys: SmtpKeys, base: &Path) -> Result<SmtpSettings, String> {
    let credentials = credentials(&mut keys, base)?;
    let usual = SmtpSettings::new(name, keys.host, keys.port.unwrap_or(keys.tls.port()));
    let settings = SmtpSettings {
        tls: keys.tls,
        insecure: keys.insecure,
        ca_file: keys.ca_file.map(|path| base.join(path)),
        helo: keys.helo,
        credentials,
        from: keys.from,
        connections: keys.connections.unwrap_or(usual.connections),
        max_recipients: keys.max_recipients.unwrap_or(usual.max_recipients),
        max_messages: keys.max_messages.unwrap_or(usual.max_messages),
        max_age: keys.max_age.unwrap_or(usual.max_age),
        timeouts: keys.timeouts,
        ..usual
    };
    settings.check().map_err(|wrong| wrong.to_string())?;
    Ok(settings)
}

fn credentials(keys: &mut SmtpKeys, base: &Path) -> Result<Option<Credentials>, String> {
    let mut proofs = Vec::new();
    if let Some(path) = keys.password_file.take() {
        proofs.push(Proof::Password(SecretSource::File(base.join(path))));
    }
    if let Some(name) = keys.password_env.take() {
        proofs.push(Proof::Password(SecretSource::Env(name)));
    }
    let lifetime = keys.token_lifetime.take();
    if let Some(command) = keys.token_command.take() {
        proofs.push(Proof::Token(token_command(command, lifetime, base)?));
    } else if lifetime.is_some() {
        return Err("token_lifetime: there is no token_command that it could be for".to_owned());
    }
    match (keys.username.take(), proofs.pop(), proofs.is_empty()) {
        (_, _, false) => {
            Err("password_file, password_env and token_command: only one of them".to_owned())
        }
        (Some(username), Some(proof), true) => Ok(Some(Credentials { username, proof })),
        (None, None, true) => Ok(None),
        (Some(_), None, true) => Err(
            "username needs a password or a token: add password_file, password_env or token_command"
                .to_owned(),
        ),
        (None, Some(Proof::Password(_)), true) => Err("a password needs a username".to_owned()),
        (None, Some(Proof::Token(_)), true) => {
            Err("token_command needs a username: the mailbox that the token is for".to_owned())
        }
    }
}

fn token_command(
    command: Vec<String>,
    lifetime: Option<Duration>,
    base: &Path,
) -> Result<TokenCommand, String> {
    const LIFETIME: Duration = Duration::from_secs(10 * 60);
    let mut words = command.into_iter();
    match words.next().filter(|program| !program.is_empty()) {
        Some(program) => Ok(TokenCommand {
            program: program_at(program.into(), base),
            args: words.collect(),
            lifetime: lifetime.unwrap_or(LIFETIME),
        }),
        None => Err(
            "token_command is a program and its arguments, as in [\"/usr/local/bin/token\", \"smtp\"]"
                .to_owned(),
        ),
    }
}

fn dkim(keys: DkimKeys, base: &Path) -> Result<DkimSettings, String> {
    let key = match (keys.key_file, keys.key_env) {
        (Some(path), None) => SecretSource::File(base.join(path)),
        (None, Some(name)) => SecretSource::Env(name),
        (Some(_), Some(_)) => {
            return Err("dkim.key_file and dkim.key_env: only one of them".to_owned());
        }
        (None, None) => {
            return Err(
                "dkim needs a private key: name its file with key_file, or a variable with key_env"
                    .to_owned(),
            );
        }
    };
    let settings = DkimSettings {
        domain: keys.domain,
        selector: keys.selector,
        key,
    };
    settings.check()?;
    Ok(settings)
}

fn sendmail(name: &str, keys: SendmailKeys, base: &Path) -> Result<SendmailSettings, String> {
    let usual = SendmailSettings::new(name);
    let settings = SendmailSettings {
        program: keys
            .program
            .map_or(usual.program, |program| program_at(program, base)),
        args: keys.args.unwrap_or(usual.args),
        timeout: keys.timeout.unwrap_or(usual.timeout),
        from: keys.from,
        connections: keys.connections.unwrap_or(usual.connections),
        ..usual
    };
    settings.check()?;
    Ok(settings)
}

/// A program's path is relative to the config file as every path is; a bare name is looked for in PATH.
fn program_at(program: PathBuf, base: &Path) -> PathBuf {
    if program.components().count() > 1 {
        base.join(program)
    } else {
        program
    }
}

fn file(name: &str, keys: FileKeys, base: &Path) -> Result<FileSettings, String> {
    let connections = keys.connections.unwrap_or(1);
    if connections == 0 {
        return Err("connections must be at least 1".to_owned());
    }
    Ok(FileSettings {
        name: name.to_owned(),
        path: base.join(keys.path.unwrap_or_else(|| "outbox".into())),
        from: keys.from,
        connections,
    })
}

fn keys<T: DeserializeOwned>(section: toml::Table) -> Result<T, String> {
    T::deserialize(section.clone()).map_err(|error| {
        // Every key may be missing, so each can be read alone: the error itself does not tell which it was.
        let culprit = section.into_iter().find_map(|(key, value)| {
            let alone = toml::Table::from_iter([(key.clone(), value)]);
            T::deserialize(alone).is_err().then_some(key)
        });
        named(culprit.as_deref(), explain(&error))
    })
}
