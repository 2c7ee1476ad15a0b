//! Postroom: the terminal console, and the delivery engine under it, for the email and SMS that an application sends.
//!
//! How a message flows, one direction, one module each:
//!
//! 1. An application hands it over: [`message::Submission::parse`] checks a line of JSON, [`message::Submission::of_mail`] a mail that came by
//!    `postroom sendmail` or over [`inbound`]; [`store::Store::submit`] writes it down durably.
//! 2. An engine ([`delivery::Engine`]) claims rows that are due, groups them by backend and message into [`delivery::Batch`]es, and hands these to
//!    the workers of each [`delivery::Way`].
//! 3. A [`backend`] sends. Between "the server is ready to take it" and the bytes themselves it *arms*: a durable commit that says who may get the
//!    message from now on. What the server answers is *settled*, per receiver.
//! 4. The [`console`] and the [`cli`] show what the store says and act on it; whatever sends again goes the same way.
//!
//! Who knows whom, one way only: [`message`] knows nobody; [`query`] knows it; [`store`] knows both; [`delivery`] knows the store, and of the ways
//! out no more than its traits; [`backend`] implements these and never sees the store; [`inbound`] knows the store, and where a [`backend`] keeps
//! secrets; [`mod@import`] reads what other systems left for the store; [`config`] reads into the settings of backends and listeners. [`console`] and
//! [`demo`] stand on these, and [`cli`] puts everything together: nobody knows it.

pub mod backend;
pub mod cli;
mod columns;
pub mod config;
pub mod console;
pub mod delivery;
pub mod demo;
mod duration;
mod fail;
mod grouped;
pub mod import;
pub mod inbound;
pub mod message;
pub mod query;
mod save;
mod size;
pub mod store;
mod suggest;
