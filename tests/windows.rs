//! Windows and counts over random stores, against the plainest possible reading of the query language.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{
    cmp::{Ordering, Reverse},
    collections::{BTreeMap, BTreeSet},
    process::Command,
    sync::Arc,
};

use chrono::{TimeDelta, Utc};
use postroom::{
    message::{
        Delivery, NewReceiver, Outcome, Reason, ReceiverId, State, Status, Submission, Timestamp,
    },
    query::{Code, Context, Is, Predicate, Query, To, When},
    store::{Anchor, By, Count, Place, Reader, Row, SeedAttempt, SeedReceiver, Sort, Store},
};
use proptest::prelude::*;
use rusqlite::params;
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
const LANGUAGES: [&str; 3] = ["en", "nb", "nb-NO"];
const CODES: [(u16, &str); 3] = [(451, "4.7.1"), (550, "5.1.1"), (550, "5.7.1")];
const ACCEPTED: (u16, &str) = (250, "2.0.0");

#[derive(Clone, Debug)]
struct Seed {
    kind: usize,
    user: Option<usize>,
    domain: usize,
    subject: usize,
    backend: usize,
    language: usize,
    state: State,
    /// The code of each failure; `None`: accepted.
    tries: Vec<Option<usize>>,
    /// Hours ago.
    created: i64,
    sent: Option<i64>,
    due_in: i64,
    sending: bool,
    delivery: Option<Delivery>,
}

fn seeds() -> impl Strategy<Value = Vec<Seed>> {
    let words = (
        0..KINDS.len(),
        prop::option::of(0..USERS.len()),
        0..DOMAINS.len(),
        0..SUBJECTS.len(),
        0..BACKENDS.len(),
        0..LANGUAGES.len(),
    );
    let course = (
        prop::sample::select(State::ALL.to_vec()),
        prop::collection::vec(prop::option::weighted(0.8, 0..CODES.len()), 0..3),
        0..200_i64,
        // Some at the very same moment.
        prop::option::of(0..12_i64),
        prop::sample::select(vec![-5, 5]),
        any::<bool>(),
        prop::option::of(prop::sample::select(Delivery::ALL.to_vec())),
    );
    let seed = (words, course).prop_map(
        |(
            (kind, user, domain, subject, backend, language),
            (state, tries, created, sent, due_in, sending, delivery),
        )| Seed {
            kind,
            user,
            domain,
            subject,
            backend,
            language,
            state,
            tries,
            created,
            sent: sent
                .map(|sent| sent * 10)
                .or((state.status() == postroom::message::Status::Sent).then_some(1)),
            due_in,
            sending: sending && state.is_pending(),
            delivery,
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
            "sent:today",
            "sent:2d",
            "sent:>60h",
            "-sent:2d",
            "sent:none,3d",
            "sent:20h,>4d",
            "created:<2d",
            "created:>3d",
            "created:today,>7d",
            "-created:<50h",
            "created:year",
            "code:451",
            "code:5.1.1,4.7.1",
            "-code:451",
            "code:250",
            "code:250,550",
            "-code:250,5.1.1",
            "cause:1",
            "cause:2,3,99",
            "-cause:1",
            "is:sending",
            "is:scheduled",
            "is:held,scheduled",
            "-is:sending",
            "-is:scheduled",
            "delivery:pending",
            "delivery:delivered,undelivered",
            "-delivery:delivered",
            "to:@example.com,ben@sub.example.org",
            "to:åse@sub.example.org",
            "user:april,ben,zoë",
            "lang:en",
            "lang:NB",
            "-lang:nb-no",
            "nonsense,feedback",
        ]
        .to_vec(),
    )
    .prop_map(str::to_lowercase)
}

fn question() -> impl Strategy<Value = (Vec<String>, Sort)> {
    let sort = (prop::sample::select(By::ALL.to_vec()), any::<bool>())
        .prop_map(|(by, reversed)| Sort { by, reversed });
    (prop::collection::vec(words(), 0..4), sort)
}

