//! The arguments of a sendmail, read as other sendmails read them.

use std::ffi::OsString;

use super::{EX_USAGE, Refused};

/// Options of other sendmails that have a value and say nothing to us.
const VALUED: &str = "ABCLNORVXhp";
/// Likewise without a value, or with one that is never apart from its letter.
const PLAIN: &str = "GUcmnvx";

/// What the arguments ask for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) recipients: Vec<String>,
    /// `-t`
    pub(super) of_header: bool,
    /// `-i`
    pub(super) dots: bool,
    /// `-f`
    pub(super) sender: Option<String>,
    /// `-F`
    pub(super) name: Option<String>,
    pub(super) mode: Mode,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    /// `-bm`
    #[default]
    Take,
    /// `-bs`
    Converse,
    /// What other sendmails do with a queue or a table of aliases: nothing here.
    Nothing,
}

impl Call {
    pub(super) fn read(words: &[OsString]) -> Result<Self, Refused> {
        let usage = |why: String| Refused(EX_USAGE, why);
        let mut call = Self::default();
        let mut flush = false;
        let mut only_addresses = false;
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let Some(word) = word.to_str() else {
                return Err(usage(format!("{} is not UTF-8", word.display())));
            };
            let Some(mut letters) = word
                .strip_prefix('-')
                .filter(|letters| !only_addresses && !letters.is_empty())
            else {
                call.recipients.push(word.to_owned());
                continue;
            };
            if letters == "-" {
                only_addresses = true;
                continue;
            }
            while let Some(letter) = letters.chars().next() {
                letters = &letters[letter.len_utf8()..];
                let mut value = || {
                    let here = std::mem::take(&mut letters);
                    let there = || words.next().and_then(|word| word.to_str());
                    let value = Some(here).filter(|here| !here.is_empty()).or_else(there);
                    value
                        .map(str::to_owned)
                        .ok_or_else(|| usage(format!("-{letter} needs a value")))
                };
                match letter {
                    't' => call.of_header = true,
                    'i' => call.dots = true,
                    'f' | 'r' => call.sender = Some(value()?),
                    'F' => call.name = Some(value()?),
                    'o' => call.dots |= value()? == "i",
                    'I' => call.mode = Mode::Nothing,
                    // Only behind its letter: -q, -q30m.
                    'q' => {
                        flush = true;
                        letters = "";
                    }
                    'b' => {
                        call.mode = match value()?.as_str() {
                            "m" => Mode::Take,
                            "s" => Mode::Converse,
                            "i" => Mode::Nothing,
                            "p" => {
                                return Err(usage(
                                    "-bp: `postroom list status:not_sent,failed` shows what is not sent".to_owned(),
                                ));
                            }
                            "d" | "D" => {
                                return Err(usage(
                                    "-bd: the service is `postroom run`, with [listen.smtp] in the config"
                                        .to_owned(),
                                ));
                            }
                            other => return Err(usage(format!("there is no -b{other} here"))),
                        }
                    }
                    // Only behind its letter: -d, -d0.1, -em.
                    'd' | 'e' => letters = "",
                    letter if VALUED.contains(letter) => drop(value()?),
                    letter if PLAIN.contains(letter) => {}
                    letter => {
                        return Err(usage(format!(
                            "there is no -{letter} here; `postroom sendmail --help` says what there is"
                        )));
                    }
                }
            }
        }
        let mail = call.mode == Mode::Take;
        if mail && call.recipients.is_empty() && !call.of_header {
            if !flush {
                return Err(usage(
                    "for whom? Name addresses, or take them from the header with -t".to_owned(),
                ));
            }
            call.mode = Mode::Nothing;
        }
        Ok(call)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(line: &str) -> Result<Call, u8> {
        let words: Vec<_> = line.split_whitespace().map(OsString::from).collect();
        Call::read(&words).map_err(|refused| refused.0)
    }

    fn to(recipients: &[&str]) -> Call {
        Call {
            recipients: recipients.iter().map(|&to| to.to_owned()).collect(),
            ..Call::default()
        }
    }

    #[test]
    fn the_options_that_callers_use_are_understood() {
        let some = |text: &str| Some(text.to_owned());
        for (line, wanted) in [
            ("a@b.example", to(&["a@b.example"])),
            (
                "-t",
                Call {
                    of_header: true,
                    ..to(&[])
                },
            ),
            // PHP, Django, cron, git, mutt, logwatch.
            (
                "-t -i",
                Call {
                    of_header: true,
                    dots: true,
                    ..to(&[])
                },
            ),
            (
                "-ti",
                Call {
                    of_header: true,
                    dots: true,
                    ..to(&[])
                },
            ),
            (
                "-i -FCronDaemon -B8BITMIME -oem root@b.example",
                Call {
                    dots: true,
                    name: some("CronDaemon"),
                    ..to(&["root@b.example"])
                },
            ),
            (
                "-oem -oi -f a@b.example -- -odd@b.example",
                Call {
                    dots: true,
                    sender: some("a@b.example"),
                    ..to(&["-odd@b.example"])
                },
            ),
            (
                "-fa@b.example -N never -R hdrs -V id -h 3 -v -G -q30m c@d.example",
                Call {
                    sender: some("a@b.example"),
                    ..to(&["c@d.example"])
                },
            ),
            (
                "c@d.example -r <> -bm",
                Call {
                    sender: some("<>"),
                    ..to(&["c@d.example"])
                },
            ),
            (
                "-bs",
                Call {
                    mode: Mode::Converse,
                    ..to(&[])
                },
            ),
            (
                "-q",
                Call {
                    mode: Mode::Nothing,
                    ..to(&[])
                },
            ),
            (
                "-q1h",
                Call {
                    mode: Mode::Nothing,
                    ..to(&[])
                },
            ),
            (
                "-bi",
                Call {
                    mode: Mode::Nothing,
                    ..to(&[])
                },
            ),
        ] {
            assert_eq!(call(line), Ok(wanted), "{line}");
        }
        for line in [
            "",
            "-i",
            "-f",
            "-bd",
            "-bp",
            "-bx a@b.example",
            "-z a@b.example",
            "--to a@b.example",
        ] {
            assert_eq!(call(line), Err(EX_USAGE), "{line}");
        }
    }
}
