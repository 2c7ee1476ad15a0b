//! What an application may rely on when it hands a message over.
#![allow(clippy::unwrap_used)] // in helpers of tests, too

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use postroom::message::{BackendFacts, Body, Submission, SubmissionError, SubmitDefaults};
use proptest::prelude::*;
use serde_json::{Value, json};

fn defaults() -> SubmitDefaults {
    let facts = |mail, has_from| BackendFacts { mail, has_from };
    SubmitDefaults {
        backend: Some("email".to_owned()),
        language: "en".to_owned(),
        backends: BTreeMap::from([
            ("email".to_owned(), facts(true, true)),
            ("bare".to_owned(), facts(true, false)),
            ("sms".to_owned(), facts(false, false)),
        ]),
    }
}

fn example() -> Value {
    json!({
        "key": "assignment-7-feedback-2031", "type": "feedback", "from": "Devilry <no-reply@uni.example>", "created_by": "admin",
        "content": {"en": {"subject": "Feedback on Assignment 7", "text": "Well done", "html": "<p>Well done</p>"},
                    "nb": {"subject": "Tilbakemelding på oppgave 7", "text": "Bra"}},
        "receivers": [{"to": "april@example.com", "user": "april", "language": "nb", "backend": "email", "metadata": {"group": 25}}]
    })
}

fn parse(value: &Value) -> Result<Submission, SubmissionError> {
    Submission::parse(&value.to_string(), &defaults())
}

/// The example with one field changed; `null` takes it away.
fn with(field: &str, value: Value) -> Value {
    let mut line = example();
    match field.split_once('.') {
        Some(("receiver", field)) => line["receivers"][0][field] = value,
        _ => line[field] = value,
    }
    line
}

fn refused(line: &Value) -> (String, String) {
    let error = parse(line).expect_err("this must be refused");
    (error.field.unwrap_or_default(), error.message)
}

fn raw(raw: &str) -> Value {
    json!({"raw": raw, "receivers": [{"to": "april@example.com"}]})
}

fn bytes(submission: &Submission) -> &[u8] {
    match &submission.contents[0].1.body {
        Body::Raw(bytes) => bytes,
        _ => panic!("this is not raw"),
    }
}

#[test]
fn the_readme_s_example_is_taken_whole() {
    let submission = parse(&example()).unwrap();
    assert_eq!(
        submission.key.as_deref(),
        Some("assignment-7-feedback-2031")
    );
    assert_eq!(submission.kind, "feedback");
    assert_eq!(
        submission.from.as_deref(),
        Some("Devilry <no-reply@uni.example>")
    );
    assert_eq!(submission.created_by.as_deref(), Some("admin"));
    let languages: Vec<_> = submission
        .contents
        .iter()
        .map(|(language, _)| language.as_str())
        .collect();
    assert_eq!(languages, ["en", "nb"]);
    let receiver = &submission.receivers[0];
    assert_eq!(receiver.identity, "april@example.com");
    assert_eq!(
        (receiver.user.as_deref(), receiver.language.as_str()),
        (Some("april"), "nb")
    );
    assert_eq!(receiver.metadata, json!({"group": 25}));
}

#[test]
fn the_order_of_fields_and_the_key_do_not_change_what_was_said() {
    let one = r#"{"key":"a","type":"t","content":{"en":{"subject":"s","text":"t"}},"receivers":[{"to":"a@b.example","user":"u"}]}"#;
    let two = r#"{"receivers":[{"user":"u","to":"a@b.example"}], "content":{"en":{"text":"t","subject":"s"}},"type":"t", "key":"b"}"#;
    let three = one.replace("\"text\":\"t\"", "\"text\":\"T\"");
    let digest = |line: &str| Submission::parse(line, &defaults()).unwrap().digest;
    assert_eq!(digest(one), digest(two));
    assert_ne!(digest(one), digest(&three));
}

#[test]
fn a_name_before_the_address_is_kept_apart_from_it() {
    let to = |to: &str| {
        let submission = parse(&with("receiver.to", json!(to))).unwrap();
        let receiver = &submission.receivers[0];
        (
            receiver.name.clone().unwrap_or_default(),
            receiver.identity.clone(),
        )
    };
    let pair = |name: &str, identity: &str| (name.to_owned(), identity.to_owned());
    assert_eq!(
        to("April Ludgate <april@example.com>"),
        pair("April Ludgate", "april@example.com")
    );
    assert_eq!(
        to("\"Ludgate, April\" <april@example.com>"),
        pair("Ludgate, April", "april@example.com")
    );
    assert_eq!(
        to("Åse <åse@bücher.example>"),
        pair("Åse", "åse@bücher.example")
    );
    assert_eq!(to(" <april@example.com> "), pair("", "april@example.com"));
    assert_eq!(
        to("\"odd one\"@example.com"),
        pair("", "\"odd one\"@example.com")
    );
    assert_eq!(to("root@localhost"), pair("", "root@localhost"));
    assert_eq!(to("a@[192.0.2.1]"), pair("", "a@[192.0.2.1]"));
    for wrong in [
        "april",
        "april@",
        "@example.com",
        "a@b.example, c@d.example",
        "a b@example.com",
        "a@b.example>",
        "",
    ] {
        let (field, error) = refused(&with("receiver.to", json!(wrong)));
        assert_eq!(field, "receivers[0].to", "{wrong}: {error}");
    }
}

