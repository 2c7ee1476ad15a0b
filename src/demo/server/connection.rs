//! One SMTP conversation, from the connection to its end.
//!
//! Made for speed where the script has nothing to say: whatever has arrived is answered in one write, and the ledger is locked once per write.

use std::{
    borrow::Cow,
    io::{self, Read as _, Write},
    mem,
    net::{Shutdown, TcpStream},
    ops::{ControlFlow, Range},
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use memchr::{memchr, memmem};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::{
    Action, Entry, Event, Extension, Phase, Shared,
    ledger::News,
    script::{Keep, Say, Then, Tls, Wait},
};

const INPUT: usize = 64 << 10;
/// A command longer than this ends the connection; RFC 5321 section 4.5.3.1.4 asks for 512 bytes at least.
const LONGEST_LINE: usize = 64 << 10;
/// How long a closed connection still reads what is under way: closing over unread bytes would reset it and destroy our last reply.
const LINGER: Duration = Duration::from_secs(1);

/// The connection is over.
struct End;

type Flow<T = ()> = ControlFlow<End, T>;

/// Talks on this connection until it ends.
pub(super) fn serve(shared: &Shared, id: u64, socket: &TcpStream) {
    // Replies are whole when they are written; waiting for more would only cost time.
    drop(socket.set_nodelay(true));
    let mut connection = Connection {
        shared,
        id,
        socket,
        stream: Stream::Plain(socket),
        input: vec![0; INPUT],
        unread: 0..0,
        out: Vec::with_capacity(4096),
        line: Vec::new(),
        news: News::default(),
        mode: Mode::Command,
        refused: false,
        greeted: false,
        authenticated: shared.script.login.is_none(),
        envelope: None,
    };
    let _: Flow = connection.talk();
    connection.commit();
}

enum Stream<'a> {
    Plain(&'a TcpStream),
    Tls(Box<StreamOwned<ServerConnection, &'a TcpStream>>),
}

impl Stream<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(into),
            Self::Tls(stream) => stream.read(into),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes),
            Self::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        }
    }
}

/// What the next bytes are.
enum Mode {
    Command,
    /// A message, of which so many bytes are known to hold no end.
    Message(usize),
    /// The answer to `AUTH PLAIN`.
    Plain,
    /// The user of `AUTH LOGIN`.
    User,
    /// The password of `AUTH LOGIN`, after this user.
    Password(Vec<u8>),
}

struct Envelope {
    transaction: u64,
    sender: Arc<str>,
    recipients: Vec<String>,
    /// `BODY=8BITMIME` was declared.
    eight_bit: bool,
    /// `SMTPUTF8` was declared.
    utf8: bool,
}

struct Connection<'a> {
    shared: &'a Shared,
    id: u64,
    socket: &'a TcpStream,
    stream: Stream<'a>,
    input: Vec<u8>,
    /// The part of `input` that was not looked at yet.
    unread: Range<usize>,
    /// Replies that wait to be written.
    out: Vec<u8>,
    /// The command at hand: kept to save an allocation per line.
    line: Vec<u8>,
    news: News,
    mode: Mode,
    /// The greeting was a refusal: only QUIT is left (RFC 5321 section 3.1).
    refused: bool,
    greeted: bool,
    authenticated: bool,
    envelope: Option<Envelope>,
}

