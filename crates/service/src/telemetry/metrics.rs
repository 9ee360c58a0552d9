//! Prometheus metrics.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use reflexarc_delivery::DeadLetterCause;

use super::Problems;

/// All metrics of the service.
///
/// ```
/// use std::time::Duration;
///
/// use reflexarc_service::telemetry::Metrics;
///
/// let metrics = Metrics::new();
/// metrics.attempt("mail", "delivered", Duration::from_millis(20));
/// let line = r#"attempts_total{target="mail",outcome="delivered"} 1"#;
/// assert!(metrics.render().contains(line));
/// ```
// Label values come from the configuration and the rules, never from an event: otherwise a sender
// could create time series without bound.
pub struct Metrics {
    registry: Registry,
    /// Events accepted, without duplicates.
    pub accepted: Counter,
    /// Duplicates of events accepted before.
    pub duplicates: Counter,
    /// Refused requests to `/events`, by status.
    pub refused: Family<StatusLabel, Counter>,
    /// Rules that matched, summed over events.
    pub matched: Counter,
    /// Reactions that failed.
    pub failures: Counter,
    /// Failures in a row of rules that keep failing; set when metrics are read.
    pub failing: Family<RuleLabel, Gauge>,
    /// Evaluations of a rule with notes, such as an event without the key of `once`; set when
    /// metrics are read.
    pub noted: Family<RuleLabel, Counter>,
    /// State entries of rules; set when the rules are compared with the store.
    pub state_entries: Family<RuleLabel, Gauge>,
    /// Deadlines that have passed, by rule and what they led to.
    pub firings: Family<FiringLabel, Counter>,
    /// How long after their deadlines they were fired.
    pub late_by: Histogram,
    /// Keys that wait, by rule; set when metrics are read.
    pub pending: Family<RuleLabel, Gauge>,
    /// Number of open incidents, by rule; set when metrics are read.
    pub incidents_open: Family<RuleLabel, Gauge>,
    /// Pending keys that were closed because a reload changed or removed their window.
    pub closed_by_reload: Family<RuleLabel, Counter>,
    /// Reactions that did not run because of a budget, by rule; set when metrics are read.
    pub over_budget: Family<RuleLabel, Counter>,
    /// From the head of a request to the commit of its events.
    pub accepting: Histogram,
    /// Attempts by target and outcome.
    pub attempts: Family<AttemptLabel, Counter>,
    /// Calls of operations that were answered, by target and code: `ok`, `refused` for an error of
    /// the API, else one of our own.
    pub calls: Family<CallLabel, Counter>,
    /// Duration of attempts, by target.
    pub sending: Family<TargetLabel, Histogram>,
    /// Deliveries that became dead letters, by target and reason.
    pub dead_letters: Family<DeadLetterLabel, Counter>,
    /// The unknown targets that have a time series of their own.
    unknown_targets: Mutex<BTreeSet<String>>,
    /// Pending deliveries that are not delayed, by target; set when metrics are read.
    pub waiting: Family<TargetLabel, Gauge>,
    /// Delayed deliveries that are not due yet, by target; set when metrics are read.
    pub delayed: Family<TargetLabel, Gauge>,
    /// Age in seconds of the oldest pending delivery, by target; set when metrics are read.
    pub oldest: Family<TargetLabel, Gauge>,
    /// 1 for the state that a target is in, 0 for its other states; set when metrics are read.
    pub target_state: Family<TargetStateLabel, Gauge>,
    /// Failures of a target since its last success; set when metrics are read.
    pub target_failures: Family<TargetLabel, Gauge>,
    /// How often the circuit breaker of a target opened.
    pub opened: Family<TargetLabel, Counter>,
    /// Firings that were merged into one message, by target.
    pub firings_merged: Family<TargetLabel, Counter>,
    /// How often a delivery was withheld or silenced instead of claimed.
    pub kept_back: Counter,
    /// Withheld deliveries that were released.
    pub released: Counter,
    /// Withheld deliveries that were dropped because their silence was ended so.
    pub silenced: Counter,
    /// Deliveries that are withheld, by target; set when metrics are read.
    pub withheld: Family<TargetLabel, Gauge>,
    /// Silences that withhold deliveries now; set when metrics are read.
    pub silences: Gauge,
    /// Spans that were dropped.
    pub spans_dropped: Counter,
    /// Reloads by outcome: `taken` or `refused`.
    pub reloads: Family<OutcomeLabel, Counter>,
    /// Heartbeats by outcome: `sent` or `failed`.
    pub heartbeats: Family<OutcomeLabel, Counter>,
    /// Messages of sources, by what has become of them.
    pub source_messages: Family<SourceMessageLabel, Counter>,
    /// Messages of sources that came again, by source.
    pub source_redelivered: Family<SourceLabel, Counter>,
    /// Messages that a source has not sent yet; set every few seconds.
    pub source_pending: Family<SourceLabel, Gauge>,
    /// Messages of a source that were sent and are not acknowledged; set every few seconds.
    pub source_ack_pending: Family<SourceLabel, Gauge>,
    /// 1 if the source is connected to a server.
    pub source_connected: Family<SourceLabel, Gauge>,
    /// When the last message of a source came, in seconds since 1970.
    pub source_last_message: Family<SourceLabel, Gauge>,
    /// The problems that an operator must see, which are counted too.
    pub(crate) problems: Arc<Problems>,
    /// How far the wall clock is ahead of the time that is used for ages, in seconds.
    pub clock_offset: Gauge,
    /// 1 if the last reload was refused, else 0.
    pub reload_refused: Gauge,
    /// Dead letters that were dropped because of their age.
    pub dead_letters_dropped: Counter,
    /// Bytes in use in the store; set when metrics are read.
    pub store_used: Gauge,
    /// Bytes of its write-ahead log; set when metrics are read.
    pub store_log: Gauge,
    /// Bytes of the store that have been checked for damage since the start.
    pub store_checked: Gauge,
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

/// A target and one of its possible states.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct TargetStateLabel {
    /// The target's name in the configuration.
    pub target: String,
    /// As [`reflexarc_delivery::BreakerState::as_str`].
    pub state: &'static str,
}

