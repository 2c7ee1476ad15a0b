use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt as _, path::PathBuf};

use postroom::{
    backend::{Credentials, Proof, SecretSource, SmtpSettings, Tls},
    delivery::{Backend, Ended, Trouble},
    message::Outcome::Accepted,
};
use tempfile::TempDir;

use super::{
    desk::{FakeDesk, Told, hasty, letter, run, settings, smtp},
    server::{Peer, Server, identity, self_signed},
};

/// Settings over TLS that trust this CA.
fn tls(port: u16, tls: Tls, ca_pem: &str) -> (TempDir, SmtpSettings) {
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    fs::write(&ca_file, ca_pem).unwrap();
    let settings = SmtpSettings {
        tls,
        host: "localhost".to_owned(),
        ca_file: Some(ca_file),
        ..settings(port)
    };
    (folder, settings)
}

fn with_password(mut settings: SmtpSettings) -> (TempDir, SmtpSettings) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password");
    fs::write(&path, "hunter-22\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    settings.credentials = Some(Credentials {
        username: "postroom".to_owned(),
        proof: Proof::Password(SecretSource::File(path)),
    });
    (folder, settings)
}

fn trouble(settings: SmtpSettings) -> Trouble {
    match smtp(settings).open() {
        Ok(_) => panic!("it opened"),
        Err(trouble) => trouble,
    }
}

fn deliver_one(peer: &mut Peer) {
    peer.take_envelope();
    peer.body();
    peer.say("250 ok\r\n");
    assert_eq!(peer.line(), "QUIT");
}

#[test]
fn mail_goes_out_over_starttls() {
    let identity = identity();
    let ca_pem = identity.ca_pem.clone();
    let server = Server::one(move |peer| {
        peer.greet(&["STARTTLS", "SIZE 1"]);
        assert_eq!(peer.line(), "STARTTLS");
        peer.expect_no_more();
        peer.say("220 go ahead\r\n");
        peer.encrypt(&identity);
        // What was offered in clear does not count.
        peer.hello(&["PIPELINING"]);
        deliver_one(peer);
    });
    let (_folder, settings) = tls(server.port, Tls::Starttls, &ca_pem);
    let mut desk = FakeDesk::with([letter(1)]);
    assert_eq!(run(settings, &mut desk), Ok(Ended::Idle));
    server.finish();
    assert_eq!(desk.results()[1], Told::Settle(1, Accepted, Some(250)));
}

#[test]
fn mail_goes_out_over_implicit_tls_and_the_connection_is_used_again() {
    let identity = identity();
    let ca_pem = identity.ca_pem.clone();
    let server = Server::one(move |peer| {
        peer.encrypt(&identity);
        peer.greet(&["PIPELINING"]);
        peer.take_envelope();
        peer.body();
        peer.say("250 ok\r\n");
        deliver_one(peer);
    });
    let (_folder, settings) = tls(server.port, Tls::Implicit, &ca_pem);
    let backend = smtp(settings);
    let mut session = backend.open().unwrap();
    for id in [1, 2] {
        let mut desk = FakeDesk::with([letter(id)]);
        assert_eq!(session.run(&mut desk), Ok(Ended::Idle));
        assert_eq!(desk.results()[1], Told::Settle(id, Accepted, Some(250)));
    }
    drop(session);
    server.finish();
}

#[test]
fn a_reply_injected_behind_the_220_of_starttls_ends_the_session() {
    let server = Server::one(|peer| {
        peer.greet(&["STARTTLS"]);
        assert_eq!(peer.line(), "STARTTLS");
        peer.say("220 go ahead\r\n250-evil\r\n250 AUTH PLAIN\r\n");
        peer.expect_end();
    });
    let (_folder, settings) = tls(server.port, Tls::Starttls, &identity().ca_pem);
    let trouble = trouble(settings);
    server.finish();
    assert_eq!(trouble.failure.phase.as_deref(), Some("tls"));
    assert!(
        trouble.failure.error.contains("out of turn"),
        "{}",
        trouble.failure.error
    );
}

