//! What the README promises of `[listen.smtp]`: applications hand mails over as they always did, each 250 is in the store, and nobody who talks
//! nonsense keeps others from it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{
    collections::BTreeSet,
    fs,
    io::{self, BufRead as _, BufReader, Read as _, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::unix::fs::PermissionsExt as _,
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use postroom::demo::server::{Action, Script, Server};
use rustls::{ClientConnection, StreamOwned, pki_types::ServerName};
use support::{
    Certificate, Postroom, SOON, Service, Setup, Signal, free_address, is_here, listening, skipped,
};

trait Serves {
    fn client(&self) -> Client;
}

impl Serves for Service {
    fn client(&self) -> Client {
        Client::of(TcpStream::connect(self.address).unwrap())
    }
}

trait Stream: io::Read + Write + Send {}
impl<T: io::Read + Write + Send> Stream for T {}

/// A client that says what the test wants.
struct Client {
    stream: BufReader<Box<dyn Stream>>,
    tcp: TcpStream,
}

impl Client {
    fn of(tcp: TcpStream) -> Self {
        tcp.set_read_timeout(Some(SOON)).unwrap();
        tcp.set_write_timeout(Some(SOON)).unwrap();
        tcp.set_nodelay(true).unwrap();
        Self {
            stream: BufReader::new(Box::new(tcp.try_clone().unwrap())),
            tcp,
        }
    }

    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    /// All lines of one reply; empty at the end of the connection.
    fn reply(&mut self) -> String {
        let mut reply = String::new();
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line).unwrap_or(0) == 0 {
                return reply;
            }
            let last = line.as_bytes().get(3) != Some(&b'-');
            reply.push_str(&line);
            if last {
                return reply;
            }
        }
    }

    fn say(&mut self, line: &str) -> String {
        self.send(format!("{line}\r\n"));
        self.reply()
    }

    /// Says a line, and the reply must begin so.
    fn expect(&mut self, line: &str, begin: &str) -> String {
        let reply = self.say(line);
        assert!(reply.starts_with(begin), "{line}: {reply}");
        reply
    }

    /// Past the greeting and EHLO.
    fn greeted(mut self) -> Self {
        assert!(self.reply().starts_with("220 "));
        self.expect("EHLO test", "250");
        self
    }

    /// The envelope of a message, up to DATA.
    fn envelope(&mut self, to: &str) {
        self.expect("MAIL FROM:<shop@example.com>", "250");
        self.expect(&format!("RCPT TO:<{to}>"), "250");
        self.expect("DATA", "354");
    }

    /// Hands a message over; the reply to the dot.
    fn hand_over(&mut self, to: &str, text: &str) -> String {
        self.envelope(to);
        self.say(&format!("{text}\r\n."))
    }

    fn encrypted(self, certificate: &Certificate) -> Self {
        assert!(self.stream.buffer().is_empty());
        let name = ServerName::try_from("localhost").unwrap();
        let session = ClientConnection::new(certificate.client(), name).unwrap();
        let stream = StreamOwned::new(session, self.tcp.try_clone().unwrap());
        Self {
            stream: BufReader::new(Box::new(stream)),
            tcp: self.tcp,
        }
    }
}

/// A password in a file that only its owner can read.
fn password(postroom: &Postroom, password: &str) {
    let file = postroom.folder().join("shop-password");
    fs::write(&file, password).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
}

/// One that offers STARTTLS with this certificate.
fn encrypting(address: SocketAddr, certificate: &Certificate) -> Setup {
    let (cert_file, key_file) = certificate.files();
    listening(address)
        .set("listen.smtp.cert_file", cert_file.to_str().unwrap())
        .set("listen.smtp.key_file", key_file.to_str().unwrap())
}

