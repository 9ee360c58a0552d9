//! The `[targets]` of a configuration, and tables that can hold secrets, files and paths.

mod advice;
mod alibaba;
mod calls;
mod chat;
mod credentials;
mod default_credentials;
mod email;
mod http_api;
#[cfg(feature = "cluster")]
mod jetstream;
mod known_target;
#[cfg(feature = "cluster")]
mod nats;
mod network;
mod pagerduty;
mod policies;
mod table;
mod targets;
mod urls;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;

pub use self::advice::ADVICE;
#[cfg(feature = "cluster")]
pub use self::jetstream::is_subject;
pub use self::known_target::{KnownTarget, TargetInput};
#[cfg(feature = "cluster")]
pub use self::nats::nats;
pub use self::network::{check_address, egress, headers, usable_authorities};
pub use self::table::{ConfigContext, ConfigTable, Environment, Secrets};
#[cfg(not(feature = "cluster"))]
pub use self::targets::report_missing_feature;
pub use self::targets::{known_targets, targets};
pub use self::urls::{url, url_or_reference};
use crate::call::CallSettings;
use crate::circuit_breaker::BreakerPolicy;
use crate::flood_control::FiringLimit;
use crate::retry::RetryPolicy;
use crate::target::Target;

/// One target as configured.
#[derive(Clone)]
pub struct TargetConfig {
    /// The target's name.
    pub name: String,
    /// The target.
    pub target: Arc<dyn Target>,
    /// The largest number of sends at a time, at least 1; a target with a rate limit or a firing
    /// limit gets one.
    pub concurrency: usize,
    /// The longest time for one send.
    pub timeout: Duration,
    /// When failed deliveries are attempted again.
    pub policy: RetryPolicy,
    /// When calls stop because the receiver fails.
    pub breaker: BreakerPolicy,
    /// How long a failing delivery holds up the next one of its order key, at most; zero where
    /// deliveries have no order.
    pub order_wait: SignedDuration,
    /// How many firings of one rule are sent as messages of their own; `None` where firings are not
    /// merged, as for machines.
    pub firing_limit: Option<FiringLimit>,
    /// What is set for calls; `None` where it takes messages and documents.
    pub calls: Option<CallSettings>,
    /// A digest of the settings, secrets included: a reload keeps a target with the same digest.
    pub digest: ConfigDigest,
}

/// A SHA-256 digest of a table of the configuration and of the secrets and files that it names.
pub type ConfigDigest = [u8; 32];

/// Why deliveries to `target` are undeliverable, given the names of the targets that exist.
///
/// ```
/// use reflexarc_delivery::config::unknown_target_message;
///
/// assert_eq!(
///     unknown_target_message("mial", &["mail".into(), "log".into()]),
///     "unknown target `mial`; known targets: mail, log"
/// );
/// ```
pub fn unknown_target_message(target: &str, known: &[String]) -> String {
    let known = if known.is_empty() {
        "no targets are configured".to_owned()
    } else {
        format!("known targets: {}", known.join(", "))
    };
    format!("unknown target `{target}`; {known}")
}
