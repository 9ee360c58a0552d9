//! The JSON notation: `anything-but` and what stands inside.

use reflexarc_diagnostic::{Code, Span};

use super::TreeBuilder;
use super::json::{Member, Value, ValueKind};
use super::leaf::{OPERATORS, literal, text_test};
use crate::{Dialect, Predicate};

impl TreeBuilder<'_> {
    /// `anything-but`: what the value must not be.
    pub(super) fn anything_but(&mut self, value: Value) -> Option<Vec<Predicate>> {
        match value.kind {
            ValueKind::Broken => None,
            ValueKind::Object(members) => self.anything_but_operator(value.span, members),
            ValueKind::Array(elements) => {
                if elements.is_empty() {
                    self.error(Code::EMPTY, value.span, "`anything-but` of nothing")
                        .help =
                        Some("to ask that there is a value, write `{\"exists\": true}`".into());
                    return None;
                }
                self.anything_but_list(&value.span, elements)
            }
            _ => self.anything_but_list(&value.span.clone(), vec![value]),
        }
    }

    fn anything_but_list(&mut self, span: &Span, elements: Vec<Value>) -> Option<Vec<Predicate>> {
        let text = elements
            .iter()
            .any(|element| matches!(element.kind, ValueKind::Text(_)));
        let numbers = elements
            .iter()
            .any(|element| matches!(element.kind, ValueKind::Number(_)));
        if self.dialect == Dialect::Aws && text && numbers {
            let message = format!(
                "{} wants all text or all numbers in `anything-but`",
                self.dialect.title()
            );
            self.error(Code::MIXED_LIST, span.clone(), message).help = Some(
                "a value that is neither is asked for by two rules, or in the reflexarc dialect"
                    .into(),
            );
            return None;
        }
        let mut predicates = Vec::new();
        let mut complete = true;
        for element in elements {
            match element.kind {
                ValueKind::Object(members) if self.dialect == Dialect::Reflexarc => {
                    match self.anything_but_operator(element.span, members) {
                        Some(found) => predicates.extend(found),
                        None => complete = false,
                    }
                }
                ValueKind::Object(_) | ValueKind::Array(_) => {
                    let message = format!(
                        "`anything-but` takes text and numbers, not {}",
                        element.name()
                    );
                    self.error(Code::WRONG_ARGUMENT, element.span, message);
                    complete = false;
                }
                ValueKind::Broken => complete = false,
                _ => predicates.extend(literal(element)),
            }
        }
        if complete { Some(predicates) } else { None }
    }

    /// `{"prefix": "x"}` and the like inside `anything-but`.
    fn anything_but_operator(
        &mut self,
        span: Span,
        mut members: Vec<Member>,
    ) -> Option<Vec<Predicate>> {
        let (Some(member), true) = (members.pop(), members.is_empty()) else {
            self.error(
                Code::ONE_OPERATOR,
                span,
                "an object in `anything-but` has exactly one operator",
            )
            .help =
                Some("a value that is none of several: `{\"anything-but\": [{…}, {…}]}`".into());
            return None;
        };
        let key = member.key.as_str();
        if key == "exists" || key == "anything-but" {
            let message = format!("`{key}` cannot stand inside `anything-but`");
            let help = if key == "exists" {
                "`{\"exists\": false}` asks for absence"
            } else {
                "say directly what is wanted"
            };
            self.error(Code::WRONG_ARGUMENT, member.key_span, message)
                .help = Some(help.into());
            return None;
        }
        let allowed: &[&str] = match self.dialect {
            Dialect::Reflexarc => &OPERATORS,
            Dialect::Aws => &["prefix", "suffix", "equals-ignore-case", "wildcard"],
            Dialect::Alibaba => &["prefix", "suffix"],
        };
        if !allowed.contains(&key) && OPERATORS.contains(&key) {
            let message = format!(
                "{} takes no `{key}` inside `anything-but`",
                self.dialect.title()
            );
            self.error(Code::NOT_PORTABLE, member.key_span, message)
                .help = Some(format!("it takes text, numbers, {}", allowed.join(", ")));
            return None;
        }
        let list_of_texts = text_test(key).is_some() || key == "equals-ignore-case";
        let is_list = matches!(member.value.kind, ValueKind::Array(_));
        if !list_of_texts || !is_list || self.dialect == Dialect::Alibaba {
            let operator = key.to_owned();
            let key_span = member.key_span.clone();
            let found = self.operator(member)?;
            if found.len() != 1 {
                self.error(
                    Code::WRONG_ARGUMENT,
                    key_span,
                    format!("`{operator}` cannot stand inside `anything-but`"),
                );
                return None;
            }
            return Some(found.into_iter().map(|spanned| spanned.predicate).collect());
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
            self.error(Code::EMPTY, value.span, format!("`{key}` of nothing"));
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
                self.operator(one)
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
