//! Signatures of Alibaba Cloud EventBridge's HTTP targets, versions 1 and 2.
//!
//! A signature says that EventBridge sent the request, not on whose behalf: anybody can point a rule of their own at our
//! address, and version 1 hands the signing key to everyone who ever received a request. So the target's token, which is
//! part of what is signed, is required.

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
use reqwest::{Client, Url};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use secrecy::{ExposeSecret, SecretString};
use sha1::Sha1;
use subtle::ConstantTimeEq;
use tokio::sync::Mutex;

use reflexarc_delivery::http::request_error;

/// A certificate on its way.
pub type Fetching<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, String>> + Send + 'a>>;

/// Where certificates come from.
pub trait Certificates: Send + Sync {
    /// The PEM text at a URL that was checked.
    fn fetch<'a>(&'a self, url: &'a Url) -> Fetching<'a>;
}

/// Fetches certificates over HTTPS.
pub struct OverHttps {
    /// What calls.
    pub client: Client,
}

/// Verifies requests of EventBridge.
pub struct EventBridge {
    origin: String,
    token: SecretString,
    regions: Vec<String>,
    certificates: Box<dyn Certificates>,
    keys: Mutex<HashMap<String, PublicKey>>,
}

/// Why a request is not EventBridge's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Something is missing, or not what it should be.
    #[error("EventBridge signature: {0}")]
    Invalid(&'static str),
    /// It may be good, but the certificate cannot be had now.
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

/// How old or how far ahead a signature may be.
const WINDOW_MILLIS: u64 = 60_000;
/// Certificates that are remembered; a region has one at a time.
const CACHED: usize = 32;

impl EventBridge {
    /// `origin` is that of our URL as the HTTP target has it, such as `https://hooks.example.com`: it is part of what is
    /// signed. `token` is the HTTP target's. Certificates are taken from the hosts of these `regions` only.
    pub fn new(
        origin: String,
        token: SecretString,
        regions: Vec<String>,
        certificates: Box<dyn Certificates>,
    ) -> Self {
        Self {
            origin,
            token,
            regions,
            certificates,
            keys: Mutex::default(),
        }
    }

    /// Whether a request claims to be EventBridge's.
    pub fn claims(headers: &HeaderMap) -> bool {
        headers.contains_key(SIGNATURE) || headers.contains_key(SIGNATURE_2)
    }

    /// Judges everything but the signature itself, before the body is read: token, time, and where the certificate lies.
    ///
    /// # Errors
    /// When one of them is wrong.
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
            .map_err(|_| SignatureError::Invalid("unreadable time"))?;
        if now.as_millisecond().abs_diff(sent) > WINDOW_MILLIS {
            return Err(SignatureError::Invalid(
                "the time is more than 60 seconds off",
            ));
        }
        self.certificate_url(text(headers, CERTIFICATE)?).map(drop)
    }

    /// Verifies a request whose head was checked. `target` is its path and query as they came.
    ///
    /// # Errors
    /// When the signature is wrong, or the certificate cannot be had.
    pub async fn verify(
        &self,
        headers: &HeaderMap,
        target: &str,
        body: &[u8],
    ) -> Result<(), SignatureError> {
        let key = self
            .key(&self.certificate_url(text(headers, CERTIFICATE)?)?)
            .await?;
        let second = headers.contains_key(SIGNATURE_2);
        let mut signed = format!("{}{target}\n", self.origin);
        for name in [
            TIMESTAMP,
            if second { HASH_METHOD } else { METHOD },
            VERSION,
            CERTIFICATE,
            TOKEN,
        ] {
            if headers.contains_key(name) {
                let value = text(headers, name)?;
                signed.extend([name, ": ", value, "\n"]);
            }
        }
        let mut signed = signed.into_bytes();
        signed.extend_from_slice(body);
        // The documentation shows no newline after the body, the vendor's own code appends one.
        let mut with_newline = signed.clone();
        with_newline.push(b'\n');
        let either = [signed, with_newline];
        let good = if second {
            let signature = base64(headers, SIGNATURE_2)?;
            either.iter().any(|text| key.verifies(text, &signature))
        } else {
            if !text(headers, METHOD)?.eq_ignore_ascii_case("HMAC-SHA1") {
                return Err(SignatureError::Invalid("unknown method"));
            }
            let secret = key
                .open(&base64(headers, SECRET)?)
                .ok_or(SignatureError::Invalid("unreadable secret"))?;
            let signature = base64(headers, SIGNATURE)?;
            either
                .iter()
                .any(|text| hmac_sha1(&secret, text).ct_eq(&signature).into())
        };
        if good {
            Ok(())
        } else {
            Err(SignatureError::Invalid("it does not match"))
        }
    }

    /// Only the hosts where EventBridge keeps its certificates, only in our regions: a bucket of that kind of name in
    /// another region can be anybody's.
    fn certificate_url(&self, text: &str) -> Result<Url, SignatureError> {
        let foreign =
            || SignatureError::Invalid("the certificate does not lie where EventBridge keeps it");
        let url = Url::parse(text).map_err(|_| foreign())?;
        let host = url.host_str().unwrap_or_default();
        let ours = self.regions.iter().any(|region| {
            host == format!("{region}-eventbridge.oss-accelerate.aliyuncs.com")
                || host == format!("{region}-eventbridge.oss-{region}.aliyuncs.com")
        });
        let file = url.path().rsplit('/').next().unwrap_or_default();
        let named = file
            .strip_prefix("x509_public_certificate_")
            .is_some_and(|rest| rest.strip_suffix(".pem").is_some());
        let bare = url.username().is_empty() && url.password().is_none() && url.query().is_none();
        if ours && named && bare && url.scheme() == "https" && url.port().is_none() {
            Ok(url)
        } else {
            Err(foreign())
        }
    }

    /// The key of a certificate. One is fetched at a time, and one that was fetched is kept.
    async fn key(&self, url: &Url) -> Result<PublicKey, SignatureError> {
        let mut keys = self.keys.lock().await;
        if let Some(key) = keys.get(url.as_str()) {
            return Ok(key.clone());
        }
        let pem = self
            .certificates
            .fetch(url)
            .await
            .map_err(SignatureError::Unavailable)?;
        let key = PublicKey::of_certificate(&pem)
            .ok_or(SignatureError::Invalid("the certificate holds no RSA key"))?;
        if keys.len() >= CACHED {
            keys.clear();
        }
        keys.insert(url.as_str().to_owned(), key.clone());
        Ok(key)
    }
}

