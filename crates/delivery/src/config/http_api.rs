//! Targets of type `http`.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reflexarc_diagnostic::Code;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use super::calls::{CallKeys, operation_patterns};
use super::network::{authorities, check_call_address, headers, networks, report_client};
use super::urls::url_or_reference;
use super::{ConfigTable, Secrets};
use crate::http::EgressPolicy;
use crate::operation_patterns::OperationPatterns;
use crate::target::http_api::{HTTP_READS, HttpApi, HttpApiSettings, is_operation_pattern};

/// Reads the keys of the API. All of them are looked up, whatever is wrong with earlier ones.
pub(super) fn http_api(
    keys: &ConfigTable<'_>,
    calls: &CallKeys,
    timeout: Duration,
) -> Option<HttpApi> {
    let before = keys.context().secret_count();
    let help = "the address that paths of operations are below: url = \"https://cmdb.example.com\"";
    let base = url_or_reference(keys, "url", help);
    let allow = if keys.has("allow") {
        patterns(keys, "allow")
    } else {
        Some(OperationPatterns::new(HTTP_READS))
    };
    let idempotent = if keys.has("idempotent") {
        patterns(keys, "idempotent")
    } else {
        Some(OperationPatterns::default())
    };
    let mut headers = headers(keys);
    let authorization = authorization(keys, &mut headers);
    let egress = EgressPolicy {
        allowed: networks(keys, "networks"),
    };
    let authorities = authorities(keys);
    // After everything was looked up: a key that was not would be reported as unknown.
    let base = base?;
    check_call_address(keys, "url", egress.check_url(&base));
    authorization?;
    let settings = HttpApiSettings {
        base,
        egress,
        authorities: authorities?,
        headers,
        // Those of this target: headers, token, password, and what may be secret in the address.
        secrets: keys.context().secrets_since(before),
        allow: allow?,
        idempotent: idempotent?,
        dry_run: calls.dry_run.unwrap_or(false),
        timeout,
    };
    let api = HttpApi::new(settings).map_err(|error| report_client(keys, &error));
    api.ok()
}

fn patterns(keys: &ConfigTable<'_>, key: &str) -> Option<OperationPatterns> {
    operation_patterns(keys, key, |pattern| {
        if is_operation_pattern(pattern) {
            Ok(())
        } else if pattern.parse::<ipnet::IpNet>().is_ok() {
            Err("write networks as `networks`; `allow` has operations, such as \"GET *\"".into())
        } else {
            Err("write a method and a path, such as \"GET *\" or \"DELETE /enis/{id}\"".into())
        }
    })
}

/// Adds the header of `bearer` or `basic`. `None` if one of them cannot be read: without it the
/// requests would be those of another caller.
fn authorization(
    keys: &ConfigTable<'_>,
    headers: &mut Vec<(reqwest::header::HeaderName, HeaderValue)>,
) -> Option<()> {
    let bearer = keys.has("bearer").then(|| {
        let token = keys.secret("bearer")?;
        Some(format!("Bearer {}", token.expose_secret()))
    });
    let basic = keys.has("basic").then(|| basic(keys));
    let text = match (bearer, basic) {
        (None, None) => return Some(()),
        (Some(text), None) | (None, Some(text)) => text?,
        (Some(_), Some(_)) => {
            let message = "both `bearer` and `basic` are set";
            keys.fault("basic", Code::CONFIG_VALUE, message, "keep one of them");
            return None;
        }
    };
    // An API would take one of the two, and which is unknown.
    if headers.iter().any(|(name, _)| name == AUTHORIZATION) {
        let message = "the header `authorization` is set twice";
        let help = "keep it in `headers`, or `bearer` or `basic`";
        keys.fault("headers", Code::CONFIG_VALUE, message, help);
        return None;
    }
    let Ok(mut value) = HeaderValue::from_str(&text) else {
        let message = "invalid secret: it does not fit into a header";
        let key = if keys.has("bearer") {
            "bearer"
        } else {
            "basic"
        };
        keys.fault(
            key,
            Code::CONFIG_SECRET,
            message,
            "store a single line of ASCII",
        );
        return None;
    };
    value.set_sensitive(true);
    headers.push((AUTHORIZATION, value));
    Some(())
}

/// `basic = { user = "reflexarc", password = { env = "CMDB_PASSWORD" } }`.
fn basic(keys: &ConfigTable<'_>) -> Option<String> {
    let table = keys.table("basic")?;
    let user = table.required_string("user", "the name to log in with");
    if !table.has("password") {
        table.missing("password", "password = { env = \"CMDB_PASSWORD\" }");
    }
    let password = table.secret("password");
    table.finish();
    let (user, password): (String, SecretString) = (user?, password?);
    let pair = STANDARD.encode(format!("{user}:{}", password.expose_secret()));
    if matches!(keys.context().mode(), Secrets::Resolve(_)) {
        // An API that repeats the header has it in this form.
        keys.context().record_secrets([pair.clone()]);
    }
    Some(format!("Basic {pair}"))
}
