//! Text → [`Query`]: cuts the text into words, then reads each word by its field.

use std::{iter::Peekable, ops::Range, str::CharIndices};

use chrono::{DateTime, Local, TimeZone};

use super::{Code, Is, Predicate, Query, QueryError, Term, To, when};
use crate::{
    message::{Delivery, DisplayText, Reason, Status},
    suggest::did_you_mean,
};

/// What the meaning of a query depends on beside its text.
#[derive(Clone, Debug)]
pub struct Context<Tz: TimeZone = Local> {
    /// The moment that ages and `today` count from; its zone says when a day begins.
    pub now: DateTime<Tz>,
}

impl Context {
    /// The machine's own clock and zone.
    pub fn local() -> Self {
        Self { now: Local::now() }
    }
}

/// A field of the query language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// The word before the colon.
    pub name: &'static str,
    /// What it asks, in a few words.
    pub help: &'static str,
    /// A value as one would write it.
    pub example: &'static str,
}

/// Every field, for help.
pub const FIELDS: &[Field] = &[
    field("status", "what became of it", "failed,error"),
    field("reason", "why it has that status", "permanent"),
    field("type", "the message's type", "feedback"),
    field("backend", "the way out", "email"),
    field("lang", "the language; nb is also nb-NO", "nb"),
    field("user", "the application's name of the person", "april"),
    field("to", "the identity, or a whole @domain", "@example.com"),
    field("subject", "a part of the subject", "\"new attempt\""),
    field("key", "the application's id of the message", "order-1842"),
    field("id", "the receiver's number", "104233"),
    field("code", "the last reply's code, plain or enhanced", "4.7.1"),
    field(
        "cause",
        "the fault of the last try, by its number in `causes`",
        "7",
    ),
    field("failed", "how often it failed", ">2"),
    field("sent", "when it was last accepted", "today"),
    field("created", "when it was handed over", "<30d"),
    field("is", "what is going on", "held"),
    field("delivery", "what a delivery report told", "undelivered"),
];

const fn field(name: &'static str, help: &'static str, example: &'static str) -> Field {
    Field {
        name,
        help,
        example,
    }
}

