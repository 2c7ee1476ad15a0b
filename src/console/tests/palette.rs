//! The palette, and the commands that say the same outside.

use super::*;
use crate::console::{
    action::{Place, TABLE},
    palette::found,
};

#[test]
fn every_action_of_every_screen_is_found_by_its_name_with_its_key() {
    let console = Console::open(Memory::of(100));
    let steps = [
        Place::Query,
        Place::Question,
        Place::Prompt,
        Place::Palette,
        Place::Help,
        Place::Filter,
        Place::Columns,
    ];
    for entry in TABLE {
        if entry.places.iter().all(|place| steps.contains(place)) {
            continue;
        }
        let first = found(&console.state, entry.name)[0];
        assert_eq!(first.entry.name, entry.name);
    }
    let mut console = Console::open(Memory::of(100));
    console.press(":").type_in("mark-a");
    let screen = console.screen();
    assert!(screen.contains("mark-all"), "{screen}");
    assert!(screen.contains(" a "), "{screen}");
}

#[test]
fn what_is_chosen_is_done_as_if_its_key_had_been_pressed() {
    let mut console = Console::open(Memory::of(100));
    console.press(":").type_in("show-f").press("enter");
    assert_eq!(console.state.table.asked.text, "status:failed");
    console.press(":").type_in("resend").press("enter y");
    assert_eq!(console.orders().len(), 1);
    console.press(":").type_in("copy-c").press("enter");
    assert_eq!(
        console.effects.last(),
        Some(&Effect::Copy("postroom list 'status:failed'".to_owned()))
    );
}

#[test]
fn letters_need_not_stand_together_and_words_of_the_help_are_found_too() {
    let mut console = Console::open(Memory::of(100));
    let first = |console: &Console, letters: &str| found(&console.state, letters)[0].entry.name;
    assert_eq!(first(&console, "mrkall"), "mark-all");
    assert_eq!(first(&console, "by their cause"), "causes");
    console.press(":").type_in("zzz");
    assert!(console.screen().contains("No action has these letters"));
    console.press("enter backspace backspace backspace down down up");
    assert!(console.state.overlay.is_some());
    console.press("esc");
    assert!(console.state.overlay.is_none());
}

#[test]
fn an_action_that_does_nothing_now_says_why() {
    let mut console = Console::sized(Memory::of(100), 120, 24);
    console.press(":").type_in("unmark");
    assert!(
        console.screen().contains("Not now: nothing is marked"),
        "{}",
        console.screen()
    );
    console.press("enter");
    assert!(console.footer().contains("nothing is marked"));
    console.press(":").type_in("pause").press("enter");
    assert!(
        console.footer().contains("in the overview"),
        "{}",
        console.footer()
    );
}

#[test]
fn every_screen_copies_the_command_that_prints_the_same() {
    let setup = Setup {
        program: "postroom --store /srv/mail.db".to_owned(),
        ..setup()
    };
    let mut console = Console::with(Memory::of(100), setup, "status:failed", 80, 24);
    let mut copied = |keys: &str| {
        console.press(keys).press("y c");
        match console.effects.last() {
            Some(Effect::Copy(text)) => text.clone(),
            other => panic!("{other:?} after {keys}"),
        }
    };
    let program = "postroom --store /srv/mail.db";
    assert_eq!(copied("j"), format!("{program} list 'status:failed'"));
    assert_eq!(copied("c"), format!("{program} causes 'status:failed'"));
    assert_eq!(copied("o"), format!("{program} status"));
    assert_eq!(copied("esc g enter"), format!("{program} show 96"));
}
