//! Resending: asked, confirmed, under way, stopped, over.

use super::*;
use crate::{
    console::effect::Outcome, console::state::Confirm, console::state::Overlay, delivery::Tally,
    message::State as Of, store::Action, store::Affected, store::Target,
};

#[test]
fn resending_the_cursors_row_takes_two_keys() {
    let mut console = Console::open(Memory::of(100));
    console.press("3 r");
    assert!(
        console.screen().contains("Resend receiver 96 to"),
        "{}",
        console.screen()
    );
    console.press("y");
    let order = Order {
        action: Action::Resend,
        target: Target::Ids(ids(&[96])),
        chosen: None,
    };
    assert_eq!(console.orders(), [&order]);
}

#[test]
fn only_y_confirms() {
    for no in ["n", "enter", "esc", "q", "ctrl-c"] {
        let mut console = Console::open(Memory::of(100));
        console.press("r").press(no);
        assert!(console.state.overlay.is_none(), "{no} closes the question");
        console.press("y");
        assert!(console.orders().is_empty(), "{no} says no");
    }
    for neither in ["Y", "r", "space", "j", "1", "/", "?"] {
        let mut console = Console::open(Memory::of(100));
        console.press("r").press(neither);
        assert!(
            matches!(console.state.overlay, Some(Overlay::Confirm(_))),
            "{neither} is no answer"
        );
        assert!(console.orders().is_empty());
    }
}

#[test]
fn nobody_can_say_yes_before_the_question_says_what_it_would_touch() {
    let mut console = Console::open(Memory::of(100));
    console.hold();
    console.press("a r y");
    assert!(console.orders().is_empty());
    assert!(console.screen().contains("counting…"));
    console.release();
    assert!(console.orders().is_empty(), "the early y is not remembered");
    console.press("y");
    assert_eq!(console.orders().len(), 1);
}

#[test]
fn a_question_says_by_status_what_it_would_touch_and_warns_of_second_copies() {
    let mut console = Console::open(Memory::of(100));
    console.store.armed = vec![96, 92];
    console.press("a r");
    let screen = console.screen();
    for words in [
        "Resend 98 marked receivers?",
        "Failed    18",
        "Error     8",
        "Sent      68",
        "2 receivers being sent right now",
        "68 were accepted already",
        "[y/N]",
    ] {
        assert!(screen.contains(words), "{words} in\n{screen}");
    }
}

#[test]
fn a_question_warns_of_those_that_may_have_arrived_and_of_held_ones() {
    for (width, height) in [(80, 24), (40, 10)] {
        let mut store = Memory::of(100);
        for id in [100, 99, 98] {
            store.set(id, Of::FailedUnconfirmed);
        }
        store.set(97, Of::ErrorUnconfirmed);
        store.set(96, Of::FailedHeld);
        let mut console = Console::sized(store, width, height);
        console.press("r");
        let of_one = "This one may have arrived already";
        assert!(console.words().contains(of_one), "{}", console.screen());
        console.press("n v j j j j v r");
        let screen = console.words();
        for words in ["4 may have arrived already", "1 held", "[y/N]"] {
            assert!(screen.contains(words), "{words} in\n{}", console.screen());
        }
    }
}

#[test]
fn an_action_that_would_touch_nothing_asks_nothing() {
    let mut console = Console::open(Memory::of(100));
    console.store.armed = vec![100];
    console.press("r");
    assert!(console.state.overlay.is_none());
    assert!(
        console.footer().contains("nothing to resend"),
        "{}",
        console.footer()
    );
}

#[test]
fn a_job_shows_its_progress_and_reports_in_the_status_line() {
    let mut console = Console::open(Memory::of(100));
    console.press("3 a r y");
    console.job(
        1,
        JobNews::Delivered {
            done: 15,
            total: 20,
        },
    );
    assert!(
        console.footer().contains("resend 15/20 ▓▓▓▓▓▓░░ x stop"),
        "{}",
        console.footer()
    );
    let outcome = Outcome {
        affected: Affected {
            by_status: [0, 20, 0, 0],
            ..Affected::default()
        },
        tally: Some(Tally {
            sent: 18,
            failed: 2,
            ..Tally::default()
        }),
        held: 0,
        left: 0,
        taken: 0,
        waiting: None,
    };
    console.job(1, JobNews::Finished(Ok(outcome)));
    assert!(console.state.overlay.is_none());
    assert!(
        console.footer().contains("resend: 18 sent, 2 failed"),
        "{}",
        console.footer()
    );
    console.press("j j k");
    assert!(
        console.footer().contains("18 sent"),
        "it stays while the operator works on"
    );
    console.press("esc");
    assert!(!console.footer().contains("18 sent"));
}