#[test]
fn a_server_without_starttls_gets_nothing_in_clear() {
    let server = Server::one(|peer| {
        peer.greet(&["AUTH PLAIN"]);
        peer.expect_end();
    });
    let (_folder, settings) = tls(server.port, Tls::Starttls, &identity().ca_pem);
    let (_secret, settings) = with_password(settings);
    let trouble = trouble(settings);
    server.finish();
    assert_eq!(trouble.failure.phase.as_deref(), Some("tls"));
    assert!(trouble.failure.error.contains("does not offer STARTTLS"));
}

#[test]
fn a_certificate_of_an_unknown_authority_is_refused() {
    let server_identity = identity();
    let server = Server::one(move |peer| {
        peer.encrypt(&server_identity);
        peer.expect_end();
    });
    let (_folder, settings) = tls(server.port, Tls::Implicit, &identity().ca_pem);
    let trouble = trouble(settings);
    server.finish();
    assert_eq!(trouble.failure.phase.as_deref(), Some("tls"));
    assert!(
        trouble.failure.error.contains("invalid peer certificate")
            && trouble.failure.error.contains("`ca_file`"),
        "{}",
        trouble.failure.error
    );
}

#[test]
fn a_self_signed_certificate_serves_as_ca_file_unless_it_is_an_authoritys() {
    let own = self_signed(false);
    let ca_pem = own.ca_pem.clone();
    let server = Server::one(move |peer| {
        peer.encrypt(&own);
        peer.greet(&[]);
        assert_eq!(peer.line(), "QUIT");
    });
    let (_folder, settings) = tls(server.port, Tls::Implicit, &ca_pem);
    assert!(smtp(settings).probe().is_ok());
    server.finish();

    let own = self_signed(true);
    let ca_pem = own.ca_pem.clone();
    let server = Server::one(move |peer| {
        peer.encrypt(&own);
        peer.expect_end();
    });
    let (_folder, settings) = tls(server.port, Tls::Implicit, &ca_pem);
    let told = trouble(settings).failure;
    server.finish();
    assert!(
        told.error
            .contains("the certificate of an authority (CA:TRUE)")
            && told.error.contains("CA:FALSE"),
        "{}",
        told.error
    );
    assert!(
        told.traceback.contains("CaUsedAsEndEntity"),
        "{}",
        told.traceback
    );
}

#[test]
fn a_ca_file_that_is_none_is_named() {
    for content in [Some("nonsense"), None] {
        let server = Server::one(Peer::expect_end);
        let (folder, settings) = tls(server.port, Tls::Implicit, content.unwrap_or_default());
        if content.is_none() {
            fs::remove_file(folder.path().join("ca.pem")).unwrap();
        }
        let trouble = trouble(settings);
        server.finish();
        assert!(
            trouble.failure.error.contains("ca.pem"),
            "{}",
            trouble.failure.error
        );
    }
}

#[test]
fn plain_is_preferred_and_no_secret_is_in_the_transcript() {
    let server = Server::one(|peer| {
        peer.greet(&["AUTH LOGIN PLAIN"]);
        assert_eq!(peer.line(), "AUTH PLAIN AHBvc3Ryb29tAGh1bnRlci0yMg==");
        peer.say("235 2.7.0 welcome\r\n");
        assert_eq!(peer.line(), "QUIT");
        peer.say("221 bye\r\n");
        peer.expect_end();
    });
    let (_folder, settings) = with_password(settings(server.port));
    let transcript = smtp(settings).probe().unwrap();
    server.finish();
    for line in [
        "-- connected to 127.0.0.1:",
        "S: 220 mx.test ready",
        "C: EHLO client.test",
        "S: 250 AUTH LOGIN PLAIN",
        "C: AUTH PLAIN [hidden]",
        "S: 235 2.7.0 welcome",
        "C: QUIT",
        "S: 221 bye",
    ] {
        assert!(
            transcript.contains(line),
            "{line:?} is missing in\n{transcript}"
        );
    }
}

#[test]
fn login_is_used_where_plain_is_not_offered() {
    let server = Server::one(|peer| {
        peer.greet(&["AUTH LOGIN"]);
        assert_eq!(peer.line(), "AUTH LOGIN");
        peer.say("334 VXNlcm5hbWU6\r\n");
        assert_eq!(peer.line(), "cG9zdHJvb20=");
        peer.say("334 UGFzc3dvcmQ6\r\n");
        assert_eq!(peer.line(), "aHVudGVyLTIy");
        peer.say("235 welcome\r\n");
        assert_eq!(peer.line(), "QUIT");
    });
    let (_folder, settings) = with_password(settings(server.port));
    let transcript = smtp(settings).probe().unwrap();
    server.finish();
    assert!(!transcript.contains("aHVudGVyLTIy") && !transcript.contains("cG9z"));
}

