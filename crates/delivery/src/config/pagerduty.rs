//! The keys of a target with `type = "pagerduty"`.

use super::ConfigTable;
use super::network::{check_address, egress};
use super::policies::{answers, calls_per_minute};
use super::urls::url;
use crate::http::EgressPolicy;
use crate::target::pagerduty::PagerDuty;

pub(super) fn pagerduty(keys: &ConfigTable<'_>) -> Option<PagerDuty> {
    if !keys.has("routing_key") {
        keys.missing(
            "routing_key",
            "the integration key of a service: routing_key = { env = \"PAGERDUTY_KEY\" }",
        );
    }
    let routing_key = keys.secret("routing_key");
    let endpoint = keys
        .string("endpoint")
        .unwrap_or_else(|| "https://events.pagerduty.com/v2/enqueue".to_owned());
    let endpoint = url(keys, "endpoint", &endpoint);
    let rate_limit = calls_per_minute(keys, PagerDuty::RATE_LIMIT);
    let answers = answers(keys, 300..=599);
    let (policy, client) = egress(keys, endpoint.as_ref())?;
    let endpoint = endpoint?;
    // As with other addresses that the operator writes, see `dingtalk`.
    let written = EgressPolicy {
        allowed: [policy.allowed, EgressPolicy::operator_hosts().allowed].concat(),
    };
    check_address(keys, "endpoint", written.check_url(&endpoint));
    Some(PagerDuty {
        endpoint,
        routing_key: routing_key?,
        client,
        rate_limit,
        answers,
    })
}
