//! The README's examples run as they stand there, and what they hand over is safe: each 250 is in the store, whatever happens to the service
//! right behind it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::fs::{PermissionsExt as _, symlink},
    process::{Command, Output, Stdio},
};

use postroom::demo::server::{Action, Script, Server};
use support::{Postroom, Service, Setup, Terminal, free_address, is_here, listening, skipped};

const README: &str = include_str!("../README.md");

/// The block of code in the README that has this line.
fn block(line: &str) -> &'static str {
    let blocks = README.split("\n```").skip(1).step_by(2);
    let mut found = blocks.filter_map(|block| {
        let (_, code) = block.split_once('\n')?;
        code.lines().any(|here| here == line).then_some(code)
    });
    let code = found.next().unwrap_or_else(|| panic!("no example {line}"));
    assert!(found.next().is_none(), "two examples {line}");
    code
}

/// An example that hands mails over by SMTP, to where the service of a test listens.
fn to_service(line: &str, service: &Service) -> String {
    let usual = block(line);
    let here = usual.replace("2525", &service.address.port().to_string());
    assert_ne!(usual, here);
    here
}

/// A program in the test's folder, where `postroom` is found by its name.
fn program(postroom: &Postroom, program: impl Into<OsString>) -> Command {
    let bin = postroom.folder().join("bin");
    if !bin.exists() {
        fs::create_dir(&bin).unwrap();
        for name in ["postroom", "sendmail"] {
            symlink(env!("CARGO_BIN_EXE_postroom"), bin.join(name)).unwrap();
        }
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([bin].into_iter().chain(std::env::split_paths(&path)));
    let mut command = Command::new(program.into());
    command
        .current_dir(postroom.folder())
        .env("PATH", path.unwrap())
        .env("POSTROOM_CONFIG", postroom.config_path())
        .env("POSTROOM_STORE", postroom.store_path())
        .env("DJANGO_SETTINGS_MODULE", "settings")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null());
    command
}

/// Runs a Python program as a file in the test's folder.
fn python(postroom: &Postroom, python: &str, code: &str) -> Output {
    let file = postroom.folder().join("example.py");
    fs::write(&file, code).unwrap();
    program(postroom, python).arg(file).output().unwrap()
}

fn well(ran: Output) -> String {
    assert!(ran.status.success(), "{ran:?}");
    String::from_utf8(ran.stdout).unwrap()
}

/// A Python that has Django. Without one a line says that nothing was tested with it.
fn django() -> Option<&'static str> {
    // What apt installs is for the system's own Python.
    let here = ["python3", "/usr/bin/python3"].into_iter().find(|python| {
        let ran = Command::new(python).args(["-c", "import django"]).output();
        ran.is_ok_and(|ran| ran.status.success())
    });
    if here.is_none() {
        skipped("what is tested with Django: no python3 here has it");
    }
    here
}

/// Starts a program that talks SMTP and writes down what it hears, kills the service at so many messages that are stored, and says which those were.
fn killed_right_behind(mut command: Command, service: Service, stored: usize) -> BTreeSet<i64> {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut child = command
        .stdout(writer.try_clone().unwrap())
        .stderr(writer)
        .spawn()
        .unwrap();
    // It holds the writing ends.
    drop(command);
    let (mut heard, mut acknowledged, mut service) =
        (String::new(), BTreeSet::new(), Some(service));
    for line in BufReader::new(reader).lines() {
        let line = line.unwrap();
        if let Some((_, id)) = line.split_once("250 2.0.0 stored as message ") {
            let digits = id.find(|c: char| !c.is_ascii_digit()).unwrap_or(id.len());
            acknowledged.insert(id[..digits].parse().unwrap());
        }
        if acknowledged.len() == stored
            && let Some(service) = service.take()
        {
            service.kill();
        }
        heard.push_str(&line);
        heard.push('\n');
    }
    child.wait().unwrap();
    assert!(acknowledged.len() >= stored, "{heard}");
    acknowledged
}

