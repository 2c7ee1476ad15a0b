//! Windows and counts over random stores, against the plainest possible reading of the query language.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{collections::BTreeSet, sync::Arc};

use chrono::Utc;
use postroom::{
    message::{NewReceiver, Outcome, Reason, ReceiverId, State, Submission},
    query::{Context, Is, Predicate, Query, To},
    store::{Anchor, Count, Row, SeedAttempt, SeedReceiver, Store},
};
use proptest::prelude::*;
use support::{receiver, submission};

const KINDS: [&str; 3] = ["feedback", "Invoice", "reset"];
const USERS: [&str; 5] = ["april", "Ben", "ÅSE", "zoë", "o'brien"];
const DOMAINS: [&str; 2] = ["example.com", "Sub.Example.org"];
const SUBJECTS: [&str; 4] = [
    "Feedback on Übung 7",
    "100% done_now",
    "Re: \"quoted\" words",
    "ab",
];
const BACKENDS: [&str; 2] = ["email", "relay"];

#[derive(Clone, Debug)]
struct Seed {
    kind: usize,
    user: Option<usize>,
    domain: usize,
    subject: usize,
    backend: usize,
    state: State,
    failed: usize,
}

fn seeds() -> impl Strategy<Value = Vec<Seed>> {
    let seed = (
        0..KINDS.len(),
        prop::option::of(0..USERS.len()),
        0..DOMAINS.len(),
        0..SUBJECTS.len(),
        0..BACKENDS.len(),
        prop::sample::select(State::ALL.to_vec()),
        0_usize..3,
    )
        .prop_map(
            |(kind, user, domain, subject, backend, state, failed)| Seed {
                kind,
                user,
                domain,
                subject,
                backend,
                state,
                failed,
            },
        );
    prop::collection::vec(seed, 0..40)
}

fn words() -> impl Strategy<Value = String> {
    prop::sample::select(
        [
            "status:failed",
            "status:error,sent",
            "-status:sent",
            "reason:held",
            "reason:temporary,permanent",
            "type:feedback",
            "type:INVOICE,reset",
            "-type:reset",
            "type:nothing",
            "user:april",
            "user:BEN",
            "user:åse",
            "-user:april",
            "to:april@example.com",
            "to:@example.com",
            "to:@sub.example.org",
            "backend:relay",
            "-backend:email",
            "id:1",
            "id:3,5,70",
            "-id:2",
            "is:held",
            "-is:held",
            "failed:>0",
            "failed:0",
            "feedback",
            "übung",
            "done_now",
            "100%",
            "ab",
            "b",
            "o'brien",
            "quoted",
            "-feedback",
            "3",
            "subject:words",
            "key:key-2",
            "KEY:KEY-2,key-3",
            "sent:none",
            "sent:yes",
            "lang:en",
            "lang:nb",
            "nonsense,feedback",
        ]
        .to_vec(),
    )
    .prop_map(str::to_lowercase)
}

fn fill(seeds: &[Seed], indexed: bool) -> (tempfile::TempDir, Arc<Store>) {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::create(&folder.path().join("postroom.db")).unwrap());
    let now = Utc::now();
    let submissions: Vec<Submission> = seeds
        .iter()
        .enumerate()
        .map(|(n, seed)| message(n, seed))
        .collect();
    store.submit(&submissions, now).unwrap();
    let attempt = |outcome| SeedAttempt {
        outcome,
        started_at: now,
        ended_at: now,
        code: Some(451),
        enhanced: None,
        server: None,
        phase: None,
        text: "no".to_owned(),
        traceback: "no".to_owned(),
        transcript: None,
    };
    let histories: Vec<SeedReceiver> = seeds
        .iter()
        .enumerate()
        .map(|(n, seed)| SeedReceiver {
            id: ReceiverId(n as i64 + 1),
            state: seed.state,
            due_at: seed.state.is_pending().then_some(now),
            sent_at: matches!(seed.state, State::Accepted | State::Marked).then_some(now),
            attempts: (0..seed.failed)
                .map(|_| attempt(Outcome::Temporary))
                .collect(),
        })
        .collect();
    store.seed(&histories, "test").unwrap();
    if indexed {
        // Half of it: the rest is found by walking.
        store.index_some(seeds.len().div_ceil(2)).unwrap();
    }
    (folder, store)
}

fn message(n: usize, seed: &Seed) -> Submission {
    let user = seed.user.map(|user| USERS[user]);
    let identity = format!("{}@{}", user.unwrap_or("nobody"), DOMAINS[seed.domain]);
    let to = NewReceiver {
        user: user.map(str::to_owned),
        ..receiver(BACKENDS[seed.backend], identity)
    };
    let (subject, text) = (SUBJECTS[seed.subject].to_owned(), "hidden words".to_owned());
    Submission {
        key: Some(format!("key-{n}")),
        ..submission(KINDS[seed.kind], subject, text, vec![to])
    }
}

