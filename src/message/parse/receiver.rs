//! The receivers of a submission: each with its backend, address and language.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{
    SubmitDefaults,
    address::{folded, mailbox},
    body::Contents,
    context,
    fields::{Fields, Wrong},
    metadata,
};
use crate::{
    message::{
        NewReceiver,
        template::{About, Templates},
    },
    suggest::did_you_mean,
};

const KNOWN_OF_RECEIVER: &[&str] = &["to", "user", "language", "backend", "metadata", "context"];

pub(super) fn receivers(
    fields: &mut Fields,
    contents: &Contents,
    mut templates: Option<&mut Templates>,
    defaults: &SubmitDefaults,
) -> Result<Vec<NewReceiver>, Wrong> {
    const SHAPE: &str = "must be a list of receivers, as in [{\"to\": \"april@example.com\"}]";
    let all = match fields.take("receivers") {
        Some(Value::Array(all)) if !all.is_empty() => all,
        Some(Value::Array(_)) => {
            return Err(fields.wrong("receivers", &format!("names nobody; it {SHAPE}")));
        }
        Some(_) => return Err(fields.wrong("receivers", SHAPE)),
        None => return Err(fields.wrong("receivers", &format!("is missing; it {SHAPE}"))),
    };
    let mut receivers = Vec::with_capacity(all.len());
    let mut seen = HashSet::with_capacity(all.len());
    for (index, value) in all.into_iter().enumerate() {
        let is_template = templates.is_some();
        let (mut receiver, context) = receiver(value, index, contents, is_template, defaults)?;
        let same = (
            receiver.backend.clone(),
            folded(&receiver.identity),
            receiver.user.clone(),
        );
        if !seen.insert(same) {
            continue;
        }
        if let Some(templates) = &mut templates {
            let about = About {
                to: Some(&receiver.identity),
                name: receiver.name.as_deref(),
                user: receiver.user.as_deref(),
                context: context.as_ref(),
            };
            let rendered = templates.render(&receiver.language, &about);
            receiver.rendered = Some(rendered.map_err(|why| fields.wrong("content", why))?);
        }
        receivers.push(receiver);
    }
    Ok(receivers)
}

fn receiver(
    value: Value,
    index: usize,
    contents: &Contents,
    template: bool,
    defaults: &SubmitDefaults,
) -> Result<(NewReceiver, Option<Map<String, Value>>), Wrong> {
    let mut fields = Fields::new(value, format!("receivers[{index}]"), KNOWN_OF_RECEIVER)?;
    let context = context(&mut fields, template)?;
    let backend = match fields.line("backend")? {
        Some(name) => name,
        None => defaults.backend.clone().ok_or_else(|| {
            let why = if defaults.backends.is_empty() {
                "is missing, and no backend is configured; add one to the config file: [backends.email] with host = \"…\""
            } else {
                "is missing, and none is the default; name one here or in default_backend of the config file"
            };
            fields.wrong("backend", why)
        })?,
    };
    let Some(facts) = defaults.backends.get(&backend) else {
        let near = did_you_mean(&backend, defaults.backends.keys().map(String::as_str));
        let near = if near.is_empty() {
            "; a backend is a section [backends.NAME] of the config file"
        } else {
            &near
        };
        let why = format!("`{backend}` is not configured{near}");
        return Err(fields.wrong("backend", &why));
    };
    if contents.from.is_none() && facts.mail && !facts.has_from {
        let why = format!("is missing, and the backend `{backend}` has none either");
        return Err(Wrong::at("from".to_owned(), &why));
    }

    let to = fields.line("to")?.unwrap_or_default();
    if to.trim().is_empty() {
        return Err(fields.wrong("to", "is missing: the address to deliver to"));
    }
    let (name, identity) = if facts.mail {
        let to = mailbox(&to).map_err(|why| fields.wrong("to", why))?;
        (to.name, to.email.to_string())
    } else {
        (None, to.trim().to_owned())
    };
    let wanted = fields.line("language")?;
    let language = contents
        .language(wanted.as_deref(), &defaults.language)
        .ok_or_else(|| {
            let wanted = wanted.as_deref().unwrap_or(&defaults.language);
            let why = format!(
                "there is no content in `{wanted}`, nor in the default language `{}`; there is {}",
                defaults.language,
                contents.languages()
            );
            fields.wrong("language", &why)
        })?;
    let receiver = NewReceiver {
        identity,
        name,
        user: fields.line("user")?.filter(|user| !user.is_empty()),
        language,
        rendered: None,
        backend,
        metadata: metadata(&mut fields),
    };
    Ok((receiver, context))
}
