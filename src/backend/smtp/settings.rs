use std::{net::IpAddr, path::PathBuf, time::Duration};

use lettre::transport::smtp::extension::ClientId;
use serde::Deserialize;

use crate::{backend::secret::SecretSource, duration, message::Message};

/// How a connection is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tls {
    /// In clear first, encrypted before anything that matters (RFC 3207). Without the server's offer nothing is sent.
    #[default]
    Starttls,
    /// Encrypted from the first byte (RFC 8314).
    Implicit,
    /// Not at all: for a server on this machine.
    None,
}

impl Tls {
    /// The port that goes with it when none is named.
    pub const fn port(self) -> u16 {
        match self {
            Self::Starttls => 587,
            Self::Implicit => 465,
            Self::None => 25,
        }
    }
}

/// Whom the server knows us as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The name.
    pub username: String,
    /// What shows that it is us.
    pub proof: Proof,
}

/// What shows that it is us, and thereby the mechanism of AUTH (RFC 4954).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// A password: PLAIN, or LOGIN where that is not offered.
    Password(SecretSource),
    /// A token that a program gets for us: XOAUTH2.
    Token(TokenCommand),
}

/// A program that prints an OAuth 2.0 access token. No shell reads its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenCommand {
    /// A path, or a name that is looked for in PATH.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// How long a token is used before the next is asked for; one that the server refuses sooner is not used again.
    pub lifetime: Duration,
}

/// How long each phase may take, whatever trickles in meanwhile; the defaults are those of RFC 5321 4.5.3.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    /// Until the TCP connection stands, the lookup of the name included.
    #[serde(deserialize_with = "duration::read")]
    pub connect: Duration,
    /// Until the greeting; also for each step until MAIL: EHLO, the TLS handshake, AUTH.
    #[serde(deserialize_with = "duration::read")]
    pub greeting: Duration,
    /// For the reply to MAIL, and to RSET.
    #[serde(deserialize_with = "duration::read")]
    pub mail: Duration,
    /// For the reply to each RCPT.
    #[serde(deserialize_with = "duration::read")]
    pub rcpt: Duration,
    /// For the reply to DATA.
    #[serde(deserialize_with = "duration::read")]
    pub data: Duration,
    /// For the network to take each 64 KiB of a message.
    #[serde(deserialize_with = "duration::read")]
    pub block: Duration,
    /// For the reply to the final dot. Impatience here makes duplicates.
    #[serde(deserialize_with = "duration::read")]
    pub dot: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            greeting: Duration::from_secs(5 * 60),
            mail: Duration::from_secs(5 * 60),
            rcpt: Duration::from_secs(5 * 60),
            data: Duration::from_secs(2 * 60),
            block: Duration::from_secs(3 * 60),
            dot: Duration::from_secs(10 * 60),
        }
    }
}

/// Everything there is to say about an SMTP backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmtpSettings {
    /// The backend's name, for tracebacks.
    pub name: String,
    /// The server: a name or an IP address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub tls: Tls,
    /// Whether a connection in clear may leave this machine.
    pub insecure: bool,
    /// Certificates (PEM) trusted instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// What we call ourselves; `None`: the machine's name, else its address literal.
    pub helo: Option<String>,
    /// How we authenticate, if at all.
    pub credentials: Option<Credentials>,
    /// The header From of messages that have none.
    pub from: Option<String>,
    /// How many connections may be open at once.
    pub connections: usize,
    /// How many recipients a transaction may have.
    pub max_recipients: usize,
    /// How many transactions a connection serves.
    pub max_messages: u32,
    /// How long a connection is used.
    pub max_age: Duration,
    /// How long we wait for what.
    pub timeouts: Timeouts,
}

impl SmtpSettings {
    /// The defaults for a server; each is what a config file that leaves the key out means.
    pub fn new(name: impl Into<String>, host: impl Into<String>, port: u16) -> Self {
        Self {
            name: name.into(),
            host: host.into(),
            port,
            tls: Tls::default(),
            insecure: false,
            ca_file: None,
            helo: None,
            credentials: None,
            from: None,
            connections: 8,
            max_recipients: 100,
            max_messages: 1000,
            max_age: Duration::from_secs(5 * 60),
            timeouts: Timeouts::default(),
        }
    }

