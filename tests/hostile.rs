//! What strangers write into a message, an address or a reply is shown, never obeyed: not by the mail that leaves, not by the terminal.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{
    collections::HashMap, ffi::OsString, fs, os::unix::ffi::OsStringExt as _, process::Stdio,
};

use mail_parser::MessageParser;
use postroom::{
    console::{
        effect::{Effect, Event},
        question::Source as _,
        source::StoreSource,
        state::{Setup as Look, State},
        update::{start, update},
        view::view,
    },
    demo::server::{Action, Phase, Script, Server},
    message::DisplayText,
    store::Store,
};
use ratatui::{
    Terminal, TerminalOptions, Viewport,
    backend::{CrosstermBackend, TestBackend},
    crossterm::event::{KeyCode, KeyEvent, KeyModifiers},
    layout::{Rect, Size},
};
use serde_json::{Value, json};
use support::{Postroom, Ran, Setup, message};

/// A window title, a cleared screen, the clipboard, colours in one byte and in two, the bell, other line ends, every bidi control, what has no width,
/// tags, and a tab.
const HOSTILE: &str = "a\u{1b}]0;owned\u{7}\u{1b}[2J\u{1b}]52;c;eA==\u{1b}\\\u{1b}P\u{9b}31m\u{9d}0;x\u{9c}\u{8}\u{b}\u{c}\u{7f}\u{85}\u{1c}\u{1d}\u{1e}\
    \u{202a}\u{202b}\u{202c}\u{202d}\u{202e}gnp.exe\u{2066}\u{2067}\u{2068}\u{2069}\u{200e}\u{200f}\u{61c}\u{2028}\u{2029}\
    \u{200b}\u{200c}\u{200d}\u{2060}\u{feff}\u{ad}\u{e0001}\u{e0041}\u{e007f}\tz";

/// A display name: the same without what an address may not hold.
fn hostile_name() -> String {
    let name = HOSTILE.replace(|c: char| c.is_control() || c == '\\', "");
    format!("\"{name}\"")
}

/// Whether a terminal or an eye could be misled.
fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(u32::from(c),
            0xad | 0x61c | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x2069 | 0xfeff | 0xe0000..=0xe007f)
}

fn assert_harmless(text: &str, from: &str) {
    let found: Vec<char> = text
        .chars()
        .filter(|&c| c != '\n' && is_hostile(c))
        .collect();
    assert!(found.is_empty(), "{from}: {found:?} in {text:?}");
}

/// What it wrote holds nothing a terminal acts on; `tsv` has its tabs.
fn harmless(ran: Ran, arguments: &[&str]) -> Ran {
    let said = arguments.join(" ");
    let stdout = if arguments.contains(&"tsv") {
        ran.stdout.replace('\t', "  ")
    } else {
        ran.stdout.clone()
    };
    assert_harmless(&stdout, &said);
    assert_harmless(&ran.stderr, &said);
    ran
}

/// A message with as much of it in it as a submission lets in.
fn hostile_message(key: &str, to: &str) -> Value {
    json!({
        "key": format!("{key} {HOSTILE}"),
        "type": HOSTILE,
        "from": format!("{} <no-reply@example.com>", hostile_name()),
        "reply_to": format!("{} <answers@example.com>", hostile_name()),
        "created_by": HOSTILE,
        "headers": {"X-Course": [HOSTILE, "second"], "List-Id": format!("<{HOSTILE}>")},
        "metadata": {HOSTILE: [HOSTILE]},
        "content": {"en": {"subject": HOSTILE, "text": format!("{HOSTILE}\r\n.\r\n{HOSTILE}\n"), "html": format!("<p>{HOSTILE}</p>")}},
        "receivers": [{"to": format!("{} <{to}>", hostile_name()), "user": HOSTILE, "metadata": {"more": HOSTILE}}],
    })
}

/// A server that greets, welcomes, refuses and accepts in this way.
fn hostile_server() -> Server {
    let reply = |code: &str| Action::raw(format!("{code}-{HOSTILE}\rmore\r\n{code} {HOSTILE}\r\n"));
    Server::start(
        Script::accept_all()
            .keep_bodies()
            .on(Phase::Greeting, reply("220"))
            .rcpt("gone@example.com", reply("550"))
            .rcpt("grey@example.com", reply("451"))
            .dot("spam@example.com", reply("554"))
            .dot("fine@example.com", reply("250"))
            .rcpt(
                "nonsense@example.com",
                Action::raw(format!("{HOSTILE}\r\n")),
            ),
    )
    .unwrap()
}

