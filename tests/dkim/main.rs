//! DKIM: what leaves is signed, and the signature holds where it arrives.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../support/mod.rs"]
mod support;
mod verifier;

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, process::Command};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use postroom::demo::server::{Script, Server};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519};
use serde_json::{Value, json};
use support::{Postroom, Setup, message, skipped};
use tempfile::TempDir;
use verifier::verify;

/// A key in a file of its own.
struct Key {
    folder: TempDir,
    public: String,
}

impl Key {
    fn new(pem: &str, public: &str) -> Self {
        let key = Self {
            folder: tempfile::tempdir().unwrap(),
            public: public.to_owned(),
        };
        fs::write(key.path(), pem).unwrap();
        key.mode(0o600);
        key
    }

    /// Made by OpenSSL, since a key has no place among the sources. `None`, said loudly, where there is none.
    fn rsa() -> Option<Self> {
        let made = |arguments: &[&str]| {
            let ran = Command::new("openssl").args(arguments).output();
            ran.ok().filter(|ran| ran.status.success())
        };
        let Some(pem) = made(&["genrsa", "2048"]) else {
            skipped("signatures by RSA: there is no openssl here");
            return None;
        };
        let mut key = Self::new(&String::from_utf8(pem.stdout).unwrap(), "");
        let path = key.path();
        let public = made(&[
            "rsa",
            "-in",
            path.to_str().unwrap(),
            "-pubout",
            "-outform",
            "DER",
        ]);
        key.public = STANDARD.encode(public.unwrap().stdout);
        Some(key)
    }

    fn ed25519() -> Self {
        let pair = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        Self::new(
            &pair.serialize_pem(),
            &STANDARD.encode(pair.public_key_raw()),
        )
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }

