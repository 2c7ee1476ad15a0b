//! The state machine under random events: whatever happens, the real store's rows are those of a model that was written from the text, counters equal
//! a recount, and nobody gets a message twice without an operator or an unknown end.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../support/mod.rs"]
mod support;

mod model;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::ControlFlow,
    sync::Arc,
    time::Duration,
};

use chrono::DateTime;
use model::Model;
use postroom::{
    delivery::{Failure, OnUnknown, Policy, Report},
    message::{MessageId, Outcome, ReceiverId, State, Status, Submission, Timestamp},
    query::{Context, Query},
    store::{
        Acting, Action, Affected, Anchor, ArmRequest, CauseRow, Claim, Ledger, Reader, Receipt,
        Record, Retention, Row, Scope, Settlement, Store, Target, engine::Engine,
    },
};
use proptest::prelude::*;
use support::{receiver, submission};

const LIMIT: u32 = 2;
const LEASE: Duration = Duration::from_secs(120);

#[derive(Clone, Copy, Debug)]
enum Op {
    Submit(usize),
    Claim {
        engine: usize,
        limit: usize,
    },
    Arm {
        engine: usize,
        pick: usize,
    },
    Settle {
        engine: usize,
        pick: usize,
        outcome: Outcome,
    },
    Crash {
        engine: usize,
    },
    /// A clean end with answers still under way.
    Leave {
        engine: usize,
    },
    /// An answer that a process believed dead writes after all.
    Late {
        pick: usize,
        outcome: Outcome,
    },
    Reap,
    Heartbeat {
        engine: usize,
    },
    Expire,
    Act {
        action: Action,
        pick: usize,
    },
    ResendFailed,
    /// A message is handed over once more, as it was or with another body.
    Again {
        pick: usize,
        other: bool,
    },
    /// Messages without receivers go, and contents that nobody uses.
    CleanUp,
    /// What was Sent a minute ago goes.
    Sweep,
    Pass(u64),
}

fn ops() -> impl Strategy<Value = Op> {
    let action = prop::sample::select(vec![
        Action::Resend,
        Action::Hold,
        Action::Release,
        Action::Cancel,
        Action::MarkSent,
        Action::Delete,
        Action::CleanUp { pending: false },
    ]);
    prop_oneof![
        1 => (1_usize..4).prop_map(Op::Submit),
        4 => (0_usize..2, 1_usize..4).prop_map(|(engine, limit)| Op::Claim { engine, limit }),
        4 => (0_usize..2, any::<usize>()).prop_map(|(engine, pick)| Op::Arm { engine, pick }),
        5 => (0_usize..2, any::<usize>(), prop::sample::select(Outcome::ALL.to_vec()))
            .prop_map(|(engine, pick, outcome)| Op::Settle { engine, pick, outcome }),
        1 => (0_usize..2).prop_map(|engine| Op::Crash { engine }),
        1 => (0_usize..2).prop_map(|engine| Op::Leave { engine }),
        2 => (any::<usize>(), prop::sample::select(vec![Outcome::Accepted, Outcome::Temporary, Outcome::Permanent]))
            .prop_map(|(pick, outcome)| Op::Late { pick, outcome }),
        2 => Just(Op::Reap),
        1 => (0_usize..2).prop_map(|engine| Op::Heartbeat { engine }),
        1 => Just(Op::Expire),
        3 => (action, any::<usize>()).prop_map(|(action, pick)| Op::Act { action, pick }),
        1 => Just(Op::ResendFailed),
        2 => (any::<usize>(), any::<bool>()).prop_map(|(pick, other)| Op::Again { pick, other }),
        1 => Just(Op::CleanUp),
        1 => Just(Op::Sweep),
        2 => (0_u64..200_000).prop_map(Op::Pass),
    ]
}

/// An engine with what it holds; `armed` tells how far each is.
struct Holder {
    place: Engine,
    hands: Vec<(Claim, bool)>,
}

