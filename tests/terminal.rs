//! The console on a real terminal: it takes it, gives it back whatever happens, and ends when there is none any more.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{fs, os::unix::process::ExitStatusExt as _, path::Path, process::Command};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use postroom::demo::server::{Action, Phase, Script, Server};
use support::{Postroom, Setup, Signal, Terminal, message};

/// What a terminal is told when a program takes it, and when it gives it back.
const TAKEN: &str = "\x1b[?1049h";
const GIVEN_BACK: &str = "\x1b[?1049l";

/// A store whose one receiver was refused.
fn refused() -> (Postroom, Server) {
    let script = Script::accept_all().on(Phase::Rcpt, Action::reply(550, "5.1.1", "no such user"));
    let server = Server::start(script).unwrap();
    let postroom = Postroom::to(&server);
    postroom.submit(&[message("m1", "feedback", &["ben@example.com"])]);
    postroom.deliver();
    (postroom, server)
}

fn open(postroom: &Postroom, arguments: &[&str]) -> Terminal {
    let terminal = Terminal::start(postroom, (80, 24), arguments, &[]);
    terminal.wait_for(TAKEN);
    terminal.wait_for("ben@example.com");
    terminal
}

/// It gives the terminal back, stands still, takes it again when it is woken, and leaves it in order.
fn stands_and_comes_back(mut terminal: Terminal) {
    terminal.wait_for(GIVEN_BACK);
    terminal.wait_until_stopped();
    terminal.signal(Signal::CONT);
    terminal.wait_for(TAKEN);
    terminal.wait_for("ben@example.com");
    terminal.press("q");
    terminal.wait_for(GIVEN_BACK);
    assert!(terminal.wait().success());
}

#[test]
fn a_signal_ends_the_console_at_once_and_the_terminal_is_as_before() {
    let (postroom, _server) = refused();
    for signal in [Signal::TERM, Signal::HUP] {
        let mut terminal = open(&postroom, &["console"]);
        terminal.signal(signal);
        terminal.wait_for(GIVEN_BACK);
        assert_eq!(terminal.wait().signal(), Some(signal.as_raw()));
    }
}

#[test]
fn a_terminal_that_vanishes_without_a_signal_ends_the_console() {
    let (postroom, _server) = refused();
    let mut terminal = open(&postroom, &["console"]);
    terminal.hang_up();
    assert_eq!(terminal.wait().signal(), Some(Signal::HUP.as_raw()));
}

#[test]
fn a_terminal_that_vanishes_before_the_first_frame_ends_the_console_too() {
    let (postroom, _server) = refused();
    let mut terminal = Terminal::start(&postroom, (80, 24), &["console"], &[]);
    terminal.wait_for(TAKEN);
    terminal.hang_up();
    assert_eq!(terminal.wait().signal(), Some(Signal::HUP.as_raw()));
}

#[test]
fn ctrl_z_stops_the_console_and_fg_shows_it_whole_again() {
    let (postroom, _server) = refused();
    let mut terminal = open(&postroom, &["console"]);
    terminal.press("\x1a");
    stands_and_comes_back(terminal);
}

#[test]
fn ctrl_z_in_a_question_stops_the_console_and_fg_shows_it_unanswered() {
    let (postroom, _server) = refused();
    let mut terminal = open(&postroom, &["console"]);
    terminal.press("r");
    terminal.wait_for("[y/N]");
    terminal.press("\x1a");
    terminal.wait_for(GIVEN_BACK);
    terminal.wait_until_stopped();
    terminal.signal(Signal::CONT);
    terminal.wait_for(TAKEN);
    terminal.wait_for("[y/N]");
    assert_eq!(postroom.count("status:error"), 1, "nothing was resent");
    terminal.press("nq");
    terminal.wait_for(GIVEN_BACK);
    assert!(terminal.wait().success());
}

#[test]
fn a_signal_to_stand_still_gives_the_terminal_back_first() {
    let (postroom, _server) = refused();
    let terminal = open(&postroom, &["console"]);
    terminal.signal(Signal::TSTP);
    stands_and_comes_back(terminal);
}

#[test]
fn a_storm_of_sizes_leaves_the_console_standing_and_drawn_for_the_last_one() {
    let (postroom, _server) = refused();
    let mut terminal = open(&postroom, &["console"]);
    for n in 0..40 {
        let size = [(500, 200), (1, 1), (40, 10), (39, 9), (200, 3), (3, 200)][n % 6];
        terminal.resize(size);
    }
    terminal.resize((80, 24));
    terminal.press("c");
    terminal.wait_for("550 5.1.1");
    terminal.press("q");
    terminal.wait_for(GIVEN_BACK);
    assert!(terminal.wait().success());
}

#[test]
fn every_frame_reaches_the_terminal_in_one_piece() {
    let (postroom, _server) = refused();
    let mut terminal = open(&postroom, &["console"]);
    terminal.press("c");
    let before = terminal.wait_between("", "Cause");
    let begun = before.rfind("\x1b[?2026h");
    assert!(begun > before.rfind("\x1b[?2026l"), "{before:?}");
    terminal.wait_for("\x1b[?2026l");
    terminal.press("q");
    assert!(terminal.wait().success());
}

