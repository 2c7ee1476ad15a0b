//! A program run to its end, and what it took.
#![allow(dead_code, reason = "each bench uses its own part of this")]

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

/// What a program took.
pub struct Took {
    /// From its start to its end.
    pub seconds: f64,
    /// Of the processors, in seconds, by it and its children.
    pub cpu: f64,
    /// The most memory that it had, in MiB.
    pub memory: f64,
    /// What it printed.
    pub said: String,
}

/// Writes the config of a folder: this store, and one backend, which is the mail server at this port.
pub fn configure(
    folder: &Path,
    store: &Path,
    backend: &str,
    port: u16,
    connections: usize,
    max_recipients: usize,
) {
    let config = format!(
        "[store]\npath = '{}'\n\n[delivery]\ndefault_backend = \"{backend}\"\n\n\
         [backends.{backend}]\nkind = \"smtp\"\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\nfrom = \"no-reply@example.com\"\n\
         connections = {connections}\nmax_recipients = {max_recipients}\nmax_messages = 100000\n",
        store.display()
    );
    fs::write(folder.join("config.toml"), config).expect("a config");
}

/// `postroom` with these arguments, on the config in this folder.
pub fn postroom(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postroom"));
    command
        .args(arguments)
        .env("POSTROOM_CONFIG", folder.join("config.toml"))
        .env_remove("POSTROOM_STORE");
    command
}

/// One pass of `postroom deliver` on this folder, which must send so many. `with` may change the command; `meanwhile` is asked again and again.
pub fn deliver(
    folder: &Path,
    sends: usize,
    with: impl FnOnce(&mut Command),
    meanwhile: impl FnMut() + Send,
) -> Took {
    let mut command = postroom(folder, &["deliver", "--format", "json"]);
    with(&mut command);
    let took = run(&mut command, meanwhile);
    let tally: serde_json::Value = serde_json::from_str(&took.said).expect("a summary");
    assert_eq!(tally["sent"], sends, "{tally}");
    took
}

/// Runs it to its end, which must be a good one. `meanwhile` is asked again and again.
pub fn run(command: &mut Command, mut meanwhile: impl FnMut() + Send) -> Took {
    let before = children();
    let began = Instant::now();
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a program");
    let status = format!("/proc/{}/status", child.id());
    let (done, mut memory) = (AtomicBool::new(false), 0.0_f64);
    let (output, seconds) = thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                memory = memory.max(peak(&status).unwrap_or(0.0));
                meanwhile();
                thread::sleep(Duration::from_millis(20));
            }
        });
        let output = child.wait_with_output().expect("its end");
        let seconds = began.elapsed().as_secs_f64();
        done.store(true, Ordering::Release);
        (output, seconds)
    });
    assert!(output.status.success(), "{command:?}: {output:?}");
    Took {
        seconds,
        cpu: children() - before,
        memory,
        said: String::from_utf8_lossy(&output.stdout).into_owned(),
    }
}

fn peak(status: &str) -> Option<f64> {
    let status = fs::read_to_string(status).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024.0)
}

/// Seconds of the processors that the children took that have been waited for.
fn children() -> f64 {
    processors("self", 13)
}

/// Seconds of the processors that a program that runs has taken so far.
pub fn taken_by(pid: u32) -> f64 {
    processors(&pid.to_string(), 11)
}

/// Two fields of its status, one behind the other (proc_pid_stat(5)): in hundredths, as Linux tells programs.
fn processors(pid: &str, field: usize) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Behind the name in parentheses, which may have spaces, comes the third.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let fields = fields.split_whitespace().skip(field).take(2);
    let ticks: f64 = fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
    ticks / 100.0
}
