//! Templates: each receiver's words are their own, and nobody gets a template.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::fs;

use serde_json::{Value, json};
use support::{Postroom, Setup};

fn postroom() -> Postroom {
    Setup::new().file("email").build()
}

/// A message in two languages to three people; the second has no grade.
fn graded() -> Value {
    json!({
        "key": "grade-7",
        "template": true,
        "context": {"assignment": "Assignment <7>", "grade": "?"},
        "content": {
            "en": {
                "subject": "{{ assignment }}: {{ grade }}",
                "text": "Dear {{ user }} <{{ to }}>,\n\nyou got {{ grade }}{% if grade == 'A' %}, well done{% endif %}.",
                "html": "<p>{{ assignment }}: {{ remark }}</p>",
            },
            "nb": {"subject": "{{ assignment }} ({{ language }})", "html": "<p>Karakter {{ grade }}</p>"},
        },
        "receivers": [
            {"to": "april@example.com", "user": "april", "context": {"grade": "A", "remark": "<b>fine</b>"}},
            {"to": "ben@example.com", "user": "ben"},
            {"to": "carol@example.com", "user": "carol", "language": "nb-NO", "context": {"grade": "C"}},
        ],
    })
}

fn mails(postroom: &Postroom) -> Vec<String> {
    let files = fs::read_dir(postroom.folder().join("email")).unwrap();
    let mut mails: Vec<_> = files
        .map(|file| fs::read_to_string(file.unwrap().path()).unwrap())
        .collect();
    mails.sort();
    mails
}

#[test]
fn what_was_rendered_for_a_receiver_is_what_is_stored_sent_and_shown() {
    let postroom = postroom();
    postroom.submit(&[graded()]);
    let april = postroom.show_only("user:april");
    assert_eq!(april["subject"], "Assignment <7>: A");
    assert_eq!(
        april["content"],
        json!({
            "subject": "Assignment <7>: A",
            "text": "Dear april <april@example.com>,\n\nyou got A, well done.",
            "html": "<p>Assignment &lt;7&gt;: &lt;b&gt;fine&lt;&#x2f;b&gt;</p>",
        })
    );
    let carol = postroom.show_only("user:carol");
    assert_eq!(carol["language"], "nb");
    assert_eq!(carol["content"]["subject"], "Assignment <7> (nb)");
    assert_eq!(carol["content"]["text"], "Karakter C\n");
    assert_eq!(postroom.count("subject:\"7>: A\""), 1);

    assert_eq!(postroom.deliver().sent, 2);
    let sent = mails(&postroom).join("\n");
    assert!(
        sent.contains("you got A, well done.") && sent.contains("Karakter C"),
        "{sent}"
    );
    assert!(!sent.contains("{{"), "{sent}");
}

#[test]
fn who_cannot_be_rendered_is_an_error_with_the_templates_line_and_the_others_go_out() {
    let postroom = postroom();
    postroom.submit(&[graded()]);
    let ben = postroom.show_only("user:ben");
    assert_eq!(
        (&ben["status"], &ben["reason"]),
        (&json!("error"), &json!("permanent"))
    );
    assert_eq!(ben["failed_count"], 1);
    let [attempt] = ben["attempts"].as_array().unwrap().as_slice() else {
        panic!("one attempt: {ben}")
    };
    assert_eq!(
        (&attempt["outcome"], &attempt["phase"]),
        (&json!("permanent"), &json!("render"))
    );
    let traceback = attempt["traceback"].as_str().unwrap();
    for wanted in [
        "content.en.html, line 1: undefined value",
        "1: <p>{{ assignment }}: {{ remark }}</p>",
        "ben@example.com",
    ] {
        assert!(traceback.contains(wanted), "{traceback}");
    }
    assert_eq!(postroom.count("reason:permanent"), 1);
    let causes = postroom
        .run(&["causes", "--format", "json"])
        .ok()
        .json_lines();
    assert_eq!((causes.len(), &causes[0]["phase"]), (1, &json!("render")));
    assert_eq!(postroom.deliver().sent, 2);

    // Whoever sends it again all the same does not send a template.
    postroom.run(&["resend", "--yes", "user:ben"]).ok();
    assert_eq!(postroom.deliver().error, 1);
    let ben = postroom.show_only("user:ben");
    let again = ben["attempts"][1]["error"].as_str().unwrap();
    assert!(again.contains("template could not be rendered"), "{again}");
    assert_eq!(mails(&postroom).len(), 2);
    postroom.run(&["check"]).ok();
}

#[test]
fn a_line_end_that_comes_out_of_a_template_smuggles_no_header_in() {
    let postroom = postroom();
    let mut message = graded();
    message["content"]["en"]["html"] = Value::Null;
    message["receivers"][0]["context"]["grade"] = json!("A\r\nBcc: everybody@example.com");
    postroom.submit(&[message]);
    assert_eq!(postroom.state_of("user:april"), "error/permanent");
    let april = postroom.show_only("user:april");
    let error = april["attempts"][0]["error"].as_str().unwrap();
    assert!(
        error.contains("content.en.subject") && error.contains("smuggled"),
        "{error}"
    );
    postroom.deliver();
    assert!(!mails(&postroom).join("\n").contains("Bcc"));
}

