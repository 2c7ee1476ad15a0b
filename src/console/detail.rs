//! What each tab of the detail says, line by line.

use std::sync::Arc;

use super::{
    clock::lasted,
    column::type_in_full,
    page::Page,
    state::{Pane, Setup},
    text::{counted, grouped},
    theme::Role,
    traceback::{self, Kind},
};
use crate::{
    message::{Attempt, DisplayText, Outcome, Text, Timestamp},
    store::{AuditEntry, Detail},
};

/// A tab of the detail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as on the screen")]
pub enum Tab {
    #[default]
    Traceback,
    Transcript,
    Content,
    History,
    Details,
}

impl Tab {
    /// Every tab, from left to right.
    pub const ALL: [Self; 5] = [
        Self::Traceback,
        Self::Transcript,
        Self::Content,
        Self::History,
        Self::Details,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Traceback => "Traceback",
            Self::Transcript => "Transcript",
            Self::Content => "Content",
            Self::History => "History",
            Self::Details => "Details",
        }
    }

    /// The tab so many to the right; the last is followed by the first.
    #[must_use]
    pub fn step(self, by: usize) -> Self {
        Self::ALL[(self as usize + by) % Self::ALL.len()]
    }

    /// Whether it shows one attempt of several.
    pub fn is_of_attempt(self) -> bool {
        matches!(self, Self::Traceback | Self::Transcript)
    }
}

/// More than this of what is formatted on the spot is not shown. What may be larger, a content, is read beside the screen.
const MOST_BYTES: usize = 256 * 1024;

/// What the pane says now.
pub fn page(pane: &Pane, setup: &Setup) -> Arc<Page> {
    let mut said = Page::default();
    let Some(detail) = &pane.detail else {
        said.say(Role::Warning, "This receiver is no longer in the store.");
        return Arc::new(said);
    };
    let attempt = detail.attempts.get(pane.attempt);
    match pane.tab {
        Tab::Traceback => traceback(&mut said, detail, attempt, pane.unfolded, setup),
        Tab::Transcript => transcript(&mut said, attempt),
        Tab::Content => match &pane.content {
            Some(reading) => return Arc::clone(&reading.page),
            None => said.say(Role::Label, "reading…"),
        },
        Tab::History => history(&mut said, detail, setup),
        Tab::Details => details(&mut said, detail, setup),
    }
    Arc::new(said)
}

/// As much of a text as is shown, and how many bytes are not.
fn shown(text: &str) -> (DisplayText, usize) {
    let mut end = text.len().min(MOST_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    (DisplayText::lines(&text[..end]), text.len() - end)
}

fn say_more(page: &mut Page, left: usize) {
    if left > 0 {
        let left = grouped(left as u64);
        page.say(
            Role::Warning,
            &format!("… {left} bytes more: `postroom show` prints all of it"),
        );
    }
}

fn text(page: &mut Page, role: Role, text: &str) {
    let (text, left) = shown(text);
    for line in text.as_str().lines() {
        page.say(role, line);
    }
    say_more(page, left);
}

fn pair_of(page: &mut Page, label: &str, value: Option<&Text>) {
    if let Some(value) = value {
        page.pair(label, value.raw());
    }
}

/// The lines of a traceback in their roles. Foreign frames are folded, unless they are to be seen.
fn frames(page: &mut Page, raw: &str, unfolded: bool, setup: &Setup) {
    let (text, left) = shown(raw);
    let lines = traceback::parse(text.as_str());
    let mut folds = if unfolded {
        Vec::new()
    } else {
        traceback::folds(&lines)
    }
    .into_iter()
    .peekable();
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        if let Some(fold) = folds.next_if(|fold| fold.start == at) {
            let frames = counted(fold.len() as u64, "line");
            let unfolds = setup.keymap.fill("{fold} unfolds");
            page.say(
                Role::Label,
                &format!("    ┄ {frames} of foreign frames: {unfolds}"),
            );
            at = fold.end;
            continue;
        }
        let (role, eye) = match line.kind {
            _ if line.failing => (Role::Warning, Role::Problem),
            Kind::Error => (Role::Problem, Role::Problem),
            Kind::Joint => (Role::Title, Role::Title),
            Kind::Frame if line.foreign => (Role::Label, Role::Label),
            Kind::Frame => (Role::Plain, Role::Title),
            Kind::Fact => (Role::Plain, Role::Label),
            Kind::Plain => (Role::Plain, Role::Plain),
        };
        if line.failing {
            page.look_here();
        }
        let span = (line.span.clone(), eye);
        page.spanned(role, &DisplayText::line(line.text), vec![span]);
        at += 1;
    }
    say_more(page, left);
}

