//! What `cargo fuzz` looks for with a nightly compiler and much time (`fuzz/`), here on the known inputs, on pieces of them, and on words put together at random.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../fuzz/bodies.rs"]
mod bodies;

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use postroom::console::{
    page::{Hit, Page, Shape, Spot},
    theme::Role,
};
use proptest::{
    prelude::*,
    sample::{Index, select},
};

/// What the inputs of a target are made of, beside bytes.
struct Target {
    name: &'static str,
    body: fn(&[u8]),
    words: &'static [&'static str],
}

const TARGETS: [Target; 10] = [
    Target {
        name: "query",
        body: bodies::query,
        words: &[
            "status:",
            "-",
            ",",
            "\"",
            "\\",
            " ",
            "failed",
            "to:@",
            "sent:>=",
            "created:<",
            "30d",
            "today",
            "code:4.7.1",
            "id:",
            "failed:>2",
            "is:sending",
            "2026-11-01",
            "key:",
            "subject:",
            "7",
            "ж",
            "\u{202e}",
        ],
    },
    Target {
        name: "submission",
        body: bodies::submission,
        words: &[
            "{",
            "}",
            "[",
            "]",
            ":",
            ",",
            "\"",
            "\"key\":",
            "\"type\":\"feedback\"",
            "\"content\":{\"en\":{\"subject\":\"a\",\"text\":\"b\"}}",
            "\"receivers\":[{\"to\":\"april@example.com\"}]",
            "\"raw\":",
            "\"headers\":{\"X-A\":\"b\"}",
            "\\r\\n",
            "\\u0000",
            "null",
            "-1",
            "1e999",
            "\"template\":true",
            "{{",
            "{% for x in y %}",
            "\"from\":",
            "a@b.example",
            "<",
            ">",
        ],
    },
    Target {
        name: "mail",
        body: bodies::mail,
        words: &[
            "\r\n",
            "\n",
            "\r\n\r\n",
            "From: April <april@example.com>\r\n",
            "Subject: =?utf-8?Q?a=0Ab?=\r\n",
            "Bcc: ben@example.com\r\n",
            "Date: Sun, 01 Nov 2026 08:30:00 +0000\r\n",
            "X-Postroom-Type: feedback\r\n",
            "X-Postroom-Key:",
            "Content-Type: multipart/mixed; boundary=b\r\n",
            "Content-Type: text/html; charset=utf-7\r\n",
            "Content-Type: message/rfc822\r\n",
            "Content-Disposition: attachment; filename*=utf-8''a%2fb\r\n",
            "Content-Transfer-Encoding: base64\r\n",
            "Content-Transfer-Encoding: quoted-printable\r\n",
            "--b\r\n",
            "--b--\r\n",
            "<table><tr><td>",
            "=C3=A9",
            "w6k=",
            " ",
            "\t",
            ":",
            "\0",
            "\u{202e}",
        ],
    },
    Target {
        name: "config",
        body: bodies::config,
        words: &[
            "[delivery]\n",
            "[backends.email]\n",
            "[backends.\u{1b}]\n",
            "kind = \"smtp\"\n",
            "host = \"mx.example\"\n",
            "port = 25\n",
            "tls = \"none\"\n",
            "backoff = \"1m\"\n",
            "lease = \"0s\"\n",
            "[retention]\n",
            "sent = \"90d\"\n",
            "timeouts = { dot = \"1s\" }\n",
            "=",
            "\n",
            "\"",
            "#",
            "[",
            "]",
            "rate = \"50/s\"\n",
            "[types]\n",
            "password_file = \"x\"\n",
        ],
    },
    Target {
        name: "replies",
        body: bodies::replies,
        words: &[
            "250",
            "550",
            "354",
            "421",
            "-",
            " ",
            "\r\n",
            "\n",
            "\r",
            "4.7.1 ",
            "5.1.1 ",
            "no such user",
            "\0",
            "é",
            "999",
        ],
    },
    Target {
        name: "causes",
        body: bodies::causes,
        words: &[
            "april@example.com",
            "\n",
            "<",
            ">",
            ":",
            " ",
            "'",
            "550",
            "5.1.1",
            "300 seconds",
            "192.0.2.7",
            "2001:db8::1",
            "3F2A1B2C4D",
            "mx.example:25",
            "12:30:00",
            "2026-11-01",
            "104%",
            "April's",
            "İ",
            "\u{2028}",
        ],
    },
    Target {
        name: "enhanced",
        body: bodies::enhanced,
        words: &[
            "2.", "4.", "5.", "7", "509", "1000", ".", " ", "\t", "\r", "no", "é",
        ],
    },
    Target {
        name: "traceback",
        body: bodies::traceback,
        words: &[
            "Traceback (most recent call last):\n",
            "  File \"a.py\", line 1, in f\n",
            "    x = 1\n",
            "ValueError: no\n",
            "Caused by:\n",
            "\tat a.b.C.d(C.java:7)\n",
            "\t... 7 more\n",
            "   0: std::f\n",
            "             at /rustc/x.rs:1:1\n",
            "stack backtrace:\n",
            "thread 'main' panicked at src/main.rs:1:1:\n",
            "\n",
            "  ",
            "é",
        ],
    },
    Target {
        name: "backoff",
        body: bodies::backoff,
        words: &[
            "1",
            "0",
            "m",
            "s",
            "h",
            "d",
            "y",
            "*",
            ",",
            " ",
            "-",
            "1m,5m",
            "1h*3",
            "999999999999999999999",
            "é",
        ],
    },
    Target {
        name: "display",
        body: bodies::display,
        words: &[
            "\u{1b}[31m",
            "\u{1b}]52;c;AA\u{7}",
            "\u{202e}",
            "\u{200d}",
            "\u{e0041}",
            "\r\n",
            "\r",
            "\t",
            "\u{85}",
            "\u{9b}31m",
            "a",
            "é",
            "\u{301}",
            "😀",
        ],
    },
];

