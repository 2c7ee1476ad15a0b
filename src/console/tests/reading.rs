//! The detail and the help.

use super::*;
use crate::console::layout::Focus;

#[test]
fn why_this_one_failed_is_one_key_away() {
    let mut console = Console::open(Memory::of(100));
    console.press("3 enter");
    assert!(console.screen().contains("451 4.7.1 greylisted"));
    assert!(console.screen().contains("Caused by:"));
    console.press("tab");
    assert!(console.screen().contains("S: 250 2.1.0 ok"));
    console.press("tab tab tab");
    assert!(console.screen().contains("Devilry <no-reply@uni.example>"));
    console.press("shift-tab esc");
    assert_eq!(console.state.focus, Focus::Table);
    assert_eq!(console.cursor(), Some(96));
}

#[test]
fn the_next_receiver_is_a_key_away_from_an_open_one() {
    let mut console = Console::open(Memory::of(100));
    console.press("3 enter J");
    assert_eq!(console.cursor(), Some(92));
    assert!(console.screen().contains("── 92 ·"), "{}", console.screen());
}

#[test]
fn attempts_are_gone_through_one_by_one_and_a_new_one_does_not_push_the_read_one_away() {
    let mut memory = Memory::of(100);
    memory::try_again(&mut memory, 96);
    let mut console = Console::open(memory);
    console.press("3 enter");
    assert!(console.screen().contains("attempt 2 of 2"));
    console.press("[");
    assert!(console.screen().contains("attempt 1 of 2"));
    console.press("] ]");
    assert!(console.footer().contains("this is the latest attempt"));
    memory::try_again(&mut console.store, 96);
    console.tick();
    assert!(
        console.screen().contains("attempt 2 of 3"),
        "{}",
        console.screen()
    );
}

#[test]
fn a_receiver_that_is_deleted_meanwhile_is_told() {
    let mut console = Console::sized(Memory::of(100), 160, 40);
    console.press("j");
    console.store.remove(99);
    console.tick();
    assert_eq!(console.cursor(), Some(99));
    assert!(
        console.screen().contains("no longer in the store"),
        "{}",
        console.screen()
    );
}

#[test]
fn the_help_names_every_key_of_the_place_it_was_opened_in() {
    let mut console = Console::sized(Memory::of(10), 100, 100);
    console.press("?");
    let screen = console.screen();
    for entry in crate::console::action::in_place(crate::console::action::Place::Table) {
        let keys = console.state.setup.keymap.shown(entry);
        assert!(screen.contains(&keys), "{keys} in\n{screen}");
    }
    console.press("?");
    assert!(console.state.overlay.is_none());
}
