//! What the console promises of its work with a real store: it reads what is there, resends through the delivery module, stops with nothing lost,
//! and leaves the work to a service that runs.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use chrono::{TimeDelta, Utc};
use postroom::{
    console::{
        content::Part,
        courier::{Courier as _, Stop, StoreCourier},
        effect::{JobNews, Order, Outcome},
        question::{Answer, At, Question, Source as _, Window, WindowQuestion},
        source::StoreSource,
    },
    delivery::{OnUnknown, system_clock},
    demo::server::{Action as Reply, Phase, Script, Server},
    message::{ReceiverId, Text},
    query::{Context, Query},
    store::{Action, By, Count, Place, Sort, Store, Target},
};
use serde_json::json;
use support::{Postroom, Running, SOON, Setup, Signal, Terminal, message, way};

fn query(text: &str) -> Query {
    Query::parse(text, &Context::local()).unwrap()
}

fn ids(ids: impl IntoIterator<Item = i64>) -> Vec<ReceiverId> {
    ids.into_iter().map(ReceiverId).collect()
}

/// A store with so many receivers, each of a message of its own, and the server they go to.
fn stored(receivers: usize, script: Script) -> (Postroom, Server) {
    let server = Server::start(script).unwrap();
    let postroom = Postroom::to(&server);
    let messages: Vec<_> = (1..=receivers)
        .map(|n| {
            let kind = if n % 2 == 0 { "feedback" } else { "comment" };
            message(&format!("m{n}"), kind, &[&format!("user{n}@example.com")])
        })
        .collect();
    postroom.submit(&messages);
    (postroom, server)
}

fn courier(postroom: &Postroom, server: &Server) -> StoreCourier {
    let mut way = way(server, 8);
    way.policy.on_unknown = OnUnknown::Resend;
    StoreCourier {
        store: Arc::new(Store::open(&postroom.store_path()).unwrap()),
        ways: Box::new(move || Ok(vec![way.clone()])),
        who: "april".to_owned(),
        resend_limit: 8,
        lease: Duration::from_secs(120),
        min_free: 0,
        clock: system_clock(),
    }
}

/// A service that delivers.
fn served_by(postroom: &Postroom) -> Running {
    let service = postroom.start(&["run"]);
    postroom.wait_until("the service lives", |postroom| {
        let store = Store::open_read_only(&postroom.store_path()).unwrap();
        let engines = store.reader().unwrap().engines(chrono::Utc::now()).unwrap();
        engines
            .iter()
            .any(|engine| engine.kind == "run" && engine.alive)
    });
    service
}

fn resend(target: Target) -> Order {
    Order {
        action: Action::Resend,
        target,
        chosen: None,
    }
}

struct Asking(StoreSource);

impl Asking {
    fn of(postroom: &Postroom) -> Self {
        let store = Store::open_read_only(&postroom.store_path()).unwrap();
        Self(StoreSource::new(store.reader().unwrap()))
    }

    fn window(&mut self, text: &str, at: At, marks: Option<&str>) -> (Vec<i64>, Window) {
        let question = Question::Window(WindowQuestion {
            query: query(text),
            sort: Sort::default(),
            at,
            above: 3,
            below: 4,
            marks: marks.map(query),
        });
        match self.0.answer(&question).unwrap() {
            Answer::Window(window) => (window.rows.iter().map(|row| row.id.0).collect(), window),
            other => panic!("{other:?}"),
        }
    }

    /// Where a receiver stands.
    fn place(&mut self, id: i64) -> Place {
        let (_, window) = self.window(&format!("id:{id}"), At::First, None);
        Place::from(&window.rows[0])
    }

