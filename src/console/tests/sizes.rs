//! Every size, hostile text, and what reaches the terminal.

use super::*;
use crate::message::{State as Of, Text};

/// One console in each of its main states.
fn states() -> Vec<(&'static str, Console)> {
    let keys = [
        ("table", ""),
        ("marked", "space j space"),
        ("all marked, filtered", "3 a 1"),
        ("range", "v j j"),
        ("detail", "3 enter"),
        ("transcript", "3 enter tab"),
        ("history", "3 enter tab tab tab"),
        ("content", "3 enter 3"),
        ("HTML, unbroken", "3 enter 3 v w"),
        ("details", "3 enter 5"),
        ("search", "3 enter / a enter n"),
        ("writing words", "3 enter / a"),
        ("writing a name", "3 enter s"),
        ("copying", "3 enter y j"),
        ("query line", "3 /"),
        ("bad query", "/ s : x enter"),
        ("help", "?"),
        ("question", "a r"),
        ("running", "r y"),
        ("causes", "c j"),
        ("causes of none", "5 c"),
        ("a question about a cause", "c r"),
        ("overview", "o j"),
        ("a question about a backend", "o p"),
        ("palette", ": m down"),
        ("filter panel", "f down tab space"),
        ("columns", "C j j space >"),
        ("sorted", "s s s j"),
        ("completing", "/ s tab"),
        ("deleting", "A D"),
        ("the name of a file", "3 enter s"),
        ("a name for a query", "/ a ctrl-s x"),
        ("on the way to a number", "# 1"),
        ("nothing matches", "/ n o b o d y enter"),
        ("no such action", ": z z z"),
        ("help on the detail", "3 enter ? G"),
        ("stopping", "r y j r y x"),
        ("leaving", "r y x q"),
    ];
    let open = |(name, keys): (&'static str, &str)| {
        let mut console = Console::open(Memory::of(300));
        if !keys.is_empty() {
            console.press(keys);
        }
        (name, console)
    };
    let mut states: Vec<_> = keys.into_iter().map(open).collect();
    states.push(("an empty store", Console::open(Memory::of(0))));
    let mut memory = Memory::of(1234);
    memory.broken = Some("disk I/O error: ".repeat(20));
    states.push(("no answer", Console::open(memory)));
    let mut many = Console::open(Memory::of(1234));
    many.press("a r 1 2");
    states.push(("typing the number", many));
    let setup = Setup {
        read_only: true,
        ..setup()
    };
    let mut looking = Console::with(Memory::of(300), setup, "", 80, 24);
    looking.press("r");
    states.push(("read-only", looking));
    states
}

#[test]
fn no_size_is_too_small_to_survive() {
    for (_, mut console) in states() {
        for height in 0..=12 {
            for width in 0..=30 {
                console.resize(width, height);
                let _ = console.buffer();
            }
        }
        for (width, height) in [
            (40, 10),
            (41, 11),
            (500, 200),
            (40, 200),
            (500, 10),
            (139, 31),
            (140, 32),
        ] {
            console.resize(width, height);
            let _ = console.buffer();
        }
    }
}

#[test]
fn a_frame_of_another_size_than_the_last_event_said_is_drawn_all_the_same() {
    for (_, console) in states() {
        for (width, height) in [(0, 0), (1, 1), (40, 10), (200, 60)] {
            let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
            terminal.draw(|frame| view(&console.state, frame)).unwrap();
        }
    }
}

#[test]
fn a_screen_that_is_too_small_says_so() {
    let console = Console::sized(Memory::of(3), 39, 10);
    assert!(console.screen().contains("postroom needs 40×10"));
}

#[test]
fn a_wide_table_shows_every_column_of_the_admin_list_and_the_reason() {
    let console = Console::sized(Memory::of(100), 200, 60);
    let screen = console.screen();
    for head in [
        "ID", "Created", "User", "To", "Subject", "Failed", "Ok", "Status", "Sent", "Type",
    ] {
        assert!(
            screen.lines().nth(3).unwrap().contains(head),
            "{head} in\n{screen}"
        );
    }
    assert!(screen.contains("Failed temporary"), "{screen}");
    let narrow = Console::sized(Memory::of(100), 80, 24);
    assert!(narrow.screen().contains("Failed temporary"));
    let smallest = Console::sized(Memory::of(100), 40, 10);
    assert!(
        smallest.screen().contains("  Failed "),
        "not cut: {}",
        smallest.screen()
    );
}

