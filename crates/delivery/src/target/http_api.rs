//! Calls of any HTTP API with JSON: operations are templates such as `GET /enis/{id}`.

mod answer;
mod operation;

use std::time::Duration;

use jiff::Timestamp;
use reflexarc_event::Json;
use reflexarc_reaction::{CallAnswer, OwnCode};
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Client, Url};
use secrecy::{ExposeSecret, SecretString};

use self::answer::classify;
use self::operation::{METHODS, OperationRequest, check_operation, is_read};
use super::api_request;
use crate::call::{CallAdmission, CallApi, CallError, CallFuture, CallRequest};
use crate::http::{ClientError, EgressPolicy};
use crate::operation_patterns::OperationPatterns;
use crate::rendering::host_of;

/// An HTTP API.
pub struct HttpApi {
    settings: HttpApiSettings,
    client: Client,
}

/// What is set for an [`HttpApi`].
pub struct HttpApiSettings {
    /// The address that paths of operations are below.
    pub base: Url,
    /// Which addresses it may lead to.
    pub egress: EgressPolicy,
    /// Certificates in PEM that are trusted besides the system's.
    pub authorities: Option<Vec<u8>>,
    /// Added to every request, the authorization among them.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Replaced wherever they are in answers.
    pub secrets: Vec<SecretString>,
    /// The operations that may be called.
    pub allow: OperationPatterns,
    /// Operations that change something and may be repeated all the same.
    pub idempotent: OperationPatterns,
    /// Whether operations that change something are not sent.
    pub dry_run: bool,
    /// The longest time for one request.
    pub timeout: Duration,
}

/// What a target allows unless it says otherwise.
pub const HTTP_READS: [&str; 1] = ["GET *"];

/// The longest URL that can be sent, in bytes.
const MAX_URL_BYTES: usize = 60_000;

impl HttpApi {
    /// The API with these settings.
    ///
    /// # Errors
    /// When a certificate of `authorities` cannot be read.
    pub fn new(settings: HttpApiSettings) -> Result<Self, ClientError> {
        let authorities = settings.authorities.as_deref();
        // Half of the time is left for the request: one that was not written is known as such.
        let connect = settings.timeout / 2;
        let client = settings
            .egress
            .single_use_client(&settings.base, authorities, connect)?;
        Ok(Self { settings, client })
    }

    /// The host that is called, with the port if it is not that of the scheme.
    pub fn host(&self) -> String {
        host_of(&self.settings.base)
    }

    fn build(&self, call: &CallRequest<'_>) -> Result<OperationRequest, String> {
        let request = OperationRequest::build(call.operation, call.parameters)?;
        let configured = &self.settings.headers;
        let is_set = |name: &HeaderName| configured.iter().any(|(other, _)| other == name);
        if let Some((name, _)) = request.headers.iter().find(|(name, _)| is_set(name)) {
            return Err(format!("the header `{name}` is set by the target"));
        }
        let size = request.url(&self.settings.base).as_str().len();
        if size > MAX_URL_BYTES {
            return Err(format!(
                "the address takes {size} bytes; the largest has {MAX_URL_BYTES}"
            ));
        }
        Ok(request)
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
        let request = match self.build(call) {
            Ok(request) => request,
            Err(reason) => return Ok(CallAnswer::own(OwnCode::Undelivered, reason)),
        };
        let settings = &self.settings;
        let is_read = is_read(call.operation);
        let url = request.url(&settings.base);
        // The client's resolver sees host names only; an address in the URL is checked here.
        if let Err(denied) = settings.egress.check_url(&url) {
            let reason = api_request::denied_text(&denied.to_string());
            return Ok(CallAnswer::own(OwnCode::Undelivered, reason));
        }
        let mut builder = self.client.request(request.method, url);
        builder = builder.header("accept", "application/json, text/plain;q=0.9, */*;q=0.1");
        for (name, value) in settings.headers.iter().chain(&request.headers) {
            builder = builder.header(name, value);
        }
        if !is_read {
            // The same in each attempt, so that the API can recognize a copy.
            builder = builder.header("idempotency-key", call.id.to_string());
        }
        if let Some(body) = request.body {
            builder = builder.header(CONTENT_TYPE, "application/json");
            builder = builder.body(body.to_string());
        }
        let secrets: Vec<&str> = settings
            .secrets
            .iter()
            .map(SecretString::expose_secret)
            .collect();
        match api_request::send(builder, settings.timeout).await {
            Ok(response) => classify(&response, &secrets, is_read, Timestamp::now()),
            Err(failure) => failure.outcome(is_read),
        }
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

impl CallApi for HttpApi {
    fn admit(&self, operation: &str) -> CallAdmission {
        let settings = &self.settings;
        if let Err(reason) = check_operation(operation) {
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
                repeatable: settings.idempotent.matches(operation),
            }
        }
    }

    fn preview(&self, call: &CallRequest<'_>) -> Result<Json, String> {
        let request = self.build(call)?;
        let headers = request.headers.iter();
        let headers =
            headers.map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default().into()));
        // Path and query of the base URL may hold a token; only those of the operation are shown.
        let mut preview = Json::object([
            ("method", request.method.as_str().into()),
            ("host", self.host().into()),
            ("path", request.path.as_str().into()),
            ("query", request.query.as_str().into()),
            ("headers", Json::object(headers)),
        ]);
        if let (Json::Object(members), Some(body)) = (&mut preview, request.body) {
            members.push(("body".to_owned(), body));
        }
        Ok(preview)
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
        let is_test = |operation: &&str| is_read(operation) && !operation.contains('{');
        let root = Some("GET /").filter(|root| allow.matches(root));
        match allow.named().find(is_test).or(root) {
            Some(operation) => Ok((operation.to_owned(), Json::object::<String>([]))),
            None => Err(
                "the target allows no operation to test it with; add one without `*` and `{}` to \
                 `allow`, such as GET /health"
                    .to_owned(),
            ),
        }
    }
}

/// Whether a text may be a pattern of operations: a method or `*`, and a path or `*`.
///
/// ```
/// use reflexarc_delivery::http_api::is_operation_pattern;
///
/// for pattern in ["*", "GET *", "GET /enis/{id}", "* /enis/*"] {
///     assert!(is_operation_pattern(pattern), "{pattern}");
/// }
/// for pattern in ["", "GET", "get /enis", "GET enis", "10.0.0.0/8"] {
///     assert!(!is_operation_pattern(pattern), "{pattern}");
/// }
/// ```
pub fn is_operation_pattern(text: &str) -> bool {
    let Some((method, path)) = text.split_once(' ') else {
        return text == "*";
    };
    (method == "*" || METHODS.contains(&method)) && path.starts_with(['/', '*'])
}
