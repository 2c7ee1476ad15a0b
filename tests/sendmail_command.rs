//! What the README promises of `postroom sendmail`: whoever calls /usr/sbin/sendmail can call it instead.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{
    fs,
    io::Write as _,
    os::unix::{fs::symlink, process::CommandExt as _},
    process::{Command, Output, Stdio},
};

use postroom::demo::server::{Script, Server};
use serde_json::Value;
use support::{Disk, Postroom, ReadOnly, Setup, with_own_mounts};

fn installation() -> Postroom {
    Setup::new().file("disk").build()
}

/// Users and addresses of all that is stored, in order.
fn addresses(postroom: &Postroom) -> Vec<String> {
    let mut all = postroom.list_json("");
    all.reverse();
    all.iter()
        .map(|one| one["identity"].as_str().unwrap().to_owned())
        .collect()
}

/// What is stored of the only message, as it will be sent.
fn stored(postroom: &Postroom) -> (Value, String) {
    let shown = postroom.show_only("");
    let raw = shown["content"]["raw"].as_str().unwrap().to_owned();
    (shown, raw)
}

#[test]
fn a_mail_is_stored_with_its_envelope_and_its_columns_and_nothing_of_that_is_in_what_is_sent() {
    let server = Server::start(Script::accept_all().keep_bodies()).unwrap();
    let postroom = Postroom::to(&server);
    let mail = "From: Shop <shop@example.com>\nTo: April <april@example.com>, ben@example.com\nCc: staff: carol@example.com;\nBcc: dora@example.com\n\
                X-Postroom-Type: receipt\nx-postroom-key: order-1842\nX-Postroom-Language: nb-NO\nX-Postroom-User: =?utf-8?q?j=C3=BCrgen?=\n\
                Subject: =?utf-8?q?Din_=C3=B8?=\n =?utf-8?q?vrig?=\nMessage-ID: <1@example.com>\nDate: Mon, 2 Nov 2026 10:00:00 +0100\nReturn-Path: <x@y.example>\n\n.hello\n..\n";
    postroom
        .run_with(
            &[
                "sendmail",
                "-t",
                "-i",
                "-f",
                "bounces@example.com",
                "-oem",
                "eva@example.com",
            ],
            mail,
        )
        .ok();
    assert_eq!(
        addresses(&postroom),
        ["eva", "april", "ben", "carol", "dora"].map(|name| format!("{name}@example.com"))
    );
    let receiver = postroom.only("to:april@example.com");
    for (key, value) in [
        ("type", "receipt"),
        ("message_key", "order-1842"),
        ("language", "nb-NO"),
        ("user", "jürgen"),
        ("subject", "Din øvrig"),
        ("backend", "email"),
    ] {
        assert_eq!(receiver[key], value, "{key}");
    }
    assert_eq!(postroom.deliver().sent, 5);
    let ledger = server.ledger();
    assert_eq!(ledger.messages, 1);
    let sent = String::from_utf8(ledger.entries[0].body.clone().unwrap().to_vec()).unwrap();
    assert_eq!(&*ledger.entries[0].sender, "bounces@example.com");
    assert_eq!(
        sent,
        "From: Shop <shop@example.com>\r\nTo: April <april@example.com>, ben@example.com\r\nCc: staff: carol@example.com;\r\n\
         Subject: =?utf-8?q?Din_=C3=B8?=\r\n =?utf-8?q?vrig?=\r\nMessage-ID: <1@example.com>\r\nDate: Mon, 2 Nov 2026 10:00:00 +0100\r\n\r\n.hello\r\n..\r\n"
    );
    assert!(ledger.violations.is_empty(), "{:?}", ledger.violations);
}

#[test]
fn what_is_missing_in_a_header_is_added_and_a_message_need_not_have_one() {
    let server = Server::start(Script::accept_all().keep_bodies()).unwrap();
    let postroom = Postroom::to(&server);
    postroom
        .run_with(
            &[
                "sendmail",
                "-F",
                "Jürgen",
                "-f",
                "j@example.com",
                "a@example.com",
            ],
            "the disk is full\nX: y\n.\nnever read\n",
        )
        .ok();
    assert_eq!(postroom.deliver().sent, 1);
    let ledger = server.ledger();
    let sent = String::from_utf8(ledger.entries[0].body.clone().unwrap().to_vec()).unwrap();
    let (header, body) = sent.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, "the disk is full\r\nX: y\r\n");
    assert!(
        header.contains("From: =?utf-8?b?SsO8cmdlbg==?= <j@example.com>"),
        "{header}"
    );
    assert!(header.contains("\r\nDate: "), "{header}");
    let uid = &ledger.entries[0].uid;
    assert!(
        header.starts_with(&format!("Message-ID: <{uid}@example.com>\r\n")),
        "{header}"
    );
}

