mod call;

use std::{
    ffi::{OsStr, OsString},
    io::{self, BufRead},
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
};

use chrono::Utc;
use lettre::{
    Address,
    message::{Mailbox, Mailboxes},
    transport::smtp::extension::ClientId,
};

use super::{
    context::Globals,
    operator::operator,
    output::tell,
    ways::{default_from, submit_defaults},
};
use crate::{
    config::Config,
    inbound::{self, ListenSettings},
    message::{Envelope, Submission, addressees},
    store::{Receipt, Store, StoreError},
};
use call::{Call, Mode};

/// A longer message is refused, as a line of `submit` is.
const LONGEST: usize = 64 << 20;

/// Take one mail over, as /usr/sbin/sendmail does: the message on standard input, addresses as arguments
///
/// It is stored before this ends with 0. What it ends with is what sysexits.h says: 64 wrong usage, 65 the message is wrong, 67 an address is wrong,
/// 74 the message cannot be read, 75 the store cannot take it now, 78 the config is wrong; with any of these nothing was stored.
#[derive(clap::Args)]
#[command(
    disable_help_flag = true,
    after_help = "Options, as other sendmails have them:\n  -t          recipients are also those in To, Cc and Bcc of the header\n  -i, -oi     a line with only a dot does not end the message\n  -f, -r ADDR the envelope's sender; '<>' is none\n  -F NAME     the name in a From that has to be added\n  -bm, -bs    take a message (the default); speak SMTP on standard input and output\nOthers (-o…, -N, -v, -q …) are taken and mean nothing here. Called by the name `sendmail`, the program is this command.\n\nExamples:\n  printf 'Subject: hello\\n\\nHello.\\n' | postroom sendmail -i -f shop@example.com april@example.com\n  postroom sendmail -t < mail.eml"
)]
pub(super) struct Args {
    /// Options and addresses
    #[arg(
        value_name = "OPTION|ADDRESS",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    words: Vec<OsString>,
    /// Print help
    #[arg(long, action = clap::ArgAction::HelpLong)]
    help: Option<bool>,
}

/// Whether the program was called by the name `sendmail`.
pub(super) fn is_meant(program: &OsStr) -> bool {
    Path::new(program).file_name() == Some(OsStr::new("sendmail"))
}

/// Why nothing was stored: the code of sysexits.h, and the words.
struct Refused(u8, String);

const EX_USAGE: u8 = 64;
const EX_DATAERR: u8 = 65;
const EX_NOUSER: u8 = 67;
const EX_IOERR: u8 = 74;
const EX_TEMPFAIL: u8 = 75;
const EX_CONFIG: u8 = 78;

pub(super) fn run(globals: &Globals, args: &Args) -> u8 {
    let done = Call::read(&args.words).and_then(|call| call.answer(globals));
    match done {
        Ok(()) => 0,
        Err(Refused(code, why)) => {
            tell(&format!("postroom sendmail: {why}"));
            code
        }
    }
}

impl Call {
    fn answer(self, globals: &Globals) -> Result<(), Refused> {
        if self.mode == Mode::Nothing {
            return Ok(());
        }
        let config = globals
            .config()
            .map_err(|error| Refused(EX_CONFIG, format!("{error:#}")))?;
        if submit_defaults(&config).backend.is_none() {
            let why = if config.backends.is_empty() {
                "no backend is configured, so nobody knows where mails go: add [backends.email] with host = \"…\" to the config file (`postroom init` writes one)"
            } else {
                "no backend is the default, so nobody knows where mails go: name it in default_backend of the config file"
            };
            return Err(Refused(EX_CONFIG, why.to_owned()));
        }
        match self.mode {
            Mode::Converse => converse(globals, &config),
            _ => self.take(globals, &config, io::stdin().lock()),
        }
    }

    fn take(self, globals: &Globals, config: &Config, input: impl BufRead) -> Result<(), Refused> {
        let message = read(input, self.dots)?;
        let mut recipients = addresses(&self.recipients);
        if self.of_header {
            recipients.extend(addressees(&message));
        }
        if recipients.is_empty() {
            let why = "for nobody: there is no address in To, Cc or Bcc, and none was named";
            return Err(Refused(EX_DATAERR, why.to_owned()));
        }
        for recipient in &recipients {
            if recipient.parse::<Address>().is_err() {
                return Err(Refused(
                    EX_NOUSER,
                    format!(
                        "`{recipient}` is no address that mail can go to, such as april@example.com; users of this machine are not known here"
                    ),
                ));
            }
        }
        let sender = self.sender.as_deref().map(sender).transpose()?;
        let envelope = Envelope {
            from: from(sender.as_deref(), self.name, config),
            sender,
            recipients,
            created_by: Some(operator()),
        };
        let submission =
            Submission::of_mail(message, envelope, &submit_defaults(config), Utc::now())
                .map_err(|error| Refused(EX_DATAERR, error.to_string()))?;
        let store = open(globals, config)?;
        let mut receipts = Vec::new();
        let stored = store.submit_into(&[submission], Utc::now(), &mut receipts);
        match receipts.as_slice() {
            [Receipt::Conflict { key, message }] => Err(Refused(
                EX_DATAERR,
                format!(
                    "message {message} has the X-Postroom-Key {key} and says something else: nothing was changed"
                ),
            )),
            // With a receipt it is stored, whatever came after.
            [_] => Ok(()),
            _ => stored.map_err(|error| not_taken(&error)),
        }
    }
}

