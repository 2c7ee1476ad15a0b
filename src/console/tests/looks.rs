//! Keys and looks from the config.

use std::collections::BTreeMap;

use ratatui::style::{Color, Modifier};

use super::*;
use crate::{
    config::Keys,
    console::{
        action::{Place, TABLE, in_place},
        theme::Role,
    },
};

fn keymap(lines: &[(&str, &[&str])]) -> Result<Keymap, String> {
    let config: BTreeMap<_, _> = lines
        .iter()
        .map(|(name, keys)| {
            let keys = keys.iter().map(|key| (*key).to_owned()).collect();
            ((*name).to_owned(), Keys(keys))
        })
        .collect();
    Keymap::read(&config)
}

fn with_keys(lines: &[(&str, &[&str])]) -> Console {
    let setup = Setup {
        keymap: keymap(lines).unwrap(),
        ..setup()
    };
    Console::with(Memory::of(100), setup, "", 80, 24)
}

#[test]
fn an_action_has_the_keys_that_the_config_gives_it_wherever_keys_are_shown() {
    let mut console = with_keys(&[
        ("resend", &["Z", "ctrl-r"]),
        ("mark", &["m"]),
        ("quit", &["Q"]),
        ("causes", &["f5"]),
    ]);
    let footer = console.footer();
    assert!(
        footer.contains(" m mark ") && footer.contains(" Z resend "),
        "{footer}"
    );
    assert!(footer.contains("f5 causes"), "{footer}");
    console.press("r space c q");
    assert!(console.state.overlay.is_none() && console.effects.is_empty());
    assert!(console.marked().is_empty());
    console.press("m");
    assert_eq!(console.marked(), [100]);
    console.press("ctrl-r");
    assert!(console.screen().contains("[y/N]"));
    console.press("n ?");
    assert!(
        console.screen().contains("Z ctrl-r"),
        "{}",
        console.screen()
    );
    console.press("? U esc");
    assert!(console.footer().contains("Q quits"), "{}", console.footer());
}

#[test]
fn whatever_names_a_key_names_the_one_that_means_it_now() {
    let keys: &[(&str, &[&str])] = &[
        ("query", &["f3"]),
        ("show-all", &["f1"]),
        ("show-failed", &[]),
        ("mark-range", &["f2"]),
        ("mark-all", &["f10"]),
        ("back", &["f4"]),
        ("complete", &["f5"]),
        ("open", &["f6"]),
        ("fold", &["f7"]),
        ("pager", &["f8"]),
        ("save", &["f9"]),
    ];
    let mut memory = Memory::of(10_100);
    let attempt = &mut memory.receivers.get_mut(&10_096).unwrap().attempts[0];
    attempt.traceback = Some(include_str!("../traceback/samples/java.txt").into());
    let attempt = &mut memory.receivers.get_mut(&10_092).unwrap().attempts[0];
    attempt.traceback = Some("x".repeat(100_000).into());
    let setup = Setup {
        keymap: keymap(keys).unwrap(),
        ..setup()
    };
    let mut console = Console::with(memory, setup, "", 130, 30);
    let screen = console.screen();
    let lines: Vec<&str> = screen.lines().collect();
    assert!(
        lines[1].starts_with(" f1 All 10,100   2 Not sent"),
        "{screen}"
    );
    assert!(lines[1].contains("   Failed 2,"), "{screen}");
    assert!(lines[2].starts_with(" f3 everything"), "{screen}");
    console.press("tab");
    assert_eq!(console.hint(), "f6 opens the receiver first");
    console.event(Event::Paste("x".to_owned()));
    assert!(console.hint().ends_with(": f3 opens one"));
    console.press("2 # 1 0 1 0 1 enter");
    assert!(console.hint().ends_with("f1 shows all"));
    console.press("f1 g f2");
    assert!(console.hint().ends_with("f2 marks it, f4 gives it up"));
    console.press("G f2");
    let hint = console.hint();
    assert!(hint.ends_with("f10 marks all"), "{hint}");
    console.press("f3 ctrl-x");
    assert!(console.hint().starts_with("forget: f5 chooses"));
    console.press("esc # 1 0 0 9 2 enter y t");
    let hint = console.hint();
    assert!(
        hint.ends_with("f8 shows it in the pager, f9 saves it"),
        "{hint}"
    );
    console.press("# 1 0 0 9 6 enter f6");
    assert!(
        console.screen().contains("f7 unfolds"),
        "{}",
        console.screen()
    );
    console.press("f4 ?");
    assert!(
        console.screen().contains("f4 gives it up"),
        "{}",
        console.screen()
    );
    console.press("esc :").type_in("mark-ra");
    assert!(
        console.screen().contains("f4 gives it up"),
        "{}",
        console.screen()
    );
}

#[test]
fn a_query_that_cannot_be_read_is_marked_at_its_place_however_long_the_key_before_it_is() {
    for key in ["/", "backspace"] {
        let mut console = with_keys(&[("query", &[key])]);
        console.press(key).type_in("status:bad").press("enter");
        let screen = console.screen();
        let lines: Vec<&str> = screen.lines().collect();
        assert_eq!(lines[2].find("bad"), lines[3].find('^'), "{screen}");
    }
}

