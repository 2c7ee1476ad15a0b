//! What the listener and a conversation know of each other.

use std::{
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// What a conversation is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It waits for a command.
    Waits,
    /// A message comes.
    Sends,
    /// A message is being stored: its answer is owed.
    Stores,
}

/// Why a conversation is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closing {
    /// It made no progress, and another client wants its place.
    Idle,
    /// The listener stops.
    Stop,
}

/// Memory for messages that are being received, over all conversations.
#[derive(Debug, Default)]
pub(super) struct Budget {
    used: AtomicUsize,
    /// In bytes.
    most: usize,
}

impl Budget {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            used: AtomicUsize::new(0),
            most,
        })
    }

    fn take(&self, bytes: usize) -> bool {
        let more = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.most);
        self.used
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, more)
            .is_ok()
    }
}

/// The place of one conversation.
#[derive(Debug)]
pub(super) struct Place {
    state: Mutex<State>,
    closes: Condvar,
    budget: Arc<Budget>,
    reserved: AtomicUsize,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// When it last got on.
    since: Instant,
    closing: Option<Closing>,
}

impl Place {
    pub(super) fn new(budget: Arc<Budget>) -> Self {
        Self {
            state: Mutex::new(State {
                phase: Phase::Waits,
                since: Instant::now(),
                closing: None,
            }),
            closes: Condvar::new(),
            budget,
            reserved: AtomicUsize::new(0),
        }
    }

    /// It does this now, and got on.
    pub(super) fn is(&self, phase: Phase) {
        let mut state = self.state();
        state.phase = phase;
        state.since = Instant::now();
    }

    /// Whether it waits for a command.
    pub(super) fn is_waiting(&self) -> bool {
        self.state().phase == Phase::Waits
    }

    /// Since when it has made no progress; `None` when its client waits for us, or it ends already.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let state = self.state();
        let ours = state.phase == Phase::Stores || state.closing.is_some();
        (!ours).then_some(state.since)
    }

    /// Asks it to end; says whether it can be told so now, as it is not in the middle of a message.
    pub(super) fn close(&self, closing: Closing) -> bool {
        let mut state = self.state();
        state.closing.get_or_insert(closing);
        self.closes.notify_all();
        state.phase == Phase::Waits
    }

    /// Why it is to end, if it is.
    pub(super) fn closing(&self) -> Option<Closing> {
        self.state().closing
    }

    /// Waits so long, or until it is to end.
    pub(super) fn pause(&self, time: Duration) {
        drop(
            self.closes
                .wait_timeout_while(self.state(), time, |state| state.closing.is_none())
                .unwrap_or_else(PoisonError::into_inner),
        );
    }

    /// Takes so many bytes in all for its message; says whether there is room.
    pub(super) fn reserve(&self, bytes: usize) -> bool {
        let reserved = self.reserved.load(Ordering::Acquire);
        if bytes <= reserved {
            return true;
        }
        let taken = self.budget.take(bytes - reserved);
        if taken {
            self.reserved.store(bytes, Ordering::Release);
        }
        taken
    }

    /// Gives back what it took.
    pub(super) fn release(&self) {
        let reserved = self.reserved.swap(0, Ordering::AcqRel);
        self.budget.used.fetch_sub(reserved, Ordering::AcqRel);
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.release();
    }
}