const EVERYBODY: [&str; 5] = [
    "fine@example.com",
    "gone@example.com",
    "grey@example.com",
    "spam@example.com",
    "nonsense@example.com",
];

/// A store in which everything is hostile that can be, and the server it came to.
fn hostile_store() -> (Server, Postroom) {
    let server = hostile_server();
    let postroom = Setup::new()
        .smtp("email", &server)
        .set("backends.email.connections", 1)
        .build();
    let messages: Vec<_> = EVERYBODY.iter().map(|to| hostile_message(to, to)).collect();
    postroom.submit(&messages);
    harmless(postroom.run(&["deliver", "-vv"]).ok(), &["deliver", "-vv"]);
    (server, postroom)
}

/// The header lines of a message, unfolded: name and value.
fn header_lines(body: &[u8]) -> Vec<(String, String)> {
    let end = body
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap();
    let head = std::str::from_utf8(&body[..end]).unwrap();
    let mut lines: Vec<(String, String)> = Vec::new();
    for line in head.split("\r\n") {
        assert!(line.len() <= 998, "{line}");
        assert!(
            line.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t')),
            "a header is printable ASCII: {line:?}"
        );
        if let Some(more) = line.strip_prefix(' ') {
            lines.last_mut().unwrap().1.push_str(more);
        } else {
            let (name, value) = line.split_once(": ").unwrap();
            lines.push((name.to_owned(), value.to_owned()));
        }
    }
    lines
}

#[test]
fn whatever_a_message_says_its_headers_are_the_ones_postroom_wrote() {
    let server = Server::start(Script::accept_all().keep_bodies()).unwrap();
    let postroom = Postroom::to(&server);
    let injected = "Hello\u{b}Bcc: x@example.com\u{85}Bcc: x@example.com\u{2028}Bcc: x@example.com";
    let subjects = [
        HOSTILE,
        injected,
        "=?utf-8?q?Hello=0D=0ABcc:_x@example.com?=",
        "  spaces at both ends  ",
        &"x".repeat(3000),
        &"æ ".repeat(500),
    ];
    for (number, subject) in subjects.iter().enumerate() {
        let mut line = hostile_message(&number.to_string(), "april@example.com");
        line["content"]["en"]["subject"] = json!(subject);
        postroom.submit(&[line]);
    }
    assert_eq!(postroom.deliver().sent, subjects.len() as u64);
    server.with_ledger(|ledger| {
        assert_eq!(ledger.violations, Vec::<String>::new());
        for entry in &ledger.entries {
            let body = entry.body.as_ref().unwrap();
            let mut count = HashMap::new();
            for (name, _) in header_lines(body) {
                *count.entry(name).or_insert(0) += 1;
            }
            for once in [
                "From",
                "To",
                "Subject",
                "Date",
                "Message-ID",
                "Reply-To",
                "List-Id",
                "MIME-Version",
                "Content-Type",
            ] {
                assert_eq!(count.remove(once), Some(1), "{once}");
            }
            assert_eq!(count.remove("X-Course"), Some(2));
            assert_eq!(count, HashMap::new());

            let parsed = MessageParser::default().parse(&body[..]).unwrap();
            let to = parsed.to().unwrap();
            assert_eq!(to.iter().count(), 1);
            assert_eq!(to.first().unwrap().address(), Some("april@example.com"));
            assert_eq!(
                parsed.from().unwrap().first().unwrap().address(),
                Some("no-reply@example.com")
            );
            assert!(parsed.bcc().is_none() && parsed.cc().is_none());
        }
        let received: Vec<_> = ledger
            .entries
            .iter()
            .map(|entry| {
                let body = entry.body.as_ref().unwrap();
                let parsed = MessageParser::default().parse(&body[..]).unwrap();
                parsed.subject().unwrap_or_default().trim().to_owned()
            })
            .collect();
        for subject in &subjects[..5] {
            let subject = subject.trim().to_owned();
            assert!(received.contains(&subject), "{subject:?}: {received:#?}");
        }
    });
}

