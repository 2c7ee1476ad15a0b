//! Names to addresses, within a time: the system's lookup has none of its own and may take minutes where a name server is silent.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs as _},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

type Name = (String, u16);

/// What came of a lookup; an `io::Error` cannot be shared.
type Found = Result<Vec<SocketAddr>, String>;

/// Lookups under way. A lookup cannot be ended, only left alone; so there is never more than one for the same name, and whoever asks
/// meanwhile waits for that one.
#[derive(Default)]
struct Lookups {
    pending: Mutex<HashMap<Name, Arc<Lookup>>>,
}

#[derive(Default)]
struct Lookup {
    found: Mutex<Option<Found>>,
    ended: Condvar,
}

/// The addresses of a host, as the system knows them; an error after `limit`.
pub(super) fn addresses(host: &str, port: u16, limit: Duration) -> io::Result<Vec<SocketAddr>> {
    static LOOKUPS: Mutex<Option<Arc<Lookups>>> = Mutex::new(None);
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![(address, port).into()]);
    }
    let lookups = Arc::clone(lock(&LOOKUPS).get_or_insert_default());
    let ask = |name: &Name| -> Found {
        match (name.0.as_str(), name.1).to_socket_addrs() {
            Ok(addresses) => Ok(addresses.collect()),
            Err(error) => Err(error.to_string()),
        }
    };
    lookups.find((host.to_owned(), port), limit, ask)
}

impl Lookups {
    fn find(
        self: &Arc<Self>,
        name: Name,
        limit: Duration,
        ask: impl FnOnce(&Name) -> Found + Send + 'static,
    ) -> io::Result<Vec<SocketAddr>> {
        let lookup = self.pending_or_begun(name, ask)?;
        let (found, _) = lookup
            .ended
            .wait_timeout_while(lock(&lookup.found), limit, |found| found.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        match &*found {
            Some(Ok(addresses)) => Ok(addresses.clone()),
            Some(Err(error)) => Err(io::Error::other(error.clone())),
            None => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!(
                    "timed out: no name server answered within {}",
                    humantime::format_duration(limit)
                ),
            )),
        }
    }

    fn pending_or_begun(
        self: &Arc<Self>,
        name: Name,
        ask: impl FnOnce(&Name) -> Found + Send + 'static,
    ) -> io::Result<Arc<Lookup>> {
        let mut pending = lock(&self.pending);
        if let Some(lookup) = pending.get(&name) {
            return Ok(Arc::clone(lookup));
        }
        let lookup = Arc::new(Lookup::default());
        let (lookups, mine, asked) = (Arc::clone(self), Arc::clone(&lookup), name.clone());
        thread::Builder::new()
            .name("lookup".to_owned())
            .spawn(move || {
                let found = ask(&asked);
                lock(&lookups.pending).remove(&asked);
                *lock(&mine.found) = Some(found);
                mine.ended.notify_all();
            })?;
        pending.insert(name, Arc::clone(&lookup));
        Ok(lookup)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    };

    use super::*;

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_silent_name_server_costs_the_limit_and_one_thread_however_often_it_is_asked() {
        let lookups = Arc::new(Lookups::default());
        let name = ("mail.example".to_owned(), 25);
        let asked = Arc::new(AtomicUsize::new(0));
        let (release, released) = mpsc::channel::<()>();
        let released = Arc::new(Mutex::new(released));
        let ask = || {
            let (asked, released) = (Arc::clone(&asked), Arc::clone(&released));
            move |_: &Name| {
                asked.fetch_add(1, Ordering::SeqCst);
                let _ = lock(&released).recv();
                Ok(vec![([127, 0, 0, 1], 25).into()])
            }
        };
        for _ in 0..5 {
            let error = lookups.find(name.clone(), SHORT, ask()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        }
        assert!(asked.load(Ordering::SeqCst) <= 1);
        // It is there again: whoever waits now gets its answer.
        release.send(()).unwrap();
        release.send(()).unwrap();
        let found = lookups.find(name, LONG, ask()).unwrap();
        assert_eq!(found, [([127, 0, 0, 1], 25).into()]);
        assert!(asked.load(Ordering::SeqCst) <= 2);
    }

    #[test]
    fn a_name_is_looked_up_and_an_address_is_itself() {
        assert!(!addresses("localhost", 25, LONG).unwrap().is_empty());
        let itself: SocketAddr = "[::1]:25".parse().unwrap();
        assert_eq!(addresses("::1", 25, LONG).unwrap(), [itself]);
    }
}
