//! What keys do.

use ratatui::crossterm::event::{KeyEvent, KeyEventKind};

use super::{
    Out, causes, columns, export, filter, jobs, marks, moves, moves::Scroll, overview, palette,
    pane, query, refresh,
};
use crate::{
    console::{
        action::{Command, Entry, Place},
        detail::Tab,
        effect::Effect,
        layout::Focus,
        page::Spot,
        query_line::QueryLine,
        question::{At, Sort},
        state::{Help, Overlay, Prompt, Screen, State, Wanted},
        view,
    },
    message::{ReceiverId, Status},
    store::Action,
};

/// Keys that wait for rows; more are not remembered.
const MOST_DEFERRED: usize = 64;

/// A key was pressed.
pub(super) fn press(state: &mut State, key: KeyEvent, out: &mut Out) {
    if key.kind == KeyEventKind::Release {
        return;
    }
    if state.hint.take().is_some() {
        out.draw();
    }
    let place = state.place();
    let Some(entry) = state.setup.keymap.meaning(place, key) else {
        return write(state, key, out);
    };
    // What this key is meant for is being read: it waits for that, so that whoever types ahead hits what they aimed at.
    // What is pressed after one that waits is meant for where that leads.
    let elsewhere = matches!(
        entry.command,
        Command::Causes | Command::Overview | Command::Palette
    );
    if is_reading(state) && waits(entry.command) && !(elsewhere && state.deferred.is_empty()) {
        if state.deferred.len() < MOST_DEFERRED {
            state.deferred.push_back(key);
        }
        return;
    }
    act(state, entry, out);
}

/// Does what was chosen in the palette, if what it is meant for is there.
pub(super) fn choose(state: &mut State, entry: &Entry, out: &mut Out) {
    if is_reading(state) && waits(entry.command) {
        out.hint(state, &format!("{}: it is still being read", entry.hint));
    } else {
        act(state, entry, out);
    }
}

/// Whether what keys mean here is still being read.
fn is_reading(state: &State) -> bool {
    match state.place() {
        Place::Table | Place::Detail => state.table.jumping,
        Place::Causes => state.causes.rows.is_none() && state.causes.failed.is_none(),
        // One that copies what is still being read waits, too.
        Place::Copying => state.screen == Screen::Receivers && state.pane.id != state.table.cursor,
        _ => false,
    }
}

/// Does it, or says why not.
fn act(state: &mut State, entry: &Entry, out: &mut Out) {
    if let Some(why) = (entry.disabled)(state) {
        let why = state.setup.keymap.fill(why);
        return out.hint(state, &format!("{}: {why}", entry.hint));
    }
    run(state, entry.command, out);
}

/// A key that is no command goes into the line that is being written, if there is one.
fn write(state: &mut State, key: KeyEvent, out: &mut Out) {
    let changed = match &mut state.overlay {
        Some(Overlay::Query(line) | Overlay::Prompt(Prompt { line, .. })) => line.key(key),
        Some(Overlay::Palette(palette)) => {
            palette.chosen = 0;
            palette.line.key(key)
        }
        Some(Overlay::Confirm(confirm)) => jobs::type_number(confirm, key),
        _ => false,
    };
    if changed {
        out.draw();
    }
    if changed && state.place() == Place::Query {
        state.editing.back = 0;
        query::edited(state, out);
    }
}

/// The rows are there: presses the keys that waited.
pub(super) fn replay(state: &mut State, out: &mut Out) {
    // Those that wait again are not pressed again.
    for _ in 0..state.deferred.len() {
        if state.place() != Place::Copying && is_reading(state) {
            break;
        }
        if let Some(key) = state.deferred.pop_front() {
            press(state, key, out);
        }
    }
}

/// Whether a command needs the rows that are being read. What shows others, or leaves, does not.
fn waits(command: Command) -> bool {
    !matches!(
        command,
        Command::Quit
            | Command::Help
            | Command::Suspend
            | Command::Redraw
            | Command::Stop
            | Command::Back
            | Command::LeaveCopying
            | Command::EditQuery
            | Command::ShowAll
            | Command::ShowNotSent
            | Command::ShowFailed
            | Command::ShowError
            | Command::ShowSent
            | Command::CopyCommand
            | Command::Filter
            | Command::Columns
            | Command::Sort
            | Command::Reverse
            | Command::Undo
    )
}

