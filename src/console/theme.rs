//! Roles and how they look. The default uses the terminal's own colours and nothing that needs a dark or a light background; the
//! monochrome one uses attributes alone. The config may give roles other styles; see [`Theme::read`].

use std::collections::BTreeMap;

use ratatui::style::{Color, Modifier, Style};

use crate::{message::Status, suggest::did_you_mean};

/// What a piece of text means on the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Ordinary text.
    #[default]
    Plain,
    /// The program's name, a title.
    Title,
    /// A label beside a value, a line between panes, a hint.
    Label,
    /// A key in the footer or in the help.
    Key,
    /// The head of the table.
    Head,
    /// The row under the cursor, where the keys go.
    Cursor,
    /// The row under the cursor while the keys go elsewhere.
    CursorAway,
    /// What is chosen among several: a tab, a status.
    Chosen,
    /// A mark on a row and the count of marks.
    Mark,
    /// Selected text in the query line.
    Selection,
    /// What matches a search.
    Match,
    /// The match that the operator is at.
    Here,
    /// The part of the query that cannot be read.
    Fault,
    /// All is well.
    Good,
    /// Look at this.
    Warning,
    /// Something is wrong.
    Problem,
    /// A status of a receiver.
    Status(Status),
}

impl Role {
    /// Every role with its name in the config.
    const NAMED: [(Self, &str); 20] = [
        (Self::Plain, "plain"),
        (Self::Title, "title"),
        (Self::Label, "label"),
        (Self::Key, "key"),
        (Self::Head, "head"),
        (Self::Cursor, "cursor"),
        (Self::CursorAway, "cursor_away"),
        (Self::Chosen, "chosen"),
        (Self::Mark, "mark"),
        (Self::Selection, "selection"),
        (Self::Match, "match"),
        (Self::Here, "here"),
        (Self::Fault, "fault"),
        (Self::Good, "good"),
        (Self::Warning, "warning"),
        (Self::Problem, "problem"),
        (Self::Status(Status::NotSent), "not_sent"),
        (Self::Status(Status::Failed), "failed"),
        (Self::Status(Status::Error), "error"),
        (Self::Status(Status::Sent), "sent"),
    ];
}

/// The styles of roles that the config gives others.
pub type Styles = [(Role, Style)];

/// How roles look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// The terminal's foreground and background, and its sixteen colours.
    #[default]
    Default,
    /// Attributes only: for `NO_COLOR`.
    Monochrome,
    /// The default, but for these.
    Configured(&'static Styles),
}

/// The words of a style that are no colours.
const ATTRIBUTES: [(&str, Modifier); 5] = [
    ("bold", Modifier::BOLD),
    ("dim", Modifier::DIM),
    ("italic", Modifier::ITALIC),
    ("underlined", Modifier::UNDERLINED),
    ("reversed", Modifier::REVERSED),
];

/// Reads a style: a colour, `on` and a colour, attributes, in any order; nothing is plain text.
fn style_of(words: &str) -> Result<Style, String> {
    let mut style = Style::new();
    let mut background = false;
    for word in words.split_whitespace() {
        if let Some((_, attribute)) = ATTRIBUTES.iter().find(|(name, _)| *name == word) {
            style = style.add_modifier(*attribute);
        } else if word == "on" {
            background = true;
        } else {
            let color: Color = word.parse().map_err(|_| {
                format!(
                    "`{word}` is no colour and no attribute; colours are black, red, green, yellow, blue, magenta, cyan, gray, darkgray, white, the same with `light` before them, 0 to 255 and #rrggbb, attributes bold, dim, italic, underlined and reversed: \"yellow on black bold\""
                )
            })?;
            style = if std::mem::take(&mut background) {
                style.bg(color)
            } else {
                style.fg(color)
            };
        }
    }
    if background {
        return Err(format!("`{words}`: behind `on` stands a colour"));
    }
    Ok(style)
}

impl Theme {
    /// The default with what `[console.colors]` says. `Err` names the role or the word, and the way out.
    pub fn read(colors: &BTreeMap<String, String>) -> Result<Self, String> {
        let mut styles = Vec::new();
        for (name, words) in colors {
            let known = Role::NAMED.iter().find(|(_, known)| known == name);
            let (role, _) = known.ok_or_else(|| {
                let names = Role::NAMED.map(|(_, name)| name);
                let known = did_you_mean(name, names);
                format!(
                    "there is no role `{name}`{known}; roles are {}",
                    names.join(", ")
                )
            })?;
            styles.push((
                *role,
                style_of(words).map_err(|why| format!("{name}: {why}"))?,
            ));
        }
        if styles.is_empty() {
            return Ok(Self::Default);
        }
        // Read once, when the console begins, and used until the process ends.
        Ok(Self::Configured(Box::leak(styles.into_boxed_slice())))
    }

    /// The style of a role.
    pub fn style(self, role: Role) -> Style {
        let style = Style::new();
        if let Self::Configured(styles) = self {
            let changed = styles.iter().find(|(changed, _)| *changed == role);
            return changed.map_or_else(|| Self::Default.style(role), |(_, style)| *style);
        }
        match role {
            Role::Plain => return style,
            Role::Title | Role::Key | Role::CursorAway => {
                return style.add_modifier(Modifier::BOLD);
            }
            Role::Label => return style.add_modifier(Modifier::DIM),
            Role::Head => return style.add_modifier(Modifier::BOLD),
            Role::Cursor | Role::Selection => return style.add_modifier(Modifier::REVERSED),
            Role::Match => return style.add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
            Role::Here => return style.add_modifier(Modifier::REVERSED | Modifier::BOLD),
            _ => {}
        }
        match self {
            Self::Default | Self::Configured(_) => match role {
                Role::Chosen => style.add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
                Role::Fault => style.fg(Color::Red).add_modifier(Modifier::UNDERLINED),
                Role::Mark => style.fg(Color::Magenta).add_modifier(Modifier::BOLD),
                Role::Good | Role::Status(Status::Sent) => style.fg(Color::Green),
                Role::Warning | Role::Status(Status::Failed) => style.fg(Color::Yellow),
                Role::Problem | Role::Status(Status::Error) => {
                    style.fg(Color::Red).add_modifier(Modifier::BOLD)
                }
                Role::Status(Status::NotSent) => style.fg(Color::Cyan),
                _ => style,
            },
            Self::Monochrome => match role {
                Role::Chosen => style.add_modifier(Modifier::REVERSED),
                Role::Mark | Role::Warning | Role::Status(Status::Failed) => {
                    style.add_modifier(Modifier::BOLD)
                }
                Role::Fault | Role::Problem | Role::Status(Status::Error) => {
                    style.add_modifier(Modifier::BOLD | Modifier::UNDERLINED)
                }
                _ => style,
            },
        }
    }
}