#[test]
fn a_line_end_or_nul_where_a_line_is_meant_is_refused_with_line_and_field() {
    let postroom = Setup::new().file("disk").build();
    let mut lines = vec![message("good", "t", &["april@example.com"])];
    let mut fields = Vec::new();
    for bad in [
        "a\r\nBcc: x@example.com",
        "a\nBcc: x@example.com",
        "a\rBcc: x@example.com",
        "a\0b",
    ] {
        let address = format!("{bad} <april@example.com>");
        let address = address.as_str();
        let mut with = |field: &str, pointer: &str, value: &str| {
            let mut line = message("bad", "t", &["april@example.com"]);
            line["headers"] = json!({});
            for missing in ["from", "reply_to", "return_path", "created_by"] {
                line[missing] = Value::Null;
            }
            line["headers"]["X-Course"] = json!("fine");
            *line.pointer_mut(pointer).unwrap() = json!(value);
            lines.push(line);
            fields.push(field.to_owned());
        };
        with("content.en.subject", "/content/en/subject", bad);
        with("from", "/from", address);
        with("reply_to", "/reply_to", address);
        with("return_path", "/return_path", bad);
        with("created_by", "/created_by", bad);
        with("receivers[0].to", "/receivers/0/to", address);
        with("receivers[0].user", "/receivers/0/user", bad);
        with("type", "/type", bad);
        with("headers.X-Course", "/headers/X-Course", bad);
    }
    let input: String = lines.iter().map(|line| line.to_string() + "\n").collect();
    let ran = harmless(postroom.run_with(&["submit"], input), &["submit"]).exit(1);
    let receipts = ran.json_lines();
    assert_eq!(receipts.len(), lines.len());
    assert_eq!(receipts[0]["result"], "stored");
    for (index, (receipt, field)) in receipts[1..].iter().zip(&fields).enumerate() {
        assert_eq!(receipt["result"], "error", "{receipt}");
        assert_eq!(receipt["field"], *field, "{receipt}");
        assert_eq!(receipt["line"], index + 2, "{receipt}");
        assert_eq!(receipt["key"], "bad", "{receipt}");
    }
    assert_eq!(postroom.count(""), 1);
}

