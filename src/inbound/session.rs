//! One SMTP conversation with a client that hands messages over, from the greeting to its end (RFC 5321, RFC 6409).
//!
//! Whatever has arrived is answered in one write (RFC 2920 3.2). A message is acknowledged when the store has it durably, and not before.

use std::{
    io,
    net::IpAddr,
    ops::{ControlFlow, Range},
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::Utc;
use lettre::Address;
use memchr::memchr;

use super::{
    Intake, Settings, auth,
    command::{self, Command, Path, Wrong},
    data::{Data, Fault},
    place::{Closing, Phase, Place},
    wire::Wire,
};
use crate::{
    message::{DisplayText, Envelope, Submission},
    store::{Receipt, StoreError},
};

/// What is read at once.
const INPUT: usize = 16 << 10;
/// A command may be this long: RFC 5321 4.5.3.1.4 and 4.5.3.1.5 ask for 512 bytes at least and every extension adds some.
const LONGEST_COMMAND: usize = 2 << 10;
/// An answer of AUTH may be this long (RFC 4954 4).
const LONGEST_ANSWER: usize = 12 << 10;
/// So many commands that are none end the conversation.
const MOST_FAULTS: usize = 20;
/// And so many passwords that are wrong; each costs this much time.
const MOST_GUESSES: usize = 3;
const GUESS: Duration = Duration::from_secs(1);
/// How long a reply may take to be taken.
const WRITE: Duration = Duration::from_secs(60);
/// Progress of a message is noted by so many bytes, and memory asked for by so many.
const STEP: usize = 64 << 10;

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

    /// A password comes over the machine's own network, or encrypted, or not at all.
    fn may_log_in(&self) -> bool {
        let own = self
            .peer
            .is_some_and(|peer| peer.to_canonical().is_loopback());
        !self.settings.listen.users.is_empty()
            && self.user.is_none()
            && (own || self.wire.is_encrypted())
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

    fn login(&mut self, mechanism: &str, initial: Option<&str>) -> Flow {
        if self.settings.listen.users.is_empty() {
            return self.fault("502 5.5.1 nobody has to log in here");
        }
        if self.user.is_some() || self.transaction.is_some() || !self.greeted {
            return self.fault("503 5.5.1 log in once, after EHLO and before MAIL");
        }
        if !self.may_log_in() {
            return self.fault("538 5.7.11 say STARTTLS first");
        }
        let (user, password) = if mechanism.eq_ignore_ascii_case("PLAIN") {
            let message = match initial {
                Some(initial) => auth::decoded(initial.as_bytes()),
                None => self.answer("")?,
            };
            let parts = message.as_deref().and_then(auth::plain);
            let Some((user, password)) = parts else {
                return self.fault("501 5.5.2 this is no answer of AUTH PLAIN");
            };
            (user.to_vec(), password.to_vec())
        } else if mechanism.eq_ignore_ascii_case("LOGIN") {
            let user = match initial {
                Some(initial) => auth::decoded(initial.as_bytes()),
                None => self.answer("Username:")?,
            };
            let password = match user {
                Some(_) => self.answer("Password:")?,
                None => None,
            };
            let (Some(user), Some(password)) = (user, password) else {
                return self.fault("501 5.5.2 this is no answer of AUTH LOGIN");
            };
            (user, password)
        } else {
            return self.fault("504 5.5.4 PLAIN and LOGIN are what there is");
        };
        match auth::check(&self.settings.listen.users, &user, &password) {
            Ok(Some(user)) => {
                self.user = Some(user.to_owned());
                self.say("235 2.7.0 welcome");
                GO_ON
            }
            Ok(None) => self.wrong_password(),
            Err(error) => {
                let error = anyhow::Error::from(error);
                tracing::error!("nobody can log in: {error:#}");
                self.say("454 4.7.0 passwords cannot be looked up now, try later");
                GO_ON
            }
        }
    }

    fn wrong_password(&mut self) -> Flow {
        // What was given as a name can be a password as well: it is not written down.
        tracing::warn!(peer = ?self.peer, "a client gave a wrong user or password");
        self.place.pause(GUESS);
        self.guesses += 1;
        if self.guesses >= MOST_GUESSES {
            self.say("421 4.7.0 too many wrong passwords");
            return ControlFlow::Break(End);
        }
        self.say("535 5.7.8 wrong user or password");
        GO_ON
    }

    /// What a client answers to a question of AUTH; `None`: it gave up, or this is no answer.
    fn answer(&mut self, question: &str) -> Flow<Option<Vec<u8>>> {
        let question = STANDARD.encode(question);
        self.say(&format!("334 {question}"));
        let line = self.line(LONGEST_ANSWER)?;
        ControlFlow::Continue(line.and_then(|line| auth::decoded(&line)))
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

    fn data(&mut self) -> Flow {
        match &self.transaction {
            None => return self.fault("503 5.5.1 say MAIL first"),
            Some(transaction) if transaction.recipients.is_empty() => {
                self.say("554 5.5.1 no recipient was accepted");
                return GO_ON;
            }
            Some(_) => {}
        }
        self.say("354 end with a dot");
        let message = self.message()?;
        if let Some(transaction) = self.transaction.take() {
            let reply = match message {
                Ok(message) => self.store(message, transaction),
                Err(Fault::TooLarge) => self.too_large(),
                Err(Fault::Nul) => {
                    "554 5.6.0 the message has a NUL in it, which no mail may have".to_owned()
                }
                Err(Fault::NoRoom) => {
                    "452 4.3.1 too many messages come at once, try later".to_owned()
                }
            };
            self.place.release();
            self.say(&reply);
            // Nobody is kept waiting for it because more has come.
            self.flush()?;
        }
        GO_ON
    }

    fn too_large(&self) -> String {
        let most = self.settings.listen.max_size;
        format!("552 5.3.4 the message is too large: {most} bytes are the most")
    }

    /// Reads up to the end of the message.
    fn message(&mut self) -> Flow<Result<Vec<u8>, Fault>> {
        let deadline = Instant::now() + self.settings.listen.message_timeout;
        let mut data = Data::new(self.settings.listen.max_size);
        let mut unnoted = 0;
        self.place.is(Phase::Sends);
        loop {
            let (used, ended) = data.take(&self.input[self.unread.clone()]);
            self.unread.start += used;
            if ended {
                return ControlFlow::Continue(data.finish());
            }
            unnoted += used;
            if unnoted >= STEP {
                unnoted = 0;
                self.place.is(Phase::Sends);
            }
            if !self.place.reserve(data.size().next_multiple_of(STEP)) {
                data.give_up(Fault::NoRoom);
            }
            self.flush()?;
            self.read(deadline)?;
        }
    }

    /// Stores a message, and says what is to be answered.
    fn store(&self, message: Vec<u8>, transaction: Transaction) -> String {
        self.place.is(Phase::Stores);
        let sender = Some(transaction.sender.clone()).filter(|sender| !sender.is_empty());
        let envelope = Envelope {
            from: sender.or_else(|| self.settings.from.clone()),
            sender: Some(transaction.sender),
            recipients: transaction.recipients,
            created_by: self.user.clone(),
        };
        let submission =
            match Submission::of_mail(message, envelope, &self.settings.defaults, Utc::now()) {
                Ok(submission) => submission,
                Err(error) => return format!("554 5.6.0 {error}"),
            };
        match self.intake.take(submission) {
            Ok(Receipt::Stored { message, .. }) => format!("250 2.0.0 stored as message {message}"),
            Ok(Receipt::Already { message, .. }) => {
                format!("250 2.0.0 it is there already, as message {message}")
            }
            Ok(Receipt::Conflict { message, .. }) => format!(
                "554 5.6.0 message {message} has this X-Postroom-Key and says something else"
            ),
            Err(error) => {
                tracing::error!(%error, "a message was not taken over");
                match *error {
                    StoreError::Full(_) => "452 4.3.1 the disk is full, try later".to_owned(),
                    _ => "451 4.3.0 the store cannot take it now, try later".to_owned(),
                }
            }
        }
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
