//! How contents lie in the store.

use std::{borrow::Cow, cell::RefCell};

use rusqlite::{Error, types::Type};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};
use zstd::{
    bulk::{Compressor, Decompressor},
    zstd_safe::get_frame_content_size,
};

/// Below this a frame of zstd costs more than it saves.
const WORTH_COMPRESSING: usize = 256;

/// No content is larger (bytes); a damaged file that says so must not take the memory.
const LARGEST: u64 = 1 << 30;

// A context of zstd is larger than most messages: each thread makes its own once.
thread_local! {
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = RefCell::new(Compressor::new(1).ok());
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = RefCell::new(Decompressor::new().ok());
}

/// A content ready to be written.
pub(super) struct Packed {
    pub(super) hash: [u8; 32],
    pub(super) codec: i64,
    pub(super) body: Vec<u8>,
}

pub(super) fn pack(content: &impl Serialize) -> Result<Packed, serde_json::Error> {
    let plain = serde_json::to_vec(content)?;
    let hash = Sha256::digest(&plain).into();
    let (codec, body) = squeeze(plain);
    Ok(Packed { hash, codec, body })
}

/// The hash that `pack` finds.
pub(super) fn hash(content: &impl Serialize) -> Result<[u8; 32], serde_json::Error> {
    Ok(Sha256::digest(serde_json::to_vec(content)?).into())
}

/// The codec and the bytes: compressed where that saves anything.
fn squeeze(plain: Vec<u8>) -> (i64, Vec<u8>) {
    let packed = (plain.len() >= WORTH_COMPRESSING)
        .then(|| COMPRESSOR.with_borrow_mut(|zstd| zstd.as_mut()?.compress(&plain).ok()))
        .flatten();
    match packed {
        Some(body) if body.len() < plain.len() => (1, body),
        _ => (0, plain),
    }
}

pub(super) fn unpack<T: DeserializeOwned>(codec: i64, body: &[u8]) -> rusqlite::Result<T> {
    serde_json::from_slice(&plain(codec, body)?).map_err(|error| damaged(error.into()))
}

/// Whether it is what was packed.
pub(super) fn is_whole(codec: i64, body: &[u8], hash: &[u8]) -> bool {
    plain(codec, body).is_ok_and(|plain| Sha256::digest(&plain).as_slice() == hash)
}

pub(super) fn damaged(error: Box<dyn std::error::Error + Send + Sync>) -> Error {
    Error::FromSqlConversionFailure(0, Type::Blob, error)
}

fn plain(codec: i64, body: &[u8]) -> rusqlite::Result<Cow<'_, [u8]>> {
    if codec == 0 {
        return Ok(Cow::Borrowed(body));
    }
    let size = match get_frame_content_size(body) {
        Ok(Some(size)) if size <= LARGEST => size as usize,
        _ => {
            return Err(damaged(
                "a compressed content without a size that could be true".into(),
            ));
        }
    };
    let plain = DECOMPRESSOR
        .with_borrow_mut(|zstd| match zstd {
            Some(zstd) => zstd.decompress(body, size),
            None => zstd::bulk::decompress(body, size),
        })
        .map_err(|error| damaged(error.into()))?;
    Ok(Cow::Owned(plain))
}

/// What `pack` hashed tells whether two contents are the same.
#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::{Body, Content};

    proptest! {
        #[test]
        fn a_content_comes_back_as_it_was(subject: String, text in "(abc|.){0,600}", html: Option<String>, raw: Vec<u8>, is_raw: bool) {
            let body = if is_raw { Body::Raw(raw) } else { Body::Parts { text, html } };
            let content = Content { subject, body };
            let packed = pack(&content).unwrap();
            prop_assert_eq!(unpack::<Content>(packed.codec, &packed.body).unwrap(), content);
        }
    }
}
