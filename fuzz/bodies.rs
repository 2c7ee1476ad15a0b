//! What must hold of any input, for `cargo fuzz run` and for `tests/fuzz.rs`. A body panics where it does not.
//!
//! `cargo +nightly fuzz run query` looks for inputs of its own; what it finds belongs into `corpus/query`, where every test run tries it.
#![allow(
    dead_code,
    reason = "each fuzz target uses its own body, and the test all of them"
)]

use std::path::Path;

use postroom::{
    backend::smtp::reply::{Reply, ReplyReader},
    config::Config,
    console::traceback,
    message::{BackendFacts, DisplayText, NewReceiver, Submission, SubmitDefaults},
    query::{Context, Query},
};

/// Whether a terminal acts on it, written down anew: the program's own list must not judge itself.
fn acts(c: char) -> bool {
    c.is_control()
        || ('\u{200b}'..='\u{200f}').contains(&c)
        || ('\u{2028}'..='\u{202e}').contains(&c)
        || ('\u{2060}'..='\u{206f}').contains(&c)
        || matches!(c, '\u{61c}' | '\u{feff}')
        || ('\u{e0000}'..='\u{e007f}').contains(&c)
}

fn assert_harmless(text: &str) {
    let found = text.chars().find(|&c| c != '\n' && acts(c));
    assert_eq!(found, None, "a terminal acts on it: {text:?}");
}

/// A query is read or refused with words that point into it; read, it can be written down and means the same.
pub fn query(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    match Query::parse(text, &Context::local()) {
        Ok(query) => {
            let written = query.to_string();
            let again = Query::parse(&written, &Context::local());
            let again =
                again.unwrap_or_else(|error| panic!("{text:?} became {written:?}: {error}"));
            assert_eq!(again.to_string(), written, "{text:?}");
            let ranges = query.terms.iter().map(|term| term.span.clone());
            assert!(ranges.into_iter().all(|span| text.get(span).is_some()));
        }
        Err(error) => {
            assert!(
                error.span.start <= error.span.end && error.span.end <= text.len(),
                "{error:?}"
            );
            assert!(text.get(error.span.clone()).is_some(), "{error:?}");
            let told = error.render(text);
            assert_eq!(told.lines().count(), 3, "{told:?}");
            assert_harmless(&told);
        }
    }
}

/// A submitted line is taken or refused; taken, nothing in it can begin a line of a header.
pub fn submission(data: &[u8]) {
    let Ok(line) = str::from_utf8(data) else {
        return;
    };
    let facts = BackendFacts {
        mail: true,
        has_from: true,
    };
    let other = BackendFacts {
        mail: false,
        has_from: false,
    };
    let defaults = SubmitDefaults {
        backend: Some("email".to_owned()),
        language: "en".to_owned(),
        backends: [("email".to_owned(), facts), ("sms".to_owned(), other)].into(),
    };
    match Submission::parse(line, &defaults) {
        Ok(taken) => {
            let mut lines = vec![&taken.kind];
            lines.extend(&taken.key);
            lines.extend(&taken.from);
            lines.extend(&taken.reply_to);
            lines.extend(&taken.return_path);
            for (name, value) in &taken.headers {
                lines.extend([name, value]);
            }
            lines.extend(taken.contents.iter().map(|(_, content)| &content.subject));
            for receiver in &taken.receivers {
                lines.extend([&receiver.identity, &receiver.language, &receiver.backend]);
                lines.extend(&receiver.user);
                lines.extend(&receiver.name);
            }
            let breaks = |line: &&String| line.contains(['\r', '\n', '\0']);
            assert_eq!(lines.into_iter().find(breaks), None);
            assert!(!taken.receivers.is_empty());
            let own = |receiver: &NewReceiver| receiver.rendered.is_some();
            assert!(!taken.contents.is_empty() || taken.receivers.iter().all(own));
        }
        Err(error) => assert_harmless(&error.to_string()),
    }
}

/// A config file is read or refused with a line that it has.
pub fn config(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    if let Err(error) = Config::parse(text, Path::new("/etc/postroom/config.toml")) {
        let lines = 1 + text.matches('\n').count();
        assert!(
            error.line.is_none_or(|line| (1..=lines).contains(&line)),
            "{error:?}"
        );
        assert!(!error.message.is_empty());
    }
}

