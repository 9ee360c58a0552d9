//! The default credential chain of the official SDKs: environment variables, the profile of the
//! Alibaba Cloud CLI (`~/.aliyun/config.json`), the shared profile file
//! (`~/.alibabacloud/credentials.ini`), and the role of the instance.
//!
//! What the chain finds but this program cannot use is an error, not a reason to go on: the next
//! link could be the key of another account.

use std::path::{Path, PathBuf};

use reflexarc_event::Json;

use super::ConfigContext;
use crate::target::alibaba::{AccessKey, is_role_name};

/// What the chain finds.
pub(super) enum DefaultCredentials {
    /// A key, permanent or temporary.
    Key(AccessKey),
    /// The role of the instance, with its name where one is set.
    Role(Option<String>),
}

/// Goes through the chain. Files are read once, with the configuration, and watched.
pub(super) fn default_credentials(
    context: &ConfigContext<'_>,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<DefaultCredentials, String> {
    // An empty variable counts as unset, as in the SDKs.
    let variable = |name: &str| environment(name).filter(|value| !value.is_empty());
    let profile = variable("ALIBABA_CLOUD_PROFILE");
    let found = match from_environment(&variable)? {
        Some(key) => Some(DefaultCredentials::Key(key)),
        None => from_files(context, &variable, profile.as_deref())?,
    };
    let found = match (found, profile) {
        (Some(found), _) => found,
        // It was named, so that another key is not meant.
        (None, Some(profile)) => {
            return Err(format!("no profile `{profile}` in the profile files"));
        }
        (None, None) => {
            let is_off = variable("ALIBABA_CLOUD_ECS_METADATA_DISABLED");
            if is_off.is_some_and(|off| off.eq_ignore_ascii_case("true")) {
                return Err("no key in the environment and in the profile files".to_owned());
            }
            role(variable("ALIBABA_CLOUD_ECS_METADATA"))?
        }
    };
    if let DefaultCredentials::Key(key) = &found {
        context.record_key(key);
    }
    Ok(found)
}

