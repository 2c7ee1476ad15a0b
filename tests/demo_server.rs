//! The mail server that tests, benches and the demo deliver to: what it promises to them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod support;

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    sync::Arc,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use postroom::demo::server::{Action, Extension, Phase, Script, Server};
use rustls::{ClientConfig, ClientConnection, StreamOwned, pki_types::ServerName};
use support::Certificate;

const SOON: Duration = Duration::from_secs(20);

/// A client that says exactly what it is told.
struct Client<S> {
    stream: S,
}

impl Client<TcpStream> {
    fn connect(server: &Server) -> Self {
        let stream = TcpStream::connect(server.addr()).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        Self { stream }
    }

    /// Connected, greeted and introduced.
    fn ready(server: &Server) -> Self {
        let mut client = Self::connect(server);
        assert!(client.reply().starts_with("220 "));
        assert!(client.ask("EHLO test").starts_with("250"));
        client
    }
}

impl<S: Read + Write> Client<S> {
    fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
        self.stream.flush().unwrap();
    }

    /// One reply, several lines joined by `\n`; empty at the end of the connection.
    fn reply(&mut self) -> String {
        let mut reply = String::new();
        loop {
            let mut line = Vec::new();
            while !line.ends_with(b"\r\n") {
                let mut byte = [0];
                if self.stream.read(&mut byte).unwrap() == 0 {
                    return reply;
                }
                line.push(byte[0]);
            }
            let line = String::from_utf8(line).unwrap();
            reply.push_str(line.trim_end());
            if line.as_bytes()[3] != b'-' {
                return reply;
            }
            reply.push('\n');
        }
    }

    fn ask(&mut self, command: &str) -> String {
        self.say(format!("{command}\r\n"));
        self.reply()
    }

    fn send(&mut self, recipient: &str, uid: &str) -> String {
        self.ask("MAIL FROM:<from@example.com>");
        self.ask(&format!("RCPT TO:<{recipient}>"));
        let data = self.ask("DATA");
        if !data.starts_with("354") {
            return data;
        }
        self.ask(&format!(
            "Message-ID: <{uid}@example.com>\r\n\r\nHello\r\n."
        ))
    }

    /// Everything until the server closes.
    fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).unwrap();
        rest
    }
}

#[test]
fn an_acceptance_stands_in_the_ledger_before_the_client_hears_of_it() {
    let server = Server::start(Script::accept_all()).unwrap();
    let mut client = Client::ready(&server);
    for number in 1..=200 {
        assert!(client.send("april@example.com", "u").starts_with("250"));
        assert_eq!(server.with_ledger(|ledger| ledger.entries.len()), number);
    }
}

#[test]
fn the_ledger_says_who_got_what_from_whom_in_which_transaction() {
    let server = Server::start(Script::accept_all().keep_bodies()).unwrap();
    let mut client = Client::ready(&server);
    client.say(
        "MAIL FROM:<bounces@example.com> SIZE=100 BODY=8BITMIME\r\n\
         RCPT TO:<a@example.com>\r\nRCPT TO:<\"odd > one\"@example.org>\r\nDATA\r\n",
    );
    for expected in ["250", "250", "250", "354"] {
        assert!(client.reply().starts_with(expected));
    }
    client.say("subject: x\r\nmessage-id:\r\n <17.abc@example.com>\r\n\r\n..\r\nblåbær\r\n.\r\n");
    assert!(client.reply().starts_with("250 2.0.0 ok: queued as "));
    client.send("b@example.com", "18");

    let ledger = server.ledger();
    assert_eq!(
        ledger.recipients(),
        [
            "a@example.com",
            "\"odd > one\"@example.org",
            "b@example.com"
        ]
    );
    let first = &ledger.entries[0];
    assert_eq!(&*first.uid, "17.abc");
    assert_eq!(&*first.sender, "bounces@example.com");
    assert!(
        first
            .body
            .as_ref()
            .unwrap()
            .ends_with("\r\n\r\n.\r\nblåbær\r\n".as_bytes())
    );
    assert_eq!(first.transaction, ledger.entries[1].transaction);
    assert_ne!(first.transaction, ledger.entries[2].transaction);
    assert_eq!(
        (ledger.messages, ledger.accepted, ledger.transactions),
        (2, 3, 2)
    );
    assert_eq!(ledger.violations, [""; 0]);
    assert_eq!(ledger.duplicates(), []);

    client.send("B@example.com", "18");
    client.send("b@example.com", "18");
    assert_eq!(
        server.ledger().duplicates(),
        [("18".into(), "b@example.com".to_owned(), 2)]
    );
}

