//! DKIM signatures (RFC 6376, RFC 8463), relaxed/relaxed, by RSA or Ed25519.
//!
//! The hash of a body is made once for all receivers of a content; per receiver its header is signed. There is no `t=`: so a message is, byte for
//! byte, the same on every retry.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lettre::Address;
use rustls::{
    SignatureScheme,
    crypto::ring::sign::any_supported_type,
    pki_types::{PrivateKeyDer, pem::PemObject as _},
    sign::Signer,
};
use sha2::{Digest as _, Sha256};

use super::{
    lines::{header_and_body, lines},
    secret::{SecretError, SecretSource},
};

/// The header fields that are signed where they stand (RFC 6376 5.4.1): what a reader is shown, and what says how to read the body.
const SIGNED: &[&str] = &[
    "from",
    "to",
    "cc",
    "subject",
    "date",
    "reply-to",
    "message-id",
    "in-reply-to",
    "references",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "list-id",
    "list-unsubscribe",
    "list-unsubscribe-post",
];

/// Those that nobody may add one of on the way: they are signed once more than they stand there (RFC 6376 8.15).
const NO_MORE: &[&str] = &["from", "to", "cc", "subject", "date", "reply-to"];

/// SHA-256 of a body in its relaxed form.
pub(super) type BodyHash = [u8; 32];

/// Everything there is to say about the signatures of a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DkimSettings {
    /// The domain that signs; its DNS has the public key.
    pub domain: String,
    /// Which of its keys: the public one stands at `<selector>._domainkey.<domain>`.
    pub selector: String,
    /// Where the private key is kept, in PEM.
    pub key: SecretSource,
}

impl DkimSettings {
    /// Says what is wrong, if anything is; the key comes first.
    pub fn check(&self) -> Result<(), String> {
        let Some(domain) = ascii(&self.domain) else {
            return Err(format!(
                "dkim.domain: `{}` is no domain; write the one whose DNS has the public key, such as \"example.com\"",
                self.domain
            ));
        };
        let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if self.selector.is_empty() || !self.selector.chars().all(letters) {
            return Err(format!(
                "dkim.selector: `{}` is no selector; it is the word before ._domainkey.{domain} in DNS",
                self.selector
            ));
        }
        Ok(())
    }
}

/// The domain as DNS has it.
fn ascii(domain: &str) -> Option<String> {
    let ascii = idna::domain_to_ascii(domain).ok()?;
    (Address::new("x", &ascii).is_ok() && !ascii.starts_with('[')).then_some(ascii)
}

/// A key that mail cannot be signed with.
#[derive(Debug, thiserror::Error)]
pub enum DkimError {
    /// It cannot be read.
    #[error("{0}: the key cannot be had")]
    Secret(&'static str, #[source] SecretError),
    /// It is no private key.
    #[error(
        "{0}: no private key in PEM stands in {1} (it begins with BEGIN PRIVATE KEY or BEGIN RSA PRIVATE KEY; one with a pass phrase cannot be used)"
    )]
    NoKey(&'static str, String),
    /// It is one of another kind.
    #[error(
        "{0}: the key in {1} cannot sign mail: RSA with 2048 to 4096 bits, or Ed25519, is wanted (`openssl genrsa 2048` makes one)"
    )]
    Unsuitable(&'static str, String),
}

/// A key with its name: signs messages.
#[derive(Debug)]
pub struct Dkim {
    domain: String,
    selector: String,
    algorithm: &'static str,
    signer: Box<dyn Signer>,
}

impl Dkim {
    /// Reads the key. What is wrong with it is told here, once, and not for each message.
    pub fn load(settings: &DkimSettings) -> Result<Self, DkimError> {
        let (key, place) = match &settings.key {
            SecretSource::File(path) => ("dkim.key_file", path.display().to_string()),
            SecretSource::Env(name) => ("dkim.key_env", name.clone()),
        };
        let secret = settings
            .key
            .read()
            .map_err(|error| DkimError::Secret(key, error))?;
        let Ok(der) = PrivateKeyDer::from_pem_slice(secret.expose().as_bytes()) else {
            return Err(DkimError::NoKey(key, place));
        };
        let schemes = [SignatureScheme::RSA_PKCS1_SHA256, SignatureScheme::ED25519];
        let signer = any_supported_type(&der)
            .ok()
            .and_then(|key| key.choose_scheme(&schemes));
        let Some(signer) = signer else {
            return Err(DkimError::Unsuitable(key, place));
        };
        let algorithm = if signer.scheme() == SignatureScheme::ED25519 {
            "ed25519-sha256"
        } else {
            "rsa-sha256"
        };
        Ok(Self {
            domain: ascii(&settings.domain).unwrap_or_else(|| settings.domain.clone()),
            selector: settings.selector.clone(),
            algorithm,
            signer,
        })
    }

