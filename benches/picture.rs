//! The README's picture of the console: `cargo bench --bench picture` seeds a demo, drives the console on it and writes its screen as it is to
//! `assets/console.svg`.

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    process::{Command, Stdio},
};

use postroom::{config::Config, console::state::Setup, message::DisplayText};
use ratatui::{
    Frame, Terminal,
    backend::TestBackend,
    buffer::{Buffer, Cell},
    crossterm::event::KeyCode,
    layout::Size,
    style::{Color, Modifier},
};
use unicode_width::UnicodeWidthStr as _;

mod support;

use support::driven::{Canvas, Driven};

const SIZE: Size = Size::new(120, 38);

/// What is asked: failures of people, not of the backend that is down.
const QUERY: &str = "status:failed,error -backend:campus";

/// The picture's units of a cell and of the margin.
const CELL: (f64, f64) = (8.4, 18.0);
const MARGIN: f64 = 14.0;

const PAPER: &str = "#14161b";
const INK: &str = "#d3d7de";
const PALE: &str = "#8a8e94";

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let demo = folder.path().join("demo");
    let made = Command::new(env!("CARGO_BIN_EXE_postroom"))
        .args(["demo", "--seed-only"])
        .arg(&demo)
        .stdout(Stdio::null())
        .status();
    assert!(made.expect("a process").success());
    let config = Config::load(Some(&demo.join("config.toml"))).expect("a config");
    let setup = Setup {
        store: DisplayText::line("/var/lib/postroom/postroom.db"),
        types: config.types,
        ..Setup::default()
    };
    let canvas =
        Screen(Terminal::new(TestBackend::new(SIZE.width, SIZE.height)).expect("a screen"));
    let mut console = Driven::open(&demo.join("postroom.db"), setup, SIZE, QUERY, canvas);
    // Four are marked, and the cursor is on one that was put off.
    for _ in 0..6 {
        console.press(KeyCode::Char('j'));
    }
    for key in [' ', 'j', ' ', 'j', ' ', 'j', ' ', 'k'] {
        console.press(KeyCode::Char(key));
    }
    // What was said of the last key is not part of the picture.
    console.press(KeyCode::Char('k'));
    console.press(KeyCode::Char('j'));
    console.rest();
    let picture = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/console.svg");
    fs::write(&picture, svg(console.canvas.0.backend().buffer())).expect("written");
    println!("{}: written", picture.display());
}

struct Screen(Terminal<TestBackend>);

impl Canvas for Screen {
    fn draw(&mut self, view: &mut dyn FnMut(&mut Frame<'_>)) {
        self.0.draw(|frame| view(frame)).expect("drawn");
    }
}

fn svg(screen: &Buffer) -> String {
    let (width, height) = (
        f64::from(screen.area.width) * CELL.0 + 2.0 * MARGIN,
        f64::from(screen.area.height) * CELL.1 + 2.0 * MARGIN,
    );
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" aria-label=\"The console of Postroom\">\n\
         <style>text{{white-space:pre}}.b{{font-weight:bold}}.u{{text-decoration:underline}}</style>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{PAPER}\"/>\n"
    );
    let mut letters = String::new();
    for y in 0..screen.area.height {
        backgrounds(screen, y, &mut svg);
        for piece in pieces(screen, y) {
            piece.draw(y, &mut letters);
        }
    }
    let fonts = "DejaVu Sans Mono,Menlo,Consolas,Liberation Mono,monospace";
    format!(
        "{svg}<g font-family=\"{fonts}\" font-size=\"14\" fill=\"{INK}\">\n{letters}</g>\n</svg>\n"
    )
}

/// Neighbouring letters that look alike.
struct Piece {
    x: u16,
    columns: u16,
    text: String,
    looks: Looks,
}

#[derive(Clone, Copy, PartialEq)]
struct Looks {
    colour: &'static str,
    behind: Option<&'static str>,
    bold: bool,
    underlined: bool,
}

