//! Makes a [`Backend`] of a [`Gateway`]: RapidSMS's failed identities, made exact.

use std::{collections::HashMap, sync::Arc};

use super::{
    Backend, Batch, Desk, Ended, Failed, Failure, Gateway, NotArmed, Report, SendError, Session,
    Trouble,
};
use crate::message::{Message, Outcome, ReceiverId};

/// Receivers a gateway gets at once.
const BATCH: usize = 200;

/// A gateway as a backend: batches of up to 200, one at a time per connection.
pub struct Direct<G> {
    gateway: Arc<G>,
    connections: usize,
}

impl<G: Gateway> Direct<G> {
    /// `connections`: how many calls may run at once.
    pub fn new(gateway: G, connections: usize) -> Self {
        Self {
            gateway: Arc::new(gateway),
            connections,
        }
    }
}

struct Call<G>(Arc<G>);

impl<G: Gateway + 'static> Backend for Direct<G> {
    fn connections(&self) -> usize {
        self.connections
    }

    fn batch_limit(&self, _: &Message) -> usize {
        BATCH
    }

    fn open(&self) -> Result<Box<dyn Session>, Trouble> {
        // A way that is not ready is nobody's failure but its own.
        self.gateway.probe()?;
        Ok(Box::new(Call(Arc::clone(&self.gateway))))
    }

    fn probe(&self) -> Result<String, Trouble> {
        self.gateway.probe()
    }
}

impl<G: Gateway> Session for Call<G> {
    fn run(&mut self, desk: &mut dyn Desk) -> Result<Ended, Trouble> {
        while let Some(batch) = desk.next() {
            let everybody: Vec<usize> = (0..batch.receivers.len()).collect();
            let mut arm: Option<Result<(), NotArmed>> = None;
            let answer = self
                .0
                .send(&batch, &mut || *arm.insert(desk.arm(&batch, &everybody)));
            if let Some(Err(NotArmed)) = arm {
                // The desk has sorted them; nothing left.
                continue;
            }
            for (receiver, report) in batch.receivers.iter().zip(reports(&batch, answer)) {
                desk.settle(
                    receiver,
                    if arm.is_some() {
                        report
                    } else {
                        unarmed(report)
                    },
                );
            }
        }
        Ok(Ended::Idle)
    }
}

/// A gateway that did not arm has sent nothing, whatever it says: only its refusals stand.
fn unarmed(report: Report) -> Report {
    if let Report::Failed(Outcome::Temporary | Outcome::Permanent, _) = report {
        report
    } else {
        let error = "the gateway sent nothing: it never said that it was about to".to_owned();
        let failure = Failure {
            traceback: error.clone(),
            error,
            phase: Some("arm".to_owned()),
            ..Failure::default()
        };
        Report::Failed(Outcome::Temporary, failure)
    }
}

/// The result for each receiver of the batch, in order.
fn reports(batch: &Batch, answer: Result<(), SendError>) -> Vec<Report> {
    let accepted = || Report::Accepted {
        reply: String::new(),
        code: None,
        enhanced: None,
    };
    let refused = |permanent: bool, failure: &Failure| {
        Report::Failed(
            if permanent {
                Outcome::Permanent
            } else {
                Outcome::Temporary
            },
            failure.clone(),
        )
    };
    let error = match answer {
        Ok(()) => return batch.receivers.iter().map(|_| accepted()).collect(),
        Err(error) => error,
    };
    let (named, accepted_by_name, promised) = match error.failed {
        Failed::All => {
            return batch
                .receivers
                .iter()
                .map(|_| refused(error.permanent, &error.failure))
                .collect();
        }
        Failed::Only(named) => (named, Vec::new(), false),
        Failed::Each { accepted, failed } => (failed, accepted, true),
    };
    let asked = |id: &ReceiverId| batch.receivers.iter().any(|receiver| receiver.id == *id);
    let strangers: Vec<ReceiverId> = named
        .iter()
        .map(|named| named.receiver)
        .chain(accepted_by_name.iter().copied())
        .filter(|id| !asked(id))
        .collect();
    let failures: HashMap<ReceiverId, &super::Named> =
        named.iter().map(|named| (named.receiver, named)).collect();
    batch
        .receivers
        .iter()
        .map(|receiver| match failures.get(&receiver.id) {
            Some(named) => refused(named.permanent, &named.failure),
            None if accepted_by_name.contains(&receiver.id) => accepted(),
            // It may mean any of them.
            None if !strangers.is_empty() => unknown(
                &error.failure,
                &format!("the gateway named receivers that it was not given: {strangers:?}"),
            ),
            None if promised => unknown(
                &error.failure,
                "the gateway promises a result for each receiver and gave none for this one",
            ),
            None => accepted(),
        })
        .collect()
}

fn unknown(failure: &Failure, why: &str) -> Report {
    let traceback = format!("{why}\n\nThe gateway's answer:\n{}", failure.traceback);
    Report::Failed(
        Outcome::Unknown,
        Failure {
            error: why.to_owned(),
            traceback,
            ..failure.clone()
        },
    )
}
