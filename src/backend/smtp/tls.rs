use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use rustls::{
    CertificateError, ClientConfig, RootCertStore,
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

/// What is wrong with the server's certificate, and the way out, where there is one.
pub(super) fn advice(error: &io::Error) -> Option<&'static str> {
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    let rustls::Error::InvalidCertificate(why) = error else {
        return None;
    };
    Some(match why {
        // Another authority of the same name shows as a bad signature.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "the server's certificate comes from an authority that is not trusted here (name that authority's certificate with `ca_file`)"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the server's certificate is for another name (write the name it is for as `host`)"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the server's certificate has expired (it has to be renewed there; also look at this machine's clock)"
        }
        // The reason is webpki's own type, which is not for us to name.
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "the server shows the certificate of an authority (CA:TRUE) as its own, as self-signed ones often are; no client should take it, and `ca_file` cannot help \
             (make the server's anew with CA:FALSE, by `openssl req -x509 -addext basicConstraints=critical,CA:FALSE …`, and name that with `ca_file`)"
        }
        _ => return None,
    })
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
