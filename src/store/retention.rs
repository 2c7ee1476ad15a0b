//! `[retention]`: what is done with goes by itself when its time is over, in small steps beside the delivery.

use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rusqlite::{Connection, params};

use super::{
    Store, StoreError, audit,
    chosen::id_list,
    clean::{remove_contents, remove_messages, remove_receivers},
    millis,
    pace::Pace,
};
use crate::message::{ReceiverId, Timestamp};

/// How long what is done with is kept. `None`: for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Receivers that were Sent this long ago go.
    pub sent: Option<Duration>,
    /// Receivers that have been Error for this long go.
    pub error: Option<Duration>,
}

/// Those whose time is over, one walk of an index each.
const SENT: &str = "SELECT id, message_id, content_id FROM receiver INDEXED BY receiver_sent
    WHERE sent_at <= ? AND state >= 12 ORDER BY sent_at LIMIT ?";
const ERROR: &str = "SELECT id, message_id, content_id FROM receiver INDEXED BY receiver_error
    WHERE error_at <= ? ORDER BY error_at LIMIT ?";

impl Retention {
    /// What goes, and when it would have to be from.
    fn rules(self, now: Timestamp) -> Vec<(&'static str, &'static str, Timestamp)> {
        let sent = self.sent.map(|kept| ("sent", SENT, now - kept));
        let error = self.error.map(|kept| ("error", ERROR, now - kept));
        sent.into_iter().chain(error).collect()
    }

    /// How often to look: a tenth of what is kept, between a second and an hour.
    fn pause(self) -> Duration {
        let shortest = self.sent.into_iter().chain(self.error).min();
        let hour = Duration::from_secs(60 * 60);
        shortest.map_or(hour, |kept| (kept / 10).clamp(Duration::from_secs(1), hour))
    }
}

impl Store {
    /// One sweep: receivers whose time is over go, and messages and contents with the last receiver they had; keys that are old enough are forgotten.
    /// In transactions of a few milliseconds; `pause` waits between them for as long as it is told, and may end it. Returns how many receivers went.
    pub fn sweep(
        &self,
        retention: Retention,
        now: Timestamp,
        pause: &mut dyn FnMut(Duration) -> ControlFlow<()>,
    ) -> Result<u64, StoreError> {
        let rules = retention.rules(now);
        let words: Vec<_> = rules
            .iter()
            .map(|(what, _, until)| {
                let until = until.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
                format!("{what} until {until}")
            })
            .collect();
        let words = words.join(", ");
        let mut line = audit::Line::new(now, "postroom", "retention", &words);
        let (mut pace, mut gone) = (Pace::new(), 0);
        for (_, over, until) in rules {
            loop {
                let step = self.write(|tx| {
                    let began = Instant::now();
                    let removed = remove_some(tx, over, until, pace.rows(), now)?;
                    let written = match removed {
                        0 => None,
                        n => Some(line.write(tx, gone + n, None)?),
                    };
                    Ok((removed, written, began))
                });
                let (removed, written, began) = step?;
                let Some(id) = written else { break };
                pace.held_since(began);
                line.written(id);
                gone += removed;
                if pause(pace.leisure()).is_break() {
                    return Ok(gone);
                }
            }
        }
        while self.forget_keys(now, pace.rows())? > 0 {
            if pause(pace.leisure()).is_break() {
                break;
            }
        }
        Ok(gone)
    }
}

fn remove_some(
    tx: &Connection,
    over: &str,
    until: Timestamp,
    most: usize,
    now: Timestamp,
) -> rusqlite::Result<u64> {
    let found: Vec<[i64; 3]> = tx
        .prepare_cached(over)?
        .query_map(params![millis(until), most as i64], |row| {
            Ok([row.get(0)?, row.get(1)?, row.get(2)?])
        })?
        .collect::<Result<_, _>>()?;
    if found.is_empty() {
        return Ok(0);
    }
    let list = |column: usize| id_list(found.iter().map(|row| ReceiverId(row[column])));
    let removed = remove_receivers(tx, &list(0))?;
    remove_messages(tx, &list(1), now)?;
    remove_contents(tx, &list(2))?;
    Ok(removed)
}

/// Keeps the rules on an open store until it is dropped.
pub struct Keeper {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Starts with a sweep at once.
    pub fn start(store: &Arc<Store>, retention: Retention) -> Result<Self, StoreError> {
        let store = Arc::clone(store);
        let (stop, stopped) = mpsc::channel::<()>();
        let thread = std::thread::Builder::new()
            .name("retention".to_owned())
            .spawn(move || {
                let mut pause = |wait| match stopped.recv_timeout(wait) {
                    Err(RecvTimeoutError::Timeout) => ControlFlow::Continue(()),
                    _ => ControlFlow::Break(()),
                };
                loop {
                    match store.sweep(retention, chrono::Utc::now(), &mut pause) {
                        Ok(0) => {}
                        Ok(gone) => tracing::info!(receivers = gone, "retention: deleted"),
                        // What cannot be done now is tried again with the next sweep.
                        Err(error) => tracing::warn!(%error, "retention: not all could be deleted"),
                    }
                    if pause(retention.pause()).is_break() {
                        return;
                    }
                }
            })
            .map_err(|source| StoreError::Io {
                path: "the retention's thread".into(),
                source,
            })?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // A panic there has told about itself.
            let _ = thread.join();
        }
    }
}
