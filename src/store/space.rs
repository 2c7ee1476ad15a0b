//! Giving back the space of what was deleted: the file becomes smaller in steps of a few milliseconds (incremental vacuum), never all at once.

use std::time::{Duration, Instant};

use super::{PAGE, Store, StoreError, error::explain, pace::GAP};

/// A step ends after this.
const SLICE: Duration = Duration::from_millis(5);

/// Pages moved before the time is looked at.
const PAGES: u32 = 16;

/// From so many pages that hold nothing (8 MiB of a new store) it is worth while; fewer are soon used again.
pub(super) const WORTH: i64 = (8 << 20) / PAGE;

impl Store {
    /// Bytes of a page.
    pub(super) fn page_size(&self) -> Result<i64, StoreError> {
        self.writer()
            .pragma_query_value(None, "page_size", |row| row.get(0))
            .map_err(|error| explain(&self.path, error))
    }

    /// How many pages of the file hold nothing.
    pub(super) fn free_pages(&self) -> Result<i64, StoreError> {
        self.writer()
            .pragma_query_value(None, "freelist_count", |row| row.get(0))
            .map_err(|error| explain(&self.path, error))
    }

    /// Gives back some of the pages that hold nothing; returns how many are left. The file itself ends there once the log is moved.
    pub(super) fn vacuum_some(&self) -> Result<i64, StoreError> {
        self.write_unflushed(|tx| {
            let began = Instant::now();
            loop {
                // It moves a page with every row it answers.
                let mut step = tx.prepare_cached(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
                let mut pages = step.query([])?;
                while pages.next()?.is_some() {}
                let left = tx.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
                if left == 0 || began.elapsed() > SLICE {
                    return Ok(left);
                }
            }
        })
    }

    /// Gives back the space of what was deleted, in small steps with gaps that let others in, and moves the log so that the file ends there.
    pub fn give_back(&self) -> Result<(), StoreError> {
        let mut left = self.free_pages()?;
        while left > 0 {
            let (before, began) = (left, Instant::now());
            left = self.vacuum_some()?;
            if left >= before {
                // Others use the store faster than it can be made smaller.
                break;
            }
            std::thread::sleep(began.elapsed().max(GAP));
        }
        self.writer()
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
            .map_err(|error| explain(&self.path, error))
    }
}