#[test]
fn x_stops_the_job_and_the_report_says_what_is_held() {
    let mut console = Console::open(Memory::of(100));
    console.press("x");
    assert!(console.footer().contains("no job is running"));
    console.press("3 a r y x");
    assert_eq!(console.effects.last(), Some(&Effect::Stop(1)));
    assert!(console.footer().contains("stopping"));
    console.press("x");
    assert_eq!(console.effects.len(), 2, "it is stopped once");
    let outcome = Outcome {
        affected: Affected::default(),
        tally: Some(Tally {
            sent: 5,
            ..Tally::default()
        }),
        held: 15,
        left: 0,
        taken: 0,
        waiting: None,
    };
    console.job(1, JobNews::Finished(Ok(outcome)));
    assert!(
        console
            .screen()
            .contains("resend stopped: 5 sent, 15 held (is:held shows them)"),
        "{}",
        console.footer()
    );
}

#[test]
fn a_long_report_takes_two_lines_and_stays_until_esc() {
    let mut console = Console::open(Memory::of(100));
    console.press("3 a r y");
    let outcome = Outcome {
        affected: Affected::default(),
        tally: Some(Tally {
            sent: 1204,
            failed: 31,
            error: 12,
            unconfirmed: 3,
            ..Tally::default()
        }),
        held: 0,
        left: 812,
        taken: 0,
        waiting: Some("812 still waiting: sms is down".to_owned()),
    };
    console.job(1, JobNews::Finished(Ok(outcome)));
    let report =
        "resend: 1,204 sent, 31 failed, 12 error, 3 unconfirmed, 812 still waiting: sms is down";
    let whole = |console: &Console| console.words().contains(report);
    assert!(whole(&console), "{}", console.screen());
    // Neither keys nor what they have to say take it away, and the cursor stays in sight.
    for key in ["x", "G", "a", "?", "esc", "k", "2"] {
        console.press(key);
        assert!(whole(&console), "after {key}:\n{}", console.screen());
    }
    console.press("1 esc");
    assert!(!console.screen().contains("1,204 sent"));
}

#[test]
fn a_stopped_job_that_a_service_delivered_says_how_many_were_tried_and_held() {
    let mut console = Console::open(Memory::of(100));
    console.press("3 a r y x");
    let outcome = Outcome {
        affected: Affected {
            by_status: [0, 60, 0, 0],
            ..Affected::default()
        },
        tally: None,
        held: 15,
        left: 5,
        taken: 0,
        waiting: Some("5 still waiting".to_owned()),
    };
    console.job(1, JobNews::Finished(Ok(outcome)));
    let report = "resend stopped: 40 tried by the service, 15 held (is:held shows them)";
    assert!(console.screen().contains(report), "{}", console.screen());
}

#[test]
fn a_report_says_what_was_not_tried_since_something_else_was_done_to_it_meanwhile() {
    let mut console = Console::open(Memory::of(100));
    console.press("3 a r y");
    let outcome = Outcome {
        affected: Affected {
            by_status: [0, 60, 0, 0],
            changed: 2,
            ..Affected::default()
        },
        tally: None,
        held: 0,
        left: 0,
        taken: 48,
        waiting: None,
    };
    console.job(1, JobNews::Finished(Ok(outcome)));
    let report = "resend: 12 tried by the service, 48 not tried by this resend: held, cancelled, deleted or resent by others, \
                  2 left alone, changed meanwhile";
    assert!(console.words().contains(report), "{}", console.screen());
}

#[test]
fn a_job_that_fails_says_why() {
    let mut console = Console::open(Memory::of(100));
    console
        .press("r y")
        .job(1, JobNews::Finished(Err("the disk is full".to_owned())));
    assert!(console.footer().contains("resend failed: the disk is full"));
}

