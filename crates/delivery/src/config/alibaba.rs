//! Targets of type `alibaba`.

use std::time::Duration;

use reflexarc_diagnostic::Code;
use reqwest::Url;

use super::ConfigTable;
use super::calls::{CallKeys, operation_patterns};
use super::credentials::credentials;
use super::network::{authorities, check_call_address, networks, report_client};
use super::urls::is_loopback;
use crate::http::EgressPolicy;
use crate::operation_patterns::OperationPatterns;
use crate::target::alibaba::{
    AlibabaApi, AlibabaSettings, ECS, ECS_READS, ECS_VERSION, ParameterStyle, regional_host,
};

const STYLES: [(&str, ParameterStyle); 2] = [
    ("query", ParameterStyle::Query),
    ("form", ParameterStyle::Form),
];

/// Reads the keys of the API. All of them are looked up, whatever is wrong with earlier ones.
pub(super) fn alibaba(
    keys: &ConfigTable<'_>,
    calls: &CallKeys,
    timeout: Duration,
) -> Option<AlibabaApi> {
    let product = if keys.has("product") {
        label(keys, "product")
    } else {
        Some(ECS.to_owned())
    };
    let is_ecs = product.as_deref() == Some(ECS);
    let version = version(keys, is_ecs);
    let region = label(keys, "region");
    let allow = allow(keys, is_ecs);
    let style = keys.choice("parameters", &STYLES).unwrap_or_default();
    let endpoint = if keys.has("endpoint") {
        endpoint(keys)
    } else if !keys.has("region") {
        let help =
            "the region to call, such as region = \"cn-hangzhou\"; or the host, as `endpoint`";
        keys.missing_one_of(&["region", "endpoint"], help);
        None
    } else {
        let names = product.as_deref().zip(region.as_deref());
        names.and_then(|(product, region)| {
            Url::parse(&format!("https://{}/", regional_host(product, region))).ok()
        })
    };
    let authorities = authorities(keys);
    let credentials = credentials(keys);
    // The operator has written product, region and endpoint, so that private addresses are meant.
    let mut egress = EgressPolicy::operator_hosts();
    egress.allowed.extend(networks(keys, "networks"));
    if let Some(endpoint) = &endpoint {
        check_call_address(keys, "endpoint", egress.check_url(endpoint));
    }
    let is_on_this_machine = endpoint.as_ref().is_some_and(is_loopback);
    let settings = AlibabaSettings {
        product: product?,
        version: version?,
        region,
        endpoint: endpoint?,
        egress,
        authorities: authorities?,
        credentials: credentials?,
        allow: allow?,
        // What is not on this machine is the real cloud: changes have to be switched on there.
        dry_run: calls.dry_run.unwrap_or(!is_on_this_machine),
        style,
        timeout,
    };
    let api = AlibabaApi::new(settings).map_err(|error| report_client(keys, &error));
    api.ok()
}

/// `version`, which only `ecs` has a default for.
fn version(keys: &ConfigTable<'_>, is_ecs: bool) -> Option<String> {
    if !keys.has("version") {
        if is_ecs {
            return Some(ECS_VERSION.to_owned());
        }
        let help = "the version of the product's API, such as version = \"2016-04-28\" of vpc";
        keys.missing("version", help);
    }
    label(keys, "version")
}

/// `allow`, which only `ecs` has a default for.
fn allow(keys: &ConfigTable<'_>, is_ecs: bool) -> Option<OperationPatterns> {
    if !keys.has("allow") {
        if is_ecs {
            return Some(OperationPatterns::new(ECS_READS));
        }
        let help = "the operations that rules may call, such as allow = [\"Describe*\"]";
        keys.missing("allow", help);
    }
    operation_patterns(keys, "allow", |pattern| {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'*';
        if !pattern.is_empty() && pattern.bytes().all(is_name) {
            Ok(())
        } else {
            Err("write names of operations, such as \"DescribeInstances\" or \"Describe*\"".into())
        }
    })
}

/// A name of letters, digits, `-` and `_`, as it becomes part of a host or header.
fn label(keys: &ConfigTable<'_>, key: &str) -> Option<String> {
    let text = keys.string(key)?;
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if text.is_empty() || !text.bytes().all(is_letter) {
        let message = format!("invalid {key} `{text}`");
        let help = "expected letters, digits and `-`";
        keys.fault(key, Code::CONFIG_VALUE, message, help);
        return None;
    }
    Some(text)
}

/// `endpoint`: a URL, or a host with or without a port: over HTTPS, but for this machine.
fn endpoint(keys: &ConfigTable<'_>) -> Option<Url> {
    const HELP: &str = "write a host such as \"ecs.cn-hangzhou.aliyuncs.com\", or for a simulation \
                        on this machine a URL such as \"http://127.0.0.1:8322\"";
    let text = keys.string("endpoint")?;
    let url = if text.contains("://") {
        Url::parse(&text)
    } else {
        // A simulation listens without TLS.
        let plain = Url::parse(&format!("http://{text}"));
        plain.and_then(|plain| {
            if is_loopback(&plain) {
                Ok(plain)
            } else {
                Url::parse(&format!("https://{text}"))
            }
        })
    };
    // Paths and queries are those of the API: `/`, and the parameters.
    let is_host = |url: &Url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
    };
    let Some(url) = url.ok().filter(is_host) else {
        keys.fault("endpoint", Code::CONFIG_VALUE, "invalid `endpoint`", HELP);
        return None;
    };
    if url.scheme() == "http" && !is_loopback(&url) {
        // Requests say what is in the account, and a security token may be in their headers.
        let message = "`endpoint` without encryption: only for addresses of this machine";
        keys.fault("endpoint", Code::CONFIG_VALUE, message, "write https://");
        return None;
    }
    Some(url)
}