impl Certificates for OverHttps {
    fn fetch<'a>(&'a self, url: &'a Url) -> Fetching<'a> {
        Box::pin(async move {
            let request = self
                .client
                .get(url.clone())
                .timeout(Duration::from_secs(10));
            let mut response = request.send().await.map_err(request_error)?;
            if !response.status().is_success() {
                return Err(format!("HTTP {}", response.status().as_u16()));
            }
            let mut pem = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(request_error)? {
                pem.extend_from_slice(&chunk);
                if pem.len() > 64 << 10 {
                    return Err("it is larger than a certificate".into());
                }
            }
            Ok(pem)
        })
    }
}

impl PublicKey {
    fn of_certificate(pem: &[u8]) -> Option<Self> {
        let (_, pem) = x509_parser::pem::parse_x509_pem(pem).ok()?;
        let certificate = pem.parse_x509().ok()?;
        let Ok(x509_parser::public_key::PublicKey::RSA(key)) = certificate.public_key().parsed()
        else {
            return None;
        };
        let trimmed = |bytes: &[u8]| {
            bytes[bytes
                .iter()
                .position(|byte| *byte != 0)
                .unwrap_or(bytes.len())..]
                .to_vec()
        };
        let (modulus, exponent) = (trimmed(key.modulus), trimmed(key.exponent));
        // Bounds the work of `open`: 2,048 to 8,192 bits, and an exponent as certificates have it.
        ((256..=1_024).contains(&modulus.len()) && exponent.len() <= 4)
            .then_some(Self { modulus, exponent })
    }

    /// Version 2: RSA with SHA-256, PKCS #1 v1.5.
    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let key = RsaPublicKeyComponents {
            n: &self.modulus,
            e: &self.exponent,
        };
        key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            .is_ok()
    }

    /// Version 1: what the private key closed, PKCS #1 block type 1: 00 01 FF … FF 00, then the secret.
    fn open(&self, closed: &[u8]) -> Option<Vec<u8>> {
        let modulus = BigUint::from_bytes_be(&self.modulus);
        let closed = BigUint::from_bytes_be(closed);
        if closed >= modulus {
            return None;
        }
        let block = closed
            .modpow(&BigUint::from_bytes_be(&self.exponent), &modulus)
            .to_bytes_be();
        // The leading zero byte is no digit of the number.
        if block.len() + 1 != self.modulus.len() {
            return None;
        }
        let padding = block.strip_prefix(&[1])?;
        let end = padding.iter().position(|byte| *byte != 0xFF)?;
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
        .ok_or(SignatureError::Invalid("a header is missing"))?;
    value
        .to_str()
        .map_err(|_| SignatureError::Invalid("a header is not ASCII"))
}

fn base64(headers: &HeaderMap, name: &str) -> Result<Vec<u8>, SignatureError> {
    STANDARD
        .decode(text(headers, name)?)
        .map_err(|_| SignatureError::Invalid("a header is not base64"))
}
