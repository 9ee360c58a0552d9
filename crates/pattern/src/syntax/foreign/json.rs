//! JSON notation: operators of other languages among the alternatives, `{"startsWith": "x"}`, and
//! operators with an array where one string is expected, `{"prefix": ["x", "y"]}`.

use reflexarc_diagnostic::Span;

use super::operator::{ForeignOperator, Meaning, Quantifier};
use crate::keywords::JSON_OPERATORS;
use crate::syntax::TreeBuilder;
use crate::syntax::argument::Comparison;
use crate::syntax::json::{Member, Value, ValueKind};
use crate::{Decimal, Dialect};

/// Where an operator stands, which decides what it can be replaced by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::syntax) enum Place {
    /// Among the alternatives of a path: it may become several alternatives.
    Alternative,
    /// In `$and`, where several alternatives would become several requirements.
    Conjunction,
    /// In `anything-but`, where a negation would become its opposite.
    Exclusion,
}

impl TreeBuilder<'_> {
    /// What to write for an operator of another language: the span to replace, and the text.
    /// `object` is the object of the operator, if it is the only one in it.
    pub(in crate::syntax) fn meant_operator(
        &self,
        member: &Member,
        object: Option<&Span>,
    ) -> Option<(Span, String)> {
        let foreign = ForeignOperator::read(&member.key)?;
        if let Some(name) = self.plain_name(foreign, &member.value) {
            return Some((member.key_span.clone(), format!("\"{name}\"")));
        }
        if self.place == Place::Exclusion {
            return None;
        }
        let alternatives = self.alternatives_of(foreign, &member.value)?;
        match (object, alternatives.as_slice()) {
            (Some(object), [_]) => Some((object.clone(), alternatives.join(", "))),
            (Some(object), _) if self.place == Place::Alternative => {
                Some((object.clone(), alternatives.join(", ")))
            }
            (None, [one]) => {
                let inner = one.strip_prefix('{')?.strip_suffix('}')?;
                let span = member.key_span.start..member.value.span.end;
                Some((span, inner.to_owned()))
            }
            _ => None,
        }
    }

    /// What to write for an alternative that requires several texts, `{"containsAll": ["x", "y"]}`:
    /// one condition for each, because different elements of an array may have them.
    pub(in crate::syntax) fn each_of_all(&self, key: &Span, elements: &[Value]) -> Option<String> {
        let [alternative] = elements else { return None };
        let ValueKind::Object(members) = &alternative.kind else {
            return None;
        };
        let [member] = members.as_slice() else {
            return None;
        };
        let foreign = ForeignOperator::read(&member.key)?;
        let ValueKind::Array(texts) = &member.value.kind else {
            return None;
        };
        let is_all = foreign.quantifier == Some(Quantifier::All) && texts.len() > 1;
        let is_met_together = foreign.meaning == Meaning::Contains && !foreign.negated;
        if !is_all || !is_met_together || self.dialect != Dialect::Reflexarc {
            return None;
        }
        let key = &self.source[key.clone()];
        let conditions: Option<Vec<String>> = texts
            .iter()
            .map(|text| {
                let test = self.text_operator(foreign, std::slice::from_ref(text))?;
                Some(format!("{{{key}: [{}]}}", test.first()?))
            })
            .collect();
        Some(format!("\"$and\": [{}]", conditions?.join(", ")))
    }

    /// What to write for two comparisons in one object: `{"$gte": 1, "$lt": 5}`.
    pub(in crate::syntax) fn meant_range(&self, members: &[Member]) -> Option<String> {
        let [one, other] = members else { return None };
        let bound = |member: &Member| {
            let foreign = ForeignOperator::read(&member.key)?;
            let is_number = matches!(member.value.kind, ValueKind::Number(_));
            match foreign.meaning {
                Meaning::Compare(comparison) if !foreign.negated && is_number => {
                    Some((comparison, self.source_of(&member.value)))
                }
                _ => None,
            }
        };
        let (one, other) = (bound(one)?, bound(other)?);
        let (lower, upper) = match (one.0.is_lower(), other.0.is_lower()) {
            (true, false) => (one, other),
            (false, true) => (other, one),
            _ => return None,
        };
        let text = |(comparison, number)| format!("\"{}\", {number}", symbol(comparison));
        Some(format!(
            "{{\"numeric\": [{}, {}]}}",
            text(lower),
            text(upper)
        ))
    }

    /// The alternatives, in JSON notation, that an operator with this argument means; `None` if its
    /// meaning is not evident or the dialect cannot express it.
    pub(in crate::syntax) fn alternatives_of(
        &self,
        foreign: ForeignOperator,
        value: &Value,
    ) -> Option<Vec<String>> {
        let elements = match &value.kind {
            ValueKind::Array(elements) if !elements.is_empty() => elements.as_slice(),
            ValueKind::Array(_) | ValueKind::Invalid => return None,
            _ => std::slice::from_ref(value),
        };
        // One alternative cannot require several values of an array; `each_of_all` writes them as
        // conditions of their own.
        if foreign.quantifier == Some(Quantifier::All) && elements.len() > 1 {
            return None;
        }
        if !self.supports(foreign) {
            return None;
        }
        let negated = foreign.negated;
        match foreign.meaning {
            Meaning::Equals | Meaning::In => self.equal_to(foreign, value, elements),
            Meaning::Prefix
            | Meaning::Suffix
            | Meaning::Contains
            | Meaning::Wildcard
            | Meaning::Regexp
            | Meaning::InNetwork => self.text_operator(foreign, elements),
            Meaning::Compare(comparison) => {
                let [number] = elements else { return None };
                if !matches!(number.kind, ValueKind::Number(_)) {
                    return None;
                }
                let number = self.source_of(number);
                let test = format!("{{\"numeric\": [\"{}\", {number}]}}", symbol(comparison));
                Some(vec![if negated { but(&test) } else { test }])
            }
            Meaning::Exists => match elements {
                [
                    Value {
                        kind: ValueKind::Bool(exists),
                        ..
                    },
                ] => Some(vec![format!("{{\"exists\": {}}}", *exists != negated)]),
                _ => None,
            },
            Meaning::Null => truth(elements, negated, "null"),
            Meaning::True => truth(elements, negated, "true"),
            Meaning::False => truth(elements, negated, "false"),
            Meaning::Between => {
                let (test, is_ordered) = self.range_of(elements)?;
                is_ordered.then(|| vec![if negated { but(&test) } else { test }])
            }
            Meaning::Range | Meaning::Empty | Meaning::Element => None,
        }
    }

    /// The range between two numbers, and whether the lower one comes first.
    pub(in crate::syntax) fn range_of(&self, elements: &[Value]) -> Option<(String, bool)> {
        let [one, other] = elements else { return None };
        let number = |value| self.number_of(value)?.parse::<Decimal>().ok();
        let (one, other) = (number(one)?, number(other)?);
        let (low, high) = ((&one).min(&other), (&one).max(&other));
        let test = format!("{{\"numeric\": [\">=\", {low}, \"<=\", {high}]}}");
        Some((test, one <= other))
    }

    /// The name of an operator that takes this argument as it is.
    fn plain_name(&self, foreign: ForeignOperator, value: &Value) -> Option<&'static str> {
        let takes_none = foreign.negated || foreign.ignoring_case || foreign.quantifier.is_some();
        if takes_none || !self.supports(foreign) {
            return None;
        }
        let name = json_name(foreign.meaning)?;
        let fits = match (foreign.meaning, &value.kind) {
            (Meaning::Exists, ValueKind::Bool(_)) => true,
            (Meaning::Exists, _) => false,
            (_, ValueKind::String(_)) => foreign.has_our_meaning(self.source_of(value)),
            _ => false,
        };
        fits.then_some(name)
    }

    /// `equals`, `in`, `not` and their like.
    fn equal_to(
        &self,
        foreign: ForeignOperator,
        value: &Value,
        elements: &[Value],
    ) -> Option<Vec<String>> {
        // `{"not": {"prefix": "x"}}`
        if let (
            [
                Value {
                    kind: ValueKind::Object(members),
                    ..
                },
            ],
            true,
        ) = (elements, foreign.negated)
        {
            let [only] = members.as_slice() else {
                return None;
            };
            let excluded = JSON_OPERATORS[..8].contains(&only.key.as_str());
            let fits = excluded && !foreign.ignoring_case && self.dialect == Dialect::Reflexarc;
            return fits.then(|| vec![but(self.source_of(value))]);
        }
        let is_scalar = |value: &Value| {
            matches!(
                value.kind,
                ValueKind::String(_) | ValueKind::Number(_) | ValueKind::Bool(_) | ValueKind::Null
            )
        };
        if !elements.iter().all(is_scalar) {
            return None;
        }
        if foreign.ignoring_case {
            let is_text = |value: &Value| matches!(value.kind, ValueKind::String(_));
            if !elements.iter().all(is_text) {
                return None;
            }
            let test = |text: &str| format!("{{\"equals-ignore-case\": {text}}}");
            return Some(if foreign.negated {
                vec![but(&test(self.source_of(value)))]
            } else {
                let texts = elements.iter().map(|element| self.source_of(element));
                texts.map(test).collect()
            });
        }
        Some(if foreign.negated {
            vec![but(self.source_of(value))]
        } else {
            let texts = elements.iter().map(|element| self.source_of(element));
            texts.map(str::to_owned).collect()
        })
    }

    /// `startsWith`, `cidr` and other operators that take a string.
    fn text_operator(&self, foreign: ForeignOperator, elements: &[Value]) -> Option<Vec<String>> {
        let name = json_name(foreign.meaning)?;
        let mut foreign = foreign;
        let mut texts = Vec::new();
        for element in elements {
            let text = match &element.kind {
                ValueKind::String(_) => element,
                // `{"prefix": {"equals-ignore-case": "x"}}`
                ValueKind::Object(members) => match members.as_slice() {
                    [only] if only.key == "equals-ignore-case" && elements.len() == 1 => {
                        foreign.ignoring_case = true;
                        &only.value
                    }
                    _ => return None,
                },
                _ => return None,
            };
            // `{"prefix": {"equals-ignore-case": ["x"]}}`
            let text = match &text.kind {
                ValueKind::Array(inner) => match inner.as_slice() {
                    [only] => only,
                    _ => return None,
                },
                _ => text,
            };
            if !matches!(text.kind, ValueKind::String(_)) {
                return None;
            }
            texts.push(self.source_of(text));
        }
        // Whether `contains` [x, y] requires one or both is unknown; no string starts with both.
        let is_any = foreign.quantifier == Some(Quantifier::Any)
            || matches!(
                foreign.meaning,
                Meaning::Prefix | Meaning::Suffix | Meaning::InNetwork
            );
        let is_clear = texts.len() == 1 || is_any;
        let is_ours = texts.iter().all(|text| foreign.has_our_meaning(text));
        if !is_clear || !is_ours || foreign.ignoring_case && name == "cidr" {
            return None;
        }
        let test = |text: &&str| {
            if foreign.ignoring_case {
                format!("{{\"{name}\": {{\"equals-ignore-case\": {text}}}}}")
            } else {
                format!("{{\"{name}\": {text}}}")
            }
        };
        let tests: Vec<String> = texts.iter().map(test).collect();
        Some(match tests.as_slice() {
            [only] if foreign.negated => vec![but(only)],
            _ if foreign.negated => vec![but(&format!("[{}]", tests.join(", ")))],
            _ => tests,
        })
    }

    /// Whether the dialect has the operator at all.
    fn supports(&self, foreign: ForeignOperator) -> bool {
        let is_simple = matches!(
            foreign.meaning,
            Meaning::Equals | Meaning::In | Meaning::Prefix | Meaning::Suffix
        );
        match self.dialect {
            Dialect::Reflexarc => true,
            Dialect::Aws => match foreign.meaning {
                Meaning::Contains | Meaning::Regexp => false,
                Meaning::InNetwork | Meaning::Compare(_) | Meaning::Null => !foreign.negated,
                _ => true,
            },
            Dialect::Alibaba => {
                !foreign.ignoring_case
                    && (is_simple || !foreign.negated)
                    && !matches!(foreign.meaning, Meaning::Wildcard | Meaning::Regexp)
            }
        }
    }

    /// The text of a value.
    pub(in crate::syntax) fn source_of(&self, value: &Value) -> &str {
        &self.source[value.span.clone()]
    }
}

