//! The backend that hands each message to a program, as `/usr/sbin/sendmail` is called: arguments, the message on its standard input, and an
//! exit code of `sysexits.h` as the answer.

mod settings;

use std::{
    error::Error,
    fmt::Write as _,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    dkim::Dkim,
    lines::lines,
    mime::{self, BuildError, MimeBuilder},
    program::{self, End, Ran},
    traceback::{Traceback, chain},
};
use crate::{
    delivery::{Backend, Batch, Desk, Ended, Failure, Report, Session, Trouble},
    message::{Message, Outcome, Receiver},
};

pub use settings::SendmailSettings;

/// A program that takes our messages, one call a receiver.
#[derive(Debug)]
pub struct Sendmail(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: SendmailSettings,
    mime: MimeBuilder,
}

impl Sendmail {
    /// A backend that runs this program. Nothing is run before the first message.
    pub fn new(settings: SendmailSettings) -> Self {
        Self(Arc::new(Inner {
            settings,
            mime: MimeBuilder::new(None),
        }))
    }

    /// The same, with messages signed if there is a key.
    #[must_use]
    pub fn signing(self, dkim: Option<Arc<Dkim>>) -> Self {
        Self(Arc::new(Inner {
            settings: self.0.settings.clone(),
            mime: MimeBuilder::new(dkim),
        }))
    }
}

impl Backend for Sendmail {
    fn connections(&self) -> usize {
        self.0.settings.connections
    }

    /// One, also of a raw message: an exit code says nothing about whom it means.
    fn batch_limit(&self, _: &Message) -> usize {
        1
    }

    fn open(&self) -> Result<Box<dyn Session>, Trouble> {
        let program = self.0.look()?;
        Ok(Box::new(Caller {
            inner: Arc::clone(&self.0),
            program,
        }))
    }

    fn probe(&self) -> Result<String, Trouble> {
        let program = self.0.look()?;
        let arguments = self.0.settings.args.clone();
        Ok(format!(
            "{} is there and can be executed. It was not run: a message would be given to\n{}",
            program.display(),
            command_line(&program, &arguments)
        ))
    }
}

impl Inner {
    fn look(&self) -> Result<PathBuf, Trouble> {
        program::find(&self.settings.program).map_err(|error| {
            let scene = Scene::of(&self.settings, "start");
            Trouble::of(scene.failure(&Fault::Look(error)))
        })
    }
}

