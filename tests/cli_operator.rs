//! What an operator does from a shell: look, and act on exactly whom they meant.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests should panic where they cannot go on"
)]

mod support;

use std::{
    fs::{File, OpenOptions},
    io::Read as _,
    path::Path,
    process::Command,
};

use postroom::{
    demo::server::{Action, Phase, Script, Server},
    store::SCHEMA,
};
use rustix::pty::OpenptFlags;
use serde_json::{Value, json};
use support::{Postroom, Setup, message, raw_message};

/// Three receivers that wait: 1 april, 2 andy, 3 ron.
fn three() -> Postroom {
    let postroom = Setup::new().file("disk").build();
    postroom.submit(&[
        message("a", "feedback", &["april@example.com", "andy@example.com"]),
        message("b", "deadline_moved", &["ron@example.org"]),
    ]);
    postroom
}

fn ids(rows: &[Value]) -> Vec<i64> {
    rows.iter().map(|row| row["id"].as_i64().unwrap()).collect()
}

#[test]
fn a_receiver_in_json_has_the_keys_that_scripts_rely_on() {
    let postroom = three();
    let row = postroom.only("id:3");
    for key in [
        "id",
        "message_key",
        "type",
        "created_at",
        "subject",
        "user",
        "identity",
        "backend",
        "language",
        "status",
        "reason",
        "failed_count",
        "sent_count",
        "sent_at",
        "next_attempt_at",
        "sending",
        "delivery",
    ] {
        assert!(row.get(key).is_some(), "{key} is missing in {row}");
    }
    assert_eq!(row["message_key"], "b");
    assert_eq!(
        (&row["status"], &row["reason"], &row["sending"]),
        (&json!("not_sent"), &json!("queued"), &json!(false))
    );
    assert!(row["created_at"].as_str().unwrap().ends_with('Z'));

    postroom.deliver();
    let shown = postroom.show_json(3);
    assert_eq!(shown["message_status"], "sent");
    assert_eq!(shown["content"]["subject"], "About b");
    assert_eq!(shown["attempts"][0]["number"], 1);
    assert_eq!(shown["attempts"][0]["reply"], json!(null));
    for key in [
        "started_at",
        "ended_at",
        "outcome",
        "code",
        "enhanced_code",
        "error",
        "traceback",
        "transcript",
        "by",
    ] {
        assert!(shown["attempts"][0].get(key).is_some(), "{key} is missing");
    }
}

#[test]
fn the_metadata_of_message_and_receiver_is_shown_together_and_apart() {
    let postroom = Setup::new().file("disk").build();
    let mut line = message("a", "t", &["april@example.com"]);
    line["metadata"] = json!({"course": 7, "group": 1});
    line["receivers"][0]["metadata"] = json!({"group": 25});
    postroom.submit(&[line]);
    let shown = postroom.show_json(1);
    assert_eq!(shown["metadata"], json!({"course": 7, "group": 25}));
    assert_eq!(shown["message_metadata"], json!({"course": 7, "group": 1}));
    assert_eq!(shown["receiver_metadata"], json!({"group": 25}));
}

#[test]
fn lists_are_newest_first_unless_asked_and_stop_at_the_limit() {
    let postroom = three();
    let json = |arguments: &[&str]| {
        let arguments = [&["list", "--format", "json"], arguments].concat();
        ids(&postroom.run(&arguments).ok().json_lines())
    };
    assert_eq!(json(&[]), [3, 2, 1]);
    assert_eq!(json(&["--sort", "oldest"]), [1, 2, 3]);
    assert_eq!(json(&["--sort", "id:asc"]), [1, 2, 3]);
    assert_eq!(json(&["--sort", "created_at:asc"]), [1, 2, 3]);
    assert_eq!(json(&["--sort", "type"]), [3, 2, 1]);
    assert_eq!(json(&["--sort", "type:desc"]), [2, 1, 3]);
    assert_eq!(json(&["--limit", "2"]), [3, 2]);
    assert_eq!(json(&["--", "type:feedback", "-user:april"]), [2]);
    assert_eq!(json(&["--", "-type:feedback"]), [3]);
    assert_eq!(json(&["type:feedback user:april"]), [1]);
}

