//! The one table of actions. The keys, the footer, the help and the README's list of keys are all read from it, so none of them can say
//! what another does not.

mod disabled;
mod key;
mod place;

use ratatui::crossterm::event::KeyCode;

use super::{keymap::Keymap, state::State};

use disabled::{
    act, always, copy_pane, copy_traceback, has_attachments, has_frames, has_matches, has_parts,
    invert, is_read, mark_one, mark_range, mark_screen, needs_job, needs_marks, needs_one,
    needs_row, needs_step, next_attempt, pause, previous_attempt, runs_on, something_open,
};

pub use key::Key;
pub use place::Place;

/// What a key can mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each has its help in the table below")]
pub enum Command {
    Quit,
    Help,
    Suspend,
    Redraw,
    EditQuery,
    ShowAll,
    ShowNotSent,
    ShowFailed,
    ShowError,
    ShowSent,
    Down,
    Up,
    PageDown,
    PageUp,
    HalfPageDown,
    HalfPageUp,
    Top,
    Bottom,
    Mark,
    Range,
    MarkAll,
    MarkScreen,
    Invert,
    Unmark,
    Undo,
    Resend,
    Hold,
    Release,
    Cancel,
    MarkSent,
    Delete,
    Filter,
    CloseFilter,
    Turn,
    TurnAndClose,
    NextSection,
    PreviousSection,
    Columns,
    CloseColumns,
    TurnColumn,
    ColumnRight,
    ColumnLeft,
    Wider,
    Narrower,
    Unsize,
    UsualColumns,
    SortByColumn,
    Sort,
    Reverse,
    GoTo,
    Complete,
    CompleteBack,
    Earlier,
    Later,
    KeepQuery,
    ForgetQuery,
    Open,
    Back,
    NextTab,
    PreviousTab,
    TabTraceback,
    TabTranscript,
    TabContent,
    TabHistory,
    TabDetails,
    NextPart,
    PreviousPart,
    Fold,
    Wrap,
    Right,
    Left,
    Search,
    NextMatch,
    PreviousMatch,
    Copy,
    Pager,
    Save,
    SaveAttachment,
    CopyLine,
    CopyTraceback,
    CopyAll,
    CopyCommand,
    LeaveCopying,
    Take,
    Drop,
    NextAttempt,
    PreviousAttempt,
    NextReceiver,
    PreviousReceiver,
    Stop,
    Apply,
    Leave,
    Yes,
    No,
    CloseHelp,
    Causes,
    Overview,
    Pause,
    Palette,
    Run,
    ClosePalette,
    NextAction,
    PreviousAction,
}

/// One action: everything there is to know about it but what it does.
#[derive(Debug)]
pub struct Entry {
    /// What it is.
    pub command: Command,
    /// Its name, for a keymap.
    pub name: &'static str,
    /// One or two words for the footer.
    pub hint: &'static str,
    /// A sentence for the help; an action's name in braces stands for its key.
    pub help: &'static str,
    /// The keys that mean it unless the config names others: see [`Keymap`].
    pub(super) keys: &'static [Key],
    /// Where they do.
    pub places: &'static [Place],
    /// Whether the footer names it, and how soon it gives way on a narrow screen: 1 stays longest.
    pub footer: Option<u8>,
    /// Why it does nothing now; `None`: it works.
    pub disabled: fn(&State) -> Option<&'static str>,
}

/// What can be done in a place, in the order of the table.
pub fn in_place(place: Place) -> impl Iterator<Item = &'static Entry> {
    TABLE
        .iter()
        .filter(move |entry| entry.places.contains(&place))
}

/// The keys of every place as a table in Markdown, for the README.
pub fn as_markdown() -> String {
    let keymap = Keymap::default();
    let mut table = String::from("| where | key | name | what |\n|---|---|---|---|\n");
    for place in Place::ALL {
        for entry in in_place(place) {
            // What works in several places stands under the first.
            if entry.places.first() == Some(&place) {
                let keys = keymap.keys(entry).iter();
                let keys: Vec<String> = keys.map(|key| format!("`{key}`")).collect();
                let places: Vec<&str> = entry.places.iter().map(|place| place.short()).collect();
                let name = format!("`{}`", entry.name);
                let row = [
                    places.join(", "),
                    keys.join(" "),
                    name,
                    keymap.fill(entry.help),
                ];
                table.extend(["| ", &row.join(" | "), " |\n"]);
            }
        }
    }
    table
}

