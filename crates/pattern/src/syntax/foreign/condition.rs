//! A condition with the meaning that its author most likely intended, and its spelling here.

use super::operator::{ForeignOperator, Meaning, Quantifier};
use super::value::{Value, ValueKind, json};
use crate::Decimal;
use crate::foreign_path::Step;

/// A path, an operator and its values.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    /// The path as it is written here.
    pub(super) path: String,
    /// The step of the original path that means something else.
    pub(super) step: Step,
    /// Its negation stands after the path: a value is required that differs.
    pub(super) operator: ForeignOperator,
    /// `not` before the path: no value may be like that.
    pub(super) is_excluded: bool,
    pub(super) values: Vec<Value>,
    pub(super) precision: Precision,
}

/// Whether a condition has the meaning of the original for every event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Precision {
    Exact,
    Approximate,
}

impl Condition {
    /// The spelling here; `None` if there is none, as for an order of texts.
    pub(super) fn spell(&self) -> Option<String> {
        let inner = self.spell_included()?;
        let is_presence = inner.ends_with(" exists") || inner.ends_with(" is missing");
        // Not `a is missing` for `not a exists`: beside a condition on the same array they differ,
        // because the `not` is about all of its elements.
        Some(match (self.is_excluded, is_presence) {
            (false, _) => inner,
            (true, true) => format!("not {inner}"),
            (true, false) => format!("not ({inner})"),
        })
    }

    /// Whether the edit from the original is evidently right.
    pub(super) fn is_exact(&self) -> bool {
        let is_plain = |value: &Value| {
            // A backslash is an escape in some languages and itself in others.
            !value.json.contains('\\')
                && matches!(
                    value.kind,
                    ValueKind::Text | ValueKind::Number | ValueKind::Literal | ValueKind::Network
                )
        };
        let is_one_text =
            self.values.iter().all(|value| value.json.starts_with('"')) && self.values.len() == 1;
        let is_plain_operator = match self.operator.meaning {
            // Whether it must match the whole text, or has its ends, is unknown.
            Meaning::Regexp | Meaning::Range => false,
            Meaning::Between => self.ends().is_some_and(|(low, high)| low <= high),
            Meaning::Wildcard => is_one_text && !self.is_sql(),
            // `a includes ["x", "y"]` may mean both; `a contains null` no text at all.
            Meaning::Prefix | Meaning::Suffix | Meaning::Contains => {
                is_one_text || self.operator.quantifier.is_some()
            }
            _ => true,
        };
        let is_plain = self.values.iter().all(is_plain);
        let is_same_path = self.step <= Step::Elements;
        self.precision == Precision::Exact && is_same_path && is_plain_operator && is_plain
    }

    fn spell_included(&self) -> Option<String> {
        let Self { path, operator, .. } = self;
        let negated = operator.negated;
        let not = if negated { "not " } else { "" };
        let case = if operator.ignoring_case {
            " ignoring case"
        } else {
            ""
        };
        // What a value is decides the operator: `== 10.0.0.0/8` is a network and `== eni-*` a
        // wildcard.
        let is_kind = |kind: ValueKind| {
            !self.values.is_empty() && self.values.iter().all(|value| value.kind == kind)
        };
        if operator.quantifier == Some(Quantifier::All) && self.values.len() > 1 {
            return self.each_value();
        }
        Some(match operator.meaning {
            Meaning::In if self.values.iter().all(Value::is_network) => {
                format!("{path} {not}in cidr {}", self.operand()?)
            }
            Meaning::Equals if is_kind(ValueKind::Undefined) => {
                let operator = if negated { "exists" } else { "is missing" };
                format!("{path} {operator}")
            }
            Meaning::Equals if is_kind(ValueKind::Network) => {
                format!("{path} {not}in cidr {}", self.operand()?)
            }
            Meaning::Equals if is_kind(ValueKind::Glob) => {
                format!("{path} {not}like {}{case}", self.operand()?)
            }
            Meaning::Equals if is_kind(ValueKind::Regexp) => self.regexp()?,
            Meaning::In if self.values.len() == 1 => {
                format!("{path} {not}in [{}]{case}", self.operand()?)
            }
            Meaning::Equals | Meaning::In => match (self.values.len(), negated) {
                (1, false) => format!("{path} == {}{case}", self.operand()?),
                (1, true) => format!("{path} != {}{case}", self.operand()?),
                _ => format!("{path} {not}in {}{case}", self.operand()?),
            },
            Meaning::Element => format!("{path} == {}{case}", self.only()?.json),
            Meaning::Wildcard if self.is_sql() => {
                let text = self.only()?.text()?;
                let wildcard = json(&text.replace('%', "*").replace("**", "*"));
                format!("{path} {not}like {wildcard}{case}")
            }
            Meaning::Regexp => self.regexp()?,
            Meaning::Compare(_) => {
                format!("{path} {} {}", operator.name()?, self.only()?.number()?)
            }
            Meaning::Between | Meaning::Range => self.range()?,
            Meaning::Empty => return None,
            _ if operator.stands_alone() => format!("{path} {}", operator.name()?),
            _ => format!("{path} {} {}{case}", operator.name()?, self.strings()?),
        })
    }