#[test]
fn refused_credentials_are_told_apart_and_never_shown() {
    for (reply, auth) in [
        (
            "535 5.7.8 hunter-22 is wrong, and so is AHBvc3Ryb29tAGh1bnRlci0yMg==\r\n",
            true,
        ),
        ("454 4.7.0 try later\r\n", false),
        ("421 4.7.0 go away\r\n", false),
    ] {
        let server = Server::one(move |peer| {
            peer.greet(&["AUTH PLAIN"]);
            peer.expect("AUTH PLAIN ");
            peer.say(reply);
            peer.expect_end();
        });
        let (_folder, settings) = with_password(settings(server.port));
        let trouble = trouble(settings);
        server.finish();
        assert_eq!(trouble.auth, auth, "{reply}");
        assert_eq!(trouble.failure.phase.as_deref(), Some("auth"));
        let told = format!("{trouble:?}");
        assert_eq!(told.contains("does not accept our login"), auth, "{told}");
        assert!(
            !told.contains("hunter") && !told.contains("AHBvc3Ry"),
            "{told}"
        );
    }
}

#[test]
fn a_secret_that_cannot_be_read_is_not_a_refused_one() {
    let server = Server::one(|peer| {
        peer.greet(&["AUTH PLAIN"]);
        peer.expect_end();
    });
    let mut settings = settings(server.port);
    settings.credentials = Some(Credentials {
        username: "postroom".to_owned(),
        proof: Proof::Password(SecretSource::File(PathBuf::from("/nonexistent/password"))),
    });
    let trouble = trouble(settings);
    server.finish();
    assert!(!trouble.auth);
    assert!(trouble.failure.error.contains("/nonexistent/password"));
}

#[test]
fn an_old_server_is_greeted_with_helo() {
    let server = Server::one(|peer| {
        peer.say("220 old\r\n");
        peer.expect("EHLO");
        peer.say("502 what?\r\n");
        assert_eq!(peer.line(), "HELO client.test");
        peer.say("250 old\r\n");
        assert_eq!(peer.line(), "QUIT");
    });
    assert!(smtp(settings(server.port)).probe().is_ok());
    server.finish();
}

#[test]
fn what_goes_wrong_before_mail_is_the_backends_trouble() {
    for (greeting, phase, words) in [
        ("554 5.3.2 no\r\n", "greeting", "554 5.3.2 no"),
        ("421 4.3.2 busy\r\n", "greeting", "421 4.3.2 busy"),
        (
            "SSH-2.0-x\r\n",
            "greeting",
            "the server's answer is not SMTP: it begins with \"SSH-2.0-x\" while waiting for the greeting",
        ),
        (
            "220 a\r\n220 b\r\n",
            "ehlo",
            "the server spoke out of turn: \"220 b\" while introducing ourselves (EHLO)",
        ),
    ] {
        let server = Server::one(move |peer| {
            peer.say(greeting);
            peer.expect_end();
        });
        let trouble = trouble(settings(server.port));
        server.finish();
        assert!(!trouble.auth);
        assert_eq!(trouble.failure.phase.as_deref(), Some(phase));
        assert_eq!(trouble.failure.error, words);
        assert!(trouble.failure.transcript.is_some());
    }
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let port = TcpListener::bind(("127.0.0.1", 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let trouble = trouble(settings(port));
    assert_eq!(trouble.failure.phase.as_deref(), Some("connect"));
    assert!(
        trouble.failure.error.starts_with(&format!(
            "no connection to 127.0.0.1:{port} while connecting: Connection refused"
        )),
        "{}",
        trouble.failure.error
    );
}

#[test]
fn a_server_that_does_not_greet_in_time_is_given_up() {
    let server = Server::one(Peer::expect_end);
    let trouble = trouble(hasty(server.port, |waits, short| waits.greeting = short));
    server.finish();
    assert_eq!(
        trouble.failure.error,
        "timed out: no answer within 300ms while waiting for the greeting"
    );
}
