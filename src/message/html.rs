/// What a reader would see of HTML, in lines of at most so many columns; `Err` says why it cannot be told.
pub(crate) fn html_as_text(html: &str, width: usize) -> Result<String, String> {
    // The parser's time grows with the square of the depth, and laying it out needs stack for each step.
    const DEEPEST: usize = 1_000;
    // Each takes about 3 KB of memory while it is laid out.
    const MOST: usize = 100_000;
    let size = size(html);
    if size.deepest > DEEPEST {
        return Err("is nested too deep to derive plain text from".to_owned());
    }
    if size.elements > MOST {
        return Err("has too many elements to derive plain text from".to_owned());
    }
    html2text::from_read(html.as_bytes(), width.max(1))
        .map_err(|error| format!("no plain text can be derived from it ({error})"))
}

/// Elements without content.
const VOID: &[&str] = &[
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source",
    "track", "wbr",
];

/// Elements that end where the next of their kind begins, unless another element lies between, which counts.
const SIBLINGS: &[&str] = &["p", "li", "td", "th", "tr", "option"];

/// Elements whose content is text, whatever it looks like.
const RAW: &[&str] = &[
    "title", "textarea", "style", "script", "xmp", "iframe", "noembed", "noframes",
];

/// Elements that a parser opens anew in each paragraph while they are not closed.
const FORMATTING: &[&str] = &[
    "a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u",
];

/// Within these other rules hold.
const STRANGE: &[&str] = &["svg", "math", "select", "noscript", "plaintext", "frameset"];

/// How many elements there may be, and how deep, without building them: a parser's are at most a few times as many and as deep, whatever somebody
/// writes. What opens counts; what closes only counts when it closes what was opened last, since else the parser may have other ideas.
#[derive(Debug)]
struct Size {
    deepest: usize,
    elements: usize,
}

fn size(html: &str) -> Size {
    let html = html.to_ascii_lowercase();
    let mut read = Reader::default();
    let mut at = 0;
    while let Some(begin) = html[at..].find('<') {
        at = read.tag(&html, at + begin + 1);
    }
    Size {
        deepest: read.deepest,
        elements: read.elements,
    }
}

#[derive(Default)]
struct Reader<'a> {
    open: Vec<&'a str>,
    deepest: usize,
    /// How many of those that are open are opened anew in each paragraph.
    formatting: usize,
    elements: usize,
    /// From here on everything that looks as if it opened something counts, and nothing closes anything.
    strange: bool,
}

impl<'a> Reader<'a> {
    /// Reads what begins with a `<` before this place; returns where it ends.
    fn tag(&mut self, html: &'a str, at: usize) -> usize {
        let (closes, named) = match html[at..].strip_prefix('/') {
            Some(named) => (true, named),
            None => (false, &html[at..]),
        };
        let name = name(named);
        let after = html.len() - named.len() + name.len();
        if self.strange {
            if !closes && !name.is_empty() {
                self.count();
                self.push(name);
            }
            return at;
        }
        if name.is_empty() {
            return match &html.as_bytes()[at..] {
                [b'!', b'-', b'-', ..] => end_of_comment(html, at + 3),
                [b'!' | b'?' | b'/', ..] => end_of(html, at, ">"),
                _ => at,
            };
        }
        if closes {
            if self.open.pop_if(|last| *last == name).is_some() && FORMATTING.contains(&name) {
                self.formatting -= 1;
            }
            return end_of_tag(html, after);
        }
        self.count();
        self.strange = STRANGE.contains(&name);
        if !VOID.contains(&name) && !SIBLINGS.contains(&name) {
            self.push(name);
        }
        let end = end_of_tag(html, after);
        if !RAW.contains(&name) {
            return end;
        }
        let raw = end_of_raw(html, end, name);
        // What ends a script that holds a comment, nobody knows without reading it.
        self.strange |= name == "script" && html[end..raw].contains("<!--");
        if self.strange { end } else { raw }
    }

    fn count(&mut self) {
        self.elements += 1 + self.formatting;
    }

    fn push(&mut self, name: &'a str) {
        self.formatting += usize::from(FORMATTING.contains(&name));
        self.open.push(name);
        self.deepest = self.deepest.max(self.open.len());
    }
}

