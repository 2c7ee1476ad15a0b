//! Who a client says it is (RFC 4954): PLAIN (RFC 4616) and LOGIN. What it says of passwords goes nowhere but into the comparison.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};

use crate::backend::{SecretError, SecretSource};

/// What was meant by an answer; an initial response of `=` is the empty one (RFC 4954 4). `None`: it is not base64.
pub(super) fn decoded(answer: &[u8]) -> Option<Vec<u8>> {
    match answer.trim_ascii() {
        b"=" => Some(Vec::new()),
        answer => STANDARD.decode(answer).ok(),
    }
}

/// The user and password of PLAIN. To act for another is not for anybody here.
pub(super) fn plain(message: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut parts = message.split(|&byte| byte == 0);
    let (for_whom, user, password) = (parts.next()?, parts.next()?, parts.next()?);
    let alone = parts.next().is_none() && (for_whom.is_empty() || for_whom == user);
    alone.then_some((user, password))
}

/// The name of the user whose password this is. How long it takes tells nothing about the password: digests are compared, which nobody can
/// approach letter by letter.
pub(super) fn check<'a>(
    users: &'a BTreeMap<String, SecretSource>,
    user: &[u8],
    password: &[u8],
) -> Result<Option<&'a str>, SecretError> {
    let known = users.iter().find(|(name, _)| name.as_bytes() == user);
    let Some((name, source)) = known else {
        return Ok(None);
    };
    let secret = source.read()?;
    let is_it = Sha256::digest(secret.expose()) == Sha256::digest(password);
    Ok(is_it.then_some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_has_a_user_and_a_password_and_acts_for_nobody_else() {
        assert_eq!(plain(b"\0shop\0p w"), Some((&b"shop"[..], &b"p w"[..])));
        assert_eq!(plain(b"shop\0shop\0pw"), Some((&b"shop"[..], &b"pw"[..])));
        for wrong in [&b"admin\0shop\0pw"[..], b"shop\0pw", b"\0shop\0p\0w", b""] {
            assert_eq!(plain(wrong), None);
        }
    }
}
