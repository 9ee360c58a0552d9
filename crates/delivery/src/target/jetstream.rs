//! Targets that are streams of NATS JetStream: CloudEvents in JSON, or bodies from a template.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::{Context, ErrorCode, context::ContextBuilder};
use async_nats::{Client, Event, HeaderMap, HeaderName, HeaderValue};
use reflexarc_event::Json;

use super::webhook::{BodyTemplate, cloudevent};
use super::{Preview, SendFuture, Target};
use crate::answer_policy::AnswerPolicy;
use crate::delivery::Delivery;
use crate::http::error_chain;
use crate::nats::NatsSettings;
use crate::outcome::{Receipt, SendError};
use crate::rendering::summary;

/// The header by which a stream recognises copies of a message.
const MESSAGE_ID: &str = "Nats-Msg-Id";
/// The header that names the stream that must store the message.
const EXPECTED_STREAM: &str = "Nats-Expected-Stream";
const CONTENT_TYPE: &str = "Content-Type";

/// Longest time for the stream's acknowledgement. A publication without one is repeated under the
/// same id.
const ACK_TIMEOUT: Duration = Duration::from_secs(10);

/// The stream stores messages of another stream's subjects: `expected_stream` is wrong.
const STREAM_NOT_MATCH: ErrorCode = ErrorCode(10060);
/// JetStream is not enabled on the server, or not for the account.
const NOT_ENABLED: [ErrorCode; 2] = [ErrorCode(10076), ErrorCode(10039)];
/// The message or its headers are larger than the stream or the server allows.
const TOO_LARGE: [ErrorCode; 2] = [ErrorCode(10054), ErrorCode(10097)];

/// A subject that a stream listens on.
pub struct JetStreamTarget {
    nats: NatsSettings,
    subject: String,
    stream: Option<String>,
    headers: Vec<(HeaderName, HeaderValue)>,
    answers: AnswerPolicy,
    body: Option<BodyTemplate>,
    /// The connection, which is made for the first delivery and kept.
    connection: tokio::sync::Mutex<Option<Connection>>,
}

#[derive(Clone)]
struct Connection {
    client: Client,
    context: Context,
    /// The last error of the server that no request was answered with, such as a missing
    /// permission.
    fault: Arc<Mutex<Option<String>>>,
}

impl JetStreamTarget {
    /// Publishes to `subject`.
    pub fn new(nats: NatsSettings, subject: impl Into<String>) -> Self {
        Self {
            nats,
            subject: subject.into(),
            stream: None,
            headers: Vec::new(),
            answers: AnswerPolicy::default(),
            body: None,
            connection: tokio::sync::Mutex::default(),
        }
    }

    /// The same for messages that only this stream may store.
    #[must_use]
    pub fn with_stream(mut self, stream: Option<String>) -> Self {
        self.stream = stream;
        self
    }

    /// The same with further headers.
    #[must_use]
    pub fn with_headers(mut self, headers: Vec<(HeaderName, HeaderValue)>) -> Self {
        self.headers = headers;
        self
    }

    /// The same with other final answers, by the error codes of `JetStream`.
    #[must_use]
    pub fn with_answers(mut self, answers: AnswerPolicy) -> Self {
        self.answers = answers;
        self
    }

    /// The same with bodies from this template in place of CloudEvents.
    #[must_use]
    pub fn with_body(mut self, body: Option<BodyTemplate>) -> Self {
        self.body = body;
        self
    }

    fn body(&self, delivery: &Delivery) -> Result<String, SendError> {
        match &self.body {
            None => Ok(cloudevent(delivery).to_string()),
            Some(template) => template
                .render(delivery)
                .map_err(|reason| SendError::Misconfigured { reason }),
        }
    }

