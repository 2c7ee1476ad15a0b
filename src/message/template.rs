//! Messages whose words are made for each receiver: subject, text and HTML are templates (minijinja).
//!
//! A template sees the context of its receiver, behind it the message's, behind that what Postroom knows of the receiver: `to`, `name`, `user`,
//! `language`. It reads no file and no other template, and it is bounded: in steps, in how much it writes, and in how much all receivers of a message
//! come to together.

use std::{collections::HashSet, fmt::Write as _, io, sync::Arc};

use minijinja::{
    AutoEscape, Environment, ErrorKind, UndefinedBehavior, Value,
    value::{Serde, merge_maps},
};
use serde_json::Map;

use super::{Body, Content, DisplayText, Failure, html_as_text};

/// Steps that one template may take for one receiver: thousands of rows of a table, and no endless loop.
const STEPS: u64 = 1_000_000;

/// What one template may write for one receiver, in bytes.
const LARGEST: usize = 8 << 20;

/// What all that is different may come to within one message, in bytes.
const TOTAL: usize = 256 << 20;

/// As mail is usually wrapped.
const WIDTH: usize = 76;

/// What a template came to for one receiver. What it says is what is stored, sent and shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered {
    /// The words; of one that failed the template itself, which nobody can send.
    pub content: Arc<Content>,
    /// Why it failed.
    pub failure: Option<Failure>,
}

/// What a template is told of a receiver by Postroom itself.
#[derive(Default)]
pub(super) struct About<'a> {
    pub(super) to: Option<&'a str>,
    pub(super) name: Option<&'a str>,
    pub(super) user: Option<&'a str>,
    /// The receiver's own context.
    pub(super) context: Option<&'a Map<String, serde_json::Value>>,
}

/// A content whose words are templates.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) subject: String,
    /// `None`: derived from the HTML when that is rendered.
    pub(super) text: Option<String>,
    pub(super) html: Option<String>,
}

/// The templates of a message, by language, with its context.
pub(super) struct Templates {
    environment: Environment<'static>,
    sources: Vec<(String, Source)>,
    context: Value,
    /// What was rendered so far; shared where it is the same.
    distinct: HashSet<Arc<Content>>,
    total: usize,
}

/// A template that cannot be read: where, and why.
pub(super) struct Unreadable {
    pub(super) field: String,
    pub(super) reason: String,
}

impl Templates {
    pub(super) fn new(
        sources: Vec<(String, Source)>,
        context: &Map<String, serde_json::Value>,
    ) -> Result<Self, Unreadable> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(STEPS));
        environment.set_auto_escape_callback(|name| match name.rsplit('.').next() {
            Some("html") => AutoEscape::Html,
            _ => AutoEscape::None,
        });
        // It would tell all of the context.
        environment.remove_global("debug");
        for (language, source) in &sources {
            for (part, text) in source.parts() {
                let field = format!("content.{language}.{part}");
                environment
                    .add_template_owned(field.clone(), text.to_owned())
                    .map_err(|error| Unreadable {
                        field,
                        reason: format!(
                            "is no template: {}{}",
                            words(&error),
                            error
                                .line()
                                .map_or_else(String::new, |line| format!(", line {line}"))
                        ),
                    })?;
            }
        }
        Ok(Self {
            environment,
            sources,
            context: Value::from(Serde(context)),
            distinct: HashSet::new(),
            total: 0,
        })
    }

    /// Renders one language for one receiver. `Err`: the message as a whole has become too large.
    pub(super) fn render(
        &mut self,
        language: &str,
        about: &About<'_>,
    ) -> Result<Rendered, &'static str> {
        let source = self.sources.iter().find(|(known, _)| known == language);
        let source = source.map_or_else(Source::nothing, |(_, source)| source.clone());
        let (content, failure) = match self.content(language, &source, about) {
            Ok(content) => (content, None),
            Err(failure) => (source.unrendered(&failure.error), Some(failure)),
        };
        let content = Arc::new(content);
        let content = if let Some(known) = self.distinct.get(&content) {
            Arc::clone(known)
        } else {
            self.total += content.size();
            if self.total > TOTAL {
                return Err(
                    "come to more than 256 MiB when they are rendered: split it into several messages",
                );
            }
            self.distinct.insert(Arc::clone(&content));
            content
        };
        Ok(Rendered { content, failure })
    }

    fn content(
        &self,
        language: &str,
        source: &Source,
        about: &About<'_>,
    ) -> Result<Content, Failure> {
        let mut own = Map::new();
        own.insert("language".to_owned(), language.into());
        for (name, value) in [("to", about.to), ("name", about.name), ("user", about.user)] {
            if let Some(value) = value {
                own.insert(name.to_owned(), value.into());
            }
        }
        // The last one that knows a name gives its value.
        let mut known = vec![Value::from(Serde(&own)), self.context.clone()];
        known.extend(about.context.map(|context| Value::from(Serde(context))));
        let context = merge_maps(known);
        let render = |part: &str, text: &str| self.one(language, part, text, &context, about);
        let subject = render("subject", &source.subject)?;
        if subject.contains(['\r', '\n', '\0']) {
            let place = Place::new(language, "subject", &source.subject, None);
            let what = "the rendered subject has a line end or NUL in it: a header could be smuggled in with it";
            return Err(place.failure(what, about, &[]));
        }
        let html = source.html.as_deref().map(|html| render("html", html));
        let html = html.transpose()?;
        let text = match (&source.text, &html) {
            (Some(text), _) => render("text", text)?,
            (None, Some(html)) => html_as_text(html, WIDTH).map_err(|why| {
                let template = source.html.as_deref().unwrap_or_default();
                let place = Place::new(language, "html", template, None);
                place.failure(&format!("{why}; give text as well"), about, &[])
            })?,
            (None, None) => String::new(),
        };
        Ok(Content {
            subject,
            body: Body::Parts { text, html },
        })
    }

    fn one(
        &self,
        language: &str,
        part: &str,
        template: &str,
        context: &Value,
        about: &About<'_>,
    ) -> Result<String, Failure> {
        let mut written = Limited(Vec::new());
        let rendered = self
            .environment
            .get_template(&format!("content.{language}.{part}"))
            .and_then(|template| template.render_captured_to(context.clone(), &mut written));
        match rendered {
            Ok(_) => Ok(String::from_utf8_lossy(&written.0).into_owned()),
            Err(error) => {
                let place = Place::new(language, part, template, error.line());
                let mut causes = Vec::new();
                let mut next: Option<&dyn std::error::Error> = Some(&error);
                while let Some(cause) = next {
                    causes.push(cause.to_string());
                    next = cause.source();
                }
                Err(place.failure(&words(&error), about, &causes))
            }
        }
    }

    /// The languages there are.
    pub(super) fn languages(&self) -> impl Iterator<Item = &str> {
        self.sources.iter().map(|(language, _)| language.as_str())
    }
}

