//! RapidSMS 0.21's rules for partial failure, through the delivery module with a backend of the test's own.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use postroom::{
    delivery::{
        Batch, Direct, Engine, Failed, Failure, Gateway, Named, NotArmed, SendError, Tally,
        Trouble, Work, system_clock,
    },
    message::{Outcome, ReceiverId, State, Submission},
    query::Query,
    store::{Anchor, Row, Store},
};
use support::{options, receiver, submission, way_by};

type Answer = dyn Fn(&Batch) -> Result<(), SendError> + Send + Sync;

/// A gateway that answers as the test says and remembers what it was given.
#[derive(Clone)]
struct Scripted {
    answer: Arc<Answer>,
    before_arm: Arc<dyn Fn() + Send + Sync>,
    calls: Arc<Mutex<Vec<Vec<String>>>>,
    arms: bool,
}

impl Scripted {
    fn new(answer: impl Fn(&Batch) -> Result<(), SendError> + Send + Sync + 'static) -> Self {
        Self {
            answer: Arc::new(answer),
            before_arm: Arc::new(|| ()),
            calls: Arc::default(),
            arms: true,
        }
    }

    fn given(&self) -> Vec<Vec<String>> {
        self.calls.lock().unwrap().clone()
    }
}

impl Gateway for Scripted {
    fn send(
        &self,
        batch: &Batch,
        arm: &mut dyn FnMut() -> Result<(), NotArmed>,
    ) -> Result<(), SendError> {
        self.calls.lock().unwrap().push(
            batch
                .receivers
                .iter()
                .map(|receiver| receiver.identity.clone())
                .collect(),
        );
        (self.before_arm)();
        if self.arms && arm().is_err() {
            return Ok(());
        }
        (self.answer)(batch)
    }

    fn probe(&self) -> Result<String, Trouble> {
        Ok("ready".to_owned())
    }
}

fn failure(text: &str) -> Failure {
    Failure {
        error: text.to_owned(),
        traceback: format!("Traceback: {text}"),
        ..Failure::default()
    }
}

fn error(failed: Failed) -> SendError {
    SendError {
        failure: failure("some messages failed"),
        permanent: false,
        failed,
    }
}

struct Site {
    _folder: tempfile::TempDir,
    store: Arc<Store>,
}

impl Site {
    fn new(messages: &[(&str, usize)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::create(&folder.path().join("postroom.db")).unwrap());
        let submissions: Vec<Submission> = messages
            .iter()
            .map(|(backend, receivers)| reminder(backend, *receivers))
            .collect();
        store.submit(&submissions, chrono::Utc::now()).unwrap();
        Self {
            _folder: folder,
            store,
        }
    }

    fn deliver(&self, ways: &[(&str, &Scripted)]) -> Tally {
        let ways = ways
            .iter()
            .map(|(name, gateway)| way_by(name, Arc::new(Direct::new((*gateway).clone(), 1))))
            .collect();
        Engine::start(&self.store, ways, options(Work::Pass, system_clock()))
            .unwrap()
            .wait()
            .unwrap()
    }

    /// Every receiver by identity.
    fn rows(&self) -> BTreeMap<String, Row> {
        let rows = self
            .store
            .reader()
            .unwrap()
            .window(&Query::default(), Anchor::First, 10_000)
            .unwrap();
        rows.into_iter()
            .map(|row| (row.identity.raw().to_owned(), row))
            .collect()
    }

    fn states(&self) -> Vec<State> {
        self.rows().into_values().map(|row| row.state).collect()
    }

    fn last_attempt(&self, identity: &str) -> postroom::message::Attempt {
        let id = self.rows()[identity].id;
        self.store
            .reader()
            .unwrap()
            .detail(id)
            .unwrap()
            .unwrap()
            .attempts
            .pop()
            .unwrap()
    }
}

fn reminder(backend: &str, receivers: usize) -> Submission {
    let receivers = (0..receivers).map(|n| receiver(backend, format!("{backend}-{n:05}")));
    let (subject, text) = ("Clinic".to_owned(), "Please come".to_owned());
    submission("reminder", subject, text, receivers.collect())
}

fn id_of(batch: &Batch, identity: &str) -> ReceiverId {
    batch
        .receivers
        .iter()
        .find(|receiver| receiver.identity == identity)
        .unwrap()
        .id
}

#[test]
fn only_the_named_identities_failed_and_only_they_are_tried_again() {
    let site = Site::new(&[("sms", 3)]);
    let failing = Scripted::new(|batch| {
        let named = Named {
            receiver: id_of(batch, "sms-00001"),
            permanent: false,
            failure: failure("handset off"),
        };
        Err(error(Failed::Only(vec![named])))
    });
    assert_eq!(
        site.deliver(&[("sms", &failing)]),
        Tally {
            sent: 2,
            failed: 1,
            ..Tally::default()
        }
    );
    assert_eq!(
        site.states(),
        [State::Accepted, State::FailedTemporary, State::Accepted]
    );
    let attempt = site.last_attempt("sms-00001");
    assert_eq!(attempt.error.unwrap().raw(), "handset off");
    assert_eq!(attempt.traceback.unwrap().raw(), "Traceback: handset off");

    let well = Scripted::new(|_| Ok(()));
    assert_eq!(
        site.deliver(&[("sms", &well)]),
        Tally {
            sent: 1,
            ..Tally::default()
        }
    );
    assert_eq!(
        well.given(),
        [["sms-00001"]],
        "what is Sent is never handed over again"
    );
}