const TABLE_ONLY: &[Place] = &[Place::Table];
const DETAIL_ONLY: &[Place] = &[Place::Detail];
const BOTH: &[Place] = &[Place::Table, Place::Detail];
const SCREENS: &[Place] = &[Place::Table, Place::Detail, Place::Causes, Place::Overview];
const LISTS: &[Place] = &[Place::Table, Place::Causes, Place::Overview];
const QUERIED: &[Place] = &[Place::Table, Place::Causes];
const RECEIVERS: &[Place] = &[Place::Table, Place::Detail, Place::Causes];
const NOT_CAUSES: &[Place] = &[Place::Table, Place::Detail, Place::Overview];
const READING: &[Place] = &[
    Place::Table,
    Place::Detail,
    Place::Causes,
    Place::Overview,
    Place::Help,
];
/// Wherever no text is written.
const NOT_WRITING: &[Place] = &[
    Place::Table,
    Place::Detail,
    Place::Causes,
    Place::Overview,
    Place::Question,
    Place::Help,
    Place::Copying,
    Place::Filter,
    Place::Columns,
];
const LINES: &[Place] = &[
    Place::Table,
    Place::Detail,
    Place::Causes,
    Place::Overview,
    Place::Help,
    Place::Copying,
    Place::Filter,
    Place::Columns,
];

macro_rules! table {
    ($($command:ident $name:literal $hint:literal [$($key:expr),*] $places:ident $footer:expr, $disabled:ident, $help:literal;)*) => {
        /// Every action. The order is the footer's and the help's.
        pub static TABLE: &[Entry] = &[$(Entry {
            command: Command::$command,
            name: $name,
            hint: $hint,
            help: $help,
            keys: &[$($key),*],
            places: $places,
            footer: $footer,
            disabled: $disabled,
        }),*];
    };
}

const MARKING: &[Place] = &[Place::Table, Place::Filter];
const FILTER_ONLY: &[Place] = &[Place::Filter];
const COLUMNS_ONLY: &[Place] = &[Place::Columns];
const QUERY_ONLY: &[Place] = &[Place::Query];
const QUESTION_ONLY: &[Place] = &[Place::Question];
const HELP_ONLY: &[Place] = &[Place::Help];
const PROMPT_ONLY: &[Place] = &[Place::Prompt];
const COPYING_ONLY: &[Place] = &[Place::Copying];
const OVERVIEW_ONLY: &[Place] = &[Place::Overview];
const PALETTE_ONLY: &[Place] = &[Place::Palette];

