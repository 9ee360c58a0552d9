//! The outcome of a call, by the `errcode` of its response.

use jiff::Timestamp;
use reflexarc_event::Json;

use super::DingTalk;
use crate::http::BoundedResponse;
use crate::outcome::{Receipt, SendError};

/// The outcome that a response stands for. A robot responds with status 200 to errors too; the
/// error is in `errcode`. Any other status comes from a gateway or from a wrong address.
pub(super) fn classify(response: &BoundedResponse, now: Timestamp) -> Result<Receipt, SendError> {
    let summary = response.summary();
    let json = Json::parse(&response.body).ok();
    let Some(code) = json.as_ref().and_then(|json| json.get("errcode")?.as_i64()) else {
        let retry_after = response.retry_after(now);
        return Err(match (response.status, retry_after) {
            (429 | 503, Some(pause)) => SendError::RateLimited {
                reason: summary,
                pause,
            },
            (408 | 429 | 500.., _) => SendError::Transient {
                reason: summary,
                retry_after,
            },
            (200..=299, _) => {
                SendError::transient(format!("{summary}; no errcode in the response"))
            }
            _ => SendError::Misconfigured { reason: summary },
        });
    };
    match code {
        0 => Ok(Receipt::complete(response.body.clone())),
        130_101 | 410_100 => Err(SendError::RateLimited {
            reason: summary,
            pause: DingTalk::RATE_LIMIT_PENALTY,
        }),
        // "The system is busy": the one error that passes by itself.
        -1 => Err(SendError::transient(summary)),
        code => Err(match remedy(code, &response.body) {
            Some(remedy) => SendError::Misconfigured {
                reason: format!("{summary}; {remedy}"),
            },
            // Unknown codes are not retried: most are about the message (`460101`, too long), and
            // every further call counts towards the rate limit of the others.
            None => SendError::Refused { reason: summary },
        }),
    }
}

/// The `errcode` of a response, or its HTTP status where it has none.
pub(super) fn code(response: &BoundedResponse) -> i64 {
    let json = Json::parse(&response.body).ok();
    let code = json.and_then(|json| json.get("errcode")?.as_i64());
    code.unwrap_or_else(|| response.status.into())
}

/// What to change in the configuration of either side, for errors that such a change ends.
fn remedy(code: i64, body: &str) -> Option<&'static str> {
    // 310000 is one code for four security settings; only the text tells which. It exists in an
    // English and in a newer Chinese wording.
    let mentions = |texts: &[&str]| texts.iter().any(|text| body.contains(text));
    match code {
        310_000 if mentions(&["keyword", "关键词"]) => {
            Some("set `keywords` to one of the robot's keywords")
        }
        310_000 if mentions(&["timestamp", "时间戳"]) => Some("check this machine's clock"),
        310_000 if mentions(&["sign", "签名"]) => {
            Some("check `secret`: it is not the robot's signing key")
        }
        310_000 if mentions(&["whitelist", "白名单"]) => {
            Some("add this machine's public address to the robot's list")
        }
        310_000 => Some("check the robot's security settings"),
        300_001 | 300_005 | 400_101 => Some("check `token`: this robot does not exist"),
        400_013 => Some("the robot's group was dissolved"),
        400_102 => Some("the robot was stopped: enable it in the group's settings"),
        400_106 => Some("the robot was removed from the group"),
        43_002 | 43_004 => Some("check `endpoint`: it does not accept a POST of JSON"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderMap;

    use super::*;

    #[test]
    fn error_codes_are_classified_by_what_happens_next() {
        let classified = |status, text: &str| {
            classify(
                &BoundedResponse {
                    status,
                    headers: HeaderMap::new(),
                    body: text.into(),
                },
                Timestamp::UNIX_EPOCH,
            )
        };
        assert!(classified(200, r#"{"errcode":0,"errmsg":"ok"}"#).is_ok());
        for (code, text, outcome) in [
            ("-1", "system busy", "failed"),
            (
                "130101",
                "send too fast, exceed 20 times per minute",
                "throttled",
            ),
            ("410100", "too fast", "throttled"),
            ("310000", "keywords not in content", "misconfigured"),
            (
                "310000",
                "description:机器人发送签名不匹配;solution:请确认签名",
                "misconfigured",
            ),
            ("300001", "token is not exist", "misconfigured"),
            ("400102", "robot stopped", "misconfigured"),
            ("460101", "message too long, exceed 20000 bytes", "refused"),
            ("40035", "missing parameter json", "refused"),
            ("660026", "an undocumented code", "refused"),
        ] {
            let error =
                classified(200, &format!(r#"{{"errcode":{code},"errmsg":"{text}"}}"#)).unwrap_err();
            assert_eq!(error.outcome(), outcome, "{code}");
            assert!(error.reason().contains(text), "{error}");
        }
        let signature =
            classified(200, r#"{"errcode":310000,"errmsg":"sign not match"}"#).unwrap_err();
        assert!(
            signature
                .reason()
                .ends_with("check `secret`: it is not the robot's signing key"),
            "{signature}"
        );
        assert_eq!(classified(502, "<html>").unwrap_err().outcome(), "failed");
        assert_eq!(classified(200, "<html>").unwrap_err().outcome(), "failed");
        assert_eq!(classified(404, "").unwrap_err().outcome(), "misconfigured");
    }
}
