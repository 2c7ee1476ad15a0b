//! What the console costs: the terminal in bytes, the operator in time, the machine in memory, on a small store and on large ones.
//!
//! `cargo bench --bench console` prints each figure for ten, a million and ten million receivers side by side, with its goal beside it
//! (`-- 10 1000000` takes other sizes). The stores are made at the first run, which takes minutes at ten million and tells how far it is, and kept
//! under `target/tmp` for the next (about 15 GB).
//!
//! Bytes are counted under the backend at 80×24; a key is timed from its event until the rows it is about are in a frame, the last byte of it
//! written; the start is that of the whole process on a pseudo-terminal, until rows are on it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::anyhow;
use chrono::Utc;
use postroom::{
    console::{
        courier::{Courier as _, Stop, StoreCourier},
        effect::{Effect, Event, JobNews},
        question::{Question, Source as _},
        source::StoreSource,
        state::{Confirm, Overlay, Setup},
    },
    delivery::system_clock,
    message::DisplayText,
    query::{Context, Query},
    store::{Anchor, Store, Upkeep},
};
use ratatui::{
    Frame, Terminal, TerminalOptions, Viewport,
    backend::CrosstermBackend,
    crossterm::{
        event::KeyCode,
        queue,
        style::force_color_output,
        terminal::{BeginSynchronizedUpdate, EndSynchronizedUpdate},
    },
    layout::{Position, Rect, Size},
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    pty::OpenptFlags,
};

mod support;

use support::{
    driven::{Canvas, Driven},
    large,
};

const SIZES: [usize; 3] = [10, 1_000_000, 10_000_000];
const RUNS: usize = 15;
const PRESSES: usize = 200;
const SIZE: Size = Size::new(80, 24);

/// A store of this size is small enough to be copied and changed.
const CHANGED: usize = 1_000_000;

fn main() {
    let mut sizes: Vec<usize> = std::env::args()
        .filter_map(|arg| arg.parse().ok())
        .collect();
    if sizes.is_empty() {
        sizes = SIZES.into();
    }
    let columns: Vec<_> = sizes
        .into_iter()
        .map(|size| {
            let store = large::store(size);
            eprintln!("{size} receivers: measuring");
            let mut figures = whole_process(&store);
            figures.extend(in_process(&store));
            figures.extend(resend_of_all(&store, size));
            (size, figures)
        })
        .collect();
    print!("{:<48}", "");
    for (size, _) in &columns {
        print!(" {size:>12}");
    }
    println!("  goal");
    let small = columns[0].1[0].value;
    for (index, Figure { what, goal, .. }) in columns[0].1.iter().enumerate() {
        print!("{what:<48}");
        for (_, figures) in &columns {
            match figures[index].value {
                Some(value) => print!(" {value:>12.2}"),
                None => print!(" {:>12}", "—"),
            }
        }
        println!("  {goal}");
    }
    let largest = columns.last().and_then(|(_, figures)| figures[0].value);
    if let (Some(small), Some(largest)) = (small, largest) {
        println!(
            "{:<48} {:>12.2}  ≤ 1.3",
            "start on the largest store / on the smallest",
            largest / small
        );
    }
}

/// A figure of one store.
struct Figure {
    what: &'static str,
    /// `None`: it is not taken on a store of this size.
    value: Option<f64>,
    goal: &'static str,
}

