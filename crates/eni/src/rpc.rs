//! The RPC APIs of ECS (version 2014-05-26), `EventBridge` (2020-04-01) and Cloud Monitor
//! (2019-01-01) over HTTP, as a pure function from a request and the time to a response.
//!
//! The version of a request says which of them it is for. One for ECS passes through `authentication` (keys, sessions, clock, `signature`, nonce), `actions`
//! (its `parameters` become a [`crate::Request`]), the [`Cloud`], and `response` (JSON).
//! [`Cloud::answer`] is the same without HTTP and authentication. The other two are in `event_bridge`
//! and `cloud_monitor`, with `service_answer` for what they have in common.

mod action_trail;
mod actions;
mod answer;
mod authentication;
mod caller;
mod cloud_monitor;
mod event_bridge;
mod http;
mod parameters;
mod product;
mod response;
mod service_answer;
mod signature;

pub use action_trail::ActionTrail;
pub use actions::perform;
pub use answer::RpcResponse;
pub use authentication::{AccessKey, RequestLimits, Session};
pub use caller::Caller;
pub use http::{HttpRequest, HttpResponse};
pub use parameters::Parameters;

use jiff::Timestamp;

use self::authentication::Authenticator;
use self::product::Product;
use crate::events::{Notification, RequestOutcome};
use crate::subscriptions::Delivery;
use crate::{Cloud, StatusChange};

/// A region with its API: signed requests in, JSON out.
///
/// ```
/// use reflexarc_eni::Cloud;
/// use reflexarc_eni::rpc::{AccessKey, Endpoint, HttpRequest, RequestLimits};
///
/// let start = "2026-01-01T00:00:00Z".parse()?;
/// let key = AccessKey::new("key", "secret", "1001");
/// let cloud = Cloud::new("cn-hangzhou", 7, start);
/// let mut endpoint = Endpoint::new(cloud, [key], RequestLimits::DEFAULT);
/// let unsigned = HttpRequest { method: "GET".into(), ..HttpRequest::default() };
/// let response = endpoint.serve(&unsigned, start);
/// assert_eq!(response.status, 400);
/// assert!(response.body.contains(&response.request_id));
/// # Ok::<(), jiff::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Endpoint {
    cloud: Cloud,
    authenticator: Authenticator,
}

impl Endpoint {
    /// An endpoint that accepts requests signed with these access keys.
    pub fn new(
        cloud: Cloud,
        keys: impl IntoIterator<Item = AccessKey>,
        limits: RequestLimits,
    ) -> Self {
        Self {
            cloud,
            authenticator: Authenticator::new(keys, limits),
        }
    }

    /// Answers one request at the time `now`.
    pub fn serve(&mut self, request: &HttpRequest, now: Timestamp) -> HttpResponse {
        self.cloud.advance(now);
        let host = request.header("host").unwrap_or_default();
        let response = match self.authenticator.authenticate(request, now) {
            Ok(call) => {
                let (action, parameters) = (&call.action, &call.parameters);
                let (cloud, account) = (&mut self.cloud, &call.caller.account);
                match call.product {
                    Product::Ecs => {
                        let caller = &call.caller;
                        let reply = actions::perform_for(cloud, caller, action, parameters, now);
                        response::write(&reply, host)
                    }
                    Product::EventBridge => {
                        event_bridge::answer(cloud, account, action, parameters, host)
                    }
                    Product::CloudMonitor => {
                        cloud_monitor::answer(cloud, account, action, parameters, host)
                    }
                }
            }
            Err(error) => response::error(&error, self.cloud.new_request_id(), host),
        };
        HttpResponse::from(response)
    }

    /// The response to a request that is too large to be read.
    pub fn too_large(&mut self) -> HttpResponse {
        let (error, host) = (authentication::too_large(), self.cloud.host());
        let response = response::error(&error, self.cloud.new_request_id(), &host);
        HttpResponse::from(response)
    }

    /// Moves the clock forward, see [`Cloud::advance`].
    pub fn advance(&mut self, to: Timestamp) {
        self.cloud.advance(to);
    }

    /// Takes the outcomes of requests, see [`Cloud::take_outcomes`].
    pub fn take_outcomes(&mut self) -> Vec<RequestOutcome> {
        self.cloud.take_outcomes()
    }

    /// Takes the status changes, see [`Cloud::take_changes`].
    pub fn take_changes(&mut self) -> Vec<StatusChange> {
        self.cloud.take_changes()
    }

    /// Takes the notifications, see [`Cloud::take_notifications`].
    pub fn take_notifications(&mut self) -> Vec<Notification> {
        self.cloud.take_notifications()
    }

    /// Takes what is to be delivered to targets of rules, see [`Cloud::take_deliveries`].
    pub fn take_deliveries(&mut self) -> Vec<Delivery> {
        self.cloud.take_deliveries()
    }

    /// The region.
    pub fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    /// The region, for changes that the API does not offer, such as faults.
    pub fn cloud_mut(&mut self) -> &mut Cloud {
        &mut self.cloud
    }
}