struct World {
    _folder: tempfile::TempDir,
    store: Arc<Store>,
    /// For the looks after each step, so that none of them opens the store anew.
    reader: Reader,
    raw: rusqlite::Connection,
    engines: Vec<Holder>,
    /// What engines had armed when they were taken for dead.
    graves: Vec<(Arc<Ledger>, Claim)>,
    now: Timestamp,
    policy: Policy,
    model: Model,
    /// The Message-IDs that each receiver has had.
    uids: HashMap<i64, Vec<String>>,
    receivers: i64,
    messages: i64,
    /// Copies a receiver got, and copies that were allowed: one, and one more for each operator's resend and each unknown end.
    copies: HashMap<ReceiverId, (u32, u32)>,
}

impl World {
    fn new(on_unknown: OnUnknown) -> Self {
        // In memory where that can be: what a disk does is not the question here, and waiting for it would be most of the time.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let folder = folder.unwrap();
        let path = folder.path().join("postroom.db");
        let store = Arc::new(Store::create(&path).unwrap());
        let now = DateTime::from_timestamp_millis(1_700_000_000_000).unwrap();
        let backoff = vec![Duration::from_secs(1), Duration::from_secs(60)];
        let policy = Policy {
            backoff: backoff.clone(),
            resend_limit: LIMIT,
            retry_permanent: false,
            on_unknown,
        };
        let mut world = Self {
            reader: store.reader().unwrap(),
            raw: rusqlite::Connection::open(&path).unwrap(),
            _folder: folder,
            store,
            engines: Vec::new(),
            graves: Vec::new(),
            now,
            policy,
            model: Model::new(LIMIT, backoff, on_unknown, LEASE),
            uids: HashMap::new(),
            receivers: 0,
            messages: 0,
            copies: HashMap::new(),
        };
        for _ in 0..2 {
            let place = world.enter();
            world.engines.push(Holder {
                place,
                hands: Vec::new(),
            });
        }
        world
    }

    fn enter(&mut self) -> Engine {
        let by = "test".to_owned();
        let place = Engine::enter(&self.store, "deliver", by, LEASE, self.now).unwrap();
        self.model.enter(place.ledger().engine(), self.now);
        place
    }

    fn acting(&self) -> Acting {
        Acting {
            who: "april".to_owned(),
            target: "test".to_owned(),
            now: self.now,
            resend_limit: LIMIT,
        }
    }

    /// Writes the result of a try, in the store and in the model.
    fn settle(&mut self, ledger: &Ledger, claim: &Claim, outcome: Outcome) {
        ledger.settle(self.settlement(claim, outcome));
        ledger.flush().unwrap();
        let (id, epoch) = (claim.receiver.id.0, claim.receiver.epoch);
        self.model
            .settle(ledger.engine(), id, epoch, outcome, self.now);
    }

    fn settlement(&self, claim: &Claim, outcome: Outcome) -> Settlement {
        let failure = Failure {
            error: said(outcome),
            traceback: "no\n".to_owned(),
            ..Failure::default()
        };
        let report = match outcome {
            Outcome::Accepted => Report::Accepted {
                reply: "250 ok".to_owned(),
                code: Some(250),
                enhanced: None,
            },
            outcome => Report::Failed(outcome, failure),
        };
        Settlement {
            receiver: claim.receiver.id,
            epoch: claim.receiver.epoch,
            next: self.policy.next(&claim.standing, outcome, self.now, 0.0),
            report,
            started_at: self.now,
            ended_at: self.now,
            record: Record::Attempt,
        }
    }

