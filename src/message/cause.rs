//! What makes two failures the same fault. A server's words differ from one receiver to the next by what they name: addresses, ids, times,
//! counters. These become placeholders; every other word stays, since one word may be all that tells two faults apart.

use std::borrow::Cow;

use sha2::{Digest as _, Sha256};

use super::Failure;

/// So many letters tell a fault from another; a server may say more.
const LONGEST: usize = 1_000;

/// What failed tries have in common that met the same fault, whoever was to get the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// The server's reply code.
    pub code: Option<u16>,
    /// The enhanced status code (RFC 3463).
    pub enhanced: Option<String>,
    /// What went wrong, in one line, with a placeholder for whatever differs from try to try: `451 4.7.1 greylisted, try again in N seconds`.
    pub text: String,
    /// The server, as `host:port`.
    pub server: Option<String>,
    /// What was being done: see [`Failure::phase`].
    pub phase: Option<String>,
}

impl Cause {
    /// The cause of a try for this identity that failed.
    pub fn of(failure: &Failure, identity: &str) -> Self {
        Self {
            code: failure.code,
            enhanced: failure.enhanced.clone(),
            text: Place::new(identity, failure.server.as_deref()).generalise(&failure.error),
            server: failure.server.clone(),
            phase: failure.phase.clone(),
        }
    }

    /// The same for the same fault and for no other; case does not matter.
    pub fn fingerprint(&self) -> [u8; 32] {
        let code = self.code.map(|code| code.to_string());
        let parts = [
            code.as_deref(),
            self.enhanced.as_deref(),
            Some(self.text.as_str()),
            self.server.as_deref(),
            self.phase.as_deref(),
        ];
        let mut hash = Sha256::new();
        for part in parts {
            // What is missing differs from what is empty, and no part can reach into the next.
            hash.update([u8::from(part.is_some())]);
            let part = part.unwrap_or_default().to_lowercase();
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }
}

/// What a word stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Itself.
    Word,
    /// An id, which may go on behind the next separator.
    Id,
    /// A clock or a date.
    Time,
    /// Part of a date, if a clock, a date or a month stands beside it.
    Number,
    /// The name of a month: part of a date, if a number stands beside it.
    Month,
    /// Part of a date if there is one: a weekday, a zone.
    Beside,
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
            let (word, kind) = self.read(&line[from..until], before, after, following);
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
                told.push_str("ADDRESS");
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
        if is_address(word) {
            named("ADDRESS")
        } else if is_ip(word) {
            named("IP")
        } else if is_clock(word) || is_date(word) {
            (Cow::Borrowed("TIME"), Kind::Time)
        } else if is_code(word) && (before.is_empty() || !is_measured(after, next)) {
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
            number(word, after, next)
        } else if let Some(unit) = measure(word) {
            (Cow::Owned(format!("N{unit}")), Kind::Word)
        } else if is_month(word) {
            (Cow::Borrowed(word), Kind::Month)
        } else if is_beside(word) {
            (Cow::Borrowed(word), Kind::Beside)
        } else if is_host(word) {
            (Cow::Owned(host(word)), Kind::Word)
        } else if is_id(word) {
            (Cow::Borrowed("ID"), Kind::Id)
        } else if let Some((left, right)) = word.split_once(':') {
            let left = self.read(left, before, "", "").0;
            let (right, kind) = self.read(right, "", after, next);
            (Cow::Owned(format!("{left}:{right}")), kind)
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
                || !SERVERS_OWN.contains(&word.to_ascii_lowercase().as_str()))
    }
}

