//! What teaches and helps at the prompt: suggestions, completions, the manual.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{fs, process::Command};

use support::{Postroom, Setup, is_here};

fn postroom() -> Postroom {
    Setup::new().build()
}

/// The commands that `--help` lists.
fn names(postroom: &Postroom) -> Vec<String> {
    let help = postroom.run(&["--help"]).ok().stdout;
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    commands
        .lines()
        .take_while(|line| !line.is_empty())
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_word_that_is_nearly_right_is_suggested() {
    let postroom = postroom();
    for (arguments, wanted) in [
        (&["lst"][..], "'list'"),
        (&["resned", "--all"], "'resend'"),
        (&["list", "--formt", "json"], "'--format'"),
        (&["list", "--format", "jsn"], "'json'"),
        (&["list", "--columns", "id,stauts"], "'status'"),
        (&["resend", "--dryrun"], "'--dry-run'"),
        (&["backend", "email", "puase"], "'pause'"),
        (&["completions", "bsh"], "'bash'"),
        (&["list", "--colour", "never"], "'--color'"),
        (&["list", "stauts:failed"], "`status`"),
    ] {
        let ran = postroom.run(arguments).exit(2);
        assert!(
            ran.stdout.is_empty() && ran.stderr.contains(wanted),
            "{arguments:?}: {ran:?}"
        );
    }
}

#[test]
fn every_shell_gets_completions_that_name_every_command() {
    let postroom = postroom();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = postroom.run(&["completions", shell]).ok().stdout;
        for name in names(&postroom) {
            assert!(script.contains(&name), "{shell} does not know {name}");
        }
        let file = postroom.folder().join(shell);
        fs::write(&file, script).unwrap();
        if ["bash", "zsh", "fish"].contains(&shell) && is_here(shell) {
            let ran = Command::new(shell).arg("-n").arg(&file).output().unwrap();
            assert!(ran.status.success() && ran.stderr.is_empty(), "{ran:?}");
        }
    }
}

#[test]
fn bash_completes_commands_options_and_values_from_the_installed_file() {
    if !is_here("bash") {
        return;
    }
    let postroom = postroom();
    let file = postroom.folder().join("completions");
    fs::write(&file, postroom.run(&["completions", "bash"]).ok().stdout).unwrap();
    // As bash itself asks: the words so far, where the cursor is, and then what was offered.
    let asked = r#"
        source "$1"; shift
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
        spec=$(complete -p postroom); [[ $spec =~ -F\ ([^ ]+) ]] || exit 1
        "${BASH_REMATCH[1]}" postroom "${@: -1}" "${@: -2:1}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let offered = |words: &[&str]| {
        let ran = Command::new("bash")
            .args(["-c", asked, "bash"])
            .arg(&file)
            .args(words)
            .output()
            .unwrap();
        assert!(ran.stderr.is_empty(), "{ran:?}");
        let offered = String::from_utf8(ran.stdout).unwrap();
        offered.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(offered(&["postroom", "li"]), ["list"]);
    assert_eq!(offered(&["postroom", "resend", "--dr"]), ["--dry-run"]);
    let formats = offered(&["postroom", "list", "--format", ""]);
    assert_eq!(formats, ["table", "json", "tsv"]);
}

#[test]
fn the_manual_has_a_page_for_every_command_and_man_finds_no_fault_in_it() {
    let postroom = postroom();
    let names = names(&postroom);
    let dir = postroom.folder().join("share/man/man1");
    let ran = postroom.run(&["man", "--dir", dir.to_str().unwrap()]).ok();
    let wanted = format!("{}: {} pages\n", dir.display(), names.len() + 1);
    assert_eq!(ran.stdout, wanted);

    let main = fs::read_to_string(dir.join("postroom.1")).unwrap();
    assert_eq!(postroom.run(&["man"]).ok().stdout, main);
    let mut pages = vec!["postroom.1".to_owned()];
    for name in names {
        let escaped = name.replace('-', "\\-");
        assert!(main.contains(&format!("postroom\\-{escaped}(1)")), "{name}");
        pages.push(format!("postroom-{name}.1"));
    }
    let rendered = is_here("man");
    for page in pages {
        let path = dir.join(&page);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("\n.SH EXAMPLES\n"), "{page}");
        if rendered {
            let ran = Command::new("man")
                .args(["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"])
                .arg(&path)
                .env("LC_ALL", "C.UTF-8")
                .output()
                .unwrap();
            assert!(
                ran.status.success() && ran.stderr.is_empty(),
                "{page}: {ran:?}"
            );
        }
    }
}

#[test]
fn a_folder_for_the_manual_that_cannot_be_made_is_named() {
    let postroom = postroom();
    let ran = postroom.run(&["man", "--dir", "/dev/null/man1"]).exit(1);
    assert!(ran.stderr.contains("/dev/null/man1"), "{ran:?}");
}
