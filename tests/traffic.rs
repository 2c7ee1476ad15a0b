//! What goes out and what fails is counted by the minute as it happens: the overview and `status` tell it without a look at the attempts.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use chrono::{TimeDelta, TimeZone as _, Utc};
use postroom::{
    demo::server::{Action, Phase, Script, Server},
    message::{Outcome, ReceiverId, State},
    store::{HOURS, SeedAttempt, SeedReceiver, Store, Traffic, Tries},
};
use support::{Postroom, message};

fn traffic(postroom: &Postroom) -> Vec<Traffic> {
    let now = Utc::now();
    let store = Store::open_read_only(&postroom.store_path()).unwrap();
    let until = now + TimeDelta::hours(1);
    store.reader().unwrap().traffic(now, until).unwrap()
}

fn all(traffic: &Traffic) -> Tries {
    let mut all = Tries::default();
    for hour in &traffic.hours {
        all.sent += hour.sent;
        all.failed += hour.failed;
    }
    all
}

#[test]
fn status_tells_what_was_sent_and_what_failed_in_each_hour_of_the_last_day() {
    let script = Script::accept_all().by(|event| {
        let ben = event.recipient.is_some_and(|to| to.starts_with("ben@"));
        (ben && event.phase == Phase::Rcpt).then(|| Action::reply(550, "5.1.1", "no ben"))
    });
    let server = Server::start(script).unwrap();
    let postroom = Postroom::to(&server);
    postroom.submit(&[
        message("m1", "a", &["april@example.com", "ben@example.com"]),
        message("m2", "a", &["carol@example.com"]),
    ]);
    postroom.deliver();
    let [email] = &traffic(&postroom)[..] else {
        panic!("one backend")
    };
    assert_eq!(all(email), Tries { sent: 2, failed: 1 });
    assert_eq!((email.failed, email.error), (0, 1));
    assert!((1..=2).contains(&email.rate), "{email:?}");

    let status = postroom.run(&["status", "--format", "json"]).exit(1);
    let status = &status.json_lines()[0];
    let hours = status["hours"].as_array().unwrap();
    let sum = |key: &str| -> u64 { hours.iter().map(|hour| hour[key].as_u64().unwrap()).sum() };
    assert_eq!(hours.len(), HOURS);
    assert_eq!((sum("sent"), sum("failed")), (2, 1));
    let text = postroom.run(&["status"]).exit(1).stdout;
    assert!(
        text.contains("3 tries in 24 hours: 2 sent, 1 failed; now "),
        "{text}"
    );
}

#[test]
fn every_try_counts_in_the_hour_in_which_it_ended_and_a_day_is_kept() {
    let server = Server::start(Script::accept_all()).unwrap();
    let postroom = Postroom::to(&server);
    let to: Vec<String> = (0..30).map(|n| format!("user{n}@example.com")).collect();
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    postroom.submit(&[message("m1", "a", &to)]);
    let noon = Utc.with_ymd_and_hms(2026, 11, 22, 12, 0, 0).unwrap();
    let tried = |outcome, ended_at| SeedAttempt {
        outcome,
        started_at: ended_at,
        ended_at,
        code: None,
        enhanced: None,
        text: "told".to_owned(),
        traceback: String::new(),
        server: None,
        phase: None,
        transcript: None,
    };
    // One failure an hour, 30 hours long, and half an hour after each one that went out.
    let seeds: Vec<_> = (0..30)
        .map(|n| {
            let failed = noon - TimeDelta::hours(30 - n);
            SeedReceiver {
                id: ReceiverId(n + 1),
                state: State::Accepted,
                due_at: None,
                sent_at: Some(failed),
                attempts: vec![
                    tried(Outcome::Temporary, failed),
                    tried(Outcome::Accepted, failed + TimeDelta::minutes(30)),
                ],
            }
        })
        .collect();
    let store = Store::open(&postroom.store_path()).unwrap();
    store.seed(&seeds, "test").unwrap();
    let reader = store.reader().unwrap();
    let [email] = &reader.traffic(noon, noon).unwrap()[..] else {
        panic!("one backend")
    };
    assert_eq!(email.hours, [Tries { sent: 1, failed: 1 }; HOURS]);
    assert_eq!(email.rate, 0);
    let at_once = noon - TimeDelta::minutes(30) + TimeDelta::seconds(20);
    assert_eq!(
        reader.traffic(at_once, noon).unwrap()[0].rate,
        0,
        "one in 80 seconds"
    );
    // Older ones are forgotten with the first entry of a new minute.
    let day_before = reader.traffic(noon, noon - TimeDelta::hours(24)).unwrap();
    assert_eq!(
        all(&day_before[0]),
        Tries { sent: 2, failed: 1 },
        "25 hours are kept"
    );
}
