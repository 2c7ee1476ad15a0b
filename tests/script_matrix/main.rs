//! Every phase of a conversation and everything that a server may do in it, each with what must come of it.
//!
//! `table.txt` has a row for each. A raw message to a and b goes out in one transaction over one connection, and another message to c behind it; at
//! its first chance, or always, the server does what the row says. What the store knows after one pass is compared with the row; then it goes on until
//! nothing is due any more, and nobody may be lost.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../support/mod.rs"]
mod support;

mod fault;
mod mixes;

use std::{collections::BTreeMap, fmt::Write as _, fs, os::unix::fs::PermissionsExt as _};

use fault::Fault;
use postroom::{
    demo::server::{Extension, Phase, Script, Server},
    message::{Outcome, Status},
    store::Detail,
};
use serde_json::Value;
use support::{Certificate, Postroom, SOON, Setup, Summary, message, raw_message};

const TABLE: &str = include_str!("table.txt");

/// Passes after which nothing is due any more, whatever happened.
const PASSES: usize = 6;

/// One row: where, what, and what comes of it for a, b, c and the connections.
struct Cell {
    phase: &'static str,
    fault: &'static str,
    expected: Vec<&'static str>,
    server: Server,
}

impl Cell {
    fn backend(&self) -> String {
        format!("{}-{}", self.phase, self.fault).replace(' ', "-")
    }

    fn name(&self) -> String {
        format!("{:<9}| {:<15}", self.phase, self.fault)
    }
}