#[test]
fn an_error_without_names_failed_for_all() {
    let site = Site::new(&[("sms", 3)]);
    let gateway = Scripted::new(|_| Err(error(Failed::All)));
    assert_eq!(
        site.deliver(&[("sms", &gateway)]),
        Tally {
            failed: 3,
            ..Tally::default()
        }
    );
    assert_eq!(site.states(), [State::FailedTemporary; 3]);
}

#[test]
fn no_error_is_success_for_all() {
    let site = Site::new(&[("sms", 3)]);
    assert_eq!(
        site.deliver(&[("sms", &Scripted::new(|_| Ok(())))]),
        Tally {
            sent: 3,
            ..Tally::default()
        }
    );
    assert!(
        site.rows()
            .values()
            .all(|row| row.sent_count == 1 && row.failed_count == 0)
    );
}

#[test]
fn a_panic_before_anything_left_failed_for_all_with_a_traceback() {
    let site = Site::new(&[("sms", 2)]);
    let gateway = Scripted {
        before_arm: Arc::new(|| panic!("no modem")),
        ..Scripted::new(|_| Ok(()))
    };
    assert_eq!(
        site.deliver(&[("sms", &gateway)]),
        Tally {
            failed: 2,
            ..Tally::default()
        }
    );
    let attempt = site.last_attempt("sms-00000");
    assert_eq!(attempt.outcome, Some(Outcome::Temporary));
    assert!(attempt.traceback.unwrap().raw().contains("no modem"));
}

#[test]
fn a_panic_after_the_arm_is_unknown_for_all() {
    let site = Site::new(&[("sms", 2)]);
    let gateway = Scripted::new(|_| panic!("gone in the middle"));
    assert_eq!(
        site.deliver(&[("sms", &gateway)]),
        Tally {
            unconfirmed: 2,
            ..Tally::default()
        }
    );
    assert_eq!(site.states(), [State::ErrorUnconfirmed; 2]);
    assert_eq!(
        site.last_attempt("sms-00001").outcome,
        Some(Outcome::Unknown)
    );
}

#[test]
fn whom_a_gateway_with_a_result_for_each_leaves_out_is_unknown() {
    let site = Site::new(&[("sms", 3)]);
    let gateway = Scripted::new(|batch| {
        let failed = vec![Named {
            receiver: id_of(batch, "sms-00001"),
            permanent: true,
            failure: failure("no such number"),
        }];
        Err(error(Failed::Each {
            accepted: vec![id_of(batch, "sms-00000")],
            failed,
        }))
    });
    site.deliver(&[("sms", &gateway)]);
    assert_eq!(
        site.states(),
        [State::Accepted, State::Permanent, State::ErrorUnconfirmed]
    );
}

#[test]
fn a_name_nobody_asked_for_makes_everybody_without_a_result_unknown() {
    let site = Site::new(&[("sms", 3)]);
    let gateway = Scripted::new(|batch| {
        let stranger = Named {
            receiver: ReceiverId(999_999),
            permanent: false,
            failure: failure("who?"),
        };
        let known = Named {
            receiver: id_of(batch, "sms-00002"),
            permanent: false,
            failure: failure("busy"),
        };
        Err(error(Failed::Only(vec![stranger, known])))
    });
    site.deliver(&[("sms", &gateway)]);
    assert_eq!(
        site.states(),
        [
            State::ErrorUnconfirmed,
            State::ErrorUnconfirmed,
            State::FailedTemporary
        ]
    );
    assert!(
        site.last_attempt("sms-00000")
            .error
            .unwrap()
            .raw()
            .contains("999999")
    );
}

#[test]
fn five_thousand_receivers_go_in_batches_of_two_hundred_grouped_by_backend() {
    let site = Site::new(&[("sms", 3_000), ("voice", 2_000)]);
    let (sms, voice) = (Scripted::new(|_| Ok(())), Scripted::new(|_| Ok(())));
    let tally = site.deliver(&[("sms", &sms), ("voice", &voice)]);
    assert_eq!(
        tally,
        Tally {
            sent: 5_000,
            ..Tally::default()
        }
    );
    for (gateway, name, batches) in [(&sms, "sms-", 15), (&voice, "voice-", 10)] {
        let given = gateway.given();
        assert_eq!(given.len(), batches);
        assert!(
            given.iter().all(|batch| batch.len() == 200
                && batch.iter().all(|identity| identity.starts_with(name)))
        );
    }
}

#[test]
fn a_gateway_that_never_armed_has_sent_nothing_whatever_it_says() {
    let site = Site::new(&[("sms", 2)]);
    let gateway = Scripted {
        arms: false,
        ..Scripted::new(|_| Ok(()))
    };
    assert_eq!(
        site.deliver(&[("sms", &gateway)]),
        Tally {
            failed: 2,
            ..Tally::default()
        }
    );
    assert_eq!(site.states(), [State::FailedTemporary; 2]);
}
