//! What tells one submission from another that came with the same key.

use std::collections::BTreeMap;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// SHA-256 of the value with the members of every object in order of their names.
pub(super) fn digest(value: &Value) -> [u8; 32] {
    let mut hash = Sha256::new();
    feed(&mut hash, value);
    hash.finalize().into()
}

fn feed(hash: &mut Sha256, value: &Value) {
    match value {
        Value::Array(items) => {
            hash.update("[");
            for item in items {
                feed(hash, item);
                hash.update(",");
            }
            hash.update("]");
        }
        Value::Object(map) => {
            let sorted: BTreeMap<_, _> = map.iter().collect();
            hash.update("{");
            for (name, item) in sorted {
                hash.update(Value::from(name.as_str()).to_string());
                hash.update(":");
                feed(hash, item);
                hash.update(",");
            }
            hash.update("}");
        }
        plain => hash.update(plain.to_string()),
    }
}