fn holds(row: &Row, predicate: &Predicate) -> bool {
    let fold = |text: &str| text.to_lowercase();
    let user = row.user.as_ref().map(|user| fold(user.raw()));
    let (subject, identity) = (fold(row.subject.raw()), fold(row.identity.raw()));
    let is = |values: &[String], text: &str| values.iter().any(|value| fold(value) == fold(text));
    match predicate {
        Predicate::Status(list) => list.contains(&row.state.status()),
        Predicate::Reason(list) => list.contains(&row.state.reason()),
        Predicate::Type(list) => is(list, row.kind.raw()),
        Predicate::Backend(list) => is(list, row.backend.raw()),
        Predicate::Language(list) => is(list, row.language.raw()),
        Predicate::User(list) => user.is_some_and(|user| is(list, &user)),
        Predicate::To(list) => list.iter().any(|to| match to {
            To::Identity(whole) => fold(whole) == identity,
            To::Domain(domain) => identity.ends_with(&format!("@{}", fold(domain))),
        }),
        Predicate::Key(list) => is(list, row.message_key.raw()),
        Predicate::Subject(list) => list
            .iter()
            .any(|word| found(&fold(word), &[Some(&subject)])),
        Predicate::Words(list) => list.iter().any(|word| {
            found(
                &fold(word),
                &[Some(&subject), user.as_ref(), Some(&identity)],
            ) || word.parse::<i64>() == Ok(row.id.0)
        }),
        Predicate::Id(list) => list.contains(&row.id.0),
        Predicate::Failed(list) => list
            .iter()
            .any(|range| range.contains(&i64::from(row.failed_count))),
        Predicate::Is(list) => list.iter().any(|is| match is {
            Is::Sending => row.sending,
            Is::Held => row.state.reason() == Reason::Held,
            Is::Scheduled => row.next_attempt_at.is_some_and(|at| at > Utc::now()),
        }),
        Predicate::Sent(list) => list.iter().any(|when| match when {
            postroom::query::When::Never => row.sent_at.is_none(),
            postroom::query::When::Any => row.sent_at.is_some(),
            postroom::query::When::Between(..) => unreachable!("not asked here"),
        }),
        Predicate::Delivery(_) | Predicate::Created(_) | Predicate::Code(_) => {
            unreachable!("not asked here")
        }
    }
}

/// A substring; under three letters, a beginning.
fn found(word: &str, texts: &[Option<&String>]) -> bool {
    texts.iter().flatten().any(|text| {
        if word.chars().count() < 3 {
            text.starts_with(word)
        } else {
            text.contains(word)
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_window_is_what_reading_every_row_would_find(
        seeds in seeds(), words in prop::collection::vec(words(), 0..4), indexed: bool, size in 1_usize..7,
    ) {
        let (_folder, store) = fill(&seeds, indexed);
        let reader = store.reader().unwrap();
        let text = words.join(" ");
        let query = Query::parse(&text, &Context::local()).unwrap();
        let everything = reader.window(&Query::default(), Anchor::Newest, 1_000).unwrap();
        prop_assert_eq!(everything.len(), seeds.len());
        let wanted: Vec<i64> = everything
            .iter()
            .filter(|row| query.terms.iter().all(|term| holds(row, &term.predicate) != term.negated))
            .map(|row| row.id.0)
            .collect();
        let ids = |rows: Vec<Row>| rows.into_iter().map(|row| row.id.0).collect::<Vec<_>>();

        // Downwards, window by window.
        let mut walked = ids(reader.window(&query, Anchor::Newest, size).unwrap());
        while let Some(last) = walked.last().copied() {
            let more = ids(reader.window(&query, Anchor::OlderThan(ReceiverId(last)), size).unwrap());
            if more.is_empty() { break; }
            walked.extend(more);
        }
        prop_assert_eq!(&walked, &wanted, "{}", text);

        // And upwards.
        let mut climbed: BTreeSet<i64> = ids(reader.window(&query, Anchor::Oldest, size).unwrap()).into_iter().collect();
        while let Some(top) = climbed.last().copied() {
            let more = ids(reader.window(&query, Anchor::NewerThan(ReceiverId(top)), size).unwrap());
            if more.is_empty() { break; }
            climbed.extend(more);
        }
        prop_assert_eq!(climbed.into_iter().rev().collect::<Vec<_>>(), wanted.clone(), "{}", text);

        prop_assert_eq!(reader.count(&query, 1_000).unwrap(), Count::Exact(wanted.len() as u64), "{}", text);
    }
}
