//! The cost of a reaction of ten lines, conversion of the event included, and of hostile scripts
//! until they are stopped.
#![allow(
    missing_docs,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a bench reads files and the clock, and criterion's macros make undocumented functions"
)]

#[path = "support/ten_lines.rs"]
mod ten_lines;

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use jiff::Timestamp;
use reflexarc_event::Event;
use reflexarc_reaction::{Input, MemoryState, NoState, Reaction, ReactionLimits, ScriptEvent};

use self::ten_lines::{EVENT, TEN_LINES, bare, rule};

fn elapsed() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed()
}

fn ten_lines_of_rhai(criterion: &mut Criterion) {
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

criterion_group!(benches, ten_lines_of_rhai, attacks);
criterion_main!(benches);
