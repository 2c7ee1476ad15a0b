//! An engine over one way, as benches of delivery start it.

use std::{sync::Arc, time::Duration};

use postroom::{
    delivery::{Backend, Engine, OnUnknown, Options, Policy, Way, Work, system_clock},
    store::Store,
};

/// Starts to deliver over this backend, which is called `email`.
pub fn engine(store: &Arc<Store>, backend: Arc<dyn Backend>, work: Work) -> Engine {
    let way = Way {
        name: "email".to_owned(),
        backend,
        policy: Policy {
            backoff: vec![Duration::from_secs(60)],
            resend_limit: 8,
            retry_permanent: false,
            on_unknown: OnUnknown::Resend,
        },
        probe: Duration::from_secs(30),
        rate: None,
    };
    let options = Options {
        kind: if work == Work::Forever {
            "run"
        } else {
            "deliver"
        },
        by: "bench".to_owned(),
        work,
        lease: Duration::from_secs(120),
        patience: Duration::from_secs(30),
        min_free: 0,
        clock: system_clock(),
        seed: 1,
    };
    Engine::start(store, vec![way], options).expect("an engine")
}
