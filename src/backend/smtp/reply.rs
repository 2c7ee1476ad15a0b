//! Reads a server's replies (RFC 5321 4.2) out of whatever pieces the network delivers.

use std::{borrow::Cow, time::Duration};

/// Text of one reply beyond this many bytes is read and thrown away.
pub(super) const TEXT_LIMIT: usize = 64 * 1024;

/// A reply that has not ended after this many bytes never will.
const ENDLESS: usize = 16 * 1024 * 1024;

/// One whole reply. Its lines stand as they came, without their line ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    code: u16,
    raw: Vec<u8>,
    took: Duration,
}

impl Reply {
    /// The three digits.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// How long it was waited for.
    pub(super) fn took(&self) -> Duration {
        self.took
    }

    /// Notes how long it was waited for.
    pub(super) fn after(mut self, took: Duration) -> Self {
        self.took = took;
        self
    }

    /// 2yz: done.
    pub(super) fn is_positive(&self) -> bool {
        self.code / 100 == 2
    }

    /// 4yz or 5yz: an ordinary refusal, after which the session goes on.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self.code / 100, 4 | 5)
    }

    /// 5yz: refused for good.
    pub(super) fn is_permanent(&self) -> bool {
        self.code / 100 == 5
    }

    /// The lines as they came, code included, separated by `\n`; what is not UTF-8 is replaced.
    pub(super) fn raw(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.raw)
    }

    /// Makes these words unreadable: a server may repeat in an error what it was told in confidence.
    pub(super) fn hide(&mut self, secret: &str) {
        let secret = secret.as_bytes();
        let mut at = 0;
        while !secret.is_empty() && at + secret.len() <= self.raw.len() {
            if self.raw[at..].starts_with(secret) {
                self.raw[at..at + secret.len()].fill(b'*');
                at += secret.len();
            } else {
                at += 1;
            }
        }
    }

    /// The text of each line, without the code.
    pub(super) fn lines(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.raw
            .split(|&byte| byte == b'\n')
            .map(|line| String::from_utf8_lossy(line.get(4..).unwrap_or_default()))
    }

    /// The enhanced status code (RFC 3463) at the head of the text, up to three digits a part; one whose class is not the reply's is
    /// only text.
    pub fn enhanced(&self) -> Option<String> {
        let line = self.lines().next()?;
        self.enhanced_of(&line).map(str::to_owned)
    }

    fn enhanced_of<'a>(&self, line: &'a str) -> Option<&'a str> {
        let word = line.split([' ', '\t', '\r']).next()?;
        let mut parts = word.split('.');
        let class = parts.next()?;
        let digits = |part: &str| {
            (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        let sound = class.len() == 1
            && class.parse() == Ok(self.code / 100)
            && parts.next().is_some_and(digits)
            && parts.next().is_some_and(digits)
            && parts.next().is_none();
        sound.then_some(word)
    }

    /// Code, enhanced code and text on one line: the server's own words.
    pub fn in_one_line(&self) -> String {
        let enhanced = self.enhanced();
        let mut told = self.code.to_string();
        if let Some(enhanced) = &enhanced {
            told.push(' ');
            told.push_str(enhanced);
        }
        for line in self.lines() {
            let text = match &enhanced {
                Some(enhanced) if self.enhanced_of(&line) == Some(enhanced) => {
                    &line[enhanced.len()..]
                }
                _ => &line[..],
            };
            for word in text.split_ascii_whitespace() {
                told.push(' ');
                told.push_str(word);
            }
        }
        told
    }
}

/// What came is no reply of SMTP.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It does not begin with three digits and a separator.
    #[error("the server's answer is not SMTP: it begins with {0:?}")]
    NoReply(String),
    /// A reply of several lines must have the same code on each (RFC 5321 4.2.1).
    #[error("the lines of one reply have different codes: {first} and then {then:?}")]
    TwoCodes {
        /// Of the first line.
        first: u16,
        /// Of the one that differs, as it came.
        then: String,
    },
    /// It goes on and on.
    #[error("the server's reply does not end (16 MiB were read)")]
    Endless,
}

/// The reader's state between two pieces of input. Where the pieces end makes no difference.
#[derive(Debug, Default)]
pub struct ReplyReader {
    /// Of the reply so far.
    raw: Vec<u8>,
    /// The code of its first line.
    code: Option<[u8; 3]>,
    /// The first bytes of the present line: code and separator.
    head: Vec<u8>,
    /// Bytes of this reply, those thrown away too.
    length: usize,
}

