//! An engine in the test's own process, whose time is the test's.

use std::{
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

use postroom::{
    backend::{Smtp, SmtpSettings, Tls},
    delivery::{Backend, Clock, Engine, OnUnknown, Policy, Way},
    demo::server::Server,
    message::Timestamp,
};

use super::SOON;

/// A clock that stands still until the test moves it, and tells when somebody looks at it.
#[derive(Clone)]
pub struct Hands(Arc<(Mutex<Timestamp>, Condvar)>);

impl Hands {
    pub fn at(time: Timestamp) -> Self {
        Self(Arc::new((Mutex::new(time), Condvar::new())))
    }

    pub fn now(&self) -> Timestamp {
        *self.0.0.lock().unwrap()
    }

    pub fn set(&self, time: Timestamp) {
        *self.0.0.lock().unwrap() = time;
    }

    pub fn clock(&self) -> Clock {
        let hands = self.clone();
        Arc::new(move || {
            let time = hands.now();
            hands.0.1.notify_all();
            time
        })
    }

    /// Waits until it is so, and looks again whenever somebody has looked at the clock.
    pub fn wait_until(&self, is_so: impl Fn() -> bool) {
        let until = Instant::now() + SOON;
        let mut time = self.0.0.lock().unwrap();
        while !is_so() {
            let left = until.checked_duration_since(Instant::now());
            let left = left.expect("it never came to that");
            time = self.0.1.wait_timeout(time, left).unwrap().0;
        }
    }

    /// Waits until an engine that has nothing to do has seen what time it is, and looked after everything that it looks after.
    pub fn wait_until_seen_by(&self, engine: &Engine) {
        // It makes five rounds a second, and asks about its backends every half second.
        let goal = engine.turns() + 5;
        self.wait_until(|| engine.turns() >= goal);
    }
}

/// A way out by this name. Who was refused for now is due at once; what is in doubt waits for an operator.
pub fn way_by(name: &str, backend: Arc<dyn Backend>) -> Way {
    Way {
        name: name.to_owned(),
        backend,
        policy: Policy {
            backoff: vec![Duration::ZERO],
            resend_limit: 8,
            retry_permanent: false,
            on_unknown: OnUnknown::Hold,
        },
        probe: Duration::from_secs(30),
        rate: None,
    }
}

/// `email` over so many connections to this server, and [`way_by`] otherwise.
pub fn way(server: &Server, connections: usize) -> Way {
    let settings = SmtpSettings {
        tls: Tls::None,
        from: Some("no-reply@example.com".to_owned()),
        connections,
        ..SmtpSettings::new("email", "127.0.0.1", server.port())
    };
    way_by("email", Arc::new(Smtp::new(settings).unwrap()))
}
