//! What the README and the sample promise about the config file.

use std::{path::Path, time::Duration};

use postroom::{
    backend::{Credentials, FileSettings, Proof, SecretSource, SmtpSettings, Tls, TokenCommand},
    config::{Config, Kind, Permanent},
    delivery::{OnUnknown, Rate},
};

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, Path::new("/etc/postroom/config.toml")).map_err(|error| error.to_string())
}

fn smtp(config: &Config, name: &str) -> SmtpSettings {
    match &config.backends[name].kind {
        Kind::Smtp(smtp) => (**smtp).clone(),
        other => panic!("{name} is of kind {}", other.name()),
    }
}

fn refused(text: &str) -> String {
    parse(text).expect_err("this must be refused")
}

#[test]
fn an_empty_file_is_the_defaults() {
    let config = parse("").unwrap();
    assert_eq!(
        Config {
            path: None,
            ..config.clone()
        },
        Config::default()
    );
    assert_eq!(config.delivery.resend_limit(), 8);
    assert_eq!(config.delivery.lease, Duration::from_secs(120));
    assert_eq!(config.default_backend(), None);
}

#[test]
fn a_host_is_all_that_a_mail_server_needs() {
    let config = parse("[backends.email]\nhost = \"smtp.example.com\"").unwrap();
    let email = &config.backends["email"];
    assert_eq!(email.on_unknown, OnUnknown::Resend);
    assert_eq!(email.permanent, Permanent::Error);
    assert_eq!(email.probe, Duration::from_secs(30));
    let smtp = smtp(&config, "email");
    assert_eq!((smtp.tls, smtp.port), (Tls::Starttls, 587));
    assert_eq!(smtp.connections, 8);
    assert_eq!((smtp.max_recipients, smtp.max_messages), (100, 1000));
    assert_eq!(smtp.max_age, Duration::from_secs(300));
    assert_eq!(smtp.timeouts.dot, Duration::from_secs(600));
    assert_eq!(config.default_backend(), Some("email"));
}