impl ReplyReader {
    /// Takes as much of `input` as belongs to the present reply: how many bytes, and the reply once it is whole. After an error the reader is
    /// of no more use, as the connection is.
    pub fn push(&mut self, input: &[u8]) -> Result<(usize, Option<Reply>), Malformed> {
        let mut used = 0;
        while used < input.len() {
            if self.head.len() < 4 {
                let byte = input[used];
                self.begin_line(byte, &input[used..])?;
                used += 1;
                // A line may end right after its code.
                if byte == b'\n'
                    && let Some(reply) = self.end_line()
                {
                    return Ok((used, Some(reply)));
                }
                continue;
            }
            let rest = &input[used..];
            let end = rest.iter().position(|&byte| byte == b'\n');
            let text = &rest[..end.unwrap_or(rest.len())];
            self.keep(text);
            self.length += text.len();
            used += text.len();
            if self.length > ENDLESS {
                return Err(Malformed::Endless);
            }
            if end.is_some() {
                used += 1;
                if let Some(reply) = self.end_line() {
                    return Ok((used, Some(reply)));
                }
            }
        }
        Ok((used, None))
    }

    /// Whether a reply has begun and not ended.
    pub(super) fn is_within_a_reply(&self) -> bool {
        self.length > 0
    }

    fn begin_line(&mut self, byte: u8, rest: &[u8]) -> Result<(), Malformed> {
        let sound = match self.head.len() {
            0 => matches!(byte, b'1'..=b'5'),
            1 | 2 => byte.is_ascii_digit(),
            _ => matches!(byte, b' ' | b'-' | b'\r' | b'\n'),
        };
        if !sound {
            let mut begin = self.head.clone();
            begin.extend(rest.iter().take_while(|&&byte| byte != b'\n').take(80));
            let begin = String::from_utf8_lossy(&begin).trim_end().to_owned();
            return Err(Malformed::NoReply(begin));
        }
        self.length += 1;
        self.head.push(byte);
        if let [a, b, c] = self.head[..] {
            match self.code {
                None => self.code = Some([a, b, c]),
                Some(code) if code != [a, b, c] => {
                    return Err(Malformed::TwoCodes {
                        first: number(code),
                        then: String::from_utf8_lossy(&self.head).into_owned(),
                    });
                }
                Some(_) => {}
            }
        } else if self.head.len() == 4 {
            let visible = if matches!(byte, b'\r' | b'\n') { 3 } else { 4 };
            let head = std::mem::take(&mut self.head);
            self.keep(&head[..visible]);
            self.head = head;
        }
        Ok(())
    }

