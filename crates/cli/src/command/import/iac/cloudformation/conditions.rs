//! Conditions of CloudFormation.

use super::super::value::Value;
use super::functions::Resolver;

/// The result of a condition by its name, or why it is not known.
pub(super) fn evaluate(
    root: &Value,
    name: &str,
    resolver: &Resolver<'_>,
    depth: usize,
) -> Result<bool, String> {
    let condition = root.at(&["Conditions", name]);
    let condition = condition.ok_or_else(|| format!("unknown condition `{name}`"))?;
    test(root, condition, resolver, depth + 1)
}

fn test(
    root: &Value,
    condition: &Value,
    resolver: &Resolver<'_>,
    depth: usize,
) -> Result<bool, String> {
    if depth > resolver.limits.depth {
        return Err("its conditions refer to one another".to_owned());
    }
    let [only] = condition.members() else {
        return Err("a condition is not one function".to_owned());
    };
    let parts = only.value.elements();
    let below = |part: &Value| test(root, part, resolver, depth + 1);
    match (only.key.as_str(), parts) {
        ("Condition", _) => {
            let name = only.value.as_str().unwrap_or_default();
            evaluate(root, name, resolver, depth + 1)
        }
        ("Fn::Equals", [left, right]) => {
            let (left, right) = (
                resolver.resolve_at(left, depth + 1),
                resolver.resolve_at(right, depth + 1),
            );
            if let Some(reason) = left.unknown().or(right.unknown()) {
                return Err(reason.to_owned());
            }
            Ok(match (left.to_text(), right.to_text()) {
                (Some(left), Some(right)) => left == right,
                _ => left == right,
            })
        }
        ("Fn::Not", [part]) => below(part).map(|value| !value),
        ("Fn::And", parts) => every(parts, false, &below),
        ("Fn::Or", parts) => every(parts, true, &below),
        (function, _) => Err(format!("{function} in a condition is not supported")),
    }
}

/// `Fn::And` and `Fn::Or`: one part with the value `decisive` decides, whatever the others are.
fn every(
    parts: &[Value],
    decisive: bool,
    test: &dyn Fn(&Value) -> Result<bool, String>,
) -> Result<bool, String> {
    let results: Vec<Result<bool, String>> = parts.iter().map(test).collect();
    if results.contains(&Ok(decisive)) {
        return Ok(decisive);
    }
    results.into_iter().try_fold(!decisive, |_, result| result)
}
