//! Named points at which a test can have this process killed: what a crash at that very moment leaves behind is then looked at from outside.
//!
//! `POSTROOM_KILL_AT="after the dot:3"` in the environment kills the process with SIGKILL when it comes to the point `after the dot` for the third time. Builds without debug
//! assertions, as releases are, have none of this.

/// The process is here; whoever waits for that ends it.
#[cfg(not(debug_assertions))]
#[inline]
pub(crate) fn point(_: &'static str) {}

/// The process is here; whoever waits for that ends it.
#[cfg(debug_assertions)]
pub(crate) fn point(name: &'static str) {
    use std::sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    };

    static WANTED: LazyLock<Option<(String, u64)>> = LazyLock::new(|| {
        let wanted = std::env::var("POSTROOM_KILL_AT").ok()?;
        let (name, times) = wanted.rsplit_once(':')?;
        Some((name.to_owned(), times.parse().ok()?))
    });
    static MET: AtomicU64 = AtomicU64::new(0);

    if let Some((wanted, times)) = &*WANTED
        && wanted == name
        && MET.fetch_add(1, Ordering::Relaxed) + 1 == *times
    {
        // Nothing may follow, not even on another thread.
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}
