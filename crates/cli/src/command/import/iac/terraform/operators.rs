//! Operators of Terraform.

use hcl_edit::expr::{BinaryOperator, UnaryOperator};

use super::super::value::Value;

/// The result of an operator before its operand.
pub(super) fn unary(operator: UnaryOperator, value: Value) -> Value {
    match (operator, value) {
        (_, Value::Unknown(reason)) => Value::Unknown(reason),
        (UnaryOperator::Not, Value::Bool(value)) => Value::Bool(!value),
        (UnaryOperator::Neg, Value::Number(text)) => Value::Number(match text.strip_prefix('-') {
            Some(positive) => positive.to_owned(),
            None => format!("-{text}"),
        }),
        (operator, _) => Value::Unknown(format!("`{operator}` of another type is not supported")),
    }
}

/// The result of an operator between two operands.
pub(super) fn binary(operator: BinaryOperator, left: &Value, right: &Value) -> Value {
    match (operator, left, right) {
        // One side decides, whatever the other one is.
        (BinaryOperator::And, Value::Bool(false), _)
        | (BinaryOperator::And, _, Value::Bool(false)) => Value::Bool(false),
        (BinaryOperator::Or, Value::Bool(true), _) | (BinaryOperator::Or, _, Value::Bool(true)) => {
            Value::Bool(true)
        }
        _ => match left.unknown().or(right.unknown()) {
            Some(reason) => Value::Unknown(reason.to_owned()),
            None => known_binary(operator, left, right),
        },
    }
}

fn known_binary(operator: BinaryOperator, left: &Value, right: &Value) -> Value {
    let numbers = || {
        let number = |value: &Value| value.to_text()?.parse::<i64>().ok();
        Some((number(left)?, number(right)?))
    };
    let compared = |test: fn(i64, i64) -> bool| numbers().map(|(l, r)| Value::Bool(test(l, r)));
    let computed = |compute: fn(i64, i64) -> Option<i64>| {
        let (left, right) = numbers()?;
        compute(left, right).map(|number| Value::Number(number.to_string()))
    };
    let result = match operator {
        BinaryOperator::Eq => Some(Value::Bool(left == right)),
        BinaryOperator::NotEq => Some(Value::Bool(left != right)),
        BinaryOperator::And | BinaryOperator::Or => match (left, right) {
            (Value::Bool(left), Value::Bool(right)) => {
                Some(Value::Bool(if operator == BinaryOperator::And {
                    *left && *right
                } else {
                    *left || *right
                }))
            }
            _ => None,
        },
        BinaryOperator::Less => compared(|left, right| left < right),
        BinaryOperator::LessEq => compared(|left, right| left <= right),
        BinaryOperator::Greater => compared(|left, right| left > right),
        BinaryOperator::GreaterEq => compared(|left, right| left >= right),
        BinaryOperator::Plus => computed(i64::checked_add),
        BinaryOperator::Minus => computed(i64::checked_sub),
        BinaryOperator::Mul => computed(i64::checked_mul),
        BinaryOperator::Div => {
            computed(|left, right| (right != 0 && left % right == 0).then(|| left / right))
        }
        BinaryOperator::Mod => computed(i64::checked_rem),
    };
    result
        .unwrap_or_else(|| Value::Unknown(format!("`{operator}` of these values is not supported")))
}