    fn headers(&self, delivery: &Delivery) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            headers.append(name.clone(), value.clone());
        }
        let content_type = self.body.as_ref().map(BodyTemplate::content_type);
        let content_type = content_type.unwrap_or("application/cloudevents+json");
        headers.insert(CONTENT_TYPE, content_type);
        // The same in every attempt: within its `duplicate_window` the stream drops copies.
        headers.insert(MESSAGE_ID, delivery.id.to_string());
        if let Some(stream) = &self.stream {
            headers.insert(EXPECTED_STREAM, stream.as_str());
        }
        headers
    }

    async fn publish(&self, delivery: &Delivery) -> Result<Receipt, SendError> {
        let (body, headers) = (self.body(delivery)?, self.headers(delivery));
        let connection = self.connection().await?;
        let subject = self.subject.clone();
        let sent = connection
            .context
            .publish_with_headers(subject, headers, body.into());
        let acknowledged = match sent.await {
            Ok(acknowledgement) => acknowledgement.await,
            Err(error) => Err(error),
        };
        match acknowledged {
            Ok(stored) => {
                let copy = if stored.duplicate { ", a copy" } else { "" };
                let (stream, sequence) = (stored.stream, stored.sequence);
                Ok(Receipt::complete(format!(
                    "stored in {stream} as {sequence}{copy}"
                )))
            }
            Err(error) => {
                if error.kind() == PublishErrorKind::BrokenPipe {
                    // The tasks of the client have ended, with the runtime that it was made in.
                    self.connection.lock().await.take();
                }
                Err(self.classify(&error, connection.take_fault()))
            }
        }
    }

    /// The connection that is there, or a new one.
    async fn connection(&self) -> Result<Connection, SendError> {
        // Held while it connects: sends at the same time need one connection, not one each.
        let mut held = self.connection.lock().await;
        if let Some(connection) = held.as_ref() {
            return match connection.client.connection_state() {
                State::Connected => {
                    // What was reported before is not about this delivery.
                    drop(connection.take_fault());
                    Ok(connection.clone())
                }
                // Without an answer now: a message that waits in the client would be sent when the
                // connection is back, after its delivery has failed.
                State::Pending | State::Disconnected => {
                    let fault = connection.take_fault();
                    let fault = fault.map_or_else(String::new, |fault| format!(": {fault}"));
                    let endpoint = self.nats.endpoint();
                    let reason = format!("the connection to {endpoint} is interrupted{fault}");
                    Err(SendError::transient(reason))
                }
            };
        }
        let fault = Arc::new(Mutex::new(None));
        let observed = fault.clone();
        let connected = self.nats.connect("reflexarc target", move |event| {
            if let Event::ServerError(_) | Event::ClientError(_) = event {
                *lock(&observed) = Some(event.to_string());
            }
        });
        let client = connected.await.map_err(|error| {
            if error.is_misconfigured {
                SendError::Misconfigured {
                    reason: error.reason,
                }
            } else {
                SendError::transient(error.reason)
            }
        })?;
        let context = ContextBuilder::new()
            .timeout(ACK_TIMEOUT)
            .build(client.clone());
        let connection = Connection {
            client,
            context,
            fault,
        };
        *held = Some(connection.clone());
        Ok(connection)
    }

    fn classify(&self, error: &PublishError, fault: Option<String>) -> SendError {
        let code = jetstream_code(error);
        let mut reason = match error.kind() {
            // With the code, for `final_statuses` and `retry_statuses`.
            PublishErrorKind::Other => error_chain(error),
            PublishErrorKind::StreamNotFound => {
                format!("no stream listens on `{}`", self.subject)
            }
            PublishErrorKind::TimedOut => {
                format!("no acknowledgement within {} s", ACK_TIMEOUT.as_secs())
            }
            _ => error.to_string(),
        };
        if let Some(fault) = fault {
            reason = format!("{reason} ({fault})");
        }
        let classified = match (error.kind(), code) {
            (PublishErrorKind::MaxPayloadExceeded, _) => SendError::Refused { reason },
            (_, Some(code)) if TOO_LARGE.contains(&code) => SendError::Refused { reason },
            (_, Some(code)) if code == STREAM_NOT_MATCH || NOT_ENABLED.contains(&code) => {
                SendError::Misconfigured { reason }
            }
            // No stream yet, no leader, a full stream, a broken connection, no answer.
            _ => SendError::transient(reason),
        };
        match code {
            Some(ErrorCode(code)) => {
                let code = i64::try_from(code).unwrap_or(i64::MAX);
                self.answers.apply(code, classified)
            }
            None => classified,
        }
    }
}

