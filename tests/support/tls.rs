use std::{fs::Permissions, os::unix::fs::PermissionsExt as _, path::PathBuf, sync::Arc};

use base64::Engine as _;
use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use tempfile::TempDir;

/// A certificate made for one test: nobody else trusts it.
pub struct Certificate {
    der: CertificateDer<'static>,
    key: Vec<u8>,
    folder: TempDir,
}

impl Certificate {
    /// For these host names and addresses.
    pub fn new(names: &[&str]) -> Self {
        Self::with(names, |_| {})
    }

    /// The same, with something about it changed.
    pub fn with(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Self {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let made = params.self_signed(&key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), made.pem()).unwrap();
        Self {
            der: made.der().clone(),
            key: key.serialize_der(),
            folder,
        }
    }

    /// What the server that has it needs.
    pub fn server(&self) -> Arc<ServerConfig> {
        let key = PrivateKeyDer::try_from(self.key.clone()).unwrap();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![self.der.clone()], key)
            .unwrap();
        Arc::new(config)
    }

    /// The certificate and the key as files that a server's config names: PEM, the key closed to others.
    pub fn files(&self) -> (PathBuf, PathBuf) {
        let key = self.folder.path().join("key.pem");
        let der = base64::engine::general_purpose::STANDARD.encode(&self.key);
        let lines: Vec<_> = der
            .as_bytes()
            .chunks(64)
            .map(String::from_utf8_lossy)
            .collect();
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            lines.join("\n")
        );
        std::fs::write(&key, pem).unwrap();
        std::fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
        (self.ca_file(), key)
    }

    /// What a client that trusts it, and nothing else, needs.
    pub fn client(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Arc::new(config)
    }

    /// The same for `ca_file`: a PEM file that lives as long as this value.
    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }
}
