//! Who leads, who follows, and who waits for whom.

use std::thread;

use super::*;
use crate::{message::Timestamp, store::engine::Engine};

/// An engine in a new store, with two connections at work.
fn engine(folder: &std::path::Path) -> Engine {
    let store = Arc::new(Store::create(&folder.join("postroom.db")).unwrap());
    let (lease, now) = (Duration::from_secs(60), Timestamp::default());
    let engine = Engine::enter(&store, "deliver", "test".to_owned(), lease, now).unwrap();
    engine.ledger().begin();
    engine.ledger().begin();
    engine
}

/// Of a receiver that is not there: its fence fails.
fn an_arm() -> ArmRequest {
    ArmRequest {
        receivers: vec![(ReceiverId(1), 1)],
        started_at: Timestamp::default(),
    }
}

#[test]
fn a_leader_whose_group_a_flush_took_leads_no_other_and_waits_for_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path());
    let ledger = engine.ledger();
    thread::scope(|scope| {
        let writer = ledger.store().writer();
        let leader = scope.spawn(|| ledger.arm(an_arm()));
        while !ledger.queue().led {
            thread::yield_now();
        }
        ledger.commit(writer).unwrap();
        let stale = leader.join().unwrap().unwrap();
        assert_eq!(stale, [ReceiverId(1)]);
    });
    assert_eq!(ledger.queue().taken, 1, "there was nothing more to take");
}

#[test]
fn one_commit_serves_all_connections_that_have_come() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path());
    let ledger = engine.ledger();
    thread::scope(|scope| {
        let writer = ledger.store().writer();
        let arms = [(); 2].map(|()| scope.spawn(|| ledger.arm(an_arm())));
        while ledger.queue().arms < 2 {
            thread::yield_now();
        }
        drop(writer);
        for arm in arms {
            assert_eq!(arm.join().unwrap().unwrap(), [ReceiverId(1)]);
        }
    });
    assert_eq!(ledger.queue().taken, 1);
}
