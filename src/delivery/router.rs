//! From claimed rows to batches: by message and content, cut to what the backend takes at once.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{Backend, Batch, Failure};
use crate::{
    message::{Content, ContentId, Message, MessageId, Receiver},
    store::{Claim, Reader, StoreError},
};

/// Messages and contents kept between two claims: a message to a whole course is read once.
const KEPT: usize = 256;

/// Contents of claimed rows may take so much memory (bytes), though one alone may take more: two hundred messages of 20 MB wait in the store.
pub(super) const ROOM: usize = 16 << 20;

/// Groups claims into batches, reading each message and content once.
pub(super) struct Router {
    reader: Reader,
    messages: HashMap<MessageId, Arc<Message>>,
    contents: HashMap<ContentId, Arc<Content>>,
    /// What `contents` take, in bytes.
    size: usize,
}

/// What became of claimed rows.
#[derive(Default)]
pub(super) struct Routed {
    /// To be sent.
    pub(super) batches: Vec<Batch>,
    /// Never to be sent: what they should say is damaged.
    pub(super) unreadable: Vec<(Receiver, Failure)>,
    /// How many of the claims, from the first on, are in these two; for the others there was no room.
    pub(super) taken: usize,
}

fn unreadable(claim: &Claim, error: &StoreError) -> Failure {
    let error = format!("the message cannot be read from the store: {error}");
    let traceback = format!(
        "{error}\n\n  message     {}\n  content     {}\n  receiver    {}, {}",
        claim.message, claim.content, claim.receiver.id, claim.receiver.identity
    );
    Failure {
        error,
        traceback,
        phase: Some("read".to_owned()),
        ..Failure::default()
    }
}

impl Router {
    pub(super) fn new(reader: Reader) -> Self {
        Self {
            reader,
            messages: HashMap::new(),
            contents: HashMap::new(),
            size: 0,
        }
    }

    /// The batches for one backend, in the order of their first receiver. A receiver whose message the store cannot give back holds up nobody else.
    pub(super) fn route(
        &mut self,
        claims: &[Claim],
        backend: &dyn Backend,
    ) -> Result<Routed, StoreError> {
        let mut routed = Routed::default();
        let mut open: HashMap<(MessageId, ContentId), usize> = HashMap::new();
        let (mut seen, mut size) = (HashSet::new(), 0);
        for claim in claims {
            if size > ROOM && !seen.contains(&claim.content) {
                break;
            }
            routed.taken += 1;
            let (message, content) = match self.read(claim) {
                Ok(read) => read,
                Err(error @ StoreError::Unreadable { .. }) => {
                    routed
                        .unreadable
                        .push((claim.receiver.clone(), unreadable(claim, &error)));
                    continue;
                }
                Err(error) => return Err(error),
            };
            if seen.insert(claim.content) {
                size += content.size();
            }
            let batches = &mut routed.batches;
            let key = (claim.message, claim.content);
            match open.get(&key) {
                Some(&index)
                    if batches[index].receivers.len() < backend.batch_limit(&message).max(1) =>
                {
                    batches[index].receivers.push(claim.receiver.clone());
                }
                _ => {
                    open.insert(key, batches.len());
                    batches.push(Batch {
                        message,
                        content,
                        receivers: vec![claim.receiver.clone()],
                    });
                }
            }
        }
        Ok(routed)
    }

    fn read(&mut self, claim: &Claim) -> Result<(Arc<Message>, Arc<Content>), StoreError> {
        Ok((self.message(claim.message)?, self.content(claim.content)?))
    }

    fn message(&mut self, id: MessageId) -> Result<Arc<Message>, StoreError> {
        if let Some(message) = self.messages.get(&id) {
            return Ok(Arc::clone(message));
        }
        if self.messages.len() >= KEPT {
            self.messages.clear();
        }
        let message = Arc::new(self.reader.message(id)?);
        self.messages.insert(id, Arc::clone(&message));
        Ok(message)
    }

    fn content(&mut self, id: ContentId) -> Result<Arc<Content>, StoreError> {
        if let Some(content) = self.contents.get(&id) {
            return Ok(Arc::clone(content));
        }
        if self.contents.len() >= KEPT || self.size > ROOM {
            self.contents.clear();
            self.size = 0;
        }
        let content = Arc::new(self.reader.content(id)?);
        self.size += content.size();
        self.contents.insert(id, Arc::clone(&content));
        Ok(content)
    }
}
