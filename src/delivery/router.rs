//! From claimed rows to batches: by message and content, cut to what the backend takes at once.

use std::{collections::HashMap, sync::Arc};

use super::{Backend, Batch};
use crate::{
    message::{Content, ContentId, Message, MessageId},
    store::{Claim, Reader, StoreError},
};

/// Messages and contents kept between two claims: a message to a whole course is read once.
const KEPT: usize = 256;

/// Groups claims into batches, reading each message and content once.
pub(super) struct Router {
    reader: Reader,
    messages: HashMap<MessageId, Arc<Message>>,
    contents: HashMap<ContentId, Arc<Content>>,
}

impl Router {
    pub(super) fn new(reader: Reader) -> Self {
        Self {
            reader,
            messages: HashMap::new(),
            contents: HashMap::new(),
        }
    }

    /// The batches for one backend, in the order of their first receiver.
    pub(super) fn batches(
        &mut self,
        claims: &[Claim],
        backend: &dyn Backend,
    ) -> Result<Vec<Batch>, StoreError> {
        let mut batches: Vec<Batch> = Vec::new();
        let mut open: HashMap<(MessageId, ContentId), usize> = HashMap::new();
        for claim in claims {
            let message = self.message(claim.message)?;
            let key = (claim.message, claim.content);
            match open.get(&key) {
                Some(&index)
                    if batches[index].receivers.len() < backend.batch_limit(&message).max(1) =>
                {
                    batches[index].receivers.push(claim.receiver.clone());
                }
                _ => {
                    open.insert(key, batches.len());
                    let content = self.content(claim.content)?;
                    batches.push(Batch {
                        message,
                        content,
                        receivers: vec![claim.receiver.clone()],
                    });
                }
            }
        }
        Ok(batches)
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
        if self.contents.len() >= KEPT {
            self.contents.clear();
        }
        let content = Arc::new(self.reader.content(id)?);
        self.contents.insert(id, Arc::clone(&content));
        Ok(content)
    }
}
