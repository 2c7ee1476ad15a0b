//! A line of a server's or our own, with placeholders for what it names.

use std::borrow::Cow;

use super::word::{self, Kind};

/// So many letters tell a fault from another; a server may say more, of which four times as many are looked at.
pub(super) const LONGEST: usize = 1_000;

/// The line as every receiver's would read that met the same fault.
pub(super) fn generalise(line: &str, identity: &str, server: Option<&str>) -> String {
    Place::new(identity, server).generalise(line)
}

/// A word, with what stands between it and the one before.
struct Piece<'a> {
    gap: &'a str,
    word: Cow<'a, str>,
    kind: Kind,
}

/// Whom and what the words may name.
struct Place<'a> {
    identity: &'a str,
    local: &'a str,
    domain: &'a str,
    /// The server's name, without its port.
    host: &'a str,
}

impl<'a> Place<'a> {
    fn new(identity: &'a str, server: Option<&'a str>) -> Self {
        let (local, domain) = identity.rsplit_once('@').unwrap_or((identity, ""));
        let host = server.unwrap_or_default();
        Self {
            identity,
            local,
            domain,
            host: host.rsplit_once(':').map_or(host, |(host, _)| host),
        }
    }

    fn generalise(&self, text: &str) -> String {
        let end = text.char_indices().nth(4 * LONGEST);
        let text = &text[..end.map_or(text.len(), |(end, _)| end)];
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let line = self.without_identity(&line);
        let (spans, rest) = words(&line);
        let mut pieces = Vec::with_capacity(spans.len());
        let mut end = 0;
        for (index, &(from, until)) in spans.iter().enumerate() {
            let next = spans.get(index + 1);
            let before = &line[end..from];
            let after = &line[until..next.map_or(line.len(), |next| next.0)];
            let following = next.map_or("", |next| &line[next.0..next.1]);
            let named = index
                .checked_sub(1)
                .is_some_and(|last| word::is_name(&line[spans[last].0..spans[last].1]));
            let word = &line[from..until];
            let (word, kind) = if named
                && word.len() < 6
                && word::digits(word)
                && !word::is_measured(after, following)
            {
                (Cow::Borrowed(word), Kind::Word)
            } else {
                self.read(word, before, after, following)
            };
            pieces.push(Piece {
                gap: before,
                word,
                kind,
            });
            end = until;
        }
        let mut told = join(&pieces);
        told.push_str(rest);
        if let Some((end, _)) = told.char_indices().nth(LONGEST) {
            told.truncate(end);
            told.push('…');
        }
        told
    }

