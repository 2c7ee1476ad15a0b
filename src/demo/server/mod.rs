//! An SMTP server on a loopback port that does what its script says and keeps a ledger of what it accepted.
//!
//! [`Script`] says what it offers and how it behaves at each [`Phase`]; [`Server`] listens, one thread a connection; [`Ledger`] is what it saw.

mod action;
mod connection;
mod ledger;
mod script;

use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

pub use action::{Action, Event, Phase};
pub use ledger::{Entry, Ledger};
pub use script::{Extension, Script};

/// A running mail server on loopback. Dropped, it stops.
#[derive(Debug)]
pub struct Server {
    addr: SocketAddr,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

/// What the server's threads have in common.
#[derive(Debug)]
struct Shared {
    script: Script,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    ledger: Ledger,
    /// Somebody waits on `changed`; waking nobody costs a system call too.
    waiters: usize,
    stopped: bool,
    released: bool,
    streams: HashMap<u64, Arc<TcpStream>>,
    seen: HashMap<(Phase, String), u64>,
    next_transaction: u64,
}

impl Server {
    /// Listens on a free port of 127.0.0.1.
    pub fn start(script: Script) -> io::Result<Self> {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), script)
    }

    /// Listens on this address, which should be of loopback.
    pub fn start_at(addr: SocketAddr, script: Script) -> io::Result<Self> {
        let mut server = Self {
            addr,
            shared: Arc::new(Shared {
                script,
                state: Mutex::default(),
                changed: Condvar::new(),
            }),
            listener: None,
        };
        server.start_again()?;
        Ok(server)
    }

    /// Where it listens, or listened before it was stopped.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    /// Stops listening, cuts every connection where it stands, and waits for its threads. The ledger stays.
    pub fn stop(&mut self) {
        let Some(listener) = self.listener.take() else {
            return;
        };
        self.shared.state().stopped = true;
        self.shared.changed.notify_all();
        // The listener sleeps in accept(); a connection of our own wakes it.
        drop(TcpStream::connect(self.addr));
        drop(listener.join());
    }

    /// Listens again on the same port after [`Server::stop`]; script and ledger go on where they were. Does nothing while it runs.
    pub fn start_again(&mut self) -> io::Result<()> {
        if self.listener.is_some() {
            return Ok(());
        }
        let listener = TcpListener::bind(self.addr)?;
        self.addr = listener.local_addr()?;
        self.shared.state().stopped = false;
        let shared = Arc::clone(&self.shared);
        self.listener = Some(
            thread::Builder::new()
                .name("demo-smtp".to_owned())
                .spawn(move || shared.listen(&listener))?,
        );
        Ok(())
    }

    /// Lets go of every reply that is or will be held back by [`Action::when_released`].
    pub fn release(&self) {
        self.shared.state().released = true;
        self.shared.changed.notify_all();
    }

    /// A copy of the ledger as it stands.
    pub fn ledger(&self) -> Ledger {
        self.shared.state().ledger.clone()
    }

    /// Looks into the ledger without copying it.
    pub fn with_ledger<T>(&self, look: impl FnOnce(&Ledger) -> T) -> T {
        look(&self.shared.state().ledger)
    }

    /// Waits until the ledger is as wanted, at most this long; says whether it came to that.
    #[must_use]
    pub fn wait_for(&self, wanted: impl Fn(&Ledger) -> bool, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        let state = self
            .shared
            .wait_while(self.shared.state(), Some(deadline), |state| {
                !wanted(&state.ledger)
            });
        wanted(&state.ledger)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps while `unwanted`, until the deadline at most.
    fn wait_while<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        deadline: Option<Instant>,
        unwanted: impl Fn(&State) -> bool,
    ) -> MutexGuard<'a, State> {
        state.waiters += 1;
        while unwanted(&state) {
            state =
                match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                    None => self
                        .changed
                        .wait(state)
                        .unwrap_or_else(PoisonError::into_inner),
                    Some(Duration::ZERO) => break,
                    Some(left) => {
                        self.changed
                            .wait_timeout(state, left)
                            .unwrap_or_else(PoisonError::into_inner)
                            .0
                    }
                };
        }
        state.waiters -= 1;
        state
    }

    /// Changes the state and wakes who waits for a change.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state();
        let result = change(&mut state);
        if state.waiters > 0 {
            self.changed.notify_all();
        }
        result
    }

    /// Takes connections until stopped, then cuts and joins them.
    fn listen(self: &Arc<Self>, listener: &TcpListener) {
        let mut threads: Vec<JoinHandle<()>> = Vec::new();
        loop {
            let accepted = listener.accept();
            if self.state().stopped {
                break;
            }
            threads.retain(|thread| !thread.is_finished());
            if let Ok((stream, _)) = accepted {
                let connection = self.register(Arc::new(stream));
                threads.extend(
                    thread::Builder::new()
                        .name("demo-smtp-connection".to_owned())
                        .spawn(move || connection.serve()),
                );
            } else {
                // Out of descriptors, most likely: better in a moment.
                let soon = Instant::now() + Duration::from_millis(20);
                drop(self.wait_while(self.state(), Some(soon), |state| !state.stopped));
            }
        }
        for stream in self.state().streams.values() {
            drop(stream.shutdown(Shutdown::Both));
        }
        for thread in threads {
            drop(thread.join());
        }
    }

    fn register(self: &Arc<Self>, stream: Arc<TcpStream>) -> Registered {
        self.change(|state| {
            state.ledger.connections += 1;
            state.ledger.open += 1;
            let id = state.ledger.connections;
            state.streams.insert(id, Arc::clone(&stream));
            Registered {
                shared: Arc::clone(self),
                id,
                stream,
            }
        })
    }
}

/// A connection in the server's books; leaves them when dropped, also by a panicking rule.
struct Registered {
    shared: Arc<Shared>,
    id: u64,
    stream: Arc<TcpStream>,
}

impl Registered {
    fn serve(self) {
        connection::serve(&self.shared, self.id, &self.stream);
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.shared.change(|state| {
            state.streams.remove(&self.id);
            state.ledger.open -= 1;
        });
    }
}
