//! Messages as the store takes them, for tests of what lies below the command line. The benches take in this file alone.

use postroom::message::{Body, Content, NewReceiver, Submission};
use serde_json::Value;

/// A message in English to these; whatever else a message may have it has not.
pub fn submission(
    kind: &str,
    subject: String,
    text: String,
    receivers: Vec<NewReceiver>,
) -> Submission {
    let body = Body::Parts { text, html: None };
    Submission {
        key: None,
        kind: kind.to_owned(),
        from: Some("no-reply@example.com".to_owned()),
        reply_to: None,
        headers: Vec::new(),
        return_path: None,
        created_by: None,
        metadata: Value::Null,
        priority: 0,
        send_after: None,
        expires_at: None,
        contents: vec![("en".to_owned(), Content { subject, body })],
        receivers,
        digest: [0; 32],
    }
}

/// Somebody with this address.
pub fn receiver(backend: &str, identity: String) -> NewReceiver {
    NewReceiver {
        identity,
        name: None,
        user: None,
        language: "en".to_owned(),
        rendered: None,
        backend: backend.to_owned(),
        metadata: Value::Null,
    }
}
