//! Where messages are stored before their senders hear of it: one durable commit for all that wait for one.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::Utc;

use crate::{
    message::Submission,
    store::{Receipt, Store, StoreError},
};

/// What became of one.
type Stored = Result<Receipt, Arc<StoreError>>;

/// Takes messages over for the store.
pub struct Intake {
    store: Arc<Store>,
    queue: Mutex<VecDeque<Waiting>>,
    /// Held by whoever stores what has gathered.
    turn: Mutex<()>,
}

struct Waiting {
    submission: Submission,
    stored: Arc<Mutex<Option<Stored>>>,
}

impl Intake {
    /// One for this store.
    pub fn new(store: Arc<Store>) -> Self {
        Self {
            store,
            queue: Mutex::default(),
            turn: Mutex::default(),
        }
    }

    /// Stores a message, durably, and says what became of it. Whoever comes while others are being stored waits for that, then one of those who
    /// waited stores for all of them; so nobody is handed over between threads where nobody else is there.
    pub(super) fn take(&self, submission: Submission) -> Stored {
        let place = Arc::default();
        let waiting = Waiting {
            submission,
            stored: Arc::clone(&place),
        };
        lock(&self.queue).push_back(waiting);
        let turn = lock(&self.turn);
        if lock(&place).is_none() {
            self.store_all();
        }
        drop(turn);
        // Nobody but who held the turn took it from the queue, and fills every place.
        lock(&place)
            .take()
            .unwrap_or_else(|| Err(Arc::new(StoreError::Interrupted)))
    }

    fn store_all(&self) {
        let waiting = std::mem::take(&mut *lock(&self.queue));
        let (submissions, places): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .map(|waiting| (waiting.submission, waiting.stored))
            .unzip();
        let mut receipts = Vec::with_capacity(submissions.len());
        let stored = self
            .store
            .submit_into(&submissions, Utc::now(), &mut receipts);
        let failed = stored.err().map(Arc::new);
        let mut receipts = receipts.into_iter();
        for place in places {
            let one = match (receipts.next(), &failed) {
                (Some(receipt), _) => Some(Ok(receipt)),
                (None, Some(error)) => Some(Err(Arc::clone(error))),
                (None, None) => None,
            };
            *lock(&place) = one;
        }
    }
}

fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
