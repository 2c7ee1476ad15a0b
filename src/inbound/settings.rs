use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use lettre::transport::smtp::extension::ClientId;
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject as _},
    },
};

use super::certificate::{self, Standing};
use crate::{
    backend::{SecretError, SecretSource},
    message::{SubmitDefaults, Timestamp},
};

/// Everything there is to say about the SMTP listener: `[listen.smtp]` of the config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenSettings {
    /// Where it listens.
    pub address: SocketAddr,
    /// A larger message is refused, in bytes.
    pub max_size: usize,
    /// One more recipient of a message is refused.
    pub max_recipients: usize,
    /// How many clients there may be at once; one that is idle makes room for another.
    pub connections: usize,
    /// How long a client may take for a command.
    pub timeout: Duration,
    /// How long it may take for a message.
    pub message_timeout: Duration,
    /// Certificate chain and private key for STARTTLS, PEM files.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Who may hand messages over, with their passwords; nobody: whoever reaches the address.
    pub users: BTreeMap<String, SecretSource>,
}

impl ListenSettings {
    /// The defaults; each is what a config file that leaves the key out means.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            max_size: 32 << 20,
            max_recipients: 1000,
            connections: 100,
            timeout: Duration::from_secs(5 * 60),
            message_timeout: Duration::from_secs(10 * 60),
            tls: None,
            users: BTreeMap::new(),
        }
    }

    /// Says what is wrong, if anything is; the key comes first.
    pub fn check(&self) -> Result<(), String> {
        let own = self.address.ip().is_loopback();
        if !own && self.users.is_empty() {
            return Err(format!(
                "address: other machines can reach {}, and everybody there could send mail by it: add users ([listen.smtp.users.NAME]), or say 127.0.0.1",
                self.address
            ));
        }
        if !own && self.tls.is_none() {
            return Err(format!(
                "address: other machines can reach {}, and passwords would come from there in clear: add cert_file and key_file, or say 127.0.0.1",
                self.address
            ));
        }
        for (key, none) in [
            ("max_size", self.max_size == 0),
            ("max_recipients", self.max_recipients == 0),
            ("connections", self.connections == 0),
            ("timeout", self.timeout < Duration::from_secs(1)),
            (
                "message_timeout",
                self.message_timeout < Duration::from_secs(1),
            ),
        ] {
            if none {
                return Err(format!(
                    "{key}: nothing could be handed over with so little"
                ));
            }
        }
        Ok(())
    }
}

/// What a conversation goes by.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the config says.
    pub(super) listen: ListenSettings,
    /// What we are called.
    pub(super) name: String,
    /// What STARTTLS needs.
    pub(super) tls: Option<Arc<ServerConfig>>,
    /// What a message goes by.
    pub(super) defaults: SubmitDefaults,
    /// The From of a message that has none, from the null sender.
    pub(super) from: Option<String>,
}

/// The listener cannot do what its section says.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The certificate cannot be read.
    #[error("cert_file: {} holds no certificate that can be read (PEM, the server's own first)", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// The key cannot be had.
    #[error("key_file: the key cannot be had")]
    Key(#[source] SecretError),
    /// The key is none.
    #[error("key_file: {} holds no private key that can be read (PEM, not encrypted)", .0.display())]
    NoKey(PathBuf),
    /// The two do not belong together.
    #[error("cert_file and key_file cannot be used together")]
    Pair(#[source] rustls::Error),
    /// A user's password cannot be had.
    #[error("the password of the user {user} cannot be had")]
    Password {
        /// Whose.
        user: String,
        /// Why.
        source: SecretError,
    },
    /// Nobody says where mails go.
    #[error("mails that are handed over need a backend: name one in default_backend of [delivery]")]
    NoBackend,
}

impl Settings {
    /// What the config asks for. Certificate, key and passwords are looked at now, so that a mistake is told before the first client; `from` is the
    /// default backend's.
    pub fn new(
        listen: ListenSettings,
        defaults: SubmitDefaults,
        from: Option<String>,
    ) -> Result<Self, SettingsError> {
        for (user, source) in &listen.users {
            source.check().map_err(|source| SettingsError::Password {
                user: user.clone(),
                source,
            })?;
        }
        if defaults.backend.is_none() {
            return Err(SettingsError::NoBackend);
        }
        let tls = listen.tls.as_ref();
        let tls = tls
            .map(|(certificate, key)| load(certificate, key))
            .transpose()?;
        Ok(Self {
            listen,
            name: ClientId::default().to_string(),
            tls,
            defaults,
            from,
        })
    }

    /// Where to listen.
    pub fn address(&self) -> SocketAddr {
        self.listen.address
    }

    /// How it is with the certificate, if there is one: a listener begins with any, its clients do not.
    pub fn certificate(&self, now: Timestamp) -> Result<Option<(&Path, Standing)>, SettingsError> {
        let Some((file, _)) = &self.listen.tls else {
            return Ok(None);
        };
        let standing = certificate::standing(&chain(file)?, now);
        Ok(Some((file, standing)))
    }
}

fn chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, SettingsError> {
    CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|source| SettingsError::Certificate {
            path: file.to_owned(),
            source,
        })
}

fn load(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, SettingsError> {
    let chain = chain(certificate)?;
    let secret = SecretSource::File(key.to_owned())
        .read()
        .map_err(SettingsError::Key)?;
    let private = PrivateKeyDer::from_pem_slice(secret.expose().as_bytes())
        .map_err(|_| SettingsError::NoKey(key.to_owned()))?;
    // The provider is named: another crate's choice of a default must not change what we speak.
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|config| {
            config
                .with_no_client_auth()
                .with_single_cert(chain, private)
        })
        .map_err(SettingsError::Pair)?;
    Ok(Arc::new(config))
}
