//! `[console]` and `[keys]`: how the console looks and which keys it takes. What the names mean, the console knows.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

/// `[console]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Console {
    /// Draw with nothing but ASCII. Default: no.
    pub ascii: bool,
    /// Take clicks and the wheel; the terminal's own selection then needs Shift. Default: no.
    pub mouse: bool,
    /// Styles by what a piece of text means. Default: the terminal's own colours.
    pub colors: BTreeMap<String, String>,
}

/// The keys of one action, as they are written: one, several, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys(pub Vec<String>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(
            untagged,
            expecting = "a key such as \"r\", several such as [\"r\", \"ctrl-r\"], or none: []"
        )]
        enum Written {
            One(String),
            Several(Vec<String>),
        }
        Ok(Self(match Written::deserialize(from)? {
            Written::One(key) => vec![key],
            Written::Several(keys) => keys,
        }))
    }
}
