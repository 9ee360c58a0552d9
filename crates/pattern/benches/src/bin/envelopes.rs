//! Prints what an event costs in each envelope, from its bytes to the matching rules.
//!
//! `envelopes` measures; `envelopes ENVELOPE ROUNDS` only processes the events of one envelope, to
//! count instructions.

use std::hint::black_box;

use cpu_time::ThreadTime;
use reflexarc_event::{Json, Limits, NativeEvent};
use reflexarc_pattern::{Matcher, Pattern, Scratch};
use reflexarc_pattern_benches::events::{Cloud, events};

const EVENTS: usize = 2_000;

/// The pattern that is matched: most events do not match it.
const PATTERN: &str =
    r#"content.result == "failed" and content.operation == "DetachNetworkInterface""#;

/// The envelopes in which the same event is measured.
const ENVELOPES: [(&str, fn(&Json) -> Json); 5] = [
    ("native", Json::clone),
    ("cloudevents", cloudevent),
    ("cloudmonitor-rule", rule),
    ("cloudmonitor-record", record),
    ("cloudmonitor-webhook", webhook),
];

fn main() {
    let cloud = Cloud::new();
    let native: Vec<Json> = events(&cloud, EVENTS)
        .iter()
        .map(|text| Json::parse(text).expect("valid JSON"))
        .collect();
    let pattern: Pattern = PATTERN.parse().expect("a pattern");
    let matcher = Matcher::build([pattern.node()]).expect("within the limits");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut texts: Vec<(&str, Vec<String>)> = Vec::new();
    for (name, convert) in ENVELOPES {
        if arguments.first().is_none_or(|wanted| wanted == name) {
            let converted = native.iter().map(|event| convert(event).to_string());
            texts.push((name, converted.collect()));
        }
    }
    if let [_, rounds] = arguments.as_slice() {
        for _ in 0..rounds.parse().expect("ROUNDS is a number") {
            texts.iter().for_each(|(_, texts)| pass(&matcher, texts));
        }
        return;
    }
    // What is compared alternates; printed is the best of the turns.
    let mut best = vec![f64::INFINITY; texts.len() + 2];
    for _ in 0..25 {
        for (best, (_, texts)) in best[2..].iter_mut().zip(&texts) {
            *best = best.min(seconds(|| pass(&matcher, texts)));
        }
        let (_, native) = &texts[0];
        best[0] = best[0].min(seconds(|| pass_pattern(&matcher, native)));
        best[1] = best[1].min(seconds(|| pass_native(&matcher, native)));
    }
    let nanoseconds = |seconds: f64| seconds * 1e9 / EVENTS as f64;
    println!("envelope, bytes, ns an event, ÷ native");
    for ((name, texts), seconds) in texts.iter().zip(&best[2..]) {
        let bytes: usize = texts.iter().map(String::len).sum();
        println!(
            "  {name:<22} {:>6} {:>6.0} {:>5.2}",
            bytes / EVENTS,
            nanoseconds(*seconds),
            seconds / best[2]
        );
    }
    println!(
        "one pass: bytes as they are {:.0}, with the envelope {:.0}",
        nanoseconds(best[0]),
        nanoseconds(best[1])
    );
}

fn seconds(pass: impl FnOnce()) -> f64 {
    let start = ThreadTime::now();
    pass();
    start.elapsed().as_secs_f64()
}

/// Reads, converts and matches.
fn pass(matcher: &Matcher, texts: &[String]) {
    let (mut scratch, mut ids) = (Scratch::new(), Vec::new());
    for text in texts {
        let event = NativeEvent::from_json(text.as_bytes()).expect("an event");
        matcher.matching(event.event(), &mut scratch, &mut ids);
        black_box(&ids);
    }
}

/// As one pattern does, without a look at the envelope.
fn pass_pattern(matcher: &Matcher, texts: &[String]) {
    let mut scratch = Scratch::new();
    for text in texts {
        black_box(matcher.has_match_bytes(text.as_bytes(), &mut scratch)).expect("valid JSON");
    }
}

/// In one pass, with the envelope.
fn pass_native(matcher: &Matcher, texts: &[String]) {
    let (mut scratch, mut ids) = (Scratch::new(), Vec::new());
    for text in texts {
        let matched =
            matcher.matching_native(text.as_bytes(), &Limits::DEFAULT, &mut scratch, &mut ids);
        black_box(matched).expect("a native event");
    }
}

/// A text of the event.
fn text<'a>(event: &'a Json, key: &str) -> &'a str {
    event.get(key).and_then(Json::as_str).expect("a text")
}

fn member(event: &Json, key: &str) -> Json {
    event.get(key).expect("a member").clone()
}

