//! Taking over a dump of Devilry's with 100,000 receivers, on disk, every commit durable.
//!
//! `cargo bench --bench import` prints receivers per second (goal: 10,000) of `postroom import devilry`, as an operator runs it: a message of
//! its own for every three of them, 2 KiB of HTML that differs from message to message, one in five with a traceback.

use std::{fmt::Write as _, fs, process::Command, time::Instant};

use postroom::store::Store;
use serde_json::json;

const RECEIVERS: usize = 100_000;

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name);
    Store::create(&file("postroom.db")).expect("a store");
    fs::write(
        file("config.toml"),
        "[backends.email]\nkind = \"file\"\npath = \"outbox\"\nfrom = \"no-reply@example.com\"\n",
    )
    .expect("a config");
    fs::write(file("dump.json"), dump()).expect("a dump");
    let began = Instant::now();
    let ran = Command::new(env!("CARGO_BIN_EXE_postroom"))
        .args(["import", "devilry"])
        .arg(file("dump.json"))
        .env("POSTROOM_CONFIG", file("config.toml"))
        .env("POSTROOM_STORE", file("postroom.db"))
        .output()
        .expect("the program");
    let took = began.elapsed().as_secs_f64();
    assert!(ran.status.success(), "{ran:?}");
    print!("{}", String::from_utf8_lossy(&ran.stdout));
    println!("{RECEIVERS} receivers: {:.0}/s", RECEIVERS as f64 / took);
}

fn dump() -> String {
    let mut dump = String::from("[");
    let mut row = |model: &str, pk: usize, fields: serde_json::Value| {
        let row = json!({"model": model, "pk": pk, "fields": fields});
        let comma = if dump.len() > 1 { ", " } else { "" };
        // Writing to a `String` cannot fail.
        let _ = write!(dump, "{comma}{row}");
    };
    for user in 0..5_000 {
        row(
            "devilry_account.user",
            user,
            json!({"shortname": format!("user{user}"), "languagecode": "en"}),
        );
        let email = json!({"user": user, "email": format!("user{user}@example.com"), "use_for_notifications": true, "is_primary": true});
        row("devilry_account.useremail", user, email);
    }
    for message in 0..=RECEIVERS / 3 {
        row(
            "devilry_message.message",
            message,
            json!({"created_datetime": "2021-03-04T10:00:00Z", "status": "sent", "context_type": "feedback", "message_type": ["email"]}),
        );
    }
    for n in 0..RECEIVERS {
        let errors = (n % 5 == 0).then(|| {
            json!([{
                "error_message": format!("(451, b'4.7.1 <user{}@example.com> greylisted')", n % 5_000),
                "timestamp": "2021-03-04T10:00:01+00:00",
                "exception_traceback": "  File \"base.py\", line 399, in sync_send\n".repeat(20),
            }])
        });
        let message = n / 3;
        let html =
            format!("<p>Delivery {message}: an examiner has given feedback.</p>\n").repeat(35);
        row(
            "devilry_message.messagereceiver",
            n,
            json!({
                "created_datetime": "2021-03-04T10:00:00Z", "status": "sent", "status_data": {"errors": errors}, "metadata": {},
                "subject": format!("Feedback {message}"), "message_content_plain": html, "message_content_html": html, "message": message,
                "message_type": "email", "send_to": "", "user": n % 5_000, "sent_datetime": "2021-03-04T10:00:02Z",
                "sending_failed_count": n % 5 / 4, "sending_success_count": 1,
            }),
        );
    }
    dump.push(']');
    dump
}
