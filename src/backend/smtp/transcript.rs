//! What was said in one transaction, kept raw so that a transaction that succeeds pays for a copy and no more.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use super::reply::Reply;
use crate::grouped::grouped;

/// Of one reply at most this much is kept for the transcript.
const REPLY_LIMIT: usize = 4 * 1024;

/// A transcript longer than this is cut in its middle.
const LIMIT: usize = 64 * 1024;

/// Who spoke.
#[derive(Clone, Copy, Debug)]
enum Speaker {
    Client,
    Server,
    /// Ourselves, about something that is no line of SMTP.
    Remark,
    /// The client sent a message of so many bytes.
    Message(usize),
}

/// The record of one transaction, or of a session's opening.
#[derive(Debug)]
pub(super) struct Transcript {
    began: Instant,
    bytes: Vec<u8>,
    marks: Vec<(Duration, Speaker, usize)>,
}

impl Transcript {
    /// An empty record that begins now.
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            bytes: Vec::with_capacity(512),
            marks: Vec::with_capacity(8),
        }
    }

    fn mark(&mut self, speaker: Speaker, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.marks
            .push((self.began.elapsed(), speaker, bytes.len()));
    }

    /// Command lines that were sent. A caller that sends a secret says `[hidden]` here.
    pub(super) fn client(&mut self, lines: &[u8]) {
        self.mark(Speaker::Client, lines);
    }

    /// A reply that came.
    pub(super) fn server(&mut self, reply: &Reply) {
        let raw = reply.raw();
        let mut end = raw.len().min(REPLY_LIMIT);
        while !raw.is_char_boundary(end) {
            end -= 1;
        }
        self.mark(Speaker::Server, &raw.as_bytes()[..end]);
    }

    /// A message body that was sent, with its final dot.
    pub(super) fn message(&mut self, size: usize) {
        self.mark(Speaker::Message(size), b"");
    }

    /// Something worth knowing beside the lines.
    pub(super) fn remark(&mut self, what: &str) {
        self.mark(Speaker::Remark, what.as_bytes());
    }

    /// The lines, each with the seconds since the record began and who spoke.
    pub(super) fn render(&self) -> String {
        let mut told = String::with_capacity(self.bytes.len() + 20 * self.marks.len());
        let mut rest = &self.bytes[..];
        for (elapsed, speaker, length) in &self.marks {
            let (bytes, later) = rest.split_at(*length);
            rest = later;
            let seconds = elapsed.as_secs_f64();
            if let Speaker::Message(size) = speaker {
                let size = grouped(*size as u64);
                let _ = writeln!(told, "{seconds:>8.3}  C: [{size} bytes of message]");
                continue;
            }
            let who = match speaker {
                Speaker::Client => "C: ",
                Speaker::Server => "S: ",
                _ => "-- ",
            };
            for line in String::from_utf8_lossy(bytes).lines() {
                let _ = writeln!(told, "{seconds:>8.3}  {who}{line}");
            }
        }
        cut_the_middle(told)
    }
}

fn cut_the_middle(told: String) -> String {
    if told.len() <= LIMIT {
        return told;
    }
    let line_end = |from: usize| {
        told.as_bytes()[from..]
            .iter()
            .position(|&byte| byte == b'\n')
            .map_or(told.len(), |at| from + at + 1)
    };
    let (head, tail) = (line_end(LIMIT / 2), line_end(told.len() - LIMIT / 2));
    let left_out = grouped(told[head..tail].lines().count() as u64);
    format!(
        "{}          -- [{left_out} lines left out]\n{}",
        &told[..head],
        &told[tail..]
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::smtp::reply::ReplyReader;

    fn reply(input: &[u8]) -> Reply {
        ReplyReader::default().push(input).unwrap().1.unwrap()
    }

    #[test]
    fn it_reads_as_a_dialogue() {
        let mut transcript = Transcript::new();
        transcript.client(b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n");
        transcript.server(&reply(b"250-one\r\n250 two\r\n"));
        transcript.message(4096);
        transcript.remark("no answer");
        let told = transcript.render();
        let lines: Vec<&str> = told
            .lines()
            .map(|line| {
                line.split_once("  ")
                    .map_or(line, |(_, said)| said.trim_start())
            })
            .map(|line| line.split_once("  ").map_or(line, |(_, said)| said))
            .collect();
        assert_eq!(
            lines,
            [
                "C: MAIL FROM:<a@b>",
                "C: RCPT TO:<c@d>",
                "S: 250-one",
                "S: 250 two",
                "C: [4,096 bytes of message]",
                "-- no answer"
            ]
        );
    }

    #[test]
    fn a_very_long_one_is_cut_in_its_middle() {
        let mut transcript = Transcript::new();
        for number in 0..5000 {
            transcript.client(format!("RCPT TO:<receiver-{number}@example.com>\r\n").as_bytes());
        }
        let told = transcript.render();
        assert!(told.len() < LIMIT + 200);
        assert!(told.contains("receiver-0@") && told.contains("receiver-4999@"));
        assert!(told.contains("lines left out]"));
    }
}
