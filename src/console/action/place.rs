//! The places where a key can be pressed: the same key may mean something else in each.

/// Where a key is pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// The table.
    Table,
    /// The detail of a receiver.
    Detail,
    /// The query line.
    Query,
    /// A question.
    Question,
    /// The help.
    Help,
    /// A line of text: words to look for, the name of a file.
    Prompt,
    /// The choice of what to copy.
    Copying,
    /// The failures by cause.
    Causes,
    /// The backends and the last day.
    Overview,
    /// The list of actions.
    Palette,
    /// The filter panel.
    Filter,
    /// The choice of columns.
    Columns,
}

impl Place {
    /// Every place.
    pub const ALL: [Self; 12] = [
        Self::Table,
        Self::Detail,
        Self::Causes,
        Self::Overview,
        Self::Query,
        Self::Question,
        Self::Help,
        Self::Prompt,
        Self::Copying,
        Self::Palette,
        Self::Filter,
        Self::Columns,
    ];

    /// Its name in a word.
    pub fn short(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Detail => "detail",
            Self::Query => "query",
            Self::Question => "question",
            Self::Help => "help",
            Self::Prompt => "line",
            Self::Copying => "copying",
            Self::Causes => "causes",
            Self::Overview => "overview",
            Self::Palette => "palette",
            Self::Filter => "filter",
            Self::Columns => "columns",
        }
    }

    /// Its name in the help and in the README.
    pub fn name(self) -> &'static str {
        match self {
            Self::Table => "In the table",
            Self::Detail => "In the detail",
            Self::Query => "In the query line",
            Self::Question => "In a question",
            Self::Help => "In the help",
            Self::Prompt => "In a line of text",
            Self::Copying => "After the key that copies",
            Self::Causes => "In the causes",
            Self::Overview => "In the overview",
            Self::Palette => "In the palette",
            Self::Filter => "In the filter panel",
            Self::Columns => "In the choice of columns",
        }
    }

    /// Whether a line of text is written there: a letter is a letter then.
    pub fn is_written_in(self) -> bool {
        matches!(self, Self::Query | Self::Prompt | Self::Palette)
    }
}