/// Two messages whose bodies are as awkward as they may be, the second's envelope behind the first's dot.
const TALK: &str = "EHLO me\r\nMAIL FROM:<f@example.com>\r\nRCPT TO:<a@example.com>\r\nDATA\r\n\
    Message-ID: <one@example.com>\r\n\r\n..\r\n.. \r\n\r\n...\r\n.x\r\n.\r\n\
    MAIL FROM:<>\r\nRCPT TO:<b@example.com>\r\nRCPT TO:<c@example.com>\r\nDATA\r\n.\r\nQUIT\r\n";
const MEANT: &str = "Message-ID: <one@example.com>\r\n\r\n.\r\n. \r\n\r\n..\r\nx\r\n";

fn check_talk(server: &Server, mut client: Client<TcpStream>) {
    let said = String::from_utf8(client.rest()).unwrap();
    let codes: Vec<_> = said.lines().map(|line| &line[..3]).collect();
    assert_eq!(
        codes.join(" "),
        "220 250 250 250 250 250 250 250 250 354 250 250 250 250 354 250 221"
    );
    let ledger = server.ledger();
    let last = &ledger.entries[ledger.entries.len() - 3..];
    assert_eq!(last[0].body.as_deref(), Some(MEANT.as_bytes()));
    assert_eq!(last[0].uid.as_ref(), "one");
    assert_eq!(last[1].body.as_deref(), Some(&b""[..]));
    assert_eq!(
        last.iter()
            .map(|entry| entry.recipient.as_str())
            .collect::<String>(),
        "a@example.comb@example.comc@example.com"
    );
}

#[test]
fn a_whole_conversation_in_one_packet_is_answered_in_full() {
    let server = Server::start(Script::accept_all().keep_bodies()).unwrap();
    let mut client = Client::connect(&server);
    client.say(TALK);
    check_talk(&server, client);
}

#[test]
fn it_does_not_matter_where_the_packets_are_cut() {
    let server = Server::start(Script::accept_all().keep_bodies()).unwrap();
    for cut in 1..TALK.len() {
        let mut client = Client::connect(&server);
        let before = server.with_ledger(|ledger| ledger.received);
        client.say(&TALK[..cut]);
        assert!(server.wait_for(|ledger| ledger.received == before + cut as u64, SOON));
        client.say(&TALK[cut..]);
        check_talk(&server, client);
    }
    let mut client = Client::connect(&server);
    for byte in TALK.bytes() {
        let before = server.with_ledger(|ledger| ledger.received);
        client.say([byte]);
        assert!(server.wait_for(|ledger| ledger.received == before + 1, SOON));
    }
    check_talk(&server, client);
}

#[test]
fn a_message_far_larger_than_any_buffer_comes_whole() {
    let server = Server::start(Script::accept_all().keep_bodies()).unwrap();
    let mut client = Client::ready(&server);
    client.ask("MAIL FROM:<f@example.com>");
    client.ask("RCPT TO:<a@example.com>");
    client.ask("DATA");
    let body = "0123456789.\r\n.\n\r.\r\r\n".repeat(200_000);
    client.say(&body);
    client.say(".\r\n");
    assert!(client.reply().starts_with("250"));
    let entry = &server.ledger().entries[0];
    assert_eq!(entry.size, body.len());
    assert_eq!(
        entry.body.as_deref(),
        Some(body.replace("\n.\n", "\n\n").as_bytes())
    );
}