    /// Ends a line; the reply is whole when the line was its last.
    fn end_line(&mut self) -> Option<Reply> {
        if self.raw.last() == Some(&b'\r') {
            self.raw.pop();
        }
        let more = self.head.get(3) == Some(&b'-');
        self.head.clear();
        if more {
            self.keep(b"\n");
            return None;
        }
        let code = number(self.code.take()?);
        self.length = 0;
        let raw = std::mem::take(&mut self.raw);
        Some(Reply {
            code,
            raw,
            took: Duration::ZERO,
        })
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = TEXT_LIMIT.saturating_sub(self.raw.len());
        self.raw.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

fn number(code: [u8; 3]) -> u16 {
    code.iter()
        .fold(0, |number, digit| number * 10 + u16::from(digit - b'0'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(input: &[u8]) -> Result<Option<Reply>, Malformed> {
        ReplyReader::default().push(input).map(|(_, reply)| reply)
    }

    fn reply(input: &str) -> Reply {
        read(input.as_bytes()).unwrap().unwrap()
    }

    /// All replies in `input`, delivered in pieces of these sizes.
    fn replies(input: &[u8], pieces: &[usize]) -> Vec<Result<Reply, ()>> {
        let mut reader = ReplyReader::default();
        let mut found = Vec::new();
        let mut sizes = pieces.iter().copied().cycle();
        let mut rest = input;
        while !rest.is_empty() {
            let size = sizes.next().unwrap_or(rest.len()).clamp(1, rest.len());
            let (mut piece, later) = rest.split_at(size);
            rest = later;
            while !piece.is_empty() {
                let Ok((used, reply)) = reader.push(piece) else {
                    found.push(Err(()));
                    return found;
                };
                assert!(used > 0);
                found.extend(reply.map(Ok));
                piece = &piece[used..];
            }
        }
        found
    }

    #[test]
    fn a_reply_of_several_lines_is_told_on_one() {
        let reply =
            reply("550-5.1.1 The address\r\n550-5.1.1  does not exist.\r\n550 5.1.1 Sorry\r\n");
        assert_eq!(reply.code(), 550);
        assert_eq!(reply.enhanced().as_deref(), Some("5.1.1"));
        assert_eq!(
            reply.in_one_line(),
            "550 5.1.1 The address does not exist. Sorry"
        );
        assert_eq!(reply.raw().lines().count(), 3);
    }

    #[test]
    fn enhanced_codes_have_up_to_three_digits_a_part_and_the_class_of_the_reply() {
        assert_eq!(
            reply("550 5.7.509 no\r\n").enhanced().as_deref(),
            Some("5.7.509")
        );
        for other in [
            "550 4.7.1 no\r\n",
            "550 5.7.1234 no\r\n",
            "550 5.7 no\r\n",
            "550 5.7.1.1 no\r\n",
            "550 5..1 no\r\n",
            "550 05.7.1 no\r\n",
            "354 3.0.0x go\r\n",
            "250\r\n",
        ] {
            assert_eq!(reply(other).enhanced(), None, "{other}");
        }
    }

    #[test]
    fn a_code_alone_is_a_reply() {
        for line in ["250\r\n", "250 \r\n", "250\n"] {
            let reply = reply(line);
            assert_eq!((reply.code(), reply.in_one_line().as_str()), (250, "250"));
        }
    }

    #[test]
    fn lines_of_one_reply_must_have_one_code() {
        assert!(matches!(
            read(b"550-no\r\n250 yes\r\n"),
            Err(Malformed::TwoCodes { first: 550, .. })
        ));
    }

    #[test]
    fn what_is_no_reply_is_told_as_such() {
        for line in [
            "HTTP/1.1 400 Bad\r\n",
            "999 no\r\n",
            "25 no\r\n",
            "2500 no\r\n",
            "\r\n",
            "250+x\r\n",
        ] {
            assert!(
                matches!(read(line.as_bytes()), Err(Malformed::NoReply(_))),
                "{line}"
            );
        }
        assert_eq!(
            read(b"SSH-2.0-x\r\n").unwrap_err().to_string(),
            "the server's answer is not SMTP: it begins with \"SSH-2.0-x\""
        );
    }

    #[test]
    fn text_beyond_64_kib_is_read_and_thrown_away() {
        let mut input = b"250-".to_vec();
        input.resize(3 * TEXT_LIMIT, b'x');
        input.extend(b"\r\n250 end\r\n354 go\r\n");
        let found = replies(&input, &[1000]);
        assert_eq!(found.len(), 2);
        let first = found[0].as_ref().unwrap();
        assert_eq!((first.code(), first.raw.len()), (250, TEXT_LIMIT));
        assert_eq!(found[1].as_ref().unwrap().code(), 354);
    }

    #[test]
    fn a_reply_that_never_ends_is_given_up() {
        let mut reader = ReplyReader::default();
        assert!(reader.push(b"250 ").is_ok());
        let block = vec![b'x'; 1 << 20];
        let failed = (0..20).find_map(|_| reader.push(&block).err());
        assert_eq!(failed, Some(Malformed::Endless));
        assert!(reader.raw.capacity() <= 2 * TEXT_LIMIT);
    }

    #[test]
    fn a_secret_that_the_server_repeats_is_hidden() {
        let mut reply = reply("535 not hunter22, hunter22 is wrong\r\n");
        reply.hide("hunter22");
        assert_eq!(reply.in_one_line(), "535 not ********, ******** is wrong");
    }

    #[test]
    fn bytes_that_are_not_utf_8_keep_their_code() {
        let reply = read(b"550 5.1.1 caf\xe9\r\n").unwrap().unwrap();
        assert_eq!(reply.in_one_line(), "550 5.1.1 caf\u{fffd}");
    }

    proptest! {
        #[test]
        fn no_input_makes_the_reader_panic_or_grow(input in prop::collection::vec(any::<u8>(), 0..2000), piece in 1usize..50) {
            replies(&input, &[piece]);
        }

        #[test]
        fn packet_boundaries_make_no_difference(
            lines in prop::collection::vec("(250|550|354)[- ][a-z0-9. \r]{0,20}\r?\n", 0..12),
            pieces in prop::collection::vec(1usize..12, 1..8),
        ) {
            let input = lines.concat().into_bytes();
            prop_assert_eq!(replies(&input, &pieces), replies(&input, &[input.len().max(1)]));
        }
    }
}
