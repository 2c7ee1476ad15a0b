//! One connection to the server: how lines go out and replies come in.

use std::{
    io,
    time::{Duration, Instant},
};

use super::{
    failure::{Facts, LinkError},
    features::Features,
    reply::{Reply, ReplyReader},
    transcript::Transcript,
    wire::Stream,
};

/// The network must take each piece of this size within the `block` time-out.
const BLOCK: usize = 64 * 1024;

/// A farewell is a courtesy: nobody waits for it.
const FAREWELL: Duration = Duration::from_secs(1);

/// An open connection, authenticated where that was asked for.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: Stream,
    buffer: Box<[u8]>,
    /// What of the buffer was not read yet.
    unread: std::ops::Range<usize>,
    reader: ReplyReader,
    pub(super) facts: Facts,
    pub(super) features: Features,
}

impl Connection {
    /// Speaks over this stream; the server has said nothing yet.
    pub(super) fn over(stream: Stream, facts: Facts) -> Self {
        let peer = stream.peer().ok();
        Self {
            stream,
            buffer: vec![0; 16 * 1024].into_boxed_slice(),
            unread: 0..0,
            reader: ReplyReader::default(),
            facts: Facts { peer, ..facts },
            features: Features::default(),
        }
    }

    /// Says a line and waits for its reply.
    pub(super) fn exchange(&mut self, line: &str, limit: Duration) -> Result<Reply, LinkError> {
        self.expect_silence()?;
        self.send(format!("{line}\r\n").as_bytes(), limit)?;
        self.reply(limit)
    }

    /// What is known of this connection.
    pub(super) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// What the server offers.
    pub(super) fn features(&self) -> &Features {
        &self.features
    }

    /// How many bytes the network took so far.
    pub(super) fn handed(&self) -> u64 {
        self.stream.handed()
    }

    /// Sends bytes; the network must take each 64 KiB within `limit`.
    pub(super) fn send(&mut self, bytes: &[u8], limit: Duration) -> Result<(), LinkError> {
        for block in bytes.chunks(BLOCK) {
            self.stream.set_deadline(limit);
            self.stream
                .write(block)
                .map_err(|error| match error.kind() {
                    io::ErrorKind::TimedOut => LinkError::Stuck(limit),
                    _ => LinkError::Lost(error),
                })?;
        }
        Ok(())
    }

    /// The next reply. The whole of it must come within `limit`.
    pub(super) fn reply(&mut self, limit: Duration) -> Result<Reply, LinkError> {
        let since = Instant::now();
        self.stream.set_deadline(limit);
        loop {
            if !self.unread.is_empty() {
                let (used, reply) = self.reader.push(&self.buffer[self.unread.clone()])?;
                self.unread.start += used;
                if let Some(reply) = reply {
                    return Ok(reply.after(since.elapsed()));
                }
            }
            let read = self
                .stream
                .read(&mut self.buffer)
                .map_err(|error| match error.kind() {
                    io::ErrorKind::TimedOut => LinkError::TimedOut(limit),
                    _ => LinkError::Lost(error),
                })?;
            if read == 0 {
                return Err(LinkError::Closed);
            }
            self.unread = 0..read;
        }
    }

    /// Where no answer is due, none may be there: it would be taken for the answer to what is said next.
    pub(super) fn expect_silence(&self) -> Result<(), LinkError> {
        if self.unread.is_empty() && !self.reader.is_within_a_reply() {
            return Ok(());
        }
        let said = &self.buffer[self.unread.clone()];
        let said = String::from_utf8_lossy(&said[..said.len().min(80)]);
        Err(LinkError::Stray(said.trim_end().to_owned()))
    }

    /// Whether the server says, unasked, that it closes the connection (421, RFC 5321 3.8). All answers came before that; this is none.
    pub(super) fn is_closing(&self) -> bool {
        !self.reader.is_within_a_reply() && self.buffer[self.unread.clone()].starts_with(b"421")
    }

    /// Whether a connection that rested is still there, and its server has said nothing meanwhile.
    pub(super) fn is_still_there(&mut self) -> bool {
        self.expect_silence().is_ok() && self.stream.is_silent()
    }

    /// Says goodbye and waits for the answer: for a probe's transcript.
    pub(super) fn quit(&mut self, transcript: &mut Transcript) {
        transcript.client(b"QUIT");
        match self.exchange("QUIT", FAREWELL) {
            Ok(reply) => transcript.server(&reply),
            Err(error) => transcript.remark(&error.to_string()),
        }
        self.stream.close();
    }

    /// Says goodbye without waiting.
    pub(super) fn leave(&mut self) {
        if self.is_still_there() && self.send(b"QUIT\r\n", FAREWELL).is_ok() {
            self.stream.close();
        }
    }
}
