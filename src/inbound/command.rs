//! The grammar of commands (RFC 5321 4.1), and no more of it than a client that hands messages over has a use for.
//!
//! A line is read whole before it is understood, and what is odd in it is refused, never repaired: an address from which quotes or a CR were
//! dropped on the way would be another address.

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command<'a> {
    /// `HELO`
    Helo,
    /// `EHLO`
    Ehlo,
    /// `MAIL FROM:<path>`
    Mail(Path<'a>),
    /// `RCPT TO:<path>`
    Rcpt(Path<'a>),
    /// `DATA`
    Data,
    /// `RSET`
    Rset,
    /// `NOOP`
    Noop,
    /// `QUIT`
    Quit,
    /// `VRFY`
    Vrfy,
    /// `HELP`
    Help,
    /// `STARTTLS`
    StartTls,
    /// `AUTH mechanism [initial-response]`
    Auth {
        mechanism: &'a str,
        initial: Option<&'a str>,
    },
}

/// What stands between the angle brackets, and what follows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path<'a> {
    pub(super) address: &'a str,
    parameters: &'a str,
}

impl<'a> Path<'a> {
    /// Keyword in upper case, and value.
    pub(super) fn parameters(&self) -> impl Iterator<Item = (String, &'a str)> {
        self.parameters.split_ascii_whitespace().map(|parameter| {
            let (keyword, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            (keyword.to_ascii_uppercase(), value)
        })
    }
}

/// A line that is no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// Controls, or bytes that are no UTF-8.
    Bytes,
    /// Nothing that is known begins so.
    Unknown,
    /// The command is known; so it would be right.
    Syntax(&'static str),
}

/// Reads a line without its end.
pub(super) fn parse(line: &[u8]) -> Result<Command<'_>, Wrong> {
    let line = std::str::from_utf8(line).map_err(|_| Wrong::Bytes)?;
    if line.contains(|c: char| c.is_control() && c != '\t') {
        return Err(Wrong::Bytes);
    }
    let line = line.trim_ascii_end();
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    let rest = rest.trim_ascii();
    let alone = |command, usage| match rest {
        "" => Ok(command),
        _ => Err(Wrong::Syntax(usage)),
    };
    match verb.to_ascii_uppercase().as_str() {
        "EHLO" if !rest.is_empty() => Ok(Command::Ehlo),
        "EHLO" => Err(Wrong::Syntax("EHLO your.name")),
        "HELO" if !rest.is_empty() => Ok(Command::Helo),
        "HELO" => Err(Wrong::Syntax("HELO your.name")),
        "MAIL" => path(rest, "FROM:")
            .map(Command::Mail)
            .ok_or(Wrong::Syntax("MAIL FROM:<address>")),
        "RCPT" => path(rest, "TO:")
            .map(Command::Rcpt)
            .ok_or(Wrong::Syntax("RCPT TO:<address>")),
        "DATA" => alone(Command::Data, "DATA"),
        "RSET" => alone(Command::Rset, "RSET"),
        "QUIT" => alone(Command::Quit, "QUIT"),
        "STARTTLS" => alone(Command::StartTls, "STARTTLS"),
        "NOOP" => Ok(Command::Noop),
        "VRFY" => Ok(Command::Vrfy),
        "HELP" => Ok(Command::Help),
        "AUTH" => {
            let mut words = rest.split_ascii_whitespace();
            match (words.next(), words.next(), words.next()) {
                (Some(mechanism), initial, None) => Ok(Command::Auth { mechanism, initial }),
                _ => Err(Wrong::Syntax("AUTH mechanism [initial response]")),
            }
        }
        _ => Err(Wrong::Unknown),
    }
}

/// `FROM:<address> parameters`; an address may hold `>` inside quotes. A space after the colon is wrong and common.
fn path<'a>(rest: &'a str, prefix: &str) -> Option<Path<'a>> {
    let (named, rest) = rest.split_at_checked(prefix.len())?;
    if !named.eq_ignore_ascii_case(prefix) {
        return None;
    }
    let rest = rest.trim_ascii_start().strip_prefix('<')?;
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in rest.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '>' if !quoted => {
                let parameters = &rest[at + 1..];
                let apart = parameters.is_empty() || parameters.starts_with(' ');
                return apart.then_some(Path {
                    address: &rest[..at],
                    parameters,
                });
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mail(line: &str) -> (String, Vec<(String, String)>) {
        match parse(line.as_bytes()) {
            Ok(Command::Mail(path) | Command::Rcpt(path)) => (
                path.address.to_owned(),
                path.parameters()
                    .map(|(key, value)| (key, value.to_owned()))
                    .collect(),
            ),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn an_address_is_taken_as_it_stands_with_its_parameters() {
        assert_eq!(mail("MAIL FROM:<>").0, "");
        assert_eq!(mail("mail from: <a@b.example>  ").0, "a@b.example");
        assert_eq!(
            mail("RCPT TO:<\"a>\\\" b\"@c.example>").0,
            "\"a>\\\" b\"@c.example"
        );
        let (address, parameters) = mail("MAIL FROM:<ø@b.example> size=12 SMTPUTF8");
        assert_eq!(address, "ø@b.example");
        assert_eq!(
            parameters,
            [
                ("SIZE".to_owned(), "12".to_owned()),
                ("SMTPUTF8".to_owned(), String::new())
            ]
        );
    }

    #[test]
    fn what_is_odd_is_refused_not_repaired() {
        for line in [
            "MAIL FROM:a@b.example",
            "MAIL FROM:<a@b.example",
            "MAIL FROM:<a@b.example>SIZE=1",
            "MAIL TO:<a@b.example>",
            "MAIL",
            "RCPT TO:",
            "DATA now",
            "STARTTLS please",
            "EHLO",
            "AUTH",
            "AUTH PLAIN a b",
        ] {
            assert!(
                matches!(parse(line.as_bytes()), Err(Wrong::Syntax(_))),
                "{line}"
            );
        }
        for line in ["", "GET / HTTP/1.1", "BDAT 10 LAST", "\u{feff}EHLO x"] {
            assert_eq!(parse(line.as_bytes()), Err(Wrong::Unknown), "{line}");
        }
        for line in [
            &b"MAIL FROM:<a\r@b.example>"[..],
            b"NOOP \0",
            b"EHLO \xff",
            b"RCPT TO:<a@b.example>\rDATA",
        ] {
            assert_eq!(parse(line), Err(Wrong::Bytes));
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(line: Vec<u8>, verb in "(MAIL FROM:<|RCPT TO:<|AUTH )?") {
            let line = [verb.as_bytes(), &line].concat();
            if let Ok(Command::Mail(path) | Command::Rcpt(path)) = parse(&line) {
                prop_assert!(!path.address.contains(char::is_control));
            }
        }
    }
}
