use memchr::{memchr2, memmem};

/// The lines of a message without their ends. CRLF ends a line, and so does a bare CR or LF: what one reader takes for a line end and another
/// does not is how messages are smuggled.
pub(super) fn lines(message: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = message;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
        let (line, after) = rest.split_at(end);
        rest = after
            .strip_prefix(b"\r\n")
            .or(after.get(1..))
            .unwrap_or_default();
        Some(line)
    })
}

/// The header section with the end of its last line, and what follows the empty line.
pub(super) fn header_and_body(message: &[u8]) -> (&[u8], &[u8]) {
    match memmem::find(message, b"\r\n\r\n") {
        Some(end) => (&message[..end + 2], &message[end + 4..]),
        None => (message, b""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_line_end_ends_one_line() {
        let told: Vec<&[u8]> = lines(b"a\r\nb\nc\rd\n\r\n\n\re").collect();
        assert_eq!(told, [&b"a"[..], b"b", b"c", b"d", b"", b"", b"", b"e"]);
        assert_eq!(lines(b"").count(), 0);
        assert_eq!(lines(b"a\r\n").count(), 1);
    }
}
