//! The two signatures of the API.
//!
//! - `ACS3-HMAC-SHA256`, described in the SDK documentation as "V3 request structure and signature
//!   method": signs method, path, query, chosen headers and the hash of the body, and is sent in
//!   headers.
//! - HMAC-SHA1, described there as "V2 RPC request structure and signature method": signs the
//!   method and all parameters, and is sent as a parameter.
//!
//! Both sign a canonical form of the request, so that two requests with the same meaning have the
//! same signature. The tests have requests that the official SDK signed.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::HttpRequest;
use super::parameters::{self, Parameters};
use crate::ApiError;

/// The name of the newer signature.
const ACS3: &str = "ACS3-HMAC-SHA256";
/// Characters that are percent-encoded: all but the unreserved ones of RFC 3986. So a space is
/// `%20`, not `+`, an asterisk is `%2A`, and `~` stays, which the documentation of both signatures
/// requires.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// What a signed request claims, before the signature is verified.
pub(super) struct SignedCall {
    pub(super) action: String,
    pub(super) version: String,
    /// The id of the access key.
    pub(super) key: String,
    pub(super) time: String,
    pub(super) nonce: String,
    signature: Signature,
}

enum Signature {
    Acs3 {
        signed_headers: Vec<String>,
        signature: Vec<u8>,
    },
    Rpc {
        signature: Vec<u8>,
    },
}

impl SignedCall {
    /// Reads what a signed request must contain.
    pub(super) fn read(request: &HttpRequest, parameters: &Parameters) -> Result<Self, ApiError> {
        match request.header("authorization") {
            Some(authorization) => Self::read_acs3(request, authorization),
            None => Self::read_rpc(parameters),
        }
    }

    fn read_acs3(request: &HttpRequest, authorization: &str) -> Result<Self, ApiError> {
        let Some(fields) = authorization
            .strip_prefix(ACS3)
            .and_then(|rest| rest.strip_prefix(' '))
        else {
            return Err(invalid_signature_method());
        };
        // `Credential=AK1,SignedHeaders=host;x-acs-action,Signature=4a16…`
        let fields: BTreeMap<&str, &str> = fields
            .split(',')
            .filter_map(|field| field.trim().split_once('='))
            .collect();
        let field = |name: &str| fields.get(name).copied().filter(|value| !value.is_empty());
        let (Some(key), Some(signed), Some(signature)) = (
            field("Credential"),
            field("SignedHeaders"),
            field("Signature").and_then(|text| hex::decode(text).ok()),
        ) else {
            return Err(incomplete_signature());
        };
        let signed_headers: Vec<String> = signed.split(';').map(str::to_ascii_lowercase).collect();
        // Headers that change what the request does must be signed, or they could be added on the
        // way.
        let must_be_signed = |name: &str| {
            name == "host" || (name.starts_with("x-acs-") && name != "x-acs-security-token")
        };
        let mut names = request
            .headers
            .iter()
            .map(|(name, _)| name.to_ascii_lowercase());
        if names.any(|name| must_be_signed(&name) && !signed_headers.contains(&name)) {
            return Err(incomplete_signature());
        }
        let header = |name: &str, parameter: &str| {
            let value = request.header(name).filter(|value| !value.is_empty());
            value
                .map(str::to_owned)
                .ok_or_else(|| parameters::missing(parameter))
        };
        Ok(Self {
            action: header("x-acs-action", "Action")?,
            version: header("x-acs-version", "Version")?,
            key: key.to_owned(),
            time: header("x-acs-date", "Timestamp")?,
            nonce: header("x-acs-signature-nonce", "SignatureNonce")?,
            signature: Signature::Acs3 {
                signed_headers,
                signature,
            },
        })
    }

    fn read_rpc(parameters: &Parameters) -> Result<Self, ApiError> {
        let required = |name: &str| parameters.required(name).map(str::to_owned);
        let action = required("Action")?;
        let key = required("AccessKeyId")?;
        let signature = required("Signature")?;
        if parameters.required("SignatureMethod")? != "HMAC-SHA1" {
            return Err(invalid_signature_method());
        }
        if parameters.required("SignatureVersion")? != "1.0" {
            let message = "Specified signature version is not valid.";
            return Err(ApiError::new(400, "InvalidSignatureVersion", message));
        }
        let Ok(signature) = BASE64.decode(signature) else {
            return Err(incomplete_signature());
        };
        Ok(Self {
            action,
            version: required("Version")?,
            key,
            time: required("Timestamp")?,
            nonce: required("SignatureNonce")?,
            signature: Signature::Rpc { signature },
        })
    }
}