#[test]
fn of_three_recipients_the_relay_refuses_one_and_the_application_need_not_know() {
    let server = Server::start(Script::accept_all().keep_bodies().rcpt(
        "ben@example.com",
        Action::reply(550, "5.1.1", "no such user"),
    ))
    .unwrap();
    let address = free_address();
    let postroom = Setup::new()
        .smtp("email", &server)
        .set("listen.smtp.address", address.to_string())
        .build();
    let service = Service::start(&postroom, address);
    let mut client = service.client().greeted();
    client.send(
        "MAIL FROM:<shop@example.com> SIZE=100 BODY=8BITMIME\r\nRCPT TO:<april@example.com>\r\nRCPT TO:<ben@example.com>\r\nRCPT TO:<root>\r\n\
         RCPT TO:<carol@example.com>\r\nDATA\r\n",
    );
    let replies: Vec<_> = (0..6).map(|_| client.reply()[..3].to_owned()).collect();
    assert_eq!(replies, ["250", "250", "250", "553", "250", "354"]);
    let reply = client.say(
        "Subject: hello\r\nX-Postroom-Type: receipt\r\nX-Postroom-Key: order-1\r\nBcc: dora@example.com\r\n\r\n..dot \u{e6}\r\n.",
    );
    assert_eq!(reply, "250 2.0.0 stored as message 1\r\n");
    assert!(server.wait_for(|ledger| ledger.accepted == 2, SOON));
    postroom.wait_until("it is written down", |postroom| {
        postroom.count("status:sent type:receipt key:order-1") == 2
    });
    assert_eq!(postroom.state_of("status:error"), "error/permanent");
    let ledger = server.ledger();
    let sent = String::from_utf8(ledger.entries[0].body.clone().unwrap().to_vec()).unwrap();
    assert_eq!(&*ledger.entries[0].sender, "shop@example.com");
    assert!(
        sent.ends_with("Subject: hello\r\n\r\n.dot \u{e6}\r\n"),
        "{sent}"
    );
    assert!(sent.contains("From: shop@example.com\r\nDate: "), "{sent}");
    client.expect("QUIT", "221");
    assert_eq!(client.reply(), "");
}

#[test]
fn every_250_is_in_the_store_after_a_kill_right_behind_it() {
    let address = free_address();
    let postroom = listening(address).build();
    for round in 0..5 {
        let service = Service::start(&postroom, address);
        let acknowledged = Mutex::new(BTreeSet::new());
        let count = AtomicUsize::new(0);
        thread::scope(|scope| {
            for client in 0..4 {
                let mut stream = service.client().greeted();
                let (acknowledged, count, service) = (&acknowledged, &count, &service);
                scope.spawn(move || {
                    for n in 0.. {
                        let to = format!("r{round}c{client}n{n}@example.com");
                        stream.send(format!(
                            "MAIL FROM:<shop@example.com>\r\nRCPT TO:<{to}>\r\nDATA\r\n"
                        ));
                        for _ in 0..3 {
                            if stream.reply().is_empty() {
                                return;
                            }
                        }
                        let text = format!("Subject: {n}\r\n\r\nhello\r\n.\r\n");
                        if stream.stream.get_mut().write_all(text.as_bytes()).is_err()
                            || !stream.reply().starts_with("250 ")
                        {
                            return;
                        }
                        acknowledged.lock().unwrap().insert(to);
                        if count.fetch_add(1, Ordering::SeqCst) == 40 * (round + 1) {
                            service.signal(Signal::KILL);
                        }
                    }
                });
            }
        });
        drop(service);
        let stored: BTreeSet<_> = postroom
            .list_json("")
            .iter()
            .map(|one| one["identity"].as_str().unwrap().to_owned())
            .collect();
        let acknowledged = acknowledged.into_inner().unwrap();
        assert!(acknowledged.len() > 40, "{}", acknowledged.len());
        let lost: Vec<_> = acknowledged.difference(&stored).collect();
        assert!(lost.is_empty(), "{lost:?}");
    }
}

#[test]
fn no_end_of_a_message_but_the_right_one_lets_another_message_in() {
    let address = free_address();
    let postroom = listening(address).build();
    let service = Service::start(&postroom, address);
    for end in ["\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r.\r\n", "\r\n.\r"] {
        let mut client = service.client().greeted();
        client.envelope("april@example.com");
        client.send(format!(
            "Subject: one\r\n\r\nhello{end}MAIL FROM:<evil@example.com>\r\nRCPT TO:<victim@example.com>\r\nDATA\r\nSubject: two\r\n\r\nsmuggled\r\n.\r\n"
        ));
        assert!(client.reply().starts_with("250 "), "{end:?}");
        client.expect("NOOP", "250");
    }
    assert_eq!(postroom.count("to:april@example.com"), 6);
    assert_eq!(postroom.count(""), 6);
    for receiver in postroom.list_json("") {
        let raw = postroom.show_json(&receiver["id"])["content"]["raw"].clone();
        let raw = raw.as_str().unwrap().replace("\r\n", "");
        assert!(!raw.contains(['\r', '\n']), "{raw:?}");
    }
}

