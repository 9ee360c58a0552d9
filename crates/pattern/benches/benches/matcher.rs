//! One pass over a thousand events with growing rule sets, beside lower bounds: parsing and
//! skipping the same bytes.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use reflexarc_pattern::{Matcher, Scratch};
use reflexarc_pattern_benches::adversarial::{SHAPES, wildcard_values, wildcards};
use reflexarc_pattern_benches::events::{Cloud, events};
use reflexarc_pattern_benches::nodes;
use reflexarc_pattern_benches::rules::{KINDS, MIX, rules};

fn total(events: &[String]) -> Throughput {
    Throughput::Bytes(events.iter().map(String::len).sum::<usize>() as u64)
}

fn floors(criterion: &mut Criterion) {
    let events = events(&Cloud::new(), 1_000);
    let mut group = criterion.benchmark_group("floor");
    group.throughput(total(&events));
    group.bench_function("sonic_rs skips", |bencher| {
        bencher.iter(|| {
            events
                .iter()
                .all(|event| sonic_rs::from_str::<serde::de::IgnoredAny>(event).is_ok())
        });
    });
    group.bench_function("serde_json skips", |bencher| {
        bencher.iter(|| {
            events
                .iter()
                .all(|event| serde_json::from_str::<serde::de::IgnoredAny>(event).is_ok())
        });
    });
    group.bench_function("memchr finds nothing", |bencher| {
        bencher.iter(|| {
            events
                .iter()
                .all(|event| memchr::memchr(0, event.as_bytes()).is_none())
        });
    });
}

fn matching(criterion: &mut Criterion) {
    let cloud = Cloud::new();
    let events = events(&cloud, 1_000);
    let mix = nodes(&rules(&cloud, &MIX, 100_000));
    let mut group = criterion.benchmark_group("mix");
    group.throughput(total(&events)).sample_size(20);
    for size in [1, 10, 100, 1_000, 10_000, 100_000] {
        let matcher = Matcher::build(&mix[..size]).expect("within the limits");
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            run(bencher, &matcher, &events)
        });
    }
    group.finish();
    let mut group = criterion.benchmark_group("kind");
    group.throughput(total(&events)).sample_size(20);
    for kind in KINDS {
        let matcher = Matcher::build(&nodes(&rules(&cloud, &[(kind, 100)], 10_000)))
            .expect("within the limits");
        group.bench_function(kind.name(), |bencher| run(bencher, &matcher, &events));
    }
    group.finish();
    criterion
        .benchmark_group("build")
        .sample_size(10)
        .bench_function("100,000", |bencher| {
            bencher.iter(|| Matcher::build(&mix).expect("within the limits"));
        });
}

fn hard_events(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hard");
    group.sample_size(20);
    for shape in &SHAPES {
        let matcher = Matcher::build(&nodes(&[shape.pattern.to_owned()])).expect("one pattern");
        for &size in shape.sizes {
            let events = [shape.event(size)];
            group.throughput(total(&events));
            group.bench_function(BenchmarkId::new(shape.name, size), |bencher| {
                run(bencher, &matcher, &events)
            });
        }
    }
    let matcher = Matcher::build(&nodes(&wildcards(1_000))).expect("within the limits");
    for (name, value) in wildcard_values() {
        let events = [serde_json::json!({ "x": value }).to_string()];
        group.throughput(total(&events));
        group.bench_function(BenchmarkId::new("1,000 wildcards", name), |bencher| {
            run(bencher, &matcher, &events)
        });
    }
}

fn run(bencher: &mut criterion::Bencher, matcher: &Matcher, events: &[String]) {
    let (mut scratch, mut out) = (Scratch::new(), Vec::new());
    bencher.iter(|| {
        let matches = events.iter().map(|event| {
            matcher
                .matching_bytes(event.as_bytes(), &mut scratch, &mut out)
                .expect("valid JSON");
            out.len()
        });
        matches.sum::<usize>()
    });
}

criterion_group!(benches, floors, matching, hard_events);
criterion_main!(benches);