/// The messages that are in the store.
fn messages(postroom: &Postroom) -> BTreeSet<i64> {
    let all = postroom.list_json("");
    all.iter()
        .map(|receiver| receiver["message_id"].as_i64().unwrap())
        .collect()
}

fn everybody(postroom: &Postroom) -> BTreeSet<String> {
    let all = postroom.list_json("");
    let of = |one: &serde_json::Value| one["identity"].as_str().unwrap().to_owned();
    all.iter().map(of).collect()
}

fn people(names: &[&str]) -> BTreeSet<String> {
    names
        .iter()
        .map(|name| format!("{name}@example.com"))
        .collect()
}

#[test]
fn pythons_smtplib_hands_over_and_each_250_is_in_the_store_after_a_kill() {
    // As the README's program, without an end and aloud.
    const ALOUD: &str = r#"
with smtplib.SMTP("127.0.0.1", PORT) as smtp:
    smtp.set_debuglevel(1)
    while True:
        del message["X-Postroom-Key"]
        smtp.send_message(message)
"#;
    if !is_here("python3") {
        return;
    }
    let address = free_address();
    let postroom = listening(address).build();
    let service = Service::start(&postroom, address);
    let code = to_service("# order.py", &service);
    // Its key makes a repeat harmless.
    for _ in 0..2 {
        well(python(&postroom, "python3", &code));
    }
    service.kill();
    assert_eq!(postroom.count("key:order-1848 to:april@example.com"), 1);

    let service = Service::start(&postroom, address);
    let aloud = code + &ALOUD.replace("PORT", &address.port().to_string());
    fs::write(postroom.folder().join("example.py"), aloud).unwrap();
    let mut command = program(&postroom, "python3");
    command.arg("example.py");
    let acknowledged = killed_right_behind(command, service, 50);
    assert!(acknowledged.is_subset(&messages(&postroom)));
}

#[test]
fn djangos_send_mass_mail_hands_over_and_each_250_is_in_the_store_after_a_kill() {
    const ALOUD: &str = r#"
from django.core.mail import get_connection, send_mass_mail
connection = get_connection()
connection.open()
connection.connection.set_debuglevel(1)
mails = [(f"Number {n}", "Hello", None, [f"r{n}@example.com"]) for n in range(10_000)]
send_mass_mail(mails, connection=connection)
"#;
    let Some(django) = django() else { return };
    let address = free_address();
    let postroom = listening(address).build();
    let service = Service::start(&postroom, address);
    let settings = to_service("# settings.py", &service);
    fs::write(postroom.folder().join("settings.py"), settings).unwrap();
    let code = block("# Anywhere in the application");
    well(python(&postroom, django, code));
    service.kill();
    assert_eq!(
        everybody(&postroom),
        people(&["april", "ben", "carol", "dora"])
    );
    let dora = postroom.show_only("key:order-1847 type:receipt user:dora");
    assert_eq!(dora["from"], "Shop <shop@example.com>");

    let service = Service::start(&postroom, address);
    fs::write(postroom.folder().join("example.py"), ALOUD).unwrap();
    let mut command = program(&postroom, django);
    command.arg("example.py");
    let acknowledged = killed_right_behind(command, service, 50);
    assert!(acknowledged.is_subset(&messages(&postroom)));
}

#[test]
fn swaks_hands_over_and_its_250_is_in_the_store_after_a_kill() {
    if !is_here("swaks") {
        return;
    }
    let address = free_address();
    let postroom = listening(address).build();
    let told = README
        .lines()
        .find_map(|line| line.strip_prefix("$ swaks "));
    let told = told.unwrap().replace("2525", &address.port().to_string());
    for n in 1..=5 {
        let service = Service::start(&postroom, address);
        let mut command = program(&postroom, "sh");
        command.args(["-c", &format!("exec swaks {told}")]);
        let acknowledged = killed_right_behind(command, service, 1);
        assert!(acknowledged.is_subset(&messages(&postroom)));
        assert_eq!(
            postroom.count("to:april@example.com subject:\"Does it work?\""),
            n
        );
    }
}

