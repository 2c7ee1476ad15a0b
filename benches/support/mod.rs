//! What several benches share.
#![allow(
    dead_code,
    clippy::cast_possible_truncation,
    reason = "each bench uses its own part of this"
)]

pub mod driven;
pub mod large;
