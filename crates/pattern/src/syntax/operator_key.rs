//! JSON notation: operators that are written as keys.
//!
//! `{"severity": {"numeric": [">=", 7]}}` is a valid pattern about a field `severity.numeric` with
//! the value `">="` or 7, and never what its author means.

use reflexarc_diagnostic::{Code, Diagnostic, Severity, Span};

use super::TreeBuilder;
use super::foreign::{ForeignOperator, Meaning};
use super::json::{Member, Value, ValueKind};
use crate::Dialect;
use crate::keywords::JSON_OPERATORS;

/// Names of operators in other languages that are hardly names of fields, without separators.
const FOREIGN: &str = "not nin notin startswith beginswith endswith anythingbut equalsignorecase \
                       ignorecase gt gte lt lte ne neq eq equals notequals regex shellstyle \
                       between containsall containsany notcontains doesnotcontain notlike \
                       icontains istartswith iendswith iequals isnull";

impl TreeBuilder<'_> {
    /// Reports a key whose object has operators instead of paths, or that is a connective. False if
    /// its content is not worth parsing.
    pub(super) fn is_key_accepted(
        &mut self,
        key: &str,
        key_span: &Span,
        span: &Span,
        members: &[Member],
    ) -> bool {
        if let Some(found) = self.operators_as_keys(key, span, members) {
            let is_error = found.severity == Severity::Error;
            self.push(found);
            return !is_error;
        }
        if let Some(found) = self.object_of_connective(key, key_span) {
            self.push(found);
        }
        true
    }

    /// Warns of operators at the top level, which no path precedes. `{"prefix": ["x"]}` is a field;
    /// `{"anything-but": ["x"]}` is not.
    pub(super) fn check_top_level_keys(&mut self, members: &[Member]) {
        let found = members.iter().find(|member| {
            let is_compound = member.key.contains('-') || member.key == "numeric";
            let is_symbol = !member.key.contains(char::is_alphanumeric);
            is_operator(&member.key)
                && (is_compound || is_symbol)
                && self.operator_alternatives(member).is_some()
        });
        if let Some(member) = found {
            let (key, span) = (&member.key, member.key_span.clone());
            let message = format!("operator `{key}` is used as a key");
            self.push(
                Diagnostic::warning(Code::OPERATOR_AS_KEY, span.clone(), message)
                    .with_label(span, "parsed as a path")
                    .with_help(
                        "put an operator into the array of a path: \
                         `{\"path\": [{\"prefix\": \"x\"}]}`",
                    ),
            );
        }
    }

    /// An object that has only operators as keys, such as `{"numeric": [">=", 7]}`.
    fn operators_as_keys(&self, key: &str, span: &Span, members: &[Member]) -> Option<Diagnostic> {
        // One key that is no operator shows that the others are fields, too.
        let alternatives: Vec<Vec<String>> = members
            .iter()
            .map(|member| self.operator_alternatives(member))
            .collect::<Option<_>>()?;
        let first = &members[0];
        let message = format!("operator `{}` is used as a key", first.key);
        let code = Code::OPERATOR_AS_KEY;
        // A single value where an array is required is an error anyway.
        let found = if members.iter().any(has_scalar) {
            Diagnostic::error(code, first.key_span.clone(), message)
        } else {
            Diagnostic::warning(code, first.key_span.clone(), message)
        };
        let found = found.with_label(first.key_span.clone(), "parsed as a path");
        let merged = match alternatives.as_slice() {
            [only] if !only.is_empty() => Some(only.join(", ")),
            several if self.dialect == Dialect::Reflexarc => merged(several),
            _ => None,
        };
        // A comment in the object would be lost.
        let source = &self.source[span.clone()];
        let has_comment = source.contains('\n') && (source.contains('#') || source.contains("//"));
        Some(match merged {
            Some(alternatives) if !has_comment => found
                .with_help(format!("write `\"{key}\": [{alternatives}]`"))
                .with_fix(span.clone(), format!("[{alternatives}]")),
            _ => found.with_help(format!(
                "put operators into an array: `\"{key}\": [{{\"{}\": …}}]`",
                first.key
            )),
        })
    }

    /// The alternatives that a member means if its key is an operator and its value is an argument
    /// of this operator: empty if there is no evident spelling, `None` if it is a field.
    fn operator_alternatives(&self, member: &Member) -> Option<Vec<String>> {
        let Member { key, value, .. } = member;
        if let Some(alternatives) = self.alternatives_below_or(key, value) {
            return Some(alternatives);
        }
        if !is_operator(key) {
            return None;
        }
        if key == "numeric" {
            let ValueKind::Array(items) = &value.kind else {
                return None;
            };
            let is_comparison = matches!(items.as_slice(), [
                Value { kind: ValueKind::String(symbol), .. },
                Value { kind: ValueKind::Number(_), .. },
                ..
            ] if matches!(symbol.as_str(), "<" | "<=" | ">" | ">=" | "=" | "!=" | "=="));
            return is_comparison
                .then(|| vec![format!("{{\"numeric\": {}}}", self.source_of(value))]);
        }
        let Some(foreign) = ForeignOperator::read(key) else {
            return Some(Vec::new());
        };
        // `{"anything-but": {"prefix": ["x"]}}`
        if let ValueKind::Object(inner) = &value.kind {
            let takes_object = foreign.negated && foreign.meaning == Meaning::Equals;
            if takes_object && !inner.is_empty() {
                return self.excluded_alternatives(inner);
            }
        }
        if !is_argument(foreign, value) {
            return None;
        }
        Some(self.alternatives_of(foreign, value).unwrap_or_default())
    }

    /// `{"anything-but": {"prefix": ["x"]}}`, where `anything-but` was found as a key.
    fn excluded_alternatives(&self, inner: &[Member]) -> Option<Vec<String>> {
        let alternatives: Vec<Vec<String>> = inner
            .iter()
            .map(|member| self.operator_alternatives(member))
            .collect::<Option<_>>()?;
        // Not (a or b) is one `anything-but` of both; several operators may mean either.
        Some(match alternatives.as_slice() {
            [only] if !only.is_empty() && only.iter().all(|one| one.starts_with('{')) => {
                let excluded = match only.as_slice() {
                    [one] => one.clone(),
                    several if self.dialect == Dialect::Reflexarc => {
                        format!("[{}]", several.join(", "))
                    }
                    _ => return Some(Vec::new()),
                };
                if excluded.contains("anything-but") || excluded.contains("exists") {
                    return Some(Vec::new());
                }
                vec![format!("{{\"anything-but\": {excluded}}}")]
            }
            _ => Vec::new(),
        })
    }
}

