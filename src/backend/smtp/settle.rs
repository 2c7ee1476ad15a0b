//! Writes each receiver's result on the desk, with the whole story where it is a failure.

use std::time::Duration;

use super::{
    envelope::Answers,
    failure::{LinkError, Phase, Scene},
    reply::Reply,
    session::SmtpSession,
    transaction::Transaction,
};
use crate::{
    delivery::{Desk, Failure, Report, Trouble},
    message::Outcome,
};

impl SmtpSession {
    /// The circumstances of a failure in this transaction.
    pub(super) fn scene<'a>(&'a self, tx: &'a Transaction, phase: Phase) -> Scene<'a> {
        Scene {
            facts: self.connection.facts(),
            phase,
            took: Duration::ZERO,
            batch: Some(&tx.batch),
            receiver: None,
            recipients: tx.recipients,
            transcript: Some(&tx.transcript),
        }
    }

    /// Settles those to whom the server said no before the message.
    pub(super) fn settle_refused(&self, tx: &Transaction, answers: &Answers, desk: &mut dyn Desk) {
        for (index, phase, reply) in answers.refused(tx) {
            self.settle_by(tx, index, phase, reply, desk);
        }
    }

    /// Settles one receiver by a reply that refused it.
    pub(super) fn settle_by(
        &self,
        tx: &Transaction,
        index: usize,
        phase: Phase,
        reply: &Reply,
        desk: &mut dyn Desk,
    ) {
        let receiver = &tx.batch.receivers[index];
        let scene = Scene {
            receiver: Some(receiver),
            ..self.scene(tx, phase)
        };
        let outcome = if is_denial(reply) && phase == Phase::Dot {
            // Where others' mail is taken, this message is meant; not for good, should it be us after all.
            if desk.works() {
                Outcome::Temporary
            } else {
                Outcome::Backend
            }
        } else if reply.is_permanent() {
            Outcome::Permanent
        } else {
            Outcome::Temporary
        };
        desk.settle(receiver, Report::Failed(outcome, scene.refused(reply)));
    }

    /// Settles those who were armed when the link broke.
    pub(super) fn settle_broken(
        &self,
        tx: &Transaction,
        accepted: &[usize],
        broken: &Broken,
        desk: &mut dyn Desk,
    ) {
        for &index in accepted {
            let receiver = &tx.batch.receivers[index];
            let scene = Scene {
                receiver: Some(receiver),
                took: broken.took,
                ..self.scene(tx, broken.phase)
            };
            desk.settle(
                receiver,
                Report::Failed(broken.outcome, scene.broken(&broken.error)),
            );
        }
    }
}

/// How a link broke after the arm, and what that means for the armed.
pub(super) struct Broken {
    pub(super) outcome: Outcome,
    pub(super) phase: Phase,
    pub(super) took: Duration,
    pub(super) error: LinkError,
}

/// Whether the server will take nothing from us as long as our credentials are what they are.
pub(super) fn is_denial(reply: &Reply) -> bool {
    matches!(reply.code(), 530 | 535)
}

/// What stops the whole backend. It took our credentials when this connection was opened, or wanted none: no account will be locked, so it is tried
/// again like any other that is down.
pub(super) fn trouble(failure: Failure) -> Trouble {
    Trouble::of(failure)
}