#[test]
fn the_same_backend_identity_and_user_twice_is_one_receiver() {
    let mut line = example();
    line["receivers"] = json!([
        {"to": "april@example.com", "user": "april"},
        {"to": "April <april@EXAMPLE.com>", "user": "april", "backend": "email"},
        {"to": "april@example.com", "user": "andy"},
        {"to": "april@example.com"},
        {"to": "april@example.com", "user": "april", "backend": "bare"},
    ]);
    let submission = parse(&line).unwrap();
    assert_eq!(submission.receivers.len(), 4);
}

#[test]
fn a_language_falls_back_to_its_wider_form_and_then_to_the_default() {
    let language = |wanted: Value| {
        parse(&with("receiver.language", wanted)).unwrap().receivers[0]
            .language
            .clone()
    };
    assert_eq!(language(json!("nb-NO")), "nb");
    assert_eq!(language(json!("NB_no")), "nb");
    assert_eq!(language(json!("de")), "en");
    assert_eq!(language(Value::Null), "en");
    let mut line = with(
        "content",
        json!({"nb": {"subject": "Hei"}, "sv": {"subject": "Hej"}}),
    );
    line["receivers"][0]["language"] = json!("de");
    let (field, error) = refused(&line);
    assert_eq!(field, "receivers[0].language");
    assert!(error.contains("there is nb, sv"), "{error}");
}

#[test]
fn plain_text_is_derived_when_only_html_is_given() {
    let html = "<h1>Hello</h1><p>See <a href=\"https://uni.example/7\">Assignment&nbsp;7</a></p><script>x</script>";
    let submission = parse(&with(
        "content",
        json!({"en": {"subject": "s", "html": html}}),
    ))
    .unwrap();
    let Body::Parts { text, html: kept } = &submission.contents[0].1.body else {
        panic!("parts");
    };
    assert!(
        text.contains("Hello") && text.contains("https://uni.example/7"),
        "{text}"
    );
    assert!(
        !text.contains('<') && !text.contains("x</script>"),
        "{text}"
    );
    assert_eq!(kept.as_deref(), Some(html));
}

#[test]
fn html_nested_without_end_is_refused_at_once_unless_text_stands_beside_it() {
    let html = "<div><b>".repeat(50_000);
    let (field, error) = refused(&with(
        "content",
        json!({"en": {"subject": "s", "html": html}}),
    ));
    assert_eq!(field, "content.en.html");
    assert!(error.contains("give text as well"), "{error}");
    assert!(
        parse(&with(
            "content",
            json!({"en": {"subject": "s", "html": html, "text": "t"}})
        ))
        .is_ok()
    );
    let long = "<p>one<br><div>two</div><li>three".repeat(10_000);
    assert!(
        parse(&with(
            "content",
            json!({"en": {"subject": "s", "html": long}})
        ))
        .is_ok()
    );
}

#[test]
fn a_raw_message_is_kept_as_it_is_but_for_bare_line_ends() {
    let submission = parse(&raw("From: April <april@uni.example>\nSubject: =?utf-8?q?Bl=C3=A5b=C3=A6r?=\r\n\nbody\rend\r\n.\n")).unwrap();
    assert_eq!(
        bytes(&submission),
        b"From: April <april@uni.example>\r\nSubject: =?utf-8?q?Bl=C3=A5b=C3=A6r?=\r\n\r\nbody\r\nend\r\n.\r\n"
    );
    assert_eq!(submission.contents[0].1.subject, "Blåbær");
    assert_eq!(
        submission.from.as_deref(),
        Some("April <april@uni.example>")
    );
    assert_eq!(submission.receivers[0].language, "en");
}

#[test]
fn raw_base64_carries_any_bytes() {
    let message = b"From: a@b.example\r\nSubject: x\r\n\r\n\xff\x00\xfe\r\n";
    let line = json!({"raw_base64": STANDARD.encode(message), "receivers": [{"to": "april@example.com", "language": "nb"}]});
    assert_eq!(bytes(&parse(&line).unwrap()), message);
    let line = json!({"raw_base64": "%%", "receivers": [{"to": "april@example.com"}]});
    assert_eq!(refused(&line).0, "raw_base64");
}