impl Target for JetStreamTarget {
    fn kind(&self) -> &'static str {
        "jetstream"
    }

    fn endpoint(&self) -> String {
        self.nats.endpoint()
    }

    fn preview(&self, batch: &[Delivery]) -> Result<Preview, SendError> {
        let body = self.body(&batch[0])?;
        let body = match &self.body {
            None => cloudevent(&batch[0]),
            Some(template) => template.shown(body),
        };
        let subject = Json::from(self.subject.as_str());
        Ok(Preview {
            summary: summary(&batch[0]),
            body: Json::object([("subject", subject), ("body", body)]),
            part: None,
        })
    }

    fn send<'a>(&'a self, batch: &'a [Delivery]) -> SendFuture<'a> {
        Box::pin(self.publish(&batch[0]))
    }
}

impl Connection {
    fn take_fault(&self) -> Option<String> {
        lock(&self.fault).take()
    }
}

fn lock(fault: &Mutex<Option<String>>) -> MutexGuard<'_, Option<String>> {
    fault.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The code of an error that the server has answered.
fn jetstream_code(error: &PublishError) -> Option<ErrorCode> {
    let source = std::error::Error::source(error)?;
    let answered: &async_nats::jetstream::Error = source.downcast_ref()?;
    Some(answered.error_code())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> JetStreamTarget {
        let nats = NatsSettings {
            servers: vec!["nats://localhost".parse().unwrap()],
            login: crate::nats::NatsLogin::Anonymous,
            tls: crate::nats::NatsTls::default(),
        };
        JetStreamTarget::new(nats, "alerts")
    }

    fn answered(code: u64) -> PublishError {
        let text = format!(r#"{{"code": 400, "err_code": {code}, "description": "refused"}}"#);
        let error: async_nats::jetstream::Error = serde_json::from_str(&text).unwrap();
        PublishError::with_source(PublishErrorKind::Other, error)
    }

    #[test]
    fn errors_are_classified_by_what_helps() {
        let target = target().with_answers(AnswerPolicy {
            final_statuses: vec![10077],
            ..AnswerPolicy::default()
        });
        let kind = |kind| target.classify(&PublishError::new(kind), None);
        let missing = kind(PublishErrorKind::StreamNotFound);
        assert_eq!(
            missing,
            SendError::transient("no stream listens on `alerts`")
        );
        assert_eq!(kind(PublishErrorKind::TimedOut).outcome(), "failed");
        assert_eq!(kind(PublishErrorKind::BrokenPipe).outcome(), "failed");
        assert_eq!(
            kind(PublishErrorKind::MaxPayloadExceeded).outcome(),
            "refused"
        );
        for (code, outcome) in [
            (10054, "refused"),
            (10097, "refused"),
            (10060, "misconfigured"),
            (10039, "misconfigured"),
            (10023, "failed"),
            (10077, "refused"),
        ] {
            let error = target.classify(&answered(code), None);
            assert_eq!(error.outcome(), outcome, "{code}: {error}");
            assert!(error.reason().contains(&code.to_string()), "{error}");
        }
    }

    #[test]
    fn faults_of_the_server_explain_a_missing_answer() {
        let error = PublishError::new(PublishErrorKind::TimedOut);
        let fault = "server error: Permissions Violation".to_owned();
        let error = target().classify(&error, Some(fault));
        let reason = "no acknowledgement within 10 s (server error: Permissions Violation)";
        assert_eq!(error.reason(), reason);
    }
}
