//! What is set for an API of Alibaba Cloud.

use std::time::Duration;

use reqwest::Url;

use super::credentials::CredentialSource;
use crate::http::EgressPolicy;
use crate::operation_patterns::OperationPatterns;

/// What is set for an [`AlibabaApi`](super::AlibabaApi).
pub struct AlibabaSettings {
    /// The product, such as `ecs`.
    pub product: String,
    /// The version of its API, such as `2014-05-26`.
    pub version: String,
    /// Filled in as the parameter `RegionId` of operations that are called without one.
    pub region: Option<String>,
    /// The scheme and host to call.
    pub endpoint: Url,
    /// Which addresses the endpoint may lead to.
    pub egress: EgressPolicy,
    /// Certificates in PEM that are trusted besides the system's.
    pub authorities: Option<Vec<u8>>,
    /// Where the key comes from.
    pub credentials: CredentialSource,
    /// The operations that may be called.
    pub allow: OperationPatterns,
    /// Whether operations that change something are not sent.
    pub dry_run: bool,
    /// Where parameters go.
    pub style: ParameterStyle,
    /// The longest time for one request.
    pub timeout: Duration,
}

/// Where the parameters of a request go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ParameterStyle {
    /// Into the query, as for all operations of ECS.
    #[default]
    Query,
    /// Into the body, as a form.
    Form,
}
