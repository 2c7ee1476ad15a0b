//! What an adversary tried: operators, other processes and the mail server at the worst moment.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{fs, time::Duration};

use postroom::demo::server::{Action, Extension, Phase, Script, Server};
use support::{Postroom, SOON, Setup, Signal, message, peak, raw_message};

fn one_connection(server: &Server) -> Setup {
    Setup::new()
        .smtp("email", server)
        .set("backends.email.connections", 1)
}

/// `n` messages to one receiver each: `key` and a number.
fn several(key: &str, n: usize) -> Vec<serde_json::Value> {
    (0..n)
        .map(|n| {
            let to = format!("{key}{n}@example.com");
            message(&format!("{key}{n}"), "feedback", &[&to])
        })
        .collect()
}

#[test]
fn what_was_accepted_is_sent_also_when_the_row_was_resent_while_it_waited() {
    let server =
        Server::start(Script::accept_all().nth_dot(1, Action::accept().when_released())).unwrap();
    let postroom = one_connection(&server).build();
    postroom.submit(&several("m", 4));
    let service = postroom.start(&["run"]);
    assert!(server.wait_for(|ledger| ledger.withheld == 1, SOON));
    // The last one is claimed and waits; the operator's word ends that claim, and the service claims it anew.
    postroom.run(&["resend", "key:m3", "--yes"]).ok();
    postroom.wait_until("the service has claimed it again", |postroom| {
        postroom.only("key:m3")["sending"] == true
    });
    server.release();
    assert!(server.wait_for(|ledger| ledger.entries.len() == 4, SOON));
    postroom.wait_until("all are settled", |postroom| {
        postroom.count("is:sending") == 0
    });
    service.terminate().ok();
    assert_eq!(postroom.count("status:sent"), 4);
    postroom.deliver();
    server.with_ledger(|ledger| assert_eq!(ledger.duplicates(), []));
}

#[test]
fn a_hold_of_one_recipient_sends_the_others_of_a_split_transaction_once() {
    let server = Server::start(
        Script::accept_all()
            .max_recipients(2)
            .first(1, Phase::Data, Action::accept().when_released())
            // Long enough for another connection to offer the same again, if it has them.
            .on(
                Phase::Dot,
                Action::accept().late(Duration::from_millis(200)),
            ),
    )
    .unwrap();
    let postroom = Setup::new().smtp("email", &server).build();
    let to: Vec<String> = (0..6).map(|n| format!("r{n}@example.com")).collect();
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    postroom.submit(&[raw_message("raw", &to)]);
    let service = postroom.start(&["run"]);
    assert!(server.wait_for(|ledger| ledger.withheld == 1, SOON));
    postroom.run(&["hold", "to:r0@example.com", "--yes"]).ok();
    server.release();
    assert!(server.wait_for(|ledger| ledger.entries.len() >= 5, SOON));
    postroom.wait_until("all are settled", |postroom| {
        postroom.count("is:sending") == 0
    });
    service.terminate().ok();
    assert_eq!(postroom.count("status:sent"), 5);
    assert_eq!(postroom.count("is:held"), 1);
    server.with_ledger(|ledger| {
        assert_eq!(ledger.duplicates(), []);
        assert_eq!(ledger.entries.len(), 5);
        // Two at first, then r1 again, and the four that were too many for the first transaction.
        assert_eq!(ledger.met(Phase::Rcpt), 2 + 1 + 4);
    });
}

#[test]
fn a_refusal_heard_before_a_stop_is_written_down() {
    let server = Server::start(
        Script::accept_all()
            .rcpt("no@example.com", Action::reply(550, "5.1.1", "nobody here"))
            .first(1, Phase::Data, Action::accept().when_released()),
    )
    .unwrap();
    let postroom = one_connection(&server).build();
    postroom.submit(&[raw_message("raw", &["no@example.com", "yes@example.com"])]);
    postroom.submit(&several("m", 2));
    let service = postroom.start(&["run"]);
    assert!(server.wait_for(|ledger| ledger.withheld == 1, SOON));
    service.signal(Signal::TERM);
    // The envelope of m0 is ready to go out behind the body; m1 was only claimed.
    postroom.wait_until("the service is stopping", |postroom| {
        postroom.only("key:m1")["sending"] == false
    });
    server.release();
    service.wait().ok();
    assert_eq!(postroom.state_of("to:no@example.com"), "error/permanent");
    assert_eq!(postroom.state_of("to:yes@example.com"), "not_sent/queued");
    assert_eq!(postroom.deliver().sent, 3);
}

#[test]
fn a_receiver_whose_connection_breaks_at_354_every_time_is_not_tried_without_a_pause() {
    const POISON: &str = "poison@example.com";
    let server = Server::start(Script::accept_all().to(
        POISON,
        Phase::Data,
        Action::reply(354, "", "go").and_reset(),
    ))
    .unwrap();
    let postroom = one_connection(&server).build();
    postroom.submit(&[message("poison", "feedback", &[POISON])]);
    let service = postroom.start(&["run"]);
    for n in 0..10 {
        postroom.submit(&several(&format!("m{n}x"), 1));
        assert!(server.wait_for(|ledger| ledger.entries.len() > n, SOON));
    }
    service.terminate().ok();
    let shown = postroom.show_only("key:poison");
    let attempts = shown["attempts"].as_array().unwrap();
    assert!(
        attempts.len() <= 4,
        "{} attempts: {:#?}",
        attempts.len(),
        attempts.last()
    );
}

