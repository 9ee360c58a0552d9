//! The address of an OpenTelemetry collector.

use std::str::FromStr;

use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};

/// Where spans are sent, and how many.
///
/// ```
/// use reflexarc_service::telemetry::Collector;
///
/// let collector: Collector = "http://localhost:4318".parse()?;
/// assert_eq!((collector.endpoint.port(), collector.one_in), (Some(4318), 1));
/// assert!("localhost:4318".parse::<Collector>().is_err());
/// # Ok::<(), reflexarc_service::telemetry::InvalidCollectorUrl>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collector {
    /// The collector's address; spans are posted to `v1/traces` below it.
    pub endpoint: Url,
    /// Headers of every request.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Certificates in PEM that are trusted besides those of the system.
    pub authorities: Option<Vec<u8>>,
    /// One event in this many is traced, at least 1. Which ones depends only on their names.
    pub one_in: u32,
}

/// Not the address of a collector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid collector URL `{0}`; expected http:// or https:// and a host")]
pub struct InvalidCollectorUrl(String);

/// Reads the address; every event is traced, and requests have no headers of their own.
impl FromStr for Collector {
    type Err = InvalidCollectorUrl;

    fn from_str(url: &str) -> Result<Self, InvalidCollectorUrl> {
        let parsed = Url::parse(url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let endpoint = parsed.ok_or_else(|| InvalidCollectorUrl(url.to_owned()))?;
        Ok(Self {
            endpoint,
            headers: Vec::new(),
            authorities: None,
            one_in: 1,
        })
    }
}