#[test]
fn a_mail_nested_without_end_is_taken_and_the_next_is_served() {
    let address = free_address();
    let postroom = listening(address).build();
    let service = Service::start(&postroom, address);
    let mut client = service.client().greeted();
    let nested = "Content-Type: message/rfc822\r\n\r\n".repeat(100_000);
    // What has a key is read to the end: the same mail is known again by what it says.
    for subject in ["one", "one", "two"] {
        client.envelope("april@example.com");
        client.send(format!(
            "X-Postroom-Key: {subject}\r\nSubject: {subject}\r\n{nested}\r\n.\r\n"
        ));
        assert!(client.reply().starts_with("250 "), "{subject}");
    }
    assert_eq!(postroom.count(""), 2);
}

#[test]
fn what_is_no_command_or_no_message_gets_a_refusal_and_the_next_is_served() {
    let address = free_address();
    let postroom = listening(address)
        .set("listen.smtp.max_size", "64KiB")
        .set("listen.smtp.max_recipients", 3)
        .build();
    let service = Service::start(&postroom, address);
    let mut client = service.client();
    assert!(client.reply().starts_with("220 "));
    client.expect("MAIL FROM:<a@example.com>", "503 5.5.1");
    client.expect("EHLO test", "250");
    client.expect(&"A".repeat(3 << 20), "500 5.5.2");
    client.expect("NOOP \0", "500 5.5.2");
    client.expect("RCPT TO:<a@example.com>", "503 5.5.1");
    client.expect("DATA", "503 5.5.1");
    client.expect("GET / HTTP/1.1", "500 5.5.1");
    client.expect("MAIL FROM:<a@example.com> SIZE=100000", "552 5.3.4");
    client.expect("MAIL FROM:<a@example.com> RET=HDRS", "555 5.5.4");
    client.expect("MAIL FROM:<nobody>", "553 5.1.7");
    client.expect("MAIL FROM:<ø@example.com>", "553 5.6.7");
    client.expect("MAIL FROM:<ø@example.com> SMTPUTF8", "250");
    client.expect("RCPT TO:<april>", "553 5.1.3");
    client.expect("RCPT TO:<>", "553 5.1.3");
    client.expect("DATA", "554 5.5.1");
    for to in ["a", "b", "ø"] {
        client.expect(&format!("RCPT TO:<{to}@example.com>"), "250");
    }
    client.expect("RCPT TO:<d@example.com>", "452 4.5.3");
    client.expect("DATA", "354");
    let long_line = "x".repeat(100 << 10);
    client.expect(&format!("{long_line}\r\n."), "552 5.3.4");
    for (text, code) in [
        ("Subject: \0\r\n\r\n", "554 5.6.0"),
        (
            "X-Postroom-Typ: x\r\n\r\n",
            "554 5.6.0 X-Postroom-Typ is no header",
        ),
        // Long lines are the message's own affair.
        (&long_line[..60 << 10], "250"),
    ] {
        let reply = client.hand_over("e@example.com", text);
        assert!(reply.starts_with(code), "{reply}");
    }
    assert_eq!(postroom.count(""), 1);
    for n in 0.. {
        let reply = client.say("nonsense");
        if reply.starts_with("421 4.7.0") {
            break;
        }
        assert!(n < 30 && reply.starts_with("500 "), "{reply}");
    }
    assert_eq!(client.reply(), "");
    service.client().greeted().expect("QUIT", "221");
}

#[test]
fn a_hundred_megabytes_are_refused_in_bounded_memory_while_others_are_served() {
    let address = free_address();
    let postroom = listening(address).build();
    let service = Service::start(&postroom, address);
    let before = service.peak();
    thread::scope(|scope| {
        let mut others = Vec::new();
        for n in 0..6 {
            let service = &service;
            others.push(scope.spawn(move || {
                let mut client = service.client().greeted();
                client.envelope("april@example.com");
                let block = format!("{}\r\n", "0123456789".repeat(99)).repeat(1 << 10);
                for _ in 0..(100 << 20) / block.len() {
                    client.send(&block);
                }
                if n % 2 == 0 {
                    let reply = client.say("\r\n.");
                    assert!(
                        reply.starts_with("552 5.3.4") || reply.starts_with("452 4.3.1"),
                        "{reply}"
                    );
                    client.expect("NOOP", "250");
                }
            }));
        }
        let mut client = service.client().greeted();
        for _ in 0..20 {
            let reply = client.hand_over("ben@example.com", "Subject: s\r\n\r\nt");
            assert!(reply.starts_with("250 "), "{reply}");
        }
    });
    let grown = service.peak() - before;
    assert!(grown < 300, "{grown} MiB");
    assert_eq!(postroom.count("to:ben@example.com"), 20);
    assert_eq!(postroom.count(""), 20);
}

