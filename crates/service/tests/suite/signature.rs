use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use reflexarc_service::security::{
    CertificateError, CertificateFuture, CertificateSource, EventBridge,
};
use reqwest::Url;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;

use crate::samples::event_text;
use crate::serving::Serving;

const ORIGIN: &str = "https://hooks.example.com";
const TARGET: &str = "/events?source=bus";
const TOKEN: &str = "canary-bridge-token";
const CERTIFICATE: &str =
    "https://cn-hangzhou-eventbridge.oss-accelerate.aliyuncs.com/x509_public_certificate_1.pem";

/// Stands in for the host of the certificates.
struct Host {
    fetched: Arc<AtomicUsize>,
}

impl CertificateSource for Host {
    fn fetch<'a>(&'a self, url: &'a Url) -> CertificateFuture<'a> {
        self.fetched.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            if url.path().contains("gone") {
                Err(CertificateError("HTTP 404".into()))
            } else {
                Ok(fixture("eventbridge.pem"))
            }
        })
    }
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!(
        "{}/tests/fixtures/{name}",
        env!("CARGO_MANIFEST_DIR")
    ))
    .unwrap()
}

/// A request; each field can be made wrong.
#[derive(Clone)]
struct Request {
    version: u8,
    body: String,
    newline: bool,
    millis_ago: i64,
    certificate: &'static str,
    token: &'static str,
    signed_target: &'static str,
    method: &'static str,
}

fn good(version: u8, id: &str) -> Request {
    Request {
        version,
        body: event_text(id, "eni-1"),
        newline: false,
        millis_ago: 0,
        certificate: CERTIFICATE,
        token: TOKEN,
        signed_target: TARGET,
        method: "HMAC-SHA1",
    }
}

