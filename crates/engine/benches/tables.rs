//! Lookup tables of 100,000 rows: reading them, and what a lookup costs an evaluation.
#![allow(
    missing_docs,
    reason = "criterion's macros make undocumented functions"
)]

use std::fmt::Write as _;

use criterion::{Criterion, criterion_group, criterion_main};
use reflexarc::{NativeEvent, NoState, RuleSet, Tables, Timestamp};

const ROWS: u32 = 100_000;

const EVENT: &str = r#"{"name": "NetworkInterface:NetworkInterfaceOperateCompleted",
    "regionId": "cn-hangzhou", "content": {"operation": "AttachNetworkInterface",
    "result": "success", "eniId": "eni-77777", "primaryPrivateIp": "10.1.47.209"}}"#;

/// The address of a row: all /24 networks from 10.0.0.0 on, and one of /16 around 256 of them.
fn network(row: u32) -> String {
    let [_, high, middle, _] = (row << 8).to_be_bytes();
    let first = 10 + (row >> 16);
    if row.is_multiple_of(256) {
        format!("{first}.{high}.0.0/16")
    } else {
        format!("{first}.{high}.{middle}.0/24")
    }
}

fn table(key: &str, value: impl Fn(u32) -> String) -> String {
    let mut text = format!("{key},id,zone,team\n");
    for row in 0..ROWS {
        let value = value(row);
        let _ = writeln!(
            text,
            "{value},vsw-bp{row},cn-hangzhou-h,network-{}",
            row % 40
        );
    }
    text
}

fn objects() -> String {
    let mut text = String::new();
    for row in 0..ROWS {
        let _ = writeln!(
            text,
            r#"{{"key": "eni-{row}", "id": "vsw-bp{row}", "zone": "cn-hangzhou-h", "limit": {row}}}"#
        );
    }
    text
}

fn rules(lines: &str, tables: &Tables) -> RuleSet {
    let rule = format!("when = 'content.result == \"success\"'\n{lines}");
    RuleSet::compile_with_tables([("rule.toml", rule)], tables).expect("a valid rule")
}

fn lookups(criterion: &mut Criterion) {
    let networks = table("cidr", network);
    let values = table("eni", |row| format!("eni-{row}"));
    let objects = objects();
    let event = NativeEvent::from_json(EVENT).expect("a valid event");
    let lookup = |table: &str, key: &str| {
        format!("lookup = {{ row = {{ table = '{table}', key = 'content.{key}' }} }}\n")
    };
    let by_network = lookup("networks", "primaryPrivateIp");
    let by_value = lookup("values", "eniId");
    let by_member = lookup("objects", "eniId");

    let mut group = criterion.benchmark_group("100,000 rows");
    group.sample_size(10);
    for (name, file, text, lookup) in [
        ("read networks", "networks.csv", &networks, &by_network),
        ("read values", "values.csv", &values, &by_value),
        ("read objects", "objects.ndjson", &objects, &by_member),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let tables = Tables::parse([(file, text.as_str())]).expect("a valid table");
                rules(&format!("{lookup}then = 'log(lookup.row?.id)'"), &tables)
            });
        });
    }
    group.finish();

    let files = [
        ("networks.csv", networks),
        ("values.csv", values),
        ("objects.ndjson", objects),
    ];
    let tables = Tables::parse(files).expect("valid tables");
    let mut group = criterion.benchmark_group("evaluate");
    for (name, lines) in [
        (
            "without lookup",
            "then = 'log(event.content.eniId)'".to_owned(),
        ),
        (
            "a network",
            format!("{by_network}then = 'log(lookup.row?.id)'"),
        ),
        ("a value", format!("{by_value}then = 'log(lookup.row?.id)'")),
        (
            "an object",
            format!("{by_member}then = 'log(lookup.row?.id)'"),
        ),
        (
            "throttle by a field",
            "throttle = { every = '1m', key = 'content.eniId' }\nthen = 'log(1)'".to_owned(),
        ),
        (
            "throttle by a network",
            format!(
                "{by_network}throttle = {{ every = '1m', key = 'lookup.row.id' }}\nthen = 'log(1)'"
            ),
        ),
    ] {
        let rules = rules(&lines, &tables);
        let matched = rules.matching(&event);
        let now = Timestamp::UNIX_EPOCH;
        group.bench_function(name, |bencher| {
            bencher.iter(|| rules.evaluate_matched(&event, &matched, &NoState, now, None));
        });
    }
    group.finish();
}

criterion_group!(benches, lookups);
criterion_main!(benches);
