//! The JSON notation: the list of alternatives at a path.

use reflexarc_diagnostic::{Code, Diagnostic, Span};

use super::TreeBuilder;
use super::argument::TextTest;
use super::json::{Member, Value, ValueKind};
use crate::dialect;
use crate::spanned::{SpannedAlternative, SpannedField, SpannedPredicate};
use crate::{Dialect, Path, Predicate, TextOp, normal};
use reflexarc_diagnostic::nearest;

/// Every operator of the JSON notation.
pub(crate) const OPERATORS: [&str; 11] = [
    "prefix",
    "suffix",
    "contains",
    "wildcard",
    "regexp",
    "equals-ignore-case",
    "numeric",
    "cidr",
    "exists",
    "anything-but",
    "exactly",
];

impl TreeBuilder<'_> {
    /// The alternatives of the path at `key`.
    pub(super) fn leaf(
        &mut self,
        key: &str,
        key_span: &Span,
        span: Span,
        elements: Vec<Value>,
    ) -> Vec<SpannedAlternative> {
        if elements.is_empty() {
            self.error(
                Code::EMPTY,
                span,
                format!("`{key}` has no alternatives, so nothing could match"),
            )
            .help = Some("to ask that it is there, write `[{\"exists\": true}]`".into());
            return Vec::new();
        }
        let before = self.diagnostics.len();
        let objects = elements
            .iter()
            .all(|element| matches!(element.kind, ValueKind::Object(_)));
        let alternatives: Vec<_> = elements
            .into_iter()
            .filter_map(|element| self.alternative(element))
            .collect();
        let all_failed = objects && alternatives.is_empty() && self.diagnostics.len() > before;
        if let Some(meant) = self.similar_connective(key).filter(|_| all_failed) {
            self.diagnostics.truncate(before);
            let message = format!("unknown key `{key}`");
            self.push(
                Diagnostic::error(Code::UNKNOWN_OPERATOR, key_span.clone(), message)
                    .with_help(format!("did you mean `{meant}`?"))
                    .with_fix(key_span.clone(), format!("\"{meant}\"")),
            );
            return Vec::new();
        }
        // What a later key overrides must still be well-formed in the dialect, so it is checked here and not in the tree.
        if self.dialect != Dialect::Reflexarc && self.diagnostics.len() == before {
            let field = SpannedField {
                path: Path::from_keys([key]),
                key: key_span.clone(),
                alternatives,
            };
            dialect::check_field(&field, self.dialect, &mut self.diagnostics);
            return field.alternatives;
        }
        alternatives
    }

    fn alternative(&mut self, value: Value) -> Option<SpannedAlternative> {
        let span = value.span.clone();
        let predicates = match value.kind {
            ValueKind::Array(_) => {
                self.error(Code::WRONG_ARGUMENT, span, "a list inside a list of alternatives").help =
                    Some("alternatives are text, numbers, true, false, null and objects with an operator".into());
                return None;
            }
            ValueKind::Object(members) => return self.operators(span, members),
            ValueKind::Broken => return None,
            _ => {
                let predicate = literal(value)?;
                vec![SpannedPredicate {
                    span: span.clone(),
                    predicate,
                }]
            }
        };
        Some(SpannedAlternative { span, predicates })
    }

    /// An object of operators: tests that one value meets together.
    fn operators(&mut self, span: Span, members: Vec<Member>) -> Option<SpannedAlternative> {
        if members.is_empty() {
            self.error(Code::EMPTY, span, "expected an operator in `{ }`")
                .help = Some("for example `{\"prefix\": \"x\"}`".into());
            return None;
        }
        let several = members.len() > 1;
        if several && self.dialect != Dialect::Reflexarc {
            self.reject_second_operator(&members);
        }
        let mut seen: Vec<&str> = Vec::new();
        let mut faults = Vec::new();
        for member in &members {
            if seen.contains(&member.key.as_str()) {
                faults.push(
                    Diagnostic::error(
                        Code::ONE_OPERATOR,
                        member.key_span.clone(),
                        format!("`{}` appears twice in one object", member.key),
                    )
                    .with_help("to ask for both of one value, write `{\"$and\": [{…}, {…}]}`"),
                );
            }
            seen.push(&member.key);
        }
        let twice = !faults.is_empty();
        self.diagnostics.extend(faults);
        let mut predicates = Vec::new();
        let mut complete = !twice;
        for member in members {
            match self.operator(member) {
                Some(found) => predicates.extend(found),
                None => complete = false,
            }
        }
        normal::join_ranges(&mut predicates);
        if complete {
            Some(SpannedAlternative { span, predicates })
        } else {
            None
        }
    }

    fn reject_second_operator(&mut self, members: &[Member]) {
        let message = format!("{} takes one operator in an object", self.dialect.title());
        self.error(Code::ONE_OPERATOR, members[1].key_span.clone(), message)
            .help = Some("write one object for each alternative".into());
    }

    /// One operator and its argument.
    pub(super) fn operator(&mut self, member: Member) -> Option<Vec<SpannedPredicate>> {
        let Member {
            key,
            key_span,
            value,
        } = member;
        let span = key_span.start..value.span.end;
        let predicate = match key.as_str() {
            "exactly" if self.dialect != Dialect::Alibaba => {
                self.plain_text("exactly", &value, TextTest::Compare(TextOp::Equals))
            }
            "equals-ignore-case" => {
                self.ignoring_case(&key, &value, TextTest::Compare(TextOp::Equals))
            }
            "numeric" => {
                let predicates = self.numeric(&value)?;
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
                ValueKind::Text(text) => self.network(&text, &value.span),
                _ => self.wrong_argument("cidr", "text such as `\"10.0.0.0/8\"`", &value),
            },
            "exists" => match value.kind {
                ValueKind::Bool(true) => Some(Predicate::Exists),
                ValueKind::Bool(false) => Some(Predicate::Missing),
                _ => self.wrong_argument("exists", "`true` or `false`", &value),
            },
            // Alibaba takes an empty list, which every value that is there differs from.
            "anything-but" if self.dialect == Dialect::Alibaba && value.is_empty_list() => {
                Some(Predicate::Exists)
            }
            "anything-but" => self.anything_but(value).map(Predicate::AnythingBut),
            "$and" if self.dialect == Dialect::Reflexarc => return self.one_value(value),
            other => match text_test(other) {
                Some(test) => self.text_operator(other, value, test),
                None => self.unknown_operator(&key, &key_span),
            },
        };
        Some(vec![SpannedPredicate {
            span,
            predicate: predicate?,
        }])
    }

    fn unknown_operator(&mut self, key: &str, span: &Span) -> Option<Predicate> {
        let error = Diagnostic::error(
            Code::UNKNOWN_OPERATOR,
            span.clone(),
            format!("unknown operator `{key}`"),
        );
        let error = match nearest(key, OPERATORS) {
            Some(meant) if meant.eq_ignore_ascii_case(key) => error
                .with_help(format!("operators are written in small letters: `{meant}`"))
                .with_fix(span.clone(), format!("\"{meant}\"")),
            Some(meant) => error
                .with_help(format!("did you mean `{meant}`?"))
                .with_fix(span.clone(), format!("\"{meant}\"")),
            None => error.with_help(format!("the operators are {}", OPERATORS[..10].join(", "))),
        };
        self.push(error);
        None
    }

    /// `$and` in a list of alternatives: several tests of one value, where an object of operators cannot hold them.
    fn one_value(&mut self, value: Value) -> Option<Vec<SpannedPredicate>> {
        let ValueKind::Array(elements) = value.kind else {
            self.wrong_argument("$and", "a list of tests", &value);
            return None;
        };
        if elements.is_empty() {
            self.error(Code::EMPTY, value.span, "`$and` is empty");
            return None;
        }
        let mut predicates = Vec::new();
        let count = elements.len();
        let read: Vec<_> = elements
            .into_iter()
            .filter_map(|element| self.alternative(element))
            .collect();
        let complete = read.len() == count;
        predicates.extend(
            read.into_iter()
                .flat_map(|alternative| alternative.predicates),
        );
        if complete { Some(predicates) } else { None }
    }

    /// `prefix` and its like: text, or `{"equals-ignore-case": text}`.
    fn text_operator(&mut self, operator: &str, value: Value, test: TextTest) -> Option<Predicate> {
        match value.kind {
            ValueKind::Object(mut members) => match (members.pop(), members.is_empty()) {
                (Some(member), true) if member.key == "equals-ignore-case" => {
                    self.ignoring_case(operator, &member.value, test)
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
                (last, alone) => {
                    members.extend(last.filter(|_| alone));
                    let kind = ValueKind::Object(members);
                    self.wrong_text_argument(
                        operator,
                        &Value {
                            span: value.span,
                            kind,
                        },
                    )
                }
            },
            _ => self.plain_text(operator, &value, test),
        }
    }

    fn ignoring_case(
        &mut self,
        operator: &str,
        value: &Value,
        test: TextTest,
    ) -> Option<Predicate> {
        match &value.kind {
            ValueKind::Text(argument) => self.text_predicate(test, argument, &value.span, true),
            ValueKind::Broken => None,
            _ => self.wrong_text_argument(operator, value),
        }
    }

    fn plain_text(&mut self, operator: &str, value: &Value, test: TextTest) -> Option<Predicate> {
        match &value.kind {
            ValueKind::Text(argument) => self.text_predicate(test, argument, &value.span, false),
            ValueKind::Broken => None,
            _ => self.wrong_text_argument(operator, value),
        }
    }

    fn wrong_text_argument(&mut self, operator: &str, value: &Value) -> Option<Predicate> {
        if let ValueKind::Array(_) = value.kind {
            let message = format!("`{operator}` takes one text, not a list");
            self.error(Code::WRONG_ARGUMENT, value.span.clone(), message)
                .help = Some(format!(
                "write an object for each: `[{{\"{operator}\": \"x\"}}, {{\"{operator}\": \"y\"}}]`"
            ));
            return None;
        }
        if operator == "equals-ignore-case" || operator == "exactly" {
            return self.wrong_argument(operator, "text", value);
        }
        self.wrong_argument(
            operator,
            "text, or `{\"equals-ignore-case\": \"x\"}`",
            value,
        )
    }

    pub(super) fn wrong_argument(
        &mut self,
        operator: &str,
        expected: &str,
        value: &Value,
    ) -> Option<Predicate> {
        if !matches!(value.kind, ValueKind::Broken) {
            let message = format!("`{operator}` takes {expected}, not {}", value.name());
            let error = Diagnostic::error(Code::WRONG_ARGUMENT, value.span.clone(), message);
            let written = &self.source[value.span.clone()];
            let error = match (operator, &value.kind) {
                ("exists", ValueKind::Text(text)) if text == "true" || text == "false" => error
                    .with_help("take away the quotes")
                    .with_fix(value.span.clone(), text.as_str()),
                (_, ValueKind::Number(_)) if expected.starts_with("text") => error
                    .with_help("put it in double quotes; text tests look at text, never at numbers")
                    .with_fix(value.span.clone(), format!("\"{written}\"")),
                _ => error,
            };
            self.push(error);
        }
        None
    }
}

/// The test of an operator whose argument is text.
pub(super) fn text_test(operator: &str) -> Option<TextTest> {
    Some(match operator {
        "prefix" => TextTest::Compare(TextOp::Prefix),
        "suffix" => TextTest::Compare(TextOp::Suffix),
        "contains" => TextTest::Compare(TextOp::Contains),
        "wildcard" => TextTest::Wildcard,
        "regexp" => TextTest::Regexp,
        _ => return None,
    })
}

/// A text, number, true, false or null as a test.
pub(super) fn literal(value: Value) -> Option<Predicate> {
    Some(match value.kind {
        ValueKind::Text(text) => Predicate::Text(TextOp::Equals, text.into()),
        ValueKind::Number(number) => Predicate::Number(number),
        ValueKind::Bool(value) => Predicate::Bool(value),
        ValueKind::Null => Predicate::Null,
        ValueKind::Object(_) | ValueKind::Array(_) | ValueKind::Broken => return None,
    })
}
