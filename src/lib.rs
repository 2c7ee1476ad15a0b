//! Postroom.

pub mod delivery;
pub mod message;
pub mod query;
pub mod store;
