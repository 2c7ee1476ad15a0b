//! What every client finds out about the listener's certificate, whomever it trusts: asked beforehand, so that the client need not complain.

use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use rustls::{
    CertificateError, Error, RootCertStore,
    client::verify_server_cert_signed_by_trust_anchor,
    crypto::ring,
    pki_types::{CertificateDer, UnixTime},
    server::ParsedCertificate,
};

use crate::message::Timestamp;

/// A certificate that has less left than this and than a sixth of its life should have been renewed: those that renew by themselves do so with a third
/// of it left.
const SOON: TimeDelta = TimeDelta::days(14);
const PART: i32 = 6;

/// How it is with a chain of certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// All of them can be used until then.
    Until(Timestamp),
    /// One of them ends then, and should have been renewed by now.
    Soon(Timestamp),
    /// One of them ended then.
    Expired(Timestamp),
    /// One of them begins only then.
    NotYet(Timestamp),
    /// The first is an authority's own (`CA:TRUE`), which no client takes for a server's.
    Authority,
    /// One of them is for something else than a server, or cannot be read.
    Useless,
}

/// How it is with this chain, the server's own first.
pub(super) fn standing(chain: &[CertificateDer<'_>], now: Timestamp) -> Standing {
    let mut all = None;
    let mut soon = false;
    for certificate in chain {
        let Some((from, until)) = times(certificate) else {
            return Standing::Useless;
        };
        if now > until {
            return Standing::Expired(until);
        }
        if now < from {
            return Standing::NotYet(from);
        }
        if all.is_none_or(|all| until < all) {
            all = Some(until);
            soon = until - now < SOON.min((until - from) / PART);
        }
    }
    let (Some(first), Some(until)) = (chain.first(), all) else {
        return Standing::Useless;
    };
    match verdict(first, now.timestamp().unsigned_abs()) {
        None if soon => Standing::Soon(until),
        None => Standing::Until(until),
        // The reason is webpki's own type, which is not for us to name.
        Some(CertificateError::Other(other)) if other.to_string().contains("CaUsedAsEndEntity") => {
            Standing::Authority
        }
        Some(_) => Standing::Useless,
    }
}

/// From when to when it can be used: at the beginning and the end of time a client would name the one and the other.
fn times(certificate: &CertificateDer<'_>) -> Option<(Timestamp, Timestamp)> {
    let from = match verdict(certificate, 0) {
        Some(CertificateError::NotValidYetContext { not_before, .. }) => not_before.as_secs(),
        _ => 0,
    };
    let Some(CertificateError::ExpiredContext { not_after, .. }) = verdict(certificate, u64::MAX)
    else {
        return None;
    };
    let time = |seconds: u64| DateTime::from_timestamp(seconds.try_into().ok()?, 0);
    Some((time(from)?, time(not_after.as_secs())?))
}

/// What a client would find wrong with it then, in seconds since 1970, whomever it trusts. Nobody is trusted here, and the certificate itself is
/// looked at before its issuer: so an unknown issuer means that nothing else is wrong.
fn verdict(certificate: &CertificateDer<'_>, then: u64) -> Option<CertificateError> {
    let then = UnixTime::since_unix_epoch(Duration::from_secs(then));
    let all = ring::default_provider()
        .signature_verification_algorithms
        .all;
    let verified = ParsedCertificate::try_from(certificate).and_then(|parsed| {
        let nobody = RootCertStore::empty();
        verify_server_cert_signed_by_trust_anchor(&parsed, &nobody, &[], then, all)
    });
    match verified {
        Ok(()) | Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => None,
        Err(Error::InvalidCertificate(why)) => Some(why),
        Err(_) => Some(CertificateError::BadEncoding),
    }
}
