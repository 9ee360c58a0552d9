//! Calls of the API of Alibaba Cloud: RPC style, signed with `ACS3-HMAC-SHA256`.

mod answer;
mod client_token;
mod credentials;
mod endpoint;
mod instance_role;
mod operations;
mod parameters;
mod settings;
mod signature;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};
use reflexarc_event::Json;
use reflexarc_reaction::{CallAnswer, OwnCode};
use reqwest::Client;
use reqwest::header::HeaderValue;
use secrecy::ExposeSecret;

use self::answer::{Verdict, classify};
use self::client_token::takes_client_token;
pub use self::credentials::{AccessKey, CredentialSource};
pub use self::endpoint::regional_host;
pub use self::instance_role::{InstanceRole, is_role_name};
use self::operations::ECS_TESTS;
pub use self::operations::{ECS, ECS_READS, ECS_VERSION, is_read};
use self::parameters::MAX_PARAMETER_BYTES;
pub use self::parameters::flatten;
pub use self::settings::{AlibabaSettings, ParameterStyle};
use self::signature::{SignedRequest, canonical_query, sign};
use super::api_request::{self, RequestFailure, redact};
use crate::call::{CallAdmission, CallApi, CallError, CallFuture, CallRequest};
use crate::http::BoundedResponse;
use crate::rendering::host_of;

/// The operations of one product of Alibaba Cloud.
pub struct AlibabaApi {
    settings: AlibabaSettings,
    client: Client,
    /// How far the server's clock is ahead of ours, in seconds, since it refused a request for its
    /// time.
    clock_offset: AtomicI64,
}

impl AlibabaApi {
    /// The API with these settings.
    ///
    /// # Errors
    /// When a certificate of `authorities` cannot be read.
    pub fn new(settings: AlibabaSettings) -> Result<Self, crate::http::ClientError> {
        let authorities = settings.authorities.as_deref();
        // Half of the time is left for the request: one that was not written is known as such.
        let connect = settings.timeout / 2;
        let client = settings
            .egress
            .single_use_client(&settings.endpoint, authorities, connect)?;
        Ok(Self {
            settings,
            client,
            clock_offset: AtomicI64::new(0),
        })
    }

    /// The host that is called, with the port if it is not that of the scheme.
    pub fn host(&self) -> String {
        host_of(&self.settings.endpoint)
    }

    /// The parameters as they are sent.
    fn parameters(&self, call: &CallRequest<'_>) -> Result<BTreeMap<String, String>, String> {
        let mut parameters = flatten(call.parameters)?;
        if let Some(region) = &self.settings.region {
            let region_id = parameters.entry("RegionId".to_owned());
            region_id.or_insert_with(|| region.clone());
        }
        if self.is_repeatable(call.operation) {
            // The same in each attempt: the API executes one of them. A rule's own token stays.
            let token = parameters.entry("ClientToken".to_owned());
            token.or_insert_with(|| call.id.to_string());
        }
        let size = canonical_query(&parameters).len();
        if size > MAX_PARAMETER_BYTES {
            return Err(format!(
                "the parameters take {size} bytes; the largest request has {MAX_PARAMETER_BYTES}"
            ));
        }
        Ok(parameters)
    }

    fn is_repeatable(&self, operation: &str) -> bool {
        let settings = &self.settings;
        let is_ecs = settings.product == ECS && settings.version == ECS_VERSION;
        is_ecs && takes_client_token(operation)
    }