fn fill(seeds: &[Seed], indexed: bool) -> (tempfile::TempDir, Arc<Store>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("postroom.db");
    let store = Arc::new(Store::create(&path).unwrap());
    let now = Utc::now();
    let ago = |hours| now - TimeDelta::hours(hours);
    for (n, seed) in seeds.iter().enumerate() {
        store
            .submit(&[message(n, seed)], ago(seed.created))
            .unwrap();
    }
    let attempt = |code: &Option<usize>| {
        let (code, enhanced) = code.map_or(ACCEPTED, |code| CODES[code]);
        SeedAttempt {
            outcome: if code == 250 {
                Outcome::Accepted
            } else {
                Outcome::Temporary
            },
            started_at: now,
            ended_at: now,
            code: Some(code),
            enhanced: Some(enhanced.to_owned()),
            server: None,
            phase: None,
            text: "no".to_owned(),
            traceback: "no".to_owned(),
            transcript: None,
        }
    };
    let histories: Vec<SeedReceiver> = seeds
        .iter()
        .enumerate()
        .map(|(n, seed)| SeedReceiver {
            id: ReceiverId(n as i64 + 1),
            state: seed.state,
            due_at: seed.state.is_pending().then(|| ago(-seed.due_in)),
            sent_at: seed.sent.map(ago),
            attempts: seed.tries.iter().map(attempt).collect(),
        })
        .collect();
    store.seed(&histories, "test").unwrap();
    let inside = rusqlite::Connection::open(path).unwrap();
    for (n, seed) in seeds.iter().enumerate() {
        inside
            .execute(
                "UPDATE receiver SET engine = ?, phase = ?, delivery = ? WHERE id = ?",
                params![
                    seed.sending.then_some("somebody"),
                    seed.sending.then_some(1),
                    seed.delivery.map(Delivery::name),
                    n as i64 + 1
                ],
            )
            .unwrap();
    }
    if indexed {
        // Half of it: the rest is found by walking.
        store.index_some(seeds.len().div_ceil(2)).unwrap();
    }
    (folder, store)
}

fn message(n: usize, seed: &Seed) -> Submission {
    let user = seed.user.map(|user| USERS[user]);
    let identity = format!("{}@{}", user.unwrap_or("nobody"), DOMAINS[seed.domain]);
    let language = LANGUAGES[seed.language].to_owned();
    let to = NewReceiver {
        user: user.map(str::to_owned),
        language: language.clone(),
        ..receiver(BACKENDS[seed.backend], identity)
    };
    let (subject, text) = (SUBJECTS[seed.subject].to_owned(), "hidden words".to_owned());
    let mut message = Submission {
        key: Some(format!("key-{n}")),
        ..submission(KINDS[seed.kind], subject, text, vec![to])
    };
    message.contents[0].0 = language;
    message
}