/// The name that a tag begins with, in lower case as the text is.
fn name(tag: &str) -> &str {
    if !tag.starts_with(|c: char| c.is_ascii_lowercase()) {
        return "";
    }
    let end = tag.find(|c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>'));
    &tag[..end.unwrap_or(tag.len())]
}

/// Behind the next of this, or the end.
fn end_of(html: &str, from: usize, what: &str) -> usize {
    let found = html[from..].find(what);
    found.map_or(html.len(), |found| from + found + what.len())
}

/// Where a comment ends whose text begins there (WHATWG HTML, 13.2.5.43 to 13.2.5.52).
fn end_of_comment(html: &str, from: usize) -> usize {
    let ends = |rest: &str| [">", "!>"].into_iter().find(|end| rest.starts_with(end));
    for at_once in [">", "->"] {
        if html[from..].starts_with(at_once) {
            return from + at_once.len();
        }
    }
    let mut at = from;
    while let Some(dashes) = html[at..].find("--") {
        let behind = at + dashes + 2;
        if let Some(end) = ends(&html[behind..]) {
            return behind + end.len();
        }
        // The second dash may be the first of two.
        at = behind - 1;
    }
    html.len()
}

/// Where a tag ends, from the end of its name on: not at a `>` within a quoted value (WHATWG HTML, 13.2.5.32 to 13.2.5.39).
fn end_of_tag(html: &str, from: usize) -> usize {
    #[derive(Clone, Copy)]
    enum In {
        Gap,
        Name,
        AfterName,
        BeforeValue,
        Value,
        Quotes(u8),
    }
    let mut place = In::Gap;
    for (at, byte) in html.bytes().enumerate().skip(from) {
        let blank = byte.is_ascii_whitespace();
        place = match (place, byte) {
            (In::Quotes(quote), _) if byte == quote => In::Gap,
            (In::Quotes(_), _) => place,
            (_, b'>') => return at + 1,
            (In::BeforeValue, b'"' | b'\'') => In::Quotes(byte),
            (In::BeforeValue, _) if blank => In::BeforeValue,
            (In::BeforeValue | In::Value, _) if !blank => In::Value,
            (In::Name | In::AfterName, b'=') => In::BeforeValue,
            (In::Name | In::AfterName, _) if blank => In::AfterName,
            (_, b'/') => In::Gap,
            _ if blank => In::Gap,
            _ => In::Name,
        };
    }
    html.len()
}

/// Where the tag begins that ends a content which is text.
fn end_of_raw(html: &str, from: usize, element: &str) -> usize {
    let mut at = from;
    while let Some(found) = html[at..].find("</") {
        let tag = at + found;
        if name(&html[tag + 2..]) == element {
            return tag;
        }
        at = tag + 2;
    }
    html.len()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn whatever_html_says_it_is_read_or_refused_within_a_moment() {
        let long = "x".repeat(100);
        let beginnings = [
            ("", "<div>"),
            ("", "<div></x>"),
            ("", "<li><dd>"),
            ("", "<span><div></span></div>"),
            ("", "<div><!--</div>-->"),
            ("", "<div><!--><a b=\"--></a></div>\">"),
            ("", "<div><a title=\"</a></div>\">"),
            ("", "<div><a b=x\" c=\"></a></div>\">"),
            ("", "<div><? </div>"),
            ("", "<div></ </div>"),
            ("", "<div><style></style><style></div></style>"),
            ("<svg>", "<td>"),
            ("<svg>", "<style><b></style></b>"),
            (
                "",
                "<div><select><style><a b=\"</style></a></style></select></div>\"></select>",
            ),
            ("", "<p><b class={n}>"),
            (
                "<p><b><b a=1><b a=2><b a=3><b a=4><b a=5><b a=6><b a=7><b a=8>",
                "<p>x",
            ),
            ("", "<hr>"),
            ("", "<a href={n}><table><tr><td>"),
            ("", "<table><tr><td>"),
            ("", "<blockquote>"),
            ("", "<ul><li>"),
            ("", "<option><p><option>"),
            ("", "<script><!--<script></script>"),
            ("", "<!--"),
            ("", "<!---->"),
            ("", "<style>"),
            ("", "<a "),
            ("", "</stylex"),
            ("", "<p>"),
            ("", "<td>"),
            ("<table><tr>", "<td>"),
        ];
        for (beginning, part) in beginnings {
            for size in [10_000, 300_000] {
                let mut html = beginning.to_owned();
                for n in 0.. {
                    if html.len() > size {
                        break;
                    }
                    html.push_str(&part.replace("{n}", &n.to_string()));
                }
                html.push_str(&long);
                let began = Instant::now();
                let _ = html_as_text(&html, 76);
                let took = began.elapsed();
                assert!(took < Duration::from_secs(10), "{part}: {took:?}");
            }
        }
    }

    #[test]
    fn mail_as_people_write_it_is_not_too_deep() {
        let row = "<!--[if mso]><table><tr><td><![endif]--><div style='a: \">\"'><p>a<p>b<br><img src=x></div><ul><li>a<li>b</ul>\
            <a href='?a=1&b=</div>'>x</a><!--[if mso]></td></tr></table><![endif]--><script type='application/ld+json'>{\"a\": \"<b>\"}</script>\
            <style>div > p { }</style><o:p></o:p><TABLE><TR><TD>x<TD>y</TABLE>";
        let html = format!(
            "<!DOCTYPE html><html><head><title>a < b</title></head><body>{}</body></html>",
            row.repeat(1_000)
        );
        let size = size(&html);
        assert!(size.deepest < 10 && size.elements < 20_000, "{size:?}");
        assert!(html_as_text(&html, 76).is_ok());
    }
}
