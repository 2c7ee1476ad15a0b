//! Marks: one, a range, all that match.

use super::*;
use crate::{console::state::MarkCounts, query::Query, store::Target};

fn query(text: &str) -> Query {
    Zone::Local.read(text, now()).unwrap()
}

#[test]
fn marks_survive_filters_and_hidden_ones_are_counted_in_sight() {
    let mut console = Console::open(Memory::of(100));
    console.press("3 space j space 4 j space");
    assert_eq!(
        console.state.marked(),
        Some(MarkCounts {
            total: 3,
            hidden: 2
        })
    );
    assert!(
        console.screen().contains("marked 3 (2 hidden)"),
        "{}",
        console.screen()
    );
    console.press("r");
    assert!(
        console.screen().contains("2 of the marks are hidden"),
        "{}",
        console.screen()
    );
    console.press("n 1");
    assert_eq!(console.marked(), [96, 92, 80]);
    assert!(
        console.screen().contains("marked 3\n"),
        "{}",
        console.screen()
    );
}

#[test]
fn a_range_marks_what_lies_between_its_ends() {
    let mut console = Console::open(Memory::of(100));
    console.press("j v j j");
    assert_eq!(console.screen().matches('○').count(), 3);
    assert!(console.state.marks.is_empty());
    console.press("v");
    assert_eq!(console.marked(), [99, 98, 97]);
    console.press("v j esc");
    assert_eq!(console.marked(), [99, 98, 97], "esc gives a range up");
}

#[test]
fn a_range_may_be_longer_than_what_is_on_hand() {
    let mut console = Console::open(Memory::of(2000));
    console.press("v G v");
    assert_eq!(
        console.state.marked().map(|marked| marked.total),
        Some(2000)
    );
    console.press("U");
    assert!(console.state.marks.is_empty());
}

#[test]
fn a_range_that_is_open_is_what_resend_means() {
    let mut console = Console::open(Memory::of(100));
    console.press("v j r y");
    assert_eq!(console.orders()[0].target, Target::Ids(ids(&[99, 100])));
}

#[test]
fn all_that_match_are_marked_as_a_query_and_single_ones_taken_out() {
    let mut console = Console::open(Memory::of(100));
    console.press("3 a j space");
    assert_eq!(
        console.state.marked(),
        Some(MarkCounts {
            total: 19,
            hidden: 0
        })
    );
    console.press("1");
    let failed = |id: &i64| id % 4 == 0 && id % 10 != 0 && id % 25 != 0 && *id != 92;
    assert!(
        console.marked().len() > 10 && console.marked().iter().all(failed),
        "rows of the query are marked under another one, too"
    );
    assert!(!console.marked().contains(&92));
    console.press("r y");
    assert_eq!(
        console.orders()[0].target,
        Target::Except(query("status:failed"), ids(&[92]))
    );
    assert!(
        console.state.marks.is_empty(),
        "marks are gone once their receivers are on their way"
    );
}

#[test]
fn all_marked_twice_is_none_marked() {
    let mut console = Console::open(Memory::of(100));
    console.press("a a");
    assert!(console.state.marks.is_empty());
}

#[test]
fn marks_that_would_be_lost_are_told() {
    let mut console = Console::open(Memory::of(100));
    console.press("3 space 4 a");
    assert!(
        console.footer().contains("1 mark on others taken away"),
        "{}",
        console.footer()
    );
}

#[test]
fn a_row_outside_a_query_of_marks_cannot_be_marked_silently() {
    let mut console = Console::open(Memory::of(100));
    console.press("3 a 4 space");
    assert!(console.marked().is_empty());
    assert!(
        console.footer().contains("U unmarks them"),
        "{}",
        console.footer()
    );
}

#[test]
fn all_on_the_screen_are_marked_and_no_others() {
    let mut console = Console::open(Memory::of(100));
    console.press("A");
    assert_eq!(console.marked(), console.shown());
    assert_eq!(console.marked().len(), console.state.table_rows());
    console.press("U a space A");
    assert!(
        matches!(&console.state.marks, crate::console::state::Marks::All { except, .. } if except.is_empty()),
        "an exception on the screen is marked again"
    );
}

#[test]
fn inverted_marks_are_the_others_of_what_matches() {
    let mut console = Console::open(Memory::of(100));
    console.press("3 space j space i");
    assert_eq!(console.state.marked().map(|marked| marked.total), Some(18));
    console.press("r y");
    assert_eq!(
        console.orders()[0].target,
        Target::Except(query("status:failed"), ids(&[92, 96]))
    );
    console.press("u i");
    assert_eq!(console.marked(), [96, 92]);
    console.press("4 i");
    assert!(
        console.hint().contains("2 marks on others taken away"),
        "{}",
        console.hint()
    );
    console.press("3 i");
    assert!(
        console.hint().contains("U unmarks them"),
        "{}",
        console.hint()
    );
}

#[test]
fn changes_of_marks_and_of_the_query_are_taken_back_one_by_one() {
    let mut console = Console::open(Memory::of(100));
    console.press("u");
    assert!(console.hint().contains("neither the marks nor the query"));
    console.press("space 3 space a U 4");
    console.press("u");
    assert_eq!(console.state.table.asked.text, "status:failed");
    assert!(console.state.marks.is_empty());
    console.press("u");
    assert!(matches!(
        console.state.marks,
        crate::console::state::Marks::All { .. }
    ));
    console.press("u");
    assert_eq!(console.state.marked().map(|marked| marked.total), Some(2));
    console.press("u u");
    assert_eq!(console.state.table.asked.text, "");
    assert_eq!(console.marked(), [100]);
    assert!(
        console.screen().contains("marked 1"),
        "{}",
        console.screen()
    );
    console.press("u");
    assert!(console.state.marks.is_empty());
}
