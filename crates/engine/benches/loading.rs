//! Loading 10,000 rules, without and with their warnings.
#![allow(
    missing_docs,
    reason = "criterion's macros make undocumented functions"
)]

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use reflexarc::{Pattern, RuleSet};

const RULES: usize = 10_000;

/// Filters as people write them; `@` stands for the number of the rule.
const FILTERS: [&str; 5] = [
    r#"name == "NetworkInterface:CreateFinished" and resourceId == "eni-@""#,
    r#"content.result == "failed" and content.operation in ["attach", "detach", "create"]
       and not (userId == "@")"#,
    r#"{"product": ["ECS"], "level": ["WARN", "CRITICAL"],
        "resourceId": [{"prefix": "eni-@"}, {"prefix": "i-@"}]}"#,
    r#"name like "Instance:*" and (regionId == "cn-hangzhou" or regionId starts with "eu-")
       and content.a@ > 5"#,
    r#"{"$or": [{"content": {"privateIp": [{"cidr": "10.0.0.0/8"}]}}, {"userId": ["@"]}]}"#,
];

/// What the rules do, in turn with the filters.
const REACTIONS: [&str; 3] = [
    "notify = ['network-team']",
    "then = 'if event.level == \"WARN\" { send(\"cmdb\", event.resourceId); }'",
    "once = { key = 'resourceId', within = '1h' }\nnotify = ['team']\n\
     message = { title = '{{ event.name }} of {{ event.resourceId }}' }",
];

fn filter(number: usize) -> String {
    FILTERS[number % FILTERS.len()].replace('@', &number.to_string())
}

fn files() -> Vec<(String, String)> {
    let file = |number: usize| {
        let (filter, reaction) = (filter(number), REACTIONS[number % REACTIONS.len()]);
        (
            format!("rule-{number}.toml"),
            format!("when = '''{filter}'''\n{reaction}\n"),
        )
    };
    (0..RULES).map(file).collect()
}

fn loading(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("10,000 rules");
    group.sample_size(10);
    let compile = |files| RuleSet::compile(files).expect("valid rules");
    group.bench_function("compile", |bencher| {
        bencher.iter_batched(files, compile, BatchSize::PerIteration);
    });
    group.bench_function("compile and warnings", |bencher| {
        let warnings = |files| compile(files).warnings().len();
        bencher.iter_batched(files, warnings, BatchSize::PerIteration);
    });
    group.bench_function("parse filters", |bencher| {
        let filters: Vec<String> = (0..RULES).map(filter).collect();
        let parse = |text: &String| text.parse::<Pattern>().expect("a valid filter");
        bencher.iter(|| filters.iter().map(parse).collect::<Vec<_>>());
    });
    group.finish();
}

criterion_group!(benches, loading);
criterion_main!(benches);
