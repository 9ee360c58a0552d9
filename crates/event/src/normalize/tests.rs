//! The conversion of texts equals that of trees.

use proptest::prelude::*;

use super::*;
use crate::{Limits, NativeEvent, Path};

/// The members of one envelope with values as they are documented.
type Template = &'static [(&'static str, &'static str)];

const CLOUD_EVENT: Template = &[
    ("specversion", r#""1.0""#),
    ("id", r#""a-1""#),
    ("source", r#""acs.ecs""#),
    (
        "type",
        r#""ecs:NetworkInterface:NetworkInterfaceOperateCompleted""#,
    ),
    ("subject", r#""acs:ecs:cn-hangzhou:1:eni/eni-1""#),
    ("time", r#""2020-11-19T21:04:41+08:00""#),
    ("datacontenttype", r#""application/json;charset=utf-8""#),
    (
        "data",
        r#"{"eniId":"eni-1","result":"failed","ipv6s":["2001:db8::1"]}"#,
    ),
    ("aliyunaccountid", r#""1690""#),
    ("aliyunregionid", r#""cn-hangzhou""#),
    ("aliyunpublishtime", r#""2020-11-19T21:04:42.179PRC""#),
];

const FLAT: Template = &[
    ("id", r#""a-1""#),
    ("product", r#""ECS""#),
    ("resourceId", r#""acs:ecs:cn-hangzhou:1:eni/eni-1""#),
    ("level", r#""Info""#),
    (
        "name",
        r#""NetworkInterface:NetworkInterfaceOperateCompleted""#,
    ),
    ("userId", r#""1690""#),
    ("eventTime", r#""20190409T121826.922+0800""#),
    ("regionId", r#""cn-hangzhou""#),
    (
        "content",
        r#"{"eniId":"eni-1","eniStatus":"InUse","secondaryPrivateIps":[]}"#,
    ),
    ("ruleName", r#""r""#),
    ("status", r#""Executing""#),
];

const RECORD: Template = &[
    (
        "Content",
        r#""{\"diskId\": \"d-1\", \"eventStatus\":\"Executing\"}""#,
    ),
    ("GroupId", r#""0""#),
    ("Id", r#""a-1""#),
    ("InstanceName", r#""web""#),
    ("Level", r#""CRITICAL""#),
    ("Name", r#""Disk:Stalled""#),
    ("Product", r#""ECS""#),
    ("RegionId", r#""cn-hangzhou""#),
    ("ResourceId", r#""d-1""#),
    ("Status", r#""Executing""#),
    ("Time", "1767323045000"),
];

const META: Template = &[
    ("id", r#""t-1""#),
    ("name", r#""Disk:Stalled""#),
    ("eventNameZh", r#""磁盘""#),
    ("product", r#""ECS""#),
    ("level", r#""Critical""#),
    ("status", r#""Executing""#),
    ("eventType", r#""Exception""#),
    ("eventTime", r#""20190409T121826.922+0800""#),
    ("regionId", r#""cn-hangzhou""#),
    ("resourceId", r#""d-1""#),
    ("instanceName", r#""""#),
    ("groupId", r#""0""#),
];

const ALERT: Template = &[
    ("product", r#""ECS""#),
    ("groupId", r#""0""#),
    ("eventName", r#""Disk:Stalled""#),
    ("eventType", r#""Exception""#),
    ("arn", r#""d-1""#),
    ("traceId", r#""t-1""#),
    ("dedupId", r#""t-1""#),
    ("timestamp", "1554783506922"),
    ("severity", r#""CRITICAL""#),
    ("userId", r#""1690""#),
    (
        "eventContentMap",
        r#"{"diskId":"d-1","eventStatus":"Executing"}"#,
    ),
    (
        "eventRawContent",
        r#""{\"eventStatus\": \"Executing\", \"diskId\":\"d-1\"}""#,
    ),
];

const WEBHOOK: Template = &[
    ("userInfo", r#"{"aliyunId":"ops"}"#),
    ("severity", r#""CRITICAL""#),
    ("strategyName", r#""disks""#),
    ("userId", r#""1690""#),
    ("time", "1554783507000"),
];

/// Values that differ from what is documented: of another type, spelled otherwise, nested.
const VALUES: [&str; 40] = [
    "null",
    "true",
    "7",
    "1.50",
    "1554783506922",
    r#""""#,
    r#""acs:ecs""#,
    r#""acs.""#,
    r#""acs.ECS""#,
    r#""oss""#,
    r#""1.0""#,
    r#""0.3""#,
    r#""x""#,
    r#""\u0078""#,
    r#""a\/b""#,
    r#""\"quoted\" \n""#,
    r#""网""#,
    r#""Info""#,
    r#""warn""#,
    r#""INFO""#,
    r#""Disk:Stalled""#,
    r#""ecs:Disk:Stalled""#,
    r#""Disk:Stalled:Executing""#,
    r#""NetworkInterface:Other""#,
    r#""ecs:NetworkInterface:NetworkInterfaceOperateCompleted""#,
    r#""Executing""#,
    r#""2021-04-08T06:28:17.093Z""#,
    r#""2020-11-19T21:04:41.000+08:00""#,
    r#""20190409T121826.922+0800""#,
    r#""{}""#,
    r#""{\"result\":\"failed\"}""#,
    r#"" { \"a\" : [1, 1.0] } ""#,
    r#""{\"a\":\"\\u0062\"}""#,
    r#""[1]""#,
    "[]",
    r#"["a"]"#,
    r#"[ 1, {"a": []} ]"#,
    "{}",
    r#"{"eventStatus": "Executing", "result": "failed", "eventStatus": 1}"#,
    r#"{"ipv6": "::1", "eniStatus": "In use", "result": "failed"}"#,
];

/// A key that the conversion knows, or one beside them.
fn key() -> impl Strategy<Value = String> {
    let known = [CLOUD_EVENT, FLAT, RECORD, META, ALERT, WEBHOOK].concat();
    let known: Vec<_> = known.into_iter().map(|(key, _)| key).collect();
    prop_oneof![
        8 => prop::sample::select(known).prop_map(str::to_owned),
        2 => prop::sample::select(vec![
            "cloudEvent", "webhook", "reflexarcnative", "data_base64", "alert", "meta", "x",
            "sysEventMeta", "\\u0069d", "", "eventStatus", "result", "content", "type",
        ]).prop_map(str::to_owned),
    ]
}

fn value() -> impl Strategy<Value = String> {
    prop::sample::select(VALUES.as_slice()).prop_map(str::to_owned)
}

/// How members of a template are changed: left out, given another value, doubled, moved, and the
/// spaces around them.
#[derive(Debug, Clone)]
struct Changes {
    removed: Vec<prop::sample::Index>,
    replaced: Vec<(prop::sample::Index, String)>,
    added: Vec<(prop::sample::Index, String, String)>,
    moved: Vec<(prop::sample::Index, prop::sample::Index)>,
    space: &'static str,
}

fn changes() -> impl Strategy<Value = Changes> {
    let index = any::<prop::sample::Index>;
    (
        prop::collection::vec(index(), 0..2),
        prop::collection::vec((index(), value()), 0..2),
        prop::collection::vec((index(), key(), value()), 0..2),
        prop::collection::vec((index(), index()), 0..3),
        prop::sample::select(vec!["", "", " ", "\n\t"]),
    )
        .prop_map(|(removed, replaced, added, moved, space)| Changes {
            removed,
            replaced,
            added,
            moved,
            space,
        })
}

/// An object with the members of a template, changed, and others.
fn object(template: Template, others: &[(&str, String)], changes: &Changes) -> String {
    let members = template
        .iter()
        .map(|(key, value)| (*key, (*value).to_owned()));
    let members = members.chain(others.iter().map(|(key, value)| (*key, value.clone())));
    let mut members: Vec<(String, String)> = members
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
    for index in &changes.removed {
        members.remove(index.index(members.len()));
    }
    for (index, value) in &changes.replaced {
        let at = index.index(members.len());
        members[at].1.clone_from(value);
    }
    for (index, key, value) in &changes.added {
        members.insert(index.index(members.len()), (key.clone(), value.clone()));
    }
    for (from, to) in &changes.moved {
        let member = members.remove(from.index(members.len()));
        members.insert(to.index(members.len() + 1), member);
    }
    let space = changes.space;
    let members = members.iter();
    let members = members.map(|(key, value)| format!("{space}\"{key}\"{space}:{space}{value}"));
    format!("{{{}{space}}}", members.collect::<Vec<_>>().join(","))
}

fn event() -> impl Strategy<Value = String> {
    let webhook = [changes(), changes(), changes(), changes()];
    prop_oneof![
        changes().prop_map(|changes| object(CLOUD_EVENT, &[], &changes)),
        changes().prop_map(|changes| object(FLAT, &[], &changes)),
        changes().prop_map(|changes| object(&FLAT[..9], &[], &changes)),
        changes().prop_map(|changes| object(RECORD, &[], &changes)),
        webhook.prop_map(|[top, alert, meta, inner]| {
            let inner = object(META, &[], &inner);
            let meta = object(
                &[],
                &[("sysEventMeta", inner), ("x", "1".to_owned())],
                &meta,
            );
            let alert = object(ALERT, &[("meta", meta)], &alert);
            object(WEBHOOK, &[("alert", alert)], &top)
        }),
    ]
}

/// Both conversions of one event.
fn both(event: &Event) -> (Option<Event>, Result<Option<Event>, EventError>) {
    let text = rewrite::native_text(event);
    let text = text.map(|text| Event::of_native_text(text, event.limits()));
    (text, native_form_by_tree(event))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn converting_texts_equals_converting_trees(
        text in event(),
        bytes in prop_oneof![4 => Just(1 << 20), 1 => 200_usize..900],
        depth in prop_oneof![4 => Just(128_usize), 1 => 1_usize..6],
    ) {
        let limits = Limits { bytes, depth, ..Limits::DEFAULT };
        let Ok(event) = Event::from_json_within(text.as_str(), &limits) else {
            return Ok(());
        };

        let (Some(converted), by_tree) = both(&event) else {

            return Ok(());
        };
        let expected = by_tree.unwrap().unwrap();
        prop_assert_eq!(converted.text(), expected.text(), "{}", text);
        prop_assert_eq!(converted.tree(), expected.tree(), "{}", text);
        prop_assert_eq!(converted.envelope(), Envelope::Native);
        // The bytes are valid under the same limits.
        let again = Event::from_json_within(converted.bytes(), &limits).unwrap();
        prop_assert_eq!(again.tree(), converted.tree());
    }
}

#[test]
fn documented_events_are_converted_without_trees() {
    let none = Changes {
        removed: Vec::new(),
        replaced: Vec::new(),
        added: Vec::new(),
        moved: Vec::new(),
        space: "",
    };
    let inner = object(META, &[], &none);
    let meta = object(&[], &[("sysEventMeta", inner)], &none);
    let alert = object(ALERT, &[("meta", meta)], &none);
    let spaced = Changes {
        space: " ",
        ..none.clone()
    };
    for text in [
        object(CLOUD_EVENT, &[], &none),
        object(CLOUD_EVENT, &[], &spaced),
        object(FLAT, &[], &none),
        object(RECORD, &[], &none),
        object(WEBHOOK, &[("alert", alert)], &none),
    ] {
        let event = Event::from_json(text.as_str()).unwrap();
        let (converted, by_tree) = both(&event);
        let (converted, by_tree) = (converted.unwrap(), by_tree.unwrap().unwrap());
        assert_eq!(converted.text(), by_tree.text());
        let native = NativeEvent::from_json(text.as_str()).unwrap();
        assert!(native.event().tree_if_read().is_none(), "{text}");
        assert!(native.original().tree_if_read().is_none(), "{text}");
        // What explanations say of it reads the trees then.
        assert_eq!(native.moved_field(&Path::from_keys(["unknown"])), None);
    }
}