/// A target for calls and the code of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CallLabel {
    /// The target's name in the configuration.
    pub target: String,
    /// `ok`, `refused` for an error of the API, or as [`reflexarc_reaction::OwnCode::as_str`].
    pub code: &'static str,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RuleLabel {
    /// Its name, that of its file.
    pub rule: String,
}

/// A rule and what a deadline of it led to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct FiringLabel {
    /// The rule's name, that of its file.
    pub rule: String,
    /// `fired`, `resolved`, `skipped`, `failed` or `closed`.
    pub outcome: &'static str,
}

/// A target and the outcome of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct AttemptLabel {
    /// The target's name in the configuration.
    pub target: String,
    /// As in [`crate::store::Attempt::outcome`].
    pub outcome: &'static str,
}

/// A target and why deliveries to it became dead letters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DeadLetterLabel {
    /// The target's name; `(other)` for further targets that are not configured.
    pub target: String,
    /// As [`DeadLetterCause::as_str`].
    pub reason: &'static str,
}

/// A source of events.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct SourceLabel {
    /// Its name in the configuration.
    pub source: String,
}

/// A source of events and what became of a message.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct SourceMessageLabel {
    /// The source's name in the configuration.
    pub source: String,
    /// `accepted`, `rejected` or `postponed`.
    pub outcome: &'static str,
}

/// The label of targets that are not configured, beyond the first [`MAX_UNKNOWN_TARGETS`].
const OTHER_TARGETS: &str = "(other)";
/// The largest number of targets that are not configured and have time series of their own.
// A script may take the name of a target from an event, so the names are without bound.
const MAX_UNKNOWN_TARGETS: usize = 32;

/// The outcome of a reload or a heartbeat.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OutcomeLabel {
    /// `taken` or `refused`; `sent` or `failed`.
    pub outcome: &'static str,
}