#[test]
fn an_order_without_an_index_is_refused_with_the_reason() {
    let postroom = three();
    for (order, why) in [
        ("subject", "no index gives the order of `subject`"),
        ("creatd", "did you mean `created`?"),
        ("type:up", "`up` is no direction"),
    ] {
        let ran = postroom.run(&["list", "--sort", order]).exit(2);
        assert!(
            ran.stderr.contains(why) && ran.stderr.contains("id, created, sent, type, status"),
            "{ran:?}"
        );
    }
}

#[test]
fn a_list_by_status_or_by_time_of_sending_shows_everybody_once() {
    let postroom = three();
    postroom.run(&["hold", "user:ron", "--yes"]).ok();
    postroom.deliver();
    let by = |sort| {
        let arguments = ["list", "--format", "json", "--sort", sort];
        ids(&postroom.run(&arguments).ok().json_lines())
    };
    assert_eq!(by("status"), [3, 2, 1]);
    assert_eq!(by("status:desc"), [2, 1, 3]);
    for sort in ["sent", "sent:asc"] {
        let listed = by(sort);
        assert_eq!(listed.len(), 3);
        assert_eq!(listed[2], 3, "who was never sent anything comes last");
    }
}

#[test]
fn ctrl_c_ends_a_list_at_once() {
    use std::os::unix::process::ExitStatusExt as _;
    let postroom = Setup::new().file("disk").build();
    // More than a pipe takes.
    postroom.submit(&support::several("m", 500));
    let mut child = postroom
        .command(&["list", "--limit", "0", "--format", "json"])
        .spawn()
        .unwrap();
    child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(2));
}

#[test]
fn a_long_list_is_whole_in_both_orders() {
    let postroom = Setup::new().file("disk").build();
    let many: Vec<_> = (0..1203)
        .map(|n| message(&format!("m{n}"), "t", &["april@example.com"]))
        .collect();
    postroom.submit(&many);
    let newest = ids(&postroom.list_json(""));
    assert!(newest.iter().copied().eq((1..=1203).rev()));
    let oldest = postroom
        .run(&[
            "list", "--format", "json", "--limit", "0", "--sort", "oldest",
        ])
        .ok();
    assert!(ids(&oldest.json_lines()).iter().copied().eq(1..=1203));
}

#[test]
fn a_table_has_the_labels_of_types_and_what_scripts_read_has_the_words() {
    let postroom = three();
    let labels = Setup::new().file("disk");
    postroom.configure(labels.set("types.deadline_moved", "Moved:\u{1b}[2J deadline"));
    let list = |format: &str| {
        let columns = ["list", "--columns", "id,type", "--format", format];
        postroom.run(&columns).ok().stdout
    };
    let table = list("table");
    assert!(table.contains("Moved:␛[2J deadline"), "{table}");
    assert!(table.contains("feedback"), "one without a label: {table}");
    for format in ["tsv", "json"] {
        let rows = list(format);
        assert!(rows.contains("deadline_moved"), "{rows}");
        assert!(!rows.contains("Moved:"), "{rows}");
    }
}

#[test]
fn tables_and_tsv_have_the_columns_that_were_asked_for() {
    let postroom = three();
    let ran = postroom
        .run(&["list", "--columns", "id,to,status", "user:ron"])
        .ok();
    assert_eq!(
        ran.stdout,
        "ID  To               Status\n 3  ron@example.org  Not sent\n"
    );
    let ran = postroom
        .run(&[
            "list",
            "--format",
            "tsv",
            "--columns",
            "id,identity,status,type,sending",
            "user:ron",
        ])
        .ok();
    assert_eq!(
        ran.stdout,
        "id\tidentity\tstatus\ttype\tsending\n3\tron@example.org\tnot_sent\tdeadline_moved\tfalse\n"
    );
    let ran = postroom
        .run(&[
            "list",
            "--format",
            "json",
            "--columns",
            "to,message_id",
            "user:ron",
        ])
        .ok();
    assert_eq!(
        ran.stdout,
        "{\"identity\":\"ron@example.org\",\"message_id\":2}\n"
    );
    let ran = postroom.run(&["list", "--columns", "id,subjct"]).exit(2);
    assert!(ran.stderr.contains("subject"), "{ran:?}");
    let ran = postroom.run(&["list", "status:sent"]).ok();
    assert!(ran.stdout.contains("No receiver matches"), "{ran:?}");
    assert_eq!(
        postroom
            .run(&["list", "status:sent", "--format", "json"])
            .ok()
            .stdout,
        ""
    );
}

