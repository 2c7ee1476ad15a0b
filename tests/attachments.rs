//! What the README promises of raw messages: what they are made of is shown, and what is attached can be saved, wherever a stranger's program put it
//! and whatever it is called.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{fs, os::unix::fs::PermissionsExt as _};

use serde_json::{Value, json};
use support::{Postroom, Setup, Terminal, message, raw_message};

/// A mail with text, HTML, a PDF, and a mail with a table in it.
const MAIL: &str = "From: a@uni.example\r\nSubject: Plan\r\nMessage-ID: <1@uni.example>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
    --b\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n\
    --c\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nf=F8rst\r\n\
    --c\r\nContent-Type: text/html\r\n\r\n<p>hi</p>\r\n--c--\r\n\
    --b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename*=utf-8''S%C3%B8knad.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0A\r\nCg==\r\n\
    --b\r\nContent-Type: message/rfc822\r\n\r\nSubject: the old one\r\nContent-Type: text/csv; name=marks.csv\r\n\r\na,b\r\n\
    --b--\r\n";

/// One receiver of this mail, which is receiver 1.
fn holding(mail: &str) -> Postroom {
    let postroom = Setup::new().file("disk").build();
    let mut message = raw_message("m", &["april@example.com"]);
    message["raw"] = json!(mail);
    postroom.submit(&[message]);
    postroom
}

/// A mail with one attachment with this header.
fn attaching(header: &str, body: &str) -> String {
    format!(
        "From: a@uni.example\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhi\r\n--b\r\n{header}\r\n\r\n{body}\r\n--b--\r\n"
    )
}

/// The files in the folder, but for those that were there before.
fn saved(postroom: &Postroom) -> Vec<String> {
    let files = fs::read_dir(postroom.folder()).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    names
        .filter(|name| !name.starts_with("config.toml") && !name.starts_with("postroom.db"))
        .collect()
}

#[test]
fn what_a_raw_message_is_made_of_is_shown_part_by_part() {
    let postroom = holding(MAIL);
    let shown = postroom.run(&["show", "1"]).ok().stdout;
    assert!(shown.contains("  først\n"), "{shown}");
    let (_, parts) = shown.split_once("\nParts; ").unwrap();
    assert_eq!(
        parts,
        "`--attachment N` saves the one with this number\n\
        \x20      multipart/mixed\n\
        \x20        multipart/alternative\n\
        \x20          text/plain, 5 bytes: the text\n\
        \x20          text/html, 9 bytes: the HTML\n\
        \x20   1.   Søknad.pdf  application/pdf, 7 bytes\n\
        \x20   2.   the old one  message/rfc822, 67 bytes\n\
        \x20   3.     marks.csv  text/csv, 3 bytes\n"
    );
    let content = &postroom.show_json(1)["content"];
    assert_eq!(content["text"], "først");
    assert_eq!(content["html"], "<p>hi</p>");
    assert_eq!(content["parts"].as_array().unwrap().len(), 7);
    assert_eq!(
        content["parts"][4],
        json!({"depth": 1, "type": "application/pdf", "name": "Søknad.pdf", "size": 7, "attachment": 1, "broken": false})
    );
    assert_eq!(content["parts"][0]["attachment"], Value::Null);
}

#[test]
fn an_attachment_is_saved_byte_for_byte_for_its_owner_only() {
    let postroom = holding(MAIL);
    let said = postroom
        .run(&["show", "1", "--attachment", "1"])
        .ok()
        .stdout;
    assert_eq!(said, "saved 7 bytes in postroom-1-Søknad.pdf\n");
    let path = postroom.folder().join("postroom-1-Søknad.pdf");
    assert_eq!(fs::read(&path).unwrap(), b"%PDF-\0\n");
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    postroom
        .run(&["show", "1", "--attachment", "2", "--output", "old.eml"])
        .ok();
    let old = fs::read_to_string(postroom.folder().join("old.eml")).unwrap();
    assert!(old.starts_with("Subject: the old one\r\n"), "{old}");
    fs::create_dir(postroom.folder().join("kept")).unwrap();
    postroom
        .run(&["show", "1", "--attachment", "3", "--output", "kept"])
        .ok();
    let csv = postroom.folder().join("kept/postroom-1-marks.csv");
    assert_eq!(fs::read(csv).unwrap(), b"a,b");
    let printed = postroom.run(&["show", "1", "--attachment", "3", "--output", "-"]);
    assert_eq!(printed.ok().stdout, "a,b");
}

