//! Signatures of Alibaba Cloud EventBridge's HTTP targets, versions 1 and 2.
//!
//! A signature proves that EventBridge sent the request, but not for which customer: anyone can
//! point an event rule of their own at our address, and version 1 discloses the signing key to
//! every receiver. So the HTTP target's token, which is part of the signed text, is required.
//!
//! The signed text of a POST to `https://hooks.example.com/events?source=bus`, version 2:
//!
//! ```text
//! https://hooks.example.com/events?source=bus
//! x-eventbridge-signature-timestamp: 1713255120000
//! x-eventbridge-hash-method: SHA256
//! x-eventbridge-signature-version: 2.0
//! x-eventbridge-signature-url: https://….aliyuncs.com/x509_public_certificate_1.pem
//! x-eventbridge-signature-token: …
//! {"id": …}
//! ```
//!
//! Version 2 signs it with RSA-SHA256 under the key of the certificate at the signature URL.
//! Version 1 signs it with HMAC-SHA1 under a secret that comes with the request, encrypted with the
//! private key of that certificate.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use num_bigint::BigUint;
use pkcs1::RsaPublicKeyRef;
use reqwest::{Client, Url};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use secrecy::{ExposeSecret, SecretString};
use sha1::Sha1;
use subtle::ConstantTimeEq;
use tokio::sync::Mutex;
use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::Decode;

use reflexarc_delivery::http::{ClientError, EgressPolicy, request_error};

/// A certificate being fetched.
pub type CertificateFuture<'a> =
    Pin<Box<dyn Future<Output = Result<Vec<u8>, CertificateError>> + Send + 'a>>;

/// Why a certificate cannot be fetched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CertificateError(pub String);

/// Fetches certificates.
pub trait CertificateSource: Send + Sync {
    /// Fetches the PEM text at a URL that has been checked.
    fn fetch<'a>(&'a self, url: &'a Url) -> CertificateFuture<'a>;
}

/// Fetches certificates over HTTPS.
pub struct HttpsCertificates {
    client: Client,
}

/// Verifies requests signed by EventBridge.
pub struct EventBridge {
    origin: String,
    token: SecretString,
    regions: Vec<String>,
    certificates: Box<dyn CertificateSource>,
    keys: Mutex<HashMap<String, PublicKey>>,
}

/// Why a signature is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// Something is missing or wrong.
    #[error("EventBridge signature: {0}")]
    Invalid(&'static str),
    /// The certificate cannot be fetched now, so the signature cannot be verified.
    #[error("EventBridge signature: cannot fetch the certificate: {0}")]
    Unavailable(String),
}

#[derive(Debug, Clone)]
struct PublicKey {
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

const TIMESTAMP: &str = "x-eventbridge-signature-timestamp";
const METHOD: &str = "x-eventbridge-signature-method";
const HASH_METHOD: &str = "x-eventbridge-hash-method";
const VERSION: &str = "x-eventbridge-signature-version";
const CERTIFICATE: &str = "x-eventbridge-signature-url";
const TOKEN: &str = "x-eventbridge-signature-token";
const SECRET: &str = "x-eventbridge-signature-secret";
const SIGNATURE: &str = "x-eventbridge-signature";
const SIGNATURE_2: &str = "x-eventbridge-signature-v2";

/// Largest difference between the signature's time and ours, in either direction.
// Bounds how long a recorded request can be replayed; within it, the duplicate window catches
// replays. Clocks that are kept by NTP differ by far less.
const WINDOW_MILLIS: u64 = 60_000;
/// Largest number of cached keys.
// A region uses one certificate at a time, so this is reached only if someone makes us fetch others
// by signature URLs of their own; then the cache starts over.
const CACHED: usize = 32;

impl EventBridge {
    /// `origin` is the origin of our URL as the HTTP target has it, such as
    /// `https://hooks.example.com`: it is part of the signed text. `token` is the HTTP target's.
    /// Certificates are fetched only from the hosts of these `regions`.
    pub fn new(
        origin: String,
        token: SecretString,
        regions: Vec<String>,
        certificates: Box<dyn CertificateSource>,
    ) -> Self {
        Self {
            origin,
            token,
            regions,
            certificates,
            keys: Mutex::default(),
        }
    }

    /// Whether a request carries a signature.
    pub fn is_signed(headers: &HeaderMap) -> bool {
        headers.contains_key(SIGNATURE) || headers.contains_key(SIGNATURE_2)
    }

