//! Which questions are open, so that a late answer is known for one.

use super::question::{Ask, Question, Sort};

/// Which questions are open: of each sort the latest, and whether it should be asked again when it is answered.
#[derive(Clone, Debug, Default)]
pub(super) struct Asks {
    next: u64,
    open: [Option<u64>; Sort::COUNT],
    stale: [bool; Sort::COUNT],
}

impl Asks {
    /// A question with its number; an open one of its sort is forgotten.
    pub(super) fn ask(&mut self, question: Question) -> Ask {
        self.next += 1;
        let sort = question.sort() as usize;
        self.open[sort] = Some(self.next);
        self.stale[sort] = false;
        Ask {
            ticket: self.next,
            question,
        }
    }

    /// Whether this is the answer that is being waited for; it no longer is then.
    pub(super) fn take(&mut self, ask: &Ask) -> bool {
        let open = &mut self.open[ask.question.sort() as usize];
        let awaited = *open == Some(ask.ticket);
        if awaited {
            *open = None;
        }
        awaited
    }

    /// Forgets an open question: its answer no longer matters.
    pub(super) fn forget(&mut self, sort: Sort) {
        self.open[sort as usize] = None;
        self.stale[sort as usize] = false;
    }

    /// Whether an answer of this sort is being waited for.
    pub(super) fn waits(&self, sort: Sort) -> bool {
        self.open[sort as usize].is_some()
    }

    /// The open question of this sort will have missed a change.
    pub(super) fn set_stale(&mut self, sort: Sort) {
        self.stale[sort as usize] = true;
    }

    /// Whether the last answer of this sort missed a change, or was none.
    pub(super) fn is_stale(&self, sort: Sort) -> bool {
        self.stale[sort as usize]
    }
}