table! {
    Mark "mark" "mark" [Key::letter(' ')] TABLE_ONLY Some(4), mark_one,
        "Mark the receiver under the cursor, or unmark it.";
    Range "mark-range" "range" [Key::letter('v')] TABLE_ONLY Some(8), mark_range,
        "Begin a range of marks here; move, then press it again; {back} gives it up.";
    MarkAll "mark-all" "all" [Key::letter('a')] TABLE_ONLY Some(7), needs_row,
        "Mark all that match the query, also those that come later. Once more unmarks them.";
    MarkScreen "mark-screen" "screen" [Key::letter('A')] TABLE_ONLY None, mark_screen,
        "Mark all rows on the screen.";
    Invert "invert-marks" "invert" [Key::letter('i')] TABLE_ONLY None, invert,
        "Mark what matches and is not marked, and unmark the rest.";
    Unmark "unmark-all" "unmark" [Key::letter('U')] TABLE_ONLY None, needs_marks,
        "Take all marks away, hidden ones too.";
    Undo "undo" "undo" [Key::letter('u')] MARKING None, needs_step,
        "Take back the last change of the marks or of the query.";
    Resend "resend" "resend" [Key::letter('r')] RECEIVERS Some(2), act,
        "Send the marked receivers again, whatever their status; without marks the one under the cursor; in the causes all of the one under the cursor. Asks first.";
    Hold "hold" "hold" [Key::letter('H')] BOTH None, act,
        "Hold back those of them that would still go out, until they are released. Asks first.";
    Release "release" "release" [Key::letter('R')] BOTH None, act,
        "Let held ones go on. Asks first.";
    Cancel "cancel" "cancel" [Key::letter('X')] BOTH None, act,
        "Give up on those that were not sent. Asks first.";
    MarkSent "mark-sent" "mark as sent" [Key::letter('M')] BOTH None, act,
        "Say that unconfirmed ones have arrived. Asks first.";
    Delete "delete" "delete" [Key::letter('D')] BOTH None, act,
        "Take them out of the store, with every attempt. Asks first.";
    Open "open" "open" [Key::of(KeyCode::Enter)] LISTS Some(3), needs_one,
        "Open the receiver: traceback, transcript, content, history, details; the receivers of a cause; what failed over a backend.";
    Back "back" "back" [Key::of(KeyCode::Esc)] SCREENS Some(3), something_open,
        "Go back, from a search first; in the table give up a range, then put away the last report, then go back to the causes or the overview.";
    EditQuery "query" "filter" [Key::letter('/')] QUERIED Some(5), always,
        "Edit the query. Typing replaces it, an arrow or End edits it.";
    Filter "filter" "panel" [Key::letter('f')] TABLE_ONLY Some(6), always,
        "Open the filter panel: status, date of sending, type, backend and language, with how many there are.";
    ShowAll "show-all" "all" [Key::letter('1')] QUERIED None, always,
        "Show every receiver.";
    ShowNotSent "show-not-sent" "not sent" [Key::letter('2')] QUERIED None, always,
        "Show those ready for sending.";
    ShowFailed "show-failed" "failed" [Key::letter('3')] QUERIED None, always,
        "Show those that failed and are tried again.";
    ShowError "show-error" "error" [Key::letter('4')] QUERIED None, always,
        "Show those that somebody should look at.";
    ShowSent "show-sent" "sent" [Key::letter('5')] QUERIED None, always,
        "Show those that were accepted.";
    Down "down" "down" [Key::letter('j'), Key::of(KeyCode::Down)] LINES None, always,
        "Go down a line.";
    Up "up" "up" [Key::letter('k'), Key::of(KeyCode::Up)] LINES None, always,
        "Go up a line.";
    PageDown "page-down" "page down" [Key::of(KeyCode::PageDown), Key::ctrl('f')] READING None, always,
        "Go down a page.";
    PageUp "page-up" "page up" [Key::of(KeyCode::PageUp), Key::ctrl('b')] READING None, always,
        "Go up a page.";
    HalfPageDown "half-page-down" "half down" [Key::ctrl('d')] READING None, always,
        "Go down half a page.";
    HalfPageUp "half-page-up" "half up" [Key::ctrl('u')] READING None, always,
        "Go up half a page.";
    Top "top" "newest" [Key::letter('g'), Key::of(KeyCode::Home)] READING None, always,
        "Go to the top: in the table, the newest receiver.";
    Bottom "bottom" "oldest" [Key::letter('G'), Key::of(KeyCode::End)] READING None, always,
        "Go to the bottom: in the table, the oldest receiver.";
    GoTo "go-to" "go to" [Key::letter('#')] TABLE_ONLY None, needs_row,
        "Go to the receiver with a number.";
    Sort "sort" "sort" [Key::letter('s')] TABLE_ONLY None, always,
        "Sort by the next of the orders that an index gives: id, created, sent, type, status.";
    Reverse "reverse" "reverse" [Key::letter('S')] TABLE_ONLY None, always,
        "Turn the order round.";
    Columns "columns" "columns" [Key::letter('C')] TABLE_ONLY Some(13), always,
        "Choose, order and resize the columns, and sort by one of them.";
    NextTab "next-tab" "next tab" [Key::of(KeyCode::Tab), Key::letter('l')] BOTH Some(9), needs_row,
        "Show the next tab of the detail.";
    PreviousTab "previous-tab" "tab back" [Key::of(KeyCode::BackTab), Key::letter('h')] BOTH None, needs_row,
        "Show the previous tab of the detail.";
    TabTraceback "tab-traceback" "traceback" [Key::letter('1')] DETAIL_ONLY None, always,
        "Show what went wrong.";
    TabTranscript "tab-transcript" "transcript" [Key::letter('2')] DETAIL_ONLY None, always,
        "Show what was said to the server and by it.";
    TabContent "tab-content" "content" [Key::letter('3')] DETAIL_ONLY None, always,
        "Show what the message says.";
    TabHistory "tab-history" "history" [Key::letter('4')] DETAIL_ONLY None, always,
        "Show every attempt and what operators did, in order of time.";
    TabDetails "tab-details" "details" [Key::letter('5')] DETAIL_ONLY None, always,
        "Show everything else there is to know, metadata too.";
    NextPart "next-part" "next part" [Key::letter('v')] DETAIL_ONLY Some(4), has_parts,
        "Show the next part of the content: text, HTML as it looks, headers, source, attachments.";
    PreviousPart "previous-part" "part back" [Key::letter('V')] DETAIL_ONLY None, has_parts,
        "Show the part of the content before.";
    Fold "fold" "fold" [Key::letter('z')] DETAIL_ONLY Some(14), has_frames,
        "Show the frames of a traceback that are not the application's own, or fold them.";
    Search "search" "search" [Key::letter('/')] DETAIL_ONLY Some(5), is_read,
        "Look for words in the detail; with capitals their case counts.";
    NextMatch "next-match" "next match" [Key::letter('n')] DETAIL_ONLY Some(3), has_matches,
        "Go to the next match.";
    PreviousMatch "previous-match" "match before" [Key::letter('N')] DETAIL_ONLY None, has_matches,
        "Go to the match before.";
    Wrap "wrap" "wrap" [Key::letter('w')] DETAIL_ONLY Some(15), always,
        "Break long lines to fit, or let them run on.";
    Right "right" "right" [Key::of(KeyCode::Right), Key::letter('>')] DETAIL_ONLY None, runs_on,
        "Go to the right where long lines run on.";
    Left "left" "left" [Key::of(KeyCode::Left), Key::letter('<')] DETAIL_ONLY None, runs_on,
        "Go back to the left.";
    Copy "copy" "copy" [Key::letter('y')] SCREENS Some(8), always,
        "Copy, through the terminal (OSC 52); the next key says what.";
    Pager "pager" "pager" [Key::letter('p')] DETAIL_ONLY Some(13), is_read,
        "Read it in $PAGER, else less; jobs go on meanwhile.";
    Save "save" "save" [Key::letter('s')] DETAIL_ONLY Some(16), is_read,
        "Save it in a file. Asks for the name, and before it writes over another.";
    SaveAttachment "save-attachment" "attachment" [Key::letter('S')] DETAIL_ONLY Some(5), has_attachments,
        "Save one of the attachments in a file. Asks which, for the name, and before it writes over another.";
    PreviousAttempt "previous-attempt" "earlier" [Key::letter('[')] BOTH Some(10), previous_attempt,
        "Show the attempt before.";
    NextAttempt "next-attempt" "later" [Key::letter(']')] BOTH Some(11), next_attempt,
        "Show the attempt after.";
    NextReceiver "next-receiver" "next" [Key::letter('J')] DETAIL_ONLY Some(6), needs_row,
        "Show the next receiver of the table.";
    PreviousReceiver "previous-receiver" "previous" [Key::letter('K')] DETAIL_ONLY None, needs_row,
        "Show the previous receiver of the table.";
    Stop "stop" "stop" [Key::letter('x')] SCREENS None, needs_job,
        "Stop the job that began last; what has not gone out is held, and release or resend continues it.";
    CopyTraceback "copy-traceback" "traceback" [Key::letter('t')] COPYING_ONLY Some(1), copy_traceback,
        "Copy the traceback of the attempt that is shown, else of the latest.";
    CopyLine "copy-line" "line" [Key::letter('y'), Key::of(KeyCode::Enter)] COPYING_ONLY Some(3), copy_pane,
        "Copy the line that is shown reversed.";
    CopyAll "copy-all" "all of it" [Key::letter('a')] COPYING_ONLY Some(5), copy_pane,
        "Copy all that the tab says.";
    CopyCommand "copy-command" "command" [Key::letter('c')] COPYING_ONLY Some(2), always,
        "Copy the command that prints the same: show with the number of the receiver, list or causes with the query, status.";
    LeaveCopying "leave-copying" "back" [Key::of(KeyCode::Esc), Key::letter('q'), Key::ctrl('c')] COPYING_ONLY Some(4), always,
        "Copy nothing.";
    Take "take" "ok" [Key::of(KeyCode::Enter)] PROMPT_ONLY Some(2), always,
        "Look for the words, write the file, keep the query, go to the receiver.";
    Drop "drop" "leave" [Key::of(KeyCode::Esc), Key::ctrl('c'), Key::ctrl('g')] PROMPT_ONLY Some(3), always,
        "Do nothing of the kind.";
    Turn "turn-choice" "on, off" [Key::letter(' ')] FILTER_ONLY Some(2), always,
        "Turn the choice under the cursor on or off; the query's text follows.";
    TurnAndClose "turn-choice-and-close" "and close" [Key::of(KeyCode::Enter)] FILTER_ONLY Some(3), always,
        "The same, and close the panel.";
    NextSection "next-section" "next part" [Key::of(KeyCode::Tab), Key::letter('l')] FILTER_ONLY Some(5), always,
        "Go to the next part of the panel.";
    PreviousSection "previous-section" "part before" [Key::of(KeyCode::BackTab), Key::letter('h')] FILTER_ONLY None, always,
        "Go to the part of the panel before.";
    CloseFilter "close-filter" "close" [Key::of(KeyCode::Esc), Key::letter('f'), Key::letter('q'), Key::ctrl('c')] FILTER_ONLY Some(1), always,
        "Close the panel; the query stays.";
    TurnColumn "turn-column" "show, hide" [Key::letter(' '), Key::of(KeyCode::Enter)] COLUMNS_ONLY Some(2), always,
        "Show the column where there is room, or hide it.";
    ColumnRight "column-right" "later" [Key::letter('J')] COLUMNS_ONLY Some(4), always,
        "Move the column to the right.";
    ColumnLeft "column-left" "earlier" [Key::letter('K')] COLUMNS_ONLY Some(5), always,
        "Move the column to the left.";
    Wider "wider" "wider" [Key::letter('>'), Key::of(KeyCode::Right)] COLUMNS_ONLY Some(6), always,
        "Make the column wider.";
    Narrower "narrower" "narrower" [Key::letter('<'), Key::of(KeyCode::Left)] COLUMNS_ONLY Some(7), always,
        "Make the column narrower.";
    Unsize "unsize" "as there is room" [Key::letter('=')] COLUMNS_ONLY Some(9), always,
        "Make the column as wide as there is room.";
    SortByColumn "sort-by-column" "sort" [Key::letter('s')] COLUMNS_ONLY Some(3), always,
        "Sort by the column, or say why not; once more turns the order round.";
    UsualColumns "usual-columns" "as usual" [Key::letter('0')] COLUMNS_ONLY Some(8), always,
        "Show the columns as if none had been chosen.";
    CloseColumns "close-columns" "close" [Key::of(KeyCode::Esc), Key::letter('C'), Key::letter('q'), Key::ctrl('c')] COLUMNS_ONLY Some(1), always,
        "Close the choice of columns.";
    Complete "complete" "complete" [Key::of(KeyCode::Tab)] QUERY_ONLY Some(4), always,
        "Complete the field, the value or the name of a kept query; once more takes the next that would do.";
    CompleteBack "complete-back" "the one before" [Key::of(KeyCode::BackTab)] QUERY_ONLY None, always,
        "The same the other way round.";
    Earlier "earlier" "earlier" [Key::of(KeyCode::Up), Key::ctrl('p')] QUERY_ONLY Some(6), always,
        "Bring back the query that was asked before.";
    Later "later" "later" [Key::of(KeyCode::Down), Key::ctrl('n')] QUERY_ONLY None, always,
        "Bring back the one after it.";
    KeepQuery "keep-query" "keep" [Key::ctrl('s')] QUERY_ONLY Some(5), always,
        "Keep the query under a name, to be offered at the beginning of the line.";
    ForgetQuery "forget-query" "forget" [Key::ctrl('x')] QUERY_ONLY None, always,
        "Forget the kept query that {complete} has chosen.";
    Apply "apply" "apply" [Key::of(KeyCode::Enter)] QUERY_ONLY Some(2), always,
        "Show what matches.";
    Leave "leave" "leave as it was" [Key::of(KeyCode::Esc), Key::ctrl('c'), Key::ctrl('g')] QUERY_ONLY Some(3), always,
        "Leave the query as it was.";
    Yes "yes" "yes" [Key::letter('y')] QUESTION_ONLY Some(2), always,
        "Do it. Above 1,000 receivers their number is to be typed first.";
    No "no" "no" [Key::letter('n'), Key::of(KeyCode::Enter), Key::of(KeyCode::Esc), Key::letter('q'), Key::ctrl('c')] QUESTION_ONLY Some(1), always,
        "Do nothing.";
    CloseHelp "close-help" "close" [Key::of(KeyCode::Esc), Key::letter('?'), Key::letter('q'), Key::ctrl('c')] HELP_ONLY Some(1), always,
        "Close the help.";
    Pause "pause-backend" "pause" [Key::letter('p')] OVERVIEW_ONLY Some(2), pause,
        "Pause the backend under the cursor: nobody tries it until it is resumed. Once more resumes it. Asks first.";
    Causes "causes" "causes" [Key::letter('c')] NOT_CAUSES Some(6), always,
        "Show the failures that match the query by their cause, the biggest group first.";
    Overview "overview" "overview" [Key::letter('o')] RECEIVERS Some(13), always,
        "Show the backends, what failed over them, and the last day hour by hour.";
    Palette "palette" "palette" [Key::letter(':')] SCREENS Some(14), always,
        "Look for an action by its name, and do it.";
    Run "run" "do it" [Key::of(KeyCode::Enter)] PALETTE_ONLY Some(1), always,
        "Do what is chosen.";
    NextAction "next-action" "next" [Key::of(KeyCode::Down), Key::ctrl('n')] PALETTE_ONLY None, always,
        "Choose the next action.";
    PreviousAction "previous-action" "previous" [Key::of(KeyCode::Up), Key::ctrl('p')] PALETTE_ONLY None, always,
        "Choose the action before.";
    ClosePalette "close-palette" "leave" [Key::of(KeyCode::Esc), Key::ctrl('c'), Key::ctrl('g')] PALETTE_ONLY Some(2), always,
        "Do nothing.";
    Help "help" "help" [Key::letter('?')] SCREENS Some(1), always,
        "Show the keys of this place, and why some do nothing now.";
    Redraw "redraw" "redraw" [Key::ctrl('l')] READING None, always,
        "Clear the screen, draw it anew and read the store again.";
    Suspend "suspend" "suspend" [Key::ctrl('z')] NOT_WRITING None, always,
        "Go to the shell that started this; `fg` comes back.";
    Quit "quit" "quit" [Key::letter('q'), Key::ctrl('c')] SCREENS Some(12), always,
        "Quit. Asks when a job is running.";
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_key_means_two_things_in_one_place() {
        for place in Place::ALL {
            let mut seen = HashSet::new();
            for entry in in_place(place) {
                for key in entry.keys {
                    assert!(seen.insert(*key), "{key} in {place:?}");
                }
            }
        }
    }

    #[test]
    fn every_action_has_a_name_of_its_own_a_key_and_a_sentence() {
        let names: HashSet<_> = TABLE.iter().map(|entry| entry.name).collect();
        assert_eq!(names.len(), TABLE.len());
        for entry in TABLE {
            assert!(
                !entry.keys.is_empty() && !entry.places.is_empty(),
                "{}",
                entry.name
            );
            assert!(entry.help.ends_with('.'), "{}", entry.help);
        }
    }
}