/// All replies up to the first that is none.
fn replies_in(pieces: &[&[u8]]) -> (Vec<Reply>, bool) {
    let (mut reader, mut found) = (ReplyReader::default(), Vec::new());
    for piece in pieces {
        let mut rest = *piece;
        while !rest.is_empty() {
            let Ok((used, reply)) = reader.push(rest) else {
                return (found, true);
            };
            assert!(used > 0 && used <= rest.len());
            found.extend(reply);
            rest = &rest[used..];
        }
    }
    (found, false)
}

/// Replies are the same wherever the network cuts them, and have a code that SMTP knows. The first byte says where it cuts.
pub fn replies(data: &[u8]) {
    let Some((&cut, data)) = data.split_first() else {
        return;
    };
    let whole = replies_in(&[data]);
    let pieces: Vec<&[u8]> = data.chunks(usize::from(cut).max(1)).collect();
    assert_eq!(replies_in(&pieces), whole);
    for reply in &whole.0 {
        assert!((100..600).contains(&reply.code()), "{reply:?}");
        assert!(reply.in_one_line().lines().count() <= 1 || reply.in_one_line().contains('\r'));
    }
}

/// An enhanced code is the reply's class, a subject and a detail of one to three digits, as they stand there (RFC 3463 section 2).
pub fn enhanced(data: &[u8]) {
    let line: Vec<u8> = data.iter().copied().filter(|byte| *byte != b'\n').collect();
    for code in ["250", "451", "550"] {
        let input = [code.as_bytes(), b" ", &line, b"\r\n"].concat();
        let (found, _) = replies_in(&[&input]);
        let [reply] = &found[..] else {
            panic!("one line is one reply: {found:?}");
        };
        let Some(enhanced) = reply.enhanced() else {
            continue;
        };
        assert!(line.starts_with(enhanced.as_bytes()));
        let parts: Vec<&str> = enhanced.split('.').collect();
        assert_eq!(parts.len(), 3);
        assert_eq!(parts[0], &code[..1]);
        for part in &parts[1..] {
            assert!(
                (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
            );
        }
    }
}

/// No line of a traceback is lost, at most one is the one to look at, and what is folded is there and is not that one.
pub fn traceback(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let lines = traceback::parse(&text);
    assert!(lines.iter().map(|line| line.text).eq(text.lines()));
    assert!(lines.iter().filter(|line| line.failing).count() <= 1);
    for line in &lines {
        assert!(line.text.get(line.span.clone()).is_some(), "{line:?}");
    }
    let mut end = 0;
    for fold in traceback::folds(&lines) {
        assert!(fold.start >= end && fold.end <= lines.len() && !fold.is_empty());
        end = fold.end;
        assert!(lines[fold].iter().all(|line| !line.failing));
    }
}

/// A backoff is a list of waits, none of which is longer than a calendar.
pub fn backoff(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let value = toml::Value::from(text);
    let file = format!("[delivery]\nbackoff = {value}\n");
    match Config::parse(&file, Path::new("config.toml")) {
        Ok(config) => {
            let steps = &config.delivery.backoff;
            assert!(
                !steps.is_empty() && steps.len() <= 10_000,
                "{} steps",
                steps.len()
            );
            let century = 100 * 365 * 24 * 60 * 60;
            assert!(steps.iter().all(|step| step.as_secs() <= century));
        }
        Err(error) => assert!(error.message.contains("backoff"), "{error:?}"),
    }
}

/// Whatever comes in, nothing that a terminal acts on comes out, and nothing that can be seen is lost.
pub fn display(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (line, lines) = (DisplayText::line(&text), DisplayText::lines(&text));
    assert!(!line.as_str().contains('\n'));
    assert_harmless(line.as_str());
    assert_harmless(lines.as_str());
    let seen = |text: &str| -> String { text.chars().filter(|c| c.is_alphanumeric()).collect() };
    assert!(
        seen(line.as_str()).contains(&seen(&text))
            || seen(line.as_str()).len() >= seen(&text).len()
    );
}
