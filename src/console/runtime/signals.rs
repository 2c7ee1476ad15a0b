//! What ends the process or makes it stand still from outside: signals, and a terminal that is gone.

use std::{
    io,
    os::fd::AsFd as _,
    sync::{Arc, mpsc},
    time::Duration,
};

use crossbeam_channel::Sender;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::{
    consts::{SIGHUP, SIGSTOP, SIGTERM, SIGTSTP},
    iterator::Signals,
    low_level::{emulate_default_handler, raise},
};

use super::{News, jobs::Jobs, spawn};
use crate::console::{pager::Gate, terminal::give_back};

/// How long the end waits for jobs when the terminal or the system wants the process to go.
const LAST_CALL: Duration = Duration::from_secs(3);

/// SIGHUP and SIGTERM end the process whatever the loop is doing, even when it waits for a terminal that takes nothing more. A second one ends
/// it at once. SIGTSTP is Ctrl-Z in a pager, which stops everybody on the terminal.
pub(super) fn watch_signals(
    jobs: &Arc<Jobs>,
    gate: &Arc<Gate>,
    sender: &Sender<News>,
) -> io::Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGTERM, SIGTSTP])?;
    let (jobs, gate, sender) = (Arc::clone(jobs), Arc::clone(gate), sender.clone());
    spawn("signals", None, move || {
        let mut ending = false;
        for signal in signals.forever() {
            let jobs = Arc::clone(&jobs);
            let done = if signal == SIGTSTP && gate.is_closed() {
                spawn("still", None, move || stand_still(&jobs))
            } else if signal == SIGTSTP {
                drop(sender.send(News::Suspend));
                Ok(())
            } else {
                if std::mem::replace(&mut ending, true) {
                    drop(emulate_default_handler(signal));
                }
                spawn("end", None, move || end(&jobs, signal))
            };
            drop(done);
        }
    })
}

/// Stops the process while the terminal is somebody else's, once its jobs hold nothing that others wait for; they go on when it does.
fn stand_still(jobs: &Jobs) {
    if let Ok(_alone) = jobs.stands_still.try_lock() {
        jobs.pause_all();
        drop(raise(SIGSTOP));
        jobs.resume_all();
    }
}

/// A terminal that vanishes without a signal (the process ignores SIGHUP, or leads no session) is noticed by the hang-up on its file: reading
/// keys from it would spin.
pub(super) fn watch_hang_up(jobs: &Arc<Jobs>) -> io::Result<()> {
    let tty = io::stdout().as_fd().try_clone_to_owned()?;
    let jobs = Arc::clone(jobs);
    spawn("hang-up", None, move || {
        loop {
            let mut fds = [PollFd::new(&tty, PollFlags::empty())];
            match poll(&mut fds, None) {
                Err(rustix::io::Errno::INTR) => {}
                Ok(_) if fds[0].revents().is_empty() => {}
                Ok(_) => end(&jobs, SIGHUP),
                Err(_) => return,
            }
        }
    })
}

/// Whether the terminal has vanished.
pub(super) fn has_hung_up() -> bool {
    let tty = io::stdout();
    let mut fds = [PollFd::new(&tty, PollFlags::empty())];
    poll(&mut fds, Some(&Timespec::default())).is_ok() && !fds[0].revents().is_empty()
}

/// Ends the process as the signal would have, after giving back the terminal and stopping the jobs. Neither may hold it up for long.
pub(super) fn end(jobs: &Jobs, signal: i32) -> ! {
    // A terminal that is stopped by flow control takes no bytes: another thread waits for it.
    let (done, given_back) = mpsc::channel();
    drop(spawn("restore", None, move || {
        give_back();
        let _ = done.send(());
    }));
    let _ = given_back.recv_timeout(Duration::from_millis(250));
    jobs.stop_all(LAST_CALL);
    drop(emulate_default_handler(signal));
    // Where the default is to ignore it.
    std::process::exit(128 + signal);
}
