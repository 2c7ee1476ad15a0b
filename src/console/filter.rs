//! The filter panel as another view of the query's text: which choices there are, which are on, and what the text becomes when one is turned. Pure.
//! What a panel cannot show stays in the text as it is.

use crate::{
    message::Status,
    query::{Predicate, Term},
    store::Words,
};

use super::state::Asked;

/// A part of the panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after what they filter by")]
pub enum Section {
    Status,
    Sent,
    Type,
    Backend,
    Language,
}

impl Section {
    /// What stands above it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Status => "Status",
            Self::Sent => "Sent",
            Self::Type => "Type",
            Self::Backend => "Backend",
            Self::Language => "Language",
        }
    }
}

/// One line of the panel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// A status; several may be on.
    Status(Status),
    /// When it was sent; one is on.
    Sent(Day),
    /// A type; several may be on.
    Type(String),
    /// A backend; several may be on.
    Backend(String),
    /// A language; several may be on.
    Language(String),
}

/// When it was sent: what Devilry's list offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each has its label below")]
pub enum Day {
    Any,
    Today,
    Week,
    Month,
    Year,
    None,
    Some,
}

impl Day {
    const ALL: [Self; 7] = [
        Self::Any,
        Self::Today,
        Self::Week,
        Self::Month,
        Self::Year,
        Self::None,
        Self::Some,
    ];

    /// The word in a query; any has none.
    fn word(self) -> Option<&'static str> {
        match self {
            Self::Any => None,
            Self::Today => Some("today"),
            Self::Week => Some("7d"),
            Self::Month => Some("month"),
            Self::Year => Some("year"),
            Self::None => Some("none"),
            Self::Some => Some("yes"),
        }
    }

    /// What stands in the panel.
    pub fn label(self) -> &'static str {
        match self {
            Self::Any => "Any date",
            Self::Today => "Today",
            Self::Week => "Past 7 days",
            Self::Month => "This month",
            Self::Year => "This year",
            Self::None => "No date",
            Self::Some => "Has date",
        }
    }
}

impl Choice {
    /// Which part of the panel it stands in.
    pub fn section(&self) -> Section {
        match self {
            Self::Status(_) => Section::Status,
            Self::Sent(_) => Section::Sent,
            Self::Type(_) => Section::Type,
            Self::Backend(_) => Section::Backend,
            Self::Language(_) => Section::Language,
        }
    }

    /// Whether the query asks for it.
    pub fn is_on(&self, asked: &Asked) -> bool {
        let own = own(asked, self.section());
        match self {
            Self::Sent(day) => {
                own.map(|term| day_of(asked, term)) == Some(Some(*day)) || {
                    own.is_none() && *day == Day::Any
                }
            }
            other => own.is_some_and(|term| holds(&term.predicate, other)),
        }
    }

    /// The query's text once it is turned on or off.
    pub fn turned(&self, asked: &Asked) -> String {
        let own = own(asked, self.section());
        let term = match self {
            Self::Sent(day) => day.word().map(|word| format!("sent:{word}")),
            other => other.with(own.map(|term| &term.predicate)),
        };
        replaced(&asked.text, own, term)
    }

    /// The query's text if this alone were on in its part of the panel: what its number counts.
    pub fn alone(&self, asked: &Asked) -> String {
        let term = match self {
            Self::Sent(day) => day.word().map(|word| format!("sent:{word}")),
            other => other.with(None),
        };
        replaced(&asked.text, own(asked, self.section()), term)
    }

    /// The term with this turned over; `None` when nothing is left of it.
    fn with(&self, term: Option<&Predicate>) -> Option<String> {
        let words =
            |old: Option<&Vec<String>>, word: &String, make: fn(Vec<String>) -> Predicate| {
                let mut list = old.cloned().unwrap_or_default();
                turn(&mut list, word.clone(), |one, other| same(one, other));
                (!list.is_empty()).then(|| make(list).to_string())
            };
        match self {
            Self::Status(status) => {
                let mut list = match term {
                    Some(Predicate::Status(list)) => list.clone(),
                    _ => Vec::new(),
                };
                turn(&mut list, *status, |one, other| one == other);
                (!list.is_empty()).then(|| Predicate::Status(list).to_string())
            }
            Self::Sent(_) => None,
            Self::Type(word) | Self::Backend(word) | Self::Language(word) => {
                let (old, make): (_, fn(_) -> _) = match (self, term) {
                    (Self::Type(_), Some(Predicate::Type(list))) => (Some(list), Predicate::Type),
                    (Self::Type(_), _) => (None, Predicate::Type),
                    (Self::Backend(_), Some(Predicate::Backend(list))) => {
                        (Some(list), Predicate::Backend)
                    }
                    (Self::Backend(_), _) => (None, Predicate::Backend),
                    (_, Some(Predicate::Language(list))) => (Some(list), Predicate::Language),
                    (_, _) => (None, Predicate::Language),
                };
                words(old, word, make)
            }
        }
    }
}