/// The inputs that are kept, by target.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let files =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    files
        .map(|file| fs::read(file.unwrap().path()).unwrap())
        .collect()
}

/// Words of the target and bytes of any kind, one after the other.
fn made_up(words: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        6 => select(words).prop_map(|word| word.as_bytes().to_vec()),
        2 => any::<char>().prop_map(|c| c.to_string().into_bytes()),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
    ];
    prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

/// A known input in which something was cut out and something else put in.
fn spoiled(corpus: Vec<Vec<u8>>, words: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let parts = (
        select(corpus),
        any::<Index>(),
        any::<Index>(),
        made_up(words),
    );
    parts.prop_map(|(mut input, from, to, instead)| {
        let (from, to) = (from.index(input.len() + 1), to.index(input.len() + 1));
        input.splice(from.min(to)..from.max(to), instead);
        input
    })
}

#[test]
fn no_input_however_it_is_spoiled_makes_a_parser_panic_or_lie() {
    for target in TARGETS {
        let corpus = corpus(target.name);
        assert!(!corpus.is_empty(), "{}", target.name);
        for input in &corpus {
            (target.body)(input);
        }
        let usual = ProptestConfig::default();
        // PROPTEST_CASES in the environment makes more of them.
        let config = ProptestConfig {
            cases: usual.cases * 16,
            failure_persistence: None,
            ..usual
        };
        let inputs = prop_oneof![made_up(target.words), spoiled(corpus, target.words)];
        let ran = proptest::test_runner::TestRunner::new(config).run(&inputs, |input| {
            (target.body)(&input);
            Ok(())
        });
        ran.unwrap_or_else(|error| panic!("{}: {error}", target.name));
    }
}

#[test]
fn every_target_of_cargo_fuzz_is_tried_here() {
    let targets = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
    let mut files: Vec<String> = fs::read_dir(targets)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let mut tried = TARGETS.map(|target| format!("{}.rs", target.name));
    tried.sort();
    assert_eq!(files, tried);
}

#[test]
fn a_screen_full_of_what_is_searched_for_is_drawn_at_once() {
    let mut page = Page::default();
    page.text(Role::Plain, &"a:".repeat(1_000_000));
    let shape = Shape {
        width: 80,
        height: 400,
        wrap: false,
    };
    let here = Hit { line: 0, at: 2 };
    let begun = Instant::now();
    for row in page.shown(Spot::default(), shape) {
        let parts = page.parts(&row, Some("a"), Some(here));
        let said: String = parts.iter().map(|(letters, _)| *letters).collect();
        assert_eq!(said, page.line(row.line));
        for (at, (letters, role)) in parts.iter().enumerate() {
            let expected = match *letters {
                "a" if row.line == 0 && at == 2 => Role::Here,
                "a" => Role::Match,
                _ => Role::Plain,
            };
            assert_eq!(*role, expected, "{at}");
        }
    }
    // Looking each piece up among all that match would take many times as long.
    assert!(begun.elapsed() < Duration::from_secs(10));
}
