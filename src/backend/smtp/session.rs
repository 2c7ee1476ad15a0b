//! The transactions of one connection: envelope, arm, body, one after the other, the next envelope behind the last body.

use std::{sync::Arc, time::Duration};

use super::{
    connection::Connection,
    envelope::Answers,
    failure::{Phase, Scene},
    settings::SmtpSettings,
    settle::trouble,
    transaction::Transaction,
};
use crate::{
    backend::{dkim::Dkim, mime::MimeBuilder},
    delivery::{Batch, Desk, Ended, Session, Trouble},
    fail,
};

/// Of a server that spoke out of turn the rest of the line should be there.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// One open connection at work.
#[derive(Debug)]
pub(super) struct SmtpSession {
    pub(super) settings: Arc<SmtpSettings>,
    pub(super) connection: Connection,
    mime: MimeBuilder,
    /// Transactions prepared so far.
    begun: u32,
    /// Whether the server has brought a transaction to its end: then it works, and a 421 is about this connection only.
    pub(super) proven: bool,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing is under way.
    Ready,
    /// The same, and nobody has listened for a while.
    Rested,
    /// In the middle of a transaction, or broken: it can only be dropped.
    Busy,
}

/// Whether the connection serves for another transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Flow {
    #[default]
    On,
    Close,
}

impl SmtpSession {
    pub(super) fn new(
        settings: Arc<SmtpSettings>,
        connection: Connection,
        dkim: Option<Arc<Dkim>>,
    ) -> Self {
        Self {
            settings,
            connection,
            mime: MimeBuilder::new(dkim),
            begun: 0,
            proven: false,
            state: State::Ready,
        }
    }

    fn work(
        &mut self,
        desk: &mut dyn Desk,
        ahead: &mut Option<Transaction>,
    ) -> Result<Ended, Trouble> {
        loop {
            let Some(tx) = ahead.take().or_else(|| self.take(desk)) else {
                return Ok(if self.is_used_up() {
                    Ended::Close
                } else {
                    Ended::Idle
                });
            };
            if !tx.ahead && !self.connection.is_still_there() {
                let welcome = self.begun == 1 && self.state == State::Ready;
                self.state = State::Busy;
                give_back(&tx, desk);
                if welcome {
                    return Err(self.unwelcome());
                }
                return Ok(Ended::Close);
            }
            self.state = State::Busy;
            if self.transact(tx, ahead, desk)? == Flow::Close {
                return Ok(Ended::Close);
            }
            if !ahead.as_ref().is_some_and(|next| next.ahead) {
                self.state = State::Ready;
            }
        }
    }

    /// The server spoke on behind its welcome, or hung up: another connection would meet the same, again and again.
    fn unwelcome(&mut self) -> Trouble {
        let said = self.connection.reply(LAST_WORDS);
        let scene = Scene {
            facts: self.connection.facts(),
            phase: match self.settings.credentials {
                Some(_) => Phase::Auth,
                None => Phase::Ehlo,
            },
            took: Duration::ZERO,
            batch: None,
            receiver: None,
            recipients: 0,
            transcript: None,
        };
        trouble(match &said {
            Ok(reply) => scene.refused(reply),
            Err(error) => scene.broken(error),
        })
    }

    /// Whether it has served long enough. It serves one transaction in any case, or a slow opening would lead to another, for ever.
    fn is_used_up(&self) -> bool {
        self.begun >= self.settings.max_messages
            || (self.begun > 0 && self.connection.facts().opened.elapsed() >= self.settings.max_age)
    }

    /// The next transaction, if this connection may serve another and the desk has one.
    pub(super) fn take(&mut self, desk: &mut dyn Desk) -> Option<Transaction> {
        while !self.is_used_up() {
            let mut batch = desk.next()?;
            let limit = self.settings.recipients(&batch.message);
            if batch.receivers.len() > limit {
                let rest = batch.receivers.split_off(limit);
                desk.again(Batch {
                    message: batch.message.clone(),
                    content: batch.content.clone(),
                    receivers: rest,
                });
            }
            let prepared = Transaction::prepare(
                batch,
                &self.mime,
                &self.settings,
                self.connection.features(),
                self.connection.facts(),
                desk,
            );
            if let Some(tx) = prepared {
                self.begun += 1;
                return Some(tx);
            }
        }
        None
    }

    fn transact(
        &mut self,
        mut tx: Transaction,
        ahead: &mut Option<Transaction>,
        desk: &mut dyn Desk,
    ) -> Result<Flow, Trouble> {
        let mut answers = Answers::default();
        if let Err(stopped) = self.envelope(&mut tx, &mut answers, ahead, desk) {
            // First, so that this one comes before it on the next connection: else each would hang up at the second, and none would find out why.
            if let Some(unused) = ahead.take() {
                give_back(&unused, desk);
            }
            return self.stop(&tx, &answers, &stopped, desk);
        }
        let mut accepted = answers.accepted();
        self.settle_refused(&tx, &answers, desk);
        let refused = answers.refused(&tx);
        let rest = tx.part(|index| {
            !accepted.contains(&index) && !refused.iter().any(|(refused, ..)| *refused == index)
        });
        if let Some(rest) = rest {
            desk.again(rest);
        }

        match &answers.data {
            Some(data) if data.code() == 354 && accepted.is_empty() => {
                self.proven = true;
                return Ok(self.lone_dot());
            }
            Some(data) if data.code() == 354 => {}
            data => {
                // DATA was refused, or there was no sense in it.
                if let Some(data) = data {
                    for index in accepted.drain(..) {
                        self.settle_by(&tx, index, Phase::Data, data, desk);
                    }
                }
                self.proven = true;
                return Ok(answers.then);
            }
        }
        fail::point("before the arm");
        if desk.arm(&tx.batch, &accepted).is_err() {
            // The server waits for a message now; to close without a dot is the only way not to send one.
            return Ok(Flow::Close);
        }
        fail::point("before the body");
        self.body(tx, &accepted, ahead, desk)
    }
}

/// An envelope that nobody answered goes back; whoever was excluded from it has a result already.
fn give_back(tx: &Transaction, desk: &mut dyn Desk) {
    if let Some(batch) = tx.part(|_| true) {
        desk.again(batch);
    }
}

impl Session for SmtpSession {
    fn run(&mut self, desk: &mut dyn Desk) -> Result<Ended, Trouble> {
        match self.state {
            State::Ready => {}
            State::Rested if self.connection.is_still_there() => {}
            State::Rested | State::Busy => {
                self.state = State::Busy;
                return Ok(Ended::Close);
            }
        }
        let mut ahead = None;
        let ended = self.work(desk, &mut ahead);
        if let Some(unused) = ahead {
            give_back(&unused, desk);
        }
        if self.state == State::Ready {
            self.state = State::Rested;
        }
        ended
    }
}

impl Drop for SmtpSession {
    fn drop(&mut self) {
        if self.state != State::Busy {
            self.connection.leave();
        }
    }
}
