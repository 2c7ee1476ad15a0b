//! Pictures of every screen and state at three sizes: the letters, then how they look in colour, then how without.

use std::{fmt::Write as _, sync::Arc};

use ratatui::{
    buffer::Cell,
    style::{Color, Modifier},
};

use super::*;
use crate::{
    console::{
        effect::{NotSaved, Outcome, Save},
        question::Unserved,
    },
    delivery::Tally,
    message::State as Of,
    store::{Affected, Count, Scan},
};

const SIZES: [(u16, u16); 3] = [(40, 10), (80, 24), (200, 60)];

fn picture(name: &str, keys: &str) {
    picture_of(name, &Memory::of(1234), |console| {
        if !keys.is_empty() {
            console.press(keys);
        }
    });
}

fn picture_of(name: &str, memory: &Memory, lead_there: impl Fn(&mut Console)) {
    for (width, height) in SIZES {
        let mut console = Console::sized(memory.clone(), width, height);
        lead_there(&mut console);
        assert_picture(name, &mut console);
    }
}

fn assert_picture(name: &str, console: &mut Console) {
    let Size { width, height } = console.state.size;
    let mut picture = console.screen();
    let in_colour = console.buffer();
    console.state.setup.theme = Theme::Monochrome;
    let plain = console.buffer();
    console.state.setup.theme = Theme::Default;
    let letters = |buffer: &Buffer| -> Vec<String> {
        let cells = buffer.content.iter();
        cells.map(|cell| cell.symbol().to_owned()).collect()
    };
    assert_eq!(letters(&in_colour), letters(&plain));
    assert!(plain.content.iter().all(is_colourless), "{name}");
    for (title, buffer) in [("in colour", &in_colour), ("without", &plain)] {
        let _ = write!(picture, "\n{title}\n{}", looks(buffer));
    }
    insta::assert_snapshot!(format!("{name} {width}x{height}"), picture);
}

fn is_colourless(cell: &Cell) -> bool {
    (cell.fg, cell.bg) == (Color::Reset, Color::Reset)
}

/// How the letters look: line by line which columns, from the first to the last, have which style. Lines that look alike are told together.
fn looks(buffer: &Buffer) -> String {
    let mut told: Vec<(usize, usize, String)> = Vec::new();
    let width = usize::from(buffer.area.width);
    for (number, cells) in buffer.content.chunks(width).enumerate() {
        let mut runs: Vec<(usize, usize, String)> = Vec::new();
        for (column, cell) in cells.iter().enumerate() {
            let style = style(cell);
            match runs.last_mut() {
                Some((_, last, other)) if *other == style => *last = column,
                _ => runs.push((column, column, style)),
            }
        }
        let runs = runs.iter().filter(|(.., style)| !style.is_empty());
        let runs: Vec<String> = runs
            .map(|(first, last, style)| format!("{first}–{last} {style}"))
            .collect();
        let runs = runs.join(", ");
        match told.last_mut() {
            Some((_, last, other)) if *other == runs => *last = number,
            _ => told.push((number, number, runs)),
        }
    }
    let told = told.iter().filter(|(.., runs)| !runs.is_empty());
    let line = |(first, last, runs): &(usize, usize, String)| {
        if first == last {
            format!("  {first}: {runs}\n")
        } else {
            format!("  {first}–{last}: {runs}\n")
        }
    };
    told.map(line).collect()
}

fn style(cell: &Cell) -> String {
    let mut words = Vec::new();
    if cell.fg != Color::Reset {
        words.push(cell.fg.to_string());
    }
    if cell.bg != Color::Reset {
        words.push(format!("on {}", cell.bg));
    }
    for (name, modifier) in [
        ("bold", Modifier::BOLD),
        ("dim", Modifier::DIM),
        ("italic", Modifier::ITALIC),
        ("underlined", Modifier::UNDERLINED),
        ("reversed", Modifier::REVERSED),
    ] {
        if cell.modifier.contains(modifier) {
            words.push(name.to_owned());
        }
    }
    words.join(" ")
}

#[test]
fn the_table() {
    picture("table", "");
}

#[test]
fn marks_under_a_filter() {
    picture("marks", "space 3 j space j space");
}

#[test]
fn a_traceback() {
    picture("traceback", "3 enter");
}

#[test]
fn a_traceback_of_java() {
    let mut memory = Memory::of(100);
    let attempt = &mut memory.receivers.get_mut(&96).unwrap().attempts[0];
    attempt.traceback = Some(include_str!("../traceback/samples/java.txt").into());
    picture_of("java", &memory, |console| {
        console.press("3 enter");
    });
}

#[test]
fn a_transcript() {
    picture("transcript", "3 enter 2");
}

#[test]
fn a_content() {
    picture("content", "3 enter 3");
}

#[test]
fn a_content_as_html() {
    picture("html", "3 enter 3 v");
}

#[test]
fn a_history() {
    picture("history", "3 enter 4");
}

#[test]
fn details() {
    picture("details", "3 enter 5");
}

#[test]
fn a_search() {
    picture("search", "3 enter / r e f u s e d enter");
}

#[test]
fn words_to_look_for() {
    picture("words", "3 enter / r e f");
}

