//! What the help teaches is so.

use std::{ffi::OsString, process};

use super::{command, parse};

/// The page of every command: its name, its path on the command line, and what its `--help` ends with.
fn pages() -> Vec<(Vec<String>, String)> {
    fn gather(command: &clap::Command, path: &[String], pages: &mut Vec<(Vec<String>, String)>) {
        let path = [path, &[command.get_name().to_owned()]].concat();
        let text = command.get_after_long_help();
        pages.push((
            path.clone(),
            text.map(ToString::to_string).unwrap_or_default(),
        ));
        for sub in command.get_subcommands() {
            gather(sub, &path, pages);
        }
    }
    let mut pages = Vec::new();
    gather(&command(), &[], &mut pages);
    pages
}

/// The lines under `Examples:`.
fn examples(text: &str) -> Vec<&str> {
    let (_, rest) = text.split_once("Examples:\n").unwrap_or_default();
    rest.lines()
        .map_while(|line| line.strip_prefix("  "))
        .collect()
}

/// The commands in a line for a shell, as words. What it would take for something else than a word must be quoted.
fn commands(line: &str) -> Vec<Vec<String>> {
    let (mut commands, mut words) = (Vec::new(), Vec::new());
    let (mut word, mut begun, mut quote) = (String::new(), false, None);
    let mut chars = line.chars().chain([';']).peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), _) if open == c => quote = None,
            (Some(_), _) => word.push(c),
            (None, '\'' | '"') => (quote, begun) = (Some(c), true),
            (None, ' ' | ';' | '|' | '&' | '>') => {
                if begun {
                    words.push(std::mem::take(&mut word));
                    begun = false;
                }
                match c {
                    ' ' => {}
                    // The file that it goes to or comes from is no argument.
                    '>' | '<' => {
                        while chars.next_if(|c| !matches!(c, ';' | '|' | '&')).is_some() {}
                    }
                    _ if words.is_empty() => {}
                    _ => commands.push(std::mem::take(&mut words)),
                }
            }
            (None, '(' | ')' | '*' | '?' | '`') => panic!("{line}: {c} wants quotes"),
            (None, _) => {
                word.push(c);
                begun = true;
            }
        }
    }
    commands
}

#[test]
fn every_help_has_two_examples_that_are_real_command_lines() {
    for (path, text) in pages() {
        let name = path.join(" ");
        let examples = examples(&text);
        assert!(examples.len() >= 2, "{name} has too few examples:\n{text}");
        let mut about_itself = 0;
        for line in examples {
            let checked = process::Command::new("sh")
                .args(["-n", "-c", line])
                .status();
            assert!(checked.unwrap().success(), "{line}");
            for words in commands(line) {
                if words[0] != "postroom" {
                    continue;
                }
                about_itself += usize::from(words.starts_with(&path));
                let arguments: Vec<OsString> = words.iter().map(OsString::from).collect();
                if let Err(error) = parse(&arguments) {
                    panic!("{line}\n{error}");
                }
            }
        }
        assert!(about_itself >= 1, "no example of {name} is about it");
    }
}

#[test]
fn every_command_and_option_says_what_it_is_for() {
    fn look(command: &clap::Command) {
        let name = command.get_name();
        assert!(command.get_about().is_some(), "{name}");
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "{name}: {argument}");
        }
        command.get_subcommands().for_each(look);
    }
    look(&command());
    command().debug_assert();
}

#[test]
fn the_short_help_is_short_and_the_long_one_has_the_examples() {
    // To sendmail's callers -h is no question for help.
    let pages = pages()
        .into_iter()
        .filter(|(path, _)| !path.contains(&"sendmail".to_owned()));
    for (path, _) in pages {
        let help = |flag: &str| {
            let words = path.iter().map(OsString::from);
            let asked: Vec<OsString> = words.chain([flag.into()]).collect();
            match parse(&asked) {
                Err(error) if !error.use_stderr() => error.to_string(),
                _ => panic!("{asked:?}"),
            }
        };
        let (short, long) = (help("-h"), help("--help"));
        assert!(!short.contains("Examples:"), "{short}");
        assert!(short.contains("see more with '--help'"), "{short}");
        assert!(long.contains("Examples:\n"), "{long}");
        assert!(short.len() < long.len());
        let own = short.find("\nOptions:").unwrap();
        let global = short.find("\nGlobal options:").unwrap();
        assert!(
            own < global,
            "what is the command's own comes first: {short}"
        );
    }
}