fn run(state: &mut State, command: Command, out: &mut Out) {
    match command {
        Command::Quit => jobs::quit(state, out),
        Command::Help => {
            state.overlay = Some(Overlay::Help(Help {
                place: state.place(),
                scroll: 0,
            }));
            out.draw();
        }
        Command::Suspend => out.0.push(Effect::Suspend),
        Command::Redraw => {
            out.0.push(Effect::Redraw);
            refresh(state, out);
        }
        Command::EditQuery => {
            let text = state.table.asked.text.clone();
            query::edit(state, &text, out);
        }
        Command::Complete => query::complete(state, 1, out),
        Command::CompleteBack => query::complete(state, -1, out),
        Command::Earlier => query::recall(state, 1, out),
        Command::Later => query::recall(state, -1, out),
        Command::KeepQuery => query::ask_name(state, out),
        Command::ForgetQuery => query::forget(state, out),
        Command::Filter => filter::open(state, out),
        Command::Turn => filter::turn(state, out),
        Command::TurnAndClose => {
            filter::turn(state, out);
            state.overlay = None;
        }
        Command::NextSection => filter::section(state, true, out),
        Command::PreviousSection => filter::section(state, false, out),
        Command::Columns => columns::open(state, out),
        Command::TurnColumn => columns::turn(state, out),
        Command::ColumnRight => columns::shift(state, true, out),
        Command::ColumnLeft => columns::shift(state, false, out),
        Command::Wider => columns::size(state, true, out),
        Command::Narrower => columns::size(state, false, out),
        Command::Unsize => columns::unsize(state, out),
        Command::UsualColumns => columns::usual(state, out),
        Command::SortByColumn => columns::sort(state, out),
        Command::Sort => columns::next(state, out),
        Command::Reverse => columns::reverse(state, out),
        Command::GoTo => {
            state.overlay = Some(Overlay::Prompt(Prompt {
                wanted: Wanted::Id,
                line: QueryLine::open(""),
            }));
            out.draw();
        }
        Command::ShowAll => show_status(state, None, out),
        Command::ShowNotSent => show_status(state, Some(Status::NotSent), out),
        Command::ShowFailed => show_status(state, Some(Status::Failed), out),
        Command::ShowError => show_status(state, Some(Status::Error), out),
        Command::ShowSent => show_status(state, Some(Status::Sent), out),
        Command::Down => go(state, Way::Lines(1), out),
        Command::Up => go(state, Way::Lines(-1), out),
        Command::PageDown => go(state, Way::Screens(2), out),
        Command::PageUp => go(state, Way::Screens(-2), out),
        Command::HalfPageDown => go(state, Way::Screens(1), out),
        Command::HalfPageUp => go(state, Way::Screens(-1), out),
        Command::Top => go(state, Way::Top, out),
        Command::Bottom => go(state, Way::Bottom, out),
        Command::Mark => marks::toggle(state, out),
        Command::Range => marks::range(state, out),
        Command::MarkAll => marks::all(state, out),
        Command::MarkScreen => marks::screen(state, out),
        Command::Invert => marks::invert(state, out),
        Command::Unmark => marks::none(state, out),
        Command::Undo => marks::undo(state, out),
        Command::Resend if state.screen == Screen::Causes => causes::resend(state, out),
        Command::Resend => jobs::propose(state, Action::Resend, out),
        Command::Hold => jobs::propose(state, Action::Hold, out),
        Command::Release => jobs::propose(state, Action::Release, out),
        Command::Cancel => jobs::propose(state, Action::Cancel, out),
        Command::MarkSent => jobs::propose(state, Action::MarkSent, out),
        Command::Delete => jobs::propose(state, Action::Delete, out),
        Command::Open if state.screen == Screen::Causes => causes::receivers(state, out),
        Command::Open if state.screen == Screen::Overview => overview::receivers(state, out),
        Command::Open => {
            state.focus = Focus::Detail;
            moves::read_detail(state, out);
            out.draw();
        }
        Command::Back => back(state, out),
        Command::NextTab => pane::show_tab(state, state.pane.tab.step(1), out),
        Command::PreviousTab => {
            let last = Tab::ALL.len() - 1;
            pane::show_tab(state, state.pane.tab.step(last), out);
        }
        Command::TabTraceback => pane::show_tab(state, Tab::Traceback, out),
        Command::TabTranscript => pane::show_tab(state, Tab::Transcript, out),
        Command::TabContent => pane::show_tab(state, Tab::Content, out),
        Command::TabHistory => pane::show_tab(state, Tab::History, out),
        Command::TabDetails => pane::show_tab(state, Tab::Details, out),
        Command::NextPart => pane::show_part(state, 1, out),
        Command::PreviousPart => pane::show_part(state, -1, out),
        Command::NextAttempt => pane::show_attempt(state, state.pane.attempt + 1, out),
        Command::PreviousAttempt => {
            pane::show_attempt(state, state.pane.attempt.saturating_sub(1), out);
        }
        Command::Fold => pane::fold(state, out),
        Command::Wrap => pane::wrap(state, out),
        Command::Right => pane::sideways(state, true, out),
        Command::Left => pane::sideways(state, false, out),
        Command::Search => pane::ask_words(state, out),
        Command::NextMatch => pane::next_match(state, true, out),
        Command::PreviousMatch => pane::next_match(state, false, out),
        Command::Copy => export::choose(state, out),
        Command::CopyLine => export::copy_line(state, out),
        Command::CopyTraceback => export::copy_traceback(state, out),
        Command::CopyAll => export::copy_all(state, out),
        Command::CopyCommand => export::copy_command(state, out),
        Command::Pager => export::page(state, out),
        Command::Save => export::ask_name(state, out),
        Command::SaveAttachment => export::ask_attachment(state, out),
        Command::Take => {
            if let Some(Overlay::Prompt(prompt)) = state.overlay.take() {
                let text = prompt.line.text();
                match prompt.wanted {
                    Wanted::Search => pane::search(state, text, out),
                    Wanted::File => export::save(state, text.trim(), out),
                    Wanted::Attachment(id, _) => {
                        export::ask_attachment_name(state, id, text.trim(), out);
                    }
                    Wanted::AttachmentFile(id, number) => {
                        export::save_attachment(state, (id, number), text.trim(), out);
                    }
                    Wanted::QueryName => query::save(state, text.trim(), out),
                    Wanted::Id => go_to(state, text.trim(), out),
                }
            }
        }
        Command::NextReceiver => moves::step(state, 1, Scroll::AtTheEdge, out),
        Command::PreviousReceiver => moves::step(state, -1, Scroll::AtTheEdge, out),
        Command::Stop => jobs::stop(state, out),
        Command::Apply => query::apply(state, out),
        Command::Leave
        | Command::CloseHelp
        | Command::Drop
        | Command::CloseFilter
        | Command::CloseColumns
        | Command::ClosePalette => {
            state.overlay = None;
            // What was asked for the sake of what is closed no longer matters.
            for sort in [Sort::Preview, Sort::Facet] {
                state.asks.forget(sort);
            }
            out.draw();
        }
        Command::LeaveCopying => {
            state.deferred.clear();
            state.overlay = None;
            out.draw();
        }
        Command::Causes => {
            state.deferred.clear();
            causes::open(state, out);
        }
        Command::Overview => {
            state.deferred.clear();
            overview::open(state, out);
        }
        Command::Pause => overview::propose(state, out),
        Command::Palette => palette::open(state, out),
        Command::Run => palette::run(state, out),
        Command::NextAction => palette::step(state, 1, out),
        Command::PreviousAction => palette::step(state, -1, out),
        Command::Yes => jobs::confirm(state, out),
        Command::No => jobs::refuse(state, out),
    }
}