/// The cells of a row of the table; comments and the head are none.
fn cells(row: &'static str) -> Option<Vec<&'static str>> {
    let row = row.trim();
    (!row.is_empty() && !row.starts_with('#')).then(|| row.split('|').map(str::trim).collect())
}

fn letters(backend: &str) -> [Value; 2] {
    let to = ["a@example.com", "b@example.com"];
    let mut letters = [
        raw_message(&format!("{backend}-1"), &to),
        message(&format!("{backend}-2"), "feedback", &["c@example.com"]),
    ];
    for letter in &mut letters {
        for receiver in letter["receivers"].as_array_mut().unwrap() {
            receiver["backend"] = backend.into();
        }
    }
    letters
}

/// `failed/temporary 1 temporary/451`: status, reason, failed count, and each attempt with its code.
fn told(detail: &Detail) -> String {
    let state = detail.row.state;
    let mut told = format!(
        "{}/{} {}",
        state.status().name(),
        state.reason().name(),
        detail.row.failed_count
    );
    for attempt in &detail.attempts {
        told.push(' ');
        told.push_str(attempt.outcome.map_or("running", Outcome::name));
        if let Some(code) = attempt.code {
            let _ = write!(told, "/{code}");
        }
    }
    told
}

/// What the store knows, by backend and in the order of their numbers.
fn known(postroom: &Postroom) -> BTreeMap<String, Vec<Detail>> {
    let mut known = BTreeMap::<String, Vec<Detail>>::new();
    for detail in postroom.details() {
        let backend = detail.row.backend.raw().to_owned();
        known.entry(backend).or_default().push(detail);
    }
    known
}

/// Everybody who can get it has it, once, or once more for each try of unknown end; and nobody else has.
fn nobody_is_lost(name: &str, receivers: &[Detail], server: &Server) {
    server.with_ledger(|ledger| {
        assert_eq!(ledger.violations, [""; 0], "{name}");
        for detail in receivers {
            let state = detail.row.state;
            let copies = ledger.to(detail.row.identity.raw()).count();
            let of = |outcome| {
                let attempts = detail.attempts.iter();
                attempts
                    .filter(|attempt| attempt.outcome == Some(outcome))
                    .count()
            };
            let (accepted, unknown) = (of(Outcome::Accepted), of(Outcome::Unknown));
            assert!(
                (accepted..=accepted + unknown).contains(&copies),
                "{name}: {copies} copies, {accepted} accepted, {unknown} unknown: {detail:#?}"
            );
            assert!(accepted <= 1, "{name}: {detail:#?}");
            assert_eq!(
                detail.row.sent_count as usize, accepted,
                "{name}: {detail:#?}"
            );
            assert!(
                accepted == 1 || state.status() == Status::Error,
                "{name} is still due: {detail:#?}"
            );
        }
    });
}

/// Plays the whole table; `pipelining`: whether the servers offer it.
fn play(pipelining: bool) -> (String, String) {
    let certificate = Certificate::new(&["127.0.0.1"]);
    let mut setup = Setup::new().set("delivery.backoff", "0s");
    let mut played = Vec::new();
    for cells in TABLE.lines().filter_map(cells) {
        let (phase_name, fault_name) = (cells[0], cells[1]);
        let fault = Fault::new(phase_name, fault_name);
        let mut script = Script::accept_all();
        if !pipelining {
            script = script.without(Extension::Pipelining);
        }
        if phase_name == "starttls" {
            script = script.starttls(certificate.server());
        }
        if phase_name == "auth" {
            script = script.login("postroom", "secret");
        }
        let server = Server::start(fault.play(script)).unwrap();
        let mut cell = Cell {
            phase: phase_name,
            fault: fault_name,
            expected: cells[2..].to_vec(),
            server,
        };
        let backend = cell.backend();
        let key = |key: &str| format!("backends.{backend}.{key}");
        setup = setup
            .smtp(&backend, &cell.server)
            .set(&key("connections"), 1)
            .set(&key("probe"), "1ms");
        if phase_name == "starttls" {
            let ca_file = certificate.ca_file();
            setup = setup
                .set(&key("tls"), "starttls")
                .set(&key("ca_file"), ca_file.to_str().unwrap());
        }
        if phase_name == "auth" {
            setup = setup
                .set(&key("username"), "postroom")
                .set(&key("password_file"), "password");
        }
        if let Some(timeout) = fault.timeout() {
            setup = setup.set(&key(&format!("timeouts.{timeout}")), "2s");
        }
        if let Some(limit) = fault.max_recipients() {
            setup = setup.set(&key("max_recipients"), limit);
        }
        cell.expected.truncate(4);
        played.push(cell);
    }
    let postroom = setup.build();
    let password = postroom.folder().join("password");
    fs::write(&password, "secret").unwrap();
    fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
    let letters: Vec<Value> = played
        .iter()
        .flat_map(|cell| letters(&cell.backend()))
        .collect();
    postroom.submit(&letters);
    postroom.deliver();

    let (mut wanted, mut found) = (String::new(), String::new());
    let after = known(&postroom);
    for cell in &played {
        let mut row = cell.name();
        for detail in &after[&cell.backend()] {
            let _ = write!(row, " | {:<50}", told(detail));
        }
        // What was said last may be on its way still.
        assert!(cell.server.wait_for(|ledger| ledger.open == 0, SOON));
        let way = cell
            .server
            .with_ledger(|ledger| format!("{} +{}", ledger.connections, ledger.met(Phase::Quit)));
        let _ = writeln!(found, "{row} | {way}");
        let [a, b, c, way] = cell.expected[..] else {
            let _ = writeln!(wanted, "{}", cell.name());
            continue;
        };
        let _ = writeln!(
            wanted,
            "{} | {a:<50} | {b:<50} | {c:<50} | {way}",
            cell.name()
        );
    }

    let over = (0..PASSES).any(|_| postroom.deliver() == Summary::default());
    assert!(
        over,
        "there is always something due: {:#?}",
        postroom.run(&["list", "-status:sent"])
    );
    let after = known(&postroom);
    for cell in &played {
        nobody_is_lost(&cell.name(), &after[&cell.backend()], &cell.server);
    }
    (wanted, found)
}

#[test]
fn whatever_a_server_does_in_whatever_phase_each_receiver_gets_its_own_result() {
    let (wanted, found) = play(true);
    assert!(
        wanted == found,
        "what came of it is not what table.txt says:\n{}",
        differences(&wanted, &found)
    );
}

#[test]
fn without_pipelining_each_receiver_gets_the_same_result() {
    let (wanted, found) = play(false);
    assert!(
        wanted == found,
        "what came of it is not what table.txt says:\n{}",
        differences(&wanted, &found)
    );
}

/// The lines that differ, wanted above found.
fn differences(wanted: &str, found: &str) -> String {
    let mut told = String::new();
    for (wanted, found) in wanted.lines().zip(found.lines()) {
        if wanted != found {
            let _ = writeln!(told, "- {wanted}\n+ {found}");
        }
    }
    told
}