    fn step(&mut self, op: Op) {
        match op {
            Op::Submit(n) => {
                self.messages += 1;
                let message = MessageId(self.messages);
                let mut letter = feedback(self.messages, n);
                letter.expires_at = (self.messages % 3 == 0).then(|| self.now + LEASE);
                let receipts = self.submit(&letter);
                let stored = Receipt::Stored {
                    key: key(message),
                    message,
                    receivers: n,
                };
                assert_eq!(receipts, [stored], "no number is given twice");
                let query = Query::parse(&format!("key:{}", key(message)), &Context::local());
                let reader = &self.reader;
                let rows = reader.window(&query.unwrap(), Anchor::First, n).unwrap();
                let new = self.receivers + 1..=self.receivers + n as i64;
                let ids = rows.iter().rev().map(|row| row.id.0);
                assert!(ids.eq(new), "no number is given twice: {rows:?}");
                for _ in 0..n {
                    self.receivers += 1;
                    let expires = letter.expires_at;
                    self.model
                        .submit(self.receivers, letter.priority, expires, self.now);
                    self.copies.insert(ReceiverId(self.receivers), (0, 1));
                }
            }
            Op::Claim { engine, limit } => {
                let id = self.engines[engine].place.ledger().engine().to_owned();
                let expected = self.model.claim(&id, limit, self.now);
                let claims = self
                    .store
                    .claim(&id, "email", Scope::Always, limit, self.now)
                    .unwrap();
                let of = |claim: &Claim| (claim.receiver.id.0, claim.receiver.epoch);
                assert!(
                    claims.iter().map(of).eq(expected),
                    "who is due longest: {claims:?}"
                );
                self.engines[engine]
                    .hands
                    .extend(claims.into_iter().map(|claim| (claim, false)));
            }
            Op::Arm { engine, pick } => {
                let Holder { place, hands } = &mut self.engines[engine];
                let unarmed: Vec<usize> =
                    (0..hands.len()).filter(|index| !hands[*index].1).collect();
                let Some(index) = unarmed.get(pick % unarmed.len().max(1)).copied() else {
                    return;
                };
                let claim = &hands[index].0;
                let request = ArmRequest {
                    receivers: vec![(claim.receiver.id, claim.receiver.epoch)],
                    started_at: self.now,
                };
                let (id, epoch) = request.receivers[0];
                let expected = self.model.arm(place.ledger().engine(), id.0, epoch);
                let armed = place.ledger().arm(request).unwrap().is_empty();
                assert_eq!(armed, expected, "{claim:?}");
                if armed {
                    hands[index].1 = true;
                } else {
                    hands.remove(index);
                }
            }
            Op::Settle {
                engine,
                pick,
                outcome,
            } => {
                if self.engines[engine].hands.is_empty() {
                    return;
                }
                let index = pick % self.engines[engine].hands.len();
                let (claim, armed) = self.engines[engine].hands.remove(index);
                let outcome = match (armed, outcome) {
                    // Only an armed message can be accepted, or be in doubt.
                    (false, Outcome::Accepted | Outcome::Unknown | Outcome::Cancelled) => {
                        Outcome::Temporary
                    }
                    (true, Outcome::Backend) => Outcome::Temporary,
                    (_, outcome) => outcome,
                };
                let copies = self.copies.get_mut(&claim.receiver.id).unwrap();
                match outcome {
                    Outcome::Accepted => copies.0 += 1,
                    Outcome::Unknown => {
                        // In the worst case it did arrive.
                        copies.0 += 1;
                        copies.1 += 1;
                    }
                    _ => {}
                }
                let ledger = Arc::clone(self.engines[engine].place.ledger());
                self.settle(&ledger, &claim, outcome);
            }
            Op::Crash { engine } => {
                let dead = self.abandon(engine);
                self.model.crash(dead.ledger().engine());
            }
            Op::Leave { engine } => {
                let left = self.abandon(engine);
                self.model.leave(left.ledger().engine(), self.now);
                let bury =
                    |_: &str, claim: &Claim, _: Timestamp| self.settlement(claim, Outcome::Unknown);
                left.leave(&bury, self.now).unwrap();
            }
            Op::Late { pick, outcome } => {
                if self.graves.is_empty() {
                    return;
                }
                let (ledger, claim) = self.graves.remove(pick % self.graves.len());
                self.settle(&ledger, &claim, outcome);
                let Some(detail) = self.reader.detail(claim.receiver.id).unwrap() else {
                    // Deleted meanwhile: there is nothing that the answer could be written to.
                    return;
                };
                let row = detail.row;
                let sent = row.state.status() == Status::Sent;
                assert!(
                    outcome != Outcome::Accepted || sent || row.sending,
                    "what was accepted is Sent: {row:?}"
                );
            }
            Op::Reap => {
                let bury =
                    |_: &str, claim: &Claim, _: Timestamp| self.settlement(claim, Outcome::Unknown);
                self.store.reap(&bury, self.now).unwrap();
                self.model.reap(self.now);
            }
            Op::Heartbeat { engine } => {
                let place = &self.engines[engine].place;
                place.heartbeat(self.now).unwrap();
                self.model.heartbeat(place.ledger().engine(), self.now);
            }
            Op::Expire => {
                while self.store.expire(self.now).unwrap() > 0 {}
                self.model.expire(self.now);
            }
            Op::Act { action, pick } => {
                if self.receivers == 0 {
                    return;
                }
                let id = ReceiverId((pick as i64).rem_euclid(self.receivers) + 1);
                let done = self.act(action, &Target::Ids(vec![id]));
                let expected = self.model.act(action, id.0, self.now);
                assert_eq!(
                    done.total(),
                    u64::from(expected),
                    "{action:?} {id}: {done:?}"
                );
                if action == Action::Resend {
                    self.copies.get_mut(&id).unwrap().1 += done.total() as u32;
                }
            }
            Op::ResendFailed => {
                let done = self.store.resend_failed(&self.acting()).unwrap();
                let expected = self.model.resend_failed(self.now);
                assert_eq!((done.due, done.exceeded), expected);
            }
            Op::Again { pick, other } => {
                let message = (pick as i64).rem_euclid(self.messages) + 1;
                let mut same = feedback(message, 3);
                same.digest[31] = u8::from(other);
                let (key, message) = (same.key.clone().unwrap(), MessageId(message));
                let wanted = if other {
                    Receipt::Conflict { key, message }
                } else {
                    Receipt::Already { key, message }
                };
                assert_eq!(self.submit(&same), [wanted], "whatever became of it");
            }
            Op::CleanUp => {
                let unused = self.store.reader().unwrap().unused().unwrap();
                let acting = self.acting();
                let gone = self.store.delete_unused(&unused, &acting, &mut |_| ());
                assert_eq!(gone.unwrap(), (unused.messages(), unused.contents()));
            }
            Op::Sweep => {
                let retention = Retention {
                    sent: Some(Duration::from_secs(60)),
                    error: None,
                };
                let until = self.now - Duration::from_secs(60);
                let mut stay = BTreeSet::new();
                for row in self.rows() {
                    let sent = row.state.status() == Status::Sent;
                    if !sent || row.sent_at.is_none_or(|at| at > until) {
                        stay.insert(row.id.0);
                    }
                }
                let mut pause = |_| ControlFlow::Continue(());
                self.store.sweep(retention, self.now, &mut pause).unwrap();
                self.model.sweep(until);
                let left: BTreeSet<i64> = self.rows().iter().map(|row| row.id.0).collect();
                assert_eq!(left, stay, "whose time is not over stays, and nobody else");
            }
            Op::Pass(millis) => self.now += Duration::from_millis(millis),
        }
    }

