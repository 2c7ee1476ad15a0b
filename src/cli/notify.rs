//! What a service says to systemd (`sd_notify(3)`): that it is ready, what it does, and that it lives. Where nobody listens (no `NOTIFY_SOCKET`),
//! nothing is said.

use std::{
    env, io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            ffi::OsStrExt as _,
            net::{SocketAddr, UnixDatagram},
        },
    },
    time::{Duration, Instant},
};

use sd_notify::NotifyState;

/// So long a word waits for a service manager that does not listen.
const PATIENCE: Duration = Duration::from_millis(500);

/// A status line is for people: not more often than they can read it.
const STATUS: Duration = Duration::from_secs(5);

/// Delivery runs.
pub(super) fn ready() {
    send(&[NotifyState::Ready]);
}

/// A reload begins; [`ready`] ends it.
pub(super) fn reloading() {
    // Without the time a service of Type=notify-reload would be ended (systemd 253).
    match NotifyState::monotonic_usec_now() {
        Ok(now) => send(&[NotifyState::Reloading, now]),
        Err(_) => send(&[NotifyState::Reloading]),
    }
}

/// The end has begun.
pub(super) fn stopping() {
    send(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
}

/// What is said again and again while all is well.
pub(super) struct Notify {
    /// How often it wants to hear that we live: half of what it waits.
    beat: Option<Duration>,
    beaten: Instant,
    turns: Option<u64>,
    told: Option<(Instant, String)>,
}

impl Notify {
    pub(super) fn from_environment() -> Self {
        let mut patience = 0;
        // The variables stay: whoever is started from here shall find them.
        let watched = sd_notify::watchdog_enabled(false, &mut patience);
        Self {
            beat: watched.then(|| Duration::from_micros(patience) / 2),
            beaten: Instant::now(),
            turns: None,
            told: None,
        }
    }

    /// An engine has made so many rounds by now. Only one that goes on turning lives.
    pub(super) fn lives(&mut self, turns: u64) {
        let due = self.beat.is_some_and(|beat| self.beaten.elapsed() >= beat);
        if due && self.turns != Some(turns) {
            self.turns = Some(turns);
            self.beaten = Instant::now();
            send(&[NotifyState::Watchdog]);
        }
    }

    /// What it does, in a line.
    pub(super) fn status(&mut self, words: impl FnOnce() -> String) {
        let told = self.told.as_ref();
        if told.is_some_and(|(at, _)| at.elapsed() < STATUS) {
            return;
        }
        let words = words();
        if told.is_none_or(|(_, told)| *told != words) {
            send(&[NotifyState::Status(&words)]);
        }
        self.told = Some((Instant::now(), words));
    }
}

/// A service manager that cannot be told is no reason to stop delivering.
fn send(states: &[NotifyState]) {
    if let Err(error) = tell(states) {
        tracing::debug!(%error, "the service manager cannot be told");
    }
}

/// `sd_notify::notify` would wait for ever where nobody reads, and a signal would not end us any more.
fn tell(states: &[NotifyState]) -> io::Result<()> {
    let Some(name) = env::var_os("NOTIFY_SOCKET") else {
        return Ok(());
    };
    let address = match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(&name)?,
    };
    let lines: Vec<_> = states.iter().map(|state| format!("{state}\n")).collect();
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.send_to_addr(lines.concat().as_bytes(), &address)?;
    Ok(())
}
