//! The line on top and the overview.

use super::memory::backend;
use super::*;
use crate::{
    console::effect::BackendOrder,
    store::{BackendState, HOURS, Traffic, Tries},
};

/// Some traffic: e-mail went well but for the last two hours, SMS not at all.
pub(super) fn busy() -> Memory {
    let mut memory = Memory::of(1234);
    let mut email = Traffic {
        backend: "email".into(),
        failed: 247,
        error: 99,
        oldest_due: Some(now() - chrono::TimeDelta::seconds(5)),
        rate: 120,
        hours: [Tries::default(); HOURS],
    };
    for (index, hour) in email.hours.iter_mut().enumerate() {
        hour.sent = index as u64 * 50;
        hour.failed = if index >= 22 { 300 } else { 2 };
    }
    let sms = Traffic {
        backend: "sms".into(),
        failed: 0,
        error: 0,
        oldest_due: Some(now() - chrono::TimeDelta::hours(6)),
        rate: 0,
        hours: [Tries::default(); HOURS],
    };
    memory.traffic = vec![email, sms];
    memory.backends[1].error = "connect to sms.example:2775: connection refused".into();
    memory
}

#[test]
fn the_first_line_says_how_much_goes_out_and_how_long_the_oldest_has_waited() {
    let console = Console::sized(busy(), 140, 24);
    let screen = console.screen();
    let first = screen.lines().next().unwrap();
    assert!(first.contains("email ● up, 120/min"), "{first}");
    assert!(
        first.contains("sms ● down since 10:02, 812 waiting, oldest 6 h 0 min"),
        "{first}"
    );
}

#[test]
fn the_overview_shows_backends_the_last_day_and_what_failed() {
    let mut console = Console::open(busy());
    console.press("o");
    let screen = console.screen();
    for words in [
        "Backend",
        "● up",
        "● down",
        "22 Nov 10:02",
        "812",
        "6 h 0 min",
        "120",
        "The last 24 hours",
        "sent",
        "13,800",
        "failed",
        "644",
        "▁▁",
        "██",
        "What failed",
        "email  346 receivers, 247 failed and 99 error",
        "247  451 4.7.1 greylisted",
    ] {
        assert!(screen.contains(words), "{words} in\n{screen}");
    }
    console.press("j");
    assert!(
        console.screen().contains("sms: connect to sms.example"),
        "{}",
        console.screen()
    );
    console.press("esc");
    assert_eq!(console.state.place(), crate::console::action::Place::Table);
}

#[test]
fn a_backend_is_paused_and_resumed_from_the_overview_and_only_y_does_it() {
    let mut console = Console::open(busy());
    console.press("o p");
    let screen = console.screen();
    assert!(screen.contains("Pause backend email?"), "{screen}");
    console.press("enter");
    assert!(console.effects.is_empty(), "the default is no");
    console.press("p y");
    let pause = |pause| BackendOrder {
        backend: "email".into(),
        pause,
    };
    assert_eq!(console.effects, [Effect::SetBackend(pause(true))]);
    console.store.backends[0] = backend("email", BackendState::Paused, 3);
    console.store.version += 1;
    console.event(Event::BackendSet(pause(true), Ok(())));
    assert!(
        console.footer().contains("email is paused"),
        "{}",
        console.footer()
    );
    console.press("p");
    let screen = console.screen();
    assert!(screen.contains("Resume backend email?"), "{screen}");
    assert!(screen.contains("3 receivers waiting"), "{screen}");
    console.press("y");
    assert_eq!(
        console.effects.last(),
        Some(&Effect::SetBackend(pause(false)))
    );
    let why = Err("the disk is full".to_owned());
    console.event(Event::BackendSet(pause(false), why));
    assert!(
        console
            .footer()
            .contains("could not be resumed: the disk is full")
    );
}

#[test]
fn enter_shows_what_failed_over_a_backend_and_esc_goes_back() {
    let mut console = Console::open(busy());
    console.press("3 o enter");
    assert_eq!(
        console.state.table.asked.text,
        "status:failed,error backend:email"
    );
    assert_eq!(console.shown()[0], 1232);
    console.press("esc");
    assert_eq!(console.state.table.asked.text, "status:failed");
    assert!(console.screen().contains("The last 24 hours"));
}

#[test]
fn an_overview_that_does_not_change_draws_nothing() {
    let mut console = Console::open(busy());
    console.press("o");
    let draws = console.draws;
    console.store.version += 1;
    console.tick();
    assert_eq!(console.draws, draws);
    console.store.traffic[0].hours[23].sent += 1;
    console.store.version += 1;
    console.tick();
    assert_eq!(console.draws, draws + 1);
}

#[test]
fn on_a_small_screen_the_overview_scrolls_and_its_cursor_stays_in_sight() {
    let mut console = Console::sized(busy(), 40, 10);
    console.press("o pgdn pgdn pgdn pgdn");
    assert!(
        console.screen().contains("greylisted"),
        "{}",
        console.screen()
    );
    console.press("j");
    assert!(console.screen().contains("▌ sms"), "{}", console.screen());
    console.press("k");
    assert!(console.screen().contains("Backend"), "{}", console.screen());
}

#[test]
fn a_read_only_console_pauses_nothing() {
    let setup = Setup {
        read_only: true,
        ..setup()
    };
    let mut console = Console::with(busy(), setup, "", 80, 24);
    console.press("o p");
    assert!(console.state.overlay.is_none());
    assert!(
        console.footer().contains("read-only"),
        "{}",
        console.footer()
    );
}
