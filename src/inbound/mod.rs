//! What comes in: mails that applications hand over by SMTP.
//!
//! [`Listener`] takes connections, a bounded number of threads; a `session` is one conversation, over a `wire`; `command` and `data` are its grammar,
//! without I/O; `auth` knows passwords, `certificate` what clients will say of the listener's. [`Intake`] stores what was said, one durable commit for all that wait for one, before anybody hears of it.
//! [`converse`] is the same conversation over standard input and output.

mod auth;
mod certificate;
mod command;
mod data;
mod intake;
mod listener;
mod place;
mod session;
mod settings;
mod wire;

use std::{io, sync::Arc};

pub use certificate::Standing;
pub use intake::Intake;
pub use listener::Listener;
pub use settings::{ListenSettings, Settings, SettingsError};

use crate::store::Store;
use place::{Budget, Place};
use session::Session;
use wire::Wire;

/// Speaks SMTP with the program that started this one, on standard input and output, until it says QUIT.
pub fn converse(store: Arc<Store>, settings: Settings) {
    let intake = Intake::new(store);
    let place = Place::new(Budget::new(usize::MAX));
    let wire = Wire::Pipe(io::stdin(), io::stdout());
    Session::new(wire, None, Arc::new(settings), &intake, &place).run();
}
