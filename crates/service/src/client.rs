//! A running service from the outside: posts events, asks for a reload.

use std::time::Duration;

use reflexarc_event::{Event, Json};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Method, Url};
use secrecy::{ExposeSecret, SecretString};

use crate::reload::Reloaded;
use reflexarc_delivery::http::{BoundedResponse, EgressPolicy, request_error};

/// A running service.
pub struct Remote {
    url: Url,
    token: Option<SecretString>,
    client: Client,
}

/// What the service did with some events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Taken {
    /// New ones.
    pub accepted: u64,
    /// Ones that it had already.
    pub duplicates: u64,
}

/// Why the service did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// The address is none.
    #[error("`{0}` is no http or https URL")]
    Address(String),
    /// It cannot be reached, also after some tries.
    #[error("cannot reach the service: {0}")]
    Unreachable(String),
    /// It said no.
    #[error("the service answered {status}: {answer}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Its words.
        answer: String,
    },
}

/// How often a request is tried while the service is busy, restarting or out of reach. SendFuture an event twice is harmless:
/// it is known by its id.
const TRIES: u32 = 6;

impl Remote {
    /// The service at `url`. `authorities` are certificates in PEM that are trusted besides the system's.
    ///
    /// # Errors
    /// When the URL or a certificate cannot be used.
    pub fn new(
        url: &str,
        token: Option<SecretString>,
        authorities: Option<&[u8]>,
    ) -> Result<Self, RemoteError> {
        let address = || RemoteError::Address(url.to_owned());
        let parsed = Url::parse(url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let client = EgressPolicy::allow_all()
            .client(authorities)
            .map_err(RemoteError::Unreachable)?;
        Ok(Self {
            url: parsed.ok_or_else(address)?,
            token,
            client,
        })
    }

    /// Posts events in one request and waits until they are stored, over restarts and busy times of the service.
    ///
    /// # Errors
    /// When it refuses, or cannot be reached for long.
    pub async fn send(&self, events: &[Event]) -> Result<Taken, RemoteError> {
        let mut body = Vec::new();
        for event in events {
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
        Ok(Taken {
            accepted: count("accepted"),
            duplicates: count("duplicates"),
        })
    }

    /// Asks it to load its rules and settings again; what is in force then.
    ///
    /// # Errors
    /// When it refuses: the answer shows what is wrong with them.
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
        let mut wait = Duration::from_millis(200);
        for attempt in 1.. {
            let request = self
                .client
                .request(method.clone(), url.clone())
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
                        status @ (429 | 503) if attempt < TRIES => {
                            let asked = answer
                                .retry_after(jiff::Timestamp::now())
                                .unwrap_or_default()
                                .unsigned_abs();
                            wait = wait.max(asked.min(Duration::from_secs(30)));
                            RemoteError::Refused {
                                status,
                                answer: answer.body,
                            }
                        }
                        status => {
                            return Err(RemoteError::Refused {
                                status,
                                answer: told(&answer.body),
                            });
                        }
                    }
                }
                Err(error) => RemoteError::Unreachable(request_error(error)),
            };
            if attempt >= TRIES {
                return Err(error);
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
        Err(RemoteError::Unreachable("tried too often".into()))
    }
}

/// The words of an answer: what its JSON says is wrong, and every diagnostic in it, drawn.
fn told(text: &str) -> String {
    let Ok(json) = Json::parse(text) else {
        return text.trim().to_owned();
    };
    let mut words = json
        .get("error")
        .and_then(Json::as_str)
        .unwrap_or(text.trim())
        .to_owned();
    for file in json.get("files").map_or(&[][..], Json::elements) {
        for diagnostic in file.get("diagnostics").map_or(&[][..], Json::elements) {
            words.push('\n');
            words.push_str(diagnostic.as_str().unwrap_or_default());
        }
    }
    words
}
