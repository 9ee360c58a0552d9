//! Filters converted between the native form and CloudEvents match the same events.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use reflexarc::cloudevent_form::{to_cloudevents, to_native};
use reflexarc::{Dialect, Event, Json, NativeEvent, Pattern};

fn converted(native: &str) -> String {
    let pattern: Pattern = native.parse().unwrap();
    Pattern::from_node(to_cloudevents(pattern.node()).unwrap())
        .to_expression()
        .replace('\n', " ")
}

fn back(cloudevents: &str) -> String {
    let pattern: Pattern = cloudevents.parse().unwrap();
    Pattern::from_node(to_native(pattern.node()).unwrap())
        .to_expression()
        .replace('\n', " ")
}

#[test]
fn native_paths_are_renamed() {
    let native = "id == \"1\" and product == \"ECS\" and resourceId exists and userId == \"2\" \
        and regionId != \"cn-beijing\" and content.tags.key == \"a\" and eventTime exists";
    let cloudevents = "id == \"1\" and source == \"acs.ecs\" and subject exists \
        and aliyunaccountid == \"2\" and aliyunregionid != \"cn-beijing\" \
        and data.tags.key == \"a\" and time exists";
    assert_eq!(converted(native), cloudevents);
    assert_eq!(back(cloudevents), native);
    // Filters that are written for CloudEvents already.
    assert_eq!(converted(cloudevents), cloudevents);
}

#[test]
fn names_become_types() {
    for (native, cloudevents) in [
        // A name without statuses.
        (
            r#"name == "Disk:ConvertToPostpaidCompleted""#,
            r#"type == "ecs:Disk:ConvertToPostpaidCompleted""#,
        ),
        // One with statuses: in any of them, as imports write it; in one; in none.
        (
            r#"name == "Disk:Stalled" or name starts with "Disk:Stalled:""#,
            r#"type == "ecs:Disk:Stalled""#,
        ),
        (
            r#"name == "Disk:Stalled:Executing""#,
            r#"type == "ecs:Disk:Stalled" and data.eventStatus == "Executing""#,
        ),
        (
            r#"name == "Disk:Stalled""#,
            "type == \"ecs:Disk:Stalled\" \
             and data.eventStatus (is missing or not in [\"Executing\", \"Executed\"])",
        ),
        (
            r#"name in ["Disk:Stalled:Executing", "Snapshot:CreateSnapshotCompleted"]"#,
            "type == \"ecs:Snapshot:CreateSnapshotCompleted\" \
             or type == \"ecs:Disk:Stalled\" and data.eventStatus == \"Executing\"",
        ),
        (
            r#"name starts with "NetworkInterface:""#,
            r#"type starts with "ecs:NetworkInterface:""#,
        ),
        (
            r#"name != "NetworkInterface:A""#,
            r#"type != "ecs:NetworkInterface:A""#,
        ),
        (
            r#"name ends with "Completed""#,
            r#"type ends with "Completed""#,
        ),
        // `ecs:Disk…` would contain it too.
        (r#"name contains "cs:""#, r#"type like "ecs:*cs:*""#),
        (
            r#"name matches "Disk:.*""#,
            r#"type matches "ecs\\:(?:Disk:.*)""#,
        ),
        // Names of another product.
        (
            r#"product in ["RDS"] and name == "Instance:Failover""#,
            r#"source == "acs.rds" and type == "rds:Instance:Failover""#,
        ),
    ] {
        let native: Pattern = native.parse().unwrap();
        let cloudevents: Pattern = cloudevents.parse().unwrap();
        let there = Pattern::from_node(to_cloudevents(native.node()).unwrap());
        assert_eq!(there.to_expression(), cloudevents.to_expression());
    }
}

#[test]
fn what_is_exported_is_imported_again() {
    for native in [
        r#"name == "Disk:Stalled:Executing""#,
        r#"name == "Disk:Stalled""#,
        r#"name in ["Disk:Stalled", "Disk:Stalled:Executed"]"#,
        r#"name == "Disk:ConvertToPostpaidCompleted" and content.result == "failed""#,
        r#"name (== "Disk:Stalled" or starts with "Disk:Stalled:")"#,
        r#"name (== "Unknown:Name" or starts with "Unknown:Name:")"#,
        r#"product == "RDS" and name (== "A:B" or starts with "A:B:")"#,
        r#"product starts with "E" and name starts with "Disk:""#,
        r#"not (name starts with "Disk:" and regionId == "cn-hangzhou")"#,
    ] {
        let pattern: Pattern = native.parse().unwrap();
        assert_eq!(back(&converted(native)), pattern.to_expression());
    }
}

#[test]
fn shipped_rules_come_back_from_cloudevents() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rules");
    let rules = reflexarc::RuleSet::load(&folder).unwrap();
    let events = std::fs::read_to_string(folder.join("../examples/eni-events.ndjson")).unwrap();
    let events: Vec<NativeEvent> = events
        .lines()
        .map(|line| NativeEvent::from_json(line.as_bytes()).unwrap())
        .collect();
    let (mut only_native, mut unproven) = (Vec::new(), Vec::new());
    for rule in rules.rules() {
        let needed = rule.needed_events();
        match to_cloudevents(needed.node()) {
            Ok(node) => {
                let again = Pattern::from_node(to_native(&node).unwrap());
                if !(needed.implies(&again) && again.implies(&needed)) {
                    unproven.push(rule.name());
                }
                for event in &events {
                    let (one, other) =
                        (needed.matches(event.event()), again.matches(event.event()));
                    assert_eq!(one, other, "{}: {}", rule.name(), again.to_expression());
                }
            }
            Err(error) => only_native.push((rule.name(), error.path)),
        }
    }
    let expected = [
        ("failed-operation", "level".to_owned()),
        ("security-group-audit", "requestId".to_owned()),
    ];
    assert_eq!(only_native, expected);
    // `content.result == "success" or content.result is missing`, in one field.
    assert_eq!(unproven, ["cmdb-sync"]);
}

