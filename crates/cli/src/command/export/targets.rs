//! The targets of a configuration, as far as other services can have them.

use std::path::Path;

use reflexarc_diagnostic::toml::{DeTable, DeValue, Spanned};
use reflexarc_service::config::read_file;

use super::secret_text::SecretText;
use crate::config_args::load_without_secrets;
use crate::exit::Failure;

/// The targets that rules may name.
pub(super) enum ConfiguredTargets {
    /// Without a configuration.
    Unknown,
    /// One for all rules, whatever they name.
    One(ConfiguredTarget),
    /// Those of a configuration.
    Of(Vec<ConfiguredTarget>),
}

/// The table of a target.
#[derive(Debug)]
pub(super) struct ConfiguredTarget {
    pub(super) name: String,
    pub(super) kind: TargetKind,
    pub(super) retry: Retry,
}

/// What a target is.
#[derive(Debug)]
pub(super) enum TargetKind {
    Webhook {
        url: SecretText,
        /// Keys that no service has for it.
        omitted: Vec<&'static str>,
    },
    DingTalk {
        /// The robot's address with its token.
        url: SecretText,
        secret: Option<SecretText>,
    },
    Email {
        from: String,
        to: Vec<String>,
    },
    /// Any other type.
    Other(String),
}

/// How a target is called again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retry {
    /// The default.
    Exponential,
    Backoff,
    /// Delays of its own.
    Own,
}

impl ConfiguredTargets {
    /// The targets of a configuration. A faulty one is refused: a target without its address would
    /// be exported without it.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        load_without_secrets(path)?;
        let failed = |error: String| Failure::Invalid(format!("{}: {error}", path.display()));
        let (_, text) = read_file(path).map_err(|found| Failure::Rules(vec![found]))?;
        let root = DeTable::parse(&text).map_err(|error| failed(error.to_string()))?;
        let tables = root.get_ref().get("targets").map(Spanned::get_ref);
        let Some(DeValue::Table(tables)) = tables else {
            return Ok(Self::Of(Vec::new()));
        };
        let targets = tables.iter().filter_map(|(name, table)| {
            let name = name.get_ref().to_string();
            table.get_ref().as_table().map(|table| target(name, table))
        });
        Ok(Self::Of(targets.collect()))
    }

    /// The address that gets all events.
    pub(super) fn one(url: &str) -> Self {
        Self::One(ConfiguredTarget {
            name: "reflexarc".to_owned(),
            kind: TargetKind::Webhook {
                url: SecretText::plain(url),
                omitted: Vec::new(),
            },
            retry: Retry::Exponential,
        })
    }
}

fn target(name: String, table: &DeTable<'_>) -> ConfiguredTarget {
    let value = |key: &str| table.get(key).map(Spanned::get_ref);
    let text = |key: &str| value(key).and_then(DeValue::as_str).unwrap_or_default();
    let secret = |key: &str| value(key).and_then(SecretText::of_value);
    let kind = match text("type") {
        "webhook" => TargetKind::Webhook {
            url: value("url")
                .and_then(|url| SecretText::of_url(url, &name))
                .unwrap_or_default(),
            omitted: ["secret", "headers"]
                .into_iter()
                .filter(|key| value(key).is_some())
                .collect(),
        },
        "dingtalk" => {
            let endpoint = match text("endpoint") {
                "" => "https://oapi.dingtalk.com/robot/send",
                endpoint => endpoint,
            };
            let url = SecretText::plain(format!("{endpoint}?access_token="));
            TargetKind::DingTalk {
                url: url.followed_by(secret("token").unwrap_or_default()),
                secret: secret("secret"),
            }
        }
        "email" => TargetKind::Email {
            from: text("from").to_owned(),
            to: value("to").map(addresses).unwrap_or_default(),
        },
        other => TargetKind::Other(other.to_owned()),
    };
    let retry = match value("retry") {
        None => Retry::Exponential,
        Some(value) => match value.as_str() {
            Some("exponential") => Retry::Exponential,
            Some("backoff") => Retry::Backoff,
            _ => Retry::Own,
        },
    };
    ConfiguredTarget { name, kind, retry }
}

fn addresses(value: &DeValue<'_>) -> Vec<String> {
    match value {
        DeValue::String(text) => vec![text.to_string()],
        DeValue::Array(values) => values
            .iter()
            .filter_map(|value| value.get_ref().as_str().map(str::to_owned))
            .collect(),
        _ => Vec::new(),
    }
}
