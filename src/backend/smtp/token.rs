//! The tokens that a program gets for us (OAuth 2.0), used until they are too old or refused.

use std::{
    io,
    process::Stdio,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::settings::TokenCommand;
use crate::backend::{
    program::{self, End, NoProgram},
    secret::Secret,
};

/// The token of one backend: all its connections use the same.
#[derive(Debug, Default)]
pub(super) struct Tokens(Mutex<Option<(Secret, Instant)>>);

/// A token to authenticate with.
pub(super) struct Token {
    pub(super) secret: Secret,
    /// It was got just now; one that was not may be too old, whatever its lifetime.
    pub(super) fresh: bool,
}

/// No token could be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum TokenError {
    #[error("token_command: {0}")]
    NoProgram(NoProgram),
    #[error("the program that token_command names could not be started")]
    Start(#[source] io::Error),
    #[error("the program that token_command names {end}{}", last.as_ref().map(|last| format!(": {last}")).unwrap_or_default())]
    Failed {
        end: End,
        last: Option<String>,
        said: String,
    },
    #[error(
        "the program that token_command names printed no token: one line without spaces is wanted, and nothing else (what it printed is not shown)"
    )]
    NoToken,
}

impl TokenError {
    /// What the program complained about; never what it printed for us.
    pub(super) fn said(&self) -> Option<&str> {
        match self {
            Self::Failed { said, .. } => Some(said).filter(|said| !said.is_empty()),
            _ => None,
        }
        .map(String::as_str)
    }
}

impl Tokens {
    /// The token there is, else a new one. Connections that open at once wait for the one that asks.
    pub(super) fn get(&self, command: &TokenCommand, limit: Duration) -> Result<Token, TokenError> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((secret, since)) = &*kept
            && since.elapsed() < command.lifetime
        {
            return Ok(Token {
                secret: secret.clone(),
                fresh: false,
            });
        }
        *kept = None;
        let secret = ask(command, limit)?;
        *kept = Some((secret.clone(), Instant::now()));
        Ok(Token {
            secret,
            fresh: true,
        })
    }

    /// The server refused this one.
    pub(super) fn forget(&self, refused: &Secret) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.as_ref().is_some_and(|(secret, _)| secret == refused) {
            *kept = None;
        }
    }
}

fn ask(command: &TokenCommand, limit: Duration) -> Result<Secret, TokenError> {
    let path = program::find(&command.program).map_err(TokenError::NoProgram)?;
    let ran =
        program::run(&path, &command.args, Stdio::null(), limit).map_err(TokenError::Start)?;
    if !matches!(ran.end, End::Code(0)) {
        return Err(TokenError::Failed {
            last: ran.stderr.last_line(),
            said: ran.stderr.text(),
            end: ran.end,
        });
    }
    let printed = ran.stdout.text();
    let token = printed.trim();
    let sound = ran.stdout.left_out == 0
        && !token.is_empty()
        && token.bytes().all(|byte| byte.is_ascii_graphic());
    if sound {
        Ok(Secret::from(token.to_owned()))
    } else {
        Err(TokenError::NoToken)
    }
}
