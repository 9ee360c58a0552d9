//! Compiling rules, running their tests and evaluating an event.
//!
//! ```text
//! cargo run -p reflexarc --example rules
//! ```
#![allow(clippy::print_stdout, reason = "an example prints its results")]

use std::error::Error;

use reflexarc::{Action, NativeEvent, NoState, RuleSet, event_time};

/// A rule with a script and a test.
const FAILED: &str = r#"
level = "warn"
when = 'content.result == "failed"'
then = '''
notify("network-team", `${event.content.operation} failed for ${event.content.eniId}`);
send("inventory", #{ eni: event.content.eniId, at: now });
'''

[[test]]
name = "a failed attach is reported"
event = '{"content": {"operation": "AttachNetworkInterface", "result": "failed", "eniId": "eni-1"}}'
actions = [
    { target = "network-team", text = "AttachNetworkInterface failed for eni-1" },
    { target = "inventory" },
]
"#;

/// A rule without a script: the message is made of the event.
const CRITICAL: &str = r#"
description = "Critical event"
when = 'level == "CRITICAL"'
notify = ["on-call"]
"#;

fn main() -> Result<(), Box<dyn Error>> {
    print!("{}", run()?);
    Ok(())
}

/// The results of the tests, the actions of one event, and why a rule does not match it.
pub(crate) fn run() -> Result<String, Box<dyn Error>> {
    // A folder of files is read by `RuleSet::load("rules")`. An invalid file is an error that draws
    // every fault with its place and its fix.
    let rules = RuleSet::compile([("failed.toml", FAILED), ("critical.toml", CRITICAL)])?;

    let mut output = String::new();
    for report in rules.test("") {
        for test in &report.tests {
            let result = if test.passed() { "passed" } else { "failed" };
            output += &format!("{}: {}: {result}\n", report.rule, test.name);
        }
    }

    let event = NativeEvent::from_json(
        r#"{
            "level": "WARN", "eventTime": "20190409T121826.922+0800",
            "content": {
                "operation": "AttachNetworkInterface", "result": "failed", "eniId": "eni-bp1"
            }
        }"#,
    )?;
    // The engine has no clock. With the event's own time the result is the same every time.
    let now = event_time(&event).ok_or("the event has no time")?;
    let evaluation = rules.evaluate(&event, &NoState, now);
    // Actions are data: what delivers them is up to the program.
    for (effects, _, action) in evaluation.actions() {
        let content = match action {
            Action::Notify { message, .. } => format!("{} ({})", message.text, message.level),
            Action::Send { payload, .. } => payload.to_string(),
            Action::Call {
                operation,
                parameters,
                ..
            } => format!("{operation} {parameters}"),
        };
        output += &format!("{} -> {}: {content}\n", effects.rule, action.target());
    }
    // A rule that fails loses its own effects only.
    for failure in &evaluation.failures {
        output += &format!("{} failed: {}\n", failure.rule, failure.message);
    }

    let explanation = rules.explain(&event, "critical").ok_or("no such rule")?;
    output += &explanation.render(true);
    Ok(output)
}
