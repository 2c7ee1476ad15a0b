//! A real Postfix in a folder of the test's own. It listens on loopback alone, and whatever it takes ends in one maildir of that folder: nothing
//! leaves the machine. It needs root, as Postfix does.

use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    io::{self, BufRead as _, BufReader, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Instant,
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tempfile::TempDir;

use crate::support::{SOON, Setup, skipped};

pub const USERNAME: &str = "postroom";
pub const PASSWORD: &str = "a word for tests only";

/// Larger messages (bytes) are refused, and the answer to EHLO says so.
pub const SIZE_LIMIT: usize = 200_000;

/// A transaction has room for so many recipients; the next is told "452 4.5.3".
pub const RECIPIENT_LIMIT: usize = 20;

/// Who owns the mail: `nobody`.
const OWNER: u32 = 65534;

/// A master that nobody ends ends itself, after so many seconds.
const LIFE: &str = "900";

pub struct Postfix {
    master: Option<Child>,
    folder: TempDir,
    /// Where its programs are.
    daemons: String,
    /// With STARTTLS, and with TLS from the first byte.
    ports: [u16; 2],
}

/// A message in the maildir: who it was for, and its Message-ID without the brackets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrived {
    pub to: String,
    pub message_id: String,
}

impl Postfix {
    /// Starts one that answers these recipients (a regular expression over the address, in lower case) with a refusal. `None`, and a line on
    /// stderr, where there can be none.
    pub fn start(test: &str, refusals: &[(&str, &str)]) -> Option<Self> {
        if let Some(lack) = lack() {
            skipped(&format!("{test}: {lack}"));
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        // Postfix gives its rights away.
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let free = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
        let ports = free.map(|port| port.local_addr().unwrap().port());
        let mut postfix = Self {
            master: None,
            folder,
            daemons: run("postconf", |postconf| {
                postconf.args(["-d", "-h", "daemon_directory"])
            }),
            ports,
        };
        postfix.set_up();
        postfix.begin(refusals);
        Some(postfix)
    }

    /// Ends it and starts it again with other refusals.
    pub fn restart(&mut self, refusals: &[(&str, &str)]) {
        self.end();
        self.begin(refusals);
    }

    /// Backends `starttls` and `implicit`: its two ports, with a login and the test's own authority.
    pub fn backends(&self, setup: Setup) -> Setup {
        let password = self.path("password");
        fs::write(&password, PASSWORD).unwrap();
        fs::set_permissions(&password, Permissions::from_mode(0o600)).unwrap();
        ["starttls", "implicit"]
            .into_iter()
            .zip(self.ports)
            .fold(setup, |setup, (name, port)| {
                let key = |key: &str| format!("backends.{name}.{key}");
                setup
                    .set(&key("kind"), "smtp")
                    .set(&key("host"), Ipv4Addr::LOCALHOST.to_string())
                    .set(&key("port"), i64::from(port))
                    .set(&key("tls"), name)
                    .set(&key("ca_file"), text(&self.path("ca.pem")))
                    .set(&key("username"), USERNAME)
                    .set(&key("password_file"), text(&password))
                    .set(&key("from"), "no-reply@example.com")
            })
    }

    /// What arrived, when everything that it took has, in order.
    pub fn arrived(&self) -> Vec<Arrived> {
        let deadline = Instant::now() + SOON;
        // A message goes from one of these folders to the next, and never back while nothing is deferred.
        let queues = ["maildrop", "incoming", "active", "deferred"].map(|name| self.queue(name));
        while run("find", |find| {
            find.args(&queues)
                .args(["-ignore_readdir_race", "-type", "f", "-print", "-quit"])
                .stdin(Stdio::null())
        })
        .lines()
        .next()
        .is_some()
        {
            assert!(Instant::now() < deadline, "still queued: {}", self.log());
        }
        let Ok(new) = fs::read_dir(self.path("mail/all/new")) else {
            return Vec::new();
        };
        let mut arrived: Vec<_> = new.map(|file| read(&file.unwrap().path())).collect();
        arrived.sort();
        arrived
    }

    /// What it had to tell.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn queue(&self, name: &str) -> PathBuf {
        self.path("queue").join(name)
    }

