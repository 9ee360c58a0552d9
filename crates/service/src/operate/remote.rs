//! A client of a running service: sends events, triggers a reload, pauses targets, accepts the
//! clock.

mod live;

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reflexarc_delivery::http::{BoundedResponse, EgressPolicy, request_error, retry_after};
use reflexarc_event::{Event, Json};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Method, Response, Url};
use secrecy::{ExposeSecret, SecretString};

pub use self::live::{LiveMessage, LiveStream};
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
    /// The service did what was requested, but its answer cannot be read.
    #[error("the request succeeded, but its answer cannot be read: {0}")]
    Answer(String),
}

/// Number of attempts while the service is busy, restarting or unreachable. Sending events again is
/// safe: those that arrived before are recognised as duplicates.
const ATTEMPTS: u32 = 6;
/// Wait after the first attempt; it doubles after each. Six attempts wait 0.2 + 0.4 + 0.8 + 1.6 +
/// 3.2 s = 6.2 s in all, long enough for a restart.
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// Longest wait that the service can request with `Retry-After`.
const MAX_WAIT: Duration = Duration::from_secs(30);
/// Largest answer that is read, in bytes. The answer to a batch lists the ids of its events, so it
/// is at most about as long as the batch.
const ANSWER_BYTES: usize = 64 << 20;
/// Largest number of refused elements that an error lists.
const MAX_LISTED_ELEMENTS: usize = 10;

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
        let url = parsed.ok_or_else(address)?;
        // The operator names the address, so private networks are allowed.
        let client = EgressPolicy::operator_hosts()
            .client_of(&url, authorities)
            .map_err(|error| RemoteError::Unreachable(error.to_string()))?;
        Ok(Self { url, token, client })
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
        Ok(Sent {
            accepted: count(&answer, "accepted")?,
            duplicates: count(&answer, "duplicates")?,
        })
    }

    /// Makes the service reload its rules and configuration. `force` confirms a number of rules
    /// that falls to 0 or by more than half.
    ///
    /// # Errors
    /// If it refuses any part; the error contains the diagnostics.
    pub async fn reload(&self, force: bool) -> Result<Reloaded, RemoteError> {
        let query = force.then_some("force=true");
        let answer = self.call_with_query(Method::POST, "reload", query, Vec::new(), ATTEMPTS);
        let answer = answer.await?;
        let restart = member(&answer, "restart")?.elements().iter();
        // Left out if there are none.
        let removed = answer.get("removed").map_or(&[][..], Json::elements);
        Ok(Reloaded {
            rules: count(&answer, "rules")?,
            targets: count(&answer, "targets")?,
            removed: removed.iter().map(text_of).collect(),
            closed: answer
                .get("closed")
                .map_or(Ok(0), |_| count(&answer, "closed"))?,
            restart: restart.map(text_of).collect(),
        })
    }

    /// What the service answers to `GET /status`. A single attempt: that it cannot be reached is what
    /// an operator wants to see soon.
    ///
    /// # Errors
    /// If the service refuses the request or cannot be reached.
    pub async fn status(&self) -> Result<Json, RemoteError> {
        self.call_with_query(Method::GET, "status", None, Vec::new(), 1)
            .await
    }

    /// The states of the targets, as objects of JSON. A single attempt: what is shown without them
    /// must not wait for a service that does not run.
    ///
    /// # Errors
    /// If the service refuses the request or cannot be reached.
    pub async fn targets(&self) -> Result<Vec<Json>, RemoteError> {
        let answer = self.call_with_query(Method::GET, "targets", None, Vec::new(), 1);
        let answer = answer.await?;
        Ok(member(&answer, "targets")?.elements().to_vec())
    }

    /// Pauses the target of this name, with a reason for lists. Returns its state.
    ///
    /// # Errors
    /// If the service refuses the request or cannot be reached.
    pub async fn pause(&self, target: &str, reason: Option<&str>) -> Result<Json, RemoteError> {
        let name = utf8_percent_encode(target, NON_ALPHANUMERIC);
        let path = format!("targets/{name}/pause");
        let reason = reason.map(|reason| utf8_percent_encode(reason, NON_ALPHANUMERIC));
        let query = reason.map(|reason| format!("reason={reason}"));
        self.call_with_query(Method::POST, &path, query.as_deref(), Vec::new(), ATTEMPTS)
            .await
    }

    /// Ends the pause of a target, or of its circuit breaker. Returns its state.
    ///
    /// # Errors
    /// If the service refuses the request or cannot be reached.
    pub async fn resume(&self, target: &str) -> Result<Json, RemoteError> {
        let name = utf8_percent_encode(target, NON_ALPHANUMERIC);
        let path = format!("targets/{name}/resume");
        self.call(Method::POST, &path, Vec::new()).await
    }

    /// Removes the state of a rule that does not exist. Returns the number of entries.
    ///
    /// # Errors
    /// If the rule exists or has no state, or the service cannot be reached.
    pub async fn forget_rule(&self, rule: &str) -> Result<u64, RemoteError> {
        let name = utf8_percent_encode(rule, NON_ALPHANUMERIC);
        let path = format!("rules/{name}/state");
        let answer = self.call(Method::DELETE, &path, Vec::new()).await?;
        count(&answer, "entries")
    }

    /// Makes the service accept its wall clock as it is. Returns by how many seconds the clock had
    /// jumped, 0 if no jump was suspected.
    ///
    /// # Errors
    /// If the service refuses the request or cannot be reached.
    pub async fn accept_clock(&self) -> Result<i64, RemoteError> {
        let answer = self.call(Method::POST, "clock/accept", Vec::new()).await?;
        let offset = member(&answer, "offset")?;
        let not_a_number = || RemoteError::Answer(format!("`offset` is {offset}"));
        offset.as_i64().ok_or_else(not_a_number)
    }

    /// Reads an answer.
    async fn read(response: Response) -> Result<Attempt, RemoteError> {
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers(), jiff::Timestamp::now());
        let body = BoundedResponse::read_whole(response, ANSWER_BYTES).await;
        if status == 200 {
            let body = body
                .map_err(|error| RemoteError::Answer(error.to_string()))?
                .body;
            let parsed = Json::parse(&body);
            let not_json = |error| RemoteError::Answer(format!("it is not JSON: {error}"));
            return parsed.map(Attempt::Succeeded).map_err(not_json);
        }
        let error = RemoteError::Refused {
            status,
            // The status alone says what to do next, so a body that cannot be read is not in the
            // way of a retry.
            answer: match body {
                Ok(answer) => error_text(&answer.body),
                Err(error) => format!("the answer cannot be read: {error}"),
            },
        };
        match status {
            // The two statuses that mean "later"; any other would be the same next time.
            429 | 503 => Ok(Attempt::Later {
                error,
                requested: retry_after.unwrap_or_default().unsigned_abs(),
            }),
            _ => Err(error),
        }
    }

    async fn call(&self, method: Method, path: &str, body: Vec<u8>) -> Result<Json, RemoteError> {
        self.call_with_query(method, path, None, body, ATTEMPTS)
            .await
    }

    async fn call_with_query(
        &self,
        method: Method,
        path: &str,
        query: Option<&str>,
        body: Vec<u8>,
        attempts: u32,
    ) -> Result<Json, RemoteError> {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/{path}", self.url.path().trim_end_matches('/')));
        if query.is_some() {
            url.set_query(query);
        }
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
                Ok(response) => match Self::read(response).await? {
                    Attempt::Succeeded(answer) => return Ok(answer),
                    Attempt::Later { error, requested } if attempt < attempts => {
                        wait = wait.max(requested.min(MAX_WAIT));
                        error
                    }
                    Attempt::Later { error, .. } => error,
                },
                // With its address: it may come from a configuration that is not the one meant.
                Err(error) => {
                    let address = self.url.origin().ascii_serialization();
                    RemoteError::Unreachable(format!("{address}: {}", request_error(error)))
                }
            };
            if attempt >= attempts {
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

/// The outcome of one attempt that the service answered.
enum Attempt {
    Succeeded(Json),
    /// The service is busy or stopping.
    Later {
        error: RemoteError,
        requested: Duration,
    },
}

fn member<'a>(answer: &'a Json, key: &str) -> Result<&'a Json, RemoteError> {
    let missing = || RemoteError::Answer(format!("missing `{key}`"));
    answer.get(key).ok_or_else(missing)
}

