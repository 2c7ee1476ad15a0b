//! What leaves the pane: into the clipboard, into the pager, into a file.

use std::sync::Arc;

use super::{Out, pane};
use crate::console::{
    action::Place,
    content::{Part, Piece},
    detail::Tab,
    effect::{Effect, NotSaved, Save},
    page::Hit,
    query_line::QueryLine,
    question::Question,
    state::{Confirm, Notice, Overlay, Prompt, Screen, Search, State, Wanted},
    text::{counted, grouped, shell_quoted},
};
use crate::{
    message::{DisplayText, ReceiverId, Text},
    store::Sort,
};

/// What terminals are known to take by OSC 52, in bytes once it is encoded. More is refused, since it would be cut without a word.
const MOST_COPIED: usize = 74_994;

/// Opens the choice of what to copy.
pub(super) fn choose(state: &mut State, out: &mut Out) {
    let shown = state.screen == Screen::Receivers
        && state.areas().is_some_and(|areas| areas.shows_detail());
    let line = (shown && !state.pane.page.is_empty()).then(|| line_meant(state));
    state.overlay = Some(Overlay::Copying { line });
    if let Some(id) = state.table.cursor
        && state.screen == Screen::Receivers
        && state.pane.id != Some(id)
    {
        out.ask(state, Question::Detail(id));
    }
    out.draw();
}

/// The line that the operator most likely means: the match, the one to look at first, or the top of what is in sight.
fn line_meant(state: &State) -> usize {
    let pane = &state.pane;
    let rows = pane.page.shown(pane.at, state.shape());
    let in_sight = |line: &usize| rows.iter().any(|row| row.line == *line);
    let hit = pane.search.as_ref().and_then(Search::here);
    hit.map(|hit| hit.line)
        .filter(in_sight)
        .or(Some(pane.page.first()).filter(in_sight))
        .unwrap_or(pane.at.line)
}

/// Means another line.
pub(super) fn move_line(state: &mut State, by: i64, out: &mut Out) {
    let last = state.pane.page.len().saturating_sub(1);
    if let Some(Overlay::Copying { line: Some(line) }) = &mut state.overlay {
        *line = line.saturating_add_signed(by as isize).min(last);
        let hit = Hit { line: *line, at: 0 };
        pane::bring_into_sight(state, hit);
        out.draw();
    }
}

/// Copies the line that is meant.
pub(super) fn copy_line(state: &mut State, out: &mut Out) {
    if let Some(Overlay::Copying { line: Some(line) }) = state.overlay {
        let line = state.pane.page.whole_line(line);
        copy(state, line, "the line", out);
    }
}

/// Copies the traceback of the attempt in the pane, else of the latest.
pub(super) fn copy_traceback(state: &mut State, out: &mut Out) {
    let Some(attempt) = state.attempt() else {
        return;
    };
    let Some(told) = attempt.traceback.as_ref().or(attempt.error.as_ref()) else {
        return;
    };
    let told = DisplayText::lines(told.raw()).into_string();
    copy(state, told, "the traceback", out);
}

/// Copies all that the tab says.
pub(super) fn copy_all(state: &mut State, out: &mut Out) {
    let all = state.pane.page.plain();
    copy(state, all, "all of it", out);
}

/// Copies the command that prints the same.
pub(super) fn copy_command(state: &mut State, out: &mut Out) {
    let program = &state.setup.program;
    let query = &state.table.asked.text;
    let command = match (state.ground(), state.table.cursor) {
        (Place::Detail, Some(id)) => format!("{program} show {id}"),
        (Place::Causes, _) => with_query(format!("{program} causes"), query),
        (Place::Overview, _) => format!("{program} status"),
        _ => with_query(format!("{program} list{}", by(state.table.sort)), query),
    };
    let what = format!("`{command}`");
    copy(state, command, &what, out);
}

