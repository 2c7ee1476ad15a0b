mod attachment;
mod content;

use std::{
    io::{self, BufWriter, Write},
    path::PathBuf,
};

use anyhow::bail;
use lettre::message::Mailbox;
use mail_parser::MessageParser;

use super::{
    Exit,
    context::Globals,
    output::{Format, json_line, local_exact},
    receiver::{DetailJson, number},
};
use crate::{
    message::{Attempt, Body, Content, Delivery, DisplayText, Outcome, ReceiverId, Text},
    store::Detail,
};

/// Show one receiver with every attempt: what was said, what went wrong, the traceback
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  postroom show 104233\n  postroom show 104233 --format json\n  postroom show 104233 --attachment 1 --output plan.pdf"
)]
pub(super) struct Args {
    /// The receiver's number, as `list` shows it
    #[arg(value_name = "ID", allow_negative_numbers = true, value_parser = number)]
    id: i64,
    /// How to write it
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// Save the attachment with this number, as `show` lists them, instead
    #[arg(long, value_name = "N", conflicts_with = "format", value_parser = attachment::number)]
    attachment: Option<u64>,
    /// Where to: a file, a folder, or `-` for standard output [default: a file here called after the receiver and the attachment]
    #[arg(long, value_name = "FILE", requires = "attachment")]
    output: Option<PathBuf>,
    /// Write over a file that is there
    #[arg(long, requires = "attachment")]
    force: bool,
}

pub(super) fn run(globals: &Globals, args: &Args) -> Exit {
    let config = globals.config()?;
    let reader = globals.look(&config)?;
    let id = ReceiverId(args.id);
    // Its content never changes, so it may be read after the rest.
    let (Some(detail), Some(content)) = (reader.detail(id)?, reader.content_of(id)?) else {
        bail!("there is no receiver {id}: `postroom list` shows which there are");
    };
    if let Some(number) = args.attachment {
        let place = attachment::Place {
            output: args.output.as_deref(),
            force: args.force,
        };
        return attachment::run(id, &content, number as usize, &place);
    }
    let mut out = BufWriter::new(io::stdout().lock());
    match args.format {
        Format::Json => json_line(&mut out, &DetailJson::of(&detail, &content))?,
        Format::Text => text(&mut out, &detail, &content)?,
    }
    out.flush()?;
    Ok(0)
}

fn text(out: &mut dyn Write, detail: &Detail, content: &Content) -> io::Result<()> {
    let row = &detail.row;
    let state = format!("{}, {}", row.state.status(), row.state.reason());
    let mut field = |name: &str, value: &DisplayText| -> io::Result<()> {
        if value.as_str().is_empty() {
            return Ok(());
        }
        writeln!(out, "{name:<12} {value}")
    };
    let plain = |text: String| DisplayText::line(&text);
    let time = |at: Option<_>| plain(at.map(local_exact).unwrap_or_default());
    let shown = |text: &Option<Text>| text.as_ref().map(Text::shown).unwrap_or_default();
    field("Receiver", &plain(row.id.to_string()))?;
    field("To", &row.identity.shown())?;
    field("User", &shown(&row.user))?;
    field("Subject", &row.subject.shown())?;
    field("Status", &plain(state))?;
    if row.sending {
        field("Sending", &plain("an engine holds it now".to_owned()))?;
    }
    field("Failed", &plain(row.failed_count.to_string()))?;
    field("Sent", &plain(row.sent_count.to_string()))?;
    field("Sent at", &time(row.sent_at))?;
    field("Next try", &time(row.next_attempt_at))?;
    field(
        "Delivery",
        &plain(row.delivery.map_or("", Delivery::name).to_owned()),
    )?;
    field("Backend", &row.backend.shown())?;
    field("Language", &row.language.shown())?;
    field("Type", &row.kind.shown())?;
    field(
        "Message",
        &plain(format!("{}, {}", row.message_id, detail.message_status)),
    )?;
    field("Key", &row.message_key.shown())?;
    field("From", &shown(&detail.from))?;
    field("Created", &time(Some(row.created_at)))?;
    field("Created by", &shown(&detail.created_by))?;
    match message_id(detail, content) {
        Some(id) => field("Message-ID", &plain(id))?,
        None => field("Uid", &detail.uid.shown())?,
    }
    field("Metadata", &metadata(detail))?;
    for attempt in &detail.attempts {
        self::attempt(out, attempt)?;
    }
    if !detail.actions.is_empty() {
        writeln!(out, "\nActions")?;
    }
    for action in &detail.actions {
        let (at, who) = (local_exact(action.at), action.who.shown());
        writeln!(out, "  {at} {}, by {who}", action.action.shown())?;
    }
    content::content(out, content)
}

