//! Deliveries: what a target of a rule gets for an event.

use std::fmt;

use jiff::Timestamp;

/// One event for one target of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivery {
    /// When the event was published.
    pub at: Timestamp,
    /// The id of the account whose rule it is.
    pub account: String,
    /// The rule and its target.
    pub target: RuleTarget,
    /// The id of the event.
    pub event: String,
    /// Where it goes.
    pub destination: Destination,
    /// What the target gets.
    pub body: String,
    /// The media type of the body.
    pub content_type: &'static str,
    /// When it is repeated.
    pub retry: RetryStrategy,
}

/// A target of a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleTarget {
    /// The service that has the rule.
    pub service: SubscriptionService,
    /// The name of the rule.
    pub rule: String,
    /// The id of the target.
    pub id: String,
}

/// A service with rules.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum SubscriptionService {
    /// `EventBridge`.
    EventBridge {
        /// The name of the bus that has the rule.
        bus: String,
    },
    /// Cloud Monitor.
    CloudMonitor,
}

/// Where a delivery goes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Destination {
    /// A program that is called over HTTP.
    Http {
        /// Its address.
        url: String,
        /// Whether the method is GET, with the body in the parameter `data`, and not POST.
        is_get: bool,
    },
    /// Something that the simulation does not have, such as a queue.
    Other {
        /// Its type, `acs.mns.queue` for example.
        kind: String,
        /// Its address, as the rule has it.
        endpoint: String,
    },
}

/// When a delivery that failed is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum RetryStrategy {
    /// `BACKOFF_RETRY`: three times, each after 10 to 20 seconds.
    #[default]
    Backoff,
    /// `EXPONENTIAL_DECAY_RETRY`: after 1, 2, 4 … 256 seconds and then every 512 seconds, 176
    /// times in all.
    ExponentialDecay,
    /// That of Cloud Monitor: three times. The documentation does not say when; here after 1, 2 and
    /// 4 seconds.
    CloudMonitor,
}

impl RetryStrategy {
    /// The seconds before repetition number `retry`, from 1; `None` when there is no such
    /// repetition. `random` chooses where the strategy leaves it open.
    ///
    /// ```
    /// use reflexarc_eni::subscriptions::RetryStrategy;
    ///
    /// assert_eq!(RetryStrategy::ExponentialDecay.delay(3, 0), Some(4));
    /// assert_eq!(RetryStrategy::Backoff.delay(1, 25), Some(13));
    /// assert_eq!(RetryStrategy::Backoff.delay(4, 25), None);
    /// ```
    pub fn delay(self, retry: u32, random: u64) -> Option<u64> {
        match (self, retry) {
            (Self::Backoff, 1..=3) => Some(10 + random % 11),
            (Self::ExponentialDecay, 1..=9) | (Self::CloudMonitor, 1..=3) => Some(1 << (retry - 1)),
            (Self::ExponentialDecay, 10..=176) => Some(512),
            _ => None,
        }
    }

    /// The name in requests, for a strategy of `EventBridge`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Backoff => "BACKOFF_RETRY",
            Self::ExponentialDecay => "EXPONENTIAL_DECAY_RETRY",
            Self::CloudMonitor => "",
        }
    }

    /// The strategy with that name.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        let mut known = [Self::Backoff, Self::ExponentialDecay].into_iter();
        known.find(|strategy| strategy.name() == name)
    }
}

impl SubscriptionService {
    /// `eventbridge` or `cloud-monitor`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::EventBridge { .. } => "eventbridge",
            Self::CloudMonitor => "cloud-monitor",
        }
    }

    /// The name of the bus.
    pub fn bus(&self) -> Option<&str> {
        match self {
            Self::EventBridge { bus } => Some(bus),
            Self::CloudMonitor => None,
        }
    }
}

/// The rule with its bus, and the target: `default/leaked-eni target 1`.
impl fmt::Display for RuleTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.service {
            SubscriptionService::EventBridge { bus } => write!(f, "{bus}/")?,
            SubscriptionService::CloudMonitor => f.write_str("Cloud Monitor/")?,
        }
        write!(f, "{} target {}", self.rule, self.id)
    }
}

impl Destination {
    /// The address.
    pub fn endpoint(&self) -> &str {
        match self {
            Self::Http { url, .. } => url,
            Self::Other { endpoint, .. } => endpoint,
        }
    }
}