fn converse(globals: &Globals, config: &Config) -> Result<(), Refused> {
    // Nobody listens; only what a conversation goes by is of interest.
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let from = default_from(config).map(str::to_owned);
    let settings =
        inbound::Settings::new(ListenSettings::new(nowhere), submit_defaults(config), from)
            .map_err(|error| Refused(EX_CONFIG, error.to_string()))?;
    inbound::converse(open(globals, config)?, settings);
    Ok(())
}

fn open(globals: &Globals, config: &Config) -> Result<Arc<Store>, Refused> {
    globals
        .open(config)
        .map_err(|error| match error.downcast_ref::<StoreError>() {
            Some(error) => not_taken(error),
            None => Refused(EX_CONFIG, format!("{error:#}")),
        })
}

/// The store cannot take it: nothing is lost as long as the caller keeps it.
fn not_taken(error: &StoreError) -> Refused {
    let closed = match error {
        StoreError::ReadOnly(_) | StoreError::CannotOpen(_) | StoreError::AtRest(_) => true,
        StoreError::Io { source, .. } => source.kind() == io::ErrorKind::PermissionDenied,
        _ => false,
    };
    let way_out = if closed {
        format!(
            "; {} has to be in the group of the store, and the group may have to be allowed to write it (chmod 660, its folder 2770)",
            operator()
        )
    } else {
        String::new()
    };
    Refused(
        EX_TEMPFAIL,
        format!("not taken over, try later: {error}{way_out}"),
    )
}

/// Reads the message. Without `dots` a line with only a dot ends it.
fn read(input: impl BufRead, dots: bool) -> Result<Vec<u8>, Refused> {
    let mut input = input.take(LONGEST as u64 + 1);
    let mut message = Vec::new();
    loop {
        let begin = message.len();
        let read = input
            .read_until(b'\n', &mut message)
            .map_err(|error| Refused(EX_IOERR, format!("the message cannot be read: {error}")))?;
        if message.len() > LONGEST {
            return Err(Refused(
                EX_DATAERR,
                "the message is longer than 64 MiB".to_owned(),
            ));
        }
        let line = &message[begin..];
        let is_dot = !dots && matches!(line, b"." | b".\n" | b".\r\n");
        // A mailbox keeps such a line in front of each message; it is no part of it.
        let is_mailbox_line =
            begin == 0 && (line.starts_with(b"From ") || line.starts_with(b">From "));
        if is_dot || is_mailbox_line {
            message.truncate(begin);
        }
        if read == 0 || is_dot {
            return Ok(message);
        }
    }
}

/// An argument may be a list, with names.
fn addresses(words: &[String]) -> Vec<String> {
    let mut all = Vec::with_capacity(words.len());
    for word in words {
        // Bare first: a quoted local part loses its quotes in lettre's lists.
        match (word.parse::<Address>(), word.parse::<Mailboxes>()) {
            (Ok(bare), _) => all.push(bare.to_string()),
            (_, Ok(list)) => all.extend(list.iter().map(|one| one.email.to_string())),
            // It is told what is wrong with it where the others are looked at.
            _ => all.push(word.clone()),
        }
    }
    all
}

/// What `-f` says; a user of this machine gets its name.
fn sender(word: &str) -> Result<String, Refused> {
    let word = word.trim();
    if matches!(word, "" | "<>") {
        return Ok(String::new());
    }
    let local = || at_this_machine(word);
    let bare = word.parse::<Address>().ok();
    let address = bare
        .or_else(|| Some(word.parse::<Mailbox>().ok()?.email))
        .or_else(|| local()?.parse().ok());
    address.map(|address| address.to_string()).ok_or_else(|| {
        Refused(
            EX_USAGE,
            format!("-f {word}: this is no address, such as shop@example.com"),
        )
    })
}

/// The From of a message without one: the sender's address, else the backend's, else whoever calls at this machine.
fn from(sender: Option<&str>, name: Option<String>, config: &Config) -> Option<String> {
    let sender = sender
        .filter(|sender| !sender.is_empty())
        .map(str::to_owned);
    let of_backend = || default_from(config).map(str::to_owned);
    let given = sender
        .or_else(of_backend)
        .or_else(|| at_this_machine(&operator()))?;
    let mut mailbox: Mailbox = given.parse().ok()?;
    mailbox.name = name.or(mailbox.name);
    Some(mailbox.to_string())
}

fn at_this_machine(user: &str) -> Option<String> {
    let ClientId::Domain(machine) = ClientId::default() else {
        return None;
    };
    let address = Address::new(user, machine).ok()?;
    Some(address.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_dot_ends_the_message_unless_told_otherwise() {
        let get = |text: &str, dots| read(text.as_bytes(), dots).ok();
        let text = "a\n..\n.\nb\n";
        assert_eq!(get(text, false).as_deref(), Some(&b"a\n..\n"[..]));
        assert_eq!(get(text, true).as_deref(), Some(text.as_bytes()));
        assert_eq!(get("a\r\n.\r\nb", false).as_deref(), Some(&b"a\r\n"[..]));
        assert_eq!(
            get("From a@b Mon\nTo: c\n", true).as_deref(),
            Some(&b"To: c\n"[..])
        );
    }
}