#[test]
fn nothing_that_a_message_says_reaches_the_terminal_as_a_command() {
    let postroom = Setup::new().file("disk").build();
    let hostile = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\u{202e}gnp.exe\u{2028}\u{200b}\t";
    let mut line = message("a", "t", &["april@example.com"]);
    line["type"] = json!(hostile);
    line["content"]["en"]["subject"] = json!(hostile);
    line["content"]["en"]["text"] = json!(format!("{hostile}\r\n{hostile}"));
    line["receivers"][0]["user"] = json!(hostile);
    line["metadata"] = json!({hostile: hostile});
    postroom.submit(&[line]);
    for arguments in [
        &["list"][..],
        &[
            "list",
            "--color",
            "always",
            "--columns",
            "id,type,subject,user",
        ],
        &["list", "--format", "tsv"],
        &["list", "--format", "json"],
        &["show", "1"],
        &["show", "1", "--format", "json"],
    ] {
        let ran = postroom.run(arguments).ok();
        let dangerous = |c: char| {
            (c.is_control() && c != '\n' && !(c == '\t' && arguments.contains(&"tsv")))
                || matches!(c, '\u{202e}' | '\u{2028}' | '\u{200b}')
        };
        assert!(
            !ran.stdout.contains(dangerous),
            "{arguments:?}: {:?}",
            ran.stdout
        );
    }
    assert_eq!(postroom.only("")["subject"], hostile);
    let rows: Vec<_> = postroom
        .run(&["list", "--format", "tsv"])
        .ok()
        .stdout
        .lines()
        .map(|line| line.matches('\t').count())
        .collect();
    assert_eq!(rows, [10, 10], "a tab in a value makes no column");
}

#[test]
fn a_query_that_cannot_be_read_is_wrong_usage_and_points_at_the_place() {
    let postroom = three();
    for command in ["list", "resend", "hold", "release", "cancel", "mark-sent"] {
        let ran = postroom
            .run(&[command, "type:feedback", "statsu:failed"])
            .exit(2);
        assert!(ran.stderr.contains("did you mean `status`?"), "{ran:?}");
        assert!(ran.stderr.contains("\n                ^^^^^^\n"), "{ran:?}");
    }
}

#[test]
fn a_doubled_dash_is_wrong_usage_and_never_means_everybody() {
    let postroom = three();
    for query in [
        "--status:sent",
        "--nonsense:x",
        "---",
        "--",
        "type:t --x",
        "-",
    ] {
        for command in ["list", "resend", "cancel"] {
            let ran = postroom.run(&[command, "--", query]).exit(2);
            assert!(ran.stderr.contains('^'), "{query}: {ran:?}");
        }
    }
    assert_eq!(postroom.count("status:not_sent"), 3);
    assert_eq!(postroom.count("-\"--status\""), 3, "quoted it is a word");
}

#[test]
fn a_resend_of_what_may_have_arrived_says_so_before_it_is_done() {
    let server =
        Server::start(Script::accept_all().dot("ron@example.org", Action::close())).unwrap();
    let postroom = Setup::new()
        .smtp("email", &server)
        .set("backends.email.on_unknown", "hold")
        .build();
    postroom.submit(&[
        message("a", "feedback", &["april@example.com", "andy@example.com"]),
        message("b", "deadline_moved", &["ron@example.org"]),
    ]);
    postroom.deliver();
    assert_eq!(postroom.state_of("user:ron"), "error/unconfirmed");
    let ran = postroom.run(&["resend", "--all", "--dry-run"]).ok();
    assert_eq!(
        ran.stdout,
        "resend: would touch 3 receivers (1 Error, 2 Sent)\n2 of them are Sent: they go out a second time\n1 of them is unconfirmed: it may have arrived\n"
    );
    let ran = postroom.run(&["resend", "user:april"]).exit(2);
    assert!(
        ran.stderr
            .contains("1 of them is Sent: it goes out a second time"),
        "{ran:?}"
    );
}

