//! Handing mails over by SMTP, each 250 durable.
//!
//! `cargo bench --bench listener` prints messages per second over 1, 4 and 8 client connections (goal: 3,000 over 4), for messages of 4 KiB to one
//! recipient each, on disk. Every client waits for its 250 before it begins the next message, with MAIL, RCPT and DATA in one write, or, as Python's
//! smtplib does, one by one.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    sync::Arc,
    thread,
    time::Instant,
};

use postroom::{
    inbound::{ListenSettings, Listener, Settings},
    message::{BackendFacts, SubmitDefaults},
    store::{SCHEMA, Store},
};

const MESSAGES: usize = 10_000;
const SIZE: usize = 4096;
const GOAL: usize = 3_000;

fn main() {
    println!("{MESSAGES} messages of 4 KiB, one recipient each, schema {SCHEMA}");
    println!(
        "{:>12} {:>18} {:>18}",
        "connections", "pipelined, msg/s", "one by one, msg/s"
    );
    for connections in [1, 4, 8] {
        let [pipelined, single] = [true, false].map(|pipelined| rate(connections, pipelined));
        let goal = if connections == 4 {
            format!("   (goal: {GOAL})")
        } else {
            String::new()
        };
        println!("{connections:>12} {pipelined:>18.0} {single:>18.0}{goal}");
    }
}

fn rate(connections: usize, pipelined: bool) -> f64 {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::create(&folder.path().join("postroom.db")).expect("a store");
    let store = Arc::new(store);
    let facts = BackendFacts {
        mail: true,
        has_from: true,
    };
    let defaults = SubmitDefaults {
        backend: Some("email".to_owned()),
        language: "en".to_owned(),
        backends: [("email".to_owned(), facts)].into(),
    };
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let settings =
        Settings::new(ListenSettings::new(anywhere), defaults, None).expect("good settings");
    let listener = Listener::start(&store, settings).expect("a listener");
    let address = listener.address();
    let began = Instant::now();
    thread::scope(|scope| {
        for client in 0..connections {
            scope.spawn(move || hand_over(address, client, MESSAGES / connections, pipelined));
        }
    });
    let took = began.elapsed();
    let counts = store
        .reader()
        .and_then(|reader| reader.counts())
        .expect("counts");
    assert_eq!(
        counts.total() as usize,
        MESSAGES / connections * connections
    );
    MESSAGES as f64 / took.as_secs_f64()
}

fn hand_over(address: SocketAddr, client: usize, messages: usize, pipelined: bool) {
    let mut stream = BufReader::new(TcpStream::connect(address).expect("a connection"));
    stream.get_ref().set_nodelay(true).expect("a socket");
    expect(&mut stream, "220");
    say(&mut stream, "EHLO bench\r\n", &["250"]);
    let line = "Your examiner has given feedback on what you handed in.\r\n";
    let body = line.repeat(SIZE / line.len());
    for n in 0..messages {
        let envelope = [
            "MAIL FROM:<no-reply@example.com>\r\n".to_owned(),
            format!("RCPT TO:<user{client}-{n}@example.com>\r\n"),
            "DATA\r\n".to_owned(),
        ];
        if pipelined {
            say(&mut stream, &envelope.concat(), &["250", "250", "354"]);
        } else {
            for (command, code) in envelope.iter().zip(["250", "250", "354"]) {
                say(&mut stream, command, &[code]);
            }
        }
        let message = format!(
            "From: no-reply@example.com\r\nSubject: Feedback {client}-{n}\r\nMessage-ID: <{client}-{n}@example.com>\r\n\r\n{body}.\r\n"
        );
        say(&mut stream, &message, &["250"]);
    }
    say(&mut stream, "QUIT\r\n", &["221"]);
}

fn say(stream: &mut BufReader<TcpStream>, bytes: &str, codes: &[&str]) {
    stream
        .get_mut()
        .write_all(bytes.as_bytes())
        .expect("written");
    for code in codes {
        expect(stream, code);
    }
}

/// Reads one reply, all its lines.
fn expect(stream: &mut BufReader<TcpStream>, code: &str) {
    let mut line = String::new();
    loop {
        line.clear();
        stream.read_line(&mut line).expect("a reply");
        assert!(line.starts_with(code), "{code} was expected, not {line}");
        if line.as_bytes().get(3) != Some(&b'-') {
            return;
        }
    }
}
