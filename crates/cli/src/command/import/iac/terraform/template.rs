//! Templates of Terraform: texts with `${…}` and `%{…}`.

use hcl_edit::template::{Directive, Element, Strip};

use super::super::value::Value;
use super::evaluate::{Bindings, Scope, pairs};

/// The text of a template. A template of one interpolation only has the value of that.
pub(super) fn evaluate<'t>(
    elements: impl Iterator<Item = &'t Element>,
    scope: &Scope<'_>,
    bound: Bindings<'_>,
    depth: usize,
) -> Value {
    let elements: Vec<&Element> = elements.collect();
    if let [Element::Interpolation(only)] = elements.as_slice() {
        return scope.value_at(&only.expr, bound, depth + 1);
    }
    let mut text = String::new();
    match append(&elements, scope, bound, depth, &mut text) {
        Ok(()) => Value::Text(text),
        Err(reason) => Value::Unknown(reason),
    }
}

fn append(
    elements: &[&Element],
    scope: &Scope<'_>,
    bound: Bindings<'_>,
    depth: usize,
    text: &mut String,
) -> Result<(), String> {
    let mut strip_next = false;
    for element in elements {
        let (before, after) = match element {
            Element::Literal(literal) => {
                let literal = literal.as_str();
                text.push_str(if strip_next {
                    literal.trim_start()
                } else {
                    literal
                });
                strip_next = false;
                continue;
            }
            Element::Interpolation(interpolation) => {
                strips(interpolation.strip, interpolation.strip)
            }
            Element::Directive(directive) => match directive.as_ref() {
                Directive::If(choice) => strips(choice.if_expr.strip, choice.endif_expr.strip),
                Directive::For(each) => strips(each.for_expr.strip, each.endfor_expr.strip),
            },
        };
        if before {
            text.truncate(text.trim_end().len());
        }
        strip_next = after;
        match element {
            Element::Literal(_) => {}
            Element::Interpolation(interpolation) => {
                let value = scope.value_at(&interpolation.expr, bound, depth + 1);
                if let Some(reason) = value.unknown() {
                    return Err(reason.to_owned());
                }
                let part = value.to_text();
                text.push_str(&part.ok_or("`${…}` in a text is not a text")?);
            }
            Element::Directive(directive) => {
                append_directive(directive, scope, bound, depth, text)?;
            }
        }
        if let Value::Unknown(reason) = scope.charge(Value::Null) {
            return Err(reason);
        }
    }
    Ok(())
}

fn append_directive(
    directive: &Directive,
    scope: &Scope<'_>,
    bound: Bindings<'_>,
    depth: usize,
    text: &mut String,
) -> Result<(), String> {
    match directive {
        Directive::If(choice) => {
            let condition = scope.value_at(&choice.if_expr.cond_expr, bound, depth + 1);
            let branch = match condition {
                Value::Bool(true) => Some(&choice.if_expr.template),
                Value::Bool(false) => choice.else_expr.as_ref().map(|branch| &branch.template),
                other => {
                    let reason = other.unknown().unwrap_or("a condition is not a boolean");
                    return Err(reason.to_owned());
                }
            };
            let elements: Vec<&Element> = branch.into_iter().flat_map(|one| one.iter()).collect();
            append(&elements, scope, bound, depth + 1, text)
        }
        Directive::For(each) => {
            let collection = scope.value_at(&each.for_expr.collection_expr, bound, depth + 1);
            let elements: Vec<&Element> = each.for_expr.template.iter().collect();
            for (key, value) in pairs(&collection)? {
                let mut names = bound.to_vec();
                if let Some(variable) = &each.for_expr.key_var {
                    names.push((variable.as_str().to_owned(), key));
                }
                names.push((each.for_expr.value_var.as_str().to_owned(), value));
                append(&elements, scope, &names, depth + 1, text)?;
            }
            Ok(())
        }
    }
}

/// Whether white space before and behind is left out.
fn strips(start: Strip, end: Strip) -> (bool, bool) {
    (
        matches!(start, Strip::Start | Strip::Both),
        matches!(end, Strip::End | Strip::Both),
    )
}