#[test]
fn numbers_of_which_none_exists_are_a_failure() {
    let postroom = three();
    for arguments in [
        &["--id", "77"][..],
        &["--id", "77,78", "--yes"],
        &["--id", "77", "--dry-run"],
    ] {
        let ran = postroom.run(&[&["resend"], arguments].concat()).exit(1);
        assert!(ran.stderr.contains("postroom list"), "{ran:?}");
        let which = if arguments[1] == "77" {
            "there is no receiver 77:"
        } else {
            "there are no receivers 77 and 78:"
        };
        assert!(ran.stderr.contains(which), "{ran:?}");
        assert_eq!(ran.stdout, "");
    }
    let ran = postroom
        .run(&["resend", "--dry-run", "--id", "1,77,78"])
        .ok();
    assert!(
        ran.stdout
            .contains("1 receiver (1 Not sent); 77 and 78 do not exist"),
        "{ran:?}"
    );
    let many: Vec<String> = (1..=30).map(|id| id.to_string()).collect();
    let ran = postroom
        .run(&["resend", "--dry-run", "--id", &many.join(",")])
        .ok();
    assert!(
        ran.stdout
            .contains("; 4, 5, 6, 7, 8, 9, 10, 11, 12, 13 and 17 more do not exist"),
        "{ran:?}"
    );
    for arguments in [
        &["list", "--limit", "-1"][..],
        &["show", "-5"],
        &["resend", "--id", "-5"],
    ] {
        let ran = postroom.run(arguments).exit(2);
        assert!(
            !ran.stderr.contains("tip") && ran.stderr.contains("invalid value"),
            "{ran:?}"
        );
    }
    for arguments in [
        &["show", "0"][..],
        &["show", "april"],
        &["hold", "--id", "1,x"],
        &["delete-receivers", "-1"],
        &["delete-receivers", "90d"],
    ] {
        let ran = postroom.run(arguments).exit(2);
        assert!(ran.stderr.contains("is a whole"), "{ran:?}");
    }
}

#[test]
fn an_action_needs_to_know_whom() {
    let postroom = three();
    for command in ["resend", "hold", "release", "cancel", "mark-sent"] {
        let ran = postroom.run(&[command, "--yes"]).exit(2);
        assert!(ran.stderr.contains("--all"), "{ran:?}");
        postroom.run(&[command, "--yes", "  "]).exit(2);
        postroom.run(&[command, "--all", "--id", "1"]).exit(2);
    }
    assert_eq!(postroom.count("status:not_sent"), 3);
}

#[test]
fn without_a_terminal_an_action_wants_yes_and_touches_nothing() {
    let postroom = three();
    let ran = postroom.run_with(&["hold", "--all"], "y\n").exit(2);
    assert!(
        ran.stderr.contains("3 receivers (3 Not sent)") && ran.stderr.contains("--yes"),
        "{ran:?}"
    );
    assert_eq!(postroom.count("is:held"), 0);
}

/// What `postroom list` writes to a pseudo-terminal of this width, line by line.
fn listed_at(postroom: &Postroom, width: usize, arguments: &[&str]) -> Vec<String> {
    seen_at(postroom, width, &[&["list"], arguments].concat())
}

/// What a command writes to a pseudo-terminal of this width, line by line.
fn seen_at(postroom: &Postroom, width: usize, arguments: &[&str]) -> Vec<String> {
    let master = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    rustix::pty::grantpt(&master).unwrap();
    rustix::pty::unlockpt(&master).unwrap();
    let name = rustix::pty::ptsname(&master, Vec::new()).unwrap();
    let name = Path::new(std::str::from_utf8(name.as_bytes()).unwrap());
    let terminal = OpenOptions::new().write(true).open(name).unwrap();
    let sized = Command::new("stty")
        .args(["cols", &width.to_string(), "rows", "24", "-F"])
        .arg(name)
        .status()
        .unwrap();
    assert!(sized.success());
    let mut child = postroom
        .command(&[&["--color", "never"], arguments].concat())
        .stdout(terminal)
        .spawn()
        .unwrap();
    let (mut master, mut seen, mut some) = (File::from(master), Vec::new(), [0; 4096]);
    // The terminal hangs up with its last writer.
    while let Ok(n @ 1..) = master.read(&mut some) {
        seen.extend(&some[..n]);
    }
    assert!(child.wait().unwrap().success());
    let text = String::from_utf8(seen).unwrap();
    text.lines().map(ToOwned::to_owned).collect()
}