fn from_environment(
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<AccessKey>, String> {
    const ID: &str = "ALIBABA_CLOUD_ACCESS_KEY_ID";
    const SECRET: &str = "ALIBABA_CLOUD_ACCESS_KEY_SECRET";
    match (variable(ID), variable(SECRET)) {
        (Some(id), Some(secret)) => Ok(Some(AccessKey {
            id,
            secret: secret.into(),
            security_token: variable("ALIBABA_CLOUD_SECURITY_TOKEN").map(Into::into),
        })),
        (Some(_), None) => Err(format!(
            "the environment variable {ID} is set, {SECRET} is not"
        )),
        (None, Some(_)) => Err(format!(
            "the environment variable {SECRET} is set, {ID} is not"
        )),
        (None, None) if variable("ALIBABA_CLOUD_OIDC_TOKEN_FILE").is_some() => {
            Err("a role by OIDC token (ALIBABA_CLOUD_OIDC_TOKEN_FILE) is not supported".to_owned())
        }
        (None, None) => Ok(None),
    }
}

fn from_files(
    context: &ConfigContext<'_>,
    variable: &dyn Fn(&str) -> Option<String>,
    profile: Option<&str>,
) -> Result<Option<DefaultCredentials>, String> {
    let home = variable("HOME").map(PathBuf::from);
    let is_off = variable("ALIBABA_CLOUD_CLI_PROFILE_DISABLED");
    let cli = home.as_deref().map(|home| home.join(".aliyun/config.json"));
    if let Some(path) = cli.filter(|_| !is_off.is_some_and(|off| off.eq_ignore_ascii_case("true")))
        && let Some(bytes) = context.optional_file(&path)?
        && let Some(found) = in_file(&path, cli_profile(&bytes, profile))?
    {
        return Ok(Some(found));
    }
    let named = variable("ALIBABA_CLOUD_CREDENTIALS_FILE").map(PathBuf::from);
    let ini = home.map(|home| home.join(".alibabacloud/credentials.ini"));
    let Some(path) = named.clone().or(ini) else {
        return Ok(None);
    };
    match context.optional_file(&path)? {
        Some(bytes) => in_file(&path, ini_profile(&bytes, profile.unwrap_or("default"))),
        None if named.is_some() => Err(format!(
            "the file {} of ALIBABA_CLOUD_CREDENTIALS_FILE does not exist",
            path.display()
        )),
        None => Ok(None),
    }
}

fn in_file<T>(path: &Path, found: Result<T, String>) -> Result<T, String> {
    found.map_err(|reason| format!("{}: {reason}", path.display()))
}

fn role(name: Option<String>) -> Result<DefaultCredentials, String> {
    match name {
        Some(name) if !is_role_name(&name) => Err("invalid name of a role".to_owned()),
        name => Ok(DefaultCredentials::Role(name)),
    }
}

/// The profile with this name, or the current one, of the CLI's file:
///
/// ```json
/// {"current": "default", "profiles": [{"name": "default", "mode": "AK", "access_key_id": "…", …}]}
/// ```
fn cli_profile(bytes: &[u8], name: Option<&str>) -> Result<Option<DefaultCredentials>, String> {
    // Without the parser's message, which may quote a part of a key.
    let json = Json::parse(bytes).map_err(|_| "invalid JSON".to_owned())?;
    let text = |json: &Json, key: &str| json.get(key).and_then(Json::as_str).map(str::to_owned);
    let current = text(&json, "current");
    let Some(name) = name.or(current.as_deref()) else {
        return Ok(None);
    };
    let profiles = json.get("profiles").map(Json::elements).unwrap_or_default();
    let mut named = profiles.iter();
    let Some(profile) = named.find(|profile| text(profile, "name").as_deref() == Some(name)) else {
        return Ok(None);
    };
    let get = |key: &str| text(profile, key);
    let mode = get("mode").unwrap_or_default();
    let found = match mode.as_str() {
        "AK" => key(&get, None)?,
        "StsToken" => key(&get, Some("sts_token"))?,
        "EcsRamRole" => role(get("ram_role_name").filter(|name| !name.is_empty()))?,
        mode => {
            return Err(format!(
                "the profile `{name}` has the mode `{mode}`; supported are AK, StsToken and \
                 EcsRamRole"
            ));
        }
    };
    Ok(Some(found))
}

/// The section with this name of a shared profile file:
///
/// ```text
/// [default]
/// type = access_key
/// access_key_id = …
/// access_key_secret = …
/// ```
fn ini_profile(bytes: &[u8], name: &str) -> Result<Option<DefaultCredentials>, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "not UTF-8".to_owned())?;
    let mut section = None;
    let mut values: Vec<(String, String)> = Vec::new();
    let mut is_found = false;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(header) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            section = Some(header.trim());
            is_found |= section == Some(name);
            continue;
        }
        let Some((key, value)) = line.split_once(['=', ':']) else {
            // Only its number: the line may hold a secret.
            return Err(format!("line {}: expected `key = value`", index + 1));
        };
        if section == Some(name) {
            let value = value.split('#').next().unwrap_or_default().trim();
            values.push((key.trim().to_ascii_lowercase(), value.to_owned()));
        }
    }
    if !is_found {
        return Ok(None);
    }
    let get = |key: &str| {
        let mut values = values.iter();
        let found = values.find(|(name, _)| name == key);
        found.map(|(_, value)| value.clone())
    };
    let kind = get("type").unwrap_or_default();
    let found = match kind.as_str() {
        "access_key" => key(&get, None)?,
        "sts" => key(&get, Some("security_token"))?,
        "ecs_ram_role" => role(get("role_name").filter(|name| !name.is_empty()))?,
        kind => {
            return Err(format!(
                "the profile `{name}` has the type `{kind}`; supported are access_key, sts and \
                 ecs_ram_role"
            ));
        }
    };
    Ok(Some(found))
}

/// The key of a profile; with a token, under this name, if it is a temporary one.
fn key(
    get: &dyn Fn(&str) -> Option<String>,
    token: Option<&str>,
) -> Result<DefaultCredentials, String> {
    let required = |name: &str| {
        let value = get(name).filter(|value| !value.is_empty());
        value.ok_or_else(|| format!("missing `{name}` in the profile"))
    };
    Ok(DefaultCredentials::Key(AccessKey {
        id: required("access_key_id")?,
        secret: required("access_key_secret")?.into(),
        security_token: token.map(required).transpose()?.map(Into::into),
    }))
}