impl Connection<'_> {
    fn talk(&mut self) -> Flow {
        if !self.decide(Phase::Connect, b"", None, b"")? {
            return self.close();
        }
        if let Tls::Implicit(config) = &self.shared.script.tls {
            self.secure(config)?;
        }
        let greeting = format!("220 {} ESMTP\r\n", self.shared.script.name);
        self.refused = !self.decide(Phase::Greeting, b"", None, greeting.as_bytes())?;
        self.flush()?;
        loop {
            self.read()?;
            while self.step()? {}
            self.flush()?;
        }
    }

    /// Reads once, as much as there is.
    fn read(&mut self) -> Flow {
        if self.unread.is_empty() {
            self.unread = 0..0;
        } else if self.unread.end == self.input.len() {
            if self.unread.start > 0 {
                self.input.copy_within(self.unread.clone(), 0);
                self.unread = 0..self.unread.len();
            } else {
                self.input.resize(self.input.len() * 2, 0);
            }
        }
        match self.stream.read(&mut self.input[self.unread.end..]) {
            Ok(0) => ControlFlow::Break(End),
            Ok(read) => {
                self.unread.end += read;
                self.news.received += read as u64;
                ControlFlow::Continue(())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(End),
        }
    }

    /// Answers one command or one message; `false` when more bytes are needed.
    fn step(&mut self) -> Flow<bool> {
        if let Mode::Message(searched) = self.mode {
            return self.message(searched);
        }
        let waiting = &self.input[self.unread.clone()];
        let Some(length) = memchr(b'\n', waiting) else {
            if waiting.len() > LONGEST_LINE {
                self.tell(b"500 5.5.2 line too long\r\n");
                self.close()?;
            }
            return ControlFlow::Continue(false);
        };
        let mut line = mem::take(&mut self.line);
        line.clear();
        line.extend_from_slice(
            waiting[..length]
                .strip_suffix(b"\r")
                .unwrap_or(&waiting[..length]),
        );
        self.unread.start += length + 1;
        self.note("C: ", &line);
        let flow = match mem::replace(&mut self.mode, Mode::Command) {
            Mode::Command | Mode::Message(_) => self.command(&line),
            Mode::Plain => self.auth_plain(&line),
            Mode::User => {
                self.mode = Mode::Password(decoded(&line));
                self.tell(b"334 UGFzc3dvcmQ6\r\n");
                ControlFlow::Continue(())
            }
            Mode::Password(user) => self.auth_ends(&user, &decoded(&line)),
        };
        self.line = line;
        flow?;
        if !self.unread.is_empty() {
            match self.mode {
                Mode::Message(_) => self.violation("bytes came behind DATA before its reply"),
                _ if !self.shared.script.offers(Extension::Pipelining) => {
                    self.violation("pipelined, though that was not offered");
                }
                _ => {}
            }
        }
        ControlFlow::Continue(true)
    }

    fn command(&mut self, line: &[u8]) -> Flow {
        let (verb, rest) = split_word(line);
        let is = |name: &str| verb.eq_ignore_ascii_case(name.as_bytes());
        if is("QUIT") {
            if self.decide(Phase::Quit, line, None, b"221 2.0.0 bye\r\n")? {
                return self.close();
            }
        } else if self.refused {
            self.tell(b"503 5.5.1 there is no service here\r\n");
        } else if is("MAIL") {
            self.mail(line, rest)?;
        } else if is("RCPT") {
            self.rcpt(line, rest)?;
        } else if is("DATA") {
            self.data(line)?;
        } else if is("EHLO") || is("HELO") {
            self.ehlo(line, is("EHLO"))?;
        } else if is("RSET") {
            if self.decide(Phase::Rset, line, None, b"250 2.0.0 forgotten\r\n")? {
                self.envelope = None;
            }
        } else if is("NOOP") {
            self.tell(b"250 2.0.0 still here\r\n");
        } else if is("STARTTLS") {
            self.starttls(line)?;
        } else if is("AUTH") {
            self.auth(line, rest)?;
        } else {
            self.tell(b"500 5.5.2 unknown command\r\n");
        }
        ControlFlow::Continue(())
    }

    fn ehlo(&mut self, line: &[u8], extended: bool) -> Flow {
        let script = &self.shared.script;
        let mut words = vec![script.name.clone()];
        if extended {
            for extension in &script.offered {
                words.push(match extension {
                    Extension::Size => format!("SIZE {}", script.max_size),
                    other => other.keyword().to_owned(),
                });
            }
            if self.wants_tls() {
                words.push("STARTTLS".to_owned());
            } else if script.login.is_some() {
                words.push("AUTH PLAIN LOGIN".to_owned());
            }
        }
        let mut usual = format!("250-{}\r\n", words.join("\r\n250-"));
        if let Some(last) = usual.rfind("250-") {
            usual.replace_range(last + 3..last + 4, " ");
        }
        if self.decide(Phase::Ehlo, line, None, usual.as_bytes())? {
            self.greeted = true;
            self.envelope = None;
        }
        ControlFlow::Continue(())
    }

    /// STARTTLS is wanted and was not used yet.
    fn wants_tls(&self) -> bool {
        matches!(self.shared.script.tls, Tls::Start(_)) && !self.is_secure()
    }

    fn is_secure(&self) -> bool {
        matches!(self.stream, Stream::Tls(_))
    }

    fn starttls(&mut self, line: &[u8]) -> Flow {
        let Tls::Start(config) = &self.shared.script.tls else {
            self.tell(b"502 5.5.1 no TLS here\r\n");
            return ControlFlow::Continue(());
        };
        if self.is_secure() {
            self.tell(b"503 5.5.1 TLS is on already\r\n");
        } else if self.decide(Phase::StartTls, line, None, b"220 2.0.0 go ahead\r\n")? {
            self.flush()?;
            if !self.unread.is_empty() {
                // Believing them inside TLS would be command injection.
                self.violation("bytes came in clear behind STARTTLS");
                self.unread = 0..0;
            }
            self.secure(config)?;
            self.greeted = false;
        }
        ControlFlow::Continue(())
    }

    fn secure(&mut self, config: &Arc<ServerConfig>) -> Flow {
        let Ok(session) = ServerConnection::new(Arc::clone(config)) else {
            return ControlFlow::Break(End);
        };
        self.stream = Stream::Tls(Box::new(StreamOwned::new(session, self.socket)));
        ControlFlow::Continue(())
    }

    fn auth(&mut self, line: &[u8], rest: &[u8]) -> Flow {
        if self.shared.script.login.is_none() || self.wants_tls() {
            self.tell(b"503 5.5.1 no AUTH here\r\n");
            return ControlFlow::Continue(());
        }
        if let Some(action) = self.ask(Phase::Auth, line, None) {
            self.authenticated |= self.act(&action, b"235 2.7.0 welcome\r\n")?;
            return ControlFlow::Continue(());
        }
        let (mechanism, initial) = split_word(rest);
        if mechanism.eq_ignore_ascii_case(b"PLAIN") {
            if !initial.is_empty() {
                return self.auth_plain(initial);
            }
            self.mode = Mode::Plain;
            self.tell(b"334 \r\n");
        } else if mechanism.eq_ignore_ascii_case(b"LOGIN") {
            if initial.is_empty() {
                self.mode = Mode::User;
                self.tell(b"334 VXNlcm5hbWU6\r\n");
            } else {
                self.mode = Mode::Password(decoded(initial));
                self.tell(b"334 UGFzc3dvcmQ6\r\n");
            }
        } else {
            self.tell(b"504 5.5.4 unknown mechanism\r\n");
        }
        ControlFlow::Continue(())
    }

    /// RFC 4616: authorization identity, NUL, user, NUL, password.
    fn auth_plain(&mut self, answer: &[u8]) -> Flow {
        let answer = decoded(answer);
        let mut parts = answer.split(|byte| *byte == 0).skip(1);
        let user = parts.next().unwrap_or_default().to_vec();
        self.auth_ends(&user, parts.next().unwrap_or_default())
    }

    fn auth_ends(&mut self, user: &[u8], password: &[u8]) -> Flow {
        let right =
            self.shared.script.login.as_ref().is_some_and(|wanted| {
                (wanted.0.as_bytes(), wanted.1.as_bytes()) == (user, password)
            });
        self.authenticated |= right;
        self.tell(if right {
            b"235 2.7.0 welcome\r\n"
        } else {
            b"535 5.7.8 wrong user or password\r\n"
        });
        ControlFlow::Continue(())
    }

    fn mail(&mut self, line: &[u8], rest: &[u8]) -> Flow {
        let script = &self.shared.script;
        if !self.greeted {
            self.tell(b"503 5.5.1 say EHLO first\r\n");
        } else if self.wants_tls() {
            self.tell(b"530 5.7.0 say STARTTLS first\r\n");
        } else if !self.authenticated {
            self.tell(b"530 5.7.0 authentication required\r\n");
        } else if self.envelope.is_some() {
            self.tell(b"503 5.5.1 a transaction is open already\r\n");
        } else if let Some((sender, parameters)) = path(rest, b"FROM:") {
            let mut eight_bit = false;
            let mut utf8 = false;
            let mut size = 0;
            for parameter in parameters.split(u8::is_ascii_whitespace) {
                let (name, value) = halves(parameter, b'=');
                let is = |name_of: &str| name.eq_ignore_ascii_case(name_of.as_bytes());
                if is("BODY") && script.offers(Extension::EightBitMime) {
                    eight_bit = value.eq_ignore_ascii_case(b"8BITMIME");
                } else if is("SMTPUTF8") && script.offers(Extension::SmtpUtf8) {
                    utf8 = true;
                } else if is("SIZE") && script.offers(Extension::Size) {
                    size = String::from_utf8_lossy(value).parse().unwrap_or(usize::MAX);
                } else if !name.is_empty() {
                    self.violation("MAIL with a parameter that was not offered");
                    self.tell(b"555 5.5.4 unknown parameter\r\n");
                    return ControlFlow::Continue(());
                }
            }
            if size > script.max_size {
                self.tell(b"552 5.3.4 message too large\r\n");
            } else if !sender.is_ascii() && !utf8 {
                self.tell(b"553 5.6.7 address needs SMTPUTF8\r\n");
            } else {
                let transaction = self.shared.state().begin_transaction();
                self.envelope = Some(Envelope {
                    transaction,
                    sender: String::from_utf8_lossy(sender).into(),
                    recipients: Vec::new(),
                    eight_bit,
                    utf8,
                });
                if self.decide(Phase::Mail, line, None, b"250 2.1.0 ok\r\n")? {
                    self.news.transactions += 1;
                } else {
                    self.envelope = None;
                }
            }
        } else {
            self.tell(b"501 5.5.4 MAIL FROM:<address>\r\n");
        }
        ControlFlow::Continue(())
    }

    fn rcpt(&mut self, line: &[u8], rest: &[u8]) -> Flow {
        let Some(envelope) = &self.envelope else {
            self.tell(b"503 5.5.1 say MAIL first\r\n");
            return ControlFlow::Continue(());
        };
        let Some((recipient, _)) = path(rest, b"TO:").filter(|(path, _)| !path.is_empty()) else {
            self.tell(b"501 5.5.4 RCPT TO:<address>\r\n");
            return ControlFlow::Continue(());
        };
        if !recipient.is_ascii() && !envelope.utf8 {
            self.tell(b"553 5.6.7 address needs SMTPUTF8\r\n");
        } else if envelope.recipients.len() >= self.shared.script.max_recipients {
            self.tell(b"452 4.5.3 too many recipients\r\n");
        } else {
            let recipient = String::from_utf8_lossy(recipient).into_owned();
            if self.decide(Phase::Rcpt, line, Some(&recipient), b"250 2.1.5 ok\r\n")?
                && let Some(envelope) = &mut self.envelope
            {
                envelope.recipients.push(recipient);
            }
        }
        ControlFlow::Continue(())
    }

    fn data(&mut self, line: &[u8]) -> Flow {
        let Some(envelope) = &self.envelope else {
            self.tell(b"503 5.5.1 say MAIL first\r\n");
            return ControlFlow::Continue(());
        };
        let nobody = envelope.recipients.is_empty();
        let accepted = match self.ask(Phase::Data, line, None) {
            Some(action) => self.act(&action, b"354 end with a dot\r\n")?,
            None if nobody => {
                self.tell(b"554 5.5.1 no valid recipients\r\n");
                false
            }
            None => {
                self.tell(b"354 end with a dot\r\n");
                true
            }
        };
        if accepted {
            self.mode = Mode::Message(0);
        }
        ControlFlow::Continue(())
    }

    /// Looks for the end of the message and answers it. The whole message stays in `input` until then, which makes an end that is cut by a
    /// read nothing special.
    fn message(&mut self, searched: usize) -> Flow<bool> {
        let waiting = &self.input[self.unread.clone()];
        // The CRLF that ends the DATA line counts for an empty message (RFC 5321 section 4.1.1.4).
        let (length, end) = if waiting.starts_with(b".\r\n") {
            (0, 3)
        } else {
            // Up to four bytes of an end may have been there before.
            let from = searched.saturating_sub(4);
            let Some(at) = memmem::find(&waiting[from..], b"\r\n.\r\n") else {
                self.mode = Mode::Message(waiting.len());
                return ControlFlow::Continue(false);
            };
            (from + at + 2, from + at + 5)
        };
        let message = self.unread.start..self.unread.start + length;
        self.unread.start += end;
        self.mode = Mode::Command;
        let envelope = self.envelope.take();
        if let Some(envelope) = envelope {
            self.end_of_message(message, envelope)?;
        }
        ControlFlow::Continue(true)
    }

    fn end_of_message(&mut self, message: Range<usize>, envelope: Envelope) -> Flow {
        self.news.met[Phase::Dot as usize] += 1;
        let script = &self.shared.script;
        let bytes = &self.input[message];
        if !bytes.is_ascii() && !envelope.eight_bit {
            self.news
                .violations
                .push("8-bit bytes in a message that was not declared 8BITMIME".to_owned());
        }
        let uid = uid(bytes);
        let action = if script.has_rules() {
            self.shared.ask(&mut Event {
                phase: Phase::Dot,
                connection: self.id,
                transaction: envelope.transaction,
                line: bytes,
                sender: &envelope.sender,
                recipient: envelope.recipients.first().map(String::as_str),
                recipients: &envelope.recipients,
                uid: &uid,
                seen: 0,
            })
        } else {
            None
        };
        let action = action.unwrap_or_else(|| {
            if bytes.len() > script.max_size {
                Action::reply(552, "5.3.4", "message too large")
            } else if envelope.recipients.is_empty() {
                Action::reply(554, "5.5.1", "no valid recipients")
            } else {
                Action::accept()
            }
        });
        if script.transcripts {
            let told = format!("C: ({} bytes of message)\n", bytes.len());
            self.news.transcript.push_str(&told);
        }
        if action.accepts() && !envelope.recipients.is_empty() {
            self.news.messages += 1;
            self.news.accepted += envelope.recipients.len() as u64;
            if script.keep != Keep::Counts {
                let uid: Arc<str> = uid.into();
                let body = (script.keep == Keep::Bodies).then(|| unstuffed(bytes));
                let size = bytes.len();
                self.news
                    .entries
                    .extend(envelope.recipients.into_iter().map(|recipient| Entry {
                        uid: Arc::clone(&uid),
                        recipient,
                        sender: Arc::clone(&envelope.sender),
                        transaction: envelope.transaction,
                        connection: self.id,
                        size,
                        body: body.clone(),
                    }));
            }
        }
        let usual = format!("250 2.0.0 ok: queued as {:06X}\r\n", envelope.transaction);
        self.act(&action, usual.as_bytes())?;
        ControlFlow::Continue(())
    }

    /// Asks the script, does what it says, and tells whether that was acceptance.
    fn decide(
        &mut self,
        phase: Phase,
        line: &[u8],
        recipient: Option<&str>,
        usual: &[u8],
    ) -> Flow<bool> {
        if let Some(action) = self.ask(phase, line, recipient) {
            return self.act(&action, usual);
        }
        self.tell(usual);
        ControlFlow::Continue(true)
    }

    fn ask(&mut self, phase: Phase, line: &[u8], recipient: Option<&str>) -> Option<Action> {
        self.news.met[phase as usize] += 1;
        if !self.shared.script.has_rules() {
            return None;
        }
        let envelope = self.envelope.as_ref();
        let recipients = envelope.map_or(&[][..], |envelope| &envelope.recipients);
        self.shared.ask(&mut Event {
            phase,
            connection: self.id,
            transaction: envelope.map_or(0, |envelope| envelope.transaction),
            line,
            sender: envelope.map_or("", |envelope| &envelope.sender),
            recipient: recipient.or_else(|| {
                (phase == Phase::Data)
                    .then(|| recipients.first().map(String::as_str))
                    .flatten()
            }),
            recipients,
            uid: "",
            seen: 0,
        })
    }

    fn act(&mut self, action: &Action, usual: &[u8]) -> Flow<bool> {
        let bytes = match &action.say {
            Say::Usual => self.spoken(usual),
            Say::Bytes(bytes) => Cow::Borrowed(&**bytes),
            Say::DoneSilently => Cow::Borrowed(&b""[..]),
        };
        if action.is_plain() {
            self.push(&bytes);
            return ControlFlow::Continue(action.accepts());
        }
        if action.wait != Wait::No {
            self.flush()?;
            self.shared.withhold(action.wait);
        }
        if let Some(pause) = action.pace {
            for byte in bytes.iter() {
                self.flush()?;
                self.shared.pause(pause);
                self.push(&[*byte]);
            }
        } else {
            self.push(&bytes);
        }
        self.flush()?;
        match action.then {
            Then::GoOn => return ControlFlow::Continue(action.accepts()),
            Then::Close => self.close()?,
            // A linger of zero makes the close a reset.
            Then::Reset => {
                drop(socket2::SockRef::from(self.socket).set_linger(Some(Duration::ZERO)));
            }
            Then::Stall => self.drain(),
            Then::Deaf => self.shared.wait_until_stopped(),
        }
        ControlFlow::Break(End)
    }

    /// Ends the connection in order: what was said arrives.
    fn close<T>(&mut self) -> Flow<T> {
        self.flush()?;
        if let Stream::Tls(stream) = &mut self.stream {
            stream.conn.send_close_notify();
            drop(stream.flush());
        }
        drop(self.socket.shutdown(Shutdown::Write));
        drop(self.socket.set_read_timeout(Some(LINGER)));
        self.drain();
        ControlFlow::Break(End)
    }

    /// Reads and throws away until the other side has closed.
    fn drain(&mut self) {
        let mut socket = self.socket;
        while let Ok(1..) = socket.read(&mut self.input) {}
    }

    /// A reply of the server's own making.
    fn tell(&mut self, reply: &[u8]) {
        let reply = self.spoken(reply);
        self.push(&reply);
    }

    /// Without the enhanced code, where none was promised.
    fn spoken<'b>(&self, reply: &'b [u8]) -> Cow<'b, [u8]> {
        match reply.split_at_checked(4) {
            Some((code, [_, b'.', _, b'.', _, b' ', text @ ..]))
                if !self.shared.script.offers(Extension::EnhancedStatusCodes) =>
            {
                Cow::Owned([code, text].concat())
            }
            _ => Cow::Borrowed(reply),
        }
    }

    fn push(&mut self, reply: &[u8]) {
        if self.shared.script.transcripts {
            for line in reply.split_inclusive(|byte| *byte == b'\n') {
                self.note("S: ", line.trim_ascii_end());
            }
        }
        self.out.extend_from_slice(reply);
    }

    fn note(&mut self, who: &str, line: &[u8]) {
        if self.shared.script.transcripts {
            self.news.transcript.push_str(who);
            self.news
                .transcript
                .push_str(&String::from_utf8_lossy(line));
            self.news.transcript.push('\n');
        }
    }

    fn violation(&mut self, what: &str) {
        self.news
            .violations
            .push(format!("connection {}: {what}", self.id));
    }

    /// Writes the news down first, then what was to be said: nobody hears of an acceptance that is not in the ledger.
    fn flush(&mut self) -> Flow {
        self.commit();
        if self.out.is_empty() {
            return ControlFlow::Continue(());
        }
        let written = self.stream.write_all(&self.out);
        self.out.clear();
        match written {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(End),
        }
    }

    fn commit(&mut self) {
        let news = &mut self.news;
        self.shared.change(|state| state.ledger.take(self.id, news));
    }
}

