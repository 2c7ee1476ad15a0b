//! What the README promises of `kind = "sendmail"`: a program, its exit code, and nothing that a program could do to us.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, test_kill_process},
};
use serde_json::json;
use support::{SOON, Setup, message, raw_message};
use tempfile::TempDir;

/// A place for a program and for what it leaves behind.
struct Program {
    folder: TempDir,
}

impl Program {
    /// A shell script with this in it, called in its own folder.
    fn new(script: &str) -> Self {
        let program = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let script = format!(
            "#!/bin/sh\ncd '{}'\n{script}\n",
            program.place("").display()
        );
        fs::write(program.place("source"), script).unwrap();
        // Copied by another process: a file that we had open for writing might still be open in a child of another test, and then cannot be run.
        let copied = Command::new("install")
            .arg("-m755")
            .arg(program.place("source"))
            .arg(program.path())
            .status()
            .unwrap();
        assert!(copied.success());
        program
    }

    fn path(&self) -> PathBuf {
        self.place("sendmail")
    }

    fn place(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.place(name)).unwrap_or_default()
    }

    fn pid(&self, name: &str) -> Pid {
        Pid::from_raw(self.read(name).trim().parse().unwrap()).unwrap()
    }

    fn setup(&self) -> Setup {
        sendmail(&self.path())
    }
}

fn sendmail(program: &Path) -> Setup {
    Setup::new()
        .set("backends.local.kind", "sendmail")
        .set("backends.local.program", program.to_str().unwrap())
        .set("backends.local.from", "no-reply@example.com")
}

/// Waits for the end of a process that is not our child.
fn wait_for_the_end_of(pid: Pid) {
    // One that is gone cannot be opened.
    if let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) {
        let soon = SOON.try_into().unwrap();
        let ended = poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&soon));
        assert_eq!(ended, Ok(1), "{pid:?} still runs");
    }
}

#[test]
fn a_program_gets_the_envelope_as_arguments_and_the_message_as_it_is() {
    let program = Program::new("printf '%s\\n' \"$@\" > args; cat > message; echo queued as 17");
    let postroom = program.setup().build();
    let mut letter = message("k", "t", &["april@example.com"]);
    letter["content"]["en"]["text"] = json!("one\n.\nafter the dot\n");
    postroom.submit(&[letter]);
    assert_eq!(postroom.deliver().sent, 1);
    assert_eq!(
        program.read("args"),
        "-i\n-f\nno-reply@example.com\n--\napril@example.com\n"
    );
    let told = program.read("message");
    assert!(!told.contains('\r'), "{told:?}");
    assert!(told.contains("To: april@example.com\n"), "{told}");
    assert!(told.ends_with("\n\none\n.\nafter the dot\n\n"), "{told:?}");
    assert_eq!(postroom.state_of(""), "sent/accepted");
}

#[test]
fn a_raw_message_to_several_is_one_call_each_and_only_the_refused_one_fails() {
    let program = Program::new(
        "for to; do :; done; echo \"$to\" >> called; cat > \"$to\"; [ \"$to\" != b@example.com ] || exit 67",
    );
    let postroom = program.setup().build();
    let to = ["a@example.com", "b@example.com", "c@example.com"];
    postroom.submit(&[raw_message("k", &to)]);
    let summary = postroom.deliver();
    assert_eq!((summary.sent, summary.error), (2, 1));
    assert_eq!(program.read("called").lines().count(), 3);
    assert_eq!(postroom.state_of("to:b@example.com"), "error/permanent");
    assert!(
        program
            .read("c@example.com")
            .starts_with("From: raw@example.com\n")
    );
}

