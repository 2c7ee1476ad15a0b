use std::ops::ControlFlow;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    super::{Extension, Phase, script::Tls},
    Connection, Envelope, Flow, Mode, halves, split_word,
};

impl Connection<'_> {
    pub(super) fn command(&mut self, line: &[u8]) -> Flow {
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
    pub(super) fn auth_plain(&mut self, answer: &[u8]) -> Flow {
        let answer = decoded(answer);
        let mut parts = answer.split(|byte| *byte == 0).skip(1);
        let user = parts.next().unwrap_or_default().to_vec();
        self.auth_ends(&user, parts.next().unwrap_or_default())
    }

    pub(super) fn auth_ends(&mut self, user: &[u8], password: &[u8]) -> Flow {
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
pub(super) fn decoded(answer: &[u8]) -> Vec<u8> {
    STANDARD.decode(answer.trim_ascii()).unwrap_or_default()
}
