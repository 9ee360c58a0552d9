//! Writes the workload for engines in other languages: `workload FOLDER` makes events.jsonl,
//! mix.jsonl and without-cidr.jsonl there, one event or rule a line. Suffixes in without-cidr.jsonl
//! are written as `shellstyle`, the name that the Go engine uses.

use std::path::PathBuf;

use reflexarc_pattern_benches::events::{Cloud, events};
use reflexarc_pattern_benches::rules::{MIX, WITHOUT_CIDR, rules};

fn main() -> std::io::Result<()> {
    let folder: PathBuf = std::env::args_os()
        .nth(1)
        .expect("usage: workload FOLDER")
        .into();
    std::fs::create_dir_all(&folder)?;
    let cloud = Cloud::new();
    let shellstyle = |rule: String| match rule.split_once(r#"{"suffix":""#) {
        Some((before, rest)) => format!(r#"{before}{{"shellstyle":"*{rest}"#),
        None => rule,
    };
    let without_cidr: Vec<String> = rules(&cloud, &WITHOUT_CIDR, 100_000)
        .into_iter()
        .map(shellstyle)
        .collect();
    let files = [
        ("events.jsonl", events(&cloud, 10_000)),
        ("mix.jsonl", rules(&cloud, &MIX, 100_000)),
        ("without-cidr.jsonl", without_cidr),
    ];
    for (name, lines) in files {
        std::fs::write(folder.join(name), lines.join("\n") + "\n")?;
    }
    Ok(())
}
