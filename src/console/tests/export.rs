//! What leaves the detail pane: for the clipboard, the pager and files.

use super::{
    detail::{copied, failed_with, long_lines, pages, reversed, saying, saying_text},
    *,
};
use crate::{
    console::{
        effect::{NotSaved, Save},
        layout::Focus,
        state::{Confirm, Overlay},
    },
    message::{Body, State as Of},
};

const JAVA: &str = include_str!("../traceback/samples/java.txt");

pub(super) fn saves(console: &Console) -> Vec<&Save> {
    let saves = console.effects.iter().filter_map(|effect| match effect {
        Effect::Save(save) => Some(save),
        _ => None,
    });
    saves.collect()
}

#[test]
fn a_traceback_is_given_to_a_colleague_with_two_keys_also_from_the_table() {
    let mut console = Console::open(failed_with(JAVA));
    console.press("3 y t");
    let told = copied(&console)[0].to_owned();
    assert!(told.starts_with("Exception in thread \"main\""));
    assert!(
        told.contains("java.base/java.net.Socket"),
        "whole, nothing folded"
    );
    assert!(
        console.footer().contains("copied the traceback"),
        "{}",
        console.footer()
    );
    assert_eq!(console.state.focus, Focus::Table);
}

#[test]
fn what_is_copied_waits_until_it_is_read() {
    let mut console = Console::open(failed_with(JAVA));
    console.press("3");
    console.hold();
    console.press("y t");
    assert!(copied(&console).is_empty());
    console.release();
    assert_eq!(copied(&console).len(), 1);
    assert!(console.state.overlay.is_none());
    console.press("j");
    console.hold();
    console.press("y t esc");
    console.release();
    assert_eq!(copied(&console).len(), 1, "esc takes it back");
}

#[test]
fn the_command_for_this_view_is_copied() {
    let mut console = Console::open(Memory::of(100));
    console.press("y c 3 y c enter y c");
    console.press("esc /").type_in("it's").press("enter y c");
    assert_eq!(
        copied(&console),
        [
            "postroom list",
            "postroom list 'status:failed'",
            "postroom show 96",
            "postroom list 'it'\\''s'"
        ]
    );
}

#[test]
fn the_line_that_is_copied_is_chosen_in_sight_and_copied_whole() {
    let mut console = Console::open(long_lines());
    console.press("3 y y");
    assert!(console.footer().contains("enter opens the receiver first"));
    console.press("esc enter 3 y");
    assert!(
        reversed(&console).starts_with("Subject"),
        "{}",
        reversed(&console)
    );
    console.press("j j j j");
    assert!(reversed(&console).contains("line 1 word"));
    console.press("y");
    let line = copied(&console)[0];
    assert!(
        line.starts_with("line 1 ") && line.ends_with("end of 1"),
        "{line}"
    );
    console.press("y a");
    assert!(copied(&console)[1].contains("line 50 "));
}

#[test]
fn a_traceback_offers_its_failing_line() {
    let mut console = Console::open(failed_with(JAVA));
    console.press("3 enter y y");
    assert!(copied(&console)[0].ends_with("at com.example.mail.Mailer.open(Mailer.java:4)"));
}

#[test]
fn more_than_terminals_take_is_refused_with_a_word_and_never_cut() {
    // Three bytes become four.
    let most = 74_994 / 4 * 3;
    let mut memory = failed_with("x");
    let mut told = |bytes: usize| {
        let attempt = &mut memory.receivers.get_mut(&96).unwrap().attempts[0];
        attempt.traceback = Some("x".repeat(bytes).into());
        let mut console = Console::open(memory.clone());
        console.press("3 y t");
        (copied(&console).len(), console.screen())
    };
    assert_eq!(told(most).0, 1);
    let (copies, screen) = told(most + 1);
    assert_eq!(copies, 0);
    assert!(screen.contains("74,994"), "{screen}");
}