impl Metrics {
    /// New metrics, all zero.
    pub fn new() -> Self {
        // From 5 ms, a local webhook, to 41 s, beyond the default timeout of 30 s.
        let sending: fn() -> Histogram = || Histogram::new(exponential_buckets(0.005, 2.0, 14));
        // The library adds the suffixes `_total` and `_seconds`.
        let mut registry = Registry::with_prefix("reflexarc");
        let problems = Arc::new(Problems::register(&mut registry));
        let mut metrics = Self {
            registry,
            problems,
            accepted: Counter::default(),
            duplicates: Counter::default(),
            refused: Family::default(),
            matched: Counter::default(),
            failures: Counter::default(),
            failing: Family::default(),
            noted: Family::default(),
            state_entries: Family::default(),
            firings: Family::default(),
            // From 1 ms to 9 hours: a service that was stopped is late by as much.
            late_by: Histogram::new(exponential_buckets(0.001, 4.0, 13)),
            pending: Family::default(),
            incidents_open: Family::default(),
            closed_by_reload: Family::default(),
            over_budget: Family::default(),
            // From 1 ms, about one sync of the disk, to 8 s.
            accepting: Histogram::new(exponential_buckets(0.001, 2.0, 14)),
            attempts: Family::default(),
            calls: Family::default(),
            dead_letters: Family::default(),
            unknown_targets: Mutex::default(),
            sending: Family::new_with_constructor(sending),
            waiting: Family::default(),
            delayed: Family::default(),
            oldest: Family::default(),
            target_state: Family::default(),
            target_failures: Family::default(),
            opened: Family::default(),
            firings_merged: Family::default(),
            kept_back: Counter::default(),
            released: Counter::default(),
            silenced: Counter::default(),
            withheld: Family::default(),
            silences: Gauge::default(),
            spans_dropped: Counter::default(),
            reloads: Family::default(),
            heartbeats: Family::default(),
            source_messages: Family::default(),
            source_redelivered: Family::default(),
            source_pending: Family::default(),
            source_ack_pending: Family::default(),
            source_connected: Family::default(),
            source_last_message: Family::default(),
            clock_offset: Gauge::default(),
            reload_refused: Gauge::default(),
            dead_letters_dropped: Counter::default(),
            store_used: Gauge::default(),
            store_log: Gauge::default(),
            store_checked: Gauge::default(),
        };
        let registry = &mut metrics.registry;
        registry.register(
            "events_accepted",
            "Events accepted, without duplicates",
            metrics.accepted.clone(),
        );
        registry.register(
            "events_duplicate",
            "Duplicates of events accepted before",
            metrics.duplicates.clone(),
        );
        registry.register(
            "requests_refused",
            "Refused requests to /events",
            metrics.refused.clone(),
        );
        let help = "From the head of a request to the commit of its events";
        registry.register_with_unit("accepting", help, Unit::Seconds, metrics.accepting.clone());
        registry.register(
            "spans_dropped",
            "Spans that were dropped because the collector did not accept them",
            metrics.spans_dropped.clone(),
        );
        registry.register("reloads", "Reloads by outcome", metrics.reloads.clone());
        let help = "Heartbeats to the monitor outside, by outcome";
        registry.register("heartbeats", help, metrics.heartbeats.clone());
        let help = "How far the wall clock is ahead of the time that is used for ages";
        let offset = metrics.clock_offset.clone();
        registry.register_with_unit("clock_offset", help, Unit::Seconds, offset);
        let help = "1 if the last reload was refused, in whole or in part, else 0";
        registry.register("reload_refused", help, metrics.reload_refused.clone());
        metrics.register_rules();
        metrics.register_deliveries();
        metrics.register_store();
        metrics.register_deadlines();
        metrics.register_sources();
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

    /// Counts dead letters.
    pub fn dead_letters(&self, target: &str, cause: DeadLetterCause, count: u64) {
        let target = match cause {
            DeadLetterCause::UnknownTarget => self.bounded_name(target),
            _ => target.to_owned(),
        };
        let reason = cause.as_str();
        self.dead_letters
            .get_or_create(&DeadLetterLabel { target, reason })
            .inc_by(count);
    }

    /// The name, or [`OTHER_TARGETS`] once there are too many.
    fn bounded_name(&self, target: &str) -> String {
        let known = self.unknown_targets.lock();
        let mut known = known.unwrap_or_else(PoisonError::into_inner);
        if known.contains(target) || known.len() < MAX_UNKNOWN_TARGETS {
            known.insert(target.to_owned());
            target.to_owned()
        } else {
            OTHER_TARGETS.to_owned()
        }
    }

    /// All metrics in the `OpenMetrics` text format.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing into a string does not fail; if a metric could not be encoded, the others are
        // still useful.
        _ = encode(&mut text, &self.registry);
        text
    }

