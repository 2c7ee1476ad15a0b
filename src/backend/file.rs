//! The backend that leaves one `.eml` per receiver in a folder: for trying out, for archives, for another program to fetch.

use std::{
    error::Error,
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::DirBuilderExt as _,
    path::PathBuf,
    sync::Arc,
};

use tempfile::NamedTempFile;

use super::{
    dkim::Dkim,
    mime::MimeBuilder,
    traceback::{Traceback, chain},
};
use crate::{
    delivery::{Batch, Failed, Failure, Gateway, Named, NotArmed, SendError, Trouble},
    message::{Receiver, ReceiverId},
};

/// Everything there is to say about a file backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSettings {
    /// The backend's name, for tracebacks.
    pub name: String,
    /// The folder; made when it is missing, readable by its owner only.
    pub path: PathBuf,
    /// The header From of messages that have none.
    pub from: Option<String>,
    /// How many batches may be written at once.
    pub connections: usize,
}

/// Writes each receiver's message to `<uid>.eml`. A file appears whole or not at all; a retry replaces it, so nobody has two.
#[derive(Debug)]
pub struct FileBackend {
    settings: FileSettings,
    mime: MimeBuilder,
}

impl FileBackend {
    /// A backend that writes to this folder. Nothing is touched before the first message.
    pub fn new(settings: FileSettings) -> Self {
        Self {
            settings,
            mime: MimeBuilder::new(None),
        }
    }

    /// The same, with messages signed if there is a key.
    #[must_use]
    pub fn signing(mut self, dkim: Option<Arc<Dkim>>) -> Self {
        self.mime = MimeBuilder::new(dkim);
        self
    }

    /// Writes the message beside its final name, durably.
    fn prepare(&self, batch: &Batch, receiver: &Receiver) -> Result<Prepared, Named> {
        let built = self
            .mime
            .build(
                &batch.message,
                &batch.content,
                receiver,
                self.settings.from.as_deref(),
            )
            .map_err(|error| self.failed(batch, receiver, true, "build", &error))?;
        let write = || {
            let mut file = tempfile::Builder::new()
                .prefix(".")
                .suffix(".tmp")
                .tempfile_in(&self.settings.path)?;
            file.write_all(&built.bytes)?;
            file.as_file().sync_all()?;
            Ok(file)
        };
        match write() {
            Ok(file) => Ok(Prepared {
                file,
                name: self.settings.path.join(format!("{}.eml", receiver.uid)),
            }),
            Err(error) => Err(self.failed(batch, receiver, false, "write", &Fault::Write(error))),
        }
    }

    fn failed(
        &self,
        batch: &Batch,
        receiver: &Receiver,
        permanent: bool,
        phase: &str,
        error: &dyn Error,
    ) -> Named {
        Named {
            receiver: receiver.id,
            permanent,
            failure: self.failure(batch, Some(receiver), phase, error),
        }
    }

    fn failure(
        &self,
        batch: &Batch,
        receiver: Option<&Receiver>,
        phase: &str,
        error: &dyn Error,
    ) -> Failure {
        let causes = chain(error);
        let words = causes.join(": ").replace(['\r', '\n'], " ");
        let mut told = Traceback::of(&words);
        told.line("phase", phase);
        told.line("backend", &self.settings.name);
        told.line("folder", &self.settings.path.display().to_string());
        let message = &batch.message;
        told.line("message", &format!("{}, key {}", message.id, message.key));
        if let Some(receiver) = receiver {
            told.line(
                "receiver",
                &format!("{}, {}", receiver.id, receiver.identity),
            );
            told.line("uid", &receiver.uid);
        }
        Failure {
            error: words,
            traceback: told.caused_by(&causes),
            phase: Some(phase.to_owned()),
            ..Failure::default()
        }
    }
}

/// A message that only needs its name.
struct Prepared {
    file: NamedTempFile,
    name: PathBuf,
}

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("cannot make the folder {}", path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error("cannot write the message")]
    Write(#[source] io::Error),
    #[error("cannot give the message its name {}", path.display())]
    Rename { path: PathBuf, source: io::Error },
    #[error("the folder {} could not be flushed to disk", path.display())]
    Flush { path: PathBuf, source: io::Error },
}

impl Gateway for FileBackend {
    fn send(
        &self,
        batch: &Batch,
        arm: &mut dyn FnMut() -> Result<(), NotArmed>,
    ) -> Result<(), SendError> {
        let path = &self.settings.path;
        let made = fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path);
        if let Err(source) = made {
            let fault = Fault::Folder {
                path: path.clone(),
                source,
            };
            return Err(SendError {
                failure: self.failure(batch, None, "open", &fault),
                permanent: false,
                failed: Failed::All,
            });
        }

