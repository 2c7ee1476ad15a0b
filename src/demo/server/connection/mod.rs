//! One SMTP conversation, from the connection to its end.
//!
//! Made for speed where the script has nothing to say: whatever has arrived is answered in one write, and the ledger is locked once per write.

mod commands;
mod message;

use std::{
    borrow::Cow,
    io::{self, Read as _, Write},
    mem,
    net::{Shutdown, TcpStream},
    ops::{ControlFlow, Range},
    sync::Arc,
    time::{Duration, Instant},
};

use commands::decoded;
use memchr::memchr;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::{
    Action, Event, Extension, Phase, Shared,
    action::{Say, Then, Wait},
    ledger::News,
    script::Tls,
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

    fn secure(&mut self, config: &Arc<ServerConfig>) -> Flow {
        let Ok(session) = ServerConnection::new(Arc::clone(config)) else {
            return ControlFlow::Break(End);
        };
        self.stream = Stream::Tls(Box::new(StreamOwned::new(session, self.socket)));
        ControlFlow::Continue(())
    }

    fn is_secure(&self) -> bool {
        matches!(self.stream, Stream::Tls(_))
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
            let who = match event.phase {
                Phase::Dot if !event.uid.is_empty() => event.uid.to_owned(),
                _ => event.recipient.unwrap_or_default().to_lowercase(),
            };
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