#[test]
fn a_choice_of_what_to_copy() {
    picture("copying", "3 enter y");
}

#[test]
fn a_question() {
    picture("question", "a r");
}

#[test]
fn a_query_that_cannot_be_read() {
    picture("bad query", "/ s t a t u s : b a d enter");
}

#[test]
fn failures_by_cause() {
    picture("causes", "c");
}

#[test]
fn a_question_about_a_cause() {
    picture("cause question", "c r");
}

#[test]
fn the_overview() {
    picture_of("overview", &super::overview::busy(), |console| {
        console.press("o j");
    });
}

#[test]
fn a_question_about_a_backend() {
    picture("backend question", "o p");
}

#[test]
fn the_palette() {
    picture("palette", ": m a r");
}

#[test]
fn a_filter_panel() {
    picture("filter", "3 f tab tab");
}

#[test]
fn a_choice_of_columns() {
    picture("columns", "C j j space");
}

#[test]
fn a_table_sorted_by_the_time_of_sending() {
    picture("sorted", "s s j");
}

#[test]
fn what_completes_a_query() {
    picture("completing", "/ t y p e : tab");
}

#[test]
fn the_help() {
    picture("help", "?");
}

#[test]
fn the_signs_of_rows_in_a_range_that_has_begun() {
    picture_of("signs", &Memory::of(1234), |console| {
        console.press("3 j j v j");
        console.store.set(1228, Of::FailedHeld);
        console.store.set(1216, Of::Accepted);
        let row = &mut console.store.receivers.get_mut(&1212).unwrap().row;
        row.sending = true;
        console.store.add(1236, Of::FailedTemporary);
        console.tick();
    });
}

#[test]
fn an_empty_store() {
    picture_of("empty", &Memory::of(0), |_| {});
}

#[test]
fn nothing_that_matches() {
    picture("nothing", "/ n o b o d y enter");
}

#[test]
fn a_store_that_does_not_answer() {
    picture_of("no answer", &Memory::of(1234), |console| {
        let why = "the store cannot be read: database disk image is malformed; `postroom check` looks at it";
        console.store.unreadable = Some(why.to_owned());
        console.press("3");
    });
}

#[test]
fn a_console_that_looks_only_at_a_store_that_nobody_delivers() {
    picture_of("read only", &Memory::of(1234), |console| {
        console.state.setup.read_only = true;
        console.store.unserved = Some(Unserved {
            since: now() - chrono::TimeDelta::hours(1),
            due: Count::AtLeast(10_000),
        });
        console.event(Event::Tick(now() + chrono::TimeDelta::seconds(11)));
        console.press("r");
    });
}

#[test]
fn a_question_about_one_that_was_sent() {
    picture("question about one", "5 r");
}

#[test]
fn a_question_before_a_deletion() {
    picture("deletion", "3 A D");
}

#[test]
fn the_name_of_a_file_and_whether_to_write_over_it() {
    picture("file", "3 enter s");
    picture_of("overwrite", &Memory::of(1234), |console| {
        console.press("3 enter s enter");
        let path = "postroom-1232-traceback-1.txt".to_owned();
        let save = Save {
            path,
            bytes: Arc::default(),
            overwrite: false,
        };
        console.event(Event::Saved(save, Err(NotSaved::Exists)));
    });
}

#[test]
fn a_name_for_a_query() {
    picture("query name", "/ a p r i l ctrl-s s t");
}

#[test]
fn long_lines_that_run_on() {
    let mut memory = Memory::of(100);
    let attempt = &mut memory.receivers.get_mut(&96).unwrap().attempts[0];
    let line = "a line that is longer than any screen is wide, and goes on ".repeat(6);
    attempt.traceback = Some(format!("451 4.7.1 greylisted\n\n{line}\n{line}").into());
    picture_of("unbroken", &memory, |console| {
        console.press("3 enter w right right");
    });
}

#[test]
fn causes_of_nothing() {
    picture("no causes", "5 c");
}

#[test]
fn two_jobs_of_which_one_is_being_stopped_and_what_is_asked_of_who_leaves() {
    picture_of("stopping", &Memory::of(1234), |console| {
        console.press("3 r y j r y x");
    });
    picture_of("leaving", &Memory::of(1234), |console| {
        console.press("3 r y j r y x q");
    });
}

#[test]
fn a_query_that_no_index_answers() {
    let mut memory = Memory::of(1234);
    memory.scan = Some(Scan {
        terms: vec!["april".to_owned()],
        receivers: 9_000_000,
    });
    picture_of("no index", &memory, |console| {
        console.press("/ a p r i l");
    });
}

#[test]
fn a_job_and_its_report() {
    let begin = |console: &mut Console| {
        let (done, total) = (120, 247);
        console
            .press("3 a r y")
            .job(1, JobNews::Delivered { done, total });
    };
    picture_of("job", &Memory::of(1234), begin);
    let outcome = Outcome {
        affected: Affected::default(),
        tally: Some(Tally {
            sent: 240,
            failed: 7,
            ..Tally::default()
        }),
        held: 0,
        left: 0,
        taken: 0,
        waiting: None,
    };
    picture_of("report", &Memory::of(1234), |console| {
        begin(console);
        console.job(1, JobNews::Finished(Ok(outcome.clone())));
    });
}
