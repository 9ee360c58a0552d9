//! `credentials` of a target of type `alibaba`.

use reflexarc_diagnostic::Code;
use reflexarc_diagnostic::toml::{DeValue, ValueShape};
use reqwest::Url;
use secrecy::ExposeSecret;

use super::default_credentials::{DefaultCredentials, default_credentials};
use super::urls::is_loopback;
use super::{ConfigTable, Secrets};
use crate::http::ClientError;
use crate::target::alibaba::{AccessKey, CredentialSource, InstanceRole, is_role_name};

/// How to write them, for every message about them.
const HELP: &str = "write { access_key_id = { env = \"ALIBABA_CLOUD_ACCESS_KEY_ID\" }, \
                    access_key_secret = { env = \"ALIBABA_CLOUD_ACCESS_KEY_SECRET\" } }, \
                    \"ecs-role\" for the role of the instance, or \"default\" for the default \
                    chain of the official SDKs";

/// Reads `credentials`, which are never implicit: a key that happens to be in the environment is
/// not used unless it is written.
pub(super) fn credentials(keys: &ConfigTable<'_>) -> Option<CredentialSource> {
    let value = keys.lookup("credentials");
    if keys.is_recording() {
        keys.declare(
            "credentials",
            vec![ValueShape::Word(vec!["ecs-role", "default"])],
        );
        if let Some(table) = keys.table("credentials") {
            named_role(&table);
            key_pair(&table);
        }
    }
    let Some(value) = value else {
        keys.missing("credentials", HELP);
        return None;
    };
    match value.get_ref() {
        DeValue::Table(_) => table(keys.table("credentials")?),
        DeValue::String(text) if text == "ecs-role" => role(keys, InstanceRole::new(None)),
        DeValue::String(text) if text == "default" => default(keys),
        // Without the text, which may be a key.
        _ => {
            let message = "invalid `credentials`";
            keys.fault("credentials", Code::CONFIG_VALUE, message, HELP);
            None
        }
    }
}

/// `{ access_key_id, access_key_secret, security_token }`, or `{ ecs_role, metadata }`.
fn table(keys: ConfigTable<'_>) -> Option<CredentialSource> {
    let source = if keys.has("ecs_role") {
        named_role(&keys)
    } else {
        key_pair(&keys)
    };
    keys.finish();
    source
}

fn key_pair(keys: &ConfigTable<'_>) -> Option<CredentialSource> {
    for key in ["access_key_id", "access_key_secret"] {
        if !keys.has(key) {
            keys.missing_one_of(&[key, "ecs_role"], HELP);
        }
    }
    let (id, secret) = (
        keys.secret("access_key_id"),
        keys.secret("access_key_secret"),
    );
    let security_token = keys.secret("security_token");
    // A token that cannot be read must not make a permanent key of a temporary one.
    if keys.has("security_token") && security_token.is_none() {
        return None;
    }
    Some(CredentialSource::Key(AccessKey {
        id: id?.expose_secret().to_owned(),
        secret: secret?,
        security_token,
    }))
}

fn named_role(keys: &ConfigTable<'_>) -> Option<CredentialSource> {
    let name = keys.string("ecs_role");
    let service = keys.has("metadata").then(|| metadata(keys));
    let name = name?;
    if !is_role_name(&name) {
        let message = format!("invalid name of a role `{name}`");
        let help = "write the name of the RAM role, such as ecs_role = \"reflexarc\"";
        keys.fault("ecs_role", Code::CONFIG_VALUE, message, help);
        return None;
    }
    match service {
        Some(service) => role(keys, InstanceRole::with_stand_in(Some(name), service?)),
        None => role(keys, InstanceRole::new(Some(name))),
    }
}

/// `metadata`: a stand-in for the metadata service, on this machine.
fn metadata(keys: &ConfigTable<'_>) -> Option<Url> {
    let url = Url::parse(&keys.string("metadata")?).ok();
    let url = url.filter(|url| url.scheme() == "http" && is_loopback(url) && url.path() == "/");
    if url.is_none() {
        // Another machine would hand out the keys that everything is signed with.
        let message = "invalid `metadata`: expected http and an address of this machine";
        let help = "write it as \"http://127.0.0.1:8100\", or remove it for the metadata service";
        keys.fault("metadata", Code::CONFIG_VALUE, message, help);
    }
    url
}

fn role(
    keys: &ConfigTable<'_>,
    role: Result<InstanceRole, ClientError>,
) -> Option<CredentialSource> {
    let role = role.map_err(|error| {
        let message = format!("no HTTP client for the metadata service: {error}");
        keys.fault("credentials", Code::CONFIG_VALUE, message, HELP);
    });
    Some(CredentialSource::InstanceRole(role.ok()?))
}

/// `"default"`: what the default chain of the official SDKs finds when the configuration is read.
fn default(keys: &ConfigTable<'_>) -> Option<CredentialSource> {
    let Secrets::Resolve(environment) = keys.context().mode() else {
        let nothing = AccessKey {
            id: String::new(),
            secret: String::new().into(),
            security_token: None,
        };
        return Some(CredentialSource::Key(nothing));
    };
    match default_credentials(keys.context(), environment) {
        Ok(DefaultCredentials::Key(key)) => Some(CredentialSource::Key(key)),
        Ok(DefaultCredentials::Role(name)) => role(keys, InstanceRole::new(name)),
        Err(reason) => {
            let message = format!("no credentials in the default chain: {reason}");
            keys.fault("credentials", Code::CONFIG_SECRET, message, HELP);
            None
        }
    }
}