/// Whether a key is the name of an operator, here or in another language.
pub(super) fn is_operator(key: &str) -> bool {
    let lower = key.to_lowercase().replace('_', "-");
    let is_foreign_name = || {
        let is_marked = key.starts_with('$') || !key.contains(char::is_alphanumeric);
        let is_negated = lower.starts_with("anything-but-") || lower.starts_with("not-");
        let ignores_case = lower.ends_with("-ignore-case");
        let plain = lower.replace('-', "");
        let is_listed = FOREIGN.split(' ').any(|name| name == plain);
        (is_marked || is_negated || ignores_case || is_listed)
            && ForeignOperator::read(key).is_some()
    };
    JSON_OPERATORS.contains(&lower.as_str())
        || crate::dialect::aws::is_reserved_in_or(key)
        || is_foreign_name()
}

/// Whether the value may be an argument of the operator, in an array or not.
fn is_argument(foreign: ForeignOperator, value: &Value) -> bool {
    let elements = match &value.kind {
        ValueKind::Array(elements) => elements.as_slice(),
        _ => std::slice::from_ref(value),
    };
    let all = |fits: fn(&ValueKind) -> bool| {
        !elements.is_empty() && elements.iter().all(|element| fits(&element.kind))
    };
    match foreign.meaning {
        Meaning::Equals | Meaning::In if !foreign.ignoring_case => all(|kind| {
            !matches!(
                kind,
                ValueKind::Object(_) | ValueKind::Array(_) | ValueKind::Invalid
            )
        }),
        Meaning::Between | Meaning::Range => {
            elements.len() == 2 && all(|kind| matches!(kind, ValueKind::Number(_)))
        }
        Meaning::Empty => false,
        Meaning::Compare(_) => {
            elements.len() == 1 && all(|kind| matches!(kind, ValueKind::Number(_)))
        }
        Meaning::Exists | Meaning::Null | Meaning::True | Meaning::False => {
            elements.len() == 1 && all(|kind| matches!(kind, ValueKind::Bool(_)))
        }
        // `{"prefix": {"equals-ignore-case": ["x"]}}`
        _ => match &value.kind {
            ValueKind::Object(members) => {
                matches!(members.as_slice(), [only] if only.key == "equals-ignore-case")
            }
            _ => all(|kind| matches!(kind, ValueKind::String(_))),
        },
    }
}

/// Whether there is a value where a pattern has an array.
fn has_scalar(member: &Member) -> bool {
    match &member.value.kind {
        ValueKind::Array(_) => false,
        ValueKind::Object(members) => members.iter().any(has_scalar),
        _ => true,
    }
}

/// One object of several operators, each with one argument; `None` if one of them has several.
fn merged(alternatives: &[Vec<String>]) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for alternatives in alternatives {
        let [only] = alternatives.as_slice() else {
            return None;
        };
        parts.push(only.strip_prefix('{')?.strip_suffix('}')?);
    }
    let name = |part: &&str| part.split(':').next().map(str::to_owned);
    let mut names: Vec<_> = parts.iter().map(name).collect();
    names.sort();
    names.dedup();
    (names.len() == parts.len()).then(|| format!("{{{}}}", parts.join(", ")))
}
