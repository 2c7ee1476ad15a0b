use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{
        CertificateDer,
        pem::{self, PemObject as _},
    },
};

/// Whom we trust: loaded at the first connection that asks, then shared by all of a backend.
#[derive(Debug)]
pub(super) struct Trust {
    ca_file: Option<PathBuf>,
    config: Mutex<Option<Arc<ClientConfig>>>,
}

/// No certificate can be checked.
#[derive(Debug, thiserror::Error)]
pub(super) enum TrustError {
    #[error("cannot read the certificates in {}", path.display())]
    CaFile { path: PathBuf, source: pem::Error },
    #[error("there is no certificate in {}", .0.display())]
    Empty(PathBuf),
    #[error("a certificate in {} is not one", path.display())]
    Certificate {
        path: PathBuf,
        source: rustls::Error,
    },
    #[error(
        "no trusted certificates were found on this machine: install its CA certificates, or name a file with `ca_file`"
    )]
    NoneFound,
    #[error("TLS cannot be set up")]
    Setup(#[from] rustls::Error),
}

impl Trust {
    pub(super) fn new(ca_file: Option<PathBuf>) -> Self {
        Self {
            ca_file,
            config: Mutex::new(None),
        }
    }

    /// The configuration of a TLS client. A failure is not kept: the file may be there next time.
    pub(super) fn config(&self) -> Result<Arc<ClientConfig>, TrustError> {
        let mut loaded = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = &*loaded {
            return Ok(Arc::clone(config));
        }
        let roots = match &self.ca_file {
            Some(path) => from_file(path)?,
            None => from_system()?,
        };
        // The provider is named: another crate's choice of a default must not change what we speak.
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Arc::clone(loaded.insert(Arc::new(config))))
    }
}

fn from_file(path: &Path) -> Result<RootCertStore, TrustError> {
    let unreadable = |source| TrustError::CaFile {
        path: path.to_owned(),
        source,
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
        roots
            .add(certificate.map_err(unreadable)?)
            .map_err(|source| TrustError::Certificate {
                path: path.to_owned(),
                source,
            })?;
    }
    if roots.is_empty() {
        return Err(TrustError::Empty(path.to_owned()));
    }
    Ok(roots)
}

fn from_system() -> Result<RootCertStore, TrustError> {
    let mut roots = RootCertStore::empty();
    // Machines carry a few certificates that are not quite right; the others still count.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(TrustError::NoneFound);
    }
    Ok(roots)
}
