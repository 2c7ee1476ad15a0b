//! The order of the rows, the columns, the bar beside them, and the way to a number.

use super::*;
use crate::{
    console::{column::Column, state::Overlay},
    message::State as Of,
    store::{By, Sort},
};

fn statuses(console: &Console) -> Vec<&'static str> {
    let rows = console.state.table.rows.iter();
    rows.map(|row| row.state.status().name()).collect()
}

#[test]
fn every_order_that_an_index_gives_is_a_key_away_and_the_head_shows_it() {
    let mut console = Console::sized(Memory::of(100), 200, 60);
    let head = |console: &Console| console.screen().lines().nth(3).unwrap().to_owned();
    for (by, shown) in [
        (By::Created, "Created▼"),
        (By::Sent, "Sent▼"),
        (By::Type, "Type▲"),
        (By::Status, "Status▲"),
    ] {
        console.press("s");
        assert_eq!(console.state.table.sort, Sort::from(by));
        assert!(head(&console).contains(shown), "{}", head(&console));
    }
    assert!(statuses(&console).starts_with(&["not_sent"; 4]));
    console.press("S g");
    assert!(head(&console).contains("Status▼"));
    assert!(statuses(&console).starts_with(&["sent"; 4]));
    console.press("S s g");
    assert_eq!(console.shown()[..3], [100, 99, 98]);
}

#[test]
fn the_cursor_stays_with_its_receiver_when_the_order_changes() {
    let mut console = Console::open(Memory::of(100));
    console.press("j j j j s s s s");
    assert_eq!(console.cursor(), Some(96));
    assert!(console.shown().contains(&96));
}

#[test]
fn a_row_that_would_stand_elsewhere_stays_until_the_cursor_leaves_it() {
    let mut console = Console::open(Memory::of(100));
    console.press("s s s s g j");
    assert_eq!(console.cursor(), Some(75), "the second that is not sent");
    let before = console.shown();
    console.store.set(75, Of::Accepted);
    console.tick();
    assert_eq!((console.cursor(), console.shown()), (Some(75), before));
    assert!(
        console.screen().contains("(moved elsewhere)"),
        "{}",
        console.screen()
    );
    console.press("a");
    assert!(console.marked().contains(&75), "it matches all the same");
    console.press("U k");
    assert!(!console.shown().contains(&75), "{:?}", console.shown());
    console.press("# 7 5 enter");
    assert_eq!(console.cursor(), Some(75));
}

#[test]
fn a_range_follows_the_order_of_the_rows() {
    let mut console = Console::open(Memory::of(100));
    console.press("s s s s g v j j j j v");
    assert_eq!(console.marked(), [100, 75, 50, 25, 96]);
    let mut far = Console::open(Memory::of(1000));
    far.press("s s s s S g v G v");
    assert_eq!(far.state.marked().map(|marked| marked.total), Some(1000));
}

#[test]
fn the_way_to_a_number_ends_at_its_receiver_or_says_that_it_is_not_shown() {
    let mut console = Console::open(Memory::of(5000));
    console.press("# 1 2 3 4 enter");
    assert_eq!(console.cursor(), Some(1234));
    console.press("3 # 1 2 3 3 enter");
    assert_eq!(
        console.hint(),
        "1233 is not among what matches; 1 shows all"
    );
    assert_ne!(console.cursor(), Some(1233));
    console.press("1 # 9 9 9 9 9 enter");
    assert_eq!(console.hint(), "there is no receiver 99999");
    let before = console.cursor();
    console.press("# x enter");
    assert!(console.hint().contains("a whole number"));
    console.press("# esc");
    assert_eq!(console.cursor(), before);
}

