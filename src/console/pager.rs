//! The operator's pager: `$PAGER`, else `less`, given a text that was made harmless before.

use std::{
    env,
    io::{self, BufWriter, Write as _},
    process::{Command, Stdio},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use signal_hook::{
    consts::{SIGINT, SIGQUIT, SIGWINCH},
    flag::register_conditional_default,
    low_level::raise,
};

use super::page::Page;

/// The thread that reads keys is given so long to let go of the terminal.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a shell answers when there is no such program, or it may not be run.
const NO_PROGRAM: [i32; 2] = [126, 127];

/// A gate before the terminal's keys: while a pager reads them, nobody else does.
#[derive(Debug, Default)]
pub struct Gate {
    standing: Mutex<Standing>,
    news: Condvar,
}

#[derive(Debug, Default)]
struct Standing {
    closed: bool,
    waits: bool,
}

impl Gate {
    /// Called before each key is read: waits while the gate is closed.
    pub fn pass(&self) {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        while standing.closed {
            standing.waits = true;
            self.news.notify_all();
            standing = self
                .news
                .wait(standing)
                .unwrap_or_else(PoisonError::into_inner);
        }
        standing.waits = false;
    }

    /// Whether a pager has the keys.
    pub fn is_closed(&self) -> bool {
        let standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        standing.closed
    }

    /// Closes it and waits until whoever reads keys stands before it.
    fn close(&self) -> io::Result<()> {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        standing.closed = true;
        // Whoever waits for a key is woken as by a terminal that has another size.
        raise(SIGWINCH)?;
        let (mut standing, time) = self
            .news
            .wait_timeout_while(standing, PATIENCE, |standing| !standing.waits)
            .unwrap_or_else(PoisonError::into_inner);
        if time.timed_out() {
            standing.closed = false;
            return Err(io::Error::other("the terminal is still being read"));
        }
        Ok(())
    }

    fn open(&self) {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        standing.closed = false;
        self.news.notify_all();
    }
}

/// The pager, and what keeps Ctrl-C in it from ending the console.
#[derive(Debug)]
pub struct Pager {
    gate: Arc<Gate>,
    /// The console ends when it is interrupted, as it did before.
    dies: Arc<AtomicBool>,
}

impl Pager {
    /// Prepares it. The gate stands before the keys.
    pub fn new(gate: Arc<Gate>) -> io::Result<Self> {
        let dies = Arc::new(AtomicBool::new(true));
        for signal in [SIGINT, SIGQUIT] {
            register_conditional_default(signal, Arc::clone(&dies))?;
        }
        Ok(Self { gate, dies })
    }

    /// Shows a page and returns when the operator has left the pager. `lend` gives the terminal back for as long as what it is given runs. The
    /// inner `Err` is a sentence for the operator.
    pub fn show<E>(
        &self,
        page: &Page,
        lend: impl FnOnce(&dyn Fn() -> Result<(), String>) -> Result<Result<(), String>, E>,
    ) -> Result<Result<(), String>, E> {
        // First of all: a key that is pressed once the console is off the screen is meant for the pager.
        if let Err(error) = self.gate.close() {
            return Ok(Err(format!("the pager was not started: {error}")));
        }
        self.dies.store(false, Ordering::Release);
        let shown = lend(&|| run(page));
        self.dies.store(true, Ordering::Release);
        self.gate.open();
        shown
    }
}

fn run(page: &Page) -> Result<(), String> {
    let words = env::var("PAGER").ok();
    let words = words.filter(|words| !words.trim().is_empty());
    let words = words.unwrap_or_else(|| "less".to_owned());
    start(&words, page)
        .map_err(|error| format!("the pager `{words}` failed: {error}; $PAGER names another"))
}

fn start(words: &str, page: &Page) -> io::Result<()> {
    let mut pager = Command::new("/bin/sh")
        .args(["-c", words])
        .stdin(Stdio::piped())
        .spawn()?;
    if let Some(stdin) = pager.stdin.take() {
        let mut stdin = BufWriter::new(stdin);
        // Who leaves the pager before the end has read enough.
        let _ = page.write(&mut stdin).and_then(|()| stdin.flush());
    }
    match pager.wait()?.code() {
        Some(code) if NO_PROGRAM.contains(&code) => Err(io::Error::other("it cannot be run")),
        _ => Ok(()),
    }
}