impl Source {
    fn nothing() -> Self {
        Self {
            subject: String::new(),
            text: None,
            html: None,
        }
    }

    fn parts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let text = self.text.as_deref().map(|text| ("text", text));
        let html = self.html.as_deref().map(|html| ("html", html));
        [Some(("subject", self.subject.as_str())), text, html]
            .into_iter()
            .flatten()
    }

    fn unrendered(&self, error: &str) -> Content {
        Content {
            subject: self.subject.clone(),
            body: Body::Template {
                text: self.text.clone().unwrap_or_default(),
                html: self.html.clone(),
                error: error.to_owned(),
            },
        }
    }
}

/// Where in which template something went wrong.
struct Place<'a> {
    field: String,
    line: Option<usize>,
    /// What stands on that line.
    says: &'a str,
}

impl<'a> Place<'a> {
    fn new(language: &str, part: &str, template: &'a str, line: Option<usize>) -> Self {
        let line = line.or((!template.contains('\n')).then_some(1));
        let says = line.and_then(|line| template.lines().nth(line.checked_sub(1)?));
        Self {
            field: format!("content.{language}.{part}"),
            line,
            says: says.unwrap_or_default().trim(),
        }
    }

    /// The failure of a receiver: as told as those of a delivery are.
    fn failure(&self, what: &str, about: &About<'_>, causes: &[String]) -> Failure {
        let line = self.line.map(|line| format!(", line {line}"));
        let error = format!("{}{}: {what}", self.field, line.unwrap_or_default());
        let mut traceback = format!("{error}\n\n");
        let mut tell = |label: &str, value: &str| {
            // Writing to a `String` cannot fail.
            let _ = writeln!(traceback, "  {label:<11} {value}");
        };
        tell("while", "rendering the template for this receiver");
        tell("template", &self.field);
        if let Some(line) = self.line {
            tell("line", &format!("{line}: {}", self.says));
        }
        if let Some(to) = about.to {
            tell("to", to);
        }
        if !causes.is_empty() {
            traceback.push_str("\nCaused by:\n");
            for (index, cause) in causes.iter().enumerate() {
                let _ = writeln!(traceback, "  {index}: {cause}");
            }
        }
        Failure {
            error: DisplayText::line(&error).into_string(),
            traceback,
            phase: Some("render".to_owned()),
            ..Failure::default()
        }
    }
}

/// What is wrong, in the words of the engine, with the way out where the engine does not know it.
fn words(error: &minijinja::Error) -> String {
    let kind = error.kind();
    let what = match error.detail() {
        Some(detail) => format!("{kind}: {detail}"),
        None => kind.to_string(),
    };
    match kind {
        ErrorKind::OutOfFuel => {
            format!("it takes more than {STEPS} steps; a loop may have no end")
        }
        ErrorKind::WriteFailure => format!("it writes more than {} MiB", LARGEST >> 20),
        ErrorKind::UndefinedError => format!(
            "{what}; the context of the message or the receiver gives it, or `default(\"…\")` behind it"
        ),
        _ => what,
    }
}

/// Takes so much and no more.
struct Limited(Vec<u8>);

impl io::Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > LARGEST {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
