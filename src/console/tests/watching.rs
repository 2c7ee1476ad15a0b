//! A store that changes, does not, or cannot be read.

use super::*;
use crate::message::State as Of;

#[test]
fn an_unchanged_store_draws_nothing() {
    let mut console = Console::open(Memory::of(100));
    let (draws, answered) = (console.draws, console.store.answered);
    for _ in 0..5 {
        console.tick();
    }
    assert_eq!(console.draws, draws);
    assert_eq!(
        console.store.answered,
        answered + 5,
        "one small question a second"
    );
    // A change that the screen does not show is not drawn either.
    console.store.version += 1;
    console.tick();
    assert_eq!(console.draws, draws);
}

#[test]
fn a_key_that_changes_nothing_draws_nothing() {
    let mut console = Console::open(Memory::of(100));
    let draws = console.draws;
    console.press("k up z ctrl-u");
    assert_eq!(console.draws, draws);
}

#[test]
fn a_store_that_cannot_be_read_says_so_and_recovers() {
    let mut memory = Memory::of(100);
    memory.broken = Some("disk I/O error".to_owned());
    let mut console = Console::open(memory);
    assert!(console.footer().contains("disk I/O error"));
    console.press("j k G g 3 space r y enter tab");
    console.store.broken = None;
    console.tick();
    console.tick();
    assert!(
        !console.footer().contains("disk I/O error"),
        "{}",
        console.footer()
    );
    assert_eq!(console.shown().first(), Some(&96));
}

#[test]
fn an_empty_store_says_so() {
    let mut console = Console::open(Memory::of(0));
    assert!(
        console
            .screen()
            .contains("There are no receivers in the store yet")
    );
    console.press("j k g G space v a r enter tab");
    assert!(console.effects.is_empty());
    console.store.add(1, Of::Queued);
    console.tick();
    assert_eq!(console.cursor(), Some(1));
    console.press("/").type_in("nobody").press("enter");
    assert!(console.screen().contains("Nothing matches"));
}