#[test]
fn conditions_of_one_form_only_are_errors() {
    for (native, path, reason) in [
        (r#"level == "WARN""#, "level", "EventBridge sends no level"),
        (
            r#"eventTime starts with "2026""#,
            "eventTime",
            "CloudEvents write the time differently",
        ),
        (
            "a exists or instanceName exists",
            "instanceName",
            "only Cloud Monitor sends it",
        ),
        (
            "requestId exists",
            "requestId",
            "EventBridge has no attribute for it",
        ),
        (
            r#"not (product == "ecs")"#,
            "product",
            "products are in capitals; write `ECS`",
        ),
    ] {
        let pattern: Pattern = native.parse().unwrap();
        let error = to_cloudevents(pattern.node()).unwrap_err();
        assert_eq!(error.path, path);
        assert!(error.reason.starts_with(reason), "{error}");
    }
    for (cloudevents, message) in [
        (
            r#"type == "rds:A:B""#,
            "`rds:A:B` is not a type of ECS events",
        ),
        (r#"time starts with "2026""#, "`time` cannot be converted"),
        (r#"type contains "Disk""#, "`type` cannot be converted"),
    ] {
        let pattern: Pattern = cloudevents.parse().unwrap();
        let error = to_native(pattern.node()).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn a_rule_reports_what_cannot_be_exported_at_its_place() {
    let text = "when = 'level == \"WARN\" and name == \"Disk:New\"'\nnotify = ['team']";
    let rules = reflexarc::RuleSet::compile([("a.toml", text)]).unwrap();
    let found = rules
        .get("a")
        .unwrap()
        .export(Dialect::Alibaba)
        .unwrap_err();
    assert_eq!(found.len(), 1);
    assert_eq!(&text[found[0].span.clone()], "level");
    assert!(found[0].message.contains("nothing to compare with `level`"));
}

const NAMES: [&str; 8] = [
    "Disk:Stalled",
    "Instance:SystemFailure.Reboot",
    "NetworkInterface:NetworkInterfaceOperateCompleted",
    "NetworkInterface:NetworkInterfaceCreateTaskCompleted",
    "Snapshot:CreateSnapshotCompleted",
    "Disk:ConvertToPostpaidCompleted",
    "Unknown:Name",
    "Unknown:Other.Name",
];
const STATUSES: [&str; 3] = ["", "Executing", "Executed"];

/// A name with a status, if its events have that one.
fn full_name(name: &str, status: &str) -> String {
    let full = format!("{name}:{status}");
    let known = reflexarc_event::find_name(&full);
    if known.is_some_and(|(_, found)| found == Some(status)) {
        full
    } else {
        name.to_owned()
    }
}

fn event() -> impl Strategy<Value = String> {
    let texts = (
        select(&["a", "b", "cn-hangzhou"][..]),
        select(&["a", "b"][..]),
    );
    let name = (select(&NAMES[..]), select(&STATUSES[..]));
    let disk = (select(&["a", "b", ""][..]), select(&["a", "b", ""][..]));
    (
        name,
        texts,
        any::<bool>(),
        vec(select(&["a", "b"][..]), 0..3),
        vec(disk, 0..3),
    )
        .prop_map(
            |((name, status), (region, user), has_result, tags, disks)| {
                let full = full_name(name, status);
                let mut content = vec![(
                    "tags".to_owned(),
                    Json::Array(tags.into_iter().map(Json::from).collect()),
                )];
                // Objects in an array, some without a member.
                let disks = disks.into_iter().map(|(k, n)| {
                    let members = [("k".to_owned(), k), ("n".to_owned(), n)];
                    let members = members.into_iter().filter(|(_, text)| !text.is_empty());
                    members
                        .map(|(key, text)| (key, Json::from(text)))
                        .collect::<Json>()
                });
                content.push(("disks".to_owned(), Json::Array(disks.collect())));
                if full != name {
                    content.push(("eventStatus".to_owned(), status.into()));
                }
                if has_result {
                    content.push(("result".to_owned(), "failed".into()));
                }
                let event = [
                    ("id", Json::from("1")),
                    ("product", "ECS".into()),
                    ("resourceId", "a".into()),
                    ("name", full.as_str().into()),
                    ("userId", user.into()),
                    ("regionId", region.into()),
                    ("eventTime", "20240514T101502.018+0800".into()),
                    ("content", Json::Object(content)),
                ];
                let event = event.map(|(key, value)| (key.to_owned(), value));
                Json::from_iter(event).to_string()
            },
        )
}

fn condition() -> impl Strategy<Value = String> {
    let name = (select(&NAMES[..]), select(&STATUSES[..]), 0..12_usize).prop_map(
        |(name, status, form)| {
            let full = full_name(name, status);
            let part = &name[name.len() / 2..];
            let start = &full[..full.len() * 2 / 3];
            match form {
                0 | 1 => format!("name == {full:?}"),
                2 => format!("name != {full:?}"),
                3 => format!("name in [{full:?}, {name:?}, \"Disk:New\"]"),
                4 => format!("name not in [{full:?}, \"Snapshot:CreateSnapshotCompleted\"]"),
                5 => format!("name starts with {start:?}"),
                6 => format!("name (== {name:?} or starts with \"{name}:\")"),
                7 => format!("name ends with {part:?}"),
                8 => format!("name contains {part:?}"),
                9 => format!("name not starts with {start:?}"),
                10 => format!("name == {full:?} ignoring case"),
                _ => format!("name (starts with {start:?} and != {full:?})"),
            }
        },
    );
    let other = select(
        &[
            "product == \"ECS\"",
            "product starts with \"EC\"",
            "product like \"*CS\"",
            "product != \"RDS\"",
            "regionId in [\"a\", \"cn-hangzhou\"]",
            "userId != \"a\"",
            "resourceId == \"a\"",
            "content.result == \"failed\"",
            "content.result is missing",
            "content.tags == \"a\"",
            "content.tags != \"a\"",
            "content.disks.k == \"a\"",
            "content.disks.k is missing",
            "content.disks.k != \"b\"",
            "content.disks.n == \"b\"",
            "eventTime exists",
            "id == \"1\"",
        ][..],
    );
    prop_oneof![3 => name, 2 => other.prop_map(str::to_owned)]
}

fn filter() -> impl Strategy<Value = String> {
    condition().prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 2..4).prop_map(|parts| format!("({})", parts.join(" and "))),
            vec(inner.clone(), 2..4).prop_map(|parts| format!("({})", parts.join(" or "))),
            inner.prop_map(|inner| format!("not ({inner})")),
        ]
    })
}

proptest! {
    #[test]
    fn converted_filters_match_the_same_events(filter in filter(), events in vec(event(), 1..6)) {
        let native: Pattern = filter.parse().unwrap();
        let cloudevents = Pattern::from_node(to_cloudevents(native.node()).unwrap());
        for text in events {
            let event = NativeEvent::from_json(text.as_bytes()).unwrap();
            let cloudevent = Event::from_json(text.as_bytes()).unwrap().to_cloudevent();
            prop_assert_eq!(
                native.matches(event.event()),
                cloudevents.matches(&cloudevent),
                "{} as {} and {}", filter, cloudevents.to_expression(), cloudevent.tree()
            );
            // And back, where there is a way back.
            if let Ok(node) = to_native(cloudevents.node()) {
                let again = Pattern::from_node(node);
                prop_assert_eq!(
                    native.matches(event.event()), again.matches(event.event()),
                    "{} as {}", filter, again.to_expression()
                );
            }
        }
    }

    /// An event matches a filter if and only if it matches one of the parts, and only one of them
    /// where they are disjoint.
    #[test]
    fn parts_together_are_the_whole(filter in filter(), events in vec(event(), 1..12)) {
        let text = format!("when = '''{filter}'''\nnotify = ['team']");
        let rules = reflexarc::RuleSet::compile([("a.toml", text)]).unwrap();
        let rule = rules.get("a").unwrap();
        for dialect in [Dialect::Alibaba, Dialect::Aws] {
            let Ok(exported) = rule.export_split(dialect, 20) else { continue };
            prop_assert!(exported.patterns.len() <= 20);
            for text in &events {
                let native = NativeEvent::from_json(text.as_bytes()).unwrap();
                let matches: Vec<bool> = exported.texts.iter().map(|part| {
                    let part = Pattern::parse(part, dialect).unwrap();
                    if dialect == Dialect::Alibaba {
                        let event = Event::from_json(text.as_bytes()).unwrap();
                        part.matches(&event.to_cloudevent())
                    } else {
                        part.matches(native.event())
                    }
                }).collect();
                let count = matches.iter().filter(|matches| **matches).count();
                prop_assert_eq!(
                    rule.pattern().matches(native.event()), count > 0,
                    "{} as {:?} with {}", filter, exported.texts, text
                );
                prop_assert!(
                    count < 2 || !exported.is_disjoint,
                    "{} as {:?} with {}", filter, exported.texts, text
                );
            }
        }
    }
}
