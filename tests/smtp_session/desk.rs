//! A desk that hands out what it was given and writes down everything it is told.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use postroom::{
    backend::{Smtp, SmtpSettings, Timeouts, Tls},
    delivery::{Backend, Batch, Desk, Ended, Failure, NotArmed, Report, Trouble},
    message::{Body, Content, Message, MessageId, Outcome, Receiver, ReceiverId},
};

use super::server::{Peer, Server};

/// What the desk was told, in order; receivers by their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    Next(Vec<i64>),
    Arm(Vec<i64>),
    Settle(i64, Outcome, Option<u16>),
    Again(Vec<i64>),
    Lost(Vec<i64>),
}

#[derive(Default)]
pub struct FakeDesk {
    todo: VecDeque<Batch>,
    pub told: Vec<Told>,
    pub reports: HashMap<i64, Report>,
    pub losses: Vec<Failure>,
    pub refuse_to_arm: bool,
    /// Whether what is given back is handed out again.
    pub requeue: bool,
    pub works: bool,
    pub on_arm: Option<Box<dyn FnMut()>>,
}

impl FakeDesk {
    pub fn with(batches: impl IntoIterator<Item = Batch>) -> Self {
        Self {
            todo: batches.into_iter().collect(),
            ..Self::default()
        }
    }

    /// What was told, without what was handed out.
    pub fn results(&self) -> Vec<Told> {
        self.told
            .iter()
            .filter(|told| !matches!(told, Told::Next(_)))
            .cloned()
            .collect()
    }

    pub fn failure(&self, receiver: i64) -> &Failure {
        match &self.reports[&receiver] {
            Report::Failed(_, failure) => failure,
            Report::Accepted { .. } => panic!("{receiver} was accepted"),
        }
    }

    /// Every receiver that was handed out came back in exactly one way.
    pub fn check_the_books(&self) {
        let mut open: HashMap<i64, i32> = HashMap::new();
        for told in &self.told {
            let (ids, change) = match told {
                Told::Next(ids) => (ids.clone(), 1),
                Told::Arm(_) => continue,
                Told::Settle(id, ..) => (vec![*id], -1),
                Told::Again(ids) | Told::Lost(ids) => (ids.clone(), -1),
            };
            for id in ids {
                *open.entry(id).or_default() += change;
            }
        }
        open.retain(|_, balance| *balance != 0);
        assert_eq!(open, HashMap::new(), "{:#?}", self.told);
    }
}

fn ids(batch: &Batch) -> Vec<i64> {
    batch
        .receivers
        .iter()
        .map(|receiver| receiver.id.0)
        .collect()
}

impl Desk for FakeDesk {
    fn next(&mut self) -> Option<Batch> {
        let batch = self.todo.pop_front()?;
        self.told.push(Told::Next(ids(&batch)));
        Some(batch)
    }

    fn arm(&mut self, batch: &Batch, receivers: &[usize]) -> Result<(), NotArmed> {
        if let Some(on_arm) = &mut self.on_arm {
            on_arm();
        }
        let armed = receivers.iter().map(|&index| ids(batch)[index]).collect();
        if self.refuse_to_arm {
            // The desk has sorted them.
            self.told.push(Told::Again(armed));
            return Err(NotArmed);
        }
        self.told.push(Told::Arm(armed));
        Ok(())
    }

    fn settle(&mut self, receiver: &Receiver, result: Report) {
        let code = match &result {
            Report::Accepted { code, .. } => *code,
            Report::Failed(_, failure) => failure.code,
        };
        self.told
            .push(Told::Settle(receiver.id.0, result.outcome(), code));
        self.reports.insert(receiver.id.0, result);
    }

    fn again(&mut self, batch: Batch) {
        self.told.push(Told::Again(ids(&batch)));
        if self.requeue {
            self.todo.push_front(batch);
        }
    }

    fn lost(&mut self, batch: Batch, failure: Failure) {
        self.told.push(Told::Lost(ids(&batch)));
        self.losses.push(failure);
    }

    fn works(&self) -> bool {
        self.works
    }
}

pub fn message(id: i64, raw: bool) -> Message {
    Message {
        id: MessageId(id),
        key: format!("key-{id}"),
        kind: "test".to_owned(),
        from: Some("Sender <sender@from.example>".to_owned()),
        reply_to: None,
        headers: Vec::new(),
        return_path: None,
        created_at: "2026-11-02T08:05:09Z".parse().unwrap(),
        metadata: serde_json::Value::Null,
        raw,
    }
}

pub fn receiver(id: i64, identity: &str) -> Receiver {
    Receiver {
        id: ReceiverId(id),
        epoch: 1,
        uid: format!("uid-{id}"),
        identity: identity.to_owned(),
        name: None,
        user: None,
        language: "en".to_owned(),
        metadata: serde_json::Value::Null,
    }
}

/// An ordinary message to receiver `id`.
pub fn letter(id: i64) -> Batch {
    Batch {
        message: Arc::new(message(id, false)),
        content: Arc::new(Content {
            subject: format!("subject {id}"),
            body: Body::Parts {
                text: format!("text {id}\n.dot\n"),
                html: None,
            },
        }),
        receivers: vec![receiver(id, &format!("r{id}@to.example"))],
    }
}

/// A raw message to receivers `from..=to`.
pub fn circular(from: i64, to: i64) -> Batch {
    raw(
        b"From: Sender <sender@from.example>\r\nMessage-ID: <m@from.example>\r\n\r\nbody\r\n",
        (from..=to).map(|id| receiver(id, &format!("r{id}@to.example"))),
    )
}

pub fn raw(bytes: &[u8], receivers: impl IntoIterator<Item = Receiver>) -> Batch {
    Batch {
        message: Arc::new(message(1, true)),
        content: Arc::new(Content {
            subject: String::new(),
            body: Body::Raw(bytes.to_vec()),
        }),
        receivers: receivers.into_iter().collect(),
    }
}

pub fn settings(port: u16) -> SmtpSettings {
    SmtpSettings {
        tls: Tls::None,
        helo: Some("client.test".to_owned()),
        ..SmtpSettings::new("email", "127.0.0.1", port)
    }
}

/// The same with one wait cut short.
pub fn hasty(port: u16, cut: impl Fn(&mut Timeouts, Duration)) -> SmtpSettings {
    let mut settings = settings(port);
    cut(&mut settings.timeouts, Duration::from_millis(300));
    settings
}

pub fn smtp(settings: SmtpSettings) -> Smtp {
    Smtp::new(settings).unwrap()
}

/// One session, opened and run once; what it said, and the books checked.
pub fn run(settings: SmtpSettings, desk: &mut FakeDesk) -> Result<Ended, Trouble> {
    let ended = smtp(settings).open()?.run(desk);
    desk.check_the_books();
    ended
}

/// What the desk heard of these batches over one connection to a server that follows this script, and that ended so.
pub fn send(
    batches: impl IntoIterator<Item = Batch>,
    ended: Ended,
    script: impl FnOnce(&mut Peer) + Send + 'static,
) -> FakeDesk {
    let server = Server::one(script);
    let mut desk = FakeDesk::with(batches);
    assert_eq!(run(settings(server.port), &mut desk), Ok(ended));
    server.finish();
    desk
}