    fn register_sources(&mut self) {
        let registry = &mut self.registry;
        let help = "Messages of a source by outcome: accepted, rejected or postponed";
        registry.register("source_messages", help, self.source_messages.clone());
        let help = "Messages of a source that came again";
        let redelivered = self.source_redelivered.clone();
        registry.register("source_redelivered", help, redelivered);
        let help = "Messages that the consumer of a source has not sent yet";
        registry.register("source_pending", help, self.source_pending.clone());
        let help = "Messages of a source that were sent to any node and are not acknowledged";
        let unacknowledged = self.source_ack_pending.clone();
        registry.register("source_ack_pending", help, unacknowledged);
        let help = "1 if the source is connected to a server, else 0";
        registry.register("source_connected", help, self.source_connected.clone());
        let help = "When the last message of a source came, in Unix time";
        let last = self.source_last_message.clone();
        registry.register_with_unit("source_last_message", help, Unit::Seconds, last);
    }

    fn register_silences(&mut self) {
        let registry = &mut self.registry;
        let help = "How often a delivery was withheld or silenced instead of sent";
        registry.register("deliveries_kept_back", help, self.kept_back.clone());
        let help = "Withheld deliveries that were released";
        registry.register("deliveries_released", help, self.released.clone());
        let help = "Withheld deliveries that were dropped with the end of their silence";
        registry.register("deliveries_silenced", help, self.silenced.clone());
        let help = "Deliveries that are withheld by silences and inhibitions";
        registry.register("deliveries_withheld", help, self.withheld.clone());
        let help = "Silences that withhold deliveries now";
        registry.register("silences_active", help, self.silences.clone());
    }

    fn register_deadlines(&mut self) {
        self.register_silences();
        let registry = &mut self.registry;
        let help = "Deadlines that have passed, by what they led to";
        registry.register("rule_firings", help, self.firings.clone());
        let help = "How long after its time a deadline was fired";
        registry.register_with_unit("firing_late", help, Unit::Seconds, self.late_by.clone());
        let help = "Keys of a rule that wait for something to happen or not to happen";
        registry.register("rule_pending", help, self.pending.clone());
        let help = "Incidents of a rule that have not ended";
        registry.register("incidents_open", help, self.incidents_open.clone());
        let help = "Pending keys of a rule that were closed because its window changed";
        let closed = self.closed_by_reload.clone();
        registry.register("rule_pending_closed", help, closed);
    }

    fn register_store(&mut self) {
        let metrics = self;
        let registry = &mut metrics.registry;
        for (name, help, gauge) in [
            (
                "store_used",
                "Pages of the store in use",
                &metrics.store_used,
            ),
            (
                "store_log",
                "Write-ahead log of the store",
                &metrics.store_log,
            ),
            (
                "store_checked",
                "Content of the store that has been checked for damage since the start",
                &metrics.store_checked,
            ),
        ] {
            registry.register_with_unit(name, help, Unit::Bytes, gauge.clone());
        }
        let help = "Dead letters that were dropped because of their age";
        let dropped = metrics.dead_letters_dropped.clone();
        registry.register("dead_letters_dropped", help, dropped);
    }

    /// What rules do.
    fn register_rules(&mut self) {
        let metrics = self;
        let registry = &mut metrics.registry;
        registry.register(
            "rules_matched",
            "Rules that matched, summed over events",
            metrics.matched.clone(),
        );
        registry.register(
            "reactions_failed",
            "Reactions that failed",
            metrics.failures.clone(),
        );
        let help = "Failures in a row of a rule that keeps failing";
        registry.register("rule_failures_in_a_row", help, metrics.failing.clone());
        let help = "Reactions of a rule that did not run because it was over its budget";
        let over_budget = metrics.over_budget.clone();
        registry.register("reactions_over_budget", help, over_budget);
        let help = "Evaluations of a rule with notes, such as an event without the key of `once`";
        registry.register("rule_evaluations_noted", help, metrics.noted.clone());
        let help = "State entries of a rule; expired ones count until they are pruned";
        let entries = metrics.state_entries.clone();
        registry.register("rule_state_entries", help, entries);
    }

