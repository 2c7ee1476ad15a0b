//! Where the keys of a config file stand, so that what is wrong with a value names its key and its line.

use toml::de::{DeTable, DeValue};

/// Asks a table of the file, which knows the place of everything in it.
pub(super) trait Places {
    /// The key whose value stands at this byte.
    fn key_of_value(&self, at: usize) -> Option<&str>;

    /// The byte where `key` of this section begins.
    fn place_of(&self, section: &[&str], key: &str) -> Option<usize>;
}

impl Places for DeTable<'_> {
    fn key_of_value(&self, at: usize) -> Option<&str> {
        self.iter().find_map(|(key, value)| {
            if let DeValue::Table(inner) = value.get_ref() {
                return inner.key_of_value(at);
            }
            value.span().contains(&at).then(|| key.get_ref().as_ref())
        })
    }

    fn place_of(&self, section: &[&str], key: &str) -> Option<usize> {
        let wanted = section.first().copied().unwrap_or(key);
        let (found, value) = self.iter().find(|(key, _)| key.get_ref() == wanted)?;
        match (section, value.get_ref()) {
            ([], _) => Some(found.span().start),
            ([_, rest @ ..], DeValue::Table(inner)) => inner.place_of(rest, key),
            _ => None,
        }
    }
}

/// What is wrong, with its key in front, unless it names that key anyway.
pub(super) fn named(key: Option<&str>, why: String) -> String {
    match key {
        Some(key) if !why.starts_with(&format!("unknown key `{key}`")) => format!("{key}: {why}"),
        _ => why,
    }
}

/// The key that such words are about: the first of them, or the one that is unknown.
pub(super) fn key_in(why: &str) -> &str {
    let why = why.strip_prefix("unknown key `").unwrap_or(why);
    let end = why.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-')));
    &why[..end.unwrap_or(why.len())]
}
