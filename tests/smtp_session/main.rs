//! The SMTP session against servers that follow a script, and a desk that writes down what it is told.

#![allow(clippy::unwrap_used)] // in the helpers too

mod desk;
mod limits;
mod lost;
mod opening;
mod pipeline;
mod refusals;
mod server;
mod token;
