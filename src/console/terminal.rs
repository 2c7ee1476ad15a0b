//! The terminal: taken, drawn on, and given back whatever happens.

use std::{
    fs::File,
    io::{self, BufWriter, IsTerminal as _, Write},
    os::fd::AsFd as _,
    sync::{
        Once,
        atomic::{AtomicBool, Ordering},
    },
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ratatui::{
    Frame, Terminal,
    backend::CrosstermBackend,
    crossterm::{
        cursor::Show,
        event::{
            DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture,
        },
        execute, queue,
        style::{ResetColor, force_color_output},
        terminal::{
            BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen,
            LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
        },
    },
};

/// ratatui writes cell by cell; a screen leaves in one piece.
const BUFFER: usize = 64 * 1024;

/// Whether the terminal is ours. Once it is given back nothing more is written to it, whoever is in the middle of a frame.
static OURS: AtomicBool = AtomicBool::new(false);

/// Whether the mouse is ours, too, while the terminal is.
static MOUSE: AtomicBool = AtomicBool::new(false);

/// The name that threads of the console begin with: a panic in one of them ends it.
pub const THREADS: &str = "console";

/// The terminal while it is ours.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<Tty>>>,
}

/// The terminal's own file: written to directly, so that no lock of the standard output is held while a slow line takes its time.
#[derive(Debug)]
pub struct Tty(File);

impl Tty {
    fn open() -> io::Result<Self> {
        Ok(Self(File::from(io::stdout().as_fd().try_clone_to_owned()?)))
    }
}

impl Write for Tty {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if OURS.load(Ordering::Acquire) {
            self.0.write(bytes)
        } else {
            Ok(bytes.len())
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Screen {
    /// Takes the terminal, and its mouse where that is wanted.
    pub fn take(mouse: bool) -> io::Result<Self> {
        if !io::stdout().is_terminal() {
            return Err(io::Error::other(
                "the console needs a terminal; `postroom list` prints the same to a file or a pipe",
            ));
        }
        restore_on_panic();
        MOUSE.store(mouse, Ordering::Release);
        // Whether there are colours is the theme's business. Without this, NO_COLOR would make crossterm write a sequence that also ends
        // reversed video, and the cursor's row would vanish.
        force_color_output(true);
        let terminal = Terminal::new(CrosstermBackend::new(BufWriter::with_capacity(
            BUFFER,
            Tty::open()?,
        )))?;
        let mut screen = Self { terminal };
        screen.enter()?;
        Ok(screen)
    }

    fn enter(&mut self) -> io::Result<()> {
        enable_raw_mode()?;
        OURS.store(true, Ordering::Release);
        let terminal = self.terminal.backend_mut();
        if MOUSE.load(Ordering::Acquire) {
            queue!(terminal, EnableMouseCapture)?;
        }
        execute!(terminal, EnterAlternateScreen, EnableBracketedPaste)
    }

    /// Draws a frame: what differs from the last one, in one piece.
    pub fn draw(&mut self, view: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        let frame = Synchronized::begin(&mut self.terminal)?;
        frame.0.draw(view)?;
        Ok(())
    }

    /// Forgets what is on the screen, so that the next frame draws all of it.
    pub fn clear(&mut self) -> io::Result<()> {
        // Not `Terminal::clear`: that asks the terminal where its cursor is, and waits for the answer that the thread of the keys takes away.
        let size = self.terminal.size()?;
        self.terminal.resize(size.into())
    }

    /// Gives the terminal back, stops the process as Ctrl-Z does elsewhere, and takes the terminal again when it continues.
    pub fn suspend(&mut self) -> io::Result<()> {
        self.lend(|| signal_hook::low_level::raise(signal_hook::consts::SIGSTOP))?
    }

    /// Gives the terminal back for as long as something else needs it. What it shows then is not known: the next frame draws all of it.
    pub fn lend<T>(&mut self, work: impl FnOnce() -> T) -> io::Result<T> {
        give_back();
        let done = work();
        self.enter()?;
        Ok(done)
    }

    /// Asks the terminal to put a text into its clipboard (OSC 52). Whether it does, and whether what lies between (tmux, screen) passes it on,
    /// it does not say.
    pub fn copy(&mut self, text: &str) -> io::Result<()> {
        let encoded = STANDARD.encode(text);
        let terminal = self.terminal.backend_mut();
        write!(terminal, "\x1b]52;c;{encoded}\x07")?;
        io::Write::flush(terminal)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// A frame under way: the terminal shows it when it is whole. Ended also when drawing fails, or the terminal would wait for ever.
struct Synchronized<'a>(&'a mut Terminal<CrosstermBackend<BufWriter<Tty>>>);

impl<'a> Synchronized<'a> {
    fn begin(terminal: &'a mut Terminal<CrosstermBackend<BufWriter<Tty>>>) -> io::Result<Self> {
        queue!(terminal.backend_mut(), BeginSynchronizedUpdate)?;
        Ok(Self(terminal))
    }
}

impl Drop for Synchronized<'_> {
    fn drop(&mut self) {
        // A terminal that cannot be written to is noticed by the next frame.
        let _ = execute!(self.0.backend_mut(), EndSynchronizedUpdate);
    }
}

/// Gives the terminal back as it was. From any thread, any number of times.
pub fn give_back() {
    if OURS.swap(false, Ordering::AcqRel) {
        let _ = io::stdout()
            .as_fd()
            .try_clone_to_owned()
            .map(File::from)
            .and_then(|mut tty| {
                if MOUSE.load(Ordering::Acquire) {
                    queue!(tty, DisableMouseCapture)?;
                }
                execute!(
                    tty,
                    EndSynchronizedUpdate,
                    ResetColor,
                    DisableBracketedPaste,
                    Show,
                    LeaveAlternateScreen
                )
            });
        let _ = disable_raw_mode();
    }
}

/// A panic of the console gives the terminal back first, and is told there. One of another thread is none of the screen's business while
/// the console runs: whoever started that thread has the story.
fn restore_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let told_before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let ours = std::thread::current()
                .name()
                .is_some_and(|name| name.starts_with(THREADS) || name == "main");
            if ours {
                give_back();
            }
            if !OURS.load(Ordering::Acquire) {
                told_before(panic);
            }
        }));
    });
}
