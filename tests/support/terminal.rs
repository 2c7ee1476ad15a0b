use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Write as _},
    path::Path,
    process::{Command, Stdio},
};

use rustix::pty::OpenptFlags;

pub fn answering(
    mut command: Command,
    answer: &str,
    meanwhile: impl FnOnce(),
) -> (Option<i32>, String) {
    let master = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    rustix::pty::grantpt(&master).unwrap();
    rustix::pty::unlockpt(&master).unwrap();
    let name = rustix::pty::ptsname(&master, Vec::new()).unwrap();
    let name = Path::new(std::str::from_utf8(name.as_bytes()).unwrap());
    let terminal = || {
        OpenOptions::new()
            .read(true)
            .write(true)
            .open(name)
            .unwrap()
    };
    command
        .stdin(terminal())
        .stdout(Stdio::null())
        .stderr(terminal());
    let mut child = command.spawn().unwrap();
    // It holds the terminal's other side: without it the end of the child is the end of what is read.
    drop(command);
    let mut master = File::from(master);
    let (mut seen, mut meanwhile) = (Vec::new(), Some(meanwhile));
    let mut byte = [0];
    while let Ok(1) = master.read(&mut byte) {
        seen.extend(byte);
        if seen.ends_with(b"[y/N]")
            && let Some(meanwhile) = meanwhile.take()
        {
            meanwhile();
            writeln!(master, "{answer}").unwrap();
        }
    }
    let seen = String::from_utf8_lossy(&seen).into_owned();
    (child.wait().unwrap().code(), seen)
}
