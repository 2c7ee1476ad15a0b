//! AUTH XOAUTH2, with a token that a program gets.

use std::{fs, path::PathBuf, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use postroom::{
    backend::{Credentials, Proof, SmtpSettings, TokenCommand},
    delivery::{Backend as _, Trouble},
};
use tempfile::TempDir;

use super::{
    desk::{settings, smtp},
    server::{Peer, Server},
};

/// Settings with a shell script that gets the token; it is called in a folder of its own.
fn with_token(port: u16, script: &str) -> (TempDir, SmtpSettings) {
    let folder = tempfile::tempdir().unwrap();
    let script = format!("cd '{}'; {script}", folder.path().display());
    let mut settings = settings(port);
    settings.credentials = Some(Credentials {
        username: "robot@uni.example".to_owned(),
        proof: Proof::Token(TokenCommand {
            program: PathBuf::from("sh"),
            args: vec!["-c".to_owned(), script],
            lifetime: Duration::from_secs(600),
        }),
    });
    (folder, settings)
}

/// A new token each time: `token-1`, `token-2` …
const COUNTING: &str = "echo >> asked; echo token-$(wc -l < asked)";

fn asked(folder: &TempDir) -> usize {
    let asked = fs::read_to_string(folder.path().join("asked"));
    asked.unwrap_or_default().lines().count()
}

/// What the client says, by the token it has.
fn word(token: &str) -> String {
    STANDARD.encode(format!(
        "user=robot@uni.example\u{1}auth=Bearer {token}\u{1}\u{1}"
    ))
}

fn greet(peer: &mut Peer) {
    peer.greet(&["AUTH PLAIN XOAUTH2"]);
}

fn accept(peer: &mut Peer, token: &str) {
    greet(peer);
    assert_eq!(peer.line(), format!("AUTH XOAUTH2 {}", word(token)));
    peer.say("235 2.7.0 Accepted\r\n");
    assert_eq!(peer.line(), "QUIT");
    peer.try_to_say("221 bye\r\n");
}

fn trouble(settings: SmtpSettings) -> Trouble {
    match smtp(settings).open() {
        Ok(_) => panic!("it opened"),
        Err(trouble) => trouble,
    }
}

#[test]
fn one_token_serves_all_connections_until_it_is_too_old() {
    let server = Server::start(|door| {
        for token in ["token-1", "token-1", "token-1"] {
            accept(&mut door.open(), token);
        }
    });
    let (folder, settings) = with_token(server.port, COUNTING);
    let backend = smtp(settings);
    for _ in 0..3 {
        let transcript = backend.probe().unwrap();
        assert!(
            transcript.contains("C: AUTH XOAUTH2 [hidden]\n"),
            "{transcript}"
        );
        assert!(!transcript.contains("token-1") && !transcript.contains(&word("token-1")));
    }
    server.finish();
    assert_eq!(asked(&folder), 1);

    let server = Server::start(|door| {
        for token in ["token-1", "token-2"] {
            accept(&mut door.open(), token);
        }
    });
    let (_folder, mut settings) = with_token(server.port, COUNTING);
    if let Some(Credentials {
        proof: Proof::Token(command),
        ..
    }) = &mut settings.credentials
    {
        command.lifetime = Duration::ZERO;
    }
    let backend = smtp(settings);
    assert!(backend.probe().is_ok() && backend.probe().is_ok());
    server.finish();
}

#[test]
fn a_token_that_is_refused_is_replaced_at_once_if_it_had_been_used_before() {
    let server = Server::start(|door| {
        accept(&mut door.open(), "token-1");
        let mut peer = door.open();
        greet(&mut peer);
        assert_eq!(peer.line(), format!("AUTH XOAUTH2 {}", word("token-1")));
        peer.say("535 5.7.8 expired\r\n");
        peer.expect_end();
        accept(&mut door.open(), "token-2");
    });
    let (folder, settings) = with_token(server.port, COUNTING);
    let backend = smtp(settings);
    assert!(backend.probe().is_ok() && backend.probe().is_ok());
    server.finish();
    assert_eq!(asked(&folder), 2);
}

#[test]
fn a_new_token_that_is_refused_is_trouble_and_what_the_server_says_of_it_is_told_without_it() {
    let server = Server::one(|peer| {
        greet(peer);
        peer.expect("AUTH XOAUTH2 ");
        let why = STANDARD.encode("{\"status\":\"400\",\"scope\":\"mail\",\"token\":\"token-1\"}");
        peer.say(&format!("334 {why}\r\n"));
        assert_eq!(peer.line(), "");
        peer.say(&format!("535 5.7.8 no token-1, {}\r\n", word("token-1")));
        peer.expect_end();
    });
    let (folder, settings) = with_token(server.port, COUNTING);
    let backend = smtp(settings);
    let Err(trouble) = backend.open() else {
        panic!("it opened")
    };
    server.finish();
    assert!(trouble.auth);
    assert_eq!(asked(&folder), 1);
    let transcript = trouble.failure.transcript.as_ref().unwrap();
    assert!(transcript.contains("\"scope\":\"mail\""), "{transcript}");
    for told in [format!("{trouble:?}"), format!("{backend:?}")] {
        for secret in ["token-1", &word("token-1"), &STANDARD.encode("token-1")] {
            assert!(!told.contains(secret), "{told}");
        }
    }
}

#[test]
fn a_refusal_for_now_says_nothing_about_the_token() {
    let server = Server::start(|door| {
        let mut peer = door.open();
        greet(&mut peer);
        peer.expect("AUTH XOAUTH2 ");
        peer.say("454 4.7.0 later\r\n");
        peer.expect_end();
        accept(&mut door.open(), "token-1");
    });
    let (folder, settings) = with_token(server.port, COUNTING);
    let backend = smtp(settings);
    assert!(!backend.probe().unwrap_err().auth);
    assert!(backend.probe().is_ok());
    server.finish();
    assert_eq!(asked(&folder), 1);
}

#[test]
fn a_program_that_gets_no_token_is_trouble_with_its_own_words() {
    for (script, words) in [
        (
            "echo half-a-token; echo 'the refresh token has expired' >&2; exit 3",
            "token_command names ended with 3: the refresh token has expired",
        ),
        ("kill -9 $$", "was ended by signal 9"),
        ("exec sleep 1000", "did not end within 300ms"),
        ("true", "printed no token"),
        ("echo half-a-token and more", "printed no token"),
        ("head -c 100000 /dev/zero | tr '\\0' x", "printed no token"),
    ] {
        let server = Server::one(|peer| {
            greet(peer);
            peer.expect_end();
        });
        let (_folder, mut settings) = with_token(server.port, script);
        if script.contains("sleep") {
            settings.timeouts.greeting = Duration::from_millis(300);
        }
        let trouble = trouble(settings);
        server.finish();
        assert!(!trouble.auth, "an account is not at stake");
        assert_eq!(trouble.failure.phase.as_deref(), Some("auth"));
        assert!(
            trouble.failure.error.contains(words),
            "{}",
            trouble.failure.error
        );
        let told = format!("{trouble:?}");
        assert!(!told.contains("half-a-token"), "{told}");
    }
}

#[test]
fn without_the_program_or_the_servers_offer_the_words_say_so() {
    let server = Server::one(|peer| {
        peer.greet(&["AUTH PLAIN LOGIN"]);
        peer.expect_end();
    });
    let (folder, settings) = with_token(server.port, COUNTING);
    let told = trouble(settings).failure.error;
    server.finish();
    assert!(told.contains("does not offer AUTH XOAUTH2"), "{told}");
    assert_eq!(asked(&folder), 0);

    let server = Server::one(|peer| {
        greet(peer);
        peer.expect_end();
    });
    let (_folder, mut settings) = with_token(server.port, COUNTING);
    if let Some(Credentials {
        proof: Proof::Token(command),
        ..
    }) = &mut settings.credentials
    {
        command.program = PathBuf::from("/no/such/program");
    }
    let told = trouble(settings).failure.error;
    server.finish();
    assert!(
        told.contains("there is no program /no/such/program"),
        "{told}"
    );
}