#[test]
fn a_thousand_idle_connections_keep_nobody_out_and_take_little() {
    let address = free_address();
    let postroom = listening(address)
        .set("listen.smtp.connections", 50)
        .build();
    let service = Service::start(&postroom, address);
    let before = service.peak();
    let idle: Vec<_> = (0..1000)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    let mut client = service.client().greeted();
    let reply = client.hand_over("april@example.com", "Subject: s\r\n\r\nt");
    assert!(reply.starts_with("250 "), "{reply}");
    let mut first = Client::of(idle[0].try_clone().unwrap());
    assert!(first.reply().starts_with("220 "));
    let told = first.reply();
    assert!(
        told.starts_with("421 4.4.2 you were idle") && first.reply().is_empty(),
        "{told}"
    );
    let grown = service.peak() - before;
    assert!(grown < 64, "{grown} MiB");
}

#[test]
fn whoever_takes_too_long_is_told_so() {
    let address = free_address();
    let postroom = listening(address)
        .set("listen.smtp.timeout", "1s")
        .set("listen.smtp.message_timeout", "2s")
        .build();
    let service = Service::start(&postroom, address);
    let mut idle = service.client().greeted();
    assert!(idle.reply().starts_with("421 4.4.2 you took too long"));
    // A byte now and then is slow all the same.
    let mut slow = service.client().greeted();
    slow.envelope("april@example.com");
    slow.tcp
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    let until = Instant::now() + SOON;
    let told = loop {
        assert!(Instant::now() < until);
        drop(slow.stream.get_mut().write_all(b"x"));
        let mut line = String::new();
        match slow.stream.read_line(&mut line) {
            Ok(_) => break line,
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
    };
    assert!(told.starts_with("421 4.4.2 you took too long"), "{told}");
    assert_eq!(postroom.count(""), 0);
}

/// What EHLO offers, but for the name in front.
fn offers(reply: &str) -> Vec<&str> {
    reply.lines().skip(1).map(|line| &line[4..]).collect()
}

#[test]
fn ehlo_offers_what_there_is_and_no_more() {
    const ALWAYS: [&str; 5] = [
        "PIPELINING",
        "8BITMIME",
        "SMTPUTF8",
        "SIZE 33554432",
        "ENHANCEDSTATUSCODES",
    ];
    let with = |more: &[&'static str]| {
        let (last, first) = ALWAYS.split_last().unwrap();
        [first, more, &[*last]].concat()
    };
    let address = free_address();
    let postroom = listening(address).build();
    let mut service = Service::start(&postroom, address);
    let mut client = service.client();
    client.reply();
    assert_eq!(offers(&client.say("EHLO test")), ALWAYS);
    client.expect("AUTH PLAIN AHNob3AAcA==", "502 5.5.1");
    client.expect("STARTTLS", "502 5.5.1");
    // An old client gets an old answer.
    assert_eq!(client.say("HELO test").lines().count(), 1);

    let certificate = Certificate::new(&["localhost"]);
    password(&postroom, "correct horse");
    postroom.configure(
        encrypting(address, &certificate)
            .set("listen.smtp.users.shop.password_file", "shop-password"),
    );
    service.reload();
    let mut client = service.client();
    client.reply();
    let reply = client.say("EHLO test");
    assert_eq!(offers(&reply), with(&["STARTTLS", "AUTH PLAIN LOGIN"]));
    client.expect("STARTTLS", "220");
    let mut client = client.encrypted(&certificate);
    let reply = client.say("EHLO test");
    assert_eq!(offers(&reply), with(&["AUTH PLAIN LOGIN"]));
    let plain = STANDARD.encode("\0shop\0correct horse");
    client.expect(&format!("AUTH PLAIN {plain}"), "235");
    assert_eq!(offers(&client.say("EHLO test")), ALWAYS);
    client.expect("MAIL FROM:<shop@example.com>", "250");
    drop(client);
    service.signal(Signal::TERM);
    assert!(service.child.wait().unwrap().success());
}

#[test]
fn from_another_machine_a_password_comes_behind_starttls_or_not_at_all() {
    // Whoever comes to an address of this machine by that address is no different from a stranger. Nothing is sent to find it out.
    let own = UdpSocket::bind("0.0.0.0:0").unwrap();
    let own = own
        .connect("192.0.2.1:9")
        .and_then(|()| own.local_addr())
        .map(|own| own.ip());
    let free = own.and_then(|own| TcpListener::bind((own, 0))?.local_addr());
    let Ok(address) = free.map_err(|_| skipped("a listener that others reach: no address here"))
    else {
        return;
    };
    let certificate = Certificate::new(&["localhost"]);
    let postroom = encrypting(address, &certificate)
        .set("listen.smtp.users.shop.password_file", "shop-password")
        .build();
    password(&postroom, "correct horse");
    let service = Service::start(&postroom, address);
    let plain = STANDARD.encode("\0shop\0correct horse");
    let mut client = service.client();
    client.reply();
    let reply = client.say("EHLO test");
    assert!(
        reply.contains("STARTTLS") && !reply.contains("AUTH"),
        "{reply}"
    );
    client.expect(&format!("AUTH PLAIN {plain}"), "538 5.7.11");
    client.expect("MAIL FROM:<shop@example.com>", "530 5.7.0 say STARTTLS");
    client.expect("STARTTLS", "220");
    let mut client = client.encrypted(&certificate);
    client.expect("EHLO test", "250");
    client.expect(&format!("AUTH PLAIN {plain}"), "235");
    let reply = client.hand_over("april@example.com", "Subject: s\r\n\r\nt");
    assert!(reply.starts_with("250 "), "{reply}");
}

#[test]
fn a_client_that_speaks_tls_from_the_first_byte_or_trusts_nobody_harms_nobody() {
    let certificate = Certificate::new(&["localhost"]);
    let address = free_address();
    let postroom = encrypting(address, &certificate)
        .set("listen.smtp.timeout", "2s")
        .build();
    let service = Service::start(&postroom, address);
    let shake_hands = |client: Client, trusted: &Certificate| {
        let name = ServerName::try_from("localhost").unwrap();
        let mut session = ClientConnection::new(trusted.client(), name).unwrap();
        let mut tcp = client.tcp;
        session.complete_io(&mut tcp).unwrap_err().to_string()
    };
    // It hears that this is no TLS: our greeting, and that its hello is no command.
    let told = shake_hands(service.client(), &certificate);
    assert!(told.contains("corrupt message"), "{told}");
    let mut client = service.client();
    client.reply();
    client.expect("EHLO test", "250");
    client.expect("STARTTLS", "220");
    let other = Certificate::new(&["localhost"]);
    let told = shake_hands(client, &other);
    assert!(told.contains("certificate"), "{told}");
    let reply = service
        .client()
        .greeted()
        .hand_over("april@example.com", "Subject: s\r\n\r\nt");
    assert!(reply.starts_with("250 "), "{reply}");
}

#[test]
fn with_users_nobody_hands_anything_over_without_the_password() {
    const PASSWORD: &str = "correct horse battery";
    let certificate = Certificate::new(&["localhost"]);
    let address = free_address();
    let postroom = encrypting(address, &certificate)
        .set("listen.smtp.users.shop.password_file", "shop-password")
        .build();
    password(&postroom, PASSWORD);
    let service = Service::start(&postroom, address);
    let plain = |password: &str| STANDARD.encode(format!("\0shop\0{password}"));

    let mut client = service.client().greeted();
    client.expect("MAIL FROM:<a@example.com>", "530 5.7.0");
    client.expect("AUTH CRAM-MD5", "504 5.5.4");
    client.expect("AUTH PLAIN not-base64!", "501 5.5.2");
    client.expect(
        &format!("AUTH PLAIN {}", plain("hunter2-wrong")),
        "535 5.7.8",
    );
    client.expect("AUTH LOGIN", "334 VXNlcm5hbWU6");
    client.expect(&STANDARD.encode("shop"), "334 UGFzc3dvcmQ6");
    client.expect(&STANDARD.encode("hunter2-wrong"), "535 5.7.8");
    client.expect("MAIL FROM:<a@example.com>", "530 5.7.0");
    client.expect(
        &format!("AUTH PLAIN {}", plain("hunter2-wrong")),
        "421 4.7.0",
    );
    assert_eq!(client.reply(), "");

    let mut client = service.client();
    client.reply();
    assert!(client.say("EHLO test").contains("STARTTLS\r\n"));
    client.expect("STARTTLS", "220 ");
    let mut client = client.encrypted(&certificate);
    client.expect("MAIL FROM:<a@example.com>", "503 5.5.1");
    let offers = client.say("EHLO test");
    assert!(
        offers.contains("AUTH PLAIN LOGIN") && !offers.contains("STARTTLS"),
        "{offers}"
    );
    client.expect("AUTH PLAIN", "334 ");
    client.expect(&plain(PASSWORD), "235 2.7.0");
    let reply = client.hand_over("april@example.com", "Subject: s\r\n\r\nt");
    assert!(reply.starts_with("250 "), "{reply}");
    assert_eq!(postroom.show_only("")["created_by"], "shop");

    // What comes in clear behind STARTTLS, and what is no TLS.
    let mut client = service.client().greeted();
    client.send("STARTTLS\r\nEHLO evil\r\n");
    assert!(client.reply().starts_with("421 4.7.0"));
    assert_eq!(client.reply(), "");
    let mut client = service.client().greeted();
    client.expect("STARTTLS", "220 ");
    client.send("this is not a handshake at all\r\n".repeat(10));
    client.tcp.shutdown(Shutdown::Write).unwrap();
    let mut rest = Vec::new();
    drop(client.stream.read_to_end(&mut rest));
    assert!(!String::from_utf8_lossy(&rest).contains("250"));

    // A new password counts from now on, without a restart; a file open to others does not.
    password(&postroom, "another");
    let mut client = service.client().greeted();
    client.expect(&format!("AUTH PLAIN {}", plain("another")), "235 2.7.0");
    let file = postroom.folder().join("shop-password");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let mut client = service.client().greeted();
    client.expect(&format!("AUTH PLAIN {}", plain("another")), "454 4.7.0");
    let log = service.log();
    assert!(
        log.contains("wrong user or password") && log.contains("chmod 600"),
        "{log}"
    );
    for secret in [
        PASSWORD,
        "hunter2",
        "another",
        &plain(PASSWORD),
        &plain("hunter2-wrong"),
    ] {
        assert!(!log.contains(secret), "{log}");
    }
    assert_eq!(postroom.count(""), 1);
}

#[test]
fn an_address_that_others_can_reach_needs_users_and_a_certificate() {
    let check = |setup: Setup| {
        let postroom = setup.build();
        postroom.run(&["status"]).exit(3).stderr
    };
    let at = |address: &str| {
        Setup::new()
            .file("disk")
            .set("listen.smtp.address", address)
    };
    for (setup, told) in [
        (
            at("0.0.0.0:2525"),
            "address: other machines can reach 0.0.0.0:2525",
        ),
        (
            at("0.0.0.0:2525").set("listen.smtp.users.shop.password_file", "x"),
            "passwords would come from there in clear",
        ),
        (at("localhost"), "`localhost` is no address to listen at"),
        (
            Setup::new().file("disk").set("listen.smtp.connections", 1),
            "address is missing",
        ),
        (
            at("127.0.0.1:2525").set("listen.smtp.users.shop.password", "secret"),
            "a secret never stands in the config",
        ),
        (
            at("127.0.0.1:2525").set("listen.smtp.cert_file", "x"),
            "add key_file",
        ),
        (
            at("127.0.0.1:2525").set("listen.smtp.max_sze", "1MiB"),
            "did you mean `max_size`?",
        ),
        (
            at("127.0.0.1:2525").set("listen.smtp.max_size", "0"),
            "max_size: nothing could be handed over",
        ),
    ] {
        let said = check(setup);
        assert!(said.contains(told), "{told}: {said}");
    }
}

#[test]
fn a_listener_that_cannot_begin_is_told_before_anything_is_sent() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let postroom = listening(address).build();
    let ran = postroom.run(&["run"]).exit(1);
    assert!(
        ran.stderr.contains(&format!("cannot listen at {address}")),
        "{ran:?}"
    );
    let postroom = listening(free_address())
        .set("listen.smtp.users.shop.password_file", "missing")
        .build();
    let ran = postroom.run(&["run"]).exit(1);
    assert!(
        ran.stderr.contains("the password of the user shop"),
        "{ran:?}"
    );
}