        let mut failed = Vec::new();
        let mut prepared = Vec::new();
        for receiver in &batch.receivers {
            match self.prepare(batch, receiver) {
                Ok(message) => prepared.push((receiver, message)),
                Err(named) => failed.push(named),
            }
        }
        // On `Err` the temporary files go with `prepared`.
        if !prepared.is_empty() && arm().is_err() {
            return Ok(());
        }
        let mut written: Vec<ReceiverId> = Vec::new();
        for (receiver, message) in prepared {
            let Prepared { file, name } = message;
            match file.persist(&name) {
                Ok(_) => written.push(receiver.id),
                Err(error) => {
                    let fault = Fault::Rename {
                        path: name,
                        source: error.error,
                    };
                    failed.push(self.failed(batch, receiver, false, "rename", &fault));
                }
            }
        }
        if !written.is_empty()
            && let Err(source) = File::open(path).and_then(|folder| folder.sync_all())
        {
            // The files have their names now; whether they keep them through a power cut nobody can say.
            let fault = Fault::Flush {
                path: path.clone(),
                source,
            };
            return Err(SendError {
                failure: self.failure(batch, None, "flush", &fault),
                permanent: false,
                failed: Failed::Each {
                    accepted: Vec::new(),
                    failed,
                },
            });
        }
        match failed.first() {
            None => Ok(()),
            Some(first) => Err(SendError {
                failure: first.failure.clone(),
                permanent: first.permanent,
                failed: Failed::Only(failed),
            }),
        }
    }

    fn probe(&self) -> Result<String, Trouble> {
        let path = &self.settings.path;
        let look = || -> io::Result<()> {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(path)?;
            tempfile::tempfile_in(path).map(|_| ())
        };
        look()
            .map(|()| format!("the folder {} can be written", path.display()))
            .map_err(|error| {
                let error = format!("the folder {} cannot be written: {error}", path.display());
                let failure = Failure {
                    traceback: error.clone(),
                    error,
                    phase: Some("open".to_owned()),
                    ..Failure::default()
                };
                Trouble::of(failure)
            })
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt as _, path::Path, sync::Arc};

    use serde_json::Value;

    use super::*;
    use crate::message::{Body, Content, Message, MessageId};

    fn batch(identities: &[&str]) -> Batch {
        Batch {
            message: Arc::new(Message {
                id: MessageId(1),
                key: "k".to_owned(),
                kind: "t".to_owned(),
                from: Some("a@b.example".to_owned()),
                reply_to: None,
                headers: Vec::new(),
                return_path: None,
                created_at: chrono::Utc::now(),
                metadata: Value::Null,
                raw: false,
            }),
            content: Arc::new(Content {
                subject: "s".to_owned(),
                body: Body::Parts {
                    text: "t".to_owned(),
                    html: None,
                },
            }),
            receivers: identities
                .iter()
                .enumerate()
                .map(|(index, identity)| Receiver {
                    id: ReceiverId(index as i64),
                    epoch: 1,
                    uid: format!("uid-{index}"),
                    identity: (*identity).to_owned(),
                    name: None,
                    user: None,
                    language: "en".to_owned(),
                    metadata: Value::Null,
                })
                .collect(),
        }
    }

    fn backend(path: &Path) -> FileBackend {
        FileBackend::new(FileSettings {
            name: "disk".to_owned(),
            path: path.to_owned(),
            from: None,
            connections: 1,
        })
    }

    fn names(path: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn each_receiver_has_one_file_named_by_its_uid_in_a_private_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/outbox");
        let batch = batch(&["x@y.example", "z@y.example"]);
        for _ in 0..2 {
            let mut armed = 0;
            let sent = backend(&path).send(&batch, &mut || {
                armed += 1;
                // Nothing that counts may exist before the arm.
                Ok(())
            });
            assert!(sent.is_ok());
            assert_eq!(armed, 1);
        }
        assert_eq!(names(&path), ["uid-0.eml", "uid-1.eml"]);
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o700
        );
        let text = fs::read_to_string(path.join("uid-1.eml")).unwrap();
        assert!(text.contains("To: z@y.example\r\n") && text.contains("<uid-1@b.example>"));
    }

    #[test]
    fn nothing_appears_before_the_arm_nor_when_it_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let sent = backend(&path).send(&batch(&["x@y.example"]), &mut || {
            assert!(names(&path).iter().all(|name| name.starts_with('.')));
            Err(NotArmed)
        });
        assert!(sent.is_ok());
        assert!(names(&path).is_empty());
    }

    #[test]
    fn a_receiver_whose_message_cannot_be_built_does_not_stop_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let error = backend(folder.path())
            .send(&batch(&["nonsense", "x@y.example"]), &mut || Ok(()))
            .unwrap_err();
        let Failed::Only(failed) = error.failed else {
            panic!("{error:?}")
        };
        assert_eq!(failed.len(), 1);
        assert_eq!(
            (failed[0].receiver, failed[0].permanent),
            (ReceiverId(0), true)
        );
        assert!(failed[0].failure.traceback.contains("nonsense"));
        assert_eq!(names(folder.path()), ["uid-1.eml"]);
    }

    #[test]
    fn a_folder_that_cannot_be_made_fails_for_all_for_now() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let error = backend(&file.join("outbox"))
            .send(&batch(&["x@y.example"]), &mut || panic!("armed"))
            .unwrap_err();
        assert!(matches!(error.failed, Failed::All) && !error.permanent);
        assert!(error.failure.traceback.contains("outbox"));
    }
}
