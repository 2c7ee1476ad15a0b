//! The demo's messages: what may be relied on when they stand in for an application's.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use postroom::{
    demo::{Fate, Letter, letters},
    message::{Body, DisplayText},
};

fn now() -> DateTime<Utc> {
    "2026-11-20T10:30:00Z".parse().unwrap()
}

fn demo() -> Vec<Letter> {
    letters(1, now(), 3000).collect()
}

#[test]
fn the_same_seed_gives_the_same_messages_and_another_seed_others() {
    assert_eq!(demo(), demo());
    assert_ne!(demo(), letters(2, now(), 3000).collect::<Vec<_>>());
}

#[test]
fn there_are_exactly_as_many_receivers_as_asked_for() {
    for wanted in [0, 1, 7, 100, 3000, 20_000] {
        let receivers: usize = letters(1, now(), wanted)
            .map(|letter| letter.submission.receivers.len())
            .sum();
        assert_eq!(receivers, wanted);
    }
    let messages = demo().len();
    assert!((900..1400).contains(&messages), "{messages} messages");
}

#[test]
fn the_messages_are_spread_over_the_last_sixty_days_oldest_first() {
    let demo = demo();
    assert!(demo.is_sorted_by_key(|letter| letter.created_at));
    let (first, last) = (demo[0].created_at, demo[demo.len() - 1].created_at);
    assert!(first >= now() - TimeDelta::days(61) && first < now() - TimeDelta::days(58));
    assert!(last <= now() && last > now() - TimeDelta::days(1));
}

#[test]
fn every_type_language_and_fate_occurs() {
    let demo = demo();
    let mut kinds = BTreeMap::<_, usize>::new();
    let mut languages = BTreeMap::<_, usize>::new();
    let mut fates = BTreeMap::<_, usize>::new();
    for letter in &demo {
        *kinds.entry(letter.submission.kind.as_str()).or_default() += 1;
        for receiver in &letter.submission.receivers {
            *languages.entry(receiver.language.as_str()).or_default() += 1;
            *fates
                .entry(format!("{:?}", Fate::of_address(&receiver.identity)))
                .or_default() += 1;
        }
    }
    assert_eq!(kinds.len(), 9, "{kinds:?}");
    assert_eq!(
        languages.keys().copied().collect::<Vec<_>>(),
        ["ar", "de", "en", "fr", "ja", "nb", "pl"]
    );
    assert!(
        Fate::ALL
            .iter()
            .all(|fate| fates[&format!("{fate:?}")] >= 3),
        "{fates:?}"
    );
    assert!(fates["Accepted"] > 2500, "{fates:?}");

    let of = |wanted: fn(&Letter) -> bool| demo.iter().filter(|letter| wanted(letter)).count();
    assert!(
        of(|letter| letter
            .submission
            .send_after
            .is_some_and(|time| time > now()))
            > 0
    );
    assert!(of(|letter| letter.submission.expires_at.is_some()) > 50);
    assert!(of(|letter| letter.submission.contents[0].1.is_raw()) > 3);
    assert!(of(|letter| letter.submission.receivers.len() > 50) > 5);
    assert!(of(|letter| letter.submission.receivers.len() == 1) > 500);
}

#[test]
fn every_message_could_have_been_submitted() {
    let mut keys = HashSet::new();
    for letter in letters(3, now(), 20_000) {
        let message = letter.submission;
        assert!(keys.insert(message.key.clone().unwrap()));
        let mut receivers = HashSet::new();
        let mut headers = vec![message.kind.clone()];
        headers.extend(message.from.clone());
        headers.extend(message.reply_to.clone());
        for receiver in message.receivers {
            assert!(
                message
                    .contents
                    .iter()
                    .any(|(language, _)| *language == receiver.language)
            );
            assert!(
                receivers.insert(receiver.identity.clone()),
                "{} twice",
                receiver.identity
            );
            let domain = receiver.identity.rsplit_once('@').unwrap().1;
            let top = domain.rsplit('.').next().unwrap();
            assert!(
                top == "example"
                    || [
                        "example.com",
                        "example.net",
                        "example.org",
                        "students.example.org"
                    ]
                    .contains(&domain),
                "{domain}"
            );
            assert!(receiver.identity.is_ascii());
            headers.push(receiver.identity);
            headers.extend(receiver.user);
            headers.extend(receiver.name);
        }
        for (_, content) in &message.contents {
            headers.push(content.subject.clone());
            match &content.body {
                Body::Parts { text, html } => {
                    for text in [Some(text), html.as_ref()].into_iter().flatten() {
                        let filled = text.replace("{font", "").replace("{color", "");
                        assert!(
                            !filled.contains("{name") && !filled.contains("{url"),
                            "{text}"
                        );
                    }
                }
                Body::Raw(raw) => {
                    let raw = std::str::from_utf8(raw).unwrap();
                    assert!(raw.lines().all(|line| line.len() <= 78), "{raw}");
                    assert_eq!(raw.matches('\n').count(), raw.matches("\r\n").count());
                    let parsed = mail_parser::MessageParser::default().parse(raw).unwrap();
                    assert_eq!(parsed.subject().unwrap(), content.subject);
                    assert!(!parsed.body_text(0).unwrap().contains('{'));
                }
                Body::Template { .. } => panic!("nothing of the demo is a template"),
            }
        }
        for header in headers {
            assert!(!header.contains(['\r', '\n', '\0']), "{header:?}");
            assert!(!header.contains('{'), "{header:?}");
        }
    }
}

#[test]
fn some_users_and_subjects_try_to_act_on_the_terminal() {
    let mut users = 0;
    let mut subjects = 0;
    for letter in demo() {
        subjects += letter
            .submission
            .contents
            .iter()
            .filter(|(_, content)| DisplayText::line(&content.subject).as_str() != content.subject)
            .count();
        users += letter
            .submission
            .receivers
            .iter()
            .filter_map(|receiver| receiver.user.as_deref())
            .filter(|user| DisplayText::line(user).as_str() != *user)
            .count();
    }
    assert!(
        users >= 5 && subjects >= 2,
        "{users} users, {subjects} subjects"
    );
}

#[test]
fn the_mix_is_the_same_for_every_number() {
    let share = |receivers: usize| {
        let bad = letters(1, now(), receivers)
            .flat_map(|letter| letter.submission.receivers)
            .filter(|receiver| Fate::of_address(&receiver.identity) != Fate::Accepted)
            .count();
        1000 * bad / receivers
    };
    for receivers in [3000, 50_000] {
        let share = share(receivers);
        assert!((70..160).contains(&share), "{share} of 1000 at {receivers}");
    }
}