#[test]
fn a_file_that_is_there_is_written_over_only_with_force() {
    let postroom = holding(MAIL);
    let path = postroom.folder().join("plan.pdf");
    fs::write(&path, "mine").unwrap();
    let arguments = ["show", "1", "--attachment", "1", "--output", "plan.pdf"];
    let said = postroom.run(&arguments).exit(1).stderr;
    assert!(said.contains("plan.pdf is there already"), "{said}");
    assert!(said.contains("--force"), "{said}");
    assert_eq!(fs::read(&path).unwrap(), b"mine");
    postroom.run(&[&arguments[..], &["--force"]].concat()).ok();
    assert_eq!(fs::read(&path).unwrap(), b"%PDF-\0\n");
    assert_eq!(saved(&postroom), ["plan.pdf"], "and nothing else is left");
}

#[test]
fn what_a_sender_calls_an_attachment_never_chooses_where_it_goes() {
    for (name, file) in [
        ("../../../escaped", "postroom-1-escaped"),
        ("/tmp/escaped", "postroom-1-escaped"),
        ("..", "postroom-1-attachment-1.pdf"),
        (".bashrc", "postroom-1-bashrc"),
        ("config.toml", "postroom-1-config.toml"),
        ("a\u{1b}[2J\u{202e}b", "postroom-1-a_[2J_b"),
    ] {
        let mail = attaching(
            &format!("Content-Type: application/pdf; name=\"{name}\""),
            "x",
        );
        let postroom = holding(&mail);
        let config = fs::read(postroom.config_path()).unwrap();
        let said = postroom
            .run(&["show", "1", "--attachment", "1"])
            .ok()
            .stdout;
        assert_eq!(said, format!("saved 1 byte in {file}\n"));
        assert_eq!(saved(&postroom), [file]);
        assert_eq!(fs::read(postroom.config_path()).unwrap(), config);
    }
}