    fn mode(&self, mode: u32) {
        fs::set_permissions(self.path(), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn setup(&self, setup: Setup, backend: &str) -> Setup {
        named(setup, backend).set(
            &format!("backends.{backend}.dkim.key_file"),
            self.path().to_str().unwrap(),
        )
    }

    fn verify(&self, message: &[u8]) -> Result<verifier::Tags, String> {
        verify(message, "autumn", &self.public)
    }
}

fn named(setup: Setup, backend: &str) -> Setup {
    setup
        .set(&format!("backends.{backend}.dkim.domain"), "uni.example")
        .set(&format!("backends.{backend}.dkim.selector"), "autumn")
}

fn raw(key: &str, raw: &[u8]) -> Value {
    json!({
        "key": key,
        "raw_base64": STANDARD.encode(raw),
        "receivers": [{"to": "april@example.com"}],
    })
}

/// Every shape a message can have that a signature could stumble over.
fn messages() -> Vec<Value> {
    let mut odd = message("odd", "t", &["april@example.com", "ben@example.com"]);
    odd["content"]["en"]["subject"] = json!("Tilbakemelding   på øving ".repeat(10));
    odd["content"]["en"]["text"] = json!("two  spaces \n\ttab\t\n.\n\n\u{c}\n lead\n\n \n\n");
    odd["headers"] =
        json!({"X-Two": ["a", "b"], "List-Id": "<a.example>", "References": "<a@b> <c@d>"});
    odd["reply_to"] = json!("Exams <a@b.example>");
    let mut html = message("html", "t", &["april@example.com"]);
    html["content"]["en"]["html"] = json!("<p>blåbær</p>\n".repeat(100));
    let mut empty = message("empty", "t", &["april@example.com"]);
    empty["content"]["en"]["text"] = json!("");
    vec![
        message("plain", "t", &["april@example.com"]),
        odd,
        html,
        empty,
        raw("whole", b"From: A <a@b.example>\r\nTO : all@example.com\r\nSubject: folded\r\n \t and  more \r\nReceived: x\r\nReceived: y\r\nMessage-ID: <x@y>\r\n\r\nbody \t \r\n\r\n  \r\n"),
        raw("bare", b"From: a@b.example\nSubject:\n\nno end  of\tline"),
        raw("nothing", b"From: a@b.example\r\nMessage-ID: <x@y>\r\n\r\n"),
        raw("blank", b"From: a@b.example\r\nMessage-ID: <x@y>\r\n\r\n \r\n\r\n"),
        raw("latin", b"From: a@b.example\r\nX: bl\xe5\r\nMessage-ID: <x@y>\r\n\r\nbl\xe5b\xe6r\r\n"),
        raw("signed", b"DKIM-Signature: v=1; a=rsa-sha256; s=other; b=x\r\nFrom: a@b.example\r\nMessage-ID: <x@y>\r\n\r\nhi\r\n"),
    ]
}

#[test]
fn the_verifier_takes_what_the_rfc_signed_and_nothing_else() {
    // RFC 8463 A.2 and A.3.
    const PUBLIC: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    let message = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.
"
    .replace('\n', "\r\n");
    let check = |message: &str| verify(message.as_bytes(), "brisbane", PUBLIC).map(drop);
    assert_eq!(check(&message), Ok(()));
    for (from, to, words) in [
        ("hungry", "angry", "the body"),
        ("dinner", "supper", "the signature"),
        ("Date: ", "From: x@y.example\r\nDate: ", "the signature"),
    ] {
        let told = check(&message.replacen(from, to, 1)).unwrap_err();
        assert!(told.starts_with(words), "{told}");
    }
}

#[test]
fn whatever_leaves_by_smtp_is_signed_and_the_signature_holds() {
    for key in Key::rsa().into_iter().chain([Key::ed25519()]) {
        let server = Server::start(Script::accept_all().keep_bodies()).unwrap();
        let postroom = key
            .setup(Setup::new().smtp("email", &server), "email")
            .build();
        postroom.submit(&messages());
        assert_eq!(postroom.deliver().sent, 11);
        let arrived: Vec<Vec<u8>> = server.with_ledger(|ledger| {
            let bodies = ledger.entries.iter().map(|entry| entry.body.as_deref());
            bodies.map(|body| body.unwrap().to_vec()).collect()
        });
        for message in &arrived {
            let told = String::from_utf8_lossy(message);
            let tags = key
                .verify(message)
                .unwrap_or_else(|why| panic!("{why}: {told}"));
            assert_eq!(tags["d"], "uni.example");
            assert!(tags["h"].starts_with("from:from:"), "{told}");
            assert!(
                told.lines()
                    .all(|line| line.len() < 79 || !line.starts_with(' ')),
                "{told}"
            );
            // Nobody may put a second sender above, nor other words below.
            let forged = [b"From: evil@b.example\r\n", &message[..]].concat();
            assert!(key.verify(&forged).is_err(), "{told}");
            assert!(
                key.verify(&[&message[..], b"more\r\n"].concat()).is_err(),
                "{told}"
            );
        }
    }
}

#[test]
fn what_leaves_by_a_program_or_into_a_folder_is_signed_too() {
    let key = Key::ed25519();
    let setup = Setup::new()
        .set("backends.local.kind", "sendmail")
        .set("backends.local.program", "/bin/sh")
        .set("backends.local.from", "no-reply@example.com")
        .set(
            "backends.local.args",
            vec!["-c", "cat > message", "sh", "{recipient}"],
        )
        .file("disk");
    let postroom = key.setup(key.setup(setup, "local"), "disk").build();
    let to = |backend: &str| {
        let mut letter = message(backend, "t", &["april@example.com"]);
        letter["receivers"][0]["backend"] = json!(backend);
        letter
    };
    postroom.submit(&[to("local"), to("disk")]);
    assert_eq!(postroom.deliver().sent, 2);
    let piped = fs::read_to_string(postroom.folder().join("message")).unwrap();
    // A mail server makes CRLF of the line ends.
    key.verify(piped.replace('\n', "\r\n").as_bytes()).unwrap();
    let file = fs::read_dir(postroom.folder().join("disk"))
        .unwrap()
        .next()
        .unwrap();
    key.verify(&fs::read(file.unwrap().path()).unwrap())
        .unwrap();
}

#[test]
fn a_key_may_be_in_the_environment() {
    let key = Key::ed25519();
    let server = Server::start(Script::accept_all().keep_bodies()).unwrap();
    let setup = named(Setup::new().smtp("email", &server), "email")
        .set("backends.email.dkim.key_env", "POSTROOM_TEST_DKIM_KEY");
    let postroom = setup.build();
    postroom.submit(&[message("k", "t", &["april@example.com"])]);
    let ran = postroom
        .command(&["deliver"])
        .env(
            "POSTROOM_TEST_DKIM_KEY",
            fs::read_to_string(key.path()).unwrap(),
        )
        .output();
    assert!(ran.unwrap().status.success());
    server.with_ledger(|ledger| {
        key.verify(ledger.entries[0].body.as_ref().unwrap())
            .unwrap()
    });
}

#[test]
fn a_key_that_cannot_sign_is_named_before_anything_is_sent() {
    let key = Key::ed25519();
    let server = Server::start(Script::accept_all()).unwrap();
    let postroom = key
        .setup(Setup::new().smtp("email", &server), "email")
        .build();
    postroom.submit(&[message("k", "t", &["april@example.com"])]);
    let told = |words: &str| {
        for command in [&["deliver"][..], &["backend", "email", "probe"]] {
            let ran = postroom.run(command).exit(1);
            let told = ran.stderr;
            assert!(
                told.contains("backend `email`")
                    && told.contains("dkim.key_file: ")
                    && told.contains(words),
                "{words}: {told}"
            );
            assert!(!told.contains("MIG"), "{told}");
        }
    };
    key.mode(0o644);
    told("chmod 600");
    key.mode(0o600);
    let elliptic = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    for (pem, words) in [
        ("no key at all".to_owned(), "no private key in PEM"),
        (
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n".to_owned(),
            "RSA with 2048 to 4096 bits, or Ed25519",
        ),
        (
            elliptic.serialize_pem(),
            "RSA with 2048 to 4096 bits, or Ed25519",
        ),
        (elliptic.public_key_pem(), "no private key in PEM"),
    ] {
        fs::write(key.path(), pem).unwrap();
        told(words);
    }
    fs::remove_file(key.path()).unwrap();
    told("No such file");
    assert_eq!(server.ledger().connections, 0);
    assert_eq!(postroom.state_of(""), "not_sent/queued");
    // Who only looks needs no key.
    postroom.run(&["status"]);
}

#[test]
fn what_is_missing_under_dkim_is_named() {
    let server = Server::start(Script::accept_all()).unwrap();
    for (missing, words) in [
        ("domain", "dkim.domain: `` is no domain"),
        ("selector", "dkim.selector: `` is no selector"),
        ("key_file", "dkim needs a private key"),
    ] {
        let mut setup = Setup::new().smtp("email", &server);
        for key in ["domain", "selector", "key_file"] {
            if key != missing {
                setup = setup.set(&format!("backends.email.dkim.{key}"), "uni.example");
            }
        }
        let postroom: Postroom = setup.build();
        let told = postroom.run(&["list"]).exit(1).stderr;
        assert!(
            told.contains(words) && told.contains("[backends.email]"),
            "{told}"
        );
    }
}
