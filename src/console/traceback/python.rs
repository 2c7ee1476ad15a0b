//! Python: `Traceback (most recent call last):`, frames of two lines or more, the error last.

use super::{Kind, Line, is_dotted};

/// What joins two errors.
const JOINTS: [&str; 2] = [
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:",
];

/// Where code stands that came with Python or was installed.
const FOREIGN: [&str; 6] = [
    "site-packages",
    "dist-packages",
    "/lib/python",
    "/lib64/python",
    "\\lib\\",
    "<frozen ",
];

/// A stack whose error has not come yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stack {
    /// How far its last frame is moved in, and whether that is foreign, while lines may belong to it.
    frame: Option<(usize, bool)>,
}

pub(super) fn read<'a>(stack: &mut Option<Stack>, text: &'a str) -> Option<Line<'a>> {
    // The lines of an exception group stand behind bars.
    let bare = text.trim_start_matches([' ', '|', '+', '-']);
    let depth = text.len() - bare.len();
    if bare.ends_with("Traceback (most recent call last):") {
        *stack = Some(Stack { frame: None });
        return Some(Line::of(text, Kind::Joint));
    }
    if JOINTS.contains(&bare.trim_end()) {
        return Some(Line::of(text, Kind::Joint));
    }
    if let Some((place, file)) = frame(text, depth) {
        let foreign = FOREIGN.iter().any(|part| file.contains(part));
        *stack = Some(Stack {
            frame: Some((depth, foreign)),
        });
        return Some(Line::frame(text, foreign, place));
    }
    let known = stack.as_mut()?;
    if let Some((at, foreign)) = known.frame
        && !bare.is_empty()
        && (depth > at || bare.starts_with("[Previous line repeated "))
    {
        return Some(Line::frame(text, foreign, 0..0));
    }
    let directly = known.frame.take().is_some();
    is_error(bare, directly).then(|| {
        *stack = None;
        Line::of(text, Kind::Error)
    })
}

/// `File "x.py", line 3`: where that stands in the line, and the file.
fn frame(text: &str, depth: usize) -> Option<(std::ops::Range<usize>, &str)> {
    let rest = text[depth..].strip_prefix("File \"")?;
    let (file, after) = rest.split_once("\", line ")?;
    let digits = after.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return None;
    }
    let end = text.len() - after.len() + digits;
    Some((depth..end, file))
}

/// `smtplib.SMTPServerDisconnected: Connection unexpectedly closed`. Below a frame any name will do; elsewhere another program may have written.
fn is_error(bare: &str, directly: bool) -> bool {
    let name = bare.split(':').next().unwrap_or_default().trim_end();
    let known = name.ends_with("Error") || name.ends_with("Exception") || name.contains('.');
    is_dotted(name) && (directly || known)
}
