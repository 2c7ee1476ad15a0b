//! What holds whatever happens.

use proptest::prelude::*;

use super::*;
use crate::{
    console::state::{Confirm, Overlay},
    message::State as Of,
    query::{Predicate, Term},
    store::{Place, Row, Target},
};

/// Something that happens without a key.
#[derive(Clone, Debug)]
enum Happening {
    Tick,
    Add,
    Set(i64, Of),
    Remove(i64),
    Resize(u16, u16),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        Just(Happening::Tick),
        Just(Happening::Add),
        (1..200_i64, 0..14_i64)
            .prop_map(|(id, state)| Happening::Set(id, Of::from_number(state).unwrap())),
        (1..200_i64).prop_map(Happening::Remove),
        (0..220_u16, 0..70_u16).prop_map(|(width, height)| Happening::Resize(width, height)),
    ]
}

fn happen(console: &mut Console, what: &Happening) {
    match what {
        Happening::Tick => {
            console.tick();
        }
        Happening::Add => {
            let id = console
                .store
                .receivers
                .keys()
                .next_back()
                .copied()
                .unwrap_or(0)
                + 1;
            console.store.add(id, Of::FailedTemporary);
        }
        Happening::Set(id, state) => console.store.set(*id, *state),
        Happening::Remove(id) => console.store.remove(*id),
        Happening::Resize(width, height) => {
            console.resize(*width, *height);
        }
    }
}

const KEYS: &[&str] = &[
    "j",
    "k",
    "pgdn",
    "pgup",
    "ctrl-d",
    "ctrl-u",
    "g",
    "G",
    "space",
    "v",
    "a",
    "u",
    "1",
    "2",
    "3",
    "4",
    "5",
    "r",
    "y",
    "n",
    "enter",
    "esc",
    "tab",
    "[",
    "]",
    "J",
    "K",
    "x",
    "/",
    "end",
    "?",
    "ctrl-l",
    "backspace",
    "n",
    "N",
    "w",
    "z",
    "p",
    "s",
    "t",
    "V",
    "right",
    "left",
    "c",
    "o",
    ":",
    "A",
    "i",
    "U",
    "H",
    "R",
    "X",
    "M",
    "D",
    "f",
    "s",
    "S",
    "C",
    "#",
    "down",
    "up",
    ">",
    "=",
];

/// Keys that mark, filter and act.
const ACTING: &[&str] = &[
    "space", "space", "j", "k", "A", "a", "i", "v", "U", "u", "1", "3", "4", "5", "r", "H", "D",
    "y", "y", "y", "n", "pgdn",
];

