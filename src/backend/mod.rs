//! The ways out, one file or folder each: [`smtp`] speaks to a mail server, [`mod@file`] leaves `.eml` files in a folder. Both build their
//! messages with `mime` and tell failures with `traceback`. Nothing here knows of the store or decides about retries: a backend is handed
//! batches over the traits of [`crate::delivery`] and tells what became of each receiver.

pub mod file;
mod mime;
mod secret;
pub mod smtp;
mod traceback;

pub use file::{FileBackend, FileSettings};
pub use secret::{Secret, SecretError, SecretSource};
pub use smtp::{Credentials, SettingsError, Smtp, SmtpSettings, Timeouts, Tls};
