//! How an engine is started in a test and in a bench.

use std::time::Duration;

use postroom::delivery::{Clock, Options, Work};

/// What an engine needs to know beside its ways.
pub fn options(work: Work, clock: Clock) -> Options {
    Options {
        kind: if work == Work::Forever {
            "run"
        } else {
            "deliver"
        },
        by: "test".to_owned(),
        work,
        lease: Duration::from_secs(120),
        patience: Duration::from_secs(5),
        min_free: 0,
        clock,
        seed: 1,
    }
}