#[test]
fn what_all_receivers_share_is_stored_once() {
    let postroom = postroom();
    let receivers: Vec<Value> = (0..50)
        .map(|n| json!({"to": format!("u{n}@example.com")}))
        .collect();
    let message = json!({
        "template": true, "context": {"n": 7}, "receivers": receivers,
        "content": {"en": {"subject": "{{ n }}", "text": "{% for i in range(n) %}{{ i }} {% endfor %}"}},
    });
    postroom.submit(&[message]);
    let contents: i64 = rusqlite::Connection::open(postroom.store_path())
        .unwrap()
        .query_row("SELECT count(*) FROM content", [], |row| row.get(0))
        .unwrap();
    assert_eq!((contents, postroom.count("status:not_sent")), (1, 50));
    assert_eq!(postroom.show_json(1)["content"]["text"], "0 1 2 3 4 5 6 ");
}

#[test]
fn a_template_without_end_or_measure_is_a_failure_and_not_a_hang() {
    let postroom = postroom();
    for (text, wanted) in [
        (
            "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
            "steps",
        ),
        ("{{ 'x' * 9000000 }}", "more than 8 MiB"),
        ("{% include 'config.toml' %}", "include"),
        ("{{ nobody }}", "undefined value"),
        ("{{ 1 / 0 }}", "line 1"),
    ] {
        let message = json!({
            "template": true, "content": {"en": {"subject": "s", "text": text}},
            "receivers": [{"to": "april@example.com"}],
        });
        let ran = postroom
            .run_with(&["preview", "--format", "json", "-"], message.to_string())
            .exit(1);
        assert!(ran.stdout.contains(wanted), "{text}: {}", ran.stdout);
    }
}

#[test]
fn a_template_that_cannot_be_read_is_a_bad_line() {
    let postroom = postroom();
    for (path, value, wanted) in [
        (
            "/content/en/text",
            json!("one\n{% if %}"),
            "content.en.text",
        ),
        ("/context", json!([1]), "context"),
        ("/receivers/1/context", json!("x"), "receivers[1].context"),
        ("/template", json!("yes"), "template"),
        ("/template", json!(false), "context"),
    ] {
        let mut message = graded();
        message["receivers"][1]["context"] = json!({});
        *message.pointer_mut(path).unwrap() = value;
        let receipt = postroom
            .run_with(&["submit"], message.to_string())
            .exit(1)
            .json_lines()
            .remove(0);
        assert_eq!(receipt["field"], wanted, "{receipt}");
    }
    let raw = json!({"template": true, "raw": "Subject: s\r\n\r\nt", "receivers": [{"to": "a@example.com"}]});
    let ran = postroom.run_with(&["submit"], raw.to_string()).exit(1);
    assert_eq!(ran.json_lines()[0]["field"], "template");
    assert_eq!(postroom.count(""), 0);
}

#[test]
fn preview_shows_each_message_in_each_language_and_stores_nothing() {
    let postroom = postroom();
    let mut message = graded();
    message["receivers"].as_array_mut().unwrap().remove(1);
    let plain = json!({
        "key": "plain", "receivers": [{"to": "ben@example.com"}],
        "content": {"en": {"subject": "Hello", "text": "{{ as it is }}"}},
    });
    let lines = format!("{message}\n{plain}\n");
    let ran = postroom.run_with(&["preview", "-"], &lines).ok();
    for wanted in [
        "── line 1, key grade-7, en, to april@example.com\nSubject: Assignment <7>: A\n\nDear april",
        "── line 1, key grade-7, nb, to carol@example.com\nSubject: Assignment <7> (nb)\n\nKarakter C\n",
        "── line 2, key plain, en, to ben@example.com\nSubject: Hello\n\n{{ as it is }}\n",
    ] {
        assert!(ran.stdout.contains(wanted), "{}", ran.stdout);
    }
    let shown = postroom
        .run_with(&["preview", "-", "--format", "json"], &lines)
        .ok()
        .json_lines();
    assert_eq!(shown.len(), 3);
    assert_eq!(
        (&shown[1]["language"], &shown[1]["html"]),
        (&json!("nb"), &json!("<p>Karakter C</p>"))
    );
    assert_eq!(postroom.count(""), 0);

    let ran = postroom
        .run_with(
            &["preview", "-"],
            "{\"receivers\":[{\"to\":\"nobody\"}],\"content\":{\"en\":{\"subject\":\"s\"}}}",
        )
        .exit(1);
    assert!(
        ran.stdout
            .contains("line 1\nrefused: receivers[0].to is no address"),
        "{}",
        ran.stdout
    );
    let ran = postroom
        .run_with(&["preview", "-"], graded().to_string())
        .exit(1);
    assert!(
        ran.stdout
            .contains("to ben@example.com\ncontent.en.html, line 1: undefined value"),
        "{}",
        ran.stdout
    );
}

#[test]
fn preview_needs_no_store() {
    let postroom = postroom();
    fs::remove_file(postroom.store_path()).unwrap();
    let ran = postroom
        .run_with(&["preview", "-"], graded().to_string())
        .exit(1);
    assert!(ran.stdout.contains("Assignment <7>: A"));
    assert!(!postroom.store_path().exists());
}