#[test]
fn causes_and_backends_fit_the_terminal_and_keep_room_for_what_went_wrong() {
    let server = Server::start(Script::accept_all()).unwrap();
    let postroom = Postroom::to(&server);
    drop(server);
    postroom.submit(&[message("a", "feedback", &["april@example.com"])]);
    postroom.deliver();
    for (command, narrow, wide) in [
        (
            "causes",
            &["Cause", "Count", "Text", "Last", "seen", "Sample"][..],
            10,
        ),
        (
            "backend",
            &[
                "Backend", "Kind", "State", "Since", "Waiting", "Last", "error",
            ],
            9,
        ),
    ] {
        let lines = seen_at(&postroom, 80, &[command]);
        assert_eq!(lines[0].split_whitespace().collect::<Vec<_>>(), narrow);
        assert!(
            lines.len() == 2
                && lines.iter().all(|line| line.chars().count() <= 80)
                && lines[1].contains("no connection to"),
            "{lines:#?}"
        );
        let lines = seen_at(&postroom, 160, &[command]);
        assert_eq!(lines[0].split_whitespace().count(), wide, "{lines:#?}");
    }
}

#[test]
fn a_list_fits_the_terminal_and_keeps_what_an_operator_needs() {
    let postroom = Setup::new().file("disk").build();
    let mut line = message("a", "deadline_moved", &["april.oneil@students.example.com"]);
    line["content"]["en"]["subject"] = json!("The deadline of the second assignment was moved");
    postroom.submit(&[line]);
    for (width, headings) in [
        (60, &["ID", "To", "Subject", "Status"][..]),
        (80, &["ID", "To", "Subject", "Status", "Reason"]),
        (
            100,
            &[
                "ID", "Created", "To", "Subject", "Failed", "Status", "Reason",
            ],
        ),
        (
            145,
            &[
                "ID", "Created", "User", "To", "Subject", "Failed", "Ok", "Status", "Reason",
                "Sent", "Type",
            ],
        ),
    ] {
        let lines = listed_at(&postroom, width, &[]);
        assert_eq!(lines.len(), 2, "{lines:#?}");
        assert_eq!(lines[0].split_whitespace().collect::<Vec<_>>(), headings);
        assert!(
            lines.iter().all(|line| line.chars().count() <= width),
            "{lines:#?}"
        );
        for word in ["april.oneil@stu", "The deadline of", "Not sent"] {
            assert!(lines[1].contains(word), "{width}: {lines:#?}");
        }
    }
    let exact = listed_at(&postroom, 80, &["--columns", "id,user,ok"]);
    assert_eq!(exact[0], "ID  User         Ok");
    let piped = postroom.run(&["list"]).ok().stdout;
    assert!(
        piped.contains("The deadline of the second assignment was moved"),
        "{piped}"
    );
    assert!(piped.contains("Type"), "{piped}");
}

#[test]
fn a_raw_message_is_shown_as_its_reader_sees_it() {
    let postroom = Setup::new().file("disk").build();
    let raw = |id: &str| {
        format!(
            "From: Raw <raw@uni.example>\r\nSubject: Hi\r\n{id}MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nR3LDvMOfZSBhdXMgQmVyZ2Vu\r\n"
        )
    };
    let mut own = raw_message("a", &["april@example.com"]);
    own["raw"] = json!(raw("Message-ID: <own@uni.example>\r\n"));
    let mut without = raw_message("b", &["april@example.com"]);
    without["raw"] = json!(raw(""));
    postroom.submit(&[own, without, message("c", "t", &["april@example.com"])]);
    let shown = |id: &str| postroom.run(&["show", id]).ok().stdout;
    let uid = |id: i64| postroom.show_json(id)["uid"].as_str().unwrap().to_owned();
    let first = shown("1");
    assert!(
        first.contains("Grüße aus Bergen")
            && first.contains("raw message")
            && !first.contains("R3LD"),
        "{first}"
    );
    assert!(first.contains("  Subject: Hi\n"), "{first}");
    assert!(
        first.contains("Message-ID   <own@uni.example>\n"),
        "{first}"
    );
    let second = shown("2");
    assert!(
        second.contains(&format!("<{}@uni.example>", uid(2))),
        "{second}"
    );
    let third = shown("3");
    assert!(third.contains(&uid(3)), "{third}");
}

#[test]
fn a_store_at_rest_that_may_only_be_read_says_how_to_look() {
    use std::os::unix::{fs::PermissionsExt as _, process::CommandExt as _};
    let postroom = three();
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let program = postroom.folder().join("postroom");
    std::fs::copy(env!("CARGO_BIN_EXE_postroom"), &program).unwrap();
    mode(&postroom.store_path(), 0o444);
    mode(&postroom.config_path(), 0o444);
    mode(&postroom.folder(), 0o555);
    let mut command = Command::new(&program);
    command
        .arg("list")
        .arg("--config")
        .arg(postroom.config_path());
    if rustix::process::getuid().is_root() {
        command.uid(65534).gid(65534);
    }
    let ran = command.output().unwrap();
    mode(&postroom.folder(), 0o755);
    let said = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(1), "{said}");
    assert!(
        said.contains("may be read by this user") && !said.contains("cannot be written"),
        "{said}"
    );
}