#[test]
fn an_action_without_a_key_is_still_done_from_the_palette() {
    let mut console = with_keys(&[("resend", &[])]);
    assert!(!console.footer().contains("resend"), "{}", console.footer());
    console.press("r");
    assert!(console.state.overlay.is_none());
    console.press(":").type_in("resend").press("enter");
    assert!(console.screen().contains("[y/N]"));
}

#[test]
fn a_key_that_means_two_things_in_one_place_is_reported_with_both_names() {
    let error = keymap(&[("resend", &["a"])]).unwrap_err();
    assert_eq!(
        error,
        "in the table `a` means both `mark-all` and `resend`: give one of them another key, or none with []"
    );
    let swapped = keymap(&[("resend", &["a"]), ("mark-all", &["r"])]);
    assert!(swapped.is_ok(), "{swapped:?}");
}

#[test]
fn what_is_wrong_in_the_keys_is_named_with_the_way_out() {
    for (name, keys, told) in [
        (
            "resnd",
            &["R"][..],
            "there is no action `resnd`; did you mean `resend`?",
        ),
        (
            "resend",
            &["ctrl-"],
            "resend: `ctrl-` is no key; write a letter",
        ),
        ("resend", &["f13"], "`f13` is no key"),
        ("resend", &["shift-r"], "`shift-r` is no key"),
        ("resend", &[""], "`` is no key"),
        ("yes", &["j"], "`yes` stays `y`"),
        ("quit", &[], "`quit` needs a key"),
        ("apply", &["a"], "`a` is a letter where text is written"),
    ] {
        let error = keymap(&[(name, keys)]).unwrap_err();
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn every_key_of_the_table_can_be_written_in_the_config_as_the_help_shows_it() {
    let plain = Keymap::default();
    for entry in TABLE {
        if entry.name == "yes" {
            continue;
        }
        let keys: Vec<String> = plain.keys(entry).iter().map(ToString::to_string).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let read = keymap(&[(entry.name, &keys)]).unwrap();
        assert_eq!(read.keys(entry), plain.keys(entry), "{}", entry.name);
    }
    assert_eq!(plain.fill("{quit} quits, {nothing}"), "q quits, {nothing}");
}

#[test]
fn the_footer_names_only_keys_that_work_now() {
    for keys in ["", "space", "enter", "c", "o", "3 enter 3", "/", "a r", "?"] {
        let mut console = Console::sized(Memory::of(100), 300, 24);
        if !keys.is_empty() {
            console.press(keys);
        }
        let footer = console.footer();
        let place = console.state.place();
        for entry in in_place(place).filter(|entry| (entry.disabled)(&console.state).is_some()) {
            let key = console.state.setup.keymap.first(entry).unwrap();
            let hint = format!(" {key} {}", entry.hint);
            assert!(!footer.contains(&hint), "{hint} in {footer}");
        }
        assert!(place == Place::Question || !footer.trim().is_empty());
    }
}

#[test]
fn a_role_has_the_style_that_the_config_gives_it() {
    let read = |lines: &[(&str, &str)]| {
        let colors = lines
            .iter()
            .map(|(name, words)| ((*name).to_owned(), (*words).to_owned()));
        Theme::read(&colors.collect())
    };
    assert_eq!(read(&[]), Ok(Theme::Default));
    let theme = read(&[
        ("failed", "lightmagenta on black bold"),
        ("cursor", "underlined"),
        ("label", ""),
        ("mark", "#ff8800"),
    ])
    .unwrap();
    let style = |role| theme.style(role);
    let failed = style(Role::Status(crate::message::Status::Failed));
    assert_eq!(failed.fg, Some(Color::LightMagenta));
    assert_eq!(failed.bg, Some(Color::Black));
    assert!(failed.add_modifier.contains(Modifier::BOLD));
    assert_eq!(style(Role::Cursor).add_modifier, Modifier::UNDERLINED);
    assert_eq!(style(Role::Label), ratatui::style::Style::new());
    assert_eq!(style(Role::Mark).fg, Some(Color::Rgb(255, 136, 0)));
    assert_eq!(style(Role::Good), Theme::Default.style(Role::Good));
    for (name, words, told) in [
        (
            "faild",
            "red",
            "there is no role `faild`; did you mean `failed`?",
        ),
        (
            "failed",
            "rde",
            "failed: `rde` is no colour and no attribute",
        ),
        ("failed", "red on", "behind `on` stands a colour"),
    ] {
        let error = read(&[(name, words)]).unwrap_err();
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn in_ascii_mode_no_screen_has_a_sign_of_the_consoles_own_that_is_none() {
    let setup = Setup {
        ascii: true,
        ..setup()
    };
    for (width, height) in [(40, 10), (80, 24), (200, 60)] {
        for keys in [
            "",
            "space v j j",
            "3 enter",
            "3 enter 4",
            "a r",
            "?",
            "c",
            "o",
            ":",
            "o p",
        ] {
            let mut memory = super::overview::busy();
            for detail in memory.receivers.values_mut() {
                detail.row.subject = "plain".into();
                detail.row.identity = "april@example.com".into();
            }
            let mut console = Console::with(memory, setup.clone(), "", width, height);
            if !keys.is_empty() {
                console.press(keys);
            }
            let screen = console.screen();
            let foreign: String = screen.chars().filter(|c| !c.is_ascii()).collect();
            assert_eq!(foreign, "", "after {keys} in\n{screen}");
        }
    }
}
