//! One SMTP conversation with a client that hands messages over, from the greeting to its end (RFC 5321, RFC 6409).
//!
//! Whatever has arrived is answered in one write (RFC 2920 3.2). `login` is AUTH; `message` is what follows DATA: it is acknowledged when the store
//! has it durably, and not before.

mod login;
mod message;

use std::{
    io,
    net::IpAddr,
    ops::{ControlFlow, Range},
    sync::Arc,
    time::{Duration, Instant},
};

use lettre::Address;
use memchr::memchr;

use super::{
    Intake, Settings,
    command::{self, Command, Path, Wrong},
    place::{Closing, Phase, Place},
    wire::Wire,
};
use crate::message::DisplayText;

/// What is read at once.
const INPUT: usize = 16 << 10;
/// A command may be this long: RFC 5321 4.5.3.1.4 and 4.5.3.1.5 ask for 512 bytes at least and every extension adds some.
const LONGEST_COMMAND: usize = 2 << 10;
/// So many commands that are none end the conversation.
const MOST_FAULTS: usize = 20;
/// How long a reply may take to be taken.
const WRITE: Duration = Duration::from_secs(60);

/// The conversation is over.
struct End;

type Flow<T = ()> = ControlFlow<End, T>;

const GO_ON: Flow = ControlFlow::Continue(());

/// A transaction that has begun.
struct Transaction {
    sender: String,
    recipients: Vec<String>,
    utf8: bool,
}

