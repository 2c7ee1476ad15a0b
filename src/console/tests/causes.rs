//! The failures by cause.

use super::*;
use crate::message::State as Of;

/// The causes on the screen: how many receivers, and what their line says.
fn causes(console: &Console) -> Vec<(i64, u64)> {
    let rows = console.state.causes.known();
    rows.iter().map(|row| (row.id.0, row.count)).collect()
}

#[test]
fn causes_are_listed_with_how_many_met_them_and_when_the_biggest_first() {
    let mut console = Console::open(Memory::of(1234));
    console.press("c");
    let screen = console.screen();
    assert_eq!(causes(&console), [(1, 247), (2, 99)]);
    for words in [
        "247  451 4.7.1 greylisted",
        "First seen",
        "Last seen",
        "sample 1232",
        "at mx.example:25, rcpt",
        "1 of 2",
    ] {
        assert!(screen.contains(words), "{words} in\n{screen}");
    }
    console.press("j");
    assert!(console.screen().contains("cause 2 · 99 receivers"));
}

#[test]
fn the_causes_are_those_of_the_query_and_1_shows_all_of_them() {
    let mut console = Console::open(Memory::of(1234));
    console.press("4 c");
    assert_eq!(causes(&console), [(2, 99)]);
    console.press("1");
    assert_eq!(causes(&console), [(1, 247), (2, 99)]);
    console.press("/").type_in("status:failed").press("enter");
    assert_eq!(causes(&console), [(1, 247)]);
    console.press("5");
    let screen = console.screen();
    assert!(screen.contains("Nothing that matches failed."), "{screen}");
    console.press("r enter j G");
    assert!(console.state.overlay.is_none());
}

#[test]
fn the_question_before_a_group_is_sent_again_says_how_many_of_which_status() {
    let mut console = Console::open(Memory::of(1234));
    console.press("space c r");
    let screen = console.screen();
    for words in [
        "Resend 247 receivers with this cause?",
        "451 4.7.1 greylisted",
        "Failed    247",
        "[y/N]",
    ] {
        assert!(screen.contains(words), "{words} in\n{screen}");
    }
    console.press("enter");
    assert!(console.orders().is_empty(), "the default is no");
    console.press("r y esc");
    assert_eq!(console.marked(), [1234], "marks are another matter");
}

#[test]
fn enter_shows_the_receivers_of_a_cause_and_esc_goes_back_to_where_it_was() {
    let mut console = Console::open(Memory::of(1234));
    console.press("4 c enter");
    assert_eq!(console.state.table.asked.text, "status:error cause:2");
    assert_eq!(console.shown()[..2], [1230, 1220]);
    console.press("esc");
    assert_eq!(console.state.table.asked.text, "status:error");
    assert_eq!(causes(&console), [(2, 99)]);
    console.press("esc");
    assert_eq!(console.state.place(), crate::console::action::Place::Table);
    console.press("1 c enter 3 esc");
    assert_eq!(
        console.state.table.asked.text, "status:failed",
        "whoever asked something else since stays with it"
    );
}

#[test]
fn nothing_moves_under_the_cursor_when_the_failures_change() {
    let mut console = Console::open(Memory::of(200));
    console.press("c j");
    assert_eq!(causes(&console), [(1, 40), (2, 16)]);
    // The second becomes the biggest, and there is a new one.
    for id in [4, 8, 12, 16, 24, 28, 32, 36, 44, 48, 52, 56] {
        console.store.set(id, Of::Permanent);
    }
    for id in [64, 68, 72] {
        console
            .store
            .causes
            .insert(id, (9, "the disk is full".to_owned()));
    }
    console.tick();
    assert_eq!(causes(&console), [(1, 25), (2, 28), (9, 3)]);
    assert_eq!(console.state.causes.index(), Some(1));
    // The one under the cursor is no longer met: it stays in sight, and nothing else takes its place under a key.
    for id in 1..=200 {
        if console.store.receivers[&id].row.state == Of::Permanent {
            console.store.set(id, Of::Accepted);
        }
    }
    console.tick();
    assert_eq!(causes(&console), [(1, 25), (2, 0), (9, 3)]);
    console.press("r");
    assert!(
        console.footer().contains("none of its receivers is left"),
        "{}",
        console.footer()
    );
    // Opened again, the biggest is first.
    console.press("esc c");
    assert_eq!(causes(&console), [(1, 25), (9, 3)]);
}

#[test]
fn causes_that_did_not_change_draw_nothing() {
    let mut console = Console::open(Memory::of(200));
    console.press("c");
    let draws = console.draws;
    console.store.version += 1;
    console.tick();
    assert_eq!(console.draws, draws);
}

#[test]
fn who_types_ahead_of_the_causes_hits_the_biggest_of_them() {
    let mut console = Console::open(Memory::of(200));
    console.hold();
    console.press("c j r");
    assert!(console.state.overlay.is_none());
    console.release();
    let screen = console.screen();
    assert!(screen.contains("550 5.1.1 no such user here"), "{screen}");
    assert!(screen.contains("[y/N]"), "{screen}");
}

#[test]
fn what_is_typed_ahead_after_a_key_that_waits_is_meant_for_where_that_leads() {
    let mut console = Console::open(Memory::of(200));
    console.hold();
    console.press("3 y c");
    console.release();
    assert_eq!(
        console.effects,
        [Effect::Copy("postroom list 'status:failed'".to_owned())]
    );
}

#[test]
fn causes_that_cannot_be_read_are_told_and_read_again() {
    let mut console = Console::open(Memory::of(200));
    console.store.broken = Some("disk I/O error".to_owned());
    console.press("c r j enter");
    assert!(console.screen().contains("disk I/O error"));
    console.store.broken = None;
    console.tick();
    assert_eq!(causes(&console), [(1, 40), (2, 16)]);
}

#[test]
fn a_read_only_console_shows_causes_and_sends_nothing() {
    let setup = Setup {
        read_only: true,
        ..setup()
    };
    let mut console = Console::with(Memory::of(200), setup, "", 80, 24);
    console.press("c r y");
    assert!(console.orders().is_empty());
    assert!(!console.footer().contains("r resend"));
}