#[test]
fn a_server_stops_and_starts_again_on_its_port_with_the_same_ledger() {
    let mut server = Server::start(Script::accept_all()).unwrap();
    let mut client = Client::ready(&server);
    client.send("a@example.com", "1");
    let addr = server.addr();
    server.stop();
    assert!(matches!(client.stream.read(&mut [0]), Ok(0) | Err(_)));
    assert_eq!(
        TcpStream::connect(addr).unwrap_err().kind(),
        ErrorKind::ConnectionRefused
    );
    assert_eq!(server.with_ledger(|ledger| ledger.open), 0);

    for _ in 0..20 {
        server.start_again().unwrap();
        assert_eq!(server.addr(), addr);
        Client::ready(&server).send("b@example.com", "2");
        server.stop();
    }
    server.start_again().unwrap();
    server.start_again().unwrap();
    Client::ready(&server).send("c@example.com", "3");
    let ledger = server.ledger();
    assert_eq!(ledger.to("A@EXAMPLE.COM").count(), 1);
    assert_eq!(ledger.to("b@example.com").count(), 20);
    assert_eq!(ledger.to("c@example.com").count(), 1);
    assert_eq!(ledger.connections, 22);
}

#[test]
fn stopping_ends_whatever_a_connection_is_waiting_for() {
    for action in [
        Action::stall(),
        Action::accept().and_go_deaf(),
        Action::accept().when_released(),
        Action::accept().late(Duration::from_secs(3600)),
        Action::accept().bytewise(Duration::from_secs(3600)),
    ] {
        let mut server = Server::start(Script::accept_all().on(Phase::Mail, action)).unwrap();
        let mut client = Client::ready(&server);
        client.say("MAIL FROM:<f@example.com>\r\n");
        assert!(server.wait_for(|ledger| ledger.met(Phase::Mail) == 1, SOON));
        server.stop();
        assert_eq!(server.with_ledger(|ledger| ledger.open), 0);
    }
}

#[test]
fn the_first_rule_that_fits_decides() {
    let server = Server::start(
        Script::accept_all()
            .rcpt_first(
                2,
                "grey@example.com",
                Action::reply(451, "4.7.1", "greylisted"),
            )
            .rcpt(
                "nobody@example.com",
                Action::reply(550, "5.1.1", "no\nsuch user"),
            )
            .nth_dot(2, Action::reply(452, "4.3.1", "disk full"))
            .by(|event| {
                (event.phase == Phase::Rcpt && event.domain() == "slow.example" && event.seen == 2)
                    .then(|| Action::reply(450, "", "again"))
            })
            .dot("c@example.com", Action::reply(554, "5.7.1", "spam")),
    )
    .unwrap();
    let mut client = Client::ready(&server);
    client.ask("MAIL FROM:<f@example.com>");
    assert_eq!(
        client.ask("RCPT TO:<grey@example.com>"),
        "451 4.7.1 greylisted"
    );
    assert_eq!(
        client.ask("RCPT TO:<GREY@example.com>"),
        "451 4.7.1 greylisted"
    );
    assert_eq!(client.ask("RCPT TO:<grey@example.com>"), "250 2.1.5 ok");
    assert_eq!(
        client.ask("RCPT TO:<nobody@example.com>"),
        "550-5.1.1 no\n550 5.1.1 such user"
    );
    assert_eq!(client.ask("RCPT TO:<x@slow.example>"), "250 2.1.5 ok");
    assert_eq!(client.ask("RCPT TO:<X@slow.example>"), "450 again");
    assert!(client.ask("RSET").starts_with("250"));
    assert!(client.send("a@example.com", "1").starts_with("250"));
    assert_eq!(client.send("b@example.com", "2"), "452 4.3.1 disk full");
    assert_eq!(client.send("c@example.com", "3"), "554 5.7.1 spam");
    assert_eq!(
        client.send("nobody@example.com", "4"),
        "554 5.5.1 no valid recipients"
    );
    assert_eq!(server.ledger().recipients(), ["a@example.com"]);
}

