//! Setting up, delivering and watching from a shell.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests should panic where they cannot go on"
)]

mod support;

use std::{
    fs::{self, OpenOptions},
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
};

use postroom::{
    config::Config,
    demo::server::{Action, Phase, Script, Server},
    store::SCHEMA,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use support::{Postroom, SOON, Setup, message, several};

fn status(postroom: &Postroom) -> (i32, Value) {
    let ran = postroom.run(&["status", "--format", "json"]);
    (
        ran.status.code().unwrap(),
        serde_json::from_str(&ran.stdout).unwrap_or(Value::Null),
    )
}

#[test]
fn init_writes_a_config_and_a_store_and_leaves_what_is_there() {
    let postroom = Setup::new().build();
    let config = postroom.folder().join("etc/postroom/config.toml");
    let store = postroom.folder().join("var/lib/new.db");
    let arguments = [
        "init",
        "--config",
        config.to_str().unwrap(),
        "--store",
        store.to_str().unwrap(),
    ];
    postroom.run(&arguments).ok();
    assert_eq!(
        fs::metadata(&store).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(
        Config::load(Some(&config)).unwrap().store.path.unwrap(),
        store
    );

    fs::write(&config, "# mine\n").unwrap();
    let ran = postroom.run(&arguments).ok();
    assert_eq!(ran.stdout.matches("left as it is").count(), 2, "{ran:?}");
    assert_eq!(fs::read_to_string(&config).unwrap(), "# mine\n");

    fs::write(&store, "no store at all").unwrap();
    let ran = postroom.run(&arguments).exit(1);
    assert!(ran.stderr.contains("new.db"), "{ran:?}");
    assert_eq!(fs::read_to_string(&store).unwrap(), "no store at all");
}

fn sample() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/config.toml")).unwrap()
}

/// The sample with every key switched on. Prose begins with a capital or a quote, keys and sections do not.
fn uncommented() -> String {
    let is_key = |line: &str| {
        let name = line.split('=').next().unwrap_or_default().trim_end();
        line.starts_with('[')
            || (line.contains(" = ")
                && name
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || "_-".contains(c)))
    };
    let lines = sample();
    let lines = lines.lines().map(|line| match line.strip_prefix("# ") {
        Some(key) if is_key(key) => key,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_sample_config_is_the_defaults() {
    let path = Path::new("/etc/postroom/config.toml");
    let as_it_is = Config::parse(&sample(), path).unwrap();
    assert_eq!(
        Config {
            path: None,
            ..as_it_is
        },
        Config::default()
    );
}

#[test]
fn every_commented_key_of_the_sample_is_known_and_has_its_default() {
    let path = Path::new("/etc/postroom/config.toml");
    // Of the proofs of who we are only one may be named, and of the places for a key.
    let mut all = uncommented();
    for other in [
        "password_env = ",
        "token_command = ",
        "token_lifetime = ",
        "key_env = ",
    ] {
        all = all.replace(other, "# ");
    }
    let switched_on = Config::parse(&all, path).unwrap_or_else(|error| panic!("{error}\n{all}"));
    // What has no default, or none that a sample can show.
    let least = "
        [store]
        path = \"/var/lib/postroom/postroom.db\"
        [backends.email]
        host = \"smtp.example.com\"
        ca_file = \"/etc/postroom/ca.pem\"
        username = \"postroom\"
        password_file = \"/etc/postroom/smtp-password\"
        from = \"no-reply@example.com\"
        helo = \"app.example.com\"
        rate = \"50/s\"
        [backends.email.dkim]
        domain = \"example.com\"
        selector = \"autumn\"
        key_file = \"/etc/postroom/dkim.pem\"
        [backends.local]
        kind = \"sendmail\"
        [backends.disk]
        kind = \"file\"
        [retention]
        sent = \"90d\"
        error = \"1y\"
        [listen.smtp]
        address = \"127.0.0.1:2525\"
        cert_file = \"/etc/postroom/mail.pem\"
        key_file = \"/etc/postroom/mail.key\"
        [listen.smtp.users.shop]
        password_file = \"/etc/postroom/shop-password\"
        [causes]
        merge = [\"*greylist*\", \"*mailbox*full*\"]
        [types]
        comment_delivery = \"Comment or delivery\"
        [console.colors]
        failed = \"lightmagenta bold\"
        [keys]
        resend = [\"r\", \"ctrl-r\"]
        mark-all = []
        [queries]
        stuck = \"status:failed failed:>2\"
    ";
    let mut least = Config::parse(least, path).unwrap();
    assert_eq!(switched_on.default_backend(), least.default_backend());
    assert_eq!(
        switched_on.delivery.resend_limit(),
        least.delivery.resend_limit()
    );
    least.delivery = switched_on.delivery.clone();
    assert_eq!(switched_on, least);
    let delivery = &switched_on.delivery;
    let default = Config::default().delivery;
    assert_eq!(
        (
            &delivery.backoff,
            delivery.lease,
            delivery.permanent,
            delivery.min_free
        ),
        (
            &default.backoff,
            default.lease,
            default.permanent,
            default.min_free
        )
    );
    assert_eq!(delivery.default_language, default.default_language);
}

#[test]
fn a_config_that_cannot_be_read_stops_every_command_and_is_named() {
    let postroom = Setup::new().set("delivery.backof", "1m").build();
    let ran = postroom.run(&["list"]).exit(1);
    assert!(
        ran.stderr.contains("config.toml") && ran.stderr.contains("did you mean `backoff`?"),
        "{ran:?}"
    );
    assert_eq!(postroom.run(&["status"]).status.code(), Some(3));
    let ran = postroom.run(&["list", "--config", "nowhere.toml"]).exit(1);
    assert!(ran.stderr.contains("nowhere.toml"), "{ran:?}");
}

#[test]
fn deliver_counts_receivers_and_succeeds_also_when_some_failed() {
    let script = Script::accept_all()
        .rcpt("april@example.com", Action::reply(451, "4.7.1", "later"))
        .rcpt("andy@example.com", Action::reply(550, "5.1.1", "never"));
    let server = Server::start(script).unwrap();
    let postroom = Postroom::to(&server);
    postroom.submit(&[message(
        "a",
        "t",
        &["april@example.com", "andy@example.com", "ron@example.com"],
    )]);
    let ran = postroom.run(&["deliver", "--format", "json"]).ok();
    assert_eq!(
        ran.json_lines(),
        [json!({"sent": 1, "failed": 1, "error": 1, "unconfirmed": 0, "backend": 0})]
    );
    let ran = postroom.run(&["deliver"]).ok();
    assert_eq!(ran.stdout, "0 sent, 0 failed, 0 error\n");
}

#[test]
fn without_a_backend_deliver_and_run_say_how_to_add_one() {
    let postroom = Setup::new().build();
    for command in ["deliver", "run"] {
        let ran = postroom.run(&[command]).exit(1);
        assert!(ran.stderr.contains("[backends.email]"), "{ran:?}");
    }
}

#[test]
fn run_sends_what_another_process_submits_and_stops_cleanly() {
    let server = Server::start(Script::accept_all()).unwrap();
    let postroom = Postroom::to(&server);
    let run = postroom.start(&["run"]);
    postroom.submit(&[message("a", "t", &["april@example.com"])]);
    assert!(server.wait_for(|ledger| ledger.accepted == 1, SOON));
    postroom.submit(&[message("b", "t", &["april@example.com"])]);
    assert!(server.wait_for(|ledger| ledger.accepted == 2, SOON));
    let ran = run.terminate().ok();
    assert!(ran.stderr.contains("2 sent"), "{ran:?}");
    assert_eq!(postroom.count("status:sent"), 2);
    let (code, seen) = status(&postroom);
    assert_eq!((code, &seen["engines"]), (0, &json!([])));
}

#[test]
fn status_is_well_warns_and_alarms() {
    let mut server = Server::start(
        Script::accept_all().rcpt("andy@example.com", Action::reply(550, "5.1.1", "never")),
    )
    .unwrap();
    let postroom = Setup::new()
        .smtp("email", &server)
        .set("status.backend_down", "0s")
        .build();
    let (code, seen) = status(&postroom);
    assert_eq!((code, &seen["status"]), (0, &json!("ok")));

    postroom.submit(&[message("a", "t", &["april@example.com"])]);
    let (code, seen) = status(&postroom);
    assert_eq!(
        (code, &seen["not_sent"]),
        (0, &json!(1)),
        "work that has just come in is no trouble: {seen}"
    );
    postroom.deliver();
    assert_eq!(status(&postroom).1["sent"], 1);

    postroom.run(&["backend", "email", "pause"]).ok();
    let (code, seen) = status(&postroom);
    assert_eq!((code, &seen["status"]), (1, &json!("warning")), "{seen}");
    assert_eq!(seen["backends"][0]["state"], "paused");
    postroom.run(&["backend", "email", "resume"]).ok();
    assert_eq!(status(&postroom).0, 0);

    postroom.submit(&[message("b", "t", &["andy@example.com"])]);
    postroom.deliver();
    let (code, seen) = status(&postroom);
    assert_eq!((code, &seen["error"]), (1, &json!(1)), "{seen}");

    server.stop();
    postroom.submit(&[message("c", "t", &["ron@example.com"])]);
    postroom.deliver();
    let (code, seen) = status(&postroom);
    assert_eq!((code, &seen["status"]), (2, &json!("critical")), "{seen}");
    let ran = postroom.run(&["status"]).exit(2);
    assert!(
        ran.stdout.contains("backend email is down since") && ran.stdout.contains("1 waiting"),
        "{ran:?}"
    );
}

#[test]
fn wrong_usage_of_status_is_no_alarm() {
    let postroom = Setup::new().file("disk").build();
    for arguments in [
        &["status", "--foo"][..],
        &["status", "--format", "yaml"],
        &["--color", "never", "status", "more"],
    ] {
        postroom.run(arguments).exit(3);
    }
    postroom.run(&["list", "status", "--foo"]).exit(2);
    postroom.run(&["status", "--help"]).ok();
}

#[test]
fn help_that_cannot_be_written_is_a_failure() {
    let postroom = Setup::new().file("disk").build();
    for arguments in [&["--help"][..], &["--version"], &["list", "--help"]] {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = postroom.command(arguments);
        assert_eq!(command.stdout(full).status().unwrap().code(), Some(1));
    }
}

#[test]
fn a_pause_says_that_who_delivers_now_follows_in_a_moment() {
    let postroom = Setup::new().file("email").build();
    let alone = postroom.run(&["backend", "email", "pause"]).ok();
    assert_eq!(
        alone.stdout,
        "email: paused; `postroom backend email resume` ends it\n"
    );
    postroom.run(&["backend", "email", "resume"]).ok();
    let _service = postroom.start(&["run"]);
    postroom.wait_until("the service runs", |postroom| {
        let ran = postroom.run(&["status", "--format", "json"]);
        ran.stdout.contains("\"kind\":\"run\"")
    });
    let beside = postroom.run(&["backend", "email", "pause"]).ok();
    assert_eq!(
        beside.stdout,
        "email: paused; who delivers now stops within a second; `postroom backend email resume` ends it\n"
    );
}

#[test]
fn a_backend_that_is_down_and_paused_has_no_next_probe() {
    let server = Server::start(Script::accept_all()).unwrap();
    let postroom = Postroom::to(&server);
    drop(server);
    postroom.submit(&several("m", 2));
    postroom.deliver();
    let down = postroom.backend();
    assert_eq!(down["state"], "down");
    assert_ne!(down["probe_at"], Value::Null);
    postroom.run(&["backend", "email", "pause"]).ok();
    let paused = postroom.backend();
    assert_eq!(
        (&paused["state"], &paused["probe_at"]),
        (&json!("paused"), &Value::Null)
    );
}

#[test]
fn a_pass_says_who_waits_for_a_paused_backend() {
    let postroom = Setup::new().file("email").build();
    postroom.submit(&several("m", 2));
    postroom.run(&["backend", "email", "pause"]).ok();
    let ran = postroom.run(&["deliver"]).ok();
    assert_eq!(
        ran.stderr,
        "backend email is paused, 2 waiting: `postroom backend email resume`\n"
    );
    let ran = postroom.run(&["status"]).exit(1);
    assert!(
        ran.stdout.contains("2 receivers wait for a paused backend")
            && !ran.stdout.contains("Nothing is due"),
        "{ran:?}"
    );
}

#[test]
fn a_backend_that_nobody_knows_is_a_slip_of_the_pen() {
    let postroom = Setup::new().file("email").build();
    for action in ["pause", "resume", "probe"] {
        let ran = postroom.run(&["backend", "emial", action]).exit(1);
        assert!(ran.stderr.contains("did you mean `email`?"), "{ran:?}");
    }
    let ran = postroom.run(&["backend", "sms", "pause"]).exit(1);
    assert!(
        ran.stderr.contains("`postroom backend` shows which"),
        "{ran:?}"
    );
    let none = Setup::new().build();
    let ran = none.run(&["backend", "email", "probe"]).exit(1);
    assert!(ran.stderr.contains("[backends.NAME]"), "{ran:?}");
}

#[test]
fn a_pause_or_a_resume_that_changes_nothing_says_so_and_is_no_deed() {
    let postroom = Setup::new().file("email").build();
    let ran = postroom.run(&["backend", "email", "resume"]).ok();
    assert!(ran.stdout.contains("neither paused nor down"), "{ran:?}");
    postroom.run(&["backend", "email", "pause"]).ok();
    let ran = postroom.run(&["backend", "email", "pause"]).ok();
    assert!(
        ran.stdout.contains("paused already, since") && ran.stdout.contains("paused by"),
        "{ran:?}"
    );
    let audit = postroom.run(&["audit", "--format", "json"]).ok();
    assert_eq!(audit.json_lines().len(), 1, "{audit:?}");
}

#[test]
fn a_probe_shows_what_was_said_and_sends_nothing() {
    let mut server = Server::start(Script::accept_all()).unwrap();
    let postroom = Postroom::to(&server);
    let ran = postroom.run(&["backend", "email", "probe"]).ok();
    assert!(
        ran.stdout.contains("220") && ran.stdout.contains("EHLO"),
        "{ran:?}"
    );
    server.with_ledger(|ledger| assert_eq!(ledger.transactions, 0));
    server.stop();
    let ran = postroom.run(&["backend", "email", "probe"]).exit(1);
    assert!(
        ran.stderr.contains("`email` does not work") && ran.stderr.contains("onnect"),
        "{ran:?}"
    );
}

#[test]
fn backends_are_listed_with_what_they_are_doing() {
    let server = Server::start(Script::accept_all()).unwrap();
    let postroom = Setup::new().smtp("email", &server).file("disk").build();
    let ran = postroom.run(&["backend", "--format", "json"]).ok();
    let named: Vec<_> = ran
        .json_lines()
        .iter()
        .map(|backend| {
            (
                backend["name"].clone(),
                backend["kind"].clone(),
                backend["state"].clone(),
            )
        })
        .collect();
    assert_eq!(
        named,
        [
            (json!("disk"), json!("file"), json!("up")),
            (json!("email"), json!("smtp"), json!("up"))
        ]
    );
    let ran = postroom.run(&["backend", "disk"]).ok();
    assert!(
        ran.stdout.contains("disk") && !ran.stdout.contains("email"),
        "{ran:?}"
    );
}

#[test]
fn a_password_file_that_others_can_read_stops_the_delivery_before_it_begins() {
    let server = Server::start(Script::accept_all()).unwrap();
    let setup = Setup::new()
        .smtp("email", &server)
        .set("backends.email.username", "postroom")
        .set("backends.email.password_file", "smtp-password");
    let postroom = setup.build();
    let password = postroom.folder().join("smtp-password");
    fs::write(&password, "hunter2\n").unwrap();
    fs::set_permissions(&password, fs::Permissions::from_mode(0o644)).unwrap();
    postroom.submit(&[message("a", "t", &["april@example.com"])]);
    let ran = postroom.run(&["deliver"]).exit(1);
    assert!(
        ran.stderr.contains("smtp-password") && ran.stderr.contains("chmod 600"),
        "{ran:?}"
    );
    assert!(!ran.stderr.contains("hunter2"), "{ran:?}");
    server.with_ledger(|ledger| assert_eq!(ledger.connections, 0));
    assert_eq!(postroom.state_of("user:april"), "not_sent/queued");
}

#[test]
fn migrate_has_nothing_to_do_on_a_store_of_this_version() {
    let postroom = Setup::new().build();
    let ran = postroom.run(&["migrate"]).ok();
    let current = format!("schema {SCHEMA}, nothing to do");
    assert!(ran.stdout.contains(&current), "{ran:?}");
}

#[test]
fn a_store_that_cannot_be_used_is_named_with_the_way_out() {
    let postroom = Setup::new().build();
    let path = postroom.folder().join("other.db");
    let told = |word: &str| {
        let ran = postroom
            .run(&["list", "--store", path.to_str().unwrap()])
            .exit(1);
        assert!(
            ran.stderr.contains("other.db") && ran.stderr.contains(word),
            "{word}: {ran:?}"
        );
    };
    fs::write(&path, "This is not a database at all.").unwrap();
    told("restore a backup");

    fs::copy(postroom.store_path(), &path).unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    other.pragma_update(None, "user_version", 99).unwrap();
    told("newer Postroom (schema 99");
    other.pragma_update(None, "application_id", 7).unwrap();
    told("not a Postroom store");
}

#[test]
fn an_empty_variable_is_no_store_and_an_empty_flag_is_wrong_usage() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_postroom"))
            .args(arguments)
            .env("HOME", folder.path())
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("XDG_DATA_HOME")
            .env("POSTROOM_STORE", "")
            .env("POSTROOM_CONFIG", "")
            .output()
            .unwrap()
    };
    let ran = run(&["list"]);
    assert_eq!(ran.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&ran.stderr).contains(".local/share/postroom/postroom.db"),
        "{ran:?}"
    );
    assert_eq!(run(&["list", "--store", ""]).status.code(), Some(2));
}

#[test]
fn a_first_signal_says_what_it_waits_for_and_a_second_ends_at_once() {
    for command in ["run", "deliver"] {
        twice_signalled(command);
    }
}

fn twice_signalled(command: &str) {
    let server = Server::start(Script::accept_all().on(Phase::Dot, Action::stall())).unwrap();
    let postroom = Setup::new()
        .smtp("email", &server)
        .set("backends.email.on_unknown", "hold")
        .build();
    postroom.submit(&[message("a", "t", &["april@example.com"])]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_postroom"))
        .arg(command)
        .env("POSTROOM_CONFIG", postroom.config_path())
        .env("POSTROOM_STORE", postroom.store_path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    assert!(server.wait_for(|ledger| ledger.met(Phase::Dot) == 1, SOON));
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(said.any(|line| {
        line.unwrap()
            .contains("waiting up to 30 s for answers under way; a second signal ends at once")
    }));
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(128 + 15));
    // Nobody knows what became of it: the next engine says so.
    assert_eq!(postroom.deliver().sent, 0);
    assert_eq!(postroom.show_json(1)["attempts"][0]["outcome"], "unknown");
}
