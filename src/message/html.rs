/// What a reader would see of HTML, in lines of at most so many columns; `Err` says why it cannot be told.
pub(crate) fn html_as_text(html: &str, width: usize) -> Result<String, String> {
    // The parser's time grows with the square of the depth: 5,000 take half a second.
    const DEEPEST: usize = 5_000;
    if depth(html) > DEEPEST {
        return Err("is nested too deep to derive plain text from".to_owned());
    }
    html2text::from_read(html.as_bytes(), width.max(1))
        .map_err(|error| format!("no plain text can be derived from it ({error})"))
}

/// How deep the elements may be nested at most, without building them: an upper bound but for what nobody writes.
fn depth(html: &str) -> usize {
    const NEVER_DEEPER: &[&str] = &[
        "br", "hr", "img", "input", "link", "meta", "col", "source", "wbr", "p", "li", "td", "th",
        "tr", "dt", "dd", "option",
    ];
    let (mut depth, mut deepest) = (0_usize, 0);
    for tag in html.split('<').skip(1) {
        let (closes, rest) = match tag.strip_prefix('/') {
            Some(rest) => (true, rest),
            None => (false, tag),
        };
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(rest.len());
        let name = rest[..end].to_ascii_lowercase();
        if name.is_empty() || NEVER_DEEPER.contains(&name.as_str()) {
            continue;
        }
        depth = if closes {
            depth.saturating_sub(1)
        } else {
            depth + 1
        };
        deepest = deepest.max(depth);
    }
    deepest
}