#[test]
fn a_refusal_at_any_phase_is_said_and_takes_nothing() {
    for phase in [
        Phase::Ehlo,
        Phase::Mail,
        Phase::Rcpt,
        Phase::Data,
        Phase::Dot,
    ] {
        let script = Script::accept_all().on(phase, Action::reply(451, "4.3.0", "not now"));
        let server = Server::start(script).unwrap();
        let mut client = Client::connect(&server);
        client.reply();
        let mut said = vec![client.ask("EHLO test")];
        said.push(client.ask("MAIL FROM:<f@example.com>"));
        said.push(client.ask("RCPT TO:<a@example.com>"));
        said.push(client.ask("DATA"));
        if said[3].starts_with("354") {
            said.push(client.ask("x\r\n."));
        }
        assert!(
            said.iter().any(|reply| reply == "451 4.3.0 not now"),
            "{phase:?}: {said:?}"
        );
        let ledger = server.ledger();
        assert_eq!((ledger.accepted, ledger.met(phase)), (0, 1), "{phase:?}");
        assert_eq!(ledger.transactions, u64::from(phase > Phase::Mail));
    }
}

#[test]
fn after_a_refused_greeting_only_quit_is_left() {
    let script = Script::accept_all().on(Phase::Greeting, Action::reply(554, "5.3.2", "closed"));
    let server = Server::start(script).unwrap();
    let mut client = Client::connect(&server);
    assert_eq!(client.reply(), "554 5.3.2 closed");
    assert!(client.ask("EHLO test").starts_with("503"));
    assert!(client.ask("QUIT").starts_with("221"));
    assert_eq!(client.rest(), b"");
}

#[test]
fn a_421_is_the_last_word_on_a_connection() {
    let script =
        Script::accept_all().nth(2, Phase::Mail, Action::reply(421, "4.3.2", "restarting"));
    let server = Server::start(script).unwrap();
    let mut client = Client::ready(&server);
    assert!(client.send("a@example.com", "1").starts_with("250"));
    assert_eq!(
        client.ask("MAIL FROM:<f@example.com>"),
        "421 4.3.2 restarting"
    );
    assert_eq!(client.rest(), b"");
    assert!(server.wait_for(|ledger| ledger.open == 1, SOON));
    drop(client);
    assert!(server.wait_for(|ledger| ledger.open == 0, SOON));
}

#[test]
fn a_connection_can_be_closed_or_reset_at_every_phase() {
    let talk = "EHLO me\r\nMAIL FROM:<f@example.com>\r\nRCPT TO:<a@example.com>\r\nRSET\r\n\
        MAIL FROM:<f@example.com>\r\nRCPT TO:<a@example.com>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n";
    for phase in Phase::ALL {
        if matches!(phase, Phase::StartTls | Phase::Auth) {
            continue;
        }
        for (action, wanted) in [
            (Action::close(), None),
            (Action::reset(), Some(ErrorKind::ConnectionReset)),
        ] {
            let server = Server::start(Script::accept_all().on(phase, action)).unwrap();
            let mut client = Client::connect(&server);
            // The server may be gone before everything is said.
            let written = client.stream.write_all(talk.as_bytes());
            let mut heard = Vec::new();
            let end = client
                .stream
                .read_to_end(&mut heard)
                .map_err(|error| error.kind());
            match wanted {
                None => assert!(end.is_ok(), "{phase:?}: {end:?}"),
                Some(kind) => assert!(end == Err(kind) || written.is_err(), "{phase:?}: {end:?}"),
            }
            let ledger = server.ledger();
            assert_eq!(
                ledger.accepted,
                u64::from(phase == Phase::Quit),
                "{phase:?}"
            );
            assert_eq!(ledger.met(phase), 1, "{phase:?}");
        }
    }
}

#[test]
fn a_server_can_take_a_message_and_vanish_without_a_word() {
    let server =
        Server::start(Script::accept_all().dot("a@example.com", Action::vanish())).unwrap();
    let mut client = Client::ready(&server);
    assert_eq!(client.send("a@example.com", "lost-reply"), "");
    assert_eq!(&*server.ledger().entries[0].uid, "lost-reply");
}

