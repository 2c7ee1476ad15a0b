//! The envelope of a transaction: MAIL, RCPT, DATA, and what their replies say about whom.

use std::time::{Duration, Instant};

use super::{
    failure::{LinkError, Phase, Scene},
    reply::Reply,
    session::{Flow, SmtpSession},
    settle::{is_denial, trouble},
    transaction::{Command, Transaction},
};
use crate::{
    delivery::{Desk, Report, Trouble},
    message::Outcome,
};

/// What the replies to an envelope came to so far.
#[derive(Debug, Default)]
pub(super) struct Answers {
    mail: Option<Reply>,
    /// By index of the receiver, in the order of the commands.
    recipients: Vec<(usize, Reply)>,
    pub(super) data: Option<Reply>,
    /// Whether the connection serves on where there was no 354.
    pub(super) then: Flow,
}

impl Answers {
    pub(super) fn mail_is_refused(&self) -> bool {
        self.mail.as_ref().is_some_and(Reply::is_refusal)
    }

    /// Those who may get the message.
    pub(super) fn accepted(&self) -> Vec<usize> {
        if self.mail_is_refused() {
            return Vec::new();
        }
        let positive = self
            .recipients
            .iter()
            .filter(|(_, reply)| reply.is_positive());
        positive.map(|(index, _)| *index).collect()
    }

    /// Those to whom the server said no, with the reply that said so.
    pub(super) fn refused<'a>(&'a self, tx: &Transaction) -> Vec<(usize, Phase, &'a Reply)> {
        if let Some(mail) = self.mail.as_ref().filter(|mail| mail.is_refusal()) {
            return tx
                .members()
                .map(|index| (index, Phase::Mail, mail))
                .collect();
        }
        let mut refused = Vec::new();
        let mut any_accepted = false;
        for (place, (index, reply)) in self.recipients.iter().enumerate() {
            any_accepted |= reply.is_positive();
            if reply.is_refusal() && !wants_another_transaction(reply, place > 0, any_accepted) {
                refused.push((*index, Phase::Rcpt, reply));
            }
        }
        refused
    }

    /// The first refusal that may mean us and not its recipient: such a one, and nobody was accepted. It leaves none of them behind.
    fn take_denials(&mut self) -> Option<Reply> {
        if self.mail_is_refused() || !self.accepted().is_empty() {
            return None;
        }
        let mut denials = self
            .recipients
            .extract_if(.., |(_, reply)| is_denial(reply));
        let (_, first) = denials.next()?;
        denials.for_each(drop);
        Some(first)
    }
}

/// Too many recipients (RFC 5321 4.5.3.1.10): the rest goes in a transaction of its own, and nobody is to blame. Said to the first of a
/// transaction it is a refusal like another, or the same would be asked for ever.
fn wants_another_transaction(reply: &Reply, not_first: bool, any_accepted: bool) -> bool {
    reply.code() == 452
        && match reply.enhanced().as_deref() {
            Some("4.5.3") => not_first,
            None => any_accepted,
            Some(_) => false,
        }
}

/// Behind a message larger than this (bytes) the next is not prepared: it would only take memory while this one crosses the network.
const WORTH_PREPARING: usize = 1 << 20;

/// Why an envelope came to no end.
enum Stop {
    Link(LinkError),
    /// 421: the server closes the connection.
    Closing(Reply),
    /// 530, 535: the server will not take mail from us.
    Denied(Reply),
}

/// The same with its circumstances.
pub(super) struct Stopped {
    why: Stop,
    phase: Phase,
    took: Duration,
}

impl SmtpSession {
    /// Sends the envelope, in one write where the server allows it, and reads its replies. While the server thinks, the next is prepared.
    pub(super) fn envelope(
        &mut self,
        tx: &mut Transaction,
        answers: &mut Answers,
        ahead: &mut Option<Transaction>,
        desk: &mut dyn Desk,
    ) -> Result<(), Stopped> {
        let pipelining = self.connection.features().pipelining;
        let mut next = 0;
        while let Some(command) = tx.command(next) {
            let pointless = command == Command::Data && answers.accepted().is_empty();
            let group = tx.group(next, pipelining);
            // Behind a refused MAIL nothing more is said; a lone DATA for nobody neither.
            if answers.mail_is_refused() || (pointless && group.len() == 1) {
                break;
            }
            let since = Instant::now();
            if !tx.ahead {
                let lines = tx.lines(&group).to_vec();
                tx.transcript.client(&lines);
                // A reply too many would be taken for the answer to what is said now, and that may be about another receiver.
                self.connection
                    .expect_silence()
                    .and_then(|()| self.connection.send(&lines, self.limit(command)))
                    .map_err(|error| Stopped {
                        why: Stop::Link(error),
                        phase: command.phase(),
                        took: since.elapsed(),
                    })?;
            }
            if pipelining && next == 0 && tx.size < WORTH_PREPARING {
                *ahead = self.take(desk);
            }
            for number in group.clone() {
                let Some(command) = tx.command(number) else {
                    break;
                };
                let since = Instant::now();
                self.answer(command, tx, answers).map_err(|why| Stopped {
                    why,
                    phase: command.phase(),
                    took: since.elapsed(),
                })?;
            }
            next = group.end;
        }
        let (phase, since) = (Phase::Data, Instant::now());
        let stray = |error| Stopped {
            why: Stop::Link(error),
            phase,
            took: since.elapsed(),
        };
        let ends = answers
            .data
            .as_ref()
            .is_none_or(|reply| reply.code() != 354);
        if ends && self.connection.is_closing() {
            answers.then = Flow::Close;
            return Ok(());
        }
        self.connection.expect_silence().map_err(stray)?;
        // A 354 fits DATA alone, so what came before it fits too. Nothing else shows whether a reply was said twice.
        if ends {
            answers.then = self.reset(tx).map_err(|error| Stopped {
                phase: Phase::Reset,
                ..stray(error)
            })?;
        }
        Ok(())
    }