    /// The receiver's own address may hold letters that end a word; so it goes first.
    fn without_identity<'t>(&self, line: &'t str) -> Cow<'t, str> {
        if self.domain.is_empty() || self.local.is_empty() {
            return Cow::Borrowed(line);
        }
        // ASCII only, so that places are the same in both.
        let (lower, wanted) = (
            line.to_ascii_lowercase(),
            self.identity.to_ascii_lowercase(),
        );
        let mut told = String::new();
        let mut end = 0;
        for (at, _) in lower.match_indices(&wanted) {
            let after = at + wanted.len();
            let inside = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
            let longer = inside(line[..at].chars().next_back())
                || inside(line[after..].chars().next())
                || line[after..].starts_with(['-', '@']);
            if !longer {
                told.push_str(&line[end..at]);
                // Read as an address like any other.
                told.push_str("a@b");
                end = after;
            }
        }
        told.push_str(&line[end..]);
        Cow::Owned(told)
    }

    /// What a word becomes. `before` and `after` are what stands between it and its neighbours, `next` is the word that follows.
    fn read<'t>(
        &self,
        word: &'t str,
        before: &str,
        after: &str,
        next: &str,
    ) -> (Cow<'t, str>, Kind) {
        let as_it_is = || (Cow::Borrowed(word), Kind::Word);
        let named = |name: &'static str| (Cow::Borrowed(name), Kind::Word);
        if word::is_address(word) {
            named("ADDRESS")
        } else if word::is_ip(word) {
            named("IP")
        } else if word::is_clock(word) || word::is_date(word) {
            (Cow::Borrowed("TIME"), Kind::Time)
        } else if word::is_code(word) && (before.is_empty() || !word::is_measured(after, next)) {
            as_it_is()
        } else if self.domain.contains('.')
            && word.eq_ignore_ascii_case(self.domain)
            && !word.eq_ignore_ascii_case(self.host)
        {
            named("DOMAIN")
        } else if self.is_local(word, before, after) {
            named("USER")
        } else if word
            .bytes()
            .all(|b| b.is_ascii_digit() || b".,/".contains(&b))
        {
            word::number(word, after, next)
        } else if let Some(unit) = word::measure(word) {
            (Cow::Owned(format!("N{unit}")), Kind::Word)
        } else if word::is_month(word) {
            (Cow::Borrowed(word), Kind::Month)
        } else if word::is_beside(word) {
            (Cow::Borrowed(word), Kind::Beside)
        } else if word::is_host(word) {
            (Cow::Owned(word::host(word)), Kind::Word)
        } else if word::is_id(word) {
            (Cow::Borrowed("ID"), Kind::Id)
        } else if word.contains(':') {
            let parts: Vec<_> = word
                .split(':')
                .map(|part| self.read(part, "", "", "").0)
                .collect();
            (Cow::Owned(parts.join(":")), Kind::Word)
        } else {
            as_it_is()
        }
    }

    /// The part before the `@` without the rest, where it can only mean the receiver.
    fn is_local(&self, word: &str, before: &str, after: &str) -> bool {
        let enclosed = matches!(
            (before.chars().next_back(), after.chars().next()),
            (Some('<'), Some('>'))
                | (Some('('), Some(')'))
                | (Some('['), Some(']'))
                | (Some('"'), Some('"'))
                | (Some('\''), Some('\''))
                | (Some('`'), Some('`' | '\''))
        );
        word.len() > 1
            && word.eq_ignore_ascii_case(self.local)
            && (enclosed
                || word.contains(|c: char| !c.is_ascii_alphabetic())
                || !SERVERS_OWN
                    .split(' ')
                    .any(|own| word.eq_ignore_ascii_case(own)))
    }
}

/// What servers say anyway and people are called, too: `user@example.com` must not turn "no such user" into a fault of its own.
pub(super) const SERVERS_OWN: &str = "abuse account address admin administrator again antispam blocked box client closed connection contact content daemon data delivery \
    denied disabled disk domain email error failed for from full greylisted help host inbox info invalid is later list local mail \
    mailbox mailer message name network no not office ok policy postmaster queue quota recipient refused reject rejected relay report \
    root security sender server service smtp spam storage such support system temporary test the timeout to try unknown user users you";

/// Where the words of a line are, and what follows the last one. A slash between digits belongs to its word: it may be a date.
fn words(line: &str) -> (Vec<(usize, usize)>, &str) {
    const INNER: [char; 6] = ['.', '-', '_', '+', ':', '%'];
    let inside = |c: char| c.is_alphanumeric() || c == '@' || INNER.contains(&c);
    let mut found = Vec::new();
    let mut from = None;
    let mut last = ' ';
    let mut chars = line.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let next = chars.peek().map_or(' ', |&(_, c)| c);
        let slash = c == '/' && last.is_ascii_digit() && next.is_ascii_digit();
        last = c;
        if inside(c) || slash {
            from.get_or_insert(at);
        } else if let Some(from) = from.take() {
            found.push((from, at));
        }
    }
    found.extend(from.map(|from| (from, line.len())));
    let trimmed = found.into_iter().filter_map(|(from, until)| {
        let word = &line[from..until];
        if word::is_ip(word) {
            return Some((from, until));
        }
        let outer = |c: char| c == '@' || INNER.contains(&c);
        let start = from + word.len() - word.trim_start_matches(outer).len();
        let length = word.trim_matches(outer).len();
        (length > 0).then_some((start, start + length))
    });
    let found: Vec<_> = trimmed.collect();
    let end = found.last().map_or(0, |&(_, until)| until);
    (found, &line[end..])
}