#[test]
fn quitting_names_what_still_runs() {
    let mut console = Console::open(Memory::of(100));
    console
        .press("r y")
        .job(1, JobNews::Delivered { done: 0, total: 1 })
        .press("q");
    assert!(matches!(
        console.state.overlay,
        Some(Overlay::Confirm(Confirm::Quit))
    ));
    assert!(
        console.screen().contains("resend is running: 0 of 1 done"),
        "{}",
        console.screen()
    );
    console.press("n");
    assert!(!console.effects.contains(&Effect::Quit));
    console.press("q y");
    assert_eq!(console.effects.last(), Some(&Effect::Quit));
    let mut idle = Console::open(Memory::of(3));
    idle.press("q");
    assert_eq!(idle.effects, [Effect::Quit]);
}

#[test]
fn read_only_disables_with_the_reason() {
    let setup = Setup {
        read_only: true,
        ..setup()
    };
    let mut console = Console::with(Memory::of(100), setup, "", 120, 30);
    assert!(
        !console.footer().contains("resend"),
        "the footer only shows keys that work"
    );
    console.press("r y esc");
    assert!(console.orders().is_empty());
    assert!(
        console
            .screen()
            .lines()
            .next()
            .unwrap()
            .contains("read-only")
    );
    console.press("r");
    assert!(
        console.footer().contains("this console is read-only"),
        "{}",
        console.footer()
    );
    console.press("? G");
    console.press("g");
    assert!(
        console.screen().contains("Not now: this console is"),
        "{}",
        console.screen()
    );
}

#[test]
fn ctrl_z_suspends_also_while_a_job_runs() {
    let mut console = Console::open(Memory::of(10));
    console.press("ctrl-z");
    assert_eq!(console.effects, [Effect::Suspend]);
    console.press("r y");
    assert_eq!(console.orders().len(), 1);
    console.press("ctrl-z");
    assert_eq!(console.effects.last(), Some(&Effect::Suspend));
}

#[test]
fn ctrl_z_suspends_wherever_no_text_is_written_and_leaves_open_what_is_open() {
    for keys in ["r", "a r", "3 enter y", "f", "C", "?", "o", "c"] {
        let mut console = Console::open(Memory::of(1234));
        console.press(keys);
        let (place, overlay) = (
            console.state.place(),
            format!("{:?}", console.state.overlay),
        );
        console.press("ctrl-z");
        assert_eq!(console.effects, [Effect::Suspend], "{keys}");
        console.event(Event::Resumed);
        assert_eq!(console.state.place(), place, "{keys}");
        assert_eq!(format!("{:?}", console.state.overlay), overlay, "{keys}");
    }
}

#[test]
fn nothing_is_offered_for_a_receiver_that_is_read_and_was_deleted_meanwhile() {
    for (width, height) in [(80, 24), (120, 40)] {
        let mut console = Console::sized(Memory::of(100), width, height);
        console.press("3 enter");
        assert!(
            console.footer().contains("r resend"),
            "{}",
            console.footer()
        );
        console.store.remove(96);
        console.tick();
        assert!(
            console.screen().contains("no longer in the store"),
            "{}",
            console.screen()
        );
        assert!(!console.footer().contains("resend"), "{}", console.footer());
        console.press("r");
        assert!(console.state.overlay.is_none());
        assert_eq!(
            console.hint(),
            "resend: this receiver is no longer in the store"
        );
        // The marks are another matter.
        console.press("esc down space r");
        assert!(
            console.screen().contains("Resend 1 marked receiver?"),
            "{}",
            console.screen()
        );
    }
}

