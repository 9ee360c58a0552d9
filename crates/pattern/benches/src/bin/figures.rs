//! Prints the figures of RESULTS.md. Whatever is compared takes turns and is measured in processor
//! time of the thread, because the machine may be busy with other things; printed is the best turn.

use std::hint::black_box;

use cpu_time::ThreadTime;
use reflexarc_event::{Event, Json};
use reflexarc_pattern::{Matcher, Scratch};
use reflexarc_pattern_benches::adversarial::{SHAPES, wildcard_values, wildcards};
use reflexarc_pattern_benches::events::{Cloud, events};
use reflexarc_pattern_benches::nodes;
use reflexarc_pattern_benches::rules::{KINDS, Kind, MIX, WITHOUT_WILDCARDS, rules};

const EVENTS: usize = 10_000;

fn main() {
    let cloud = Cloud::new();
    let events = events(&cloud, EVENTS);
    let bytes: usize = events.iter().map(String::len).sum();
    println!(
        "events: {} of {} bytes on average",
        events.len(),
        bytes / events.len()
    );
    let chosen: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |name: &str| chosen.is_empty() || chosen.iter().any(|chosen| chosen == name);
    if wanted("growth") {
        growth(&cloud, &events);
    }
    if wanted("validated") {
        validated(&cloud, &events);
    }
    if wanted("kinds") {
        kinds(&cloud, &events);
    }
    if wanted("quamina") {
        quamina(&cloud, &events);
    }
    if wanted("adversarial") {
        adversarial();
    }
    if wanted("wildcards") {
        many_wildcards();
    }
}

