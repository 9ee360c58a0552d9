//! The two ways to sign a request.
//!
//! `ACS3-HMAC-SHA256` signs method, path, query, chosen headers and the hash of the body, and travels in headers. The
//! older RPC signature, HMAC-SHA1, signs method and all parameters, and travels among them.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::parameters::{self, Parameters};
use super::{HttpRequest, refused};
use crate::Refusal;

/// The name of the newer way.
const ACS3: &str = "ACS3-HMAC-SHA256";
/// Everything but what RFC 3986 calls unreserved.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// What a request says of itself, not yet believed.
pub(super) struct Claim {
    pub(super) action: String,
    pub(super) version: String,
    pub(super) key: String,
    pub(super) time: String,
    pub(super) nonce: String,
    proof: Proof,
}

enum Proof {
    Acs3 {
        signed_headers: Vec<String>,
        signature: Vec<u8>,
    },
    Rpc {
        signature: Vec<u8>,
    },
}

impl Claim {
    /// Reads what a signed request must carry.
    pub(super) fn read(request: &HttpRequest, parameters: &Parameters) -> Result<Self, Refusal> {
        match request.header("authorization") {
            Some(authorization) => Self::acs3(request, authorization),
            None => Self::rpc(parameters),
        }
    }

    fn acs3(request: &HttpRequest, authorization: &str) -> Result<Self, Refusal> {
        let Some(fields) = authorization
            .strip_prefix(ACS3)
            .and_then(|rest| rest.strip_prefix(' '))
        else {
            return refused(
                400,
                "InvalidSignatureMethod",
                "Specified signature method is not valid.",
            );
        };
        let fields: BTreeMap<&str, &str> = fields
            .split(',')
            .filter_map(|field| field.trim().split_once('='))
            .collect();
        let field = |name: &str| fields.get(name).copied().filter(|value| !value.is_empty());
        let (Some(key), Some(signed), Some(signature)) = (
            field("Credential"),
            field("SignedHeaders"),
            field("Signature").and_then(from_hex),
        ) else {
            return incomplete();
        };
        let signed_headers: Vec<String> = signed.split(';').map(str::to_ascii_lowercase).collect();
        let covered = |name: &str| signed_headers.iter().any(|signed| signed == name);
        let must_be_signed = |name: &str| {
            name == "host" || (name.starts_with("x-acs-") && name != "x-acs-security-token")
        };
        let names = request
            .headers
            .iter()
            .map(|(name, _)| name.to_ascii_lowercase());
        if names
            .into_iter()
            .any(|name| must_be_signed(&name) && !covered(&name))
        {
            return incomplete();
        }
        let header = |name: &str, called: &str| {
            let value = request.header(name).filter(|value| !value.is_empty());
            value
                .map(str::to_owned)
                .ok_or_else(|| parameters::missing(called))
        };
        Ok(Self {
            action: header("x-acs-action", "Action")?,
            version: header("x-acs-version", "Version")?,
            key: key.to_owned(),
            time: header("x-acs-date", "Timestamp")?,
            nonce: header("x-acs-signature-nonce", "SignatureNonce")?,
            proof: Proof::Acs3 {
                signed_headers,
                signature,
            },
        })
    }

    fn rpc(parameters: &Parameters) -> Result<Self, Refusal> {
        let parameter = |name: &str| {
            parameters
                .optional(name)
                .map(str::to_owned)
                .ok_or_else(|| parameters::missing(name))
        };
        let action = parameter("Action")?;
        let key = parameter("AccessKeyId")?;
        let signature = parameter("Signature")?;
        if parameter("SignatureMethod")? != "HMAC-SHA1" {
            return refused(
                400,
                "InvalidSignatureMethod",
                "Specified signature method is not valid.",
            );
        }
        if parameter("SignatureVersion")? != "1.0" {
            return refused(
                400,
                "InvalidSignatureVersion",
                "Specified signature version is not valid.",
            );
        }
        let Ok(signature) = BASE64.decode(signature) else {
            return incomplete();
        };
        Ok(Self {
            action,
            version: parameter("Version")?,
            key,
            time: parameter("Timestamp")?,
            nonce: parameter("SignatureNonce")?,
            proof: Proof::Rpc { signature },
        })
    }
}

/// Believes the claim, or not. Signatures are compared in constant time.
pub(super) fn verify(
    request: &HttpRequest,
    parameters: &Parameters,
    claim: &Claim,
    secret: &str,
) -> Result<(), Refusal> {
    let (good, text) = match &claim.proof {
        Proof::Acs3 {
            signed_headers,
            signature,
        } => {
            let hash = to_hex(&Sha256::digest(&request.body));
            if request
                .header("x-acs-content-sha256")
                .is_some_and(|claimed| !claimed.eq_ignore_ascii_case(&hash))
            {
                return does_not_match("the hash of the body");
            }
            let canonical = canonical_request(request, signed_headers, &hash);
            let text = format!("{ACS3}\n{}", to_hex(&Sha256::digest(canonical.as_bytes())));
            let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())
                .expect("HMAC takes keys of any length");
            mac.update(text.as_bytes());
            (mac.verify_slice(signature).is_ok(), text)
        }
        Proof::Rpc { signature } => {
            let signed = parameters.iter().filter(|(name, _)| *name != "Signature");
            let text = format!(
                "{}&%2F&{}",
                request.method,
                encode(&canonical_query(signed))
            );
            let key = format!("{secret}&");
            let mut mac = Hmac::<Sha1>::new_from_slice(key.as_bytes())
                .expect("HMAC takes keys of any length");
            mac.update(text.as_bytes());
            (mac.verify_slice(signature).is_ok(), text)
        }
    };
    if good { Ok(()) } else { does_not_match(&text) }
}

/// A request's time: `2026-01-01T00:00:00Z`, and nothing else.
pub(super) fn time(text: &str) -> Option<Timestamp> {
    let plain = text.len() == 20 && text.ends_with('Z');
    text.parse().ok().filter(|_| plain)
}

fn canonical_request(request: &HttpRequest, signed_headers: &[String], body_hash: &str) -> String {
    let query = Parameters::from_wire(&request.query, &[]);
    let query = canonical_query(query.iter());
    let line = |name: &String| {
        let values = request
            .headers
            .iter()
            .filter(|(found, _)| found.eq_ignore_ascii_case(name));
        let mut values: Vec<&str> = values.map(|(_, value)| value.trim()).collect();
        values.sort_unstable();
        format!("{name}:{}\n", values.join(","))
    };
    let headers: String = signed_headers.iter().map(line).collect::<Vec<_>>().concat();
    let path = if request.path.is_empty() {
        "/"
    } else {
        &request.path
    };
    format!(
        "{}\n{path}\n{query}\n{headers}\n{}\n{body_hash}",
        request.method,
        signed_headers.join(";")
    )
}

/// Names and values encoded, sorted by name.
fn canonical_query<'a>(parameters: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let pairs: Vec<String> = parameters
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect();
    pairs.join("&")
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

fn to_hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<Vec<_>>()
        .concat()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    text.len()
        .is_multiple_of(2)
        .then(|| digits.map(byte).collect())?
}

fn incomplete<T>() -> Result<T, Refusal> {
    refused(
        400,
        "IncompleteSignature",
        "The request signature does not conform to the standards of the service.",
    )
}

/// Like the service, says what it signed itself, so that whoever signs can compare.
fn does_not_match<T>(text: &str) -> Result<T, Refusal> {
    let message = format!(
        "Specified signature is not matched with our calculation. server string to sign is:{text}"
    );
    refused(400, "SignatureDoesNotMatch", message)
}