    async fn answer(&self, call: &CallRequest<'_>) -> Result<CallAnswer, CallError> {
        // The caller has decided that already; here nothing gets past it.
        match self.admit(call.operation) {
            CallAdmission::NotAllowed(reason) => {
                return Ok(CallAnswer::own(OwnCode::NotAllowed, reason));
            }
            CallAdmission::DryRun => return Ok(self.dry_run_answer(call)),
            CallAdmission::Read | CallAdmission::Change { .. } => {}
        }
        let parameters = match self.parameters(call) {
            Ok(parameters) => parameters,
            Err(reason) => return Ok(CallAnswer::own(OwnCode::Undelivered, reason)),
        };
        // The client's resolver sees host names only; an address is checked here, before a key is
        // fetched or anything is connected.
        if let Err(denied) = self.settings.egress.check_url(&self.settings.endpoint) {
            let reason = api_request::denied_text(&denied.to_string());
            return Ok(CallAnswer::own(OwnCode::Undelivered, reason));
        }
        let mut key = self.within(self.settings.credentials.key()).await?;
        let (mut clock_set, mut key_replaced) = (false, false);
        // At most three requests: each correction is made once.
        loop {
            let verdict = match self.send(call.operation, &parameters, &key).await {
                Ok(verdict) => verdict,
                Err(failure) => return failure.outcome(is_read(call.operation)),
            };
            match verdict {
                Verdict::Answer(answer) => return Ok(answer),
                Verdict::NotSent(error) => return Err(error),
                Verdict::ClockSkew {
                    server_time: Some(server),
                    ..
                } if !clock_set => {
                    clock_set = true;
                    let ahead = server.as_second() - Timestamp::now().as_second();
                    self.clock_offset.store(ahead, Ordering::Relaxed);
                }
                Verdict::ClockSkew { answer, .. } => return Err(refused_for_now(&answer)),
                Verdict::KeyExpired(answer) if key_replaced => return Ok(answer),
                Verdict::KeyExpired(answer) => {
                    let Some(role) = self.settings.credentials.role() else {
                        return Ok(answer);
                    };
                    key = self.within(role.replace(&key)).await?;
                    key_replaced = true;
                }
            }
        }
    }

    /// Waits for a key, for half of the time that a call has: what is not signed is not sent, and
    /// the caller must not take it for a request without a response.
    async fn within(
        &self,
        key: impl Future<Output = Result<AccessKey, String>>,
    ) -> Result<AccessKey, CallError> {
        let most = self.settings.timeout / 2;
        match tokio::time::timeout(most, key).await {
            Ok(key) => key.map_err(not_sent),
            Err(_) => Err(not_sent(format!("no credentials within {most:?}"))),
        }
    }

    async fn send(
        &self,
        operation: &str,
        parameters: &BTreeMap<String, String>,
        key: &AccessKey,
    ) -> Result<Verdict, RequestFailure> {
        let settings = &self.settings;
        let encoded = canonical_query(parameters);
        let nothing = BTreeMap::new();
        let (query, form) = match settings.style {
            ParameterStyle::Query => (parameters, ""),
            ParameterStyle::Form => (&nothing, encoded.as_str()),
        };
        let host = self.host();
        let request = SignedRequest {
            action: operation,
            version: &settings.version,
            host: &host,
            query,
            form,
        };
        let offset = SignedDuration::from_secs(self.clock_offset.load(Ordering::Relaxed));
        let now = Timestamp::now();
        let time = now.checked_add(offset).unwrap_or(now);
        let nonce = nonce().map_err(RequestFailure::NotWritten)?;
        let (headers, signature) = sign(&request, &key.signing(), time, &nonce);
        let mut url = settings.endpoint.clone();
        url.set_query((form.is_empty() && !encoded.is_empty()).then_some(&encoded));
        let mut builder = self.client.post(url).header("accept", "application/json");
        for (name, value) in headers {
            let value = HeaderValue::from_str(&value);
            let mut value = value.map_err(|_| {
                RequestFailure::Impossible(format!("invalid text for the header {name}"))
            })?;
            // `Debug` output of requests then omits it: a token and the signature are among them.
            value.set_sensitive(true);
            builder = builder.header(name, value);
        }
        let response = api_request::send(builder.body(form.to_owned()), settings.timeout).await?;
        let secrets = [
            key.secret.expose_secret(),
            key.token().unwrap_or_default(),
            &signature,
        ];
        let json = read_json(&response)?;
        Ok(classify(&response, redact(json, &secrets), now))
    }