    /// Puts another in an engine's place. In the worst case everything arrived that it had armed, and in any case its answers may come yet.
    fn abandon(&mut self, engine: usize) -> Engine {
        let place = self.enter();
        let hands = Vec::new();
        let old = std::mem::replace(&mut self.engines[engine], Holder { place, hands });
        for (claim, _) in old.hands.iter().filter(|(_, armed)| *armed) {
            let copies = self.copies.get_mut(&claim.receiver.id).unwrap();
            copies.0 += 1;
            copies.1 += 1;
            let ledger = Arc::clone(old.place.ledger());
            self.graves.push((ledger, claim.clone()));
        }
        old.place
    }

    fn submit(&self, submission: &Submission) -> Vec<Receipt> {
        let submissions = std::slice::from_ref(submission);
        self.store.submit(submissions, self.now).unwrap()
    }

    fn rows(&self) -> Vec<Row> {
        let reader = &self.reader;
        let everything = Query::default();
        reader.window(&everything, Anchor::First, 10_000).unwrap()
    }

    fn act(&self, action: Action, target: &Target) -> Affected {
        self.store
            .act(action, target, &self.acting(), &mut |_| {
                ControlFlow::Continue(())
            })
            .unwrap()
    }

    /// Who is not Sent has the cause of the last try that ended, or what was learned of it since; counters, walks and windows agree on that.
    fn check_causes(&self, rows: &[Row]) {
        let reader = &self.reader;
        let mut wanted: BTreeMap<String, BTreeSet<i64>> = BTreeMap::new();
        for row in rows.iter().filter(|row| row.state.status() != Status::Sent) {
            let attempts = reader.detail(row.id).unwrap().unwrap().attempts;
            let Some(last) = attempts.iter().rfind(|attempt| attempt.outcome.is_some()) else {
                continue;
            };
            let late = last
                .late
                .as_ref()
                .and_then(|late| late.raw().split(' ').next());
            let outcome = late.and_then(Outcome::from_name).or(last.outcome).unwrap();
            if outcome != Outcome::Accepted {
                wanted.entry(said(outcome)).or_default().insert(row.id.0);
            }
        }
        let parse = |text: &str| Query::parse(text, &Context::local()).unwrap();
        let mut found = BTreeMap::new();
        let counted = reader.causes(&Query::default(), usize::MAX).unwrap();
        for cause in &counted {
            let window = reader.window(
                &parse(&format!("cause:{}", cause.id)),
                Anchor::First,
                10_000,
            );
            let ids: BTreeSet<i64> = window.unwrap().iter().map(|row| row.id.0).collect();
            assert_eq!(cause.count, ids.len() as u64, "{cause:?}");
            assert!(ids.contains(&cause.sample.0), "{cause:?}");
            found.insert(cause.text.raw().to_owned(), ids);
        }
        assert_eq!(found, wanted);
        let told = |causes: &[CauseRow]| -> Vec<_> {
            causes.iter().map(|cause| (cause.id, cause.count)).collect()
        };
        let walked = reader.causes(&parse("-id:0"), usize::MAX).unwrap();
        assert_eq!(told(&walked), told(&counted));
    }

