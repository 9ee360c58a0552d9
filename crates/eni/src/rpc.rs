//! The ECS RPC API (version 2014-05-26): a request on the wire becomes an answer on the wire, by a pure function.

mod action;
mod answer;
mod gate;
mod parameters;
mod signature;

pub use action::perform;
pub use gate::{AccessKey, GateLimits};
pub use parameters::Parameters;

use jiff::Timestamp;

use crate::{Cloud, Notice, Refusal, StatusChange};
use gate::Gate;

/// An HTTP request, as far as the API looks at it.
#[derive(Debug, Clone, Default)]
pub struct HttpRequest {
    /// `GET` or `POST`.
    pub method: String,
    /// The path; the API has only `/`.
    pub path: String,
    /// What follows the `?`, still encoded; empty when there is none.
    pub query: String,
    /// Names (in any case) and values.
    pub headers: Vec<(String, String)>,
    /// The body: a form, or nothing.
    pub body: Vec<u8>,
}

/// An HTTP response: JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// The HTTP status.
    pub status: u16,
    /// The request's id, also in the body; the API repeats it in the header `x-acs-request-id`.
    pub request_id: String,
    /// The JSON document.
    pub body: String,
}

/// A region with its API: signed requests in, JSON out.
#[derive(Debug, Clone)]
pub struct Endpoint {
    cloud: Cloud,
    gate: Gate,
}

impl Endpoint {
    /// An endpoint that knows these access keys.
    pub fn new(
        cloud: Cloud,
        keys: impl IntoIterator<Item = AccessKey>,
        limits: GateLimits,
    ) -> Self {
        Self {
            cloud,
            gate: Gate::new(keys, limits),
        }
    }

    /// Answers one request.
    pub fn serve(&mut self, request: &HttpRequest, now: Timestamp) -> HttpResponse {
        self.cloud.advance(now);
        let host = request.header("host").unwrap_or_default().to_owned();
        match self.gate.admit(request, now) {
            Ok(admitted) => {
                let reply = perform(
                    &mut self.cloud,
                    &admitted.account,
                    &admitted.action,
                    &admitted.parameters,
                    now,
                );
                answer::write(&reply, &host)
            }
            Err(refusal) => answer::refusal(&refusal, self.cloud.ids.guid(), &host),
        }
    }

    /// Lets the clock run, see [`Cloud::advance`].
    pub fn advance(&mut self, to: Timestamp) {
        self.cloud.advance(to);
    }

    /// What there is to tell, see [`Cloud::take_notices`].
    pub fn take_notices(&mut self) -> Vec<Notice> {
        self.cloud.take_notices()
    }

    /// What changed, see [`Cloud::take_changes`].
    pub fn take_changes(&mut self) -> Vec<StatusChange> {
        self.cloud.take_changes()
    }

    /// The region behind it.
    pub fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    /// The region behind it, to be changed past the API.
    pub fn cloud_mut(&mut self) -> &mut Cloud {
        &mut self.cloud
    }
}

impl HttpRequest {
    /// The first header of that name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// A refusal before any operation is looked at.
fn refused<T>(status: u16, code: &'static str, message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::new(status, code, message))
}
