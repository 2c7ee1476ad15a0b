//! Rust: `thread 'main' panicked at src/main.rs:2:5:`, and stacks of a number and a name, with the place in a line of its own.

use super::{Kind, Line, List, chain::numbered};

/// Where code stands that was downloaded, or came with the compiler.
const FOREIGN_PLACES: [&str; 5] = [
    "/rustc/",
    "/.cargo/registry/",
    "/.cargo/git/",
    "/rustlib/",
    "/vendor/",
];

/// Crates that frames belong to whose place is not known.
const FOREIGN_CRATES: [&str; 10] = [
    "std",
    "core",
    "alloc",
    "backtrace",
    "anyhow",
    "eyre",
    "tokio",
    "futures",
    "test",
    "rayon",
];

/// `foreign` is that of the last frame, while lines may belong to it.
pub(super) fn read<'a>(
    foreign: &mut Option<bool>,
    list: List,
    text: &'a str,
    next: &str,
) -> Option<Line<'a>> {
    let bare = text.trim();
    let before = foreign.take();
    if bare.starts_with("thread '") && bare.contains(" panicked at ") {
        let span = place(text).unwrap_or(0..0);
        return Some(Line {
            span,
            ..Line::of(text, Kind::Error)
        });
    }
    if bare.eq_ignore_ascii_case("stack backtrace:") {
        return Some(Line::of(text, Kind::Joint));
    }
    if let Some(rest) = bare.strip_prefix("at ")
        && let Some(span) = place(text)
        && text[span.clone()].trim_start() == rest
    {
        let is_foreign = before.unwrap_or_else(|| is_foreign_place(rest));
        return Some(Line::frame(text, is_foreign, span));
    }
    let digits = numbered(text)?;
    let below = next
        .trim()
        .strip_prefix("at ")
        .filter(|below| place(below).is_some());
    let name = bare[digits.len() + 1..].trim_start();
    // `0x55d0c8 - name` where addresses are told.
    let name = match name.split_once(" - ") {
        Some((address, name)) if address.starts_with("0x") => name.trim_start(),
        _ => name,
    };
    let is_frame = list == List::Stack || (below.is_some() && name.contains("::"));
    if !is_frame {
        return None;
    }
    let is_foreign = below.map_or_else(|| is_foreign_name(name), is_foreign_place);
    *foreign = below.map(|_| is_foreign);
    let end = text.trim_end().len();
    Some(Line::frame(text, is_foreign, end - name.len()..end))
}

fn is_foreign_place(place: &str) -> bool {
    FOREIGN_PLACES.iter().any(|part| place.contains(part))
}

fn is_foreign_name(name: &str) -> bool {
    let name = name.trim_start_matches(['<', '&', '*', '(']);
    match name.split_once("::") {
        Some((first, _)) => FOREIGN_CRATES.contains(&first),
        // `main`, `__libc_start_main`: the way in, not the program.
        None => true,
    }
}

/// Where `src/main.rs:2:5` stands in a line.
fn place(text: &str) -> Option<std::ops::Range<usize>> {
    let dot = text.find(".rs:")?;
    let rest = &text[dot + 4..];
    let digits = rest
        .bytes()
        .take_while(|byte| byte.is_ascii_digit() || *byte == b':')
        .count();
    let numbers = rest[..digits].trim_end_matches(':').len();
    // Of a file's name with blanks in it only the end is found; that loses a colour.
    let start = text[..dot]
        .rfind(char::is_whitespace)
        .map_or(0, |at| at + 1);
    (numbers > 0).then_some(start..dot + 4 + numbers)
}