#[test]
fn the_question_says_whom_and_only_y_is_a_yes() {
    let postroom = three();
    for no in ["", "n", "yes", "j"] {
        let (code, seen) = postroom.answering(&["hold", "--all"], no, || ());
        assert!(seen.contains("3 receivers (3 Not sent)"), "{seen}");
        assert_eq!((code, postroom.count("is:held")), (Some(1), 0), "{no:?}");
    }
    let (code, _) = postroom.answering(&["hold", "--all"], "y", || ());
    assert_eq!(code, Some(0));
    assert_eq!(postroom.count("is:held"), 3);
}

#[test]
fn a_dry_run_says_what_would_be_touched_and_touches_nothing() {
    let postroom = three();
    let ran = postroom.run(&["hold", "--dry-run", "type:feedback"]).ok();
    assert!(ran.stdout.contains("2 receivers (2 Not sent)"), "{ran:?}");
    assert_eq!(postroom.count("is:held"), 0);
}

#[test]
fn held_receivers_stay_until_they_are_released_and_cancelled_ones_for_good() {
    let postroom = three();
    let ran = postroom.run(&["hold", "--yes", "type:feedback"]).ok();
    assert!(ran.stdout.contains("2 receivers (2 Not sent)"), "{ran:?}");
    postroom.run(&["cancel", "--yes", "--id", "3"]).ok();
    assert_eq!(postroom.deliver().sent, 0);
    assert_eq!(postroom.state_of("id:1"), "not_sent/held");
    assert_eq!(postroom.state_of("id:3"), "error/cancelled");
    postroom.run(&["release", "--yes", "--id", "1", "2"]).ok();
    assert_eq!(postroom.deliver().sent, 2);
    let ran = postroom.run(&["hold", "--yes", "--all"]).ok();
    assert!(
        ran.stdout.contains("0 receivers") && ran.stdout.contains("3 left alone"),
        "{ran:?}"
    );
}

#[test]
fn a_query_in_the_words_of_another_language_is_answered_with_a_hint() {
    let postroom = three();
    for arguments in [
        ["list", "status:sent OR status:not_sent"],
        ["causes", "status:sent OR status:not_sent"],
    ] {
        let ran = postroom.run(&arguments).ok();
        assert!(
            ran.stdout.contains("matches.")
                && ran.stderr.contains("\n              ^^\n")
                && ran.stderr.contains("as in `status:failed,error`"),
            "{ran:?}"
        );
    }
    let quoted = postroom.run(&["list", "april", "\"OR\"", "andy"]).ok();
    assert_eq!(quoted.stderr, "", "{quoted:?}");
}

#[test]
fn whoever_is_left_alone_is_so_for_a_reason_that_is_true() {
    let postroom = three();
    postroom.run(&["cancel", "--id", "3", "--yes"]).ok();
    postroom.run(&["hold", "--id", "1", "--yes"]).ok();
    for (action, left) in [
        ("release", "2 left alone: not held"),
        ("hold", "2 left alone: held already, Error or Sent"),
        ("cancel", "1 left alone: Error already, or Sent"),
        ("mark-sent", "3 left alone: not unconfirmed"),
    ] {
        let ran = postroom.run(&[action, "--all", "--dry-run"]).ok();
        assert!(ran.stdout.ends_with(&format!("{left}\n")), "{ran:?}");
    }
}

#[test]
fn a_resend_works_whatever_the_status_and_names_that_do_not_exist_are_said() {
    let postroom = three();
    postroom.deliver();
    let ran = postroom.run(&["resend", "--yes", "--id", "1,77"]).ok();
    assert!(
        ran.stdout.contains("1 receiver (1 Sent)") && ran.stdout.contains("; 77 does not exist"),
        "{ran:?}"
    );
    assert_eq!(postroom.deliver().sent, 1);
    assert_eq!(postroom.show_json(1)["sent_count"], 2);
    let ran = postroom.run(&["mark-sent", "--yes", "--all"]).ok();
    assert!(ran.stdout.contains("0 receivers"), "{ran:?}");
}

