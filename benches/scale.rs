//! Delivery out of stores of one and of ten million receivers.
//!
//! `cargo bench --bench scale` (or `-- 1000000` for one size) prints for each size: how fast due rows are claimed; what a pass of `postroom deliver`
//! over 30,000 due receivers sends a second, alone and beside four consoles; what these wait for a screen, with and without the pass (the 99th of a
//! hundred); how much the file grows by the two passes, how long the log becomes, and what memory the process takes. No figure should depend on the
//! size.
//!
//! The stores are those of the console's figures: made at the first run, which takes minutes at ten million, and kept under `target/tmp`. What a run
//! puts into them it takes out again.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use chrono::{Local, Utc};
use postroom::{
    message::Submission,
    query::{Context, Query},
    store::{Anchor, Claim, Reader, Scope, Store, Upkeep, engine::Engine},
};
use rusqlite::{Connection, OpenFlags};

#[path = "support/large.rs"]
mod large;
#[path = "support/letters.rs"]
mod letters;
#[path = "support/program.rs"]
mod program;
#[path = "support/sink.rs"]
mod sink;

use letters::letter;
use program::{configure, deliver, postroom, run};
use sink::Sink;

const SIZES: [usize; 2] = [1_000_000, 10_000_000];

/// Those that are sent; nothing else in the store has this for its type or its backend.
const DUE: usize = 30_000;
const OURS: &str = "bench";

const CLAIM: usize = 200;
const CLAIMS: usize = 100;
const CONNECTIONS: usize = 4;

const CONSOLES: usize = 4;
/// A console that is looked at asks again after so long.
const PAUSE: Duration = Duration::from_millis(50);

fn main() {
    let mut sizes: Vec<usize> = std::env::args()
        .filter_map(|arg| arg.parse().ok())
        .collect();
    if sizes.is_empty() {
        sizes = SIZES.into();
    }
    let sink = Sink::start();
    println!(
        "{DUE} messages of 4 KiB over {CONNECTIONS} connections to {}",
        sink.name()
    );
    let columns: Vec<Vec<Figure>> = sizes.iter().map(|&size| measure(size, &sink)).collect();
    print!("{:<44}", "");
    for size in sizes {
        print!(" {size:>12}");
    }
    println!();
    for (index, (name, _)) in columns[0].iter().enumerate() {
        print!("{name:<44}");
        for column in &columns {
            print!(" {:>12.2}", column[index].1);
        }
        println!();
    }
}

type Figure = (&'static str, f64);

fn measure(size: usize, sink: &Sink) -> Vec<Figure> {
    let path = large::store(size);
    let place = Place::new(&path, sink.port());
    place.take_out();
    put_in(&path);
    let before = mib(&path);
    let (claimed, longest_claim) = claim(&path);
    let still = look_while(&path, || thread::sleep(Duration::from_secs(5)));
    let alone = place.deliver(|| {});
    place.postroom(&["resend", "type:bench", "--yes"]);
    let log = path.with_extension("db-wal");
    let mut longest_log = 0.0_f64;
    let mut beside = None;
    let looked = look_while(&path, || {
        beside = Some(place.deliver(|| longest_log = longest_log.max(mib(&log))));
    });
    let beside = beside.expect("a pass");
    let store = Store::open(&path).expect("a store");
    store.trim_log().expect("a short log");
    drop(store);
    let grown = mib(&path) - before;
    place.take_out();
    vec![
        ("the file, MiB", before),
        ("claimed, receivers/s", claimed),
        ("the longest claim of 200, ms", longest_claim),
        ("deliver, messages/s", DUE as f64 / alone.seconds),
        (
            "deliver beside consoles, messages/s",
            DUE as f64 / beside.seconds,
        ),
        ("a console's screen, ms (p99)", still),
        ("a console's screen beside deliver, ms (p99)", looked),
        ("memory of deliver, MiB", alone.memory.max(beside.memory)),
        ("the file grew by, MiB", grown),
        ("the longest log, MiB", longest_log),
    ]
}

/// Where the program runs that has this store.
struct Place {
    folder: tempfile::TempDir,
    store: std::path::PathBuf,
}

impl Place {
    fn new(store: &Path, port: u16) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        configure(folder.path(), store, OURS, port, CONNECTIONS, 100);
        Self {
            folder,
            store: store.to_owned(),
        }
    }

    fn postroom(&self, arguments: &[&str]) {
        let mut command = postroom(self.folder.path(), arguments);
        run(command.stderr(std::process::Stdio::null()), || {});
    }

    fn deliver(&self, meanwhile: impl FnMut() + Send) -> program::Took {
        deliver(self.folder.path(), DUE, |_| {}, meanwhile)
    }

    /// Takes out what a run put in, also one that was broken off, and waits until the text index has forgotten it.
    fn take_out(&self) {
        self.postroom(&["delete", "type:bench", "--yes"]);
        self.postroom(&["delete-messages-without-receivers"]);
        let store = Arc::new(Store::open(&self.store).expect("a store"));
        let upkeep = Upkeep::start(&store).expect("a thread");
        let look = Connection::open_with_flags(&self.store, OpenFlags::SQLITE_OPEN_READ_ONLY);
        let look = look.expect("a store");
        let stale = || -> bool {
            look.query_row("SELECT EXISTS (SELECT 1 FROM search_stale)", [], |row| {
                row.get(0)
            })
            .expect("an answer")
        };
        while stale() {
            thread::sleep(Duration::from_millis(100));
        }
        drop(upkeep);
        store.trim_log().expect("a short log");
    }
}

