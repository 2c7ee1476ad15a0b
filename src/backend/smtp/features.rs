use super::reply::Reply;

/// What the server offered in its answer to EHLO (RFC 5321 4.1.1.1). After HELO: nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a keyword of its own"
)]
pub(super) struct Features {
    /// RFC 2920.
    pub(super) pipelining: bool,
    /// RFC 6152.
    pub(super) eight_bit: bool,
    /// RFC 6531.
    pub(super) utf8: bool,
    /// RFC 3207.
    pub(super) starttls: bool,
    /// RFC 1870: offered at all.
    pub(super) size: bool,
    /// RFC 1870: the greatest message taken, in bytes.
    pub(super) size_limit: Option<u64>,
    /// RFC 4954, by the mechanisms we know.
    pub(super) plain: bool,
    /// The older mechanism.
    pub(super) login: bool,
    /// Google's and Microsoft's mechanism for OAuth 2.0.
    pub(super) xoauth2: bool,
}

impl Features {
    /// Reads the keywords; the first line is the server's name.
    pub(super) fn read(reply: &Reply) -> Self {
        let mut features = Self::default();
        for line in reply.lines().skip(1) {
            let line = line.to_ascii_uppercase();
            // Old servers write `AUTH=PLAIN LOGIN`.
            let line = line.replacen("AUTH=", "AUTH ", 1);
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("PIPELINING") => features.pipelining = true,
                Some("8BITMIME") => features.eight_bit = true,
                Some("SMTPUTF8") => features.utf8 = true,
                Some("STARTTLS") => features.starttls = true,
                Some("SIZE") => {
                    features.size = true;
                    // Zero means that there is no fixed limit.
                    let limit = words.next().and_then(|limit| limit.parse().ok());
                    features.size_limit = limit.filter(|&limit| limit > 0);
                }
                Some("AUTH") => {
                    for mechanism in words {
                        features.plain |= mechanism == "PLAIN";
                        features.login |= mechanism == "LOGIN";
                        features.xoauth2 |= mechanism == "XOAUTH2";
                    }
                }
                _ => {}
            }
        }
        features
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::smtp::reply::ReplyReader;

    fn features(lines: &str) -> Features {
        let mut reader = ReplyReader::default();
        Features::read(&reader.push(lines.as_bytes()).unwrap().1.unwrap())
    }

    #[test]
    fn keywords_are_read_whatever_their_case() {
        let features = features(
            "250-mx.example PIPELINING\r\n250-pipelining\r\n250-size 1000\r\n250-Auth=LOGIN\r\n250 AUTH PLAIN CRAM-MD5\r\n",
        );
        assert!(features.pipelining && features.plain && features.login);
        assert_eq!((features.size, features.size_limit), (true, Some(1000)));
        assert!(!features.eight_bit && !features.starttls && !features.utf8);
    }

    #[test]
    fn the_servers_own_name_is_no_keyword() {
        assert_eq!(features("250 PIPELINING\r\n"), Features::default());
    }

    #[test]
    fn a_size_of_zero_is_no_limit() {
        assert_eq!(features("250-x\r\n250 SIZE 0\r\n").size_limit, None);
    }
}
