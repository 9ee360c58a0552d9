//! The signature `ACS3-HMAC-SHA256`, documented as "V3 request structure and signature method"
//! at
//! <https://www.alibabacloud.com/help/en/sdk/product-overview/v3-request-structure-and-signature>.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::http::percent_encode;

/// What is signed of a request besides the headers that come with the signature.
pub(super) struct SignedRequest<'a> {
    pub(super) action: &'a str,
    pub(super) version: &'a str,
    /// The host, with the port if it is not that of the scheme, as in the header `Host`.
    pub(super) host: &'a str,
    /// Names and values of the query, not encoded.
    pub(super) query: &'a BTreeMap<String, String>,
    /// The form in the body; empty for none.
    pub(super) form: &'a str,
}

/// A key pair, with the token that a temporary one has.
pub(super) struct SigningKey<'a> {
    pub(super) id: &'a str,
    pub(super) secret: &'a str,
    pub(super) token: Option<&'a str>,
}

const ALGORITHM: &str = "ACS3-HMAC-SHA256";
/// The content type of a form.
pub(super) const FORM: &str = "application/x-www-form-urlencoded";

/// The headers of a signed request except `host`, the signature among them; and the signature.
///
/// The official SDKs sign `accept` and `user-agent` too; the documentation requires `host`,
/// `content-type` and all `x-acs-*`. A proxy on the way may change the others.
pub(super) fn sign(
    request: &SignedRequest<'_>,
    key: &SigningKey<'_>,
    time: Timestamp,
    nonce: &str,
) -> (Vec<(&'static str, String)>, String) {
    let body_hash = hex::encode(Sha256::digest(request.form));
    let mut headers = vec![
        ("x-acs-action", request.action.to_owned()),
        ("x-acs-content-sha256", body_hash.clone()),
        ("x-acs-date", seconds(time)),
        ("x-acs-signature-nonce", nonce.to_owned()),
        ("x-acs-version", request.version.to_owned()),
    ];
    if !request.form.is_empty() {
        headers.push(("content-type", FORM.to_owned()));
    }
    if let Some(token) = key.token {
        headers.push(("x-acs-accesskey-id", key.id.to_owned()));
        headers.push(("x-acs-security-token", token.to_owned()));
    }
    // In the order of their names, each once, as the canonical form has them.
    let mut signed: BTreeMap<&str, &str> = headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    signed.insert("host", request.host);
    let names = signed.keys().copied().collect::<Vec<_>>().join(";");
    let canonical = canonical_request(request.query, &signed, &names, &body_hash);
    let text = format!("{ALGORITHM}\n{}", hex::encode(Sha256::digest(canonical)));
    let mut mac = Hmac::<Sha256>::new_from_slice(key.secret.as_bytes())
        .expect("HMAC accepts keys of any length");
    mac.update(text.as_bytes());
    let signature = hex::encode(mac.finalize().into_bytes());
    let id = key.id;
    headers.push((
        "authorization",
        format!("{ALGORITHM} Credential={id},SignedHeaders={names},Signature={signature}"),
    ));
    (headers, signature)
}

/// The query as it is signed and sent: encoded, in the order of the names.
pub(super) fn canonical_query(query: &BTreeMap<String, String>) -> String {
    let pair = |(name, value): (&String, &String)| {
        format!("{}={}", percent_encode(name), percent_encode(value))
    };
    query.iter().map(pair).collect::<Vec<_>>().join("&")
}

/// Method, path, query, headers with a newline after each, their names, and the hash of the body,
/// separated by newlines:
///
/// ```text
/// POST
/// /
/// RegionId=cn-hangzhou&VSwitchId=vsw-1
/// host:ecs.cn-hangzhou.aliyuncs.com
/// x-acs-action:CreateNetworkInterface
///
/// host;x-acs-action
/// e3b0c442…
/// ```
fn canonical_request(
    query: &BTreeMap<String, String>,
    headers: &BTreeMap<&str, &str>,
    names: &str,
    body_hash: &str,
) -> String {
    let query = canonical_query(query);
    let lines = headers
        .iter()
        .map(|(name, value)| format!("{name}:{}\n", value.trim()));
    let lines = lines.collect::<Vec<_>>().concat();
    format!("POST\n/\n{query}\n{lines}\n{names}\n{body_hash}")
}

/// `2026-01-01T00:00:00Z`: the API accepts no fractions of a second.
fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(token: Option<&str>, form: &str) -> String {
        let query = BTreeMap::from([
            ("Filter.1.Value".to_owned(), "网卡 a*~/".to_owned()),
            ("RegionId".to_owned(), "cn-hangzhou".to_owned()),
            ("Empty".to_owned(), String::new()),
        ]);
        let request = SignedRequest {
            action: "DescribeNetworkInterfaces",
            version: "2014-05-26",
            host: "ecs.cn-hangzhou.aliyuncs.com",
            query: &query,
            form,
        };
        let key = SigningKey {
            id: "LTAI-example",
            secret: "example-secret",
            token,
        };
        let time = "2026-01-02T03:04:05.678Z".parse().unwrap();
        let (headers, signature) = sign(&request, &key, time, "5f2c");
        let (_, authorization) = headers.last().unwrap();
        assert!(authorization.ends_with(&format!("Signature={signature}")));
        authorization.clone()
    }

    // Computed by `Utils.get_authorization` of the Python package alibabacloud-tea-openapi 0.4.6.
    #[test]
    fn signatures_are_those_of_the_official_sdk() {
        assert_eq!(
            signature(None, ""),
            "ACS3-HMAC-SHA256 Credential=LTAI-example,\
             SignedHeaders=host;x-acs-action;x-acs-content-sha256;x-acs-date;\
             x-acs-signature-nonce;x-acs-version,\
             Signature=d6b3d93174592fd90830b4a6d16a21291ba0b105df437169b497eabf7188b170"
        );
        assert_eq!(
            signature(Some("token+/="), ""),
            "ACS3-HMAC-SHA256 Credential=LTAI-example,\
             SignedHeaders=host;x-acs-accesskey-id;x-acs-action;\
             x-acs-content-sha256;x-acs-date;x-acs-security-token;\
             x-acs-signature-nonce;x-acs-version,\
             Signature=d29e27bf82194bcca505cbc3e052e8c62ad6bc986457e43f63213d47d8fc2de1"
        );
        assert_eq!(
            signature(None, "PageSize=10"),
            "ACS3-HMAC-SHA256 Credential=LTAI-example,\
             SignedHeaders=content-type;host;x-acs-action;x-acs-content-sha256;\
             x-acs-date;x-acs-signature-nonce;x-acs-version,\
             Signature=66cc7e4703d6063ad95ffebd80fc7a3324079e51952c2d56d0ac6ac698ac66e7"
        );
    }
}