impl Request {
    fn headers(&self) -> Vec<(&'static str, String)> {
        let time = (Timestamp::now().as_millisecond() - self.millis_ago).to_string();
        let mut headers = vec![("x-eventbridge-signature-timestamp", time)];
        if self.version == 1 {
            headers.push(("x-eventbridge-signature-method", self.method.into()));
            headers.push(("x-eventbridge-signature-version", "1.0".into()));
        } else {
            headers.push(("x-eventbridge-hash-method", "SHA256".into()));
            headers.push(("x-eventbridge-signature-version", "2.0".into()));
        }
        headers.push(("x-eventbridge-signature-url", self.certificate.into()));
        headers.push(("x-eventbridge-signature-token", self.token.into()));
        let mut text = format!("{ORIGIN}{}\n", self.signed_target);
        for (name, value) in &headers {
            text.push_str(&format!(
                "{name}: {value}
"
            ));
        }
        text.push_str(&self.body);
        if self.newline {
            text.push('\n');
        }
        if self.version == 1 {
            let mut mac = Hmac::<sha1::Sha1>::new_from_slice(b"a-session-secret").unwrap();
            mac.update(text.as_bytes());
            headers.push((
                "x-eventbridge-signature",
                STANDARD.encode(mac.finalize().into_bytes()),
            ));
            let secret = String::from_utf8(fixture("eventbridge.secret")).unwrap();
            headers.push(("x-eventbridge-signature-secret", secret));
        } else {
            let key = PrivatePkcs8KeyDer::from_pem_slice(&fixture("eventbridge.key")).unwrap();
            let key = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).unwrap();
            let mut signature = vec![0; key.public().modulus_len()];
            key.sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                text.as_bytes(),
                &mut signature,
            )
            .unwrap();
            headers.push(("x-eventbridge-signature-v2", STANDARD.encode(signature)));
        }
        headers
    }

    async fn post(&self, serving: &Serving) -> (u16, String) {
        let headers = self.headers();
        self.post_with(serving, &headers).await
    }

    async fn post_with(
        &self,
        serving: &Serving,
        headers: &[(&'static str, String)],
    ) -> (u16, String) {
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let (status, answer) = serving.post_to(TARGET, &headers, self.body.clone()).await;
        (status, answer.to_string())
    }
}

async fn serving() -> (Serving, Arc<AtomicUsize>) {
    let fetched = Arc::new(AtomicUsize::new(0));
    let host = Box::new(Host {
        fetched: fetched.clone(),
    });
    let serving = Serving::with(|parts| {
        let regions = vec!["cn-hangzhou".to_owned()];
        parts.config.eventbridge =
            Some(EventBridge::new(ORIGIN.into(), TOKEN.into(), regions, host));
        let other = reflexarc_service::security::Token::new(
            "other".into(),
            &"unguessable".into(),
            vec![],
            None,
        );
        parts.config.tokens = reflexarc_service::security::Tokens::new(vec![other]);
    })
    .await;
    (serving, fetched)
}

#[tokio::test]
async fn both_versions_verify_with_one_certificate_fetch() {
    let (serving, fetched) = serving().await;
    for version in [1, 2] {
        for newline in [false, true] {
            for millis_ago in [0, 59_000, -59_000] {
                let id = format!("{version}{newline}{millis_ago}");
                let request = Request {
                    newline,
                    millis_ago,
                    ..good(version, &id)
                };
                let (status, answer) = request.post(&serving).await;
                assert_eq!(status, 200, "{id}: {answer}");
            }
        }
    }
    assert_eq!(fetched.load(Ordering::SeqCst), 1);
    let regional = concat!(
        "https://cn-hangzhou-eventbridge.oss-cn-hangzhou.aliyuncs.com",
        "/x509_public_certificate_2.pem"
    );
    assert_eq!(
        Request {
            certificate: regional,
            ..good(2, "regional")
        }
        .post(&serving)
        .await
        .0,
        200
    );
    serving.stop().await;
}

#[tokio::test]
async fn stale_and_wrongly_signed_requests_are_refused() {
    let (serving, fetched) = serving().await;
    for version in [1, 2] {
        let base = good(version, "forged");
        for (what, request) in [
            (
                "too old",
                Request {
                    millis_ago: 61_000,
                    ..base.clone()
                },
            ),
            (
                "too far ahead",
                Request {
                    millis_ago: -61_000,
                    ..base.clone()
                },
            ),
            (
                "wrong token",
                Request {
                    token: "canary-bridge-tokem",
                    ..base.clone()
                },
            ),
            (
                "other address",
                Request {
                    signed_target: "/events",
                    ..base.clone()
                },
            ),
        ] {
            let (status, answer) = request.post(&serving).await;
            assert_eq!(status, 401, "version {version}, {what}: {answer}");
        }
    }
    let sha256 = Request {
        method: "HMAC-SHA256",
        ..good(1, "forged")
    };
    assert_eq!(sha256.post(&serving).await.0, 401);
    assert!(serving.store.find("forged").unwrap().is_empty());
    assert_eq!(fetched.load(Ordering::SeqCst), 1);
    serving.stop().await;
}

#[tokio::test]
async fn requests_changed_after_signing_are_refused() {
    let (serving, fetched) = serving().await;
    for version in [1, 2] {
        let base = good(version, "forged");
        for (name, header) in base.headers() {
            let without: Vec<_> = base
                .headers()
                .into_iter()
                .filter(|(other, _)| *other != name)
                .collect();
            assert_eq!(
                base.post_with(&serving, &without).await.0,
                401,
                "version {version} without {name}"
            );
            let changed: Vec<_> = base
                .headers()
                .into_iter()
                .map(|(other, value)| {
                    (
                        other,
                        if other == name {
                            header.replacen(['1', '2', 'a', 'A', 'c'], "e", 1)
                        } else {
                            value
                        },
                    )
                })
                .collect();
            assert_eq!(
                base.post_with(&serving, &changed).await.0,
                401,
                "version {version} with another {name}"
            );
        }
        let (headers, tampered) = (
            base.headers(),
            Request {
                body: base.body.replace("failed", "failes"),
                ..base.clone()
            },
        );
        assert_eq!(tampered.post_with(&serving, &headers).await.0, 401);
    }
    assert!(serving.store.find("forged").unwrap().is_empty());
    assert_eq!(fetched.load(Ordering::SeqCst), 1);
    serving.stop().await;
}

#[tokio::test]
async fn certificates_come_only_from_eventbridge_hosts() {
    let (serving, fetched) = serving().await;
    for certificate in [
        "http://cn-hangzhou-eventbridge.oss-accelerate.aliyuncs.com/x509_public_certificate_1.pem",
        concat!(
            "https://cn-hangzhou-eventbridge.oss-accelerate.aliyuncs.com.evil.example",
            "/x509_public_certificate_1.pem"
        ),
        concat!(
            "https://evil.example/cn-hangzhou-eventbridge.oss-accelerate.aliyuncs.com",
            "/x509_public_certificate_1.pem"
        ),
        concat!(
            "https://cn-hangzhou-eventbridge.oss-accelerate.aliyuncs.com@evil.example",
            "/x509_public_certificate_1.pem"
        ),
        concat!(
            "https://user@cn-hangzhou-eventbridge.oss-accelerate.aliyuncs.com",
            "/x509_public_certificate_1.pem"
        ),
        concat!(
            "https://cn-hangzhou-eventbridge.oss-accelerate.aliyuncs.com:8443",
            "/x509_public_certificate_1.pem"
        ),
        "https://cn-evil-eventbridge.oss-accelerate.aliyuncs.com/x509_public_certificate_1.pem",
        "https://cn-beijing-eventbridge.oss-cn-beijing.aliyuncs.com/x509_public_certificate_1.pem",
        "https://cn-hangzhou-eventbridge.oss-accelerate.aliyuncs.com/other.pem",
        "https://127.0.0.1/x509_public_certificate_1.pem",
        "not a url",
    ] {
        let (status, answer) = Request {
            certificate,
            ..good(2, "x")
        }
        .post(&serving)
        .await;
        assert_eq!(status, 401, "{certificate}: {answer}");
    }
    assert_eq!(fetched.load(Ordering::SeqCst), 0);
    // It may be from EventBridge: that the certificate cannot be fetched must not lose the event.
    let gone = concat!(
        "https://cn-hangzhou-eventbridge.oss-accelerate.aliyuncs.com",
        "/gone/x509_public_certificate_1.pem"
    );
    assert_eq!(
        Request {
            certificate: gone,
            ..good(2, "x")
        }
        .post(&serving)
        .await
        .0,
        503
    );
    serving.stop().await;
}
