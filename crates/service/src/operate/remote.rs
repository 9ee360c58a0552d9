//! A client of a running service: sends events, triggers a reload.

use std::time::Duration;

use reflexarc_delivery::http::{BoundedResponse, EgressPolicy, request_error};
use reflexarc_event::{Event, Json};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Method, Url};
use secrecy::{ExposeSecret, SecretString};

use crate::reload::Reloaded;

/// A client of a running service.
pub struct Remote {
    url: Url,
    token: Option<SecretString>,
    client: Client,
}

/// The outcome of sending events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Sent {
    /// Number of new events.
    pub accepted: u64,
    /// Number of duplicates.
    pub duplicates: u64,
}

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// The address is not an http or https URL.
    #[error("invalid URL `{0}`; expected http:// or https:// and a host")]
    Address(String),
    /// The service cannot be reached, after several attempts.
    #[error("cannot reach the service: {0}")]
    Unreachable(String),
    /// The service refused the request.
    #[error("the service answered {status}: {answer}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The error that it gave.
        answer: String,
    },
}

/// Number of attempts while the service is busy, restarting or unreachable. Sending events again is
/// safe: those that arrived before are recognised as duplicates.
const ATTEMPTS: u32 = 6;
/// Wait after the first attempt; it doubles after each. Six attempts wait 0.2 + 0.4 + 0.8 + 1.6 +
/// 3.2 s = 6.2 s in all, long enough for a restart.
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// Longest wait that the service can request with `Retry-After`.
const MAX_WAIT: Duration = Duration::from_secs(30);

impl Remote {
    /// A client of the service at `url`. `authorities` are CA certificates in PEM that are trusted
    /// in addition to the system's.
    ///
    /// # Errors
    /// If the URL or a certificate is invalid.
    pub fn new(
        url: &str,
        token: Option<SecretString>,
        authorities: Option<&[u8]>,
    ) -> Result<Self, RemoteError> {
        let address = || RemoteError::Address(url.to_owned());
        let parsed = Url::parse(url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        // The operator names the address, so private networks are allowed.
        let client = EgressPolicy::allow_all()
            .client(authorities)
            .map_err(|error| RemoteError::Unreachable(error.to_string()))?;
        Ok(Self {
            url: parsed.ok_or_else(address)?,
            token,
            client,
        })
    }

    /// Sends events in one request and waits until they are stored; tries again while the service
    /// restarts or is busy.
    ///
    /// # Errors
    /// If the service refuses the request or cannot be reached.
    pub async fn send(&self, events: &[Event]) -> Result<Sent, RemoteError> {
        let mut body = Vec::new();
        for event in events {
            // One event a line: an event that was written over several lines is written anew.
            if event.bytes().contains(&b'\n') {
                body.extend_from_slice(event.tree().to_string().as_bytes());
            } else {
                body.extend_from_slice(event.bytes());
            }
            body.push(b'\n');
        }
        let answer = self.call(Method::POST, "events", body).await?;
        let count = |key| {
            answer
                .get(key)
                .and_then(Json::as_i64)
                .unwrap_or_default()
                .unsigned_abs()
        };
        Ok(Sent {
            accepted: count("accepted"),
            duplicates: count("duplicates"),
        })
    }

    /// Makes the service reload its rules and configuration.
    ///
    /// # Errors
    /// If it refuses; the error contains the diagnostics.
    pub async fn reload(&self) -> Result<Reloaded, RemoteError> {
        let answer = self.call(Method::POST, "reload", Vec::new()).await?;
        let count = |key| {
            answer
                .get(key)
                .and_then(Json::as_i64)
                .unwrap_or_default()
                .unsigned_abs()
        };
        let restart = answer.get("restart").map_or(&[][..], Json::elements);
        let restart = restart
            .iter()
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect();
        Ok(Reloaded {
            rules: count("rules"),
            targets: count("targets"),
            restart,
        })
    }

    async fn call(&self, method: Method, path: &str, body: Vec<u8>) -> Result<Json, RemoteError> {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/{path}", self.url.path().trim_end_matches('/')));
        let mut wait = FIRST_WAIT;
        for attempt in 1.. {
            let request = self
                .client
                .request(method.clone(), url.clone())
                // Longer than the service needs for a full batch on a slow disk.
                .timeout(Duration::from_secs(60));
            let mut request = request
                .header(CONTENT_TYPE, "application/x-ndjson")
                .body(body.clone());
            if let Some(token) = &self.token {
                request = request.bearer_auth(token.expose_secret());
            }
            let error = match request.send().await {
                Ok(response) => {
                    let answer = BoundedResponse::read(response).await;
                    match answer.status {
                        200 => return Ok(Json::parse(&answer.body).unwrap_or(Json::Null)),
                        // The two statuses that mean "later"; any other would be the same next
                        // time.
                        status @ (429 | 503) if attempt < ATTEMPTS => {
                            let requested = answer
                                .retry_after(jiff::Timestamp::now())
                                .unwrap_or_default()
                                .unsigned_abs();
                            wait = wait.max(requested.min(MAX_WAIT));
                            RemoteError::Refused {
                                status,
                                answer: answer.body,
                            }
                        }
                        status => {
                            return Err(RemoteError::Refused {
                                status,
                                answer: error_text(&answer.body),
                            });
                        }
                    }
                }
                Err(error) => RemoteError::Unreachable(request_error(error)),
            };
            if attempt >= ATTEMPTS {
                return Err(error);
            }
            tokio::time::sleep(wait).await;
            // Doubled also after a requested wait: the service is loaded, and other clients wait
            // too.
            wait *= 2;
        }
        Err(RemoteError::Unreachable("no attempt succeeded".into()))
    }
}

/// The error of a response: its message, and every rendered diagnostic.
fn error_text(response: &str) -> String {
    let Ok(json) = Json::parse(response) else {
        return response.trim().to_owned();
    };
    let mut text = json
        .get("error")
        .and_then(Json::as_str)
        .unwrap_or(response.trim())
        .to_owned();
    for file in json.get("files").map_or(&[][..], Json::elements) {
        for diagnostic in file.get("diagnostics").map_or(&[][..], Json::elements) {
            text.push('\n');
            text.push_str(diagnostic.as_str().unwrap_or_default());
        }
    }
    text
}
