//! What follows DATA, up to the dot that ends it (RFC 5321 4.5.2).
//!
//! Only CRLF, a dot and CRLF end a message. A bare LF or CR counts as a line end within the message, as with Postfix since 3.9, and becomes CRLF: so
//! no server behind this one can see an end where this one saw none, which is how messages are smuggled.

use memchr::{memchr, memchr2};

/// A message in the coming.
#[derive(Debug)]
pub(super) struct Data {
    /// Without the doubled dots, CRLF at every line end.
    message: Vec<u8>,
    at: At,
    limit: usize,
    fault: Option<Fault>,
}

/// Why nothing more is kept of what comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is longer than the limit.
    TooLarge,
    /// It has a NUL.
    Nul,
    /// Too many are being received at once.
    NoRoom,
}

/// Where in a line the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// At its beginning, behind a CRLF (or behind something else that counts as a line end).
    Start { crlf: bool },
    /// Behind a dot at its beginning.
    Dot { crlf: bool },
    /// Behind that and a CR.
    DotCr { crlf: bool },
    /// Anywhere else.
    Within,
    /// Behind a CR.
    Cr,
}

impl Data {
    /// A message of at most so many bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            message: Vec::new(),
            // The CRLF of the DATA line counts (RFC 5321 4.1.1.4).
            at: At::Start { crlf: true },
            limit,
            fault: None,
        }
    }

    /// How many bytes of memory it takes.
    pub(super) fn size(&self) -> usize {
        self.message.capacity()
    }

    /// Keeps nothing, from now on.
    pub(super) fn give_up(&mut self, fault: Fault) {
        self.message = Vec::new();
        self.fault.get_or_insert(fault);
    }

    /// The message, or why there is none.
    pub(super) fn finish(self) -> Result<Vec<u8>, Fault> {
        match self.fault {
            None => Ok(self.message),
            Some(fault) => Err(fault),
        }
    }

    /// Takes of these bytes what belongs to the message: how many, and whether its end was among them.
    pub(super) fn take(&mut self, bytes: &[u8]) -> (usize, bool) {
        let mut used = 0;
        while let Some(&byte) = bytes.get(used) {
            used += 1;
            match (self.at, byte) {
                (At::DotCr { crlf: true }, b'\n') => return (used, true),
                // A line with only a dot that is no end: not both of its line ends are CRLF.
                (At::DotCr { crlf: false }, b'\n') => self.line(b".", true),
                (At::Dot { .. }, b'\n') => self.line(b".", false),
                (At::Dot { crlf }, b'\r') => self.at = At::DotCr { crlf },
                (At::Start { crlf }, b'.') => self.at = At::Dot { crlf },
                (At::Start { .. } | At::Within, b'\r') => self.at = At::Cr,
                (At::Start { .. } | At::Within, b'\n') => self.line(b"", false),
                (At::Cr, b'\n') => self.line(b"", true),
                // A CR that no LF follows; the byte behind it begins no line that a dot could end.
                (At::Cr | At::DotCr { .. }, _) => {
                    self.line(b"", false);
                    self.at = At::Within;
                    used -= 1;
                }
                (At::Start { .. } | At::Dot { .. } | At::Within, _) => {
                    let text = &bytes[used - 1..];
                    let end = memchr2(b'\r', b'\n', text).unwrap_or(text.len());
                    self.push(&text[..end]);
                    self.at = At::Within;
                    used += end - 1;
                }
            }
        }
        (used, false)
    }

    /// Ends a line.
    fn line(&mut self, rest: &[u8], crlf: bool) {
        self.push(rest);
        self.push(b"\r\n");
        self.at = At::Start { crlf };
    }

    fn push(&mut self, bytes: &[u8]) {
        if self.fault.is_some() {
            return;
        }
        if memchr(0, bytes).is_some() {
            return self.give_up(Fault::Nul);
        }
        if self.message.len() + bytes.len() > self.limit {
            return self.give_up(Fault::TooLarge);
        }
        self.message.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is kept of these bytes, and what is left of them behind the end.
    fn taken(wire: &[u8], cuts: usize) -> Option<(Vec<u8>, Vec<u8>)> {
        let mut data = Data::new(1 << 20);
        let mut at = 0;
        for chunk in wire.chunks(cuts) {
            let (used, ended) = data.take(chunk);
            at += used;
            if ended {
                return Some((data.finish().unwrap(), wire[at..].to_vec()));
            }
            assert_eq!(used, chunk.len());
        }
        None
    }

    #[test]
    fn only_crlf_dot_crlf_ends_a_message() {
        for (wire, message) in [
            (&b".\r\n"[..], &b""[..]),
            (b"a\r\n.\r\n", b"a\r\n"),
            (b"a\n.\n.\r\nb\r\n.\r\n", b"a\r\n.\r\n.\r\nb\r\n"),
            (
                b"a\n.\r\nMAIL FROM:<x@y>\r\n.\r\n",
                b"a\r\n.\r\nMAIL FROM:<x@y>\r\n",
            ),
            (b"a\r\n.\nb\r\n.\r\n", b"a\r\n.\r\nb\r\n"),
            (b"a\r.\rb\r.\r\nc\r\n.\r\n", b"a\r\n.\r\nb\r\n.\r\nc\r\n"),
            (b"a\r\n.\rb\r\n.\r\n", b"a\r\n\r\nb\r\n"),
            (b"a\r\r\n.\r\n", b"a\r\n\r\n"),
            (b"..\r\n..a\r\n.b\r\n.\r\n", b".\r\n.a\r\nb\r\n"),
            (b"a\n..b\n\r\n.\r\n", b"a\r\n.b\r\n\r\n"),
        ] {
            for cuts in 1..=wire.len() {
                let (got, rest) = taken(wire, cuts).unwrap_or_else(|| panic!("{wire:?}"));
                assert_eq!(
                    (String::from_utf8_lossy(&got), rest.len()),
                    (String::from_utf8_lossy(message), 0)
                );
            }
        }
        for wire in [
            &b"a\n.\n"[..],
            b"a\n.\r\n",
            b"a\r\n.\n",
            b"a\r.\r",
            b"a\r\n.\r",
            b".\n",
        ] {
            assert_eq!(taken(wire, 3), None, "{wire:?}");
        }
    }

    proptest! {
        #[test]
        fn what_was_written_well_comes_back_byte_for_byte(lines in prop::collection::vec("[.a]{0,4}", 0..8), cuts in 1_usize..9) {
            let end = |lines: &[String]| lines.join("\r\n") + if lines.is_empty() { "" } else { "\r\n" };
            let message = end(&lines);
            let dot = |line: &String| if line.starts_with('.') { "." } else { "" }.to_owned() + line;
            let stuffed = end(&lines.iter().map(dot).collect::<Vec<_>>());
            let wire = stuffed + ".\r\nRSET\r\n";
            let (got, rest) = taken(wire.as_bytes(), cuts).unwrap();
            prop_assert_eq!(String::from_utf8(got).unwrap(), message);
            prop_assert_eq!(rest, b"RSET\r\n");
        }

        #[test]
        fn however_it_is_cut_the_end_is_at_the_same_byte(wire in "(\r|\n|\\.|a|\r\n|\r\n\\.\r\n){0,20}", one in 1_usize..7, other in 1_usize..7) {
            let end = |cuts| taken(wire.as_bytes(), cuts).map(|(message, _)| message);
            prop_assert_eq!(end(one), end(other));
        }

        #[test]
        fn no_reader_of_the_kept_message_sees_another_line_end_than_crlf(wire in "(\r|\n|\\.|a){0,20}") {
            let mut data = Data::new(1 << 20);
            data.take(wire.as_bytes());
            let kept = String::from_utf8(data.finish().unwrap()).unwrap();
            prop_assert!(!kept.replace("\r\n", "").contains(['\r', '\n']));
        }
    }

    #[test]
    fn what_is_too_large_or_has_a_nul_is_not_kept_and_still_ends() {
        let mut data = Data::new(4);
        assert_eq!(data.take(b"abcde\r\n.\r\n"), (10, true));
        assert_eq!(data.finish(), Err(Fault::TooLarge));
        let mut data = Data::new(100);
        assert_eq!(data.take(b"a\0b\r\n.\r\n"), (8, true));
        assert_eq!(data.finish(), Err(Fault::Nul));
    }
}
