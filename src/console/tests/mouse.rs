//! The mouse, for whoever wants it.

use ratatui::layout::Position;

use super::*;
use crate::console::{action::Place, effect::Mouse};

fn click(console: &mut Console, x: u16, y: u16) {
    console.event(Event::Mouse(Mouse::Click, Position::new(x, y)));
}

#[test]
fn a_click_puts_the_cursor_on_a_row_and_the_wheel_moves_it() {
    let mut console = Console::open(Memory::of(100));
    click(&mut console, 20, 8);
    assert_eq!(console.cursor(), Some(96));
    console.event(Event::Mouse(Mouse::WheelDown, Position::new(1, 1)));
    assert_eq!(console.cursor(), Some(93));
    console.event(Event::Mouse(Mouse::WheelUp, Position::new(1, 1)));
    assert_eq!(console.cursor(), Some(96));
    // The head and the lines around the table are no rows.
    for y in [0, 1, 2, 3, 23, 500] {
        click(&mut console, 20, y);
        assert_eq!(console.cursor(), Some(96), "a click on line {y}");
    }
}

#[test]
fn a_click_chooses_a_cause_a_backend_or_the_detail_and_never_answers_a_question() {
    let mut console = Console::sized(Memory::of(100), 200, 60);
    click(&mut console, 180, 20);
    assert_eq!(console.state.place(), Place::Detail);
    click(&mut console, 10, 5);
    assert_eq!(
        (console.state.place(), console.cursor()),
        (Place::Table, Some(99))
    );
    console.press("c");
    click(&mut console, 10, 5);
    assert_eq!(console.state.causes.index(), Some(1));
    click(&mut console, 10, 40);
    assert_eq!(console.state.causes.index(), Some(1));
    console.press("o");
    click(&mut console, 10, 5);
    assert_eq!(console.state.overview.index(&console.state), 1);
    console.press("p");
    for y in 0..60 {
        click(&mut console, 100, y);
    }
    assert_eq!(console.state.place(), Place::Question);
    assert!(console.effects.is_empty());
}