#[test]
fn of_three_recipients_the_relay_refuses_one_the_applications_send_succeeds_and_the_console_shows_one_error()
 {
    const SMTPLIB: &str = r#"
import smtplib
with smtplib.SMTP("127.0.0.1", PORT) as smtp:
    refused = smtp.sendmail("shop@example.com", ["april@example.com", "ben@example.com", "carol@example.com"], "Subject: News\r\n\r\nHello")
assert refused == {}, refused
"#;
    const DJANGO: &str = r#"
from django.core.mail import send_mail
sent = send_mail("News", "Hello", "shop@example.com", ["april@example.com", "ben@example.com", "carol@example.com"])
assert sent == 1, sent
"#;
    let plain = is_here("python3").then_some(("python3", SMTPLIB));
    let django = django().map(|python| (python, DJANGO));
    for (with, code) in plain.into_iter().chain(django) {
        let server = Server::start(Script::accept_all().rcpt(
            "ben@example.com",
            Action::reply(550, "5.1.1", "no such user"),
        ))
        .unwrap();
        let address = free_address();
        let postroom = Setup::new()
            .smtp("email", &server)
            .set("listen.smtp.address", address.to_string())
            .build();
        let service = Service::start(&postroom, address);
        let settings = to_service("# settings.py", &service);
        fs::write(postroom.folder().join("settings.py"), settings).unwrap();
        let code = code.replace("PORT", &address.port().to_string());
        well(python(&postroom, with, &code));
        postroom.wait_until("all is written down", |postroom| {
            postroom.count("status:sent") == 2 && postroom.count("status:error") == 1
        });
        assert_eq!(postroom.only("status:error")["identity"], "ben@example.com");
        let mut terminal = Terminal::start(&postroom, (80, 24), &["console", "--read-only"], &[]);
        terminal.wait_for("Error permanent");
        terminal.wait_for("Failed 0");
        // Drawn anew, all of the line is written at once.
        terminal.resize((90, 24));
        terminal.wait_for("Error 1");
        terminal.press("q");
        assert!(terminal.wait().success());
    }
}

#[test]
fn djangos_mails_go_through_sendmail_with_a_backend_that_needs_no_service() {
    const REFUSED: &str = r#"
from django.core.mail import send_mail
assert send_mail("s", "t", "a@example.com", ["b@example.com"], fail_silently=True) == 0
try:
    send_mail("s", "t", "a@example.com", ["b@example.com"])
except OSError as error:
    print(error)
"#;
    let Some(django) = django() else { return };
    let postroom = Setup::new().file("disk").build();
    let folder = postroom.folder();
    let head = "# postroom_backend.py, beside settings.py: ";
    let first = README.lines().find(|line| line.starts_with(head)).unwrap();
    fs::write(folder.join("postroom_backend.py"), block(first)).unwrap();
    let setting = first.strip_prefix(head).unwrap();
    let settings = format!("{}\n{setting}\n", block("# settings.py"));
    fs::write(folder.join("settings.py"), settings).unwrap();
    let code = block("# Anywhere in the application");
    well(python(&postroom, django, code));
    assert_eq!(
        everybody(&postroom),
        people(&["april", "ben", "carol", "dora"])
    );
    let dora = postroom.show_only("key:order-1847 type:receipt user:dora");
    assert_eq!(dora["from"], "Shop <shop@example.com>");
    let senders = postroom.details();
    let senders: Vec<_> = senders.iter().map(|one| one.return_path.as_ref()).collect();
    assert!(
        senders
            .iter()
            .all(|sender| sender.is_some_and(|sender| sender.raw() == "shop@example.com")),
        "{senders:?}"
    );

    fs::remove_file(postroom.store_path()).unwrap();
    let told = well(python(&postroom, django, REFUSED));
    assert!(told.contains("not taken over, try later"), "{told}");
}

