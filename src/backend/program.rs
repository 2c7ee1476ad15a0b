//! Runs another program: its arguments as they are and no shell, its input a file, and an end to whatever it does.
//!
//! The input is a file and no pipe. So a program that never reads cannot block us, and one that still reads when we die reads all of it: at the
//! end of a pipe it would take the half for the whole.

use std::{
    env, fmt,
    fs::File,
    io::{self, Read, Seek as _, Write as _},
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::process::{CommandExt as _, ExitStatusExt as _},
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{Access, access},
    process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open},
};

/// Of each output the last so many bytes are kept.
const KEPT: usize = 16 * 1024;

/// A program that has ended may leave others behind that go on printing: at most so much of it is read then.
const LAST_WORDS: usize = 1 << 20;

/// A program that cannot be run as things are.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoProgram {
    #[error("there is no program {}", .0.display())]
    Missing(PathBuf),
    #[error("there is no program {} in any folder of PATH", .0.display())]
    NotInPath(PathBuf),
    #[error("the program {} may not be executed: {why}", path.display())]
    NotExecutable { path: PathBuf, why: io::Error },
}

/// Where a program is: a bare name is looked for in PATH, as a shell does it.
pub(super) fn find(program: &Path) -> Result<PathBuf, NoProgram> {
    if program.components().count() > 1 {
        return executable(program.to_owned());
    }
    let folders = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&folders)
        .find_map(|folder| executable(folder.join(program)).ok())
        .ok_or_else(|| NoProgram::NotInPath(program.to_owned()))
}

fn executable(path: PathBuf) -> Result<PathBuf, NoProgram> {
    match path.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(NoProgram::Missing(path)),
        Err(why) => Err(NoProgram::NotExecutable { path, why }),
        Ok(found) if !found.is_file() => Err(NoProgram::NotExecutable {
            path,
            why: io::Error::other("it is no file"),
        }),
        Ok(_) => match access(&path, Access::EXEC_OK) {
            Ok(()) => Ok(path),
            Err(error) => Err(NoProgram::NotExecutable {
                path,
                why: error.into(),
            }),
        },
    }
}

/// What a program is to read: a file without a name, with its beginning in front.
pub(super) fn input(write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>) -> io::Result<File> {
    let mut file = io::BufWriter::new(tempfile::tempfile()?);
    write(&mut file)?;
    file.flush()?;
    let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.rewind()?;
    Ok(file)
}

/// What a program printed: the end of it.
#[derive(Debug, Default)]
pub(super) struct Output {
    kept: Vec<u8>,
    /// How many bytes stood before that.
    pub(super) left_out: usize,
}

impl Output {
    fn take(&mut self, bytes: &[u8]) {
        self.kept.extend_from_slice(bytes);
        // Not for each piece, or a chatterbox would cost a copy of all of it every time.
        if self.kept.len() > 4 * KEPT {
            self.cut();
        }
    }

    fn cut(&mut self) {
        let over = self.kept.len().saturating_sub(KEPT);
        self.kept.drain(..over);
        self.left_out += over;
    }

    /// As text; what is not UTF-8 is replaced.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.kept).into_owned()
    }

    /// The last line that says something.
    pub(super) fn last_line(&self) -> Option<String> {
        const LONGEST: usize = 300;
        let text = self.text();
        let line = text.lines().map(str::trim).rfind(|line| !line.is_empty())?;
        Some(line.chars().take(LONGEST).collect())
    }
}

/// How a run came to its end.
#[derive(Debug)]
pub(super) enum End {
    /// It ended with this.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
    /// It took longer than this, and was killed with all that it had started in its process group.
    TimedOut(Duration),
    /// It could not be watched any more, and was killed.
    Lost(io::Error),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "ended with {code}"),
            Self::Signal(signal) => write!(f, "was ended by signal {signal}"),
            Self::TimedOut(limit) => write!(
                f,
                "did not end within {} and was killed",
                humantime::format_duration(*limit)
            ),
            Self::Lost(error) => write!(f, "could not be watched and was killed: {error}"),
        }
    }
}

/// A run that is over.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) end: End,
    pub(super) stdout: Output,
    pub(super) stderr: Output,
    pub(super) took: Duration,
}