    /// The header DKIM-Signature for a message with this body, to stand above its header.
    pub(super) fn sign(&self, message: &[u8], body: &BodyHash) -> Result<Vec<u8>, rustls::Error> {
        let fields = fields(header_and_body(message).0);
        let mut names = String::new();
        let mut line = 0;
        let mut data = Vec::new();
        let mut name_one = |name: &str| {
            if !names.is_empty() {
                names.push(':');
            }
            // A header line has 78 letters at best.
            if line + name.len() > 70 {
                names.push_str("\r\n ");
                line = 0;
            }
            names.push_str(name);
            line += name.len() + 1;
        };
        for name in SIGNED {
            // The last one first (RFC 6376 5.4.2).
            for field in fields.iter().rev().filter(|field| field.name == *name) {
                name_one(name);
                field.write(&mut data);
                data.extend_from_slice(b"\r\n");
            }
            if NO_MORE.contains(name) {
                name_one(name);
            }
        }
        let mut header = format!(
            "DKIM-Signature: v=1; a={}; c=relaxed/relaxed; q=dns/txt;\r\n d={}; s={};\r\n h={names};\r\n bh={};\r\n b=",
            self.algorithm,
            self.domain,
            self.selector,
            STANDARD.encode(body)
        );
        // Signed itself, with nothing behind `b=` and without its line end (RFC 6376 3.7).
        for field in self::fields(header.as_bytes()) {
            field.write(&mut data);
        }
        // Ed25519 signs the hash (RFC 8463 3); RSA makes it itself.
        let signature = if self.signer.scheme() == SignatureScheme::ED25519 {
            self.signer.sign(&Sha256::digest(&data))?
        } else {
            self.signer.sign(&data)?
        };
        let signature = STANDARD.encode(signature);
        let mut rest = signature.as_str();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.len().min(72));
            // Writing to a `String` cannot fail.
            let _ = write!(
                header,
                "{piece}{}",
                if after.is_empty() { "" } else { "\r\n " }
            );
            rest = after;
        }
        header.push_str("\r\n");
        Ok(header.into_bytes())
    }
}

/// A field in its relaxed form (RFC 6376 3.4.2): name in lower case, value unfolded, its white space single, none around it.
struct Field {
    name: String,
    value: Vec<u8>,
}

impl Field {
    fn write(&self, data: &mut Vec<u8>) {
        data.extend_from_slice(self.name.as_bytes());
        data.push(b':');
        data.extend_from_slice(&self.value);
    }
}

fn fields(header: &[u8]) -> Vec<Field> {
    let mut fields: Vec<Field> = Vec::new();
    for line in lines(header) {
        let mut text = line;
        if !matches!(line, [b' ' | b'\t', ..]) {
            let Some(colon) = line.iter().position(|&byte| byte == b':') else {
                continue;
            };
            let name = String::from_utf8_lossy(line[..colon].trim_ascii_end());
            fields.push(Field {
                name: name.to_ascii_lowercase(),
                value: Vec::new(),
            });
            text = &line[colon + 1..];
        }
        if let Some(Field { value, .. }) = fields.last_mut() {
            for word in words(text) {
                if !value.is_empty() {
                    value.push(b' ');
                }
                value.extend_from_slice(word);
            }
        }
    }
    fields
}

fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| matches!(byte, b' ' | b'\t'))
        .filter(|word| !word.is_empty())
}

/// The hash of a message's body in its relaxed form (RFC 6376 3.4.4): white space single, none at the end of a line, no empty lines at the end.
pub(super) fn hash_body(message: &[u8]) -> BodyHash {
    let mut hash = Sha256::new();
    let mut empty = 0;
    let mut relaxed = Vec::new();
    for line in lines(header_and_body(message).1) {
        relaxed.clear();
        if matches!(line, [b' ' | b'\t', ..]) {
            relaxed.push(b' ');
        }
        for (index, word) in words(line).enumerate() {
            if index > 0 {
                relaxed.push(b' ');
            }
            relaxed.extend_from_slice(word);
        }
        if words(line).next().is_none() {
            empty += 1;
            continue;
        }
        for _ in 0..std::mem::take(&mut empty) {
            hash.update(b"\r\n");
        }
        hash.update(&relaxed);
        hash.update(b"\r\n");
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn the_same_message_has_the_same_signature_on_every_retry() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        fs::write(&path, pair.serialize_pem()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let settings = DkimSettings {
            domain: "blåbær.example".to_owned(),
            selector: "autumn".to_owned(),
            key: SecretSource::File(path),
        };
        assert_eq!(settings.check(), Ok(()));
        let sign = |message: &[u8]| {
            let signed = Dkim::load(&settings)
                .unwrap()
                .sign(message, &hash_body(message));
            String::from_utf8(signed.unwrap()).unwrap()
        };
        let message = b"From: a@b.example\r\n\r\nhi\r\n";
        assert_eq!(sign(message), sign(message));
        assert_ne!(sign(message), sign(b"From: a@b.example\r\n\r\nho\r\n"));
        assert!(sign(message).contains(" d=xn--blbr-roah.example; s=autumn;\r\n"));
    }

    #[test]
    fn a_body_without_words_is_an_empty_one() {
        // RFC 6376 3.4.4: the hash of nothing.
        let nothing = STANDARD.encode(Sha256::digest(b""));
        assert_eq!(nothing, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
        for body in ["", "\r\n", " \r\n\t\r\n\r\n"] {
            let message = format!("From: a@b.example\r\n\r\n{body}");
            assert_eq!(STANDARD.encode(hash_body(message.as_bytes())), nothing);
        }
    }
}