/// A conversation.
pub(super) struct Session<'a> {
    wire: Wire,
    settings: Arc<Settings>,
    intake: &'a Intake,
    place: &'a Place,
    /// Whom we talk with; `None`: who started us.
    peer: Option<IpAddr>,
    input: Vec<u8>,
    /// The part of `input` that was not looked at yet.
    unread: Range<usize>,
    /// Replies that wait to be written.
    out: String,
    greeted: bool,
    user: Option<String>,
    transaction: Option<Transaction>,
    faults: usize,
    guesses: usize,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        wire: Wire,
        peer: Option<IpAddr>,
        settings: Arc<Settings>,
        intake: &'a Intake,
        place: &'a Place,
    ) -> Self {
        Self {
            wire,
            settings,
            intake,
            place,
            peer,
            input: vec![0; INPUT],
            unread: 0..0,
            out: String::new(),
            greeted: false,
            user: None,
            transaction: None,
            faults: 0,
            guesses: 0,
        }
    }

    /// Talks until it is over.
    pub(super) fn run(mut self) {
        let _: Flow = self.talk();
        let _: Flow = self.flush();
        self.wire.close(&mut self.input);
    }

    fn talk(&mut self) -> Flow {
        self.out = format!("220 {} ESMTP Postroom\r\n", self.settings.name);
        loop {
            let line = self.line(LONGEST_COMMAND)?;
            match line {
                Some(line) => self.command(&line)?,
                None => self.fault("500 5.5.2 the line is too long")?,
            }
        }
    }

    /// The next line without its end; `None` is one that is too long, read to its end.
    fn line(&mut self, longest: usize) -> Flow<Option<Vec<u8>>> {
        let deadline = Instant::now() + self.settings.listen.timeout;
        let mut line = Vec::new();
        let mut too_long = false;
        self.place.is(Phase::Waits);
        loop {
            let waiting = &self.input[self.unread.clone()];
            let end = memchr(b'\n', waiting);
            let part = &waiting[..end.unwrap_or(waiting.len())];
            if line.len() + part.len() > longest {
                too_long = true;
                line.clear();
            } else if !too_long {
                line.extend_from_slice(part);
            }
            self.unread.start += part.len() + usize::from(end.is_some());
            if end.is_some() {
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return ControlFlow::Continue((!too_long).then_some(line));
            }
            self.flush()?;
            self.read(deadline)?;
        }
    }

    /// Reads what has come; all that was there before must have been used.
    fn read(&mut self, deadline: Instant) -> Flow {
        if let Some(closing) = self.place.closing()
            && self.place.is_waiting()
        {
            return self.leave(closing);
        }
        let read = self.wire.read(&mut self.input, deadline);
        self.unread = 0..*read.as_ref().unwrap_or(&0);
        match read {
            Ok(0) => match self.place.closing() {
                Some(closing) => self.leave(closing),
                None => ControlFlow::Break(End),
            },
            Ok(_) => GO_ON,
            Err(error) if is_timeout(&error) => {
                self.say("421 4.4.2 you took too long");
                ControlFlow::Break(End)
            }
            Err(_) => ControlFlow::Break(End),
        }
    }

    fn leave(&mut self, closing: Closing) -> Flow {
        self.say(match closing {
            Closing::Idle => "421 4.4.2 you were idle, and others wait",
            Closing::Stop => "421 4.3.2 closing down, come back soon",
        });
        ControlFlow::Break(End)
    }

    fn flush(&mut self) -> Flow {
        if self.out.is_empty() {
            return GO_ON;
        }
        let written = self.wire.write(self.out.as_bytes(), Instant::now() + WRITE);
        self.out.clear();
        match written {
            Ok(()) => GO_ON,
            Err(_) => ControlFlow::Break(End),
        }
    }

    /// One line of reply. What came from outside may stand in it.
    fn say(&mut self, reply: &str) {
        let harmless = DisplayText::line(reply);
        let text = harmless
            .as_str()
            .chars()
            .map(|c| if c.is_ascii() { c } else { '?' });
        self.out.extend(text.take(500));
        self.out.push_str("\r\n");
    }

    /// A reply to what a client should not have said.
    fn fault(&mut self, reply: &str) -> Flow {
        self.faults += 1;
        if self.faults > MOST_FAULTS {
            self.say("421 4.7.0 too many errors");
            return ControlFlow::Break(End);
        }
        self.say(reply);
        GO_ON
    }

    fn command(&mut self, line: &[u8]) -> Flow {
        let command = match command::parse(line) {
            Ok(command) => command,
            Err(Wrong::Bytes) => {
                return self.fault("500 5.5.2 controls, or bytes that are not UTF-8, in a command");
            }
            Err(Wrong::Unknown) => return self.fault("500 5.5.1 no such command"),
            Err(Wrong::Syntax(usage)) => {
                return self.fault(&format!("501 5.5.4 say: {usage}"));
            }
        };
        match command {
            Command::Ehlo => self.hello(true),
            Command::Helo => self.hello(false),
            Command::Mail(path) => return self.mail(&path),
            Command::Rcpt(path) => return self.recipient(&path),
            Command::Data => return self.data(),
            Command::Rset => {
                self.transaction = None;
                self.say("250 2.0.0 forgotten");
            }
            Command::Noop => self.say("250 2.0.0 yes"),
            Command::Quit => {
                self.say("221 2.0.0 bye");
                return ControlFlow::Break(End);
            }
            Command::Vrfy => self.say("252 2.0.0 hand the message over, and see"),
            Command::Help => {
                self.say("214 2.0.0 EHLO, STARTTLS, AUTH, MAIL, RCPT, DATA, RSET, NOOP, QUIT");
            }
            Command::StartTls => return self.encrypt(),
            Command::Auth { mechanism, initial } => return self.login(mechanism, initial),
        }
        GO_ON
    }

    fn hello(&mut self, extended: bool) {
        self.transaction = None;
        self.greeted = true;
        let name = self.settings.name.clone();
        if !extended {
            return self.say(&format!("250 {name}"));
        }
        let mut offers = vec![
            name,
            "PIPELINING".to_owned(),
            "8BITMIME".to_owned(),
            "SMTPUTF8".to_owned(),
            format!("SIZE {}", self.settings.listen.max_size),
        ];
        if self.settings.tls.is_some() && !self.wire.is_encrypted() {
            offers.push("STARTTLS".to_owned());
        }
        if self.may_log_in() {
            offers.push("AUTH PLAIN LOGIN".to_owned());
        }
        offers.push("ENHANCEDSTATUSCODES".to_owned());
        let last = offers.len() - 1;
        for (at, offer) in offers.into_iter().enumerate() {
            let dash = if at < last { '-' } else { ' ' };
            self.say(&format!("250{dash}{offer}"));
        }
    }

    fn encrypt(&mut self) -> Flow {
        let Some(tls) = self.settings.tls.clone() else {
            return self.fault("502 5.5.1 STARTTLS is not offered");
        };
        if self.wire.is_encrypted() {
            return self.fault("503 5.5.1 it is encrypted already");
        }
        if !self.unread.is_empty() {
            // What came in clear behind it could be another's (RFC 3207 5); whoever sent it gets no encryption.
            self.say("421 4.7.0 nothing may follow STARTTLS before its reply");
            return ControlFlow::Break(End);
        }
        self.say("220 2.0.0 go ahead");
        self.flush()?;
        let deadline = Instant::now() + self.settings.listen.timeout;
        if let Err(error) = self.wire.encrypt(tls, deadline) {
            tracing::debug!(peer = ?self.peer, %error, "a client could not begin TLS");
            return ControlFlow::Break(End);
        }
        // All that was said before counts for nothing (RFC 3207 4.2).
        self.greeted = false;
        self.user = None;
        self.transaction = None;
        GO_ON
    }

    fn mail(&mut self, path: &Path<'_>) -> Flow {
        if !self.greeted {
            return self.fault("503 5.5.1 say EHLO first");
        }
        if self.user.is_none() && !self.settings.listen.users.is_empty() {
            return self.fault(if self.may_log_in() {
                "530 5.7.0 log in first"
            } else {
                "530 5.7.0 say STARTTLS and log in first"
            });
        }
        if self.transaction.is_some() {
            return self.fault("503 5.5.1 finish the message that was begun, or say RSET");
        }
        let mut utf8 = false;
        for (keyword, value) in path.parameters() {
            match (keyword.as_str(), value.to_ascii_uppercase().as_str()) {
                ("SIZE", size) => match size.parse::<u64>() {
                    Ok(size) if size > self.settings.listen.max_size as u64 => {
                        self.say(&self.too_large());
                        return GO_ON;
                    }
                    Ok(_) => {}
                    Err(_) => return self.fault("501 5.5.4 SIZE is a number of bytes"),
                },
                ("BODY", "7BIT" | "8BITMIME") | ("AUTH", _) => {}
                ("SMTPUTF8", "") => utf8 = true,
                _ => {
                    return self
                        .fault("555 5.5.4 SIZE, BODY=8BITMIME and SMTPUTF8 are what there is");
                }
            }
        }
        if !path.address.is_empty()
            && let Err(reply) = refusal(path.address, utf8, "5.1.7")
        {
            self.say(&reply);
            return GO_ON;
        }
        self.transaction = Some(Transaction {
            sender: path.address.to_owned(),
            recipients: Vec::new(),
            utf8,
        });
        self.say("250 2.1.0 ok");
        GO_ON
    }

    fn recipient(&mut self, path: &Path<'_>) -> Flow {
        let most = self.settings.listen.max_recipients;
        let Some(transaction) = &mut self.transaction else {
            return self.fault("503 5.5.1 say MAIL first");
        };
        if path.parameters().next().is_some() {
            return self.fault("555 5.5.4 RCPT has no parameters here");
        }
        let reply = match refusal(path.address, transaction.utf8, "5.1.3") {
            Err(reply) => reply,
            Ok(()) if transaction.recipients.len() >= most => {
                format!("452 4.5.3 {most} recipients are the most that a message may have here")
            }
            Ok(()) => {
                transaction.recipients.push(path.address.to_owned());
                "250 2.1.5 ok".to_owned()
            }
        };
        self.say(&reply);
        GO_ON
    }

    fn too_large(&self) -> String {
        let most = self.settings.listen.max_size;
        format!("552 5.3.4 the message is too large: {most} bytes are the most")
    }
}

/// Why an address cannot stand in an envelope.
fn refusal(address: &str, utf8: bool, code: &str) -> Result<(), String> {
    if !utf8 && !address.is_ascii() {
        return Err("553 5.6.7 say SMTPUTF8 with MAIL for addresses beyond ASCII".to_owned());
    }
    match address.parse::<Address>() {
        Ok(_) => Ok(()),
        Err(_) => Err(format!(
            "553 {code} this is no address that mail can go to, such as april@example.com"
        )),
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock
    )
}
