//! What an operator does, and what must come of it.

use super::*;
use crate::{
    console::{
        effect::Outcome,
        layout::Focus,
        state::{Confirm, MarkCounts, Overlay},
    },
    delivery::Tally,
    message::State as Of,
    query::Query,
    store::{Action, Affected, Target},
};

fn query(text: &str) -> Query {
    Zone::Local.read(text, now()).unwrap()
}

#[test]
fn one_key_shows_what_failed_and_one_shows_everything_again() {
    let mut console = Console::open(Memory::of(100));
    assert_eq!(console.cursor(), Some(100));
    console.press("3");
    assert_eq!(console.state.table.asked.text, "status:failed");
    assert_eq!(console.shown()[..3], [96, 92, 88]);
    console.press("1");
    assert_eq!(console.state.table.asked.text, "");
    assert_eq!(
        console.state.table.count,
        Some(crate::store::Count::Exact(100))
    );
}

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

#[test]
fn a_status_key_leaves_a_slow_query_at_once() {
    let mut console = Console::open(Memory::of(100));
    console.hold();
    console
        .press("/")
        .type_in("assignment")
        .press("enter j j 4");
    console.release();
    assert_eq!(console.state.table.asked.text, "status:error");
    assert_eq!(
        console.cursor(),
        Some(90),
        "the keys for the other rows are forgotten"
    );
}

#[test]
fn typing_replaces_the_query_and_an_arrow_edits_it() {
    let mut console = Console::open(Memory::of(100));
    console.press("3 /").type_in("type:feedback").press("enter");
    assert_eq!(console.state.table.asked.text, "type:feedback");
    console
        .press("/ end")
        .type_in(" status:failed")
        .press("enter");
    assert_eq!(
        console.state.table.asked.text,
        "type:feedback status:failed"
    );
    console.press("/").type_in("nobody").press("esc");
    assert_eq!(
        console.state.table.asked.text, "type:feedback status:failed",
        "esc leaves it as it was"
    );
}

#[test]
fn letters_in_the_query_line_are_letters() {
    let mut console = Console::open(Memory::of(100));
    console.press("/").type_in("qrx1 ?v/a").press("enter");
    assert!(console.effects.is_empty());
    assert_eq!(console.state.table.asked.text, "qrx1 ?v/a");
    assert!(console.state.marks.is_empty());
}

#[test]
fn a_query_that_cannot_be_read_points_at_the_place_and_changes_nothing() {
    let mut console = Console::open(Memory::of(100));
    console
        .press("/")
        .type_in("type:comment status:fialed")
        .press("enter");
    let screen = console.screen();
    assert_eq!(console.state.table.asked.text, "");
    assert!(
        screen.contains("fialed` is no value of `status`"),
        "{screen}"
    );
    let lines: Vec<&str> = screen.lines().collect();
    assert_eq!(
        lines[2].find("status:fialed").map(|at| at + 7),
        lines[3].find('^'),
        "{screen}"
    );
    console.press("backspace");
    assert!(
        !console.screen().contains('^'),
        "editing takes the complaint away"
    );
}

#[test]
fn pasted_text_goes_into_the_query_line_and_nowhere_else() {
    let mut console = Console::open(Memory::of(100));
    console.event(Event::Paste("ary\nq".to_owned()));
    assert!(console.effects.is_empty() && console.state.marks.is_empty());
    assert!(console.footer().contains("pasted text"));
    console.press("/");
    console.event(Event::Paste("type:feedback\r\n".to_owned()));
    console.press("enter");
    assert_eq!(console.state.table.asked.text, "type:feedback");
}

