//! The cursor, and what may never move it.

use super::*;
use crate::{message::State as Of, store::Target};

#[test]
fn the_cursor_stays_with_its_receiver_when_new_ones_come_in() {
    let mut console = Console::open(Memory::of(100));
    console.press("j j j");
    assert_eq!(console.cursor(), Some(97));
    let before = console.shown();
    for id in 101..=150 {
        console.store.add(id, Of::Queued);
    }
    console.tick();
    assert_eq!(console.cursor(), Some(97));
    assert_eq!(
        console.shown(),
        before,
        "no row moved under the operator's eyes"
    );
    assert!(console.screen().contains('↑'), "what came in is told");
    console.press("g");
    assert_eq!(console.cursor(), Some(150));
}

#[test]
fn a_row_that_no_longer_matches_stays_while_the_cursor_is_on_it() {
    let mut console = Console::open(Memory::of(100));
    console.press("3 j");
    assert_eq!(console.cursor(), Some(92));
    console.store.set(92, Of::Accepted);
    console.tick();
    assert_eq!(console.cursor(), Some(92));
    assert!(console.screen().contains("(no longer matches)"));
    assert!(
        console.screen().contains("Sent"),
        "it shows the status it has now"
    );
    console.press("r y");
    assert_eq!(
        console.orders()[0].target,
        Target::Ids(ids(&[92])),
        "an action means the row that was seen"
    );
    console.press("j");
    assert_eq!(console.cursor(), Some(88));
    assert_eq!(console.shown()[..2], [96, 88]);
}

#[test]
fn the_cursor_stays_with_its_receiver_when_the_filter_still_shows_it() {
    let mut console = Console::open(Memory::of(100));
    console.press("j j j j");
    assert_eq!(console.cursor(), Some(96));
    console.press("3");
    assert_eq!(console.cursor(), Some(96));
    console.press("4");
    assert_eq!(console.cursor(), Some(90), "else it goes to the newest");
}

#[test]
fn a_held_key_goes_on_beyond_the_rows_on_hand() {
    let mut console = Console::open(Memory::of(1000));
    console.hold();
    for _ in 0..20 {
        console.press("pgdn");
    }
    console.release();
    let rows = console.state.table_rows() as i64 - 1;
    assert_eq!(console.cursor(), Some(1000 - 20 * rows));
    console.press("G");
    assert_eq!(console.cursor(), Some(1));
    console.press("k k");
    assert_eq!(console.cursor(), Some(3));
    console.press("g");
    assert_eq!(console.cursor(), Some(1000));
}

#[test]
fn keys_typed_ahead_hit_what_they_were_aimed_at() {
    let mut console = Console::open(Memory::of(100));
    console.hold();
    console.press("3 j space");
    assert!(
        console.state.marks.is_empty(),
        "nothing is marked before the rows are there"
    );
    console.release();
    assert_eq!(console.marked(), [92]);
}
