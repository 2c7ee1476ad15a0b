//! What a lane does with claims when it cannot use them all.

use std::path::Path;

use super::*;
use crate::{
    delivery::{OnUnknown, Session, Trouble, router::Router, system_clock},
    message::{BackendFacts, Failure, Message, Submission, SubmitDefaults},
    store::{Store, engine::Engine},
};

/// A way that nobody gets to use.
struct Unused;

impl Backend for Unused {
    fn connections(&self) -> usize {
        1
    }

    fn batch_limit(&self, _: &Message) -> usize {
        1
    }

    fn open(&self) -> Result<Box<dyn Session>, Trouble> {
        panic!("nobody connects")
    }

    fn probe(&self) -> Result<String, Trouble> {
        panic!("nobody asks")
    }
}

/// Two receivers, and an engine that can claim them.
fn two_are_due(folder: &Path) -> (Arc<Store>, Engine) {
    let store = Arc::new(Store::create(&folder.join("postroom.db")).unwrap());
    let now = system_clock()();
    let message = r#"{"type":"t","content":{"en":{"subject":"s","text":"t"}},"receivers":[{"to":"a@example.com"},{"to":"b@example.com"}]}"#;
    let facts = BackendFacts {
        mail: true,
        has_from: true,
    };
    let defaults = SubmitDefaults {
        backend: Some("email".to_owned()),
        language: "en".to_owned(),
        backends: [("email".to_owned(), facts)].into(),
    };
    let submission = Submission::parse(message, &defaults).unwrap();
    store.submit(&[submission], now).unwrap();
    let lease = Duration::from_secs(60);
    let place = Engine::enter(&store, "deliver", "test".to_owned(), lease, now).unwrap();
    (store, place)
}

fn lane(place: &Engine) -> Lane {
    let way = Way {
        name: "email".to_owned(),
        backend: Arc::new(Unused),
        policy: Policy {
            backoff: Vec::new(),
            resend_limit: 0,
            retry_permanent: false,
            on_unknown: OnUnknown::Hold,
        },
        probe: Duration::from_secs(30),
        rate: None,
    };
    let ledger = Arc::clone(place.ledger());
    let signal = Arc::new(Signal::default());
    Lane::new(way, ledger, system_clock(), Scope::Always, 1, signal)
}

fn claim(place: &Engine) -> Vec<Claim> {
    let (ledger, now) = (place.ledger(), system_clock()());
    let claimed = ledger
        .store()
        .claim(ledger.engine(), "email", Scope::Always, 10, now);
    claimed.unwrap()
}

/// A lane that may use both of the two receivers, which are claimed for it.
fn with_two_claimed(folder: &Path) -> (Arc<Store>, Engine, Lane, Vec<Claim>) {
    let (store, place) = two_are_due(folder);
    let lane = lane(&place);
    lane.refresh(true).unwrap();
    let claims = claim(&place);
    assert_eq!(claims.len(), 2);
    (store, place, lane, claims)
}

#[test]
fn what_was_claimed_while_the_gate_shut_is_free_again_and_not_tried() {
    let folder = tempfile::tempdir().unwrap();
    let (store, place, lane, claims) = with_two_claimed(folder.path());

    lane.trouble(None, &Trouble::of(Failure::default()));
    let routed = Router::new(store.reader().unwrap())
        .route(&claims, &Unused)
        .unwrap();
    lane.push(&claims, routed.batches);

    assert!(lane.is_idle() && !lane.hire());
    assert_eq!(claim(&place).len(), 2, "others may have them");
}

#[test]
fn a_probe_goes_on_though_the_disk_refuses_to_let_the_others_go_and_they_are_free_when_it_does_not()
{
    let folder = tempfile::tempdir().unwrap();
    let (store, place, lane, claims) = with_two_claimed(folder.path());

    let disk = rusqlite::Connection::open(store.path()).unwrap();
    disk.execute_batch("CREATE TRIGGER refuses BEFORE UPDATE OF engine ON receiver BEGIN SELECT RAISE(ABORT, 'no'); END")
        .unwrap();
    lane.inner().gate = Gate::Probing;
    assert_eq!(lane.chosen(claims).len(), 1, "it is tried");
    assert_eq!(lane.tally().store_errors, 1);

    disk.execute_batch("DROP TRIGGER refuses").unwrap();
    place.ledger().flush().unwrap();
    assert_eq!(claim(&place).len(), 1, "the other one");
}