fn keys() -> impl Strategy<Value = Vec<&'static str>> {
    proptest::collection::vec(proptest::sample::select(KEYS), 0..25)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn without_a_key_the_cursor_never_leaves_its_receiver(
        keys in keys(),
        happenings in proptest::collection::vec(happening(), 1..20),
    ) {
        let mut console = Console::open(Memory::of(150));
        for key in keys {
            console.press(key);
        }
        let before = console.cursor();
        let marks = console.state.marks.clone();
        let orders = console.orders().len();
        for what in &happenings {
            happen(&mut console, what);
            prop_assert!(before.is_none() || console.cursor() == before, "{before:?} became {:?} by {what:?}", console.cursor());
            prop_assert_eq!(&console.state.marks, &marks);
            prop_assert_eq!(console.orders().len(), orders);
        }
    }

    #[test]
    fn the_cursors_row_is_always_on_the_screen_and_the_rows_are_in_order(
        steps in proptest::collection::vec((keys(), happening()), 1..6),
    ) {
        let mut console = Console::open(Memory::of(150));
        for (keys, what) in steps {
            for key in keys {
                console.press(key);
            }
            happen(&mut console, &what);
            console.tick();
            let rows = &console.state.table.rows;
            let sort = console.state.table.sort;
            let ordered = |two: &[Row]| sort.compare(&Place::from(&two[0]), &Place::from(&two[1])).is_lt();
            let cursor = console.cursor();
            // The cursor's row may stand where it stood.
            let rows: Vec<Row> = rows.iter().filter(|row| Some(row.id.0) != cursor).cloned().collect();
            prop_assert!(rows.windows(2).all(ordered));
            let mut ids: Vec<i64> = console.state.table.rows.iter().map(|row| row.id.0).collect();
            ids.sort_unstable();
            prop_assert!(ids.windows(2).all(|two| two[0] != two[1]), "a row is there twice");
            if let Some(cursor) = console.cursor() {
                prop_assert!(console.shown().contains(&cursor), "{cursor} in {:?}", console.shown());
            }
            let _ = console.buffer();
        }
    }

    #[test]
    fn an_order_names_nobody_but_the_marked_the_row_under_the_cursor_or_a_cause_that_was_named(keys in keys()) {
        let mut console = Console::open(Memory::of(150));
        for key in keys {
            let target = match &console.state.overlay {
                // The question was about this cause.
                Some(Overlay::Confirm(Confirm::Order { order, cause: Some(cause), .. })) => {
                    let Target::Query(query) = &order.target else {
                        panic!("{:?}", order.target);
                    };
                    let names_it = |term: &Term| term.predicate == Predicate::Cause(vec![cause.id.0]) && !term.negated;
                    prop_assert!(query.terms.iter().any(names_it), "{query:?}");
                    Some(order.target.clone())
                }
                _ => console.state.target(),
            };
            let orders = console.orders().len();
            console.press(key);
            if console.orders().len() > orders {
                prop_assert_eq!(Some(&console.orders()[orders].target), target.as_ref());
            }
        }
    }

    #[test]
    fn marks_survive_filters_and_orders(keys in keys(), filters in proptest::collection::vec(
        proptest::sample::select(&["1", "2", "3", "4", "5", "s", "S"][..]), 1..6,
    )) {
        let mut console = Console::open(Memory::of(150));
        console.press("space");
        for key in keys {
            console.press(key);
        }
        console.press("esc esc esc esc");
        let marks = console.state.marks.clone();
        for filter in filters {
            console.press(filter);
            prop_assert_eq!(&console.state.marks, &marks);
        }
    }

    #[test]
    fn no_action_touches_an_unmarked_a_hidden_or_a_leased_row_without_saying_so(
        keys in proptest::collection::vec(proptest::sample::select(ACTING), 0..40),
        armed in proptest::collection::vec(1..150_i64, 0..60),
        claimed in proptest::collection::vec(1..150_i64, 0..60),
    ) {
        let mut memory = Memory::of(150);
        for id in claimed {
            if let Some(detail) = memory.receivers.get_mut(&id) {
                detail.row.sending = true;
            }
        }
        memory.armed = armed;
        let mut console = Console::open(memory);
        for key in keys {
            let said = console.words();
            let (orders, shown, marked) = (
                console.orders().len(),
                console.state.table.asked.query.clone(),
                console.state.marks.clone(),
            );
            let gone = console.state.table.gone;
            console.press(key);
            let Some(order) = console.orders().get(orders).map(|order| (*order).clone()) else {
                continue;
            };
            if let Some(target) = marked.target() {
                prop_assert_eq!(&order.target, &target);
            }
            let rows = console.store.targeted(&order.target);
            let hidden = rows.iter().filter(|row| !memory::matches(&shown, row) && gone != Some(row.id)).count();
            let is_armed = |row: &&&Row| console.store.armed.contains(&row.id.0);
            let armed = rows.iter().filter(is_armed).count();
            let claimed = rows.iter().filter(|row| row.sending && !is_armed(row)).count();
            for (many, words) in [
                (hidden, "of the marks are hidden by the query"),
                (armed, "being sent right now, left alone"),
                (claimed, "about to be sent by an engine"),
            ] {
                let is_said = said.contains(words);
                prop_assert_eq!(is_said, many > 0, "{} {} in\n{}", many, words, said);
            }
        }
    }
}
