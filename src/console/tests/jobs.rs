//! How many keys a job takes from the open console.

use super::*;
use crate::{
    message::State as Of,
    store::{Action, Target},
};

/// Presses keys; each of them counts.
fn pressed(console: &mut Console, keys: &str) -> usize {
    console.press(keys);
    keys.split(' ').count()
}

fn of_the_day() -> Memory {
    let mut memory = Memory::of(300);
    for detail in memory.receivers.values_mut().rev().take(50) {
        detail.row.sent_at = detail.row.sent_at.map(|_| now());
    }
    memory
}

#[test]
fn what_failed_takes_one_key() {
    let mut console = Console::open(Memory::of(100));
    assert!(pressed(&mut console, "3") <= 1);
    let rows = &console.state.table.rows;
    assert!(rows.iter().all(|row| row.state == Of::FailedTemporary));
    assert_eq!(rows.len(), 20);
}

#[test]
fn why_this_one_failed_takes_one_key_and_none_where_the_detail_is_beside() {
    let mut console = Console::open(Memory::of(100));
    console.press("3");
    assert!(pressed(&mut console, "enter") <= 1);
    assert!(console.screen().contains("451 4.7.1 greylisted"));
    let mut wide = Console::sized(Memory::of(100), 200, 60);
    wide.press("3");
    assert!(wide.screen().contains("451 4.7.1 greylisted"));
}

#[test]
fn resending_this_one_takes_two_keys_and_all_that_failed_four() {
    let mut console = Console::open(Memory::of(100));
    assert!(pressed(&mut console, "r y") <= 2);
    assert_eq!(console.orders().len(), 1);
    // Up to a thousand; above, the number is to be typed.
    let mut console = Console::open(Memory::of(5000));
    assert!(pressed(&mut console, "3 a r y") <= 4);
    assert_eq!(console.orders().len(), 1);
    let mut console = Console::open(Memory::of(5005));
    for id in [5001, 5002] {
        console.store.set(id, Of::FailedTemporary);
    }
    console.tick();
    console.press("3 a r y");
    assert!(console.orders().is_empty());
}

#[test]
fn the_biggest_cause_and_all_of_it_sent_again_takes_three_keys() {
    let mut console = Console::open(Memory::of(1234));
    assert!(pressed(&mut console, "c r y") <= 5);
    let [order] = console.orders()[..] else {
        panic!("one order")
    };
    let Target::Query(query) = &order.target else {
        panic!("{order:?}")
    };
    assert_eq!(order.action, Action::Resend);
    assert_eq!(query.to_string(), "cause:1 -status:sent");
}

#[test]
fn everything_to_one_user_takes_a_slash_the_name_and_enter() {
    let mut console = Console::open(Memory::of(100));
    console.press("/").type_in("ingrid").press("enter");
    let rows = &console.state.table.rows;
    assert_eq!(rows.len(), 20);
    assert!(
        rows.iter()
            .all(|row| row.identity.raw().starts_with("ingrid"))
    );
}

#[test]
fn what_was_sent_today_of_one_type_takes_six_keys() {
    let mut console = Console::open(of_the_day());
    assert!(pressed(&mut console, "f tab j space tab enter") <= 6);
    assert_eq!(console.state.table.asked.text, "sent:today type:comment");
    assert!(console.state.overlay.is_none());
    let rows = &console.state.table.rows;
    assert!(!rows.is_empty());
    let right = |row: &crate::store::Row| row.sent_at == Some(now()) && row.kind.raw() == "comment";
    assert!(rows.iter().all(right));
}

#[test]
fn a_traceback_for_a_colleague_takes_two_keys() {
    let mut console = Console::open(Memory::of(100));
    console.press("3");
    assert!(pressed(&mut console, "y t") <= 2);
    let copied =
        |effect: &Effect| matches!(effect, Effect::Copy(text) if text.contains("451 4.7.1"));
    assert!(console.effects.iter().any(copied));
}