/// As EventBridge sends it.
fn cloudevent(event: &Json) -> Json {
    let time = reflexarc_event::parse_time(text(event, "eventTime")).expect("a time");
    Json::object([
        ("id", member(event, "id")),
        ("source", "acs.ecs".into()),
        ("specversion", "1.0".into()),
        ("type", format!("ecs:{}", text(event, "name")).into()),
        ("datacontenttype", "application/json;charset=utf-8".into()),
        ("subject", member(event, "resourceId")),
        ("time", time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string().into()),
        ("aliyunaccountid", member(event, "userId")),
        ("aliyunoriginalaccountid", "1234560987654321".into()),
        ("aliyunregionid", member(event, "regionId")),
        ("aliyuneventbusname", "default".into()),
        ("aliyunpublishtime", "2020-11-19T21:04:42.179PRC".into()),
        ("aliyunpublishaddr", "172.25.0.1".into()),
        ("data", member(event, "content")),
    ])
}

/// As a legacy event rule of Cloud Monitor delivers it.
fn rule(event: &Json) -> Json {
    let more = Json::texts([
        ("traceId", "2256a988-0b26-4e2b-820a-8b00c0ffee05"),
        ("instanceName", ""),
        ("groupId", "0"),
        ("eventType", "StatusNotification"),
        ("ruleName", "eni-to-mns"),
        ("status", "Normal"),
    ]);
    let members = event.members().iter().chain(more.members()).cloned();
    members
        .map(|(key, value)| match key.as_str() {
            "level" => (key, capitalized(&value)),
            _ => (key, value),
        })
        .collect()
}

/// As the history of Cloud Monitor returns it.
fn record(event: &Json) -> Json {
    Json::object([
        ("Content", member(event, "content").to_string().into()),
        ("GroupId", "0".into()),
        ("Id", member(event, "id")),
        ("InstanceName", "".into()),
        ("Level", member(event, "level")),
        ("Name", member(event, "name")),
        ("Product", "ECS".into()),
        ("RegionId", member(event, "regionId")),
        ("ResourceId", member(event, "resourceId")),
        ("Status", "Normal".into()),
        ("Time", Json::from(1_715_644_800_000_i64)),
    ])
}

/// As a subscription policy of Cloud Monitor posts it.
fn webhook(event: &Json) -> Json {
    let mut reversed = member(event, "content").members().to_vec();
    reversed.reverse();
    let id = text(event, "id").to_lowercase();
    let meta = Json::object([
        ("id", id.as_str().into()),
        ("name", member(event, "name")),
        ("eventNameEn", "ENI operation completed".into()),
        ("eventNameZh", "弹性网卡操作完成".into()),
        ("product", "ECS".into()),
        ("level", capitalized(&member(event, "level"))),
        ("status", "Normal".into()),
        ("eventType", "StatusNotification".into()),
        ("eventTime", member(event, "eventTime")),
        ("regionId", member(event, "regionId")),
        ("regionNameEn", "China (Hangzhou)".into()),
        ("regionNameZh", "华东1(杭州)".into()),
        ("resourceId", member(event, "resourceId")),
        ("instanceName", "".into()),
        ("groupId", "0".into()),
        ("serviceTypeEn", "ECS".into()),
        ("serviceTypeZh", "云服务器".into()),
    ]);
    let alert = Json::object([
        ("alertStatus", "TRIGGERED".into()),
        ("source", "SYS_EVENT".into()),
        ("product", "ECS".into()),
        ("groupId", "0".into()),
        ("eventName", member(event, "name")),
        ("eventType", "StatusNotification".into()),
        ("arn", member(event, "resourceId")),
        ("traceId", id.as_str().into()),
        ("dedupId", id.as_str().into()),
        ("timestamp", Json::from(1_715_644_800_000_i64)),
        ("severity", member(event, "level")),
        ("userId", member(event, "userId")),
        ("eventRawContent", Json::Object(reversed).to_string().into()),
        ("eventContentMap", member(event, "content")),
        ("meta", Json::object([("sysEventMeta", meta)])),
    ]);
    Json::object([
        (
            "userInfo",
            Json::texts([("aliyunId", "network-ops"), ("nickName", "network-ops")]),
        ),
        ("batchId", "B-1".into()),
        ("severity", member(event, "level")),
        ("strategyName", "eni-events".into()),
        ("userId", member(event, "userId")),
        ("time", Json::from(1_715_644_800_078_i64)),
        ("alert", alert),
    ])
}

/// `Warn` for `WARN`.
fn capitalized(level: &Json) -> Json {
    let (first, rest) = level.as_str().expect("a level").split_at(1);
    format!("{first}{}", rest.to_lowercase()).into()
}
