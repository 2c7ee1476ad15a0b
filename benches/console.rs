//! What the console costs: the terminal in bytes, the operator in time, the machine in memory, on a small store and on a large one.
//!
//! `cargo bench --bench console` (or `-- 10000000` for a larger one) prints each figure for both stores with its goal beside it. Bytes are counted
//! under the backend at 80×24; a key is timed from its event to the last byte of its frame; the start is that of the whole process on a
//! pseudo-terminal, until the rows are on it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::Utc;
use postroom::{
    console::{
        effect::{Effect, Event},
        question::Source as _,
        source::StoreSource,
        state::{Setup, State},
        update::{start, update},
        view::view,
    },
    message::DisplayText,
    store::Store,
};
use ratatui::{
    Terminal, TerminalOptions, Viewport,
    backend::CrosstermBackend,
    crossterm::{
        event::{KeyCode, KeyEvent, KeyModifiers},
        queue,
        style::force_color_output,
        terminal::{BeginSynchronizedUpdate, EndSynchronizedUpdate},
    },
    layout::{Rect, Size},
};
use rustix::pty::OpenptFlags;

const SMALL: usize = 10;
const LARGE: usize = 1_000_000;
const RUNS: usize = 15;
const PRESSES: usize = 200;
const SIZE: Size = Size::new(80, 24);

fn main() {
    let large = std::env::args()
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(LARGE);
    let folder = tempfile::tempdir().expect("a folder");
    let columns: Vec<_> = [SMALL, large]
        .into_iter()
        .map(|size| {
            let place = folder.path().join(size.to_string());
            seed(&place, size);
            let store = place.join("postroom.db");
            let mut figures = in_process(&store);
            figures.extend(whole_process(&store));
            (size, figures)
        })
        .collect();
    println!("{:<44} {:>12} {:>12}  goal", "", columns[0].0, columns[1].0);
    for (index, (what, small, goal)) in columns[0].1.iter().enumerate() {
        let large = columns[1].1[index].1;
        println!("{what:<44} {small:>12.2} {large:>12.2}  {goal}");
    }
}

/// What, how much, and what was aimed at.
type Figure = (&'static str, f64, &'static str);

fn seed(place: &Path, receivers: usize) {
    let made = Command::new(env!("CARGO_BIN_EXE_postroom"))
        .args(["demo", "--receivers", &receivers.to_string(), "--seed-only"])
        .arg(place)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(made.expect("a process").success());
}

/// Counts what a terminal would be sent.
#[derive(Clone, Default)]
struct Counting(Arc<AtomicU64>);

impl Write for Counting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The console on a store, driven by keys; every question is answered before the frame is drawn, but for those that may take long.
struct Driven {
    state: State,
    source: StoreSource,
    terminal: Terminal<CrosstermBackend<Counting>>,
    sent: Counting,
}

impl Driven {
    fn open(store: &Path) -> Self {
        force_color_output(true);
        let store = Store::open_read_only(store).expect("a store");
        let sent = Counting::default();
        let backend = CrosstermBackend::new(sent.clone());
        let options = TerminalOptions {
            viewport: Viewport::Fixed(Rect::from((ratatui::layout::Position::ORIGIN, SIZE))),
        };
        let setup = Setup {
            store: DisplayText::line("postroom.db"),
            ..Setup::default()
        };
        let mut driven = Self {
            state: State::new(setup, SIZE, Utc::now()),
            source: StoreSource::new(store.reader().expect("a reader")),
            terminal: Terminal::with_options(backend, options).expect("a terminal"),
            sent,
        };
        let effects = start(&mut driven.state, "");
        driven.take(effects);
        driven
    }

    fn take(&mut self, effects: Vec<Effect>) {
        let (mut effects, mut draw, mut patient) = (effects, false, Vec::new());
        while !effects.is_empty() {
            for effect in std::mem::take(&mut effects) {
                match effect {
                    Effect::Draw => draw = true,
                    Effect::Ask(ask) if ask.question.sort().is_patient() => patient.push(ask),
                    Effect::Ask(ask) => {
                        let answer = self.source.answer(&ask.question);
                        effects.extend(update(&mut self.state, Event::Answer(ask, answer)));
                    }
                    _ => {}
                }
            }
        }
        if draw {
            self.draw();
        }
        for ask in patient {
            let answer = self.source.answer(&ask.question);
            let more = update(&mut self.state, Event::Answer(ask, answer));
            // Counting to the end is what the thread beside does when nothing else is asked.
            if more.contains(&Effect::Draw) {
                self.draw();
            }
        }
    }

    fn draw(&mut self) {
        let state = &self.state;
        queue!(self.terminal.backend_mut(), BeginSynchronizedUpdate).expect("written");
        self.terminal
            .draw(|frame| view(state, frame))
            .expect("drawn");
        queue!(self.terminal.backend_mut(), EndSynchronizedUpdate).expect("written");
    }

    fn press(&mut self, code: KeyCode) {
        let key = KeyEvent::new(code, KeyModifiers::NONE);
        let effects = update(&mut self.state, Event::Key(key));
        self.take(effects);
    }

    fn bytes(&mut self, what: impl FnOnce(&mut Self)) -> f64 {
        let before = self.sent.0.load(Ordering::Relaxed);
        what(self);
        (self.sent.0.load(Ordering::Relaxed) - before) as f64
    }

