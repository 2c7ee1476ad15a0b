//! `postroom deliver` beside others that send: Postfix's `smtp-source`, which keeps nothing, and django-post_office's `send_queued_mail`, which keeps
//! its mail in a database, as Postroom does. Same machine, same messages (4 KiB, one recipient each), same sink (Postfix's `smtp-sink`).
//!
//! `cargo bench --bench peers` prints messages per second at 1, 4 and 8 connections, the ratios with their goals, and what each takes of the
//! processors for 1,000 messages; then the same for one raw message to 50,000 recipients in transactions of 50. All are whole processes, from their
//! start to their end, but for django-post_office, of which only the command itself is timed, without Python's start. The last column is what the
//! processors have room for, the sink's work beside the goal of `deliver`'s: nothing that takes that much can send faster on this machine.
//!
//! What is not installed it fetches from Debian and from PyPI into `target/tmp/peers`, and says what it could not.

use std::{num::NonZero, path::Path, process::Command};

use postroom::{
    message::{Body, Content, Submission},
    store::Store,
};

#[path = "../support/letters.rs"]
mod letters;
#[path = "../support/program.rs"]
mod program;
#[path = "../support/sink.rs"]
mod sink;
mod tools;

use letters::{letter, receiver, submission, text};
use program::{configure, deliver, run, taken_by};
use sink::Sink;
use tools::{Django, Postfix};

const MESSAGES: usize = 10_000;
/// It takes ten times as long.
const DJANGO_MESSAGES: usize = 2_000;
const ROUNDS: usize = 3;
/// Connections; the goals over `smtp-source` and over django-post_office.
const GOALS: [(usize, f64, f64); 3] = [(1, 0.75, 10.0), (4, 0.9, 10.0), (8, 0.9, 10.0)];
const CPU_GOAL: f64 = 0.15;

const RECIPIENTS: usize = 50_000;
const TRANSACTION: usize = 50;
const RECIPIENTS_GOAL: usize = 20_000;

/// Messages a second, and seconds of the processors for 1,000 of them.
#[derive(Clone, Copy)]
struct Figure {
    rate: f64,
    cpu: f64,
}

fn main() {
    let postfix = tools::postfix();
    let django = tools::django();
    let sink = postfix
        .as_ref()
        .and_then(|postfix| Sink::by(postfix.command("smtp-sink")))
        .unwrap_or_else(Sink::start);
    println!(
        "{MESSAGES} messages of 4 KiB, one recipient each, to {}; medians of {ROUNDS} rounds, in turn",
        sink.name()
    );
    println!(
        "{:>11} | {:>17} {:>8} | {:>17} {:>8} | {:>6} {:>6} | {:>17} {:>8} | {:>6} {:>6} | {:>8} {:>11}",
        "connections",
        "deliver, msg/s",
        "cpu s/k",
        "smtp-source",
        "cpu s/k",
        "ratio",
        "goal",
        "post_office",
        "cpu s/k",
        "ratio",
        "goal",
        "sink s/k",
        "room, msg/s"
    );
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get) as f64;
    for (connections, source_goal, django_goal) in GOALS {
        let (mut ours, mut sources, mut djangos) = (Vec::new(), Vec::new(), Vec::new());
        let mut sinks = 0.0;
        for _ in 0..ROUNDS {
            let before = sink.pid().map_or(0.0, taken_by);
            sources.extend(
                postfix
                    .as_ref()
                    .map(|it| source(it, sink.port(), connections)),
            );
            sinks += sink.pid().map_or(0.0, taken_by) - before;
            ours.push(letters_to_one(sink.port(), connections));
            djangos.extend(
                django
                    .as_ref()
                    .map(|it| post_office(it, sink.port(), connections)),
            );
        }
        let ours = median(&mut ours).expect("a round");
        let against = |theirs: Option<Figure>, goal: f64| match theirs {
            Some(theirs) => (
                format!("{:>17.0} {:>8.3}", theirs.rate, theirs.cpu),
                format!("{:>6.2} {goal:>6.2}", ours.rate / theirs.rate),
            ),
            None => (
                format!("{:>17} {:>8}", "not here", ""),
                format!("{:>6} {goal:>6.2}", ""),
            ),
        };
        let (source, source_ratio) = against(median(&mut sources), source_goal);
        let (django, django_ratio) = against(median(&mut djangos), django_goal);
        let sink = sinks * 1_000.0 / (ROUNDS * MESSAGES) as f64;
        println!(
            "{connections:>11} | {:>17.0} {:>8.3} | {source} | {source_ratio} | {django} | {django_ratio} | {sink:>8.3} {:>11.0}",
            ours.rate,
            ours.cpu,
            cores * 1_000.0 / (CPU_GOAL + sink)
        );
    }
    println!("goal of deliver's processor time for 1,000 messages: {CPU_GOAL} s");
    println!(
        "\none raw message to {RECIPIENTS} recipients, {TRANSACTION} a transaction; medians of {ROUNDS} rounds"
    );
    println!(
        "{:>11} {:>14} {:>8} {:>8}",
        "connections", "recipients/s", "goal", "cpu s/k"
    );
    for (connections, ..) in GOALS {
        let mut rounds: Vec<_> = (0..ROUNDS)
            .map(|_| raw_to_many(sink.port(), connections))
            .collect();
        let ours = median(&mut rounds).expect("a round");
        println!(
            "{connections:>11} {:>14.0} {RECIPIENTS_GOAL:>8} {:>8.3}",
            ours.rate, ours.cpu
        );
    }
}