#[test]
fn the_pager_gets_the_whole_text_made_harmless() {
    let hostile = format!("{JAVA}\u{1b}[2J\u{202e}\n");
    let mut console = Console::open(failed_with(&hostile));
    console.press("3 enter p");
    let mut got = Vec::new();
    pages(&console)[0].write(&mut got).unwrap();
    let got = String::from_utf8(got).unwrap();
    assert!(
        got.contains("java.base/java.net.Socket"),
        "foreign frames too: {got}"
    );
    assert!(got.contains("␛[2J\u{fffd}"), "{got}");
    assert!(!got.contains(|c: char| c != '\n' && c.is_control()));
    assert!(
        !console.screen().contains("java.base/"),
        "here they stay folded"
    );
    console.event(Event::Paged(Some("the pager `x` failed".to_owned())));
    assert!(console.footer().contains("the pager `x` failed"));
}

#[test]
fn what_a_job_came_to_while_somebody_read_in_the_pager_is_told_when_they_are_back() {
    let mut console = Console::open(Memory::of(100));
    console.press("r y enter p");
    assert_eq!(pages(&console).len(), 1);
    let done = JobNews::Finished(Err("the disk is full".to_owned()));
    console.job(1, done);
    console.event(Event::Resumed);
    console.event(Event::Paged(None));
    assert!(
        console.footer().contains("the disk is full"),
        "{}",
        console.footer()
    );
}

#[test]
fn a_file_holds_the_letters_as_they_came_and_is_written_over_only_after_a_yes() {
    let text = "a\tb\u{1b}[2J\n".to_owned();
    let mut console = Console::open(saying_text(text.clone()));
    console.press("3 enter 3 s");
    assert!(
        console
            .footer()
            .contains("save as: postroom-96-content.txt"),
        "{}",
        console.footer()
    );
    console.press("enter");
    let save = saves(&console)[0].clone();
    assert_eq!(save.path, "postroom-96-content.txt");
    assert_eq!(*save.bytes, text.into_bytes());
    assert!(!save.overwrite);
    console.event(Event::Saved(save.clone(), Err(NotSaved::Exists)));
    assert!(
        console
            .screen()
            .contains("Write over postroom-96-content.txt?")
    );
    assert!(console.screen().contains("[y/N]"));
    console.press("enter");
    assert_eq!(saves(&console).len(), 1, "no is the answer");
    console.event(Event::Saved(save.clone(), Err(NotSaved::Exists)));
    assert!(matches!(
        console.state.overlay,
        Some(Overlay::Confirm(Confirm::Overwrite(_)))
    ));
    console.press("y");
    assert!(saves(&console)[1].overwrite);
    console.event(Event::Saved(save.clone(), Ok(())));
    assert!(
        console.footer().contains("saved 8 bytes in"),
        "{}",
        console.footer()
    );
    console.event(Event::Saved(
        save,
        Err(NotSaved::Failed("no space".to_owned())),
    ));
    assert!(console.screen().contains("no space"));
}

#[test]
fn each_tab_can_be_saved_under_a_name_of_its_own() {
    let mut console = Console::open(saying(Body::Raw(super::content::WHOLE.as_bytes().to_vec())));
    console.press("3 enter");
    for (keys, name, bytes) in [
        ("1 s", "postroom-96-traceback-1.txt", "451 4.7.1 greylisted"),
        ("2 s", "postroom-96-transcript-1.txt", "C: MAIL FROM:"),
        ("4 s", "postroom-96-history.txt", "handed over"),
        ("5 s", "postroom-96-details.txt", "Metadata"),
        ("3 v v v s", "postroom-96-message.eml", "\r\n--b--\r\n"),
    ] {
        console.press(keys).press("enter");
        let save = saves(&console).pop().unwrap();
        assert_eq!(save.path, name);
        let text = String::from_utf8(save.bytes.to_vec()).unwrap();
        assert!(text.contains(bytes), "{bytes} in {text}");
    }
    console.press("s").type_in("other.txt").press("enter");
    assert_eq!(
        saves(&console).pop().unwrap().path,
        "other.txt",
        "typing replaces"
    );
    let before = saves(&console).len();
    console.press("s backspace enter");
    assert_eq!(saves(&console).len(), before);
    assert!(console.footer().contains("needs a name"));
}

#[test]
fn a_receiver_that_was_not_tried_yet_has_nothing_to_copy() {
    let mut memory = Memory::of(3);
    memory.add(4, Of::Queued);
    let mut console = Console::open(memory);
    console.press("y t");
    assert!(
        console.footer().contains("not tried yet"),
        "{}",
        console.footer()
    );
    assert!(copied(&console).is_empty());
}