    /// The operator and its values, for use after a path: `> 5`.
    pub(super) fn after_path(&self) -> Option<String> {
        let spelled = self.spell()?;
        let rest = spelled.strip_prefix(&self.path)?;
        Some(rest.trim_start().to_owned())
    }

    /// `contains all ["x", "y"]`: one condition for each value. "Not all of them" is not "none of
    /// them", and other operators cannot be met by one value together, so they are never meant.
    fn each_value(&self) -> Option<String> {
        if self.operator.meaning != Meaning::Contains || self.operator.negated {
            return None;
        }
        let one = |value: &Value| {
            let values = vec![value.clone()];
            Self {
                values,
                ..self.clone()
            }
            .spell_included()
        };
        let all: Option<Vec<String>> = self.values.iter().map(one).collect();
        Some(all?.join(" and "))
    }

    /// At least one and at most the other of two numbers.
    fn range(&self) -> Option<String> {
        let (one, other) = self.ends()?;
        let (path, low, high) = (&self.path, (&one).min(&other), (&one).max(&other));
        Some(if self.operator.negated {
            // `not (1 <= a <= 5)` would be true without a value, too.
            format!("{path} not (>= {low} and <= {high})")
        } else {
            format!("{low} <= {path} <= {high}")
        })
    }

    /// The numbers of a range, as they are written.
    fn ends(&self) -> Option<(Decimal, Decimal)> {
        match self.values.as_slice() {
            [low, high] => Some((low.number()?.parse().ok()?, high.number()?.parse().ok()?)),
            _ => None,
        }
    }

    /// Whether it is `like` with the placeholders of SQL.
    pub(super) fn is_sql(&self) -> bool {
        let has_placeholder = |value: &Value| value.text().is_some_and(|text| text.contains('%'));
        self.only().is_some_and(has_placeholder)
    }

    fn only(&self) -> Option<&Value> {
        match self.values.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// One value, or an array.
    fn operand(&self) -> Option<String> {
        let values: Vec<String> = self.values.iter().map(|value| value.json.clone()).collect();
        list(&values)
    }

    /// The values in quotes: string operators take strings only.
    fn strings(&self) -> Option<String> {
        let string = |value: &Value| {
            if value.json.starts_with('"') {
                value.json.clone()
            } else {
                json(&value.json)
            }
        };
        list(&self.values.iter().map(string).collect::<Vec<_>>())
    }

    /// `matches`. Elsewhere an expression may match a part of the text: `/x/` is `.*x.*` here.
    fn regexp(&self) -> Option<String> {
        let value = self.only()?;
        let (mut expression, mut case) = (value.json.clone(), self.operator.ignoring_case);
        let is_literal = value.kind == ValueKind::Regexp;
        if is_literal {
            let (flags, inner) = expression.split_once(' ')?;
            case |= flags.contains('i');
            expression = inner.replace("\\/", "/");
        } else {
            expression = value.text().unwrap_or(expression);
        }
        let whole = if is_literal || self.operator.finds_parts {
            whole_regexp(&expression)
        } else {
            expression
        };
        let not = if self.operator.negated { "not " } else { "" };
        let case = if case { " ignoring case" } else { "" };
        Some(format!("{} {not}matches {}{case}", self.path, json(&whole)))
    }
}

/// A regular expression for the whole text in place of one for a part of it: `x` gives `.*x.*`.
pub(in crate::syntax) fn whole_regexp(expression: &str) -> String {
    let start = expression.strip_prefix('^');
    let open = if start.is_some() { "" } else { ".*" };
    let inner = start.unwrap_or(expression);
    let end = inner
        .strip_suffix('$')
        .filter(|inner| !inner.ends_with('\\'));
    let close = if end.is_some() { "" } else { ".*" };
    let inner = end.unwrap_or(inner);
    let inner = if inner.contains('|') {
        format!("({inner})")
    } else {
        inner.to_owned()
    };
    format!("{open}{inner}{close}").replace(".*.*", ".*")
}

fn list(values: &[String]) -> Option<String> {
    match values {
        [] => None,
        [only] => Some(only.clone()),
        _ => Some(format!("[{}]", values.join(", "))),
    }
}
