//! The `smtp` backend. The session is ours: MAIL, RCPT and DATA go out in one write where the server allows it, every reply is matched to its
//! command and every refusal to its receiver, the store is told before a message can be accepted, and what was said is kept for whoever
//! has to find out why. lettre contributes addresses, the AUTH mechanisms and the messages themselves.
//!
//! [`Smtp`] opens connections: `opening` greets and secures, `auth` authenticates, if need be with what `token` gets, `connection` speaks line by line over `wire` and `tls`, `reply` reads
//! what the server says. `transaction` puts a batch on paper; `session` sends one after the other, each in two steps, `envelope` and
//! `body`; `settle` hands in the results, which `failure` and `transcript` put into words.

mod auth;
mod body;
mod connection;
mod envelope;
mod failure;
mod features;
mod lookup;
mod opening;
pub mod reply;
mod session;
mod settings;
mod settle;
mod tls;
mod token;
mod transaction;
mod transcript;
mod wire;

use std::sync::Arc;

pub use settings::{Credentials, Proof, SettingsError, SmtpSettings, Timeouts, Tls, TokenCommand};

use self::{connection::Connection, session::SmtpSession, tls::Trust, token::Tokens};
use crate::{
    backend::dkim::Dkim,
    delivery::{Backend, Session, Trouble},
    message::Message,
};

/// A mail server that takes our messages.
#[derive(Debug)]
pub struct Smtp {
    settings: Arc<SmtpSettings>,
    trust: Trust,
    tokens: Tokens,
    dkim: Option<Arc<Dkim>>,
}

impl Smtp {
    /// A backend with these settings. Nothing is opened or read yet.
    pub fn new(settings: SmtpSettings) -> Result<Self, SettingsError> {
        settings.check()?;
        Ok(Self {
            trust: Trust::new(settings.ca_file.clone()),
            tokens: Tokens::default(),
            settings: Arc::new(settings),
            dkim: None,
        })
    }

    /// The same, with messages signed if there is a key.
    #[must_use]
    pub fn signing(self, dkim: Option<Arc<Dkim>>) -> Self {
        Self { dkim, ..self }
    }
}

impl Backend for Smtp {
    fn connections(&self) -> usize {
        self.settings.connections
    }

    fn batch_limit(&self, message: &Message) -> usize {
        self.settings.recipients(message)
    }

    fn open(&self) -> Result<Box<dyn Session>, Trouble> {
        let (connection, _) = Connection::open(&self.settings, &self.trust, &self.tokens)?;
        Ok(Box::new(SmtpSession::new(
            Arc::clone(&self.settings),
            connection,
            self.dkim.clone(),
        )))
    }

    fn probe(&self) -> Result<String, Trouble> {
        let (mut connection, mut transcript) =
            Connection::open(&self.settings, &self.trust, &self.tokens)?;
        connection.quit(&mut transcript);
        Ok(transcript.render())
    }
}