#[test]
fn without_a_sender_the_mail_is_from_the_backend_and_the_null_sender_is_one() {
    let postroom = installation();
    postroom
        .run_with(&["sendmail", "a@example.com"], "Subject: s\n\nt\n")
        .ok();
    let (shown, raw) = stored(&postroom);
    assert_eq!(shown["from"], "no-reply@example.com");
    assert!(
        raw.starts_with("From: no-reply@example.com\r\nDate: "),
        "{raw}"
    );

    let server = Server::start(Script::accept_all()).unwrap();
    let postroom = Postroom::to(&server);
    postroom
        .run_with(
            &["sendmail", "-f", "<>", "a@example.com"],
            "Subject: s\n\nt\n",
        )
        .ok();
    postroom.deliver();
    assert_eq!(&*server.ledger().entries[0].sender, "");
}

#[test]
fn the_same_mail_under_the_same_key_is_one_however_its_parts_are_bounded() {
    let postroom = installation();
    let mail = |bound: &str, text: &str| {
        format!(
            "Subject: s\nX-Postroom-Key: k\nDate: {bound}\nMessage-ID: <{bound}@example.com>\nMIME-Version: 1.0\nContent-Type: multipart/alternative; boundary=\"{bound}\"\n\n\
             --{bound}\nContent-Type: text/plain\n\n{text}\n--{bound}\nContent-Type: text/html\n\n<p>{text}</p>\n--{bound}--\n"
        )
    };
    let take = |mail: String| postroom.run_with(&["sendmail", "a@example.com"], mail);
    take(mail("one", "hello")).ok();
    take(mail("two", "hello")).ok();
    assert_eq!(postroom.count(""), 1);
    let told = take(mail("one", "bye")).exit(65).stderr;
    assert!(
        told.contains("has the X-Postroom-Key k and says something else"),
        "{told}"
    );
    assert_eq!(postroom.count(""), 1);
}

#[test]
fn called_by_its_name_it_is_sendmail() {
    let postroom = installation();
    let name = postroom.folder().join("sendmail");
    symlink(env!("CARGO_BIN_EXE_postroom"), &name).unwrap();
    let called = |arguments: &[&str], input: &str| -> Output {
        let here = postroom.command(&[]);
        let mut command = Command::new(&name);
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .stderr(Stdio::piped());
        for (key, value) in here.get_envs() {
            command.env(key, value.unwrap_or_default());
        }
        let mut child = command.spawn().unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        child.wait_with_output().unwrap()
    };
    let mail = "To: a@example.com\nSubject: s\n\nt\n";
    for (arguments, code) in [
        (&["-t", "-i"][..], 0),
        (&["-oi", "-v", "--", "b@example.com"], 0),
        (&["-q"], 0),
        (&["-bd"], 64),
        (&["--help"], 64),
    ] {
        let input = if code == 0 && arguments != ["-q"] {
            mail
        } else {
            ""
        };
        assert_eq!(
            called(arguments, input).status.code(),
            Some(code),
            "{arguments:?}"
        );
    }
    assert_eq!(addresses(&postroom), ["a@example.com", "b@example.com"]);
    // By any program that calls it so.
    let ran = postroom
        .command(&["-bs"])
        .arg0("/usr/lib/sendmail")
        .output()
        .unwrap();
    assert!(ran.status.success(), "{ran:?}");
}

#[test]
fn what_is_wrong_is_told_in_the_codes_of_sysexits_and_nothing_is_stored() {
    let postroom = installation();
    let mail = "Subject: s\n\nt\n";
    for (arguments, input, code, told) in [
        (&[][..], mail, 64, "for whom?"),
        (&["-z", "a@example.com"], mail, 64, "there is no -z here"),
        (
            &["-f", "no sender", "a@example.com"],
            mail,
            64,
            "-f no sender: this is no address",
        ),
        (&["-t"], mail, 65, "there is no address in To, Cc or Bcc"),
        (&["root"], mail, 67, "`root` is no address"),
        (
            &["-t"],
            "To: a@example.com, root\n\nt\n",
            67,
            "`root` is no address",
        ),
        (&["a@example.com"], "Subject: a\0b\n\n", 65, "NUL"),
        (
            &["a@example.com"],
            "X-Postroom-Typ: x\n\n",
            65,
            "did you mean `x-postroom-type`",
        ),
        (
            &["a@example.com"],
            "X-Postroom-Key:\n\n",
            65,
            "X-Postroom-Key is empty",
        ),
        (
            &["a@example.com"],
            "X-Postroom-Key: =?utf-8?q?a=0Ab?=\n\n",
            65,
            "X-Postroom-Key has a line end",
        ),
        (
            &["a@example.com"],
            "X-Postroom-User: a\nX-Postroom-User: b\n\n",
            65,
            "stands there twice",
        ),
        (
            &["a@example.com"],
            "X-Postroom-Language: no language\n\n",
            65,
            "X-Postroom-Language is no language",
        ),
    ] {
        let arguments = [&["sendmail"], arguments].concat();
        let ran = postroom.run_with(&arguments, input).exit(code);
        assert!(ran.stderr.contains(told), "{arguments:?}: {ran:?}");
    }
    let long = format!("Subject: s\n\n{}", "0123456789abcde\n".repeat(4 << 20));
    postroom
        .run_with(&["sendmail", "a@example.com"], long)
        .exit(65);
    let fields = "X: y\n".repeat(3_000);
    let ran = postroom
        .run_with(&["sendmail", "a@example.com"], fields)
        .exit(65);
    assert!(ran.stderr.contains("the header is too long"), "{ran:?}");
    assert_eq!(postroom.count(""), 0);

    postroom.configure(Setup::new());
    let ran = postroom
        .run_with(&["sendmail", "a@example.com"], mail)
        .exit(78);
    assert!(ran.stderr.contains("add [backends.email]"), "{ran:?}");
    postroom.configure(Setup::new().file("one").file("other"));
    let ran = postroom
        .run_with(&["sendmail", "a@example.com"], mail)
        .exit(78);
    assert!(ran.stderr.contains("default_backend"), "{ran:?}");
    fs::write(postroom.config_path(), "nonsense").unwrap();
    postroom
        .run_with(&["sendmail", "a@example.com"], mail)
        .exit(78);
}