#[test]
fn a_raw_message_speaks_for_itself() {
    let mut line = raw("Subject: x\n\nbody");
    assert_eq!(parse(&line).unwrap().from, None);
    line["from"] = json!("a@b.example");
    assert_eq!(parse(&line).unwrap().from.as_deref(), Some("a@b.example"));
    let mut line = raw("From: a@b.example\n\nbody");
    line["from"] = json!("other@b.example");
    assert_eq!(refused(&line).0, "from");
    line["from"] = json!("A <a@b.example>");
    assert!(parse(&line).is_ok());
    line["reply_to"] = json!("r@b.example");
    assert_eq!(refused(&line).0, "reply_to");
    line["reply_to"] = Value::Null;
    line["headers"] = json!({"X-A": "b"});
    assert_eq!(refused(&line).0, "headers");
    let mut odd = raw("From: undisclosed\n\nbody");
    assert_eq!(parse(&odd).unwrap().from, None);
    odd["from"] = json!("a@b.example");
    assert_eq!(parse(&odd).unwrap().from.as_deref(), Some("a@b.example"));
    assert_eq!(refused(&raw("no headers here")).0, "raw");
    assert_eq!(refused(&raw("")).0, "raw");
}

#[test]
fn an_encoded_line_end_in_a_raw_subject_does_not_reach_a_screen() {
    let submission = parse(&raw(
        "From: a@b.example\nSubject: =?utf-8?q?one=0D=0Atwo=1B?=\n\nbody",
    ))
    .unwrap();
    assert_eq!(submission.contents[0].1.subject, "one two");
}

#[test]
fn line_ends_and_nul_are_refused_in_everything_that_becomes_a_line() {
    for bad in ["a\r\nBcc: x@y.example", "a\nb", "a\rb", "a\0b"] {
        let bad = json!(bad);
        for field in [
            "key",
            "type",
            "from",
            "reply_to",
            "return_path",
            "created_by",
        ] {
            assert_eq!(refused(&with(field, bad.clone())).0, field);
        }
        for field in ["to", "user", "language", "backend"] {
            assert_eq!(
                refused(&with(&format!("receiver.{field}"), bad.clone())).0,
                format!("receivers[0].{field}")
            );
        }
        assert_eq!(
            refused(&with("content", json!({"en": {"subject": bad}}))).0,
            "content.en.subject"
        );
        assert_eq!(
            refused(&with("headers", json!({"X-A": bad}))).0,
            "headers.X-A"
        );
    }
    let name = json!({"X-A\r\nBcc": "b"});
    assert!(parse(&with("headers", name)).is_err());
}

#[test]
fn a_header_that_no_line_could_hold_is_refused_when_it_is_handed_over() {
    let name = "X".repeat(76);
    assert!(parse(&with("headers", json!({name: "x"}))).is_ok());
    let name = "X".repeat(77);
    let (field, why) = refused(&with("headers", json!({name.as_str(): "x"})));
    assert_eq!(field, format!("headers.{name}"));
    assert!(why.contains("at most 76 letters"), "{why}");

    let words = "token ".repeat(1000);
    assert!(parse(&with("headers", json!({"X-A": words}))).is_ok());
    let (field, why) = refused(&with("headers", json!({"X-A": "t".repeat(901)})));
    assert_eq!(field, "headers.X-A");
    assert!(why.contains("more than 900 letters"), "{why}");
}

#[test]
fn headers_that_postroom_writes_are_refused_and_others_are_kept_in_order() {
    for own in [
        "From",
        "to",
        "SUBJECT",
        "Date",
        "Message-ID",
        "Reply-To",
        "MIME-Version",
        "Content-Type",
        "Content-Transfer-Encoding",
        "Return-Path",
        "Cc",
        "Bcc",
    ] {
        assert_eq!(
            refused(&with("headers", json!({own: "x"}))).0,
            format!("headers.{own}")
        );
    }
    for odd in ["", "X A", "X:A", "Xå"] {
        assert!(parse(&with("headers", json!({odd: "x"}))).is_err(), "{odd}");
    }
    let submission = parse(&with(
        "headers",
        json!({"X-B": "1", "X-A": ["2", "3"], "List-Id": "<a>"}),
    ))
    .unwrap();
    let pairs: Vec<_> = submission
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(
        pairs,
        [("X-B", "1"), ("X-A", "2"), ("X-A", "3"), ("List-Id", "<a>")]
    );
}

#[test]
fn without_a_from_anywhere_the_line_is_refused() {
    let mut line = with("from", Value::Null);
    assert_eq!(parse(&line).unwrap().from, None);
    line["receivers"][0]["backend"] = json!("bare");
    let (field, error) = refused(&line);
    assert_eq!(field, "from");
    assert!(error.contains("`bare`"), "{error}");
}