#[test]
fn at_80_columns_id_to_subject_and_status_always_show() {
    for width in 80..200 {
        let mut memory = Memory::of(5);
        memory.add(10_000_000, Of::FailedTemporary);
        let console = Console::sized(memory, width, 24);
        let screen = console.screen();
        let head = screen.lines().nth(3).unwrap();
        for column in ["ID", "To", "Subject", "Status"] {
            assert!(head.contains(column), "{column} at {width} in {head}");
        }
    }
}

#[test]
fn nothing_a_message_or_a_server_says_reaches_the_terminal_as_more_than_text() {
    const HOSTILE: &str = "a\u{1b}[2J\u{1b}]52;c;aGk=\u{7}b\tc\r\nd\u{202e}e\u{2066}f\u{200b}g\u{9b}31mh\u{e0041}i\u{feff}";
    let mut memory = Memory::of(3);
    for detail in memory.receivers.values_mut() {
        let hostile = || Text::from(HOSTILE);
        detail.row.subject = hostile();
        detail.row.identity = hostile();
        detail.row.user = Some(hostile());
        detail.row.kind = hostile();
        detail.row.message_key = hostile();
        detail.row.backend = hostile();
        detail.row.language = hostile();
        detail.message_metadata = serde_json::json!({ HOSTILE: HOSTILE });
        detail.uid = hostile();
        detail.from = Some(hostile());
        detail.created_by = Some(hostile());
        for attempt in &mut detail.attempts {
            attempt.error = Some(hostile());
            attempt.traceback = Some(hostile());
            attempt.transcript = Some(hostile());
            attempt.reply = Some(hostile());
            attempt.by = hostile();
            attempt.server = Some(hostile());
            attempt.phase = Some(hostile());
            attempt.enhanced_code = Some(hostile());
            attempt.late = Some(hostile());
        }
    }
    memory.backends[0].name = HOSTILE.into();
    memory.backends[1].name = HOSTILE.into();
    for (width, height) in [(200, 60), (100, 40), (80, 24), (40, 10)] {
        let mut console = Console::with(memory.clone(), setup(), HOSTILE, width, height);
        console.press("esc");
        let mut check = |keys: &str| {
            console.press(keys);
            for cell in &console.buffer().content {
                let bad = |c: char| {
                    c.is_control()
                        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
                };
                assert!(
                    !cell.symbol().contains(bad),
                    "{:?} after {keys}",
                    cell.symbol()
                );
            }
        };
        for keys in ["enter", "tab", "tab", "tab", "tab", "esc", "r", "n"] {
            check(keys);
        }
        console.event(Event::Paste(HOSTILE.to_owned()));
        console.press("/");
        console.event(Event::Paste(HOSTILE.to_owned()));
        console.press("enter");
        console.job(1, JobNews::Finished(Err(HOSTILE.to_owned())));
        console.store.broken = Some(HOSTILE.to_owned());
        console.press("esc ctrl-l");
        let shown = console.screen();
        assert!(
            !shown.contains(|c: char| c != '\n' && c.is_control()),
            "{shown:?}"
        );
    }
}

#[test]
fn no_colour_leaves_attributes_that_tell_the_cursors_row() {
    let setup = Setup {
        theme: Theme::Monochrome,
        ..setup()
    };
    let mut console = Console::with(Memory::of(300), setup, "", 80, 24);
    console.press("3 space j");
    let buffer = console.buffer();
    for cell in &buffer.content {
        assert_eq!(
            (cell.fg, cell.bg),
            (ratatui::style::Color::Reset, ratatui::style::Color::Reset)
        );
    }
    let reversed = |y: u16| {
        buffer[(20, y)]
            .modifier
            .contains(ratatui::style::Modifier::REVERSED)
    };
    assert!(
        reversed(5) && !reversed(4),
        "the second row is under the cursor"
    );
}