    fn set_up(&self) {
        for name in ["etc", "etc/sasl", "queue", "data", "mail"] {
            fs::create_dir(self.path(name)).unwrap();
        }
        run("chown", |chown| chown.arg("postfix").arg(self.path("data")));
        chown(self.path("mail"), Some(OWNER), Some(OWNER)).unwrap();
        self.certificates();
        self.logins();
        let folder = text(self.folder.path());
        let main = format!(
            "compatibility_level = 3.6
daemon_directory = {}
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
myhostname = mx.example.com
inet_interfaces = loopback-only
inet_protocols = ipv4
mynetworks =
mydestination =
alias_maps =
# Nothing leaves: what is not for the maildir comes to nothing here.
default_transport = error:5.4.4 this test sends nothing anywhere
relay_transport = $default_transport
local_transport = $default_transport
notify_classes =
virtual_mailbox_domains = example.com
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = static:all/
virtual_uid_maps = static:{OWNER}
virtual_gid_maps = static:{OWNER}
message_size_limit = {SIZE_LIMIT}
smtpd_recipient_limit = {RECIPIENT_LIMIT}
# As strict as it can be.
smtpd_forbid_unauth_pipelining = yes
smtpd_forbid_bare_newline = reject
strict_rfc821_envelopes = yes
# Its patience with clients that make errors is that of everybody's; only it makes them wait no longer.
smtpd_error_sleep_time = 0
in_flow_delay = 0
smtpd_tls_chain_files = {folder}/key.pem, {folder}/cert.pem
smtpd_tls_auth_only = yes
smtpd_sasl_auth_enable = yes
smtpd_sasl_local_domain = example.com
cyrus_sasl_config_path = {folder}/etc/sasl
smtpd_delay_reject = no
smtpd_sender_restrictions = check_sender_access regexp:{folder}/banned
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions = check_recipient_access regexp:{folder}/refusals, permit_sasl_authenticated, reject
smtpd_end_of_data_restrictions = check_sender_access regexp:{folder}/tired
header_checks = regexp:{folder}/headers
",
            self.daemons
        );
        fs::write(self.path("etc/main.cf"), main).unwrap();
        for (table, line) in [
            ("banned", "/^banned@/ 550 5.1.8 you may not send\n"),
            ("tired", "/^tired@/ 450 4.3.0 not now\n"),
            ("headers", "/^Subject: .*poison/ REJECT 5.7.1 no poison\n"),
        ] {
            fs::write(self.path(table), line).unwrap();
        }
        let [starttls, implicit] = self.ports;
        let master = format!(
            "{localhost}:{starttls} inet n - n - - smtpd -o smtpd_tls_security_level=encrypt
{localhost}:{implicit} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
",
            localhost = Ipv4Addr::LOCALHOST
        );
        fs::write(self.path("etc/master.cf"), master).unwrap();
        // This makes the folders of the queue.
        let config = self.path("etc");
        run("postfix", |postfix| {
            postfix.arg("-c").arg(config).arg("check")
        });
    }

    /// An authority of the test's own, and what it says of 127.0.0.1.
    fn certificates(&self) {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority =
            CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let mut server = CertificateParams::new([Ipv4Addr::LOCALHOST.to_string()]).unwrap();
        server
            .distinguished_name
            .push(DnType::CommonName, "mx.example.com");
        let key = KeyPair::generate().unwrap();
        let certificate = server.signed_by(&key, &authority).unwrap();
        fs::write(self.path("ca.pem"), authority.pem()).unwrap();
        fs::write(self.path("cert.pem"), certificate.pem()).unwrap();
        fs::write(self.path("key.pem"), key.serialize_pem()).unwrap();
        fs::set_permissions(self.path("key.pem"), Permissions::from_mode(0o600)).unwrap();
    }