/// Puts the pieces together again; a date in several words is one, and so is an id.
fn join(pieces: &[Piece<'_>]) -> String {
    let dates = date_lengths(pieces);
    let mut told = String::new();
    let mut at = 0;
    while at < pieces.len() {
        let Piece { gap, word, kind } = &pieces[at];
        told.push_str(gap);
        let date = dates[at];
        if date > 0 {
            told.push_str("TIME");
            at += date;
            continue;
        }
        told.push_str(word);
        at += 1;
        while *kind == Kind::Id
            && let Some(next) = pieces.get(at)
            && next.kind == Kind::Id
            && matches!(next.gap, "/" | "=" | "~" | "$")
        {
            at += 1;
        }
    }
    told
}

/// What follows on each other from a piece on and may be a date or a time together.
#[derive(Clone, Copy, Default)]
struct Run {
    length: usize,
    time: bool,
    month: bool,
    number: bool,
}

/// For each piece how many from there on are a date or a time together; 0: none. From the end, so that no run is walked twice.
fn date_lengths(pieces: &[Piece<'_>]) -> Vec<usize> {
    let mut lengths = vec![0; pieces.len()];
    // What the next piece begins, if it joins the one before.
    let mut next = Run::default();
    for (Piece { gap, kind, .. }, length) in pieces.iter().zip(&mut lengths).rev() {
        if matches!(kind, Kind::Word | Kind::Id) {
            next = Run::default();
            continue;
        }
        let run = Run {
            length: 1 + next.length,
            time: next.time || *kind == Kind::Time,
            month: next.month || *kind == Kind::Month,
            number: next.number || *kind == Kind::Number,
        };
        if run.time || (run.month && run.number) {
            *length = run.length;
        }
        let joins = gap.trim_matches([' ', ',', '+', '-', '(']).is_empty();
        next = if joins { run } else { Run::default() };
    }
    lengths
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::*;

    /// How many pieces from here on are a date or a time together, said plainly: a walk for each.
    fn date_length(pieces: &[Piece<'_>]) -> usize {
        let length = pieces
            .iter()
            .enumerate()
            .take_while(|(index, piece)| {
                let joined =
                    *index == 0 || piece.gap.trim_matches([' ', ',', '+', '-', '(']).is_empty();
                joined && !matches!(piece.kind, Kind::Word | Kind::Id)
            })
            .count();
        let has = |kind| pieces[..length].iter().any(|piece| piece.kind == kind);
        if has(Kind::Time) || (has(Kind::Month) && has(Kind::Number)) {
            length
        } else {
            0
        }
    }

    #[test]
    fn a_line_of_very_many_numbers_takes_no_longer_for_each() {
        let number = || Piece {
            gap: " ",
            word: Cow::Borrowed("1"),
            kind: Kind::Number,
        };
        let pieces: Vec<_> = std::iter::repeat_with(number).take(500_000).collect();
        let began = Instant::now();
        assert_eq!(join(&pieces).len(), 1_000_000);
        // A walk to the end for each took hours.
        assert!(began.elapsed() < Duration::from_secs(60));
    }

    proptest! {
        #[test]
        fn a_date_is_as_long_as_a_walk_from_its_begin_finds(
            made in prop::collection::vec((0..6_usize, 0..7_usize), 0..60)
        ) {
            let gaps = ["", " ", ", ", " -(", ";", " ; ", "/"];
            let pieces: Vec<_> = made
                .into_iter()
                .map(|(kind, gap)| Piece {
                    gap: gaps[gap],
                    word: Cow::Borrowed("word"),
                    // Those that may be of a date more often than not.
                    kind: [Kind::Number, Kind::Month, Kind::Beside, Kind::Time, Kind::Word, Kind::Id][kind],
                })
                .collect();
            let walked: Vec<_> = (0..pieces.len()).map(|at| date_length(&pieces[at..])).collect();
            prop_assert_eq!(date_lengths(&pieces), walked);
        }
    }
}
