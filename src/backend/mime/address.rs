//! Addresses as people write them → addresses that can stand in an envelope and in a header.

use lettre::{
    Address,
    address::AddressError,
    message::{Mailbox, Mailboxes},
};

use super::{BuildError, clean};
use crate::message::Message;

/// The envelope's sender: what the message says, else the address in From; `None` is the null sender.
pub(in crate::backend) fn sender(
    message: &Message,
    from: Option<Address>,
) -> Result<Option<Address>, BuildError> {
    match message.return_path.as_deref() {
        Some("") => Ok(None),
        Some(path) => address("return_path", path).map(Some),
        None => from.ok_or(BuildError::NoFrom).map(Some),
    }
}

/// A bare address that can stand in an envelope and in a header. A domain beyond ASCII is written as DNS has it (RFC 5890, A-labels), so that every
/// server can take it; behind a local part beyond ASCII it stays, since such an address needs SMTPUTF8 in any case.
pub(in crate::backend) fn address(field: &str, bare: &str) -> Result<Address, BuildError> {
    let refused = |source| BuildError::Address {
        field: field.to_owned(),
        address: bare.to_owned(),
        source,
    };
    if bare.chars().any(char::is_control) {
        return Err(refused(AddressError::InvalidInput));
    }
    let address: Address = bare.parse().map_err(refused)?;
    if address.domain().is_ascii() || !address.user().is_ascii() {
        return Ok(address);
    }
    let domain = idna::domain_to_ascii(address.domain())
        .map_err(|_| refused(AddressError::InvalidDomain))?;
    Address::new(address.user(), domain).map_err(refused)
}

/// `Name <address>` or a bare address. Names are taken as people write them, dots and commas unquoted too.
pub(super) fn mailbox(field: &str, written: &str) -> Result<Mailbox, BuildError> {
    clean(field, written)?;
    let written = written.trim();
    let Some((name, bare)) = written
        .strip_suffix('>')
        .and_then(|written| written.rsplit_once('<'))
    else {
        return Ok(Mailbox::new(None, address(field, written)?));
    };
    let name = name.trim();
    let name = match name
        .strip_prefix('"')
        .and_then(|name| name.strip_suffix('"'))
    {
        Some(quoted) => unescape(quoted),
        None => name.to_owned(),
    };
    let name = Some(name).filter(|name| !name.trim().is_empty());
    Ok(Mailbox::new(name, address(field, bare.trim())?))
}

pub(super) fn mailboxes(field: &str, written: &str) -> Result<Mailboxes, BuildError> {
    clean(field, written)?;
    match written.parse::<Mailboxes>() {
        Ok(list) if list.iter().next().is_some() => list
            .into_iter()
            .map(|one| Ok(Mailbox::new(one.name, address(field, one.email.as_ref())?)))
            .collect(),
        _ => mailbox(field, written).map(Mailboxes::from),
    }
}

fn unescape(quoted: &str) -> String {
    let mut plain = String::with_capacity(quoted.len());
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        plain.push(if c == '\\' {
            chars.next().unwrap_or(c)
        } else {
            c
        });
    }
    plain
}
