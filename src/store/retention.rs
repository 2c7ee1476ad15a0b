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
    error::{corrupt, explain},
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

/// Receivers of one status, by the time that counts.
struct Rule {
    name: &'static str,
    /// The index that is walked, and the time that it has.
    index: &'static str,
    time: &'static str,
    states: &'static str,
    kept: Duration,
}

impl Rule {
    /// Those whose time is over, after the time and the number `?2` and `?3`.
    fn over(&self) -> String {
        let Self {
            index,
            time,
            states,
            ..
        } = self;
        format!(
            "SELECT {time}, id, message_id, content_id FROM receiver INDEXED BY {index}
             WHERE {time} IS NOT NULL AND {time} <= ?1 AND ({time}, id) > (?2, ?3) AND {states} ORDER BY {time}, id LIMIT ?4"
        )
    }
}

impl Retention {
    fn rules(self) -> Vec<Rule> {
        let sent = self.sent.map(|kept| Rule {
            name: "sent",
            index: "receiver_sent",
            time: "sent_at",
            states: "state BETWEEN 12 AND 13",
            kept,
        });
        let error = self.error.map(|kept| Rule {
            name: "error",
            index: "receiver_error",
            time: "error_at",
            states: "state BETWEEN 6 AND 11",
            kept,
        });
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
    /// One sweep: receivers whose time is over go, and messages and contents with the last receiver they had; keys and causes that are old enough are forgotten.
    /// In transactions of a few milliseconds; `pause` waits between them for as long as it is told, and may end it. Returns how many receivers went.
    pub fn sweep(
        &self,
        retention: Retention,
        now: Timestamp,
        pause: &mut dyn FnMut(Duration) -> ControlFlow<()>,
    ) -> Result<u64, StoreError> {
        let rules = retention.rules();
        let words: Vec<_> = rules
            .iter()
            .map(|rule| {
                let until = (now - rule.kept).to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
                format!("{} until {until}", rule.name)
            })
            .collect();
        let words = words.join(", ");
        let mut line = audit::Line::new(now, "postroom", "retention", &words);
        let reader = self.reader()?;
        let (mut pace, mut gone) = (Pace::new(), 0);
        for rule in rules {
            let (over, mut after) = (rule.over(), (i64::MIN, 0));
            // Found without the lock: who was sent long ago and waits again stands in the way.
            while let Some(found) = reader.run(|conn| {
                let until = millis(now - rule.kept);
                let found: Vec<[i64; 4]> = conn
                    .prepare_cached(&over)?
                    .query_map(
                        params![until, after.0, after.1, pace.rows() as i64],
                        |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?]),
                    )?
                    .collect::<Result<_, _>>()?;
                Ok(Some(found).filter(|found| !found.is_empty()))
            })? {
                if let Some([at, id, ..]) = found.last() {
                    if (*at, *id) <= after {
                        return Err(explain(&self.path, corrupt()));
                    }
                    after = (*at, *id);
                }
                let (removed, written, began) = self.write(|tx| {
                    let began = Instant::now();
                    let removed = remove(tx, &rule, &found, now)?;
                    let written = match removed {
                        0 => None,
                        n => Some(line.write(tx, gone + n, None)?),
                    };
                    Ok((removed, written, began))
                })?;
                pace.held_since(began);
                gone += removed;
                if let Some(id) = written {
                    line.written(id);
                }
                if pause(pace.leisure()).is_break() {
                    return Ok(gone);
                }
            }
        }
        while self.forget_keys(now, pace.rows())? > 0 {
            if pause(pace.leisure()).is_break() {
                return Ok(gone);
            }
        }
        for some in reader.unused_causes(now)?.chunks(pace.rows()) {
            self.forget_causes(some, now)?;
            if pause(pace.leisure()).is_break() {
                break;
            }
        }
        Ok(gone)
    }
}

