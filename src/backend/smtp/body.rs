//! The message itself, and the answer to its final dot.

use std::{
    mem,
    time::{Duration, Instant},
};

use super::{
    failure::{LinkError, Phase},
    session::{Flow, SmtpSession},
    settle::{Broken, is_denial, trouble},
    transaction::Transaction,
};
use crate::{
    delivery::{Desk, Report, Trouble},
    fail,
    message::Outcome,
};

/// The answer to a lone dot is about nobody: those who come next had better take another connection than wait for it as for their own.
const LONE_DOT: Duration = Duration::from_secs(5);

impl SmtpSession {
    /// Sends the message, and behind it the next envelope; then reads what became of it.
    pub(super) fn body(
        &mut self,
        mut tx: Transaction,
        accepted: &[usize],
        ahead: &mut Option<Transaction>,
        desk: &mut dyn Desk,
    ) -> Result<Flow, Trouble> {
        let mut wire = mem::take(&mut tx.body);
        tx.transcript.message(tx.size);
        if let Some(next) = ahead
            && next.is_one_group()
        {
            let begin = wire.len();
            wire.extend_from_slice(next.lines(&next.group(0, true)));
            next.transcript.client(&wire[begin..]);
            next.ahead = true;
        }
        let since = Instant::now();
        let handed = self.connection.handed();
        if let Err(error) = self.connection.send(&wire, self.settings.timeouts.block) {
            let outcome = if self.connection.handed() == handed {
                Outcome::Cancelled
            } else {
                Outcome::Unknown
            };
            let broken = Broken {
                outcome,
                phase: Phase::Block,
                took: since.elapsed(),
                error,
            };
            self.settle_broken(&tx, accepted, &broken, desk);
            return Ok(Flow::Close);
        }
        fail::point("after the dot");
        let unknown = |error, took| Broken {
            outcome: Outcome::Unknown,
            phase: Phase::Dot,
            took,
            error,
        };
        let since = Instant::now();
        let reply = match self.connection.reply(self.settings.timeouts.dot) {
            Ok(reply) => reply,
            Err(error) => {
                let broken = unknown(error, since.elapsed());
                self.settle_broken(&tx, accepted, &broken, desk);
                return Ok(Flow::Close);
            }
        };
        fail::point("after the reply");
        tx.transcript.server(&reply);
        if reply.is_positive() {
            let (told, enhanced) = (reply.raw(), reply.enhanced());
            for &index in accepted {
                desk.settle(
                    &tx.batch.receivers[index],
                    Report::Accepted {
                        reply: told.clone().into_owned(),
                        code: Some(reply.code()),
                        enhanced: enhanced.clone(),
                    },
                );
            }
            self.proven = true;
            return Ok(Flow::On);
        }
        if !reply.is_refusal() {
            let error = LinkError::Unexpected(reply.in_one_line());
            self.settle_broken(&tx, accepted, &unknown(error, reply.took()), desk);
            return Ok(Flow::Close);
        }
        let denied = is_denial(&reply) && !desk.works();
        for &index in accepted {
            self.settle_by(&tx, index, Phase::Dot, &reply, desk);
        }
        self.proven = true;
        if denied {
            return Err(trouble(self.scene(&tx, Phase::Dot).refused(&reply)));
        }
        if reply.code() == 421 {
            return Ok(Flow::Close);
        }
        if ahead.as_ref().is_some_and(|next| next.ahead) {
            return Ok(Flow::On);
        }
        Ok(self.reset(&mut tx).unwrap_or(Flow::Close))
    }

    /// The server waits for a message though it accepted nobody: it gets an empty one, for nobody (RFC 2920 3.1).
    pub(super) fn lone_dot(&mut self) -> Flow {
        let timeouts = &self.settings.timeouts;
        let answer = self
            .connection
            .send(b".\r\n", timeouts.block)
            .and_then(|()| self.connection.reply(timeouts.dot.min(LONE_DOT)));
        match answer {
            Ok(reply) if reply.code() != 421 => Flow::On,
            _ => Flow::Close,
        }
    }
}
