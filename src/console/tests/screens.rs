//! Pictures of the main states at three sizes.

use super::*;
use crate::{console::effect::Outcome, delivery::Tally, store::Affected};

fn picture(name: &str, keys: &str) {
    for (width, height) in [(40, 10), (80, 24), (200, 60)] {
        let mut console = Console::sized(Memory::of(1234), width, height);
        if !keys.is_empty() {
            console.press(keys);
        }
        insta::assert_snapshot!(format!("{name} {width}x{height}"), console.screen());
    }
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
    for (width, height) in [(40, 10), (80, 24), (200, 60)] {
        let mut memory = Memory::of(100);
        let attempt = &mut memory.receivers.get_mut(&96).unwrap().attempts[0];
        attempt.traceback = Some(include_str!("../traceback/samples/java.txt").into());
        let mut console = Console::sized(memory, width, height);
        console.press("3 enter");
        insta::assert_snapshot!(format!("java {width}x{height}"), console.screen());
    }
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
    for (width, height) in [(40, 10), (80, 24), (200, 60)] {
        let mut console = Console::sized(super::overview::busy(), width, height);
        console.press("o j");
        insta::assert_snapshot!(format!("overview {width}x{height}"), console.screen());
    }
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
fn a_job_and_its_report() {
    for (width, height) in [(40, 10), (80, 24), (200, 60)] {
        let mut console = Console::sized(Memory::of(1234), width, height);
        console.press("3 a r y").job(
            1,
            JobNews::Delivered {
                done: 120,
                total: 247,
            },
        );
        insta::assert_snapshot!(format!("job {width}x{height}"), console.screen());
        let outcome = Outcome {
            affected: Affected::default(),
            tally: Some(Tally {
                sent: 240,
                failed: 7,
                ..Tally::default()
            }),
            held: 0,
            left: 0,
            waiting: None,
        };
        console.job(1, JobNews::Finished(Ok(outcome)));
        insta::assert_snapshot!(format!("report {width}x{height}"), console.screen());
    }
}
