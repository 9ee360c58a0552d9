//! The keys of a target with `type = "webhook"`.

use reflexarc_diagnostic::{Code, Severity};
use secrecy::ExposeSecret;

use super::ConfigTable;
use super::network::{check_address, egress, headers};
use super::policies::answers;
use super::urls::url_or_reference;
use crate::target::webhook::{BodyTemplate, Webhook, signing_key};

pub(super) fn webhook(keys: &ConfigTable<'_>) -> Option<Webhook> {
    let help = "the address to post to: url = \"https://example.com/hook\"";
    let address = url_or_reference(keys, "url", help);
    let key = keys.secret("secret").and_then(|secret| {
        let key = signing_key(secret.expose_secret());
        if key.is_none() {
            let message = "invalid secret: expected base64 after `whsec_`";
            let help = "copy it again, or use one that does not begin with `whsec_`";
            keys.fault("secret", Code::CONFIG_SECRET, message, help);
        }
        key
    });
    let headers = headers(keys);
    let body = body(keys);
    let answers = answers(keys, 300..=599);
    let (policy, client) = egress(keys, address.as_ref())?;
    let address = address?;
    // Checked again at each send, for names. Here an address that can never be called is found
    // before the first delivery.
    check_address(keys, "url", policy.check_url(&address));
    // A secret that cannot be read must not make an unsigned webhook.
    if key.is_none() && keys.has("secret") {
        return None;
    }
    // A template that is wrong must not make CloudEvents.
    if body.is_none() && keys.has("body") {
        return None;
    }
    let webhook = Webhook::new(address, policy, client, key.map(Into::into), headers);
    Some(webhook.with_answers(answers).with_body(body))
}

/// `body`, a template, and `content_type`. What is wrong is reported at its place in the template.
pub(super) fn body(keys: &ConfigTable<'_>) -> Option<BodyTemplate> {
    let content_type = keys.string("content_type");
    let Some(source) = keys.embedded("body") else {
        if keys.has("content_type") && !keys.has("body") {
            let message = "`content_type` without `body`";
            let help = "the body is a CloudEvent; set `body` to a template, or remove the key";
            keys.fault("content_type", Code::CONFIG_VALUE, message, help);
        }
        return None;
    };
    let content_type = content_type.unwrap_or_else(|| "application/json".to_owned());
    if reqwest::header::HeaderValue::from_str(&content_type).is_err() {
        let message = format!("invalid content type `{content_type}`");
        let help = "write it as \"application/json\"";
        keys.fault("content_type", Code::CONFIG_VALUE, message, help);
        return None;
    }
    let (body, findings) = match BodyTemplate::new(source.text(), &content_type) {
        Ok(body) => {
            let warnings = body.warnings().to_vec();
            (Some(body), warnings)
        }
        Err(findings) => (None, findings),
    };
    for mut found in findings {
        if found.severity == Severity::Error {
            found.code = Code::CONFIG_VALUE;
        }
        keys.report(source.map_spans(found));
    }
    body
}
