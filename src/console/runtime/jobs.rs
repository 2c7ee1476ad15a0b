//! The jobs that run beside the screen.

use std::{
    collections::HashMap,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::console::{courier::Stop, effect::JobId};

/// The jobs that run, for whoever has to end them.
#[derive(Default)]
pub(super) struct Jobs {
    running: Mutex<HashMap<JobId, Arc<Stop>>>,
    ended: Condvar,
    /// Whoever makes the process stand still holds it: two at once would stop it twice.
    pub(super) stands_still: Mutex<()>,
}

impl Jobs {
    pub(super) fn begin(&self, id: JobId) -> Arc<Stop> {
        let stop = Arc::new(Stop::default());
        self.running().insert(id, Arc::clone(&stop));
        stop
    }

    pub(super) fn end(&self, id: JobId) {
        let ended = self.running().remove(&id);
        if let Some(stop) = ended {
            stop.end();
        }
        self.ended.notify_all();
    }

    pub(super) fn stop(&self, id: JobId) {
        if let Some(stop) = self.running().get(&id) {
            stop.stop();
        }
    }

    fn all(&self) -> Vec<Arc<Stop>> {
        self.running().values().map(Arc::clone).collect()
    }

    /// Makes all of them rest: a process that stands still must hold nothing that others wait for.
    pub(super) fn pause_all(&self) {
        let running = self.all();
        for stop in &running {
            stop.pause();
        }
        for stop in &running {
            stop.wait_for_rest();
        }
    }

    pub(super) fn resume_all(&self) {
        for stop in self.all() {
            stop.resume();
        }
    }

    /// Stops all of them and waits so long at most until they have ended.
    pub(super) fn stop_all(&self, most: Duration) {
        let running = self.running();
        for stop in running.values() {
            stop.stop();
        }
        drop(
            self.ended
                .wait_timeout_while(running, most, |running| !running.is_empty()),
        );
    }

    pub(super) fn are_running(&self) -> bool {
        !self.running().is_empty()
    }

    fn running(&self) -> MutexGuard<'_, HashMap<JobId, Arc<Stop>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
