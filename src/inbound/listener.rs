//! The SMTP listener: takes connections, a thread each, as many as its settings allow; when all are taken, the one that has been idle for
//! longest makes room.

use std::{
    collections::HashMap,
    io::{self, Write as _},
    net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use socket2::SockRef;

use super::{
    Intake, Settings,
    place::{Budget, Closing, Place},
    session::Session,
    wire::Wire,
};
use crate::store::Store;

/// A conversation that got on this recently is not idle: its client may only be far away.
const LIVELY: Duration = Duration::from_millis(250);
/// How long a new connection waits for one of the others to be idle.
const PATIENCE: Duration = Duration::from_secs(2);
/// Idle ones are looked for so often meanwhile.
const LOOK: Duration = Duration::from_millis(25);
/// Messages that are being received take at most so many times the memory of the largest.
const MESSAGES_IN_MEMORY: usize = 4;
/// A conversation's thread: SQLite and TLS want some of it.
const STACK: usize = 1 << 20;

/// A listener that runs. Dropped, it ends at once.
pub struct Listener {
    address: SocketAddr,
    socket: TcpListener,
    shared: Arc<Shared>,
    /// When those who are left are cut.
    deadline: Option<Instant>,
}

struct Shared {
    intake: Intake,
    settings: Mutex<Arc<Settings>>,
    open: Mutex<Open>,
    closed: Condvar,
    stopped: AtomicBool,
    budget: Arc<Budget>,
}

#[derive(Default)]
struct Open {
    next: u64,
    connections: HashMap<u64, Connection>,
    listening: bool,
}

struct Connection {
    place: Arc<Place>,
    tcp: TcpStream,
}

impl Listener {
    /// Listens, and hands what comes to the store. Returns when connections can be made.
    pub fn start(store: &Arc<Store>, settings: Settings) -> io::Result<Self> {
        let socket = TcpListener::bind(settings.address())?;
        let address = socket.local_addr()?;
        let most = settings.listen.max_size.saturating_mul(MESSAGES_IN_MEMORY);
        let shared = Arc::new(Shared {
            intake: Intake::new(Arc::clone(store)),
            settings: Mutex::new(Arc::new(settings)),
            open: Mutex::new(Open {
                listening: true,
                ..Open::default()
            }),
            closed: Condvar::new(),
            stopped: AtomicBool::new(false),
            budget: Budget::new(most),
        });
        let door = socket.try_clone()?;
        let takes = Arc::clone(&shared);
        thread::Builder::new()
            .name("smtp-listener".to_owned())
            .spawn(move || takes.listen(&door))?;
        Ok(Self {
            address,
            socket,
            shared,
            deadline: None,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether these settings want it to listen where it does.
    pub fn is_at(&self, settings: &Settings) -> bool {
        self.shared.settings().address() == settings.address()
    }

    /// Conversations that begin from now on go by these. The address stays.
    pub fn go_by(&self, settings: Settings) {
        *lock(&self.shared.settings) = Arc::new(settings);
    }

    /// Takes no more connections, and ends those that are not in the middle of a message; those have so long to finish it.
    pub fn stop_within(&mut self, patience: Duration) {
        self.deadline = Some(Instant::now() + patience);
        self.close_door();
        for connection in lock(&self.shared.open).connections.values() {
            if connection.place.close(Closing::Stop) {
                drop(connection.tcp.shutdown(Shutdown::Read));
            }
        }
    }

    /// Whether it has ended. To be asked now and then while it stops: it is what ends those who do not finish in time.
    pub fn is_done(&self) -> bool {
        let over = self
            .deadline
            .is_some_and(|deadline| deadline <= Instant::now());
        if over {
            self.shared.cut_all();
        }
        let open = lock(&self.shared.open);
        !open.listening && open.connections.is_empty()
    }

    fn close_door(&self) {
        self.shared.stopped.store(true, Ordering::Release);
        // It ends the accept that waits.
        drop(SockRef::from(&self.socket).shutdown(Shutdown::Both));
        self.shared.closed.notify_all();
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.close_door();
        self.shared.cut_all();
    }
}

impl Shared {
    fn listen(self: &Arc<Self>, socket: &TcpListener) {
        while !self.stopped.load(Ordering::Acquire) {
            match socket.accept() {
                Ok((tcp, peer)) => self.admit(tcp, peer.ip()),
                Err(_) if self.stopped.load(Ordering::Acquire) => break,
                Err(error) => {
                    // Out of file descriptors, most likely: better in a moment.
                    tracing::warn!(%error, "a connection cannot be taken");
                    drop(self.wait(lock(&self.open), LOOK));
                }
            }
        }
        lock(&self.open).listening = false;
    }

    fn admit(self: &Arc<Self>, tcp: TcpStream, peer: IpAddr) {
        let settings = self.settings();
        if !self.has_room(settings.listen.connections) {
            // It has said nothing yet, so this fits into what the kernel keeps.
            drop((&tcp).write_all(b"421 4.3.2 too many connections, try later\r\n"));
            return;
        }
        if let Err(error) = self.begin(tcp, peer, settings) {
            tracing::warn!(%error, "a connection cannot be served");
        }
    }

    /// Whether there is room for one more, after an idle one was asked to leave where need be.
    fn has_room(&self, most: usize) -> bool {
        let until = Instant::now() + PATIENCE;
        let mut open = lock(&self.open);
        while open.connections.len() >= most {
            let now = Instant::now();
            if now >= until || self.stopped.load(Ordering::Acquire) {
                return false;
            }
            let idle = open
                .connections
                .values()
                .filter_map(|connection| Some((connection.place.idle_since()?, connection)))
                .min_by_key(|(since, _)| *since)
                .filter(|(since, _)| now.duration_since(*since) >= LIVELY);
            if let Some((_, connection)) = idle {
                connection.place.close(Closing::Idle);
                drop(connection.tcp.shutdown(Shutdown::Read));
            }
            open = self.wait(open, LOOK);
        }
        true
    }

    fn begin(
        self: &Arc<Self>,
        tcp: TcpStream,
        peer: IpAddr,
        settings: Arc<Settings>,
    ) -> io::Result<()> {
        // Replies are whole when they are written; waiting for more would only cost time.
        tcp.set_nodelay(true)?;
        let place = Arc::new(Place::new(Arc::clone(&self.budget)));
        let connection = Connection {
            place: Arc::clone(&place),
            tcp: tcp.try_clone()?,
        };
        let registered = self.register(connection);
        thread::Builder::new()
            .name("smtp-client".to_owned())
            .stack_size(STACK)
            .spawn(move || {
                let wire = Wire::Socket { tcp, tls: None };
                let intake = &registered.shared.intake;
                Session::new(wire, Some(peer), settings, intake, &place).run();
            })?;
        Ok(())
    }

    fn register(self: &Arc<Self>, connection: Connection) -> Registered {
        let mut open = lock(&self.open);
        let id = open.next;
        open.next += 1;
        open.connections.insert(id, connection);
        Registered {
            shared: Arc::clone(self),
            id,
        }
    }

    fn cut_all(&self) {
        for connection in lock(&self.open).connections.values() {
            connection.place.close(Closing::Stop);
            drop(connection.tcp.shutdown(Shutdown::Both));
        }
    }

    fn settings(&self) -> Arc<Settings> {
        Arc::clone(&lock(&self.settings))
    }

    fn wait<'a>(&self, open: MutexGuard<'a, Open>, time: Duration) -> MutexGuard<'a, Open> {
        self.closed
            .wait_timeout(open, time)
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }
}

/// A conversation in the books; it leaves them when dropped, also by a panic.
struct Registered {
    shared: Arc<Shared>,
    id: u64,
}

impl Drop for Registered {
    fn drop(&mut self) {
        lock(&self.shared.open).connections.remove(&self.id);
        self.shared.closed.notify_all();
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