    fn marks(&mut self, marks: Target, shown_by: &str) -> (u64, u64) {
        let question = Question::Marks {
            marks,
            query: query(shown_by),
        };
        match self.0.answer(&question).unwrap() {
            Answer::Marks { total, shown } => (total, shown),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_window_holds_the_rows_around_a_place_and_says_what_lies_beyond() {
    let (postroom, _server) = stored(20, Script::accept_all());
    let mut asking = Asking::of(&postroom);
    let (rows, window) = asking.window("", At::First, None);
    assert_eq!(
        (rows, window.newest, window.oldest),
        (vec![20, 19, 18, 17], true, false)
    );
    let place = asking.place(10);
    let (rows, window) = asking.window("", At::Around(place), None);
    assert_eq!(rows, [13, 12, 11, 10, 9, 8, 7]);
    assert!(!window.newest && !window.oldest);
    let place = asking.place(2);
    let (rows, window) = asking.window("", At::Around(place), None);
    assert_eq!(
        (rows, window.newest, window.oldest),
        (vec![5, 4, 3, 2, 1], false, true)
    );
    let (rows, window) = asking.window("", At::Last, None);
    assert_eq!(
        (rows, window.newest, window.oldest),
        (vec![7, 6, 5, 4, 3, 2, 1], false, true)
    );
    let place = asking.place(9);
    let (rows, _) = asking.window("type:feedback", At::Around(place), None);
    assert_eq!(rows, [14, 12, 10, 8, 6, 4, 2], "where it would stand");
    let place = asking.place(4);
    let (rows, _) = asking.window("type:feedback", At::Keep(place), None);
    assert_eq!(rows, [10, 8, 6, 4, 2]);
    let place = asking.place(3);
    let (rows, window) = asking.window("type:feedback", At::Keep(place), None);
    assert_eq!(
        (rows, window.newest),
        (vec![20, 18, 16, 14], true),
        "it does not match: the newest"
    );
    let (_, window) = asking.window("", At::First, Some("type:feedback"));
    assert_eq!(window.marked, ids([20, 18]));
}

#[test]
fn marks_are_counted_whether_they_are_ids_or_a_query() {
    let (postroom, _server) = stored(20, Script::accept_all());
    let mut asking = Asking::of(&postroom);
    assert_eq!(
        asking.marks(Target::Ids(ids(1..=4)), "type:feedback"),
        (4, 2)
    );
    let all = || query("type:feedback");
    assert_eq!(
        asking.marks(Target::Query(all()), "user6@example.com"),
        (10, 1)
    );
    assert_eq!(
        asking.marks(Target::Except(all(), ids([2, 3, 6])), ""),
        (8, 8)
    );
    assert_eq!(
        asking.marks(Target::Except(all(), ids([2, 6])), "user6@example.com"),
        (8, 0)
    );
}

#[test]
fn a_range_lists_the_rows_between_its_ends() {
    let (postroom, _server) = stored(20, Script::accept_all());
    let mut asking = Asking::of(&postroom);
    let question = Question::Range {
        query: query("type:feedback"),
        sort: Sort::default(),
        from: asking.place(15),
        to: asking.place(8),
    };
    assert_eq!(
        asking.0.answer(&question),
        Ok(Answer::Range(ids([14, 12, 10, 8])))
    );
}

#[test]
fn the_store_tells_a_reader_that_it_has_changed() {
    let (postroom, _server) = stored(1, Script::accept_all());
    let mut asking = Asking::of(&postroom);
    let before = asking.0.answer(&Question::Version);
    assert_eq!(asking.0.answer(&Question::Version), before);
    postroom.submit(&[message("later", "comment", &["later@example.com"])]);
    assert_ne!(asking.0.answer(&Question::Version), before);
}

#[test]
fn who_is_due_while_nobody_delivers_is_counted_without_those_that_wait_for_something_else() {
    let postroom = Setup::new().file("email").file("disk").build();
    let due = || {
        let until = Utc::now() + TimeDelta::hours(1);
        match Asking::of(&postroom).0.answer(&Question::Overview(until)) {
            Ok(Answer::Overview { unserved, .. }) => unserved.map(|unserved| unserved.due),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(due(), None);
    let mut urgent = message("urgent", "t", &["ben@example.com"]);
    urgent["priority"] = json!(9);
    let mut scheduled = message("scheduled", "t", &["carol@example.com"]);
    scheduled["send_after"] = json!(Utc::now() + TimeDelta::hours(1));
    let mut short = message("short", "t", &["short@example.com"]);
    short["receivers"][0]["backend"] = json!("disk");
    postroom.submit(&[
        message("held", "t", &["april@example.com"]),
        message("usual", "t", &["dora@example.com", "eve@example.com"]),
        urgent,
        scheduled,
        short,
    ]);
    postroom.run(&["hold", "key:held", "--yes"]).ok();
    assert_eq!(due(), Some(Count::Exact(4)));
    postroom.run(&["backend", "disk", "pause"]).ok();
    assert_eq!(due(), Some(Count::Exact(3)));
    postroom.run(&["backend", "email", "pause"]).ok();
    assert_eq!(due(), None);
}

#[test]
fn what_failed_over_a_backend_by_cause_is_who_failed_and_not_who_is_sent_again() {
    let never = || Reply::reply(550, "5.1.1", "never");
    let script = (1..=3).fold(Script::accept_all(), |script, n| {
        script.rcpt(&format!("user{n}@example.com"), never())
    });
    let (postroom, _server) = stored(3, script);
    postroom.deliver();
    let failed = || {
        let question = Question::Failures(vec![Text::from("email")]);
        match Asking::of(&postroom).0.answer(&question) {
            Ok(Answer::Failures(causes)) => {
                let counts = causes[0].iter().map(|cause| cause.count);
                counts.sum::<u64>()
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(failed(), 3);
    postroom.run(&["resend", "--id", "1", "--yes"]).ok();
    assert_eq!(failed(), 2, "as many as enter shows of this backend");
    assert_eq!(postroom.count("status:failed,error backend:email"), 2);
}

#[test]
fn a_resend_delivers_the_receivers_of_its_job_and_no_others() {
    let (postroom, server) = stored(6, Script::accept_all());
    let courier = courier(&postroom, &server);
    let news = Mutex::new(Vec::new());
    let outcome = courier
        .carry_out(
            &resend(Target::Query(query("type:feedback"))),
            &Stop::default(),
            &|said| news.lock().unwrap().push(said),
        )
        .unwrap();
    assert_eq!(outcome.tally.unwrap().sent, 3);
    assert_eq!((outcome.held, outcome.waiting), (0, None));
    let mut got = server.with_ledger(|ledger| {
        ledger
            .recipients()
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    });
    got.sort_unstable();
    assert_eq!(
        got,
        [
            "user2@example.com",
            "user4@example.com",
            "user6@example.com"
        ]
    );
    assert_eq!(postroom.count("status:sent"), 3);
    let last = news.lock().unwrap().pop();
    assert!(
        matches!(last, Some(JobNews::Delivered { total: 3, .. })),
        "{last:?}"
    );
}

#[test]
fn what_has_not_gone_out_when_a_resend_is_stopped_is_held_and_nothing_is_sent_later() {
    // The server takes its time over every recipient: nothing is armed when the stop comes.
    let script = Script::accept_all().on(Phase::Rcpt, Reply::accept().when_released());
    let (postroom, server) = stored(6, script);
    let courier = courier(&postroom, &server);
    let stop = Stop::default();
    let (done, over) = mpsc::channel();
    let outcome: Outcome = std::thread::scope(|threads| {
        threads.spawn(|| {
            let outcome = courier.carry_out(&resend(Target::Query(query(""))), &stop, &|_| {});
            done.send(outcome).unwrap();
        });
        assert!(
            server.wait_for(|ledger| ledger.met(Phase::Rcpt) > 0, SOON),
            "it has begun"
        );
        stop.stop();
        over.recv_timeout(SOON).unwrap().unwrap()
    });
    assert_eq!(outcome.held, 6);
    assert_eq!(outcome.tally.unwrap().sent, 0);
    server.release();
    assert_eq!(postroom.count("status:not_sent is:held"), 6);
    assert_eq!(postroom.deliver().sent, 0, "held is held");
    assert!(server.with_ledger(|ledger| ledger.recipients().is_empty()));
    postroom.run(&["release", "is:held", "--yes"]).ok();
    assert_eq!(postroom.deliver().sent, 6);
    assert!(server.with_ledger(|ledger| ledger.duplicates().is_empty()));
}

#[test]
fn of_a_resend_that_is_stopped_each_receiver_is_told_once() {
    // The server is about to refuse some when the stop comes, and does when others are held.
    let script = Script::accept_all().on(
        Phase::Rcpt,
        Reply::reply(451, "4.7.1", "later").when_released(),
    );
    let (postroom, server) = stored(6, script);
    let courier = courier(&postroom, &server);
    let stop = Stop::default();
    let outcome: Outcome = std::thread::scope(|threads| {
        let resent =
            threads.spawn(|| courier.carry_out(&resend(Target::Query(query(""))), &stop, &|_| {}));
        assert!(server.wait_for(|ledger| ledger.met(Phase::Rcpt) > 0, SOON));
        stop.stop();
        postroom.wait_until("some are held", |postroom| postroom.count("is:held") > 0);
        server.release();
        resent.join().unwrap().unwrap()
    });
    let tried = outcome.tally.unwrap().tried();
    assert_eq!(tried + outcome.held + outcome.left, 6, "{outcome:?}");
}

#[test]
fn what_is_held_elsewhere_while_a_resend_runs_is_told_as_not_tried() {
    for served in [false, true] {
        // Nobody is tried before the server has greeted, and it does so when all are held.
        let greeting = Reply::raw("220 mail.example\r\n").when_released();
        let script = Script::accept_all().on(Phase::Greeting, greeting);
        let (postroom, server) = stored(6, script);
        postroom.run(&["hold", "--all", "--yes"]).ok();
        let service = served.then(|| served_by(&postroom));
        let courier = courier(&postroom, &server);
        let (tell, news) = mpsc::channel();
        let outcome: Outcome = std::thread::scope(|threads| {
            let order = resend(Target::Query(query("")));
            let resent = threads.spawn(move || {
                let tell = |said| drop(tell.send(said));
                courier.carry_out(&order, &Stop::default(), &tell)
            });
            assert!(server.wait_for(|ledger| ledger.met(Phase::Greeting) > 0, SOON));
            postroom.run(&["hold", "--all", "--yes"]).ok();
            // The second from now on was looked for when all were held.
            while news.try_recv().is_ok() {}
            let said = news.iter().nth(1);
            server.release();
            if !served {
                let none = JobNews::Delivered { done: 0, total: 6 };
                assert_eq!(said, Some(none), "what another holds is not done");
            }
            resent.join().unwrap().unwrap()
        });
        assert_eq!(postroom.count("is:held"), 6);
        assert_eq!((outcome.taken, outcome.left), (6, 0), "{outcome:?}");
        assert_eq!(
            outcome.tally.map(|tally| tally.tried()),
            (!served).then_some(0)
        );
        if let Some(service) = service {
            service.terminate();
        }
    }
}

#[test]
fn of_two_consoles_that_resend_the_same_each_tells_what_it_tried_itself_and_what_it_did_not() {
    // The first is not greeted before the second has sent all.
    let second = Arc::new(AtomicBool::new(false));
    let greets = Arc::clone(&second);
    let script = Script::accept_all().by(move |event| {
        let waits = event.phase == Phase::Greeting && !greets.load(Ordering::Relaxed);
        waits.then(|| Reply::raw("220 mail.example\r\n").when_released())
    });
    let (postroom, server) = stored(6, script);
    let carry_out = || {
        let order = resend(Target::Query(query("")));
        let courier = courier(&postroom, &server);
        courier
            .carry_out(&order, &Stop::default(), &|_| {})
            .unwrap()
    };
    let (slow, swift) = std::thread::scope(|threads| {
        let slow = threads.spawn(carry_out);
        assert!(server.wait_for(|ledger| ledger.met(Phase::Greeting) > 0, SOON));
        second.store(true, Ordering::Relaxed);
        let swift = carry_out();
        server.release();
        (slow.join().unwrap(), swift)
    });
    let tried = |outcome: &Outcome| outcome.tally.unwrap().tried();
    assert_eq!((tried(&swift), swift.taken), (6, 0), "{swift:?}");
    assert_eq!((tried(&slow), slow.taken), (0, 6), "{slow:?}");
    assert!(server.with_ledger(|ledger| ledger.duplicates().is_empty()));
}

#[test]
fn a_resend_names_the_backend_that_its_receivers_wait_for_and_no_other() {
    let (postroom, server) = stored(6, Script::accept_all());
    let setup = Setup::new().smtp("email", &server).smtp("sms", &server);
    postroom.configure(setup);
    for backend in ["email", "sms"] {
        postroom.run(&["backend", backend, "pause"]).ok();
    }
    let order = resend(Target::Query(query("")));
    let outcome = courier(&postroom, &server)
        .carry_out(&order, &Stop::default(), &|_| {})
        .unwrap();
    let waiting = outcome.waiting.unwrap();
    assert_eq!(waiting, "6 still waiting: email is paused");
}

#[test]
fn a_resend_that_rests_holds_nothing_and_goes_on_afterwards() {
    let answers = Arc::new(AtomicBool::new(false));
    let server_answers = Arc::clone(&answers);
    let script = Script::accept_all().by(move |event| {
        let stalls = event.phase == Phase::Dot && !server_answers.load(Ordering::Relaxed);
        stalls.then(Reply::stall)
    });
    let (postroom, server) = stored(30, script);
    let courier = courier(&postroom, &server);
    let engines = || {
        let reader = courier.store.reader().unwrap();
        reader.engines(chrono::Utc::now()).unwrap().len()
    };
    let stop = Stop::default();
    let (done, over) = mpsc::channel();
    let outcome: Outcome = std::thread::scope(|threads| {
        threads.spawn(|| {
            let outcome = courier.carry_out(&resend(Target::Query(query(""))), &stop, &|_| {});
            stop.end();
            done.send(outcome).unwrap();
        });
        assert!(server.wait_for(|ledger| ledger.met(Phase::Dot) > 0, SOON));
        assert_eq!(engines(), 1);
        stop.pause();
        stop.wait_for_rest();
        assert_eq!((engines(), postroom.count("is:sending")), (0, 0));
        answers.store(true, Ordering::Relaxed);
        stop.resume();
        over.recv_timeout(SOON).unwrap().unwrap()
    });
    let tally = outcome.tally.unwrap();
    let in_doubt = postroom.count("status:failed reason:unconfirmed");
    assert!(
        (1..=8).contains(&in_doubt),
        "one a connection: their answers were waited for no longer than a moment"
    );
    assert_eq!(tally.unconfirmed as usize, in_doubt);
    assert_eq!((tally.sent as usize, outcome.left), (30 - in_doubt, 0));
    assert_eq!(postroom.count("status:sent"), 30 - in_doubt);
    assert!(server.with_ledger(|ledger| ledger.duplicates().is_empty()));
}

#[test]
fn a_running_service_is_given_the_work() {
    let (postroom, server) = stored(3, Script::accept_all());
    postroom.deliver();
    let service = served_by(&postroom);
    let courier = StoreCourier {
        ways: Box::new(|| panic!("the console delivers nothing itself")),
        ..courier(&postroom, &server)
    };
    let outcome = courier
        .carry_out(&resend(Target::Query(query(""))), &Stop::default(), &|_| {})
        .unwrap();
    assert_eq!(outcome.affected.total(), 3);
    assert_eq!((outcome.tally, outcome.waiting), (None, None));
    assert_eq!(
        server.with_ledger(|ledger| ledger.recipients().len()),
        6,
        "each a second time, as asked"
    );
    service.terminate();
}

/// What a terminal is told when a program takes it, and when it gives it back.
const TAKEN: &str = "\x1b[?1049h";
const GIVEN_BACK: &str = "\x1b[?1049l";

#[test]
fn a_copy_goes_to_the_terminals_clipboard_and_the_pager_has_the_terminal_for_itself() {
    let (postroom, _server) = stored(1, Script::accept_all());
    postroom.deliver();
    // It notes what it is given, then waits for a line that is typed.
    let pager = "cat > paged; head -n 1 <&2 > typed";
    let mut terminal = Terminal::start(&postroom, (80, 24), &["console"], &[("PAGER", pager)]);
    terminal.wait_for(TAKEN);
    terminal.wait_for("user1@example.com");
    terminal.press("\r3");
    terminal.wait_for("Subject");
    terminal.press("yc");
    // `postroom show 1`
    terminal.wait_for("\x1b]52;c;cG9zdHJvb20gc2hvdyAx\x07");
    terminal.press("p");
    terminal.wait_for(GIVEN_BACK);
    // `q` would end the console, were it to read it.
    terminal.press("quit?\n");
    terminal.wait_for(TAKEN);
    terminal.wait_for("Subject");
    let read = |name: &str| fs::read_to_string(postroom.folder().join(name)).unwrap();
    assert_eq!(read("typed"), "quit?\n");
    assert!(read("paged").contains("user1@example.com"));
    terminal.press("q");
    terminal.wait_for(GIVEN_BACK);
    assert!(terminal.wait().success());
}

/// A receiver at the dot of a resend, and the traceback of its first try in a pager that waits for a line to be typed.
fn reading_while_sending() -> (Postroom, Server, Terminal) {
    let script = Script::accept_all()
        .first(1, Phase::Rcpt, Reply::reply(451, "4.7.1", "later"))
        .on(Phase::Dot, Reply::accept().when_released());
    let (postroom, server) = stored(1, script);
    assert_eq!(postroom.deliver().failed, 1);
    let pager = "cat > paged; head -n 1 <&2 > typed";
    let mut terminal = Terminal::start(&postroom, (80, 24), &["console"], &[("PAGER", pager)]);
    terminal.wait_for(TAKEN);
    terminal.wait_for("user1@example.com");
    terminal.press("\rr");
    terminal.wait_for("[y/N]");
    terminal.press("y");
    assert!(server.wait_for(|ledger| ledger.met(Phase::Dot) > 0, SOON));
    terminal.press("p");
    terminal.wait_for(GIVEN_BACK);
    (postroom, server, terminal)
}

#[test]
fn a_resend_goes_on_while_its_operator_reads_in_the_pager_and_is_told_afterwards() {
    let (postroom, server, mut terminal) = reading_while_sending();
    server.release();
    postroom.wait_until("it is sent", |postroom| postroom.count("status:sent") == 1);
    terminal.press("read\n");
    terminal.wait_for(TAKEN);
    terminal.wait_for("resend: 1 sent");
    let paged = fs::read_to_string(postroom.folder().join("paged")).unwrap();
    assert!(paged.contains("451 4.7.1 later"), "{paged}");
    terminal.press("q");
    terminal.wait_for(GIVEN_BACK);
    assert!(terminal.wait().success());
}

#[test]
fn ctrl_z_in_the_pager_leaves_nothing_in_the_hands_of_a_console_that_stands_still() {
    let (postroom, server, mut terminal) = reading_while_sending();
    // What the terminal sends to everybody on it.
    terminal.signal(Signal::TSTP);
    terminal.wait_until_stopped();
    assert_eq!(postroom.count("is:sending"), 0);
    assert_eq!(postroom.count("reason:unconfirmed"), 1);
    server.release();
    terminal.signal(Signal::CONT);
    postroom.wait_until("it is sent", |postroom| postroom.count("status:sent") == 1);
    terminal.press("read\n");
    terminal.wait_for(TAKEN);
    // By whom it was sent depends on whether the first answer was there when the process went on.
    terminal.wait_for("resend: ");
    terminal.press("q");
    assert!(terminal.wait().success());
}

#[test]
fn a_pager_that_is_not_there_is_told_and_the_console_goes_on() {
    let (postroom, _server) = stored(1, Script::accept_all());
    let variables = [("PAGER", "no-such-pager 2>/dev/null")];
    let mut terminal = Terminal::start(&postroom, (200, 24), &["console"], &variables);
    terminal.wait_for("user1@example.com");
    terminal.press("\rp");
    terminal.wait_for("cannot be run");
    terminal.press("q");
    terminal.wait_for(GIVEN_BACK);
    assert!(terminal.wait().success());
}

#[test]
fn what_others_do_is_shown_also_to_who_never_stops_pressing_keys() {
    let (postroom, _server) = stored(1, Script::accept_all());
    let mut terminal = Terminal::start(&postroom, (120, 24), &["console"], &[]);
    terminal.wait_for("user1@example.com");
    postroom.run(&["cancel", "--all", "--yes"]).ok();
    let until = Instant::now() + SOON;
    loop {
        terminal.press(" ");
        let frame = terminal.wait_between("", "\x1b[?2026l");
        if frame.contains("cancelled") {
            break;
        }
        assert!(Instant::now() < until, "never shown");
    }
}

#[test]
fn what_is_saved_lies_in_the_folder_the_console_was_started_in() {
    let (postroom, _server) = stored(1, Script::accept_all());
    let mut terminal = Terminal::start(&postroom, (120, 24), &["console"], &[]);
    terminal.wait_for("user1@example.com");
    terminal.press("\r5");
    terminal.wait_for("Uid");
    terminal.press("s\r");
    terminal.wait_for("saved");
    let saved = postroom.folder().join("postroom-1-details.txt");
    assert!(fs::read_to_string(&saved).unwrap().contains("Uid"));
    terminal.press("s\r");
    terminal.wait_for("[y/N]");
    terminal.press("nq");
    terminal.wait_for(GIVEN_BACK);
    assert!(terminal.wait().success());
}

#[test]
fn a_receiver_is_shown_with_what_its_operators_did_and_its_content_when_asked() {
    let (postroom, _server) = stored(2, Script::accept_all());
    postroom.run(&["hold", "--id", "1", "--yes"]).ok();
    postroom.run(&["release", "--id", "1", "--yes"]).ok();
    let mut asking = Asking::of(&postroom);
    let actions = |asking: &mut Asking, id| match asking.0.answer(&Question::Detail(ReceiverId(id)))
    {
        Ok(Answer::Detail(Some(detail))) => detail
            .actions
            .iter()
            .map(|entry| entry.action.raw().to_owned())
            .collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(actions(&mut asking, 1), ["hold", "release"]);
    assert!(actions(&mut asking, 2).is_empty());
    let content = |id| Question::Content {
        id: ReceiverId(id),
        part: Part::Text,
        width: 80,
    };
    let Ok(Answer::Content(Some(reading))) = asking.0.answer(&content(1)) else {
        panic!("it is there");
    };
    assert!(reading.page.plain().contains("user1@example.com"));
    assert_eq!(asking.0.answer(&content(3)), Ok(Answer::Content(None)));
}

#[test]
fn rows_are_read_in_every_order_around_where_a_receiver_stood() {
    let (postroom, _server) = stored(20, Script::accept_all());
    let mut asking = Asking::of(&postroom);
    let place = asking.place(10);
    let by_type = |at, text: &str| {
        Question::Window(WindowQuestion {
            query: query(text),
            sort: By::Type.into(),
            at,
            above: 2,
            below: 3,
            marks: None,
        })
    };
    let mut rows = |at, text: &str| match asking.0.answer(&by_type(at, text)).unwrap() {
        Answer::Window(window) => {
            let ids: Vec<i64> = window.rows.iter().map(|row| row.id.0).collect();
            (ids, window.elsewhere)
        }
        other => panic!("{other:?}"),
    };
    // Comments have odd numbers, feedback even ones.
    assert_eq!(rows(At::First, "").0, [19, 17, 15]);
    assert_eq!(rows(At::Last, "").0, [10, 8, 6, 4, 2]);
    assert_eq!(rows(At::Around(place.clone()), "").0, [14, 12, 10, 8, 6]);
    let found = At::Find(ReceiverId(1), place.clone());
    assert_eq!(rows(found, "").0, [5, 3, 1, 20, 18]);
    let missing = At::Find(ReceiverId(99), place.clone());
    assert_eq!(rows(missing, "").0, [14, 12, 10, 8, 6]);
    assert_eq!(
        rows(At::Keep(place.clone()), "type:comment").0,
        [19, 17, 15]
    );
    assert!(!rows(At::Around(place), "type:comment").1);
}

#[test]
fn a_receiver_whose_status_changed_stands_elsewhere_in_the_order_of_status() {
    let (postroom, _server) = stored(20, Script::accept_all());
    let mut asking = Asking::of(&postroom);
    let place = asking.place(10);
    postroom.deliver();
    let question = Question::Window(WindowQuestion {
        query: query("id:10,11"),
        sort: By::Status.into(),
        at: At::Around(place),
        above: 0,
        below: 0,
        marks: None,
    });
    match asking.0.answer(&question).unwrap() {
        Answer::Window(window) => assert!(window.elsewhere && window.rows.is_empty()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_store_says_what_a_query_may_name_and_where_its_ends_are() {
    let (postroom, _server) = stored(5, Script::accept_all());
    let mut asking = Asking::of(&postroom);
    let words = match asking.0.answer(&Question::Words).unwrap() {
        Answer::Words(words) => words,
        other => panic!("{other:?}"),
    };
    let raw = |words: &[postroom::message::Text]| -> Vec<String> {
        words.iter().map(|word| word.raw().to_owned()).collect()
    };
    assert_eq!(raw(&words.types), ["comment", "feedback"]);
    assert_eq!(raw(&words.backends), ["email"]);
    assert_eq!(raw(&words.languages), ["en"]);
    let ends = Question::Ends {
        query: query("type:feedback"),
        sort: Sort::default(),
    };
    match asking.0.answer(&ends).unwrap() {
        Answer::Ends(Some(ends)) => {
            assert_eq!((ends.0.id(), ends.1.id()), (ReceiverId(4), ReceiverId(2)));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_action_touches_those_that_were_counted_and_nobody_who_came_later() {
    let (postroom, server) = stored(3, Script::accept_all());
    let mut asking = Asking::of(&postroom);
    let target = Target::Query(query("status:not_sent"));
    let question = Question::Affected {
        action: Action::Hold,
        target: target.clone(),
    };
    let reach = match asking.0.answer(&question).unwrap() {
        Answer::Affected(reach) => reach,
        other => panic!("{other:?}"),
    };
    assert_eq!(reach.affected.total(), 3);
    let named: Vec<i64> = reach.first.iter().map(|row| row.id.0).collect();
    assert_eq!(named, [3, 2, 1]);
    postroom.submit(&[message("later", "comment", &["later@example.com"])]);
    let order = Order {
        action: Action::Hold,
        target,
        chosen: reach.chosen,
    };
    let courier = courier(&postroom, &server);
    let outcome = courier
        .carry_out(&order, &Stop::default(), &|_| {})
        .unwrap();
    assert_eq!(outcome.affected.total(), 3);
    assert_eq!(postroom.count("is:held"), 3);
    assert_eq!(postroom.only("-is:held")["identity"], "later@example.com");
}

#[test]
fn columns_the_order_and_queries_are_there_at_the_next_start_in_a_file_for_the_owner_alone() {
    let (postroom, _server) = stored(3, Script::accept_all());
    let start = || Terminal::start(&postroom, (200, 24), &["console"], &[]);
    let mut terminal = start();
    terminal.wait_for("Created");
    // The second column goes; the rows are in another order; a query is asked, and kept under a name.
    terminal.press("Cj qss/user:nobody\x13");
    terminal.wait_for("keep the query as");
    terminal.press("none of them\r");
    terminal.wait_for("kept as `none of them` in");
    terminal.press("\x03q");
    assert!(terminal.wait().success());

    let kept = postroom.folder().join("xdg-state/postroom/console.json");
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&kept).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let mut terminal = start();
    let before = terminal.wait_between("ID", "Subject");
    assert!(before.contains("User") && !before.contains("Created"));
    terminal.wait_for("Sent▼");
    terminal.press("/none\t");
    terminal.wait_for("user:nobody");
    terminal.press("\x03q");
    assert!(terminal.wait().success());

    // From another version: nothing breaks.
    fs::write(&kept, "{\"version\":9}").unwrap();
    let mut terminal = start();
    terminal.wait_for("Created");
    terminal.press("q");
    assert!(terminal.wait().success());
}