#[test]
fn what_cannot_be_saved_is_refused_with_a_word() {
    let postroom = holding(MAIL);
    postroom.submit(&[message("plain", "t", &["april@example.com"])]);
    let mut simple = raw_message("simple", &["april@example.com"]);
    simple["raw"] = json!("From: a@uni.example\r\n\r\nhi\r\n");
    postroom.submit(&[simple]);
    for (arguments, code, words) in [
        (
            &["1", "--attachment", "4"][..],
            1,
            "it has 3; `postroom show 1` lists",
        ),
        (
            &["2", "--attachment", "1"],
            1,
            "only raw messages have attachments",
        ),
        (&["3", "--attachment", "1"], 1, "nothing is attached to it"),
        (&["9", "--attachment", "1"], 1, "there is no receiver 9"),
        (
            &["1", "--attachment", "0"],
            2,
            "an attachment's number is a whole one from 1 on",
        ),
        (
            &["1", "--attachment", "1", "--output", "no/such/place"],
            1,
            "there is no folder no/such: make it first, or name another place",
        ),
        (&["1", "--output", "x"], 2, "--attachment"),
        (
            &["1", "--attachment", "1", "--format", "json"],
            2,
            "--format",
        ),
        (
            &["1", "--attachment", "1", "--output", "no/such/x"],
            1,
            "cannot write no/such/x",
        ),
    ] {
        let said = postroom
            .run(&[&["show"], arguments].concat())
            .exit(code)
            .stderr;
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
    assert!(saved(&postroom).is_empty());
}

#[test]
fn a_terminal_is_not_handed_an_attachment() {
    let postroom = holding(&attaching("Content-Type: a/b", "\u{1b}]0;owned\u{7}"));
    let arguments = ["show", "1", "--attachment", "1", "--output", "-"];
    let mut terminal = Terminal::start(&postroom, (80, 24), &arguments, &[]);
    terminal.wait_for("could steer the terminal");
    assert_eq!(terminal.wait().code(), Some(2));
}

#[test]
fn of_a_broken_attachment_what_can_be_read_is_saved_and_it_is_said() {
    let header =
        "Content-Type: application/pdf; name=plan.pdf\r\nContent-Transfer-Encoding: base64";
    let postroom = holding(&attaching(header, "SGV***sbG8="));
    let shown = postroom.run(&["show", "1"]).ok().stdout;
    assert!(
        shown.contains("plan.pdf  application/pdf, 5 bytes, base64 that is broken"),
        "{shown}"
    );
    let ran = postroom.run(&["show", "1", "--attachment", "1"]).ok();
    assert!(ran.stderr.contains("attachment 1 is broken"), "{ran:?}");
    let path = postroom.folder().join("postroom-1-plan.pdf");
    assert_eq!(fs::read(path).unwrap(), b"Hello");
}

#[test]
fn a_mail_is_read_in_the_charset_it_was_written_in() {
    for (charset, subject, body, text) in [
        ("iso-8859-1", "?q?Bl=E5b=E6r?=", "YuY=", "Blåbær bæ"),
        (
            "iso-2022-jp",
            "?b?GyRCRnxLXBsoQg==?=",
            "GyRCRnxLXBsoQg==",
            "日本 日本",
        ),
        ("gb2312", "?b?1tC5+g==?=", "1tC5+g==", "中国 中国"),
        ("euc-kr", "?b?x9Gxub7u?=", "x9Gxub7u", "한국어 한국어"),
        ("windows-1256", "?b?49HNyMc=?=", "49HNyMc=", "مرحبا مرحبا"),
        ("iso-8859-8", "?q?=F9=EC=E5=ED?=", "+ezl7Q==", "שלום שלום"),
    ] {
        let postroom = holding(&format!(
            "From: a@uni.example\r\nSubject: =?{charset}{subject}\r\nContent-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: base64\r\n\r\n{body}\r\n"
        ));
        let shown = postroom.show_json(1);
        let (subject, said) = (&shown["subject"], &shown["content"]["text"]);
        let both = format!("{} {}", subject.as_str().unwrap(), said.as_str().unwrap());
        assert_eq!(both, text, "{charset}");
    }
}

#[test]
fn the_console_saves_an_attachment_and_says_where_it_went() {
    let postroom = holding(MAIL);
    let mut terminal = Terminal::start(&postroom, (120, 24), &["console"], &[]);
    terminal.wait_for("april@example.com");
    terminal.press("\r3");
    terminal.wait_for("Attachments");
    terminal.press("S3\r\r");
    terminal.wait_for("saved");
    let path = postroom.folder().join("postroom-1-marks.csv");
    assert_eq!(fs::read(path).unwrap(), b"a,b");
    terminal.press("q");
    assert!(terminal.wait().success());
}

/// Mails that nest without end: what reads them by calling itself, or frees what it read so, has no stack left.
fn endless() -> [String; 2] {
    let message = "Content-Type: message/rfc822\r\n\r\n".repeat(200_000);
    let level =
        |level| format!("Content-Type: multipart/mixed; boundary=x{level}\r\n\r\n--x{level}\r\n");
    let multipart: Vec<_> = (0..50_000).map(level).collect();
    [message, multipart.concat() + "\r\ninnermost"].map(|nested| {
        format!("From: a@uni.example\r\nX-Postroom-Key: deep\r\nMessage-ID: <1@uni.example>\r\nSubject: deep\r\n{nested}")
    })
}

#[test]
fn a_mail_nested_without_end_is_stored_known_again_and_shown() {
    for mail in endless() {
        let postroom = Setup::new().file("disk").build();
        for _ in 0..2 {
            postroom
                .run_with(&["sendmail", "-i", "april@example.com"], &mail)
                .ok();
        }
        assert_eq!(postroom.count(""), 1);
        let shown = postroom.run(&["show", "1"]).ok().stdout;
        assert!(shown.contains("nested too deep to be opened"));
        let parts = postroom.show_json(1)["content"]["parts"].clone();
        assert_eq!(parts.as_array().unwrap().len(), 101);
    }
}

#[test]
fn ten_thousand_parts_are_listed_and_the_last_is_saved() {
    let part = |number| format!("--b\r\nContent-Type: a/b\r\n\r\nnumber {number}\r\n");
    let parts: Vec<_> = (1..=10_000).map(part).collect();
    let head = "From: a@uni.example\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n";
    let postroom = holding(&[head, &parts.concat(), "--b--\r\n"].concat());
    let shown = postroom.run(&["show", "1"]).ok().stdout;
    assert!(shown.ends_with("\n10000.   without a name  a/b, 12 bytes\n"));
    let last = postroom.run(&["show", "1", "--attachment", "10000", "--output", "-"]);
    assert_eq!(last.ok().stdout, "number 10000");
}