/// Runs it to its end. On `Err` it was not started.
pub(super) fn run(
    program: &Path,
    arguments: &[String],
    input: Stdio,
    limit: Duration,
) -> io::Result<Ran> {
    let since = Instant::now();
    let child = Command::new(program)
        .args(arguments)
        .stdin(input)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A group of its own: a time-out ends what it started too, and Ctrl-C at our terminal does not end it.
        .process_group(0)
        .spawn()?;
    let mut running = Running { child, over: false };
    let mut stdout = Output::default();
    let mut stderr = Output::default();
    let end = running
        .watch(&mut stdout, &mut stderr, since, limit)
        .unwrap_or_else(End::Lost);
    drop(running);
    stdout.cut();
    stderr.cut();
    Ok(Ran {
        end,
        stdout,
        stderr,
        took: since.elapsed(),
    })
}

/// A program that runs; dropped before its end, it is killed with its process group. No zombie stays in any case.
struct Running {
    child: Child,
    over: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.over {
            // Not waited for yet, so the number is still its own.
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
            drop(self.child.wait());
        }
    }
}

impl Running {
    fn watch(
        &mut self,
        stdout: &mut Output,
        stderr: &mut Output,
        since: Instant,
        limit: Duration,
    ) -> io::Result<End> {
        let ended = pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty())?;
        let mut pipes = [
            Pipe::new(self.child.stdout.take().map(Into::into), stdout),
            Pipe::new(self.child.stderr.take().map(Into::into), stderr),
        ];
        loop {
            let left = limit.saturating_sub(since.elapsed());
            if left.is_zero() {
                return Ok(End::TimedOut(limit));
            }
            if wait_for(&mut pipes, Some(&ended), left)? {
                break;
            }
        }
        // What it said last is in the pipes by now; whoever it left behind may hold them open for ever.
        let mut read = 0;
        while read < LAST_WORDS {
            let before: usize = pipes.iter().map(|pipe| pipe.read).sum();
            wait_for(&mut pipes, None, Duration::ZERO)?;
            let more = pipes.iter().map(|pipe| pipe.read).sum::<usize>() - before;
            if more == 0 {
                break;
            }
            read += more;
        }
        let status = self.child.wait()?;
        self.over = true;
        Ok(end_of(status))
    }
}

fn end_of(status: ExitStatus) -> End {
    match status.code() {
        Some(code) => End::Code(code),
        None => End::Signal(status.signal().unwrap_or_default()),
    }
}

/// One of its outputs; closed when there is no file.
struct Pipe<'a> {
    file: Option<File>,
    output: &'a mut Output,
    read: usize,
}

impl<'a> Pipe<'a> {
    fn new(pipe: Option<OwnedFd>, output: &'a mut Output) -> Self {
        Self {
            file: pipe.map(File::from),
            output,
            read: 0,
        }
    }

    /// Reads what is there, once.
    fn read(&mut self) -> io::Result<()> {
        let mut piece = [0; 16 * 1024];
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        match file.read(&mut piece) {
            Ok(0) => self.file = None,
            Ok(read) => {
                self.read += read;
                self.output.take(&piece[..read]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// Waits until there is something to read, which is read, or until the process has ended: then `true`.
fn wait_for(pipes: &mut [Pipe<'_>], ended: Option<&OwnedFd>, limit: Duration) -> io::Result<bool> {
    let limit = Timespec::try_from(limit).map_err(io::Error::other)?;
    let mut fds: Vec<PollFd<'_>> = Vec::with_capacity(3);
    fds.extend(ended.map(|ended| PollFd::new(ended, PollFlags::IN)));
    for pipe in pipes.iter() {
        fds.extend(
            pipe.file
                .as_ref()
                .map(|file| PollFd::from_borrowed_fd(file.as_fd(), PollFlags::IN)),
        );
    }
    match poll(&mut fds, Some(&limit)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    let mut ready = fds
        .iter()
        .map(|fd| !fd.revents().is_empty())
        .collect::<Vec<_>>()
        .into_iter();
    let over = ended.is_some() && ready.next() == Some(true);
    for pipe in pipes.iter_mut().filter(|pipe| pipe.file.is_some()) {
        if ready.next() == Some(true) {
            pipe.read()?;
        }
    }
    Ok(over)
}