#[test]
fn a_reply_can_come_late_and_then_comes_whole() {
    let script = Script::accept_all().rcpt("a@example.com", Action::accept().when_released());
    let server = Server::start(script).unwrap();
    let mut client = Client::ready(&server);
    client
        .say("MAIL FROM:<f@example.com>\r\nRCPT TO:<a@example.com>\r\nRCPT TO:<b@example.com>\r\n");
    assert_eq!(client.reply(), "250 2.1.0 ok");
    assert!(server.wait_for(|ledger| ledger.withheld == 1, SOON));
    server.release();
    assert_eq!(client.reply(), "250 2.1.5 ok");
    assert_eq!(client.reply(), "250 2.1.5 ok");
    assert_eq!(server.with_ledger(|ledger| ledger.withheld), 0);
}

#[test]
fn a_reply_can_be_any_bytes_at_any_pace() {
    let script = Script::accept_all()
        .first(1, Phase::Mail, Action::garbage())
        .first(
            1,
            Phase::Mail,
            Action::raw("250 ok\r\n250 one too many\r\n"),
        )
        .on(
            Phase::Rcpt,
            Action::reply(550, "", &"no\n".repeat(200)).bytewise(Duration::ZERO),
        );
    let server = Server::start(script).unwrap();
    let mut client = Client::ready(&server);
    client.say("MAIL FROM:<f@example.com>\r\n");
    let mut line = [0; 64];
    let read = client.stream.read(&mut line).unwrap();
    assert!(std::str::from_utf8(&line[..read]).is_err());
    assert_eq!(client.ask("MAIL FROM:<f@example.com>"), "250 ok");
    assert_eq!(client.reply(), "250 one too many");
    assert_eq!(client.ask("RCPT TO:<a@example.com>").lines().count(), 201);
}

#[test]
fn every_extension_can_be_offered_or_not() {
    let server = Server::start(Script::accept_all().name("mx.example.org").max_size(1000)).unwrap();
    let mut client = Client::connect(&server);
    assert_eq!(client.reply(), "220 mx.example.org ESMTP");
    assert_eq!(
        client.ask("EHLO test"),
        "250-mx.example.org\n250-PIPELINING\n250-8BITMIME\n250-SIZE 1000\n250-ENHANCEDSTATUSCODES\n250 SMTPUTF8"
    );
    assert_eq!(client.ask("HELO test"), "250 mx.example.org");
    assert_eq!(
        client.ask("MAIL FROM:<f@example.com> SIZE=1001"),
        "552 5.3.4 message too large"
    );
    assert!(
        client
            .ask("MAIL FROM:<fø@example.com>")
            .starts_with("553 5.6.7")
    );
    assert!(
        client
            .ask("MAIL FROM:<fø@example.com> SMTPUTF8")
            .starts_with("250")
    );
    assert!(client.ask("RCPT TO:<å@example.com>").starts_with("250"));
    assert!(client.ask("DATA").starts_with("354"));
    let large = "x".repeat(1200);
    assert!(
        client
            .ask(&format!("{large}\r\n."))
            .starts_with("552 5.3.4")
    );

    for (extension, keyword) in [
        (Extension::Pipelining, "PIPELINING"),
        (Extension::EightBitMime, "8BITMIME"),
        (Extension::Size, "SIZE"),
        (Extension::EnhancedStatusCodes, "ENHANCEDSTATUSCODES"),
        (Extension::SmtpUtf8, "SMTPUTF8"),
    ] {
        let server = Server::start(Script::accept_all().without(extension)).unwrap();
        let mut client = Client::connect(&server);
        client.reply();
        assert!(!client.ask("EHLO test").contains(keyword));
        let bare = client.ask("MAIL FROM:<f@example.com>");
        assert_eq!(
            bare == "250 ok",
            extension == Extension::EnhancedStatusCodes
        );
    }
}

#[test]
fn what_a_client_does_against_the_rules_is_noted() {
    let plain = Script::accept_all()
        .without(Extension::Pipelining)
        .without(Extension::EightBitMime);
    let server = Server::start(plain).unwrap();
    let mut client = Client::ready(&server);
    client.say("NOOP\r\nNOOP\r\n");
    client.reply();
    client.reply();
    assert!(
        client
            .ask("MAIL FROM:<f@example.com> BODY=8BITMIME")
            .starts_with("555")
    );
    client.ask("MAIL FROM:<f@example.com>");
    client.ask("RCPT TO:<a@example.com>");
    client.say("DATA\r\nblåbær\r\n.\r\n");
    client.reply();
    client.reply();
    client.ask("MAIL FROM:<f@example.com>");
    client.ask("RCPT TO:<a@example.com>");
    client.ask("DATA");
    client.ask("one\ntwo\r\n.");
    let violations = server.ledger().violations;
    assert_eq!(violations.len(), 5, "{violations:?}");
}