/// Verifies the signature of a call. `verify_slice` compares in constant time, so the time of the
/// response does not reveal how much of a forged signature is right.
pub(super) fn verify(
    request: &HttpRequest,
    parameters: &Parameters,
    call: &SignedCall,
    secret: &str,
) -> Result<(), ApiError> {
    let (is_valid, string_to_sign) = match &call.signature {
        Signature::Acs3 {
            signed_headers,
            signature,
        } => {
            let hash = hex::encode(Sha256::digest(&request.body));
            let claimed = request.header("x-acs-content-sha256");
            if claimed.is_some_and(|claimed| !claimed.eq_ignore_ascii_case(&hash)) {
                return Err(signature_mismatch("the hash of the body"));
            }
            let canonical = canonical_request(request, signed_headers, &hash);
            let text = format!(
                "{ACS3}\n{}",
                hex::encode(Sha256::digest(canonical.as_bytes()))
            );
            let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())
                .expect("HMAC takes keys of any length");
            mac.update(text.as_bytes());
            (mac.verify_slice(signature).is_ok(), text)
        }
        Signature::Rpc { signature } => {
            let signed = parameters.iter().filter(|(name, _)| *name != "Signature");
            // METHOD&%2F&encoded query: the query is encoded twice, and the path is always `/`.
            let query = encode(&canonical_query(signed));
            let text = format!("{}&%2F&{query}", request.method);
            // The key is the secret with `&` after it, as in OAuth 1.0 without a token secret.
            let key = format!("{secret}&");
            let mut mac = Hmac::<Sha1>::new_from_slice(key.as_bytes())
                .expect("HMAC takes keys of any length");
            mac.update(text.as_bytes());
            (mac.verify_slice(signature).is_ok(), text)
        }
    };
    if is_valid {
        Ok(())
    } else {
        Err(signature_mismatch(&string_to_sign))
    }
}

/// A request's time: `2026-01-01T00:00:00Z` and no other form of ISO 8601.
pub(super) fn parse_time(text: &str) -> Option<Timestamp> {
    let has_form = text.len() == 20 && text.ends_with('Z');
    text.parse().ok().filter(|_| has_form)
}

/// The canonical request of ACS3: method, path, query, headers with a newline after each, their
/// names, and the hash of the body, separated by newlines:
///
/// ```text
/// POST
/// /
/// RegionId=cn-hangzhou&VSwitchId=vsw-1
/// host:127.0.0.1:8080
/// x-acs-action:CreateNetworkInterface
///
/// host;x-acs-action
/// e3b0c442…
/// ```
fn canonical_request(request: &HttpRequest, signed_headers: &[String], body_hash: &str) -> String {
    let query = Parameters::from_wire(&request.query, &[]);
    let query = canonical_query(query.iter());
    let line = |name: &String| {
        let values = request
            .headers
            .iter()
            .filter(|(found, _)| found.eq_ignore_ascii_case(name));
        let mut values: Vec<&str> = values.map(|(_, value)| value.trim()).collect();
        // A header may be repeated: its values are sorted and joined.
        values.sort_unstable();
        format!("{name}:{}\n", values.join(","))
    };
    let headers: String = signed_headers.iter().map(line).collect::<Vec<_>>().concat();
    let path = if request.path.is_empty() {
        "/"
    } else {
        &request.path
    };
    let (method, names) = (&request.method, signed_headers.join(";"));
    format!("{method}\n{path}\n{query}\n{headers}\n{names}\n{body_hash}")
}

/// Names and values, encoded and sorted by name: [`Parameters`] iterate in that order.
fn canonical_query<'a>(parameters: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let pairs: Vec<String> = parameters
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect();
    pairs.join("&")
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

fn invalid_signature_method() -> ApiError {
    ApiError::new(
        400,
        "InvalidSignatureMethod",
        "Specified signature method is not valid.",
    )
}

fn incomplete_signature() -> ApiError {
    let message = "The request signature does not conform to the standards of the service.";
    ApiError::new(400, "IncompleteSignature", message)
}

/// Contains the string that was signed here, as the service's own error does, so that the author of
/// a client can compare it with the client's.
fn signature_mismatch(string_to_sign: &str) -> ApiError {
    let message = format!(
        "Specified signature is not matched with our calculation. \
         server string to sign is:{string_to_sign}"
    );
    ApiError::new(400, "SignatureDoesNotMatch", message)
}
