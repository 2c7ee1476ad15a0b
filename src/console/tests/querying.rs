//! Which receivers are shown.

use super::*;
use crate::console::state::Overlay;

#[test]
fn one_key_shows_what_failed_and_one_shows_everything_again() {
    let mut console = Console::open(Memory::of(100));
    assert_eq!(console.cursor(), Some(100));
    console.press("3");
    assert_eq!(console.state.table.asked.text, "status:failed");
    assert_eq!(console.shown()[..3], [96, 92, 88]);
    console.press("1");
    assert_eq!(console.state.table.asked.text, "");
    assert_eq!(
        console.state.table.count,
        Some(crate::store::Count::Exact(100))
    );
}

#[test]
fn a_status_key_leaves_a_slow_query_at_once() {
    let mut console = Console::open(Memory::of(100));
    console.hold();
    console
        .press("/")
        .type_in("assignment")
        .press("enter j j 4");
    console.release();
    assert_eq!(console.state.table.asked.text, "status:error");
    assert_eq!(
        console.cursor(),
        Some(90),
        "the keys for the other rows are forgotten"
    );
}

#[test]
fn typing_replaces_the_query_and_an_arrow_edits_it() {
    let mut console = Console::open(Memory::of(100));
    console.press("3 /").type_in("type:feedback").press("enter");
    assert_eq!(console.state.table.asked.text, "type:feedback");
    console
        .press("/ end")
        .type_in(" status:failed")
        .press("enter");
    assert_eq!(
        console.state.table.asked.text,
        "type:feedback status:failed"
    );
    console.press("/").type_in("nobody").press("esc");
    assert_eq!(
        console.state.table.asked.text, "type:feedback status:failed",
        "esc leaves it as it was"
    );
}

#[test]
fn letters_in_the_query_line_are_letters() {
    let mut console = Console::open(Memory::of(100));
    console.press("/").type_in("qrx1 ?v/a").press("enter");
    assert!(console.orders().is_empty() && !console.effects.contains(&Effect::Quit));
    assert_eq!(console.state.table.asked.text, "qrx1 ?v/a");
    assert!(console.state.marks.is_empty());
}

#[test]
fn a_query_in_the_words_of_another_language_is_answered_with_a_hint() {
    let mut console = Console::open(Memory::of(100));
    console
        .press("/")
        .type_in("status:failed OR status:error")
        .press("enter");
    assert_eq!(
        console.state.table.asked.text,
        "status:failed OR status:error"
    );
    assert!(
        console.screen().contains("`OR` is searched for as a word"),
        "{}",
        console.screen()
    );
    console.press("j");
    assert!(!console.screen().contains("searched for"));
}

#[test]
fn a_query_that_cannot_be_read_points_at_the_place_and_changes_nothing() {
    let mut console = Console::open(Memory::of(100));
    console
        .press("/")
        .type_in("type:comment status:fialed")
        .press("enter");
    let screen = console.screen();
    assert_eq!(console.state.table.asked.text, "");
    assert!(
        screen.contains("fialed` is no value of `status`"),
        "{screen}"
    );
    let lines: Vec<&str> = screen.lines().collect();
    assert_eq!(
        lines[2].find("status:fialed").map(|at| at + 7),
        lines[3].find('^'),
        "{screen}"
    );
    console.press("backspace");
    assert!(
        !console.screen().contains('^'),
        "editing takes the complaint away"
    );
}

#[test]
fn pasted_text_goes_into_the_query_line_and_nowhere_else() {
    let mut console = Console::open(Memory::of(100));
    console.event(Event::Paste("ary\nq".to_owned()));
    assert!(console.effects.is_empty() && console.state.marks.is_empty());
    assert!(console.footer().contains("pasted text"));
    console.press("/");
    console.event(Event::Paste("type:feedback\r\n".to_owned()));
    console.press("enter");
    assert_eq!(console.state.table.asked.text, "type:feedback");
}

#[test]
fn a_count_is_vague_until_it_is_exact() {
    let mut console = Console::open(Memory::of(12_000));
    console.hold();
    console.press("/").type_in("example").press("enter");
    while console.state.table.count.is_none() {
        let ask = console.asked.pop_front().unwrap();
        let answer = console.store.answer(&ask.question);
        console.event(Event::Answer(ask, answer));
    }
    assert!(
        console.screen().contains("≥ 10,000 match"),
        "{}",
        console.screen()
    );
    console.release();
    assert!(
        console.screen().contains(" 12,000 match"),
        "{}",
        console.screen()
    );
}

#[test]
fn the_first_query_that_cannot_be_read_opens_the_query_line_on_it() {
    let console = Console::with(Memory::of(10), setup(), "statsu:failed", 80, 24);
    assert!(matches!(&console.state.overlay, Some(Overlay::Query(line)) if line.error.is_some()));
    assert_eq!(console.cursor(), Some(10), "everything is shown meanwhile");
}
