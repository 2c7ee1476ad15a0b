//! Postroom: the terminal console, and the delivery engine under it, for the email and SMS that an application sends.
//!
//! How a message flows, one direction, one module each:
//!
//! 1. An application hands it over: [`message::Submission::parse`] checks a line of JSON, [`store::Store::submit`] writes it down durably.
//! 2. An engine ([`delivery::Engine`]) claims rows that are due, groups them by backend and message into [`delivery::Batch`]es, and hands these to
//!    the workers of each [`delivery::Way`].
//! 3. A [`backend`] sends. Between "the server is ready to take it" and the bytes themselves it *arms*: a durable commit that says who may get the
//!    message from now on. What the server answers is *settled*, per receiver.
//! 4. The [`console`] and the [`cli`] show what the store says and act on it; whatever sends again goes the same way.
//!
//! `message` and `query` know nobody; `store` knows them; `delivery` knows the store and the traits of a backend; `cli`, `console` and `demo` know
//! everything, and nobody knows them.

pub mod backend;
pub mod cli;
mod columns;
pub mod config;
pub mod console;
pub mod delivery;
pub mod demo;
mod duration;
pub mod message;
pub mod query;
pub mod store;
mod suggest;
