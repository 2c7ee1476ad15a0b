//! The ways out, one file or folder each: [`smtp`] speaks to a mail server, [`sendmail`] hands messages to a program, [`mod@file`] leaves `.eml`
//! files in a folder. All build their messages with `mime` and tell failures with `traceback`; `program` runs other programs. Nothing here knows of the store or decides about retries: a backend is handed
//! batches over the traits of [`crate::delivery`] and tells what became of each receiver.

pub mod dkim;
pub mod file;
mod lines;
mod mime;
mod program;
mod secret;
pub mod sendmail;
pub mod smtp;
mod traceback;

pub use dkim::{Dkim, DkimError, DkimSettings};
pub use file::{FileBackend, FileSettings};
pub use secret::{Secret, SecretError, SecretSource};
pub use sendmail::{Sendmail, SendmailSettings};
pub use smtp::{
    Credentials, Proof, SettingsError, Smtp, SmtpSettings, Timeouts, Tls, TokenCommand,
};
