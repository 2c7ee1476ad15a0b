//! What must hold of any input, for `cargo fuzz run` and for `tests/fuzz.rs`. A body panics where it does not.
//!
//! `cargo +nightly fuzz run --dev -s none query FOLDER fuzz/corpus/query` looks for inputs of its own and keeps in FOLDER what leads to new code; an
//! input that found something belongs into `corpus/query`, where every test run tries it. Postroom has no `unsafe`, so a sanitizer (the default) finds
//! no more in it and takes longer.
#![allow(
    dead_code,
    reason = "each fuzz target uses its own body, and the test all of them"
)]

use std::path::Path;

use postroom::{
    backend::smtp::reply::{Reply, ReplyReader},
    config::Config,
    console::{
        content::{self, Part, Piece},
        page::{Page, Shape, Spot},
        traceback,
    },
    message::{
        BackendFacts, Body, Cause, Content, DisplayText, Envelope, Failure, MessageId, NewReceiver,
        ReceiverId, State, Submission, SubmitDefaults, Text, Timestamp, addressees,
    },
    query::{Context, Query},
    store::{Detail, Row},
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

/// What a submission may leave out: one backend for mail, and one for something else.
fn defaults() -> SubmitDefaults {
    let facts = BackendFacts {
        mail: true,
        has_from: true,
    };
    let other = BackendFacts {
        mail: false,
        has_from: false,
    };
    SubmitDefaults {
        backend: Some("email".to_owned()),
        language: "en".to_owned(),
        backends: [("email".to_owned(), facts), ("sms".to_owned(), other)].into(),
    }
}

/// A submitted line is taken or refused; taken, nothing in it can begin a line of a header.
pub fn submission(data: &[u8]) {
    let Ok(line) = str::from_utf8(data) else {
        return;
    };
    match Submission::parse(line, &defaults()) {
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

/// A mail from a program or over the wire is taken or refused; taken, it is whole, tells its receiver nothing that is for us alone, and is the same
/// when it is handed over again. Taken or not, every part of it can be looked at and saved without harm.
pub fn mail(data: &[u8]) {
    let envelope = Envelope {
        sender: None,
        recipients: vec!["april@example.com".to_owned()],
        from: Some("cron@example.com".to_owned()),
        created_by: None,
    };
    let take = |mail: &[u8]| {
        let (defaults, now) = (defaults(), Timestamp::UNIX_EPOCH);
        Submission::of_mail(mail.to_vec(), envelope.clone(), &defaults, now)
    };
    let addressed = addressees(data);
    assert!(addressed.iter().all(|one| !one.is_empty()));
    match take(data) {
        Ok(taken) => {
            let mut lines = vec![&taken.kind];
            lines.extend(&taken.key);
            lines.extend(&taken.from);
            lines.extend(taken.contents.iter().map(|(_, content)| &content.subject));
            let breaks = |line: &&String| line.contains(['\r', '\n', '\0']);
            assert_eq!(lines.into_iter().find(breaks), None);
            let [(_, content)] = &taken.contents[..] else {
                panic!("one mail is one content");
            };
            let Body::Raw(sent) = &content.body else {
                panic!("a mail is sent as it is");
            };
            assert_is_whole(sent);
            let again = take(sent).unwrap_or_else(|error| panic!("taken and refused: {error}"));
            assert!(
                again.contents[0].1.body == content.body,
                "it changes when it is handed over again"
            );
            assert_can_be_looked_at(content);
        }
        Err(error) => assert_harmless(&error.to_string()),
    }
    assert_can_be_looked_at(&Content {
        subject: String::from_utf8_lossy(data).into_owned(),
        body: Body::Raw(data.to_vec()),
    });
}

/// Lines that end with CRLF, no NUL, and a header without what no receiver may see.
fn assert_is_whole(mail: &[u8]) {
    assert!(!mail.contains(&0));
    let mut before = None;
    for &byte in mail.iter().chain(b"x") {
        assert_eq!(before == Some(b'\r'), byte == b'\n', "a bare CR or LF");
        before = Some(byte);
    }
    let text = String::from_utf8_lossy(mail);
    let (header, _) = text.split_once("\r\n\r\n").unwrap_or_default();
    for line in header.split("\r\n") {
        let name = line.split(':').next().unwrap_or_default();
        let name = name.trim_ascii_end().to_ascii_lowercase();
        let hidden = ["bcc", "resent-bcc", "return-path"].contains(&name.as_str());
        assert!(!hidden && !name.starts_with("x-postroom-"), "{header:?}");
    }
}

/// Shows every part as the console does, and names and decodes what is attached.
fn assert_can_be_looked_at(said: &Content) {
    let detail = detail();
    let width = 1 + said.size() % 90;
    for part in content::read(&detail, said, Part::Text, width).parts {
        let reading = content::read(&detail, said, part, width);
        assert_eq!(reading.part, part);
        assert_can_be_read(&reading.page, width);
        content::raw(said, Piece::Part(part));
        for (at, name) in reading.attachments.iter().enumerate().take(9) {
            assert_harmless(name);
            assert!(name.starts_with("postroom-1-") && name.len() <= 200);
            assert!(!name.contains(['/', '\\', '\n']), "{name:?}");
            assert!(content::raw(said, Piece::Attachment(at + 1)).is_some());
        }
    }
}

/// Whatever stands on a page, it is harmless, and every byte of it is seen, whether its lines are broken or scrolled.
fn assert_can_be_read(page: &Page, width: usize) {
    assert_harmless(&page.plain());
    for wrap in [true, false] {
        let shape = Shape {
            width,
            height: 7,
            wrap,
        };
        for row in page.shown(Spot::default(), shape) {
            page.parts(&row, Some("a"), None);
        }
        page.shown(page.last(shape), shape);
    }
    for hit in page.find("a").into_iter().take(3) {
        let line = page.line(hit.line);
        assert!(line.get(hit.at..).is_some(), "{line:?}");
    }
}

/// A receiver of whom there is not much to say.
#[allow(
    clippy::default_trait_access,
    reason = "the type of metadata is another crate's, which the targets do not use"
)]
fn detail() -> Detail {
    let row = Row {
        id: ReceiverId(1),
        message_id: MessageId(1),
        message_key: Text::from("key"),
        kind: Text::default(),
        created_at: Timestamp::UNIX_EPOCH,
        subject: Text::default(),
        user: None,
        identity: Text::from("april@example.com"),
        backend: Text::from("email"),
        language: Text::from("en"),
        state: State::Queued,
        failed_count: 0,
        sent_count: 0,
        sent_at: None,
        next_attempt_at: None,
        sending: false,
        delivery: None,
    };
    Detail {
        row,
        message_status: "not_sent",
        message_metadata: Default::default(),
        receiver_metadata: Default::default(),
        from: None,
        uid: Text::from("uid"),
        created_by: None,
        job: None,
        name: None,
        reply_to: None,
        return_path: None,
        headers: Vec::new(),
        priority: 0,
        send_after: None,
        expires_at: None,
        resend_limit: None,
        unknown_count: 0,
        attempts: Vec::new(),
        actions: Vec::new(),
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

/// The cause of a failure is a line of its own, not longer than is told, whatever a server says of whomever: the identity is the first line.
pub fn causes(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (identity, said) = text.split_once('\n').unwrap_or(("a@b.example", &text));
    let failure = Failure {
        error: said.to_owned(),
        server: Some("mx.example:25".to_owned()),
        ..Failure::default()
    };
    let cause = Cause::of(&failure, identity);
    let words: Vec<&str> = cause.text.split_whitespace().collect();
    assert_eq!(words.join(" "), cause.text);
    assert!(cause.text.chars().count() <= 1_001);
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
