//! Log lines to stderr, for commands that do not own the screen: one line for each event, whatever stands in it.

use std::{
    env,
    fmt::{self, Write as _},
    io::{self, Write},
};

use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    EnvFilter,
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::Writer,
        time::{FormatTime as _, SystemTime},
    },
    registry::LookupSpan,
};

use crate::message::DisplayText;

/// A line is no longer than this (bytes). The journal cuts one after 48 KiB, and would read what is left as a line of its own, with a priority of its
/// own: a server may say that much.
const LONGEST: usize = 8 * 1024;

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
        .event_format(Line {
            journal: is_journal(),
        })
        .with_writer(|| Steadfast)
        .init();
}

/// Whether stderr goes to systemd's journal: then `JOURNAL_STREAM` has its device and inode (systemd.exec(5)).
fn is_journal() -> bool {
    let stderr = rustix::fs::fstat(io::stderr()).ok();
    let stderr = stderr.map(|stream| format!("{}:{}", stream.st_dev, stream.st_ino));
    stderr.is_some() && env::var("JOURNAL_STREAM").ok() == stderr
}

/// A line: the time and the level, or for the journal, which has a clock of its own, the priority (sd-daemon(3)); what happened; and the fields.
struct Line {
    journal: bool,
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut to: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let level = *event.metadata().level();
        if self.journal {
            write!(to, "<{}>", priority(level))?;
        } else {
            SystemTime.format_time(&mut to)?;
            write!(to, " {level:>5} ")?;
        }
        let mut words = Words::default();
        event.record(&mut words);
        words.message.push_str(&words.fields);
        // What servers and messages say stands in it: it must not reach the terminal as it is, nor begin a line.
        let line = DisplayText::line(&words.message);
        let line = line.as_str();
        match line.len() {
            ..=LONGEST => writeln!(to, "{line}"),
            length => {
                let end = (0..=LONGEST).rfind(|&at| line.is_char_boundary(at));
                let shown = &line[..end.unwrap_or_default()];
                writeln!(to, "{shown}… [{} bytes more]", length - shown.len())
            }
        }
    }
}

/// The priorities of syslog(3).
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

#[derive(Default)]
struct Words {
    message: String,
    fields: String,
}

impl Words {
    /// A value is quoted where it could be taken for more than one, or for another.
    fn put(&mut self, field: &Field, value: &str) {
        let plain = |c: char| !c.is_whitespace() && !matches!(c, '"' | '=' | '\\');
        let name = field.name();
        let _ = if name == "message" {
            self.message.write_str(value)
        } else if !value.is_empty() && value.chars().all(plain) {
            write!(self.fields, " {name}={value}")
        } else {
            write!(self.fields, " {name}={value:?}")
        };
    }
}

impl Visit for Words {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, &format!("{value:?}"));
    }
}

/// Stderr that never fails: for a log that nobody reads, or that the disk has no room for, tracing would panic, and with it whichever worker had
/// something to say.
struct Steadfast;

impl Write for Steadfast {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let _ = io::stderr().write_all(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = io::stderr().flush();
        Ok(())
    }
}