fn show_status(state: &mut State, status: Option<Status>, out: &mut Out) {
    query::show(state, query::words_of(status), out);
}

/// Goes to the receiver with this number.
fn go_to(state: &mut State, number: &str, out: &mut Out) {
    out.draw();
    match (number.parse(), state.table.place.clone()) {
        (Ok(id), Some(place)) => moves::jump(state, At::Find(ReceiverId(id), place), out),
        (Err(_), _) => out.hint(state, "go to: a receiver's number is a whole number"),
        (_, None) => {}
    }
}

/// Gives up the smallest thing that is open.
fn back(state: &mut State, out: &mut Out) {
    if state.screen != Screen::Receivers {
        state.screen = Screen::Receivers;
        state.deferred.clear();
        moves::read_detail(state, out);
    } else if state.focus == Focus::Detail && state.pane.search.is_some() {
        pane::give_up_search(state);
    } else if state.focus == Focus::Detail {
        state.focus = Focus::Table;
        moves::settle(state);
    } else if state.range.take().is_none()
        && state.report.take().is_none()
        && let Some((screen, text)) = state.from.take()
    {
        query::show(state, text, out);
        match screen {
            Screen::Causes => causes::open(state, out),
            Screen::Overview => overview::open(state, out),
            Screen::Receivers => {}
        }
    }
    out.draw();
}