#[test]
fn resending_the_cursors_row_takes_two_keys() {
    let mut console = Console::open(Memory::of(100));
    console.press("3 r");
    assert!(
        console.screen().contains("Resend 96 to"),
        "{}",
        console.screen()
    );
    console.press("y");
    let order = Order {
        action: Action::Resend,
        target: Target::Ids(ids(&[96])),
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
fn marks_survive_filters_and_hidden_ones_are_counted_in_sight() {
    let mut console = Console::open(Memory::of(100));
    console.press("3 space j space 4 j space");
    assert_eq!(
        console.state.marked(),
        Some(MarkCounts {
            total: 3,
            hidden: 2
        })
    );
    assert!(
        console.screen().contains("marked 3 (2 hidden)"),
        "{}",
        console.screen()
    );
    console.press("r");
    assert!(
        console.screen().contains("2 of the marks are hidden"),
        "{}",
        console.screen()
    );
    console.press("n 1");
    assert_eq!(console.marked(), [96, 92, 80]);
    assert!(
        console.screen().contains("marked 3\n"),
        "{}",
        console.screen()
    );
}

#[test]
fn a_range_marks_what_lies_between_its_ends() {
    let mut console = Console::open(Memory::of(100));
    console.press("j v j j");
    assert_eq!(console.screen().matches('○').count(), 3);
    assert!(console.state.marks.is_empty());
    console.press("v");
    assert_eq!(console.marked(), [99, 98, 97]);
    console.press("v j esc");
    assert_eq!(console.marked(), [99, 98, 97], "esc gives a range up");
}

#[test]
fn a_range_may_be_longer_than_what_is_on_hand() {
    let mut console = Console::open(Memory::of(2000));
    console.press("v G v");
    assert_eq!(
        console.state.marked().map(|marked| marked.total),
        Some(2000)
    );
    console.press("u");
    assert!(console.state.marks.is_empty());
}

#[test]
fn a_range_that_is_open_is_what_resend_means() {
    let mut console = Console::open(Memory::of(100));
    console.press("v j r y");
    assert_eq!(console.orders()[0].target, Target::Ids(ids(&[99, 100])));
}

#[test]
fn all_that_match_are_marked_as_a_query_and_single_ones_taken_out() {
    let mut console = Console::open(Memory::of(100));
    console.press("3 a j space");
    assert_eq!(
        console.state.marked(),
        Some(MarkCounts {
            total: 19,
            hidden: 0
        })
    );
    console.press("1");
    let failed = |id: &i64| id % 4 == 0 && id % 10 != 0 && id % 25 != 0 && *id != 92;
    assert!(
        console.marked().len() > 10 && console.marked().iter().all(failed),
        "rows of the query are marked under another one, too"
    );
    assert!(!console.marked().contains(&92));
    console.press("r y");
    assert_eq!(
        console.orders()[0].target,
        Target::Except(query("status:failed"), ids(&[92]))
    );
    assert!(
        console.state.marks.is_empty(),
        "marks are gone once their receivers are on their way"
    );
}

#[test]
fn all_marked_twice_is_none_marked() {
    let mut console = Console::open(Memory::of(100));
    console.press("a a");
    assert!(console.state.marks.is_empty());
}

#[test]
fn marks_that_would_be_lost_are_told() {
    let mut console = Console::open(Memory::of(100));
    console.press("3 space 4 a");
    assert!(
        console.footer().contains("1 mark on others taken away"),
        "{}",
        console.footer()
    );
}

#[test]
fn a_row_outside_a_query_of_marks_cannot_be_marked_silently() {
    let mut console = Console::open(Memory::of(100));
    console.press("3 a 4 space");
    assert!(console.marked().is_empty());
    assert!(
        console.footer().contains("u unmarks them"),
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
        waiting: None,
    };
    console.job(1, JobNews::Finished(Ok(outcome)));
    assert!(
        console.footer().contains("5 sent, stopped with 15 held"),
        "{}",
        console.footer()
    );
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
    console.press("r y");
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
fn why_this_one_failed_is_one_key_away() {
    let mut console = Console::open(Memory::of(100));
    console.press("3 enter");
    assert!(console.screen().contains("451 4.7.1 greylisted"));
    assert!(console.screen().contains("Caused by:"));
    console.press("tab");
    assert!(console.screen().contains("S: 250 2.1.0 ok"));
    console.press("tab tab tab");
    assert!(console.screen().contains("Devilry <no-reply@uni.example>"));
    console.press("shift-tab esc");
    assert_eq!(console.state.focus, Focus::Table);
    assert_eq!(console.cursor(), Some(96));
}

#[test]
fn the_next_receiver_is_a_key_away_from_an_open_one() {
    let mut console = Console::open(Memory::of(100));
    console.press("3 enter J");
    assert_eq!(console.cursor(), Some(92));
    assert!(console.screen().contains("── 92 ·"), "{}", console.screen());
}

#[test]
fn attempts_are_gone_through_one_by_one_and_a_new_one_does_not_push_the_read_one_away() {
    let mut memory = Memory::of(100);
    memory::try_again(&mut memory, 96);
    let mut console = Console::open(memory);
    console.press("3 enter");
    assert!(console.screen().contains("attempt 2 of 2"));
    console.press("[");
    assert!(console.screen().contains("attempt 1 of 2"));
    console.press("] ]");
    assert!(console.footer().contains("this is the latest attempt"));
    memory::try_again(&mut console.store, 96);
    console.tick();
    assert!(
        console.screen().contains("attempt 2 of 3"),
        "{}",
        console.screen()
    );
}

#[test]
fn a_receiver_that_is_deleted_meanwhile_is_told() {
    let mut console = Console::sized(Memory::of(100), 160, 40);
    console.press("j");
    console.store.remove(99);
    console.tick();
    assert_eq!(console.cursor(), Some(99));
    assert!(
        console.screen().contains("no longer in the store"),
        "{}",
        console.screen()
    );
}

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

#[test]
fn a_count_is_vague_until_it_is_exact() {
    let mut console = Console::open(Memory::of(12_000));
    console.hold();
    console.press("/").type_in("example").press("enter");
    while console.state.table.count.is_none() {
        let ask = console.asked.pop_front().unwrap();
        let answer = console.store.answer(&ask.question);
        console.event(Event::Answer(ask, answer));
    }
    assert!(
        console.screen().contains("≥ 10,000 match"),
        "{}",
        console.screen()
    );
    console.release();
    assert!(
        console.screen().contains(" 12,000 match"),
        "{}",
        console.screen()
    );
}

#[test]
fn suspending_is_refused_while_a_job_runs() {
    let mut console = Console::open(Memory::of(10));
    console.press("ctrl-z");
    assert_eq!(console.effects, [Effect::Suspend]);
    console.press("r y ctrl-z");
    assert!(
        console.footer().contains("a job is running"),
        "{}",
        console.footer()
    );
}

#[test]
fn the_first_query_that_cannot_be_read_opens_the_query_line_on_it() {
    let console = Console::with(Memory::of(10), setup(), "statsu:failed", 80, 24);
    assert!(matches!(&console.state.overlay, Some(Overlay::Query(line)) if line.error.is_some()));
    assert_eq!(console.cursor(), Some(10), "everything is shown meanwhile");
}

#[test]
fn the_help_names_every_key_of_the_place_it_was_opened_in() {
    let mut console = Console::sized(Memory::of(10), 100, 100);
    console.press("?");
    let screen = console.screen();
    for entry in crate::console::action::in_place(crate::console::action::Place::Table) {
        assert!(
            screen.contains(&entry.keys()),
            "{} in\n{screen}",
            entry.keys()
        );
    }
    console.press("?");
    assert!(console.state.overlay.is_none());
}