#[test]
fn who_sends_again_over_a_paused_backend_is_told_that_nothing_goes_out_yet() {
    let postroom = three();
    postroom.run(&["hold", "--id", "3", "--yes"]).ok();
    let told = "backend disk is paused: 2 receivers wait until `postroom backend disk resume`";
    for (paused, arguments) in [
        (false, ["resend", "type:feedback", "--yes"]),
        (true, ["resend", "type:feedback", "--yes"]),
        (true, ["resend", "type:feedback", "--dry-run"]),
    ] {
        if paused {
            postroom.run(&["backend", "disk", "pause"]).ok();
        }
        let ran = postroom.run(&arguments).ok();
        assert_eq!(ran.stderr.contains(told), paused, "{ran:?}");
        assert!(ran.stdout.contains("2 receivers (2 Not sent)"), "{ran:?}");
    }
    let (_, seen) = postroom.answering(&["resend", "type:feedback"], "n", || ());
    let (told, asked) = (seen.find(told).unwrap(), seen.find("Mark 2").unwrap());
    assert!(told < asked, "{seen}");
    let held = postroom.run(&["release", "is:held", "--yes"]).ok();
    assert!(
        held.stderr.contains("is paused: 1 receiver waits until"),
        "{held:?}"
    );
    let failed = postroom.run(&["resend-failed"]).ok();
    assert!(
        failed.stderr.contains("disk is paused, 3 waiting"),
        "{failed:?}"
    );
    let stopped = postroom.run(&["hold", "--all", "--yes"]).ok();
    assert_eq!(stopped.stderr, "", "{stopped:?}");
}

#[test]
fn resend_failed_takes_those_within_the_limit_and_counts_those_beyond() {
    let refusing = Script::accept_all()
        .rcpt(
            "april@example.com",
            Action::reply(451, "4.7.1", "greylisted"),
        )
        .rcpt(
            "andy@example.com",
            Action::reply(550, "5.1.1", "nobody here"),
        );
    let server = Server::start(refusing).unwrap();
    let postroom = Setup::new()
        .smtp("email", &server)
        .set("delivery.backoff", "1h")
        .set("delivery.resend_limit", 1)
        .build();
    postroom.submit(&[message(
        "a",
        "t",
        &["april@example.com", "andy@example.com", "ron@example.com"],
    )]);
    let summary = postroom.deliver();
    assert_eq!((summary.sent, summary.failed, summary.error), (1, 1, 1));
    assert_eq!(postroom.deliver().failed, 0, "it waits an hour");

    let ran = postroom.run(&["resend-failed"]).ok();
    assert_eq!(
        ran.stdout,
        "1 receiver due now, 0 exceeded the resend limit\n"
    );
    assert_eq!(
        postroom.deliver().error,
        1,
        "the second failure is beyond the limit"
    );
    assert_eq!(postroom.state_of("user:april"), "error/exhausted");
    let ran = postroom.run(&["resend-failed"]).ok();
    assert_eq!(
        ran.stdout,
        "0 receivers due now, 1 exceeded the resend limit\n"
    );
    server.with_ledger(|ledger| assert_eq!(ledger.met(Phase::Dot), 1));
}

#[test]
fn a_failure_shows_its_code_error_traceback_and_transcript() {
    let server = Server::start(Script::accept_all().rcpt(
        "april@example.com",
        Action::reply(550, "5.1.1", "nobody\u{1b}[31m here"),
    ))
    .unwrap();
    let postroom = Postroom::to(&server);
    postroom.submit(&[message("a", "t", &["april@example.com"])]);
    postroom.deliver();
    let attempt = &postroom.show_json(1)["attempts"][0];
    assert_eq!(
        (&attempt["outcome"], &attempt["code"]),
        (&json!("permanent"), &json!(550))
    );
    assert_eq!(attempt["enhanced_code"], "5.1.1");
    assert!(attempt["error"].as_str().unwrap().contains("nobody"));
    let ran = postroom.run(&["show", "1"]).ok();
    for word in [
        "Error, permanent",
        "Attempt 1 permanent, 550 5.1.1",
        "Traceback",
        "Transcript",
        "RCPT TO:<april@example.com>",
        "␛[31m",
    ] {
        assert!(ran.stdout.contains(word), "{word}: {}", ran.stdout);
    }
    assert!(!ran.stdout.contains('\u{1b}'));
    let ran = postroom.run(&["show", "2"]).exit(1);
    assert!(ran.stderr.contains("there is no receiver 2"), "{ran:?}");
}