#[test]
fn a_receiver_at_whom_the_server_says_421_every_time_does_not_hold_up_the_others() {
    const POISON: &str = "poison@example.com";
    let server = Server::start(
        Script::accept_all().rcpt(POISON, Action::reply(421, "4.3.2", "not this one")),
    )
    .unwrap();
    let postroom = one_connection(&server).build();
    postroom.submit(&[message("poison", "feedback", &[POISON])]);
    postroom.submit(&several("m", 5));
    for _ in 0..5 {
        postroom.deliver();
    }
    assert_eq!(postroom.count("status:sent"), 5);
}

#[test]
fn a_server_that_closes_after_each_message_gets_a_raw_one_to_all_recipients_in_one_pass() {
    let server = Server::start(
        Script::accept_all()
            .without(Extension::Pipelining)
            .on(Phase::Dot, Action::accept().and_close()),
    )
    .unwrap();
    let postroom = one_connection(&server).build();
    postroom.submit(&[message("first", "feedback", &["first@example.com"])]);
    postroom.submit(&[raw_message(
        "raw",
        &["a@example.com", "b@example.com", "c@example.com"],
    )]);
    let summary = postroom.deliver();
    assert_eq!((summary.sent, summary.failed), (4, 0), "{summary:?}");
}

#[test]
fn a_query_that_excludes_a_type_works_however_many_types_there_are() {
    let server = Server::start(Script::accept_all()).unwrap();
    let postroom = Postroom::to(&server);
    let messages: Vec<_> = (0..120)
        .map(|n| message(&format!("m{n}"), &format!("type{n}"), &["a@example.com"]))
        .collect();
    postroom.submit(&messages);
    assert_eq!(postroom.count("-type:type0"), 119);
    assert_eq!(postroom.count("-type:type0 status:not_sent"), 119);
}

#[test]
fn an_outage_met_by_many_connections_at_once_is_probed_after_one_interval() {
    let server = Server::start(
        Script::accept_all()
            .on(Phase::Dot, Action::accept().when_released())
            .by(|event| {
                (event.phase == Phase::Greeting && event.connection > 8).then(Action::stall)
            }),
    )
    .unwrap();
    let postroom = Setup::new()
        .smtp("email", &server)
        .set("backends.email.max_messages", 1)
        .set("backends.email.timeouts.greeting", "300ms")
        .build();
    postroom.submit(&several("m", 60));
    let service = postroom.start(&["run"]);
    assert!(server.wait_for(|ledger| ledger.withheld == 8, SOON));
    server.release();
    assert!(server.wait_for(|ledger| ledger.connections >= 16 && ledger.open == 0, SOON));
    service.terminate().ok();
    let store = rusqlite::Connection::open(postroom.store_path()).unwrap();
    let wait: i64 = store
        .query_row("SELECT probe_wait FROM backend", [], |row| row.get(0))
        .unwrap();
    assert_eq!(wait, 30_000, "milliseconds");
}

#[test]
fn rows_of_an_engine_that_the_store_does_not_know_are_freed() {
    let server = Server::start(Script::accept_all().first(1, Phase::Dot, Action::stall())).unwrap();
    let postroom = one_connection(&server).build();
    postroom.submit(&several("m", 3));
    let service = postroom.start(&["run"]);
    assert!(server.wait_for(|ledger| ledger.met(Phase::Dot) == 1, SOON));
    service.kill();
    let store = rusqlite::Connection::open(postroom.store_path()).unwrap();
    store.execute("DELETE FROM engine", []).unwrap();
    drop(store);
    postroom.deliver();
    assert_eq!(postroom.count("status:sent"), 3);
    assert_eq!(
        postroom.show_only("key:m0")["attempts"][0]["outcome"],
        "unknown"
    );
}

#[test]
fn a_service_whose_lock_file_was_removed_ends_before_others_take_it_for_dead() {
    let server = Server::start(Script::accept_all()).unwrap();
    let postroom = one_connection(&server).build();
    let service = postroom.start(&["run"]);
    postroom.submit(&several("m", 1));
    assert!(server.wait_for(|ledger| ledger.entries.len() == 1, SOON));
    for file in fs::read_dir(postroom.folder()).unwrap() {
        let path = file.unwrap().path();
        if path.to_str().unwrap().contains(".engine-") {
            fs::remove_file(path).unwrap();
        }
    }
    let ran = service.wait().exit(1);
    assert!(ran.stderr.contains(".engine-"), "{}", ran.stderr);
    postroom.submit(&several("n", 1));
    postroom.deliver();
    assert_eq!(postroom.count("status:sent"), 2);
    server.with_ledger(|ledger| assert_eq!(ledger.duplicates(), []));
}

