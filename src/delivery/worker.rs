//! A worker: one thread, one connection at a time, and the desk it works at.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use super::{
    Batch, Desk, Ended, Failure, NotArmed, Report, Session, Trouble,
    lane::{Lane, Turn},
};
use crate::message::{Outcome, Receiver};

/// An idle connection is kept for this long; servers close theirs soon after.
const IDLE: Duration = Duration::from_secs(5);

/// The desk of one run: it remembers what it handed out, to sort what is left over.
struct WorkerDesk<'a> {
    lane: &'a Lane,
    taken: Vec<Batch>,
    /// The size of what was taken and has no result yet.
    load: usize,
}

impl Drop for WorkerDesk<'_> {
    fn drop(&mut self) {
        self.lane.unload(self.load);
        self.lane.ledger.end();
    }
}

impl Desk for WorkerDesk<'_> {
    fn next(&mut self) -> Option<Batch> {
        // What is settled need not be remembered.
        self.taken.retain(|batch| self.lane.has_any_in_hand(batch));
        let load = self.taken.iter().map(|batch| batch.content.size()).sum();
        self.lane.unload(self.load - load);
        self.load = load;
        let batch = self.lane.take()?;
        self.load += batch.content.size();
        self.taken.push(batch.clone());
        Some(batch)
    }

    fn arm(&mut self, batch: &Batch, receivers: &[usize]) -> Result<(), NotArmed> {
        if self.lane.arm(batch, receivers) {
            return Ok(());
        }
        let chosen = receivers.iter().filter_map(|&at| batch.receivers.get(at));
        self.forget(&chosen.cloned().collect::<Vec<_>>());
        Err(NotArmed)
    }

    fn settle(&mut self, receiver: &Receiver, result: Report) {
        self.lane.settle(receiver, result);
    }

    fn again(&mut self, batch: Batch) {
        self.forget(&batch.receivers);
        self.lane.put_back(batch);
    }

    fn lost(&mut self, batch: Batch, failure: Failure) {
        self.forget(&batch.receivers);
        self.lane.lost(batch, failure);
    }

    fn works(&self) -> bool {
        self.lane.works()
    }
}

impl WorkerDesk<'_> {
    /// These receivers are no longer this run's concern.
    fn forget(&mut self, receivers: &[Receiver]) {
        for taken in &mut self.taken {
            taken.receivers.retain(|receiver| {
                let same =
                    |other: &Receiver| (other.id, other.epoch) == (receiver.id, receiver.epoch);
                !receivers.iter().any(same)
            });
        }
    }

    /// Sorts what a session left over: armed receivers are unknown, the others were not sent.
    fn sort_out(self, why: &LeftOver<'_>) {
        for batch in &self.taken {
            let (armed, unarmed) = self.lane.still_in_hand(batch);
            for receiver in &armed {
                self.lane
                    .settle(receiver, Report::Failed(Outcome::Unknown, why.failure()));
            }
            match why {
                // Freed, they would panic for ever.
                LeftOver::Panic(_) => {
                    for receiver in &unarmed {
                        self.lane
                            .settle(receiver, Report::Failed(Outcome::Temporary, why.failure()));
                    }
                }
                LeftOver::Ended | LeftOver::Trouble(_) => {
                    self.lane.put_back(Batch {
                        receivers: unarmed,
                        ..batch.clone()
                    });
                }
            }
        }
    }
}

/// Why a session left something over.
enum LeftOver<'a> {
    Ended,
    Trouble(&'a Trouble),
    Panic(String),
}

impl LeftOver<'_> {
    fn failure(&self) -> Failure {
        match self {
            Self::Trouble(trouble) => trouble.failure.clone(),
            Self::Ended => Failure {
                error: "the session ended without a result for this receiver".to_owned(),
                traceback: "the session ended without a result for this receiver, after its batch was armed".to_owned(),
                ..Failure::default()
            },
            Self::Panic(words) => Failure {
                error: format!("the backend panicked: {words}"),
                traceback: format!("the backend panicked while it sent this batch:\n{words}\n\nThis is a fault in Postroom: please report it with this traceback."),
                phase: Some("panic".to_owned()),
                ..Failure::default()
            },
        }
    }
}

/// The life of a worker thread: until there is no work for a while, or the way does not work.
pub(super) fn work(lane: &Arc<Lane>) {
    let mut session: Option<Box<dyn Session>> = None;
    while let Turn::Work = lane.turn(IDLE) {
        let mut open = match session.take() {
            Some(open) => open,
            None => match catch_unwind(AssertUnwindSafe(|| lane.way.backend.open())) {
                Ok(Ok(open)) => {
                    lane.opened();
                    open
                }
                Ok(Err(trouble)) => {
                    lane.not_opened(&trouble);
                    return lane.leave();
                }
                Err(panic) => {
                    let failure = LeftOver::Panic(words(&*panic)).failure();
                    lane.not_opened(&Trouble::of(failure));
                    return lane.leave();
                }
            },
        };
        lane.ledger.begin();
        let mut desk = WorkerDesk {
            lane,
            taken: Vec::new(),
            load: 0,
        };
        let run = catch_unwind(AssertUnwindSafe(|| open.run(&mut desk)));
        match run {
            Ok(Ok(Ended::Idle)) => {
                desk.sort_out(&LeftOver::Ended);
                session = Some(open);
            }
            Ok(Ok(Ended::Close)) => {
                desk.sort_out(&LeftOver::Ended);
                lane.closed();
            }
            Ok(Err(trouble)) => {
                lane.closed();
                let gave_all_back = desk.taken.iter().all(|batch| batch.receivers.is_empty());
                desk.sort_out(&LeftOver::Trouble(&trouble));
                if gave_all_back {
                    // Nothing was begun over it: as good as not opened.
                    lane.not_opened(&trouble);
                } else {
                    lane.trouble(None, &trouble);
                }
                return lane.leave();
            }
            Err(panic) => {
                lane.closed();
                desk.sort_out(&LeftOver::Panic(words(&*panic)));
                // What panicked may panic again when dropped.
                let _ = catch_unwind(AssertUnwindSafe(|| drop(open)));
            }
        }
    }
    if let Some(session) = session {
        lane.closed();
        drop(session);
    }
    lane.leave();
}

fn words(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
        .unwrap_or_else(|| "no words".to_owned())
}