/// What the last try told.
#[derive(Clone, Copy, Default)]
struct Told {
    codes: Option<(u16, &'static str)>,
    cause: Option<i64>,
}

/// What the last try told each of them. Causes have their numbers in the order in which they were met.
fn told(seeds: &[Seed]) -> Vec<Told> {
    let mut met = Vec::new();
    for code in seeds.iter().flat_map(|seed| &seed.tries).flatten() {
        if !met.contains(code) {
            met.push(*code);
        }
    }
    let number = |code| {
        met.iter()
            .position(|other| *other == code)
            .map(|at| at as i64 + 1)
    };
    let told = |seed: &Seed| {
        let last = *seed.tries.last()?;
        Some(Told {
            codes: Some(last.map_or(ACCEPTED, |code| CODES[code])),
            cause: last.and_then(number),
        })
    };
    seeds
        .iter()
        .map(|seed| told(seed).unwrap_or_default())
        .collect()
}

fn holds(row: &Row, told: Told, predicate: &Predicate) -> bool {
    let fold = |text: &str| text.to_lowercase();
    let user = row.user.as_ref().map(|user| fold(user.raw()));
    let (subject, identity) = (fold(row.subject.raw()), fold(row.identity.raw()));
    let is = |values: &[String], text: &str| values.iter().any(|value| fold(value) == fold(text));
    match predicate {
        Predicate::Status(list) => list.contains(&row.state.status()),
        Predicate::Reason(list) => list.contains(&row.state.reason()),
        Predicate::Type(list) => is(list, row.kind.raw()),
        Predicate::Backend(list) => is(list, row.backend.raw()),
        Predicate::Language(list) => {
            let language = fold(row.language.raw());
            let (whole, more) = (is(list, &language), |tag: &String| {
                language.starts_with(&format!("{}-", fold(tag)))
            });
            whole || list.iter().any(more)
        }
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
        Predicate::Cause(list) => {
            row.state.status() != Status::Sent
                && told.cause.is_some_and(|cause| list.contains(&cause))
        }
        Predicate::Code(list) => told.codes.is_some_and(|(reply, enhanced)| {
            list.contains(&Code::Reply(reply)) || list.contains(&Code::Enhanced(enhanced.into()))
        }),
        Predicate::Failed(list) => list
            .iter()
            .any(|range| range.contains(&i64::from(row.failed_count))),
        Predicate::Is(list) => list.iter().any(|is| match is {
            Is::Sending => row.sending,
            Is::Held => row.state.reason() == Reason::Held,
            Is::Scheduled => !row.sending && row.next_attempt_at.is_some_and(|at| at > Utc::now()),
        }),
        Predicate::Sent(list) => list.iter().any(|when| lies(row.sent_at, *when)),
        Predicate::Created(list) => list.iter().any(|when| lies(Some(row.created_at), *when)),
        Predicate::Delivery(list) => row.delivery.is_some_and(|told| list.contains(&told)),
    }
}

fn lies(time: Option<Timestamp>, when: When) -> bool {
    match when {
        When::Never => time.is_none(),
        When::Any => time.is_some(),
        When::Between(from, until) => time.is_some_and(|time| {
            from.is_none_or(|from| time >= from) && until.is_none_or(|until| time < until)
        }),
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

/// The order, said as plainly as possible.
fn compare(sort: Sort, a: &Row, b: &Row) -> Ordering {
    let turned = |order: Ordering| {
        if sort.reversed {
            order.reverse()
        } else {
            order
        }
    };
    let newest_first = Reverse(a.id.0).cmp(&Reverse(b.id.0));
    let kind = |row: &Row| row.kind.raw().to_lowercase();
    match sort.by {
        By::Id => turned(newest_first),
        By::Created => turned(b.created_at.cmp(&a.created_at).then(newest_first)),
        By::Sent => match (a.sent_at, b.sent_at) {
            (Some(of_a), Some(of_b)) => turned(of_b.cmp(&of_a).then(newest_first)),
            (None, None) => turned(newest_first),
            (of_a, of_b) => of_a.is_none().cmp(&of_b.is_none()),
        },
        By::Type => turned(kind(a).cmp(&kind(b))).then(newest_first),
        By::Status => turned(a.state.status().cmp(&b.state.status())).then(newest_first),
    }
}

fn ids(rows: &[Row]) -> Vec<i64> {
    rows.iter().map(|row| row.id.0).collect()
}

/// Window by window from the first to the last, and from the last to the first.
fn both_ways(reader: &Reader, query: &Query, sort: Sort, size: usize) -> [Vec<i64>; 2] {
    let look = |anchor: Anchor<Place>| reader.window_in(query, sort, &anchor, size).unwrap();
    let (mut down, mut up) = (Vec::new(), Vec::new());
    let mut rows = look(Anchor::First);
    while let Some(last) = rows.last() {
        let next = look(Anchor::After(last.into()));
        // What begins with a row begins with that row.
        let (from, wanted) = (look(Anchor::From(last.into())), [ids(&rows), ids(&next)]);
        let wanted = wanted.concat().into_iter().skip(rows.len() - 1).take(size);
        assert_eq!(ids(&from), wanted.collect::<Vec<_>>());
        down.append(&mut rows);
        rows = next;
    }
    let mut rows = look(Anchor::Last);
    while let Some(first) = rows.first() {
        let next = look(Anchor::Before(first.into()));
        rows.append(&mut up);
        up = rows;
        rows = next;
    }
    [ids(&down), ids(&up)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_window_is_what_reading_every_row_would_find(
        seeds in seeds(), questions in prop::collection::vec(question(), 12), indexed: bool, size in 1_usize..7,
    ) {
        let (_folder, store) = fill(&seeds, indexed);
        let reader = store.reader().unwrap();
        let everything = reader.window(&Query::default(), Anchor::First, 1_000).unwrap();
        prop_assert_eq!(everything.len(), seeds.len());
        let told = told(&seeds);
        for (words, sort) in questions {
            let text = words.join(" ");
            let query = Query::parse(&text, &Context::local()).unwrap();
            let matches = |row: &&Row| {
                let last = told[row.id.0 as usize - 1];
                query.terms.iter().all(|term| holds(row, last, &term.predicate) != term.negated)
            };
            let mut wanted: Vec<Row> = everything.iter().filter(matches).cloned().collect();
            wanted.sort_by(|a, b| compare(sort, a, b));
            let [down, up] = both_ways(&reader, &query, sort, size);
            prop_assert_eq!(&down, &ids(&wanted), "{} down, {:?}", text, sort);
            prop_assert_eq!(&up, &ids(&wanted), "{} up, {:?}", text, sort);
            prop_assert_eq!(reader.count(&query, 1_000).unwrap(), Count::Exact(wanted.len() as u64), "{}", text);

            // The same receivers by cause, but for those that are Sent.
            let mut by_cause: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
            for row in wanted.iter().filter(|row| row.state.status() != Status::Sent) {
                if let Some(cause) = told[row.id.0 as usize - 1].cause {
                    by_cause.entry(cause).or_default().insert(row.id.0);
                }
            }
            let found = reader.causes(&query, usize::MAX).unwrap();
            let counts: BTreeMap<i64, u64> = found.iter().map(|cause| (cause.id.0, cause.count)).collect();
            let wanted: BTreeMap<i64, u64> = by_cause.iter().map(|(cause, ids)| (*cause, ids.len() as u64)).collect();
            prop_assert_eq!(counts, wanted, "{}", text);
            prop_assert!(found.is_sorted_by_key(|cause| Reverse(cause.count)));
            prop_assert!(found.iter().all(|cause| by_cause[&cause.id.0].contains(&cause.sample.0)), "{} {:?}", text, found);
        }
    }
}

/// 21 messages to a thousand each, a day apart, so that their ids fill six stretches; the clock was wrong once.
fn days_apart() -> (tempfile::TempDir, Arc<Store>) {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::create(&folder.path().join("postroom.db")).unwrap());
    let ago = |hours| Utc::now() - TimeDelta::hours(hours);
    for day in 0..21 {
        let to = (0..1_000).map(|n| receiver("email", format!("user{n}@example.com")));
        let message = submission(
            KINDS[day % 3],
            format!("Day {day}"),
            "words".to_owned(),
            to.collect(),
        );
        let hours = if day == 5 { 1 } else { (21 - day as i64) * 24 };
        store.submit(&[message], ago(hours)).unwrap();
    }
    let sent = |id, hours| SeedReceiver {
        id: ReceiverId(id),
        state: State::Accepted,
        due_at: None,
        sent_at: Some(ago(hours)),
        attempts: Vec::new(),
    };
    let few = [(17, 1), (9_000, 50), (9_001, 51), (20_990, 1_000)];
    let sent: Vec<_> = few.map(|(id, hours)| sent(id, hours)).into();
    store.seed(&sent, "test").unwrap();
    while store.index_some(5_000).unwrap() > 0 {}
    (folder, store)
}

#[test]
fn a_time_is_found_wherever_in_the_store_it_stands() {
    let (_folder, store) = days_apart();
    let reader = store.reader().unwrap();
    let everything = reader
        .window(&Query::default(), Anchor::First, 30_000)
        .unwrap();
    for (text, found) in [
        ("created:2h", 1_000),
        ("created:>250h", 11_000 - 1_000),
        ("created:2h type:reset", 1_000),
        ("created:2h type:feedback", 0),
        ("created:>600h", 0),
        ("created:2h subject:day", 1_000),
        ("created:2h user7", 111),
        ("sent:2h", 1),
        ("sent:>10d", 1),
        ("sent:yes created:2h", 0),
        ("sent:60h status:sent", 3),
        ("sent:60h user0@example.com", 1),
        ("sent:>10d,2h", 2),
    ] {
        let query = Query::parse(text, &Context::local()).unwrap();
        let wanted: Vec<Row> = everything
            .iter()
            .filter(|row| {
                query
                    .terms
                    .iter()
                    .all(|term| holds(row, Told::default(), &term.predicate))
            })
            .cloned()
            .collect();
        for by in [By::Id, By::Sent] {
            let sort = Sort::from(by);
            let mut wanted = wanted.clone();
            wanted.sort_by(|a, b| compare(sort, a, b));
            let [down, up] = both_ways(&reader, &query, sort, 700);
            assert_eq!(down, ids(&wanted), "{text} by {}", by.name());
            assert_eq!(up, ids(&wanted), "{text} by {}", by.name());
        }
        assert_eq!(wanted.len(), found, "{text}");
    }
}

#[test]
fn a_question_that_no_index_leads_to_says_so_and_every_other_one_does_not() {
    let (_folder, store) = days_apart();
    let reader = store.reader().unwrap();
    let scan = |text: &str, by: By| {
        let query = Query::parse(text, &Context::local()).unwrap();
        reader
            .scan(&query, by.into())
            .unwrap()
            .map(|scan| scan.to_string())
    };
    for text in [
        "",
        "status:not_sent",
        "-status:sent",
        "reason:held",
        "type:feedback",
        "backend:email",
        "status:error backend:email",
        "user:april",
        "to:user7@example.com",
        "to:@example.com",
        "to:@nowhere.example",
        "subject:day",
        "words",
        "104233",
        "id:5",
        "key:order",
        "sent:2h",
        "sent:none",
        "sent:yes",
        "created:>30d",
        "is:sending",
        "is:held",
        "delivery:delivered",
        "cause:7",
        "code:451",
        // So few are looked at one by one at once.
        "to:user7@example.com lang:nb",
        "status:sent code:250",
    ] {
        assert_eq!(scan(text, By::Id), None, "{text}");
    }
    for text in [
        "lang:nb",
        "code:250",
        "-cause:7",
        "failed:>=3",
        "is:scheduled",
        "-user:april",
        "-subject:day",
        "da",
    ] {
        let said = scan(text, By::Id).unwrap_or_default();
        let wanted = format!("no index leads to {text}: up to ");
        assert!(said.starts_with(&wanted), "{text}: {said}");
    }
    let list = |arguments: &[&str]| {
        let ran = Command::new(env!("CARGO_BIN_EXE_postroom"))
            .args(arguments)
            .arg("--store")
            .arg(store.path())
            .env("POSTROOM_CONFIG", "/dev/null")
            .output()
            .unwrap();
        assert!(ran.status.success());
        String::from_utf8(ran.stderr).unwrap()
    };
    assert_eq!(list(&["list", "lang:nb"]), "");
    assert_eq!(list(&["-v", "list", "user:april"]), "");
    let said = list(&["-v", "list", "lang:nb"]);
    assert!(said.contains("no index leads to lang:nb"), "{said}");
    for by in By::ALL {
        assert_eq!(scan("", by), None, "{}", by.name());
    }
}