fn figure(what: &'static str, value: f64, goal: &'static str) -> Figure {
    let value = Some(value);
    Figure { what, value, goal }
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

/// A terminal of 80×24 of which only the bytes matter.
struct Line {
    terminal: Terminal<CrosstermBackend<Counting>>,
    sent: Counting,
}

impl Line {
    fn new() -> Self {
        force_color_output(true);
        let sent = Counting::default();
        let backend = CrosstermBackend::new(sent.clone());
        let viewport = Viewport::Fixed(Rect::from((Position::ORIGIN, SIZE)));
        let terminal = Terminal::with_options(backend, TerminalOptions { viewport });
        Self {
            terminal: terminal.expect("a terminal"),
            sent,
        }
    }

    fn bytes(&self) -> u64 {
        self.sent.0.load(Ordering::Relaxed)
    }
}

impl Canvas for Line {
    fn draw(&mut self, view: &mut dyn FnMut(&mut Frame<'_>)) {
        queue!(self.terminal.backend_mut(), BeginSynchronizedUpdate).expect("written");
        self.terminal.draw(|frame| view(frame)).expect("drawn");
        queue!(self.terminal.backend_mut(), EndSynchronizedUpdate).expect("written");
    }
}

fn open(store: &Path) -> Driven<Line> {
    let setup = Setup {
        store: DisplayText::line("postroom.db"),
        ..Setup::default()
    };
    Driven::open(store, setup, SIZE, "", Line::new())
}

/// The bytes that something costs, to the last answer.
fn bytes(driven: &mut Driven<Line>, what: impl FnOnce(&mut Driven<Line>)) -> f64 {
    let before = driven.canvas.bytes();
    what(driven);
    driven.rest();
    (driven.canvas.bytes() - before) as f64
}

/// The 99th of a hundred presses, in milliseconds.
fn p99(driven: &mut Driven<Line>, mut press: impl FnMut(&mut Driven<Line>, usize)) -> f64 {
    let mut times: Vec<Duration> = (0..PRESSES)
        .map(|run| {
            let began = Instant::now();
            press(driven, run);
            began.elapsed()
        })
        .collect();
    driven.rest();
    times.sort_unstable();
    times[PRESSES * 99 / 100].as_secs_f64() * 1e3
}

fn in_process(store: &Path) -> Vec<Figure> {
    let mut driven = open(store);
    let idle = bytes(&mut driven, |driven| {
        for _ in 0..10 {
            driven.happen(Event::Tick(Utc::now()));
            driven.rest();
        }
    });
    driven.press(KeyCode::Char('j'));
    driven.rest();
    let cursor = bytes(&mut driven, |driven| driven.press(KeyCode::Char('j')));
    let page = bytes(&mut driven, |driven| driven.press(KeyCode::PageDown));
    driven.press(KeyCode::Char('g'));
    let moved = p99(&mut driven, |driven, _| driven.press(KeyCode::Char('j')));
    let paged = p99(&mut driven, |driven, _| driven.press(KeyCode::PageDown));
    let filtered = p99(&mut driven, |driven, run| {
        driven.press(KeyCode::Char(['3', '4', '5', '2'][run % 4]));
    });
    driven.press(KeyCode::Char('1'));
    driven.rest();
    let opened = p99(&mut driven, |driven, run| {
        driven.press([KeyCode::Enter, KeyCode::Esc][run % 2]);
    });
    let causes = p99(&mut driven, |driven, run| {
        driven.press([KeyCode::Char('c'), KeyCode::Esc][run % 2]);
        driven.wait_until(|state| run % 2 == 1 || state.causes.rows.is_some());
    });
    let overview = p99(&mut driven, |driven, run| {
        driven.press([KeyCode::Char('o'), KeyCode::Esc][run % 2]);
        driven.rest();
    });
    let top = first_line(store);
    let mut searched = Duration::ZERO;
    for word in words(store).iter().cycle().take(RUNS * 3) {
        driven.press(KeyCode::Char('/'));
        driven.type_in(word);
        let began = Instant::now();
        driven.press(KeyCode::Enter);
        searched = searched.max(began.elapsed());
        assert!(driven.state.table.loaded, "rows");
    }
    vec![
        figure("bytes: idle for 10 s", idle, "0"),
        figure("bytes: the cursor moves a row", cursor, "≤ 400"),
        figure("bytes: a page", page, "≤ 4096"),
        figure("key to frame: a row, ms (p99)", moved, "< 16"),
        figure("key to frame: a page, ms (p99)", paged, "< 16"),
        figure("key to frame: by status, ms (p99)", filtered, "< 16"),
        figure("key to frame: open and close, ms (p99)", opened, "< 16"),
        figure("key to frame: causes with rows, ms (p99)", causes, "< 16"),
        figure("key to frame: overview whole, ms (p99)", overview, "< 16"),
        figure("asked each second for the first lines, ms (p99)", top, ""),
        figure(
            "text search to its first rows, ms (worst)",
            searched.as_secs_f64() * 1e3,
            "< 50 at a million",
        ),
    ]
}

/// The 99th of a hundred answers to what the first two lines show, in milliseconds.
fn first_line(store: &Path) -> f64 {
    let store = Store::open_read_only(store).expect("a store");
    let mut source = StoreSource::new(store.reader().expect("a reader"));
    let until = Utc::now() + chrono::TimeDelta::hours(1);
    let mut times: Vec<Duration> = (0..100)
        .map(|_| {
            let began = Instant::now();
            source
                .answer(&Question::Overview(until))
                .expect("an answer");
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[98].as_secs_f64() * 1e3
}

/// Words to search for: in very many subjects, in none, and of one receiver in the middle.
fn words(store: &Path) -> [String; 3] {
    let store = Store::open_read_only(store).expect("a store");
    let reader = store.reader().expect("a reader");
    let everything = Query::parse("", &Context::local()).expect("a query");
    let newest = reader.window(&everything, Anchor::First, 1);
    let middle = newest.expect("a row")[0].id.0 / 2;
    let one = Query::parse(&format!("id:{middle}"), &Context::local()).expect("a query");
    let row = &reader.window(&one, Anchor::First, 1).expect("a row")[0];
    let (name, _) = row.identity.raw().split_once('@').expect("an address");
    [
        "assignment".to_owned(),
        "zebrafish".to_owned(),
        name.to_owned(),
    ]
}

/// Marks all of a copy of the store and resends it, while somebody goes up and down in the table.
fn resend_of_all(store: &Path, size: usize) -> Vec<Figure> {
    const WHATS: [(&str, &str); 3] = [
        ("mark all, until the question says how many, s", ""),
        (
            "confirm, until all of it is durably queued, s",
            "< 15 for a million",
        ),
        ("the latest frame meanwhile, ms", "< 50"),
    ];
    let values = (size <= CHANGED).then(|| resent(store, size));
    let value = |index: usize| values.map(|values| values[index]);
    let figures = WHATS.into_iter().enumerate();
    figures
        .map(|(index, (what, goal))| Figure {
            what,
            value: value(index),
            goal,
        })
        .collect()
}

fn resent(store: &Path, size: usize) -> [f64; 3] {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let copy = folder.path().join("postroom.db");
    fs::copy(store, &copy).expect("a copy");
    let store = Arc::new(Store::open(&copy).expect("a store"));
    let upkeep = Upkeep::start(&store).expect("a thread");
    let mut driven = open(&copy);
    let began = Instant::now();
    driven.press(KeyCode::Char('a'));
    driven.press(KeyCode::Char('r'));
    driven.wait_until(|state| {
        let reach = match &state.overlay {
            Some(Overlay::Confirm(Confirm::Order { reach, .. })) => reach.as_ref(),
            _ => None,
        };
        reach.is_some() && state.marked().is_some()
    });
    let asked = began.elapsed();
    driven.type_in(&size.to_string());
    let began = Instant::now();
    driven.press(KeyCode::Char('y'));
    let Some(Effect::Start(id, order)) = driven.left.pop() else {
        // Up to a thousand no number is typed, and none is taken.
        panic!("{:?}", driven.state.overlay);
    };
    // Who is to deliver is asked for when all is written down.
    let queued = Arc::new(Mutex::new(None));
    let noted = Arc::clone(&queued);
    let courier = StoreCourier {
        store: Arc::clone(&store),
        ways: Box::new(move || {
            *noted.lock().expect("a time") = Some(began.elapsed());
            Err(anyhow!("nothing is sent here"))
        }),
        who: "bench".to_owned(),
        resend_limit: 8,
        lease: Duration::from_secs(120),
        min_free: 0,
        clock: system_clock(),
    };
    let sender = driven.sender.clone();
    let worker = thread::spawn(move || {
        let tell = |news| drop(sender.send(Event::Job(id, news)));
        let result = courier.carry_out(&order, &Stop::default(), &tell);
        tell(JobNews::Finished(result));
    });
    let mut latest = Duration::ZERO;
    for key in ['j', 'k'].into_iter().cycle() {
        if worker.is_finished() {
            break;
        }
        let pressed = Instant::now();
        driven.catch_up();
        driven.press(KeyCode::Char(key));
        latest = latest.max(pressed.elapsed());
        thread::sleep(Duration::from_millis(5));
    }
    worker.join().expect("no panic");
    drop(upkeep);
    let queued = queued.lock().expect("a time").expect("all was queued");
    [
        asked.as_secs_f64(),
        queued.as_secs_f64(),
        latest.as_secs_f64() * 1e3,
    ]
}

/// The program on a pseudo-terminal.
struct OnTerminal {
    master: File,
    child: Child,
    seen: Vec<u8>,
    began: Instant,
    _state: tempfile::TempDir,
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
        // Nothing that somebody keeps is read, or written.
        let state = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(env!("CARGO_BIN_EXE_postroom"));
        command.args(["console", "--store"]).arg(store);
        command.env("POSTROOM_CONFIG", "/dev/null");
        command.env("XDG_STATE_HOME", state.path());
        command.stdin(other()).stdout(other()).stderr(other());
        let began = Instant::now();
        Self {
            child: command.spawn().expect("a process"),
            began,
            master: master.into(),
            seen: Vec::new(),
            _state: state,
        }
    }

    fn read(&mut self) {
        let mut some = [0; 16 * 1024];
        let read = self.master.read(&mut some).expect("read");
        self.seen.extend(&some[..read]);
    }

    /// Waits until it has written this; what it wrote until then is forgotten.
    fn wait_for(&mut self, wanted: &str) {
        loop {
            let at = self
                .seen
                .windows(wanted.len())
                .position(|seen| seen == wanted.as_bytes());
            if let Some(at) = at {
                self.seen.drain(..at + wanted.len());
                return;
            }
            self.read();
        }
    }

    /// Waits until it has written nothing for a while.
    fn wait_for_silence(&mut self) {
        let while_ = Timespec::try_from(Duration::from_millis(500)).expect("a time");
        while {
            let mut fds = [PollFd::new(&self.master, PollFlags::IN)];
            poll(&mut fds, Some(&while_)).expect("polled") > 0
        } {
            self.read();
        }
        self.seen.clear();
    }

    fn press(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).expect("pressed");
    }

    /// Mebibytes: those it has now, and the most it ever had.
    fn memory(&self) -> [f64; 2] {
        let status = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(status).expect("a status");
        ["VmRSS:", "VmHWM:"].map(|name| {
            let value = status
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
            value.map_or(f64::NAN, |kib: f64| kib / 1024.0)
        })
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

/// In every address: a row.
const ROW: &str = "@";

fn whole_process(store: &Path) -> Vec<Figure> {
    let mut starts: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let mut console = OnTerminal::start(store);
            console.wait_for(ROW);
            console.wait_for(FRAME);
            console.began.elapsed()
        })
        .collect();
    starts.sort_unstable();
    let mut console = OnTerminal::start(store);
    console.wait_for(FRAME);
    for _ in 0..20 {
        console.press("\x1b[6~");
        console.wait_for_silence();
    }
    for keys in [
        "3", "4", "5", "2", "G", "g", "1", "a", "c", "\x1b", "o", "\x1b", "\r", "3",
    ] {
        console.press(keys);
        console.wait_for_silence();
    }
    let [resident, most] = console.memory();
    vec![
        figure(
            "start to the first frame with rows, ms (median)",
            starts[RUNS / 2].as_secs_f64() * 1e3,
            "< 60",
        ),
        figure("resident memory after all of it, MiB", resident, "< 64"),
        figure("the most it ever was, MiB", most, ""),
    ]
}