#[test]
fn what_an_exit_code_means_is_what_sysexits_says() {
    let program = Program::new(
        "for to; do :; done; code=${to%@*}; echo \"about $code\" >&2; exit \"${code#c}\"",
    );
    let postroom = program.setup().build();
    let permanent = [65, 67, 68, 69];
    let temporary = [1, 66, 70, 71, 72, 73, 74, 75, 76, 255];
    let all: Vec<_> = permanent.iter().chain(&temporary).collect();
    for code in &all {
        postroom.submit(&[message(
            &format!("k{code}"),
            "t",
            &[&format!("c{code}@example.com")],
        )]);
    }
    let summary = postroom.deliver();
    assert_eq!(
        (summary.error, summary.failed),
        (permanent.len() as u64, temporary.len() as u64)
    );
    for code in all {
        let shown = postroom.show_only(&format!("to:c{code}@example.com"));
        let attempt = &shown["attempts"][0];
        let wanted = if permanent.contains(code) {
            "permanent"
        } else {
            "temporary"
        };
        assert_eq!(attempt["outcome"], wanted, "{code}");
        for field in ["error", "traceback", "transcript"] {
            let told = attempt[field].as_str().unwrap();
            assert!(
                told.contains(&format!("ended with {code}"))
                    && told.contains(&format!("about c{code}")),
                "{field}: {told}"
            );
        }
    }
}

#[test]
fn a_program_that_cannot_be_used_is_the_backends_trouble_and_nobodys_failure() {
    for code in [64, 77, 78, 127] {
        let program = Program::new(&format!("echo 'no, not so' >&2; exit {code}"));
        let postroom = program.setup().build();
        postroom.submit(&[message("k", "t", &["april@example.com"])]);
        assert_eq!(postroom.deliver().backend, 1);
        let shown = postroom.show_only("");
        assert_eq!(
            (&shown["reason"], &shown["failed_count"]),
            (&json!("backend"), &json!(0))
        );
        let backend = postroom.backend();
        assert_eq!(backend["state"], "down");
        let error = backend["error"].as_str().unwrap();
        assert!(error.contains("no, not so"), "{error}");
    }
}

#[test]
fn a_program_that_is_not_there_is_named_and_is_nobodys_failure() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("script");
    fs::write(&script, "#!/bin/sh\n").unwrap();
    let missing = folder.path().join("missing");
    for (program, words) in [
        (missing.as_path(), "there is no program /"),
        (
            Path::new("no-such-program-anywhere"),
            "in any folder of PATH",
        ),
        (script.as_path(), "may not be executed"),
        (folder.path(), "it is no file"),
    ] {
        let postroom = sendmail(program).build();
        postroom.submit(&[message("k", "t", &["april@example.com"])]);
        assert_eq!(postroom.deliver().backend, 1);
        let shown = postroom.show_only("");
        assert_eq!(
            (&shown["reason"], &shown["failed_count"]),
            (&json!("backend"), &json!(0))
        );
        let backend = postroom.backend();
        let error = backend["error"].as_str().unwrap();
        assert!(error.contains(words), "{error}");
        let probe = postroom.run(&["backend", "local", "probe"]).exit(1);
        assert!(probe.stderr.contains(words), "{}", probe.stderr);
    }
}

#[test]
fn a_program_that_dies_or_hangs_with_the_message_leaves_it_to_the_operator() {
    for (script, words) in [
        ("kill -9 $$", "was ended by signal 9"),
        (
            "echo $$ > leader; sleep 1000 & echo $! > child; wait",
            "did not end within 500ms",
        ),
    ] {
        let program = Program::new(script);
        let postroom = program
            .setup()
            .set("backends.local.timeout", "500ms")
            .build();
        postroom.submit(&[message("k", "t", &["april@example.com"])]);
        assert_eq!(postroom.deliver().unconfirmed, 1);
        assert_eq!(postroom.state_of(""), "error/unconfirmed");
        let attempt = &postroom.show_only("")["attempts"][0];
        assert_eq!(attempt["outcome"], "unknown");
        assert!(
            attempt["error"].as_str().unwrap().contains(words),
            "{attempt}"
        );
        if words.contains("within") {
            wait_for_the_end_of(program.pid("leader"));
            wait_for_the_end_of(program.pid("child"));
        }
    }
}

