//! How we show the server who we are (RFC 4954). What is secret goes out here and nowhere into a record.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lettre::transport::smtp::authentication::{self, Mechanism};

use super::{
    connection::Connection,
    failure::Phase,
    opening::OpenError,
    settings::{Credentials, Proof, TokenCommand},
    token::{TokenError, Tokens},
    transcript::Transcript,
};
use crate::backend::secret::{Secret, SecretError, SecretSource};

/// Why we could not even say who we are.
#[derive(Debug, thiserror::Error)]
enum AuthFault {
    #[error("the server offers neither AUTH PLAIN nor AUTH LOGIN")]
    NoMechanism,
    #[error("the server does not offer AUTH XOAUTH2, which token_command is for")]
    NoXoauth2,
    #[error(transparent)]
    Secret(SecretError),
    #[error(transparent)]
    Token(TokenError),
}

fn login(username: &str, secret: &Secret) -> authentication::Credentials {
    authentication::Credentials::new(username.to_owned(), secret.expose().to_owned())
}

impl Connection {
    pub(super) fn authenticate(
        &mut self,
        credentials: &Credentials,
        tokens: &Tokens,
        limit: Duration,
        transcript: &mut Transcript,
    ) -> Result<(), OpenError> {
        let username = &credentials.username;
        match &credentials.proof {
            Proof::Password(source) => self.by_password(username, source, limit, transcript),
            Proof::Token(command) => self.by_token(username, command, tokens, limit, transcript),
        }
    }

    /// By PLAIN where offered, else LOGIN.
    fn by_password(
        &mut self,
        username: &str,
        source: &SecretSource,
        limit: Duration,
        transcript: &mut Transcript,
    ) -> Result<(), OpenError> {
        let failed = |fault| OpenError::new(Phase::Auth, fault);
        let secret = source
            .read()
            .map_err(|error| failed(AuthFault::Secret(error)))?;
        let login = login(username, &secret);
        // The words are asked for one by one; LOGIN's prompts differ from server to server, their order does not.
        let (mechanism, prompts): (_, &[Option<&str>]) = if self.features.plain {
            (Mechanism::Plain, &[None])
        } else if self.features.login {
            (Mechanism::Login, &[Some("Username"), Some("Password")])
        } else {
            return Err(failed(AuthFault::NoMechanism));
        };
        let mut hidden = vec![secret.expose().to_owned()];
        let mut words = Vec::new();
        for prompt in prompts {
            let word = mechanism
                .response(&login, *prompt)
                .map_err(|error| OpenError::new(Phase::Auth, error))?;
            let word = STANDARD.encode(word);
            hidden.push(word.clone());
            words.push(word);
        }
        hidden.push(STANDARD.encode(secret.expose()));

        let (mut line, mut shown, rest) = if mechanism == Mechanism::Plain {
            let line = format!("AUTH PLAIN {}", words.concat());
            (line, "AUTH PLAIN [hidden]", &[][..])
        } else {
            ("AUTH LOGIN".to_owned(), "AUTH LOGIN", &words[..])
        };
        let mut rest = rest.iter();
        loop {
            transcript.client(shown.as_bytes());
            let mut reply = self
                .exchange(&line, limit)
                .map_err(|error| OpenError::new(Phase::Auth, error))?;
            for word in &hidden {
                reply.hide(word);
            }
            transcript.server(&reply);
            match (reply.code(), rest.next()) {
                (235, None) => return Ok(()),
                (334, Some(word)) => {
                    line.clone_from(word);
                    shown = "[hidden]";
                }
                _ => return Err(OpenError::login(reply, false)),
            }
        }
    }

    /// By XOAUTH2, as Google and Microsoft have it.
    fn by_token(
        &mut self,
        username: &str,
        command: &TokenCommand,
        tokens: &Tokens,
        limit: Duration,
        transcript: &mut Transcript,
    ) -> Result<(), OpenError> {
        let failed = |fault| OpenError::new(Phase::Auth, fault);
        let broken = |error| OpenError::new(Phase::Auth, error);
        if !self.features.xoauth2 {
            return Err(failed(AuthFault::NoXoauth2));
        }
        let token = tokens.get(command, limit).map_err(|error| {
            if let Some(said) = error.said() {
                transcript.remark(said);
            }
            failed(AuthFault::Token(error))
        })?;
        let word = Mechanism::Xoauth2
            .response(&login(username, &token.secret), None)
            .map_err(|error| OpenError::new(Phase::Auth, error))?;
        let word = STANDARD.encode(word);
        transcript.client(b"AUTH XOAUTH2 [hidden]");
        let mut reply = self
            .exchange(&format!("AUTH XOAUTH2 {word}"), limit)
            .map_err(broken)?;
        if reply.code() == 334 {
            // Why it refuses, in base64; it wants an empty answer before it says so in SMTP. What it repeats of the token stands in it encoded.
            let why = reply.lines().collect::<String>();
            let why = STANDARD.decode(why.trim()).unwrap_or_default();
            let why = String::from_utf8_lossy(&why).replace(token.secret.expose(), "[hidden]");
            let why: String = why.chars().take(LONGEST_REASON).collect();
            transcript.remark(&format!("334, decoded: {why}"));
            transcript.client(b"[an empty line]");
            reply = self.exchange("", limit).map_err(broken)?;
        }
        for secret in [token.secret.expose(), &word] {
            reply.hide(secret);
        }
        transcript.server(&reply);
        if reply.code() == 235 {
            return Ok(());
        }
        if reply.is_permanent() {
            tokens.forget(&token.secret);
        }
        Err(OpenError::login(reply, !token.fresh))
    }
}

/// Of what a server says about a refused token so many letters are kept.
const LONGEST_REASON: usize = 500;