/// What the message calls itself where it arrives: `<uid@domain of From>`, or what a raw message brought along.
fn message_id(detail: &Detail, content: &Content) -> Option<String> {
    let domain_of = |from: &str| Some(from.parse::<Mailbox>().ok()?.email.domain().to_owned());
    let ours = |domain: String| format!("<{}@{domain}>", detail.uid.raw());
    let given = || domain_of(detail.from.as_ref()?.raw());
    let Body::Raw(bytes) = &content.body else {
        return given().map(ours);
    };
    let message = MessageParser::default().parse_headers(bytes)?;
    if let Some(own) = message.message_id() {
        return Some(format!("<{own}>"));
    }
    let written = message.from().and_then(|from| from.first()?.address());
    written.and_then(domain_of).or_else(given).map(ours)
}

fn metadata(detail: &Detail) -> DisplayText {
    let given = |value: &serde_json::Value| {
        let empty = value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty);
        (!empty).then(|| value.to_string())
    };
    let both: Vec<_> = [&detail.message_metadata, &detail.receiver_metadata]
        .into_iter()
        .filter_map(given)
        .collect();
    DisplayText::line(&both.join(" "))
}

fn attempt(out: &mut dyn Write, attempt: &Attempt) -> io::Result<()> {
    let outcome = attempt.outcome.map_or("running", Outcome::name);
    write!(out, "\nAttempt {} {outcome}", attempt.number)?;
    if let Some(code) = attempt.code {
        write!(out, ", {code}")?;
    }
    if let Some(enhanced) = &attempt.enhanced_code {
        write!(out, " {}", enhanced.shown())?;
    }
    write!(out, ", {}", local_exact(attempt.started_at))?;
    if let Some(ended_at) = attempt.ended_at {
        let took = (ended_at - attempt.started_at).num_milliseconds();
        write!(out, ", {took} ms")?;
    }
    if let Some(server) = &attempt.server {
        write!(out, ", {}", server.shown())?;
    }
    if let Some(phase) = &attempt.phase {
        write!(out, ", {}", phase.shown())?;
    }
    write!(out, ", by {}", attempt.by.shown())?;
    match attempt.cause {
        Some(cause) => writeln!(out, ", cause {cause}")?,
        None => writeln!(out)?,
    }
    let raw = |text: &Option<Text>| {
        text.as_ref()
            .map_or(String::new(), |text| text.raw().to_owned())
    };
    let error = raw(&attempt.error);
    let parts = [
        // A traceback begins with the error.
        (
            None,
            if raw(&attempt.traceback).starts_with(&error) {
                String::new()
            } else {
                error
            },
        ),
        (None, raw(&attempt.reply)),
        (Some("Late"), raw(&attempt.late)),
        (Some("Traceback"), raw(&attempt.traceback)),
        (Some("Transcript"), raw(&attempt.transcript)),
    ];
    for (heading, part) in parts.iter().filter(|(_, part)| !part.is_empty()) {
        if let Some(heading) = heading {
            writeln!(out, "  {heading}")?;
        }
        block(out, &DisplayText::lines(part))?;
    }
    Ok(())
}

fn block(out: &mut dyn Write, text: &DisplayText) -> io::Result<()> {
    text.as_str()
        .lines()
        .try_for_each(|line| writeln!(out, "  {line}").map(drop))
}
