//! The README says what is so: its keys, tables, commands, messages and test names are compared with the program.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{collections::BTreeSet, fs, path::Path};

use chrono::{TimeZone as _, Utc};
use postroom::{
    config::Config,
    console::{
        action::{self, Place},
        keymap::Keymap,
        state::{Help, Overlay, Setup as Console, State as ConsoleState},
        theme::Theme,
        view::view,
    },
    message::{DisplayText, State},
    query::{Context, FIELDS, Query},
};
use ratatui::{Terminal, backend::TestBackend, layout::Size};
use serde_json::Value;
use support::{Postroom, Setup};

const README: &str = include_str!("../README.md");

/// What stands under a heading, up to the next one.
fn chapter(heading: &str) -> &'static str {
    let (_, rest) = README
        .split_once(&format!("\n## {heading}\n"))
        .unwrap_or_else(|| panic!("no chapter {heading}"));
    rest.split("\n## ").next().unwrap()
}

/// The blocks of code in these languages, without their fences.
fn blocks(languages: &[&str]) -> Vec<&'static str> {
    let pieces: Vec<_> = README.split("\n```").collect();
    pieces
        .chunks(2)
        .filter_map(|pair| pair.get(1))
        .filter_map(|block| block.split_once('\n'))
        .filter(|(language, _)| languages.contains(language))
        .map(|(_, code)| code)
        .collect()
}

/// What stands between backticks on a line.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// The cells of the table rows of a chapter, heads left out.
fn rows(chapter: &str) -> impl Iterator<Item = Vec<&str>> {
    chapter
        .lines()
        .filter(|line| line.starts_with("| "))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
}

/// Every command line of the README: typed at a prompt, in a block for a shell, cron or systemd, or between backticks in the text.
fn command_lines() -> Vec<String> {
    let prompts = blocks(&["console"])
        .into_iter()
        .flat_map(str::lines)
        .filter_map(|line| line.strip_prefix("$ "));
    let files = blocks(&["sh", "ini", "cron"])
        .into_iter()
        .flat_map(str::lines)
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            line.trim_start_matches("ExecStart=")
                .trim_start_matches("* * * * * postroom ")
        });
    let mut code = false;
    let text = README.lines().filter(|line| {
        let fence = line.starts_with("```");
        code ^= fence;
        !code && !fence
    });
    prompts
        .chain(files)
        .chain(text.flat_map(quoted))
        .map(str::to_owned)
        .collect()
}

/// The arguments of the `postroom` in a command line, if it runs one. What a shell would take for itself ends it.
fn postroom_arguments(line: &str) -> Option<Vec<String>> {
    let line = line.trim().trim_start_matches("sudo ");
    let line = line.trim_start_matches("-u postroom ");
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    for c in line.chars().chain([' ']) {
        match (quote, c) {
            (None, ' ') if word.is_empty() => {}
            (None, ' ') => words.push(std::mem::take(&mut word)),
            (None, ';' | '|' | '&' | '>' | '<') => {
                words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
                break;
            }
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            _ => word.push(c),
        }
    }
    let mut words = words.into_iter();
    let program = words.next()?;
    (program == "postroom" || program.ends_with("/postroom")).then(|| words.collect())
}

/// Postroom without a backend and without a store: whatever it understands, it can do nothing.
fn nowhere() -> Postroom {
    let postroom = Setup::new().build();
    fs::remove_file(postroom.store_path()).unwrap();
    postroom
}

#[test]
fn the_keys_are_those_of_the_console() {
    let table = action::as_markdown();
    assert!(
        chapter("The console's keys").contains(&table),
        "the README should have this table:\n{table}"
    );
}

#[test]
fn the_signs_are_those_of_the_consoles_help() {
    let console = Console {
        store: DisplayText::line("postroom.db"),
        theme: Theme::Monochrome,
        ..Console::default()
    };
    let size = Size::new(200, 200);
    let now = Utc.timestamp_opt(0, 0).unwrap();
    let mut state = ConsoleState::new(console, size, now);
    state.overlay = Some(Overlay::Help(Help {
        place: Place::Table,
        scroll: 0,
    }));
    let mut terminal = Terminal::new(TestBackend::new(size.width, size.height)).unwrap();
    terminal.draw(|frame| view(&state, frame)).unwrap();
    let screen = terminal.backend().to_string();
    let (_, signs) = screen.split_once(" Signs").unwrap();
    let shown: Vec<_> = signs
        .lines()
        .map(|line| line.trim_matches(['"', ' ']))
        .filter_map(|line| line.split_once("  "))
        .map(|(sign, meaning)| vec![format!("`{sign}`"), meaning.trim().to_owned()])
        .collect();
    let (_, written) = chapter("The console's keys")
        .split_once("| sign in the table |")
        .unwrap();
    assert_eq!(rows(written).collect::<Vec<_>>(), shown);
}

#[test]
fn every_status_with_its_reason_is_explained_and_no_other() {
    let written: BTreeSet<_> = rows(chapter("Statuses"))
        .skip(1)
        .map(|row| format!("{} {}", row[0], row[1]))
        .collect();
    let known: BTreeSet<_> = State::ALL
        .into_iter()
        .map(|state| format!("{} `{}`", state.status(), state.reason()))
        .collect();
    assert_eq!(written, known);
}

