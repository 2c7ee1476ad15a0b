//! Java, Kotlin, Scala: the error first, then its frames from the inside out, then `Caused by:` and so on.

use super::{Kind, Line, indent, is_dotted};

/// What the application's authors did not write: the platform, and what nearly every application stands on.
const FOREIGN: [&str; 26] = [
    "java.",
    "javax.",
    "jdk.",
    "sun.",
    "com.sun.",
    "jakarta.",
    "kotlin.",
    "kotlinx.",
    "scala.",
    "groovy.",
    "clojure.",
    "akka.",
    "android.",
    "com.google.common.",
    "com.fasterxml.",
    "com.zaxxer.",
    "io.netty.",
    "io.undertow.",
    "net.bytebuddy.",
    "org.apache.",
    "org.codehaus.",
    "org.eclipse.",
    "org.hibernate.",
    "org.junit.",
    "org.springframework.",
    "reactor.",
];

/// Which error the frames belong to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Errors {
    /// One whose first own frame has not come yet: the last of these is the root of all.
    #[default]
    Open,
    /// Its first own frame has come, or it is none to look at.
    Done,
}

impl Errors {
    pub(super) fn begin(&mut self, text: &str) {
        // What was suppressed is not why it failed.
        *self = if text.trim_start().starts_with("Suppressed: ") {
            Self::Done
        } else {
            Self::Open
        };
    }

    pub(super) fn is_first_of_its_own(&mut self, frame: &Line<'_>) -> bool {
        let first = *self == Self::Open && !frame.foreign;
        if first {
            *self = Self::Done;
        }
        first
    }
}

pub(super) fn read(text: &str) -> Option<Line<'_>> {
    let bare = text.trim();
    if let Some(rest) = bare.strip_prefix("at ") {
        return frame(text, rest);
    }
    let more = bare.starts_with("... ")
        && (bare.ends_with(" more") || bare.ends_with(" common frames omitted"));
    if more && indent(text) > 0 {
        return Some(Line::frame(text, true, 0..0));
    }
    let joined = ["Caused by: ", "Suppressed: ", "Wrapped by: "]
        .iter()
        .find_map(|joint| bare.strip_prefix(joint));
    let said = joined.or_else(|| {
        let rest = bare.strip_prefix("Exception in thread \"")?;
        rest.split_once("\" ").map(|(_, said)| said)
    });
    let is_error = match said {
        Some(said) => is_dotted(class(said)),
        None => indent(text) == 0 && is_error_class(class(bare)),
    };
    is_error.then(|| Line::of(text, Kind::Error))
}

/// The class that a line begins with.
fn class(said: &str) -> &str {
    said.split([':', ' ']).next().unwrap_or_default()
}

fn is_error_class(class: &str) -> bool {
    let known = ["Exception", "Error", "Throwable"];
    class.contains('.') && is_dotted(class) && known.iter().any(|end| class.ends_with(end))
}

/// `com.example.Mail.send(Mail.java:12)`, also cut off anywhere behind the name's first dot.
fn frame<'a>(text: &'a str, rest: &str) -> Option<Line<'a>> {
    let (name, place) = rest.split_once('(').unwrap_or((rest, ""));
    // A loader and a module may stand before the class: `app//com.example.Mail`, `java.base/java.lang.Thread`.
    let name = name.rsplit('/').next().unwrap_or(name);
    let plain = name.replace("<init>", "init").replace("<clinit>", "init");
    if indent(text) == 0 || !plain.contains('.') || !is_dotted(plain.trim_end_matches('.')) {
        return None;
    }
    let foreign = FOREIGN.iter().any(|prefix| name.starts_with(prefix));
    let end = text.trim_end().len();
    let start = text.find('(').map_or(end, |open| open + 1);
    let place_end = if place.ends_with(')') { end - 1 } else { end };
    Some(Line::frame(text, foreign, start.min(place_end)..place_end))
}