#[test]
fn a_reload_changes_what_it_goes_by_and_where_it_listens() {
    let address = free_address();
    let postroom = listening(address).build();
    let mut service = Service::start(&postroom, address);
    let mut before = service.client().greeted();
    postroom.configure(listening(address).set("listen.smtp.max_size", "1KiB"));
    service.reload();
    let large = "x".repeat(4096);
    let reply = before.hand_over("a@example.com", &large);
    assert!(reply.starts_with("250 "), "who was there goes on: {reply}");
    let reply = service
        .client()
        .greeted()
        .hand_over("a@example.com", &large);
    assert!(reply.starts_with("552 "), "{reply}");

    let elsewhere = free_address();
    let mut sending = service.client().greeted();
    sending.envelope("b@example.com");
    postroom.configure(listening(elsewhere));
    service.reload();
    let told = before.reply();
    assert!(told.starts_with("421 4.3.2 closing down"), "{told}");
    assert!(sending.say("Subject: s\r\n\r\nt\r\n.").starts_with("250 "));
    assert!(TcpStream::connect(address).is_err());
    service.address = elsewhere;
    service.client().greeted();

    // What cannot be done changes nothing.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    postroom.configure(listening(taken.local_addr().unwrap()));
    service.reload();
    assert!(
        service.log().contains("the config before holds")
            || service.log().contains("the one before holds")
    );
    service.client().greeted();

    postroom.configure(Setup::new().file("disk"));
    service.reload();
    assert!(TcpStream::connect(elsewhere).is_err());
    assert_eq!(postroom.count(""), 2);
}

