//! Real tracebacks, and what becomes of them when they are cut or mixed.

use proptest::prelude::*;

use super::*;

const PYTHON: &str = include_str!("samples/python.txt");
const JAVA: &str = include_str!("samples/java.txt");
const RUST: &str = include_str!("samples/rust.txt");
const POSTROOM: &str = include_str!("samples/postroom.txt");
const ALL: [&str; 4] = [PYTHON, JAVA, RUST, POSTROOM];

fn of(text: &str, kind: Kind) -> Vec<&str> {
    let lines = parse(text).into_iter().filter(|line| line.kind == kind);
    lines.map(|line| line.text.trim()).collect()
}

/// What stands out of the frame to look at first.
fn failing(text: &str) -> Option<String> {
    let line = parse(text).into_iter().find(|line| line.failing)?;
    Some(line.text[line.span].to_owned())
}

/// What is left when foreign frames are folded: how many lines were, in their place.
fn folded(text: &str) -> Vec<String> {
    let lines = parse(text);
    let folds = folds(&lines);
    let mut left = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        match folds.iter().find(|fold| fold.contains(&at)) {
            Some(fold) if fold.start == at => left.push(format!("… {}", fold.len())),
            Some(_) => {}
            None => left.push(line.text.trim().to_owned()),
        }
    }
    left
}

#[test]
fn of_python_the_innermost_own_frame_of_the_last_error_is_the_one_to_look_at() {
    assert_eq!(
        failing(PYTHON).unwrap(),
        "File \"/srv/app/tasks.py\", line 8"
    );
    assert_eq!(
        of(PYTHON, Kind::Error),
        [
            "ConnectionRefusedError: [Errno 111] Connection refused",
            "RuntimeError: could not send 'feedback-2031'"
        ]
    );
    assert_eq!(of(PYTHON, Kind::Joint).len(), 3);
    let left = folded(PYTHON);
    assert_eq!(left.iter().filter(|line| line.starts_with('…')).count(), 1);
    assert!(
        !left.iter().any(|line| line.contains("smtplib.py")),
        "{left:#?}"
    );
    assert!(
        left.iter()
            .any(|line| line == "return smtplib.SMTP(host, 1)")
    );
}

#[test]
fn of_java_the_first_own_frame_of_the_root_cause_is_the_one_to_look_at() {
    assert_eq!(failing(JAVA).unwrap(), "Mailer.java:4");
    assert_eq!(
        of(JAVA, Kind::Error),
        [
            "Exception in thread \"main\" java.lang.IllegalStateException: could not deliver to april@example.com",
            "Caused by: java.net.ConnectException: Connection refused"
        ]
    );
    let left = folded(JAVA);
    assert!(
        !left.iter().any(|line| line.starts_with("at java.base/")),
        "{left:#?}"
    );
    assert!(left.iter().any(|line| line.contains("Mailer.main(")));
}

#[test]
fn of_rust_the_first_own_frame_is_the_one_to_look_at() {
    assert_eq!(failing(RUST).unwrap(), "main::deliver::{{closure}}");
    assert_eq!(
        of(RUST, Kind::Error)[1],
        "index out of bounds: the len is 1 but the index is 7"
    );
    let left = folded(RUST);
    assert!(
        !left.iter().any(|line| line.contains("/rustc/")),
        "{left:#?}"
    );
    for own in ["main::deliver::{{closure}}", "main::deliver", "main::main"] {
        assert!(
            left.iter().any(|line| line.ends_with(own)),
            "{own} in {left:#?}"
        );
    }
}

#[test]
fn of_postrooms_own_chains_circumstances_and_causes_have_labels() {
    let lines = parse(POSTROOM);
    let labels: Vec<_> = lines
        .iter()
        .filter(|line| line.kind == Kind::Fact)
        .map(|line| &line.text[line.span.clone()])
        .collect();
    assert_eq!(
        labels,
        [
            "while",
            "to",
            "phase",
            "backend",
            "server",
            "message",
            "receiver",
            "uid",
            "transaction",
            "0:",
            "1:"
        ]
    );
    assert!(folds(&lines).is_empty());
}

