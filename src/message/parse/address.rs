//! Addresses as a submission writes them.

use lettre::{Address, message::Mailbox};

const NO_ADDRESS: &str = "is no address; write april@example.com or April <april@example.com>, with quotes around a name that has a comma in it";

/// An address for a header, kept as it was written.
pub(super) fn in_header(text: &str) -> Result<Mailbox, &'static str> {
    match text.parse() {
        Ok(mailbox) if !text.contains(char::is_control) => Ok(mailbox),
        _ => Err(NO_ADDRESS),
    }
}

/// An address with or without a display name; nothing else may stand in it.
pub(super) fn mailbox(text: &str) -> Result<Mailbox, &'static str> {
    if text.contains(char::is_control) {
        return Err(NO_ADDRESS);
    }
    // A quoted local part loses its quotes in lettre's mailboxes, not in its addresses.
    let text = text.trim();
    let bare = text.parse::<Address>().map(Mailbox::from);
    let parsed = bare
        .or_else(|_| text.parse::<Mailbox>())
        .map_err(|_| NO_ADDRESS)?;
    let name = parsed.name.filter(|name| !name.trim().is_empty());
    Ok(Mailbox::new(name, parsed.email))
}

/// An identity as it is compared: a domain has no case (RFC 5321 2.4), a local part may have.
pub(super) fn folded(identity: &str) -> String {
    match identity.rsplit_once('@') {
        Some((local, domain)) => format!("{local}@{}", domain.to_lowercase()),
        None => identity.to_owned(),
    }
}
