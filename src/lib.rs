//! Postroom.

pub mod config;
pub mod delivery;
pub mod demo;
pub mod message;
pub mod query;
pub mod store;
mod suggest;
