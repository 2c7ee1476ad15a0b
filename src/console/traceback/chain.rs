//! Postroom's own error chains and those of anyhow: the error, its circumstances, then `Caused by:` and the numbered causes.

use super::{Kind, Line, List};

/// The longest label of a circumstance; longer ones push its value aside.
const LABEL: usize = 11;

pub(super) fn read<'a>(list: &mut List, text: &'a str) -> Option<Line<'a>> {
    let trimmed = text.trim();
    if matches!(trimmed, "Caused by:" | "Location:") {
        *list = List::Causes;
        return Some(Line::of(text, Kind::Joint));
    }
    if text.starts_with("Error: ") {
        return Some(Line::of(text, Kind::Error));
    }
    if *list == List::Causes
        && let Some(digits) = numbered(text)
    {
        let label = text.find(digits)?;
        return Some(Line {
            span: label..label + digits.len() + 1,
            ..Line::of(text, Kind::Fact)
        });
    }
    let circumstance = text.strip_prefix("  ")?;
    let label = circumstance.split(' ').next()?;
    let after = &circumstance[label.len()..];
    let gap = after.len() - after.trim_start().len();
    let is_label = (2..=LABEL).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_lowercase())
        && gap < after.len()
        && (gap >= 2 || label.len() == LABEL);
    is_label.then(|| Line {
        span: 2..2 + label.len(),
        ..Line::of(text, Kind::Fact)
    })
}

/// The digits of `  3: words`.
pub(super) fn numbered(text: &str) -> Option<&str> {
    let (digits, rest) = text.trim_start().split_once(':')?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && rest.starts_with(' ')).then_some(digits)
}
