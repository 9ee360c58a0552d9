//! `[heartbeat]`.

use std::time::Duration;

use jiff::SignedDuration;
use reflexarc_delivery::config::{ConfigTable, check_address, egress, url_or_reference};
use reflexarc_diagnostic::Code;

use crate::heartbeat::Heartbeat;

/// The time between two heartbeats, unless `every` says it.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(60);
/// The shortest and the longest time.
// More often would be a load for the monitor without an alarm that comes sooner; monitors take a
// day as the longest silence.
const INTERVALS: [SignedDuration; 2] =
    [SignedDuration::from_secs(1), SignedDuration::from_hours(24)];

/// `[heartbeat]`.
pub(super) fn heartbeat(table: ConfigTable<'_>) -> Option<Heartbeat> {
    let help = "the address that a monitor expects to be called: url = \
                \"https://hc-ping.com/…\", or { env = \"HEARTBEAT_URL\" }";
    let url = url_or_reference(&table, "url", help);
    let every = table.duration("every");
    let [shortest, longest] = INTERVALS;
    if every.is_some_and(|every| every < shortest || every > longest) {
        let message = "`every` is out of range";
        let help = "write a duration from \"1s\" to \"24h\", such as \"1m\"";
        table.fault("every", Code::CONFIG_VALUE, message, help);
    }
    let egress = egress(&table, url.as_ref());
    if let (Some(url), Some((policy, _))) = (&url, &egress) {
        check_address(&table, "url", policy.check_url(url));
    }
    table.finish();
    let (policy, client) = egress?;
    let every = every.map_or(DEFAULT_INTERVAL, SignedDuration::unsigned_abs);
    Some(Heartbeat::new(url?, every, policy, client))
}
