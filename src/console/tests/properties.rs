//! What holds whatever happens.

use proptest::prelude::*;

use super::*;
use crate::message::State as Of;

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
            prop_assert!(rows.windows(2).all(|two| two[0].id > two[1].id));
            if let Some(cursor) = console.cursor() {
                prop_assert!(console.shown().contains(&cursor), "{cursor} in {:?}", console.shown());
            }
            let _ = console.buffer();
        }
    }

    #[test]
    fn an_order_names_nobody_but_the_marked_or_the_row_under_the_cursor(keys in keys()) {
        let mut console = Console::open(Memory::of(150));
        for key in keys {
            let target = console.state.target();
            let orders = console.orders().len();
            console.press(key);
            if console.orders().len() > orders {
                prop_assert_eq!(Some(&console.orders()[orders].target), target.as_ref());
            }
        }
    }
}