impl Shared {
    fn ask(&self, event: &mut Event<'_>) -> Option<Action> {
        if self.script.needs_seen() {
            let who = event.recipient.unwrap_or_default().to_lowercase();
            let mut state = self.state();
            let seen = state.seen.entry((event.phase, who)).or_default();
            *seen += 1;
            event.seen = *seen;
        }
        self.script.decide(event)
    }

    /// Holds a reply back; a stopping server lets go of it.
    fn withhold(&self, wait: Wait) {
        self.change(|state| state.ledger.withheld += 1);
        let deadline = match wait {
            Wait::For(time) => Some(Instant::now() + time),
            Wait::No | Wait::Released => None,
        };
        let released = wait == Wait::Released;
        drop(self.wait_while(self.state(), deadline, |state| {
            !(state.stopped || released && state.released)
        }));
        self.change(|state| state.ledger.withheld -= 1);
    }

    fn pause(&self, time: Duration) {
        let deadline = Some(Instant::now() + time);
        drop(self.wait_while(self.state(), deadline, |state| !state.stopped));
    }

    fn wait_until_stopped(&self) {
        drop(self.wait_while(self.state(), None, |state| !state.stopped));
    }
}

impl super::State {
    fn begin_transaction(&mut self) -> u64 {
        self.next_transaction += 1;
        self.next_transaction
    }
}