    /// The store's rows as the model has them.
    fn known(&mut self) -> BTreeMap<i64, model::Row> {
        let mut attempts: HashMap<i64, BTreeMap<_, _>> = HashMap::new();
        let mut known = BTreeMap::new();
        let outcome = |name: Option<String>| name.map(|name| Outcome::from_name(&name).unwrap());
        let time = |millis: Option<i64>| millis.and_then(DateTime::from_timestamp_millis);
        let mut statement = self
            .raw
            .prepare_cached("SELECT receiver_id, epoch, outcome, late_outcome FROM attempt")
            .unwrap();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let told = (outcome(row.get(2).unwrap()), outcome(row.get(3).unwrap()));
            let of = attempts.entry(row.get(0).unwrap()).or_default();
            of.insert(row.get(1).unwrap(), told);
        }
        let mut statement = self
            .raw
            .prepare_cached(
                "SELECT id, state, priority, failed_count, sent_count, unknown_count, resend_limit, backoff_from, due_at, sent_at, expires_at,
                        ignore_expiry, job IS NOT NULL, engine, phase, epoch, uid FROM receiver",
            )
            .unwrap();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let id = row.get(0).unwrap();
            let uids = self.uids.entry(id).or_default();
            let uid: String = row.get(16).unwrap();
            if uids.last() != Some(&uid) {
                assert!(!uids.contains(&uid), "an old Message-ID has come back");
                uids.push(uid);
            }
            let engine: Option<String> = row.get(13).unwrap();
            let phase: Option<i64> = row.get(14).unwrap();
            let row = model::Row {
                state: State::from_number(row.get(1).unwrap()).unwrap(),
                priority: row.get(2).unwrap(),
                failed: row.get(3).unwrap(),
                sent: row.get(4).unwrap(),
                unknown: row.get(5).unwrap(),
                limit: row.get(6).unwrap(),
                steps_from: row.get(7).unwrap(),
                due: time(row.get(8).unwrap()),
                sent_at: time(row.get(9).unwrap()),
                expires: time(row.get(10).unwrap()),
                ignores_expiry: row.get(11).unwrap(),
                job: row.get(12).unwrap(),
                holder: engine.zip(phase.map(|phase| phase == 2)),
                epoch: row.get(15).unwrap(),
                uids: uids.len(),
                attempts: attempts.remove(&id).unwrap_or_default(),
            };
            known.insert(id, row);
        }
        assert!(attempts.is_empty(), "attempts of nobody: {attempts:?}");
        known
    }

    fn check(&mut self) {
        let known = self.known();
        for (id, row) in &known {
            assert_eq!(Some(row), self.model.rows.get(id), "receiver {id}");
        }
        assert_eq!(known.len(), self.model.rows.len(), "somebody is lost");
        let reader = &self.reader;
        let rows = self.rows();
        let counts = reader.counts().unwrap();
        for state in State::ALL {
            let recount = rows.iter().filter(|row| row.state == state).count() as u64;
            assert_eq!(
                counts.of_state(state),
                recount,
                "the counter of {state:?} equals a recount"
            );
        }
        for row in &rows {
            let detail = reader.detail(row.id).unwrap().unwrap();
            let accepted = detail
                .attempts
                .iter()
                .filter(|attempt| attempt.outcome == Some(Outcome::Accepted))
                .count();
            let told_no = |name: &str| matches!(name, "temporary" | "permanent");
            let failed = detail.attempts.iter().filter(|attempt| {
                let late = attempt.late.as_ref().map_or("", |late| late.raw());
                told_no(attempt.outcome.map_or("", Outcome::name))
                    || told_no(late.split(' ').next().unwrap_or_default())
            });
            assert!(
                row.failed_count as usize <= failed.count(),
                "every failure that is counted is an attempt: {detail:#?}"
            );
            assert!(
                row.sent_count as usize >= accepted,
                "every acceptance is counted: {row:?}"
            );
            for attempt in &detail.attempts {
                let failed = attempt
                    .outcome
                    .is_some_and(|outcome| outcome != Outcome::Accepted);
                assert!(
                    !failed || attempt.error.is_some() && attempt.traceback.is_some(),
                    "every failure is explained"
                );
            }
            let (copies, allowed) = self.copies[&row.id];
            assert!(
                copies <= allowed,
                "receiver {} got {copies} copies, {allowed} were allowed: {detail:#?}",
                row.id
            );
            if row.state.status() == Status::Sent {
                assert!(row.sent_at.is_some());
            }
        }
        self.check_causes(&rows);
        let miscounted: i64 = self
            .raw
            .query_row(
                "WITH recount AS (SELECT backend_id, kind_id, state, count(*) FROM receiver GROUP BY 1, 2, 3),
                      counted AS (SELECT backend_id, kind_id, state, n FROM counter WHERE n > 0)
                 SELECT (SELECT count(*) FROM (SELECT * FROM recount EXCEPT SELECT * FROM counted))
                      + (SELECT count(*) FROM (SELECT * FROM counted EXCEPT SELECT * FROM recount))",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(miscounted, 0, "counters equal a recount");
        let check: String = self
            .raw
            .query_row("PRAGMA foreign_key_check", [], |_| Ok("broken".to_owned()))
            .unwrap_or_default();
        assert_eq!(check, "");
        // Who is armed has an attempt that runs, under the same claim, and no other attempt runs.
        let astray: i64 = self
            .raw
            .query_row(
                "SELECT (SELECT count(*) FROM attempt a WHERE outcome IS NULL AND NOT EXISTS
                            (SELECT 1 FROM receiver r WHERE r.id = a.receiver_id AND r.epoch = a.epoch AND r.phase = 2))
                      + (SELECT count(*) FROM receiver r WHERE phase = 2 AND NOT EXISTS
                            (SELECT 1 FROM attempt a WHERE a.receiver_id = r.id AND a.epoch = r.epoch AND a.outcome IS NULL))",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(astray, 0);
    }
}