    /// Clears away at the server what a transaction without a message left there, and hears whether its replies were matched rightly: one too
    /// many would come now, and would else be taken for the answer to the next command. A server that is gone has said what it said.
    pub(super) fn reset(&mut self, tx: &mut Transaction) -> Result<Flow, LinkError> {
        let answer = self
            .connection
            .exchange("RSET", self.settings.timeouts.mail);
        let (closes, error) = match answer {
            Ok(reply) if reply.is_positive() => return Ok(Flow::On),
            Ok(reply) => {
                tx.transcript.client(b"RSET");
                tx.transcript.server(&reply);
                let closes = reply.code() == 421;
                (closes, LinkError::Unexpected(reply.in_one_line()))
            }
            Err(error) => (!error.is_nonsense(), error),
        };
        if closes { Ok(Flow::Close) } else { Err(error) }
    }

    /// Reads the reply to one command of the envelope.
    fn answer(
        &mut self,
        command: Command,
        tx: &mut Transaction,
        answers: &mut Answers,
    ) -> Result<(), Stop> {
        let reply = self
            .connection
            .reply(self.limit(command))
            .map_err(Stop::Link)?;
        tx.transcript.server(&reply);
        if reply.code() == 421 {
            return Err(Stop::Closing(reply));
        }
        // The message before was refused, and the server has not ended its transaction: so does Postfix where `smtpd_end_of_data_restrictions` refuse.
        // This says nothing of the message that followed it at once.
        if command == Command::Mail && reply.code() == 503 && tx.ahead {
            return Err(Stop::Closing(reply));
        }
        let meant = match command {
            Command::Mail => true,
            // Whether the recipient is meant or we are, the others' replies say.
            Command::Rcpt(_) => false,
            Command::Data => !answers.accepted().is_empty(),
        };
        if meant && is_denial(&reply) {
            return Err(Stop::Denied(reply));
        }
        let fits = match command {
            Command::Mail | Command::Rcpt(_) => reply.is_positive() || reply.is_refusal(),
            Command::Data => reply.code() == 354 || reply.is_refusal(),
        };
        if !fits {
            return Err(Stop::Link(LinkError::Unexpected(reply.in_one_line())));
        }
        match command {
            Command::Mail => answers.mail = Some(reply),
            Command::Rcpt(index) => answers.recipients.push((index, reply)),
            Command::Data => answers.data = Some(reply),
        }
        if answers.recipients.len() == tx.recipients
            && let Some(reply) = answers.take_denials()
        {
            return Err(Stop::Denied(reply));
        }
        Ok(())
    }

    fn limit(&self, command: Command) -> Duration {
        let timeouts = &self.settings.timeouts;
        match command {
            Command::Mail => timeouts.mail,
            Command::Rcpt(_) => timeouts.rcpt,
            Command::Data => timeouts.data,
        }
    }

    /// The envelope came to no end: nobody has the message. Sorts who was refused, who goes again, and whose fault it was.
    pub(super) fn stop(
        &mut self,
        tx: &Transaction,
        answers: &Answers,
        stopped: &Stopped,
        desk: &mut dyn Desk,
    ) -> Result<Flow, Trouble> {
        // Where the server talked nonsense, what it refused may have been meant for somebody else.
        let nonsense = matches!(&stopped.why, Stop::Link(error) if error.is_nonsense());
        let refused = if nonsense {
            Vec::new()
        } else {
            self.settle_refused(tx, answers, desk);
            answers.refused(tx)
        };
        let rest = tx.part(|index| !refused.iter().any(|(refused, ..)| *refused == index));
        let Some(rest) = rest else {
            return Ok(Flow::Close);
        };
        let scene = Scene {
            batch: Some(&rest),
            took: stopped.took,
            ..self.scene(tx, stopped.phase)
        };
        match &stopped.why {
            Stop::Link(error) => {
                if (tx.ahead || self.proven) && answers.mail.is_none() && !nonsense {
                    // The transaction before was the connection's last; this one the server may never have seen. A new connection will
                    // tell whether it is this one that it hangs up at.
                    desk.again(rest);
                } else {
                    let failure = scene.broken(error);
                    desk.lost(rest, failure);
                }
                Ok(Flow::Close)
            }
            // Somebody has got an answer over this connection, so the next one will get further.
            Stop::Closing(_) if self.proven || !refused.is_empty() => {
                desk.again(rest);
                Ok(Flow::Close)
            }
            // It had taken the sender, or others' mail a moment ago: what it closes for may be this message, as with a connection that is
            // lost here. One at whom it always says so must not hold up the others; when it says so to everybody, the desk calls that trouble.
            Stop::Closing(reply)
                if desk.works() || answers.mail.as_ref().is_some_and(Reply::is_positive) =>
            {
                let failure = scene.refused(reply);
                desk.lost(rest, failure);
                Ok(Flow::Close)
            }
            // It takes mail from us: just not this.
            Stop::Denied(reply) if self.proven || desk.works() => {
                let failure = scene.refused(reply);
                desk.lost(rest, failure);
                Ok(Flow::Close)
            }
            Stop::Closing(reply) | Stop::Denied(reply) => {
                for receiver in &rest.receivers {
                    let scene = Scene {
                        receiver: Some(receiver),
                        ..scene
                    };
                    desk.settle(
                        receiver,
                        Report::Failed(Outcome::Backend, scene.refused(reply)),
                    );
                }
                Err(trouble(scene.refused(reply)))
            }
        }
    }
}
