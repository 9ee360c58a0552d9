//! Matching events against many patterns at once.
//!
//! ```text
//! cargo run -p reflexarc --example match
//! ```
#![allow(clippy::print_stdout, reason = "an example prints its results")]

use std::error::Error;

use reflexarc::{Dialect, NativeEvent, Pattern, Rule, RuleSet};

const EVENTS: [&str; 3] = [
    r#"{"level": "WARN", "content": {"operation": "AttachNetworkInterface", "result": "failed"}}"#,
    r#"{"level": "INFO", "content": {"operation": "AttachNetworkInterface", "result": "success"}}"#,
    r#"{"level": "INFO", "content": {"operation": "AssignIpv6Addresses", "result": "timeout"}}"#,
];

fn main() -> Result<(), Box<dyn Error>> {
    print!("{}", run()?);
    Ok(())
}

/// The matching patterns of each event, one event on each line.
pub(crate) fn run() -> Result<String, Box<dyn Error>> {
    // The two notations have the same meaning: an event pattern in JSON, and an expression.
    let texts = [
        (
            "attach",
            r#"{"content": {"operation": [{"prefix": "Attach"}]}}"#,
        ),
        ("not-done", r#"content.result != "success""#),
        ("serious", r#"level in ["WARN", "CRITICAL"]"#),
    ];
    let mut patterns = Vec::new();
    for (name, text) in texts {
        patterns.push((name.to_owned(), Pattern::parse(text, Dialect::Reflexarc)?));
    }
    // One matcher for all of them. It reads an event once, however many patterns there are.
    let rules = RuleSet::from_patterns(patterns)?;

    let mut output = String::new();
    for json in EVENTS {
        let event = NativeEvent::from_json(json)?;
        let matched = rules.matching(&event);
        let names: Vec<_> = rules.matched_rules(&matched).map(Rule::name).collect();
        output += &format!("{}\n", names.join(" "));
    }

    // Why the second event does not match.
    let event = NativeEvent::from_json(EVENTS[1])?;
    let explanation = rules.explain(&event, "not-done").ok_or("no such pattern")?;
    output += &explanation.render(true);
    Ok(output)
}