impl Looks {
    fn of(cell: &Cell) -> Self {
        let has = |modifier| cell.modifier.contains(modifier);
        let plain = if has(Modifier::DIM) { PALE } else { INK };
        let (ink, paper) = (colour(cell.fg).unwrap_or(plain), colour(cell.bg));
        let (colour, behind) = if has(Modifier::REVERSED) {
            (paper.unwrap_or(PAPER), Some(ink))
        } else {
            (ink, paper)
        };
        Self {
            colour,
            behind,
            bold: has(Modifier::BOLD),
            underlined: has(Modifier::UNDERLINED),
        }
    }
}

/// As a terminal on a dark background shows the colours that the usual theme has; `None`: its own.
fn colour(colour: Color) -> Option<&'static str> {
    Some(match colour {
        Color::Reset => return None,
        Color::Red => "#f0717a",
        Color::Green => "#8fcf7a",
        Color::Yellow => "#e5c07b",
        Color::Magenta => "#d68fe6",
        Color::Cyan => "#5fc9d0",
        other => panic!("what does {other} look like?"),
    })
}

/// What lies behind the letters of a line, in as few pieces as there are.
fn backgrounds(screen: &Buffer, y: u16, svg: &mut String) {
    let mut runs: Vec<(u16, u16, &str)> = Vec::new();
    for x in 0..screen.area.width {
        let Some(behind) = Looks::of(&screen[(x, y)]).behind else {
            continue;
        };
        match runs.last_mut() {
            Some((_, end, last)) if *end == x && *last == behind => *end += 1,
            _ => runs.push((x, x + 1, behind)),
        }
    }
    for (from, end, behind) in runs {
        let (x, width) = (place(from), f64::from(end - from) * CELL.0);
        let (top, height) = (f64::from(y) * CELL.1 + MARGIN, CELL.1);
        let _ = writeln!(
            svg,
            "<rect x=\"{x:.1}\" y=\"{top}\" width=\"{width:.1}\" height=\"{height}\" fill=\"{behind}\"/>"
        );
    }
}

fn pieces(screen: &Buffer, y: u16) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut x = 0;
    while x < screen.area.width {
        let cell = &screen[(x, y)];
        let columns = (cell.symbol().width() as u16).max(1);
        let looks = Looks::of(cell);
        match pieces.last_mut() {
            // What stands apart is told its place: no font is trusted to be as wide as the next.
            Some(last)
                if last.looks == looks && (cell.symbol() == " " || !last.text.ends_with("  ")) =>
            {
                last.text.push_str(cell.symbol());
                last.columns += columns;
            }
            _ => pieces.push(Piece {
                x,
                columns,
                text: cell.symbol().to_owned(),
                looks,
            }),
        }
        x += columns;
    }
    pieces
}

impl Piece {
    fn draw(&self, y: u16, letters: &mut String) {
        let top = f64::from(y) * CELL.1 + MARGIN;
        let text = self.text.trim_matches(' ');
        if text.is_empty() {
            return;
        }
        let before = self.text.len() - self.text.trim_start_matches(' ').len();
        let blank = self.text.len() - text.len();
        let x = place(self.x + before as u16);
        let width = f64::from(self.columns - blank as u16) * CELL.0;
        let class = match (self.looks.bold, self.looks.underlined) {
            (true, true) => " class=\"b u\"",
            (true, false) => " class=\"b\"",
            (false, true) => " class=\"u\"",
            (false, false) => "",
        };
        let fill = if self.looks.colour == INK {
            String::new()
        } else {
            format!(" fill=\"{}\"", self.looks.colour)
        };
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        let baseline = top + 13.5;
        let _ = writeln!(
            letters,
            "<text x=\"{x:.1}\" y=\"{baseline}\" textLength=\"{width:.1}\"{class}{fill}>{text}</text>"
        );
    }
}

fn place(x: u16) -> f64 {
    f64::from(x) * CELL.0 + MARGIN
}
