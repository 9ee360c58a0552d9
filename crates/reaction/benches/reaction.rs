//! The cost of a reaction of ten lines, conversion of the event included, and of hostile scripts
//! until they are stopped.
#![allow(
    missing_docs,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a bench reads files and the clock, and criterion's macros make undocumented functions"
)]

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use jiff::Timestamp;
use reflexarc_event::{Event, Level};
use reflexarc_reaction::{
    Input, MemoryState, NoState, Reaction, ReactionLimits, RuleInfo, ScriptEvent,
};
use rhai::packages::{Package, StandardPackage};
use rhai::{Engine, Map, Scope};

/// The documented ENI notification.
const EVENT: &str = r#"{
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

const TEN_LINES: &str = r#"
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

fn rule() -> RuleInfo {
    RuleInfo::named("failed-operation").with_level(Level::Warn)
}

fn elapsed() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed()
}

/// The interpreter without sandbox, with functions that do nothing and the event as a map: the
/// lower bound of any sandbox.
fn bare() -> (Engine, Scope<'static>) {
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

fn ten_lines(criterion: &mut Criterion) {
    let rule = rule();
    let reaction = Reaction::compile(TEN_LINES, &ReactionLimits::DEFAULT).unwrap();
    let now = Timestamp::UNIX_EPOCH;
    let shared = ScriptEvent::new(&Event::from_json(EVENT).unwrap());
    let mut group = criterion.benchmark_group("ten lines");
    group.bench_function("yardstick: serde_json::Value of the event", |bencher| {
        bencher.iter(|| serde_json::from_str::<serde_json::Value>(black_box(EVENT)).unwrap());
    });
    group.bench_function(
        "yardstick: rhai alone, without limits, on a converted event",
        |bencher| {
            let (engine, mut scope) = bare();
            let script = engine.compile_with_scope(&scope, TEN_LINES).unwrap();
            let given = scope.len();
            bencher.iter(|| {
                engine
                    .run_ast_with_scope(&mut scope, black_box(&script))
                    .unwrap();
                scope.rewind(given);
            });
        },
    );
    group.bench_function("convert", |bencher| {
        bencher.iter_batched(
            || Event::from_json(EVENT).unwrap(),
            |event| ScriptEvent::new(&event),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("run", |bencher| {
        bencher.iter(|| {
            reaction
                .run(&Input::new(black_box(&shared), &rule, now), &NoState)
                .unwrap()
        });
    });
    group.bench_function("run with stopwatch", |bencher| {
        let input = Input::new(&shared, &rule, now).with_stopwatch(&elapsed);
        bencher.iter(|| reaction.run(black_box(&input), &NoState).unwrap());
    });
    group.bench_function("convert and run", |bencher| {
        bencher.iter_batched(
            || Event::from_json(EVENT).unwrap(),
            |event| {
                let event = ScriptEvent::new(&event);
                reaction
                    .run(
                        &Input::new(&event, &rule, now).with_stopwatch(&elapsed),
                        &NoState,
                    )
                    .unwrap()
            },
            BatchSize::SmallInput,
        );
    });
    group.bench_function("compile", |bencher| {
        bencher.iter(|| Reaction::compile(black_box(TEN_LINES), &ReactionLimits::DEFAULT).unwrap());
    });
    group.finish();
}

fn attacks(criterion: &mut Criterion) {
    let rule = rule();
    let event = ScriptEvent::new(&Event::from_json(EVENT).unwrap());
    let input = Input::new(&event, &rule, Timestamp::UNIX_EPOCH).with_stopwatch(&elapsed);
    let state = MemoryState::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus/scripts/attacks");
    let mut group = criterion.benchmark_group("attacks");
    group
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(500));
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    for file in files {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let script = fs::read_to_string(&file).unwrap();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                Reaction::compile(&script, &ReactionLimits::DEFAULT)
                    .is_ok_and(|reaction| reaction.run(&input, &state).is_ok())
            });
        });
    }
    group.finish();
}

criterion_group!(benches, ten_lines, attacks);
criterion_main!(benches);
