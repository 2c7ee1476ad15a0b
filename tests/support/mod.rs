//! What the tests share: Postroom run as an operator runs it, on a store and a config of the test's own.
//!
//! ```ignore
//! let server = Server::start(Script::accept_all())?;
//! let postroom = Postroom::to(&server);
//! postroom.submit(&[message("m1", "feedback", &["april@example.com"])]);
//! assert_eq!(postroom.deliver().sent, 1);
//! assert_eq!(postroom.list_json("status:sent").len(), 1);
//! ```
//!
//! Nothing here waits without a deadline, and every process that is started is ended with the value that stands for it.
#![allow(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    reason = "each test uses its own part of this, and should panic where it cannot go on"
)]

mod books;
mod engine;
mod mounts;
mod options;
mod process;
mod screen;
mod service;
mod shim;
mod submission;
mod terminal;
mod tls;

use std::{
    fmt::Display,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use postroom::{
    demo::server::{Action, Phase, Script, Server},
    query::Query,
    store::{Anchor, Detail, Store},
};
use rusqlite::Connection;
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;
use toml::{Table, Value as Toml};

pub use books::assert_explained;
pub use engine::{Hands, way, way_by};
pub use mounts::{Disk, ReadOnly, with_own_mounts};
pub use options::options;
pub use process::{Ran, Running, peak};
pub use rustix::process::Signal;
pub use screen::Terminal;
pub use service::{Service, free_address, listening};
pub use shim::shim;
pub use submission::{receiver, submission};
pub use tls::Certificate;

/// Long enough for whatever a test waits for, on a busy machine too.
pub const SOON: Duration = Duration::from_secs(60);

/// Says that something could not be tested on this machine, and why.
pub fn skipped(what: &str) {
    // Past the test runner, which would keep it from whoever reads a run that passed.
    let _ = io::stderr().write_all(format!("\n!! SKIPPED: {what}\n").as_bytes());
}

/// Bytes of a page of this database, as its head says (<https://sqlite.org/fileformat.html>, 1.3.2).
pub fn page_size(database: &[u8]) -> usize {
    u16::from_be_bytes([database[16], database[17]]).into()
}

/// Whether the program is here; else a line says that nothing was tested with it.
pub fn is_here(program: &str) -> bool {
    let here = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .is_ok();
    if !here {
        skipped(&format!(
            "what is tested with {program}: there is none here"
        ));
    }
    here
}

/// A config in the making. Keys are dotted paths: `backends.email.connections`.
#[derive(Clone, Default)]
pub struct Setup {
    config: Table,
}

impl Setup {
    /// No backend at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// A backend of kind `smtp` called `name` that speaks to this server, in clear.
    pub fn smtp(self, name: &str, server: &Server) -> Self {
        self.set(&format!("backends.{name}.kind"), "smtp")
            .set(
                &format!("backends.{name}.host"),
                server.addr().ip().to_string(),
            )
            .set(&format!("backends.{name}.port"), i64::from(server.port()))
            .set(&format!("backends.{name}.tls"), "none")
            .set(&format!("backends.{name}.from"), "no-reply@example.com")
    }

    /// A backend of kind `file` called `name` that writes to the folder of that name beside the config.
    pub fn file(self, name: &str) -> Self {
        self.set(&format!("backends.{name}.kind"), "file")
            .set(&format!("backends.{name}.path"), name)
            .set(&format!("backends.{name}.from"), "no-reply@example.com")
    }

    /// Any key.
    pub fn set(mut self, path: &str, value: impl Into<Toml>) -> Self {
        let mut keys: Vec<&str> = path.split('.').collect();
        let last = keys.pop().unwrap();
        let mut table = &mut self.config;
        for key in keys {
            table = table
                .entry(key)
                .or_insert_with(|| Toml::Table(Table::new()))
                .as_table_mut()
                .unwrap();
        }
        table.insert(last.to_owned(), value.into());
        self
    }

    /// Writes the config and makes an empty store, both in a folder that goes with the test.
    pub fn build(self) -> Postroom {
        self.build_in(&std::env::temp_dir())
    }

    /// The same, in a folder within this one.
    pub fn build_in(self, place: &Path) -> Postroom {
        let postroom = Postroom {
            folder: tempfile::tempdir_in(place).unwrap(),
        };
        postroom.configure(self);
        Store::create(&postroom.store_path()).unwrap();
        postroom
    }
}

/// One installation: a config, a store, and the program.
pub struct Postroom {
    folder: TempDir,
}

/// What `deliver --format json` answers, in receivers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Summary {
    pub sent: u64,
    pub failed: u64,
    pub error: u64,
    pub unconfirmed: u64,
    pub backend: u64,
}

