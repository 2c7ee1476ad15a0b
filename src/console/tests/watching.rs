//! A store that changes, does not, or cannot be read.

use super::*;
use crate::{
    console::question::{Sort, Unserved},
    message::State as Of,
    store::{BackendState, Count},
};

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
    assert!(console.screen().contains("disk I/O error"));
    console.press("j k G g 3 space r y enter tab");
    console.store.broken = None;
    console.tick();
    console.tick();
    assert!(
        !console.screen().contains("disk I/O error"),
        "{}",
        console.screen()
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
fn a_query_that_the_store_cannot_answer_shows_the_error_in_full_and_no_rows_of_another_one() {
    let mut console = Console::open(Memory::of(100));
    let why = "the store cannot be read: database disk image is malformed (page 1204 of the index over failures); `postroom check` looks at it";
    console.store.unreadable = Some(why.to_owned());
    console.press("3");
    let screen = console.screen();
    assert!(console.words().contains(why), "{screen}");
    assert!(!screen.contains("@example"), "no old row: {screen}");
    assert!(!screen.contains("match"), "{screen}");
    for (key, hint) in [("a", "all"), ("space", "mark"), ("r", "resend")] {
        console.press(key);
        let reason = format!("{hint}: the rows could not be read");
        assert!(console.footer().contains(&reason), "{}", console.footer());
    }
    assert!(console.state.marks.is_empty() && console.orders().is_empty());
    console.store.unreadable = None;
    console.tick();
    assert_eq!(console.shown().first(), Some(&96));
    assert!(!console.screen().contains("malformed"));
}

#[test]
fn rows_that_could_not_be_read_again_stay_since_they_belong_to_the_query() {
    let mut console = Console::open(Memory::of(100));
    console.store.unreadable = Some("disk I/O error".to_owned());
    console.store.version += 1;
    console.tick();
    assert_eq!(console.shown().first(), Some(&100));
    assert!(console.footer().contains("disk I/O error"));
}

#[test]
fn receivers_that_are_due_while_nobody_delivers_are_told_in_the_first_line() {
    for (width, height) in [(40, 10), (80, 24), (200, 60)] {
        let mut console = Console::sized(Memory::of(100), width, height);
        let first = |console: &Console| console.screen().lines().next().unwrap().to_owned();
        console.store.unserved = Some(Unserved {
            since: now() - chrono::TimeDelta::seconds(55),
            due: Count::Exact(12),
        });
        let later = |seconds| Event::Tick(now() + chrono::TimeDelta::seconds(seconds));
        console.event(later(1));
        assert!(!first(&console).contains("nobody delivers"));
        console.event(later(11));
        let line = first(&console);
        assert!(line.contains("12 due, nobody delivers"), "{line}");
        // An engine that begins, and one that ends, need not change the store.
        console.store.unserved = None;
        console.event(later(22));
        assert!(!first(&console).contains("nobody delivers"));
    }
}

#[test]
fn a_count_that_does_not_fit_the_rows_is_not_shown_beside_them() {
    let mut console = Console::open(Memory::of(2000));
    console.press("3");
    let rows = console.state.table.rows.len();
    assert!(
        console.screen().contains("400 match"),
        "{}",
        console.screen()
    );
    console.hold();
    for id in 1..=2000 {
        console.store.set(id, Of::Accepted);
    }
    console.tick();
    // The version first; then of all that is asked the count is answered before the rows are.
    for sort in [Sort::Version, Sort::Count] {
        let index = console
            .asked
            .iter()
            .position(|ask| ask.question.sort() == sort);
        let ask = console.asked.remove(index.unwrap()).unwrap();
        let answer = console.store.answer(&ask.question);
        console.event(Event::Answer(ask, answer));
    }
    assert_eq!(console.state.table.rows.len(), rows);
    assert!(
        !console.screen().contains(" 0 match"),
        "{}",
        console.screen()
    );
    console.release();
    assert!(
        console.screen().contains(" 0 match"),
        "{}",
        console.screen()
    );
    assert!(console.state.table.rows.len() <= 1);
}

#[test]
fn the_first_line_says_that_the_store_is_a_backup_and_why_it_sends_nothing() {
    let paused = |error: &str| {
        let mut memory = Memory::of(10);
        for backend in &mut memory.backends {
            backend.state = BackendState::Paused;
            backend.error = error.into();
        }
        memory
    };
    let why = "a backup made at 2026-11-22T06:00:00Z; what went out since then would go out again";
    let first = |memory, width| {
        let console = Console::sized(memory, width, 24);
        console.screen().lines().next().unwrap().to_owned()
    };
    let wide = first(paused(why), 300);
    assert!(wide.contains(&format!("waiting: {why}")), "{wide}");
    let narrow = first(paused(why), 100);
    assert!(narrow.contains("paused (a backup)"), "{narrow}");
    let by_anna = first(paused("paused by anna"), 100);
    assert!(!by_anna.contains("backup"), "{by_anna}");
}
