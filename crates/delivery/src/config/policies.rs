//! How often a target is called again, which answers are final, and when its circuit breaker opens.

use std::ops::RangeInclusive;

use jiff::SignedDuration;
use reflexarc_diagnostic::toml::EmbeddedText;
use reflexarc_diagnostic::{Code, Diagnostic, nearest};

use super::ConfigTable;
use crate::answer_policy::AnswerPolicy;
use crate::circuit_breaker::BreakerPolicy;
use crate::flood_control::FiringLimit;
use crate::retry::{RetryDelays, RetryPolicy};
use crate::target::RateLimit;

/// How long a failing delivery holds up the next one, unless the target says otherwise.
// Longer than the restart of a receiver takes, and short enough that one message which a receiver
// does not accept does not keep the news about its resource from people.
const DEFAULT_ORDER_WAIT: SignedDuration = SignedDuration::from_mins(1);
/// As long as failed deliveries are attempted again, by default.
const MAX_ORDER_WAIT: SignedDuration = SignedDuration::from_hours(24);

/// `retry` is `"exponential"`, `"backoff"`, or one or more delays; `max_age` is a duration, except of
/// calls, which have `expires`.
pub(super) fn policy(keys: &ConfigTable<'_>, takes_calls: bool) -> RetryPolicy {
    let mut policy = RetryPolicy::default();
    match keys.strings("retry").as_deref() {
        // Also where it is invalid, which is reported. An empty list is a list without delays: each
        // delivery is attempted once.
        None => {}
        // A single string is a name or a delay: `retry = "backoff"`, `retry = "5m"`.
        Some([name]) if name.text() == "exponential" => {}
        Some([name]) if name.text() == "backoff" => policy.delays = RetryDelays::Backoff,
        Some([name])
            if !name
                .text()
                .trim_start()
                .starts_with(|c: char| c.is_ascii_digit()) =>
        {
            report_unknown(keys, name);
        }
        Some(list) => {
            let delays = list.iter().filter_map(|delay| keys.parse_duration(delay));
            policy.delays = RetryDelays::List(delays.collect());
        }
    }
    if !takes_calls {
        policy.max_age = keys.duration("max_age").unwrap_or(policy.max_age);
    }
    policy
}

/// Reports a `retry` that is neither a name nor a delay.
fn report_unknown(keys: &ConfigTable<'_>, name: &EmbeddedText) {
    let message = format!("unknown retry `{}`", name.text());
    let fault = Diagnostic::error(Code::CONFIG_VALUE, name.span(), message);
    keys.report(match nearest(name.text(), ["exponential", "backoff"]) {
        Some(meant) => fault
            .with_help(format!("did you mean \"{meant}\"?"))
            .with_fix(name.span(), format!("\"{meant}\"")),
        None => fault.with_help(
            "write \"exponential\", \"backoff\", waits such as [\"1s\", \"10s\"], or [] for one attempt",
        ),
    });
}

/// `order_wait`: how long a failing delivery holds up the next one of its resource; "0s" for no
/// order.
pub(super) fn order_wait(keys: &ConfigTable<'_>) -> SignedDuration {
    let Some(text) = keys.embedded("order_wait") else {
        return DEFAULT_ORDER_WAIT;
    };
    // Zero is not a duration elsewhere: no other key has a use for it.
    let is_zero = text
        .text()
        .trim()
        .parse()
        .is_ok_and(|wait: SignedDuration| wait.is_zero());
    if is_zero {
        return SignedDuration::ZERO;
    }
    let wait = keys.parse_duration(&text).unwrap_or(DEFAULT_ORDER_WAIT);
    if wait > MAX_ORDER_WAIT {
        let message = format!("`order_wait` is longer than {MAX_ORDER_WAIT:#}");
        let help = "set it to \"24h\" or less";
        keys.fault("order_wait", Code::CONFIG_VALUE, message, help);
    }
    wait
}

/// `calls_per_minute` of a target whose pace is our choice and not the receiver's limit: 0 is none.
pub(super) fn calls_per_minute(keys: &ConfigTable<'_>, default: RateLimit) -> Option<RateLimit> {
    let calls = keys.integer("calls_per_minute", 0..=10_000);
    let calls = calls.unwrap_or(default.calls);
    (calls > 0).then_some(RateLimit { calls, ..default })
}

/// `max_firings_per_minute`: how many firings of one rule are sent as messages of their own; 0 for
/// all.
pub(super) fn firing_limit(keys: &ConfigTable<'_>) -> Option<FiringLimit> {
    let default = FiringLimit::DEFAULT;
    let firings = keys.integer("max_firings_per_minute", 0..=1_000);
    let firings = firings.unwrap_or(default.firings);
    (firings > 0).then_some(FiringLimit { firings, ..default })
}

/// `final_statuses` and `retry_statuses`, of these numbers.
pub(super) fn answers(keys: &ConfigTable<'_>, numbers: RangeInclusive<u64>) -> AnswerPolicy {
    let read = |key| {
        let numbers: Option<Vec<u32>> = keys.integers(key, numbers.clone());
        numbers
            .unwrap_or_default()
            .into_iter()
            .map(i64::from)
            .collect()
    };
    let policy = AnswerPolicy {
        final_statuses: read("final_statuses"),
        retry_statuses: read("retry_statuses"),
    };
    if let Some(both) = policy
        .final_statuses
        .iter()
        .find(|status| policy.retry_statuses.contains(status))
    {
        let message = format!("{both} is in `final_statuses` and in `retry_statuses`");
        let help = "keep it in one of them";
        keys.fault("retry_statuses", Code::CONFIG_VALUE, message, help);
    }
    policy
}

/// `breaker`: `{ failures = 5, pause = "1s", max_pause = "10s" }`.
pub(super) fn breaker(keys: &ConfigTable<'_>) -> BreakerPolicy {
    let mut policy = BreakerPolicy::default();
    let Some(table) = keys.table("breaker") else {
        return policy;
    };
    policy.failures = table
        .integer("failures", 0..=1_000)
        .unwrap_or(policy.failures);
    policy.pause = table.duration("pause").unwrap_or(policy.pause);
    let max_pause = table.duration("max_pause");
    // `pause = "1m"` alone: all pauses are of a minute.
    policy.max_pause = max_pause.unwrap_or(policy.max_pause.max(policy.pause));
    if policy.max_pause < policy.pause {
        let message = "`max_pause` is shorter than `pause`";
        let help = "the first pause is `pause`; it doubles up to `max_pause`";
        table.fault("max_pause", Code::CONFIG_VALUE, message, help);
    }
    // As with `Retry-After`: a receiver that is back gets its deliveries within an hour.
    let longest = RetryPolicy::MAX_RETRY_AFTER;
    if policy.max_pause > longest {
        let message = format!("a pause is longer than {longest:#}");
        let key = if max_pause.is_some() {
            "max_pause"
        } else {
            "pause"
        };
        table.fault(key, Code::CONFIG_VALUE, message, "set it to \"1h\" or less");
    }
    table.finish();
    policy
}