    fn dry_run_answer(&self, call: &CallRequest<'_>) -> CallAnswer {
        match self.preview(call) {
            Ok(preview) => {
                let message = "dry run: the target sends no operation that changes something";
                CallAnswer::own(OwnCode::DryRun, message).with_body(preview)
            }
            Err(reason) => CallAnswer::own(OwnCode::Undelivered, reason),
        }
    }
}

impl CallApi for AlibabaApi {
    fn admit(&self, operation: &str) -> CallAdmission {
        let settings = &self.settings;
        let is_name = operation.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if operation.is_empty() || !is_name {
            let reason = format!("invalid operation `{operation}`: expected letters and digits");
            return CallAdmission::NotAllowed(reason);
        }
        if !settings.allow.matches(operation) {
            return CallAdmission::NotAllowed(format!(
                "the operation {operation} is not allowed; `allow` of the target has: {}",
                settings.allow
            ));
        }
        if is_read(operation) {
            CallAdmission::Read
        } else if settings.dry_run {
            CallAdmission::DryRun
        } else {
            CallAdmission::Change {
                repeatable: self.is_repeatable(operation),
            }
        }
    }

    fn preview(&self, call: &CallRequest<'_>) -> Result<Json, String> {
        let parameters = self.parameters(call)?;
        let parameters = parameters
            .into_iter()
            .map(|(name, value)| (name, Json::from(value)));
        Ok(Json::object([
            ("method", "POST".into()),
            ("host", self.host().into()),
            ("action", call.operation.into()),
            ("version", self.settings.version.as_str().into()),
            ("parameters", Json::object(parameters)),
        ]))
    }

    fn call<'a>(&'a self, call: &'a CallRequest<'a>) -> CallFuture<'a> {
        Box::pin(self.answer(call))
    }

    fn allowed(&self) -> Vec<String> {
        self.settings.allow.iter().map(str::to_owned).collect()
    }

    fn is_dry_run(&self) -> bool {
        self.settings.dry_run
    }

    fn test_call(&self) -> Result<(String, Json), String> {
        let allow = &self.settings.allow;
        // Without parameters they list the first few of the region.
        let usual = ECS_TESTS
            .into_iter()
            .filter(|_| self.settings.product == ECS);
        let usual = usual.filter(|operation| allow.matches(operation));
        // Of other products, what is known is what is allowed. One that lacks a parameter is
        // refused for that only if the key is accepted.
        let named = allow.named().filter(|operation| is_read(operation));
        match usual.chain(named).next() {
            Some(operation) => Ok((operation.to_owned(), Json::object::<String>([]))),
            None => Err(format!(
                "the target allows no operation to test it with; add one to `allow`, such as {}",
                ECS_TESTS[0]
            )),
        }
    }
}

fn read_json(response: &BoundedResponse) -> Result<Json, RequestFailure> {
    Json::parse(&response.body).map_err(|error| {
        let body = response.body.trim_start();
        let found = if body.is_empty() {
            "an empty body".to_owned()
        } else if body.starts_with('<') {
            "HTML or XML".to_owned()
        } else {
            error.to_string()
        };
        RequestFailure::Invalid {
            status: response.status,
            reason: format!("expected JSON, found {found}"),
        }
    })
}

fn not_sent(reason: String) -> CallError {
    CallError::NotSent {
        reason,
        retry_after: None,
    }
}

/// An answer that is no refusal of the operation, but of this request.
fn refused_for_now(answer: &CallAnswer) -> CallError {
    let status = answer.status.unwrap_or_default();
    not_sent(format!("HTTP {status} {}: {}", answer.code, answer.message))
}

/// A text that no other request has.
fn nonce() -> Result<String, String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| format!("no random number: {error}"))?;
    Ok(hex::encode(bytes))
}
