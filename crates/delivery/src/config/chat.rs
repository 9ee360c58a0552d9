//! The keys of targets of chats: `feishu`, `wecom`, `slack` and `teams`.

use std::ops::RangeInclusive;

use jiff::SignedDuration;
use jiff::tz::TimeZone;

use super::ConfigTable;
use super::network::{check_address, egress};
use super::policies::answers;
use super::targets::texts;
use super::urls::secret_url;
use crate::target::RateLimit;
use crate::target::chat::{
    ChatTarget, ChatWebhook, Feishu, FeishuFormat, Slack, Teams, WeCom, WeComFormat,
};

/// Codes of Feishu have up to eight digits, those of WeCom up to six.
const CODES: RangeInclusive<u64> = 300..=99_999_999;
const STATUSES: RangeInclusive<u64> = 300..=599;

pub(super) fn feishu(keys: &ConfigTable<'_>, zone: Option<TimeZone>) -> Option<ChatTarget> {
    let help = "the robot's webhook address: url = { env = \"FEISHU_URL\" }";
    let webhook = webhook(keys, help, Feishu::RATE_LIMIT, CODES, zone);
    let formats = [("card", FeishuFormat::Card), ("post", FeishuFormat::Post)];
    let robot = Feishu {
        secret: keys.secret("secret"),
        keywords: texts(keys.nonempty_strings("keywords").unwrap_or_default()),
        format: keys.choice("format", &formats).unwrap_or_default(),
    };
    // A secret that cannot be read must not make unsigned messages.
    if robot.secret.is_none() && keys.has("secret") {
        return None;
    }
    Some(ChatTarget::feishu(webhook?, robot))
}

pub(super) fn wecom(keys: &ConfigTable<'_>, zone: Option<TimeZone>) -> Option<ChatTarget> {
    let help = "the robot's webhook address: url = { env = \"WECOM_URL\" }";
    let webhook = webhook(keys, help, WeCom::RATE_LIMIT, CODES, zone);
    let formats = [
        ("markdown", WeComFormat::Markdown),
        ("text", WeComFormat::Text),
    ];
    let robot = WeCom {
        format: keys.choice("format", &formats).unwrap_or_default(),
    };
    Some(ChatTarget::wecom(webhook?, robot))
}

pub(super) fn slack(keys: &ConfigTable<'_>, zone: Option<TimeZone>) -> Option<ChatTarget> {
    let help = "the incoming webhook's address: url = { env = \"SLACK_URL\" }";
    let webhook = webhook(keys, help, Slack::RATE_LIMIT, STATUSES, zone);
    Some(ChatTarget::slack(webhook?))
}

pub(super) fn teams(keys: &ConfigTable<'_>, zone: Option<TimeZone>) -> Option<ChatTarget> {
    let help = "the workflow's address: url = { env = \"TEAMS_URL\" }";
    let webhook = webhook(keys, help, Teams::RATE_LIMIT, STATUSES, zone);
    Some(ChatTarget::teams(webhook?))
}

/// What all of them have. The address is all that a sender needs, so it is a secret.
fn webhook(
    keys: &ConfigTable<'_>,
    help: &str,
    limit: RateLimit,
    codes: RangeInclusive<u64>,
    time_zone: Option<TimeZone>,
) -> Option<ChatWebhook> {
    let url = secret_url(keys, "url", help);
    let rate_limit = rate_limit(keys, limit);
    let answers = answers(keys, codes);
    let (policy, client) = egress(keys, url.as_ref())?;
    let url = url?;
    check_address(keys, "url", policy.check_url(&url));
    Some(ChatWebhook {
        url,
        policy,
        client,
        rate_limit,
        time_zone,
        answers,
    })
}

/// `calls_per_minute`, in the proportions of the service's own limit: 50 a minute to Feishu are 5
/// in 6 seconds, where its limit is 5 in 3.
pub(super) fn rate_limit(keys: &ConfigTable<'_>, limit: RateLimit) -> RateLimit {
    let Some(a_minute) = keys.integer::<usize>("calls_per_minute", 1..=10_000) else {
        return limit;
    };
    let calls = limit.calls.min(a_minute);
    let millis = 60_000 * calls as u64 / a_minute as u64;
    RateLimit {
        calls,
        per: SignedDuration::from_millis(millis.cast_signed()),
    }
}