#[test]
fn more_recipients_than_the_limit_are_put_off() {
    let server = Server::start(Script::accept_all().max_recipients(2)).unwrap();
    let mut client = Client::ready(&server);
    client.ask("MAIL FROM:<f@example.com>");
    assert!(client.ask("RCPT TO:<a@example.com>").starts_with("250"));
    assert!(client.ask("RCPT TO:<b@example.com>").starts_with("250"));
    assert!(
        client
            .ask("RCPT TO:<c@example.com>")
            .starts_with("452 4.5.3")
    );
}

#[test]
fn a_message_for_nobody_is_taken_by_nobody() {
    let script = Script::accept_all()
        .rcpt("a@example.com", Action::reply(550, "5.1.1", "unknown"))
        .on(Phase::Data, Action::reply(354, "", "go on"));
    let server = Server::start(script).unwrap();
    let mut client = Client::ready(&server);
    assert!(client.send("a@example.com", "1").starts_with("554"));
    assert_eq!(server.ledger().accepted, 0);
}

#[test]
fn commands_out_of_order_are_refused() {
    let server = Server::start(Script::accept_all()).unwrap();
    let mut client = Client::connect(&server);
    client.reply();
    assert!(client.ask("MAIL FROM:<f@example.com>").starts_with("503"));
    client.ask("EHLO test");
    for command in ["RCPT TO:<a@example.com>", "DATA", "AUTH PLAIN x"] {
        assert!(client.ask(command).starts_with("503"), "{command}");
    }
    assert!(client.ask("STARTTLS").starts_with("502"));
    assert!(client.ask("VRFY a").starts_with("500"));
    assert!(client.ask("MAIL TO:<f@example.com>").starts_with("501"));
    client.ask("MAIL FROM:<f@example.com>");
    assert!(client.ask("RCPT TO:<>").starts_with("501"));
    assert!(client.ask("MAIL FROM:<f@example.com>").starts_with("503"));
}

#[test]
fn a_login_is_wanted_before_mail_and_checked() {
    let server = Server::start(Script::accept_all().login("postroom", "s3cret")).unwrap();
    let mut client = Client::connect(&server);
    client.reply();
    assert!(client.ask("EHLO test").ends_with("AUTH PLAIN LOGIN"));
    assert!(
        client
            .ask("MAIL FROM:<f@example.com>")
            .starts_with("530 5.7.0")
    );
    let right = STANDARD.encode("\0postroom\0s3cret");
    let wrong = STANDARD.encode("\0postroom\0secret");
    assert!(
        client
            .ask(&format!("AUTH PLAIN {wrong}"))
            .starts_with("535 5.7.8")
    );
    assert!(client.ask("MAIL FROM:<f@example.com>").starts_with("530"));
    assert!(
        client
            .ask(&format!("AUTH PLAIN {right}"))
            .starts_with("235")
    );
    assert!(client.send("a@example.com", "1").starts_with("250"));

    let mut client = Client::ready(&server);
    assert_eq!(client.ask("AUTH PLAIN"), "334");
    assert!(client.ask(&right).starts_with("235"));

    let mut client = Client::ready(&server);
    assert_eq!(client.ask("AUTH LOGIN"), "334 VXNlcm5hbWU6");
    assert_eq!(client.ask(&STANDARD.encode("postroom")), "334 UGFzc3dvcmQ6");
    assert!(client.ask(&STANDARD.encode("s3cret")).starts_with("235"));
    assert!(client.send("b@example.com", "2").starts_with("250"));

    let script = Script::accept_all()
        .login("postroom", "s3cret")
        .on(Phase::Auth, Action::reply(454, "4.7.0", "later"));
    let server = Server::start(script).unwrap();
    let mut client = Client::ready(&server);
    assert_eq!(
        client.ask(&format!("AUTH PLAIN {right}")),
        "454 4.7.0 later"
    );
    assert!(client.ask("MAIL FROM:<f@example.com>").starts_with("530"));
}