/// The nanoseconds of each pass: the best of `turns`, in which the passes alternate.
fn in_turns(turns: usize, passes: &mut [(&str, Box<dyn FnMut() + '_>)]) -> Vec<f64> {
    let mut best = vec![f64::INFINITY; passes.len()];
    for _ in 0..turns {
        for (best, (_, pass)) in best.iter_mut().zip(passes.iter_mut()) {
            let start = ThreadTime::now();
            pass();
            *best = best.min(start.elapsed().as_secs_f64() * 1e9);
        }
    }
    best
}

fn pass<'a>(matcher: &'a Matcher, events: &'a [String]) -> Box<dyn FnMut() + 'a> {
    let (mut scratch, mut out) = (Scratch::new(), Vec::new());
    Box::new(move || {
        for event in events {
            matcher
                .matching_bytes(event.as_bytes(), &mut scratch, &mut out)
                .expect("valid JSON");
            black_box(&out);
        }
    })
}

fn matches(matcher: &Matcher, events: &[String]) -> usize {
    let (mut scratch, mut out) = (Scratch::new(), Vec::new());
    let count = |event: &String| {
        matcher
            .matching_bytes(event.as_bytes(), &mut scratch, &mut out)
            .expect("valid JSON");
        out.len()
    };
    events.iter().map(count).sum()
}

fn growth(cloud: &Cloud, events: &[String]) {
    let all = [
        ("mix", nodes(&rules(cloud, &MIX, 100_000))),
        ("nowild", nodes(&rules(cloud, &WITHOUT_WILDCARDS, 100_000))),
    ];
    let sizes = [1, 10, 100, 1_000, 10_000, 100_000];
    for (name, nodes) in &all {
        println!(
            "\n{name}: rules, ns an event, ÷ one rule, ÷ sonic_rs; matches an event; build ms; \
             bytes a rule"
        );
        let matchers: Vec<(Matcher, f64)> = sizes
            .iter()
            .map(|&size| {
                let start = ThreadTime::now();
                let matcher = Matcher::build(&nodes[..size]).expect("within the limits");
                (matcher, start.elapsed().as_secs_f64() * 1e3)
            })
            .collect();
        let mut passes: Vec<(&str, Box<dyn FnMut()>)> = vec![
            ("sonic_rs IgnoredAny", Box::new(|| skip_with_sonic(events))),
            (
                "serde_json IgnoredAny",
                Box::new(|| skip_with_serde(events)),
            ),
            (
                "memchr of a byte that is not there",
                Box::new(|| search_with_memchr(events)),
            ),
        ];
        passes.extend(
            matchers
                .iter()
                .map(|(matcher, _)| ("", pass(matcher, events))),
        );
        let best: Vec<f64> = in_turns(25, &mut passes)
            .iter()
            .map(|ns| ns / events.len() as f64)
            .collect();
        for ((name, _), ns) in passes.iter().zip(&best).take(3) {
            println!("  {name}: {ns:.0} ns");
        }
        for ((size, (matcher, build)), ns) in sizes.iter().zip(&matchers).zip(&best[3..]) {
            let stats = matcher.stats();
            println!(
                "  {size:>7} {ns:>7.0} {:>6.2} {:>6.2} {:>8.3} {build:>8.1} {:>8}",
                ns / best[3],
                ns / best[0],
                matches(matcher, events) as f64 / events.len() as f64,
                stats.bytes / size,
            );
        }
    }
}

fn validated(cloud: &Cloud, events: &[String]) {
    println!("\nmix: rules, ns an event from unknown bytes and from validated events");
    let read = |event: &String| Event::from_json(event.as_bytes()).expect("an event");
    let validated: Vec<Event> = events.iter().map(read).collect();
    for size in [1, 1_000] {
        let matcher = Matcher::build(&nodes(&rules(cloud, &MIX, size))).expect("within the limits");
        let (mut scratch, mut ids) = (Scratch::new(), Vec::new());
        let without_validating = || {
            for event in &validated {
                matcher.matching(event, &mut scratch, &mut ids);
                black_box(&ids);
            }
        };
        let mut passes: [(&str, Box<dyn FnMut()>); 2] = [
            ("", pass(&matcher, events)),
            ("", Box::new(without_validating)),
        ];
        let best = in_turns(15, &mut passes);
        let [bytes, event] = [0, 1].map(|pass| best[pass] / events.len() as f64);
        println!("  {size:>7} {bytes:>7.0} {event:>7.0}");
    }
}

fn kinds(cloud: &Cloud, events: &[String]) {
    println!("\nper kind: ns an event at 1,000 and 10,000 rules (exact also 100,000)");
    for kind in KINDS {
        let nodes = nodes(&rules(
            cloud,
            &[(kind, 100)],
            if kind == Kind::Exact { 100_000 } else { 10_000 },
        ));
        let sizes: &[usize] = if kind == Kind::Exact {
            &[1_000, 10_000, 100_000]
        } else {
            &[1_000, 10_000]
        };
        let build = |&size: &usize| Matcher::build(&nodes[..size]).expect("within the limits");
        let matchers: Vec<Matcher> = sizes.iter().map(build).collect();
        let mut passes: Vec<_> = matchers
            .iter()
            .map(|matcher| ("", pass(matcher, events)))
            .collect();
        let best: Vec<String> = in_turns(15, &mut passes)
            .iter()
            .map(|ns| format!("{:.0}", ns / events.len() as f64))
            .collect();
        println!("  {:<13} {}", kind.name(), best.join(" → "));
    }
}

fn quamina(cloud: &Cloud, events: &[String]) {
    println!("\nquamina crate: rules, ns an event, ÷ ours");
    let texts = rules(cloud, &MIX, 1_000);
    let parsed = nodes(&texts);
    for size in [1, 10, 100, 1_000] {
        let mut peer = quamina::Quamina::<u32>::new();
        for (id, rule) in (0..).zip(&texts[..size]) {
            peer.add_pattern(id, rule)
                .expect("a rule that quamina takes");
        }
        let ours = Matcher::build(&parsed[..size]).expect("within the limits");
        let found: usize = events
            .iter()
            .map(|event| {
                peer.matches_for_event(event.as_bytes())
                    .expect("valid JSON")
                    .len()
            })
            .sum();
        assert_eq!(found, matches(&ours, events), "both find the same matches");
        let peer_pass = || {
            for event in &events[..if size == 1_000 { 2_000 } else { EVENTS }] {
                black_box(
                    peer.matches_for_event(event.as_bytes())
                        .expect("valid JSON"),
                );
            }
        };
        let share = if size == 1_000 { 2_000 } else { EVENTS } as f64;
        let best = in_turns(
            15,
            &mut [("", pass(&ours, events)), ("", Box::new(peer_pass))],
        );
        let (ours, theirs) = (best[0] / EVENTS as f64, best[1] / share);
        println!(
            "  {size:>7} {theirs:>8.0} {:>6.2} (ours {ours:.0})",
            theirs / ours
        );
    }
}

fn adversarial() {
    println!("\nadversarial: ns a byte at each size; largest ÷ smallest");
    for shape in &SHAPES {
        let matcher = Matcher::build(&nodes(&[shape.pattern.to_owned()])).expect("one pattern");
        let events: Vec<Vec<String>> = shape
            .sizes
            .iter()
            .map(|&size| vec![shape.event(size); 20])
            .collect();
        let expected = if shape.matches { 20 } else { 0 };
        assert!(
            events
                .iter()
                .all(|events| matches(&matcher, events) == expected),
            "{}",
            shape.name
        );
        let mut passes: Vec<_> = events
            .iter()
            .map(|events| ("", pass(&matcher, events)))
            .collect();
        let best = in_turns(25, &mut passes);
        let rates: Vec<f64> = best
            .iter()
            .zip(&events)
            .map(|(ns, events)| ns / events.iter().map(String::len).sum::<usize>() as f64)
            .collect();
        let shown: Vec<String> = rates.iter().map(|rate| format!("{rate:.2}")).collect();
        println!(
            "  {:<40} {:<22} {:.2}",
            shape.name,
            shown.join(" "),
            rates[rates.len() - 1] / rates[0]
        );
    }
}

fn many_wildcards() {
    println!("\n1,000 wildcards *a*b*c0* … : µs an event");
    let matcher = Matcher::build(&nodes(&wildcards(1_000))).expect("within the limits");
    for (name, value) in wildcard_values() {
        let events = vec![Json::from_iter([("x".to_owned(), Json::from(value))]).to_string(); 100];
        let found = matches(&matcher, &events) / events.len();
        let best = in_turns(25, &mut [("", pass(&matcher, &events))]);
        println!(
            "  {name:<26} {:>8.2} ({found} match)",
            best[0] / 1e3 / events.len() as f64
        );
    }
}

fn skip_with_sonic(events: &[String]) {
    for event in events {
        black_box(
            sonic_rs::from_slice::<serde::de::IgnoredAny>(event.as_bytes()).expect("valid JSON"),
        );
    }
}

fn skip_with_serde(events: &[String]) {
    for event in events {
        black_box(
            serde_json::from_slice::<serde::de::IgnoredAny>(event.as_bytes()).expect("valid JSON"),
        );
    }
}

fn search_with_memchr(events: &[String]) {
    for event in events {
        black_box(memchr::memchr(0, event.as_bytes()));
    }
}
