//! Taking over a dump of Devilry's, on disk, every commit durable.
//!
//! `cargo bench --bench import` prints receivers per second of `postroom import devilry`, as an operator runs it, and the most memory
//! that it took: a message of its own for every three receivers, 2 KiB of HTML that differs from message to message, one in five with a traceback.
//! There are 100,000 of them, or `POSTROOM_RECEIVERS`; a million make a dump of 5 GB.

use std::{
    env, fs,
    io::{self, BufWriter, Write},
};

use postroom::store::Store;
use serde_json::json;

#[path = "support/program.rs"]
mod program;

const RECEIVERS: usize = 100_000;

fn main() {
    let receivers =
        env::var("POSTROOM_RECEIVERS").map_or(RECEIVERS, |n| n.parse().expect("a number"));
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name);
    Store::create(&file("postroom.db")).expect("a store");
    fs::write(
        file("config.toml"),
        "[store]\npath = \"postroom.db\"\n[backends.email]\nkind = \"file\"\npath = \"outbox\"\nfrom = \"no-reply@example.com\"\n",
    )
    .expect("a config");
    let dump_file = fs::File::create(file("dump.json")).expect("a dump");
    dump(receivers, &mut BufWriter::new(dump_file)).expect("a dump");
    let mut import = program::postroom(folder.path(), &["import", "devilry", "dump.json"]);
    import.current_dir(folder.path());
    let took = program::run(&mut import, || {});
    println!(
        "{receivers} receivers: {:.0}/s (goal: 10,000), at most {:.0} MiB of memory",
        receivers as f64 / took.seconds,
        took.memory
    );
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