/// Every line of the panel: what the store has, and what the query names beside it.
pub fn choices(words: &Words, asked: &Asked) -> Vec<Choice> {
    let mut choices: Vec<Choice> = Status::ALL.map(Choice::Status).into();
    choices.extend(Day::ALL.map(Choice::Sent));
    for section in [Section::Type, Section::Backend, Section::Language] {
        let (known, make): (_, fn(String) -> Choice) = match section {
            Section::Type => (&words.types, Choice::Type),
            Section::Backend => (&words.backends, Choice::Backend),
            _ => (&words.languages, Choice::Language),
        };
        let mut names: Vec<String> = known.iter().map(|word| word.raw().to_owned()).collect();
        let own = own(asked, section).map(|term| &term.predicate);
        if let Some(Predicate::Type(list) | Predicate::Backend(list) | Predicate::Language(list)) =
            own
        {
            for word in list {
                if names.iter().all(|name| !same(name, word)) {
                    names.push(word.clone());
                }
            }
        }
        choices.extend(names.into_iter().map(make));
    }
    choices
}

/// The words of the query that the panel does not show.
pub fn beside(asked: &Asked) -> Vec<&str> {
    let sections = [
        Section::Status,
        Section::Sent,
        Section::Type,
        Section::Backend,
        Section::Language,
    ];
    let shown: Vec<_> = sections
        .into_iter()
        .filter_map(|section| own(asked, section))
        .map(|term| &term.span)
        .collect();
    let terms = asked.query.terms.iter();
    terms
        .filter(|term| !shown.contains(&&term.span))
        .filter_map(|term| asked.text.get(term.span.clone()))
        .collect()
}

/// The term that a part of the panel is the view of: the first that it can show whole.
fn own(asked: &Asked, section: Section) -> Option<&Term> {
    asked.query.terms.iter().find(|term| {
        !term.negated
            && match (section, &term.predicate) {
                (Section::Status, Predicate::Status(_))
                | (Section::Type, Predicate::Type(_))
                | (Section::Backend, Predicate::Backend(_))
                | (Section::Language, Predicate::Language(_)) => true,
                (Section::Sent, Predicate::Sent(_)) => day_of(asked, term).is_some(),
                _ => false,
            }
    })
}

/// What `sent:` says, as it was written.
fn day_of(asked: &Asked, term: &Term) -> Option<Day> {
    let word = asked.text.get(term.span.clone())?.to_lowercase();
    let word = word.strip_prefix("sent:")?;
    let mut days = Day::ALL.into_iter();
    days.find(|day| day.word() == Some(word))
}

fn holds(term: &Predicate, choice: &Choice) -> bool {
    match (term, choice) {
        (Predicate::Status(list), Choice::Status(status)) => list.contains(status),
        (Predicate::Type(list), Choice::Type(word))
        | (Predicate::Backend(list), Choice::Backend(word))
        | (Predicate::Language(list), Choice::Language(word)) => {
            list.iter().any(|one| same(one, word))
        }
        _ => false,
    }
}

fn same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

fn turn<T>(list: &mut Vec<T>, item: T, same: impl Fn(&T, &T) -> bool) {
    let had = list.len();
    list.retain(|other| !same(other, &item));
    if list.len() == had {
        list.push(item);
    }
}

/// The text with a term in place of another, or at its end.
fn replaced(text: &str, old: Option<&Term>, new: Option<String>) -> String {
    let (before, after) = match old {
        Some(term) => (&text[..term.span.start], &text[term.span.end..]),
        None => (text, ""),
    };
    let new = new.unwrap_or_default();
    let parts = [before.trim(), &new, after.trim()];
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::{Context, Query};

    fn asked(text: &str) -> Asked {
        Asked {
            text: text.to_owned(),
            query: Query::parse(text, &Context::local()).unwrap(),
        }
    }

    #[test]
    fn turning_a_choice_edits_its_own_word_of_the_query_and_no_other() {
        let failed = Choice::Status(Status::Failed);
        let feedback = Choice::Type("feedback".to_owned());
        let today = Choice::Sent(Day::Today);
        for (choice, before, after) in [
            (&failed, "", "status:failed"),
            (&failed, "status:error april", "status:error,failed april"),
            (&failed, "april status:Failed  id:7", "april id:7"),
            (&failed, "-status:failed", "-status:failed status:failed"),
            (
                &feedback,
                "type:\"two words\"",
                "type:\"two words\",feedback",
            ),
            (&feedback, "type:FEEDBACK", ""),
            (&today, "sent:>=2026-11-01", "sent:>=2026-11-01 sent:today"),
            (&today, "sent:month april", "sent:today april"),
            (&Choice::Sent(Day::Any), "sent:today april", "april"),
        ] {
            assert_eq!(choice.turned(&asked(before)), after, "{choice:?}");
        }
    }

    #[test]
    fn the_panel_shows_what_the_text_says_and_names_the_rest() {
        let query = asked("status:failed,error -type:x sent:7d failed:>2");
        assert!(Choice::Status(Status::Error).is_on(&query));
        assert!(!Choice::Status(Status::Sent).is_on(&query));
        assert!(Choice::Sent(Day::Week).is_on(&query));
        assert!(!Choice::Sent(Day::Any).is_on(&query));
        assert!(Choice::Sent(Day::Any).is_on(&asked("april")));
        assert_eq!(beside(&query), ["-type:x", "failed:>2"]);
        assert!(choices(&Words::default(), &asked("type:x")).contains(&Choice::Type("x".into())));
    }
}