impl Summary {
    /// Receivers with a result, whatever it is.
    pub fn tried(&self) -> u64 {
        self.sent + self.failed + self.error + self.unconfirmed + self.backend
    }
}

impl Postroom {
    /// One whose only backend `email` is this server.
    pub fn to(server: &Server) -> Self {
        Setup::new().smtp("email", server).build()
    }

    /// One whose only backend `email` is a server that is down, and is probed this often.
    pub fn to_one_that_is_down(probe: &str) -> (Server, Self) {
        let mut server = Server::start(Script::accept_all()).unwrap();
        let setup = Setup::new().smtp("email", &server);
        let postroom = setup.set("backends.email.probe", probe).build();
        server.stop();
        (server, postroom)
    }

    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    pub fn config_path(&self) -> PathBuf {
        self.folder.path().join("config.toml")
    }

    pub fn store_path(&self) -> PathBuf {
        self.folder.path().join("postroom.db")
    }

    /// Replaces the config.
    pub fn configure(&self, setup: Setup) {
        let setup = setup.set("store.path", "postroom.db");
        fs::write(self.config_path(), toml::to_string(&setup.config).unwrap()).unwrap();
    }

    /// Runs `postroom` with these arguments to its end.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, "")
    }

    /// The same, with this on its standard input.
    pub fn run_with(&self, arguments: &[&str], input: impl AsRef<[u8]>) -> Ran {
        process::run(&self.folder(), arguments, input.as_ref())
    }

    /// `postroom` with these arguments, to be run by the test in its own way.
    pub fn command(&self, arguments: &[&str]) -> Command {
        process::command(&self.folder(), arguments)
    }

    /// Starts `postroom` with these arguments and leaves it running.
    pub fn start(&self, arguments: &[&str]) -> Running {
        Running::start(&self.folder(), arguments)
    }

    /// Runs `postroom` with these arguments at a pseudo-terminal. When it asks, this is done, and then the answer is typed. The exit code, and
    /// what stood on the terminal.
    pub fn answering(
        &self,
        arguments: &[&str],
        answer: &str,
        meanwhile: impl FnOnce(),
    ) -> (Option<i32>, String) {
        terminal::answering(self.command(arguments), answer, meanwhile)
    }

    /// Hands these messages over; all of them must be taken. The receipts, in order.
    pub fn submit(&self, messages: &[Value]) -> Vec<Value> {
        let lines: String = messages
            .iter()
            .map(|message| message.to_string() + "\n")
            .collect();
        self.run_with(&["submit", "-"], lines).ok().json_lines()
    }

    /// One pass.
    pub fn deliver(&self) -> Summary {
        let ran = self.run(&["deliver", "--format", "json"]).ok();
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
    }

    /// All receivers that match, as `list` gives them: newest first.
    pub fn list_json(&self, query: &str) -> Vec<Value> {
        self.run(&["list", "--format", "json", "--limit", "0", "--", query])
            .ok()
            .json_lines()
    }

    /// Everything about every receiver, oldest first, without running the program for each.
    pub fn details(&self) -> Vec<Detail> {
        let store = Store::open_read_only(&self.store_path()).unwrap();
        let reader = store.reader().unwrap();
        let rows = reader
            .window(&Query::default(), Anchor::First, 100_000)
            .unwrap();
        let details = rows.iter().rev().map(|row| reader.detail(row.id));
        details.map(|detail| detail.unwrap().unwrap()).collect()
    }

    /// The names of the locks that engines have, or left.
    pub fn locks(&self) -> Vec<String> {
        fs::read_dir(self.folder())
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.contains(".engine-"))
            .collect()
    }

    /// How many receivers match.
    pub fn count(&self, query: &str) -> usize {
        self.list_json(query).len()
    }

    /// The only receiver that matches.
    pub fn only(&self, query: &str) -> Value {
        let mut found = self.list_json(query);
        assert_eq!(found.len(), 1, "{query} finds {found:#?}");
        found.remove(0)
    }

    /// One receiver with every attempt.
    pub fn show_json(&self, id: impl Display) -> Value {
        let ran = self
            .run(&["show", &id.to_string(), "--format", "json"])
            .ok();
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
    }

    /// [`Postroom::show_json`] of the only receiver that matches.
    pub fn show_only(&self, query: &str) -> Value {
        self.show_json(&self.only(query)["id"])
    }

    /// What `backend` says of the only one there is.
    pub fn backend(&self) -> Value {
        let ran = self.run(&["backend", "--format", "json"]).ok();
        let mut backends = ran.json_lines();
        assert_eq!(backends.len(), 1, "{ran:?}");
        backends.remove(0)
    }

    /// Asks until it is so; each question runs the program, so that this does not spin.
    pub fn wait_until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let until = Instant::now() + SOON;
        while !is_so(self) {
            assert!(Instant::now() < until, "waited in vain until {what}");
        }
    }

    /// `status/reason` of the only receiver that matches.
    pub fn state_of(&self, query: &str) -> String {
        let found = self.only(query);
        format!(
            "{}/{}",
            found["status"].as_str().unwrap(),
            found["reason"].as_str().unwrap()
        )
    }
}

