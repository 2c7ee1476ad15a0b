//! Dumps of any size, as Devilry's would be.

use serde_json::{Map, Value, json};

pub mod people {
    pub const USER: &str = "devilry_account.user";
    pub const EMAIL: &str = "devilry_account.useremail";
}

pub mod receiver {
    pub const MODEL: &str = "devilry_message.messagereceiver";
}

/// How many people there are.
const PEOPLE: usize = 12;

/// A dump, row by row.
#[derive(Clone)]
pub struct Dump {
    pub rows: Vec<Value>,
}

impl Dump {
    /// One of so many receivers, ten a message, with their history; numbers begin at 1000.
    pub fn of(receivers: usize) -> Self {
        let mut rows = Vec::new();
        for user in 0..PEOPLE {
            rows.push(json!({"model": people::USER, "pk": user, "fields": {
                "password": "!", "shortname": format!("user{user}"), "fullname": "", "languagecode": (["", "nb"][user % 2]),
            }}));
            rows.push(json!({"model": people::EMAIL, "pk": 100 + user, "fields": {
                "user": user, "email": format!("user{user}@example.com"), "use_for_notifications": user % 3 > 0, "is_primary": true,
            }}));
        }
        for message in 0..receivers.div_ceil(10) {
            rows.push(json!({"model": "devilry_message.message", "pk": message, "fields": {
                "created_datetime": at(message * 10), "created_by": message % PEOPLE, "status": "sent", "status_data": {},
                "metadata": {"n": message}, "context_type": (["feedback", "deadline_moved"][message % 2]),
                "message_type": "[\"email\"]", "virtual_message_receivers": {"user_ids": []},
            }}));
        }
        rows.extend((0..receivers).map(row));
        Self { rows }
    }

    /// Makes every body so long, in bytes.
    pub fn grow(&mut self, bytes: usize) {
        for (index, row) in self.rows.iter_mut().enumerate() {
            if row["model"] == receiver::MODEL {
                let line = format!("<p>{index} æøå: an examiner wrote \"this\".</p>\n");
                row["fields"]["message_content_html"] = line.repeat(bytes / line.len()).into();
            }
        }
    }

    /// As `dumpdata` writes it.
    pub fn array(&self) -> String {
        let rows: Vec<_> = self.rows.iter().map(ToString::to_string).collect();
        format!("[{}]", rows.join(", "))
    }

    /// As `dumpdata --format jsonl` does.
    pub fn lines(&self) -> String {
        let rows: Vec<_> = self.rows.iter().map(ToString::to_string).collect();
        rows.join("\n")
    }

    /// The last row first.
    pub fn backwards(&self) -> Self {
        Self {
            rows: self.rows.iter().rev().cloned().collect(),
        }
    }

    /// As `dumpdata --natural-primary --natural-foreign` names users.
    pub fn naturally(&self) -> Self {
        let mut rows = self.rows.clone();
        for row in &mut rows {
            if row["model"] == people::USER {
                row.as_object_mut().unwrap().remove("pk");
            }
            let fields: &mut Map<String, Value> = row["fields"].as_object_mut().unwrap();
            for name in ["user", "created_by"] {
                if let Some(user) = fields.get_mut(name) {
                    *user = json!([format!("user{user}")]);
                }
            }
        }
        Self { rows }
    }
}

fn at(second: usize) -> String {
    let (hour, minute, second) = (second / 3600 % 24, second / 60 % 60, second % 60);
    format!("2021-03-04T{hour:02}:{minute:02}:{second:02}.250Z")
}

fn row(n: usize) -> Value {
    let status = ["sent", "sent", "error", "failed", "not_sent"][n % 5];
    let failed = [0, 1, 3, 2, 0][n % 5];
    let errors: Vec<Value> = (0..failed)
        .map(|index| {
            json!({
                "error_message": format!("(451, b'4.7.1 <user{n}@example.com> greylisted')"),
                "timestamp": format!("2021-03-05T10:00:0{index}.123456+00:00"),
                "exception_traceback": format!("Traceback (most recent call last):\n  File \"base.py\", line {n}\n"),
            })
        })
        .collect();
    let status_data = if errors.is_empty() {
        json!({})
    } else {
        json!({ "errors": errors })
    };
    json!({"model": receiver::MODEL, "pk": 1000 + n, "fields": {
        "created_datetime": at(n), "status": status, "status_data": status_data, "metadata": {}, "subject": format!("About {}", n % 7),
        "message_content_plain": format!("Hello {}", n % 7), "message_content_html": format!("<p>Hello {}</p>", n % 7),
        "message": n / 10, "message_type": "email", "send_to": "", "user": n % PEOPLE,
        "sent_datetime": (status == "sent").then_some("2021-03-06T10:00:00Z"),
        "sending_failed_count": failed, "sending_success_count": usize::from(status == "sent"),
    }})
}
