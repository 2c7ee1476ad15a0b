//! Taking over a dump of Devilry's, on disk, every commit durable.
//!
//! `cargo bench --bench import` prints receivers per second (goal: 10,000) of `postroom import devilry`, as an operator runs it, and the most memory
//! that it took: a message of its own for every three receivers, 2 KiB of HTML that differs from message to message, one in five with a traceback.
//! There are 100,000 of them, or `POSTROOM_RECEIVERS`; a million make a dump of 5 GB.

use std::{
    env, fs,
    io::{self, BufWriter, Write},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use postroom::store::Store;
use serde_json::json;

const RECEIVERS: usize = 100_000;

fn main() {
    let receivers =
        env::var("POSTROOM_RECEIVERS").map_or(RECEIVERS, |n| n.parse().expect("a number"));
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name);
    Store::create(&file("postroom.db")).expect("a store");
    fs::write(
        file("config.toml"),
        "[backends.email]\nkind = \"file\"\npath = \"outbox\"\nfrom = \"no-reply@example.com\"\n",
    )
    .expect("a config");
    let dump_file = fs::File::create(file("dump.json")).expect("a dump");
    dump(receivers, &mut BufWriter::new(dump_file)).expect("a dump");
    let began = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_postroom"))
        .args(["import", "devilry"])
        .arg(file("dump.json"))
        .env("POSTROOM_CONFIG", file("config.toml"))
        .env("POSTROOM_STORE", file("postroom.db"))
        .stdin(Stdio::null())
        .spawn()
        .expect("the program");
    let mut most = 0;
    let status = loop {
        most = peak(&child).unwrap_or(most);
        if let Some(status) = child.try_wait().expect("its end") {
            break status;
        }
        thread::sleep(Duration::from_millis(20));
    };
    let took = began.elapsed().as_secs_f64();
    assert!(status.success(), "{status:?}");
    let rate = receivers as f64 / took;
    println!(
        "{receivers} receivers: {rate:.0}/s, at most {} MiB of memory",
        most >> 10
    );
}

/// The most memory it took so far, in KiB.
fn peak(child: &Child) -> Option<usize> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let most = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    most.trim().split(' ').next()?.parse().ok()
}

fn dump(receivers: usize, dump: &mut impl Write) -> io::Result<()> {
    let mut comma = "[";
    let mut row = |model: &str, pk: usize, fields: serde_json::Value| {
        let row = json!({"model": model, "pk": pk, "fields": fields});
        let written = write!(dump, "{comma}{row}");
        comma = ", ";
        written
    };
    for user in 0..5_000 {
        row(
            "devilry_account.user",
            user,
            json!({"shortname": format!("user{user}"), "languagecode": "en"}),
        )?;
        let email = json!({"user": user, "email": format!("user{user}@example.com"), "use_for_notifications": true, "is_primary": true});
        row("devilry_account.useremail", user, email)?;
    }
    for message in 0..=receivers / 3 {
        row(
            "devilry_message.message",
            message,
            json!({"created_datetime": "2021-03-04T10:00:00Z", "status": "sent", "context_type": "feedback", "message_type": ["email"]}),
        )?;
    }
    for n in 0..receivers {
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
        )?;
    }
    dump.write_all(b"]")?;
    dump.flush()
}
