//! `[listen.smtp]`: where applications hand mails over.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, IgnoredAny},
};

use crate::{backend::SecretSource, duration, inbound::ListenSettings, size};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Listen {
    pub(super) smtp: Option<SmtpKeys>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct SmtpKeys {
    #[serde(deserialize_with = "address")]
    address: Option<SocketAddr>,
    #[serde(deserialize_with = "size_of")]
    max_size: Option<u64>,
    max_recipients: Option<usize>,
    connections: Option<usize>,
    #[serde(deserialize_with = "duration::read_some")]
    timeout: Option<Duration>,
    #[serde(deserialize_with = "duration::read_some")]
    message_timeout: Option<Duration>,
    cert_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
    users: BTreeMap<String, UserKeys>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct UserKeys {
    password_file: Option<PathBuf>,
    password_env: Option<String>,
    /// To say what is wrong with it.
    password: Option<IgnoredAny>,
}

fn address<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map(Some).map_err(|_| {
        D::Error::custom(format!(
            "`{text}` is no address to listen at; write an IP address and a port: \"127.0.0.1:2525\", \"[::1]:2525\""
        ))
    })
}

fn size_of<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    size::read(from).map(Some)
}

/// Reads the section; what is wrong begins with its key.
pub(super) fn smtp(keys: SmtpKeys, base: &Path) -> Result<ListenSettings, String> {
    let address = keys.address.ok_or(
        "address is missing: where to listen, such as \"127.0.0.1:2525\"; or take the section away",
    )?;
    let tls = match (keys.cert_file, keys.key_file) {
        (Some(certificate), Some(key)) => Some((base.join(certificate), base.join(key))),
        (None, None) => None,
        (Some(_), None) => return Err("cert_file needs its private key: add key_file".to_owned()),
        (None, Some(_)) => return Err("key_file needs its certificate: add cert_file".to_owned()),
    };
    let users = keys
        .users
        .into_iter()
        .map(|(name, keys)| {
            if keys.password.is_some() {
                return Err(
                    "users: a secret never stands in the config; name a file with password_file or a variable with password_env".to_owned(),
                );
            }
            let source = match (keys.password_file, keys.password_env) {
                (Some(path), None) => SecretSource::File(base.join(path)),
                (None, Some(variable)) => SecretSource::Env(variable),
                _ => {
                    return Err(format!(
                        "users: {name} needs a password: name its file with password_file, or a variable with password_env"
                    ));
                }
            };
            Ok((name, source))
        })
        .collect::<Result<_, _>>()?;
    let usual = ListenSettings::new(address);
    let settings = ListenSettings {
        address,
        max_size: keys.max_size.map_or(usual.max_size, |bytes| {
            usize::try_from(bytes).unwrap_or(usize::MAX)
        }),
        max_recipients: keys.max_recipients.unwrap_or(usual.max_recipients),
        connections: keys.connections.unwrap_or(usual.connections),
        timeout: keys.timeout.unwrap_or(usual.timeout),
        message_timeout: keys.message_timeout.unwrap_or(usual.message_timeout),
        tls,
        users,
    };
    settings.check()?;
    Ok(settings)
}