/// What servers say anyway and people are called, too: `user@example.com` must not turn "no such user" into a fault of its own.
const SERVERS_OWN: [&str; 78] = [
    "abuse",
    "account",
    "address",
    "admin",
    "administrator",
    "again",
    "antispam",
    "blocked",
    "box",
    "client",
    "closed",
    "connection",
    "contact",
    "content",
    "daemon",
    "data",
    "delivery",
    "denied",
    "disabled",
    "disk",
    "domain",
    "email",
    "error",
    "failed",
    "for",
    "from",
    "full",
    "greylisted",
    "help",
    "host",
    "inbox",
    "info",
    "invalid",
    "is",
    "later",
    "list",
    "local",
    "mail",
    "mailbox",
    "mailer",
    "message",
    "name",
    "network",
    "no",
    "not",
    "office",
    "ok",
    "policy",
    "postmaster",
    "queue",
    "quota",
    "recipient",
    "refused",
    "reject",
    "rejected",
    "relay",
    "report",
    "root",
    "security",
    "sender",
    "server",
    "service",
    "smtp",
    "spam",
    "storage",
    "such",
    "support",
    "system",
    "temporary",
    "test",
    "the",
    "timeout",
    "to",
    "try",
    "unknown",
    "user",
    "users",
    "you",
];

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
        if is_ip(word) {
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
    let mut told = String::new();
    let mut at = 0;
    while at < pieces.len() {
        let Piece { gap, word, kind } = &pieces[at];
        told.push_str(gap);
        let date = date_length(&pieces[at..]);
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

/// How many pieces from here on are a date or a time together; 0: none.
fn date_length(pieces: &[Piece<'_>]) -> usize {
    let length = pieces
        .iter()
        .enumerate()
        .take_while(|(index, piece)| {
            let joined =
                *index == 0 || piece.gap.trim_matches([' ', ',', '+', '-', '(']).is_empty();
            let kind = piece.kind;
            joined && !matches!(kind, Kind::Word | Kind::Id)
        })
        .count();
    let run = &pieces[..length];
    let has = |kind| run.iter().any(|piece| piece.kind == kind);
    if has(Kind::Time) || (has(Kind::Month) && has(Kind::Number)) {
        length
    } else {
        0
    }
}

fn is_address(word: &str) -> bool {
    let both = |left: &str, right: &str| !left.is_empty() && !right.is_empty();
    word.split_once('@')
        .is_some_and(|(left, right)| both(left, right))
        || word
            .split_once("%40")
            .is_some_and(|(left, right)| both(left, right))
}

fn is_ip(word: &str) -> bool {
    use std::net::{IpAddr, SocketAddr};
    let bare = match word.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("ipv6:") => &word[5..],
        _ => word,
    };
    // A word of colons and few digits is a clock rather than an address.
    (bare.contains('.') || bare.matches(':').count() > 1 && !is_clock(bare))
        && (bare.parse::<IpAddr>().is_ok() || bare.parse::<SocketAddr>().is_ok())
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// `05:59`, `05:59:00.123Z`.
fn is_clock(word: &str) -> bool {
    let word = word.trim_end_matches(['Z', 'z']);
    let (whole, fraction) = word.split_once('.').unwrap_or((word, "0"));
    let parts: Vec<_> = whole.split(':').collect();
    (2..=3).contains(&parts.len())
        && digits(fraction)
        && digits(parts[0])
        && parts[0].len() <= 2
        && parts[1..]
            .iter()
            .all(|part| part.len() == 2 && digits(part))
}

/// `2026-11-22`, `22.11.2026`, `11/22/2026`, `2026-11-22T05:59:00Z`.
fn is_date(word: &str) -> bool {
    let day = word
        .split_once(['T', 't'])
        .filter(|(_, clock)| is_clock(clock.split(['+', '-']).next().unwrap_or_default()))
        .map_or(word, |(day, _)| day);
    ['-', '.', '/'].into_iter().any(|separator| {
        let parts: Vec<_> = day.split(separator).collect();
        let lengths: Vec<_> = parts.iter().map(|part| part.len()).collect();
        matches!(lengths[..], [4, 1..=2, 1..=2] | [1..=2, 1..=2, 4])
            && parts.iter().all(|part| digits(part))
    })
}

/// A reply code or an enhanced one, alone or together as in `550-5.1.1`: what it says is the fault itself.
fn is_code(word: &str) -> bool {
    let reply =
        |text: &str| text.len() == 3 && digits(text) && text.starts_with(['2', '3', '4', '5']);
    let enhanced = |text: &str| {
        let parts: Vec<_> = text.split('.').collect();
        parts.len() == 3
            && matches!(parts[0], "2" | "4" | "5")
            && parts.iter().all(|part| part.len() <= 3 && digits(part))
    };
    reply(word)
        || enhanced(word)
        || word
            .split_once('-')
            .is_some_and(|(code, rest)| reply(code) && (reply(rest) || enhanced(rest)))
}

fn is_month(word: &str) -> bool {
    const MONTHS: [&str; 12] = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    MONTHS.iter().any(|month| word.eq_ignore_ascii_case(month))
}

fn is_beside(word: &str) -> bool {
    const BESIDE: [&str; 11] = [
        "mon", "tue", "wed", "thu", "fri", "sat", "sun", "utc", "gmt", "am", "pm",
    ];
    BESIDE
        .iter()
        .any(|beside| word.eq_ignore_ascii_case(beside))
}

/// Long numbers and measured ones vary; short ones are often the name of the fault, as in `os error 2`.
fn number<'t>(word: &'t str, after: &str, next: &str) -> (Cow<'t, str>, Kind) {
    let count = word.bytes().filter(u8::is_ascii_digit).count();
    let measured = is_measured(after, next);
    let kind = if digits(word) && count != 3 {
        Kind::Number
    } else {
        Kind::Word
    };
    if measured || count > 2 {
        (Cow::Borrowed("N"), if measured { Kind::Word } else { kind })
    } else {
        (Cow::Borrowed(word), kind)
    }
}

/// Whether a unit follows a number.
fn is_measured(after: &str, next: &str) -> bool {
    after.starts_with('%') || (after == " " && is_unit(next))
}

fn is_unit(word: &str) -> bool {
    const UNITS: [&str; 19] = [
        "ms", "s", "sec", "second", "m", "min", "minute", "h", "hr", "hour", "d", "day", "week",
        "b", "byte", "kb", "kib", "mb", "mib",
    ];
    let word = word.to_ascii_lowercase();
    let one = word.strip_suffix('s').unwrap_or(&word);
    UNITS.contains(&word.as_str()) || UNITS.contains(&one)
}

/// The unit of `300s`, `1.5min`, `10MB`.
fn measure(word: &str) -> Option<&str> {
    let unit = word.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    (unit.len() < word.len() && is_unit(unit)).then_some(unit)
}

/// A name with dots that ends in letters: of a host, a file, an error.
fn is_host(word: &str) -> bool {
    let name = word
        .rsplit_once(':')
        .filter(|(_, port)| digits(port))
        .map_or(word, |(name, _)| name);
    let labels: Vec<_> = name.split('.').collect();
    labels.len() > 1
        && labels
            .iter()
            .all(|label| !label.is_empty() && !label.contains(':'))
        && labels
            .last()
            .is_some_and(|last| last.len() > 1 && last.chars().all(char::is_alphabetic))
}

/// The name without what tells the machines of a farm apart.
fn host(word: &str) -> String {
    let labels: Vec<Cow<'_, str>> = word
        .split('.')
        .map(|label| match label {
            label if is_id(label) => Cow::Borrowed("ID"),
            label => Cow::Owned(long_numbers(label)),
        })
        .collect();
    labels.join(".")
}

/// Every run of two or more digits is `N`.
fn long_numbers(label: &str) -> String {
    let mut told = String::with_capacity(label.len());
    let mut rest = label;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let run = rest[at..].bytes().take_while(u8::is_ascii_digit).count();
        told.push_str(&rest[..at]);
        told.push_str(if run > 1 { "N" } else { &rest[at..at + run] });
        rest = &rest[at + run..];
    }
    told + rest
}

/// Letters and digits that nobody chose: of a queue, a session, a hash. A short code such as `S3150` or `TSS04` names a fault, and stays.
fn is_id(word: &str) -> bool {
    let letters: Vec<char> = word.chars().filter(|c| c.is_alphanumeric()).collect();
    let all = letters.len();
    let numbers = letters.iter().filter(|c| c.is_ascii_digit()).count();
    let hex = letters.iter().all(char::is_ascii_hexdigit);
    // How often it changes between digits, capitals and small letters.
    let kind = |c: &char| (c.is_ascii_digit(), c.is_uppercase());
    let turns = letters
        .windows(2)
        .filter(|pair| kind(&pair[0]) != kind(&pair[1]))
        .count();
    (hex && (all >= 16 || (all >= 6 && (2..all).contains(&numbers))))
        || (all >= 9 && numbers >= 3 && all - numbers >= 2)
        || (all >= 8 && numbers >= 2 && turns >= 4)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn failure(text: &str) -> Failure {
        Failure {
            code: Some(451),
            error: text.to_owned(),
            server: Some("mx.example:25".to_owned()),
            phase: Some("rcpt".to_owned()),
            ..Failure::default()
        }
    }

    fn text(said: &str) -> String {
        Cause::of(&failure(said), "april@example.com").text
    }

    #[test]
    fn what_differs_from_try_to_try_becomes_a_placeholder_and_the_rest_stays_readable() {
        for (said, told) in [
            (
                "451 4.7.1 greylisted, try again in 300 seconds",
                "451 4.7.1 greylisted, try again in N seconds",
            ),
            (
                "451 4.7.1  Greylisted:\r\n wait 45s, then retry",
                "451 4.7.1 Greylisted: wait Ns, then retry",
            ),
            (
                "550 5.1.1 <april@example.com>: Recipient address rejected",
                "550 5.1.1 <ADDRESS>: Recipient address rejected",
            ),
            (
                "550 5.1.1 bounce+ben=x@list.example unknown",
                "550 5.1.1 bounce+ben=ADDRESS unknown",
            ),
            ("550 No such user (april)", "550 No such user (USER)"),
            (
                "452 4.2.2 April's mailbox is 104% full",
                "452 4.2.2 USER's mailbox is N% full",
            ),
            (
                "450 4.1.2 example.com: Domain not found",
                "450 4.1.2 DOMAIN: Domain not found",
            ),
            (
                "554 5.7.1 [192.0.2.7] and 2001:db8::1 are listed, 192.0.2.7:4711",
                "554 5.7.1 [IP] and IP are listed, IP",
            ),
            (
                "451 4.3.0 queue 3F2A1B2C4D: no space",
                "451 4.3.0 queue ID: no space",
            ),
            (
                "451 id 1tDabc-0001Ab-3Q, again 4XyZ9K1l2Pz3Q",
                "451 id ID, again ID",
            ),
            (
                "550 5.1.1 see https://support.google.com/mail/?p=NoSuchUser d9-20020a056402344900b00660a1b2c3d4si123456edb.50 - gsmtp",
                "550 5.1.1 see https://support.google.com/mail/?p=NoSuchUser ID - gsmtp",
            ),
            (
                "451 4.7.500 Server busy. (S77719) [AM7EUR06FT048.eop-eur06.prod.protection.outlook.com 2026-11-22T05:59:00.123Z 08DE1234ABCD5678]",
                "451 4.7.500 Server busy. (S77719) [ID.eop-eurN.prod.protection.outlook.com TIME ID]",
            ),
            (
                "421 4.7.0 [TSS04] deferred at Sun, 22 Nov 2026 05:59:00 +0000 (UTC) by mta1234.mail.example",
                "421 4.7.0 [TSS04] deferred at TIME) by mtaN.mail.example",
            ),
            (
                "452 since 22/11/2026 05:59, not 22.11.2026",
                "452 since TIME, not TIME",
            ),
            (
                "552 message of 10485761 bytes, at most 1000 KB",
                "552 message of N bytes, at most N KB",
            ),
            (
                "No such file or directory (os error 2): outbox/0a1b2c3d4e5f60718293a4b5.eml",
                "No such file or directory (os error 2): outbox/ID.eml",
            ),
            ("a hash 3q2+7w/aB3dE9xYz1/Zz9Yy8Xx7Ww=", "a hash 3q2+7w/ID="),
            ("", ""),
            ("...", "..."),
        ] {
            assert_eq!(text(said), told, "{said}");
        }
    }

    #[test]
    fn two_faults_are_never_one() {
        let said = [
            "550 5.7.1 blocked (S3140)",
            "550 5.7.1 blocked (S3150)",
            "421 4.7.0 [TSS04] deferred",
            "421 4.7.0 [TS03] deferred",
            "452 4.2.2 mailbox full",
            "452 4.2.2 mailbox unavailable",
            "451 relay said 450 4.2.0",
            "451 relay said 451 4.2.0",
            "451 relay said 451 4.2.1",
            "I/O failed (os error 2)",
            "I/O failed (os error 13)",
            "see https://support.example/?p=NoSuchUser",
            "see https://support.example/?p=OverQuota",
            "TLSv1.2 is too old",
            "TLSv1.1 is too old",
            "",
        ];
        let of = |text: &&str| Cause::of(&failure(text), "april@example.com").fingerprint();
        let seen: std::collections::HashSet<_> = said.iter().map(of).collect();
        assert_eq!(seen.len(), said.len());
    }

    #[test]
    fn another_server_phase_or_code_is_another_cause_and_case_is_not() {
        let first = failure("451 busy");
        let of = |failure: Failure| Cause::of(&failure, "a@example.com").fingerprint();
        let others = [
            Failure {
                code: None,
                ..first.clone()
            },
            Failure {
                enhanced: Some(String::new()),
                ..first.clone()
            },
            Failure {
                enhanced: Some("4.7.1".to_owned()),
                ..first.clone()
            },
            Failure {
                server: Some("mx2.example:25".to_owned()),
                ..first.clone()
            },
            Failure {
                server: None,
                ..first.clone()
            },
            Failure {
                phase: Some("dot".to_owned()),
                ..first.clone()
            },
        ];
        for other in others {
            assert_ne!(of(other.clone()), of(first.clone()), "{other:?}");
        }
        let shouted = Failure {
            error: "451  BUSY".to_owned(),
            ..first.clone()
        };
        assert_eq!(of(shouted), of(first));
    }

    /// Ways to refuse somebody; what stands in braces is theirs.
    const TEMPLATES: [&str; 10] = [
        "550 5.1.1 <{to}>: user unknown; mailbox {local} not found on {domain}",
        "451 4.7.1 greylisted, try again in {n} seconds ({id})",
        "452 4.2.2 \"{local}\" is over quota: {n} bytes since {time}",
        "554 5.7.1 client {ip} is blocked for {domain}, request {id}",
        "450 {to} deferred until {time}",
        "No such user here: {local}",
        "421 4.3.2 try https://example.net/why?to={to}&id={id}",
        "452 disk {n}% full, message {id}.eml",
        "the server for {domain} said: 550 no such user",
        "451 {id}/{id} queued by mta{n}.farm.example at {time}",
    ];

    fn fill(template: &str, to: (&str, &str), n: u32, id: u64, hour: u32) -> String {
        template
            .replace("{to}", &format!("{}@{}", to.0, to.1))
            .replace("{local}", to.0)
            .replace("{domain}", to.1)
            .replace("{n}", &n.to_string())
            .replace("{id}", &format!("{id:016X}"))
            .replace("{ip}", &format!("192.0.2.{}", hour + 1))
            .replace(
                "{time}",
                &format!("2026-11-{:02} {hour:02}:05:59", hour + 1),
            )
    }

    fn people() -> impl Strategy<Value = (&'static str, &'static str)> {
        (
            prop::sample::select(vec![
                "april", "ben", "o'brien", "zoe.x", "a+tag", "4712", "user", "mailbox", "x_1", "Å",
            ]),
            prop::sample::select(vec!["example.com", "mail.example.org", "Uni.example"]),
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_same_fault_has_the_same_fingerprint_whoever_meets_it(
            template in prop::sample::select(TEMPLATES.to_vec()),
            (a, b) in (people(), people()), n in (10_u32..9_999, 10_u32..9_999), id in any::<(u64, u64)>(), hour in (0_u32..24, 0_u32..24),
        ) {
            let cause = |to: (&str, &str), n, id, hour| {
                Cause::of(&failure(&fill(template, to, n, id, hour)), &format!("{}@{}", to.0, to.1))
            };
            // An id has a letter; one of digits alone is a number.
            let lettered = |id: u64| id | 0xA000_0000_0000_0000;
            let (one, two) = (cause(a, n.0, lettered(id.0), hour.0), cause(b, n.1, lettered(id.1), hour.1));
            // A bare name that servers use themselves, or that no word holds, cannot be told from the rest.
            let plain = |local: &str| !SERVERS_OWN.contains(&local) && !local.contains('\'');
            if !template.contains("{local}") || (plain(a.0) && plain(b.0)) {
                prop_assert_eq!(one.fingerprint(), two.fingerprint(), "{:?} {:?}", one, two);
            }
        }

        #[test]
        fn different_codes_never_share_a_fingerprint(
            said in any::<String>(), a in prop::option::of(200_u16..600), b in prop::option::of(200_u16..600),
            x in prop::option::of("[245]\\.[0-9]{1,3}\\.[0-9]{1,3}"), y in prop::option::of("[245]\\.[0-9]{1,3}\\.[0-9]{1,3}"),
        ) {
            let of = |code, enhanced: &Option<String>| {
                let failure = Failure { code, enhanced: enhanced.clone(), ..failure(&said) };
                Cause::of(&failure, "april@example.com").fingerprint()
            };
            prop_assert_eq!(of(a, &x) == of(b, &y), (a, &x) == (b, &y));
        }

        #[test]
        fn any_text_for_any_identity_is_read_within_bounds(said in any::<String>(), identity in any::<String>()) {
            let cause = Cause::of(&failure(&said), &identity);
            prop_assert!(cause.text.chars().count() <= LONGEST + 1);
            prop_assert_eq!(cause.text.split_whitespace().collect::<Vec<_>>().join(" "), cause.text);
        }
    }
}