#[test]
fn receipts_of_hostile_lines_are_harmless_and_keep_the_key() {
    let postroom = Setup::new().file("disk").build();
    let good = hostile_message("good", "april@example.com");
    let mut unknown_field = good.clone();
    unknown_field[HOSTILE] = json!(1);
    unknown_field["key"] = json!(HOSTILE);
    let mut unknown_backend = good.clone();
    unknown_backend["receivers"][0]["backend"] = json!(HOSTILE);
    let mut no_address = good.clone();
    no_address["receivers"][0]["to"] = json!(HOSTILE);
    let mut language = good.clone();
    language["content"] = json!({HOSTILE: {"subject": "x"}});
    let mut other = good.clone();
    other["type"] = json!("other");
    let lines = [
        &good,
        &good,
        &unknown_field,
        &unknown_backend,
        &no_address,
        &language,
        &other,
    ];
    let mut input: String = lines.iter().map(|line| line.to_string() + "\n").collect();
    input.push_str(HOSTILE);
    input.push('\n');
    let ran = harmless(postroom.run_with(&["submit"], input), &["submit"]).exit(1);
    let receipts = ran.json_lines();
    let results: Vec<_> = receipts.iter().map(|receipt| &receipt["result"]).collect();
    assert_eq!(
        results,
        [
            "stored", "already", "error", "error", "error", "error", "error", "error"
        ]
    );
    assert_eq!(receipts[0]["key"], good["key"]);
    assert_eq!(receipts[2]["key"], HOSTILE);
    assert!(
        ran.stdout.contains(r"\u001b]0;owned\u0007"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains(r"\u202egnp.exe"), "{}", ran.stdout);
}

#[test]
fn nothing_that_lists_or_shows_hands_a_control_character_on() {
    let (_server, postroom) = hostile_store();
    for columns in ["id,key,created,user,to,subject,type,backend,lang", "status"] {
        for format in ["table", "tsv", "json"] {
            let arguments = ["list", "--format", format, "--columns", columns];
            harmless(postroom.run(&arguments).ok(), &arguments);
        }
    }
    for id in 1..=EVERYBODY.len() {
        for format in ["text", "json"] {
            let id = id.to_string();
            let arguments = ["show", &id, "--format", format];
            harmless(postroom.run(&arguments).ok(), &arguments);
        }
    }
    postroom.run(&["backend", "email", "pause"]).ok();
    for command in ["status", "backend"] {
        for format in [["--format", "json"].as_slice(), &[]] {
            let arguments = [&[command], format].concat();
            harmless(postroom.run(&arguments), &arguments);
        }
    }
    for arguments in [
        ["backend", "email", "probe"].as_slice(),
        &["resend", "--all", "--dry-run"],
        &["hold", "--all", "--yes"],
        &["release", "--all", "--yes"],
        &["resend-failed"],
        &["backend", "email", "resume"],
        &["deliver", "-vv"],
        &["deliver", "-vv", "--format", "json"],
        &["migrate"],
        &["init"],
    ] {
        harmless(postroom.run(arguments).ok(), arguments);
    }
}

#[test]
fn json_carries_what_was_said_to_the_letter() {
    let (_server, postroom) = hostile_store();
    let row = postroom.only("to:gone@example.com");
    assert_eq!(row["subject"], HOSTILE);
    assert_eq!(row["user"], HOSTILE);
    assert_eq!(row["type"], HOSTILE);
    assert_eq!(row["message_key"], format!("gone@example.com {HOSTILE}"));

    let detail = postroom.show_json(&row["id"]);
    assert_eq!(
        detail["content"]["text"],
        format!("{HOSTILE}\r\n.\r\n{HOSTILE}\n")
    );
    assert_eq!(detail["metadata"][HOSTILE], json!([HOSTILE]));
    assert_eq!(detail["receiver_metadata"]["more"], HOSTILE);
    assert_eq!(detail["created_by"], HOSTILE);
    let attempt = &detail["attempts"][0];
    assert_eq!(attempt["code"], 550);
    assert!(
        attempt["transcript"]
            .as_str()
            .unwrap()
            .contains(&format!("550 {HOSTILE}"))
    );
    for told in ["error", "traceback"] {
        let told = attempt[told].as_str().unwrap();
        assert!(told.contains("\u{1b}]0;owned\u{7}"), "{told:?}");
    }
}

#[test]
fn each_line_of_a_reply_stands_on_a_line_of_its_own_that_says_who_spoke() {
    let fake = "550-no\n550-1.000  C: MAIL FROM:<forged@example.com>\r550 no\u{2028}C: QUIT\r\n550 done\r\n";
    let server = Server::start(Script::accept_all().on(Phase::Rcpt, Action::raw(fake))).unwrap();
    let postroom = Postroom::to(&server);
    postroom.submit(&[message("m", "t", &["april@example.com"])]);
    postroom.run(&["deliver"]).ok();
    let shown = postroom.run(&["show", "1"]).ok().stdout;
    let forged: Vec<_> = shown
        .lines()
        .filter(|line| line.contains("forged@") || line.contains("QUIT"))
        .collect();
    assert!(!forged.is_empty());
    for line in forged {
        assert!(
            line.contains("S: 550") || !line.trim_start().starts_with("C:"),
            "{line}"
        );
    }
}

#[test]
fn a_backend_that_is_down_for_a_hostile_reason_is_reported_harmlessly() {
    let server = Server::start(
        Script::accept_all().on(Phase::Greeting, Action::raw(format!("554 {HOSTILE}\r\n"))),
    )
    .unwrap();
    let postroom = Postroom::to(&server);
    postroom.submit(&[hostile_message("m", "april@example.com")]);
    for arguments in [
        ["deliver"].as_slice(),
        &["status"],
        &["status", "--format", "json"],
        &["backend"],
        &["backend", "--format", "json"],
        &["backend", "email", "probe"],
        &["show", "1"],
    ] {
        harmless(postroom.run(arguments), arguments);
    }
    let ran = postroom.run(&["status", "--format", "json"]);
    let status: Value = serde_json::from_str(&ran.stdout).unwrap();
    let error = status["backends"][0]["error"].as_str().unwrap();
    assert!(error.contains("\u{1b}]0;owned\u{7}"), "{error:?}");
}

#[test]
fn an_error_repeats_a_query_an_id_or_a_name_without_obeying_it() {
    let postroom = Setup::new().file("disk").build();
    postroom.submit(&[message("m", "t", &["april@example.com"])]);
    let field = format!("{HOSTILE}:x");
    let value = format!("status:{HOSTILE}");
    let flag = format!("--{}", HOSTILE.replace('=', ""));
    for arguments in [
        ["list", "--", &field].as_slice(),
        &["list", "--", &value],
        &["list", "--", HOSTILE, "to:"],
        &["list", "--format", HOSTILE],
        &["list", "--columns", HOSTILE],
        &["list", "--limit", HOSTILE],
        &["list", &flag],
        &["resend", "--", &value],
        &["hold", "--id", HOSTILE],
        &["console", &value],
        &["show", HOSTILE],
        &["backend", "disk", HOSTILE],
        &["--color", HOSTILE, "list"],
        &[HOSTILE],
    ] {
        let ran = harmless(postroom.run(arguments), arguments).exit(2);
        assert!(ran.stderr.contains("gnp.exe"), "{ran:?}");
    }
    for arguments in [
        ["backend", HOSTILE].as_slice(),
        &["backend", HOSTILE, "probe"],
        &["backend", HOSTILE, "pause"],
        &["submit", HOSTILE],
        &["list", "--store", HOSTILE],
        &["list", "--config", HOSTILE],
        &["migrate", "--store", HOSTILE],
    ] {
        let ran = harmless(postroom.run(arguments), arguments).exit(1);
        assert!(ran.stderr.contains("gnp.exe"), "{ran:?}");
    }
}

#[test]
fn a_hostile_file_name_or_operator_is_shown_and_not_obeyed() {
    let postroom = Setup::new().file("disk").build();
    let store = postroom.folder().join(format!("{HOSTILE}.db"));
    let config = postroom.folder().join(format!("{HOSTILE}.toml"));
    let (store, config) = (store.to_str().unwrap(), config.to_str().unwrap());
    for _ in 0..2 {
        let arguments = ["init", "--store", store, "--config", config];
        let ran = harmless(postroom.run(&arguments).ok(), &arguments);
        assert_eq!(ran.stdout.matches("gnp.exe").count(), 2);
    }
    for command in [
        ["migrate"].as_slice(),
        &["status"],
        &["list"],
        &["run"],
        &["deliver"],
        &["console"],
    ] {
        let arguments = [command, &["--store", store, "--config", config]].concat();
        harmless(postroom.run(&arguments), &arguments);
    }
    fs::write(
        config,
        format!("[store]\n{} = 1\n", json!("gnp.exe\u{202e}")),
    )
    .unwrap();
    let arguments = ["list", "--config", config];
    harmless(postroom.run(&arguments), &arguments).exit(1);
    fs::write(config, "[backends.email]\nhost = \"a\u{1b}[2Jb\"\n").unwrap();
    harmless(postroom.run(&arguments), &arguments).exit(1);

    postroom.submit(&[message("m", "t", &["april@example.com"])]);
    for arguments in [
        ["backend", "disk", "pause"].as_slice(),
        &["backend"],
        &["status"],
        &["backend", "disk", "resume"],
        &["deliver"],
        &["show", "1"],
    ] {
        let output = postroom
            .command(arguments)
            .env("SUDO_USER", HOSTILE)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert_harmless(&String::from_utf8(output.stdout).unwrap(), arguments[0]);
        assert_harmless(&String::from_utf8(output.stderr).unwrap(), arguments[0]);
    }
    assert!(
        postroom.show_json(1)["attempts"][0]["by"]
            .as_str()
            .unwrap()
            .contains("\u{1b}]0;owned")
    );
}

#[test]
fn arguments_that_are_not_text_are_refused_harmlessly() {
    let postroom = Setup::new().file("disk").build();
    let odd = OsString::from_vec(b"\x1b[2J\x9b31m\xff".to_vec());
    for arguments in [
        ["list", "--"].as_slice(),
        &["list", "--store"],
        &["submit"],
        &[],
        &["init", "--store"],
    ] {
        let mut command = postroom.command(arguments);
        let output = command.arg(&odd).stdin(Stdio::null()).output().unwrap();
        assert!(!output.status.success());
        let told = String::from_utf8(output.stderr).unwrap();
        assert_harmless(&told, "stderr");
        assert!(!told.is_empty() && !told.contains("panicked"), "{told}");
    }
}

/// A console on this store, driven as its runtime does: every question is answered at once.
struct Console {
    state: State,
    source: StoreSource,
}

impl Console {
    fn on(postroom: &Postroom, query: &str, width: u16, height: u16) -> Self {
        let store = Store::open_read_only(&postroom.store_path()).unwrap();
        let look = Look {
            store: DisplayText::line(HOSTILE),
            types: [(HOSTILE.to_owned(), HOSTILE.to_owned())].into(),
            ..Look::default()
        };
        let now = "2026-11-22T12:00:00Z".parse().unwrap();
        let mut console = Self {
            state: State::new(look, Size::new(width, height), now),
            source: StoreSource::new(store.reader().unwrap()),
        };
        let effects = start(&mut console.state, query);
        console.take(effects);
        console
    }

    fn take(&mut self, effects: Vec<Effect>) {
        let mut effects: std::collections::VecDeque<_> = effects.into();
        while let Some(effect) = effects.pop_front() {
            if let Effect::Ask(ask) = effect {
                let answer = self.source.answer(&ask.question);
                effects.extend(update(&mut self.state, Event::Answer(ask, answer)));
            }
        }
    }

    fn event(&mut self, event: Event) {
        let effects = update(&mut self.state, event);
        self.take(effects);
    }

    fn press(&mut self, code: KeyCode) {
        self.event(Event::Key(KeyEvent::new(code, KeyModifiers::NONE)));
    }

    /// The cells of the screen, and the bytes a terminal would get for them. The letters that are left.
    fn assert_harmless(&self, what: &str) -> String {
        let Size { width, height } = self.state.size;
        let mut cells = Terminal::new(TestBackend::new(width, height)).unwrap();
        cells.draw(|frame| view(&self.state, frame)).unwrap();
        for cell in &cells.backend().buffer().content {
            assert_harmless(cell.symbol(), what);
        }

        let mut bytes = Vec::new();
        let viewport = Viewport::Fixed(Rect::new(0, 0, width, height));
        let mut terminal = Terminal::with_options(
            CrosstermBackend::new(&mut bytes),
            TerminalOptions { viewport },
        )
        .unwrap();
        terminal.draw(|frame| view(&self.state, frame)).unwrap();
        drop(terminal);
        let letters = without_own_sequences(&bytes);
        assert_harmless(&letters, what);
        letters
    }
}

/// What is left when the sequences are taken out that a console writes by itself: colours, attributes, cursor moves.
fn without_own_sequences(bytes: &[u8]) -> String {
    let text = std::str::from_utf8(bytes).unwrap();
    let mut parts = text.split("\u{1b}[");
    let mut rest = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| c.is_ascii_alphabetic()).unwrap();
        let (parameters, after) = part.split_at(end);
        let own = parameters
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, ';' | '?'))
            && after.starts_with(['m', 'H', 'l', 'h']);
        assert!(own, "{part:?}");
        rest.push_str(&after[1..]);
    }
    rest
}