fn traceback(
    page: &mut Page,
    detail: &Detail,
    attempt: Option<&Attempt>,
    unfolded: bool,
    setup: &Setup,
) {
    let Some(attempt) = attempt else {
        page.say(Role::Label, "Not tried yet.");
        if let Some(at) = detail.row.next_attempt_at {
            page.say(
                Role::Label,
                &format!("Due since or at {}.", setup.zone.full(at)),
            );
        }
        return;
    };
    let mut told = attempt
        .traceback
        .as_ref()
        .map(Text::raw)
        .unwrap_or_default();
    match attempt.outcome {
        Some(Outcome::Accepted) => {
            page.say(Role::Good, "Accepted.");
            if let Some(reply) = &attempt.reply {
                text(page, Role::Plain, reply.raw());
            }
        }
        None => page.say(Role::Plain, "Being tried now."),
        Some(outcome) => {
            let error = attempt.error.as_ref().map_or(outcome.name(), Text::raw);
            text(page, Role::Problem, error);
            // Most tracebacks begin with the error itself.
            told = told.strip_prefix(error).unwrap_or(told);
        }
    }
    page.say(Role::Label, &summary(attempt, setup));
    let told = told.trim_start_matches(['\r', '\n']);
    if !told.is_empty() {
        page.blank();
        frames(page, told, unfolded, setup);
    }
    if let Some(late) = &attempt.late {
        page.blank();
        page.say(Role::Warning, "Learned after the row had moved on:");
        text(page, Role::Plain, late.raw());
    }
}

fn transcript(page: &mut Page, attempt: Option<&Attempt>) {
    let Some(attempt) = attempt else {
        return page.say(Role::Label, "Not tried yet.");
    };
    let Some(transcript) = &attempt.transcript else {
        return page.say(Role::Label, "Nothing was said in this attempt.");
    };
    let (text, left) = shown(transcript.raw());
    for line in text.as_str().lines() {
        page.say(speaker(line), line);
    }
    say_more(page, left);
}

/// Who speaks in a line of a transcript, and whether the server refuses something: `   0.023  S: 550 5.1.1 no such user here`.
fn speaker(line: &str) -> Role {
    let said = line.trim_start_matches(|c: char| c == ' ' || c == '.' || c.is_ascii_digit());
    match said
        .strip_prefix("S: ")
        .and_then(|reply| reply.bytes().next())
    {
        Some(b'4') => Role::Warning,
        Some(b'5') => Role::Problem,
        _ if said.starts_with("C: ") => Role::Label,
        _ => Role::Plain,
    }
}

/// Something that happened to a receiver, for its history.
type Happened = (Timestamp, Vec<(Role, String)>);

fn history(page: &mut Page, detail: &Detail, setup: &Setup) {
    let created = format!("handed over{}", by(detail.created_by.as_ref()));
    let mut all: Vec<Happened> = vec![(detail.row.created_at, vec![(Role::Plain, created)])];
    all.extend(detail.attempts.iter().map(|attempt| tried(attempt, setup)));
    all.extend(detail.actions.iter().map(|deed| done(deed, detail)));
    // Where two things happened in the same instant the order of this list stands: the sort keeps it.
    all.sort_by_key(|(at, _)| *at);
    for (at, lines) in &all {
        let mut time = setup.zone.second(*at);
        for (role, line) in lines {
            page.hanging(*role, &format!("{time:<15}  {line}"), 17);
            time.clear();
        }
    }
    if let Some(at) = detail.row.next_attempt_at {
        page.say(
            Role::Plain,
            &format!("{:<15}  next try", setup.zone.second(at)),
        );
    }
}

fn tried(attempt: &Attempt, setup: &Setup) -> Happened {
    let role = match attempt.outcome {
        Some(Outcome::Accepted) => Role::Good,
        Some(Outcome::Permanent) => Role::Problem,
        Some(Outcome::Temporary | Outcome::Backend | Outcome::Unknown) => Role::Warning,
        Some(Outcome::Cancelled) | None => Role::Plain,
    };
    let outcome = attempt.outcome.map_or("running", Outcome::name);
    let words = attempt.error.as_ref().or(attempt.reply.as_ref());
    let words = words
        .map(|words| format!(": {}", words.shown()))
        .unwrap_or_default();
    let mut lines = vec![
        (role, format!("{}. {outcome}{words}", attempt.number)),
        (Role::Label, summary(attempt, setup)),
    ];
    if let Some(late) = &attempt.late {
        lines.push((Role::Warning, format!("learned late: {}", late.shown())));
    }
    (attempt.started_at, lines)
}