    /// The server as `host:port`.
    pub fn server(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// How many receivers of this message may share a transaction: an ordinary one says `To:` its one receiver, a raw one what its writer said.
    pub(super) fn recipients(&self, message: &Message) -> usize {
        if message.raw { self.max_recipients } else { 1 }
    }

    /// What we say after EHLO (RFC 5321 4.1.4).
    pub(super) fn helo(&self) -> String {
        self.helo
            .clone()
            .unwrap_or_else(|| ClientId::default().to_string())
    }

    /// Says what is wrong, if anything is.
    pub fn check(&self) -> Result<(), SettingsError> {
        if self.host.is_empty() {
            return Err(SettingsError::NoHost);
        }
        if self
            .host
            .contains(|c: char| c.is_whitespace() || c.is_control())
        {
            return Err(SettingsError::Host(self.host.clone()));
        }
        if self.tls == Tls::None && !self.insecure && !is_loopback(&self.host) {
            return Err(SettingsError::InClear(self.host.clone()));
        }
        for (key, number) in [
            ("connections", self.connections),
            ("max_recipients", self.max_recipients),
            ("max_messages", self.max_messages as usize),
        ] {
            if number == 0 {
                return Err(SettingsError::Zero(key));
            }
        }
        let t = &self.timeouts;
        for (key, time) in [
            ("max_age", self.max_age),
            ("timeouts.connect", t.connect),
            ("timeouts.greeting", t.greeting),
            ("timeouts.mail", t.mail),
            ("timeouts.rcpt", t.rcpt),
            ("timeouts.data", t.data),
            ("timeouts.block", t.block),
            ("timeouts.dot", t.dot),
        ] {
            if time.is_zero() {
                return Err(SettingsError::NoTime(key));
            }
        }
        if let Some(helo) = &self.helo
            && (helo.is_empty() || !helo.bytes().all(|byte| byte.is_ascii_graphic()))
        {
            return Err(SettingsError::Helo(helo.clone()));
        }
        if let Some(credentials) = &self.credentials
            && (credentials.username.is_empty() || credentials.username.contains('\0'))
        {
            return Err(SettingsError::Username);
        }
        Ok(())
    }
}

/// Whether what is said to this host stays on this machine.
fn is_loopback(host: &str) -> bool {
    let name = host.to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// Settings that make no backend: the key, what is wrong with it, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// No server.
    #[error("host is missing: the name of the mail server")]
    NoHost,
    /// Not the name of one.
    #[error("host: {0:?} is no name of a server")]
    Host(String),
    /// Mail and passwords would cross the network in clear.
    #[error(
        "tls = \"none\" would send mail and password in clear to {0}; use \"starttls\" or \"implicit\", or say insecure = true"
    )]
    InClear(String),
    /// A number that must be at least one.
    #[error("{0} must be at least 1")]
    Zero(&'static str),
    /// A time in which nothing can be done.
    #[error("{0} must be longer than nothing, such as \"5m\"")]
    NoTime(&'static str),
    /// Not a name one can say after EHLO.
    #[error("helo is one word, a host name or an address literal such as [192.0.2.1], not {0:?}")]
    Helo(String),
    /// No name to authenticate as.
    #[error("username is empty, or has a NUL in it")]
    Username,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_in_clear_never_leaves_the_machine_unless_told() {
        let settings = |host: &str, insecure| SmtpSettings {
            tls: Tls::None,
            insecure,
            ..SmtpSettings::new("email", host, 25)
        };
        for host in ["127.0.0.1", "::1", "localhost", "mail.localhost"] {
            assert_eq!(settings(host, false).check(), Ok(()), "{host}");
        }
        for host in [
            "smtp.example.com",
            "192.0.2.1",
            "localhost.example.com",
            "127.0.0.1.example",
        ] {
            assert!(
                matches!(
                    settings(host, false).check(),
                    Err(SettingsError::InClear(_))
                ),
                "{host}"
            );
            assert_eq!(settings(host, true).check(), Ok(()), "{host}");
        }
    }

    #[test]
    fn a_helo_that_would_be_two_commands_is_refused() {
        for helo in ["", "a b", "a\r\nMAIL FROM:<x@y>", "straße"] {
            let settings = SmtpSettings {
                helo: Some(helo.to_owned()),
                ..SmtpSettings::new("email", "smtp.example.com", 587)
            };
            assert!(
                matches!(settings.check(), Err(SettingsError::Helo(_))),
                "{helo:?}"
            );
        }
    }
}
