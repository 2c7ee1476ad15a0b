//! What a server does against what is expected, by its name in the table.

use std::time::Duration;

use postroom::demo::server::{Action, Phase, Script};

/// Longer than the time-out of the phase that is slow, and shorter than anybody's patience.
const LATE: Duration = Duration::from_secs(3);

fn named(phase: &str) -> Phase {
    match phase {
        "connect" => Phase::Connect,
        "greeting" => Phase::Greeting,
        "ehlo" => Phase::Ehlo,
        "starttls" => Phase::StartTls,
        "auth" => Phase::Auth,
        "mail" => Phase::Mail,
        "rcpt" => Phase::Rcpt,
        "data" => Phase::Data,
        "dot" => Phase::Dot,
        "quit" => Phase::Quit,
        other => panic!("no such phase: {other}"),
    }
}

/// One row's misbehaviour.
pub struct Fault {
    phase: Phase,
    /// Which time that this phase is met.
    time: u64,
    name: &'static str,
}

impl Fault {
    /// `place` is a phase as the table names it; a number behind it says which time, if not the first.
    pub fn new(place: &str, name: &'static str) -> Self {
        let (phase, time) = place.split_once(' ').unwrap_or((place, "1"));
        Self {
            phase: named(phase),
            time: time.parse().unwrap(),
            name,
        }
    }

    /// The code that would be right here.
    fn yes(&self) -> u16 {
        match self.phase {
            Phase::Connect | Phase::Greeting | Phase::StartTls => 220,
            Phase::Auth => 235,
            Phase::Data => 354,
            Phase::Quit => 221,
            _ => 250,
        }
    }

    /// The time-out that it runs into, if it takes its time.
    pub fn timeout(&self) -> Option<&'static str> {
        let slow = ["stall", "slow", "late", "late 4xx", "late 5xx"];
        let timeout = match self.phase {
            Phase::Mail => "mail",
            Phase::Rcpt => "rcpt",
            Phase::Data => "data",
            Phase::Dot => "dot",
            _ => "greeting",
        };
        slow.contains(&self.name).then_some(timeout)
    }

    /// Where each recipient has a transaction of its own.
    pub fn max_recipients(&self) -> Option<i64> {
        (self.name == "452 alone").then_some(1)
    }

    /// The script with the fault in it.
    pub fn play(&self, script: Script) -> Script {
        let (phase, yes) = (self.phase, self.yes());
        match self.name {
            "452 after one" => return script.max_recipients(1),
            "452 alone" => {
                let refusal = Action::reply(452, "4.5.3", "too many recipients");
                return script.rcpt_first(1, "a@example.com", refusal);
            }
            "full for a" => {
                let refusal = Action::reply(452, "4.2.2", "mailbox full");
                return script.rcpt_first(1, "b@example.com", refusal);
            }
            "354 for nobody" => {
                let refusal = Action::reply(550, "5.1.1", "no such user");
                return script
                    .rcpt("a@example.com", refusal.clone())
                    .rcpt("b@example.com", refusal)
                    .first(1, Phase::Data, Action::raw("354 go ahead\r\n"));
            }
            "too large" if phase == Phase::Ehlo => return script.max_size(10),
            _ => {}
        }
        let always = self.name.strip_prefix("always ");
        let action = match always.unwrap_or(self.name) {
            "4xx" => Action::reply(451, "4.3.0", "not now"),
            "5xx" => Action::reply(554, "5.3.0", "never"),
            "421" => Action::reply(421, "4.3.2", "closing"),
            "530" => Action::reply(530, "5.7.0", "who are you"),
            "535" => Action::reply(535, "5.7.8", "wrong password"),
            "too large" => Action::reply(552, "5.3.4", "too large"),
            "sender" => Action::reply(550, "5.7.1", "not from you"),
            "close" => Action::close(),
            "reset" => Action::reset(),
            "stall" => Action::stall(),
            "vanish" => Action::vanish(),
            "slow" => Action::raw(format!("{yes} I take my time\r\n"))
                .bytewise(Duration::from_millis(300)),
            "late" => Action::raw(format!("{yes} here I am\r\n")).late(LATE),
            "late 4xx" => Action::reply(451, "4.3.0", "not now").late(LATE),
            "late 5xx" => Action::reply(550, "5.1.1", "no such user").late(LATE),
            "garbage" => Action::garbage(),
            "two codes" => Action::raw(format!("{yes}-one\r\n550 two\r\n")),
            "1yz" => Action::raw("150 hm\r\n"),
            "3yz" => Action::raw("334 hm\r\n"),
            "2yz" => Action::raw("250 hm\r\n"),
            "251" => Action::raw("251 will forward\r\n"),
            "252" => Action::raw("252 cannot verify\r\n"),
            "259" => Action::raw("259 fine\r\n"),
            "no text" => Action::raw(format!("{yes}\r\n")),
            "not utf-8" => {
                Action::raw([format!("{yes} ").as_bytes(), b"\xc3\x28\xff\r\n"].concat())
            }
            "long line" => Action::raw(format!("{yes} {}\r\n", "x".repeat(2_000))),
            "200 lines" => {
                let line = format!("{yes}-on and on\r\n");
                Action::raw(format!("{}{yes} and on\r\n", line.repeat(199)))
            }
            "twice" => Action::raw(format!("{yes} yes\r\n{yes} yes\r\n")),
            "5xx twice" => Action::raw("550 5.1.1 no\r\n550 5.1.1 no\r\n"),
            "clear text" => Action::raw("220 go ahead\r\n250 injected\r\n"),
            other => panic!("no such fault: {other}"),
        };
        if always.is_some() {
            script.on(phase, action)
        } else {
            script.nth(self.time, phase, action)
        }
    }
}
