//! An engine over one way, as benches of delivery start it.

use std::{sync::Arc, time::Duration};

use postroom::{
    delivery::{Backend, Engine, OnUnknown, Policy, Way, Work, system_clock},
    store::Store,
};

#[path = "../../tests/support/options.rs"]
mod options;
use options::options;

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
    Engine::start(store, vec![way], options(work, system_clock())).expect("an engine")
}