#[test]
fn a_stop_lets_who_is_sending_a_message_finish_it() {
    let address = free_address();
    let postroom = listening(address).build();
    let mut service = Service::start(&postroom, address);
    let mut idle = service.client().greeted();
    let mut sending = service.client().greeted();
    sending.envelope("april@example.com");
    sending.send("Subject: s\r\n");
    service.signal(Signal::TERM);
    let told = idle.reply();
    assert!(told.starts_with("421 4.3.2 closing down"), "{told}");
    assert!(TcpStream::connect(address).is_err());
    assert!(sending.say("\r\nt\r\n.").starts_with("250 "));
    assert!(sending.reply().starts_with("421 4.3.2"));
    assert!(service.child.wait().unwrap().success());
    assert_eq!(postroom.count("to:april@example.com"), 1);
}

#[test]
fn python_hands_mails_over_with_smtplib_as_it_always_did() {
    const PROGRAM: &str = r#"
import smtplib, ssl, sys
from email.message import EmailMessage
port, ca = int(sys.argv[1]), sys.argv[2]
with smtplib.SMTP("localhost", port) as smtp:
    smtp.starttls(context=ssl.create_default_context(cafile=ca))
    smtp.login("shop", "correct horse")
    for n in range(20):
        message = EmailMessage()
        message["From"], message["To"] = "Shop <shop@example.com>", "april@example.com, ben@example.com"
        message["Subject"], message["X-Postroom-Type"] = f"Número {n}", "receipt"
        message.set_content("Hello.\n.\n..\nBye.\n")
        message.add_alternative("<p>Hello</p>", subtype="html")
        assert smtp.send_message(message) == {}
    refused = smtp.sendmail("shop@example.com", ["carol@example.com", "nobody"], b"Subject: raw\n\n\xe6")
    assert list(refused) == ["nobody"] and refused["nobody"][0] == 553, refused
"#;
    if !is_here("python3") {
        return;
    }
    let certificate = Certificate::new(&["localhost"]);
    let address = free_address();
    let postroom = encrypting(address, &certificate)
        .set("listen.smtp.users.shop.password_file", "shop-password")
        .build();
    password(&postroom, "correct horse");
    let service = Service::start(&postroom, address);
    let ran = Command::new("python3")
        .args(["-c", PROGRAM, &address.port().to_string()])
        .arg(certificate.ca_file())
        .output()
        .unwrap();
    assert!(ran.status.success(), "{ran:?}\n{}", service.log());
    assert_eq!(postroom.count("type:receipt subject:Número"), 40);
    assert_eq!(postroom.count("subject:raw"), 1);
}