/// An ordinary message with text in English.
pub fn message(key: &str, kind: &str, to: &[&str]) -> Value {
    json!({
        "key": key,
        "type": kind,
        "content": { "en": { "subject": format!("About {key}"), "text": format!("Hello, this is {key}.\n") } },
        "receivers": receivers(to),
    })
}

/// So many messages to one receiver each: this word and a number are the key and the address.
pub fn several(key: &str, n: usize) -> Vec<Value> {
    (0..n)
        .map(|n| {
            let to = format!("{key}{n}@example.com");
            message(&format!("{key}{n}"), "feedback", &[&to])
        })
        .collect()
}

/// A whole RFC 5322 message to these.
pub fn raw_message(key: &str, to: &[&str]) -> Value {
    json!({
        "key": key,
        "type": "raw",
        "raw": format!("From: raw@example.com\r\nTo: all@example.com\r\nSubject: About {key}\r\nMessage-ID: <{key}@example.com>\r\n\r\nHello.\r\n"),
        "receivers": receivers(to),
    })
}

fn receivers(to: &[&str]) -> Vec<Value> {
    to.iter()
        .map(|to| json!({ "to": to, "user": to.split('@').next() }))
        .collect()
}

/// Makes a store's log so long that who looks after it has it begin anew, and leaves moving it to them.
pub fn lengthen_the_log(store: &Path) {
    let conn = Connection::open(store).unwrap();
    conn.busy_timeout(SOON).unwrap();
    conn.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
    let long = "INSERT INTO audit (id, at, who, action, target, count) VALUES (-1, 0, 'test', '', hex(randomblob(9000000)), 0) \
                ON CONFLICT (id) DO UPDATE SET target = excluded.target";
    conn.execute(long, []).unwrap();
}

/// A server that answers no body before it is told to, and one connection to it: whoever is being sent stays so.
pub fn held_at_the_dot() -> (Server, Postroom) {
    let script = Script::accept_all().on(Phase::Dot, Action::accept().when_released());
    let server = Server::start(script).unwrap();
    let postroom = Setup::new()
        .smtp("email", &server)
        .set("backends.email.connections", 1)
        .build();
    (server, postroom)
}