#[test]
fn every_command_line_is_one_that_the_program_understands() {
    let postroom = nowhere();
    let mut understood = 0;
    for line in command_lines() {
        let Some(mut arguments) = postroom_arguments(&line) else {
            continue;
        };
        // Nothing is made or opened where the README says.
        for flag in ["--config", "--store"] {
            while let Some(at) = arguments.iter().position(|argument| argument == flag) {
                arguments.drain(at..=at + 1);
            }
        }
        if let Some("init" | "demo" | "man") = arguments.first().map(String::as_str) {
            arguments.push("--help".to_owned());
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let ran = postroom.run(&arguments);
        let wrong_on_purpose = line.contains("stauts");
        assert_eq!(
            ran.status.code() == Some(2),
            wrong_on_purpose,
            "{line}\n{ran:#?}"
        );
        understood += 1;
    }
    assert!(understood > 40, "only {understood} commands were found");
}

#[test]
fn every_command_of_the_program_is_in_the_table() {
    let help = nowhere().run(&["--help"]).ok().stdout;
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let commands: Vec<_> = commands
        .lines()
        .take_while(|line| !line.is_empty())
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|command| *command != "help")
        .collect();
    assert!(commands.contains(&"submit"), "{commands:?}");
    let table = chapter("Commands");
    for command in commands {
        let begins = format!("| `postroom {command}");
        assert!(table.contains(&begins), "{command} is missing");
    }
}

#[test]
fn every_query_can_be_read_and_every_field_is_explained() {
    let context = Context::local();
    let examples: Vec<_> = rows(chapter("Queries"))
        .skip(1)
        .flat_map(|row| row.into_iter().flat_map(quoted))
        .filter(|example| example.contains(':'))
        .collect();
    for example in &examples {
        if let Err(error) = Query::parse(example, &context) {
            panic!("{}", error.render(example));
        }
    }
    for field in FIELDS {
        let begins = format!("{}:", field.name);
        assert!(
            examples.iter().any(|example| example.starts_with(&begins)),
            "{begins} is missing"
        );
    }
    let whole = "status:failed -backend:campus created:<7d april";
    assert!(README.contains(&format!("`{whole}`")));
    assert!(Query::parse(whole, &context).is_ok());
}

#[test]
fn the_config_and_the_messages_are_taken_as_they_stand() {
    let mut backends = toml::Table::new();
    for block in blocks(&["toml"]) {
        let config = Config::parse(block, Path::new("config.toml")).unwrap();
        Keymap::read(&config.keys).unwrap();
        Theme::read(&config.console.colors).unwrap();
        backends.extend(block.parse::<toml::Table>().unwrap());
    }
    let mut setup = Setup::new();
    for (key, value) in backends {
        setup = setup.set(&key, value);
    }
    let postroom = setup.build();
    let messages: BTreeSet<_> = README
        .lines()
        .filter(|line| line.starts_with('{') && line.contains("\"content\""))
        .collect();
    assert_eq!(messages.len(), 4);
    for message in messages {
        let told = postroom.run_with(&["submit"], message);
        let receipt: &Value = &told.json_lines()[0];
        let refused = message.contains("ben at example.com");
        assert_eq!(receipt["result"] == "error", refused, "{receipt}");
        assert!(!refused || README.contains(told.stdout.trim_end().split_once(',').unwrap().1));
    }
}

#[test]
fn every_promise_names_a_test_that_there_is() {
    let mut named = 0;
    for row in rows(chapter("Reliability")).skip(1) {
        let mut words = quoted(row[1]);
        let file = words.next().unwrap();
        let tests = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file));
        let tests = tests.unwrap_or_else(|error| panic!("{file}: {error}"));
        for name in words {
            assert!(
                tests.contains(&format!("fn {name}(")),
                "{file} has no {name}"
            );
            named += 1;
        }
    }
    assert!(named > 15, "only {named} tests are named");
}

#[test]
fn what_the_map_and_the_links_name_is_there() {
    let house = Path::new(env!("CARGO_MANIFEST_DIR"));
    let map = blocks(&[""]);
    let [map] = map.as_slice() else {
        panic!("one block without a language, the map")
    };
    let paths = map
        .split_whitespace()
        .map(|word| word.trim_end_matches([';', ',']))
        .filter(|word| word.starts_with("src/") || word.ends_with('/'))
        .filter(|word| *word != "migrations/");
    let pictures_and_licence = ["assets/console.svg", "LICENSE", ".ci/run", "tests/support"];
    for path in paths.chain(pictures_and_licence) {
        assert!(house.join(path).exists(), "{path}");
    }
    for link in README
        .split("](")
        .skip(1)
        .map(|rest| rest.split(')').next().unwrap())
    {
        let Some(anchor) = link.strip_prefix('#') else {
            assert!(link.starts_with("https://") || house.join(link).exists());
            continue;
        };
        let there = README
            .lines()
            .filter_map(|line| line.strip_prefix("## "))
            .any(|heading| {
                let heading = heading.to_lowercase().replace(' ', "-");
                heading.replace(['\'', ':'], "") == anchor
            });
        assert!(there, "#{anchor}");
    }
}

#[test]
fn every_piece_of_code_is_closed_on_its_line_and_every_block_at_all() {
    for (number, line) in README.lines().enumerate() {
        assert_eq!(
            line.matches('`').count() % 2,
            usize::from(line.starts_with("```")),
            "line {}",
            number + 1
        );
    }
    let fences = README.lines().filter(|line| line.starts_with("```"));
    assert_eq!(fences.count() % 2, 0);
}
