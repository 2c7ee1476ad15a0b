//! Roles and how they look. The default uses the terminal's own colours and nothing that needs a dark or a light background; the
//! monochrome one uses attributes alone.

use ratatui::style::{Color, Modifier, Style};

use crate::message::Status;

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

/// How roles look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// The terminal's foreground and background, and its sixteen colours.
    #[default]
    Default,
    /// Attributes only: for `NO_COLOR`.
    Monochrome,
}

impl Theme {
    /// The style of a role.
    pub fn style(self, role: Role) -> Style {
        let style = Style::new();
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
            Self::Default => match role {
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
