//! `run` as a service: what it says to systemd and to the log, how it takes a new config, and when it does not send.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{
    fs,
    io::{self, BufRead as _, BufReader, PipeReader},
    os::{fd::AsFd as _, unix::net::UnixDatagram},
    process::{Child, Command},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use postroom::{
    delivery::{Backend, Engine, Options, Session, Trouble, Work, system_clock},
    demo::server::{Action, Phase, Script, Server},
    message::Message,
};
use rusqlite::Connection;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, Signal, kill_process},
};
use support::{
    Disk, Postroom, SOON, Setup, message, options, several, skipped, way_by, with_own_mounts,
};

/// A service of a test's own, with the socket on which it speaks to systemd and the pipe that is its log.
struct Service {
    child: Child,
    socket: UnixDatagram,
    log: BufReader<PipeReader>,
    logged: String,
}

/// Who gets the log.
enum Log {
    /// A pipe.
    Plain,
    /// What looks like the journal.
    Journal,
}

impl Service {
    fn start(postroom: &Postroom, log: &Log, watchdog: Option<Duration>) -> Self {
        let path = postroom.folder().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(SOON)).unwrap();
        let (reader, writer) = io::pipe().unwrap();
        let this = postroom.command(&["run"]);
        // The watchdog is meant for one process by its id, which only the process itself knows beforehand.
        let mut command = Command::new("sh");
        command
            .args(["-c", "WATCHDOG_PID=$$ exec \"$0\" run"])
            .arg(this.get_program())
            .current_dir(postroom.folder())
            .env("NOTIFY_SOCKET", path);
        for (name, value) in this.get_envs() {
            // The store of this service is the one that its config names.
            if let Some(value) = value.filter(|_| name != "POSTROOM_STORE") {
                command.env(name, value);
            }
        }
        if let Some(patience) = watchdog {
            command.env("WATCHDOG_USEC", patience.as_micros().to_string());
        }
        let pipe = rustix::fs::fstat(writer.as_fd()).unwrap();
        let stream = match log {
            Log::Plain => "1:1".to_owned(),
            Log::Journal => format!("{}:{}", pipe.st_dev, pipe.st_ino),
        };
        let child = command
            .env("JOURNAL_STREAM", stream)
            .stderr(writer)
            .spawn()
            .unwrap();
        Self {
            child,
            socket,
            log: BufReader::new(reader),
            logged: String::new(),
        }
    }

    /// What it says to systemd up to the line that is wanted.
    fn says(&self, wanted: &str) -> String {
        let mut said = String::new();
        loop {
            let more = self.hears().unwrap_or_else(|| panic!("only said: {said}"));
            said.push_str(&more);
            if said.lines().any(|line| line.starts_with(wanted)) {
                return said;
            }
        }
    }

    fn hears(&self) -> Option<String> {
        let mut word = [0; 4096];
        let length = self.socket.recv(&mut word).ok()?;
        Some(String::from_utf8(word[..length].to_vec()).unwrap())
    }

    /// The next line of the log that has this in it.
    fn logs(&mut self, wanted: &str) -> String {
        let until = Instant::now() + SOON;
        loop {
            let mut line = String::new();
            assert!(
                self.has_logged(until) && self.log.read_line(&mut line).unwrap() > 0,
                "{wanted} was not logged, only: {}",
                self.logged
            );
            self.logged.push_str(&line);
            if line.contains(wanted) {
                return line;
            }
        }
    }

    /// Waits for more of the log: a line that never comes must not keep the tests for ever.
    fn has_logged(&self, until: Instant) -> bool {
        let left = until.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).unwrap();
        let mut fds = [PollFd::new(self.log.get_ref(), PollFlags::IN)];
        !self.log.buffer().is_empty() || poll(&mut fds, Some(&left)).unwrap() > 0
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    /// SIGTERM; all that it logged.
    fn terminate(mut self) -> String {
        self.signal(Signal::TERM);
        let mut rest = String::new();
        while self.log.read_line(&mut rest).unwrap() > 0 {}
        assert!(self.child.wait().unwrap().success(), "{rest}");
        std::mem::take(&mut self.logged) + &rest
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn systemd_hears_when_delivery_runs_what_it_does_and_when_it_stops() {
    let server = Server::start(Script::accept_all()).unwrap();
    let postroom = Postroom::to(&server);
    postroom.submit(&several("m", 3));
    let service = Service::start(&postroom, &Log::Plain, None);
    let said = service.says("READY=1");
    assert!(!said.contains("WATCHDOG"), "nobody asked for it: {said}");
    service.says("STATUS=3 sent, 0 failed, 0 error");
    service.signal(Signal::TERM);
    service.says("STOPPING=1");
}

#[test]
fn a_service_that_cannot_begin_never_says_that_it_is_ready() {
    let postroom = Setup::new().file("disk").build();
    fs::remove_file(postroom.store_path()).unwrap();
    let mut service = Service::start(&postroom, &Log::Plain, None);
    assert!(!service.child.wait().unwrap().success());
    service.socket.set_nonblocking(true).unwrap();
    assert_eq!(service.hears(), None);
}

#[test]
fn the_watchdog_is_fed_while_the_engine_turns_and_not_while_it_hangs() {
    const PATIENCE: Duration = Duration::from_millis(500);
    let postroom = Setup::new()
        .file("disk")
        // A heartbeat needs the store four times in a lease.
        .set("delivery.lease", "1s")
        .build();
    let service = Service::start(&postroom, &Log::Plain, Some(PATIENCE));
    service.says("READY=1");
    for _ in 0..3 {
        service.says("WATCHDOG=1");
    }
    let hog = Connection::open(postroom.store_path()).unwrap();
    hog.execute_batch("BEGIN IMMEDIATE").unwrap();
    service.socket.set_read_timeout(Some(4 * PATIENCE)).unwrap();
    let until = Instant::now() + SOON;
    while service.hears().is_some() {
        assert!(Instant::now() < until, "it is fed although nothing turns");
    }
    hog.execute_batch("COMMIT").unwrap();
    service.socket.set_read_timeout(Some(SOON)).unwrap();
    service.says("WATCHDOG=1");
    let logged = service.terminate();
    assert!(logged.contains("ended: "), "{logged}");
}

/// A way out whose batches are counted where the test says.
struct Stuck {
    reached: Sender<()>,
    release: Mutex<Receiver<()>>,
}

impl Backend for Stuck {
    fn connections(&self) -> usize {
        1
    }

    fn batch_limit(&self, _: &Message) -> usize {
        self.reached.send(()).unwrap();
        let _ = self.release.lock().unwrap().recv_timeout(SOON);
        1
    }

    fn open(&self) -> Result<Box<dyn Session>, Trouble> {
        Err(Trouble {
            failure: postroom::delivery::Failure::default(),
            auth: false,
            retry_after: None,
        })
    }

    fn probe(&self) -> Result<String, Trouble> {
        Ok(String::new())
    }
}

#[test]
fn an_engine_whose_supervisor_is_stuck_makes_no_more_rounds() {
    let postroom = Setup::new().file("disk").build();
    // Whether the second one goes with the first, the supervisor asks the backend.
    postroom.submit(&[message("m", "t", &["april@example.com", "ben@example.com"])]);
    let store = Arc::new(postroom::store::Store::open(&postroom.store_path()).unwrap());
    let ((reached, at_it), (go_on, release)) = (channel(), channel());
    let stuck = Stuck {
        reached,
        release: Mutex::new(release),
    };
    let options = Options {
        patience: Duration::ZERO,
        ..options(Work::Forever, system_clock())
    };
    let ways = vec![way_by("disk", Arc::new(stuck))];
    let engine = Engine::start(&store, ways, options).unwrap();
    at_it.recv_timeout(SOON).unwrap();
    let stuck = engine.turns();
    // Longer than any wait between two rounds.
    assert!(at_it.recv_timeout(Duration::from_millis(600)).is_err());
    assert_eq!(engine.turns(), stuck);
    drop(go_on);
    let until = Instant::now() + SOON;
    while engine.turns() == stuck {
        assert!(Instant::now() < until);
        thread::yield_now();
    }
}

#[test]
fn each_failure_is_one_line_with_its_receiver_and_no_server_can_forge_another() {
    let forged =
        "no such user\n2026-11-22T06:00:00Z ERROR delivery stops receiver=1 \u{1b}[2J\u{202e}";
    let server = Server::start(
        Script::accept_all()
            .rcpt("april@example.com", Action::reply(550, "5.1.1", forged))
            .rcpt(
                "ben@example.com",
                Action::reply(451, "4.7.1", "later, please"),
            ),
    )
    .unwrap();
    let postroom = Postroom::to(&server);
    let to = ["april@example.com", "ben@example.com", "carol@example.com"];
    postroom.submit(&[message("m", "t", &to)]);
    let mut service = Service::start(&postroom, &Log::Journal, None);
    postroom.wait_until("all are tried", |postroom| {
        postroom.count("status:not_sent") == 0
    });
    let line = service.logs("receiver=2 ");
    let next = postroom.only("id:2")["next_attempt_at"].clone();
    let next = next.as_str().unwrap().split('.').next().unwrap().to_owned();
    assert_eq!(
        line,
        format!(
            "<6>not sent receiver=2 backend=email outcome=temporary code=451 enhanced=4.7.1 status=failed reason=temporary next={next}Z text=\"451 4.7.1 later, please\"\n"
        )
    );
    let logged = service.terminate();
    let of_april: Vec<_> = logged
        .lines()
        .filter(|line| line.contains("receiver=1 "))
        .collect();
    assert_eq!(of_april.len(), 1, "{logged}");
    assert!(
        of_april[0].starts_with("<6>not sent receiver=1 backend=email outcome=permanent code=550 enhanced=5.1.1 status=error reason=permanent text=\""),
        "{logged}"
    );
    assert!(!logged.contains(['\u{1b}', '\u{202e}']), "{logged}");
    assert!(
        !logged.contains("receiver=3"),
        "a success is no line: {logged}"
    );
    assert!(
        logged.lines().all(|line| line.starts_with("<6>")),
        "{logged}"
    );
}

#[test]
fn a_line_is_short_enough_for_the_journal_whatever_a_server_says() {
    let long = "x".repeat(60_000) + "\u{20}<0>forged";
    let refusal = Action::reply(550, "5.1.1", &long);
    let server = Server::start(Script::accept_all().rcpt("april@example.com", refusal)).unwrap();
    let postroom = Postroom::to(&server);
    postroom.submit(&[message("m", "t", &["april@example.com"])]);
    let mut service = Service::start(&postroom, &Log::Journal, None);
    let line = service.logs("receiver=1 ");
    assert!(
        line.len() < 10_000 && line.ends_with(" bytes more]\n") && !line.contains("forged"),
        "{} bytes",
        line.len()
    );
    service.terminate();
}

#[test]
fn a_service_manager_that_does_not_listen_keeps_no_service_from_ending() {
    let postroom = Setup::new().file("disk").build();
    let mut service = Service::start(&postroom, &Log::Plain, None);
    service.says("READY=1");
    let other = UnixDatagram::unbound().unwrap();
    other.set_nonblocking(true).unwrap();
    let path = postroom.folder().join("notify");
    while other.send_to(b"", &path).is_ok() {}
    service.signal(Signal::TERM);
    let began = Instant::now();
    while service.child.try_wait().unwrap().is_none() {
        assert!(began.elapsed() < SOON, "it has not ended");
        thread::yield_now();
    }
}

#[test]
fn engines_that_wait_for_answers_do_not_become_more_and_more() {
    let (server, postroom) = support::held_at_the_dot();
    let mut service = Service::start(&postroom, &Log::Plain, None);
    service.says("READY=1");
    for n in 0..9 {
        if n > 0 {
            service.hang_up();
            service.says("READY=1");
        }
        postroom.submit(&several(&format!("m{n}"), 1));
        assert!(server.wait_for(|ledger| ledger.met(Phase::Dot) == n + 1, SOON));
    }
    service.hang_up();
    let line = service.logs("the config is not taken");
    assert!(line.contains("8 engines"), "{line}");
    server.release();
    postroom.wait_until("all are sent", |postroom| {
        postroom.count("status:sent") == 9
    });
    // The answers are written a moment before the engines that waited for them have ended.
    let until = Instant::now() + SOON;
    loop {
        service.hang_up();
        if service.logs("the config ").contains("was read again") {
            break;
        }
        assert!(Instant::now() < until);
    }
    service.terminate();
    server.with_ledger(|ledger| assert_eq!(ledger.duplicates(), []));
}

#[test]
fn a_log_that_is_not_the_journals_has_the_time_and_the_level() {
    let postroom = Setup::new().file("disk").build();
    let mut service = Service::start(&postroom, &Log::Plain, None);
    let line = service.logs("delivering");
    let (time, rest) = line.split_once(' ').unwrap();
    assert!(chrono::DateTime::parse_from_rfc3339(time).is_ok(), "{line}");
    assert!(
        rest.trim_start().starts_with("INFO delivering store="),
        "{line}"
    );
}

#[test]
fn a_backend_that_goes_down_comes_back_or_is_paused_is_a_line_each() {
    let (mut server, postroom) = Postroom::to_one_that_is_down("1s");
    postroom.submit(&several("m", 1));
    let mut service = Service::start(&postroom, &Log::Journal, None);
    let line = service.logs("is down");
    assert!(
        line.starts_with("<4>the backend is down, next try in 1s backend=email text=\""),
        "{line}"
    );
    server.start_again().unwrap();
    let line = service.logs("works again");
    assert_eq!(line, "<6>the backend works again backend=email\n");
    postroom.run(&["backend", "email", "pause"]).ok();
    assert_eq!(
        service.logs("paused"),
        "<6>the backend is paused backend=email\n"
    );
}

#[test]
fn whom_a_dead_process_left_in_doubt_is_named_in_the_log() {
    let server = Server::start(Script::accept_all().on(Phase::Dot, Action::stall())).unwrap();
    let postroom = Setup::new()
        .smtp("email", &server)
        .set("backends.email.on_unknown", "hold")
        .build();
    postroom.submit(&several("m", 1));
    let pass = postroom.start(&["deliver"]);
    assert!(server.wait_for(|ledger| ledger.met(Phase::Dot) == 1, SOON));
    pass.kill();
    let mut service = Service::start(&postroom, &Log::Journal, None);
    let line = service.logs("receiver=1 ");
    assert!(
        line.starts_with("<4>it may have arrived receiver=1 backend=email outcome=unknown status=error reason=unconfirmed"),
        "{line}"
    );
    service.logs("cleaned up after engines that died");
}

// A new config.

#[test]
fn after_a_hang_up_messages_go_the_new_way_and_what_is_under_way_is_waited_for() {
    let old = Server::start(Script::accept_all().on(Phase::Dot, Action::accept().when_released()))
        .unwrap();
    let new = Server::start(Script::accept_all()).unwrap();
    let to = |server: &Server| Setup::new().smtp("email", server);
    let postroom = to(&old).build();
    let service = Service::start(&postroom, &Log::Plain, None);
    service.says("READY=1");
    postroom.submit(&several("before", 1));
    assert!(old.wait_for(|ledger| ledger.met(Phase::Dot) == 1, SOON));

    postroom.configure(to(&new));
    service.hang_up();
    let said = service.says("RELOADING=1");
    assert!(said.contains("MONOTONIC_USEC="), "{said}");
    service.says("READY=1");
    postroom.submit(&several("after", 5));
    assert!(new.wait_for(|ledger| ledger.accepted == 5, SOON));

    old.release();
    assert!(old.wait_for(|ledger| ledger.accepted == 1, SOON));
    postroom.wait_until("all are sent", |postroom| {
        postroom.count("status:sent") == 6
    });
    let logged = service.terminate();
    assert!(logged.contains("6 sent, 0 failed, 0 error"), "{logged}");
    old.with_ledger(|ledger| assert_eq!(ledger.entries.len(), 1));
    new.with_ledger(|ledger| assert_eq!(ledger.entries.len(), 5));
}

#[test]
fn a_new_on_unknown_holds_after_a_hang_up() {
    let server = Server::start(Script::accept_all().on(Phase::Dot, Action::vanish())).unwrap();
    let with = |on_unknown: &str| {
        Setup::new()
            .smtp("email", &server)
            .set("backends.email.on_unknown", on_unknown)
    };
    let postroom = with("resend").build();
    let service = Service::start(&postroom, &Log::Plain, None);
    service.says("READY=1");
    postroom.configure(with("hold"));
    service.hang_up();
    service.says("RELOADING=1");
    service.says("READY=1");
    postroom.submit(&several("m", 1));
    postroom.wait_until("it is in doubt", |postroom| {
        postroom.state_of("id:1") == "error/unconfirmed"
    });
    server.with_ledger(|ledger| assert_eq!(ledger.met(Phase::Dot), 1));
}

#[test]
fn a_config_with_a_fault_is_refused_by_name_and_the_one_before_holds() {
    let server = Server::start(Script::accept_all()).unwrap();
    let postroom = Postroom::to(&server);
    let mut service = Service::start(&postroom, &Log::Journal, None);
    service.says("READY=1");
    let good = fs::read_to_string(postroom.config_path()).unwrap();
    let elsewhere = good.replace("\"postroom.db\"", "\"elsewhere.db\"");
    let misspelt = good.replace("host =", "hots =");
    let without = "[store]\npath = \"postroom.db\"\n".to_owned();
    for (config, words) in [
        (
            misspelt,
            &["config.toml", "unknown key `hots`; did you mean `host`?"][..],
        ),
        (without, &["no backend is configured"]),
        (elsewhere, &["elsewhere.db", "restart it"]),
    ] {
        fs::write(postroom.config_path(), &config).unwrap();
        service.hang_up();
        let line = service.logs("the config is not taken");
        assert!(line.starts_with("<3>"), "{line}");
        for word in words {
            assert!(line.contains(word), "{word}: {line}");
        }
    }
    fs::write(postroom.config_path(), &good).unwrap();
    postroom.submit(&several("m", 1));
    assert!(server.wait_for(|ledger| ledger.accepted == 1, SOON));
}

// A floor of free disk.

#[test]
fn below_the_floor_of_free_disk_nothing_is_sent_until_there_is_room() {
    with_own_mounts(
        "below_the_floor_of_free_disk_nothing_is_sent_until_there_is_room",
        || {
            let disk = Disk::of(65_536);
            let server = Server::start(Script::accept_all()).unwrap();
            let setup = Setup::new()
                .smtp("email", &server)
                .set("delivery.min_free", "32MiB");
            let postroom = setup.build_in(disk.path());
            postroom.submit(&several("m", 3));
            disk.fill_but(20 * 1024);

            let ran = postroom.run(&["deliver"]).exit(1);
            for word in [
                "postroom.db",
                "MiB left",
                "below 32 MiB",
                "min_free",
                "free some space",
            ] {
                assert!(ran.stderr.contains(word), "{word}: {ran:?}");
            }
            let ran = postroom.run(&["status"]).exit(2);
            assert!(
                ran.stdout.contains("critical: the disk that holds"),
                "{ran:?}"
            );

            let mut service = Service::start(&postroom, &Log::Journal, None);
            let line = service.logs("left");
            assert!(
                line.starts_with("<3>the disk that holds") && line.contains("what is due waits"),
                "{line}"
            );
            assert_eq!(postroom.count("status:not_sent"), 3);
            server.with_ledger(|ledger| assert_eq!(ledger.connections, 0));

            disk.free();
            service.logs("there is room on the disk again");
            assert!(server.wait_for(|ledger| ledger.accepted == 3, SOON));
            let logged = service.terminate();
            assert_eq!(logged.matches("what is due waits").count(), 1, "{logged}");
            assert_ne!(postroom.run(&["status"]).status.code(), Some(2));
        },
    );
}

#[test]
fn the_floor_can_be_switched_off() {
    let with = |floor: &str| Setup::new().file("disk").set("delivery.min_free", floor);
    let postroom = with("9999999GiB").build();
    postroom.submit(&several("m", 1));
    postroom.run(&["deliver"]).exit(1);
    assert_eq!(postroom.state_of("id:1"), "not_sent/queued");
    postroom.configure(with("0"));
    assert_eq!(postroom.deliver().sent, 1);
}

#[test]
fn with_nothing_due_a_full_disk_fails_no_pass() {
    let floor = Setup::new()
        .file("disk")
        .set("delivery.min_free", "9999999GiB");
    let postroom = floor.build();
    postroom.deliver();
    let ran = postroom.run(&["status"]).exit(1);
    assert!(ran.stdout.contains("warning: the disk"), "{ran:?}");
}

// The unit.

const UNIT: &str = include_str!("../assets/systemd/postroom.service");

#[test]
fn the_unit_starts_and_reloads_what_there_is() {
    let program = env!("CARGO_BIN_EXE_postroom");
    let start = UNIT
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart="));
    let start = start
        .unwrap()
        .strip_prefix("/usr/local/bin/postroom ")
        .unwrap();
    let postroom = Setup::new().file("disk").build();
    postroom.run(&[start, "--help"]).ok();
    assert!(
        UNIT.contains("\nType=notify\n") && UNIT.contains("\nExecReload=/bin/kill -HUP $MAINPID\n")
    );

    let unit = postroom.folder().join("postroom.service");
    fs::write(&unit, UNIT.replace("/usr/local/bin/postroom", program)).unwrap();
    let verified = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(&unit)
        .output();
    match verified {
        Ok(ran) => assert!(ran.status.success() && ran.stderr.is_empty(), "{ran:?}"),
        Err(error) => skipped(&format!("systemd-analyze verify: {error}")),
    }
}
