//! Answering a call of the API without HTTP: a caller, an action and its parameters in, a status
//! and a JSON document out.

use jiff::Timestamp;
use reflexarc_event::Json;

use super::{Parameters, perform, response};
use crate::{Cloud, Reply};

/// The response of the API to one call.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RpcResponse {
    /// The HTTP status.
    pub status: u16,
    /// The request's id, which is also in the body.
    pub request_id: String,
    /// The error code; empty when the request was accepted.
    pub code: &'static str,
    /// The error message; empty when the request was accepted.
    pub message: String,
    /// The JSON document.
    pub body: Json,
}

impl RpcResponse {
    /// Whether the request was accepted.
    pub fn is_accepted(&self) -> bool {
        self.code.is_empty()
    }
}

impl Cloud {
    /// Answers a call of an action by the account `caller` at `now`, as the API does over HTTP once
    /// a request is authenticated. Operations that are due by then complete first.
    ///
    /// ```
    /// use reflexarc_eni::Cloud;
    /// use reflexarc_eni::resources::Account;
    /// use reflexarc_eni::rpc::Parameters;
    ///
    /// let start = "2026-01-01T00:00:00Z".parse()?;
    /// let mut cloud = Cloud::new("cn-hangzhou", 7, start);
    /// cloud.add_account(Account::user("1001"));
    /// let parameters: Parameters = [("RegionId", "cn-hangzhou")].into_iter().collect();
    /// let response = cloud.answer("1001", "DescribeNetworkInterfaces", &parameters, start);
    /// assert_eq!((response.status, response.code), (200, ""));
    /// assert_eq!(response.body.get("TotalCount").and_then(|count| count.as_i64()), Some(0));
    ///
    /// let response = cloud.answer("1001", "DetachDisk", &parameters, start);
    /// assert_eq!((response.status, response.code), (404, "InvalidAction.NotFound"));
    /// # Ok::<(), jiff::Error>(())
    /// ```
    pub fn answer(
        &mut self,
        caller: &str,
        action: &str,
        parameters: &Parameters,
        now: Timestamp,
    ) -> RpcResponse {
        let reply = perform(self, caller, action, parameters, now);
        self.response(&reply)
    }

    /// The response to a request; errors contain the name of the region's endpoint.
    pub(crate) fn response(&self, reply: &Reply) -> RpcResponse {
        response::write(reply, &self.host())
    }

    /// The name of the region's endpoint.
    pub(crate) fn host(&self) -> String {
        format!("ecs.{}.aliyuncs.com", self.region())
    }
}