    fn register_deliveries(&mut self) {
        let metrics = self;
        let registry = &mut metrics.registry;
        registry.register(
            "delivery_attempts",
            "Attempts by target and outcome",
            metrics.attempts.clone(),
        );
        registry.register(
            "calls",
            "Calls of operations that were answered, by target and code",
            metrics.calls.clone(),
        );
        registry.register(
            "dead_letters",
            "Deliveries that became dead letters, by target and reason",
            metrics.dead_letters.clone(),
        );
        registry.register_with_unit(
            "sending",
            "Duration of attempts",
            Unit::Seconds,
            metrics.sending.clone(),
        );
        registry.register(
            "deliveries_waiting",
            "Pending deliveries in the outbox that are not delayed",
            metrics.waiting.clone(),
        );
        registry.register(
            "deliveries_delayed",
            "Deliveries in the outbox that a rule has delayed and that are not due yet",
            metrics.delayed.clone(),
        );
        let help = "Age of the oldest pending delivery";
        registry.register_with_unit(
            "delivery_oldest_age",
            help,
            Unit::Seconds,
            metrics.oldest.clone(),
        );
        let help = "1 for the state that a target is in: closed, open, half_open or paused";
        registry.register("target_state", help, metrics.target_state.clone());
        let help = "Failures of a target since its last success";
        let failures = metrics.target_failures.clone();
        registry.register("target_failures_in_a_row", help, failures);
        let help = "How often calls of a target stopped because its receiver failed";
        registry.register("target_breaker_opened", help, metrics.opened.clone());
        let help = "Firings of rules that were merged into one message";
        registry.register("firings_merged", help, metrics.firings_merged.clone());
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A script may take the name of a target from an event.
    #[test]
    fn unknown_targets_have_a_bounded_number_of_series() {
        let metrics = Metrics::new();
        for number in 0..MAX_UNKNOWN_TARGETS + 10 {
            let cause = DeadLetterCause::UnknownTarget;
            metrics.dead_letters(&format!("unknown-{number}"), cause, 2);
            metrics.dead_letters("unknown-0", cause, 1);
            metrics.dead_letters(&format!("known-{number}"), DeadLetterCause::Refused, 1);
        }
        let text = metrics.render();
        let series = |part: &str| text.lines().filter(|line| line.contains(part)).count();
        assert_eq!(
            series(r#"reason="unknown_target""#),
            MAX_UNKNOWN_TARGETS + 1
        );
        assert_eq!(series("known-"), 2 * MAX_UNKNOWN_TARGETS + 10);
        for line in [
            r#"dead_letters_total{target="(other)",reason="unknown_target"} 20"#,
            r#"dead_letters_total{target="unknown-0",reason="unknown_target"} 44"#,
        ] {
            assert!(text.contains(line), "{text}");
        }
    }

    /// promtool is not needed for that: a misspelt metric is an alert that never fires.
    #[test]
    fn alerting_rules_name_metrics_and_problems_that_exist() {
        let metrics = Metrics::new();
        let target = || "mail".to_owned();
        metrics.attempt("mail", "delivered", Duration::ZERO);
        metrics.dead_letters("mail", DeadLetterCause::Refused, 1);
        for gauge in [&metrics.waiting, &metrics.oldest] {
            drop(gauge.get_or_create(&TargetLabel { target: target() }));
        }
        let source = "events".to_owned();
        drop(
            metrics
                .source_pending
                .get_or_create(&SourceLabel { source }),
        );
        let rule = "slow".to_owned();
        drop(metrics.over_budget.get_or_create(&RuleLabel { rule }));
        let rendered = metrics.render();
        let is_rendered = |name: &str| {
            let series = |line: &str| line.split(['{', ' ']).next() == Some(name);
            rendered.lines().any(series)
        };
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/alerts.yml");
        let rules = std::fs::read_to_string(path).unwrap();
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let expressions = rules
            .lines()
            .filter_map(|line| line.trim().strip_prefix("expr: "));
        let words = expressions.flat_map(|line| line.split(|c| !is_name(c)));
        let names: BTreeSet<&str> = words
            .filter(|word| word.starts_with("reflexarc_"))
            .collect();
        assert!(names.len() >= 6, "{names:?}");
        for name in names {
            assert!(is_rendered(name), "{name} is not among: {rendered}");
        }
        let problems = rules.split("problem=\"").skip(1);
        let problems: BTreeSet<&str> = problems.filter_map(|rest| rest.split('"').next()).collect();
        let known = super::super::ProblemKind::ALL.map(super::super::ProblemKind::name);
        assert_eq!(problems, BTreeSet::from(known));
    }
}
