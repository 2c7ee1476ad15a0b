use chrono::TimeZone as _;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::message::{MessageId, OWN_HEADERS, ReceiverId};

fn message() -> Message {
    Message {
        id: MessageId(17),
        key: "order-1842".to_owned(),
        kind: "order".to_owned(),
        from: Some("Devilry <no-reply@uni.example>".to_owned()),
        reply_to: None,
        headers: Vec::new(),
        return_path: None,
        created_at: chrono::Utc.with_ymd_and_hms(2026, 11, 2, 8, 5, 9).unwrap(),
        metadata: Value::Null,
        raw: false,
    }
}

fn receiver() -> Receiver {
    Receiver {
        id: ReceiverId(1),
        epoch: 1,
        uid: "0192a-7f".to_owned(),
        identity: "april@example.com".to_owned(),
        name: None,
        user: None,
        language: "en".to_owned(),
        metadata: Value::Null,
    }
}

fn content(subject: &str, text: &str, html: Option<&str>) -> Arc<Content> {
    Arc::new(Content {
        subject: subject.to_owned(),
        body: Body::Parts {
            text: text.to_owned(),
            html: html.map(str::to_owned),
        },
    })
}

fn raw(bytes: &[u8]) -> Arc<Content> {
    Arc::new(Content {
        subject: String::new(),
        body: Body::Raw(bytes.to_vec()),
    })
}

fn build(
    message: &Message,
    content: &Arc<Content>,
    receiver: &Receiver,
) -> Result<Built, BuildError> {
    MimeBuilder::new(None).build(message, content, receiver, None)
}

fn text_of(built: &Built) -> String {
    String::from_utf8(built.bytes.clone()).unwrap()
}

#[test]
fn an_ordinary_message_says_who_to_whom_when_and_what() {
    let mut message = message();
    message.reply_to = Some("Exams & Co. <exams@uni.example>".to_owned());
    message.headers = vec![
        ("X-Tag".to_owned(), "one".to_owned()),
        ("X-Tag".to_owned(), "two".to_owned()),
    ];
    let mut receiver = receiver();
    receiver.name = Some("April, J. \"A\"".to_owned());
    let built = build(
        &message,
        &content("Tilbakemelding på øving", "Hei", None),
        &receiver,
    )
    .unwrap();
    let text = text_of(&built);
    assert_eq!(built.from.unwrap().to_string(), "no-reply@uni.example");
    for line in [
        "From: Devilry <no-reply@uni.example>\r\n",
        "Date: Mon, 2 Nov 2026 08:05:09 +0000\r\n",
        "Message-ID: <0192a-7f@uni.example>\r\n",
        "X-Tag: one\r\nX-Tag: two\r\n",
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    let parsed = MessageParser::default().parse(&built.bytes).unwrap();
    assert_eq!(parsed.subject(), Some("Tilbakemelding på øving"));
    let to = parsed.to().unwrap().first().unwrap();
    assert_eq!(
        (to.name(), to.address()),
        (Some("April, J. \"A\""), Some("april@example.com"))
    );
    let reply_to = parsed.reply_to().unwrap().first().unwrap();
    assert_eq!(
        (reply_to.name(), reply_to.address()),
        (Some("Exams & Co."), Some("exams@uni.example"))
    );
    assert_eq!(parsed.body_text(0).unwrap().trim_end(), "Hei");
}

#[test]
fn text_and_html_go_as_alternatives() {
    let content = content("s", "plain æ\n.dot\n", Some("<p>rich æ</p>"));
    let built = build(&message(), &content, &receiver()).unwrap();
    let parsed = MessageParser::default().parse(&built.bytes).unwrap();
    assert!(parsed.content_type_is("multipart", "alternative"));
    assert_eq!(parsed.body_text(0).unwrap().trim_end(), "plain æ\r\n.dot");
    assert_eq!(parsed.body_html(0).unwrap().trim_end(), "<p>rich æ</p>");
    assert!(built.bytes.is_ascii());
}

trait Is {
    fn content_type_is(&self, kind: &str, sub: &str) -> bool;
}

impl Is for mail_parser::Message<'_> {
    fn content_type_is(&self, kind: &str, sub: &str) -> bool {
        use mail_parser::MimeHeaders as _;
        self.content_type()
            .is_some_and(|found| found.ctype() == kind && found.subtype() == Some(sub))
    }
}

#[test]
fn the_message_id_is_the_same_on_every_retry_and_differs_per_receiver() {
    let builder = MimeBuilder::new(None);
    let content = content("s", "t", None);
    let mut other = receiver();
    other.uid = "other".to_owned();
    let first = builder
        .build(&message(), &content, &receiver(), None)
        .unwrap();
    let again = builder
        .build(&message(), &content, &receiver(), None)
        .unwrap();
    let third = builder.build(&message(), &content, &other, None).unwrap();
    assert_eq!(first, again);
    assert!(text_of(&third).contains("<other@uni.example>"));
}

#[test]
fn a_content_is_never_taken_for_another_that_lived_at_its_address() {
    let builder = MimeBuilder::new(None);
    for number in 0..200 {
        let text = format!("text number {number}");
        let built = builder
            .build(&message(), &content("s", &text, None), &receiver(), None)
            .unwrap();
        assert!(text_of(&built).contains(&text));
    }
    assert!(builder.cache.lock().unwrap().len() <= CACHED);
}

#[test]
fn without_any_from_nothing_is_built() {
    let mut message = message();
    message.from = None;
    let content = content("s", "t", None);
    assert_eq!(
        build(&message, &content, &receiver()),
        Err(BuildError::NoFrom)
    );
    let built = MimeBuilder::new(None)
        .build(&message, &content, &receiver(), Some("x@backend.example"))
        .unwrap();
    assert!(text_of(&built).starts_with("From: x@backend.example\r\n"));
}