#[test]
fn an_unknown_field_is_named_with_the_nearest_known_one() {
    let (field, error) = refused(&with("recievers", json!([])));
    assert_eq!(field, "recievers");
    assert!(error.contains("did you mean `receivers`?"), "{error}");
    let (field, error) = refused(&with("receiver.lang", json!("nb")));
    assert_eq!(field, "receivers[0].lang");
    assert!(error.contains("did you mean `language`?"), "{error}");
    let (field, _) = refused(&with(
        "content",
        json!({"en": {"subject": "a", "body": "b"}}),
    ));
    assert_eq!(field, "content.en.body");
}

#[test]
fn an_unknown_backend_is_named_with_the_nearest_known_one() {
    let (field, error) = refused(&with("receiver.backend", json!("emial")));
    assert_eq!(field, "receivers[0].backend");
    assert!(error.contains("did you mean `email`?"), "{error}");
    let none = SubmitDefaults {
        language: "en".to_owned(),
        ..SubmitDefaults::default()
    };
    let line = with("receiver.backend", Value::Null).to_string();
    let error = Submission::parse(&line, &none).unwrap_err();
    assert!(error.message.contains("[backends.email]"), "{error}");
}

#[test]
fn an_identity_of_a_backend_that_is_not_mail_is_any_word() {
    let mut line = with("receiver.backend", json!("sms"));
    line["receivers"][0]["to"] = json!("+47 123 45 678");
    line["from"] = Value::Null;
    assert_eq!(
        parse(&line).unwrap().receivers[0].identity,
        "+47 123 45 678"
    );
}

#[test]
fn times_priority_and_return_path_are_checked() {
    let mut line = with("send_after", json!("2026-11-01T08:30:00+01:00"));
    line["expires_at"] = json!("2026-11-02T00:00:00Z");
    line["priority"] = json!(-3);
    line["return_path"] = json!("");
    let submission = parse(&line).unwrap();
    assert_eq!(
        submission.send_after.unwrap().to_rfc3339(),
        "2026-11-01T07:30:00+00:00"
    );
    assert_eq!(
        (submission.priority, submission.return_path.as_deref()),
        (-3, Some(""))
    );
    for (field, value) in [
        ("send_after", json!("tomorrow")),
        ("expires_at", json!("2026-11-01T07:30:00Z")),
        ("priority", json!(1.5)),
        ("priority", json!(1_000_000)),
        ("return_path", json!("Name <a@b.example>")),
        ("type", json!(7)),
        ("key", json!("")),
        ("template", json!("yes")),
        ("context", json!({})),
        ("receivers", json!([])),
        ("receivers", json!({"to": "a@b.example"})),
        ("content", json!({})),
        ("content", json!({"subject": "no language"})),
        ("content", json!({"e n": {"subject": "a"}})),
        ("content", json!({"en": {}})),
    ] {
        let mut line = line.clone();
        line[field] = value.clone();
        assert!(refused(&line).0.starts_with(field), "{field}: {value}");
    }
}

#[test]
fn an_error_carries_the_key_when_there_is_one() {
    let error = parse(&with("receiver.to", json!("nobody"))).unwrap_err();
    assert_eq!(error.key.as_deref(), Some("assignment-7-feedback-2031"));
    let error = Submission::parse("{\"key\":\"a\",", &defaults()).unwrap_err();
    assert_eq!((error.key, error.field), (None, None));
    assert!(error.message.contains("column 11"), "{}", error.message);
    assert!(Submission::parse("[]", &defaults()).is_err());
}

#[test]
fn an_error_about_a_hostile_line_cannot_steer_the_terminal() {
    let (field, error) = refused(&with("\u{1b}[31m\u{202e}", json!(1)));
    assert!(!format!("{field}{error}").contains(['\u{1b}', '\u{202e}']));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_line_breaks_the_reader(line in any::<String>()) {
        prop_assert!(Submission::parse(&line, &defaults()).is_err());
    }

    #[test]
    fn no_address_raw_message_or_html_breaks_the_reader(text in any::<String>()) {
        let _ = parse(&with("receiver.to", json!(text)));
        let _ = parse(&with("from", json!(text)));
        let _ = parse(&with("content", json!({"en": {"subject": "s", "html": text}})));
        let raw = json!({"raw_base64": STANDARD.encode(text.as_bytes()), "receivers": [{"to": "a@b.example"}]});
        if let Ok(submission) = parse(&raw) {
            let text = String::from_utf8_lossy(bytes(&submission)).replace("\r\n", "");
            prop_assert!(!text.contains(['\r', '\n']));
        }
    }
}