#[test]
fn the_port_follows_from_tls() {
    let port = |tls: &str| {
        let text = format!("[backends.email]\nhost = \"localhost\"\ntls = \"{tls}\"");
        smtp(&parse(&text).unwrap(), "email").port
    };
    assert_eq!(
        [port("starttls"), port("implicit"), port("none")],
        [587, 465, 25]
    );
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_the_nearest_known_one() {
    let error = refused("[delivery]\nlease = \"1m\"\nbackof = \"1m\"\n");
    assert!(
        error.contains("config.toml, line 3: unknown key `backof`; did you mean `backoff`?"),
        "{error}"
    );
    let error = refused("[backends.email]\nhost = \"h\"\nmax_recipient = 3\n");
    assert!(
        error.contains(
            "[backends.email]: unknown key `max_recipient`; did you mean `max_recipients`?"
        ),
        "{error}"
    );
    let error = refused("[backends.email]\nhost = \"h\"\ntimeouts = { dott = \"1m\" }\n");
    assert!(
        error.contains("unknown key `dott`; did you mean `dot`?"),
        "{error}"
    );
    let error = refused("[storage]\npath = \"x\"\n");
    assert!(
        error.contains("line 1: unknown key `storage`; did you mean `store`?"),
        "{error}"
    );
    let error = refused("[console]\nascci = true\n");
    assert!(
        error.contains("line 2: unknown key `ascci`; did you mean `ascii`?"),
        "{error}"
    );
}

#[test]
fn a_key_of_another_kind_is_an_error() {
    let error = refused("[backends.disk]\nkind = \"file\"\nhost = \"h\"\n");
    assert!(error.contains("unknown key `host`"), "{error}");
}

#[test]
fn a_kind_that_is_not_there_yet_is_said_so() {
    let error = refused("[backends.sms]\nkind = \"kannel\"\n");
    assert!(error.contains("\"kannel\" is not available yet"), "{error}");
    let error = refused("[backends.email]\nkind = \"smpt\"\n");
    assert!(error.contains("did you mean `smtp`?"), "{error}");
}

#[test]
fn a_password_in_the_config_is_refused_and_not_repeated() {
    let error =
        refused("[backends.email]\nhost = \"h\"\nusername = \"u\"\npassword = \"hunter2\"\n");
    assert!(error.contains("password_file"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
    let error = refused("[backends.email]\nhost = \"h\"\nusername = \"u\"\npassword = \"hunter2\n");
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn a_login_is_a_name_and_one_place_of_a_password() {
    let with = |lines: &str| parse(&format!("[backends.email]\nhost = \"h\"\n{lines}"));
    let both = "username = \"u\"\npassword_file = \"p\"\npassword_env = \"P\"";
    assert!(with(both).unwrap_err().contains("only one of them"));
    assert!(
        with("username = \"u\"")
            .unwrap_err()
            .contains("password_file")
    );
    assert!(
        with("password_env = \"P\"")
            .unwrap_err()
            .contains("username")
    );
    let config = with("username = \"u\"\npassword_file = \"p\"").unwrap();
    assert_eq!(
        smtp(&config, "email").credentials,
        Some(Credentials {
            username: "u".to_owned(),
            proof: Proof::Password(SecretSource::File("/etc/postroom/p".into())),
        })
    );
}

#[test]
fn a_token_is_never_in_the_config_but_a_program_that_gets_one_may_be() {
    let with = |more: &str| parse(&format!("[backends.email]\nhost = \"h\"\n{more}"));
    assert!(with("token = \"t\"").unwrap_err().contains("token_command"));
    for (wrong, words) in [
        ("token_command = [\"t\"]", "needs a username"),
        (
            "username = \"u\"\ntoken_command = []",
            "a program and its arguments",
        ),
        ("username = \"u\"\ntoken_command = \"t\"", "token_command"),
        ("token_lifetime = \"1m\"", "there is no token_command"),
        (
            "username = \"u\"\ntoken_command = [\"t\"]\npassword_env = \"P\"",
            "only one of them",
        ),
    ] {
        let told = with(wrong).unwrap_err();
        assert!(told.contains(words), "{told}");
    }
    for (program, path) in [("token", "token"), ("./token", "/etc/postroom/./token")] {
        let config = with(&format!(
            "username = \"u\"\ntoken_command = [\"{program}\", \"a b\"]"
        ));
        assert_eq!(
            smtp(&config.unwrap(), "email").credentials,
            Some(Credentials {
                username: "u".to_owned(),
                proof: Proof::Token(TokenCommand {
                    program: path.into(),
                    args: vec!["a b".to_owned()],
                    lifetime: Duration::from_secs(600),
                }),
            })
        );
    }
}

#[test]
fn mail_in_clear_leaves_this_machine_only_when_the_config_insists() {
    let with = |host: &str, more: &str| {
        parse(&format!(
            "[backends.email]\nhost = \"{host}\"\ntls = \"none\"\n{more}"
        ))
    };
    for host in ["localhost", "127.0.0.1", "127.9.9.9", "::1"] {
        assert!(with(host, "").is_ok(), "{host}");
    }
    for host in [
        "smtp.example.com",
        "127.example.com",
        "192.0.2.1",
        "0.0.0.0",
    ] {
        assert!(with(host, "").unwrap_err().contains("in clear"), "{host}");
        assert!(with(host, "insecure = true").is_ok(), "{host}");
    }
}

#[test]
fn relative_paths_are_relative_to_the_config_file() {
    let config = parse(
        "[store]\npath = \"a.db\"\n[backends.disk]\nkind = \"file\"\npath = \"out\"\n[backends.email]\nhost = \"h\"\nca_file = \"ca.pem\"\n",
    )
    .unwrap();
    assert_eq!(
        config.store.path.as_deref(),
        Some(Path::new("/etc/postroom/a.db"))
    );
    assert_eq!(
        config.backends["disk"].kind,
        Kind::File(FileSettings {
            name: "disk".to_owned(),
            path: "/etc/postroom/out".into(),
            from: None,
            connections: 1,
        })
    );
    assert_eq!(
        smtp(&config, "email").ca_file.as_deref(),
        Some(Path::new("/etc/postroom/ca.pem"))
    );
    let config = parse("[store]\npath = \"/srv/a.db\"").unwrap();
    assert_eq!(config.store.path.as_deref(), Some(Path::new("/srv/a.db")));
}

#[test]
fn durations_rates_and_limits_say_what_would_be_right() {
    let error = refused("[delivery]\nbackoff = \"1m,5x\"\n");
    assert!(
        error.contains("line 2: backoff: `5x` is no duration"),
        "{error}"
    );
    let error = refused("[delivery]\nlease = 120\n");
    assert!(error.contains("line 2"), "{error}");
    let error = refused("[backends.email]\nhost = \"h\"\nrate = \"fast\"\n");
    assert!(error.contains("`fast` is no rate"), "{error}");
    let error = refused("[backends.email]\nhost = \"h\"\nconnections = 0\n");
    assert!(error.contains("connections must be at least 1"), "{error}");
    let error =
        refused("[backends.email]\nhost = \"h\"\nfrom = \"a@b.example\\r\\nBcc: x@y.example\"\n");
    assert!(error.contains("from: "), "{error}");
    let config = parse("[backends.email]\nhost = \"h\"\nrate = \"3000/m\"\n").unwrap();
    let rate = Rate {
        count: 3000,
        per: Duration::from_secs(60),
    };
    assert_eq!(config.backends["email"].rate, Some(rate));
}

#[test]
fn what_is_wrong_with_a_value_names_its_key_and_its_line() {
    for (text, expected) in [
        (
            "[delivery]\n\nresend_limit = -1\n",
            "line 3: resend_limit: ",
        ),
        ("[delivery]\nlease = \"0s\"\n", "line 2: lease: "),
        ("delivery.resend_limit = \"x\"\n", "line 1: resend_limit: "),
        (
            "[backends.email]\nhost = \"h\"\n# 587\nport = 99999\n",
            "line 4: [backends.email]: port: ",
        ),
        (
            "[backends.email]\nhost = \"h\"\nconnections = 0\n",
            "line 3: [backends.email]: connections ",
        ),
        (
            "[backends.email]\nhots = \"h\"\n",
            "line 2: [backends.email]: unknown key `hots`",
        ),
        (
            "[backends]\nemail = { host = \"h\", port = -1 }\n",
            "line 2: [backends.email]: port: ",
        ),
        (
            "[backends.email]\nhost = \"h\"\ntimeouts = { conect = \"3s\" }\n",
            "line 3: [backends.email]: timeouts: unknown key `conect`; did you mean `connect`?",
        ),
        (
            "[backends.email]\nhost = \"h\"\npassword = \"hunter2\"\n",
            "line 3: [backends.email]: password: ",
        ),
        (
            "[[storage]]\npath = \"x\"\n",
            "line 1: unknown key `storage`; did you mean `store`?",
        ),
    ] {
        let error = refused(text);
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_value_of_another_kind_is_told_in_words_that_are_not_a_programmers() {
    for (key, expected) in [
        (
            "host = 7",
            "host: 7 stands here, and a text in quotes is wanted",
        ),
        (
            "port = 99999",
            "port: 99999 stands here, and a whole number from 0 to 65535 is wanted",
        ),
        (
            "insecure = \"yes\"",
            "insecure: a text stands here, and true or false is wanted",
        ),
        (
            "connections = -1",
            "connections: -1 stands here, and a whole number from 0 on is wanted",
        ),
        (
            "tls = \"startls\"",
            "tls: \"startls\" is none of \"starttls\", \"implicit\", \"none\"; did you mean `starttls`?",
        ),
        (
            "on_unknown = \"ask\"",
            "on_unknown: \"ask\" is none of \"resend\", \"hold\"",
        ),
    ] {
        let error = refused(&format!("[backends.email]\n{key}\n"));
        let expected = format!("line 2: [backends.email]: {expected}");
        assert!(error.ends_with(&expected), "{error}");
    }
    for key in ["store", "types"] {
        let error = refused(&format!("{key} = \"x\"\n"));
        let expected = format!("{key}: a text stands here, and a section in brackets is wanted");
        assert!(error.ends_with(&expected), "{error}");
    }
}

#[test]
fn a_backend_inherits_what_delivery_says_of_permanent_refusals() {
    let config = parse(
        "[delivery]\npermanent = \"retry\"\n[backends.a]\nhost = \"h\"\n[backends.b]\nhost = \"h\"\npermanent = \"error\"\n",
    )
    .unwrap();
    assert_eq!(config.backends["a"].permanent, Permanent::Retry);
    assert_eq!(config.backends["b"].permanent, Permanent::Error);
}

#[test]
fn the_default_backend_must_exist() {
    let error =
        refused("[delivery]\ndefault_backend = \"emial\"\n[backends.email]\nhost = \"h\"\n");
    assert!(
        error.contains("`emial`") && error.contains("did you mean `email`?"),
        "{error}"
    );
    let two = "[backends.email]\nhost = \"h\"\n[backends.disk]\nkind = \"file\"\n";
    assert_eq!(parse(two).unwrap().default_backend(), Some("email"));
    let neither = "[backends.a]\nhost = \"h\"\n[backends.b]\nkind = \"file\"\n";
    assert_eq!(parse(neither).unwrap().default_backend(), None);
}

#[test]
fn a_query_that_cannot_be_read_is_told_with_its_name_and_line() {
    let config = parse("[queries]\nstuck = \"status:failed failed:>2\"").unwrap();
    assert_eq!(config.queries["stuck"], "status:failed failed:>2");
    let why = refused("[queries]\nfine = \"april\"\nbad = \"status:fialed\"");
    assert!(why.contains("line 3"), "{why}");
    assert!(why.contains("[queries]: bad: `fialed`"), "{why}");
    assert!(why.contains("did you mean `failed`?"), "{why}");
}

#[test]
fn a_named_config_that_does_not_exist_is_an_error() {
    let error = Config::load(Some(Path::new("/nonexistent/p.toml"))).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("/nonexistent/p.toml: there is no such config file"),
        "{error}"
    );
}

#[test]
fn a_config_error_cannot_steer_the_terminal() {
    let error = refused("\"\\u001b[31m\\u202e\" = 1\n");
    assert!(!error.contains(['\u{1b}', '\u{202e}']), "{error:?}");
}