/// Up or down, in whatever has the keys.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    Lines(i64),
    /// Half screens.
    Screens(i64),
    Top,
    Bottom,
}

impl Way {
    /// Where it leads in a list of so many, so many of which are seen.
    pub(super) fn in_a_list(self, from: usize, many: usize, seen: usize) -> usize {
        let last = many.saturating_sub(1);
        let to = match self {
            Self::Lines(by) => from.saturating_add_signed(by as isize),
            Self::Screens(by) => from.saturating_add_signed(half_screens(by, seen) as isize),
            Self::Top => 0,
            Self::Bottom => last,
        };
        to.min(last)
    }
}

/// So many half screens in lines. A whole one keeps a line of the last, to hold on to.
fn half_screens(by: i64, seen: usize) -> i64 {
    by * seen.saturating_sub(1).max(2) as i64 / 2
}

/// Goes somewhere in whatever has the keys.
pub(super) fn go(state: &mut State, way: Way, out: &mut Out) {
    match state.place() {
        Place::Causes => causes::go(state, way, out),
        Place::Overview => overview::go(state, way, out),
        Place::Detail => {
            let shape = state.shape();
            match way {
                Way::Lines(by) => pane::scroll(state, by, out),
                Way::Screens(by) => {
                    pane::scroll(state, half_screens(by, shape.height), out);
                }
                Way::Top => pane::scroll_to(state, Spot::default(), out),
                Way::Bottom => {
                    let last = state.pane.page.last(shape);
                    pane::scroll_to(state, last, out);
                }
            }
        }
        Place::Filter | Place::Columns => {
            if let Way::Lines(by) = way {
                filter::step(state, by, out);
                columns::step(state, by, out);
            }
        }
        Place::Copying => {
            if let Way::Lines(by) = way {
                export::move_line(state, by, out);
            }
        }
        Place::Help => {
            let (lines, height) = view::help_extent(state);
            if let Some(Overlay::Help(help)) = &mut state.overlay {
                let tops = lines.saturating_sub(height) + 1;
                let top = way.in_a_list(help.scroll, tops, height);
                if std::mem::replace(&mut help.scroll, top) != top {
                    out.draw();
                }
            }
        }
        _ => {
            let seen = state.table_rows();
            match way {
                Way::Lines(by) => moves::step(state, by, Scroll::AtTheEdge, out),
                Way::Screens(by) => {
                    moves::step(state, half_screens(by, seen), Scroll::WithTheCursor, out);
                }
                Way::Top => moves::jump(state, At::First, out),
                Way::Bottom => moves::jump(state, At::Last, out),
            }
        }
    }
}

/// After the screen or the text has changed: nothing is scrolled farther than it goes.
pub(super) fn keep_scroll_in_bounds(state: &mut State) {
    pane::keep_in_bounds(state);
    let (lines, height) = view::help_extent(state);
    if let Some(Overlay::Help(help)) = &mut state.overlay {
        help.scroll = help.scroll.min(lines.saturating_sub(height));
    }
}