/// What is wrong where the program itself did not say so.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("{0} (name one with `program`, or install one)")]
    Look(program::NoProgram),
    #[error("the program could not be started")]
    Start(#[source] io::Error),
    #[error("the message cannot be put into a temporary file for the program")]
    Input(#[source] io::Error),
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(
        "{what} {address} begins with `-`: a program could take it for an option, so it is not given to one (as in Postfix)"
    )]
    Option { what: &'static str, address: String },
}

/// One call after the other.
struct Caller {
    inner: Arc<Inner>,
    program: PathBuf,
}

impl Session for Caller {
    fn run(&mut self, desk: &mut dyn Desk) -> Result<Ended, Trouble> {
        while let Some(batch) = desk.next() {
            for index in 0..batch.receivers.len() {
                self.call(&batch, index, desk)?;
            }
        }
        Ok(Ended::Idle)
    }
}

/// A message ready to be given to the program.
struct Call {
    arguments: Vec<String>,
    input: File,
    /// In bytes.
    size: u64,
}

impl Caller {
    /// Tries one receiver of the batch. On `Err` the program cannot be used, whoever the message is for.
    fn call(&self, batch: &Batch, index: usize, desk: &mut dyn Desk) -> Result<(), Trouble> {
        let receiver = &batch.receivers[index];
        let settings = &self.inner.settings;
        let scene = |phase| Scene {
            message: Some((&batch.message, receiver)),
            ..Scene::of(settings, phase)
        };
        let call = match self.prepare(batch, receiver) {
            Ok(call) => call,
            Err(fault @ Fault::Input(_)) => {
                return Err(Trouble::of(scene("input").failure(&fault)));
            }
            Err(fault) => {
                let failure = scene("build").failure(&fault);
                desk.settle(receiver, Report::Failed(Outcome::Permanent, failure));
                return Ok(());
            }
        };
        if desk.arm(batch, &[index]).is_err() {
            return Ok(());
        }
        let Call {
            arguments,
            input,
            size,
        } = call;
        let ran = match program::run(&self.program, &arguments, input.into(), settings.timeout) {
            Ok(ran) => ran,
            Err(error) => {
                let failure = scene("start").failure(&Fault::Start(error));
                desk.settle(receiver, Report::Failed(Outcome::Backend, failure.clone()));
                return Err(Trouble::of(failure));
            }
        };
        let answer = Answer::of(&ran.end);
        if answer == Answer::Accepted {
            let reply = said(&ran);
            desk.settle(
                receiver,
                Report::Accepted {
                    reply: reply.trim_end().to_owned(),
                    code: None,
                    enhanced: None,
                },
            );
            return Ok(());
        }
        let command = command_line(&self.program, &arguments);
        let failure = scene("exit").ended(&ran, answer, &command, size);
        let outcome = match answer {
            Answer::Accepted | Answer::Unknown => Outcome::Unknown,
            Answer::Permanent(_) => Outcome::Permanent,
            Answer::Temporary(_) => Outcome::Temporary,
            Answer::Trouble(_) => Outcome::Backend,
        };
        desk.settle(receiver, Report::Failed(outcome, failure.clone()));
        match outcome {
            Outcome::Backend => Err(Trouble::of(failure)),
            _ => Ok(()),
        }
    }

    fn prepare(&self, batch: &Batch, receiver: &Receiver) -> Result<Call, Fault> {
        let settings = &self.inner.settings;
        let message = &batch.message;
        let built =
            self.inner
                .mime
                .build(message, &batch.content, receiver, settings.from.as_deref())?;
        let sender = match mime::sender(message, built.from)? {
            Some(sender) => sender.to_string(),
            // RFC 5321 4.5.5; an empty argument is taken for a missing one by some.
            None => "<>".to_owned(),
        };
        let recipient = mime::address("to", &receiver.identity)?.to_string();
        for (what, address) in [("the sender", &sender), ("the address", &recipient)] {
            if address.starts_with('-') {
                return Err(Fault::Option {
                    what,
                    address: address.clone(),
                });
            }
        }
        let mut size = 0;
        let input = program::input(|file| {
            // Line ends as they are on this machine: what sendmail has always been given.
            for line in lines(&built.bytes) {
                file.write_all(line)?;
                file.write_all(b"\n")?;
                size += line.len() as u64 + 1;
            }
            Ok(())
        })
        .map_err(Fault::Input)?;
        Ok(Call {
            arguments: settings.arguments(&sender, &recipient),
            input,
            size,
        })
    }
}

/// What an end of the program says about the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Accepted,
    /// Each with the name and meaning of the code.
    Permanent(&'static str),
    Temporary(&'static str),
    /// Nothing about the message: the program cannot be used so.
    Trouble(&'static str),
    /// It had the message and did not say.
    Unknown,
}

impl Answer {
    /// `sysexits.h`, and what shells say when they find no program.
    fn of(end: &End) -> Self {
        let End::Code(code) = end else {
            return Self::Unknown;
        };
        match code {
            0 => Self::Accepted,
            64 => Self::Trouble("EX_USAGE, it does not understand its arguments"),
            65 => Self::Permanent("EX_DATAERR, there is something wrong with the message"),
            66 => Self::Temporary("EX_NOINPUT, it could not read its input"),
            67 => Self::Permanent("EX_NOUSER, there is no such user"),
            68 => Self::Permanent("EX_NOHOST, there is no such host"),
            69 => Self::Permanent("EX_UNAVAILABLE, it cannot be done"),
            70 => Self::Temporary("EX_SOFTWARE, it found a fault in itself"),
            71 => Self::Temporary("EX_OSERR, the system refused it something"),
            72 => Self::Temporary("EX_OSFILE, a file of the system is missing"),
            73 => Self::Temporary("EX_CANTCREAT, it could not make a file"),
            74 => Self::Temporary("EX_IOERR, it could not read or write"),
            75 => Self::Temporary("EX_TEMPFAIL, try again later"),
            76 => Self::Temporary("EX_PROTOCOL, the other side talked nonsense"),
            77 => Self::Trouble("EX_NOPERM, we may not use it"),
            78 => Self::Trouble("EX_CONFIG, it is not set up"),
            126 => Self::Trouble("something it calls may not be executed"),
            127 => Self::Trouble("something it calls was not found"),
            _ => Self::Temporary("a code that sysexits.h does not know"),
        }
    }

    fn words(self) -> Option<&'static str> {
        match self {
            Self::Permanent(words) | Self::Temporary(words) | Self::Trouble(words) => Some(words),
            Self::Accepted | Self::Unknown => None,
        }
    }
}

/// The circumstances of a failure.
struct Scene<'a> {
    settings: &'a SendmailSettings,
    phase: &'static str,
    message: Option<(&'a Message, &'a Receiver)>,
}

impl<'a> Scene<'a> {
    fn of(settings: &'a SendmailSettings, phase: &'static str) -> Self {
        Self {
            settings,
            phase,
            message: None,
        }
    }

    /// Something broke, and the program has no part in it.
    fn failure(&self, error: &dyn Error) -> Failure {
        let causes = chain(error);
        let words = causes.join(": ").replace(['\r', '\n'], " ");
        self.told(words, None, &causes, None)
    }

    /// The program ended, and not with success.
    fn ended(&self, ran: &Ran, answer: Answer, command: &str, size: u64) -> Failure {
        let mut end = format!("the program {}", ran.end);
        if let Some(words) = answer.words() {
            let _ = write!(end, " ({words})");
        }
        if answer == Answer::Unknown {
            end.push_str("; it had the message, so it may have sent it");
        }
        let last = ran.stderr.last_line().or_else(|| ran.stdout.last_line());
        let mut causes = vec![end];
        causes.extend(last);
        let seconds = ran.took.as_secs_f64();
        let transcript = format!(
            "$ {command}\n< [{size} bytes of message]\n{}-- {} after {seconds:.3} s\n",
            said(ran),
            ran.end
        );
        self.told(causes.join(": "), Some(seconds), &causes, Some(transcript))
    }

    fn told(
        &self,
        error: String,
        seconds: Option<f64>,
        causes: &[String],
        transcript: Option<String>,
    ) -> Failure {
        let mut told = Traceback::of(&error);
        match seconds {
            Some(seconds) => told.line("phase", &format!("{}, {seconds:.3} s", self.phase)),
            None => told.line("phase", self.phase),
        }
        if let Some((_, receiver)) = self.message {
            told.line("to", &receiver.identity);
        }
        told.line("backend", &self.settings.name);
        told.line("program", &self.settings.program.display().to_string());
        if let Some((message, receiver)) = self.message {
            told.line("message", &format!("{}, key {}", message.id, message.key));
            told.line("receiver", &receiver.id.to_string());
            told.line("uid", &receiver.uid);
        }
        Failure {
            traceback: told.caused_by(causes),
            error,
            transcript,
            phase: Some(self.phase.to_owned()),
            ..Failure::default()
        }
    }
}

/// What the program printed, complaints first.
fn said(ran: &Ran) -> String {
    let mut said = String::new();
    for output in [&ran.stderr, &ran.stdout] {
        if output.left_out > 0 {
            let _ = writeln!(said, "[{} bytes left out]", output.left_out);
        }
        said.push_str(&output.text());
        if !said.is_empty() && !said.ends_with('\n') {
            said.push('\n');
        }
    }
    said
}

/// The command as one could type it: what is odd stands in quotes.
fn command_line(program: &Path, arguments: &[String]) -> String {
    let mut line = program.display().to_string();
    for argument in arguments {
        let plain = |c: char| c.is_alphanumeric() || "-_.,@/:=+%{}".contains(c);
        if !argument.is_empty() && argument.chars().all(plain) {
            let _ = write!(line, " {argument}");
        } else {
            let _ = write!(line, " '{}'", argument.replace('\'', "'\\''"));
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(args: &[&str], sender: &str, recipient: &str) -> Vec<String> {
        SendmailSettings {
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
            ..SendmailSettings::new("local")
        }
        .arguments(sender, recipient)
    }

    #[test]
    fn an_address_that_reads_like_a_placeholder_is_only_an_address() {
        assert_eq!(
            arguments(
                &["--from={sender}", "{recipient}", "{recipient}{sender}."],
                "{recipient}@a.example",
                "{sender}@b.example"
            ),
            [
                "--from={recipient}@a.example",
                "{sender}@b.example",
                "{sender}@b.example{recipient}@a.example."
            ]
        );
    }

    #[test]
    fn arguments_that_nobody_would_get_anything_by_are_refused() {
        let check = |args: &[&str]| {
            SendmailSettings {
                args: args.iter().map(|&arg| arg.to_owned()).collect(),
                ..SendmailSettings::new("local")
            }
            .check()
        };
        assert_eq!(SendmailSettings::new("local").check(), Ok(()));
        assert_eq!(check(&["--to={recipient}"]), Ok(()));
        assert!(check(&["-t"]).unwrap_err().starts_with("args: {recipient}"));
        assert!(
            check(&["{from}", "{recipient}"])
                .unwrap_err()
                .contains("`{from}`")
        );
    }
}