    /// The 99th of a hundred, in milliseconds.
    fn p99(&mut self, mut press: impl FnMut(&mut Self, usize)) -> f64 {
        let mut times: Vec<Duration> = (0..PRESSES)
            .map(|run| {
                let began = Instant::now();
                press(self, run);
                began.elapsed()
            })
            .collect();
        times.sort_unstable();
        times[PRESSES * 99 / 100].as_secs_f64() * 1e3
    }
}

fn in_process(store: &Path) -> Vec<Figure> {
    let mut driven = Driven::open(store);
    let idle = driven.bytes(|driven| {
        for _ in 0..10 {
            let effects = update(&mut driven.state, Event::Tick(Utc::now()));
            driven.take(effects);
        }
    });
    driven.press(KeyCode::Char('j'));
    let cursor = driven.bytes(|driven| driven.press(KeyCode::Char('j')));
    let page = driven.bytes(|driven| driven.press(KeyCode::PageDown));
    driven.press(KeyCode::Char('g'));
    let moved = driven.p99(|driven, _| driven.press(KeyCode::Char('j')));
    let paged = driven.p99(|driven, _| driven.press(KeyCode::PageDown));
    let filtered = driven.p99(|driven, run| {
        driven.press(KeyCode::Char(['3', '4', '5', '2'][run % 4]));
    });
    driven.press(KeyCode::Char('1'));
    let opened = driven.p99(|driven, run| {
        driven.press([KeyCode::Enter, KeyCode::Esc][run % 2]);
    });
    let causes = driven.p99(|driven, run| {
        driven.press([KeyCode::Char('c'), KeyCode::Esc][run % 2]);
    });
    let overview = driven.p99(|driven, run| {
        driven.press([KeyCode::Char('o'), KeyCode::Esc][run % 2]);
    });
    vec![
        ("bytes: idle for 10 s", idle, "0"),
        ("bytes: the cursor moves a row", cursor, "≤ 400"),
        ("bytes: a page", page, "≤ 4096"),
        ("key to frame: a row, ms (p99)", moved, "< 16"),
        ("key to frame: a page, ms (p99)", paged, "< 16"),
        ("key to frame: by status, ms (p99)", filtered, "< 16"),
        ("key to frame: open and close, ms (p99)", opened, "< 16"),
        ("key to frame: causes with rows, ms (p99)", causes, "< 16"),
        ("key to frame: overview whole, ms (p99)", overview, "< 16"),
    ]
}

/// The program on a pseudo-terminal.
struct OnTerminal {
    master: File,
    child: Child,
    seen: Vec<u8>,
}

impl OnTerminal {
    fn start(store: &Path) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = rustix::pty::openpt(flags).expect("a terminal");
        rustix::pty::grantpt(&master).expect("a terminal");
        rustix::pty::unlockpt(&master).expect("a terminal");
        let name = rustix::pty::ptsname(&master, Vec::new()).expect("a name");
        let name = name.to_str().expect("a name");
        let side = OpenOptions::new().read(true).write(true).open(name);
        let side = side.expect("a side");
        let other = || Stdio::from(side.try_clone().expect("a side"));
        let sized = Command::new("stty")
            .args(["cols", "80", "rows", "24", "-F", name])
            .status();
        assert!(sized.expect("a process").success());
        let mut command = Command::new(env!("CARGO_BIN_EXE_postroom"));
        command.args(["console", "--store"]).arg(store);
        command.env("POSTROOM_CONFIG", "/dev/null");
        command.stdin(other()).stdout(other()).stderr(other());
        Self {
            child: command.spawn().expect("a process"),
            master: master.into(),
            seen: Vec::new(),
        }
    }

    fn wait_for(&mut self, wanted: &str) {
        let mut some = [0; 16 * 1024];
        while !self
            .seen
            .windows(wanted.len())
            .any(|seen| seen == wanted.as_bytes())
        {
            let read = self.master.read(&mut some).expect("read");
            self.seen.extend(&some[..read]);
        }
        self.seen.clear();
    }

    fn press(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).expect("pressed");
    }

    /// Mebibytes.
    fn resident(&self) -> f64 {
        let status = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(status).expect("a status");
        let resident = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        resident.map_or(f64::NAN, |kib: f64| kib / 1024.0)
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The end of a frame, so that what stands before it is on the screen.
const FRAME: &str = "\x1b[?2026l";

fn whole_process(store: &Path) -> Vec<Figure> {
    let mut starts: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let began = Instant::now();
            let mut console = OnTerminal::start(store);
            console.wait_for(FRAME);
            let time = began.elapsed();
            console.press("q");
            time
        })
        .collect();
    starts.sort_unstable();
    let mut console = OnTerminal::start(store);
    console.wait_for(FRAME);
    for _ in 0..20 {
        console.press("\x1b[6~");
    }
    for keys in ["3", "G", "g", "1", "a", "c", "\x1b", "o"] {
        console.press(keys);
        console.wait_for(FRAME);
    }
    vec![
        (
            "start to the first frame, ms (median)",
            starts[RUNS / 2].as_secs_f64() * 1e3,
            "< 60, large ≤ 1.3 × small",
        ),
        (
            "resident memory afterwards, MiB",
            console.resident(),
            "< 64",
        ),
    ]
}
