//! The JSON notation: the list of alternatives at a path.

use reflexarc_event::{Code, Diagnostic, Span};

use super::argument::{Comparison, TextTest};
use super::json::{Member, Value, ValueKind};
use super::{Reader, suggest};
use crate::dialect;
use crate::located::{LocatedAlternative, LocatedField, LocatedPredicate};
use crate::{Decimal, Dialect, Path, Predicate, TextOp, normal};

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

impl Reader<'_> {
    /// The alternatives of the path at `key`.
    pub(super) fn leaf(
        &mut self,
        key: &str,
        key_span: &Span,
        span: Span,
        elements: Vec<Value>,
    ) -> Vec<LocatedAlternative> {
        if elements.is_empty() {
            self.error(Code::EMPTY, span, format!("`{key}` has no alternatives, so nothing could match")).help =
                Some("to ask that it is there, write `[{\"exists\": true}]`".into());
            return Vec::new();
        }
        let before = self.diagnostics.len();
        let objects = elements.iter().all(|element| matches!(element.kind, ValueKind::Object(_)));
        let alternatives: Vec<_> = elements.into_iter().filter_map(|element| self.alternative(element)).collect();
        let all_failed = objects && alternatives.is_empty() && self.diagnostics.len() > before;
        if let Some(meant) = self.meant_join(key).filter(|_| all_failed) {
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
            let field = LocatedField { path: Path::from_keys([key]), key: key_span.clone(), alternatives };
            dialect::check_field(&field, self.dialect, &mut self.diagnostics);
            return field.alternatives;
        }
        alternatives
    }

    fn alternative(&mut self, value: Value) -> Option<LocatedAlternative> {
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
                vec![LocatedPredicate { span: span.clone(), predicate }]
            }
        };
        Some(LocatedAlternative { span, predicates })
    }

    /// An object of operators: tests that one value meets together.
    fn operators(&mut self, span: Span, members: Vec<Member>) -> Option<LocatedAlternative> {
        if members.is_empty() {
            self.error(Code::EMPTY, span, "expected an operator in `{ }`").help =
                Some("for example `{\"prefix\": \"x\"}`".into());
            return None;
        }
        let several = members.len() > 1;
        if several && self.dialect != Dialect::Reflexarc {
            self.one_operator_only(&members);
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
        let mut whole = !twice;
        for member in members {
            match self.operator(member) {
                Some(found) => predicates.extend(found),
                None => whole = false,
            }
        }
        normal::join_ranges(&mut predicates);
        if whole { Some(LocatedAlternative { span, predicates }) } else { None }
    }

    fn one_operator_only(&mut self, members: &[Member]) {
        let message = format!("{} takes one operator in an object", self.dialect.title());
        self.error(Code::ONE_OPERATOR, members[1].key_span.clone(), message).help =
            Some("write one object for each alternative".into());
    }

    /// One operator and its argument.
    fn operator(&mut self, member: Member) -> Option<Vec<LocatedPredicate>> {
        let Member { key, key_span, value } = member;
        let span = key_span.start..value.span.end;
        let predicate = match key.as_str() {
            "exactly" if self.dialect != Dialect::Alibaba => {
                self.plain_text("exactly", value, TextTest::Compare(TextOp::Equals))
            }
            "equals-ignore-case" => self.ignoring_case(&key, value, TextTest::Compare(TextOp::Equals)),
            "numeric" => {
                let predicates = self.numeric(value)?;
                return Some(
                    predicates
                        .into_iter()
                        .map(|predicate| LocatedPredicate { span: span.clone(), predicate })
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
            "anything-but" if self.dialect == Dialect::Alibaba && value.is_empty_list() => Some(Predicate::Exists),
            "anything-but" => self.anything_but(value).map(Predicate::AnythingBut),
            "$and" if self.dialect == Dialect::Reflexarc => return self.one_value(value),
            other => match text_test(other) {
                Some(test) => self.text_operator(other, value, test),
                None => self.unknown_operator(&key, &key_span),
            },
        };
        Some(vec![LocatedPredicate { span, predicate: predicate? }])
    }

    fn unknown_operator(&mut self, key: &str, span: &Span) -> Option<Predicate> {
        let error = Diagnostic::error(Code::UNKNOWN_OPERATOR, span.clone(), format!("unknown operator `{key}`"));
        let error = match suggest::closest(key, OPERATORS) {
            Some(meant) if meant.eq_ignore_ascii_case(key) => error
                .with_help(format!("operators are written in small letters: `{meant}`"))
                .with_fix(span.clone(), format!("\"{meant}\"")),
            Some(meant) => {
                error.with_help(format!("did you mean `{meant}`?")).with_fix(span.clone(), format!("\"{meant}\""))
            }
            None => error.with_help(format!("the operators are {}", OPERATORS[..10].join(", "))),
        };
        self.push(error);
        None
    }

    /// `$and` in a list of alternatives: several tests of one value, where an object of operators cannot hold them.
    fn one_value(&mut self, value: Value) -> Option<Vec<LocatedPredicate>> {
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
        let read: Vec<_> = elements.into_iter().filter_map(|element| self.alternative(element)).collect();
        let whole = read.len() == count;
        predicates.extend(read.into_iter().flat_map(|alternative| alternative.predicates));
        if whole { Some(predicates) } else { None }
    }

    /// `prefix` and its like: text, or `{"equals-ignore-case": text}`.
    fn text_operator(&mut self, operator: &str, value: Value, test: TextTest) -> Option<Predicate> {
        match value.kind {
            ValueKind::Object(mut members) => match (members.pop(), members.is_empty()) {
                (Some(member), true) if member.key == "equals-ignore-case" => {
                    self.ignoring_case(operator, member.value, test)
                }
                (Some(member), true) if suggest::closest(&member.key, ["equals-ignore-case"]).is_some() => {
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
                    self.wrong_text_argument(operator, &Value { span: value.span, kind })
                }
            },
            _ => self.plain_text(operator, value, test),
        }
    }

    fn ignoring_case(&mut self, operator: &str, value: Value, test: TextTest) -> Option<Predicate> {
        match &value.kind {
            ValueKind::Text(text) => self.text_predicate(test, text, &value.span, true),
            ValueKind::Broken => None,
            _ => self.wrong_text_argument(operator, &value),
        }
    }

    fn plain_text(&mut self, operator: &str, value: Value, test: TextTest) -> Option<Predicate> {
        match &value.kind {
            ValueKind::Text(text) => self.text_predicate(test, text, &value.span, false),
            ValueKind::Broken => None,
            _ => self.wrong_text_argument(operator, &value),
        }
    }

    fn wrong_text_argument(&mut self, operator: &str, value: &Value) -> Option<Predicate> {
        if let ValueKind::Array(_) = value.kind {
            let message = format!("`{operator}` takes one text, not a list");
            self.error(Code::WRONG_ARGUMENT, value.span.clone(), message).help =
                Some(format!("write an object for each: `[{{\"{operator}\": \"x\"}}, {{\"{operator}\": \"y\"}}]`"));
            return None;
        }
        if operator == "equals-ignore-case" || operator == "exactly" {
            return self.wrong_argument(operator, "text", value);
        }
        self.wrong_argument(operator, "text, or `{\"equals-ignore-case\": \"x\"}`", value)
    }

    fn wrong_argument(&mut self, operator: &str, expected: &str, value: &Value) -> Option<Predicate> {
        if !matches!(value.kind, ValueKind::Broken) {
            let message = format!("`{operator}` takes {expected}, not {}", value.name());
            let error = Diagnostic::error(Code::WRONG_ARGUMENT, value.span.clone(), message);
            let written = &self.source[value.span.clone()];
            let error = match (operator, &value.kind) {
                ("exists", ValueKind::Text(text)) if text == "true" || text == "false" => {
                    error.with_help("take away the quotes").with_fix(value.span.clone(), text.as_str())
                }
                (_, ValueKind::Number(_)) if expected.starts_with("text") => error
                    .with_help("put it in double quotes; text tests look at text, never at numbers")
                    .with_fix(value.span.clone(), format!("\"{written}\"")),
                _ => error,
            };
            self.push(error);
        }
        None
    }

    /// `numeric`: comparisons and numbers in turn.
    fn numeric(&mut self, value: Value) -> Option<Vec<Predicate>> {
        let ValueKind::Array(items) = &value.kind else {
            self.wrong_argument("numeric", "a list such as `[\">\", 0, \"<=\", 5]`", &value);
            return None;
        };
        let mut pairs = Vec::new();
        for pair in items.chunks(2) {
            let [sign, number] = pair else {
                self.bad_numeric(&value.span, "a comparison without its number");
                return None;
            };
            let ValueKind::Text(text) = &sign.kind else {
                self.bad_numeric(&sign.span, &format!("expected a comparison in quotes, found {}", sign.name()));
                return None;
            };
            let signs: &[&str] = match self.dialect {
                Dialect::Alibaba => &["=", "!=", "<", "<=", ">", ">="],
                _ => &["=", "<", "<=", ">", ">="],
            };
            if !signs.contains(&text.as_str()) {
                let meant = match text.as_str() {
                    "==" | "===" | "eq" => Some("="),
                    "=<" | "le" | "lte" | "≤" => Some("<="),
                    "=>" | "ge" | "gte" | "≥" => Some(">="),
                    "lt" => Some("<"),
                    "gt" => Some(">"),
                    _ => None,
                };
                let error = Diagnostic::error(
                    Code::UNKNOWN_OPERATOR,
                    sign.span.clone(),
                    format!("unknown comparison `{text}`"),
                );
                self.push(match meant {
                    Some(meant) => error
                        .with_help(format!("did you mean `{meant}`?"))
                        .with_fix(sign.span.clone(), format!("\"{meant}\"")),
                    None if text == "!=" => error.with_help("write `{\"anything-but\": 5}`"),
                    None => error.with_help("the comparisons are `=`, `<`, `<=`, `>` and `>=`"),
                });
                return None;
            }
            let ValueKind::Number(decimal) = &number.kind else {
                if !matches!(number.kind, ValueKind::Broken) {
                    self.bad_numeric(&number.span, &format!("expected a number, found {}", number.name()));
                }
                return None;
            };
            pairs.push((text.as_str(), decimal.clone(), number.span.clone()));
        }
        let fits =
            pairs.iter().map(|(_, number, span)| self.comparable(number, span)).fold(true, |all, fits| all && fits);
        if !fits {
            return None;
        }
        self.numeric_tests(&value.span, pairs)
    }

    fn bad_numeric(&mut self, span: &Span, message: &str) {
        self.error(Code::WRONG_ARGUMENT, span.clone(), message).help =
            Some("write one or two comparisons: `[\"=\", 5]`, `[\">\", 0]`, `[\">\", 0, \"<=\", 5]`".into());
    }

    fn numeric_tests(&mut self, span: &Span, pairs: Vec<(&str, Decimal, Span)>) -> Option<Vec<Predicate>> {
        if self.dialect == Dialect::Alibaba && (1..=2).contains(&pairs.len()) {
            return Some(pairs.into_iter().map(|(sign, number, _)| one_comparison(sign, number)).collect());
        }
        let mut pairs = pairs.into_iter();
        match (pairs.next(), pairs.next(), pairs.next()) {
            (Some((sign, number, _)), None, _) => Some(vec![one_comparison(sign, number)]),
            (Some((first, low, first_span)), Some((second, high, second_span)), None) => {
                match (Comparison::read(first), Comparison::read(second)) {
                    (Some(lower), Some(upper)) if lower.is_lower() && !upper.is_lower() => {
                        if self.dialect == Dialect::Aws && low >= high {
                            let message = format!("{} wants the lower number first, and smaller", self.dialect.title());
                            self.error(Code::BAD_RANGE, span.clone(), message);
                            return None;
                        }
                        Some(vec![self.range(lower.bound(low), upper.bound(high), span)?])
                    }
                    (Some(upper), Some(lower)) if lower.is_lower() && !upper.is_lower() => {
                        let fix = format!("[\"{second}\", {high}, \"{first}\", {low}]");
                        self.push(
                            Diagnostic::error(Code::BAD_RANGE, span.clone(), "a range begins with its lower end")
                                .with_label(first_span, "the upper end")
                                .with_label(second_span, "the lower end")
                                .with_help("exchange the two comparisons")
                                .with_fix(span.clone(), fix),
                        );
                        None
                    }
                    _ => {
                        let message = "a range has one lower end (`>` or `>=`) and one upper end (`<` or `<=`)";
                        self.error(Code::BAD_RANGE, span.clone(), message);
                        None
                    }
                }
            }
            (None, ..) => {
                self.bad_numeric(span, "`numeric` without a comparison");
                None
            }
            _ => {
                self.bad_numeric(span, "`numeric` takes at most two comparisons");
                None
            }
        }
    }

    /// `anything-but`: what the value must not be.
    fn anything_but(&mut self, value: Value) -> Option<Vec<Predicate>> {
        match value.kind {
            ValueKind::Broken => None,
            ValueKind::Object(members) => self.anything_but_operator(value.span, members),
            ValueKind::Array(elements) => {
                if elements.is_empty() {
                    self.error(Code::EMPTY, value.span, "`anything-but` of nothing").help =
                        Some("to ask that there is a value, write `{\"exists\": true}`".into());
                    return None;
                }
                self.anything_but_list(&value.span, elements)
            }
            _ => self.anything_but_list(&value.span.clone(), vec![value]),
        }
    }

    fn anything_but_list(&mut self, span: &Span, elements: Vec<Value>) -> Option<Vec<Predicate>> {
        let text = elements.iter().any(|element| matches!(element.kind, ValueKind::Text(_)));
        let numbers = elements.iter().any(|element| matches!(element.kind, ValueKind::Number(_)));
        if self.dialect == Dialect::Aws && text && numbers {
            let message = format!("{} wants all text or all numbers in `anything-but`", self.dialect.title());
            self.error(Code::MIXED_LIST, span.clone(), message).help =
                Some("a value that is neither is asked for by two rules, or in the reflexarc dialect".into());
            return None;
        }
        let mut predicates = Vec::new();
        let mut whole = true;
        for element in elements {
            match element.kind {
                ValueKind::Object(members) if self.dialect == Dialect::Reflexarc => {
                    match self.anything_but_operator(element.span, members) {
                        Some(found) => predicates.extend(found),
                        None => whole = false,
                    }
                }
                ValueKind::Object(_) | ValueKind::Array(_) => {
                    let message = format!("`anything-but` takes text and numbers, not {}", element.name());
                    self.error(Code::WRONG_ARGUMENT, element.span, message);
                    whole = false;
                }
                ValueKind::Broken => whole = false,
                _ => predicates.extend(literal(element)),
            }
        }
        if whole { Some(predicates) } else { None }
    }

    /// `{"prefix": "x"}` and the like inside `anything-but`.
    fn anything_but_operator(&mut self, span: Span, mut members: Vec<Member>) -> Option<Vec<Predicate>> {
        let (Some(member), true) = (members.pop(), members.is_empty()) else {
            self.error(Code::ONE_OPERATOR, span, "an object in `anything-but` has exactly one operator").help =
                Some("a value that is none of several: `{\"anything-but\": [{…}, {…}]}`".into());
            return None;
        };
        let key = member.key.as_str();
        if key == "exists" || key == "anything-but" {
            let message = format!("`{key}` cannot stand inside `anything-but`");
            let help =
                if key == "exists" { "`{\"exists\": false}` asks for absence" } else { "say directly what is wanted" };
            self.error(Code::WRONG_ARGUMENT, member.key_span, message).help = Some(help.into());
            return None;
        }
        let allowed: &[&str] = match self.dialect {
            Dialect::Reflexarc => &OPERATORS,
            Dialect::Aws => &["prefix", "suffix", "equals-ignore-case", "wildcard"],
            Dialect::Alibaba => &["prefix", "suffix"],
        };
        if !allowed.contains(&key) && OPERATORS.contains(&key) {
            let message = format!("{} takes no `{key}` inside `anything-but`", self.dialect.title());
            self.error(Code::NOT_PORTABLE, member.key_span, message).help =
                Some(format!("it takes text, numbers, {}", allowed.join(", ")));
            return None;
        }
        let list_of_texts = text_test(key).is_some() || key == "equals-ignore-case";
        let is_list = matches!(member.value.kind, ValueKind::Array(_));
        if !list_of_texts || !is_list || self.dialect == Dialect::Alibaba {
            let operator = key.to_owned();
            let key_span = member.key_span.clone();
            let found = self.operator(member)?;
            if found.len() != 1 {
                self.error(Code::WRONG_ARGUMENT, key_span, format!("`{operator}` cannot stand inside `anything-but`"));
                return None;
            }
            return Some(found.into_iter().map(|placed| placed.predicate).collect());
        }
        let Member { key, key_span, value } = member;
        let ValueKind::Array(elements) = value.kind else { return None };
        if elements.is_empty() {
            self.error(Code::EMPTY, value.span, format!("`{key}` of nothing"));
            return None;
        }
        let mut predicates = Vec::new();
        let count = elements.len();
        for element in elements {
            let one = Member { key: key.clone(), key_span: key_span.clone(), value: element };
            predicates.extend(self.operator(one).into_iter().flatten().map(|placed| placed.predicate));
        }
        if predicates.len() == count { Some(predicates) } else { None }
    }
}

/// The test of an operator whose argument is text.
fn text_test(operator: &str) -> Option<TextTest> {
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
fn literal(value: Value) -> Option<Predicate> {
    Some(match value.kind {
        ValueKind::Text(text) => Predicate::Text(TextOp::Equals, text.into()),
        ValueKind::Number(number) => Predicate::Number(number),
        ValueKind::Bool(value) => Predicate::Bool(value),
        ValueKind::Null => Predicate::Null,
        ValueKind::Object(_) | ValueKind::Array(_) | ValueKind::Broken => return None,
    })
}

/// `=`, `!=` or one end of a range.
fn one_comparison(sign: &str, number: Decimal) -> Predicate {
    match Comparison::read(sign) {
        Some(comparison) if comparison.is_lower() => {
            Predicate::Range { lower: Some(comparison.bound(number)), upper: None }
        }
        Some(comparison) => Predicate::Range { lower: None, upper: Some(comparison.bound(number)) },
        None if sign == "!=" => Predicate::AnythingBut(vec![Predicate::Number(number)]),
        None => Predicate::Number(number),
    }
}