#[test]
fn every_action_says_what_it_would_touch_and_waits_for_a_yes() {
    for (key, action, words) in [
        ("r", Action::Resend, "Resend 2 marked receivers?"),
        ("H", Action::Hold, "Hold 2 marked receivers?"),
        ("R", Action::Release, "Release 2 marked receivers?"),
        ("X", Action::Cancel, "Cancel 2 marked receivers?"),
        ("M", Action::MarkSent, "Mark as sent 2 marked receivers?"),
        ("D", Action::Delete, "Delete 2 marked receivers?"),
    ] {
        let mut console = Console::open(Memory::of(100));
        console.press("3 space j space").press(key);
        let screen = console.screen();
        for words in [words, "Failed    2", "96 dewey@example.org", "[y/N]"] {
            assert!(screen.contains(words), "{words} in\n{screen}");
        }
        assert_eq!(screen.contains("What is deleted is gone"), key == "D");
        console.press("enter");
        assert!(console.orders().is_empty(), "the answer defaults to no");
        console.press(key).press("y");
        assert_eq!(console.orders()[0].action, action);
        let setup = Setup {
            read_only: true,
            ..setup()
        };
        let mut looking = Console::with(Memory::of(100), setup, "", 80, 24);
        looking.press(key);
        assert!(looking.hint().contains("read-only"), "{}", looking.hint());
        looking.press("y");
        assert!(looking.orders().is_empty());
    }
}

#[test]
fn above_a_thousand_the_number_is_to_be_typed_before_a_y_is_taken() {
    let mut console = Console::open(Memory::of(1234));
    console.press("a r y");
    assert!(console.orders().is_empty());
    assert!(console.screen().contains("Type 1234, then y: ____ [y/N]"));
    console.press("1 2 3 y 5 y");
    assert!(console.orders().is_empty(), "1235 is another number");
    console.press("backspace 4 y");
    assert_eq!(console.orders().len(), 1);
    let mut few = Console::open(Memory::of(1000));
    few.press("a r y");
    assert_eq!(few.orders().len(), 1);
}

#[test]
fn a_question_says_how_many_marks_are_hidden_before_it_takes_a_yes() {
    let mut console = Console::open(Memory::of(100));
    console.press("3 space j space 4 j");
    console.hold();
    console.store.version += 1;
    console.press("space r");
    // What the action would touch is known before how many of the marks are hidden.
    let affected = |ask: &Ask| ask.question.sort() == crate::console::question::Sort::Affected;
    let at = console.asked.iter().position(affected).unwrap();
    let ask = console.asked.remove(at).unwrap();
    let answer = console.store.answer(&ask.question);
    console.state.mark_counts = None;
    console.event(Event::Answer(ask, answer));
    console.press("y");
    assert!(console.orders().is_empty());
    assert!(
        console.screen().contains("counting…"),
        "{}",
        console.screen()
    );
    console.release();
    assert!(
        console.screen().contains("2 of the marks are hidden"),
        "{}",
        console.screen()
    );
    console.press("y");
    assert_eq!(console.orders().len(), 1);
}

#[test]
fn a_question_says_that_an_engine_lets_go_of_what_it_was_about_to_send() {
    let mut store = Memory::of(100);
    store.receivers.get_mut(&100).unwrap().row.sending = true;
    let mut console = Console::open(store);
    console.press("H");
    assert!(
        console
            .screen()
            .contains("1 receiver about to be sent by an engine"),
        "{}",
        console.screen()
    );
}

#[test]
fn who_reads_of_one_receiver_is_told_when_the_marks_are_meant_and_not_that_one() {
    for (width, height) in [(200, 60), (80, 24), (40, 10)] {
        let mut console = Console::sized(Memory::of(100), width, height);
        console.press("3 enter r");
        let asked = console.words();
        assert!(
            asked.contains("Resend receiver 96") && !asked.contains("reading"),
            "{asked}"
        );
        // Another one is marked.
        console.press("n esc space j enter r");
        let asked = console.words();
        assert!(
            asked.contains("Resend 1 marked receiver?"),
            "{}",
            console.screen()
        );
        assert!(
            asked.contains("Not 92, which you are reading: it is not marked"),
            "{}",
            console.screen()
        );
        // And this one too.
        console.press("n esc space enter H");
        let asked = console.words();
        assert!(
            asked.contains("Hold 2 marked receivers?"),
            "{}",
            console.screen()
        );
        assert!(
            asked.contains("92, which you are reading, is one of the marked"),
            "{}",
            console.screen()
        );
        assert!(asked.contains("[y/N]"), "{}", console.screen());
        // In the table nobody reads of one alone.
        console.press("n esc r");
        assert!(!console.words().contains("reading"), "{}", console.screen());
    }
}