fn inside_tls(
    client: Client<TcpStream>,
    config: Arc<ClientConfig>,
) -> Client<StreamOwned<ClientConnection, TcpStream>> {
    let name = ServerName::try_from("mx.example").unwrap();
    let session = ClientConnection::new(config, name).unwrap();
    Client {
        stream: StreamOwned::new(session, client.stream),
    }
}

#[test]
fn starttls_is_wanted_before_login_and_mail_and_begins_anew() {
    let certificate = Certificate::new(&["mx.example"]);
    let script = Script::accept_all()
        .starttls(certificate.server())
        .login("u", "p");
    let server = Server::start(script).unwrap();
    let mut client = Client::connect(&server);
    client.reply();
    let offered = client.ask("EHLO test");
    assert!(offered.contains("STARTTLS") && !offered.contains("AUTH"));
    assert!(
        client
            .ask("MAIL FROM:<f@example.com>")
            .starts_with("530 5.7.0")
    );
    assert!(client.ask("AUTH PLAIN AHUAcA==").starts_with("503"));
    // The second command is injected: inside TLS nobody may hear an answer to it.
    client.say("STARTTLS\r\nNOOP\r\n");
    assert!(client.reply().starts_with("220"));
    let mut client = inside_tls(client, certificate.client());
    assert!(client.ask("MAIL FROM:<f@example.com>").starts_with("503"));
    let offered = client.ask("EHLO test");
    assert!(!offered.contains("STARTTLS") && offered.contains("AUTH"));
    assert!(client.ask("AUTH PLAIN AHUAcA==").starts_with("235"));
    assert!(client.send("a@example.com", "1").starts_with("250"));
    assert!(client.ask("STARTTLS").starts_with("503"));
    assert!(client.ask("QUIT").starts_with("221"));
    assert_eq!(client.rest(), b"");
    assert_eq!(server.ledger().violations.len(), 1);
}

#[test]
fn tls_can_begin_with_the_first_byte() {
    let certificate = Certificate::new(&["mx.example"]);
    let server = Server::start(Script::accept_all().implicit_tls(certificate.server())).unwrap();
    let mut client = inside_tls(Client::connect(&server), certificate.client());
    assert!(client.reply().starts_with("220"));
    client.ask("EHLO test");
    assert!(client.send("a@example.com", "1").starts_with("250"));
    assert_eq!(server.ledger().recipients(), ["a@example.com"]);
}

#[test]
fn a_transcript_tells_both_sides_where_it_is_kept() {
    let server = Server::start(Script::accept_all().keep_transcripts()).unwrap();
    let mut client = Client::ready(&server);
    client.send("a@example.com", "1");
    client.ask("QUIT");
    assert!(server.wait_for(|ledger| ledger.met(Phase::Quit) == 1, SOON));
    let transcript = &server.ledger().transcripts[&1];
    assert!(transcript.starts_with("S: 220 mx.example ESMTP\nC: EHLO test\nS: 250-mx.example\n"));
    assert!(
        transcript.contains("C: DATA\nS: 354 end with a dot\nC: (38 bytes of message)\nS: 250 ")
    );
    assert!(transcript.ends_with("C: QUIT\nS: 221 2.0.0 bye\n"));
}

#[test]
fn a_bench_can_have_the_counts_alone() {
    let server = Server::start(Script::accept_all().counts_only()).unwrap();
    Client::ready(&server).send("a@example.com", "1");
    let ledger = server.ledger();
    assert_eq!((ledger.accepted, ledger.entries.len()), (1, 0));
}

#[test]
fn waiting_ends_with_the_condition_or_the_deadline() {
    let server = Server::start(Script::accept_all()).unwrap();
    assert!(!server.wait_for(|ledger| ledger.accepted == 1, Duration::from_millis(5)));
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| server.wait_for(|ledger| ledger.accepted == 1, SOON));
        Client::ready(&server).send("a@example.com", "1");
        assert!(waiter.join().unwrap());
    });
}
