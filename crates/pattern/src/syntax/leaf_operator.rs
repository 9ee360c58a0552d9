//! JSON notation: an operator among the alternatives of a path, and its argument.

use reflexarc_diagnostic::{Code, Diagnostic, Span, nearest};

use super::TreeBuilder;
use super::argument::StringTest;
use super::foreign::{ForeignOperator, Place, is_order};
use super::json::{Member, Value, ValueKind};
use crate::keywords::JSON_OPERATORS;
use crate::spanned::SpannedPredicate;
use crate::{Dialect, Predicate, TextOp};

impl TreeBuilder<'_> {
    /// One operator and its argument; `object` is the object that it is in, if alone there.
    pub(super) fn operator(
        &mut self,
        member: Member,
        object: Option<&Span>,
    ) -> Option<Vec<SpannedPredicate>> {
        let is_known = JSON_OPERATORS.contains(&member.key.as_str());
        let is_list = matches!(member.value.kind, ValueKind::Array(_));
        let is_and = member.key == "$and" && self.dialect == Dialect::Reflexarc;
        if !is_known && !is_and {
            self.unknown_operator(&member, object);
            return None;
        }
        if is_list && takes_one(&member.key) {
            self.array_of_arguments(&member, object);
            return None;
        }
        let Member {
            key,
            key_span,
            value,
        } = member;
        let span = key_span.start..value.span.end;
        let predicate = match key.as_str() {
            "exactly" if self.dialect != Dialect::Alibaba => self.string_argument(
                "exactly",
                &value,
                StringTest::Compare(TextOp::Equals),
                false,
            ),
            "equals-ignore-case" => {
                self.string_argument(&key, &value, StringTest::Compare(TextOp::Equals), true)
            }
            "numeric" => {
                let before = self.diagnostics.len();
                let predicates = self.numeric(&value);
                if predicates.is_none() && self.dialect == Dialect::Reflexarc {
                    self.help_with_numeric(&value, before);
                }
                let predicates = predicates?;
                return Some(
                    predicates
                        .into_iter()
                        .map(|predicate| SpannedPredicate {
                            span: span.clone(),
                            predicate,
                        })
                        .collect(),
                );
            }
            "cidr" => match value.kind {
                ValueKind::String(text) => self.network(&text, &value.span),
                _ => self.wrong_argument("cidr", "a string such as `\"10.0.0.0/8\"`", &value),
            },
            "exists" => match value.kind {
                ValueKind::Bool(true) => Some(Predicate::Exists),
                ValueKind::Bool(false) => Some(Predicate::Missing),
                _ => self.wrong_argument("exists", "`true` or `false`", &value),
            },
            // Alibaba Cloud accepts an empty array, which excludes nothing: any value matches.
            "anything-but" if self.dialect == Dialect::Alibaba && value.is_empty_list() => {
                Some(Predicate::Exists)
            }
            "anything-but" => self.anything_but(value).map(Predicate::AnythingBut),
            "$and" if self.dialect == Dialect::Reflexarc => return self.and_of_one_value(value),
            other => {
                if let Some(test) = string_operator(other) {
                    self.string_predicate(other, value, test)
                } else {
                    // `exactly` in Alibaba Cloud's dialect.
                    let message = format!("unknown operator `{other}`");
                    self.error(Code::UNKNOWN_OPERATOR, key_span, message);
                    None
                }
            }
        };
        Some(vec![SpannedPredicate {
            span,
            predicate: predicate?,
        }])
    }

    fn unknown_operator(&mut self, member: &Member, object: Option<&Span>) {
        let (key, span) = (member.key.as_str(), &member.key_span);
        let message = format!("unknown operator `{key}`");
        let error = Diagnostic::error(Code::UNKNOWN_OPERATOR, span.clone(), message);
        let plain = |name: &str| name.to_lowercase().replace(['-', '_', ' '], "");
        let same = JSON_OPERATORS
            .into_iter()
            .find(|name| plain(name) == plain(key));
        let error = if let Some(meant) = same {
            error
                .with_help(format!("operators are lower case: `{meant}`"))
                .with_fix(span.clone(), format!("\"{meant}\""))
        } else if let Some((span, fix)) = self.meant_operator(member, object) {
            error
                .with_help(format!("write `{fix}`"))
                .with_fix(span, fix)
        } else if let Some(meant) = nearest(key, JSON_OPERATORS).filter(|meant| agrees(key, meant))
        {
            error
                .with_help(format!("did you mean `{meant}`?"))
                .with_fix(span.clone(), format!("\"{meant}\""))
        } else if let Some(meant) = self.meant_alternative(member) {
            error.with_help(format!("write `{meant}`"))
        } else if is_order(member) {
            error.with_help("only numbers have an order; compare texts and times in the script")
        } else {
            error.with_help(format!(
                "the operators are {}",
                JSON_OPERATORS[..10].join(", ")
            ))
        };
        self.push(error);
    }

    /// An operator that takes one string with an array of them.
    fn array_of_arguments(&mut self, member: &Member, object: Option<&Span>) {
        let key = &member.key;
        let message = format!("`{key}` expects one string, found an array");
        let example = format!("[{{\"{key}\": \"x\"}}, {{\"{key}\": \"y\"}}]");
        let error = Diagnostic::error(Code::WRONG_ARGUMENT, member.value.span.clone(), message)
            .with_help(format!("write one object per string: `{example}`"));
        // Not in `anything-but`, where an array is allowed.
        let meant = self.meant_operator(member, object);
        self.push(match meant {
            Some((span, fix)) => error.with_fix(span, fix),
            None => error,
        });
    }

    /// `$and` among alternatives: several conditions on one value that one object of operators
    /// cannot hold, because an operator is used twice or a plain value is among them.
    fn and_of_one_value(&mut self, value: Value) -> Option<Vec<SpannedPredicate>> {
        let ValueKind::Array(elements) = value.kind else {
            self.wrong_argument("$and", "an array of conditions", &value);
            return None;
        };
        if elements.is_empty() {
            self.error(Code::EMPTY_VALUE, value.span, "empty `$and`")
                .help = Some("add at least one condition".into());
            return None;
        }
        let count = elements.len();
        let place = std::mem::replace(&mut self.place, Place::Conjunction);
        let alternatives: Vec<_> = elements
            .into_iter()
            .filter_map(|element| self.alternative(element))
            .collect();
        self.place = place;
        if alternatives.len() < count {
            return None;
        }
        let predicates = alternatives
            .into_iter()
            .flat_map(|alternative| alternative.predicates);
        Some(predicates.collect())
    }

    /// `prefix` and other string operators: a string, or `{"equals-ignore-case": string}`.
    fn string_predicate(
        &mut self,
        operator: &str,
        value: Value,
        test: StringTest,
    ) -> Option<Predicate> {
        match value.kind {
            ValueKind::Object(mut members) => match (members.pop(), members.is_empty()) {
                (Some(member), true) if member.key == "equals-ignore-case" => {
                    self.string_argument(operator, &member.value, test, true)
                }
                (Some(member), true) if nearest(&member.key, ["equals-ignore-case"]).is_some() => {
                    self.push(
                        Diagnostic::error(
                            Code::UNKNOWN_OPERATOR,
                            member.key_span.clone(),
                            format!("unknown operator `{}` in `{operator}`", member.key),
                        )
                        .with_help("did you mean `equals-ignore-case`?")
                        .with_fix(member.key_span, "\"equals-ignore-case\""),
                    );
                    None
                }
                _ => {
                    let kind = ValueKind::Object(Vec::new());
                    let value = Value {
                        span: value.span,
                        kind,
                    };
                    self.wrong_string_argument(operator, &value)
                }
            },
            _ => self.string_argument(operator, &value, test, false),
        }
    }

    fn string_argument(
        &mut self,
        operator: &str,
        value: &Value,
        test: StringTest,
        ignoring_case: bool,
    ) -> Option<Predicate> {
        match &value.kind {
            ValueKind::String(argument) => {
                self.string_test(test, argument, &value.span, ignoring_case)
            }
            ValueKind::Invalid => None,
            _ => self.wrong_string_argument(operator, value),
        }
    }

    fn wrong_string_argument(&mut self, operator: &str, value: &Value) -> Option<Predicate> {
        let expected = if operator == "equals-ignore-case" || operator == "exactly" {
            "a string"
        } else {
            "a string or `{\"equals-ignore-case\": \"x\"}`"
        };
        self.wrong_argument(operator, expected, value)
    }

    /// Reports an argument of the wrong type.
    pub(super) fn wrong_argument(
        &mut self,
        operator: &str,
        expected: &str,
        value: &Value,
    ) -> Option<Predicate> {
        if !matches!(value.kind, ValueKind::Invalid) {
            let message = format!(
                "`{operator}` expects {expected}, found {}",
                value.type_name()
            );
            let error = Diagnostic::error(Code::WRONG_ARGUMENT, value.span.clone(), message);
            let written = &self.source[value.span.clone()];
            let error = match (operator, &value.kind) {
                ("exists", ValueKind::String(text)) if text == "true" || text == "false" => error
                    .with_help("remove the quotes")
                    .with_fix(value.span.clone(), text.as_str()),
                // `exactly` 5 may mean the number, and 10 in quotes is no network.
                (operator, ValueKind::Number(_))
                    if expected.starts_with("a string")
                        && !matches!(operator, "exactly" | "cidr") =>
                {
                    error
                        .with_help("put it in double quotes; string operators match strings only")
                        .with_fix(value.span.clone(), format!("\"{written}\""))
                }
                ("exists", ValueKind::Array(_) | ValueKind::Number(_) | ValueKind::Null) => {
                    error.with_help("write `{\"exists\": true}` or `{\"exists\": false}`")
                }
                ("numeric", _) => error.with_help("for example `{\"numeric\": [\">\", 0]}`"),
                ("cidr", _) => error.with_help("for example `{\"cidr\": \"10.0.0.0/8\"}`"),
                _ => error.with_help(format!("for example `{{\"{operator}\": \"x\"}}`")),
            };
            self.push(error);
        }
        None
    }
}

/// Whether the name has no meaning in another language, or that of the similar operator.
fn agrees(key: &str, similar: &str) -> bool {
    ForeignOperator::read(key).is_none_or(|foreign| {
        !foreign.finds_parts && ForeignOperator::read(similar) == Some(foreign)
    })
}

/// Whether the operator takes one string and nothing else.
fn takes_one(operator: &str) -> bool {
    string_operator(operator).is_some()
        || matches!(operator, "equals-ignore-case" | "exactly" | "cidr")
}

/// The test of an operator that takes a string and may ignore case.
pub(super) fn string_operator(operator: &str) -> Option<StringTest> {
    Some(match operator {
        "prefix" => StringTest::Compare(TextOp::Prefix),
        "suffix" => StringTest::Compare(TextOp::Suffix),
        "contains" => StringTest::Compare(TextOp::Contains),
        "wildcard" => StringTest::Wildcard,
        "regexp" => StringTest::Regexp,
        _ => return None,
    })
}
