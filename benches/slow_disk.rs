//! Delivery on a disk whose every flush takes 2 or 10 ms longer.
//!
//! `cargo bench --bench slow_disk` prints for 1, 4 and 8 connections what `postroom deliver` sends a second, for messages of 4 KiB to one recipient
//! each, and how much that is of what the flush allows: a connection's next message waits for a flush and for its own transaction, so that no more than
//! connections / (flush + transaction) can go out. What those two take together on the disk as it is, is what a message takes over one connection
//! there. The goal is 0.8 of it.
//!
//! The slow disk is the one of `tests/storage`, preloaded between the program and the real one; it needs a C compiler.

use std::{path::Path, time::Duration};

use postroom::store::Store;

#[path = "support/letters.rs"]
mod letters;
#[path = "support/program.rs"]
mod program;
#[path = "../tests/support/shim.rs"]
mod shim;
#[path = "support/sink.rs"]
mod sink;

use letters::letter;
use program::{configure, deliver};
use sink::Sink;

const CONNECTIONS: [usize; 3] = [1, 4, 8];
const SLOWER: [Duration; 3] = [
    Duration::ZERO,
    Duration::from_millis(2),
    Duration::from_millis(10),
];

const ROUNDS: usize = 3;
/// A round takes about so many seconds.
const SECONDS: f64 = 3.0;
const GOAL: f64 = 0.8;

fn main() {
    let Some(shim) = shim::shim() else {
        println!("SKIPPED: no C compiler (`cc`) here, or nothing can be preloaded");
        return;
    };
    let sink = Sink::start();
    println!("to {}; medians of {ROUNDS} rounds", sink.name());
    println!(
        "{:>12} {:>12} {:>12} {:>12} {:>8} {:>8}",
        "slower by", "connections", "msg/s", "allowed", "of it", "goal"
    );
    // What a message takes over one connection on the disk as it is.
    let mut one = 0.0;
    for slower in SLOWER {
        for connections in CONNECTIONS {
            let allowed = |one: f64| connections as f64 / (one + slower.as_secs_f64());
            let messages = match one {
                0.0 => 3_000.0,
                _ => (allowed(one) * SECONDS).clamp(300.0, 20_000.0),
            };
            let mut rounds: Vec<f64> = (0..ROUNDS)
                .map(|_| rate(shim, sink.port(), connections, slower, messages as usize))
                .collect();
            rounds.sort_by(f64::total_cmp);
            let rate = rounds[ROUNDS / 2];
            if slower.is_zero() && connections == 1 {
                one = 1.0 / rate;
            }
            let allowed = allowed(one);
            let goal = match slower {
                Duration::ZERO => String::new(),
                _ => format!("{GOAL:.2}"),
            };
            println!(
                "{:>12} {connections:>12} {rate:>12.0} {allowed:>12.0} {:>8.2} {goal:>8}",
                format!("{} ms", slower.as_millis()),
                rate / allowed
            );
        }
    }
}

fn rate(shim: &Path, port: u16, connections: usize, slower: Duration, messages: usize) -> f64 {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("postroom.db");
    let submissions: Vec<_> = (0..messages).map(letter).collect();
    let store = Store::create(&path).expect("a store");
    store
        .submit(&submissions, chrono::Utc::now())
        .expect("stored");
    drop(store);
    configure(folder.path(), &path, "email", port, connections, 100);
    let slow = |command: &mut std::process::Command| {
        command
            .env("LD_PRELOAD", shim)
            .env("POSTROOM_DISK_STORE", path.canonicalize().expect("a path"))
            .env("POSTROOM_DISK_SLOW", slower.as_micros().to_string());
    };
    let took = deliver(folder.path(), messages, slow, || {});
    messages as f64 / took.seconds
}