#[test]
fn python_hands_lines_over_and_reads_the_receipts() {
    if !is_here("python3") {
        return;
    }
    let postroom = Setup::new().file("disk").build();
    let code = block("# hand_over.py");
    assert_eq!(well(python(&postroom, "python3", code)), "stored 1\n");
    assert_eq!(well(python(&postroom, "python3", code)), "already 1\n");
}

#[test]
fn a_script_that_cron_runs_mails_what_failed_and_says_nothing_of_the_rest() {
    let postroom = Setup::new().file("disk").build();
    let script = postroom.folder().join("mail-on-failure");
    let code =
        block("# mail-on-failure: runs a command, and mails what it printed when it failed.");
    fs::write(&script, code).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let run = |command: &[&str]| {
        let ran = program(&postroom, &script).args(command).output().unwrap();
        assert_eq!(well(ran), "");
    };
    run(&["true"]);
    assert_eq!(postroom.count(""), 0);
    run(&["sh", "-c", "echo no room; echo .; echo left >&2; exit 1"]);
    let mail = postroom.show_only("type:cron to:april@example.com");
    assert_eq!(
        mail["subject"],
        "failed: sh -c echo no room; echo .; echo left >&2; exit 1"
    );
    let raw = mail["content"]["raw"].as_str().unwrap();
    assert!(raw.ends_with("\r\n\r\nno room\r\n.\r\nleft\r\n"), "{raw:?}");
}

/// What cron writes to sendmail, in Debian and in Fedora: the name of a user is its whole From.
const CRON: [(&[&str], &str); 2] = [
    (
        &[
            "-i",
            "-FCronDaemon",
            "-B8BITMIME",
            "-oem",
            "april@example.com",
        ],
        "From: root (Cron Daemon)\nTo: april@example.com\nSubject: Cron <root@app> nightly\nMIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\n\
         Content-Transfer-Encoding: 8bit\nX-Cron-Env: <SHELL=/bin/sh>\n\n42 GB\n",
    ),
    (
        &[
            "-FCronDaemon",
            "-i",
            "-odi",
            "-oem",
            "-oi",
            "-t",
            "-f",
            "root",
        ],
        "From: \"(Cron Daemon)\" <root>\nTo: april@example.com\nSubject: Cron <root@app> nightly\nAuto-Submitted: auto-generated\nPrecedence: bulk\n\n42 GB\n",
    ),
];

#[test]
fn what_cron_mails_has_a_sender_that_a_mail_server_takes() {
    for (arguments, mail) in CRON {
        let server = Server::start(Script::accept_all().keep_bodies()).unwrap();
        let postroom = Postroom::to(&server);
        let mut sendmail = program(&postroom, "sendmail");
        let mut child = sendmail
            .args(arguments)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(mail.as_bytes()).unwrap();
        drop(stdin);
        assert!(child.wait().unwrap().success());
        assert_eq!(postroom.deliver().sent, 1);
        let ledger = server.ledger();
        let sender = ledger.entries[0].sender.to_string();
        let sent = String::from_utf8(ledger.entries[0].body.clone().unwrap().to_vec()).unwrap();
        let from = sent
            .lines()
            .find(|line| line.starts_with("From: "))
            .unwrap();
        assert!(sender.contains('@') && from.contains(&sender), "{sent}");
        assert_eq!(sent.matches("From: ").count(), 1, "{sent}");
        let known = postroom.show_only("")["from"].to_string();
        assert!(known.contains("Cron Daemon"), "{known}");
    }
}

#[test]
fn every_block_of_python_in_the_readme_is_run_here() {
    let run = [
        "# settings.py",
        "# Anywhere in the application",
        "# order.py",
        "# hand_over.py",
    ];
    let blocks = README.split("\n```").skip(1).step_by(2);
    let python = blocks.filter_map(|block| block.strip_prefix("python\n"));
    let others: Vec<_> = python
        .filter_map(|code| code.lines().next())
        .filter(|line| !run.contains(line) && !line.starts_with("# postroom_backend.py"))
        .collect();
    assert!(others.is_empty(), "{others:?}");
}