#[test]
fn a_message_that_cannot_be_read_is_ex_ioerr() {
    let postroom = installation();
    let ran = postroom
        .command(&["sendmail", "a@example.com"])
        .stdin(fs::File::open(postroom.folder()).unwrap())
        .output()
        .unwrap();
    assert_eq!(ran.status.code(), Some(74), "{ran:?}");
    let told = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(told.contains("the message cannot be read"), "{told}");
    assert_eq!(postroom.count(""), 0);
}

#[test]
fn of_a_mail_that_is_passed_on_those_get_it_whom_it_is_passed_on_to() {
    let postroom = installation();
    let mail = "Resent-To: dora@example.com\nResent-Bcc: eva@example.com\nTo: april@example.com\nCc: ben@example.com\nSubject: s\n\nt\n";
    postroom.run_with(&["sendmail", "-t"], mail).ok();
    assert_eq!(
        addresses(&postroom),
        ["dora@example.com", "eva@example.com"]
    );
    let shown = postroom.show_only("to:dora@example.com");
    let raw = shown["content"]["raw"].as_str().unwrap();
    assert!(raw.contains("Resent-To") && !raw.contains("eva@"), "{raw}");
}

#[test]
fn a_store_that_cannot_take_it_now_is_ex_tempfail() {
    let postroom = installation();
    fs::remove_file(postroom.store_path()).unwrap();
    let ran = postroom
        .run_with(&["sendmail", "a@example.com"], "Subject: s\n\nt\n")
        .exit(75);
    assert!(
        ran.stderr
            .contains("not taken over, try later: there is no store"),
        "{ran:?}"
    );
}

#[test]
fn a_full_disk_and_a_store_that_may_not_be_written_are_ex_tempfail() {
    with_own_mounts(
        "a_full_disk_and_a_store_that_may_not_be_written_are_ex_tempfail",
        || {
            let disk = Disk::of(2048);
            let postroom = Setup::new().file("disk").build_in(disk.path());
            let take = || postroom.run_with(&["sendmail", "a@example.com"], "Subject: s\n\nt\n");
            disk.fill();
            let mut taken = 0;
            // Some may still find room in what the store has already.
            let refused = (0..100).map(|_| take()).find(|ran| {
                taken += usize::from(ran.status.success());
                !ran.status.success()
            });
            let refused = refused.unwrap().exit(75);
            assert!(refused.stderr.contains("is full"), "{refused:?}");
            disk.free();
            take().ok();
            assert_eq!(postroom.count(""), taken + 1);
            let closed = ReadOnly::make(disk.path());
            let refused = take().exit(75);
            assert!(
                refused
                    .stderr
                    .contains("has to be in the group of the store"),
                "{refused:?}"
            );
            drop(closed);
        },
    );
}

#[test]
fn it_speaks_smtp_on_standard_input_and_output() {
    let postroom = installation();
    let said = postroom
        .run_with(
            &["sendmail", "-bs"],
            "EHLO here\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nRCPT TO:<root>\r\nDATA\r\nSubject: s\r\n\r\n..\r\n.\r\nQUIT\r\n",
        )
        .ok()
        .stdout;
    let codes: Vec<_> = said
        .lines()
        .filter(|line| line.as_bytes()[3] == b' ')
        .map(|line| &line[..3])
        .collect();
    assert_eq!(
        codes,
        ["220", "250", "250", "250", "553", "354", "250", "221"],
        "{said}"
    );
    let (shown, raw) = stored(&postroom);
    assert_eq!(shown["identity"], "b@example.com");
    assert!(raw.ends_with("\r\n\r\n.\r\n"), "{raw:?}");
}