/// Takes those of them out that still are what they were found as: who was sent again since begins a time of its own.
fn remove(
    tx: &Connection,
    rule: &Rule,
    found: &[[i64; 4]],
    now: Timestamp,
) -> rusqlite::Result<u64> {
    let list = |column: usize| id_list(found.iter().map(|row| ReceiverId(row[column])));
    let still: Vec<ReceiverId> = tx
        .prepare_cached(&format!(
            "SELECT id FROM receiver WHERE id IN (SELECT value FROM json_each(?1)) AND {} AND {} <= ?2",
            rule.states, rule.time
        ))?
        .query_map(params![list(1), millis(now - rule.kept)], |row| {
            Ok(ReceiverId(row.get(0)?))
        })?
        .collect::<Result<_, _>>()?;
    let removed = remove_receivers(tx, &id_list(still))?;
    remove_messages(tx, &list(2), now)?;
    remove_contents(tx, &list(3))?;
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
                source: source.into(),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A message to two receivers.
    const ONE_MESSAGE: &str =
        "INSERT INTO kind (id, name) VALUES (1, 't');
                     INSERT INTO backend (id, name, changed_at) VALUES (1, 'email', 0);
                     INSERT INTO content (id, hash, subject, codec, body) VALUES (1, randomblob(32), '', 0, x'');
                     INSERT INTO message (id, key, digest, kind_id, headers, created_at, metadata, raw)
                         VALUES (1, 'm', randomblob(32), 1, '[]', 0, '{}', 0);
                     INSERT INTO receiver (id, message_id, kind_id, backend_id, content_id, created_at, identity, language, metadata, priority, uid, state, due_at)
                         VALUES (1, 1, 1, 1, 1, 0, 'a', 'en', '{}', 0, 'a', 0, 0), (2, 1, 1, 1, 1, 0, 'b', 'en', '{}', 0, 'b', 0, 0);";

    #[test]
    fn who_was_sent_again_after_the_look_stays() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::create(&folder.path().join("postroom.db")).unwrap();
        let now = Timestamp::from_timestamp_millis(1_700_000_000_000).unwrap();
        let sent_at = |id: i64, at: i64| {
            let sent = "UPDATE receiver SET state = 12, due_at = NULL, sent_at = ? WHERE id = ?";
            store.write(|tx| tx.execute(sent, (at, id))).unwrap();
        };
        store.write(|tx| tx.execute_batch(ONE_MESSAGE)).unwrap();
        sent_at(1, 0);
        sent_at(2, 0);
        let found = [[0, 1, 1, 1], [0, 2, 1, 1]];
        sent_at(2, millis(now));
        let day = Duration::from_secs(86_400);
        let rule = &Retention {
            sent: Some(day),
            error: None,
        }
        .rules()[0];
        let removed = store.write(|tx| remove(tx, rule, &found, now)).unwrap();
        assert_eq!(removed, 1);
    }

    #[test]
    fn causes_that_nobody_has_and_nobody_met_for_long_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::create(&folder.path().join("postroom.db")).unwrap();
        let now = Timestamp::from_timestamp_millis(1_700_000_000_000).unwrap();
        store
            .write(|tx| {
                tx.execute_batch(ONE_MESSAGE)?;
                let cause = "INSERT INTO cause (id, fingerprint, text, first_seen, last_seen) VALUES (?, randomblob(32), 'no', 0, ?)";
                for (id, seen) in [(1, 0), (2, 0), (3, millis(now))] {
                    tx.execute(cause, (id, seen))?;
                }
                tx.execute("UPDATE receiver SET cause_id = 2 WHERE id = 2", [])
            })
            .unwrap();
        let mut pause = |_| ControlFlow::Continue(());
        store.sweep(Retention::default(), now, &mut pause).unwrap();
        let mut left = Vec::new();
        for id in 1..=3 {
            let there =
                |tx: &Connection| tx.prepare("SELECT 1 FROM cause WHERE id = ?")?.exists([id]);
            left.extend(store.write(|tx| there(tx)).unwrap().then_some(id));
        }
        assert_eq!(left, [2, 3]);
    }
}