fn median(rounds: &mut [Figure]) -> Option<Figure> {
    rounds.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    rounds.get(rounds.len() / 2).copied()
}

fn figure(many: usize, seconds: f64, cpu: f64) -> Figure {
    Figure {
        rate: many as f64 / seconds,
        cpu: cpu * 1_000.0 / many as f64,
    }
}

fn letters_to_one(port: u16, connections: usize) -> Figure {
    let letters: Vec<_> = (0..MESSAGES).map(letter).collect();
    passing(&letters, MESSAGES, port, connections, 100)
}

fn raw_to_many(port: u16, connections: usize) -> Figure {
    let to = (0..RECIPIENTS)
        .map(|n| receiver("email", format!("user{n}@example.com")))
        .collect();
    let raw = format!(
        "From: no-reply@example.com\r\nTo: all@example.com\r\nSubject: News\r\nMessage-ID: <news@example.com>\r\n\r\n{}",
        text(0).replace('\n', "\r\n")
    );
    let content = Content {
        subject: "News".to_owned(),
        body: Body::Raw(raw.into_bytes()),
    };
    let news = Submission {
        contents: vec![("en".to_owned(), content)],
        ..submission("news", String::new(), String::new(), to)
    };
    passing(&[news], RECIPIENTS, port, connections, TRANSACTION)
}

/// One pass over these, which are for so many receivers.
fn passing(
    submissions: &[Submission],
    receivers: usize,
    port: u16,
    connections: usize,
    max_recipients: usize,
) -> Figure {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("postroom.db");
    let store = Store::create(&path).expect("a store");
    store
        .submit(submissions, chrono::Utc::now())
        .expect("stored");
    drop(store);
    configure(
        folder.path(),
        &path,
        "email",
        port,
        connections,
        max_recipients,
    );
    let took = deliver(folder.path(), receivers, |_| {}, || {});
    figure(receivers, took.seconds, took.cpu)
}

fn source(postfix: &Postfix, port: u16, connections: usize) -> Figure {
    let mut source = postfix.command("smtp-source");
    source
        .args(["-d", "-N", "-l", "4096", "-s", &connections.to_string()])
        .args(["-m", &MESSAGES.to_string()])
        .args(["-f", "no-reply@example.com", "-t", "user@example.com"])
        .arg(format!("127.0.0.1:{port}"));
    let took = run(&mut source, || {});
    figure(MESSAGES, took.seconds, took.cpu)
}

fn post_office(django: &Django, port: u16, connections: usize) -> Figure {
    let folder = tempfile::tempdir().expect("a folder");
    let helper = |what: &str| {
        let mut command = Command::new(&django.python);
        command
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/send_queued.py"))
            .arg(what)
            .arg(folder.path())
            .args([
                port.to_string(),
                DJANGO_MESSAGES.to_string(),
                connections.to_string(),
            ])
            .env("TMPDIR", folder.path());
        command
    };
    run(&mut helper("queue"), || {});
    // What Python and Django take to start is not counted.
    let start = run(&mut helper("start"), || {});
    let took = run(&mut helper("send"), || {});
    let seconds: f64 = took.said.trim().parse().expect("seconds");
    figure(DJANGO_MESSAGES, seconds, took.cpu - start.cpu)
}