/// The flag for an order, unless it is the usual one.
fn by(sort: Sort) -> String {
    if sort == Sort::default() {
        return String::new();
    }
    let way = match (sort.reversed, sort.by.descends()) {
        (false, _) => "",
        (true, true) => ":asc",
        (true, false) => ":desc",
    };
    format!(" --sort {}{way}", sort.by.name())
}

fn with_query(command: String, query: &str) -> String {
    if query.is_empty() {
        return command;
    }
    let dashes = if query.starts_with('-') { "-- " } else { "" };
    format!("{command} {dashes}{}", shell_quoted(query))
}

fn copy(state: &mut State, text: String, what: &str, out: &mut Out) {
    state.overlay = None;
    out.draw();
    let encoded = text.len().div_ceil(3) * 4;
    if encoded > MOST_COPIED {
        let (size, most) = (grouped(encoded as u64), grouped(MOST_COPIED as u64));
        let way_out = state
            .setup
            .keymap
            .fill("{pager} shows it in the pager, {save} saves it");
        let words =
            format!("{what}: {size} bytes are more than the {most} that terminals take; {way_out}");
        state.hint = Some(Notice::bad(&words));
        return;
    }
    out.hint(
        state,
        &format!("copied {what}, if the terminal allows it (OSC 52)"),
    );
    out.0.push(Effect::Copy(text));
}

/// Shows the page in the pager, foreign frames and all.
pub(super) fn page(state: &mut State, out: &mut Out) {
    let folded = !state.pane.unfolded && state.pane.tab == Tab::Traceback;
    let page = if folded {
        let mut whole = state.pane.clone();
        whole.unfolded = true;
        crate::console::detail::page(&whole, &state.setup)
    } else {
        Arc::clone(&state.pane.page)
    };
    out.0.push(Effect::Page(page));
}

/// Asks for the name of a file.
pub(super) fn ask_name(state: &mut State, out: &mut Out) {
    state.overlay = Some(Overlay::Prompt(Prompt {
        wanted: Wanted::File,
        line: QueryLine::open(&proposed(state)),
    }));
    out.draw();
}

fn proposed(state: &State) -> String {
    let pane = &state.pane;
    let id = pane.id.map(|id| id.to_string()).unwrap_or_default();
    let attempt = pane.attempt + 1;
    let reading = pane.content.as_ref();
    let whole = reading.is_some_and(|reading| reading.parts.contains(&Part::Headers));
    let rest = match (pane.tab, reading.map(|reading| reading.part)) {
        (Tab::Traceback, _) => format!("traceback-{attempt}.txt"),
        (Tab::Transcript, _) => format!("transcript-{attempt}.txt"),
        (Tab::History, _) => "history.txt".to_owned(),
        (Tab::Details, _) => "details.txt".to_owned(),
        (Tab::Content, Some(Part::Source)) if whole => "message.eml".to_owned(),
        (Tab::Content, Some(Part::Source)) => "content.html".to_owned(),
        (Tab::Content, Some(Part::Headers)) => "headers.txt".to_owned(),
        (Tab::Content, Some(Part::Attachments)) => "attachments.txt".to_owned(),
        (Tab::Content, _) => "content.txt".to_owned(),
    };
    format!("postroom-{id}-{rest}")
}

/// Saves what the pane says under a name: letter by letter where it came from outside, since a file is no terminal.
pub(super) fn save(state: &mut State, path: &str, out: &mut Out) {
    out.draw();
    if path.is_empty() {
        return out.hint(state, "not saved: the file needs a name");
    }
    let raw = |text: Option<&Text>| text.map(|text| text.raw().as_bytes().to_vec());
    let bytes = match (state.pane.tab, state.pane.id, &state.pane.content) {
        (Tab::Content, Some(id), Some(reading)) => {
            let piece = Piece::Part(reading.part);
            state.saving = Some((path.to_owned(), Some(reading.clone())));
            return out.ask(state, Question::Raw { id, piece });
        }
        (Tab::Traceback, ..) => raw(state.attempt().and_then(|tried| tried.traceback.as_ref())),
        (Tab::Transcript, ..) => raw(state.attempt().and_then(|tried| tried.transcript.as_ref())),
        _ => None,
    };
    let bytes = bytes.unwrap_or_else(|| state.pane.page.plain().into_bytes());
    write(path.to_owned(), bytes, out);
}