impl Query {
    /// Reads a query. Nothing but blanks asks for everything.
    pub fn parse<Tz: TimeZone>(text: &str, context: &Context<Tz>) -> Result<Self, QueryError> {
        let words = Words::new(text).collect::<Result<Vec<_>, _>>()?;
        let terms = words
            .into_iter()
            .map(|word| {
                Ok(Term {
                    negated: word.negated,
                    predicate: predicate(&word, context)?,
                    span: word.span,
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { terms })
    }
}

/// One word as it was written.
struct Word {
    negated: bool,
    field: Option<Value>,
    /// Never empty.
    values: Vec<Value>,
    span: Range<usize>,
}

/// A piece of a word with its place; quotes are off.
#[derive(Clone)]
struct Value {
    text: String,
    span: Range<usize>,
    quoted: bool,
}

impl Value {
    fn wrong(&self, message: &str) -> QueryError {
        QueryError::at(self.span.clone(), message)
    }

    /// A word out of a fixed list, spelt in any case and with any of ` `, `-`, `_` inside.
    fn word<T: Copy>(
        &self,
        what: &str,
        all: &[T],
        name: impl Fn(T) -> &'static str,
    ) -> Result<T, QueryError> {
        let given = self.text.to_lowercase().replace([' ', '-'], "_");
        let found = all.iter().copied().find(|&item| name(item) == given);
        found.ok_or_else(|| {
            let names: Vec<_> = all.iter().copied().map(&name).collect();
            let near = match field_of(&given) {
                Some(field) => format!("; did you mean `{field}:{given}`?"),
                None => did_you_mean(&given, names.iter().copied()),
            };
            self.wrong(&format!(
                "`{}` is no value of `{what}`{near} (values are {})",
                self.text,
                names.join(", ")
            ))
        })
    }
}

/// Which of the fields that say how a receiver is doing has this value.
fn field_of(value: &str) -> Option<&'static str> {
    if Status::ALL.iter().any(|status| status.name() == value) {
        Some("status")
    } else if Is::ALL.iter().any(|is| is.name() == value) {
        Some("is")
    } else if Reason::ALL.iter().any(|reason| reason.name() == value) {
        Some("reason")
    } else {
        None
    }
}

/// Cuts a text into words.
struct Words<'a> {
    text: &'a str,
    chars: Peekable<CharIndices<'a>>,
}

impl<'a> Words<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            chars: text.char_indices().peekable(),
        }
    }

    /// Where the next character stands.
    fn here(&mut self) -> usize {
        self.chars.peek().map_or(self.text.len(), |&(at, _)| at)
    }

    fn eat(&mut self, wanted: char) -> bool {
        self.chars.next_if(|&(_, c)| c == wanted).is_some()
    }

    fn word(&mut self) -> Result<Word, QueryError> {
        let start = self.here();
        let negated = self.eat('-');
        let field = self.field();
        let mut values = Vec::new();
        loop {
            let value = self.value()?;
            if value.text.is_empty() {
                return Err(empty(&value, field.as_ref(), negated && values.is_empty()));
            }
            if negated && field.is_none() && !value.quoted && value.text.starts_with('-') {
                // Taken as a word it would be found nowhere, and its negation everywhere.
                let span = start..value.span.end;
                return Err(QueryError::at(
                    span,
                    "one `-` stands in front of what must not hold, as in `-status:sent`; quote a word to search for it with its dash",
                ));
            }
            values.push(value);
            if !self.eat(',') {
                break;
            }
        }
        let span = start..self.here();
        Ok(Word {
            negated,
            field,
            values,
            span,
        })
    }

    /// Letters up to a colon; `10:39` and `[2001:db8::1]` are no fields.
    fn field(&mut self) -> Option<Value> {
        let start = self.here();
        let rest = &self.text[start..];
        let name = &rest[..rest.find(':')?];
        let first_is_letter = name.starts_with(|c: char| c.is_ascii_alphabetic());
        if !first_is_letter || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return None;
        }
        let end = start + name.len();
        while self.chars.next_if(|&(at, _)| at <= end).is_some() {}
        Some(Value {
            text: name.to_owned(),
            span: start..end,
            quoted: false,
        })
    }

    /// One alternative: quoted, or up to the next blank or comma.
    fn value(&mut self) -> Result<Value, QueryError> {
        let start = self.here();
        let mut text = String::new();
        let quoted = self.eat('"');
        if quoted {
            self.quoted(start, &mut text)?;
        } else {
            while let Some((_, c)) = self.chars.next_if(|&(_, c)| c != ',' && !c.is_whitespace()) {
                text.push(c);
            }
        }
        Ok(Value {
            text,
            span: start..self.here(),
            quoted,
        })
    }

    /// The rest of a value whose opening quote stands at `start`; `\"` and `\\` stand for themselves.
    fn quoted(&mut self, start: usize, text: &mut String) -> Result<(), QueryError> {
        loop {
            match self.chars.next() {
                None => {
                    let span = start..self.text.len();
                    return Err(QueryError::at(
                        span,
                        "this quote is never closed; end it with \"",
                    ));
                }
                Some((_, '"')) => break,
                Some((_, '\\')) => {
                    let escaped = self.chars.next_if(|&(_, c)| c == '"' || c == '\\');
                    text.push(escaped.map_or('\\', |(_, c)| c));
                }
                Some((_, c)) => text.push(c),
            }
        }
        match self.chars.peek() {
            Some(&(at, c)) if c != ',' && !c.is_whitespace() => Err(QueryError::at(
                at..at + c.len_utf8(),
                "after a closing quote comes a space, or a comma and one more value",
            )),
            _ => Ok(()),
        }
    }
}

impl Iterator for Words<'_> {
    type Item = Result<Word, QueryError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.chars.next_if(|&(_, c)| c.is_whitespace()).is_some() {}
        self.chars.peek()?;
        Some(self.word())
    }
}

fn empty(value: &Value, field: Option<&Value>, negated: bool) -> QueryError {
    if value.quoted {
        return value.wrong("nothing stands between the quotes");
    }
    match field {
        Some(field) => {
            let name = field.text.to_lowercase();
            match FIELDS.iter().find(|known| known.name == name) {
                Some(known) => value.wrong(&format!(
                    "a value is missing here, as in `{name}:{}`",
                    known.example
                )),
                None => unknown_field(field),
            }
        }
        None if negated => {
            value.wrong("`-` stands in front of what must not hold, as in `-status:sent`")
        }
        None => value.wrong("a comma stands between two alternatives; quote it to search for it"),
    }
}

fn unknown_field(field: &Value) -> QueryError {
    let name = field.text.to_lowercase();
    let aliases = [
        ("language", "lang"),
        ("identity", "to"),
        ("email", "to"),
        ("address", "to"),
        ("domain", "to"),
        ("text", "subject"),
        ("message_key", "key"),
        ("state", "status"),
        ("enhanced_code", "code"),
    ];
    let near = match aliases.iter().find(|(alias, _)| *alias == name) {
        Some((_, meant)) => format!("; did you mean `{meant}`?"),
        None => did_you_mean(&name, FIELDS.iter().map(|field| field.name)),
    };
    let names: Vec<_> = FIELDS.iter().map(|field| field.name).collect();
    field.wrong(&format!(
        "unknown field `{}`{near} (fields are {}; quote a word to search for it with its colon)",
        field.text,
        names.join(", ")
    ))
}