fn put_in(path: &Path) {
    let store = Store::open(path).expect("a store");
    let due: Vec<Submission> = (0..DUE)
        .map(|n| {
            let mut letter = letter(n);
            OURS.clone_into(&mut letter.kind);
            OURS.clone_into(&mut letter.receivers[0].backend);
            letter
        })
        .collect();
    store.submit(&due, Utc::now()).expect("stored");
    while store.index_some(2_000).expect("indexed") > 0 {}
    store.trim_log().expect("a short log");
}

/// How many receivers are claimed a second, and what the longest claim took, in ms.
fn claim(path: &Path) -> (f64, f64) {
    let store = Arc::new(Store::open(path).expect("a store"));
    let lease = Duration::from_secs(600);
    let engine = Engine::enter(&store, "deliver", OURS.to_owned(), lease, Utc::now());
    let engine = engine.expect("an engine");
    let times: Vec<f64> = (0..CLAIMS)
        .map(|_| {
            let began = Instant::now();
            let id = engine.ledger().engine();
            let claims = store.claim(id, OURS, Scope::Always, CLAIM, Utc::now());
            assert_eq!(claims.expect("claims").len(), CLAIM);
            began.elapsed().as_secs_f64()
        })
        .collect();
    let armed = |_: &str, _: &Claim, _| unreachable!("nobody was armed");
    engine.leave(&armed, Utc::now()).expect("an end");
    let total: f64 = times.iter().sum();
    let longest = times.iter().copied().fold(0.0, f64::max);
    ((CLAIM * CLAIMS) as f64 / total, longest * 1e3)
}

/// Has several consoles look at the store while this is done; the 99th of a hundred of their screens, in ms.
fn look_while(path: &Path, work: impl FnOnce()) -> f64 {
    let done = AtomicBool::new(false);
    let mut times: Vec<Duration> = thread::scope(|scope| {
        let consoles: Vec<_> = (0..CONSOLES)
            .map(|_| scope.spawn(|| console(path, &done)))
            .collect();
        work();
        done.store(true, Ordering::Release);
        consoles
            .into_iter()
            .flat_map(|console| console.join().expect("no panic"))
            .collect()
    });
    times.sort_unstable();
    times[times.len() * 99 / 100].as_secs_f64() * 1e3
}

/// Asks what a console asks for its screen, again and again.
fn console(path: &Path, done: &AtomicBool) -> Vec<Duration> {
    let store = Store::open_read_only(path).expect("a store");
    let reader = store.reader().expect("a reader");
    let queries = [
        "",
        "status:failed,error",
        "type:feedback",
        "type:bench",
        "sent:today",
    ]
    .map(|text| Query::parse(text, &Context { now: Local::now() }).expect("a query"));
    let mut times = Vec::new();
    while !done.load(Ordering::Acquire) {
        for query in &queries {
            let began = Instant::now();
            look(&reader, query);
            times.push(began.elapsed());
            thread::sleep(PAUSE);
        }
    }
    times
}

/// One screen: the counts, the rows, and the detail of the first.
fn look(reader: &Reader, query: &Query) {
    reader.counts().expect("counts");
    let rows = reader.window(query, Anchor::First, 60).expect("a window");
    if let Some(row) = rows.first() {
        reader.detail(row.id).expect("a detail");
    }
}

fn mib(path: &Path) -> f64 {
    path.metadata()
        .map_or(0.0, |file| file.len() as f64 / f64::from(1 << 20))
}
