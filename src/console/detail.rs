//! What each tab of the detail says, line by line.

use super::{
    clock::lasted,
    column::type_label,
    state::{Pane, Setup},
    text::{self, grouped},
    theme::Role,
};
use crate::{
    message::{Attempt, Body as ContentBody, DisplayText, Outcome, Text},
    store::Detail,
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

/// More of a text than this is not shown: nobody reads it here, and every line of it is broken anew when the screen changes.
const MOST_BYTES: usize = 256 * 1024;

/// The lines of a tab, as they came; see [`Body::lines`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    lines: Vec<Line>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    text: DisplayText,
    role: Role,
    /// How far what is broken off it is moved in.
    hang: usize,
}

impl Body {
    /// What the pane says now.
    pub fn of(pane: &Pane, setup: &Setup) -> Self {
        let mut body = Self::default();
        let Some(detail) = &pane.detail else {
            body.say(Role::Warning, "This receiver is no longer in the store.");
            return body;
        };
        let attempt = detail.attempts.get(pane.attempt);
        match pane.tab {
            Tab::Traceback => body.traceback(detail, attempt, setup),
            Tab::Transcript => body.transcript(attempt),
            Tab::Content => body.content(detail),
            Tab::History => body.history(detail, setup),
            Tab::Details => body.details(detail, setup),
        }
        body
    }

    /// The lines on a pane of this width: how far each is moved in, its text and its role.
    pub fn lines(&self, width: usize) -> Vec<(usize, &str, Role)> {
        let width = width.max(1);
        let mut lines = Vec::new();
        for line in &self.lines {
            // On a pane too narrow for it, moving in would leave nothing to read.
            let hang = if line.hang * 2 < width { line.hang } else { 0 };
            let mut pieces = text::hanging(line.text.as_str(), width, hang).into_iter();
            lines.extend(pieces.next().map(|first| (0, first, line.role)));
            lines.extend(pieces.map(|piece| (hang, piece, line.role)));
        }
        lines
    }

    fn say(&mut self, role: Role, line: &str) {
        self.hanging(role, line, 0);
    }

    fn hanging(&mut self, role: Role, line: &str, hang: usize) {
        let text = DisplayText::line(line);
        self.lines.push(Line { text, role, hang });
    }

    fn blank(&mut self) {
        self.say(Role::Plain, "");
    }

    fn text(&mut self, role: Role, text: &str) {
        let mut end = text.len().min(MOST_BYTES);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        for line in DisplayText::lines(&text[..end]).as_str().lines() {
            self.say(role, line);
        }
        if end < text.len() {
            let left = grouped((text.len() - end) as u64);
            self.say(
                Role::Warning,
                &format!("… {left} bytes more: `postroom show` prints all of it"),
            );
        }
    }

    fn pair(&mut self, label: &str, value: &str) {
        self.hanging(Role::Plain, &format!("{label:<15} {value}"), 16);
    }

    fn pair_of(&mut self, label: &str, value: Option<&Text>) {
        if let Some(value) = value {
            self.pair(label, value.shown().as_str());
        }
    }

    fn traceback(&mut self, detail: &Detail, attempt: Option<&Attempt>, setup: &Setup) {
        let Some(attempt) = attempt else {
            self.say(Role::Label, "Not tried yet.");
            if let Some(at) = detail.row.next_attempt_at {
                self.say(
                    Role::Label,
                    &format!("Due since or at {}.", setup.zone.full(at)),
                );
            }
            return;
        };
        let mut traceback = attempt
            .traceback
            .as_ref()
            .map(Text::raw)
            .unwrap_or_default();
        match attempt.outcome {
            Some(Outcome::Accepted) => {
                self.say(Role::Good, "Accepted.");
                if let Some(reply) = &attempt.reply {
                    self.text(Role::Plain, reply.raw());
                }
            }
            None => self.say(Role::Plain, "Being tried now."),
            Some(outcome) => {
                let error = attempt.error.as_ref().map_or(outcome.name(), Text::raw);
                self.text(Role::Problem, error);
                // Most tracebacks begin with the error itself.
                traceback = traceback.strip_prefix(error).unwrap_or(traceback);
            }
        }
        self.say(Role::Label, &summary(attempt, setup));
        let traceback = traceback.trim_start_matches(['\r', '\n']);
        if !traceback.is_empty() {
            self.blank();
            self.text(Role::Plain, traceback);
        }
        if let Some(late) = &attempt.late {
            self.blank();
            self.say(Role::Warning, "Learned after the row had moved on:");
            self.text(Role::Plain, late.raw());
        }
    }

