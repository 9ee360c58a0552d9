//! JSON notation: `anything-but` and its argument.

use reflexarc_diagnostic::{Code, Span};

use super::TreeBuilder;
use super::foreign::Place;
use super::json::{Member, Value, ValueKind};
use super::leaf::literal;
use super::leaf_operator::string_operator;
use crate::keywords::JSON_OPERATORS;
use crate::{Dialect, Predicate};

impl TreeBuilder<'_> {
    /// The excluded predicates of an `anything-but`: from a literal, an array, or an object with
    /// one operator.
    pub(super) fn anything_but(&mut self, value: Value) -> Option<Vec<Predicate>> {
        let place = std::mem::replace(&mut self.place, Place::Exclusion);
        let excluded = self.excluded(value);
        self.place = place;
        excluded
    }

    fn excluded(&mut self, value: Value) -> Option<Vec<Predicate>> {
        match value.kind {
            ValueKind::Invalid => None,
            ValueKind::Object(members) => self.anything_but_operator(value.span, members),
            ValueKind::Array(elements) => {
                if elements.is_empty() {
                    self.error(Code::EMPTY_VALUE, value.span, "empty `anything-but`")
                        .help = Some("to require any value, write `{\"exists\": true}`".into());
                    return None;
                }
                self.anything_but_list(&value.span, elements)
            }
            _ => self.anything_but_list(&value.span.clone(), vec![value]),
        }
    }

    fn anything_but_list(&mut self, span: &Span, elements: Vec<Value>) -> Option<Vec<Predicate>> {
        let has_strings = elements
            .iter()
            .any(|element| matches!(element.kind, ValueKind::String(_)));
        let has_numbers = elements
            .iter()
            .any(|element| matches!(element.kind, ValueKind::Number(_)));
        if self.dialect == Dialect::Aws && has_strings && has_numbers {
            let message = format!(
                "{} does not allow strings and numbers in one `anything-but`",
                self.dialect.title()
            );
            self.error(Code::MIXED_LIST, span.clone(), message).help =
                Some("use only strings or only numbers".into());
            return None;
        }
        let mut predicates = Vec::new();
        let mut complete = true;
        for element in elements {
            match element.kind {
                ValueKind::Object(members) if self.dialect == Dialect::Reflexarc => {
                    match self.anything_but_operator(element.span, members) {
                        Some(more) => predicates.extend(more),
                        None => complete = false,
                    }
                }
                ValueKind::Object(_) | ValueKind::Array(_) => {
                    let message = format!(
                        "`anything-but` expects strings and numbers, found {}",
                        element.type_name()
                    );
                    self.error(Code::WRONG_ARGUMENT, element.span, message).help =
                        Some("for example `{\"anything-but\": [\"x\", \"y\"]}`".into());
                    complete = false;
                }
                ValueKind::Invalid => complete = false,
                _ => predicates.extend(literal(element)),
            }
        }
        if complete { Some(predicates) } else { None }
    }

    /// An operator inside `anything-but`, such as `{"prefix": "x"}`. For string operators the
    /// argument may be an array: `{"prefix": ["a", "b"]}` excludes both prefixes.
    fn anything_but_operator(
        &mut self,
        span: Span,
        mut members: Vec<Member>,
    ) -> Option<Vec<Predicate>> {
        let (Some(member), true) = (members.pop(), members.is_empty()) else {
            let message = "expected exactly one operator in an object inside `anything-but`";
            self.error(Code::TOO_MANY_OPERATORS, span, message).help =
                Some("to exclude several, write `{\"anything-but\": [{…}, {…}]}`".into());
            return None;
        };
        let key = member.key.as_str();
        if key == "exists" || key == "anything-but" {
            let message = format!("`{key}` is not allowed inside `anything-but`");
            let help = if key == "exists" {
                "to require that the field is missing, write `{\"exists\": false}`"
            } else {
                "write the condition itself instead of its double negation"
            };
            self.error(Code::WRONG_ARGUMENT, member.key_span, message)
                .help = Some(help.into());
            return None;
        }
        let allowed: &[&str] = match self.dialect {
            Dialect::Reflexarc => &JSON_OPERATORS,
            Dialect::Aws => &["prefix", "suffix", "equals-ignore-case", "wildcard"],
            Dialect::Alibaba => &["prefix", "suffix"],
        };
        if !allowed.contains(&key) && JSON_OPERATORS.contains(&key) {
            let message = format!(
                "{} does not support `{key}` inside `anything-but`",
                self.dialect.title()
            );
            let help = format!("use strings, numbers or one of {}", allowed.join(", "));
            self.error(Code::NOT_PORTABLE, member.key_span, message)
                .help = Some(help);
            return None;
        }
        // `{"prefix": ["x", "y"]}` is a shorthand that only exists inside `anything-but`: one
        // excluded predicate for each element.
        let takes_array = string_operator(key).is_some() || key == "equals-ignore-case";
        let is_array = matches!(member.value.kind, ValueKind::Array(_));
        if !takes_array || !is_array || self.dialect == Dialect::Alibaba {
            let operator = key.to_owned();
            let key_span = member.key_span.clone();
            let predicates = self.operator(member, None)?;
            // `$and` gives several predicates, which `anything-but` would exclude one by one; but
            // not (a and b) differs from (not a) and (not b).
            if predicates.len() != 1 {
                self.error(
                    Code::WRONG_ARGUMENT,
                    key_span,
                    format!("`{operator}` is not allowed inside `anything-but`"),
                )
                .help = Some("to exclude several, write `{\"anything-but\": [{…}, {…}]}`".into());
                return None;
            }
            return Some(
                predicates
                    .into_iter()
                    .map(|spanned| spanned.predicate)
                    .collect(),
            );
        }
        let Member {
            key,
            key_span,
            value,
        } = member;
        let ValueKind::Array(elements) = value.kind else {
            return None;
        };
        if elements.is_empty() {
            self.error(Code::EMPTY_VALUE, value.span, format!("empty `{key}`"))
                .help = Some("add at least one string".into());
            return None;
        }
        let mut predicates = Vec::new();
        let count = elements.len();
        for element in elements {
            let one = Member {
                key: key.clone(),
                key_span: key_span.clone(),
                value: element,
            };
            predicates.extend(
                self.operator(one, None)
                    .into_iter()
                    .flatten()
                    .map(|spanned| spanned.predicate),
            );
        }
        if predicates.len() == count {
            Some(predicates)
        } else {
            None
        }
    }
}