/// The letters that were asked for, for the file that waits for them.
pub(super) fn take_raw(state: &mut State, bytes: Option<Vec<u8>>, out: &mut Out) {
    let Some((path, reading)) = state.saving.take() else {
        return;
    };
    let bytes = bytes.or_else(|| reading.map(|reading| reading.page.plain().into_bytes()));
    if let Some(bytes) = bytes {
        return write(path, bytes, out);
    }
    let words = "not saved: the receiver is no longer in the store";
    state.hint = Some(Notice::bad(words));
    out.draw();
}

/// Asks which attachment is to be saved, if there are several.
pub(super) fn ask_attachment(state: &mut State, out: &mut Out) {
    let many = state
        .pane
        .content
        .as_ref()
        .map_or(0, |reading| reading.attachments.len());
    match state.pane.id {
        Some(id) if many == 1 => ask_attachment_name(state, id, "1", out),
        Some(id) => {
            state.overlay = Some(Overlay::Prompt(Prompt {
                wanted: Wanted::Attachment(id, many),
                line: QueryLine::open("1"),
            }));
            out.draw();
        }
        None => {}
    }
}

/// Asks for the name of a file for the attachment with this number.
pub(super) fn ask_attachment_name(state: &mut State, id: ReceiverId, number: &str, out: &mut Out) {
    out.draw();
    let shown = state
        .pane
        .content
        .as_ref()
        .filter(|_| state.pane.id == Some(id));
    let Some(reading) = shown else {
        return out.hint(state, "not saved: another receiver is shown by now");
    };
    let number: usize = number.parse().unwrap_or_default();
    let name = number
        .checked_sub(1)
        .and_then(|at| reading.attachments.get(at));
    let Some(name) = name else {
        let words = format!(
            "not saved: its attachments are 1 to {}",
            reading.attachments.len()
        );
        return out.hint(state, &words);
    };
    let line = QueryLine::open(name);
    state.overlay = Some(Overlay::Prompt(Prompt {
        wanted: Wanted::AttachmentFile(id, number),
        line,
    }));
}

/// Saves an attachment under a name.
pub(super) fn save_attachment(
    state: &mut State,
    which: (ReceiverId, usize),
    path: &str,
    out: &mut Out,
) {
    out.draw();
    if path.is_empty() {
        return out.hint(state, "not saved: the file needs a name");
    }
    let (id, number) = which;
    state.saving = Some((path.to_owned(), None));
    let piece = Piece::Attachment(number);
    out.ask(state, Question::Raw { id, piece });
}

fn write(path: String, bytes: Vec<u8>, out: &mut Out) {
    out.0.push(Effect::Save(Save {
        path,
        bytes: Arc::new(bytes),
        overwrite: false,
    }));
}

/// A file was written, or not.
pub(super) fn saved(state: &mut State, save: Save, result: Result<(), NotSaved>, out: &mut Out) {
    out.draw();
    match result {
        Ok(()) => {
            let size = counted(save.bytes.len() as u64, "byte");
            state.hint = Some(Notice::good(&format!("saved {size} in {}", save.path)));
        }
        Err(NotSaved::Exists) if state.overlay.is_none() => {
            state.overlay = Some(Overlay::Confirm(Confirm::Overwrite(save)));
        }
        Err(NotSaved::Exists) => {
            let words = format!("not saved: {} is there already", save.path);
            state.hint = Some(Notice::bad(&words));
        }
        Err(NotSaved::Failed(why)) => {
            let words = format!("{} could not be written: {why}", save.path);
            state.hint = Some(Notice::bad(&words));
        }
    }
}
