//! Warnings and hints about the calls of a rule as a whole.

use std::collections::BTreeSet;

use reflexarc_diagnostic::{Code, Diagnostic, nearest};

use crate::RuleCall;
use crate::rule::Response;
use crate::rule_test::RuleTest;
use crate::test_answer::TestAnswer;

/// What is found about calls; `responses` are `then` and `resolved`, without those that could not
/// be compiled.
pub(crate) fn check(
    responses: &[&Response],
    answered: Option<&Response>,
    tests: &[RuleTest],
) -> Vec<Diagnostic> {
    let first: Vec<RuleCall> = responses.iter().flat_map(|one| one.calls()).collect();
    let further = answered.map(Response::calls).unwrap_or_default();
    let mut found = Vec::new();
    match (first.first(), answered) {
        (None, Some(Response::Script { source, .. })) => {
            let message = "`answered` never runs: the rule calls nothing";
            let warning = Diagnostic::warning(Code::ANSWERED_WITHOUT_CALL, source.span(), message);
            found.push(warning.with_help(
                "call an operation in `then`, such as call(\"ecs\", \"DescribeInstances\", #{}), \
                 or remove `answered`",
            ));
        }
        (Some(call), None) => {
            let message = format!(
                "the rule has no script `answered` for the answer to `{}`",
                call.operation
            );
            let span = call.operation_span.clone();
            let hint = Diagnostic::hint(Code::CALL_WITHOUT_ANSWERED, span, message);
            found.push(hint.with_help(
                "add answered = '''…''', which gets `answer.ok` and `answer.body`; without it, \
                 a call that fails is only logged",
            ));
        }
        _ => {}
    }
    let calls: Vec<&RuleCall> = first.iter().chain(&further).collect();
    let answers = tests.iter().flat_map(|test| &test.steps);
    let answers = answers.flat_map(|step| &step.answers);
    found.extend(answers.filter_map(|answer| unknown_call(answer, &calls)));
    found
}

/// The warning about an answer to a call that none of the scripts has.
fn unknown_call(answer: &TestAnswer, calls: &[&RuleCall]) -> Option<Diagnostic> {
    let TestAnswer {
        target,
        operation,
        operation_span,
        ..
    } = answer;
    let is_known = |call: &&RuleCall| call.target == *target && call.operation == *operation;
    if calls.iter().any(is_known) {
        return None;
    }
    let message = format!("the rule never calls `{operation}` of `{target}`");
    let warning = Diagnostic::warning(Code::UNKNOWN_CALL, operation_span.clone(), message);
    let of_target = calls.iter().filter(|call| call.target == *target);
    let nearest = nearest(operation, of_target.map(|call| call.operation.as_str()));
    Some(match nearest {
        Some(meant) => {
            let warning = warning.with_help(format!("did you mean `{meant}`?"));
            // What TOML would have to escape is no name that an author means.
            let is_plain = |c: char| !c.is_control() && c != '"' && c != '\\';
            if meant.chars().all(is_plain) {
                warning.with_fix(operation_span.clone(), format!("\"{meant}\""))
            } else {
                warning
            }
        }
        None if calls.is_empty() => warning.with_help("the rule calls nothing"),
        None => {
            let known = calls
                .iter()
                .map(|call| format!("{} {}", call.target, call.operation))
                .collect::<BTreeSet<_>>();
            let known: Vec<String> = known.into_iter().collect();
            warning.with_help(format!("it calls: {}", known.join(", ")))
        }
    })
}