    /// Checks token, time and certificate URL: what can be refused before the body is read.
    ///
    /// # Errors
    /// If one of them is wrong.
    pub fn check_head(&self, headers: &HeaderMap, now: Timestamp) -> Result<(), SignatureError> {
        let token = text(headers, TOKEN)?;
        if !bool::from(
            token
                .as_bytes()
                .ct_eq(self.token.expose_secret().as_bytes()),
        ) {
            return Err(SignatureError::Invalid("wrong token"));
        }
        let sent: i64 = text(headers, TIMESTAMP)?
            .parse()
            .map_err(|_| SignatureError::Invalid("invalid time"))?;
        if now.as_millisecond().abs_diff(sent) > WINDOW_MILLIS {
            return Err(SignatureError::Invalid(
                "its time differs from ours by more than 60 seconds",
            ));
        }
        self.certificate_url(text(headers, CERTIFICATE)?).map(drop)
    }

    /// Verifies the signature of a request whose head has been checked. `target` is its path and
    /// query as received.
    ///
    /// # Errors
    /// If the signature is wrong, or the certificate cannot be fetched.
    pub async fn verify(
        &self,
        headers: &HeaderMap,
        target: &str,
        body: &[u8],
    ) -> Result<(), SignatureError> {
        let key = self
            .key(&self.certificate_url(text(headers, CERTIFICATE)?)?)
            .await?;
        let version_2 = headers.contains_key(SIGNATURE_2);
        // The origin comes from the configuration, not from the Host header: behind a proxy that
        // header may say anything.
        let mut signed = format!("{}{target}\n", self.origin);
        for name in [
            TIMESTAMP,
            if version_2 { HASH_METHOD } else { METHOD },
            VERSION,
            CERTIFICATE,
            TOKEN,
        ] {
            // The order is fixed by the specification, whatever the order of the request; an absent
            // header is left out of the text.
            if headers.contains_key(name) {
                let value = text(headers, name)?;
                signed.extend([name, ": ", value, "\n"]);
            }
        }
        let mut signed = signed.into_bytes();
        signed.extend_from_slice(body);
        // The vendor's documentation shows no newline after the body, its own code appends one; so
        // both texts are accepted. They differ only in a newline at the end, which is not content.
        let mut with_newline = signed.clone();
        with_newline.push(b'\n');
        let candidates = [signed, with_newline];
        let verified = if version_2 {
            let signature = base64(headers, SIGNATURE_2)?;
            candidates.iter().any(|text| key.verifies(text, &signature))
        } else {
            if !text(headers, METHOD)?.eq_ignore_ascii_case("HMAC-SHA1") {
                return Err(SignatureError::Invalid("unknown signature method"));
            }
            let secret = key
                .decrypt_secret(&base64(headers, SECRET)?)
                .ok_or(SignatureError::Invalid("invalid secret"))?;
            let signature = base64(headers, SIGNATURE)?;
            candidates
                .iter()
                .any(|text| hmac_sha1(&secret, text).ct_eq(&signature).into())
        };
        if verified {
            Ok(())
        } else {
            Err(SignatureError::Invalid("wrong signature"))
        }
    }

    /// The certificate's URL, if it is on a host of EventBridge in one of our regions.
    //
    // The check is strict because the certificate decides everything: a client that makes us fetch
    // another one can sign anything. Bucket names are free for anyone to register, so
    // `cn-evil-eventbridge.oss-…` in a region that EventBridge does not use can be an attacker's.
    fn certificate_url(&self, text: &str) -> Result<Url, SignatureError> {
        let invalid = || SignatureError::Invalid("its certificate URL is not one of EventBridge's");
        let url = Url::parse(text).map_err(|_| invalid())?;
        let host = url.host_str().unwrap_or_default();
        let ours = self.regions.iter().any(|region| {
            host == format!("{region}-eventbridge.oss-accelerate.aliyuncs.com")
                || host == format!("{region}-eventbridge.oss-{region}.aliyuncs.com")
        });
        let file = url.path().rsplit('/').next().unwrap_or_default();
        let named = file
            .strip_prefix("x509_public_certificate_")
            .is_some_and(|rest| rest.strip_suffix(".pem").is_some());
        // `https://good.host@evil.example/` has the host evil.example: user info, port and query
        // have no place in these URLs.
        let bare = url.username().is_empty() && url.password().is_none() && url.query().is_none();
        if ours && named && bare && url.scheme() == "https" && url.port().is_none() {
            Ok(url)
        } else {
            Err(invalid())
        }
    }

