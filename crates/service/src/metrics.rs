//! What Prometheus gets to see.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// Every figure the service keeps. Label values come from the configuration, never from an event, so that a stranger
/// cannot make new time series.
pub struct Metrics {
    registry: Registry,
    /// Events accepted, duplicates not counted.
    pub accepted: Counter,
    /// Copies of events accepted before.
    pub duplicates: Counter,
    /// Requests to take events that were refused, by status.
    pub refused: Family<StatusLabel, Counter>,
    /// Rules that matched, summed over events.
    pub matched: Counter,
    /// Reactions that went wrong.
    pub failures: Counter,
    /// How often in a row rules have failed that were reported and have not worked since; set when somebody asks.
    pub failing: Family<RuleLabel, Gauge>,
    /// From the first byte of a request to the commit of its last event.
    pub accepting: Histogram,
    /// Attempts by target and outcome.
    pub attempts: Family<AttemptLabel, Counter>,
    /// How long attempts take, by target.
    pub sending: Family<TargetLabel, Histogram>,
    /// Deliveries waiting, by target; set when somebody asks for the figures.
    pub waiting: Family<TargetLabel, Gauge>,
    /// Age in seconds of the oldest delivery waiting, by target.
    pub oldest: Family<TargetLabel, Gauge>,
    /// Spans that no collector took.
    pub spans_dropped: Counter,
    /// Reloads by outcome: `taken` or `refused`.
    pub reloads: Family<OutcomeLabel, Counter>,
}

/// An HTTP status.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct StatusLabel {
    /// Such as 429.
    pub status: u16,
}

/// A target.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct TargetLabel {
    /// Its name in the configuration.
    pub target: String,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RuleLabel {
    /// Its name, that of its file.
    pub rule: String,
}

/// A target and what became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct AttemptLabel {
    /// The target's name in the configuration.
    pub target: String,
    /// As in [`crate::Attempt::outcome`].
    pub outcome: &'static str,
}

/// What became of something.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OutcomeLabel {
    /// One word.
    pub outcome: &'static str,
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Self {
        let sending: fn() -> Histogram = || Histogram::new(exponential_buckets(0.005, 2.0, 14));
        let mut metrics = Self {
            registry: Registry::with_prefix("reflexarc"),
            accepted: Counter::default(),
            duplicates: Counter::default(),
            refused: Family::default(),
            matched: Counter::default(),
            failures: Counter::default(),
            failing: Family::default(),
            accepting: Histogram::new(exponential_buckets(0.001, 2.0, 14)),
            attempts: Family::default(),
            sending: Family::new_with_constructor(sending),
            waiting: Family::default(),
            oldest: Family::default(),
            spans_dropped: Counter::default(),
            reloads: Family::default(),
        };
        let r = &mut metrics.registry;
        r.register(
            "events_accepted",
            "Events accepted, duplicates not counted",
            metrics.accepted.clone(),
        );
        r.register(
            "events_duplicate",
            "Copies of events accepted before",
            metrics.duplicates.clone(),
        );
        r.register(
            "requests_refused",
            "Requests to take events that were refused",
            metrics.refused.clone(),
        );
        r.register(
            "rules_matched",
            "Rules that matched, summed over events",
            metrics.matched.clone(),
        );
        r.register(
            "reactions_failed",
            "Reactions that went wrong",
            metrics.failures.clone(),
        );
        let help =
            "How often in a row a rule has failed that was reported and has not worked since";
        r.register("rule_failures_in_a_row", help, metrics.failing.clone());
        let help = "From the whole request to the commit of its last event";
        r.register_with_unit("accepting", help, Unit::Seconds, metrics.accepting.clone());
        r.register(
            "delivery_attempts",
            "Attempts by target and outcome",
            metrics.attempts.clone(),
        );
        r.register_with_unit(
            "sending",
            "How long attempts take",
            Unit::Seconds,
            metrics.sending.clone(),
        );
        r.register(
            "deliveries_waiting",
            "Deliveries waiting in the outbox",
            metrics.waiting.clone(),
        );
        let help = "Age of the oldest delivery waiting";
        r.register_with_unit(
            "delivery_oldest_age",
            help,
            Unit::Seconds,
            metrics.oldest.clone(),
        );
        r.register(
            "spans_dropped",
            "Spans that no collector took",
            metrics.spans_dropped.clone(),
        );
        r.register(
            "reloads",
            "Reloads of the rule set by outcome",
            metrics.reloads.clone(),
        );
        metrics
    }

    /// Counts an attempt.
    pub fn attempt(&self, target: &str, outcome: &'static str, took: Duration) {
        self.attempts
            .get_or_create(&AttemptLabel {
                target: target.to_owned(),
                outcome,
            })
            .inc();
        self.sending
            .get_or_create(&TargetLabel {
                target: target.to_owned(),
            })
            .observe(took.as_secs_f64());
    }

    /// Everything in the text form of `OpenMetrics`.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing into a string does not fail; if a figure could not be written, the rest is still worth seeing.
        _ = encode(&mut text, &self.registry);
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