#[test]
fn commands_that_read_refuse_without_a_store_and_make_none() {
    let postroom = Setup::new().file("disk").build();
    let nowhere = postroom.folder().join("nowhere.db");
    let nowhere = nowhere.to_str().unwrap();
    for arguments in [
        &["list"][..],
        &["show", "1"],
        &["status"],
        &["backend"],
        &["deliver"],
        &["run"],
        &["resend", "--all", "--yes"],
        &["resend-failed"],
        &["submit"],
        &["migrate"],
        &["console"],
    ] {
        let ran = postroom.run(&[arguments, &["--store", nowhere]].concat());
        let expected = if arguments == ["status"] { 3 } else { 1 };
        assert_eq!(ran.status.code(), Some(expected), "{ran:?}");
        assert!(
            ran.stderr.contains("postroom init") && ran.stderr.contains("--store"),
            "{ran:?}"
        );
    }
    assert!(!std::path::Path::new(nowhere).exists());
}

#[test]
fn wrong_usage_suggests_what_was_meant() {
    let postroom = three();
    let ran = postroom.run(&["lst"]).exit(2);
    assert!(ran.stderr.contains("'list'"), "{ran:?}");
    let ran = postroom.run(&["list", "--formt", "json"]).exit(2);
    assert!(ran.stderr.contains("--format"), "{ran:?}");
    for query in ["-status:sent", "-april"] {
        let ran = postroom.run(&["list", "--limit", "1", query]).exit(2);
        let wanted = format!("goes after `--`, as in `-- {query}`");
        assert!(ran.stderr.contains(&wanted), "{ran:?}");
        postroom.run(&["list", "--limit", "1", "--", query]).ok();
    }
    let ran = postroom.run(&["status", "-x"]).exit(3);
    assert!(!ran.stderr.contains("query"), "{ran:?}");
    let ran = postroom.run(&["created:<7d"]).exit(2);
    let wanted = "`postroom list 'created:<7d'`";
    assert!(ran.stderr.contains(wanted), "{ran:?}");
    let ran = postroom.run(&["console"]).exit(2);
    assert!(ran.stderr.contains("needs a terminal"), "{ran:?}");
    let ran = postroom.run(&["demo"]).exit(2);
    assert!(ran.stderr.contains("--seed-only DIR"), "{ran:?}");
}

#[test]
fn every_command_teaches_with_examples() {
    let postroom = three();
    let help = postroom.run(&["--help"]).ok().stdout;
    let commands = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty());
    let names: Vec<_> = commands
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert!(names.len() >= 17, "{names:?}");
    for name in names {
        let help = postroom.run(&[name, "--help"]).ok().stdout;
        let (_, examples) = help
            .split_once("Examples:")
            .unwrap_or_else(|| panic!("{name} has no examples"));
        assert!(
            examples.matches("postroom").count() >= 2,
            "{name}: {examples}"
        );
    }
    let version = postroom.run(&["--version"]).ok().stdout;
    assert!(version.contains(&format!("(schema {SCHEMA})")), "{version}");
}

#[test]
fn a_command_whose_reader_has_seen_enough_ends_without_a_word_and_with_its_own_exit_code() {
    let postroom = three();
    postroom.run(&["backend", "disk", "pause"]).ok();
    let lines = postroom.folder().join("lines.jsonl");
    std::fs::write(&lines, message("m", "t", &["x@example.com"]).to_string()).unwrap();
    for (arguments, code) in [
        (&["list"][..], 0),
        (&["check"], 0),
        (&["check", "--format", "json"], 0),
        (&["status"], 1),
        (&["status", "--format", "json"], 1),
        (&["preview", lines.to_str().unwrap()], 0),
        (&["backend", "disk", "resume"], 0),
        (&["resend", "--all", "--dry-run"], 0),
        (&["resend", "--all", "--yes"], 0),
        (&["deliver", "--format", "json"], 0),
        (&["deliver"], 0),
        (&["delete-receivers", "0", "--dry-run"], 0),
    ] {
        // The reader is gone before the command begins.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = postroom.command(arguments);
        command.stdin(std::process::Stdio::null()).stdout(writer);
        let ran = command.output().unwrap();
        let told = String::from_utf8(ran.stderr).unwrap();
        assert_eq!(
            (ran.status.code(), told.as_str()),
            (Some(code), ""),
            "{arguments:?}"
        );
    }
    assert_eq!(
        postroom.count("status:sent"),
        3,
        "what was asked for was done"
    );
}