    /// The public key of a certificate, from the cache or fetched.
    //
    // The lock is held while fetching: a burst of requests after a start fetches the certificate
    // once and not once for each request.
    async fn key(&self, url: &Url) -> Result<PublicKey, SignatureError> {
        let mut keys = self.keys.lock().await;
        if let Some(key) = keys.get(url.as_str()) {
            return Ok(key.clone());
        }
        let pem = self
            .certificates
            .fetch(url)
            .await
            .map_err(|CertificateError(reason)| SignatureError::Unavailable(reason))?;
        let key = PublicKey::of_certificate(&pem).ok_or(SignatureError::Invalid(
            "its certificate has no RSA key of 2,048 to 8,192 bits",
        ))?;
        if keys.len() >= CACHED {
            keys.clear();
        }
        keys.insert(url.as_str().to_owned(), key.clone());
        Ok(key)
    }
}

impl HttpsCertificates {
    /// Fetches with a client that this policy allows.
    ///
    /// # Errors
    /// If the client cannot be built.
    pub fn new(policy: &EgressPolicy) -> Result<Self, ClientError> {
        let client = policy.client(None)?;
        Ok(Self { client })
    }
}

impl CertificateSource for HttpsCertificates {
    fn fetch<'a>(&'a self, url: &'a Url) -> CertificateFuture<'a> {
        Box::pin(async move {
            let request = self
                .client
                .get(url.clone())
                .timeout(Duration::from_secs(10));
            let failed = |error| CertificateError(request_error(error));
            let mut response = request.send().await.map_err(failed)?;
            if !response.status().is_success() {
                let status = response.status().as_u16();
                return Err(CertificateError(format!("HTTP {status}")));
            }
            let mut pem = Vec::new();
            // Read in chunks, as a host may send any amount.
            while let Some(chunk) = response.chunk().await.map_err(failed)? {
                pem.extend_from_slice(&chunk);
                if pem.len() > 64 << 10 {
                    let reason = "the response is larger than a certificate";
                    return Err(CertificateError(reason.to_owned()));
                }
            }
            Ok(pem)
        })
    }
}

impl PublicKey {
    fn of_certificate(pem: &[u8]) -> Option<Self> {
        let der = CertificateDer::from_pem_slice(pem).ok()?;
        let certificate = CertificateInner::<Raw>::from_der(&der).ok()?;
        let info = certificate.tbs_certificate().subject_public_key_info();
        if info.algorithm.oid != pkcs1::ALGORITHM_OID {
            return None;
        }
        let key = RsaPublicKeyRef::from_der(info.subject_public_key.as_bytes()?).ok()?;
        // Without the leading zero byte that DER has where the first bit is set; ring wants none.
        let (modulus, exponent) = (
            key.modulus.as_bytes().to_vec(),
            key.public_exponent.as_bytes().to_vec(),
        );
        // Bounds the work of `decrypt_secret`: 2,048 to 8,192 bits, and an exponent of at most 4
        // bytes (certificates use 65,537).
        ((256..=1_024).contains(&modulus.len()) && exponent.len() <= 4)
            .then_some(Self { modulus, exponent })
    }

    /// Version 2: verifies RSA with SHA-256, PKCS #1 v1.5.
    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let key = RsaPublicKeyComponents {
            n: &self.modulus,
            e: &self.exponent,
        };
        key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            .is_ok()
    }

    /// Version 1: the secret that was encrypted with the private key. Decrypted with the public
    /// key, it is a block of PKCS #1 type 1: `00 01 FF … FF 00`, then the secret.
    //
    // Encrypting with a private key is what signing does; libraries verify such blocks but do not
    // return their content, so the exponentiation is done here. All values are public or come from
    // the client, so its timing reveals nothing.
    fn decrypt_secret(&self, encrypted: &[u8]) -> Option<Vec<u8>> {
        let modulus = BigUint::from_bytes_be(&self.modulus);
        let encrypted = BigUint::from_bytes_be(encrypted);
        if encrypted >= modulus {
            return None;
        }
        let block = encrypted
            .modpow(&BigUint::from_bytes_be(&self.exponent), &modulus)
            .to_bytes_be();
        // A number has no leading zero byte, so the first byte of the block is missing here.
        if block.len() + 1 != self.modulus.len() {
            return None;
        }
        let padding = block.strip_prefix(&[1])?;
        let end = padding.iter().position(|byte| *byte != 0xFF)?;
        // At least 8 bytes of padding, as PKCS #1 requires: fewer would let chance blocks through.
        (end >= 8 && padding[end] == 0).then(|| padding[end + 1..].to_vec())
    }
}

fn hmac_sha1(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, SignatureError> {
    let value = headers
        .get(name)
        .ok_or(SignatureError::Invalid("missing header"))?;
    value
        .to_str()
        .map_err(|_| SignatureError::Invalid("a header is not ASCII"))
}

fn base64(headers: &HeaderMap, name: &str) -> Result<Vec<u8>, SignatureError> {
    STANDARD
        .decode(text(headers, name)?)
        .map_err(|_| SignatureError::Invalid("a header is not base64"))
}
