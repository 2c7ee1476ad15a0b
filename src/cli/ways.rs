//! From the config to what submission and delivery need of it.

use std::sync::Arc;

use anyhow::{Context as _, bail};

use crate::{
    backend::{Credentials, Dkim, FileBackend, Proof, SecretSource, Sendmail, Smtp, SmtpSettings},
    config::{self, Backend, Config, Kind},
    delivery::{self, Direct, Policy, Way},
    inbound,
    message::{BackendFacts, SubmitDefaults, Text},
};

/// What a submission may leave out, and what it may name.
pub(super) fn submit_defaults(config: &Config) -> SubmitDefaults {
    let facts = |backend: &Backend| BackendFacts {
        mail: backend.kind.is_mail(),
        has_from: backend.from().is_some(),
    };
    SubmitDefaults {
        backend: config.default_backend().map(str::to_owned),
        language: config.delivery.default_language.clone(),
        backends: config
            .backends
            .iter()
            .map(|(name, backend)| (name.clone(), facts(backend)))
            .collect(),
    }
}

/// The From of a mail that has none and whose sender says nothing either: the default backend's.
pub(super) fn default_from(config: &Config) -> Option<&str> {
    config.backends.get(config.default_backend()?)?.from()
}

/// What the listener goes by, if there is to be one.
pub(super) fn listening(config: &Config) -> anyhow::Result<Option<inbound::Settings>> {
    let Some(listen) = &config.listen_smtp else {
        return Ok(None);
    };
    let from = default_from(config).map(str::to_owned);
    let settings = inbound::Settings::new(listen.clone(), submit_defaults(config), from)
        .context("[listen.smtp] cannot be used")?;
    Ok(Some(settings))
}

/// Every configured way out with its rules.
pub(super) fn ways(config: &Config) -> anyhow::Result<Vec<Way>> {
    if config.backends.is_empty() {
        let place = match &config.path {
            Some(path) => path.display().to_string(),
            None => "a config file (`postroom init` writes one)".to_owned(),
        };
        bail!(
            "no backend is configured, so nothing can be delivered: add [backends.email] with host = \"…\" to {place}"
        );
    }
    config
        .backends
        .iter()
        .map(|(name, backend)| way(name, backend, config))
        .collect()
}

/// One way out with its rules.
pub(super) fn way(name: &str, backend: &Backend, config: &Config) -> anyhow::Result<Way> {
    Ok(Way {
        name: name.to_owned(),
        backend: build(backend).with_context(|| format!("the backend `{name}` cannot be used"))?,
        policy: Policy {
            backoff: config.delivery.backoff.clone(),
            resend_limit: config.delivery.resend_limit(),
            retry_permanent: backend.permanent == config::Permanent::Retry,
            on_unknown: backend.on_unknown,
        },
        probe: backend.probe,
        rate: backend.rate,
    })
}

/// Why it goes no faster, for each backend with a rate: `email at most 50/s`.
pub(super) fn limits(config: &Config) -> Vec<String> {
    let limited = config.backends.iter().filter_map(|(name, backend)| {
        let name = Text::from(name.as_str());
        Some(format!("{} at most {}", name.shown(), backend.rate?))
    });
    limited.collect()
}

fn build(backend: &Backend) -> anyhow::Result<Arc<dyn delivery::Backend>> {
    // Once, so that what is wrong with a key is told before the first message.
    let dkim = backend.dkim.as_ref().map(Dkim::load).transpose()?;
    let dkim = dkim.map(Arc::new);
    match &backend.kind {
        Kind::File(settings) => Ok(Arc::new(Direct::new(
            FileBackend::new(settings.clone()).signing(dkim),
            settings.connections,
        ))),
        Kind::Sendmail(settings) => Ok(Arc::new(Sendmail::new(settings.clone()).signing(dkim))),
        Kind::Smtp(settings) => {
            if let Some(Credentials {
                proof: Proof::Password(source),
                ..
            }) = &settings.credentials
            {
                // It is read again for each connection; a mistake is told before the first.
                source.check().with_context(|| match source {
                    SecretSource::File(_) => "password_file: the password cannot be had",
                    SecretSource::Env(_) => "password_env: the password cannot be had",
                })?;
            }
            Ok(Arc::new(
                Smtp::new(SmtpSettings::clone(settings))?.signing(dkim),
            ))
        }
    }
}