#[test]
fn the_console_shows_a_hostile_store_without_a_byte_that_steers_the_terminal() {
    let (_server, postroom) = hostile_store();
    for (width, height) in [(200, 60), (80, 24), (40, 10)] {
        for to in EVERYBODY {
            let mut console = Console::on(&postroom, &format!("to:{to}"), width, height);
            let table = console.assert_harmless("table");
            assert!(width < 200 || table.contains("gnp.exe"), "{table}");
            console.press(KeyCode::Enter);
            for _ in 0..5 {
                console.assert_harmless("detail");
                for _ in 0..4 {
                    console.press(KeyCode::PageDown);
                    console.assert_harmless("detail, further down");
                }
                console.press(KeyCode::Tab);
            }
            console.press(KeyCode::Esc);
            console.press(KeyCode::Char('a'));
            console.press(KeyCode::Char('r'));
            console.assert_harmless("question");
            console.press(KeyCode::Char('n'));
            console.press(KeyCode::Char('?'));
            console.assert_harmless("help");
        }
    }
}

#[test]
fn a_query_pasted_or_named_on_the_command_line_cannot_steer_the_console() {
    let (_server, postroom) = hostile_store();
    for query in [HOSTILE.to_owned(), format!("status:{HOSTILE}")] {
        for (width, height) in [(120, 30), (40, 10)] {
            let mut console = Console::on(&postroom, &query, width, height);
            console.assert_harmless("the first query");
            console.press(KeyCode::Char('/'));
            console.event(Event::Paste(query.clone()));
            console.assert_harmless("pasted");
            console.press(KeyCode::Enter);
            console.assert_harmless("entered");
            for c in query.chars() {
                console.press(KeyCode::Char(c));
            }
            console.assert_harmless("typed");
            console.press(KeyCode::Enter);
            console.assert_harmless("typed and entered");
        }
    }
}