/// `{"isNull": true}`: the literal, or anything but it.
fn truth(elements: &[Value], negated: bool, literal: &str) -> Option<Vec<String>> {
    let [
        Value {
            kind: ValueKind::Bool(is_so),
            ..
        },
    ] = elements
    else {
        return None;
    };
    Some(vec![if *is_so == negated {
        but(literal)
    } else {
        literal.to_owned()
    }])
}

pub(in crate::syntax) fn but(excluded: &str) -> String {
    format!("{{\"anything-but\": {excluded}}}")
}

/// Whether it compares texts by an order that they do not have: `{"after": "2024-01-01"}`.
pub(in crate::syntax) fn is_order(member: &Member) -> bool {
    let operator = ForeignOperator::read(&member.key);
    operator.is_some_and(|operator| matches!(operator.meaning, Meaning::Compare(_)))
        && matches!(member.value.kind, ValueKind::String(_))
}

fn symbol(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Less => "<",
        Comparison::LessOrEqual => "<=",
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => ">=",
    }
}

/// The name in JSON notation of an operator that takes one value.
fn json_name(meaning: Meaning) -> Option<&'static str> {
    Some(match meaning {
        Meaning::Prefix => "prefix",
        Meaning::Suffix => "suffix",
        Meaning::Contains => "contains",
        Meaning::Wildcard => "wildcard",
        Meaning::Regexp => "regexp",
        Meaning::InNetwork => "cidr",
        Meaning::Exists => "exists",
        _ => return None,
    })
}