/// A number of an answer. That it is missing is an error and not 0: "0 accepted" would mean that
/// nothing was stored.
fn count(answer: &Json, key: &str) -> Result<u64, RemoteError> {
    let value = member(answer, key)?;
    let number = value.as_i64().and_then(|number| u64::try_from(number).ok());
    number.ok_or_else(|| RemoteError::Answer(format!("`{key}` is {value}, expected a number")))
}

/// A string as it is, anything else as JSON.
fn text_of(value: &Json) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// The error of a response: its message, every rendered diagnostic, and the elements of a batch
/// that are not events. A body that is not the service's, such as a proxy's page, as it is.
fn error_text(response: &str) -> String {
    let json = Json::parse(response).ok();
    let error = json
        .as_ref()
        .and_then(|json| Some((json, json.get("error")?)));
    let Some((json, error)) = error else {
        return response.trim().to_owned();
    };
    let mut lines = vec![text_of(error)];
    let elements = |json: &Json, key: &str| {
        json.get(key)
            .map_or(vec![], |list| list.elements().to_vec())
    };
    for file in elements(json, "files") {
        lines.extend(elements(&file, "diagnostics").iter().map(text_of));
    }
    let taken = elements(json, "taken");
    if !taken.is_empty() {
        let taken: Vec<String> = taken.iter().map(text_of).collect();
        lines.push(format!("reloaded nevertheless: {}", taken.join(", ")));
    }
    let faults = elements(json, "faults");
    lines.extend(faults.iter().take(MAX_LISTED_ELEMENTS).map(element_error));
    if faults.len() > MAX_LISTED_ELEMENTS {
        lines.push(format!("and {} more", faults.len() - MAX_LISTED_ELEMENTS));
    }
    lines.join("\n")
}

/// The error of one element of a batch, such as `element 3, line 3: RA0005: not an object`.
fn element_error(fault: &Json) -> String {
    let field = |key: &str| {
        fault
            .get(key)
            .filter(|value| **value != Json::Null)
            .map(text_of)
    };
    let mut text = format!("element {}", field("element").unwrap_or("?".into()));
    for (key, before) in [
        ("line", ", line "),
        ("code", ": "),
        ("message", ": "),
        ("help", "; "),
    ] {
        if let Some(value) = field(key) {
            text.push_str(before);
            text.push_str(&value);
        }
    }
    text
}
