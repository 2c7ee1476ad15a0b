//! What follows DATA: the message, and what the store says of it.

use std::{ops::ControlFlow, time::Instant};

use chrono::Utc;

use super::{Flow, GO_ON, Session, Transaction};
use crate::{
    inbound::{
        data::{Data, Fault},
        place::Phase,
    },
    message::{Envelope, Submission},
    store::{Receipt, StoreError},
};

/// Progress of a message is noted by so many bytes, and memory asked for by so many.
const STEP: usize = 64 << 10;

impl Session<'_> {
    pub(super) fn data(&mut self) -> Flow {
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