#[test]
fn a_panic_of_an_older_rust_and_a_chain_of_anyhow_are_known_too() {
    let old = "thread 'worker' panicked at 'no entry found', src/lane.rs:12:5\nnote: run with `RUST_BACKTRACE=1`";
    assert_eq!(of(old, Kind::Error).len(), 1);
    let chain = "Error: the store is locked\n\nCaused by:\n    0: begin\n    1: database is locked\n\nStack backtrace:\n   0: anyhow::error::new\n   1: postroom::store::begin\n             at ./src/store/mod.rs:10:9\n   2: std::rt::lang_start";
    assert_eq!(of(chain, Kind::Error), ["Error: the store is locked"]);
    assert_eq!(of(chain, Kind::Fact), ["0: begin", "1: database is locked"]);
    assert_eq!(failing(chain).unwrap(), "postroom::store::begin");
    assert!(parse(chain)[7].foreign && !parse(chain)[8].foreign);
}

#[test]
fn a_group_of_exceptions_stands_behind_bars_and_is_read_all_the_same() {
    let group = "  + Exception Group Traceback (most recent call last):\n  |   File \"/srv/app/run.py\", line 3, in <module>\n  |     go()\n  | ExceptionGroup: many (1 sub-exception)\n  +-+---------------- 1 ----------------\n    | Traceback (most recent call last):\n    |   File \"/srv/app/run.py\", line 9, in go\n    |     raise KeyError(1)\n    | KeyError: 1\n    +------------------------------------";
    assert_eq!(failing(group).unwrap(), "File \"/srv/app/run.py\", line 9");
    assert_eq!(of(group, Kind::Error).len(), 2);
}

#[test]
fn frames_that_recur_belong_together_and_elided_ones_are_foreign() {
    let deep = "Traceback (most recent call last):\n  File \"a.py\", line 2, in f\n    f()\n  [Previous line repeated 996 more times]\nRecursionError: maximum recursion depth exceeded";
    assert_eq!(of(deep, Kind::Frame).len(), 3);
    assert_eq!(of(deep, Kind::Error).len(), 1);
    let cut = "com.example.AppException: x\n    at com.example.A.b(A.java:1)\n    at org.springframework.B.c(B.java:2)\n    ... 23 more\n    Suppressed: java.io.IOException: closed\n        at com.example.Z.close(Z.java:9)";
    assert_eq!(folded(cut)[2], "… 2");
    assert_eq!(failing(cut).unwrap(), "A.java:1");
}

#[test]
fn ordinary_text_is_left_alone() {
    for text in [
        "at least one recipient is missing",
        "INFO: 12 messages",
        "Hello,\n\nthere is news: 7.\n",
        "  0: not a frame",
        "... and 3 more",
        "File \"x\"",
        "12:30: lunch",
    ] {
        assert!(
            parse(text).iter().all(|line| line.kind == Kind::Plain),
            "{:?}",
            parse(text)
        );
    }
}

/// Two samples' lines, dealt out like cards; cut off at the front and at the end.
fn mixed() -> impl Strategy<Value = String> {
    let sample = || proptest::sample::select(ALL.as_slice());
    (
        sample(),
        sample(),
        any::<Vec<bool>>(),
        0..400_usize,
        0..400_usize,
    )
        .prop_map(|(one, other, cards, front, end)| {
            let (mut one, mut other) = (one.lines(), other.lines());
            let mut text = String::new();
            for card in cards.into_iter().cycle().take(80).chain([true; 80]) {
                let line = if card { one.next() } else { other.next() };
                if let Some(line) = line {
                    text.push_str(line);
                    text.push('\n');
                }
            }
            let text: String = text.chars().skip(front).collect();
            let keep = text.chars().count().saturating_sub(end);
            text.chars().take(keep).collect()
        })
}

proptest! {
    #[test]
    fn no_line_is_ever_lost_or_moved(text in prop_oneof![mixed(), any::<String>()]) {
        let lines = parse(&text);
        prop_assert!(lines.iter().map(|line| line.text).eq(text.lines()));
        prop_assert!(lines.iter().filter(|line| line.failing).count() <= 1);
        for line in &lines {
            prop_assert!(line.text.get(line.span.clone()).is_some());
        }
        for fold in folds(&lines) {
            prop_assert!(lines[fold].iter().all(|line| line.foreign && !line.failing));
        }
    }
}
