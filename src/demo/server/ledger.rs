use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::Phase;

/// One accepted message for one recipient. It is in the ledger before the client hears that it was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The local part of the Message-ID: what Postroom calls the receiver's uid. Empty when the message has none.
    pub uid: Arc<str>,
    /// The recipient, as it stood in RCPT.
    pub recipient: String,
    /// The envelope sender; empty for the null sender.
    pub sender: Arc<str>,
    /// The transaction, 1 for the server's first MAIL.
    pub transaction: u64,
    /// The connection, 1 for the server's first.
    pub connection: u64,
    /// The message's size in bytes as it came, dots doubled, without the final dot.
    pub size: usize,
    /// The message without the doubled dots, where the script keeps bodies.
    pub body: Option<Arc<[u8]>>,
}

/// What a server saw and took, from its start on; a stop and a new start go on in the same ledger.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// What was accepted, in order.
    pub entries: Vec<Entry>,
    /// How many messages were accepted for at least one recipient.
    pub messages: u64,
    /// How many recipients got a message: the length of `entries` where those are kept.
    pub accepted: u64,
    /// How many connections were made.
    pub connections: u64,
    /// How many of them are open now.
    pub open: u64,
    /// How many transactions were begun: MAILs that were accepted.
    pub transactions: u64,
    /// How many bytes were read, on all connections.
    pub received: u64,
    /// How many replies are being held back now by `late` or `when_released`.
    pub withheld: u64,
    /// What the client did against the rules: pipelining that was not offered, bytes behind DATA, 8-bit text undeclared, …
    pub violations: Vec<String>,
    /// What was said on each connection, by its number, where the script keeps transcripts.
    pub transcripts: BTreeMap<u64, String>,
    pub(super) met: [u64; Phase::ALL.len()],
}

impl Ledger {
    /// How many times a phase was met.
    pub fn met(&self, phase: Phase) -> u64 {
        self.met[phase as usize]
    }

    /// What this recipient got (case ignored), in order.
    pub fn to<'a>(&'a self, recipient: &'a str) -> impl Iterator<Item = &'a Entry> {
        self.entries
            .iter()
            .filter(move |entry| entry.recipient.eq_ignore_ascii_case(recipient))
    }

    /// Who got something, in order, as often as they did.
    pub fn recipients(&self) -> Vec<&str> {
        self.entries
            .iter()
            .map(|entry| entry.recipient.as_str())
            .collect()
    }

    /// The (uid, recipient) pairs that were accepted more than once, with how often.
    pub fn duplicates(&self) -> Vec<(Arc<str>, String, usize)> {
        let mut times: HashMap<(&str, &str), (&Entry, usize)> = HashMap::new();
        for entry in &self.entries {
            times
                .entry((&entry.uid, &entry.recipient))
                .or_insert((entry, 0))
                .1 += 1;
        }
        let mut twice: Vec<_> = times
            .into_values()
            .filter(|(_, times)| *times > 1)
            .map(|(entry, times)| (Arc::clone(&entry.uid), entry.recipient.clone(), times))
            .collect();
        twice.sort();
        twice
    }
}

/// What one connection has to tell the ledger, gathered without a lock and handed over before each write.
#[derive(Default)]
pub(super) struct News {
    pub(super) entries: Vec<Entry>,
    pub(super) messages: u64,
    pub(super) accepted: u64,
    pub(super) transactions: u64,
    pub(super) received: u64,
    pub(super) violations: Vec<String>,
    pub(super) transcript: String,
    pub(super) met: [u64; Phase::ALL.len()],
}

impl Ledger {
    pub(super) fn take(&mut self, connection: u64, news: &mut News) {
        self.entries.append(&mut news.entries);
        self.messages += std::mem::take(&mut news.messages);
        self.accepted += std::mem::take(&mut news.accepted);
        self.transactions += std::mem::take(&mut news.transactions);
        self.received += std::mem::take(&mut news.received);
        self.violations.append(&mut news.violations);
        for (sum, more) in self.met.iter_mut().zip(&mut news.met) {
            *sum += std::mem::take(more);
        }
        if !news.transcript.is_empty() {
            self.transcripts
                .entry(connection)
                .or_default()
                .push_str(&news.transcript);
            news.transcript.clear();
        }
    }
}