#[test]
fn a_read_only_console_cannot_write_to_the_store_and_says_why_a_key_does_nothing() {
    let (postroom, _server) = refused();
    let mut terminal = open(&postroom, &["console", "--read-only"]);
    let store = postroom.store_path().canonicalize().unwrap();
    let process = format!("/proc/{}", terminal.pid().as_raw_nonzero());
    let mut opened = 0;
    for fd in fs::read_dir(format!("{process}/fd")).unwrap() {
        let fd = fd.unwrap();
        if fs::read_link(fd.path()).is_ok_and(|path| path == store) {
            let name = fd.file_name().into_string().unwrap();
            let info = fs::read_to_string(format!("{process}/fdinfo/{name}")).unwrap();
            let flags = info
                .lines()
                .find_map(|line| line.strip_prefix("flags:"))
                .unwrap();
            let flags = u32::from_str_radix(flags.trim(), 8).unwrap();
            assert_eq!(flags & 3, 0, "it is open for writing");
            opened += 1;
        }
    }
    assert!(opened > 0);
    terminal.press("r");
    terminal.wait_for("start it without --read-only");
    terminal.press("q");
    assert!(terminal.wait().success());
}

#[test]
fn keys_and_the_mouse_are_those_of_the_config() {
    let (postroom, server) = refused();
    let keys = toml::toml! {
        quit = "Q"
        causes = ["f5", "Z"]
    };
    let setup = Setup::new()
        .smtp("email", &server)
        .set("console.mouse", true);
    postroom.configure(setup.set("keys", keys));
    let mut terminal = Terminal::start(&postroom, (80, 24), &["console"], &[]);
    // Before the screen is taken, and after it is given back.
    terminal.wait_for("\x1b[?1000h");
    terminal.wait_for("ben@example.com");
    terminal.press("qZ");
    terminal.wait_for("Cause");
    terminal.press("Q");
    terminal.wait_for("\x1b[?1000l");
    terminal.wait_for(GIVEN_BACK);
    assert!(terminal.wait().success());
}

#[test]
fn a_key_that_means_two_things_is_told_before_the_screen_is_taken_and_by_check() {
    let (postroom, server) = refused();
    let keys = toml::toml! { resend = "a" };
    let setup = Setup::new().smtp("email", &server).set("keys", keys);
    postroom.configure(setup);
    let mut terminal = Terminal::start(&postroom, (300, 24), &["console"], &[]);
    terminal.wait_for("config.toml: [keys]: in the table `a` means both `mark-all` and `resend`");
    assert_eq!(terminal.wait().code(), Some(1));
    let checked = postroom.run(&["check"]).exit(1).stdout;
    assert!(checked.contains("`mark-all` and `resend`"), "{checked}");
    let colors = toml::toml! { faild = "red" };
    let setup = Setup::new()
        .smtp("email", &server)
        .set("console.colors", colors);
    postroom.configure(setup);
    let checked = postroom.run(&["check"]).exit(1).stdout;
    assert!(checked.contains("did you mean `failed`"), "{checked}");
    assert_eq!(
        postroom.deliver().sent,
        0,
        "whoever delivers has no use for colours"
    );
}

#[test]
fn what_a_screen_copies_prints_the_same_on_a_command_line() {
    let (postroom, _server) = refused();
    let store = postroom.store_path();
    let arguments = [
        "--store",
        store.to_str().unwrap(),
        "console",
        "--",
        "-to:it's status:error",
    ];
    let mut terminal = open(&postroom, &arguments);
    for (keys, prints) in [
        ("yc", "ben@example.com"),
        ("\ryc", "550 5.1.1"),
        ("\x1bcyc", "550 5.1.1"),
        ("oyc", "1 failed; now"),
    ] {
        terminal.press(keys);
        let copied = terminal.wait_between("\x1b]52;c;", "\x07");
        let command = String::from_utf8(STANDARD.decode(copied).unwrap()).unwrap();
        let printed = on_a_command_line(&postroom, &command);
        assert!(printed.contains(prints), "`{command}` prints {printed}");
    }
    terminal.press("q");
    assert!(terminal.wait().success());
}

/// What a command prints that is typed into a shell, in another folder.
fn on_a_command_line(postroom: &Postroom, command: &str) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_postroom"));
    let mut shell = Command::new("sh");
    for (name, value) in postroom.command(&[]).get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    let path = format!("{}:/usr/bin:/bin", program.parent().unwrap().display());
    let ran = shell
        .args(["-c", command])
        .env("PATH", path)
        .env_remove("POSTROOM_STORE")
        .current_dir("/")
        .output()
        .unwrap();
    let printed = String::from_utf8(ran.stdout).unwrap();
    assert!(
        !printed.is_empty(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    printed
}
