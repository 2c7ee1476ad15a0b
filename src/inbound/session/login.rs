//! AUTH (RFC 4954): PLAIN and LOGIN.

use std::{ops::ControlFlow, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{End, Flow, GO_ON, Session};
use crate::inbound::auth;

/// An answer of AUTH may be this long (RFC 4954 4).
const LONGEST_ANSWER: usize = 12 << 10;
/// So many passwords that are wrong end the conversation; each costs this much time.
const MOST_GUESSES: usize = 3;
const GUESS: Duration = Duration::from_secs(1);

impl Session<'_> {
    /// A password comes over the machine's own network, or encrypted, or not at all.
    pub(super) fn may_log_in(&self) -> bool {
        let own = self
            .peer
            .is_some_and(|peer| peer.to_canonical().is_loopback());
        !self.settings.listen.users.is_empty()
            && self.user.is_none()
            && (own || self.wire.is_encrypted())
    }

    pub(super) fn login(&mut self, mechanism: &str, initial: Option<&str>) -> Flow {
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
}
