//! The address of an OpenTelemetry collector.

use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};

/// Where spans are sent, and how many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collector {
    /// The collector's address; spans are posted to `v1/traces` below it.
    pub endpoint: Url,
    /// Headers of every request.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// One event in this many is traced, at least 1. Which ones depends only on their names.
    pub one_in: u32,
}

impl Collector {
    /// The collector at this address, for every event.
    ///
    /// # Errors
    /// If it is not an http or https URL.
    pub fn at(url: &str) -> Result<Self, String> {
        let parsed = Url::parse(url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let endpoint = parsed.ok_or_else(|| {
            format!("invalid collector URL `{url}`; expected http:// or https:// and a host")
        })?;
        Ok(Self {
            endpoint,
            headers: Vec::new(),
            one_in: 1,
        })
    }
}
