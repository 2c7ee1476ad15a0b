//! What could stand at the cursor of the query line: fields, their values, and saved queries. Pure.

use std::collections::BTreeMap;

use crate::{
    message::{Delivery, DisplayText, Reason, Status, Text},
    query::{FIELDS, Is, Predicate},
    store::Words,
};

/// What can be offered beside the query language's own words.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// What the store has.
    pub words: Words,
    /// Queries by name.
    pub queries: BTreeMap<String, String>,
    /// Labels of types.
    pub labels: BTreeMap<String, String>,
}

/// What could stand at the cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offers {
    /// Where the word begins that is completed, in bytes.
    pub from: usize,
    /// In the order they are offered.
    pub list: Vec<Offer>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// What takes the word's place.
    pub text: String,
    /// What it is, in a few words.
    pub help: String,
    /// The name of the saved query that it is.
    pub name: Option<String>,
}

impl Offer {
    fn new(text: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            help: help.into(),
            name: None,
        }
    }
}

/// What could stand at the cursor, `at` bytes into the text. `all`: also where nothing of the word is there yet.
pub fn offers(text: &str, at: usize, known: &Known, all: bool) -> Offers {
    let before = &text[..at];
    let word_at = word(before);
    let word = &before[word_at..];
    let bare = word.strip_prefix('-').unwrap_or(word);
    let sign = word.len() - bare.len();
    let Some((field, values)) = bare.split_once(':') else {
        if bare.is_empty() && !all {
            return Offers::default();
        }
        let begins = |word: &str| word.to_lowercase().starts_with(&bare.to_lowercase());
        let fields = FIELDS.iter().filter(|field| begins(field.name));
        let fields = fields.map(|field| Offer::new(format!("{}:", field.name), field.help));
        // A saved query is a whole one: it is offered where nothing else stands.
        if sign == 0 && before[..word_at].trim().is_empty() {
            let saved = known.queries.iter().filter(|(name, _)| begins(name));
            let saved = saved.map(|(name, query)| Offer {
                text: query.clone(),
                help: DisplayText::line(name).into_string(),
                name: Some(name.clone()),
            });
            return Offers {
                from: word_at,
                list: saved.chain(fields).collect(),
            };
        }
        return Offers {
            from: word_at + sign,
            list: fields.collect(),
        };
    };
    let begun = &values[last_value(values)..];
    let wanted = begun.trim_start_matches('"').to_lowercase();
    let mut list = values_of(&field.to_lowercase(), known);
    list.retain(|offer| {
        let spelt = offer.text.trim_start_matches('"').to_lowercase();
        spelt.starts_with(&wanted) && offer.text != begun
    });
    Offers {
        from: at - begun.len(),
        list,
    }
}

/// Where the last word begins.
fn word(text: &str) -> usize {
    let (mut quoted, mut from) = (false, 0);
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => from = at + c.len_utf8(),
            _ => {}
        }
    }
    from
}

/// Where the last alternative begins.
fn last_value(values: &str) -> usize {
    let (mut quoted, mut from) = (false, 0);
    for (at, c) in values.char_indices() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => from = at + 1,
            _ => {}
        }
    }
    from
}

fn values_of(field: &str, known: &Known) -> Vec<Offer> {
    let words = &known.words;
    let plain = |words: &[&str]| words.iter().map(|word| Offer::new(*word, "")).collect();
    let stored = |words: &[Text], term: fn(Vec<String>) -> Predicate| -> Vec<Offer> {
        // As it would be written in a query, in quotes where it needs them.
        let written = |word: &Text| {
            let term = term(vec![word.shown().into_string()]).to_string();
            let value = term.split_once(':').map_or("", |(_, value)| value);
            Offer::new(value, "")
        };
        words.iter().map(written).collect()
    };
    match field {
        "status" => Status::ALL
            .map(|status| Offer::new(status.name(), status.label()))
            .into(),
        "reason" => Reason::ALL
            .map(|reason| Offer::new(reason.name(), ""))
            .into(),
        "is" => Is::ALL.map(|is| Offer::new(is.name(), "")).into(),
        "delivery" => Delivery::ALL
            .map(|delivery| Offer::new(delivery.name(), ""))
            .into(),
        "type" => {
            let mut types = stored(&words.types, Predicate::Type);
            for (offer, word) in types.iter_mut().zip(&words.types) {
                let label = known.labels.get(word.raw());
                offer.help =
                    label.map_or_else(String::new, |label| DisplayText::line(label).into_string());
            }
            types
        }
        "backend" => stored(&words.backends, Predicate::Backend),
        "lang" => stored(&words.languages, Predicate::Language),
        "sent" => plain(&["today", "7d", "month", "year", "yes", "none"]),
        "created" => plain(&["today", "7d", "<30d", "month", "year"]),
        "failed" => plain(&[">0", ">2"]),
        "cause" => {
            let causes = words.causes.iter();
            causes
                .map(|cause| Offer::new(cause.id.to_string(), cause.text.shown().as_str()))
                .collect()
        }
        "code" => {
            let mut codes: Vec<Offer> = Vec::new();
            for cause in &words.causes {
                let reply = cause.code.map(|code| format!("{code:03}"));
                let enhanced = cause.enhanced_code.as_ref();
                let enhanced = enhanced.map(|code| code.shown().into_string());
                for code in reply.into_iter().chain(enhanced) {
                    if codes.iter().all(|other| other.text != code) {
                        codes.push(Offer::new(code, cause.text.shown().as_str()));
                    }
                }
            }
            codes
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Known {
        Known {
            words: Words {
                types: vec!["feedback".into(), "two words".into()],
                backends: vec!["email".into()],
                languages: vec!["nb".into()],
                causes: Vec::new(),
            },
            queries: [("stuck".to_owned(), "status:failed failed:>2".to_owned())].into(),
            labels: BTreeMap::new(),
        }
    }

    fn texts(text: &str) -> (usize, Vec<String>) {
        let offers = offers(text, text.len(), &known(), false);
        let texts = offers.list.into_iter().map(|offer| offer.text);
        (offers.from, texts.collect())
    }

    #[test]
    fn a_field_that_is_begun_is_completed() {
        assert_eq!(texts("ba"), (0, vec!["backend:".to_owned()]));
        assert_eq!(texts("x -ba").0, 3, "a dash stays");
        assert_eq!(texts("x -ba").1, ["backend:"]);
        assert!(texts("").1.is_empty() && texts("x ").1.is_empty());
    }

    #[test]
    fn a_value_is_completed_behind_its_field_and_behind_a_comma() {
        assert_eq!(texts("status:fa"), (7, vec!["failed".to_owned()]));
        assert_eq!(texts("status:failed,err"), (14, vec!["error".to_owned()]));
        assert_eq!(texts("type:").1, ["feedback", "\"two words\""]);
        assert_eq!(texts("type:tw").1, ["\"two words\""]);
        assert_eq!(texts("type:\"two w").1, ["\"two words\""]);
        assert!(texts("status:failed").1.is_empty(), "it is there already");
        assert!(texts("user:a").1.is_empty());
    }

    #[test]
    fn a_saved_query_is_offered_where_nothing_else_stands() {
        assert_eq!(texts("stu").1, ["status:failed failed:>2"]);
        assert!(
            !texts("x stu")
                .1
                .contains(&"status:failed failed:>2".to_owned())
        );
    }
}
