//! Log lines to stderr, for commands that do not own the screen.

use std::io::{self, Write};

use tracing::Level;
use tracing_subscriber::EnvFilter;

use crate::message::DisplayText;

/// Starts logging at `level`, one level more for each `-v`.
pub(super) fn start(level: Level, verbose: u8) {
    const LEVELS: [Level; 5] = [
        Level::ERROR,
        Level::WARN,
        Level::INFO,
        Level::DEBUG,
        Level::TRACE,
    ];
    let usual = LEVELS.iter().position(|known| *known == level).unwrap_or(1);
    let level = LEVELS[(usual + usize::from(verbose)).min(LEVELS.len() - 1)];
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(format!("warn,postroom={level}")))
        .with_ansi(false)
        .with_target(false)
        .with_writer(|| Harmless)
        .init();
}

/// What servers and messages say stands in log lines: it must not reach the terminal as it is. A log line is one call. It never fails: for a log that
/// nobody reads, or that the disk has no room for, tracing would panic, and with it whichever worker had something to say.
struct Harmless;

impl Write for Harmless {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let shown = DisplayText::lines(&String::from_utf8_lossy(line));
        let _ = io::stderr().write_all(shown.as_str().as_bytes());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = io::stderr().flush();
        Ok(())
    }
}