/// What an operator did, or what was noticed.
fn done(deed: &AuditEntry, detail: &Detail) -> Happened {
    let target = deed.target.raw();
    let target = if target == format!("id:{}", detail.row.id) {
        String::new()
    } else {
        format!(" ({})", deed.target.shown())
    };
    let words = format!("{} by {}{target}", deed.action.shown(), deed.who.shown());
    (deed.at, vec![(Role::Title, words)])
}

fn details(page: &mut Page, detail: &Detail, setup: &Setup) {
    let row = &detail.row;
    page.pair(
        "Status",
        &format!("{}, {}", row.state.status(), row.state.reason()),
    );
    if row.sending {
        page.pair("", "an engine holds it now");
    }
    if let Some(delivery) = row.delivery {
        page.pair("Delivery report", delivery.name());
    }
    page.pair("To", row.identity.shown().as_str());
    pair_of(page, "Name", detail.name.as_ref());
    pair_of(page, "User", row.user.as_ref());
    page.pair("Backend", row.backend.shown().as_str());
    page.pair("Language", row.language.shown().as_str());
    page.pair("Type", &type_in_full(&row.kind, setup));
    page.pair(
        "Tries",
        &format!("{} failed, {} accepted", row.failed_count, row.sent_count),
    );
    if detail.unknown_count > 0 {
        let times = u64::from(detail.unknown_count);
        page.pair("", &format!("{times} of them may have arrived"));
    }
    if let Some(limit) = detail.resend_limit {
        page.pair("Resend limit", &limit.to_string());
    }
    page.pair("Created", &setup.zone.full(row.created_at));
    if let Some(at) = row.sent_at {
        page.pair("Sent", &setup.zone.full(at));
    }
    if let Some(at) = row.next_attempt_at {
        page.pair("Next try", &setup.zone.full(at));
    }
    if let Some(at) = detail.send_after {
        page.pair("Not before", &setup.zone.full(at));
    }
    if let Some(at) = detail.expires_at {
        page.pair("Expires", &setup.zone.full(at));
    }
    if detail.priority != 0 {
        page.pair("Priority", &detail.priority.to_string());
    }
    if let Some(job) = detail.job {
        page.pair("Resend", &job.to_string());
    }
    page.blank();
    page.pair("Receiver", &row.id.to_string());
    page.pair(
        "Message",
        &format!("{} ({})", row.message_id, detail.message_status),
    );
    page.pair("Key", row.message_key.shown().as_str());
    // The Message-ID begins with it, unless a raw message brought its own.
    page.pair("Uid", detail.uid.shown().as_str());
    pair_of(page, "From", detail.from.as_ref());
    pair_of(page, "Reply-To", detail.reply_to.as_ref());
    match &detail.return_path {
        Some(path) if path.raw().is_empty() => page.pair("Return path", "empty"),
        path => pair_of(page, "Return path", path.as_ref()),
    }
    for (name, value) in &detail.headers {
        page.pair("Header", &format!("{}: {}", name.raw(), value.raw()));
    }
    pair_of(page, "Created by", detail.created_by.as_ref());
    for (title, value) in [
        ("Metadata of the message", &detail.message_metadata),
        ("Metadata of the receiver", &detail.receiver_metadata),
    ] {
        let empty = value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty);
        if !empty {
            page.blank();
            page.say(Role::Title, title);
            text(page, Role::Plain, &format!("{value:#}"));
        }
    }
}

fn by(who: Option<&Text>) -> String {
    who.map(|who| format!(" by {}", who.shown()))
        .unwrap_or_default()
}

/// Where, when, how long and by whom, in a line.
fn summary(attempt: &Attempt, setup: &Setup) -> String {
    let mut parts = vec![
        setup
            .zone
            .second(attempt.started_at)
            .trim_start()
            .to_owned(),
    ];
    if let Some(ended) = attempt.ended_at {
        parts.push(format!("took {}", lasted(ended - attempt.started_at)));
    }
    if let Some(server) = &attempt.server {
        parts.push(server.shown().into_string());
    }
    if let Some(phase) = &attempt.phase {
        parts.push(format!("at {}", phase.shown()));
    }
    match (attempt.code, &attempt.enhanced_code) {
        (Some(code), Some(enhanced)) => parts.push(format!("{code} {}", enhanced.shown())),
        (Some(code), None) => parts.push(code.to_string()),
        (None, Some(enhanced)) => parts.push(enhanced.shown().into_string()),
        (None, None) => {}
    }
    parts.push(format!("by {}", attempt.by.shown()));
    parts.join(" · ")
}
