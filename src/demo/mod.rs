//! `postroom demo`: a mail server inside the process, and messages like the ones an application really sends.
//!
//! The same server, told what to do by a script, is what the tests and the benches deliver to.

mod data;
mod direct;
mod fate;
mod live;
mod place;
pub mod server;

pub use data::{Letter, Letters, letters};
pub use fate::{Fate, script};
pub use place::Demo;
