//! The reaction of ten lines, its event, and rhai alone.

use std::hint::black_box;

use reflexarc_event::Level;
use reflexarc_reaction::RuleInfo;
use rhai::packages::{Package as _, StandardPackage};
use rhai::{Engine, Map, Scope};

/// The documented ENI notification.
pub(crate) const EVENT: &str = r#"{
    "id": "2256A988-0B26-4E2B-820A-8AEB04B85BD1", "product": "ECS", "level": "WARN",
    "resourceId": "acs:ecs:cn-hangzhou:169070000000001:eni/eni-bp1a4k7x9d2mq8s5t3u1",
    "name": "NetworkInterface:NetworkInterfaceOperateCompleted", "userId": "169070000000001",
    "eventTime": "20190409T121826.922+0800", "regionId": "cn-hangzhou",
    "content": {
        "operation": "AttachNetworkInterface", "eniId": "eni-bp1a4k7x9d2mq8s5t3u1",
        "eniStatus": "InUse", "result": "failed", "primaryPrivateIp": "192.168.0.8",
        "requestId": "473469C7-AA6F-4DC5-B3DB-A3DC0DE3C83E",
        "secondaryPrivateIps": ["192.168.0.9", "192.168.0.10"], "ipv4Prefixes": ["192.168.1.0/28"],
        "ipv6s": ["2001:db8::1"], "ipv6Prefixes": []
    }
}"#;

pub(crate) const TEN_LINES: &str = r#"
let content = event.content;
let title = `${content.operation} ${content.result} for ${content.eniId}`;
let level = rule.level;
if content.result == "failed" && event.regionId.starts_with("cn-") {
    level = "critical";
}
if cidr_contains("10.0.0.0/8", content.primaryPrivateIp) {
    skip("a network of tests");
}
notify("network-team", #{title: title, text: `request ${content.requestId}`, level: level});
"#;

pub(crate) fn rule() -> RuleInfo {
    RuleInfo::named("failed-operation").with_level(Level::Warn)
}

/// The interpreter without sandbox, with functions that do nothing and the event as a map: the
/// lower bound of any sandbox.
pub(crate) fn bare() -> (Engine, Scope<'static>) {
    let mut engine = Engine::new_raw();
    StandardPackage::new().register_into_engine(&mut engine);
    engine.register_fn("cidr_contains", |_: &str, _: &str| false);
    engine.register_fn("skip", |_: &str| {});
    engine.register_fn("notify", |_: &str, message: Map| drop(black_box(message)));
    let event: Map = engine.parse_json(EVENT, true).unwrap();
    let rule = Map::from([("level".into(), "warn".into())]);
    let mut scope = Scope::new();
    scope
        .push_constant("event", event)
        .push_constant("rule", rule);
    (engine, scope)
}