    /// One login, in a database that Postfix may read.
    fn logins(&self) {
        let database = self.path("etc/sasl/users");
        let smtpd = format!(
            "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: {}\nmech_list: PLAIN LOGIN\n",
            text(&database)
        );
        fs::write(self.path("etc/sasl/smtpd.conf"), smtpd).unwrap();
        let mut saslpasswd = Command::new("saslpasswd2")
            .args(["-p", "-c", "-u", "example.com", "-f"])
            .arg(&database)
            .arg(USERNAME)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = saslpasswd.stdin.take().unwrap();
        stdin.write_all(PASSWORD.as_bytes()).unwrap();
        drop(stdin);
        assert!(saslpasswd.wait().unwrap().success());
        run("chown", |chown| chown.arg("postfix").arg(&database));
    }

    fn begin(&mut self, refusals: &[(&str, &str)]) {
        let lines = refusals
            .iter()
            .map(|(recipient, reply)| format!("/{recipient}/ {reply}\n"));
        fs::write(self.path("refusals"), lines.collect::<Vec<_>>().concat()).unwrap();
        let master = Command::new(Path::new(&self.daemons).join("master"))
            .args(["-e", LIFE, "-c"])
            .arg(self.path("etc"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let log = self.path("log");
        let master = self.master.insert(master);
        let deadline = Instant::now() + SOON;
        // Who connects while the one before it is still ending is reset.
        let greeting = loop {
            if let Ok(greeting) = greeting(self.ports[0]) {
                break greeting;
            }
            let ended = master.try_wait().unwrap();
            let waits = ended.is_none() && Instant::now() < deadline;
            let log = || fs::read_to_string(&log).unwrap_or_default();
            assert!(waits, "Postfix does not listen, {ended:?}: {}", log());
            thread::yield_now();
        };
        assert!(greeting.starts_with("220 "), "{greeting}");
    }

    /// Ends the master and all its children, which are in a group of their own.
    fn end(&mut self) {
        let Some(mut master) = self.master.take() else {
            return;
        };
        let group = Pid::from_child(&master);
        let _ = kill_process(group, Signal::TERM);
        let deadline = Instant::now() + SOON;
        while matches!(master.try_wait(), Ok(None)) && Instant::now() < deadline {
            thread::yield_now();
        }
        let _ = kill_process_group(group, Signal::KILL);
        let _ = master.kill();
        let _ = master.wait();
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        self.end();
    }
}

/// Why there can be no Postfix here.
fn lack() -> Option<String> {
    let there = |program: &str, argument: &str| {
        let mut command = Command::new(program);
        command.arg(argument).stdin(Stdio::null());
        command.output().is_ok()
    };
    if !there("postconf", "-d") {
        return Some("there is no Postfix here".to_owned());
    }
    if !there("saslpasswd2", "-?") {
        return Some(
            "there is no `saslpasswd2` here (sasl2-bin), so nobody could log in".to_owned(),
        );
    }
    (!rustix::process::geteuid().is_root()).then(|| "Postfix starts as root only".to_owned())
}

/// What a server on this port says first.
fn greeting(port: u16) -> io::Result<String> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(SOON))?;
    let mut greeting = String::new();
    BufReader::new(stream).read_line(&mut greeting)?;
    Ok(greeting)
}

/// What a program printed; it must end well.
fn run(program: &str, with: impl FnOnce(&mut Command) -> &mut Command) -> String {
    let mut command = Command::new(program);
    let ran = with(&mut command).output().unwrap();
    assert!(ran.status.success(), "{command:?}: {ran:?}");
    String::from_utf8(ran.stdout).unwrap().trim().to_owned()
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// What the headers of a delivered message say.
fn read(file: &Path) -> Arrived {
    let message = fs::read(file).unwrap();
    let message = String::from_utf8_lossy(&message);
    let headers: BTreeMap<_, _> = message
        .lines()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let id = headers["message-id"].trim_matches(['<', '>']);
    Arrived {
        to: headers["delivered-to"].clone(),
        message_id: id.to_owned(),
    }
}