/// What a failure says of itself.
fn said(outcome: Outcome) -> String {
    format!("no: {}", outcome.name())
}

fn key(message: MessageId) -> String {
    format!("m{message}")
}

/// The message of this number, to so many.
fn feedback(message: i64, receivers: usize) -> Submission {
    let receivers = (0..receivers).map(|n| receiver("email", format!("user{n}@example.com")));
    let (subject, text) = ("Hello".to_owned(), "Hello".to_owned());
    let kind = ["feedback", "news"][message as usize % 2];
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&message.to_be_bytes());
    Submission {
        key: Some(key(MessageId(message))),
        digest,
        priority: message / 2 % 2,
        ..submission(kind, subject, text, receivers.collect())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 5, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nobody_gets_it_twice_without_an_operator_or_an_unknown_end(
        hold: bool, steps in prop::collection::vec(ops(), 1..60),
    ) {
        let mut world = World::new(if hold { OnUnknown::Hold } else { OnUnknown::Resend });
        world.step(Op::Submit(3));
        for op in steps {
            world.step(op);
            world.check();
        }
    }
}

#[test]
fn an_answer_that_comes_late_says_what_the_cause_was() {
    let (engine, pick) = (0, 0);
    let taken = [Op::Submit(1), Op::Claim { engine, limit: 1 }];
    for outcome in [Outcome::Temporary, Outcome::Permanent, Outcome::Accepted] {
        // Taken for dead after it was armed, and answered then.
        let mut world = World::new(OnUnknown::Hold);
        let buried = [Op::Arm { engine, pick }, Op::Crash { engine }, Op::Reap];
        for op in taken.into_iter().chain(buried) {
            world.step(op);
            world.check();
        }
        world.step(Op::Late { pick, outcome });
        world.check();
        let resend = Op::Act {
            action: Action::Resend,
            pick,
        };
        world.step(resend);
        world.check();
    }
    for outcome in [Outcome::Temporary, Outcome::Permanent] {
        // Held back between the claim and the refusal.
        let mut world = World::new(OnUnknown::Hold);
        let hold = Op::Act {
            action: Action::Hold,
            pick,
        };
        let settle = Op::Settle {
            engine,
            pick,
            outcome,
        };
        for op in taken.into_iter().chain([hold, settle]) {
            world.step(op);
            world.check();
        }
    }
}

#[test]
fn a_late_refusal_of_an_older_try_says_nothing_about_a_newer_one_in_doubt() {
    let (engine, pick) = (0, 0);
    let in_doubt = [
        Op::Claim { engine, limit: 1 },
        Op::Arm { engine, pick },
        Op::Crash { engine },
        Op::Reap,
    ];
    let resend = Op::Act {
        action: Action::Resend,
        pick,
    };
    for outcome in [Outcome::Temporary, Outcome::Permanent] {
        let mut world = World::new(OnUnknown::Hold);
        let again = in_doubt.into_iter().chain([resend]).chain(in_doubt);
        for op in [Op::Submit(1)].into_iter().chain(again) {
            world.step(op);
            world.check();
        }
        world.step(Op::Late { pick, outcome });
        world.check();
        let state = world.rows()[0].state;
        assert_eq!(state, State::ErrorUnconfirmed, "an operator decides");
        // Of the newer try itself it says everything.
        world.step(Op::Late { pick, outcome });
        world.check();
        assert_ne!(world.rows()[0].state, State::ErrorUnconfirmed);
    }
}