#[test]
fn a_raw_message_goes_as_it_is() {
    let bytes = b"From: A <a@b.example>\r\nmessage-ID : <x@y>\r\nSubject: s\r\n\r\n.body \xff\r\n";
    let built = build(&message(), &raw(bytes), &receiver()).unwrap();
    assert_eq!(built.bytes, bytes);
    assert_eq!(built.from.unwrap().to_string(), "a@b.example");
}

#[test]
fn a_raw_message_without_a_message_id_gets_one_and_nothing_else() {
    let bytes = b"From: A <a@b.example>\r\n\r\nMessage-ID: in the body\r\n";
    let built = build(&message(), &raw(bytes), &receiver()).unwrap();
    let added = b"Message-ID: <0192a-7f@b.example>\r\n";
    assert_eq!(built.bytes, [&added[..], bytes].concat());
}

#[test]
fn a_raw_message_with_an_odd_from_goes_from_whom_its_submitter_named() {
    let bytes = b"From: undisclosed\r\nMessage-ID: x\r\n\r\nhi\r\n";
    let built = build(&message(), &raw(bytes), &receiver()).unwrap();
    assert_eq!(built.bytes, bytes);
    assert_eq!(built.from.unwrap().to_string(), "no-reply@uni.example");
    let mut message = message();
    message.from = None;
    let built = build(&message, &raw(bytes), &receiver()).unwrap();
    assert_eq!(built.from, None);
}

#[test]
fn headers_that_postroom_writes_cannot_be_given() {
    for name in OWN_HEADERS {
        let mut message = message();
        message.headers = vec![(name.to_ascii_uppercase(), "x".to_owned())];
        assert!(matches!(
            build(&message, &content("s", "t", None), &receiver()),
            Err(BuildError::OwnHeader(_))
        ));
    }
}

#[test]
fn a_domain_beyond_ascii_is_written_as_dns_has_it() {
    let mut message = message();
    message.from = Some("Bücher <post@bücher.example>".to_owned());
    message.reply_to = Some("a@straße.example, b@uni.example".to_owned());
    let mut receiver = receiver();
    receiver.identity = "april@blåbær.example".to_owned();
    let built = build(&message, &content("s", "t", None), &receiver).unwrap();
    assert!(built.bytes.is_ascii());
    let text = text_of(&built);
    for line in [
        "To: april@xn--blbr-roah.example\r\n",
        " <post@xn--bcher-kva.example>\r\n",
        "Message-ID: <0192a-7f@xn--bcher-kva.example>\r\n",
        "Reply-To: a@xn--strae-oqa.example, b@uni.example\r\n",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    receiver.identity = "blåbær@blåbær.example".to_owned();
    let built = build(&message, &content("s", "t", None), &receiver).unwrap();
    assert!(text_of(&built).contains("To: blåbær@blåbær.example\r\n"));
}

#[test]
fn an_identity_that_is_no_address_is_refused() {
    for identity in [
        "",
        "april",
        "a@b@c",
        "a b@c.example",
        "a@b.example>",
        "a@b.example\t",
        "\"a\nb\"@c.example",
    ] {
        let mut receiver = receiver();
        receiver.identity = identity.to_owned();
        assert!(
            build(&message(), &content("s", "t", None), &receiver).is_err(),
            "{identity:?}"
        );
    }
}

fn hostile() -> impl Strategy<Value = String> {
    prop::collection::vec(
        prop_oneof![
            Just("\r\n".to_owned()),
            Just("\n".to_owned()),
            Just("\r".to_owned()),
            Just("\0".to_owned()),
            Just("X-Evil: 1".to_owned()),
            Just("\u{2028}\u{85}".to_owned()),
            Just("ø <a@b>, \"".to_owned()),
            any::<String>(),
            "[ -~]{0,40}",
        ],
        0..6,
    )
    .prop_map(|parts| parts.concat())
}

#[test]
fn line_ends_become_crlf_and_nothing_else_changes() {
    for (text, crlf) in [
        ("", ""),
        ("a", "a"),
        ("a\nb\r\nc\n\n", "a\r\nb\r\nc\r\n\r\n"),
        ("\n\r\r\na\rb", "\r\n\r\r\na\rb"),
    ] {
        assert_eq!(with_crlf(text), crlf);
    }
}

proptest! {
    #[test]
    fn nothing_a_caller_gives_can_start_a_header(
        subject in hostile(), name in hostile(), from in hostile(), reply in hostile(),
        header in hostile(), value in hostile(), which in 0..6
    ) {
        let mut message = message();
        let mut receiver = receiver();
        let mut words = "s".to_owned();
        match which {
            0 => words = subject,
            1 => receiver.name = Some(name),
            2 => message.from = Some(format!("{from} <a@b.example>")),
            3 => message.reply_to = Some(format!("{reply} <a@b.example>")),
            4 => message.headers = vec![("X-Mine".to_owned(), value)],
            _ => message.headers = vec![(header, "v".to_owned())],
        }
        let Ok(built) = build(&message, &content(&words, "the text", None), &receiver) else { return Ok(()) };
        let text = String::from_utf8_lossy(&built.bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        prop_assert_eq!(body, "the text\r\n");
        prop_assert!(!head.replace("\r\n", "").contains(['\r', '\n', '\0']));
        let mut expected = 7 + 1;
        expected += usize::from(message.reply_to.is_some()) + message.headers.len();
        let fields = head.split("\r\n").filter(|line| !line.starts_with([' ', '\t'])).count();
        prop_assert_eq!(fields, expected, "{}", head);
    }
}
