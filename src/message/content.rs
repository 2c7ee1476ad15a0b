use serde::{Deserialize, Serialize};

/// What one language of a message says. Stored once however many receivers share it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Content {
    /// The subject; of a raw message, read from its header.
    pub subject: String,
    /// What stands below it.
    pub body: Body,
}

/// The shapes of a content.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// Text, HTML or both; text derived from the HTML when only that was given.
    Parts {
        /// Plain text; empty when nothing was given but a subject.
        text: String,
        /// HTML, if any.
        html: Option<String>,
    },
    /// A whole RFC 5322 message, CRLF at every line end, sent as it is.
    Raw(#[serde(with = "bytes")] Vec<u8>),
    /// A template that could not be rendered for its receiver, kept to be looked at. It is never sent.
    Template {
        /// Its plain text; empty when nothing was given but HTML.
        text: String,
        /// Its HTML, if any.
        html: Option<String>,
        /// Why it could not be rendered, in a line.
        error: String,
    },
}

impl Content {
    /// What it takes in memory, in bytes, near enough.
    pub fn size(&self) -> usize {
        let body = match &self.body {
            Body::Parts { text, html } | Body::Template { text, html, .. } => {
                text.len() + html.as_ref().map_or(0, String::len)
            }
            Body::Raw(raw) => raw.len(),
        };
        self.subject.len() + body
    }

    /// Whether this is a whole RFC 5322 message.
    pub fn is_raw(&self) -> bool {
        matches!(self.body, Body::Raw(_))
    }
}

/// Raw messages are bytes, not text; base64 keeps them whole in JSON.
mod bytes {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        STANDARD
            .decode(String::deserialize(from)?)
            .map_err(D::Error::custom)
    }
}