fn predicate<Tz: TimeZone>(word: &Word, context: &Context<Tz>) -> Result<Predicate, QueryError> {
    let values = &word.values;
    let texts = || values.iter().map(|value| value.text.clone()).collect();
    let Some(field) = &word.field else {
        return Ok(Predicate::Words(texts()));
    };
    let time = |value: &Value, never: bool| {
        when::parse(&value.text, never, &context.now).map_err(|message| value.wrong(&message))
    };
    Ok(match field.text.to_lowercase().as_str() {
        "status" => Predicate::Status(each(values, |v| {
            v.word("status", &Status::ALL, Status::name)
        })?),
        "reason" => Predicate::Reason(each(values, |v| {
            v.word("reason", &Reason::ALL, Reason::name)
        })?),
        "is" => Predicate::Is(each(values, |v| v.word("is", &Is::ALL, Is::name))?),
        "delivery" => Predicate::Delivery(each(values, |v| {
            v.word("delivery", &Delivery::ALL, Delivery::name)
        })?),
        "type" => Predicate::Type(texts()),
        "backend" => Predicate::Backend(texts()),
        "lang" => Predicate::Language(texts()),
        "user" => Predicate::User(texts()),
        "key" => Predicate::Key(texts()),
        "subject" => Predicate::Subject(texts()),
        "to" => Predicate::To(each(values, to)?),
        "id" => Predicate::Id(each(values, id)?),
        "cause" => Predicate::Cause(each(values, cause)?),
        "code" => Predicate::Code(each(values, code)?),
        "failed" => Predicate::Failed(each(values, count)?),
        "sent" => Predicate::Sent(each(values, |v| time(v, true))?),
        "created" => Predicate::Created(each(values, |v| time(v, false))?),
        _ => return Err(unknown_field(field)),
    })
}

fn each<T>(
    values: &[Value],
    read: impl Fn(&Value) -> Result<T, QueryError>,
) -> Result<Vec<T>, QueryError> {
    values.iter().map(read).collect()
}

fn to(value: &Value) -> Result<To, QueryError> {
    match value.text.strip_prefix('@') {
        Some("") => Err(value.wrong("a domain is missing after `@`, as in `to:@example.com`")),
        Some(domain) => Ok(To::Domain(domain.to_owned())),
        None => Ok(To::Identity(value.text.clone())),
    }
}

fn id(value: &Value) -> Result<i64, QueryError> {
    digits(&value.text)
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| value.wrong("an id is a whole number, as in `id:104233`"))
}

fn cause(value: &Value) -> Result<i64, QueryError> {
    digits(&value.text)
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| {
            value.wrong("a cause is the whole number that `postroom causes` shows, as in `cause:7`")
        })
}

fn digits(text: &str) -> Option<&str> {
    (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then_some(text)
}

/// A reply code (RFC 5321 4.2) or an enhanced one (RFC 3463 2).
fn code(value: &Value) -> Result<Code, QueryError> {
    let text = value.text.as_str();
    if text.len() == 3
        && let Some(code) = digits(text).and_then(|digits| digits.parse().ok())
    {
        return Ok(Code::Reply(code));
    }
    let parts: Vec<_> = text.split('.').collect();
    let sound = parts.len() == 3
        && matches!(parts[0], "2" | "4" | "5")
        && parts[1..]
            .iter()
            .all(|part| part.len() <= 3 && digits(part).is_some());
    if sound {
        return Ok(Code::Enhanced(text.to_owned()));
    }
    Err(value.wrong("a code is a reply code such as 451, or an enhanced one such as 4.7.1"))
}

fn count(value: &Value) -> Result<Range<i64>, QueryError> {
    let (compare, number) = when::comparison(&value.text);
    let Some(number) = digits(number).and_then(|digits| digits.parse::<i64>().ok()) else {
        return Err(
            value.wrong("a count is a number with or without a comparison: 3, >2, >=2, <5, <=5")
        );
    };
    let next = number.saturating_add(1);
    Ok(match compare {
        "" | "=" => number..next,
        ">" => next..i64::MAX,
        ">=" => number..i64::MAX,
        "<" => 0..number,
        _ => 0..next,
    })
}

impl QueryError {
    pub(super) fn at(span: Range<usize>, message: &str) -> Self {
        Self {
            message: DisplayText::line(message).into_string(),
            span,
        }
    }
}
