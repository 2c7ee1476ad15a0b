//! How the bytes of a part are written (RFC 2045 6), and what they are.

use std::borrow::Cow;

use mail_parser::decoders::base64::base64_decode;

/// How they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Identity,
    Base64,
    QuotedPrintable,
}

impl Encoding {
    /// By its name, in letters of either case. What nobody knows is left as it is.
    pub(super) fn of(name: &str) -> Self {
        if name.eq_ignore_ascii_case("base64") {
            Self::Base64
        } else if name.eq_ignore_ascii_case("quoted-printable") {
            Self::QuotedPrintable
        } else {
            Self::Identity
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Identity => "8bit",
            Self::Base64 => "base64",
            Self::QuotedPrintable => "quoted-printable",
        }
    }

    /// The bytes, and whether that is all of them: else as much as can be read.
    pub(super) fn decode(self, body: &[u8]) -> (Cow<'_, [u8]>, bool) {
        match self {
            Self::Identity => (Cow::Borrowed(body), true),
            Self::Base64 => base64(body),
            Self::QuotedPrintable => quoted_printable(body),
        }
    }
}

/// Letters that are none of the alphabet are passed over (RFC 2045 6.8).
fn base64(body: &[u8]) -> (Cow<'_, [u8]>, bool) {
    let ours = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    let letters = body.iter().filter(|byte| ours(byte)).count();
    let strange = body
        .iter()
        .any(|byte| !ours(byte) && !byte.is_ascii_whitespace());
    let decoded = if strange {
        let kept: Vec<u8> = body.iter().copied().filter(|byte| ours(byte)).collect();
        base64_decode(&kept)
    } else {
        base64_decode(body)
    };
    let sound = !strange && letters % 4 == 0 && decoded.is_some();
    (Cow::Owned(decoded.unwrap_or_default()), sound)
}

/// What is no code stays as it is (RFC 2045 6.7).
fn quoted_printable(body: &[u8]) -> (Cow<'_, [u8]>, bool) {
    let mut bytes = Vec::with_capacity(body.len());
    let mut sound = true;
    for line in body.split_inclusive(|&byte| byte == b'\n') {
        let text = line.trim_ascii_end();
        let (text, end) = match text.strip_suffix(b"=") {
            Some(text) => (text, &b""[..]),
            None if line.ends_with(b"\r\n") => (text, &b"\r\n"[..]),
            None if line.ends_with(b"\n") => (text, &b"\n"[..]),
            None => (text, &b""[..]),
        };
        let mut rest = text;
        while let Some((&first, after)) = rest.split_first() {
            let code = match after {
                [high, low, ..] if first == b'=' => hex(*high).zip(hex(*low)),
                _ => None,
            };
            if let Some((high, low)) = code {
                bytes.push(high << 4 | low);
                rest = &after[2..];
            } else {
                sound &= first != b'=';
                bytes.push(first);
                rest = after;
            }
        }
        bytes.extend_from_slice(end);
    }
    (Cow::Owned(bytes), sound)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_broken_is_read_as_far_as_it_goes_and_said_to_be_broken() {
        for (encoding, written, bytes, sound) in [
            (
                Encoding::Base64,
                &b"SGVs\r\nbG8=\r\n"[..],
                &b"Hello"[..],
                true,
            ),
            (Encoding::Base64, b"SGVsbG8", b"Hello", false),
            (Encoding::Base64, b"SG-Vs!bG8=", b"Hello", false),
            (Encoding::Base64, b"SGVsbG8=SGVsbG8=", b"HelloHello", true),
            (Encoding::Base64, b"\xff\xfe", b"", false),
            (Encoding::Base64, b"", b"", true),
            (
                Encoding::QuotedPrintable,
                b"f=F8rst  \r\nlong=  \r\n line=\n",
                b"f\xf8rst\r\nlong line",
                true,
            ),
            (Encoding::QuotedPrintable, b"a=zz 5=", b"a=zz 5", false),
            (Encoding::QuotedPrintable, b"=3d=3D\n", b"==\n", true),
            (Encoding::Identity, b"=3D\xff", b"=3D\xff", true),
        ] {
            let (decoded, whole) = encoding.decode(written);
            let case = String::from_utf8_lossy(written);
            assert_eq!((&*decoded, whole), (bytes, sound), "{case}");
        }
    }
}