#[test]
fn a_service_whose_store_was_replaced_ends_with_a_word() {
    let server = Server::start(Script::accept_all()).unwrap();
    let postroom = one_connection(&server).build();
    let service = postroom.start(&["run"]);
    postroom.submit(&several("m", 1));
    assert!(server.wait_for(|ledger| ledger.entries.len() == 1, SOON));
    fs::rename(postroom.store_path(), postroom.folder().join("old.db")).unwrap();
    let ran = service.wait().exit(1);
    assert!(
        ran.stderr.contains("moved, removed or replaced"),
        "{}",
        ran.stderr
    );
    fs::rename(postroom.folder().join("old.db"), postroom.store_path()).unwrap();
    assert_eq!(postroom.count("status:sent"), 1);
    assert_eq!(postroom.deliver().sent, 0);
}

#[test]
fn a_sender_at_whom_the_server_hangs_up_costs_a_few_connections_not_one_a_message() {
    let server = Server::start(Script::accept_all().by(|event| {
        (event.phase == Phase::Mail && event.sender == "poison@example.com").then(Action::close)
    }))
    .unwrap();
    let postroom = one_connection(&server).build();
    let mut messages = several("m", 100);
    messages[1]["return_path"] = "poison@example.com".into();
    postroom.submit(&messages);
    let summary = postroom.deliver();
    assert_eq!((summary.sent, summary.failed), (99, 1));
    server.with_ledger(|ledger| assert!(ledger.connections <= 5, "{}", ledger.connections));
}

#[test]
fn a_message_that_always_breaks_the_link_is_a_failure_also_while_others_keep_coming() {
    let server =
        Server::start(Script::accept_all().to("poison@example.com", Phase::Rcpt, Action::close()))
            .unwrap();
    let postroom = one_connection(&server).build();
    let mut messages = several("m", 100);
    messages[1]["receivers"][0]["to"] = "poison@example.com".into();
    postroom.submit(&messages);
    let summary = postroom.deliver();
    assert_eq!((summary.sent, summary.failed), (99, 1));
    server.with_ledger(|ledger| assert!(ledger.connections <= 5, "{}", ledger.connections));
}

#[test]
fn a_pasted_list_of_a_thousand_alternatives_is_a_query_like_another() {
    let server = Server::start(Script::accept_all()).unwrap();
    let postroom = Postroom::to(&server);
    postroom.submit(&several("m", 3));
    let list = |form: &dyn Fn(usize) -> String| (0..1_000).map(form).collect::<Vec<_>>();
    for (query, matches) in [
        (list(&|n| format!("m{n}@example.com")).join(","), 3),
        (
            format!("to:{}", list(&|n| format!("@d{n}.example")).join(",")),
            0,
        ),
        (
            format!("code:{}", list(&|n| format!("4.7.{n}")).join(",")),
            0,
        ),
        (list(&|n| (1000 + n).to_string()).join(","), 0),
        (list(&|n| format!("-subject:x{n}")).join(" "), 3),
    ] {
        assert_eq!(postroom.count(&query), matches, "{query}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn large_messages_wait_in_the_store_not_in_memory() {
    const MESSAGES: usize = 120;
    let server = Server::start(
        Script::accept_all()
            .counts_only()
            .nth_dot(MESSAGES as u64, Action::accept().when_released()),
    )
    .unwrap();
    let postroom = one_connection(&server).build();
    let messages: Vec<_> = (0..MESSAGES)
        .map(|n| {
            let mut message = raw_message(&format!("m{n}"), &["a@example.com"]);
            let line = format!("{n:078}\r\n");
            let raw = message["raw"].as_str().unwrap().to_owned() + &line.repeat(2 << 20 >> 4 >> 3);
            message["raw"] = raw.into();
            message
        })
        .collect();
    postroom.submit(&messages);
    let pass = postroom.start(&["deliver"]);
    assert!(server.wait_for(|ledger| ledger.withheld == 1, SOON));
    let mib = peak(pass.pid());
    server.release();
    pass.wait().ok();
    assert_eq!(postroom.count("status:sent"), MESSAGES);
    assert!(mib < 120, "{mib} MiB");
}

#[test]
fn whoever_looks_while_the_store_is_made_finds_none_or_a_whole_one() {
    let postroom = Setup::new().file("disk").build();
    for _ in 0..5 {
        fs::remove_file(postroom.store_path()).unwrap();
        let makers: Vec<_> = (0..4).map(|_| postroom.start(&["init"])).collect();
        let lookers: Vec<_> = (0..4).map(|_| postroom.start(&["list"])).collect();
        let made = makers.into_iter().map(|maker| maker.wait().ok());
        let made = made.filter(|ran| ran.stdout.contains("postroom.db: created"));
        assert_eq!(made.count(), 1);
        for looker in lookers {
            let ran = looker.wait();
            assert!(
                ran.status.success() || ran.stderr.contains("there is no store"),
                "{ran:?}"
            );
        }
    }
    let left = fs::read_dir(postroom.folder()).unwrap();
    let mut left = left.map(|file| file.unwrap().file_name().into_string().unwrap());
    assert!(left.all(|name| !name.contains(".new-")));
}