    fn transcript(&mut self, attempt: Option<&Attempt>) {
        let Some(attempt) = attempt else {
            self.say(Role::Label, "Not tried yet.");
            return;
        };
        match &attempt.transcript {
            Some(transcript) => self.text(Role::Plain, transcript.raw()),
            None => self.say(Role::Label, "Nothing was said in this attempt."),
        }
    }

    fn content(&mut self, detail: &Detail) {
        self.pair(
            "Subject",
            DisplayText::line(&detail.content.subject).as_str(),
        );
        self.pair_of("From", detail.from.as_ref());
        self.pair("To", detail.row.identity.shown().as_str());
        self.blank();
        match &detail.content.body {
            ContentBody::Parts { text, html } => {
                self.text(Role::Plain, text);
                if let Some(html) = html {
                    self.blank();
                    let bytes = grouped(html.len() as u64);
                    self.say(Role::Label, &format!("and {bytes} bytes of HTML"));
                }
            }
            ContentBody::Raw(bytes) => {
                let shown = &bytes[..bytes.len().min(MOST_BYTES + 4)];
                self.say(
                    Role::Label,
                    &format!("A whole message of {} bytes:", grouped(bytes.len() as u64)),
                );
                self.text(Role::Plain, &String::from_utf8_lossy(shown));
            }
        }
    }

    fn history(&mut self, detail: &Detail, setup: &Setup) {
        self.say(
            Role::Plain,
            &format!(
                "{}  handed over{}",
                setup.zone.second(detail.row.created_at),
                by(detail.created_by.as_ref())
            ),
        );
        for attempt in &detail.attempts {
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
            self.hanging(
                role,
                &format!(
                    "{}  {}. {outcome}{words}",
                    setup.zone.second(attempt.started_at),
                    attempt.number
                ),
                20,
            );
            self.hanging(
                Role::Label,
                &format!("{:20}{}", "", summary(attempt, setup)),
                20,
            );
        }
        if let Some(at) = detail.row.next_attempt_at {
            self.say(Role::Plain, &format!("{}  next try", setup.zone.second(at)));
        }
    }

    fn details(&mut self, detail: &Detail, setup: &Setup) {
        let row = &detail.row;
        self.pair(
            "Status",
            &format!("{}, {}", row.state.status(), row.state.reason()),
        );
        if row.sending {
            self.pair("", "an engine holds it now");
        }
        if let Some(delivery) = row.delivery {
            self.pair("Delivery report", &format!("{delivery:?}").to_lowercase());
        }
        self.pair("To", row.identity.shown().as_str());
        self.pair_of("User", row.user.as_ref());
        self.pair("Backend", row.backend.shown().as_str());
        self.pair("Language", row.language.shown().as_str());
        self.pair("Type", &type_label(row, setup));
        self.pair(
            "Tries",
            &format!("{} failed, {} accepted", row.failed_count, row.sent_count),
        );
        self.pair("Created", &setup.zone.full(row.created_at));
        if let Some(at) = row.sent_at {
            self.pair("Sent", &setup.zone.full(at));
        }
        if let Some(at) = row.next_attempt_at {
            self.pair("Next try", &setup.zone.full(at));
        }
        if let Some(job) = detail.job {
            self.pair("Resend", &job.to_string());
        }
        self.blank();
        self.pair("Receiver", &row.id.to_string());
        self.pair(
            "Message",
            &format!("{} ({})", row.message_id, detail.message_status),
        );
        self.pair("Key", row.message_key.shown().as_str());
        self.pair("Message-ID", detail.uid.shown().as_str());
        self.pair_of("From", detail.from.as_ref());
        self.pair_of("Created by", detail.created_by.as_ref());
        for (title, value) in [
            ("Metadata of the message", &detail.message_metadata),
            ("Metadata of the receiver", &detail.receiver_metadata),
        ] {
            let empty = value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty);
            if !empty {
                self.blank();
                self.say(Role::Title, title);
                self.text(Role::Plain, &format!("{value:#}"));
            }
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
