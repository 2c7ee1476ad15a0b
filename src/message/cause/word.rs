//! What a single word is.

use std::borrow::Cow;

/// What a word stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
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

pub(super) fn is_address(word: &str) -> bool {
    let both = |left: &str, right: &str| !left.is_empty() && !right.is_empty();
    word.split_once('@')
        .is_some_and(|(left, right)| both(left, right))
        || word
            .split_once("%40")
            .is_some_and(|(left, right)| both(left, right))
}

pub(super) fn is_ip(word: &str) -> bool {
    use std::net::{IpAddr, SocketAddr};
    let bare = match word.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("ipv6:") => &word[5..],
        _ => word,
    };
    // A word of colons and few digits is a clock rather than an address.
    (bare.contains('.') || bare.matches(':').count() > 1 && !is_clock(bare))
        && (bare.parse::<IpAddr>().is_ok() || bare.parse::<SocketAddr>().is_ok())
}

pub(super) fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// `05:59`, `05:59:00.123Z`.
pub(super) fn is_clock(word: &str) -> bool {
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
pub(super) fn is_date(word: &str) -> bool {
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
pub(super) fn is_code(word: &str) -> bool {
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

pub(super) fn is_month(word: &str) -> bool {
    const MONTHS: [&str; 12] = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    MONTHS.iter().any(|month| word.eq_ignore_ascii_case(month))
}

pub(super) fn is_beside(word: &str) -> bool {
    const BESIDE: [&str; 11] = [
        "mon", "tue", "wed", "thu", "fri", "sat", "sun", "utc", "gmt", "am", "pm",
    ];
    BESIDE
        .iter()
        .any(|beside| word.eq_ignore_ascii_case(beside))
}

/// Long numbers and measured ones vary; short ones are often the name of the fault, as in `os error 2`.
pub(super) fn number<'t>(word: &'t str, after: &str, next: &str) -> (Cow<'t, str>, Kind) {
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

/// Whether the number that follows is the name of a fault: `os error 111`, `code 1042`.
pub(super) fn is_name(word: &str) -> bool {
    const NAMES: [&str; 7] = ["error", "err", "errno", "code", "status", "rule", "reason"];
    NAMES.iter().any(|name| word.eq_ignore_ascii_case(name))
}

/// Whether a unit follows a number.
pub(super) fn is_measured(after: &str, next: &str) -> bool {
    after.starts_with('%') || (after == " " && is_unit(next))
}

pub(super) fn is_unit(word: &str) -> bool {
    const UNITS: [&str; 19] = [
        "ms", "s", "sec", "second", "m", "min", "minute", "h", "hr", "hour", "d", "day", "week",
        "b", "byte", "kb", "kib", "mb", "mib",
    ];
    let word = word.to_ascii_lowercase();
    let one = word.strip_suffix('s').unwrap_or(&word);
    UNITS.contains(&word.as_str()) || UNITS.contains(&one)
}

/// The unit of `300s`, `1.5min`, `10MB`.
pub(super) fn measure(word: &str) -> Option<&str> {
    let unit = word.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    (unit.len() < word.len() && is_unit(unit)).then_some(unit)
}

/// A name with dots that ends in letters: of a host, a file, an error.
pub(super) fn is_host(word: &str) -> bool {
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
pub(super) fn host(word: &str) -> String {
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
pub(super) fn long_numbers(label: &str) -> String {
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
pub(super) fn is_id(word: &str) -> bool {
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