#[test]
fn the_bar_touches_an_end_only_where_the_rows_do() {
    let mut console = Console::open(Memory::of(100_000));
    let bar = |console: &Console| -> Vec<usize> {
        let screen = console.screen();
        let rows = screen.lines().skip(4).take(console.state.table_rows());
        let thumb = rows.enumerate().filter(|(_, line)| line.ends_with('█'));
        thumb.map(|(line, _)| line).collect()
    };
    let last = console.state.table_rows() - 1;
    assert_eq!(bar(&console), [0]);
    console.press("pgdn pgdn");
    assert_eq!(bar(&console), [1]);
    console.press("# 5 0 0 0 0 enter");
    let middle = bar(&console);
    assert!(
        middle[0] > last / 3 && middle[0] < last * 2 / 3,
        "{middle:?}"
    );
    console.press("G");
    assert_eq!(bar(&console), [last]);
    console.press("k pgup pgup");
    assert_eq!(bar(&console), [last - 1]);
    let few = Console::open(Memory::of(5));
    assert!(bar(&few).is_empty(), "all of it is in sight");
}

#[test]
fn columns_are_hidden_moved_and_sized_and_that_is_kept() {
    let mut console = Console::sized(Memory::of(100), 200, 60);
    let head = |console: &Console| console.screen().lines().nth(3).unwrap().to_owned();
    // Created goes, To comes before User, and the subject gets wider.
    console.press("C j space j j K j j > > > esc");
    let words = head(&console);
    let at = |word: &str| {
        words
            .find(word)
            .unwrap_or_else(|| panic!("{word} in {words}"))
    };
    assert!(!words.contains("Created"));
    assert!(at("To ") < at("User"));
    assert!(at("Failed") - at("Subject") > 20, "{words}");
    let Some(Change::Columns(kept)) = console.kept().last().copied().cloned() else {
        panic!("nothing is kept");
    };
    let mut again = Console::sized(Memory::of(100), 200, 60);
    again.state.columns = crate::console::state::Columns::from_kept(&kept);
    assert_eq!(head(&again), words);
    console.press("C 0 esc");
    assert!(head(&console).contains("Created"));
}

#[test]
fn the_order_of_the_rows_is_there_at_the_next_start() {
    let mut console = Console::open(Memory::of(100));
    console.press("s s S");
    let mut kept = crate::console::kept::Kept::default();
    for change in console.kept() {
        kept.take(change.clone());
    }
    let mut state = State::new(setup(), Size::new(80, 24), now());
    state.recall(kept);
    let mut again = Console::of(Memory::of(100), state, "");
    let by = By::Sent;
    assert_eq!(again.state.table.sort, Sort { by, reversed: true });
    let before = console.press("g").shown();
    assert_eq!(again.press("g").shown(), before);
}

#[test]
fn what_a_row_cannot_do_without_always_shows() {
    let mut console = Console::open(Memory::of(100));
    console.press("C space");
    assert_eq!(console.hint(), "ID, To, Subject and Status always show");
    // However wide the others are made.
    for _ in 0..Column::ALL.len() {
        for _ in 0..40 {
            console.press(">");
        }
        console.press("j");
    }
    console.press("esc");
    let screen = console.screen();
    let head = screen.lines().nth(3).unwrap();
    for column in ["ID", "To", "Subject", "Status"] {
        assert!(head.contains(column), "{column} in {head}");
    }
}

#[test]
fn an_order_without_an_index_is_refused_with_the_reason() {
    let mut console = Console::open(Memory::of(100));
    console.press("C j j s");
    assert!(
        console.hint().contains("no index gives the order of User"),
        "{}",
        console.hint()
    );
    assert_eq!(console.state.table.sort, Sort::default());
    console.press("k s s");
    assert_eq!(
        console.state.table.sort,
        Sort {
            by: By::Created,
            reversed: true
        }
    );
    assert!(matches!(console.state.overlay, Some(Overlay::Columns(1))));
}

#[test]
fn the_command_for_this_view_has_its_order_too() {
    let mut console = Console::open(Memory::of(100));
    console.press("3 s S y c");
    let command = "postroom list --sort created:asc 'status:failed'";
    assert_eq!(
        console.effects.last(),
        Some(&Effect::Copy(command.to_owned()))
    );
}
