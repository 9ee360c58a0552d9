//! Answers to calls, and the operations that rules call, as text.

use super::Content;
use crate::output::text::truncate;
use crate::output::{Output, Paint};

/// `← ok  ecs DescribeNetworkInterfaces of leaked-eni`.
pub(super) fn answer_text(content: &Content, output: &Output) -> String {
    let Content::Answer {
        rule,
        target,
        operation,
        answer,
        ..
    } = content
    else {
        return String::new();
    };
    let paint = if answer.ok { Paint::Green } else { Paint::Red };
    let summary = output.paint(paint, truncate(&answer.summary()));
    let call = output.paint(Paint::Dim, format_args!("{target} {operation} of {rule}"));
    format!("← {summary}  {call}")
}

/// The line of a configuration that allows the operations.
pub(super) fn allow_text(target: &str, operations: &[String]) -> String {
    let quoted: Vec<String> = operations.iter().map(|name| format!("{name:?}")).collect();
    format!(
        "the rules need of {target}: allow = [{}]",
        quoted.join(", ")
    )
}
