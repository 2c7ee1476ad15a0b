//! The free disk that sending leaves alone: what is sent must be written down, and a full disk is everybody's trouble.

use crate::store::{Store, StoreError};

/// Whether the disk has room for what sending writes.
pub(super) struct Floor {
    /// In bytes; 0: no matter.
    least: u64,
    low: bool,
}

impl Floor {
    pub(super) fn new(least: u64) -> Self {
        Self { least, low: false }
    }

    /// Looks, and tells when it has changed. Once below the floor, an eighth more is wanted: else the log that is written over would open and shut
    /// it all the time.
    pub(super) fn has_room(&mut self, store: &Store) -> bool {
        let least = if self.low {
            self.least.saturating_add(self.least / 8)
        } else {
            self.least
        };
        let refusal = store.wants_free(least).err();
        match (&refusal, self.low) {
            (Some(why), false) => {
                tracing::error!("{why}; what is due waits until there is room");
            }
            (None, true) => tracing::info!("there is room on the disk again: sending goes on"),
            _ => {}
        }
        self.low = refusal.is_some();
        !self.low
    }

    /// Why nothing was claimed when last there was something to claim.
    pub(super) fn refusal(&self, store: &Store) -> Result<(), StoreError> {
        if self.low {
            store.wants_free(self.least)
        } else {
            Ok(())
        }
    }
}