fn split_word(line: &[u8]) -> (&[u8], &[u8]) {
    let (word, rest) = halves(line, b' ');
    (word, rest.trim_ascii())
}

fn halves(bytes: &[u8], at: u8) -> (&[u8], &[u8]) {
    match memchr(at, bytes) {
        Some(place) => (&bytes[..place], &bytes[place + 1..]),
        None => (bytes, b""),
    }
}

/// The address and the parameters of `FROM:<address> parameters`; an address may hold `>` inside quotes.
fn path<'a>(rest: &'a [u8], prefix: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let (named, rest) = rest.split_at_checked(prefix.len())?;
    if !named.eq_ignore_ascii_case(prefix) {
        return None;
    }
    let rest = rest.trim_ascii_start().strip_prefix(b"<")?;
    let mut quoted = false;
    let mut escaped = false;
    for (at, byte) in rest.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'>' if !quoted => return Some((&rest[..at], rest[at + 1..].trim_ascii())),
            _ => {}
        }
    }
    None
}

/// What was meant by an answer of AUTH; an initial response of `=` is the empty one (RFC 4954 section 4).
fn decoded(answer: &[u8]) -> Vec<u8> {
    STANDARD.decode(answer.trim_ascii()).unwrap_or_default()
}

/// The local part of the Message-ID, empty if there is none.
fn uid(message: &[u8]) -> String {
    const NAME: &[u8] = b"message-id:";
    let mut rest = message;
    while !rest.is_empty() && !rest.starts_with(b"\r\n") {
        if rest.len() > NAME.len() && rest[..NAME.len()].eq_ignore_ascii_case(NAME) {
            // The value may begin on the next line; it is short.
            let value = &rest[NAME.len()..rest.len().min(NAME.len() + 1000)];
            let id = halves(value, b'<').1;
            let id = halves(id, b'>').0;
            return String::from_utf8_lossy(halves(id, b'@').0).into_owned();
        }
        rest = halves(rest, b'\n').1;
    }
    String::new()
}

/// The message as it was meant: a dot at the beginning of a line was doubled on its way (RFC 5321 section 4.5.2).
fn unstuffed(wire: &[u8]) -> Arc<[u8]> {
    let mut message = Vec::with_capacity(wire.len());
    for line in wire.split_inclusive(|byte| *byte == b'\n') {
        message.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
    }
    message.into()
}