#[test]
fn a_program_that_does_not_read_prints_without_end_and_leaves_others_behind_does_no_harm() {
    let program = Program::new(
        "exec <&-; head -c 30000000 /dev/zero | tr '\\0' x; head -c 3000000 /dev/zero | tr '\\0' y >&2; sleep 1000 & echo $! > left; echo >&2; echo the end >&2; exit 75",
    );
    let postroom = program.setup().build();
    let mut letter = message("k", "t", &["april@example.com"]);
    letter["content"]["en"]["text"] = json!("a long line of text\n".repeat(100_000));
    postroom.submit(&[letter]);
    let since = Instant::now();
    assert_eq!(postroom.deliver().failed, 1);
    assert!(since.elapsed() < Duration::from_secs(60));
    let attempt = &postroom.show_only("")["attempts"][0];
    let transcript = attempt["transcript"].as_str().unwrap();
    assert!(transcript.len() < 40_000, "{}", transcript.len());
    assert!(transcript.contains("bytes left out]") && transcript.contains("the end\n"));
    assert!(attempt["error"].as_str().unwrap().ends_with("the end"));
    // It was none of our business: sendmail, too, leaves one behind that delivers.
    let left = program.pid("left");
    assert!(test_kill_process(left).is_ok());
    kill_process(left, Signal::KILL).unwrap();
}

#[test]
fn the_store_knows_who_may_get_it_before_the_program_begins() {
    let program = Program::new("echo called >> calls; echo $$ > pid; kill -9 $PPID; cat > message");
    let postroom = program.setup().build();
    postroom.submit(&[message("k", "t", &["april@example.com"])]);
    let killed = postroom.run(&["deliver"]);
    assert_eq!(killed.status.code(), None);
    assert_eq!(postroom.deliver().unconfirmed, 0);
    assert_eq!(postroom.state_of(""), "error/unconfirmed");
    assert_eq!(program.read("calls"), "called\n");
    // Who reads to the end of a file reads all of it, whether we still live or not.
    wait_for_the_end_of(program.pid("pid"));
    let told = program.read("message");
    assert!(told.ends_with("Hello, this is k.\n\n"), "{told}");
}

#[test]
fn no_address_is_ever_an_option() {
    let program = Program::new("echo called >> calls");
    let postroom = program.setup().build();
    let mut from = message("from", "t", &["april@example.com"]);
    from["return_path"] = json!("-oQ/tmp@example.com");
    postroom.submit(&[message("to", "t", &["-oQ/tmp@example.com"]), from]);
    assert_eq!(postroom.deliver().error, 2);
    assert_eq!(program.read("calls"), "");
    for key in ["key:to", "key:from"] {
        let shown = postroom.show_only(key);
        let error = shown["attempts"][0]["error"].as_str().unwrap();
        assert!(error.contains("begins with `-`"), "{error}");
    }
}

#[test]
fn the_null_sender_is_given_as_such() {
    let program = Program::new("printf '%s\\n' \"$@\" > args");
    let postroom = program
        .setup()
        .set(
            "backends.local.args",
            vec!["--from={sender}", "{recipient}"],
        )
        .build();
    let mut letter = message("k", "t", &["april@example.com"]);
    letter["return_path"] = json!("");
    postroom.submit(&[letter]);
    assert_eq!(postroom.deliver().sent, 1);
    assert_eq!(program.read("args"), "--from=<>\napril@example.com\n");
}

#[test]
fn a_probe_says_what_would_be_run_and_runs_nothing() {
    let program = Program::new("echo called >> calls");
    let postroom = program.setup().build();
    let told = postroom.run(&["backend", "local", "probe"]).ok().stdout;
    assert!(told.contains("It was not run"), "{told}");
    assert!(
        told.contains("/sendmail -i -f {sender} -- {recipient}"),
        "{told}"
    );
    assert_eq!(program.read("calls"), "");
}

#[test]
fn what_a_program_prints_cannot_steer_the_terminal() {
    let program =
        Program::new("printf '\\033[2Jno\\a\\r\\000\\377 \\342\\200\\256x\\n' >&2; exit 69");
    let postroom = program.setup().build();
    postroom.submit(&[message("k", "t", &["april@example.com"])]);
    assert_eq!(postroom.deliver().error, 1);
    let shown = postroom.run(&["show", "1"]).ok().stdout;
    let harmful = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
    assert!(
        shown.contains("[2Jno") && !shown.contains(harmful),
        "{shown}"
    );
}
