//! This engine's row in the comparison: `ours FOLDER FILE COUNT` prints the number of matches and
//! the microseconds per event.

use std::path::PathBuf;

use cpu_time::ThreadTime;
use reflexarc_pattern::{Dialect, Matcher, Node, Pattern, Scratch};

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, folder, file, count] = &arguments[..] else {
        panic!("usage: ours FOLDER FILE COUNT")
    };
    let (folder, count) = (
        PathBuf::from(folder),
        count.parse().expect("COUNT is a number"),
    );
    let rules = std::fs::read_to_string(folder.join(file))?;
    let events = std::fs::read_to_string(folder.join("events.jsonl"))?;
    let rewritten = |rule: &str| rule.replace(r#"{"shellstyle":"#, r#"{"wildcard":"#);
    let parse =
        |rule: &str| Pattern::parse(&rewritten(rule), Dialect::default()).expect("a valid rule");
    let nodes: Vec<Node> = rules
        .lines()
        .take(count)
        .map(|rule| parse(rule).node().clone())
        .collect();
    let matcher = Matcher::build(&nodes).expect("within the limits");
    let (mut scratch, mut out) = (Scratch::new(), Vec::new());
    let (mut best, mut matches) = (f64::INFINITY, 0);
    for _ in 0..9 {
        let start = ThreadTime::now();
        matches = 0;
        for event in events.lines() {
            matcher
                .matching_bytes(event.as_bytes(), &mut scratch, &mut out)
                .expect("valid JSON");
            matches += out.len();
        }
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!(
        "{matches} {:.2}",
        best * 1e6 / events.lines().count() as f64
    );
    Ok(())
}
