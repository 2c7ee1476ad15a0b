//! Which keys mean what: the table of actions, as the config changes it.

use std::{
    collections::{BTreeMap, HashMap},
    str::FromStr,
};

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::action::{Command, Entry, Key, Place, TABLE, in_place};
use crate::{config::Keys, suggest::did_you_mean};

/// What closes something, or ends the console: with none of its keys left nobody would get out.
const WAYS_OUT: [Command; 7] = [
    Command::Quit,
    Command::Leave,
    Command::No,
    Command::CloseHelp,
    Command::Drop,
    Command::LeaveCopying,
    Command::ClosePalette,
];

/// The names of keys that are no letters.
const NAMED: [(&str, KeyCode); 19] = [
    ("space", KeyCode::Char(' ')),
    ("enter", KeyCode::Enter),
    ("esc", KeyCode::Esc),
    ("tab", KeyCode::Tab),
    ("up", KeyCode::Up),
    ("down", KeyCode::Down),
    ("left", KeyCode::Left),
    ("right", KeyCode::Right),
    ("pgup", KeyCode::PageUp),
    ("pgdn", KeyCode::PageDown),
    ("home", KeyCode::Home),
    ("end", KeyCode::End),
    ("backspace", KeyCode::Backspace),
    ("delete", KeyCode::Delete),
    ("insert", KeyCode::Insert),
    // As the help writes them.
    ("↑", KeyCode::Up),
    ("↓", KeyCode::Down),
    ("←", KeyCode::Left),
    ("→", KeyCode::Right),
];

impl FromStr for Key {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is no key; write a letter, `ctrl-` or `alt-` before one, `f1` to `f12`, or one of space, enter, esc, tab, shift-tab, up, down, left, right, pgup, pgdn, home, end, backspace, delete, insert"
            )
        };
        let mut modifiers = KeyModifiers::NONE;
        let mut name = text;
        for (prefix, modifier) in [
            ("ctrl-", KeyModifiers::CONTROL),
            ("alt-", KeyModifiers::ALT),
            ("shift-", KeyModifiers::SHIFT),
        ] {
            if let Some(rest) = name.strip_prefix(prefix).filter(|rest| !rest.is_empty()) {
                modifiers |= modifier;
                name = rest;
            }
        }
        let named = NAMED.iter().find(|(known, _)| *known == name);
        let function = || {
            let number = name.strip_prefix('f')?.parse().ok()?;
            (1..=12).contains(&number).then_some(KeyCode::F(number))
        };
        let letter = || {
            let mut letters = name.chars();
            match (letters.next(), letters.next()) {
                (Some(letter), None) if !letter.is_control() && !letter.is_whitespace() => {
                    Some(KeyCode::Char(letter))
                }
                _ => None,
            }
        };
        let code = named
            .map(|(_, code)| *code)
            .or_else(function)
            .or_else(letter)
            .ok_or_else(wrong)?;
        match (code, modifiers.contains(KeyModifiers::SHIFT)) {
            (KeyCode::Tab, true) => Ok(Self::of(KeyCode::BackTab)),
            // Shift is part of a letter: `R`, not `shift-r`.
            (KeyCode::Char(_), true) => Err(wrong()),
            // A terminal sends a letter with Ctrl as the small one.
            (KeyCode::Char(letter), false) if modifiers.contains(KeyModifiers::CONTROL) => {
                Ok(Self {
                    code: KeyCode::Char(letter.to_ascii_lowercase()),
                    modifiers,
                })
            }
            _ => Ok(Self { code, modifiers }),
        }
    }
}

/// The keys of every action: the table's, but where the config names others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keymap {
    changed: HashMap<Command, Vec<Key>>,
}

impl Keymap {
    /// Reads `[keys]`. `Err` names the action or the key, and the way out.
    pub fn read(config: &BTreeMap<String, Keys>) -> Result<Self, String> {
        let mut keymap = Self::default();
        for (name, Keys(keys)) in config {
            let entry = TABLE
                .iter()
                .find(|entry| entry.name == name)
                .ok_or_else(|| {
                    let known = did_you_mean(name, TABLE.iter().map(|entry| entry.name));
                    format!("there is no action `{name}`{known}; `:` in the console lists them")
                })?;
            let keys = keys
                .iter()
                .map(|key| key.parse())
                .collect::<Result<Vec<Key>, _>>()
                .map_err(|why| format!("{name}: {why}"))?;
            check(entry, &keys)?;
            keymap.changed.insert(entry.command, keys);
        }
        keymap.clash().map_or(Ok(keymap), Err)
    }

    /// What is said of a key that would mean two things in one place.
    fn clash(&self) -> Option<String> {
        for place in Place::ALL {
            let mut taken: HashMap<Key, &Entry> = HashMap::new();
            for entry in in_place(place) {
                for key in self.keys(entry) {
                    if let Some(other) = taken.insert(*key, entry)
                        && other.command != entry.command
                    {
                        let (one, two) = (other.name, entry.name);
                        let place = place.name().to_lowercase();
                        return Some(format!(
                            "{place} `{key}` means both `{one}` and `{two}`: give one of them another key, or none with []"
                        ));
                    }
                }
            }
        }
        None
    }

    /// The keys of an action.
    pub fn keys(&self, entry: &Entry) -> &[Key] {
        let changed = self.changed.get(&entry.command);
        changed.map_or(entry.keys, Vec::as_slice)
    }

    /// What a key means in a place.
    pub fn meaning(&self, place: Place, key: KeyEvent) -> Option<&'static Entry> {
        let key = Key::from(key);
        in_place(place).find(|entry| self.keys(entry).contains(&key))
    }

    /// The keys of an action as people write them: `j ↓`.
    pub fn shown(&self, entry: &Entry) -> String {
        let keys: Vec<String> = self.keys(entry).iter().map(Key::to_string).collect();
        keys.join(" ")
    }

    /// The first of them; `None`: it has no key.
    pub fn first(&self, entry: &Entry) -> Option<String> {
        self.keys(entry).first().map(Key::to_string)
    }

    /// The first key of a command.
    pub fn key(&self, command: Command) -> Option<String> {
        let entry = TABLE.iter().find(|entry| entry.command == command)?;
        self.first(entry)
    }

    /// Words with the keys of the actions that stand in braces there: `{quit} quits` as `q quits`.
    pub fn fill(&self, words: &str) -> String {
        let mut filled = words.to_owned();
        for entry in TABLE {
            let name = format!("{{{}}}", entry.name);
            if filled.contains(&name) {
                let key = self
                    .first(entry)
                    .unwrap_or_else(|| format!("`{}`", entry.name));
                filled = filled.replace(&name, &key);
            }
        }
        filled
    }
}

/// Whether an action may have these keys.
fn check(entry: &Entry, keys: &[Key]) -> Result<(), String> {
    let name = entry.name;
    if entry.command == Command::Yes {
        return Err(format!(
            "`{name}` stays `y`: every question says so, and nothing else confirms"
        ));
    }
    if keys.is_empty() && WAYS_OUT.contains(&entry.command) {
        return Err(format!(
            "`{name}` needs a key: nothing else leads out of there"
        ));
    }
    let written_in = entry.places.iter().any(|place| place.is_written_in());
    let letter = keys.iter().find(|key| {
        let plain = matches!(key.code, KeyCode::Char(_));
        plain && !key.modifiers.contains(KeyModifiers::CONTROL)
    });
    match letter {
        Some(key) if written_in => Err(format!(
            "{name}: `{key}` is a letter where text is written; take one with `ctrl-`"
        )),
        _ => Ok(()),
    }
}
